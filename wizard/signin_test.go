package wizard

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
)

// signingIn opens checks that wait for a person who signs in, at 14 minutes before the end of the code.
func signingIn(t *testing.T) (*bench, *fake) {
	t.Helper()
	engine := newFake()
	engine.signed = make(chan struct{})
	engine.signsIn = &deployment.SignIn{DeviceCode: entra.DeviceCode{Code: "CD2X-Y9QK3",
		Page: "https://microsoft.com/device\x1b[2Jlogin", Until: time.Unix(14*60, 0)},
		Tenant: "contoso.onmicrosoft.com", Opens: "https://login.microsoftonline.com/common/oauth2/deviceauth"}
	b, _ := open[*checkScreen](t, given{engine: engine})
	b.until("Sign in to contoso.onmicrosoft.com")
	return b, engine
}

// The code is large, says how long it is valid, and goes when the person has signed in.
func TestSignIn(t *testing.T) {
	b, engine := signingIn(t)
	b.until("14:00 min left")
	b.goldens("sign-in")
	close(engine.signed)
	b.until(checkSummary)
	if len(b.m.over) > 0 {
		t.Errorf("%d panes are left", len(b.m.over))
	}
}

// The code is copied and the page opened only when the person asks for it. What opens is the page
// of the cloud, and not the text of a server.
func TestSignInActs(t *testing.T) {
	b, _ := signingIn(t)
	var out strings.Builder
	var opened []string
	var fails error
	b.m.options.Out = &out
	b.m.options.Browse = func(page string) error { opened = append(opened, page); return fails }
	b.until("o open the page here")
	if out.Len() > 0 || len(opened) > 0 {
		t.Errorf("copied %q, opened %q, unasked", out.String(), opened)
	}
	b.walk(step{"c", "Copied, where"}, step{"o", "The browser was asked to open https://login.microsoftonline.com"})
	_, text, _ := strings.Cut(out.String(), "52;c;")
	if code, _ := base64.StdEncoding.DecodeString(strings.TrimRight(text, "\x07\x1b\\")); string(code) != "CD2X-Y9QK3" {
		t.Errorf("copied %q", code)
	}
	if strings.Join(opened, " ") != "https://login.microsoftonline.com/common/oauth2/deviceauth" {
		t.Errorf("opened %q", opened)
	}
	fails = errors.New("no display\x1b[2J")
	b.walk(step{"o", "The browser was not opened: no display"})
}

// A code that has expired says so, and a person may give up; the run goes on to its end.
func TestSignInEnds(t *testing.T) {
	b, _ := signingIn(t)
	b.m.options.now = func() time.Time { return time.Unix(15*60, 0) }
	b.walk(step{"", "The code is no longer valid"}, step{"<esc>", "error:  the sign-in was given up"})
	if len(b.m.over) > 0 {
		t.Errorf("%d panes are left", len(b.m.over))
	}
	b, _ = signingIn(t)
	b.press("q")
	b.left()
}

// Every character that Entra uses has a drawing, five dots wide; others are shown as text alone.
func TestLargeCodes(t *testing.T) {
	if n := len([]rune(drawn)); n != len(drawings) {
		t.Fatalf("%d characters, %d drawings", n, len(drawings))
	}
	for _, r := range drawn {
		lines := large(string(r), 80)
		if len(lines) != 6 || strings.TrimSpace(strings.Join(lines, "")) == "" {
			t.Errorf("%q: %q", r, lines)
		}
	}
	if large("ABC123XYZ", 53) != nil || large("ABC123XYZ", 54) == nil || large("é", 80) != nil || large("", 80) != nil {
		t.Error("drawn where there is no room, or nothing to draw")
	}
}
