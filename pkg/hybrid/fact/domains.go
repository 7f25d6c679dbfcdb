package fact

import (
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
)

// AcceptedDomain is an accepted domain on either side.
type AcceptedDomain struct {
	Name        string // without the "*." of a domain with its subdomains
	SubDomains  bool   // all domains below it are accepted too
	Type        string // Authoritative, InternalRelay, ExternalRelay
	Coexistence bool
	Initial     bool
	Default     bool // of messages that Exchange itself writes
	Ending      bool // Exchange Online is removing it
}

const getAcceptedDomain = "Get-AcceptedDomain"

// The accepted domains of both sides.
var (
	AcceptedDomains       = Cmdlet(OnPremises, getAcceptedDomain, each(getAcceptedDomain, readAcceptedDomain))
	OnlineAcceptedDomains = Cmdlet(Online, getAcceptedDomain, each(getAcceptedDomain, readAcceptedDomain))
)

func readAcceptedDomain(o exchange.Object) (AcceptedDomain, error) {
	name, err := o.String("DomainName")
	if err != nil {
		return AcceptedDomain{}, err
	}
	d := AcceptedDomain{Name: strings.ToLower(name)}
	d.SubDomains, _ = o.Bool("MatchSubDomains")
	if base, wildcard := strings.CutPrefix(d.Name, "*."); wildcard {
		d.Name, d.SubDomains = base, true
	}
	d.Type, _ = o.String("DomainType")
	d.Coexistence, _ = o.Bool("IsCoexistenceDomain")
	d.Initial, _ = o.Bool("InitialDomain")
	d.Default, _ = o.Bool("Default")
	d.Ending, _ = o.Bool("PendingRemoval")
	return d, nil
}
