package freebusy

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
)

// Location is where a mailbox is, as seen by the premise that was asked.
type Location struct {
	Premise string // the premise that holds the mailbox; empty when it is in no domain of this deployment
	Address string // the address of the lookup: the target address of a mailbox that is elsewhere, else its own
}

// localTypes are the recipient types whose mailbox is in the organization itself (Get-Recipient
// RecipientTypeDetails).
var localTypes = map[string]bool{
	"UserMailbox": true, "SharedMailbox": true, "RoomMailbox": true, "EquipmentMailbox": true, "LinkedMailbox": true,
	"LegacyMailbox": true, "SchedulingMailbox": true,
	"LinkedRoomMailbox": true, "TeamMailbox": true, "GroupMailbox": true,
}

// locate asks a premise where an address is: in itself, or at the domain of its target address.
func locate(ctx context.Context, p Premise, premises []Premise, address string) (Location, error) {
	if p.Session == nil {
		return located(ctx, p, premises, address)
	}
	found, err := p.Session.Read(ctx,
		exchange.Command{Name: "Get-Recipient", Parameters: map[string]any{"Identity": address}})
	if err == nil && len(found) == 0 {
		err = exchange.ErrNotFound
	}
	if at := elsewhere(p, premises, address); errors.Is(err, exchange.ErrNotFound) && at != "" {
		return Location{Premise: at, Address: address}, nil
	}
	if errors.Is(err, exchange.ErrNotFound) {
		return Location{}, fmt.Errorf("%s has no recipient %s: %w", p.Name, address, ErrNoRecipient)
	}
	if err != nil {
		return Location{}, fmt.Errorf("%s: look up %s: %w", p.Name, address, err)
	}
	kind, err := found[0].String("RecipientTypeDetails")
	if err != nil {
		return Location{}, fmt.Errorf("%s: look up %s: RecipientTypeDetails: %w", p.Name, address, err)
	}
	if localTypes[kind] {
		return Location{Premise: p.Name, Address: address}, nil
	}
	target, err := exchange.Optional(found[0].String("ExternalEmailAddress"))
	if err != nil && !errors.Is(err, exchange.ErrAbsent) {
		return Location{}, fmt.Errorf("%s: look up %s: ExternalEmailAddress: %w", p.Name, address, err)
	}
	target = withoutPrefix(target)
	if target == "" {
		return Location{}, &refusal{fmt.Sprintf("%s: %s is a %s without a target address: a lookup for it goes nowhere",
			p.Name, address, kind)}
	}
	for _, other := range premises {
		if other.Name != p.Name && other.holds(domainOf(target)) {
			return Location{Premise: other.Name, Address: target}, nil
		}
	}
	if p.holds(domainOf(target)) {
		return Location{}, &refusal{fmt.Sprintf("%s: the target address of %s, %s, is in a domain of %s itself: a "+
			"lookup for it goes nowhere", p.Name, address, target, p.Name)}
	}
	return Location{Address: target}, nil
}

// elsewhere returns the other forest that has the domain of an address, which the forest that asks
// does not have: people may ask for an address that is not in their address list.
func elsewhere(p Premise, premises []Premise, address string) string {
	if p.Side != exchange.OnPremises || p.holds(domainOf(address)) {
		return ""
	}
	for _, other := range premises {
		if other.Side == exchange.OnPremises && other.holds(domainOf(address)) {
			return other.Name
		}
	}
	return ""
}

// astray says that a mailbox is where no premise of the deployment is: the target address is stale,
// or belongs to a partner.
func astray(p Premise, address, target string) string {
	return fmt.Sprintf("%s: the target address of %s, %s, is in no domain of this deployment", p.Name, address, target)
}

// located asks a premise without cmdlets. A mailbox that is not there is where its domain is.
func located(ctx context.Context, p Premise, premises []Premise, address string) (Location, error) {
	here, err := p.Has(ctx, address)
	if err != nil {
		return Location{}, fmt.Errorf("%s: look up %s: %w", p.Name, address, err)
	}
	if here {
		return Location{Premise: p.Name, Address: address}, nil
	}
	for _, other := range premises {
		if other.Name != p.Name && other.holds(domainOf(address)) {
			return Location{Premise: other.Name, Address: address}, nil
		}
	}
	return Location{}, fmt.Errorf("%s: %s %w", p.Name, address, ErrNoDomain)
}

// route predicts, by Exchange's rules, which way a lookup for an address leaves a premise. An
// enabled intra-organization connector comes first, then an organization relationship with
// free/busy, then an availability address space. A connector without an address leads to the
// address of the relationship for the same domain, and without that to autodiscover. On-premises,
// it leads to Microsoft Graph where lookups are switched over to Graph.
func route(ctx context.Context, p Premise, address string) ([]string, error) {
	if p.Session == nil {
		return p.Route(ctx, address)
	}
	domain := domainOf(address)
	for i, rule := range routeRules {
		found, err := list(ctx, p, rule.noun)
		if err != nil {
			return nil, err
		}
		for _, o := range found {
			hops, ok := rule.match(o, domain)
			if !ok {
				continue
			}
			if i > 0 {
				return hops, nil
			}
			return connectorRoute(ctx, p, o, domain, hops)
		}
	}
	return nil, nil
}

// connectorRoute returns the route from an intra-organization connector onward.
func connectorRoute(ctx context.Context, p Premise, connector exchange.Object, domain string, hops []string) ([]string,
	error) {
	if base, err := graphAddress(ctx, p); err != nil || base != "" {
		return []string{hops[0], graphHop + base}, err
	}
	if epr, _ := connector.String("TargetSharingEpr"); epr != "" {
		return hops, nil
	}
	relations, err := list(ctx, p, "OrganizationRelationship")
	if err != nil {
		return nil, err
	}
	for _, r := range relations {
		if on, err := r.Bool("Enabled"); err != nil || !on {
			continue
		}
		names, _ := r.Strings("DomainNames")
		if epr, _ := r.String("TargetSharingEpr"); epr != "" && containsFold(names, domain) {
			return []string{hops[0], epr}, nil
		}
	}
	return hops, nil
}

const graphHop = "Microsoft Graph "

// graphAddress returns the address where an on-premises organization asks Microsoft Graph instead
// of EWS. It is empty where lookups use EWS.
func graphAddress(ctx context.Context, p Premise) (string, error) {
	if p.Side != exchange.OnPremises {
		return "", nil
	}
	overrides, err := list(ctx, p, "SettingOverride")
	if err != nil {
		return "", err
	}
	on := false
	for _, o := range overrides {
		section, _ := o.String("SectionName")
		parameters, _ := o.Strings("Parameters")
		on = on || strings.EqualFold(section, "RouteThroughMSGraph") && containsFold(parameters, "Enabled=true")
	}
	if !on {
		return "", nil
	}
	servers, err := list(ctx, p, "AuthServer")
	if err != nil {
		return "", err
	}
	for _, s := range servers {
		enabled, _ := s.Bool("Enabled")
		if base, _ := s.String("GraphBaseUrl"); base != "" && enabled {
			return base, nil
		}
	}
	return "without an address (GraphBaseUrl of the Entra auth server is not set)", nil
}

func throughGraph(hops []string) bool { return len(hops) > 1 && strings.HasPrefix(hops[1], graphHop) }

// list reads all objects of a noun. It returns none where the side does not have the cmdlet.
func list(ctx context.Context, p Premise, noun string) ([]exchange.Object, error) {
	found, err := p.Session.Read(ctx, exchange.Command{Name: "Get-" + noun})
	if errors.Is(err, exchange.ErrNoCmdlet) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: read %s: %w", p.Name, noun, err)
	}
	return found, nil
}

type routeRule struct {
	noun  string
	match func(o exchange.Object, domain string) (hops []string, ok bool)
}

var routeRules = []routeRule{
	{"IntraOrganizationConnector", func(o exchange.Object, domain string) ([]string, bool) {
		return target(o, "intra-organization connector", "Enabled", "TargetAddressDomains", "DiscoveryEndpoint", domain)
	}},
	{"OrganizationRelationship", func(o exchange.Object, domain string) ([]string, bool) {
		if allowed, err := o.Bool("FreeBusyAccessEnabled"); err != nil || !allowed {
			return nil, false
		}
		return target(o, strings.TrimSpace(relationHop), "Enabled", "DomainNames", "TargetAutodiscoverEpr", domain)
	}},
	{"AvailabilityAddressSpace", func(o exchange.Object, domain string) ([]string, bool) {
		name, _ := o.String("ForestName")
		if !strings.EqualFold(name, domain) {
			return nil, false
		}
		hops := []string{"availability address space " + name}
		if proxy, _ := o.String("ProxyUrl"); proxy != "" {
			hops = append(hops, proxy)
		}
		return hops, true
	}},
}

// target matches an object that leads to a domain. A TargetSharingEpr is called directly, an
// endpoint through autodiscover.
func target(o exchange.Object, what, enabled, domains, endpoint, domain string) ([]string, bool) {
	if on, err := o.Bool(enabled); err != nil || !on {
		return nil, false
	}
	list, err := o.Strings(domains)
	if err != nil || !containsFold(list, domain) {
		return nil, false
	}
	name, _ := o.String("Name")
	hops := []string{what + " " + name}
	if epr, _ := o.String("TargetSharingEpr"); epr != "" {
		return append(hops, epr), true
	}
	if url, _ := o.String(endpoint); url != "" {
		hops = append(hops, "autodiscover "+url)
	}
	return hops, true
}

func containsFold(list []string, s string) bool {
	for _, e := range list {
		if strings.EqualFold(e, s) {
			return true
		}
	}
	return false
}

func domainOf(address string) string {
	_, domain, _ := strings.Cut(address, "@")
	return strings.ToLower(domain)
}

// withoutPrefix drops the "SMTP:" of a proxy address.
func withoutPrefix(address string) string {
	if len(address) > 5 && strings.EqualFold(address[:5], "smtp:") {
		return address[5:]
	}
	return address
}

// IsMailbox reports whether a recipient of a type has its mailbox in the organization that shows it.
func IsMailbox(recipientTypeDetails string) bool { return localTypes[recipientTypeDetails] }
