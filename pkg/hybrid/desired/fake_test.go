package desired

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/wire/dns"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

const (
	tenantID   = "11111111-2222-3333-4444-555555555555"
	contosoOrg = "AAAAAAAA-0000-0000-0000-000000000001"
	fabrikam   = "bbbbbbbb-0000-0000-0000-000000000002"
)

// organization is an Exchange organization in memory. Every command is checked against the cmdlet
// catalogue.
type organization struct {
	side     exchange.Side
	objects  map[string][]map[string]any // by noun, oldest first
	commands []exchange.Command
	fail     map[string]error
}

func newOrganization(side exchange.Side) *organization {
	o := &organization{side: side, objects: map[string][]map[string]any{}, fail: map[string]error{}}
	if side == exchange.Online {
		o.objects["OrganizationConfig"] = []map[string]any{{"Name": "contoso.onmicrosoft.com", "EwsEnabled": nil,
			"EwsAllowedAppIDs": ""}}
	} else {
		o.objects["OrganizationConfig"] = []map[string]any{{"Name": "organization", "EwsEnabled": nil}}
		methods := []string{"Ntlm", "OAuth"}
		o.objects["WebServicesVirtualDirectory"] = []map[string]any{{"Name": `EX1\EWS (Default Web Site)`,
			"InternalAuthenticationMethods": methods, "ExternalUrl": "https://mail.contoso.com/EWS/Exchange.asmx"}}
		o.objects["AutodiscoverVirtualDirectory"] = []map[string]any{{"Name": `EX1\Autodiscover (Default Web Site)`,
			"InternalAuthenticationMethods": methods}}
		o.objects["PartnerApplication"] = []map[string]any{{"Name": "Exchange Online",
			"ApplicationIdentifier": oauth.AppExchangeOnline, "Realm": "", "Enabled": false}}
	}
	return o
}

func (o *organization) Close(context.Context) error { return nil }

func (o *organization) Allowed(_ context.Context, cmdlets ...string) (map[string]exchange.Allowance, error) {
	out := map[string]exchange.Allowance{}
	for _, c := range cmdlets {
		out[c] = exchange.Allowance{}
	}
	return out, nil
}

func (o *organization) Run(_ context.Context, c exchange.Command) ([]exchange.Object, error) {
	if err := o.fail[c.Name]; err != nil {
		return nil, err
	}
	bound, err := exchange.Catalogue().Bind(c, o.side)
	if err != nil {
		return nil, err
	}
	o.commands = append(o.commands, c)
	verb, noun := c.Verb(), c.Noun()
	index := func() (int, error) {
		if noun == "OrganizationConfig" || noun == "HybridConfiguration" && len(o.objects[noun]) > 0 {
			return 0, nil
		}
		i := slices.IndexFunc(o.objects[noun], func(m map[string]any) bool { return m["Name"] == bound["Identity"] })
		if i < 0 {
			return 0, fmt.Errorf("%s: %v: %w", c.Name, bound["Identity"], exchange.ErrNotFound)
		}
		return i, nil
	}
	switch verb {
	case "Get":
		var out []exchange.Object
		for _, m := range o.objects[noun] {
			out = append(out, object(m))
		}
		return out, nil
	case "New":
		m := maps.Clone(bound)
		if noun == "AuthServer" {
			m["Realm"] = tenantID
			if m["Type"] == nil {
				m["Type"] = "MicrosoftACS"
			}
		}
		if noun == "SettingOverride" {
			m["ComponentName"], m["SectionName"] = m["Component"], m["Section"]
		}
		if noun == "HybridConfiguration" {
			m["Name"] = "Hybrid Configuration"
		}
		if noun == "InboundConnector" {
			m["SenderDomains"] = spaces(m["SenderDomains"])
		}
		o.objects[noun] = append(o.objects[noun], m)
		return []exchange.Object{object(m)}, nil
	case "Add":
		m := maps.Clone(bound)
		m["Name"] = m["ForestName"]
		o.objects[noun] = append(o.objects[noun], m)
		return []exchange.Object{object(m)}, nil
	case "Enable": // OrganizationCustomization
		o.objects["OrganizationConfig"][0]["IsDehydrated"] = false
		return nil, nil
	case "Set":
		i, err := index()
		if err != nil {
			return nil, err
		}
		for k, v := range bound {
			if k != "Identity" {
				o.objects[noun][i][k] = v
			}
		}
		return nil, nil
	case "Remove":
		i, err := index()
		if err != nil {
			return nil, err
		}
		o.objects[noun] = slices.Delete(o.objects[noun], i, i+1)
		return nil, nil
	}
	return nil, fmt.Errorf("%s: not in this organization", c.Name)
}

// spaces returns domains as Exchange Online shows address spaces.
func spaces(v any) []string {
	var out []string
	for _, s := range texts(v) {
		if !strings.Contains(s, ":") {
			s = "smtp:" + s + ";1"
		}
		out = append(out, s)
	}
	return out
}

func object(m map[string]any) exchange.Object {
	pairs := []any{"Identity", m["Name"]}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		pairs = append(pairs, k, m[k])
	}
	return exchange.NewObject(nil, fmt.Sprint(m["Name"]), pairs...)
}

// tenant is the part of Microsoft Graph that the kinds use, in memory.
type tenant struct {
	mu      sync.Mutex
	objects map[string][]map[string]any // by collection
	n       int
	calls   []string
	late    int // the number of further requests that are answered with "the object is not known yet"
}

var errNotYet = &entra.Error{Status: 404, Code: "Request_ResourceNotFound"}

func newTenant() *tenant {
	return &tenant{objects: map[string][]map[string]any{"servicePrincipals": {{
		"id": "eeeeeeee-0000-0000-0000-000000000005", "appId": oauth.AppExchangeOnline,
		"displayName":           "Office 365 Exchange Online",
		"servicePrincipalNames": []any{oauth.AppExchangeOnline, "https://outlook.office365.com"},
	}}}}
}

func (t *tenant) id() string {
	t.n++
	return fmt.Sprintf("00000000-0000-0000-0000-%012d", t.n)
}

func (t *tenant) List(ctx context.Context, path string) ([]map[string]any, error) {
	answer, err := t.Do(ctx, "GET", path, nil)
	if err != nil {
		return nil, err
	}
	var out []map[string]any
	for _, v := range answer["value"].([]any) {
		out = append(out, v.(map[string]any))
	}
	return out, nil
}

// requests are a Graph that also writes.
type requests interface {
	Graph
	Do(ctx context.Context, method, path string, body any) (map[string]any, error)
}

func (t *tenant) Get(ctx context.Context, path string) (map[string]any, error) {
	return t.Do(ctx, "GET", path, nil)
}

func (t *tenant) Do(_ context.Context, method, path string, body any) (map[string]any, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls = append(t.calls, method+" "+path)
	path, query, _ := strings.Cut(path, "?")
	parts := strings.Split(strings.Trim(path, "/"), "/")
	in, _ := body.(map[string]any)
	collection := parts[0]
	if len(parts) >= 3 {
		collection = strings.Join(parts[:3], "/")
	}
	if method != "GET" && t.late > 0 {
		t.late--
		return nil, errNotYet
	}
	switch method {
	case "GET":
		if len(parts) == 2 {
			for _, m := range t.objects[collection] {
				if m["id"] == parts[1] {
					return maps.Clone(m), nil
				}
			}
			return nil, errNotYet
		}
		list := []any{}
		for _, m := range t.objects[collection] {
			if matchesFilter(query, m) {
				m = maps.Clone(m)
				m["keyCredentials"] = withoutKeys(m["keyCredentials"])
				list = append(list, m)
			}
		}
		return map[string]any{"value": list}, nil
	case "POST":
		m := maps.Clone(in)
		m["id"] = t.id()
		if collection == "applications" {
			m["appId"] = t.id()
		}
		t.objects[collection] = append(t.objects[collection], m)
		return m, nil
	}
	at := parts[len(parts)-1]
	i := slices.IndexFunc(t.objects[collection], func(m map[string]any) bool { return m["id"] == at })
	if i < 0 {
		return nil, fmt.Errorf("%s %s: no such object", method, path)
	}
	if method == "DELETE" {
		t.objects[collection] = slices.Delete(t.objects[collection], i, i+1)
		return nil, nil
	}
	maps.Copy(t.objects[collection][i], in)
	return nil, nil
}

// withoutKeys returns key credentials as a list of Graph shows them.
func withoutKeys(credentials any) any {
	var out []any
	for _, k := range elements(credentials) {
		k := maps.Clone(k.(map[string]any))
		k["key"] = nil
		out = append(out, k)
	}
	return out
}

func matchesFilter(query string, m map[string]any) bool {
	query = strings.NewReplacer("%20", " ", "%27", "'").Replace(query)
	expression, _, _ := strings.Cut(strings.TrimPrefix(query, "$filter="), "&")
	property, value, ok := strings.Cut(expression, " eq ")
	return !ok || m[property] == strings.Trim(value, "'")
}

// facts are what the sides answer.
type facts struct {
	Tenant  tenantFacts
	Forests []forestFacts
	Now     time.Time
	// live answers what mail flow reads from the organizations of a world. Without it, it is
	// seeded.
	live *world
}

type tenantFacts struct {
	ID, OrganizationGUID string
	VerifiedDomains      []string
	CoexistenceDomain    string
	Exchange, Graph      resource
	// Relationships and Connectors are the holders of domains there.
	Relationships, Connectors []fact.Holder
	Grantees                  []fact.Grantee
	Dehydrated                bool
	Exchangers                []string // of the coexistence domain, as Graph expects them
}

// resource is a service principal that offers permissions: ids by value.
type resource struct {
	ID    string
	Roles map[string]string
}

type forestFacts struct {
	Name, OrganizationGUID, RootDomain string
	AcceptedDomains                    []string
	AuthCertificates                   []authCertificate
	Servers                            []fact.MailboxServer
	Application                        *fact.Application
	Overrides                          []fact.SettingOverride
	Relationships, Connectors          []fact.Holder
	Partners                           []fact.PartnerApplication
	Edge                               []fact.Server
	Transport                          *x509.Certificate // in the answers and on every server
	Stored                             []*x509.Certificate
	Directories                        []fact.VirtualDirectory // healthy ones when nil
	Clients                            []fact.ClientDirectory
	ClientsUnknown                     error // why Clients are not known
	Unknown                            error // why none of it is known
}

// set returns a set whose sides answer with these facts.
func (f facts) set(a answers.Answers, c cloud.Cloud) *fact.Set {
	set := fact.New(a, c)
	set.Now = func() time.Time { return f.Now }
	if set.Tenant == nil {
		return set
	}
	organization := entra.Organization{ID: f.Tenant.ID}
	for _, d := range f.Tenant.VerifiedDomains {
		organization.VerifiedDomains = append(organization.VerifiedDomains, entra.VerifiedDomain{Name: d})
	}
	fact.Tenant.Seed(set.Tenant, organization, nil)
	fact.OnlineConfig.Seed(set.Tenant, fact.OnlineOrganization{GUID: f.Tenant.OrganizationGUID,
		Dehydrated: f.Tenant.Dehydrated}, nil)
	fact.MailExchangers.SeedAll(set.Tenant, func(string) ([]string, error) { return f.Tenant.Exchangers, nil })
	fact.MX.SeedAll(set.Network, func(string) ([]string, error) { return nil, dns.ErrAbsent })
	if f.live != nil {
		set.Tenant.Exchange = session(f.live.online)
	} else {
		fact.InboundConnectors.Seed(set.Tenant, nil, nil)
		fact.OutboundConnectors.Seed(set.Tenant, nil, nil)
		fact.HybridOrganizations.Seed(set.Tenant, nil, nil)
	}
	fact.MigrationEndpoints.Seed(set.Tenant, nil, nil)
	fact.OnlineRelationships.Seed(set.Tenant, f.Tenant.Relationships, nil)
	fact.OnlineConnectors.Seed(set.Tenant, f.Tenant.Connectors, nil)
	fact.Grantees.SeedAll(set.Tenant, func(string) ([]fact.Grantee, error) { return f.Tenant.Grantees, nil })
	fact.OnlineAcceptedDomains.Seed(set.Tenant,
		[]fact.AcceptedDomain{{Name: f.Tenant.CoexistenceDomain, Coexistence: true}}, nil)
	for appID, r := range map[string]resource{oauth.AppExchangeOnline: f.Tenant.Exchange,
		oauth.AppGraph: f.Tenant.Graph} {
		sp := entra.ServicePrincipal{ID: r.ID}
		for value, id := range r.Roles {
			sp.AppRoles = append(sp.AppRoles, entra.AppRole{Value: value, ID: id, IsEnabled: true})
		}
		fact.Principal.Seed(set.Tenant, appID, sp, nil)
	}
	for _, side := range set.Forests {
		i := slices.IndexFunc(f.Forests, func(ff forestFacts) bool { return ff.Name == side.Name() })
		ff := forestFacts{Unknown: missing("facts", "forest "+side.Name())}
		if i >= 0 {
			ff = f.Forests[i]
		}
		auth := fact.AuthConfig{Servers: map[string][]*x509.Certificate{}}
		for i, c := range ff.AuthCertificates {
			parsed := c.parsed()
			auth.Servers["EX1"] = append(auth.Servers["EX1"], parsed)
			*[]*string{&auth.Current, &auth.Next}[i] = certificate.Thumbprint(parsed)
		}
		for _, s := range ff.Servers {
			if stored := slices.Concat(ff.Stored, []*x509.Certificate{ff.Transport}); ff.Transport != nil {
				auth.Servers[s.Name] = append(auth.Servers[s.Name], stored...)
			} else {
				auth.Servers[s.Name] = append(auth.Servers[s.Name], ff.Stored...)
			}
		}
		var accepted []fact.AcceptedDomain
		for _, d := range ff.AcceptedDomains {
			accepted = append(accepted, fact.AcceptedDomain{Name: d})
		}
		dedicated := fact.Dedicated{Name: fact.ApplicationName(ff.OrganizationGUID)}
		if ff.Application != nil {
			dedicated.Application = *ff.Application
		}
		fact.DedicatedApplication.Seed(side, dedicated, ff.Unknown)
		fact.AddressPolicies.Seed(side, nil, ff.Unknown)
		fact.Organization.Seed(side, fact.OnPremisesOrganization{GUID: strings.ToLower(ff.OrganizationGUID),
			RootDomain: ff.RootDomain}, ff.Unknown)
		if ff.Unknown != nil {
			ff.Servers = nil
		}
		fact.MailboxServers.Seed(side, ff.Servers, ff.Unknown)
		fact.Servers.Seed(side, append([]fact.Server{{Name: "EX1", FQDN: "ex1." + side.Name() + ".internal"}},
			ff.Edge...), ff.Unknown)
		directories := ff.Directories
		if directories == nil && i >= 0 {
			directories = []fact.VirtualDirectory{
				{Noun: fact.EWSDirectory, Identity: `EX1\EWS (Default Web Site)`, OAuth: true,
					ExternalURL: "https://" + side.Answers.Namespace.EWS + "/EWS/Exchange.asmx"},
				{Noun: fact.AutodiscoverDirectory, Identity: `EX1\Autodiscover (Default Web Site)`, OAuth: true},
			}
		}
		fact.VirtualDirectories.Seed(side, directories, ff.Unknown)
		fact.ClientDirectories.Seed(side, ff.Clients, errors.Join(ff.ClientsUnknown, ff.Unknown))
		fact.Auth.Seed(side, auth, ff.Unknown)
		fact.SettingOverrides.Seed(side, ff.Overrides, ff.Unknown)
		fact.Relationships.Seed(side, ff.Relationships, ff.Unknown)
		fact.Connectors.Seed(side, ff.Connectors, ff.Unknown)
		fact.PartnerApplications.Seed(side, ff.Partners, ff.Unknown)
		fact.AcceptedDomains.Seed(side, accepted, ff.Unknown)
		if f.live != nil {
			side.Exchange = session(f.live.forest(side.Name()))
		} else {
			fact.SendConnectors.Seed(side, nil, ff.Unknown)
			fact.AddressSpaces.Seed(side, nil, ff.Unknown)
			fact.ReceiveConnectors.Seed(side, nil, ff.Unknown)
			fact.HybridConfigurations.Seed(side, fact.HybridConfiguration{}, ff.Unknown)
		}
		if ff.Transport != nil {
			fact.CertificateFile.Seed(side, certificate.Bundle{Leaf: ff.Transport}, nil)
		}
	}
	return set
}

func (w *world) forest(name string) *organization {
	if name == "fabrikam" {
		return w.fabrikam
	}
	return w.contoso
}

func session(o *organization) func(context.Context) (exchange.Reader, error) {
	return func(context.Context) (exchange.Reader, error) { return exchange.ReadOnly(o), nil }
}

// resourcesOf returns the resources of complete facts. Otherwise the error says what is unknown.
func resourcesOf(t *testing.T, f facts, a answers.Answers, c cloud.Cloud) ([]change.Resource, error) {
	t.Helper()
	resources, left, err := Resources(t.Context(), f.set(a, c))
	for _, l := range left {
		err = errors.Join(err, l.Err)
	}
	return resources, err
}

// world is two forests and a tenant.
type world struct {
	contoso, fabrikam, online *organization
	entra                     *tenant
	places                    map[string]change.Place
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{contoso: newOrganization(exchange.OnPremises), fabrikam: newOrganization(exchange.OnPremises),
		online: newOrganization(exchange.Online), entra: newTenant()}
	exchangeAt := func(name string, o *organization) change.Place {
		return change.NewPlace(name, Exchange, func(context.Context) (exchange.Session, error) { return o, nil }, nil)
	}
	w.places = map[string]change.Place{
		"onprem/contoso":  exchangeAt("onprem/contoso", w.contoso),
		"onprem/fabrikam": exchangeAt("onprem/fabrikam", w.fabrikam),
		"online":          exchangeAt("online", w.online),
		"entra":           entraAt(w.entra, fact.ApplicationName(contosoOrg), fact.ApplicationName(fabrikam)),
	}
	return w
}

func entraAt(g requests, names ...string) change.Place {
	var applications []fact.Dedicated
	for _, name := range names {
		applications = append(applications, fact.Dedicated{Name: name})
	}
	return entraPlace(g, applications...)
}

func entraPlace(g requests, applications ...fact.Dedicated) change.Place {
	return change.NewPlace("entra", MicrosoftGraph, func(context.Context) (*DirectoryWriter, error) {
		return &DirectoryWriter{Do: g.Do, Directory: Directory{
			Graph: g, Pause: 1, Now: func() time.Time { return now },
			Applications: func(context.Context) ([]fact.Dedicated, error) { return applications, nil },
		}}, nil
	}, nil)
}

// carryOut runs the changes of a plan in sequence, as the engine would.
func (w *world) carryOut(t *testing.T, p change.Plan) {
	t.Helper()
	made := map[string]change.Properties{}
	for _, c := range p.Changes {
		for _, command := range c.Commands() {
			parameters, err := change.Resolve(command.Parameters, func(r change.Ref) (any, error) {
				v, ok := made[r.Change][r.Property]
				if !ok {
					return nil, fmt.Errorf("%s is not known", r)
				}
				return v, nil
			})
			if err != nil {
				t.Fatalf("%s: %v", c.ID, err)
			}
			out, err := w.places[c.Target].Run(t.Context(),
				change.Command{Name: command.Name, Parameters: parameters.(map[string]any), Then: command.Then})
			if err != nil {
				t.Fatalf("%s: %s: %v", c.ID, command.Name, err)
			}
			made[c.ID] = out
		}
	}
}

// authCertificate is the public half of an Exchange auth certificate.
type authCertificate struct {
	der []byte
	end time.Time
}

func (c authCertificate) parsed() *x509.Certificate {
	return &x509.Certificate{Raw: c.der, NotAfter: c.end}
}

func x509s(list []authCertificate) (out []*x509.Certificate) {
	for _, c := range list {
		out = append(out, c.parsed())
	}
	return out
}
