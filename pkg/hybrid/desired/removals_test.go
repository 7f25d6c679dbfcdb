package desired

import (
	"slices"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
)

// Only what belongs to this deployment, and what the facts say is not wanted, is removed.
func TestUnwanted(t *testing.T) {
	a := testAnswers()
	set := testFacts().set(a, worldwide(t))
	id := "online/InboundConnector/" + fabrikam
	made := apply.Creation{ID: id, Target: "online", Kind: "InboundConnector", Name: "Inbound from x",
		After: &change.Live{Identity: "Inbound from x", Name: "Inbound from x"},
		Places: map[string]string{"online": tenantID, "onprem/contoso": contosoOrg,
			"onprem/old": strings.ToUpper(fabrikam)}}
	for name, test := range map[string]struct {
		spoil     func(*apply.Creation)
		resources []change.Resource
		left      []change.LeftOut
		features  []answers.Feature
		want      int
	}{
		"no longer wanted": {want: 1},
		"still wanted":     {resources: []change.Resource{{Kind: inboundConnector, Target: "online", Key: fabrikam}}},
		"topic left out":   {left: []change.LeftOut{{Topic: "mail-flow", Place: "onprem/contoso"}}},
		"another topic left out": {left: []change.LeftOut{{Topic: "relationships", Place: "onprem/contoso"}},
			want: 1},
		"a run of other forests": {spoil: func(c *apply.Creation) {
			c.Places = map[string]string{"online": tenantID, "onprem/elsewhere": "g"}
		}},
		"a forest that is not in the answers": {spoil: func(c *apply.Creation) {
			c.Target, c.ID = "onprem/elsewhere", "onprem/elsewhere/SendConnector/x"
			c.Kind = "SendConnector"
		}},
		"the answer was lost": {spoil: func(c *apply.Creation) { c.After = nil }},
		"neither its feature nor its forest left": {spoil: func(c *apply.Creation) {
			c.Places = map[string]string{"online": tenantID, "onprem/contoso": contosoOrg}
		}, features: append(slices.Clone(allowances), answers.SecureMail)},
		"its forest left":            {features: append(slices.Clone(allowances), answers.SecureMail), want: 1},
		"a kind of a later hybridge": {spoil: func(c *apply.Creation) { c.Kind = "Teapot" }},
		"nothing removes it":         {spoil: func(c *apply.Creation) { c.Kind = "ReceiveConnector" }},
	} {
		t.Run(name, func(t *testing.T) {
			c := made
			set.Answers.Features = allowances
			if test.features != nil {
				set.Answers.Features = test.features
			}
			if test.spoil != nil {
				test.spoil(&c)
			}
			got := Unwanted(set, test.resources, test.left, []apply.Creation{c})
			if len(got) != test.want {
				t.Errorf("%+v, want %d", got, test.want)
			}
			if len(got) == 1 && (got[0].ID() != id || !got[0].Absent || got[0].Was == nil) {
				t.Errorf("%+v", got[0])
			}
		})
	}
}
