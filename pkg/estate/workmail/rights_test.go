package workmail

import "testing"

func TestEffect(t *testing.T) {
	everywhere := AccessRule{Name: "all", Effect: "ALLOW"}
	office := AccessRule{Name: "office", Effect: "ALLOW", IPRanges: []string{"198.51.100.0/24"}}
	for name, c := range map[string]struct {
		rules  []AccessRule
		effect AccessEffect
		rule   string
	}{
		"none":                  {nil, Denied, ""},
		"the first one":         {[]AccessRule{everywhere}, Allowed, "all"},
		"for an office":         {[]AccessRule{office}, ByAddress, "office"},
		"for an office and all": {[]AccessRule{office, everywhere}, Allowed, "all"},
		"for other protocols": {[]AccessRule{{Name: "web", Effect: "ALLOW", Actions: []string{"WebMail"}}},
			Denied, ""},
		"for all protocols but this": {[]AccessRule{{Name: "no", Effect: "ALLOW", NotActions: []string{"EWS"}}},
			Denied, ""},
		"for another user": {[]AccessRule{{Name: "x", Effect: "ALLOW", Users: []string{"u2"}}}, Denied,
			""},
		"for a role": {[]AccessRule{{Name: "r", Effect: "ALLOW", Roles: []string{"r1"}}}, Denied,
			""},
		"DENY beats ALLOW": {[]AccessRule{everywhere, {Name: "no", Effect: "DENY"}}, Denied, "no"},
		"DENY of others": {[]AccessRule{everywhere,
			{Name: "no", Effect: "DENY", NotUsers: []string{"u1"}}}, Allowed, "all"},
		"DENY of addresses": {[]AccessRule{everywhere,
			{Name: "abroad", Effect: "DENY", IPRanges: []string{"192.0.2.0/24"}}}, ByAddress, "abroad"},
		"DENY of all but some of these": {[]AccessRule{office,
			{Name: "out", Effect: "DENY", NotIPRanges: []string{"198.51.100.0/24"}}}, ByAddress, "out"},
	} {
		if effect, rule := Effect(c.rules, "u1", "EWS"); effect != c.effect || rule != c.rule {
			t.Errorf("%s: %s by %q, want %s by %q", name, effect, rule, c.effect, c.rule)
		}
	}
}
