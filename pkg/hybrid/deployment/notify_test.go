package deployment

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/notify"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// receiver is a server that takes messages, with the statuses that it answers first.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	statuses []int
	hang     time.Duration
	bodies   [][]byte
	headers  []http.Header
	paths    []string
}

func receive(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.bodies, r.headers = append(r.bodies, body), append(r.headers, q.Header)
		r.paths = append(r.paths, q.URL.String())
		if r.hang > 0 {
			select {
			case <-time.After(r.hang):
			case <-q.Context().Done():
			}
		}
		status := http.StatusAccepted
		if len(r.statuses) > 0 {
			status, r.statuses = r.statuses[0], r.statuses[1:]
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) got() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.bodies)
}

func seen(s report.Status) []report.Outcome {
	return []report.Outcome{{ID: "a.b", Place: "contoso", Status: s, Summary: msg.Plain("the certificate has ended")}}
}

// notifying opens a deployment that reports to these receivers, with a log of everything.
func notifying(t *testing.T, ca *receiver, log io.Writer, to ...answers.Receiver) *Deployment {
	t.Helper()
	dir := t.TempDir()
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Certificate().Raw})
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), authority, 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := Open(answers.Answers{Organization: "Contoso", Notify: to, Network: answers.Network{CAFile: "ca.pem"}},
		Options{Dir: dir, StateDir: filepath.Join(dir, "state"),
			Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: link.LevelTrace}))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close(context.Background()) })
	return d
}

// A receiver hears of a change once, and of nothing else. What it did not take comes again with the
// next run, and every other receiver gets its own.
func TestNotifyOnChange(t *testing.T) {
	a, b := receive(t), receive(t)
	t.Setenv("PLANTED_KEY", "pl4nted-key")
	t.Setenv("PLANTED_URL", a.URL+"/pl4nted-path?sig=pl4nted-sig")
	var log bytes.Buffer
	d := notifying(t, a, &log, answers.Receiver{Kind: "teams", URLSecret: secret.Ref("env:PLANTED_URL")},
		answers.Receiver{Kind: "webhook", URL: b.URL + "/hook", Secret: secret.Ref("env:PLANTED_KEY")})
	about := report.About{Deployment: "Contoso", Verb: "check", Time: time.Now().UTC()}
	step := func(what string, s report.Status, wantErr string, wantA, wantB int) {
		t.Helper()
		err := d.Notify(t.Context(), about, seen(s))
		if (err == nil) != (wantErr == "") || err != nil && !strings.Contains(err.Error(), wantErr) {
			t.Errorf("%s: %v, want %q", what, err, wantErr)
		}
		if err != nil && strings.Contains(err.Error(), "pl4nted") {
			t.Errorf("%s: a secret is in the error: %v", what, err)
		}
		if a.got() != wantA || b.got() != wantB {
			t.Errorf("%s: %d and %d messages, want %d and %d", what, a.got(), b.got(), wantA, wantB)
		}
	}
	step("healthy", report.Pass, "", 0, 0)
	step("a failure", report.Fail, "", 1, 1)
	step("the same failure", report.Fail, "", 1, 1)
	b.statuses = []int{http.StatusForbidden}
	step("gone, and one refuses", report.Pass, "notify[1] (webhook) got no message; the next run sends it: it answers 403",
		2, 2)
	step("nothing new, and the other gets it now", report.Pass, "", 2, 3)
	a.statuses, b.statuses = []int{http.StatusBadGateway, http.StatusTooManyRequests}, nil
	step("put off twice", report.Fail, "", 5, 4)

	var m notify.Message
	if err := json.Unmarshal(b.bodies[0], &m); err != nil || m.Kind != "Notification" || m.About.Deployment != "Contoso" ||
		len(m.Changes) != 1 || m.Changes[0].Change != notify.New || m.Changes[0].Status != report.Fail {
		t.Errorf("%v %s", err, b.bodies[0])
	}
	if id := a.headers[2].Get("Webhook-Id"); id == "" || id != a.headers[4].Get("Webhook-Id") ||
		id == a.headers[0].Get("Webhook-Id") {
		t.Error("retries do not have the id of their message")
	}
	if a.headers[0].Get("Webhook-Signature") != "" || b.headers[0].Get("Webhook-Signature") == "" {
		t.Error("a message is signed where a key is named")
	}
	if a.paths[0] != "/pl4nted-path?sig=pl4nted-sig" {
		t.Errorf("the address is %s", a.paths[0])
	}
	state, err := os.ReadFile(filepath.Join(d.options.StateDir, notifyFile))
	if err != nil {
		t.Fatal(err)
	}
	if all := log.String() + string(state); strings.Contains(all, "pl4nted") || !strings.Contains(all, "POST") {
		t.Errorf("a secret is in the log or in the state, or nothing is logged: %s", all)
	}
}

// A receiver that hangs, that is not there, or whose state cannot be kept.
func TestNotifyThatFails(t *testing.T) {
	a := receive(t)
	a.hang = time.Minute
	d := notifying(t, a, io.Discard, answers.Receiver{Kind: "webhook", URL: a.URL})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	begun := time.Now()
	if err := d.Notify(ctx, report.About{}, seen(report.Fail)); err == nil || time.Since(begun) > 5*time.Second {
		t.Errorf("after %v: %v", time.Since(begun), err)
	}
	a.mu.Lock()
	a.hang = 0
	a.mu.Unlock()

	nowhere := notifying(t, a, io.Discard, answers.Receiver{Kind: "webhook", URL: "https://127.0.0.1:1/hook"})
	if err := nowhere.Notify(t.Context(), report.About{}, seen(report.Fail)); err == nil ||
		strings.Contains(err.Error(), "/hook") {
		t.Errorf("%v", err)
	}

	t.Setenv("NO_URL", "http://plain.contoso.com/pl4nted")
	plain := notifying(t, a, io.Discard, answers.Receiver{Kind: "teams", URLSecret: "env:NO_URL"})
	if err := plain.Notify(t.Context(), report.About{}, seen(report.Fail)); err == nil ||
		!strings.Contains(err.Error(), "is not https") || strings.Contains(err.Error(), "pl4nted") {
		t.Errorf("%v", err)
	}

	damaged := notifying(t, a, io.Discard, answers.Receiver{Kind: "webhook", URL: a.URL})
	if err := os.MkdirAll(damaged.options.StateDir, 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(damaged.options.StateDir, notifyFile)
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := damaged.Notify(t.Context(), report.About{}, seen(report.Fail)); err == nil ||
		!strings.Contains(err.Error(), "notify.json cannot be read; remove it") {
		t.Errorf("%v", err)
	}
}
