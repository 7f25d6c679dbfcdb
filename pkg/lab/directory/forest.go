package directory

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// Config describes the forest. The functions are called for every search, so that the directory
// follows the lab's state; they must be safe for concurrent use.
type Config struct {
	Domain  string // DNS name of the forest root domain, the only one: contoso.example
	NetBIOS string // first label of Domain in upper case when empty
	Host    string // of the domain controller; dc1.DOMAIN when empty

	TLS         *tls.Config // for ServeTLS and StartTLS
	Level       int         // functional level; 7 (2016) when 0
	UPNSuffixes []string
	Trusts      []Trust

	Users    func() []User
	Exchange func() *Organization // nil, or a nil result: not installed
	Entries  func() []Entry       // added last; one with the DN of another replaces it

	MaxPageSize int // 1000 when 0
	MaxValRange int // 1500 when 0
}

// Trust is a trust of the domain.
type Trust struct {
	Partner    string // DNS name
	NetBIOS    string
	Direction  int // 1 inbound, 2 outbound, 3 both
	Attributes int // 8 forest transitive
}

// User is an account, and what Exchange keeps about it. Empty fields are absent attributes.
type User struct {
	Name           string // common name
	SAMAccountName string // derived from Name when empty
	OU             string // DN below the domain; CN=Users when empty
	UPN            string
	Password       string // an account without one cannot bind
	Disabled       bool
	LogonError     string // data code with which a bind with the right password fails: "532", "701", "773", "775"
	GivenName      string
	Surname        string
	Mail           string
	ProxyAddresses []string // with prefix: SMTP:anna@contoso.example
	TargetAddress  string   // with prefix
	RecipientType  int64    // msExchRecipientTypeDetails; 0 is absent
	RemoteType     int64    // msExchRemoteRecipientType; 0 is absent
	MasterSID      string   // binary msExchMasterAccountSid
	Attributes     map[string][]string
}

func (u User) sam() string {
	if u.SAMAccountName != "" {
		return u.SAMAccountName
	}
	return strings.ToLower(strings.ReplaceAll(u.Name, " ", "."))
}

func (u User) dn(domain string) string {
	ou := u.OU
	if ou == "" {
		ou = "CN=Users"
	}
	return "CN=" + ldap.EscapeDN(u.Name) + "," + ou + "," + domain
}

// Entry is the user's object below the domain's DN, as it would be added to a domain controller,
// which gives it its identifiers.
func (u User) Entry(domainDN string) Entry {
	control := 512 // NORMAL_ACCOUNT
	if u.Disabled {
		control |= 2
	}
	e := NewEntry(u.dn(domainDN), "objectClass", "user", "displayName", u.Name, "givenName", u.GivenName, "sn",
		u.Surname,
		"sAMAccountName", u.sam(), "userPrincipalName", u.UPN, "mail", u.Mail, "targetAddress", u.TargetAddress,
		"msExchMasterAccountSid", u.MasterSID, "userAccountControl", strconv.Itoa(control))
	if u.RecipientType == 1 || u.RemoteType != 0 {
		e.add("msExchMailboxGuid", guid("mailbox "+u.dn(domainDN)))
	}
	if u.RecipientType != 0 {
		e.add("msExchRecipientTypeDetails", strconv.FormatInt(u.RecipientType, 10))
		e.add("mailNickname", u.sam())
	}
	if u.RemoteType != 0 {
		e.add("msExchRemoteRecipientType", strconv.FormatInt(u.RemoteType, 10))
	}
	e.add("proxyAddresses", u.ProxyAddresses...)
	for name, values := range u.Attributes {
		e.Attributes[name] = values
	}
	return e
}

func (s *Server) users() []User {
	if s.cfg.Users == nil {
		return nil
	}
	return s.cfg.Users()
}

type layout struct{ domain, configuration, schema string }

func (c *Config) complete() (layout, error) {
	if c.Domain == "" {
		return layout{}, errors.New("lab directory: no domain")
	}
	labels := strings.Split(c.Domain, ".")
	for _, l := range labels {
		if l == "" || strings.ContainsAny(l, `,=+\ `) {
			return layout{}, fmt.Errorf("lab directory: domain %q is not a DNS name", c.Domain)
		}
	}
	if c.NetBIOS == "" {
		c.NetBIOS = strings.ToUpper(labels[0])
	}
	if c.Host == "" {
		c.Host = "dc1." + c.Domain
	}
	if c.Level == 0 {
		c.Level = 7
	}
	domain := "DC=" + strings.Join(labels, ",DC=")
	return layout{domain, "CN=Configuration," + domain, "CN=Schema,CN=Configuration," + domain}, nil
}

// base is the part of the tree that every forest has.
func (c *Config) base(l layout) []Entry {
	level := strconv.Itoa(c.Level)
	host, _, _ := strings.Cut(c.Host, ".")
	server := "CN=" + strings.ToUpper(host) + ",CN=Servers,CN=Default-First-Site-Name,CN=Sites," + l.configuration
	zones := []string{"DC=DomainDnsZones," + l.domain, "DC=ForestDnsZones," + l.domain}

	root := Entry{Attributes: map[string][]string{
		"dnsHostName":                {c.Host},
		"serverName":                 {server},
		"dsServiceName":              {"CN=NTDS Settings," + server},
		"ldapServiceName":            {c.Domain + ":" + strings.ToLower(host) + "$@" + strings.ToUpper(c.Domain)},
		"defaultNamingContext":       {l.domain},
		"rootDomainNamingContext":    {l.domain},
		"configurationNamingContext": {l.configuration},
		"schemaNamingContext":        {l.schema},
		"namingContexts":             append([]string{l.domain, l.configuration, l.schema}, zones...),
		"subschemaSubentry":          {"CN=Aggregate," + l.schema},
		"supportedLDAPVersion":       {"3", "2"},
		"supportedControl":           {oidPaging, "1.2.840.113556.1.4.1338"},
		"supportedCapabilities": {"1.2.840.113556.1.4.800", "1.2.840.113556.1.4.1670",
			"1.2.840.113556.1.4.1791"},
		"supportedExtension":            {oidStartTLS},
		"supportedLDAPPolicies":         {"MaxPageSize", "MaxValRange", "MaxResultSetSize", "MaxConnIdleTime"},
		"forestFunctionality":           {level},
		"domainFunctionality":           {level},
		"domainControllerFunctionality": {level},
		"isGlobalCatalogReady":          {"TRUE"},
		"isSynchronized":                {"TRUE"},
		"supportedSASLMechanisms":       {"GSSAPI", "GSS-SPNEGO", "EXTERNAL", "DIGEST-MD5"},
		"currentTime":                   {time.Now().UTC().Format("20060102150405.0Z")},
	}}
	partitions := NewEntry("CN=Partitions,"+l.configuration, "objectClass", "crossRefContainer",
		"msDS-Behavior-Version", level)
	partitions.add("uPNSuffixes", c.UPNSuffixes...)
	entries := []Entry{
		root,
		NewEntry(l.domain, "objectClass", "domainDNS", "msDS-Behavior-Version", level, "objectSid",
			sid(c.Domain, 0)[:24]),
		NewEntry("CN=Users,"+l.domain, "objectClass", "container"),
		NewEntry("OU=Domain Controllers,"+l.domain, "objectClass", "organizationalUnit"),
		NewEntry("CN=System,"+l.domain, "objectClass", "container"),
		NewEntry(l.configuration, "objectClass", "configuration"),
		NewEntry("CN=Services,"+l.configuration, "objectClass", "container"),
		NewEntry("CN=Sites,"+l.configuration, "objectClass", "sitesContainer"),
		NewEntry("CN=Default-First-Site-Name,CN=Sites,"+l.configuration, "objectClass", "site"),
		NewEntry("CN=Servers,CN=Default-First-Site-Name,CN=Sites,"+l.configuration, "objectClass", "serversContainer"),
		NewEntry(server, "objectClass", "server", "dNSHostName", c.Host),
		partitions,
		NewEntry("CN="+c.NetBIOS+",CN=Partitions,"+l.configuration, "objectClass", "crossRef", "systemFlags", "3",
			"nCName", l.domain,
			"dnsRoot", c.Domain, "nETBIOSName", c.NetBIOS, "msDS-Behavior-Version", level),
		NewEntry("CN=Enterprise Configuration,CN=Partitions,"+l.configuration, "objectClass", "crossRef", "systemFlags",
			"1", "nCName", l.configuration, "dnsRoot", c.Domain),
		NewEntry("CN=Enterprise Schema,CN=Partitions,"+l.configuration, "objectClass", "crossRef", "systemFlags", "1",
			"nCName", l.schema, "dnsRoot", c.Domain),
		NewEntry(l.schema, "objectClass", "dMD"),
	}
	for i, zone := range zones {
		name := [...]string{"DomainDnsZones", "ForestDnsZones"}[i]
		entries = append(entries, NewEntry(zone, "objectClass", "domainDNS"),
			NewEntry("CN="+name+",CN=Partitions,"+l.configuration, "objectClass", "crossRef", "systemFlags", "5",
				"nCName", zone, "dnsRoot", name+"."+c.Domain))
	}
	for _, t := range c.Trusts {
		entries = append(entries, NewEntry("CN="+ldap.EscapeDN(t.Partner)+",CN=System,"+l.domain, "objectClass",
			"trustedDomain", "trustPartner", t.Partner,
			"flatName", t.NetBIOS, "trustDirection", strconv.Itoa(t.Direction), "trustType", "2", "trustAttributes",
			strconv.Itoa(t.Attributes)))
	}
	return entries
}
