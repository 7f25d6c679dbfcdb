package fact

import (
	"context"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/estate/directory"
	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
)

// RootDSE is the root of the directory, per forest.
var RootDSE = &Query[directory.RootDSE]{
	question: question{AtForest, []Source{{System: ActiveDirectory, Ask: "rootDSE"}}},
	ask: func(ctx context.Context, s *Side) (directory.RootDSE, error) {
		return with(ctx, s, s.Directory, func(_ context.Context, d Directory) (directory.RootDSE, error) {
			return d.RootDSE(), nil
		})
	},
}

// Users is the result of one pass over the users, per forest.
var Users = &Query[UserScan]{
	question: question{AtForest, []Source{{System: ActiveDirectory, Ask: "users"}}},
	ask: func(ctx context.Context, s *Side) (UserScan, error) {
		return with(ctx, s, s.Directory, func(ctx context.Context, d Directory) (UserScan, error) {
			domains, unknown := TenantDomains.In(ctx, s.set.Tenant)
			known := Known{}
			if unknown == nil {
				known.Domains = verifiedDomains(domains)
			}
			scan, err := ScanUsers(s.Name(), watched(ctx, s, d, 0), known)
			scan.DomainsUnknown = unknown
			return scan, err
		})
	},
}

// verifiedDomains returns the domains whose addresses the tenant accepts, in lower case. The
// coexistence domain comes with the initial one: contoso.mail.onmicrosoft.com.
func verifiedDomains(domains []entra.Domain) map[string]bool {
	out := map[string]bool{}
	for _, d := range domains {
		if !d.IsVerified {
			continue
		}
		name := strings.ToLower(d.ID)
		out[name] = true
		if d.IsInitial {
			first, rest, _ := strings.Cut(name, ".")
			out[first+".mail."+rest] = true
		}
	}
	return out
}

// Duplicates are the addresses that more than one user holds, in one forest or in several.
var Duplicates = Derive(AtOrganization, List(Users), func(ctx context.Context, s *Side) ([]Duplicate, error) {
	return findDuplicates(ctx, s.set.Forests)
})

// DirectoryExchange is the Exchange organization as the directory describes it, per forest.
var DirectoryExchange = &Query[*directory.Exchange]{
	question: question{AtForest, []Source{{System: ActiveDirectory, Ask: "configuration of Exchange"}}},
	ask: func(ctx context.Context, s *Side) (*directory.Exchange, error) {
		return with(ctx, s, s.Directory, func(ctx context.Context, d Directory) (*directory.Exchange, error) {
			return d.Exchange(ctx)
		})
	},
}

// DirectorySetup is what Exchange's setup prepared in the directory, per forest.
var DirectorySetup = &Query[directory.Setup]{
	question: question{AtForest, []Source{{System: ActiveDirectory, Ask: "schema version and groups of old versions"}}},
	ask: func(ctx context.Context, s *Side) (directory.Setup, error) {
		return with(ctx, s, s.Directory, func(ctx context.Context, d Directory) (directory.Setup, error) {
			return d.Setup(ctx)
		})
	},
}
