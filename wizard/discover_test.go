package wizard

import (
	"context"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
)

var _ = pass[*discoverScreen]("", "")

func discovered() deployment.Found {
	from := msg.Of("Active Directory of contoso.com")
	var found deployment.Found
	for _, p := range [][2]string{{"organization", "Contoso"}, {"forests[].name", "contoso"},
		{"forests[].domains", "contoso.com"}, {"forests[].exchange.server", "ex1.contoso.com"},
		{"forests[].namespace.autodiscover", "autodiscover.contoso.com"}, {"forests[].namespace.ews", "mail.contoso.com"},
		{"forests[].namespace.smtp", "mail.contoso.com"}, {"exchangeOnline.tenant", "contoso.onmicrosoft.com"},
	} {
		found.Proposals = append(found.Proposals, deployment.Proposal{Question: p[0], Values: []string{p[1]}, From: from})
	}
	return found
}

// atDiscovery is the wizard without answers, where it asks for the first forest.
func atDiscovery(t *testing.T, engine *fake) (*bench, *discoverScreen) {
	t.Helper()
	b := sit(t, 80, 24, "", engine)
	b.until("Which organization")
	b.m.way = screens()
	b.m.screen = b.m.way[0]
	b.m.options.Domain = func() string { return "contoso.com" }
	b.run(b.m.screen.enter(b.m))
	b.walk(step{"<enter>", "Where is forest 1?"})
	return b, find[*discoverScreen](b.m)
}

func TestDiscoverScreen(t *testing.T) {
	engine := newFake()
	engine.found = discovered()
	engine.found.Gaps = []deployment.Gap{{What: "contoso.com", Why: msg.Plain("DNS has no \x1b[31mautodiscover")}}
	engine.found.Forests = []string{"fabrikam.example"}
	b, _ := atDiscovery(t, engine)
	b.goldens("discover")
	b.walk(step{"<enter>svc<enter>", "8 answers found"})
	b.goldens("discover-found")
	if got := b.m.document.Text("forests[0].directory.bind.user"); got != "svc@contoso.com" {
		t.Errorf("account %q", got)
	}
	b.walk(step{"f", "fabrikam.example"}, step{"", "svc"}) // what forest 1 has is offered for forest 2
	b.walk(step{"<esc>", "Where is forest 1?"}, step{"<enter><enter>", "8 answers found"},
		step{"<enter>", "These are the answers"})
	if a := b.m.answers; a.Forests[0].Exchange.Server != "ex1.contoso.com" || a.Organization != "Contoso" {
		t.Errorf("answers %+v", a)
	}
}

// What is left out is asked, and what was not found too.
func TestProposalLeftOut(t *testing.T) {
	engine := newFake()
	engine.found = discovered()
	b, _ := atDiscovery(t, engine)
	b.walk(step{"<enter><enter>", "8 answers found"}, step{"x", "left out: Contoso"}, step{"x", "> Organization"},
		step{"x", "left out: Contoso"}, step{"<enter>", "7 answers found; this one is missing"},
		step{"Mine<ctrl+s>", "These are the answers"})
	if b.m.answers.Organization != "Mine" || b.m.answers.Forests[0].Directory.Bind.Kind != "kerberos" {
		t.Errorf("%+v", b.m.answers)
	}
}

// Where hybrid exists, the first thing to see is what differs.
func TestExistingHybrid(t *testing.T) {
	engine := newFake()
	engine.found = discovered()
	engine.found.Hybrid = []string{"contoso.com"}
	b, _ := atDiscovery(t, engine)
	b.walk(step{"<enter><enter>", "8 answers found"}, step{"<enter>", "1 to create"})
}

// A domain is needed, and a failure of the look leaves what was typed.
func TestDiscoveryFails(t *testing.T) {
	engine := newFake()
	engine.asks = true
	b, s := atDiscovery(t, engine)
	b.walk(step{"<ctrl+u><enter>", "Type the DNS name"}, step{"no name<enter><enter>", "Type the DNS name"},
		step{"<ctrl+u>contoso.com<enter>svc<enter>", "password of"}, step{"<esc>", "error:  it was not given"})
	if s.fields[1].String() != "svc" {
		t.Errorf("the account is lost: %q", s.fields[1].String())
	}
	b.walk(step{"<enter>", "password of"}, step{"pw<enter>", "0 answers found"})
}

// A typed secret serves the next engine too, and is asked again where it was refused.
func TestTypedOnce(t *testing.T) {
	r, q := &remembered{}, newQueue()
	answered := func(engine func() error, typed string) string {
		done := make(chan error, 1)
		go func() { done <- engine() }()
		for {
			select {
			case err := <-done:
				if err != nil {
					t.Error(err)
				}
				return "not asked"
			case <-q.wake:
				q.mu.Lock()
				messages := q.messages
				q.messages = nil
				q.mu.Unlock()
				for _, m := range messages {
					m.(asked).reply <- reply{value: secret.NewValue(typed)}
				}
				<-done
				return "asked"
			}
		}
	}
	first, second := r.prompt(q), r.prompt(q)
	ask := func(p func(context.Context, string) (secret.Value, error)) func() error {
		return func() error { _, err := p(t.Context(), "password of x"); return err }
	}
	got := []string{answered(ask(first), "a"), answered(ask(second), "b"), answered(ask(second), "c")}
	if strings.Join(got, ", ") != "asked, not asked, asked" {
		t.Errorf("%v", got)
	}
}
