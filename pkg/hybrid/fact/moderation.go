package fact

import (
	"context"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
)

// MailTips is what an organization shows to senders before they send.
type MailTips struct {
	All, Mailboxes, Groups, External *bool // nil: not shown
	LargeAudience                    int64 // 0: not shown
}

// MailTipsSettings of both sides.
var (
	OwnMailTips    = Cmdlet(OnPremises, getOrganizationConfig, one(getOrganizationConfig, readMailTips))
	OnlineMailTips = Cmdlet(Online, getOrganizationConfig, one(getOrganizationConfig, readMailTips))
)

func readMailTips(o exchange.Object) (m MailTips, err error) {
	for name, to := range map[string]**bool{
		"MailTipsAllTipsEnabled": &m.All, "MailTipsMailboxSourcedTipsEnabled": &m.Mailboxes,
		"MailTipsGroupMetricsEnabled": &m.Groups, "MailTipsExternalRecipientsTipsEnabled": &m.External,
	} {
		if on, err := o.Bool(name); err == nil {
			*to = &on
		}
	}
	m.LargeAudience, _ = o.Int("MailTipsLargeAudienceThreshold")
	return m, nil
}

// ArbitrationMailboxes are the mailboxes that hold messages until a moderator decides.
var ArbitrationMailboxes = Session(OnPremises, []string{"Get-Mailbox"},
	func(ctx context.Context, s exchange.Reader) ([]string, error) {
		objects, err := s.Read(ctx, exchange.Command{Name: "Get-Mailbox",
			Parameters: map[string]any{"Arbitration": true}})
		if err != nil {
			return nil, err
		}
		return each("Get-Mailbox", func(o exchange.Object) (string, error) { return o.String("Name") })(objects)
	})
