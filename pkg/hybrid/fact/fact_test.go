package fact

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
)

// cmdlets holds the output of an organization by cmdlet, and counts the calls.
type cmdlets struct {
	prints  map[string][]exchange.Object
	refuses map[string]error // by cmdlet, when it is given parameters
	fails   map[string]error // by cmdlet

	mu    sync.Mutex
	asked map[string]int
}

func (c *cmdlets) Read(_ context.Context, command exchange.Command) ([]exchange.Object, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asked == nil {
		c.asked = map[string]int{}
	}
	c.asked[command.Name]++
	if err := c.refuses[command.Name]; err != nil && len(command.Parameters) > 0 {
		return nil, err
	}
	if err := c.fails[command.Name]; err != nil {
		return nil, err
	}
	objects, ok := c.prints[command.Name]
	if !ok {
		return nil, &exchange.Error{Cmdlet: command.Name, Category: "ObjectNotFound", Message: "no such cmdlet"}
	}
	return objects, nil
}

func (c *cmdlets) Allowed(_ context.Context, names ...string) (map[string]exchange.Allowance, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asked == nil {
		c.asked = map[string]int{}
	}
	c.asked["Allowed"]++
	out := map[string]exchange.Allowance{}
	for _, n := range names {
		if _, ok := c.prints[n]; ok {
			out[n] = exchange.Allowance{}
		}
	}
	return out, nil
}

func (c *cmdlets) Close(context.Context) error { return nil }

func (c *cmdlets) open(context.Context) (exchange.Reader, error) { return c, nil }

func object(pairs ...any) exchange.Object { return exchange.NewObject(nil, "", pairs...) }

// organization makes a set of one forest and the tenant that print the given objects.
func organization(prints map[string][]exchange.Object) (*Set, *cmdlets) {
	set := New(answers.Answers{ExchangeOnline: &answers.ExchangeOnline{}, Forests: []answers.Forest{{Name: "contoso"}}},
		cloud.Cloud{})
	session := &cmdlets{prints: prints}
	set.Forests[0].Exchange, set.Tenant.Exchange = session.open, session.open
	return set, session
}

// read is one question to one side, with its answer as text.
func read[T any](q *Query[T], side func(*Set) *Side) func(ctx context.Context, s *Set) (string, error) {
	return func(ctx context.Context, s *Set) (string, error) {
		v, err := q.In(ctx, side(s))
		return fmt.Sprintf("%+v", v), err
	}
}

func TestAnswersAreRead(t *testing.T) {
	forest := func(s *Set) *Side { return s.Forests[0] }
	tenant := func(s *Set) *Side { return s.Tenant }
	unbound := &exchange.Error{ExceptionType: "System.Management.Automation.ParameterBindingException"}
	unknownParameter := map[string]error{"Get-OrganizationConfig": unbound}
	for _, test := range []struct {
		name    string
		ask     func(context.Context, *Set) (string, error)
		prints  map[string][]exchange.Object
		refuses map[string]error
		want    string // of the answer
		err     string
	}{
		{
			name: "organization", ask: read(Organization, forest),
			prints: map[string][]exchange.Object{"Get-OrganizationConfig": {object("Guid", "AB", "Name", "Contoso",
				"EwsApplicationAccessPolicy", "EnforceAllowList", "EwsAllowList", []any{"OWA/*"},
				"DistinguishedName", "CN=Contoso,CN=Microsoft "+
					"Exchange,CN=Services,CN=Configuration,DC=contoso,DC=com")}},
			want: "{Name:Contoso GUID:ab RootDomain:contoso.com EwsEnabled:<nil> EwsPolicy:{Mode:EnforceAllowList " +
				"Allow:[OWA/*] Block:[] Closed:[]}}",
		},
		{name: "no GUID", ask: read(Organization, forest),
			prints: map[string][]exchange.Object{"Get-OrganizationConfig": {object("Name", "x")}},
			err:    "contoso: Get-OrganizationConfig: "},
		{name: "two organizations", ask: read(Organization, forest),
			prints: map[string][]exchange.Object{"Get-OrganizationConfig": {object(), object()}},
			err:    "2 objects where one was expected"},
		{
			name: "online", ask: read(OnlineConfig, tenant), refuses: unknownParameter,
			prints: map[string][]exchange.Object{"Get-OrganizationConfig": {object("Guid", "AB", "EwsAllowedAppIDs",
				"a, b,")}},
			want: "{GUID:ab EwsEnabled:<nil> EwsAllowedAppIDs:[a b] ListKnown:true EwsPolicy:{Mode: Allow:[] " +
				"Block:[] Closed:[]} Dehydrated:false DirectSendRejected:false}",
		},
		{
			name: "online, list as a list", ask: read(OnlineConfig, tenant),
			prints: map[string][]exchange.Object{"Get-OrganizationConfig": {object("EwsAllowedAppIDs",
				[]any{"a", "b"})}},
			want: "{GUID: EwsEnabled:<nil> EwsAllowedAppIDs:[a b] ListKnown:true EwsPolicy:{Mode: Allow:[] " +
				"Block:[] Closed:[]} Dehydrated:false DirectSendRejected:false}",
		},
		{
			name: "online, list not told", ask: read(OnlineConfig, tenant),
			prints: map[string][]exchange.Object{"Get-OrganizationConfig": {object()}},
			want: "{GUID: EwsEnabled:<nil> EwsAllowedAppIDs:[] ListKnown:false EwsPolicy:{Mode: Allow:[] Block:[] " +
				"Closed:[]} Dehydrated:false DirectSendRejected:false}",
		},
		{
			name: "the switch is no switch", ask: read(OnlineConfig, tenant),
			prints: map[string][]exchange.Object{"Get-OrganizationConfig": {object("EwsEnabled", "perhaps")}},
			err:    "Exchange Online: Get-OrganizationConfig: ",
		},
		{
			name: "servers", ask: read(MailboxServers, forest),
			prints: map[string][]exchange.Object{"Get-ExchangeServer": {
				object("Name", "EX2", "AdminDisplayVersion", "Version 15.2 (Build 2562.17)", "ServerRole", "Mailbox"),
				object("Name", "EX1", "AdminDisplayVersion", "Version 15.2 (Build 2562.17)"),
				object("Name", "EDGE", "AdminDisplayVersion", "?", "IsMailboxServer", false, "IsEdgeServer", true),
			}},
			want: "[{Name:EX1 Build:15.2.2562.17 Given:false} {Name:EX2 Build:15.2.2562.17 Given:false}]",
		},
		{
			name: "a server without a version", ask: read(Servers, forest),
			prints: map[string][]exchange.Object{"Get-ExchangeServer": {object("Name", "EX1")}},
			err:    "contoso: Get-ExchangeServer: EX1: ",
		},
		{
			name: "a version that is none", ask: read(MailboxServers, forest),
			prints: map[string][]exchange.Object{"Get-ExchangeServer": {object("Name", "EX1", "AdminDisplayVersion",
				"eleven")}}, err: `contoso: server EX1: "eleven" is not an Exchange build`,
		},
		{
			name: "auth", ask: read(Auth, forest),
			prints: map[string][]exchange.Object{
				"Get-ExchangeServer":      {object("Name", "EX1", "AdminDisplayVersion", "x")},
				"Get-AuthConfig":          {object("CurrentCertificateThumbprint", strings.Repeat("ab ", 20))},
				"Get-ExchangeCertificate": {object("RawData", []byte("no certificate"))},
			},
			want: "{Current:ABABABABABABABABABABABABABABABABABABABAB Next: Previous: NextEffective:0001-01-01 00:00:00 +0000 " +
				"UTC ServiceName: Realm: Servers:map[EX1:[]]}",
		},
		{
			name: "a store that cannot be read", ask: read(Auth, forest),
			prints: map[string][]exchange.Object{
				"Get-ExchangeServer":      {object("Name", "EX1", "AdminDisplayVersion", "x")},
				"Get-AuthConfig":          {object("CurrentCertificateThumbprint", nil)},
				"Get-ExchangeCertificate": {object("Thumbprint", "AB")},
			},
			err: "contoso: Get-ExchangeCertificate: EX1: ",
		},
		{
			name: "virtual directories", ask: read(VirtualDirectories, forest),
			prints: map[string][]exchange.Object{
				"Get-WebServicesVirtualDirectory": {object("Identity", "EWS", "InternalAuthenticationMethods",
					[]any{"OAuth"}, "ExternalAuthenticationMethods", []any{"oauth"}, "ExternalUrl", "https://x/")},
				"Get-AutodiscoverVirtualDirectory": {object("Identity", "AD", "InternalAuthenticationMethods",
					[]any{"OAuth"}, "ExternalAuthenticationMethods", []any{"Ntlm"})},
			},
			want: "[{Noun:WebServicesVirtualDirectory Identity:EWS OAuth:true ExternalURL:https://x/ MRSProxy:false " +
				"Closed:[WindowsIntegrated WSSecurity]} {Noun:AutodiscoverVirtualDirectory Identity:AD OAuth:false " +
				"ExternalURL: MRSProxy:false Closed:[WindowsIntegrated WSSecurity]}]",
		},
		{
			name: "overrides", ask: read(SettingOverrides, forest),
			prints: map[string][]exchange.Object{"Get-SettingOverride": {object("Name", "a", "SectionName", "b",
				"Server", []any{"EX1"}, "MaxVersion", "15.2")}},
			want: "[{Name:a Section:b Component: Servers:[EX1] MinVersion: MaxVersion:15.2 Parameters:[] Status:}]",
		},
		{name: "an override of nothing", ask: read(SettingOverrides, forest),
			prints: map[string][]exchange.Object{"Get-SettingOverride": {object("Name", "a")}},
			err:    "contoso: Get-SettingOverride: a: "},
		{name: "a refusal", ask: read(SettingOverrides, forest), err: "Get-SettingOverride: no such cmdlet"},
	} {
		t.Run(test.name, func(t *testing.T) {
			set, session := organization(test.prints)
			session.refuses = test.refuses
			got, err := test.ask(t.Context(), set)
			if test.err == "" && (err != nil || got != test.want) {
				t.Errorf("%s, %v; want %s", got, err, test.want)
			}
			if test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)) {
				t.Errorf("error %v, want %q", err, test.err)
			}
		})
	}
}

// A question is asked once per side, also by a derived one. The next run asks again.
func TestAskedOnce(t *testing.T) {
	prints := map[string][]exchange.Object{
		"Get-ExchangeServer":      {object("Name", "EX1", "AdminDisplayVersion", "15.2.2562.17")},
		"Get-AuthConfig":          {object("CurrentCertificateThumbprint", "AB")},
		"Get-ExchangeCertificate": {}, "Get-AcceptedDomain": {object("DomainName", "contoso.com")},
	}
	set, session := organization(prints)
	var wait sync.WaitGroup
	for range 5 {
		wait.Go(func() {
			for _, err := range []error{
				ask(t, Auth, set.Forests[0]), ask(t, Servers, set.Forests[0]), ask(t, MailboxServers, set.Forests[0]),
				ask(t, AcceptedDomains, set.Forests[0]), ask(t, OnlineAcceptedDomains, set.Tenant),
			} {
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	want := map[string]int{"Get-ExchangeServer": 1, "Get-AuthConfig": 1, "Get-ExchangeCertificate": 1,
		"Get-AcceptedDomain": 2}
	if diff := cmp.Diff(want, session.asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

func ask[T any](t *testing.T, q *Query[T], s *Side) error {
	_, err := q.In(t.Context(), s)
	return err
}

// What the answers do not name is not configured: neither absent nor failed.
func TestNotConfigured(t *testing.T) {
	set := New(answers.Answers{Forests: []answers.Forest{{Name: "contoso"}}}, cloud.Cloud{})
	for name, err := range map[string]error{
		"a side":             ask(t, OnlineConfig, set.Tenant),
		"a side, by key":     askKey(t, Applications, set.Tenant),
		"a connection":       ask(t, Servers, set.Forests[0]),
		"a certificate":      ask(t, CertificateFile, set.Forests[0]),
		"resolvers":          askKey(t, TXT, set.Network),
		"a derived question": ask(t, Auth, set.Forests[0]),
	} {
		if !errors.Is(err, ErrNotConfigured) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := ask(t, Servers, set.Network); err == nil || errors.Is(err, ErrNotConfigured) {
		t.Errorf("a question to the wrong kind of side: %v", err)
	}
}

func askKey[T any](t *testing.T, q *Keyed[T], s *Side) error {
	_, err := q.In(t.Context(), s, "key")
	return err
}

// A keyed question is asked once per key.
func TestKeyed(t *testing.T) {
	var asked []string
	q := FromNetwork(DNS, "MX {key}", func(_ context.Context, _ *Side, key string) (string, error) {
		asked = append(asked, key)
		return key + "!", nil
	})
	set := New(answers.Answers{}, cloud.Cloud{})
	for range 3 {
		for _, key := range []string{"a", "b"} {
			if v, err := q.In(t.Context(), set.Network, key); v != key+"!" || err != nil {
				t.Errorf("%s: %s, %v", key, v, err)
			}
		}
	}
	if got := strings.Join(asked, ""); got != "ab" {
		t.Errorf("asked %s", got)
	}
	q.SeedAll(set.Network, func(key string) (string, error) { return "seeded " + key, nil })
	q.Seed(set.Network, "b", "told", nil)
	for key, want := range map[string]string{"a": "seeded a", "b": "told"} {
		if v, err := q.In(t.Context(), set.Network, key); v != want || err != nil {
			t.Errorf("%s: %s, %v", key, v, err)
		}
	}
}

// A right is missing only where the system says so.
func TestMissing(t *testing.T) {
	set, session := organization(map[string][]exchange.Object{"Get-ExchangeServer": nil})
	set.Cmdlets = map[System][]string{OnPremises: {"Get-ExchangeServer", "Get-AuthConfig", "Get-ExchangeCertificate",
		"Get-AcceptedDomain"}, Online: {"Get-AcceptedDomain"}}
	Permissions.Seed(set.Tenant, Grant{Permissions: []string{"Domain.ReadWrite.All"}}, nil)
	missing := func(forest *Side, facts ...Fact) string {
		var out []string
		for _, f := range facts {
			for _, text := range set.Missing(t.Context(), forest, f) {
				out = append(out, text.String())
			}
		}
		return strings.Join(out, "; ")
	}
	for _, test := range []struct {
		name, got, want string
	}{
		{"allowed", missing(set.Forests[0], Servers), ""},
		{"of a derived question", missing(set.Forests[0], Auth),
			"Get-ExchangeCertificate in contoso; Get-AuthConfig in contoso"},
		{"over all forests", missing(nil, AcceptedDomains, OnlineAcceptedDomains),
			"Get-AcceptedDomain in contoso; Get-AcceptedDomain in Exchange Online"},
		{"not asked for", missing(nil, SettingOverrides), ""},
		{"everyone may", missing(nil, TXT, RootDSE), ""},
		{"an alternative is there", missing(nil, TenantDomains), ""},
		{"no alternative is there", missing(nil, Tenant),
			"Organization.Read.All or Organization.ReadWrite.All or Directory.Read.All or Directory.ReadWrite.All in " +
				"Microsoft Graph"},
	} {
		if test.got != test.want {
			t.Errorf("%s: %q, want %q", test.name, test.got, test.want)
		}
	}
	if n := session.asked["Allowed"]; n != 2 {
		t.Errorf("rights were asked for %d times on two sides", n)
	}
	Permissions.Seed(set.Tenant, Grant{}, nil)
	OnPremisesRights.Seed(set.Forests[0], Rights{}, errors.New("no answer"))
	if got := missing(nil, Tenant, Auth); got != "" {
		t.Errorf("rights that cannot be read are missing: %s", got)
	}
	set.Tenant = nil
	if got := missing(nil, OnlineAcceptedDomains, Tenant); got != "" {
		t.Errorf("rights in a tenant that is not configured are missing: %s", got)
	}
}

// Sources name every raw question with its right, those of underlying questions included.
func TestSources(t *testing.T) {
	var asks []string
	for _, s := range SourcesOf(Auth, MailboxServers, Duplicates, Applications, TXT) {
		asks = append(asks, string(s.System)+": "+s.Ask)
	}
	want := []string{
		"Exchange on-premises: Get-ExchangeServer", "DNS: A SERVER",
		"Exchange on-premises: Get-ExchangeCertificate",
		"Exchange on-premises: Get-AuthConfig", "Active Directory: users",
		"Microsoft Graph: GET /applications?$filter=displayName eq '{key}'", "DNS: TXT {key}",
	}
	if diff := cmp.Diff(want, asks); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	known := exchange.Catalogue()
	for _, f := range []Fact{
		Organization, OnlineConfig, Servers, AcceptedDomains, OnlineAcceptedDomains, Auth, VirtualDirectories,
		SettingOverrides,
	} {
		for _, s := range f.Sources() {
			side := exchange.OnPremises
			switch s.System {
			case OnPremises:
			case Online:
				side = exchange.Online
			default:
				continue
			}
			if c, ok := known.Find(s.Ask); !ok || !c.On(side) {
				t.Errorf("%s does not exist in %s", s.Ask, s.System)
			}
		}
	}
}

func TestReadApplication(t *testing.T) {
	got := ReadApplication(map[string]any{
		"id": "o", "appId": "a", "displayName": "n",
		"keyCredentials": []any{map[string]any{"keyId": "k", "usage": "Verify", "length": 3, "key": nil}},
		"requiredResourceAccess": []any{map[string]any{"resourceAppId": "r",
			"resourceAccess": []any{map[string]any{"id": "p", "type": "Role", "x": 1}}}, "?"},
	})
	want := Application{
		ID: "o", AppID: "a", DisplayName: "n", KeyCredentials: []any{map[string]any{"keyId": "k", "usage": "Verify"}},
		RequiredResourceAccess: []any{map[string]any{"resourceAppId": "r",
			"resourceAccess": []any{map[string]any{"id": "p", "type": "Role"}}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if empty := ReadApplication(map[string]any{}); empty.KeyCredentials == nil || empty.RequiredResourceAccess == nil {
		t.Errorf("lists of an application without any: %+v", empty)
	}
}

func TestSeedsAreOfOneSide(t *testing.T) {
	set := New(answers.Answers{Forests: []answers.Forest{{Name: "a"}, {Name: "b"}}}, cloud.Cloud{})
	Servers.Seed(set.Forests[0], []Server{{Name: "EX1"}}, nil)
	if err := ask(t, Servers, set.Forests[1]); !errors.Is(err, ErrNotConfigured) {
		t.Errorf("another side answers with it: %v", err)
	}
	if got := slices.Sorted(maps.Keys(map[string]bool{set.Forests[0].Name(): true, set.Network.Name(): true,
		set.Organization.Name(): true})); strings.Join(got, " ") != "a network organization" {
		t.Errorf("sides are called %v", got)
	}
}
