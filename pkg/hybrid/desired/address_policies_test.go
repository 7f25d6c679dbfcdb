package desired

import (
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// Only the email address policies that the answers name are planned. A filter of Exchange 2003 is
// refused.
func TestAddressPolicies(t *testing.T) {
	for name, tt := range map[string]struct {
		named []string
		want  int
		left  string
	}{
		"none named":  {nil, 0, ""},
		"one named":   {[]string{"default policy"}, 1, ""},
		"not there":   {[]string{"Sales"}, 0, `no email address policy "Sales"`},
		"an old one":  {[]string{"Old"}, 0, `the email address policy "Old" has a filter of Exchange 2003`},
		"one of each": {[]string{"Default Policy", "Old"}, 0, "Exchange 2003"},
	} {
		t.Run(name, func(t *testing.T) {
			a := testAnswers()
			a.Features = []answers.Feature{answers.MoveMailbox}
			a.Forests[0].AddressPolicies = tt.named
			d := retiring(t, "address-policies", a, func(s *fact.Set) {
				fact.AddressPolicies.Seed(s.Forests[0], []fact.AddressPolicy{{Name: "Default Policy",
					Identity: "Default Policy"}, {Name: "Old", Identity: "Old", Legacy: true}}, nil)
			})
			left := ""
			for _, l := range d.LeftOut {
				left += l.Reason.String()
			}
			if len(d.Resources) != tt.want || !strings.Contains(left, tt.left) || tt.left == "" && left != "" {
				t.Errorf("planned %+v, left out %q", d.Resources, left)
			}
		})
	}
}

// The templates are set, and the policy is applied to its recipients by the same change. A policy
// that was set and not applied is applied.
func TestAddressPolicyIsApplied(t *testing.T) {
	want := change.Properties{"Identity": "P", "RecipientFilterApplied": true,
		"EnabledEmailAddressTemplates": []string{"smtp:%m@t.example"}}
	for name, live := range map[string]change.Properties{
		"not set": {"Identity": "P", "RecipientFilterApplied": true,
			"EnabledEmailAddressTemplates": []string{"SMTP:@contoso.com"}},
		"set and not applied": {"Identity": "P", "RecipientFilterApplied": false,
			"EnabledEmailAddressTemplates": []string{"SMTP:@contoso.com", "smtp:%m@T.example"}},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := emailAddressPolicy.Command(change.Update, "P", want,
				&change.Live{Identity: "P", Properties: live})
			if err != nil || c.Name != "Set-EmailAddressPolicy" || c.Parameters["RecipientFilterApplied"] != nil ||
				len(c.Then) != 1 || c.Then[0].Name != updateEmailAddressPolicy ||
				c.Then[0].Parameters["UpdateSecondaryAddressesOnly"] != true {
				t.Errorf("%+v, %v", c, err)
			}
			set := emailAddressPolicy.Properties["EnabledEmailAddressTemplates"]
			applied := emailAddressPolicy.Properties["RecipientFilterApplied"]
			if set.InEffect(want["EnabledEmailAddressTemplates"], live["EnabledEmailAddressTemplates"]) &&
				applied.InEffect(true, live["RecipientFilterApplied"]) {
				t.Error("it counts as in effect")
			}
		})
	}
}
