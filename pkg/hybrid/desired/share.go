package desired

import (
	"net/url"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// part is an object with some of the planned domains: an existing object or a new one.
type part struct {
	fact.Holder // as it is; empty for a new one
	key, name   string
	domains     []string
}

// share assigns domains to live objects. A domain stays where it is: administrators split long
// lists, since an object holds at most 238. A new domain goes to the object of the given name, else
// to the first with room, else to a new one.
func (p *Planner) share(key, name string, domains []string, live []fact.Holder) ([]part, error) {
	var parts []part
	rest := slices.Clone(domains)
	for _, h := range live {
		held := lower(h.Domains)
		var here []string
		rest = slices.DeleteFunc(rest, func(d string) bool {
			found := slices.Contains(held, d)
			if found {
				here = append(here, d)
			}
			return found
		})
		if len(here) > 0 {
			parts = append(parts, part{Holder: h, key: key + ":" + strings.ToLower(h.Name), name: h.Name,
				domains: here})
		}
	}
	if len(parts) == 0 {
		// Another object may have the name that a new one would get: it is extended.
		at := slices.IndexFunc(live, func(h fact.Holder) bool { return strings.EqualFold(h.Name, name) })
		if at < 0 {
			return []part{{key: key, name: name, domains: domains}}, nil
		}
		h := live[at]
		parts = append(parts, part{Holder: h, key: key, name: h.Name, domains: lower(h.Domains)})
	}
	main := slices.IndexFunc(parts, func(q part) bool { return strings.EqualFold(q.name, name) })
	if main < 0 || len(lower(parts[main].Domains))+len(rest) > maxDomains {
		main = slices.IndexFunc(parts, func(q part) bool { return len(lower(q.Domains))+len(rest) <= maxDomains })
	}
	if main < 0 && len(rest) > 0 {
		return nil, refuse("%q holds %d domains, and %d more are too many: such an object holds at most %d; move "+
			"some of "+
			"them to an object of their own (New-OrganizationRelationship, New-IntraOrganizationConnector): hybridge "+
			"leaves domains where they are",
			parts[0].name, len(lower(parts[0].Domains)), len(rest), maxDomains)
	}
	main = max(main, 0)
	parts[main].key = key
	parts[main].domains = append(parts[main].domains, rest...)
	return parts, nil
}

// sharing removes an address for sharing that leads to a host which the forest does not publish:
// the tenant asks for a token of that name, and gets none.
func (p *Planner) sharing(h fact.Holder) change.Properties {
	if !StaleSharing(p.Forest, h) {
		return nil
	}
	return change.Properties{"TargetSharingEpr": nil}
}

// StaleSharing reports whether an object of the tenant sends lookups to a host that is neither a
// namespace of the forest nor the Hybrid Agent's.
func StaleSharing(forest *fact.Side, h fact.Holder) bool {
	if h.TargetSharingEpr == "" {
		return false
	}
	u, err := url.Parse(h.TargetSharingEpr)
	if err != nil {
		return true
	}
	host, n := strings.ToLower(u.Hostname()), forest.Answers.Namespace
	return !strings.EqualFold(host, n.EWS) && !strings.EqualFold(host, n.Autodiscover) &&
		!strings.HasSuffix(host, ".msappproxy.net")
}
