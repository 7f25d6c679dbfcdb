// Package organization simulates one Exchange organization, on-premises or online: objects that
// keep state, and the cmdlets that read and change them, with Exchange's rules, defaults and
// refusals. It is served as remote PowerShell and as the Exchange Online admin API.
//
// Its knowledge is mostly data. Cmdlets and parameters of each side are in the catalogue of package
// exchange, and the kinds of objects in nouns.txt. Rules that need code are in rules.go.
package organization

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
)

// Config describes an organization.
type Config struct {
	Side exchange.Side
	Name string // of the organization: "Contoso"; online the tenant's initial domain
	GUID string // the organization's GUID
	// FQDN is the forest's root domain: "contoso.com"; online the domain of the service's own
	// forest.
	FQDN string
	// Account is the path of an account in the directory, such as contoso.com/Users/anna; nil, or
	// false: there is none.
	Account func(name string) (path string, ok bool)
	// Tenant is the tenant's GUID; online only.
	Tenant string
	// Server is the domain controller; "dc1.FQDN" when empty.
	Server string
	// Host is the Exchange server that runs the cmdlets of callers who name none; "ex1.FQDN" when
	// empty.
	Host string
	// Fetch reads a metadata document for New-AuthServer. Without it every fetch fails.
	Fetch func(ctx context.Context, url string) ([]byte, error)
	// MoveProxy asks a server's replication proxy with an account. Without it moves are not
	// simulated.
	MoveProxy func(ctx context.Context, host string, c exchange.Credential) error
	Clock     func() time.Time // time.Now when nil
}

// Organization is one simulated Exchange organization. It is safe for concurrent use.
type Organization struct {
	c Config

	mu        sync.Mutex
	records   map[string][]*Record // by noun, lower case, in the order they were made
	made      int                  // objects ever made: GUIDs are numbered by it
	denied    map[string][]string  // cmdlet, lower case: nil denies it whole, else those parameters
	handlers  map[string]Handler
	onChange  []func(Change)
	throttles int
	log       []audited // what the audit log keeps
	runs      map[string]int
}

// Record is one object of an organization.
type Record struct {
	org  *Organization
	noun *noun
	// values are by lower-case property name: nil, bool, int64, string, []string, []byte, time.Time
	values map[string]any
	extra  []string // properties beyond the noun's, in the order they came
	// credential is what Exchange keeps and prints nowhere.
	credential exchange.Credential
}

// Credential is the credential that the object was given. No cmdlet prints it.
func (r *Record) Credential() exchange.Credential { return r.credential }

// Caller is the account that runs a cmdlet.
type Caller struct {
	User string
	// ReadOnly callers have the view-only roles: their session has no cmdlet that changes an
	// object.
	ReadOnly bool
	// Cmdlets, if not nil, are all that the caller's roles hold.
	Cmdlets []string
	// Host is the Exchange server of the session; that of the Config when empty.
	Host string
}

// Call is one run of a cmdlet, as its Handler gets it.
type Call struct {
	Organization *Organization
	Caller       Caller
	Cmdlet       string         // as the catalogue spells it
	Parameters   map[string]any // bound and converted, by the parameters' own names
	Warn         func(text string)
}

// Server is the name of the server that a call is about: the one that it names, else the one that runs
// it.
func (c Call) Server() string {
	name, _ := c.Parameters["Server"].(string)
	return strings.ToUpper(firstLabel(cmp.Or(name, c.host())))
}

// host is the server that runs the call.
func (c Call) host() string { return cmp.Or(c.Caller.Host, c.Organization.c.Host) }

// Handler implements a cmdlet. The caller sees its error when that is an *exchange.Error.
type Handler func(ctx context.Context, c Call) ([]exchange.Object, error)

// Change describes an object that was made, set or removed.
type Change struct {
	Noun   string
	Verb   string // "New", "Set", "Remove"
	Record *Record
}

// New makes an organization with what Exchange's setup, or a tenant's creation, leaves behind.
func New(c Config) *Organization {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.FQDN == "" {
		c.FQDN = "example.com"
	}
	if c.Server == "" {
		c.Server = "dc1." + c.FQDN
	}
	if c.Host == "" {
		c.Host = "ex1." + c.FQDN
	}
	if c.GUID == "" {
		c.GUID = numbered("organization", c.Name, 0)
	}
	o := &Organization{c: c, records: map[string][]*Record{}, denied: map[string][]string{},
		handlers: map[string]Handler{}, runs: map[string]int{}}
	o.handlers["get-exchangediagnosticinfo"] = diagnosticInfo
	o.handlers["search-adminauditlog"] = searchAdminAudit
	o.handlers["search-unifiedauditlog"] = searchUnifiedAudit
	o.handlers["get-federationinformation"] = federationInformation
	o.handlers["test-organizationrelationship"] = testRelationship
	o.handlers["enable-organizationcustomization"] = customization
	o.handlers["test-migrationserveravailability"] = migrationServer
	o.Seed("OrganizationConfig", "Name", c.Name, "Guid", c.GUID, "LegacyExchangeDN", "/o="+c.Name)
	o.Seed("TransportConfig", "Name", "Transport Settings")
	o.policies()
	o.Seed("IntraOrganizationConfiguration", "Name", "Intra-Organization Configuration")
	o.Seed("FederatedOrganizationIdentifier", "Name", "Federation")
	o.Seed("SharingPolicy", "Name", "Default Sharing Policy", "Default", true, "Domains",
		[]string{"Anonymous:CalendarSharingFreeBusyReviewer", "*:CalendarSharingFreeBusySimple"})
	if c.Side == exchange.OnPremises {
		o.arbitrate()
		o.Seed("AuthConfig", "Name", "Auth Configuration")
		o.Seed("AvailabilityConfig", "Name", "Availability Configuration", "PerUserAccount",
			c.FQDN+"/Microsoft Exchange Security Groups/Exchange Servers")
		o.Seed("PartnerApplication", "Name", "Exchange Online", "ApplicationIdentifier", exchangeOnline, "Enabled",
			false,
			"LinkedAccount", c.FQDN+"/Users/Exchange Online-ApplicationAccount")
		for _, p := range [][2]string{
			{"Microsoft Graph", "00000003-0000-0000-c000-000000000000"},
			{"SfBLegacy", "00000004-0000-0ff1-ce00-000000000000"},
			{"TeamsScheduler", "7557eb47-c689-4224-abcf-aef9bd7573df"},
			{"CloudVoicemail", "db7de2b5-2149-435e-8043-e080dd50afae"},
		} {
			o.Seed("PartnerApplication", "Name", p[0], "ApplicationIdentifier", p[1], "Enabled",
				strings.HasPrefix(p[1], "0000"))
		}
	} else {
		o.Seed("AuthServer", "Name", "MicrosoftSts", "Type", "MicrosoftACS", "IssuerIdentifier", accessControl, "Realm",
			c.Tenant)
	}
	return o
}

// arbitrate makes the arbitration mailboxes of setup.
func (o *Organization) arbitrate() {
	for _, name := range []string{
		"SystemMailbox{1f05a927-" + numbered(o.c.GUID, "approval", 0)[9:] + "}",
		"SystemMailbox{e0dc1c29-89c3-4034-b678-e6c29d823ed9}", "FederatedEmail.4c1f4d8b-8179-4148-93bf-00a95fa1e042",
		"Migration.8f3e7716-2011-43e4-96b1-aba62d229136",
	} {
		o.Seed("ArbitrationMailbox", "Name", name, "Alias", name, "PrimarySmtpAddress", name+"@"+o.c.FQDN)
	}
}

// The identifiers of Microsoft's services.
const (
	exchangeOnline = "00000002-0000-0ff1-ce00-000000000000"
	accessControl  = "00000001-0000-0000-c000-000000000000"
)

// numbered makes a GUID that is the same in every run of the same lab.
func numbered(seed, kind string, n int) string {
	h := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%d", seed, kind, n))
	b := h[:16]
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// Name returns the organization's name.
func (o *Organization) Name() string { return o.c.Name }

// Side returns which side the organization is of.
func (o *Organization) Side() exchange.Side { return o.c.Side }

// Handle sets what runs a cmdlet; it must be in the catalogue for the organization's side.
func (o *Organization) Handle(cmdlet string, h Handler) {
	if spec, ok := exchange.Catalogue().Find(cmdlet); !ok || !spec.On(o.c.Side) {
		panic("organization: " + cmdlet + " is not in the catalogue")
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.handlers[strings.ToLower(cmdlet)] = h
}

// OnChange calls f after every change that a cmdlet makes, outside of any lock.
func (o *Organization) OnChange(f func(Change)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.onChange = append(o.onChange, f)
}

// Deny removes a cmdlet, or only its named parameters, from every caller's roles.
func (o *Organization) Deny(cmdlet string, parameters ...string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.denied[strings.ToLower(cmdlet)] = parameters
}

// Allow undoes Deny.
func (o *Organization) Allow(cmdlet string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.denied, strings.ToLower(cmdlet))
}

// Throttle makes the admin API answer the next n requests with 429.
func (o *Organization) Throttle(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.throttles = n
}

// Runs is how often a cmdlet was run, refused runs included.
func (o *Organization) Runs(cmdlet string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.runs[strings.ToLower(cmdlet)]
}

// AllRuns is how often each cmdlet was run, in lower case.
func (o *Organization) AllRuns() map[string]int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return maps.Clone(o.runs)
}

// allowed reports whether a caller's roles hold a cmdlet; the caller holds the lock.
func (o *Organization) allowed(caller Caller, cmdlet string) bool {
	if parameters, ok := o.denied[strings.ToLower(cmdlet)]; ok && len(parameters) == 0 {
		return false
	}
	verb, _, _ := strings.Cut(cmdlet, "-")
	if caller.ReadOnly && !strings.EqualFold(verb, "Get") && !strings.EqualFold(verb, "Test") {
		return false
	}
	return caller.Cmdlets == nil || containsFold(caller.Cmdlets, cmdlet)
}

// Cmdlets lists what a caller may run.
func (o *Organization) Cmdlets(caller Caller) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.DeleteFunc(exchange.Catalogue().Names(o.c.Side),
		func(name string) bool { return !o.allowed(caller, name) })
}

// Seed makes an object without running a cmdlet: no rule is applied. The pairs are property names
// and values. It panics on a noun or property that does not exist, or a value of a wrong type.
func (o *Organization) Seed(noun string, pairs ...any) *Record {
	n, ok := nouns()[strings.ToLower(noun)]
	if !ok {
		panic("organization: no noun " + noun)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	r := o.blank(n)
	for i := 0; i+1 < len(pairs); i += 2 {
		r.mustSet(pairs[i].(string), pairs[i+1])
	}
	o.add(r)
	return r
}

// Objects returns the objects of a noun, in the order they were made.
func (o *Organization) Objects(noun string) []*Record {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.all(noun))
}

// Object returns the object of a noun that an identity finds; nil when there is none.
func (o *Organization) Object(noun, identity string) *Record {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range o.all(noun) {
		if r.is(identity) {
			return r
		}
	}
	return nil
}

func (o *Organization) all(name string) []*Record {
	n, ok := nouns()[strings.ToLower(name)]
	if !ok {
		return nil
	}
	if len(n.union) == 0 {
		return o.records[strings.ToLower(name)]
	}
	var out []*Record
	for _, u := range n.union {
		out = append(out, o.records[strings.ToLower(u)]...)
	}
	return out
}

// blank is an object with its defaults, not yet in the organization.
func (o *Organization) blank(n *noun) *Record {
	o.made++
	now := o.c.Clock().UTC().Truncate(time.Second)
	r := &Record{org: o, noun: n, values: map[string]any{
		"guid": numbered(o.c.GUID, n.name, o.made), "whenchanged": now, "whencreated": now, "name": "",
	}}
	for _, p := range n.properties {
		if p.on(o.c.Side) {
			r.values[strings.ToLower(p.name)] = clone(p.initial)
		}
	}
	return r
}

// add puts an object into the organization.
func (o *Organization) add(r *Record) {
	r.derive()
	key := strings.ToLower(r.noun.name)
	if r.noun.single {
		o.records[key] = nil // a single object: seeding it again replaces it
	}
	o.records[key] = append(o.records[key], r)
}

func clone(v any) any {
	switch v := v.(type) {
	case []string:
		return append([]string{}, v...)
	case []byte:
		return append([]byte{}, v...)
	}
	return v
}

// Noun is the kind of the object.
func (r *Record) Noun() string { return r.noun.name }

// Get returns a property; nil when it is null or not there. Its kinds are bool, int64, string,
// []string, []byte and time.Time.
func (r *Record) Get(name string) any {
	r.org.mu.Lock()
	defer r.org.mu.Unlock()
	return clone(r.get(name))
}

// String returns a property that is text; "" otherwise.
func (r *Record) String(name string) string {
	s, _ := r.Get(name).(string)
	return s
}

// Strings returns a property that is a list; nil otherwise.
func (r *Record) Strings(name string) []string {
	l, _ := r.Get(name).([]string)
	return l
}

// Bool returns a property that is a Boolean; false otherwise.
func (r *Record) Bool(name string) bool {
	b, _ := r.Get(name).(bool)
	return b
}

// Set changes a property without any rule: a planted fault. It panics on a wrong type.
func (r *Record) Set(name string, value any) {
	r.org.mu.Lock()
	defer r.org.mu.Unlock()
	r.mustSet(name, value)
	r.derive()
}

// Remove takes the object out of its organization, without any rule.
func (r *Record) Remove() {
	r.org.mu.Lock()
	defer r.org.mu.Unlock()
	r.org.remove(r)
}

func (o *Organization) remove(r *Record) {
	key := strings.ToLower(r.noun.name)
	o.records[key] = slices.DeleteFunc(slices.Clone(o.records[key]), func(e *Record) bool { return e == r })
}

func (r *Record) get(name string) any { return r.values[strings.ToLower(name)] }

func (r *Record) text(name string) string { s, _ := r.get(name).(string); return s }

func (r *Record) mustSet(name string, value any) {
	if err := r.put(name, value); err != nil {
		panic("organization: " + r.noun.name + ": " + err.Error())
	}
}

// put sets a property and converts the value to the property's type. A property that the noun does
// not declare keeps the value unconverted.
func (r *Record) put(name string, value any) error {
	key := strings.ToLower(name)
	if p, ok := r.noun.property(name, r.org.c.Side); ok {
		v, err := p.normal(value)
		if err != nil {
			return err
		}
		r.values[key] = v
		return nil
	}
	switch v := value.(type) {
	case nil, bool, int64, string, []string, []byte, time.Time:
		if _, known := r.values[key]; !known {
			r.extra = append(r.extra, name)
		}
		r.values[key] = v
		return nil
	case int:
		return r.put(name, int64(v))
	}
	return fmt.Errorf("property %s cannot hold a %T", name, value)
}

// identity is how Get prints the object's Identity.
func (r *Record) identity() string {
	if r.noun.server && r.text("Server") != "" {
		leaf := r.text("Name")
		if r.noun.name == "ExchangeCertificate" {
			leaf = r.text("Thumbprint")
		}
		return r.text("Server") + `\` + leaf
	}
	if r.noun.recipient() && r.org.c.Side == exchange.OnPremises {
		return r.org.c.FQDN + "/Users/" + r.text("Name")
	}
	return r.text("Name")
}

// distinguishedName is where the object would be in the directory; "" when it is not in the
// directory.
func (r *Record) distinguishedName() string {
	if given := r.text("DistinguishedName"); given != "" {
		return given
	}
	root := "CN=" + escapeRDN(r.org.c.Name) + ",CN=Microsoft Exchange,CN=Services,CN=Configuration,DC=" +
		strings.ReplaceAll(r.org.c.FQDN, ".", ",DC=")
	if r.org.c.Side == exchange.Online {
		root = "CN=Configuration,CN=" + escapeRDN(r.org.c.Name) + ",CN=ConfigurationUnits,DC=" +
			strings.ReplaceAll(r.org.c.FQDN, ".", ",DC=")
	}
	leaf := "CN=" + escapeRDN(r.text("Name"))
	switch {
	case r.noun.container == ".":
		if r.noun.name == "OrganizationConfig" {
			return root
		}
		return leaf + "," + root
	case r.noun.container == "-" && !r.noun.single:
		if r.noun.recipient() {
			return leaf + ",CN=Users,DC=" + strings.ReplaceAll(r.org.c.FQDN, ".", ",DC=")
		}
		return leaf + "," + root
	case r.noun.container == "-":
		return leaf + "," + root
	case r.noun.server:
		return leaf + "," + r.noun.container + ",CN=" + escapeRDN(r.text("Server")) +
			",CN=Servers,CN=Exchange Administrative Group (FYDIBOHF23SPDLT),CN=Administrative Groups," + root
	}
	return leaf + "," + r.noun.container + "," + root
}

func escapeRDN(s string) string {
	return strings.NewReplacer(`\`, `\\`, `,`, `\,`, `+`, `\+`, `"`, `\"`, `<`, `\<`, `>`, `\>`, `;`, `\;`, `=`, `\=`,
		"\n", `\0A`).Replace(s)
}

// is reports whether an Identity finds the object. An asterisk matches any text, as in Get cmdlets.
func (r *Record) is(identity string) bool {
	if bare := strings.TrimSuffix(strings.TrimPrefix(identity, "{"), "}"); len(bare) == len(identity)-2 &&
		looksLikeGUID(bare) {
		identity = bare
	}
	candidates := []string{r.text("Name"), r.identity(), r.text("Guid"), r.distinguishedName()}
	for _, name := range r.noun.also {
		switch v := r.get(name).(type) {
		case string:
			candidates = append(candidates, v)
		case []string:
			candidates = append(candidates, v...)
		}
	}
	for _, address := range asList(r.get("EmailAddresses")) {
		candidates = append(candidates, address)
		if _, plain, ok := strings.Cut(address, ":"); ok {
			candidates = append(candidates, plain)
		}
	}
	if r.noun.recipient() {
		forest, _, _ := strings.Cut(r.org.c.FQDN, ".")
		candidates = append(candidates, r.org.c.FQDN+"/Users/"+r.text("Name"))
		if account := r.text("SamAccountName"); account != "" {
			candidates = append(candidates, forest+`\`+account)
		}
	}
	return slices.ContainsFunc(candidates, func(c string) bool { return c != "" && matches(identity, c) })
}

func asList(v any) []string { l, _ := v.([]string); return l }

// matches compares without case; * in the pattern stands for any text.
func matches(pattern, s string) bool {
	pattern, s = strings.ToLower(pattern), strings.ToLower(s)
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == s
	}
	if !strings.HasPrefix(s, parts[0]) {
		return false
	}
	s = s[len(parts[0]):]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
	return strings.HasSuffix(s, parts[len(parts)-1])
}
