package freebusy

import (
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
)

// A lookup between two forests that has no route says how to set it up. One to the tenant does not
// say so.
func TestBetweenForests(t *testing.T) {
	refused := each(func(string, string) (View, error) { return View{}, &refusal{"ErrorMailRecipientNotFound"} })
	premises := []Premise{
		{Name: "contoso", Side: exchange.OnPremises, Domains: []string{"contoso.com"}, Probe: "ews", Ask: refused,
			Session: fakeSession{"Get-Recipient": recipients(map[string]exchange.Object{
				"anna@contoso.com": object("RecipientTypeDetails", "UserMailbox"),
				"ben@fabrikam.com": object("RecipientTypeDetails", "MailUser", "ExternalEmailAddress",
					"SMTP:ben@fabrikam.com"),
				"cloud@contoso.com": object("RecipientTypeDetails", "RemoteUserMailbox", "ExternalEmailAddress",
					"SMTP:cloud@contoso.mail.onmicrosoft.com"),
			})}},
		{Name: "fabrikam", Side: exchange.OnPremises, Domains: []string{"fabrikam.com"}, Probe: "ews", Ask: refused,
			Session: fakeSession{}},
		{Name: "online", Side: exchange.Online, Domains: []string{"contoso.mail.onmicrosoft.com"}, Probe: "graph",
			Ask: refused, Session: fakeSession{}},
	}
	pairs := []Pair{{"anna@contoso.com", "ben@fabrikam.com"}, {"anna@contoso.com", "cloud@contoso.com"}}
	r, err := Run(t.Context(), premises, Options{Pairs: pairs}, observe.Func(func(observe.Event) {}))
	if err != nil || len(r.Matrix) == 0 {
		t.Fatalf("%v, %v", r, err)
	}
	for _, a := range r.Matrix {
		said := strings.Contains(a.Note, "contoso needs an availability address space or an organization "+
			"relationship for fabrikam.com: hybridge plan sets it up where the answers file has lookups of forest "+
			"fabrikam (forests[].lookups)")
		if said != (a.To == "ben@fabrikam.com") {
			t.Errorf("%s: note %q, route %v, %s", a.To, a.Note, a.Route, a.Error)
		}
	}
}
