package desired

import (
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// The plan says which route lookups take, why, and until when.
func TestPlanSaysTheRoute(t *testing.T) {
	china, _ := cloud.Get("21vianet")
	given := server("EX1", build(15, 2, 2562, 53))
	given.Given = true
	for name, tt := range map[string]struct {
		cloud    cloud.Cloud
		servers  []fact.MailboxServer
		features []answers.Feature
		want     []string
	}{
		"the build does not show the update": {worldwide(t),
			[]fact.MailboxServer{server("EX1", build(15, 2, 2562, 17))},
			nil, []string{"go by EWS until it ends in Exchange Online on 2027-04-01",
				"EX1 in contoso is at 15.2.2562.17", "forests[].exchange.builds"}},
		"too old": {worldwide(t), []fact.MailboxServer{server("EX1", build(15, 2, 1748, 39))}, nil,
			[]string{"go by EWS", "upgrade every server to Exchange SE"}},
		"no Graph in the cloud": {china, []fact.MailboxServer{server("EX1", build(15, 2, 2562, 53))}, nil,
			[]string{"go by EWS", "21Vianet, China has no Graph route", "nothing takes its place"}},
		"nothing that Graph carries": {worldwide(t), []fact.MailboxServer{given},
			[]answers.Feature{answers.OnlineArchive}, []string{"go by EWS", "the features of the answers need EWS"}},
		"Graph": {worldwide(t), []fact.MailboxServer{given}, nil,
			[]string{"go through Microsoft Graph, because every server has the Graph route"}},
		"Graph with a fault": {worldwide(t), []fact.MailboxServer{server("EX1", build(15, 2, 2562, 46))}, nil,
			[]string{"go through Microsoft Graph", "EX1 in contoso is at 15.2.2562.46: busy times",
				"install 15.2.2562.53"}},
	} {
		t.Run(name, func(t *testing.T) {
			f, a := testFacts(), testAnswers()
			f.Now = cloud.EWSEnds.Add(-90 * 24 * time.Hour)
			a.Features = tt.features
			for i := range f.Forests {
				f.Forests[i].Servers = tt.servers
			}
			d, err := Derive(t.Context(), f.set(a, tt.cloud))
			if err != nil {
				t.Fatal(err)
			}
			said := ""
			for _, n := range d.Notes {
				said += n.Topic + ": " + n.Text.String() + "\n"
			}
			for _, w := range tt.want {
				if !strings.Contains(said, w) {
					t.Errorf("the notes lack %q:\n%s", w, said)
				}
			}
		})
	}
}
