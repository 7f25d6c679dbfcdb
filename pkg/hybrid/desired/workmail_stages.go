package desired

import (
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
)

// Stages says how far the way out of WorkMail is: which users are at which stage, and what is left
// of the organization when no user is.
type Stages struct {
	Mailbox, Content, Deregistration []Leaving
	Organization                     []string // ids of changes
	Err                              error    // why the stages are not known
}

// Leaving is one user on the way out.
type Leaving struct {
	User  string
	Waits msg.Text // for what; zero when the plan holds the next step
}

// nobodyLeft is the reason of the changes of the last stage.
const nobodyLeft = "no user is left in WorkMail"

// WayOut reads the stages from a plan of the way out.
func WayOut(p change.Plan) Stages {
	var s Stages
	add := func(to *[]Leaving, user string, waits msg.Text) {
		if !slices.ContainsFunc(*to, func(l Leaving) bool { return strings.EqualFold(l.User, user) }) {
			*to = append(*to, Leaving{user, waits})
		}
	}
	for _, c := range p.Changes {
		key := strings.TrimPrefix(c.ID, c.Target+"/"+c.Kind+"/")
		switch c.Kind {
		case returnedRecipient.Noun, mailboxAddresses.Noun, remoteMailboxAddresses.Noun:
			add(&s.Mailbox, key, msg.Text{})
		case mailboxExport.Noun:
			add(&s.Content, key, msg.Of("its export is not made yet"))
		case workMailRegistration.Noun:
			if c.Reason.Format != nobodyLeft {
				add(&s.Deregistration, key, msg.Text{})
				continue
			}
			fallthrough
		case workMailDomain.Noun, availabilityConfiguration.Noun, availabilityAddressSpace.Noun, defaultMailDomain.Noun,
			impersonationRole.Noun:
			if c.Reason.Format == nobodyLeft || c.Kind == defaultMailDomain.Noun {
				s.Organization = append(s.Organization, c.ID)
			}
		}
	}
	for _, l := range p.LeftOut {
		switch {
		case l.Topic != workMailExit.ID:
		case !strings.Contains(l.Place, "@"):
			s.Err = l.Err
		default:
			add(&s.Content, l.Place, l.Reason)
		}
	}
	return s
}
