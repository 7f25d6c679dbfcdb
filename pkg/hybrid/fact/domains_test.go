package fact

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
)

// A domain that is accepted with its subdomains is shown with an asterisk, or with a mark, or with
// both.
func TestAcceptedDomains(t *testing.T) {
	domain := func(name, kind string, sub bool) exchange.Object {
		return exchange.NewObject(nil, name, "DomainName", name, "DomainType", kind, "MatchSubDomains", sub)
	}
	got, err := each(getAcceptedDomain, readAcceptedDomain)([]exchange.Object{
		domain("Contoso.com", "Authoritative", false), domain("*.fabrikam.com", "Authoritative", true),
		domain("*.a.com", "InternalRelay", false), domain("b.com", "InternalRelay", true),
	})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]AcceptedDomain{
		{Name: "contoso.com", Type: "Authoritative"}, {Name: "fabrikam.com", Type: "Authoritative", SubDomains: true},
		{Name: "a.com", Type: "InternalRelay", SubDomains: true},
		{Name: "b.com", Type: "InternalRelay", SubDomains: true},
	}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
