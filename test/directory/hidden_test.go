//go:build linux

package directory

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/prereq"
)

// testHidden denies an account properties of the users. A domain controller then omits them without
// an error. No verdict of a check may be PASS or FAIL.
func testHidden(t *testing.T, f *Forest) {
	for _, c := range []struct{ name, ace, check, says string }{
		// The second denial includes the first.
		{"proxyAddresses", "(OD;;RP;bf967a06-0de6-11d0-a285-00aa003049e2;;%s)", "directory.one-primary",
			"proxyAddresses"},
		{"every property", "(D;;RP;;;%s)", "directory.upn-matches-primary", "no user"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := f.Deny(t.Context(), c.ace); err != nil {
				t.Fatal(err)
			}
			cfg := config(t, f)
			cfg.Directory.Bind.User = f.Blind
			forest := open(t, cfg)
			set := fact.New(answers.Answers{Forests: []answers.Forest{{Name: f.Name, Domains: []string{f.Domain},
				Directory: cfg.Directory}}}, cloud.Cloud{})
			set.Forests[0].Clients.Directory = func(context.Context) (fact.Directory, error) { return forest, nil }
			report, err := prereq.Run(t.Context(), set, check.Options{Only: []string{"directory.*"}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range report.Results {
				t.Logf("%s %s: %s", r.Status, r.ID, r.Summary)
				if r.ID == "directory.reachable" {
					if r.Status != check.StatusPass {
						t.Errorf("%s: %s", r.ID, r.Status)
					}
					continue
				}
				if slices.Contains([]check.ID{"directory.exchange-versions", "directory.hybrid-container",
					"directory.old-groups"}, r.ID) {
					continue // does not judge users
				}
				if slices.ContainsFunc(fact.Rules, func(rule fact.Rule) bool {
					return rule.ID == string(r.ID) && (rule.Tenant || c.name != "every property" &&
						rule.Attribute != c.name && rule.Attribute != "mail")
				}) {
					continue // does not judge what is hidden
				}
				if r.Status != check.StatusSkip || len(r.MissingRights) == 0 || r.Remedy.Text.IsZero() ||
					!strings.Contains(r.Summary.String(), f.Blind) {
					t.Errorf("%s: %s %s, without the right or the account", r.ID, r.Status, r.Summary)
				}
				if string(r.ID) == c.check && !strings.Contains(r.Summary.String(), c.says) {
					t.Errorf("%s does not contain %q", r.Summary, c.says)
				}
			}
		})
	}
}
