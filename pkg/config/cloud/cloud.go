// Package cloud holds, as data, what differs between the clouds Exchange Online and Entra run in:
// hosts, endpoints, domain suffixes and capabilities. The answers file can override every host
// (exchangeOnline.hosts), because some values are recalled and not read (see Unconfirmed).
package cloud

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Cloud is one Microsoft 365 environment. URLs carry no trailing slash; "{tenant}" stands for the
// tenant's initial domain name and "{tenantId}" for its GUID: Expand fills them in.
type Cloud struct {
	ID               string // worldwide, gcc-high, dod, 21vianet, bleu, delos
	Title            string
	Login            string // https://login.microsoftonline.com
	Graph            string // https://graph.microsoft.com
	AdminAPI         string // https://outlook.office365.com: base of /adminapi
	EWS              string // https://outlook.office365.com/EWS/Exchange.asmx
	AutodiscoverJSON string // https://outlook.office365.com: host of /autodiscover/autodiscover.json
	// https://outlook.office365.com: audience of EWS and admin tokens; scope is this + "/.default"
	ExchangeResource  string
	DiscoveryEndpoint string   // https://autodiscover-s.outlook.com/autodiscover/autodiscover.svc
	ACSMetadataURL    string   // https://accounts.accesscontrol.windows.net/{tenantId}/metadata/json/1
	EvoSTSMetadataURL string   // https://login.windows.net/{tenant}/federationmetadata/2007-06/federationmetadata.xml
	OWA               string   // https://outlook.office.com/mail
	InitialSuffix     string   // onmicrosoft.com; "" when not known
	OtherSuffixes     []string // further suffixes of initial domains of this cloud's tenants
	CoexistenceSuffix string   // mail.onmicrosoft.com; "" when not known
	TLSDomain         string   // mail.protection.outlook.com; "" when not known
	ServiceInstance   string   // 1 in 21Vianet, else 0
	// names of Keys whose values were recalled or inferred from other clouds, and never read or
	// confirmed
	Unconfirmed      []string
	GraphCoexistence bool // the Graph route for rich coexistence exists here
}

// The retirement of EWS in Exchange Online, in all clouds alike. The hours are not published: the
// beginning of the day in UTC stands for them. EWS on-premises goes on. Source: Exchange Team Blog,
// 2026-08-20.
var (
	// from then on refused unless it is switched on with a list of applications
	EWSRestricted = time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	EWSEnds       = time.Date(2027, 4, 1, 0, 0, 0, 0, time.UTC) // off for good, the organization's switch removed
)

// DevicePage is the page of the sign-in service that takes device codes. Recalled: the short
// addresses that Microsoft shows (microsoft.com/devicelogin and its siblings) lead there.
func (c Cloud) DevicePage() string { return c.Login + "/common/oauth2/deviceauth" }

// Get returns a cloud by its id.
func Get(id string) (Cloud, bool) {
	for _, c := range clouds {
		if c.ID == id {
			return c, true
		}
	}
	return Cloud{}, false
}

// All returns every cloud, the most used first.
func All() []Cloud { return slices.Clone(clouds) }

// IDs returns the ids of All.
func IDs() []string {
	ids := make([]string, len(clouds))
	for i, c := range clouds {
		ids[i] = c.ID
	}
	return ids
}

// Key is one value of a cloud that exchangeOnline.hosts may override.
type Key struct {
	Name  string
	Title string
	URL   bool // a URL; otherwise a domain name
	field func(*Cloud) *string
}

var keys = []Key{
	{"login", "sign-in service", true, func(c *Cloud) *string { return &c.Login }},
	{"graph", "Microsoft Graph", true, func(c *Cloud) *string { return &c.Graph }},
	{"adminAPI", "Exchange Online admin API, the base of /adminapi", true,
		func(c *Cloud) *string { return &c.AdminAPI }},
	{"ews", "EWS of Exchange Online", true, func(c *Cloud) *string { return &c.EWS }},
	{"autodiscoverJSON", "autodiscover v2, the base of /autodiscover/autodiscover.json", true,
		func(c *Cloud) *string { return &c.AutodiscoverJSON }},
	{"exchangeResource", "audience of tokens for EWS and the admin API", true,
		func(c *Cloud) *string { return &c.ExchangeResource }},
	{"discoveryEndpoint", "discovery endpoint of the intra-organization connector to this cloud", true,
		func(c *Cloud) *string { return &c.DiscoveryEndpoint }},
	{"acsMetadataURL", "metadata of the ACS auth server", true, func(c *Cloud) *string { return &c.ACSMetadataURL }},
	{"evoSTSMetadataURL", "metadata of the EvoSTS auth server", true,
		func(c *Cloud) *string { return &c.EvoSTSMetadataURL }},
	{"owa", "Outlook on the web", true, func(c *Cloud) *string { return &c.OWA }},
	{"initialSuffix", "suffix of initial domains", false, func(c *Cloud) *string { return &c.InitialSuffix }},
	{"coexistenceSuffix", "suffix of coexistence domains", false,
		func(c *Cloud) *string { return &c.CoexistenceSuffix }},
	{"tlsDomain", "TLS name of the inbound mail servers", false, func(c *Cloud) *string { return &c.TLSDomain }},
	{"serviceInstance", "ServiceInstance in the record of the hybrid configuration: 0 or 1", false,
		func(c *Cloud) *string { return &c.ServiceInstance }},
}

// Keys returns the values that can be overridden, in the order of Cloud's fields.
func Keys() []Key { return slices.Clone(keys) }

// KeyNames returns the names of Keys.
func KeyNames() []string {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.Name
	}
	return names
}

// Value returns what c holds under k.
func (k Key) Value(c Cloud) string { return *k.field(&c) }

// Check returns what is wrong with an override of k, in words that follow its name; nil when it can
// be used.
func (k Key) Check(value string) error {
	if k.Name == "serviceInstance" {
		if value != "0" && value != "1" {
			return errors.New("needs 0 or 1")
		}
		return nil
	}
	if !k.URL {
		if value == "" || strings.ContainsAny(value, "/: ") {
			return errors.New("needs a domain name, without scheme, port and path")
		}
		return nil
	}
	u, err := url.Parse(strings.NewReplacer("{tenant}", "tenant", "{tenantId}", "tenant-id").Replace(value))
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return errors.New("needs a URL that begins with https://")
	case u.User != nil:
		return errors.New("is a URL that holds a user name or a password")
	case u.RawQuery != "" || u.Fragment != "":
		return errors.New("is a URL with a query or a fragment")
	}
	return nil
}

// With returns c with the values that overrides names (see Keys) replaced. The error names the key,
// never the value.
func (c Cloud) With(overrides map[string]string) (Cloud, error) {
	for name := range overrides {
		if !slices.ContainsFunc(keys, func(k Key) bool { return k.Name == name }) {
			return Cloud{}, fmt.Errorf("cloud %s has no host %q; there are %s", c.ID, name,
				strings.Join(KeyNames(), ", "))
		}
	}
	for _, k := range keys {
		value, ok := overrides[k.Name]
		if !ok {
			continue
		}
		if err := k.Check(value); err != nil {
			return Cloud{}, fmt.Errorf("cloud %s: host %s %w", c.ID, k.Name, err)
		}
		*k.field(&c) = strings.TrimRight(value, "/")
		// What the answers name needs no source.
		c.Unconfirmed = slices.DeleteFunc(slices.Clone(c.Unconfirmed), func(s string) bool { return s == k.Name })
	}
	return c, nil
}

// Expand returns c with {tenant} and {tenantId} filled in everywhere. Give both: what is left empty
// stays a placeholder.
func (c Cloud) Expand(tenant, tenantID string) Cloud {
	var pairs []string
	if tenant != "" {
		pairs = append(pairs, "{tenant}", tenant)
	}
	if tenantID != "" {
		pairs = append(pairs, "{tenantId}", tenantID)
	}
	fill := strings.NewReplacer(pairs...)
	for _, k := range keys {
		*k.field(&c) = fill.Replace(*k.field(&c))
	}
	return c
}

// CoexistenceDomain derives the target delivery domain from the tenant's initial domain:
// contoso.onmicrosoft.com gives contoso.mail.onmicrosoft.com. The suffix decides, not the cloud:
// government tenants have initial domains under onmicrosoft.com as well. The live accepted domains
// are more reliable, when they can be read.
func (c Cloud) CoexistenceDomain(tenant string) (string, error) {
	tenant = strings.ToLower(tenant)
	for _, known := range append([]Cloud{c}, clouds...) {
		name, ok := strings.CutSuffix(tenant, "."+known.InitialSuffix)
		if ok && known.InitialSuffix != "" && known.CoexistenceSuffix != "" && name != "" &&
			!strings.Contains(name, ".") {
			return name + "." + known.CoexistenceSuffix, nil
		}
	}
	return "", fmt.Errorf("the coexistence domain cannot be derived from %s in cloud %s; set "+
		"exchangeOnline.coexistenceDomain", tenant, c.ID)
}

// moreDomains are Exchange Online's without an endpoint of the table in them.
var moreDomains = []string{"cloud.microsoft", "mx.microsoft", "office365-net.us"}

// IsExchangeOnline reports whether a host is in a domain of Exchange Online, of any cloud.
func IsExchangeOnline(host string) bool {
	host = "." + strings.ToLower(strings.TrimSuffix(host, "."))
	domains := slices.Clone(moreDomains)
	for _, c := range clouds {
		for _, endpoint := range []string{c.EWS, c.DiscoveryEndpoint, c.AutodiscoverJSON, c.OWA} {
			u, err := url.Parse(endpoint)
			if err != nil {
				continue
			}
			if labels := strings.Split(u.Hostname(), "."); len(labels) >= 2 {
				domains = append(domains, strings.Join(labels[len(labels)-2:], "."))
			}
		}
	}
	return slices.ContainsFunc(domains, func(d string) bool { return strings.HasSuffix(host, "."+d) })
}

// MayHold reports whether a tenant of that initial domain can be in c; where c's suffixes are not
// known, any can.
func (c Cloud) MayHold(tenant string) bool {
	tenant = strings.ToLower(tenant)
	return c.InitialSuffix == "" ||
		slices.ContainsFunc(append([]string{c.InitialSuffix}, c.OtherSuffixes...),
			func(s string) bool { return strings.HasSuffix(tenant, "."+s) })
}

// OfTenant returns the cloud that an initial domain's suffix belongs to, if one is known. Suffixes
// of worldwide are also used by government tenants.
func OfTenant(tenant string) (Cloud, bool) {
	tenant = strings.ToLower(tenant)
	for _, c := range clouds {
		if c.InitialSuffix != "" && strings.HasSuffix(tenant, "."+c.InitialSuffix) {
			return c, true
		}
	}
	return Cloud{}, false
}
