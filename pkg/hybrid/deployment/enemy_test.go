package deployment

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/hcw"
)

// enemyAnswers names every kind of file and secret, a resolver, a proxy and a receiver of messages.
const enemyAnswers = `{"apiVersion":"hybridge/v1","kind":"Answers","organization":"Contoso",
"network":{"resolvers":["RESOLVER"],"proxy":"http://PROXY","caFile":"/etc/hostname",
"proxyCredential":{"user":"u","password":"file:SECRET"}},
"notify":[{"kind":"webhook","url":"https://PROXY/hook","secret":"file:SECRET"},{"kind":"teams","urlSecret":"env:HOME"}],
"exchangeOnline":{"cloud":"worldwide","tenant":"contoso.onmicrosoft.com",
"credential":{"kind":"certificate","clientId":"7d3c1b2a-1111-4222-8333-444455556666","pfx":"SECRET","password":"prompt"}},
"forests":[{"name":"contoso","domains":["contoso.com"],
"namespace":{"autodiscover":"autodiscover.contoso.com","ews":"mail.contoso.com","smtp":"mail.contoso.com"},
"certificate":{"pfx":"SECRET","password":"prompt"},
"directory":{"domain":"contoso.com","bind":{"kind":"password","user":"u@contoso.com","password":"file:SECRET"}},
"exchange":{"server":"ex1.contoso.com","via":"local","credential":{"kind":"password","user":"u@contoso.com","password":"prompt"}}}],
"tests":{"pairs":[{"from":"a@contoso.com","to":"b@contoso.com"}]}}`

// A snapshot comes with the answers of its maker. They make hybridge read no file, ask for no
// password, connect to no host and write nothing.
func TestSnapshotOfAnEnemyReachesNothing(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	trap, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer trap.Close()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	caught := make(chan string, 100)
	go func() {
		for {
			c, err := tcp.Accept()
			if err != nil {
				return
			}
			caught <- "a connection"
			_ = c.Close()
		}
	}()
	go func() {
		for b := make([]byte, 512); ; {
			if _, _, err := trap.ReadFrom(b); err != nil {
				return
			}
			caught <- "a question to a resolver"
		}
	}()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("pl4nted"), 0o600); err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("RESOLVER", trap.LocalAddr().String(), "PROXY", tcp.Addr().String(), "SECRET", file).
		Replace(enemyAnswers)
	s := Snapshot{APIVersion: report.APIVersion, Kind: "Snapshot", TakenAt: time.Now().UTC(), Answers: []byte(text)}
	read, err := ReadSnapshot(bytes.NewReader(s.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	a, err := read.Deployment()
	if err != nil {
		t.Fatal(err)
	}
	d, err := Open(a, Options{Version: "test", Snapshot: &read,
		Prompt: func(_ context.Context, label string) (secret.Value, error) {
			caught <- "a question for the " + label
			return secret.Value{}, errors.New("no")
		}})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = d.Check(t.Context(), &events{})
	plan, _ := d.Plan(t.Context(), &events{})
	_, _ = d.Scripts(t.Context(), plan)
	for _, o := range []ValidateOptions{{Subject: "mailflow"}, {Subject: "oauth"}, {Subject: "certificates"},
		{Subject: "user", User: "b@contoso.com"}, {Subject: "domain", Domain: "contoso.com"},
		{Subject: "freebusy", From: "a@contoso.com", To: "b@contoso.com", Both: true}} {
		_, _ = d.Validate(t.Context(), o, &events{})
	}
	if err := d.Notify(t.Context(), report.About{Deployment: "Contoso"}, seen(report.Fail)); err != nil {
		t.Errorf("notify: %v", err)
	}
	if len(d.secrets) > 0 {
		t.Errorf("%d secrets were read", len(d.secrets))
	}
	if err := d.Close(t.Context()); err != nil {
		t.Error(err)
	}
	select {
	case what := <-caught:
		t.Error(what)
	case <-time.After(300 * time.Millisecond):
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("%s was written", left[0].Name())
	}
}

// What a receiver redirects to, itself included, gets nothing: the message names findings.
func TestNotifyFollowsNoRedirect(t *testing.T) {
	other := receive(t)
	front := receive(t)
	front.Config.Handler = http.RedirectHandler(other.URL+"/internal", http.StatusTemporaryRedirect)
	d := notifying(t, front, &bytes.Buffer{}, answers.Receiver{Kind: "webhook", URL: front.URL + "/hook"})
	err := d.Notify(t.Context(), report.About{Deployment: "Contoso"}, seen(report.Fail))
	if err == nil || !strings.Contains(err.Error(), "307") || other.got() > 0 {
		t.Errorf("%v, %d messages", err, other.got())
	}
}

// What receivers know stands in no directory that another account can write to: it could silence
// them.
func TestNotifyRefusesAStateOfOthers(t *testing.T) {
	r := receive(t)
	d := notifying(t, r, &bytes.Buffer{}, answers.Receiver{Kind: "webhook", URL: r.URL + "/hook"})
	if err := os.Mkdir(d.options.StateDir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(d.options.StateDir, 0o777); err != nil { //nolint:gosec // the attack
		t.Fatal(err)
	}
	err := d.Notify(t.Context(), report.About{Deployment: "Contoso"}, seen(report.Fail))
	if err == nil || !strings.Contains(err.Error(), "other accounts may write") {
		t.Errorf("%v", err)
	}
}

// A support package that unpacks to more than a support package holds is refused, and a folder with
// a link to what never ends is read without it.
func TestWizardLogsOfAnEnemy(t *testing.T) {
	dir := t.TempDir()
	line := "2026.03.04 09:00:00.000         10276 [Session=OnPremises, Cmdlet=Get-X, Thread=1] START Get-X\n"
	packed := func(name string, files, times int) string {
		path := filepath.Join(dir, name)
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		z := zip.NewWriter(f)
		block := strings.Repeat(line[:len(line)-1]+" ", 1000) + "\n"
		for range files {
			w, err := z.Create("x.log") // a name twice names nothing on this computer
			if err != nil {
				t.Fatal(err)
			}
			for range times {
				_, _ = w.Write([]byte(block))
			}
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return path
	}
	defer func(was int64) { maxUnpacked = was }(maxUnpacked)
	for path, limit := range map[string]int64{packed("many.zip", 1001, 0): maxUnpacked, packed("large.zip", 2, 20): 1 << 20} {
		maxUnpacked = limit
		if _, err := ReadWizardLogs([]string{path}); !errors.Is(err, errBomb) {
			t.Errorf("%s: %v", path, err)
		}
	}
	folder := filepath.Join(dir, "logs")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "a.log"), []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/zero", filepath.Join(folder, "b.log")); err != nil {
		t.Skip(err)
	}
	if log, err := ReadWizardLogs([]string{folder}); err != nil || len(log.Runs) != 1 {
		t.Errorf("%v, %d runs", err, len(log.Runs))
	}
	endless := filepath.Join(dir, "endless.json")
	if err := os.Symlink("/dev/zero", endless); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadOverwritten([]string{endless}); err == nil || errors.Is(err, hcw.ErrForeign) {
		t.Errorf("%v", err)
	}
}
