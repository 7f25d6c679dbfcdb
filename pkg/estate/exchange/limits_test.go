package exchange

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
	"github.com/hybridge-cli/hybridge/pkg/wire/psrp"
)

// A server that refuses a session and says for how long is asked once more after that time, if the
// caller has it.
func TestSessionLimitIsWaitedOut(t *testing.T) {
	told := &psrp.Fault{Reason: "Fail to create runspace because you have exceeded your budget to create runspace. " +
		"Please wait for 40 seconds."}
	full := &psrp.Fault{Reason: "exceeded the maximum number of connections allowed: 18 for the policy party : " +
		"MaxConcurrency"}
	for _, test := range []struct {
		name    string
		refusal error
		limit   time.Duration // of the caller
		opened  int
		waits   time.Duration
		says    string
	}{
		{"told to wait", told, time.Minute, 2, 40 * time.Second, "throttling policy"},
		{"no time to wait", told, 30 * time.Second, 1, 0, "wait for 40 seconds"},
		{"not told", full, time.Minute, 1, 0, "close other remote PowerShell sessions"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fakeServer{refuse: test.refusal}
				warned := ""
				r := f.session(t, RemoteOptions{Warn: func(_, s string) { warned += s }})
				ctx, cancel := context.WithTimeout(t.Context(), test.limit)
				defer cancel()
				began := time.Now()
				_, err := r.Run(ctx, Command{Name: "Get-ExchangeServer"})
				if !errors.Is(err, ErrThrottled) || errors.Is(err, link.ErrAccess) ||
					!strings.Contains(err.Error(), test.says) {
					t.Errorf("got %v", err)
				}
				if f.opened != test.opened || time.Since(began) != test.waits {
					t.Errorf("opened %d times in %s", f.opened, time.Since(began))
				}
				if (warned != "") != (test.waits > 0) {
					t.Errorf("warned %q", warned)
				}
			})
		})
	}
}

// A command that was certainly not sent, or only reads, is retried in a new session. A write with
// an unknown outcome is not.
func TestLostCommands(t *testing.T) {
	commandGone := &psrp.Fault{Code: 2150858843, Reason: "the command identifier does not exist"}
	for _, test := range []struct {
		name    string
		cmdlet  string
		err     error
		opened  int
		succeed bool
	}{
		{"a read whose command is gone", "Get-SendConnector", commandGone, 2, true},
		{"a write whose command is gone", "Set-SendConnector", commandGone, 1, false},
		{"a read in a pool that was given up", "Get-SendConnector", fmt.Errorf("stopped: %w", psrp.ErrClosed), 2, true},
		{"a write in a pool that was given up", "Set-SendConnector", fmt.Errorf("stopped: %w", psrp.ErrClosed), 2,
			true},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := &fakeServer{answers: []func() (psrp.Output, error){
				func() (psrp.Output, error) { return psrp.Output{}, test.err }, gives(),
			}}
			_, err := f.session(t, RemoteOptions{}).Run(t.Context(),
				Command{Name: test.cmdlet, Parameters: map[string]any{"Identity": "x"}})
			if (err == nil) != test.succeed || f.opened != test.opened {
				t.Errorf("opened %d times, %v", f.opened, err)
			}
			if !test.succeed && !strings.Contains(err.Error(), "not known") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// Everything that a real Exchange 2019 server printed has its place in an Object.
func TestRecordedServerObjects(t *testing.T) {
	dir := filepath.Join("..", "..", "..", "..", "shared", "fixtures", "clixml")
	files, _ := filepath.Glob(filepath.Join(dir, "*.xml"))
	if len(files) == 0 {
		t.Skip("needs ../shared/fixtures/clixml beside the checkout")
	}
	if len(files) < 24 {
		t.Errorf("%d recordings, want at least 24", len(files))
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			values, err := psrp.Unmarshal(data)
			if err != nil {
				t.Fatal(err)
			}
			if list, ok := values[0].(*psrp.Object); ok {
				if inner, ok := list.Value.([]any); ok {
					values = inner
				}
			}
			objects, err := collect(Command{Name: "Get-Thing"}, psrp.Output{Objects: values}, nil)
			if err != nil || len(objects) != len(values) {
				t.Fatalf("%d objects of %d, %v", len(objects), len(values), err)
			}
			for _, o := range objects {
				for _, name := range o.Names() {
					v, err := o.Value(name)
					if err != nil && !strings.Contains(err.Error(), "refers back") {
						t.Errorf("%s: %v", name, err)
					}
					if s, ok := v.(string); ok && strings.HasPrefix(s, "Deserialized.") {
						t.Errorf("%s is the name of a type: %s", name, s)
					}
				}
			}
		})
	}
}

// A log shows each cmdlet with its parameters and outcome, and no secret.
func TestCmdletsAreLogged(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	failure := &psrp.ErrorRecord{Message: "no such object", ID: "AB12,Microsoft.Exchange.Thing"}
	f := &fakeServer{answers: []func() (psrp.Output, error){
		gives("x"), func() (psrp.Output, error) { return psrp.Output{}, failure },
	}}
	r := f.session(t, RemoteOptions{PSRP: psrp.Options{Log: log}})
	c := Command{Name: "New-MigrationEndpoint", Parameters: map[string]any{
		"Name": "it's", "Credentials": Credential{User: "u", Password: secret.NewValue("hush")},
		"Table": map[string]any{"k": secret.NewValue("hush")},
	}}
	for range 2 {
		_, _ = r.Run(t.Context(), c)
	}
	text := out.String()
	for _, want := range []string{"cmdlet=\"New-MigrationEndpoint -Name 'it''s' -Credentials <secret>", "objects=1",
		"took=",
		"place=contoso", "id=AB12,Microsoft.Exchange.Thing", "no such object"} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is missing in\n%s", want, text)
		}
	}
	if strings.Contains(text, "hush") {
		t.Errorf("a secret is in the log:\n%s", text)
	}
}
