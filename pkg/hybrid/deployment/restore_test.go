package deployment

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/hcw"
)

// What the wizard overwrote comes back where it is still what the wizard wrote and hybrid does not
// need it so. The plan after it takes nothing of that back, and a rollback does.
func TestRestoreWhatTheWizardOverwrote(t *testing.T) {
	d := open(t)
	v := verbs{t, d}
	first, _ := v.plan()
	v.apply(first)

	onprem, err := d.forests[0].exchange.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	online, err := d.tenant.online.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	one := func(s exchange.Session, noun, property, part string) exchange.Object {
		t.Helper()
		all, err := s.Run(t.Context(), exchange.Command{Name: "Get-" + noun})
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range all {
			if text, _ := o.String(property); strings.Contains(text, part) {
				return o
			}
		}
		t.Fatalf("no %s with %s %s", noun, property, part)
		return exchange.Object{}
	}
	text := func(o exchange.Object, property string) string {
		s, _ := o.String(property)
		return s
	}
	receive := text(one(onprem, "ReceiveConnector", "Identity", "Default Frontend"), "Identity")
	send := one(onprem, "SendConnector", "Name", "Outbound to Office 365")
	outbound := one(online, "OutboundConnector", "Name", "Outbound to")
	domains, err := outbound.Strings("RecipientDomains")
	if err != nil {
		t.Fatal(err)
	}
	const wizard = "Tls, Integrated, BasicAuth, BasicAuthRequireTLS, ExchangeServer"
	mechanisms := func() string {
		return text(one(onprem, "ReceiveConnector", "Identity", "Default Frontend"), "AuthMechanism")
	}
	if mechanisms() != wizard {
		if _, err := onprem.Run(t.Context(), exchange.Command{Name: "Set-ReceiveConnector",
			Parameters: map[string]any{"Identity": receive, "AuthMechanism": strings.Split(wizard, ", ")}}); err != nil {
			t.Fatal(err)
		}
	}

	over := func(side hcw.Side, kind, object, property, was, wrote string) Overwritten {
		return Overwritten{Side: side, Kind: kind, Object: object, Property: property, Was: was, Wrote: wrote}
	}
	d.options.Restore = []Overwritten{
		over(hcw.OnPremises, "ReceiveConnector", receive, "AuthMechanism", "Tls, Integrated, ExchangeServer", wizard),
		over(hcw.Tenant, "OutboundConnector", text(outbound, "Name"), "RecipientDomains",
			strings.Join(append([]string{"extra.example"}, domains...), ", "), strings.Join(domains, ", ")),
		over(hcw.OnPremises, "SendConnector", text(send, "Name"), "Fqdn", "old.contoso.example", text(send, "Fqdn")),
		over(hcw.OnPremises, "SendConnector", text(send, "Name"), "ErrorPolicies", "DowngradeCustomFailures", "Default"),
		over(hcw.OnPremises, "SendConnector", text(send, "Name"), "TlsDomain", "old.example", "another.example"),
		over(hcw.OnPremises, "SendConnector", text(send, "Name"), "RequireTLS", "True", "False"),
		over(hcw.Tenant, "InboundConnector", "Inbound from nowhere", "RequireTls", "True", "False"),
		over(hcw.OnPremises, "SendConnector", text(send, "Name"), "TlsDomain", "cut off ...", "x"),
		{Side: hcw.Tenant, Kind: "OutboundConnector", Object: "x", Property: "TlsDomain", Unsure: true},
	}
	// Both forests have a server of that name.
	unclear, _ := v.plan()
	if got := actions(unclear); len(got) != 1 || got["update OutboundConnector"] != 1 {
		t.Fatalf("%v", got)
	}
	d.options.Forests = []string{d.forests[0].answers.Name}
	restoring, _ := v.plan()
	var notes []string
	for _, n := range restoring.Notes {
		if n.Topic == "restore" {
			notes = append(notes, n.Text.String()+" | "+strings.Join(n.Commands, ""))
		}
	}
	want := map[string]int{"update ReceiveConnector": 1, "update OutboundConnector": 1}
	if diff := cmp.Diff(want, actions(restoring)); diff != "" {
		t.Fatalf("planned (-want +got):\n%s\n%s", diff, strings.Join(notes, "\n"))
	}
	for i, part := range []string{
		"restores 2 of 9 values",
		"hybrid needs it as the wizard set it",
		"-ErrorPolicies 'DowngradeCustomFailures'",
		"it has changed since: the wizard wrote another.example",
		"it has that value again",
		"there is no such object",
		"only its beginning",
		"does not say what the wizard wrote",
	} {
		if i >= len(notes) || !strings.Contains(notes[i], part) {
			t.Fatalf("note %d lacks %q:\n%s", i, part, strings.Join(notes, "\n"))
		}
	}
	for _, c := range restoring.Changes {
		if len(c.Restores) != 1 || c.Before[c.Restores[0]] == nil {
			t.Errorf("%+v", c)
		}
	}
	v.apply(restoring)
	if got := mechanisms(); got != "Tls, Integrated, ExchangeServer" {
		t.Errorf("AuthMechanism is %s", got)
	}
	d.options.Restore, d.options.Forests = nil, nil
	if again, _ := v.plan(); len(again.Changes) > 0 {
		t.Fatalf("the next plan takes back what was restored: %v %+v", actions(again), again.Changes)
	}
	if _, err := d.Rollback(t.Context(), "", apply.Options{Wait: 3e9}, &events{}); err != nil {
		t.Fatal(err)
	}
	if got := mechanisms(); got != wizard {
		t.Errorf("after the rollback, AuthMechanism is %s", got)
	}
}

// A side that cannot be read leaves the values out: nothing is planned on them, and nothing is said
// to be gone.
func TestRestoreWhereASideIsUnknown(t *testing.T) {
	d := open(t)
	d.options.Restore = []Overwritten{{Side: hcw.OnPremises, Kind: "ReceiveConnector", Object: `EX1\Default Frontend EX1`,
		Property: "AuthMechanism", Was: "Tls", Wrote: "Tls, Integrated"}}
	for _, f := range d.forests {
		connect := f.exchange.open
		f.exchange.open = func(ctx context.Context) (*guarded, error) {
			g, err := connect(ctx)
			if err == nil {
				g.Session = withoutCmdlet{g.Session, "Get-ReceiveConnector"}
			}
			return g, err
		}
	}
	p, err := d.Plan(t.Context(), &events{})
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, l := range p.LeftOut {
		found = found || l.Topic == "restore"
	}
	for _, n := range p.Notes {
		if strings.Contains(n.Text.String(), "no such object") {
			t.Errorf("%s", n.Text)
		}
	}
	if !found {
		t.Errorf("%+v", p.LeftOut)
	}
}

// withoutCmdlet is a session whose account may not run one cmdlet.
type withoutCmdlet struct {
	exchange.Session
	cmdlet string
}

func (w withoutCmdlet) Run(ctx context.Context, c exchange.Command) ([]exchange.Object, error) {
	if c.Name == w.cmdlet {
		return nil, fmt.Errorf("%s: %w", c.Name, exchange.ErrNoCmdlet)
	}
	return w.Session.Run(ctx, c)
}
