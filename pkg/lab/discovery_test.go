package lab

import (
	"errors"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/wire/autodiscover"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// Autodiscover of a mailbox that moved to the cloud leads on: the redirected address, its domain's
// http redirect, and Microsoft's endpoint, which answers and wants a token.
func TestAutodiscoverOfAMovedMailbox(t *testing.T) {
	l := start(t)
	f := l.contoso()
	var moved, here *mailbox
	for _, m := range f.users {
		if m.remote && moved == nil {
			moved = m
		}
		if !m.remote && here == nil {
			here = m
		}
	}
	password, ok := f.password(here.upn)
	if moved == nil || !ok {
		t.Fatal("the lab has no moved mailbox, or no password")
	}
	client := &autodiscover.Client{Anonymous: l.way.Client(nil), Hosts: []string{".outlook.com"},
		HTTP: l.way.Client(&link.Basic{User: here.upn, Password: secret.NewValue(password)})}
	_, err := client.Find(t.Context(), moved.primary)
	if err == nil {
		t.Fatal("Exchange Online took a password")
	}
	var search *autodiscover.SearchError
	if !errors.As(err, &search) {
		t.Fatal(err)
	}
	var trace []string
	answered := false
	for _, a := range search.Trace {
		trace = append(trace, a.String())
		answered = answered || strings.Contains(a.URL, "autodiscover-s.outlook.com") &&
			a.Outcome == autodiscover.AccessRefused && a.Status == 401
	}
	if !answered {
		t.Errorf("no answer of Exchange Online:\n%s", strings.Join(trace, "\n"))
	}
}
