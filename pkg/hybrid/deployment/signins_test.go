package deployment

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"path/filepath"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
	"github.com/hybridge-cli/hybridge/pkg/lab"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// approver signs in as soon as a code is shown, and counts.
type approver struct {
	*testing.T
	asked    int
	decision string
}

func (a *approver) signIn(s SignIn) func() {
	a.asked++
	resp, err := http.PostForm(s.Page, url.Values{"code": {s.Code}, "decision": {a.decision}})
	if err != nil {
		a.Error(err)
	} else {
		_ = resp.Body.Close()
	}
	return func() {}
}

// A changed answer opens another deployment. The person who signed in is asked again only when what
// the sign-in depends on has changed, and a refused sign-in is forgotten.
func TestSignInOutlivesAnswers(t *testing.T) {
	l, err := lab.Start(t.Context(), lab.Options{Dir: t.TempDir(), Users: 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	person, kept := &approver{T: t, decision: "approve"}, &SignIns{}
	var a answers.Answers
	fresh := func() {
		if a, err = answers.Load(t.Context(), l.Answers()); err != nil {
			t.Fatal(err)
		}
		a.ExchangeOnline.Credential = answers.Credential{Kind: answers.CredentialDeviceCode}
	}
	try := func(signIns *SignIns) (asked int, err error) {
		t.Helper()
		before := person.asked
		d, err := Open(a, Options{Dir: filepath.Dir(l.Answers()), StateDir: t.TempDir(), SignIn: person.signIn,
			SignIns: signIns})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = d.Close(t.Context()) }()
		_, err = d.Try(t.Context(), Access{Section: "cloud"}, &events{})
		return person.asked - before, err
	}
	fresh()
	first, err := try(kept)
	if err != nil || first == 0 {
		t.Fatalf("asked %d times: %v", first, err)
	}
	if asked, err := try(nil); asked != first || err != nil {
		t.Errorf("another session: asked %d times, want %d: %v", asked, first, err)
	}
	for _, tt := range []struct {
		name   string
		change func()
		asks   bool
	}{
		{"nothing", func() {}, false},
		{"the organization", func() { a.Organization = "Adatum" }, false},
		{"a forest", func() { a.Forests = a.Forests[:1] }, false},
		{"rich coexistence", func() { a.ExchangeOnline.RichCoexistence = answers.RichCoexistenceAuto }, false},
		{"the tenant", func() { a.ExchangeOnline.Tenant = "gone.onmicrosoft.com" }, true},
		{"the application", func() { a.ExchangeOnline.Credential.ClientID = "1950a258-227b-4e31-a9cf-717495945fc2" },
			true},
		{"the cloud", func() { a.ExchangeOnline.Cloud = "gcc-high" }, true},
		{"a host", func() {
			a.ExchangeOnline.Hosts = map[string]string{"adminAPI": "https://elsewhere.contoso.example"}
		}, true},
		{"the way", func() { a.Network.InsecureHosts = []string{"login.microsoftonline.com"} }, true},
		{"the authorities", func() { a.Network.CAFile += "/../" + filepath.Base(a.Network.CAFile) }, true},
	} {
		fresh()
		if _, err := try(kept); err != nil {
			t.Fatal(err)
		}
		before := kept.identity
		tt.change()
		asked, err := try(kept)
		if same := kept.identity == before; same == tt.asks || !tt.asks && (asked > 0 || err != nil) {
			t.Errorf("%s: the same sign-in %t, asked %d times: %v", tt.name, same, asked, err)
		}
	}
	// A refusal is forgotten: another person may sign in.
	fresh()
	person.decision = "decline"
	kept.forget()
	if asked, err := try(kept); asked != 1 || err == nil || kept.identity != nil {
		t.Errorf("declined: asked %d times, kept %t: %v", asked, kept.identity != nil, err)
	}
	person.decision = "approve"
	if asked, err := try(kept); asked != first || err != nil {
		t.Errorf("after a refusal: asked %d times: %v", asked, err)
	}
}

// Only the sign-in of a person is kept: applications sign in without one.
func TestSignInsKeepOnlyPersons(t *testing.T) {
	s := &SignIns{}
	opened := 0
	open := func() (*entra.Identity, error) { opened++; return &entra.Identity{}, nil }
	for range 2 {
		if _, err := s.get("x", answers.CredentialSecret, open); err != nil || s.identity != nil {
			t.Errorf("kept %t, %v", s.identity != nil, err)
		}
	}
	if _, err := s.get("x", answers.CredentialDeviceCode, func() (*entra.Identity, error) {
		return nil, errors.New("no")
	}); err == nil || s.identity != nil || opened != 2 {
		t.Errorf("opened %d times, kept %t", opened, s.identity != nil)
	}
}

// What a tenant refuses is forgotten: the token, or the session that was opened with it. A network
// that is down costs no sign-in that has worked, and one that never worked is asked for anew.
func TestRefusedSignInIsForgotten(t *testing.T) {
	for name, tt := range map[string]struct {
		token, session error
		proven, kept   bool
	}{
		"nothing":             {nil, nil, true, true},
		"the token":           {link.ErrAccess, nil, true, false},
		"given up":            {entra.ErrGivenUp, nil, false, false},
		"the session":         {nil, link.ErrAccess, true, false},
		"a network down":      {link.ErrUnreachable, nil, true, true},
		"a wrong way":         {link.ErrUnreachable, nil, false, false},
		"a session that hung": {nil, link.ErrUnreachable, true, true},
	} {
		s := &SignIns{with: "x", identity: &entra.Identity{}}
		d := &Deployment{options: Options{SignIns: s}}
		d.connect()
		d.tenant.tokens.open = func(context.Context) (*tokens, error) {
			opened := &tokens{turn: make(chan struct{}, 1), proven: tt.proven, refused: tt.token}
			opened.turn <- struct{}{}
			return opened, nil
		}
		d.tenant.online.open = func(context.Context) (*guarded, error) {
			g := newGuarded(nil, "online")
			g.refused = tt.session
			return g, nil
		}
		_, err := d.tenant.tokens.get(t.Context())
		_, other := d.tenant.online.get(t.Context())
		if err != nil || other != nil {
			t.Fatal(err, other)
		}
		d.forgetRefused()
		if kept := s.identity != nil; kept != tt.kept {
			t.Errorf("%s: kept %t, want %t", name, kept, tt.kept)
		}
	}
}
