package prereq

import (
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

func TestApplicationCheck(t *testing.T) {
	foreign := map[string]any{"keyId": "theirs", "customKeyIdentifier": strings.Repeat("AB", 20)}
	for name, test := range map[string]struct {
		app    fact.Dedicated
		own    bool // has the key of the auth certificate
		status check.Status
		says   string
	}{
		"none yet": {status: check.StatusPass, says: "plan makes one"},
		"of the name alone": {app: fact.Dedicated{Name: "x",
			Doubtful: []fact.Doubtful{{Application: fact.Application{AppID: "evil", Consents: []string{"EXO full"}},
				Why: msg.Plain("a secret")}}}, status: check.StatusFail, says: "evil"},
		"deleted": {app: fact.Dedicated{Name: "x", Stale: "gone"}, status: check.StatusFail, says: "gone"},
		"without the key": {app: fact.Dedicated{Application: fact.Application{AppID: "a"}},
			status: check.StatusFail, says: "no valid key"},
		"with an ended key": {app: fact.Dedicated{Application: fact.Application{AppID: "a"}},
			status: check.StatusFail, says: "no valid key"},
		"with a foreign key": {app: fact.Dedicated{Application: fact.Application{AppID: "a",
			KeyCredentials: []any{foreign}}}, own: true, status: check.StatusWarn, says: "theirs"},
		"with a secret": {app: fact.Dedicated{Application: fact.Application{AppID: "a", Passwords: 1}},
			own: true, status: check.StatusWarn, says: "1 client secret"},
		"open to all tenants": {app: fact.Dedicated{Application: fact.Application{AppID: "a",
			SignInAudience: "AzureADMultipleOrgs"}}, own: true, status: check.StatusWarn, says: "AzureADMultipleOrgs"},
		"healthy": {app: fact.Dedicated{Application: fact.Application{AppID: "a",
			SignInAudience: "AzureADMyOrg"}}, own: true, status: check.StatusPass},
	} {
		t.Run(name, func(t *testing.T) {
			set, _ := healthy(t)
			if test.own {
				seedApplication(set, test.app.Application)
			} else {
				fact.DedicatedApplication.Seed(set.Forests[0], test.app, nil)
			}
			r := applicationCheck.Run(t.Context(), Input{Set: set, Forest: set.Forests[0]})
			if r.Status != test.status || !strings.Contains(r.Summary.String(), test.says) {
				t.Errorf("%s: %s", r.Status, r.Summary)
			}
		})
	}
}
