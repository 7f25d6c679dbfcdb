package desired

import (
	"cmp"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/sorting"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// part is an object with some of the planned domains: an existing object or a new one.
type part struct {
	fact.Holder // as it is; empty for a new one
	key, name   string
	domains     []string
	room        int  // for more domains
	spare       bool // holds none of the planned domains
}

// maxDomains limits the domains of an organization relationship: Exchange refuses a filter of more
// than 250 parts, and some of these are its own. Connectors follow the same limit.
const maxDomains = 238

// share assigns domains to objects. A domain stays where it is: administrators split long lists.
// New domains go, as long as there is room, to the object of the given name, to the others that
// hold some of the domains, to those named as in this series, and then to new objects. The second
// object of a series is called "NAME 2".
func share(key, name string, domains []string, live []fact.Holder) []part {
	var parts []part
	rest := lower(domains)
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
			parts = append(parts, part{Holder: h, name: h.Name, domains: here, room: maxDomains - len(held)})
		}
	}
	sorting.Stable(parts, func(a, b part) int {
		return cmp.Compare(inSeries(name, a.name), inSeries(name, b.name))
	})
	taken := map[string]bool{}
	for _, h := range live {
		taken[strings.ToLower(h.Name)] = true
		held := lower(h.Domains)
		holds := slices.ContainsFunc(parts, func(q part) bool { return q.name == h.Name })
		// An object without domains matches nothing: its name is taken, that is all.
		if !holds && len(held) > 0 && inSeries(name, h.Name) < noSeries {
			parts = append(parts,
				part{Holder: h, name: h.Name, domains: held, spare: true, room: maxDomains - len(held)})
		}
	}
	for i := range parts {
		rest = parts[i].take(rest)
	}
	for n := 1; len(rest) > 0; n++ {
		q := part{name: name, room: maxDomains}
		if n > 1 {
			q.name += " " + strconv.Itoa(n)
		}
		if !taken[strings.ToLower(q.name)] {
			rest = q.take(rest)
			parts = append(parts, q)
		}
	}
	parts = slices.DeleteFunc(parts, func(q part) bool { return q.spare })
	for i := range parts {
		parts[i].key = key + ":" + strings.ToLower(parts[i].name)
	}
	parts[max(0, slices.IndexFunc(parts, func(q part) bool { return strings.EqualFold(q.name, name) }))].key = key
	return parts
}

// take adds as many domains as there is room for, and returns the others.
func (q *part) take(domains []string) []string {
	n := max(0, min(q.room, len(domains)))
	q.domains = append(q.domains, domains[:n]...)
	q.room -= n
	q.spare = q.spare && n == 0
	return domains[n:]
}

// noSeries is the number of a name outside of a series.
const noSeries = math.MaxInt

// inSeries returns the number of a name in the series NAME, NAME 2, NAME 3.
func inSeries(name, of string) int {
	if strings.EqualFold(name, of) {
		return 1
	}
	if len(of) > len(name) && strings.EqualFold(of[:len(name)], name) {
		number, ok := strings.CutPrefix(of[len(name):], " ")
		if n, err := strconv.Atoi(number); ok && err == nil && n > 1 {
			return n
		}
	}
	return noSeries
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
		!strings.HasSuffix(host, fact.AgentDomain)
}
