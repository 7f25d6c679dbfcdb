package fact

import (
	"context"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
)

const getManagementRoleAssignment = "Get-ManagementRoleAssignment"

// RolesOf are the management roles of an account of a forest, by its canonical name.
var RolesOf = &Keyed[[]string]{
	question: question{AtForest, []Source{{OnPremises, getManagementRoleAssignment,
		[]string{getManagementRoleAssignment}}}},
	ask: func(ctx context.Context, side *Side, account string) ([]string, error) {
		return with(ctx, side, side.Session, func(ctx context.Context, s exchange.Reader) ([]string, error) {
			found, err := s.Read(ctx, exchange.Command{Name: getManagementRoleAssignment,
				Parameters: map[string]any{"RoleAssignee": account}})
			if err != nil {
				return nil, err
			}
			return each(getManagementRoleAssignment, func(o exchange.Object) (string, error) {
				return o.String("Role")
			})(found)
		})
	},
}

const getSharingPolicy = "Get-SharingPolicy"

// DefaultSharing are the entries of the default sharing policy of a side, "DOMAIN:ACTION", sorted and
// in lower case: what people may show of their calendars to others.
var (
	DefaultSharing       = Cmdlet(OnPremises, getSharingPolicy, readDefaultSharing)
	OnlineDefaultSharing = Cmdlet(Online, getSharingPolicy, readDefaultSharing)
)

func readDefaultSharing(objects []exchange.Object) (entries []string, err error) {
	for _, o := range objects {
		if standard, err := o.Bool("Default"); err != nil || !standard {
			continue
		}
		list, err := exchange.Optional(o.Strings("Domains"))
		if err != nil {
			return nil, unreadable(getSharingPolicy, o.Text, err)
		}
		for _, e := range list {
			entries = append(entries, strings.ToLower(strings.ReplaceAll(e, " ", "")))
		}
	}
	slices.Sort(entries)
	return entries, nil
}
