package prereq

import (
	"errors"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// TestLookupsBetweenForests turns each check of lookups between forests.
func TestLookupsBetweenForests(t *testing.T) {
	mailbox := func(kind string) func(string) (fact.Recipient, error) {
		return func(address string) (fact.Recipient, error) {
			if address == fact.Anchor+"@fabrikam.com" {
				return fact.Recipient{Kind: "UserMailbox"}, nil
			}
			if kind == "" {
				return fact.Recipient{}, exchange.ErrNotFound
			}
			return fact.Recipient{Kind: kind, Primary: address}, nil
		}
	}
	for name, c := range map[string]struct {
		id    check.ID
		alter func(asking, asked *fact.Side)
		want  check.Status
	}{
		"nothing in the way": {"lookups.way", nil, check.StatusPass},
		"authoritative": {"lookups.way", func(asking, _ *fact.Side) {
			fact.AcceptedDomains.Seed(asking, []fact.AcceptedDomain{{Name: "fabrikam.com", Type: "Authoritative"}}, nil)
		}, check.StatusFail},
		"a subdomain": {"lookups.way", func(asking, _ *fact.Side) {
			fact.AcceptedDomains.Seed(asking,
				[]fact.AcceptedDomain{{Name: "com", SubDomains: true, Type: "Authoritative"}},
				nil)
		}, check.StatusFail},
		"relay": {"lookups.way", func(asking, _ *fact.Side) {
			fact.AcceptedDomains.Seed(asking, []fact.AcceptedDomain{{Name: "fabrikam.com", Type: "InternalRelay"}}, nil)
		}, check.StatusPass},
		"a connector": {"lookups.way", func(asking, _ *fact.Side) {
			fact.Connectors.Seed(asking, []fact.Holder{{Name: "x", Domains: []string{"Fabrikam.com"}, Leads: true}},
				nil)
		}, check.StatusFail},
		"a connector that is off": {"lookups.way", func(asking, _ *fact.Side) {
			fact.Connectors.Seed(asking, []fact.Holder{{Name: "x", Domains: []string{"fabrikam.com"}}}, nil)
		}, check.StatusPass},
		"a relationship": {"lookups.way", func(asking, _ *fact.Side) {
			fact.Relationships.Seed(asking, []fact.Holder{{Name: "x", Domains: []string{"fabrikam.com"}, Leads: true}},
				nil)
		}, check.StatusFail},
		"a relationship that is wanted": {"lookups.way", func(asking, asked *fact.Side) {
			fact.Relationships.Seed(asking, []fact.Holder{{Name: "x", Domains: []string{"fabrikam.com"}, Leads: true}},
				nil)
			asked.Answers.Lookups = &answers.Lookups{Access: answers.AccessRelationship}
		}, check.StatusPass},
		"unknown": {"lookups.way", func(asking, _ *fact.Side) {
			fact.Connectors.Seed(asking, nil, errors.New("no"))
		}, check.StatusError},

		"no account yet": {"lookups.account", nil, check.StatusPass},
		"accepted": {"lookups.account", func(_, asked *fact.Side) {
			fact.AvailabilityConfigs.Seed(asked, fact.AvailabilityConfig{OrgWide: "fabrikam.com/Users/Svc"}, nil)
		}, check.StatusPass},
		"another account": {"lookups.account", func(_, asked *fact.Side) {
			fact.AvailabilityConfigs.Seed(asked, fact.AvailabilityConfig{OrgWide: "fabrikam.com/Users/old"}, nil)
		}, check.StatusWarn},
		"the group of setup": {"lookups.account", func(_, asked *fact.Side) {
			fact.AvailabilityConfigs.Seed(asked, fact.AvailabilityConfig{
				PerUser: "fabrikam.com/Microsoft Exchange Security Groups/Exchange Servers"}, nil)
			asked.Answers.Lookups.Access = answers.AccessPerUser
		}, check.StatusPass},
		"a mailbox": {"lookups.account", func(_, asked *fact.Side) {
			fact.Recipients.SeedAll(asked, mailbox("UserMailbox"))
		}, check.StatusWarn},
		"a mail user": {"lookups.account", func(_, asked *fact.Side) {
			fact.Recipients.SeedAll(asked, mailbox("MailUser"))
		}, check.StatusPass},

		"an anchor": {"lookups.anchor", nil, check.StatusPass},
		"no anchor": {"lookups.anchor", func(_, asked *fact.Side) {
			fact.Recipients.SeedAll(asked, func(string) (fact.Recipient, error) {
				return fact.Recipient{}, exchange.ErrNotFound
			})
		}, check.StatusWarn},
		"an unknown anchor": {"lookups.anchor", func(_, asked *fact.Side) {
			fact.Recipients.SeedAll(asked, func(string) (fact.Recipient, error) {
				return fact.Recipient{}, errors.New("no")
			})
		}, check.StatusError},
	} {
		t.Run(name, func(t *testing.T) {
			set := fact.New(answers.Answers{Forests: []answers.Forest{
				{Name: "contoso", Domains: []string{"contoso.com"}},
				{Name: "fabrikam", Domains: []string{"fabrikam.com"},
					Lookups: &answers.Lookups{Access: answers.AccessOrgWide, User: `FABRIKAM\svc`, Password: "prompt"}},
			}}, cloud.Cloud{})
			asking, asked := set.Forests[0], set.Forests[1]
			fact.AcceptedDomains.Seed(asking, nil, nil)
			fact.Connectors.Seed(asking, nil, nil)
			fact.Relationships.Seed(asking, nil, nil)
			fact.AvailabilityConfigs.Seed(asked, fact.AvailabilityConfig{}, nil)
			fact.Recipients.SeedAll(asked, mailbox(""))
			if c.alter != nil {
				c.alter(asking, asked)
			}
			in := Input{Set: set, Forest: asked}
			if c.id == "lookups.way" {
				in.Forest = asking
			}
			for _, declared := range lookupChecks {
				if declared.ID != c.id {
					continue
				}
				r := declared.complete(t.Context(), in, declared.Run(t.Context(), in))
				if r.Status == check.StatusFail && declared.Severity == check.Warn {
					r.Status = check.StatusWarn
				}
				if r.Status != c.want {
					t.Errorf("%s, want %s: %s", r.Status, c.want, r.Summary)
				}
			}
			other := Input{Set: set, Forest: asking}
			if c.id == "lookups.way" {
				other.Forest = asked
			}
			for _, declared := range lookupChecks {
				if declared.ID == c.id && declared.Run(t.Context(), other).Status != check.StatusSkip {
					t.Errorf("forest %s takes no part, and says %s", other.Forest.Name(),
						declared.Run(t.Context(), other).Summary)
				}
			}
		})
	}
}
