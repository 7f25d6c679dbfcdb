package deployment

import (
	"context"
	"errors"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
	"github.com/hybridge-cli/hybridge/pkg/wire/psrp"
)

// A password never crosses a network in the clear, whatever the answers say.
func TestProveKeepsPasswordsOffPlainHTTP(t *testing.T) {
	t.Setenv("HYBRIDGE_TEST_SECRET", "hunter2")
	d, err := Open(answers.Answers{}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	forest := answers.Forest{Name: "contoso",
		Exchange: answers.Exchange{Credential: answers.Credential{Kind: answers.CredentialBasic, User: "u",
			Password: "env:HYBRIDGE_TEST_SECRET"}}}
	var o psrp.Options
	if err := d.prove(t.Context(), forest, false, &o); err == nil || o.User != "" {
		t.Errorf("got %q, %v", o.User, err)
	}
	if err := d.prove(t.Context(), forest, true, &o); err != nil || o.Password.Reveal() != "hunter2" {
		t.Errorf("over https: %v", err)
	}
}

// With a keytab, the password of the answers is not used.
func TestKeytabNeedsNoPassword(t *testing.T) {
	d, err := Open(answers.Answers{}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for kind, want := range map[answers.CredentialKind]string{answers.CredentialKeytab: "",
		answers.CredentialKerberos: "p"} {
		if k := kerberosConfig(d, answers.Credential{Kind: kind, User: "u"},
			secret.NewValue("p")); k.Password.Reveal() != want {
			t.Errorf("%s: %q", kind, k.Password.Reveal())
		}
	}
}

// After a refusal no further token is requested: this test has no identity that could request one.
func TestTokensAreRefusedOnce(t *testing.T) {
	s := &tokens{turn: make(chan struct{}, 1), refused: link.ErrAccess}
	s.turn <- struct{}{}
	for range 2 {
		if _, err := s.source("https://graph.microsoft.com")(context.Background()); !errors.Is(err, link.ErrAccess) {
			t.Errorf("got %v", err)
		}
	}
}
