package fact

import (
	"context"
	"errors"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
)

// Holder is an object that directs the lookups for its domains: an organization relationship or an
// intra-organization connector.
type Holder struct {
	Name              string
	Domains           []string
	TargetSharingEpr  string
	DiscoveryEndpoint string // of a connector
	TargetOwaURL      string // of a relationship
	// Leads says that lookups follow it: it is enabled, and a relationship shares free/busy.
	Leads bool
}

// The holders of both sides. A side keeps a domain in one relationship and in one connector.
var (
	Relationships       = holders(OnPremises, "OrganizationRelationship", "DomainNames", "FreeBusyAccessEnabled")
	OnlineRelationships = holders(Online, "OrganizationRelationship", "DomainNames", "FreeBusyAccessEnabled")
	Connectors          = holders(OnPremises, "IntraOrganizationConnector", "TargetAddressDomains")
	OnlineConnectors    = holders(Online, "IntraOrganizationConnector", "TargetAddressDomains")
)

func holders(system System, noun, domains string, also ...string) *Query[[]Holder] {
	cmdlet := "Get-" + noun
	read := each(cmdlet, func(o exchange.Object) (h Holder, err error) {
		list, err := o.Value(domains)
		if err != nil && !errors.Is(err, exchange.ErrAbsent) {
			return h, err
		}
		h.Domains = appIDs(list)
		h.Name, _ = o.String("Name")
		h.Leads = true
		for _, property := range append(also, "Enabled") {
			on, err := o.Bool(property)
			h.Leads = h.Leads && err == nil && on
		}
		h.TargetSharingEpr, _ = o.String("TargetSharingEpr")
		h.DiscoveryEndpoint, _ = o.String("DiscoveryEndpoint")
		h.TargetOwaURL, _ = o.String("TargetOwaURL")
		return h, nil
	})
	return Session(system, []string{cmdlet}, func(ctx context.Context, s exchange.Reader) ([]Holder, error) {
		objects, err := s.Read(ctx, exchange.Command{Name: cmdlet})
		if err != nil {
			return nil, err
		}
		return read(objects)
	})
}

type PartnerApplication struct {
	Name, ApplicationIdentifier, Realm string
	Account                            string // LinkedAccount, whose rights the application has
	Enabled                            bool
}

const getPartnerApplication = "Get-PartnerApplication"

// PartnerApplications are all partner applications, per forest.
var PartnerApplications = Cmdlet(OnPremises, getPartnerApplication,
	each(getPartnerApplication, func(o exchange.Object) (p PartnerApplication, err error) {
		if p.Name, err = o.String("Name"); err != nil {
			return p, err
		}
		p.ApplicationIdentifier, _ = o.String("ApplicationIdentifier")
		p.Realm, _ = o.String("Realm")
		p.Account, _ = o.String("LinkedAccount")
		p.Enabled, _ = o.Bool("Enabled")
		return p, nil
	}))
