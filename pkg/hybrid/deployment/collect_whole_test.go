package deployment

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/estate/directory"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/snapshot"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// A snapshot holds what all checks read, whatever the run was narrowed to, and no secret that the run
// knows. The deployment works on as before; a snapshot changes nothing.
func TestCollectIsWholeAndHoldsNoSecret(t *testing.T) {
	begun := time.Now()
	d := openAt(t, time.Now)
	const password = "contoso.mail.onmicrosoft.com" // every side says it
	d.options.Only, d.options.Skip = []string{"dns.mx"}, []string{"dns.spf"}
	d.secretsMu.Lock()
	d.secrets["planted"] = secret.NewValue(password)
	d.secretsMu.Unlock()
	s, err := d.Collect(t.Context(), &events{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range s.Readings {
		for _, part := range [][]byte{[]byte(r.Ask), r.Answer} {
			if bytes.Contains(part, []byte(password)) {
				t.Fatalf("the secret is in the answer to %s", r.Ask)
			}
		}
	}
	token := slices.IndexFunc(s.Readings, func(r snapshot.Reading) bool { return r.Ask == "access token" })
	var granted map[string]any
	if token < 0 || json.Unmarshal(s.Readings[token].Answer, &granted) != nil || len(granted) == 0 {
		t.Errorf("what the token grants is not kept")
	}
	for name := range granted {
		if !slices.Contains(claims, name) {
			t.Errorf("the claim %s of the token is kept", name)
		}
	}
	if !slices.ContainsFunc(s.Readings, func(r snapshot.Reading) bool { return r.System == "Exchange Online" }) ||
		!slices.ContainsFunc(s.Readings, func(r snapshot.Reading) bool { return r.System == "Active Directory" }) {
		t.Errorf("%d readings of a part", len(s.Readings))
	}
	if !slices.Equal(d.options.Only, []string{"dns.mx"}) || !slices.Equal(d.options.Skip, []string{"dns.spf"}) ||
		d.tape != nil || !d.now().After(begun) || d.now().Equal(s.TakenAt) {
		t.Errorf("only %v, skip %v, at %s", d.options.Only, d.options.Skip, d.now())
	}

	from := recalled(t, s)
	if _, err := from.link.get(t.Context()); !errors.Is(err, snapshot.ErrNotHeld) {
		t.Errorf("a snapshot has a network: %v", err)
	}
	session, err := from.session(from.tenant.online)(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := session.Run(t.Context(), exchange.Command{Name: "Remove-InboundConnector"}); !errors.Is(err,
		snapshot.ErrChanges) {
		t.Errorf("a change through a snapshot: %v", err)
	}
}

// Of users that were read before an error, the error comes with them: a part is not taken as all.
func TestPartOfTheUsers(t *testing.T) {
	cut := errors.New("cut off")
	users, err := allUsers(func(yield func(directory.User, error) bool) {
		if yield(directory.User{}, nil) {
			yield(directory.User{}, cut)
		}
	})
	if len(users) != 1 || !errors.Is(err, cut) {
		t.Errorf("%d users, %v", len(users), err)
	}
}

// After a refusal, no other token is asked for: a person would see one device code after another.
func TestRefusedTokenIsNotAskedAgain(t *testing.T) {
	tokens := &tokens{turn: make(chan struct{}, 1), refused: link.ErrAccess}
	tokens.turn <- struct{}{}
	for range 2 {
		if _, err := tokens.source("https://graph.microsoft.com")(t.Context()); !errors.Is(err, link.ErrAccess) {
			t.Error(err)
		}
	}
}

// Windows knows a variable in any case: one that holds a secret stays here in all of them.
func TestEnvironmentInAnyCase(t *testing.T) {
	t.Setenv("hybridge_Planted", "x")
	a := answers.Answers{Notify: []answers.Receiver{{URLSecret: "env:HYBRIDGE_PLANTED"}}}
	if i := slices.IndexFunc(environment(a), func(v string) bool { return strings.HasPrefix(v, "hybridge_Planted") }); i >= 0 {
		t.Error("it is there")
	}
}

// Microsoft's module goes to the same hosts with the same account: where these are why the API fails,
// it would fail too.
func TestWhenTheModuleIsTried(t *testing.T) {
	for err, want := range map[error]bool{errors.New("HTTP 500"): true, link.ErrAccess: false, link.ErrUnreachable: false,
		link.ErrUntrusted: false, exchange.ErrThrottled: false, context.Canceled: false} {
		if apiFails(err) != want {
			t.Errorf("%v: %v", err, !want)
		}
	}
}
