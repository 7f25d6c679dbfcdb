package desired

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// seedRules gives the first forest a journal rule.
func seedRules(set *fact.Set) {
	fact.OnlineTransportRules.Seed(set.Tenant, nil, nil)
	fact.OnlineJournalRules.Seed(set.Tenant, nil, nil)
	fact.OnlineJournalReports.Seed(set.Tenant, "reports@archive.example", nil)
	for _, f := range set.Forests {
		fact.TransportRules.Seed(f, nil, nil)
		fact.JournalRules.Seed(f, []fact.MailRule{{Name: "Archive", Enabled: true, Values: map[string]any{
			"JournalEmailAddress": "j@archive.example", "Scope": "Global"}}}, nil)
	}
}

// The properties that are copied are those that both sides have, in their forms. Sizes are written
// differently by each side.
func TestRuleProperties(t *testing.T) {
	forms := map[fact.RuleForm][]string{}
	for name, form := range fact.TransportRuleForms() {
		forms[form] = append(forms[form], name)
	}
	for form, have := range map[fact.RuleForm][]string{fact.RuleText: ruleTexts, fact.RuleSwitch: ruleSwitches,
		fact.RuleList: ruleLists} {
		want := slices.Sorted(slices.Values(forms[form]))
		if diff := cmp.Diff(want, have); diff != "" || len(want) == 0 {
			t.Errorf("form %d:\n%s", form, diff)
		}
	}
}

// A rule is copied by name, in the direction that the answers say, and only as a whole.
func TestCopiedRules(t *testing.T) {
	disclaimer := func(values ...any) fact.MailRule {
		r := fact.MailRule{Name: "Disclaimer", Enabled: true,
			Values: map[string]any{"ApplyHtmlDisclaimerText": "<p>x</p>"}}
		for i := 0; i < len(values); i += 2 {
			r.Values[values[i].(string)] = values[i+1]
		}
		return r
	}
	toTenant := func(names ...string) *answers.CopyRules { return &answers.CopyRules{ToTenant: names} }
	for _, c := range []struct {
		name   string
		asked  *answers.CopyRules
		change func(*fact.Set)
		want   map[string]change.Properties // by place/kind/key
		fails  string
	}{
		{"nothing is asked for", nil, nil, nil, ""},
		{"to the tenant", toTenant("disclaimer"), func(s *fact.Set) {
			fact.TransportRules.Seed(s.Forests[0], []fact.MailRule{disclaimer("From", []string{"a@contoso.com"})}, nil)
		}, map[string]change.Properties{"online/TransportRule/disclaimer": {"Name": "Disclaimer", "Enabled": true,
			"ApplyHtmlDisclaimerText": "<p>x</p>", "From": []string{"a@contoso.com"}}}, ""},
		{"to the forest", &answers.CopyRules{ToForest: []string{"Disclaimer"}}, func(s *fact.Set) {
			fact.OnlineTransportRules.Seed(s.Tenant, []fact.MailRule{disclaimer()}, nil)
		}, map[string]change.Properties{"onprem/contoso/TransportRule/disclaimer": {"Name": "Disclaimer",
			"Enabled":                 true,
			"ApplyHtmlDisclaimerText": "<p>x</p>"}}, ""},
		{"what the copy has beyond it is taken away", toTenant("Disclaimer"), func(s *fact.Set) {
			fact.TransportRules.Seed(s.Forests[0], []fact.MailRule{disclaimer()}, nil)
			r := disclaimer("Quarantine", true, "SentTo", []string{"b@contoso.com"})
			r.Name = "DISCLAIMER"
			fact.OnlineTransportRules.Seed(s.Tenant, []fact.MailRule{r}, nil)
		}, map[string]change.Properties{"online/TransportRule/disclaimer": {"Name": "DISCLAIMER", "Enabled": true,
			"ApplyHtmlDisclaimerText": "<p>x</p>", "Quarantine": false, "SentTo": nil}}, ""},
		{"a journal rule", toTenant("Archive"), nil, map[string]change.Properties{"online/JournalRule/archive": {
			"Name": "Archive", "Enabled": true, "JournalEmailAddress": "j@archive.example", "Scope": "Global"}}, ""},
		{"a journal rule before the tenant takes one", toTenant("Archive"), func(s *fact.Set) {
			fact.OnlineJournalReports.Seed(s.Tenant, "", nil)
		}, nil, "JournalingReportNdrTo"},
		{"a rule that does not exist", toTenant("Disclaimer"), nil, nil,
			`no transport rule or journal rule "Disclaimer"`},
		{"a rule of one side", toTenant("Disclaimer"), func(s *fact.Set) {
			r := disclaimer()
			r.Bound = []string{"DlpPolicy"}
			fact.TransportRules.Seed(s.Forests[0], []fact.MailRule{r}, nil)
		}, nil, "uses DlpPolicy, which cannot be copied"},
		{"a rule with a size", toTenant("Disclaimer"), func(s *fact.Set) {
			fact.TransportRules.Seed(s.Forests[0], []fact.MailRule{disclaimer("MessageSizeOver", "10485760")}, nil)
		}, nil, "uses MessageSizeOver"},
		{"a copy that cannot be made alike", toTenant("Disclaimer"), func(s *fact.Set) {
			fact.TransportRules.Seed(s.Forests[0], []fact.MailRule{disclaimer()}, nil)
			r := disclaimer()
			r.Bound = []string{"ApplyOME"}
			fact.OnlineTransportRules.Seed(s.Tenant, []fact.MailRule{r}, nil)
		}, nil, "uses ApplyOME"},
		{"rules that cannot be read", toTenant("Disclaimer"), func(s *fact.Set) {
			fact.OnlineTransportRules.Seed(s.Tenant, nil, errUnknown)
		}, nil, "unknown"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := testAnswers()
			a.Forests[0].CopyRules = c.asked
			set := testFacts().set(a, worldwide(t))
			seedRules(set)
			if c.change != nil {
				c.change(set)
			}
			p := &Planner{Answers: a, Forest: set.Forests[0], set: set, topic: copiedRules}
			err := copiedRules.Derive(t.Context(), p)
			if (err != nil) != (c.fails != "") || err != nil && !strings.Contains(err.Error(), c.fails) {
				t.Fatalf("%v, want %q", err, c.fails)
			}
			if err != nil {
				return
			}
			have := map[string]change.Properties{}
			for _, r := range p.out {
				have[r.ID()] = r.Properties
			}
			if c.want == nil {
				c.want = map[string]change.Properties{}
			}
			if diff := cmp.Diff(c.want, have); diff != "" {
				t.Error(diff)
			}
		})
	}
}

type unknownFact struct{}

func (unknownFact) Error() string { return "unknown" }

var errUnknown = unknownFact{}
