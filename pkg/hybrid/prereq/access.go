package prereq

import (
	"context"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

var accessChecks = []Check{
	{
		ID:    "access.onprem",
		Title: "The Exchange credential may run the cmdlets that are needed",
		Scope: check.PerForest,
		Why:   "A plan that stops half-way for want of a right leaves lookups in between.",
		Fix:   "Add the account to the role group Organization Management, or to one with the roles that hold the cmdlets named.",
		Run: func(ctx context.Context, in Input) check.Result {
			allowed, err := in.Forest.Rights.Get(ctx)
			if err != nil {
				return check.Unknown(err)
			}
			return rights(in.Forest.Name(), allowed, Cmdlets(desired.OnPremises))
		},
	},
	{
		ID:    "access.online",
		Title: "The tenant's credential may run the Exchange Online cmdlets that are needed",
		Scope: check.PerTenant,
		Why:   "A plan that stops half-way for want of a right leaves lookups in between.",
		Fix:   "Give the application Exchange.ManageAsApp and the directory role Exchange Administrator, or sign in as a member of Organization Management.",
		Run: func(ctx context.Context, in Input) check.Result {
			allowed, err := in.Tenant.Rights.Get(ctx)
			if err != nil {
				return check.Unknown(err)
			}
			return rights("Exchange Online", allowed, Cmdlets(desired.Online))
		},
	},
	{
		ID:    "access.entra",
		Title: "The tenant's credential may manage the hybrid applications",
		Scope: check.PerTenant,
		Why:   "The dedicated application, its certificate, its consent and the names of the forests' hosts are written through Microsoft Graph.",
		Fix:   "Grant Application.ReadWrite.All, AppRoleAssignment.ReadWrite.All, Organization.Read.All and Domain.Read.All (or Directory.Read.All for the last two), with an administrator's consent.",
		Run: func(ctx context.Context, in Input) check.Result {
			organization, err := in.Tenant.Organization.Get(ctx)
			if err != nil {
				return check.Unknown(err)
			}
			permissions, err := in.Tenant.Permissions.Get(ctx)
			if err != nil {
				return check.Unknown(err)
			}
			if len(permissions) > 0 {
				var lacking []string
				for _, alternatives := range graphRights {
					if !slices.ContainsFunc(alternatives, func(a string) bool { return slices.Contains(permissions, a) }) {
						lacking = append(lacking, strings.Join(alternatives, " or "))
					}
				}
				if len(lacking) > 0 {
					return check.Failed("the credential lacks %s", strings.Join(lacking, ", ")).With("lacking", lacking)
				}
			}
			return check.Pass("tenant %s (%s) answers", organization.DisplayName, organization.ID)
		},
	},
}

// graphRights are the permissions that the plan needs, each with those that include it.
var graphRights = [][]string{
	{"Application.ReadWrite.All"}, // of all: the names of Exchange Online's principal are written, too
	{"AppRoleAssignment.ReadWrite.All"},
	{"Organization.Read.All", "Organization.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"},
	{"Domain.Read.All", "Domain.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"},
}

// readCmdlets are the cmdlets that facts are read with, beside those of the kinds.
var readCmdlets = map[string][]string{
	desired.OnPremises: {"Get-OrganizationConfig", "Get-ExchangeServer", "Get-AcceptedDomain", "Get-AuthConfig", "Get-ExchangeCertificate", "Get-WebServicesVirtualDirectory", "Get-AutodiscoverVirtualDirectory"},
	desired.Online:     {"Get-OrganizationConfig", "Get-AcceptedDomain"},
}

// Cmdlets lists what check, plan, apply and rollback run on a side, sorted.
func Cmdlets(side string) []string {
	reads, writes := desired.Rights(side, nil)
	out := slices.Concat(readCmdlets[side], reads, writes)
	slices.Sort(out)
	return slices.Compact(out)
}

// rights judges what may be run of what is needed. Without a Remove cmdlet everything can be made, but not taken back.
func rights(where string, allowed map[string]exchange.Allowance, needed []string) check.Result {
	have := map[string]bool{}
	for name := range allowed {
		have[strings.ToLower(name)] = true
	}
	var lacking, removing []string
	for _, name := range needed {
		switch {
		case have[strings.ToLower(name)]:
		case strings.HasPrefix(name, "Remove-"):
			removing = append(removing, name)
		default:
			lacking = append(lacking, name)
		}
	}
	switch {
	case len(lacking) > 0:
		return check.Failed("%s: the credential may not run %s", where, someOf(lacking)).With("lacking", slices.Concat(lacking, removing))
	case len(removing) > 0:
		return check.Warned("%s: the credential may not run %s: what is made cannot be rolled back", where, someOf(removing)).With("lacking", removing)
	}
	return check.Pass("%s: all %d cmdlets may be run", where, len(needed))
}

// TokenPermissions are the permissions that an access token names (roles for an application, scp for a person); nil when it cannot
// be read, which is its issuer's right.
func TokenPermissions(token string) []string {
	claims, err := oauth.AccessToken{Value: secret.NewValue(token)}.Claims()
	if err != nil {
		return nil
	}
	return append(claims.Strings("roles"), strings.Fields(claims.String("scp"))...)
}
