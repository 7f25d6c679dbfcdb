package deployment

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/prereq"
)

// domainSession is an organization that has accepted domains and nothing else.
type domainSession struct {
	exchange.Session
	domains []exchange.Object
}

func (s domainSession) Run(context.Context, exchange.Command) ([]exchange.Object, error) {
	return s.domains, nil
}

// A domain that is accepted with its subdomains is shown with an asterisk, or with a mark, or with both.
func TestAcceptedDomains(t *testing.T) {
	domain := func(name, kind string, sub bool) exchange.Object {
		return exchange.NewObject(nil, name, "DomainName", name, "DomainType", kind, "MatchSubDomains", sub)
	}
	got, err := acceptedDomains(t.Context(), domainSession{domains: []exchange.Object{
		domain("Contoso.com", "Authoritative", false), domain("*.fabrikam.com", "Authoritative", true), domain("*.a.com", "InternalRelay", false), domain("b.com", "InternalRelay", true),
	}}, "contoso")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]prereq.AcceptedDomain{
		{Name: "contoso.com", Type: "Authoritative"}, {Name: "fabrikam.com", Type: "Authoritative", SubDomains: true},
		{Name: "a.com", Type: "InternalRelay", SubDomains: true}, {Name: "b.com", Type: "InternalRelay", SubDomains: true},
	}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
