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

// Rights are what an account may do in one system, limited to the rights that were queried.
type Rights struct {
	names map[string]bool // lower case; false: queried and missing
}

// NewRights returns rights from what was queried and what of it is granted.
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

// Lacks reports whether none of the alternatives is granted. What was not queried is unknown, not
// lacking.
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

// Tells reports whether it is known if one of the alternatives is granted.
func (r Rights) Tells(alternatives ...string) bool {
	return slices.ContainsFunc(alternatives, func(a string) bool {
		_, asked := r.names[strings.ToLower(a)]
		return asked
	})
}

// OnPremisesRights are the cmdlets that the account may run, per forest.
var OnPremisesRights = cmdletRights(AtForest, OnPremises)

// OnlineRights are the cmdlets that the tenant's account may run in Exchange Online.
var OnlineRights = cmdletRights(AtTenant, Online)

func cmdletRights(at At, system System) *Query[Rights] {
	return &Query[Rights]{
		question: question{at, []Source{{System: system, Ask: "Get-Command"}}},
		ask: func(ctx context.Context, side *Side) (Rights, error) {
			return with(ctx, side, side.Session, func(ctx context.Context, s exchange.Reader) (Rights, error) {
				cmdlets := side.set.Cmdlets[system]
				allowed, err := s.Allowed(ctx, cmdlets...)
				if err != nil {
					return Rights{}, err
				}
				asked := slices.DeleteFunc(slices.Clone(cmdlets), func(c string) bool { return allowed[c].Untold })
				return NewRights(asked, names(allowed)), nil
			})
		},
	}
}

func names(allowed map[string]exchange.Allowance) []string {
	var out []string
	for name, a := range allowed {
		if !a.Untold {
			out = append(out, name)
		}
	}
	return out
}

// Grant is what an access token shows of its holder's rights in Microsoft Graph. A claim that is
// absent is unknown: Entra promises none.
type Grant struct {
	Permissions []string // roles of an application, scopes of a person
	Delegated   bool     // a person signed in
	// Roles are the ids of the person's directory roles; nil when the token does not show them.
	Roles []string
}

// Has reports whether the token shows a permission.
func (g Grant) Has(permission string) bool {
	return slices.ContainsFunc(g.Permissions, func(p string) bool { return strings.EqualFold(p, permission) })
}

// Permissions are what the tenant's token grants.
var Permissions = &Query[Grant]{
	question: question{AtTenant, []Source{{System: Entra, Ask: "access token"}}},
	ask: func(ctx context.Context, s *Side) (Grant, error) {
		token, err := with(ctx, s, s.Token, itself)
		if err != nil {
			return Grant{}, err
		}
		return TokenGrant(token), nil
	},
}

// TokenGrant reads the claims of an access token. The grant is empty when the token cannot be read:
// tokens are opaque to clients.
func TokenGrant(token string) Grant {
	claims, err := oauth.AccessToken{Value: secret.NewValue(token)}.Claims()
	if err != nil {
		return Grant{}
	}
	scopes := strings.Fields(claims.String("scp"))
	return Grant{
		Permissions: append(claims.Strings("roles"), scopes...),
		Delegated:   len(scopes) > 0 || claims.String("idtyp") == "user",
		Roles:       claims.Strings("wids"),
	}
}

// ownRights is the scope with which the directory roles of the signed-in person decide.
const ownRights = "Directory.AccessAsUser.All"

// Directory roles by their id, with the permissions that they amount to.
var directoryRoles = map[string][]string{
	"62e90394-69f5-4237-9190-012177145e10": graphPermissions, // Global Administrator
	"9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3": WritePermissions, // Application Administrator
	"158c047a-c907-4556-b7ef-446551a6b5f7": WritePermissions, // Cloud Application Administrator
	// Privileged Role Administrator
	"e8611ab8-c189-46e8-94e1-60213ab1f814": {"AppRoleAssignment.ReadWrite.All"},
}

// noRoles are ids in the claim wids of people without a directory role.
var noRoles = []string{"b79fbf4d-3ef9-4689-8143-76b194e85509", "0997a1d0-0d1d-4acb-b408-d5ca73121e90"}

// rights returns the rights that the token shows. A person reads with the rights of a member, which
// a tenant may restrict. What only roles decide is known when the token names a role that has it,
// or no role at all. Otherwise the request itself decides.
func (g Grant) rights() Rights {
	if len(g.Permissions) == 0 {
		return Rights{}
	}
	own := func(p string) bool { return strings.EqualFold(p, ownRights) }
	if !g.Delegated || !slices.ContainsFunc(g.Permissions, own) {
		return NewRights(graphPermissions, g.Permissions)
	}
	allowed := slices.Clone(g.Permissions)
	administrator := false
	for _, role := range g.Roles {
		allowed = append(allowed, directoryRoles[strings.ToLower(role)]...)
		administrator = administrator || !slices.Contains(noRoles, strings.ToLower(role))
	}
	var asked []string
	if g.Roles != nil && !administrator {
		asked = WritePermissions
	}
	return NewRights(asked, allowed)
}

// RightsIn returns the rights of a side's account in a system. A right that the system does not
// report is not lacking.
func RightsIn(ctx context.Context, system System, s *Side) (Rights, error) {
	switch system {
	case OnPremises:
		return OnPremisesRights.In(ctx, s)
	case Online:
		return OnlineRights.In(ctx, s)
	case Entra:
		grant, err := Permissions.In(ctx, s)
		return grant.rights(), err
	}
	return Rights{}, nil
}

// Missing returns the rights that accounts lack for a fact, in the given forest. A nil forest means
// all of them. Where the rights themselves cannot be read, the fact's own lookup says why.
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

// sideOf returns the kind of side that a system with rights belongs to.
func sideOf(system System) At {
	switch system {
	case OnPremises:
		return AtForest
	case WorkMail:
		return AtWorkMail
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

// WritePermissions are the Graph permissions that applying a plan requires. OwnedBy is not enough:
// apply also writes the names of Exchange Online's own service principal.
var WritePermissions = []string{"Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All"}
