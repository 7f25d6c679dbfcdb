package wizard

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/zalando/go-keyring"
)

// ctrl+k stores a typed secret in the keyring and refers to it in the answers. The secret is the
// same, so that nothing is opened or checked anew.
func TestKeyring(t *testing.T) {
	keyring.MockInit()
	engine := newFake()
	engine.asks = true
	b, _ := open[*checkScreen](t, given{engine: engine})
	b.walk(step{"", "password of svc@contoso.com"}, step{"", "ctrl+k stores it"})
	b.press("Hunter2 q?")
	b.send(named["ctrl+k"])
	b.walk(step{"", "1 pass"})
	b.wait("never stored", func() bool {
		return b.m.document.Text("forests[0].exchange.credential.password") == "keyring:hybridge/svc@contoso.com"
	})
	if got, err := keyring.Get("hybridge", "svc@contoso.com"); err != nil || got != "Hunter2 q?" {
		t.Errorf("in the keyring: %q, %v", got, err)
	}
	runs := b.m.runs
	b.walk(step{"<esc>", "These are the answers"}, step{"<enter>", "1 pass"})
	if b.m.runs != runs || engine.closed > 0 {
		t.Errorf("%d runs more, %d engines closed", b.m.runs-runs, engine.closed)
	}
	b.press("<ctrl+c>")
	b.left()
	if err := b.m.save(); err != nil {
		t.Fatal(err)
	}
	data, _ := os.ReadFile("answers.yaml")
	if text := string(data); strings.Contains(text, "Hunter2") || !strings.Contains(text,
		"password: keyring:hybridge/svc@contoso.com") || !strings.Contains(text, "# the service account") {
		t.Errorf("saved:\n%s", text)
	}
}

// A keyring that does not work is said, and the secret is used all the same.
func TestNoKeyring(t *testing.T) {
	keyring.MockInitWithError(errors.New("no \x1b[2Jdaemon"))
	t.Cleanup(keyring.MockInit)
	engine := newFake()
	engine.asks = true
	b, _ := open[*checkScreen](t, given{engine: engine})
	b.until("password of svc@contoso.com")
	b.press("Hunter2 q?")
	b.send(named["ctrl+k"])
	b.walk(step{"", "The secret is not stored: the keyring of this machine cannot be used"}, step{"", "1 pass"})
	if got := b.m.document.Text("forests[0].exchange.credential.password"); got != "prompt" {
		t.Errorf("answers: %q", got)
	}
}
