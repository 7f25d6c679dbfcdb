package desired

import (
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// The applications that lose EWS when the list comes into force are named, except those on it and
// the dedicated application.
func TestWhoLosesEWS(t *testing.T) {
	f := testFacts()
	own := "99999999-0000-0000-0000-000000000009"
	f.Forests[0].Application = &fact.Application{ID: "o", AppID: own}
	f.Tenant.Grantees = []fact.Grantee{{Name: "Archiver", AppID: "77777777-0000-0000-0000-000000000007"},
		{Name: "Own", AppID: own}}
	resources, err := resourcesOf(t, f, testAnswers(), worldwide(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range resources {
		if r.Kind == organizationConfig {
			if reason := r.Reason.String(); !strings.Contains(reason, "Archiver 77777777") ||
				strings.Contains(reason, own) {
				t.Errorf("reason: %s", reason)
			}
		}
	}
}
