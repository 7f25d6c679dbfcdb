package wizard

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
)

const (
	toDirectory   = "<pgdown><pgdown><pgdown>"
	toExchange    = toDirectory + "<pgdown>"
	toCertificate = toExchange + "<pgdown>"
)

// An access is tried when the person leaves its page with new answers. What failed stays on the
// page, with what to do, until it works.
func TestAccessIsTried(t *testing.T) {
	engine := newFake()
	engine.refuses = map[string]error{"directory": errBlocked}
	b, f := open[*formScreen](t, given{engine: engine})
	b.walk(step{toDirectory, "Domain controllers"}, step{"<end>, dc2.contoso.com", "dc2"}, step{"<pgdown>", "Exchange server"})
	b.wait("never tried", func() bool { return len(f.trials.done) == 1 && b.m.run == nil })
	b.walk(step{"", "Active Directory !"}, step{"<pgup>", "!  server not reachable"},
		step{"", "hint:  check name, port and firewall"})
	b.goldens("form-access")
	b.walk(step{"<end>, dc3.contoso.com", "That was before the last changes"})
	engine.refuses, engine.answers = nil, map[string][]msg.Text{"directory": {msg.Of("%s answers", "dc1\x1b[2J")}}
	b.walk(step{"<ctrl+t>", "ok  dc1 answers"})
	if shown := b.m.View(); strings.Contains(shown, "not reachable") || strings.Contains(shown, "Directory !") {
		t.Errorf("it works, and the fault stays:\n%s", shown)
	}
	b.press("<pgdown><pgup><pgdown>") // nothing new: not tried again
	b.walk(step{"<ctrl+s>", "These are the answers"})
	want := []deployment.Access{{Section: "directory"}, {Section: "directory"}}
	if !slices.Equal(engine.tried, want) {
		t.Errorf("tried %v, want %v", engine.tried, want)
	}
	// Back in the form, what was seen is still there.
	b.walk(step{"e" + toDirectory, "ok  dc1 answers"})
}

// A trial that hangs keeps nobody from typing, from going on, and from leaving.
func TestAccessDoesNotBlock(t *testing.T) {
	for keys, until := range map[string]string{"<ctrl+s>": "These are the answers", "<esc>": "These are the answers"} {
		engine := newFake()
		engine.stuck = "access"
		b, f := open[*formScreen](t, given{engine: engine})
		b.walk(step{toDirectory, "Domain controllers"}, step{"<ctrl+t>", "Testing what is entered here"},
			step{"<pgdown><ctrl+u>ex9.contoso.com", "ex9.contoso.com"}, step{keys, until})
		if len(f.trials.done) != 0 || b.m.document.Text("forests[0].exchange.server") != "ex9.contoso.com" {
			t.Errorf("%s: %v", keys, f.trials.done)
		}
	}
	engine := newFake()
	engine.stuck = "access"
	b, _ := open[*formScreen](t, given{engine: engine})
	b.walk(step{toDirectory, "Domain controllers"}, step{"<ctrl+t>", "Testing what is entered here"})
	b.press("<ctrl+c>")
	b.left()
}

// Several trials run one after the other. Nothing is asked of the person unless the person asks for
// the trial.
func TestAccessAsksOnlyWhenTold(t *testing.T) {
	engine := newFake()
	b, f := open[*formScreen](t, given{engine: engine})
	b.walk(step{toDirectory + "<end>, dc2.contoso.com", "dc2"},
		step{"<pgdown><ctrl+u>ex2.contoso.com<pgdown>", "Certificate file"}) // its password is typed
	b.wait("never tried", func() bool { return len(f.trials.done) == 1 && b.m.run == nil })
	b.m.typed.secrets.Store("password of svc@contoso.com", secret.NewValue("x"))
	b.walk(step{"<pgup><ctrl+u>ex3.contoso.com<pgdown>", "Certificate file"})
	b.wait("never tried", func() bool { return len(f.trials.done) == 2 && b.m.run == nil })
	b.walk(step{"<pgup><pgup><pgup><pgup><right><left><pgdown>", "SMTP domains"}) // a device code
	if len(engine.tried) != 2 || engine.tried[1].Section != "exchange" {
		t.Errorf("tried %v", engine.tried)
	}
	// What is not complete is not tried.
	b.walk(step{"<pgdown><ctrl+u>", "Domain controllers"}, step{"<ctrl+t>", "not complete yet"})
}

// Every section with an access has a page, and a page without one offers no trial.
func TestAccessPages(t *testing.T) {
	n := 0
	for _, s := range answers.Sections() {
		if deployment.HasAccess(s.ID) {
			n++
		}
	}
	if n != 5 {
		t.Errorf("%d sections with an access", n)
	}
	b, _ := open[*formScreen](t, given{})
	if b.until("for reports"); strings.Contains(b.m.View(), "ctrl+t") {
		t.Error("nothing can be tested here")
	}
	b.walk(step{"<pgdown>", "ctrl+t test it"})
}

// Tab completes the path of a file, and is the next field where there is nothing to complete.
func TestCompletion(t *testing.T) {
	b, _ := open[*formScreen](t, given{})
	for _, name := range []string{"certs/mail-contoso.pfx", "certs/mail-fabrikam.pfx", "certs/other.pfx", ".hidden",
		"pass\x1b[2J.txt"} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b.walk(step{toCertificate, "Certificate file"}, step{"file:ce<tab>", "file:certs/"},
		step{"m<tab>", "file:certs/mail-"}, step{"", "mail-contoso.pfx  mail-fabrikam.pfx"},
		step{"c<tab>", "file:certs/mail-contoso.pfx"})
	if got := b.m.document.Text("forests[0].certificate.pfx"); got != "file:certs/mail-contoso.pfx" {
		t.Errorf("answered %q", got)
	}
	b.walk(step{"<tab>", "> Password of that file"}, step{"file:pas<tab>", "file:pass"})
	if strings.Contains(b.m.View(), "\x1b[2J") {
		t.Error("a name drives the terminal")
	}
}

// Completions are those of the folder that is typed; what cannot be read has none.
func TestCompletions(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a/bc/x", "a/bd", "über/one", "übel"} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for typed, want := range map[string]string{
		"": "", "a": "a/", "a/b": "a/b", "a/bc": "a/bc/", "a/bc/": "a/bc/x", "a/x": "a/x", "none/x": "none/x",
		"ü": "übe", filepath.Join(dir, "a") + "/bd": filepath.Join(dir, "a") + "/bd",
	} {
		if got, names := completions(dir, typed); got != want {
			t.Errorf("%q: %q (%q), want %q", typed, got, names, want)
		}
	}
}
