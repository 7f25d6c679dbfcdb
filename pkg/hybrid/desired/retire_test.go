package desired

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

const dedicatedApp = "aaaaaaaa-1111-0000-0000-000000000001"

// retiring derives one topic for facts in which contoso signs in as its application.
func retiring(t *testing.T, topic string, a answers.Answers, spoil func(*fact.Set)) Derived {
	t.Helper()
	f := testFacts()
	f.Forests = f.Forests[:1]
	a.Forests = a.Forests[:1]
	f.Forests[0].Application = &fact.Application{AppID: dedicatedApp}
	f.Forests[0].Overrides = []fact.SettingOverride{{Name: "3P", Component: "Global",
		Section: dedicatedApplicationOverride.section, Parameters: []string{"Enabled=true"}}}
	set := f.set(a, worldwide(t))
	forest := set.Forests[0]
	fact.AuthServers.Seed(forest, []fact.AuthServer{{Name: "EvoSts", Type: "AzureAD", Realm: tenantID, Enabled: true,
		ApplicationIdentifier: dedicatedApp}}, nil)
	keys := []entra.KeyCredential{sharedKeyOf("contoso auth certificate", nil)}
	fact.SharedKeys.Seed(set.Tenant, keys, nil)
	fact.Principal.Seed(set.Tenant, oauth.AppExchangeOnline, entra.ServicePrincipal{KeyCredentials: keys}, nil)
	fact.MigrationBatches.Seed(set.Tenant, nil, nil)
	fact.OnlineMoveRequests.Seed(set.Tenant, nil, nil)
	fact.MoveRequests.Seed(forest, nil, nil)
	if spoil != nil {
		spoil(set)
	}
	p := &Planner{Answers: a, set: set}
	for _, each := range Topics() {
		if each.ID != topic {
			continue
		}
		var of *fact.Side
		if each.PerForest {
			of = forest
		}
		if err := p.derive(t.Context(), each, of); err != nil {
			t.Fatal(err)
		}
	}
	d := Derived{Notes: p.notes, LeftOut: p.waits}
	for _, r := range p.out {
		d.Resources = append(d.Resources, r.Resource)
	}
	for _, l := range p.left {
		d.LeftOut = append(d.LeftOut, change.LeftOut{Topic: l.topic.ID, Reason: msg.Plain(l.err.Error()), Err: l.err})
	}
	return d
}

func sharedKeyOf(text string, end *time.Time) entra.KeyCredential {
	return entra.KeyCredential{KeyID: "k-" + text, Key: []byte(text), EndDateTime: end,
		CustomKeyIdentifier: certificate.ThumbprintOf([]byte(text))}
}

func notesOf(d Derived) (out string) {
	for _, n := range d.Notes {
		out += n.Text.String() + "\n"
	}
	return out
}

// The auth certificate of a forest leaves the shared application when the forest signs in as its
// own, and when the answers say so. Keys of others stay; a key that is in use stays and is named.
func TestSharedKeys(t *testing.T) {
	thumbprint := certificate.ThumbprintOf([]byte("contoso auth certificate"))
	ended := now.AddDate(0, 0, -1)
	others := func(s *fact.Set, keys ...entra.KeyCredential) {
		fact.SharedKeys.Seed(s.Tenant, append([]entra.KeyCredential{sharedKeyOf("contoso auth certificate", nil)},
			keys...), nil)
	}
	for name, tt := range map[string]struct {
		retire []answers.Retired
		spoil  func(*fact.Set)
		stay   []string // certificates that stay, when a change is planned
		plans  bool
		note   string
		waits  string
	}{
		"not asked for": {note: thumbprint + " of forest contoso"},
		"asked for": {retire: []answers.Retired{answers.RetireSharedKeys}, plans: true,
			note: "never remove its service principal"},
		"another's key": {retire: []answers.Retired{answers.RetireSharedKeys}, plans: true, stay: []string{"of others"},
			spoil: func(s *fact.Set) { others(s, sharedKeyOf("of others", nil)) }, note: "find out whose it is"},
		"a key that has ended": {retire: []answers.Retired{answers.RetireSharedKeys}, plans: true,
			spoil: func(s *fact.Set) { others(s, sharedKeyOf("of others", &ended)) }},
		"another's key without its certificate": {retire: []answers.Retired{answers.RetireSharedKeys},
			spoil: func(s *fact.Set) {
				k := sharedKeyOf("of others", nil)
				k.Key = nil
				others(s, k)
			}, waits: "Graph takes the list whole"},
		"the auth server names no application": {retire: []answers.Retired{answers.RetireSharedKeys},
			spoil: func(s *fact.Set) { fact.AuthServers.Seed(s.Forests[0], nil, nil) },
			waits: "does not sign in as its dedicated application yet"},
		"a server without the override": {retire: []answers.Retired{answers.RetireSharedKeys},
			spoil: func(s *fact.Set) { fact.SettingOverrides.Seed(s.Forests[0], nil, nil) },
			waits: "server EX1 of contoso does not use the dedicated application yet"},
		"unknown": {retire: []answers.Retired{answers.RetireSharedKeys},
			spoil: func(s *fact.Set) { fact.AuthServers.Seed(s.Forests[0], nil, errors.New("no answer")) },
			waits: "no answer"},
		"unknown and not asked for": {
			spoil: func(s *fact.Set) { fact.AuthServers.Seed(s.Forests[0], nil, errors.New("no answer")) }},
	} {
		t.Run(name, func(t *testing.T) {
			a := testAnswers()
			a.Retire = tt.retire
			d := retiring(t, "shared-keys", a, tt.spoil)
			if got := len(d.Resources) == 1; got != tt.plans {
				t.Fatalf("planned %+v, left out %+v", d.Resources, d.LeftOut)
			}
			if !strings.Contains(notesOf(d), tt.note) {
				t.Errorf("the notes lack %q: %s", tt.note, notesOf(d))
			}
			waits := ""
			for _, l := range d.LeftOut {
				waits += l.Reason.String()
			}
			if !strings.Contains(waits, tt.waits) || tt.waits == "" && waits != "" {
				t.Errorf("left out %q, want %q", waits, tt.waits)
			}
			if !tt.plans {
				return
			}
			r := d.Resources[0]
			if !strings.Contains(r.Reason.String(), thumbprint+" of forest contoso") {
				t.Errorf("the reason names no key and owner: %s", r.Reason)
			}
			kept := elements(r.Properties["keyCredentials"])
			if len(kept) != len(tt.stay) {
				t.Fatalf("%v stay, want %v", kept, tt.stay)
			}
			for i, k := range kept {
				if got := k.(map[string]any)["key"]; got != base64.StdEncoding.EncodeToString([]byte(tt.stay[i])) {
					t.Errorf("%v stays, want %s", got, tt.stay[i])
				}
			}
		})
	}
}

// With secure mail alone there is no dedicated application: a key is in use while a connector sends
// lookups to the tenant.
func TestSharedKeysOfSecureMail(t *testing.T) {
	a := testAnswers()
	a.Features, a.Retire = []answers.Feature{answers.SecureMail}, []answers.Retired{answers.RetireSharedKeys}
	if d := retiring(t, "shared-keys", a, nil); len(d.Resources) != 1 {
		t.Errorf("without a connector nothing is planned: %+v", d.LeftOut)
	}
	d := retiring(t, "shared-keys", a, func(s *fact.Set) {
		fact.Connectors.Seed(s.Forests[0],
			[]fact.Holder{{Name: "IOC", Domains: []string{"contoso.mail.onmicrosoft.com"}}},
			nil)
	})
	if len(d.Resources) != 0 || len(d.LeftOut) != 1 || !strings.Contains(d.LeftOut[0].Reason.String(), "IOC") {
		t.Errorf("%+v, %+v", d.Resources, d.LeftOut)
	}
}

// An override against a fault goes when every server that it applies to is known to have the
// update.
func TestWorkarounds(t *testing.T) {
	const name = "DisableBlockSharedAndUserMailboxHeaders"
	for _, tt := range []struct {
		name    string
		builds  []fact.Build
		retire  bool
		removes bool
		note    bool
		waits   bool
	}{
		{"updated", []fact.Build{build(15, 2, 2562, 49)}, true, true, false, false},
		{"updated, not asked for", []fact.Build{build(15, 2, 2562, 49)}, false, false, true, false},
		{"below", []fact.Build{build(15, 2, 2562, 46)}, true, false, false, true},
		{"below, not asked for", []fact.Build{build(15, 2, 2562, 46)}, false, false, false, false},
		{"not shown", []fact.Build{build(15, 2, 2562, 17)}, true, false, false, true},
		{"one below", []fact.Build{build(15, 2, 2562, 53), build(15, 1, 2507, 72)}, true, false, false, true},
		{"2016 updated", []fact.Build{build(15, 1, 2507, 73)}, true, true, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := testAnswers()
			if tt.retire {
				a.Retire = []answers.Retired{answers.RetireWorkarounds}
			}
			d := retiring(t, "workarounds", a, func(s *fact.Set) {
				var servers []fact.MailboxServer
				for _, b := range tt.builds {
					servers = append(servers, server("EX"+b.String(), b))
				}
				fact.MailboxServers.Seed(s.Forests[0], servers, nil)
				fact.SettingOverrides.Seed(s.Forests[0], []fact.SettingOverride{{Name: name, Component: "Transport",
					Section: "BlockSharedAndUserMailboxHeaders"}, {Name: "mine", Component: "X", Section: "Y"}}, nil)
			})
			removes := len(d.Resources) == 1 && d.Resources[0].Absent && d.Resources[0].Name == name
			if removes != tt.removes || len(d.Resources) > 1 {
				t.Errorf("%+v", d.Resources)
			}
			if got := len(d.Notes) > 0; got != tt.note {
				t.Errorf("notes %s", notesOf(d))
			}
			if got := len(d.LeftOut) > 0; got != tt.waits {
				t.Errorf("left out %+v", d.LeftOut)
			}
		})
	}
}

// MRSProxy is closed where nothing is moved, the features want no moves, and the answers say so.
func TestMRSProxyOff(t *testing.T) {
	for name, tt := range map[string]struct {
		features []answers.Feature
		retire   bool
		spoil    func(*fact.Set)
		removes  bool
		said     string
	}{
		"nothing is moved": {retire: true, removes: true},
		"not asked for":    {said: `MRSProxy is open on EX1\EWS`},
		"moves are wanted": {features: answers.DefaultFeatures(), retire: true},
		"a batch is left": {retire: true, said: "the migration batch 'Wave 1' of the tenant",
			spoil: func(s *fact.Set) { fact.MigrationBatches.Seed(s.Tenant, []string{"Wave 1"}, nil) }},
		"a move is left": {retire: true, said: "the move request 'anna' of the tenant",
			spoil: func(s *fact.Set) { fact.OnlineMoveRequests.Seed(s.Tenant, []string{"anna"}, nil) }},
		"a move on-premises": {retire: true, said: "the move request 'bob' of forest contoso",
			spoil: func(s *fact.Set) { fact.MoveRequests.Seed(s.Forests[0], []string{"bob"}, nil) }},
		"batches are unknown": {retire: true, said: "no answer",
			spoil: func(s *fact.Set) { fact.MigrationBatches.Seed(s.Tenant, nil, errors.New("no answer")) }},
	} {
		t.Run(name, func(t *testing.T) {
			a := testAnswers()
			a.Features = []answers.Feature{answers.FreeBusy}
			if tt.features != nil {
				a.Features = tt.features
			}
			if tt.retire {
				a.Retire = []answers.Retired{answers.RetireMRSProxy}
			}
			d := retiring(t, "mrs-proxy-off", a, func(s *fact.Set) {
				fact.VirtualDirectories.Seed(s.Forests[0], []fact.VirtualDirectory{{Noun: fact.EWSDirectory,
					Identity: `EX1\EWS (Default Web Site)`, MRSProxy: true}, {Noun: fact.EWSDirectory,
					Identity: `EX2\EWS (Default Web Site)`}}, nil)
				if tt.spoil != nil {
					tt.spoil(s)
				}
			})
			if removes := len(d.Resources) == 1 && d.Resources[0].Absent; removes != tt.removes ||
				len(d.Resources) > 1 {
				t.Errorf("%+v", d.Resources)
			}
			said := notesOf(d)
			for _, l := range d.LeftOut {
				said += l.Reason.String()
			}
			if !strings.Contains(said, tt.said) || tt.said == "" && said != "" {
				t.Errorf("said %q, want %q", said, tt.said)
			}
		})
	}
}
