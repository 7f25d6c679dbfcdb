package fact

import (
	"context"
	"errors"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
)

// MailboxAccess is what a mailbox lets in.
type MailboxAccess struct {
	Exists     bool
	EwsEnabled *bool // nil: not set, which lets EWS be used
}

const getCASMailbox = "Get-CASMailbox"

// What mailboxes of each side let in, by address.
var (
	MailboxAccesses       = mailboxAccess(OnPremises, AtForest)
	OnlineMailboxAccesses = mailboxAccess(Online, AtTenant)
)

func mailboxAccess(system System, at At) *Keyed[MailboxAccess] {
	return &Keyed[MailboxAccess]{
		question: question{at, []Source{{System: system, Ask: getCASMailbox, Right: []string{getCASMailbox}}}},
		ask: func(ctx context.Context, side *Side, address string) (MailboxAccess, error) {
			return with(ctx, side, side.Exchange, func(ctx context.Context, s exchange.Reader) (MailboxAccess, error) {
				objects, err := s.Read(ctx, exchange.Command{Name: getCASMailbox,
					Parameters: map[string]any{"Identity": address}})
				switch {
				case errors.Is(err, exchange.ErrNotFound), err == nil && len(objects) == 0:
					return MailboxAccess{}, nil // a mail user, or on the other side
				case err != nil:
					return MailboxAccess{}, err
				}
				out := MailboxAccess{Exists: true}
				out.EwsEnabled, err = ewsEnabled(objects[0])
				return out, err
			})
		},
	}
}
