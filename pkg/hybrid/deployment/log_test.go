package deployment

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/lab"
)

// lines is a log that goroutines write to.
type lines struct {
	mu sync.Mutex
	bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(p)
}

// One check run at the lowest log level: the log has every kind of remote call, and no password,
// token or key.
func TestEveryRemoteCallIsLogged(t *testing.T) {
	dir := t.TempDir()
	l, err := lab.Start(t.Context(), lab.Options{Dir: dir, Users: 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	a, err := answers.Load(t.Context(), l.Answers())
	if err != nil {
		t.Fatal(err)
	}
	var out lines
	log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug - 4}))
	d, err := Open(a, Options{Dir: filepath.Dir(l.Answers()), StateDir: t.TempDir(), Version: "test", Log: log})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Check(t.Context(), &events{}); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	if file := os.Getenv("HYBRIDGE_TEST_LOG"); file != "" {
		_ = os.WriteFile(file, []byte(text), 0o600)
	}
	for _, want := range []string{
		"msg=cmdlet", "Get-ExchangeServer", `msg="remote powershell"`, `msg="remote powershell message"`,
		`msg="ldap search"`,
		"msg=dns", "msg=http ", "graph.microsoft.com/v1.0/", "oauth2/v2.0/token", "InvokeCommand",
		`msg="http answer body"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is not in the log", want)
		}
	}
	for _, pattern := range []string{`eyJ[A-Za-z0-9_-]{20,}`, `PRIVATE KEY`, `client_assertion=[^R&\s]`} {
		if found := regexp.MustCompile(pattern).FindString(text); found != "" {
			t.Errorf("%.60s is in the log", found)
		}
	}
	secrets, _ := filepath.Glob(filepath.Join(dir, "*.password"))
	more, _ := filepath.Glob(filepath.Join(dir, "secrets", "*"))
	for _, file := range append(secrets, more...) {
		data, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		if s := strings.TrimSpace(string(data)); len(s) > 5 && strings.Contains(text, s) {
			t.Errorf("the secret of %s is in the log", filepath.Base(file))
		}
	}
}
