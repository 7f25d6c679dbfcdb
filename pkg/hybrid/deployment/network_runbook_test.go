package deployment

import (
	"slices"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
)

// The runbook of the network team names each way of the features that are wanted, and no other.
func TestRunbookOfTheNetworkTeam(t *testing.T) {
	d := open(t)
	d.answers.Forests[0].Edge = []string{"edge1"}
	p := change.Plan{Digest: "sha256:x", Changes: make([]change.Change, 3)}
	text, err := d.Runbook(t.Context(), p, RoleNetwork)
	if err != nil {
		t.Fatal(err)
	}
	all := string(text)
	if want := "| Mailbox servers of " + d.answers.Forests[0].Name + " | edge1 | 50636 | EdgeSync |"; !strings.Contains(
		all, want) {
		t.Errorf("it lacks %q:\n%s", want, all)
	}
	for _, f := range d.answers.Forests {
		for _, want := range []string{
			"| Exchange servers of " + f.Name + " | the hosts of revocation lists and OCSP in the certificates | 80 |",
			"| Exchange Online | " + f.Namespace.Autodiscover + " | 443 |", "| Exchange Online | " + f.Namespace.EWS + " | 443 |",
			"| Exchange Online | " + f.Namespace.SMTP + " | 25 |", "| autodiscover." + f.Domains[0] + " | A or CNAME | ",
			"GO when", "STOP when", "sha256:x", "login.microsoftonline.com",
		} {
			if !strings.Contains(all, want) {
				t.Errorf("it lacks %q:\n%s", want, all)
			}
		}
	}
	d.answers.Features = slices.DeleteFunc(answers.DefaultFeatures(), func(f answers.Feature) bool {
		return f == answers.SecureMail
	})
	if text, _ = d.Runbook(t.Context(), p, RoleNetwork); strings.Contains(string(text), "| 25 |") {
		t.Errorf("a way for mail that is not wanted:\n%s", text)
	}
}
