package fact

import (
	"context"
	"errors"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
)

// AvailabilityConfig holds the accounts as which other organizations may ask a forest for
// free/busy, as Exchange shows them: DOMAIN\user, or the path of the account in the directory.
type AvailabilityConfig struct{ OrgWide, PerUser string }

const getAvailabilityConfig = "Get-AvailabilityConfig"

// OwnServers is the group that setup names as the per-user account. The servers of a forest ask
// each other by a right in the directory and do not need it.
const OwnServers = "Exchange Servers"

// AvailabilityConfigs are the accounts of a forest. A forest without them shows no object, or one
// without accounts.
var AvailabilityConfigs = Session(OnPremises, []string{getAvailabilityConfig},
	func(ctx context.Context, s exchange.Reader) (out AvailabilityConfig, err error) {
		objects, err := s.Read(ctx, exchange.Command{Name: getAvailabilityConfig})
		if errors.Is(err, exchange.ErrNotFound) {
			return out, nil
		}
		for _, o := range objects {
			out.OrgWide, _ = o.String("OrgWideAccount")
			out.PerUser, _ = o.String("PerUserAccount")
		}
		return out, err
	})

// Federation is what a forest has of the older federation.
type Federation struct {
	Namespace string // AccountNamespace, by which other organizations name it
	Enabled   bool   // and with a trust
}

const getFederation = "Get-FederatedOrganizationIdentifier"

// Federated is the federated organization of a forest.
var Federated = Session(OnPremises, []string{getFederation},
	func(ctx context.Context, s exchange.Reader) (out Federation, err error) {
		objects, err := s.Read(ctx, exchange.Command{Name: getFederation})
		if errors.Is(err, exchange.ErrNotFound) {
			return out, nil
		}
		for _, o := range objects {
			out.Namespace, _ = o.String("AccountNamespace")
			trust, _ := o.String("DelegationTrustLink")
			on, _ := o.Bool("Enabled")
			out.Enabled = on && out.Namespace != "" && trust != ""
		}
		return out, err
	})

// Anchor is the mailbox that Exchange names when it asks autodiscover of another forest for the
// domain of an availability address space.
const Anchor = "01B62C6D-4324-448f-9884-5FEC6D18A7E2"

// SameAccount reports whether two texts name one account. Exchange shows DOMAIN\user as the path of
// the account in the directory: the last part is the name of both.
func SameAccount(a, b string) bool { return accountName(a) == accountName(b) }

func accountName(s string) string {
	if at := strings.LastIndexAny(s, `\/`); at >= 0 {
		s = s[at+1:]
	}
	s, _, _ = strings.Cut(s, "@")
	return strings.ToLower(strings.TrimSpace(s))
}
