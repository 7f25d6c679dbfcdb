package desired

import (
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
)

// Centralized transport that the features no longer want stays, and the plan gives the command that
// switches it off: the switch and the domains together.
func TestCentralizedTransportLeaves(t *testing.T) {
	for name, tt := range map[string]struct {
		features []answers.Feature
		live     bool
		says     bool
	}{
		"on and not wanted":  {nil, true, true},
		"on and wanted":      {[]answers.Feature{answers.CentralizedTransport}, true, false},
		"off and not wanted": {nil, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			w, f, a := mailWorld(t, tt.features...)
			a.Forests, f.Forests = a.Forests[:1], f.Forests[:1]
			w.online.objects["OutboundConnector"] = []map[string]any{{"Name": "To contoso", "ConnectorType": "OnPremises",
				"SmartHosts": []string{a.Forests[0].Namespace.SMTP}, "RecipientDomains": []string{"*"},
				"RouteAllMessagesViaOnPremises": tt.live}}
			d, err := Derive(t.Context(), f.set(a, worldwide(t)))
			if err != nil {
				t.Fatal(err)
			}
			said := ""
			for _, n := range d.Notes {
				said += strings.Join(n.Commands, "\n") + "\n"
			}
			if got := strings.Contains(said, "Set-OutboundConnector -Identity 'To contoso' -RouteAllMessagesViaOnPremises "+
				"$false -RecipientDomains 'contoso.com'"); got != tt.says {
				t.Errorf("the notes say %q, left out %+v", said, d.LeftOut)
			}
		})
	}
}
