package fact

import (
	"context"

	"github.com/hybridge-cli/hybridge/pkg/estate/directory"
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
			return ScanUsers(s.Name(), d.Users(ctx))
		})
	},
}

// Duplicates are the addresses that more than one user holds, in one forest or in several.
var Duplicates = Derive(AtOrganization, List(Users), func(ctx context.Context, s *Side) ([]Duplicate, error) {
	return findDuplicates(ctx, s.set.Forests)
})
