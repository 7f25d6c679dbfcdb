package secret

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/zalando/go-keyring"
)

// What is stored is found by its reference; a keyring that does not work is an error without the
// secret.
func TestStore(t *testing.T) {
	keyring.MockInit()
	if err := Store(t.Context(), "svc@contoso.com", NewValue(planted)); err != nil {
		t.Fatal(err)
	}
	ref := InKeyring("svc@contoso.com")
	if err := ref.Validate(); err != nil {
		t.Errorf("%s: %v", ref, err)
	}
	got, err := Resolver{}.Resolve(t.Context(), ref, "password")
	if err != nil || got.Reveal() != planted {
		t.Errorf("%v, %v", got, err)
	}
	for _, account := range []string{"", "a\nb"} {
		if err := Store(t.Context(), account, NewValue(planted)); err == nil {
			t.Errorf("stored for %q", account)
		}
	}
	keyring.MockInitWithError(errors.New("no daemon"))
	t.Cleanup(keyring.MockInit)
	err = Store(t.Context(), "svc", NewValue(planted))
	if err == nil || !strings.Contains(err.Error(), "no daemon") || strings.Contains(err.Error(), planted) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Store(ctx, "svc", NewValue(planted)); err == nil {
		t.Error("cancelled, and no error")
	}
}
