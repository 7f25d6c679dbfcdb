package deployment

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
)

// What another person changed after the apply is shown with its values and with its author, and a
// log that may not be read leaves only the author unknown.
func TestDrift(t *testing.T) {
	d := open(t)
	v := verbs{t, d}
	drift := func() apply.Drift {
		t.Helper()
		found, err := d.Drift(t.Context(), &events{})
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if found := drift(); len(found.Objects)+found.Unchanged+len(found.Unknown) > 0 {
		t.Errorf("before the first run: %+v", found)
	}
	first, _ := v.plan()
	v.apply(first)
	if found := drift(); len(found.Objects) > 0 || found.Unchanged == 0 || len(found.Unknown) > 0 {
		t.Fatalf("after the run: %+v", found)
	}

	onprem, err := d.forests[0].exchange.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	online, err := d.tenant.online.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(1100 * time.Millisecond) // the logs know seconds
	named := func(noun string) string {
		for _, c := range first.Changes {
			if c.Kind == noun && (c.Target == "online" || c.Target == "onprem/"+d.forests[0].answers.Name) {
				return c.Name
			}
		}
		t.Fatalf("the plan has no %s", noun)
		return ""
	}
	for _, change := range []struct {
		session *guarded
		command exchange.Command
	}{
		{onprem, exchange.Command{Name: "Set-SendConnector",
			Parameters: map[string]any{"Identity": named("SendConnector"),
				"TlsDomain": "elsewhere.example"}}},
		{online, exchange.Command{Name: "Set-InboundConnector", Parameters: map[string]any{
			"Identity": named("InboundConnector"), "Enabled": false}}},
		{online, exchange.Command{Name: "Remove-OnPremisesOrganization", Parameters: map[string]any{
			"Identity": named("OnPremisesOrganization"), "Confirm": false}}},
	} {
		if _, err := change.session.Run(t.Context(), change.command); err != nil {
			t.Fatal(err)
		}
	}
	found := drift()
	got := map[string]apply.Drifted{}
	for _, o := range found.Objects {
		got[o.Kind] = o
	}
	if len(found.Objects) != 3 || len(found.Unknown)+len(found.Unaudited) > 0 {
		t.Fatalf("%+v", found)
	}
	send := got["SendConnector"]
	if len(send.Properties) != 1 || send.Properties[0].Name != "TlsDomain" ||
		send.Properties[0].Now != "elsewhere.example" ||
		len(send.By) != 1 || send.By[0].Cmdlet != "Set-SendConnector" || send.By[0].Who == "" || send.RunID == "" {
		t.Errorf("%+v", send)
	}
	if in := got["InboundConnector"]; len(in.By) != 1 || in.By[0].Who == "" || in.Properties[0].Name != "Enabled" {
		t.Errorf("%+v", in)
	}
	if o := got["OnPremisesOrganization"]; !o.Gone || len(o.By) != 1 {
		t.Errorf("%+v", o)
	}

	// Without the right to the logs, the same changes have no author.
	for _, g := range []*guarded{onprem, online} {
		g.Session = withoutCmdlet{withoutCmdlet{g.Session, "Search-AdminAuditLog"}, "Search-UnifiedAuditLog"}
	}
	blind := drift()
	if len(blind.Objects) != 3 || len(blind.Unaudited) != 2 || len(blind.Unknown) > 0 ||
		!errors.Is(blind.Unaudited[0].Err, exchange.ErrNoCmdlet) ||
		!strings.Contains(blind.Unaudited[0].Reason.String(), "View-Only Audit Logs") {
		t.Fatalf("%+v", blind)
	}
	for _, o := range blind.Objects {
		if len(o.By) > 0 {
			t.Errorf("%+v", o)
		}
	}

	// What cannot be read is unknown, and not gone.
	onprem.Session = withoutCmdlet{onprem.Session, "Get-SendConnector"}
	unread := drift()
	if len(unread.Objects) != 2 || len(unread.Unknown) != 1 || unread.Unknown[0].Kind != "SendConnector" {
		t.Errorf("%+v", unread)
	}
}

// What a run left whose journal cannot be read is not known: nothing changed is not said of it, and a
// plan says that it removes nothing of it.
func TestDriftBesideAnUnreadableJournal(t *testing.T) {
	state := t.TempDir()
	runs := filepath.Join(state, "runs")
	if err := os.Mkdir(runs, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(runs, "20260101T000000.000Z.jsonl"), []byte("garbage\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := Open(answers.Answers{}, Options{StateDir: state})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.unwanted(t.Context(), d.facts(), nil, nil); err != nil || len(d.unheard) != 1 {
		t.Errorf("%v; a plan warns of %d journals", err, len(d.unheard))
	}
	if found, err := d.Drift(t.Context(), &events{}); err != nil || len(found.Unknown) != 1 ||
		!errors.Is(found.Unknown[0].Err, apply.ErrJournal) {
		t.Errorf("%+v, %v", found, err)
	}
}
