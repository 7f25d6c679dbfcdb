package fact

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

// SharedKeys are the keys at the service principal of Exchange Online, with their certificates:
// Graph shows these for a single object only.
var SharedKeys = FromGraph("/servicePrincipals/{Exchange Online}", readApplications,
	func(g Graph, ctx context.Context) ([]entra.KeyCredential, error) {
		principal, err := g.ServicePrincipal(ctx, oauth.AppExchangeOnline)
		if err != nil {
			return nil, err
		}
		if len(principal.KeyCredentials) == 0 {
			return nil, nil
		}
		whole, err := g.Get(ctx, "/servicePrincipals/"+url.PathEscape(principal.ID)+
			"?$select=id,keyCredentials")
		if err != nil {
			return nil, err
		}
		var out []entra.KeyCredential
		for _, k := range objectsOf(whole["keyCredentials"]) {
			out = append(out, Credential(k))
		}
		return out, nil
	})

// OwnerOf names the forest whose auth certificate a key is; empty when it is of none of them.
func OwnerOf(key entra.KeyCredential, forest string, auth AuthConfig) string {
	for _, c := range auth.Known() {
		if key.Of(c.Raw) {
			return forest
		}
	}
	return ""
}

// Workaround is a setting override that was written against a fault, and the builds that fix it.
type Workaround struct {
	Name  string // of the override, or its section
	Since []Build
	Fault string
}

// Workarounds are the published ones. Source: the September 2026 security updates.
var Workarounds = []Workaround{{
	Name:  "DisableBlockSharedAndUserMailboxHeaders",
	Since: []Build{{15, 2, 2562, 49}, {15, 2, 1748, 51}, {15, 2, 1544, 46}, {15, 1, 2507, 73}},
	Fault: "wrapper messages in the inbox of shared mailboxes (June to August 2026 security updates)",
}}

// Fixed reports whether a build has the update that makes the workaround unnecessary.
func (w Workaround) Fixed(b Build) Fitness {
	line, known := b.Line()
	if !known {
		return Untold
	}
	for _, since := range w.Since {
		switch {
		case since.Build != line.First.Build:
		case b.Compare(since) >= 0:
			return Fit
		case b == line.First:
			return Untold
		default:
			return Unfit
		}
	}
	if b.Compare(w.Since[0]) > 0 {
		return Fit
	}
	return Unfit
}

// Of reports whether an override is the workaround.
func (w Workaround) Of(o SettingOverride) bool {
	return strings.EqualFold(o.Name, w.Name) || strings.EqualFold(o.Section, w.Name)
}

// Stale returns the workaround that an override is, when no server that the override applies to
// needs it any more. A server whose build does not show its updates may need it.
func Stale(o SettingOverride, servers []MailboxServer) (Workaround, bool) {
	i := slices.IndexFunc(Workarounds, func(w Workaround) bool { return w.Of(o) })
	if i < 0 || len(servers) == 0 {
		return Workaround{}, false
	}
	needed := slices.ContainsFunc(servers, func(s MailboxServer) bool {
		return (o.AppliesTo(s) || o.Unclear(s)) && Workarounds[i].Fixed(s.Build) != Fit
	})
	return Workarounds[i], !needed
}

// FederationTrusts are the names of the trusts of classic federation, per forest.
var FederationTrusts = Cmdlet(OnPremises, getFederationTrust,
	each(getFederationTrust, func(o exchange.Object) (string, error) { return o.String("Name") }))

const getFederationTrust = "Get-FederationTrust"

// AddressPolicy is an email address policy of a forest.
type AddressPolicy struct {
	Name, Identity string
	Legacy         bool // its filter is of Exchange 2003: Exchange changes no such policy
}

const getEmailAddressPolicy = "Get-EmailAddressPolicy"

// AddressPolicies are all email address policies, per forest.
var AddressPolicies = Cmdlet(OnPremises, getEmailAddressPolicy,
	each(getEmailAddressPolicy, func(o exchange.Object) (p AddressPolicy, err error) {
		if p.Name, err = o.String("Name"); err != nil {
			return p, err
		}
		if p.Identity, _ = o.String("Identity"); p.Identity == "" {
			p.Identity = p.Name
		}
		filter, err := exchange.Optional(o.String("RecipientFilterType"))
		p.Legacy = strings.EqualFold(filter, "Legacy")
		return p, err
	}))

const (
	getMoveRequest    = "Get-MoveRequest"
	getMigrationBatch = "Get-MigrationBatch"
)

// What moves or copies mailboxes, or once did and was not removed: names, and of move requests one.
var (
	MoveRequests       = firstMove(OnPremises)
	OnlineMoveRequests = firstMove(Online)
	MigrationBatches   = Cmdlet(Online, getMigrationBatch, each(getMigrationBatch, readIdentity))
)

func firstMove(system System) *Query[[]string] {
	return Session(system, []string{getMoveRequest}, func(ctx context.Context, s exchange.Reader) ([]string, error) {
		objects, err := Get(ctx, s, exchange.Command{Name: getMoveRequest,
			Parameters: map[string]any{"ResultSize": "1"}})
		if err != nil {
			return nil, err
		}
		return each(getMoveRequest, readIdentity)(objects)
	})
}

func readIdentity(o exchange.Object) (string, error) { return o.String("Identity") }

// EndpointAnswer is what Exchange Online found when it tried the address and the account of a
// migration endpoint.
type EndpointAnswer struct {
	OK      bool
	Message string
}

const testMigrationServer = "Test-MigrationServerAvailability"

// EndpointTest tries a migration endpoint, by its name: Exchange Online has its account's password.
// The right is required only where there is an endpoint: accounts that only read lack it.
var EndpointTest = &Keyed[EndpointAnswer]{
	question: question{AtTenant, []Source{{Online, testMigrationServer, nil}}},
	ask: func(ctx context.Context, side *Side, name string) (EndpointAnswer, error) {
		return with(ctx, side, side.Exchange, func(ctx context.Context, s exchange.Reader) (EndpointAnswer, error) {
			return TryEndpoint(ctx, s, name)
		})
	},
}

// TryEndpoint tries a migration endpoint in a session of Exchange Online.
func TryEndpoint(ctx context.Context, s exchange.Reader, name string) (EndpointAnswer, error) {
	objects, err := s.Read(ctx, exchange.Command{Name: testMigrationServer,
		Parameters: map[string]any{"Endpoint": name}})
	if err != nil {
		return EndpointAnswer{}, err
	}
	return one(testMigrationServer, func(o exchange.Object) (a EndpointAnswer, err error) {
		result, err := o.String("Result")
		a.OK = strings.EqualFold(result, "Success")
		a.Message, _ = o.String("Message")
		return a, err
	})(objects)
}
