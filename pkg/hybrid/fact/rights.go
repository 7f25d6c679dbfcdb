package fact

import (
	"context"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

// Rights are what an account may do in one system, as far as was asked.
type Rights struct {
	names map[string]bool // lower case; false: asked for and not there
}

// NewRights makes rights: what was asked for, and what of it is there.
func NewRights(asked, allowed []string) Rights {
	r := Rights{names: map[string]bool{}}
	for _, a := range asked {
		r.names[strings.ToLower(a)] = false
	}
	for _, a := range allowed {
		r.names[strings.ToLower(a)] = true
	}
	return r
}

// Lacks tells whether none of the alternatives is there. What was not asked for is not known, and
// not lacking.
func (r Rights) Lacks(alternatives ...string) bool {
	known := false
	for _, a := range alternatives {
		there, asked := r.names[strings.ToLower(a)]
		if there {
			return false
		}
		known = known || asked
	}
	return known
}

// OnPremisesRights are the cmdlets that the account of a forest may run.
var OnPremisesRights = cmdletRights(AtForest, OnPremises)

// OnlineRights are the cmdlets that the tenant's account may run in Exchange Online.
var OnlineRights = cmdletRights(AtTenant, Online)

func cmdletRights(at At, system System) *Query[Rights] {
	return &Query[Rights]{
		question: question{at, []Source{{System: system, Ask: "Get-Command"}}},
		ask: func(ctx context.Context, side *Side) (Rights, error) {
			return with(ctx, side, side.Exchange, func(ctx context.Context, s exchange.Session) (Rights, error) {
				cmdlets := side.set.Cmdlets[system]
				allowed, err := s.Allowed(ctx, cmdlets...)
				if err != nil {
					return Rights{}, err
				}
				return NewRights(cmdlets, names(allowed)), nil
			})
		},
	}
}

func names(allowed map[string]exchange.Allowance) []string {
	var out []string
	for name := range allowed {
		out = append(out, name)
	}
	return out
}

// Permissions are the Graph permissions that the tenant's token carries; nil when it does not tell.
var Permissions = &Query[[]string]{
	question: question{AtTenant, []Source{{System: Entra, Ask: "access token"}}},
	ask: func(ctx context.Context, s *Side) ([]string, error) {
		token, err := with(ctx, s, s.Token, itself)
		if err != nil {
			return nil, err
		}
		return TokenPermissions(token), nil
	},
}

// TokenPermissions are the permissions that an access token names (roles for an application, scp
// for a person); nil when it cannot be read, which is its issuer's right.
func TokenPermissions(token string) []string {
	claims, err := oauth.AccessToken{Value: secret.NewValue(token)}.Claims()
	if err != nil {
		return nil
	}
	return append(claims.Strings("roles"), strings.Fields(claims.String("scp"))...)
}

// RightsIn are the rights of a side's account in a system. A right that the system does not tell is
// not lacking.
func RightsIn(ctx context.Context, system System, s *Side) (Rights, error) {
	switch system {
	case OnPremises:
		return OnPremisesRights.In(ctx, s)
	case Online:
		return OnlineRights.In(ctx, s)
	case Entra:
		permissions, err := Permissions.In(ctx, s)
		if err != nil || len(permissions) == 0 {
			return Rights{}, err
		}
		return NewRights(graphPermissions, permissions), nil
	}
	return Rights{}, nil
}

// Missing are the rights that accounts lack for a fact: in the given forest or, without one, in all
// of them. Where the rights themselves cannot be read, the fact's own lookup says why.
func (s *Set) Missing(ctx context.Context, forest *Side, f Fact) []msg.Text {
	var out []msg.Text
	for _, source := range f.Sources() {
		if len(source.Right) == 0 {
			continue
		}
		for _, side := range s.Sides(sideOf(source.System), forest) {
			rights, err := RightsIn(ctx, source.System, side)
			if err != nil || !rights.Lacks(source.Right...) {
				continue
			}
			out = append(out, msg.Of("%s in %s", msg.Alternatives(source.Right), side.Place(source.System)))
		}
	}
	return out
}

// sideOf is the kind of side that a system with rights belongs to.
func sideOf(system System) At {
	if system == OnPremises {
		return AtForest
	}
	return AtTenant
}

// The Graph permissions that reading needs; the first of each is the least.
var (
	readOrganization = readOf("Organization")
	readDomains      = readOf("Domain")
	readApplications = readOf("Application")

	graphPermissions = slices.Concat(readOrganization, readDomains, readApplications, WritePermissions)
)

func readOf(what string) []string {
	return []string{what + ".Read.All", what + ".ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"}
}

// WritePermissions are the Graph permissions that plans are applied with. Application.ReadWrite.All
// and not OwnedBy: the names of Exchange Online's own service principal are written, too.
var WritePermissions = []string{"Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All"}
