package lab

import (
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

// lets says what another organization may see here. An enabled organization relationship for a
// domain of the person who asks must show free/busy. Whether Exchange asks this of a lookup with a
// token is not confirmed: the lab refuses in doubt. A token that names no person is the
// application's own, and the relationship says nothing about it.
func (p *premise) lets(token oauth.Token) (limit ews.View, err error) {
	person := token.Claims.String(personClaim)
	if person == "" {
		return ews.DetailedMerged, nil
	}
	domains := []string{domainPart(person)}
	if r, ok := p.find(person); ok && r.target != "" {
		domains = append(domains, domainPart(r.target))
	}
	for _, domain := range domains {
		r := p.leadsTo("OrganizationRelationship", "DomainNames", domain)
		if r == nil || !r.Bool("FreeBusyAccessEnabled") {
			continue
		}
		switch r.String("FreeBusyAccessLevel") {
		case "LimitedDetails":
			return ews.DetailedMerged, nil
		case "AvailabilityOnly":
			return ews.FreeBusyMerged, nil
		}
	}
	return ews.None, failed("ErrorNoFreeBusyAccess", "The caller %s has no access to free/busy data: no organization "+
		"relationship for its domain allows it.", person)
}

// personClaim keeps the person of a request in the claims of the application's token.
const personClaim = "hybridge-lab/person"

func domainPart(address string) string {
	_, domain, _ := strings.Cut(strings.ToLower(address), "@")
	return domain
}
