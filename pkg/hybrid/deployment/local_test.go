package deployment

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/lab"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// A local PowerShell gets no variable that a reference names, and none whose name tells of a secret.
func TestEnvironmentWithoutSecrets(t *testing.T) {
	for _, name := range []string{"CONTOSO_SVC", "AWS_SECRET_ACCESS_KEY", "AZURE_CLIENT_SECRET", "GITHUB_TOKEN", "Pfx_Password"} {
		t.Setenv(name, "Zebra-Hunter2")
	}
	t.Setenv("HYBRIDGE_TEST_PLAIN", "seen")
	a := answers.Answers{Forests: []answers.Forest{{Exchange: answers.Exchange{Credential: answers.Credential{
		Kind: answers.CredentialPassword, Password: "env:CONTOSO_SVC"}}}}}
	list := environment(a)
	if !slices.Contains(list, "HYBRIDGE_TEST_PLAIN=seen") {
		t.Error("an ordinary variable is missing")
	}
	for _, v := range list {
		if strings.Contains(v, "Zebra-Hunter2") {
			t.Errorf("%s is passed on", v)
		}
	}
}

// way is a session that answers each cmdlet with an error, or with nothing.
type way struct {
	err    error
	ran    []string
	closed bool
}

func (w *way) Run(_ context.Context, c exchange.Command) ([]exchange.Object, error) {
	w.ran = append(w.ran, c.Name)
	return nil, w.err
}

func (w *way) Allowed(context.Context, ...string) (map[string]exchange.Allowance, error) {
	w.ran = append(w.ran, "allowed")
	return nil, w.err
}

func (w *way) Close(context.Context) error { w.closed = true; return nil }

// auto falls back once, on what a local PowerShell may do better, with a read, and says so.
func TestFallback(t *testing.T) {
	kerberos := remoteFails(answers.Credential{Kind: answers.CredentialKerberos})
	password := remoteFails(answers.Credential{Kind: answers.CredentialPassword})
	for _, tt := range []struct {
		name  string
		err   error
		falls func(error) bool
		first string
		want  bool
	}{
		{"works", nil, kerberos, "Get-Mailbox", false},
		{"a cmdlet's error", &exchange.Error{Message: "no"}, kerberos, "Get-Mailbox", false},
		{"cannot be reached", link.ErrUnreachable, kerberos, "Get-Mailbox", true},
		{"a ticket is refused", link.ErrAccess, kerberos, "Get-Mailbox", true},
		{"a password is refused", link.ErrAccess, password, "Get-Mailbox", false},
		{"not trusted", link.ErrUntrusted, kerberos, "Get-Mailbox", false},
		{"the caller's time is over", context.DeadlineExceeded, kerberos, "Get-Mailbox", false},
		{"a write", link.ErrUnreachable, kerberos, "Set-Mailbox", false},
		{"the admin API is gone", errors.New("HTTP 404"), apiFails, "Get-Mailbox", true},
		{"the service cannot be reached", link.ErrUnreachable, apiFails, "Get-Mailbox", false},
		{"too many requests", fmt.Errorf("x: %w", exchange.ErrThrottled), apiFails, "Get-Mailbox", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			first, second, said := &way{err: tt.err}, &way{}, 0
			f := &fallback{first: first, second: second, falls: tt.falls, say: func(error) { said++ }}
			_, err := f.Run(t.Context(), exchange.Command{Name: tt.first})
			_, _ = f.Run(t.Context(), exchange.Command{Name: "Get-User"})
			want := []string(nil)
			if tt.want {
				want = []string{tt.first, "Get-User"}
			}
			if tt.first == "Set-Mailbox" { // the read after it falls back
				want = []string{"Get-User"}
			}
			if diff := cmp.Diff(want, second.ran); diff != "" || (said == 1) != (len(want) > 0) {
				t.Errorf("said %d times, the second way ran (-want +got):\n%s", said, diff)
			}
			if (err != nil) != (tt.err != nil && !tt.want) {
				t.Errorf("got %v", err)
			}
			if err := f.Close(t.Context()); err != nil || !first.closed || !second.closed {
				t.Errorf("close: %v %t %t", err, first.closed, second.closed)
			}
		})
	}
}

// A PowerShell that dies, hangs, babbles or is missing is one clear error of the plan, and is started
// once.
func TestBrokenPowerShellIsOneError(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the programs of this test are shell scripts")
	}
	l, err := lab.Start(t.Context(), lab.Options{Dir: t.TempDir(), Users: 20, Forests: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	for name, tt := range map[string]struct{ script, says string }{
		"dies":    {"echo the disk is full >&2; exit 3", "pwsh ended (exit status 3): the disk is full"},
		"babbles": {"echo Windows PowerShell; exec sleep 60", `to its standard output: "Windows PowerShell"`},
		"hangs":   {"exec sleep 60", "pwsh hangs: it did not begin to speak in time"},
		"missing": {"", "there is no program pwsh"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			t.Setenv("PATH", dir+":/usr/bin:/bin")
			if tt.script != "" {
				script := "#!/bin/sh\necho >>" + dir + "/started\n" + tt.script + "\n"
				if err := os.WriteFile(filepath.Join(dir, "pwsh"), []byte(script), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			a, err := answers.Load(t.Context(), l.Answers())
			if err != nil {
				t.Fatal(err)
			}
			a.Forests[0].Exchange.Via, a.ExchangeOnline.Via = answers.ViaLocal, answers.ViaModule
			d, err := Open(a, Options{Dir: filepath.Dir(l.Answers()), StateDir: t.TempDir(), Version: "test",
				Timeout: 3 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			_, err = d.Plan(t.Context(), &events{})
			took := time.Since(began)
			if err == nil || !errors.Is(err, link.ErrUnreachable) || strings.Count(err.Error(), tt.says) != 2 ||
				strings.Count(err.Error(), "\n") != 1 { // one line per place
				t.Errorf("got  %v\nwant %s", err, tt.says)
			}
			if err := d.Close(t.Context()); err != nil {
				t.Error(err)
			}
			started, _ := os.ReadFile(filepath.Join(dir, "started"))
			if n := len(started); tt.script != "" && n != 2 || took > 20*time.Second {
				t.Errorf("started %d times for two places, took %s", n, took)
			}
		})
	}
}
