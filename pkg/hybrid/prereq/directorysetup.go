package prereq

import (
	"context"
	"errors"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/estate/directory"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// directorySetupChecks judge what Exchange's setup made in the directory.
var directorySetupChecks = []Check{
	{
		ID:    "directory.exchange-versions",
		Title: "The directory is prepared for the servers' version of Exchange",
		Scope: PerForest,
		Needs: []check.ID{"directory.reachable"},
		Reads: fact.List(fact.DirectorySetup, fact.DirectoryExchange),
		Why: "Setup extends the schema and raises the version of the organization before it installs a server. " +
			"Versions below those of the newest server mean that the domain controller lags behind, or that the " +
			"schema was restored from a backup: cmdlets then lack parameters and objects.",
		Fix: "Compare the domain controllers (repadmin /showrepl). When all show the same, run setup " +
			"/PrepareSchema and /PrepareAD of the servers' version.",
		Consider: "A schema extension is not undone. It replicates to every domain controller of the forest: run " +
			"it in a maintenance window.",
		Run: func(ctx context.Context, in Input) check.Result {
			setup, err := fact.DirectorySetup.In(ctx, in.Forest)
			if err != nil {
				return check.Unknown(err)
			}
			x, err := fact.DirectoryExchange.In(ctx, in.Forest)
			switch {
			case errors.Is(err, directory.ErrNoExchange):
				return check.NotApplicable("the directory of forest %s shows no Exchange organization",
					in.Forest.Name())
			case err != nil:
				return check.Unknown(err)
			}
			for _, s := range x.Servers {
				wanted, ok := preparedFor(s.Version)
				switch {
				case !ok:
				case setup.SchemaVersion < wanted.schema:
					return check.Failed("the schema of forest %s has version %d, and %s needs %d", in.Forest.Name(),
						setup.SchemaVersion, s.Name, wanted.schema).With("schema", setup.SchemaVersion)
				case x.Organization.ObjectVersion != 0 && x.Organization.ObjectVersion < wanted.organization:
					return check.Failed("the organization of forest %s has version %d, and %s needs %d",
						in.Forest.Name(), x.Organization.ObjectVersion, s.Name, wanted.organization).
						With("organization", x.Organization.ObjectVersion)
				}
			}
			return check.Pass("the directory of forest %s is prepared for its servers (schema %d)", in.Forest.Name(),
				setup.SchemaVersion)
		},
	},
	{
		ID:       "directory.hybrid-container",
		Title:    "The directory has the container for the hybrid configuration",
		Scope:    PerForest,
		Severity: check.Warn,
		Needs:    []check.ID{"directory.reachable"},
		Reads:    fact.List(fact.DirectorySetup),
		Why: "Setup makes CN=Hybrid Configuration below the organization. Without it New-HybridConfiguration " +
			"fails, and Microsoft's wizard stops with \"Object reference not set to an instance of an object\".",
		Fix: "Run setup /PrepareAD, or restore the container.",
		Consider: "/PrepareAD sets rights of the organization again: what was hardened by hand has to be hardened " +
			"again.",
		Run: func(ctx context.Context, in Input) check.Result {
			setup, err := fact.DirectorySetup.In(ctx, in.Forest)
			switch {
			case err != nil:
				return check.Unknown(err)
			case !setup.HybridContainer:
				return check.Warned("the directory of forest %s shows no container Hybrid Configuration",
					in.Forest.Name())
			}
			return check.Pass("the container is there")
		},
	},
	{
		ID:       "directory.old-groups",
		Title:    "No groups of Exchange 2000 and 2003 are left",
		Scope:    PerForest,
		Severity: check.Warn,
		Needs:    []check.ID{"directory.reachable"},
		Reads:    fact.List(fact.DirectorySetup),
		Why: "Exchange Domain Servers and Exchange Enterprise Servers have rights to the whole domain that no " +
			"present version needs. A member of them, such as the account of an old server, can take the domain " +
			"over.",
		Fix: "Remove their members, wait some days, and delete both groups. Remove their permissions from the " +
			"domain and the container AdminSDHolder as well.",
		Consider: "A server of Exchange 2003 that still runs, and programs of that time, stop.",
		Run: func(ctx context.Context, in Input) check.Result {
			setup, err := fact.DirectorySetup.In(ctx, in.Forest)
			switch {
			case err != nil:
				return check.Unknown(err)
			case len(setup.OldGroups) > 0:
				return check.Warned("forest %s has %s", in.Forest.Name(), strings.Join(setup.OldGroups, "; ")).
					With("groups", setup.OldGroups)
			}
			return check.Pass("forest %s has none", in.Forest.Name())
		},
	},
}

// prepared are the versions that setup gives the schema (rangeUpper of ms-Exch-Schema-Version-Pt)
// and the organization (objectVersion).
type prepared struct{ schema, organization int }

// preparedFor returns the versions that a build needs.
func preparedFor(v directory.Version) (prepared, bool) {
	switch [3]int{v.Major, v.Minor, v.Build} {
	case [3]int{15, 2, 2562}, [3]int{15, 2, 1748}: // SE, 2019 CU15
		return prepared{17003, 16763}, true
	case [3]int{15, 2, 1544}: // 2019 CU14
		return prepared{17003, 16762}, true
	case [3]int{15, 1, 2507}: // 2016 CU23
		return prepared{15334, 16223}, true
	}
	return prepared{}, false
}
