package fact

import (
	"context"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
)

// Mover is a mailbox in Exchange whose user moves to WorkMail: what goes with it when it becomes a
// mail user, and what keeps it from becoming one.
type Mover struct {
	Leaver
	Archive bool // it has an archive
	Hold    bool // litigation or retention hold
}

// Movers are mailboxes of a forest by an address.
var Movers = &Keyed[Mover]{
	question: question{AtForest, []Source{{OnPremises, "Get-Mailbox", []string{"Get-Mailbox"}}}},
	ask: func(ctx context.Context, s *Side, address string) (Mover, error) {
		return with(ctx, s, s.Exchange, func(ctx context.Context, session exchange.Reader) (Mover, error) {
			found, err := session.Read(ctx, exchange.Command{Name: "Get-Mailbox",
				Parameters: map[string]any{"Identity": address}})
			if err != nil {
				return Mover{}, err
			}
			m, err := one("Get-Mailbox", readMover)(found)
			if err != nil {
				return Mover{}, s.unreadable(err)
			}
			return m, nil
		})
	},
}

func readMover(o exchange.Object) (m Mover, err error) {
	if m.Leaver, err = readLeaver(o); err != nil {
		return m, err
	}
	for _, name := range []string{"LitigationHoldEnabled", "RetentionHoldEnabled"} {
		held, err := exchange.Optional(o.Bool(name))
		if err != nil {
			return m, err
		}
		m.Hold = m.Hold || held
	}
	archive, err := exchange.Optional(o.String("ArchiveGuid"))
	m.Archive = archive != "" && archive != "00000000-0000-0000-0000-000000000000"
	return m, err
}
