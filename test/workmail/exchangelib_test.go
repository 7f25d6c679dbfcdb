package workmail_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	wholeLab "github.com/hybridge-cli/hybridge/pkg/lab"
	"github.com/hybridge-cli/hybridge/test/peer"
)

// TestExchangelib asks with Debian's exchangelib, before and after an apply: Exchange for the
// calendar of a user in WorkMail, and WorkMail for that of a user in Exchange.
func TestExchangelib(t *testing.T) {
	const python = "/usr/bin/python3" // Debian's own, which has Debian's modules
	if err := exec.Command(python, "-c", "import exchangelib").Run(); err != nil {
		peer.Missing(t, "exchangelib", "python3-exchangelib")
	}
	l, err := wholeLab.Start(t.Context(), wholeLab.Options{Dir: t.TempDir(), Users: 20, Forests: 1,
		Clouds: []string{wholeLab.WorkMail}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	a, err := answers.Load(t.Context(), l.Answers())
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Dir(l.Answers())
	d, err := deployment.Open(a, deployment.Options{Dir: folder, StateDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close(context.WithoutCancel(t.Context())) })
	local, moved := a.Tests.Pairs[0].From, a.Tests.Pairs[0].To
	account, _, _ := strings.Cut(local, "@")
	way, day := proxy(t, a.Network.ConnectTo), time.Now().UTC().Truncate(24*time.Hour)
	secret := func(name string) string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(folder, "secrets", name))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(text))
	}
	ask := func(endpoint, user, password, version string, mailboxes ...string) map[string]string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		c := exec.CommandContext(ctx, python, append([]string{"-W", "ignore",
			filepath.Join("testdata", "freebusy.py"), endpoint, user, password, version,
			day.Format("2006-01-02T15:04:05")}, mailboxes...)...)
		home := t.TempDir() // exchangelib keeps a cache between runs
		c.Env = append(os.Environ(), "REQUESTS_CA_BUNDLE="+filepath.Join(folder, "ca.pem"), "HTTPS_PROXY="+way,
			"TMPDIR="+home, "HOME="+home, "PYTHONDONTWRITEBYTECODE=1", "NO_PROXY=", "no_proxy=")
		var stderr strings.Builder
		c.Stderr = &stderr
		out, err := c.Output()
		if err != nil {
			t.Fatalf("exchangelib: %v\n%s", err, stderr.String())
		}
		var found map[string]string
		if err := json.Unmarshal(out, &found); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return found
	}
	fromExchange := func() map[string]string {
		return ask("https://"+a.Forests[0].Namespace.EWS+"/EWS/Exchange.asmx", local, secret("contoso-"+account),
			"2016",
			local, moved)
	}
	fromWorkMail := func() map[string]string {
		return ask("https://ews.mail."+a.WorkMail.Region+".awsapps.com/EWS/Exchange.asmx", a.WorkMail.Account.User,
			secret("contoso-svc-workmail"), "2010_SP2", local, a.WorkMail.Account.User)
	}
	merged := func(address string) string { return wholeLab.Merged(address, day) }
	check := func(what string, want, got map[string]string) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	check("Exchange before", map[string]string{local: merged(local), moved: "ErrorMailRecipientNotFound"},
		fromExchange())
	check("WorkMail before", map[string]string{local: "ErrorAvailabilityConfigNotFound",
		a.WorkMail.Account.User: merged(a.WorkMail.Account.User)}, fromWorkMail())
	plan, err := d.Plan(t.Context(), silent{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Apply(t.Context(), plan, apply.Options{}, silent{}); err != nil {
		t.Fatal(err)
	}
	check("Exchange", map[string]string{local: merged(local), moved: merged(moved)}, fromExchange())
	check("WorkMail", map[string]string{local: merged(local),
		a.WorkMail.Account.User: merged(a.WorkMail.Account.User)}, fromWorkMail())
}
