package ews_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// requestLog records the requests to a server.
type requestLog struct {
	mu    sync.Mutex
	lines []string
}

func (l *requestLog) add(r *http.Request, status int) {
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, strings.TrimSpace(r.Method+" "+strings.ToLower(r.URL.Path)+" "+scheme)+" "+
		http.StatusText(status))
}

func (l *requestLog) has(line string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Contains(l.lines, line)
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// view is the output of exchangelib for one mailbox.
type view struct {
	View, Merged, Error string
	Events              []string
}

type report struct {
	Protocol, Endpoint, Version, Schema string
	Answers                             map[string]view
}

// TestExchangelib runs autodiscover (POX and SOAP) and free/busy with Debian's exchangelib, with
// each way to authenticate.
func TestExchangelib(t *testing.T) {
	const python = "/usr/bin/python3" // Debian's own, which has Debian's modules
	if err := exec.Command(python, "-c", "import exchangelib").Run(); err != nil {
		missing(t, "exchangelib", "python3-exchangelib")
	}
	for _, tt := range []struct {
		name, user string
		accept     link.Accept
		line       string // that must have been seen
	}{
		{"basic", "alice@contoso.test", link.Accept{Basic: true}, "POST /ews/exchange.asmx Basic OK"},
		{"ntlm", `CONTOSO\alice`, link.Accept{NTLM: true, Basic: true}, "POST /autodiscover/autodiscover.svc NTLM OK"},
		{"ntlm with a user principal name", "alice@contoso.test", link.Accept{NTLM: true},
			"POST /autodiscover/autodiscover.xml NTLM OK"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server, requests := startServer(t, tt.accept)
			dir := t.TempDir()
			ca := filepath.Join(dir, "ca.pem")
			if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE",
				Bytes: server.Certificate().Raw}), 0o600); err != nil {
				t.Fatal(err)
			}
			_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
			reports := exchangelib(t, dir, ca, port, tt.user)
			endpoint := server.URL + "/EWS/Exchange.asmx"
			want := map[string]view{
				"alice@contoso.test": {View: "DetailedMerged", Merged: "000000000200033000000000",
					Events: []string{"2026-11-23T09:00:00+00:00 Busy Budget & \uFFFDplans",
						"2026-11-23T13:00:00+00:00 OOF None"}},
				"bob@contoso.test": {View: "FreeBusyMerged", Merged: "000000010000000000000000",
					Events: []string{"2026-11-23T07:00:00+00:00 Tentative"}},
				"nobody@elsewhere.test": {Error: "ErrorMailRecipientNotFound"},
			}
			for _, r := range reports {
				if r.Endpoint != endpoint || !strings.HasPrefix(r.Version, "15.2.1544") || r.Schema == "" {
					t.Errorf("%s: endpoint %s, version %s, schema %s", r.Protocol, r.Endpoint, r.Version, r.Schema)
				}
				if diff := cmp.Diff(want, r.Answers); diff != "" {
					t.Errorf("%s: %s", r.Protocol, diff)
				}
			}
			if len(reports) != 3 {
				t.Errorf("%d reports", len(reports))
			}
			if !requests.has(tt.line) {
				t.Errorf("never saw %q in\n%s", tt.line, strings.Join(requests.lines, "\n"))
			}
		})
	}
}

func exchangelib(t *testing.T, dir, ca, port, user string) []report {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, "/usr/bin/python3", "-W", "ignore", filepath.Join("testdata", "freebusy.py"), port,
		"alice@contoso.test", user, password, "bob@contoso.test", "nobody@elsewhere.test")
	// A separate directory for temporary files: exchangelib keeps a cache there between runs.
	c.Env = append(os.Environ(), "REQUESTS_CA_BUNDLE="+ca, "TMPDIR="+dir, "HOME="+dir, "PYTHONDONTWRITEBYTECODE=1",
		"NO_PROXY=127.0.0.1")
	var stderr strings.Builder
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("exchangelib: %v\n%s", err, stderr.String())
	}
	var reports []report
	for line := range strings.Lines(string(out)) {
		var r report
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		reports = append(reports, r)
	}
	return reports
}
