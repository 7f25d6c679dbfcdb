package desired

import (
	"slices"
	"strconv"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
)

// The types of properties of mail flow.
var (
	// someServers is a set of servers that carry mail. A selection of the wanted ones that was made
	// by hand stays.
	someServers = Type{
		Name: "set of servers; a smaller selection is left as it is", Read: readServers, Compare: someOfServers,
		List: true, Script: "SettingList",
	}
	// hosts is a set of mail hosts.
	hosts = Type{
		Name: "set of hosts", Read: readTexts, Compare: sameSet(normalHost), List: true, Script: "SettingList",
	}
	// recipients is a set of domains of which "*" holds all.
	recipients = Type{
		Name: "set of domains; * holds all", Read: readTexts, Compare: holdsRecipients, List: true,
		Script: "DomainList",
	}
	// capabilities is a set of DOMAIN:CAPABILITY.
	capabilities = Type{
		Name: "set of DOMAIN:CAPABILITY", Read: readTexts, Compare: containsAll(strings.ToLower), List: true,
		Script: "DomainList",
	}
	// coveredHost is the name that the other side's certificate must have. A wildcard covers it.
	coveredHost = Type{
		Name: "host name, or a wildcard that covers it", Read: readText, Compare: covers, Script: "Text",
	}
	// certificateName is <I>issuer<S>subject.
	certificateName = Type{
		Name: "certificate name: issuer and subject", Read: readText, Compare: foldEqual, Script: "Text",
	}
	// hybridFeatures is a set of features as the record of Microsoft's wizard names them.
	hybridFeatures = Type{
		Name: "set of features", Read: readJoined, Compare: containsAll(normalFeature), List: true,
		Script: "DomainList",
	}
	// flagSet is a set of flags that the place shows as one text.
	flagSet = Type{
		Name: "set of flags", Read: readJoined, Compare: sameSet(strings.ToLower), List: true, Script: "SettingList",
	}
	// domainName is one domain.
	domainName = Type{Name: "domain", Read: readText, Compare: sameDomain, Script: "DomainList"}
	number     = Type{Name: "Int32", Read: readNumber, Compare: equal, Script: "Text"}
	// recordedDomains is a set of domains, of which one may be marked with autod:.
	recordedDomains = Type{
		Name: "set of domains", Read: readTexts, Compare: containsAll(normalRecordedDomain), List: true,
		Script: "DomainList",
	}
)

// readServers reads server names. Exchange shows them as names, distinguished by their last part.
func readServers(v any) any {
	list := texts(readTexts(v))
	out := make([]string, 0, len(list))
	for _, s := range list {
		out = append(out, s[strings.LastIndexAny(s, `\/`)+1:])
	}
	return out
}

// normalServer returns the short name of a server.
func normalServer(s string) string {
	s = s[strings.LastIndexAny(s, `\/`)+1:]
	short, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(s)), ".")
	return short
}

func someOfServers(want, live any) bool {
	wanted, have := members(want, normalServer), members(live, normalServer)
	for s := range have {
		if !wanted[s] {
			return false
		}
	}
	return (len(have) > 0) == (len(wanted) > 0)
}

func normalHost(s string) string {
	return strings.ToLower(strings.TrimSuffix(strings.TrimSpace(s), "."))
}

func holdsRecipients(want, live any) bool {
	return slices.Contains(texts(live), "*") && len(elements(want)) > 0 || containsAll(normalDomain)(want, live)
}

func covers(want, live any) bool {
	w, ok1 := want.(string)
	l, ok2 := live.(string)
	if !ok1 || !ok2 {
		return equal(want, live)
	}
	return strings.EqualFold(w, l) || certificate.Matches(l, w)
}

// normalFeature makes the two spellings of centralized transport one.
func normalFeature(s string) string {
	s = strings.ToLower(strings.TrimSpace(s))
	if s == "centralized" {
		return "centralizedtransport"
	}
	return s
}

func normalRecordedDomain(s string) string {
	return strings.TrimPrefix(normalDomain(s), "autod:")
}

func sameDomain(want, live any) bool {
	w, ok1 := want.(string)
	l, ok2 := live.(string)
	if !ok1 || !ok2 {
		return equal(want, live)
	}
	return normalDomain(w) == normalDomain(l)
}

func readNumber(v any) any {
	if s, ok := v.(string); ok {
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			return n
		}
	}
	return v
}
