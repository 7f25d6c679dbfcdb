package answers

import (
	"slices"
	"strconv"
)

// Hybrid says what becomes of the hybrid itself.
type Hybrid struct {
	// leaving: plans end the hybrid, stage by stage, once every mailbox is in Exchange Online.
	// Nothing else of the hybrid is planned then.
	State string `yaml:"state,omitempty" json:"state,omitempty" example:"leaving"`
	// What is still on-premises and may stay there, because it works without the hybrid or is no
	// longer needed. relays: receive connectors for applications, devices and scanners.
	// dynamicGroups: dynamic distribution groups that were made in Exchange Online too. Default:
	// nothing.
	LeaveBehind []string `yaml:"leaveBehind,omitempty" json:"leaveBehind,omitempty" example:"[addressPolicies]"`
	// Domains whose MX records lead to a service that hands mail over to Exchange Online, and no
	// longer to the forest: DNS does not show where such a service delivers.
	Filtered []string `yaml:"filtered,omitempty" json:"filtered,omitempty" example:"[contoso.com]"`
}

// What may stay on-premises when the organization leaves hybrid.
const (
	RemainPublicFolders   = "publicFolders"
	RemainRelays          = "relays"
	RemainAddressPolicies = "addressPolicies"
	RemainJournaling      = "journaling"
	RemainDynamicGroups   = "dynamicGroups"
)

// Remains lists what may stay on-premises. Mailboxes may not.
func Remains() []string {
	return []string{RemainPublicFolders, RemainRelays, RemainAddressPolicies, RemainJournaling, RemainDynamicGroups}
}

// IsLeaving reports whether the organization leaves hybrid.
func (h *Hybrid) IsLeaving() bool { return h != nil && h.State == Leaving }

// LeavesBehind reports whether something may stay on-premises.
func (h *Hybrid) LeavesBehind(what string) bool {
	return h != nil && slices.Contains(h.LeaveBehind, what)
}

// hybrid checks what is said of the way out of hybrid.
func (v *validation) hybrid(a *Answers, h *Hybrid) {
	at := func(key ...string) []string { return append([]string{"hybrid"}, key...) }
	if h.State == "" && len(h.LeaveBehind)+len(h.Filtered) > 0 {
		v.faultAt(at("state"), "leaveBehind and filtered belong to the way out of hybrid",
			"add state: leaving, or remove both")
	}
	if h.State == Leaving && a.ExchangeOnline == nil {
		v.faultAt(at("state"), "there is no hybrid to leave: the file names no exchangeOnline",
			"add exchangeOnline, or remove hybrid")
	}
	v.list(at("filtered"), h.Filtered, domainName)
	for i, d := range h.Filtered {
		if d != "" && !slices.ContainsFunc(a.Forests, func(f Forest) bool { return slices.Contains(f.Domains, d) }) {
			v.faultAt(at("filtered", strconv.Itoa(i)), quote(d)+" is a domain of no forest",
				"name it in forests[].domains")
		}
	}
}
