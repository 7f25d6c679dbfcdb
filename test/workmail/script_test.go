package workmail_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	wholeLab "github.com/hybridge-cli/hybridge/pkg/lab"
	"github.com/hybridge-cli/hybridge/test/peer"
)

type silent struct{}

func (silent) Observe(observe.Event) {}

// TestScript runs the shell script of a plan with the AWS CLI against the lab. Afterwards nothing
// is left to plan in WorkMail, and a second run changes nothing.
func TestScript(t *testing.T) {
	aws, shellcheck := peer.Program(t, "aws", "awscli"), peer.Program(t, "shellcheck", "shellcheck")
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
	t.Cleanup(func() { _ = d.Close(t.Context()) })
	plan, err := d.Plan(t.Context(), silent{})
	if err != nil {
		t.Fatal(err)
	}
	script := written(t, d, plan)
	if out, err := exec.CommandContext(t.Context(), shellcheck, "--shell=sh", "--severity=style",
		script).CombinedOutput(); err != nil {
		t.Errorf("shellcheck: %v\n%s", err, out)
	}
	text, _ := os.ReadFile(script)
	password, err := os.ReadFile(filepath.Join(folder, "secrets", "contoso-svc-availability"))
	if err != nil || bytes.Contains(text, bytes.TrimSpace(password)) {
		t.Fatalf("the script holds a password, or there is none: %v", err)
	}

	bin := t.TempDir()
	wrapper := "#!/bin/sh\nprintf '%s\\n' \"$*\" >>" + filepath.Join(bin, "log") + "\nexec " + aws + " \"$@\"\n"
	if err := os.WriteFile(filepath.Join(bin, "aws"), []byte(wrapper), 0o700); err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(filepath.Join(folder, "secrets", "workmail-key"))
	if err != nil {
		t.Fatal(err)
	}
	run := func(arguments ...string) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		c := exec.CommandContext(ctx, "sh", append([]string{script}, arguments...)...)
		c.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"),
			"AWS_ACCESS_KEY_ID="+a.WorkMail.Credential.ClientID,
			"AWS_SECRET_ACCESS_KEY="+strings.TrimSpace(string(key)), "AWS_EC2_METADATA_DISABLED=true",
			"HTTPS_PROXY="+proxy(t, a.Network.ConnectTo), "AWS_CA_BUNDLE="+
				filepath.Join(folder, "ca.pem"), "SECRET_1_FILE="+
				filepath.Join(folder, "secrets", "contoso-svc-availability"))
		out, err := c.CombinedOutput()
		return string(out), err
	}
	if out, err := run("--what-if"); err != nil || !strings.Contains(out, "would create") ||
		!strings.Contains(out, "0 done") {
		t.Fatalf("what if: %v\n%s", err, out)
	}
	if out, err := run("--yes"); err != nil || !strings.Contains(out, "2 done") {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := run("--yes"); err != nil || !strings.Contains(out, "0 done") {
		t.Errorf("again: %v\n%s", err, out)
	}
	log, err := os.ReadFile(filepath.Join(bin, "log"))
	if err != nil || bytes.Contains(log, bytes.TrimSpace(password)) {
		t.Errorf("a command line holds the password: %v", err)
	}
	again, err := d.Plan(t.Context(), silent{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range again.Changes {
		if c.Target == "workmail" {
			t.Errorf("left to do: %s", c.ID)
		}
	}
}

// proxy starts an HTTP proxy that leads hosts to the lab, and returns its URL.
func proxy(t *testing.T, rules []string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, rule := range rules {
			host, address, _ := strings.Cut(rule, "=")
			if r.Method != http.MethodConnect || r.Host != host {
				continue
			}
			there, err := net.Dial("tcp", address)
			if err != nil {
				break
			}
			defer there.Close()
			here, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				return
			}
			defer here.Close()
			_, _ = io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n")
			go func() { _, _ = io.Copy(there, here) }()
			_, _ = io.Copy(here, there)
			return
		}
		http.Error(w, "the lab has no "+r.Host, http.StatusBadGateway)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// written writes the script for WorkMail into a folder.
func written(t *testing.T, d *deployment.Deployment, plan change.Plan) string {
	t.Helper()
	scripts, err := d.Scripts(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range scripts {
		if strings.HasSuffix(s.Name, ".sh") {
			path := filepath.Join(t.TempDir(), s.Name)
			if err := os.WriteFile(path, s.Content, 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		}
	}
	t.Fatal("the plan has no shell script")
	return ""
}
