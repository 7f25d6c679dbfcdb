package desired

import (
	"slices"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/estate/workmail"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// A topic declares every fact that it asks for, on every route: before an apply, the checks that
// read them are rerun.
func TestTopicsDeclareWhatTheyRead(t *testing.T) {
	for _, route := range []string{"", "ews", "graph"} {
		a := testAnswers()
		a.ExchangeOnline.RichCoexistence = route
		a.WorkMail = &answers.WorkMail{Region: "us-east-1", Organization: "contoso", Users: []string{"bob@contoso.com"},
			Account: &answers.WorkMailAccount{User: "svc@contoso.com", Password: "env:WM"}}
		a.Forests[0].WorkMail = &answers.Provider{User: "svc", Password: "env:EX"}
		a.Features = append(answers.DefaultFeatures(), answers.CentralizedTransport)
		a.Forests[0].CopyRules = &answers.CopyRules{ToTenant: []string{"Archive"}}
		for _, topic := range Topics() {
			declared := fact.SourcesOf(topic.Reads...)
			f := testFacts()
			for i := range f.Forests {
				if route == "graph" {
					f.Forests[i].Servers = []fact.MailboxServer{server("SE", build(15, 2, 2562, 46))}
				}
			}
			set := f.set(a, worldwide(t))
			fact.WorkMailOrganization.Seed(set.WorkMail, workmail.Organization{Alias: "contoso", State: "Active",
				Interoperability: true}, nil)
			seedRules(set)
			for _, forest := range set.Forests {
				fact.Recipients.SeedAll(forest, func(address string) (fact.Recipient, error) {
					return fact.Recipient{Account: "account", Primary: address, Kind: "MailUser"}, nil
				})
			}
			p := &Planner{Answers: a, set: set}
			for _, forest := range set.Forests {
				if !topic.PerForest {
					forest = nil
				}
				if err := p.derive(t.Context(), topic, forest); err != nil {
					t.Errorf("%s: %v", topic.ID, err)
				}
			}
			for _, s := range set.Asked() {
				if !slices.ContainsFunc(declared,
					func(d fact.Source) bool { return d.System == s.System && d.Ask == s.Ask }) {
					t.Errorf("topic %s asks %s %q and does not declare it under Reads", topic.ID, s.System, s.Ask)
				}
			}
		}
	}
}
