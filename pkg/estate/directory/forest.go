package directory

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/hybridge-cli/hybridge/pkg/config/sorting"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// RootDSE is what a domain controller says about itself (MS-ADTS 3.1.1.3.2).
type RootDSE struct {
	DNSHostName           string
	DefaultNamingContext  string // of the server's own domain
	RootDomain            string // naming context of the forest root domain
	Configuration         string // naming context
	Schema                string // naming context
	ForestLevel           Level
	DomainLevel           Level
	DomainControllerLevel Level
	GlobalCatalog         bool
	SupportedSASL         []string
	SupportedControls     []string
	VendorName            string // empty for Microsoft's
	CurrentTime           string // generalized time, as sent
	SupportedLDAPPolicies []string
	ServerNameDN          string // the server's object in the sites container
	// Synchronized is isSynchronized as sent: FALSE until the first replication is done. Empty when
	// it is not shown.
	Synchronized string
}

// readRootDSE asks only for what is used: some of the attributes are computed on demand.
func readRootDSE(ctx context.Context, c *conn) (RootDSE, error) {
	found, err := c.objects(ctx, query{scope: ldap.ScopeBaseObject, filter: "(objectClass=*)", attributes: []string{
		"dnsHostName", "defaultNamingContext", "rootDomainNamingContext", "configurationNamingContext",
		"schemaNamingContext",
		"forestFunctionality", "domainFunctionality", "domainControllerFunctionality", "isGlobalCatalogReady",
		"supportedSASLMechanisms",
		"supportedControl", "vendorName", "currentTime", "supportedLDAPPolicies", "serverName", "isSynchronized",
	}})
	if err != nil {
		return RootDSE{}, err
	}
	if len(found) != 1 {
		return RootDSE{}, fmt.Errorf("%w: %d root DSEs", errMalformed, len(found))
	}
	o := found[0]
	r := RootDSE{
		DNSHostName: link.Line(o.text("dnsHostName")), DefaultNamingContext: o.text("defaultNamingContext"),
		RootDomain:    o.text("rootDomainNamingContext"),
		Configuration: o.text("configurationNamingContext"), Schema: o.text("schemaNamingContext"),
		ForestLevel: level(o, "forestFunctionality"), DomainLevel: level(o, "domainFunctionality"),
		DomainControllerLevel: level(o, "domainControllerFunctionality"),
		GlobalCatalog:         o.boolean("isGlobalCatalogReady"), SupportedSASL: o.texts("supportedSASLMechanisms"),
		SupportedControls: o.texts("supportedControl"),
		VendorName:        link.Line(o.text("vendorName")), CurrentTime: o.text("currentTime"),
		SupportedLDAPPolicies: o.texts("supportedLDAPPolicies"),
		ServerNameDN:          o.text("serverName"), Synchronized: o.text("isSynchronized"),
	}
	if r.Configuration == "" || r.DefaultNamingContext == "" {
		return r, fmt.Errorf("not an Active Directory domain controller: its root DSE names no configuration or " +
			"default naming context")
	}
	return r, nil
}

func level(o object, name string) Level {
	if n, err := strconv.Atoi(o.text(name)); err == nil {
		return Level(n)
	}
	return LevelUnknown
}

// Domain is one domain of a forest.
type Domain struct {
	DN      string // naming context
	DNSName string
	NetBIOS string
	Level   Level
}

// TrustDirection is a bit field of the directions of a trust.
type TrustDirection int

// Directions, seen from this forest.
const (
	TrustInbound  TrustDirection = 1 // the other domain trusts this forest
	TrustOutbound TrustDirection = 2 // this forest trusts the other domain
)

func (d TrustDirection) String() string {
	switch d & 3 {
	case TrustInbound:
		return "inbound"
	case TrustOutbound:
		return "outbound"
	case TrustInbound | TrustOutbound:
		return "bidirectional"
	}
	return "disabled"
}

// Trust is a trust of the forest root domain (MS-ADTS 6.1.6.7).
type Trust struct {
	Partner    string // DNS name, or NetBIOS name of an old domain
	FlatName   string
	Direction  TrustDirection
	Type       int // 1 downlevel, 2 Active Directory, 3 MIT realm, 5 Entra
	Attributes int
}

// ForestWide reports whether the trust is one between forests.
func (t Trust) ForestWide() bool { return t.Attributes&0x8 != 0 }

// Facts are what a forest is made of.
type Facts struct {
	Level       Level
	Domains     []Domain // the root domain first, then by name
	UPNSuffixes []string // those added by administrators; the domains' names are suffixes too
	Trusts      []Trust
	// SchemaVersion is rangeUpper of ms-Exch-Schema-Version-Pt: which Exchange setup extended the
	// schema last (17003 for 2019 and SE). 0 when Exchange never did.
	SchemaVersion int
}

// AllUPNSuffixes lists every suffix that administrators can officially assign to a user: the
// domains' names and UPNSuffixes, in lower case, sorted.
func (f Facts) AllUPNSuffixes() []string {
	var out []string
	for _, d := range f.Domains {
		out = append(out, strings.ToLower(d.DNSName))
	}
	for _, s := range f.UPNSuffixes {
		out = append(out, strings.ToLower(s))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Facts reads the forest's domains, suffixes, trusts and schema version.
func (f *Forest) Facts(ctx context.Context) (Facts, error) {
	facts := Facts{Level: f.root.ForestLevel}
	domains, err := f.domains(ctx)
	if err != nil {
		return Facts{}, err
	}
	facts.Domains = domains

	partitions := "CN=Partitions," + f.root.Configuration
	found, err := f.search(ctx, "UPN suffixes",
		query{base: partitions, scope: ldap.ScopeBaseObject, filter: "(objectClass=*)",
			attributes: []string{"uPNSuffixes"}})
	if err != nil {
		return Facts{}, err
	}
	for _, o := range found {
		facts.UPNSuffixes = o.texts("uPNSuffixes")
	}

	// Trusts are kept in the system container of the domain that a server holds; that of another
	// domain is not asked.
	found, err = f.search(ctx, "trusts",
		query{base: "CN=System," + f.root.DefaultNamingContext, scope: ldap.ScopeSingleLevel,
			filter:     "(objectClass=trustedDomain)",
			attributes: []string{"trustPartner", "flatName", "trustDirection", "trustType", "trustAttributes"}})
	if err != nil {
		return Facts{}, err
	}
	for _, o := range found {
		facts.Trusts = append(facts.Trusts, Trust{
			Partner: o.text("trustPartner"), FlatName: o.text("flatName"),
			Direction: TrustDirection(o.number("trustDirection")),
			Type:      int(o.number("trustType")), Attributes: int(o.number("trustAttributes")),
		})
	}
	sorting.Func(facts.Trusts, func(a, b Trust) int { return strings.Compare(a.Partner, b.Partner) })

	if facts.SchemaVersion, err = f.schemaVersion(ctx); err != nil {
		return Facts{}, err
	}
	return facts, nil
}

// domainCrossRef are the systemFlags of a crossRef that stands for a domain (FLAG_CR_NTDS_NC and
// FLAG_CR_NTDS_DOMAIN, MS-ADTS 6.1.1.2.1.1); those of application partitions have only the first.
const domainCrossRef = 3

// domains reads the domains from the crossRef objects.
func (f *Forest) domains(ctx context.Context) ([]Domain, error) {
	found, err := f.search(ctx, "domains", query{
		base: "CN=Partitions," + f.root.Configuration, scope: ldap.ScopeSingleLevel,
		filter:     "(objectClass=crossRef)",
		attributes: []string{"nCName", "dnsRoot", "nETBIOSName", "systemFlags", "msDS-Behavior-Version"},
	})
	if err != nil {
		return nil, err
	}
	var out []Domain
	for _, o := range found {
		if o.number("systemFlags")&domainCrossRef != domainCrossRef {
			continue
		}
		out = append(out, Domain{DN: o.text("nCName"), DNSName: o.text("dnsRoot"), NetBIOS: o.text("nETBIOSName"),
			Level: level(o, "msDS-Behavior-Version")})
	}
	if len(out) == 0 {
		return nil, f.wrap(fmt.Errorf("read domains from %s: the server shows none (may the account read the "+
			"configuration?)", f.address))
	}
	root := func(d Domain) int {
		if sameDN(d.DN, f.root.RootDomain) {
			return 0
		}
		return 1
	}
	sorting.Func(out, func(a, b Domain) int {
		if d := root(a) - root(b); d != 0 {
			return d
		}
		return strings.Compare(a.DNSName, b.DNSName)
	})
	return out, nil
}

func (f *Forest) schemaVersion(ctx context.Context) (int, error) {
	found, err := f.search(ctx, "Exchange schema version", query{
		base: f.root.Schema, scope: ldap.ScopeSingleLevel, filter: "(cn=ms-Exch-Schema-Version-Pt)",
		attributes: []string{"rangeUpper"},
	})
	if err != nil || len(found) == 0 {
		return 0, err
	}
	return int(found[0].number("rangeUpper")), nil
}
