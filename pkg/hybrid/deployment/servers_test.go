package deployment

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
	"github.com/hybridge-cli/hybridge/pkg/lab"
)

// twoServers starts a lab whose forests have two Exchange servers each, and opens its deployment.
func twoServers(t *testing.T, o lab.Options) (*lab.Lab, *Deployment) {
	t.Helper()
	o.Dir, o.Users, o.Servers = t.TempDir(), 20, 2
	l, err := lab.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l, openIn(t, l.Answers(), nil)
}

// TestHealthyServers: a lab with two Exchange servers per forest gives no finding, whatever is set up.
func TestHealthyServers(t *testing.T) {
	for _, state := range lab.States() {
		t.Run(state.ID, func(t *testing.T) {
			_, d := twoServers(t, lab.Options{State: state.ID})
			r, err := d.Check(t.Context(), &events{})
			if err != nil {
				t.Fatal(err)
			}
			for _, result := range r.Results {
				if expectedWarning(result.ID, state.ID) && result.Status == check.StatusWarn {
					continue
				}
				if result.Status != check.StatusPass && result.Status != check.StatusSkip || len(result.MissingRights) > 0 {
					t.Errorf("%s %s (%s): %s", result.Status, result.ID, result.Scope, result.Summary)
				}
			}
			if len(r.Results) < 120 {
				t.Errorf("%d results", len(r.Results))
			}
		})
	}
}

// TestServersConverge: with two servers per forest an applied plan leaves nothing to plan, no check
// finds a fault, lookups and mail work, and a rollback leads back.
func TestServersConverge(t *testing.T) {
	for _, state := range []string{lab.Clean, lab.Wizard} {
		t.Run(state, func(t *testing.T) {
			_, d := twoServers(t, lab.Options{State: state})
			first, err := d.Plan(t.Context(), &events{})
			if err != nil || len(first.Changes) == 0 || len(first.LeftOut) > 0 {
				t.Fatal(len(first.Changes), first.LeftOut, err)
			}
			if r, err := d.Apply(t.Context(), first, apply.Options{}, &events{}); err != nil {
				t.Fatalf("%v: %+v", err, r)
			}
			if p, err := d.Plan(t.Context(), &events{}); err != nil || len(p.Changes)+len(p.LeftOut) > 0 {
				t.Errorf("then: %v, %v, %v", slices.Collect(ids(p)), p.LeftOut, err)
			}
			r, err := d.Check(t.Context(), &events{})
			if err != nil {
				t.Fatal(err)
			}
			for _, result := range r.Results {
				if result.Status != check.StatusPass && result.Status != check.StatusSkip &&
					!(expectedWarning(result.ID, lab.Wizard) && result.Status == check.StatusWarn) {
					t.Errorf("%s %s (%s): %s", result.Status, result.ID, result.Scope, result.Summary)
				}
			}
			for _, o := range []TestOptions{{Message: true}, {}, {Message: true}} { // the load balancer takes turns
				r, err := d.Test(t.Context(), o, &events{})
				if err != nil || r.Summary.Failed+r.Summary.Unknown+r.Summary.Pending > 0 || r.Summary.OK == 0 {
					t.Errorf("messages %v: %+v, %v", o.Message, r.Summary, err)
					for _, a := range r.Matrix {
						t.Logf("%+v", a)
					}
				}
			}
			if undone, err := d.Rollback(t.Context(), "", apply.Options{Accept: []string{apply.AcceptRemovals}},
				&events{}); err != nil {
				t.Fatalf("%v: %+v", err, undone)
			}
			again, err := d.Plan(t.Context(), &events{})
			if err != nil || !slices.Equal(slices.Collect(ids(first)), slices.Collect(ids(again))) {
				t.Errorf("after the rollback: %v, %v", slices.Collect(ids(again)), err)
			}
		})
	}
}

// TestRotateTransportAtServers: every server gets the certificate before a connector names it, and
// every default frontend connector names it. Mail and lookups work after each change, at whichever
// server they arrive.
func TestRotateTransportAtServers(t *testing.T) {
	for _, test := range []struct {
		name    string
		renewal lab.Renewal
		changes map[string]int
	}{
		{"same issuer and subject", lab.Renewal{}, map[string]int{"ServerCertificate create": 2}},
		{"other name and issuer", lab.Renewal{CommonName: "mail2.contoso.example", Issuer: "hybridge lab CA 2"},
			map[string]int{"ServerCertificate create": 2, "ReceiveConnector update": 2, "SendConnector update": 1,
				"HybridConfiguration update": 1, "InboundConnector create": 1, "OnPremisesOrganization update": 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := workingIn(t, lab.Options{Forests: 1, Servers: 2})
			r := e.renewed(test.renewal)
			plan := e.rotate(r)
			if d := cmp.Diff(test.changes, count(plan)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			seen := map[string]bool{}
			for _, c := range plan.Changes {
				switch c.Kind {
				case "ServerCertificate":
					seen[c.ID] = true
				case "ReceiveConnector", "SendConnector":
					if len(seen) != 2 {
						t.Errorf("%s comes before the certificate is on every server", c.ID)
					}
				}
			}
			e.apply(plan, e)
			e.works("after")
			again := e.rotate(r)
			if len(again.Changes) > 0 && test.renewal.CommonName != "" {
				e.apply(again, e, apply.AcceptRemovals)
				again = e.rotate(r)
			}
			if len(again.Changes)+len(again.LeftOut) > 0 {
				t.Errorf("not complete: %v, %v", slices.Collect(ids(again)), again.LeftOut)
			}
			e.works("at the end")
		})
	}
}

// TestRotationInterruptedBetweenServers ends a rotation when the first server has the certificate and
// the second one lacks it: nothing names the certificate yet, and the next plan goes on with the
// second server.
func TestRotationInterruptedBetweenServers(t *testing.T) {
	e := workingIn(t, lab.Options{Forests: 1, Servers: 2})
	r := e.renewed(lab.Renewal{Issuer: "hybridge lab CA 2"})
	plan := e.rotate(r)
	at := slices.IndexFunc(plan.Changes, func(c change.Change) bool { return c.Kind == "ServerCertificate" })
	ctx, cancel := context.WithCancel(t.Context())
	done := &afterFirst{kind: "servercertificate", cancel: cancel}
	_, err := e.d.Apply(ctx, plan, apply.Options{}, done)
	cancel()
	if err == nil || at < 0 {
		t.Fatalf("not interrupted: %v", slices.Collect(ids(plan)))
	}
	e.works("between the servers")
	rest := e.rotate(r)
	if got := count(rest); got["ServerCertificate create"] != 1 || got["ReceiveConnector update"] != 2 {
		t.Errorf("then: %v", slices.Collect(ids(rest)))
	}
	e.apply(rest, e)
	if again := e.rotate(r); len(again.Changes)+len(again.LeftOut) > 0 {
		t.Errorf("not complete: %v, %v", slices.Collect(ids(again)), again.LeftOut)
	}
}

// afterFirst cancels when the first change of a kind is done.
type afterFirst struct {
	kind   string
	cancel context.CancelFunc
}

func (a *afterFirst) Observe(event observe.Event) {
	if o, done := event.(apply.Outcome); done && o.Status == apply.Done && strings.Contains(strings.ToLower(o.ID), a.kind) {
		a.cancel()
	}
}

// TestRotateAuthAtServers: Exchange brings a staged auth certificate to the other server.
func TestRotateAuthAtServers(t *testing.T) {
	e := workingIn(t, lab.Options{Forests: 1, Servers: 2})
	e.apply(e.rotate(Rotation{Auth: "stage"}), e)
	e.apply(e.rotate(Rotation{Auth: "publish"}), e)
	e.apply(e.rotate(Rotation{Auth: "clean"}), e, "earlier-auth-keys")
	e.works("at the end")
	if p, err := e.d.Plan(t.Context(), &events{}); err != nil || len(p.Changes)+len(p.LeftOut) > 0 {
		t.Errorf("the next plan: %v, %v, %v", slices.Collect(ids(p)), p.LeftOut, err)
	}
}

// TestStagedCertificateWaitsForServers: while a server lacks the staged auth certificate, nothing is
// published.
func TestStagedCertificateWaitsForServers(t *testing.T) {
	e := workingIn(t, lab.Options{Forests: 1, Servers: 2, Faults: []string{"second.auth-not-distributed"}})
	e.apply(e.rotate(Rotation{Auth: "stage"}), e)
	for _, stage := range []string{"stage", "publish"} {
		p := e.rotate(Rotation{Auth: stage})
		if len(p.Changes) > 0 || len(p.LeftOut) != 1 || !p.LeftOut[0].Waits ||
			!strings.Contains(p.LeftOut[0].Reason.String(), "is not on EX2 yet") {
			t.Errorf("%s: %v, %v", stage, slices.Collect(ids(p)), p.LeftOut)
		}
	}
}

// TestOAuthAtEveryServer: a server whose tokens fail is named, whichever one the load balancer leads
// the lookup to, and the servers that work are named too.
func TestOAuthAtEveryServer(t *testing.T) {
	for fault, says := range map[string]string{
		"second.auth-certificate-missing": "Missing signing certificate",
		"second.no-way-out":               "Unable to connect to the remote server",
		"second.override-missing":         "403",
	} {
		t.Run(fault, func(t *testing.T) {
			_, d := twoServers(t, lab.Options{Forests: 1, Faults: []string{fault}})
			p, err := d.Plan(t.Context(), &events{})
			if err != nil {
				t.Fatal(err)
			}
			if fault == "second.override-missing" { // hybridge would make the override apply to both
				p = without(t, d, "*settingoverride*")
			}
			if _, err := d.Apply(t.Context(), p, apply.Options{Accept: []string{"failed-checks"}}, &events{}); err != nil {
				t.Fatal(err)
			}
			r, err := d.Test(t.Context(), TestOptions{}, &events{})
			if err != nil {
				t.Fatal(err)
			}
			seen := false
			for _, a := range r.Matrix {
				if a.Probe != "test-oauthconnectivity" || !strings.HasPrefix(a.Direction, "contoso") {
					continue
				}
				seen = true
				if a.Status != freebusy.Failed || !strings.Contains(a.Error, "contoso at ex2.contoso.example") ||
					!strings.Contains(a.Error, says) || !strings.Contains(a.Note, "fails at ex2.contoso.example") {
					t.Errorf("%s: %s | %s", a.Status, a.Error, a.Note)
				}
			}
			if !seen {
				t.Error("the probe did not run")
			}
		})
	}
}

// without is the plan without one kind.
func without(t *testing.T, d *Deployment, kind string) change.Plan {
	t.Helper()
	d.options.Skip = append(d.options.Skip, kind)
	defer func() { d.options.Skip = nil }()
	p, err := d.Plan(t.Context(), &events{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestScriptsOfServers: the scripts of a forest change every server's connectors.
func TestScriptsOfServers(t *testing.T) {
	_, d := twoServers(t, lab.Options{Forests: 1})
	p, err := d.Plan(t.Context(), &events{})
	if err != nil {
		t.Fatal(err)
	}
	scripts, err := d.Scripts(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	there, back := "", ""
	for _, s := range scripts {
		if strings.HasPrefix(s.Name, RollbackFolder) {
			back += string(s.Content)
		} else {
			there += string(s.Content)
		}
	}
	for _, server := range []string{"EX1", "EX2"} {
		name := server + `\Default Frontend ` + server
		if !strings.Contains(there, name) || !strings.Contains(back, name) {
			t.Errorf("%s is changed there (%v) and back (%v)", name, strings.Contains(there, name),
				strings.Contains(back, name))
		}
	}
}

// TestSnapshotOfServers: check and plan say of a snapshot what they say of two servers, also where
// these differ, and a redacted one names neither.
func TestSnapshotOfServers(t *testing.T) {
	now := time.Now()
	for _, faults := range [][]string{nil, {"second.auth-certificate-missing", "second.old", "second.clock-wrong"}} {
		l, err := lab.Start(t.Context(), lab.Options{Dir: t.TempDir(), Users: 20, Servers: 2, Faults: faults})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		s := same(t, openIn(t, l.Answers(), func() time.Time { return now }))
		redacted, names, err := Redact(s)
		if err != nil {
			t.Fatal(err)
		}
		file := redacted.Encode()
		if at := serverNames.FindIndex(file); at != nil {
			t.Errorf("a server is named: %s", file[max(0, at[0]-100):min(len(file), at[1]+100)])
		}
		want, got := output(t, recalled(t, s)), output(t, recalled(t, redacted))
		for _, name := range []string{"check json", "plan json"} {
			live, back := sorted(want[name]),
				sorted(greeting.ReplaceAllString(names.Restore(got[name]), `"banner": "ex.`))
			// another server is named as the example
			live, back = strings.ReplaceAll(live, "ex2", "ex1"), strings.ReplaceAll(back, "ex2", "ex1")
			if diff := cmp.Diff(live, back); diff != "" {
				t.Errorf("%v: %s:\n%s", faults, name, diff)
			}
		}
	}
}

// serverNames are those of the lab, where no base64 is.
var serverNames = regexp.MustCompile(`(?i)(^|[^A-Za-z0-9+/])ex[12]([^A-Za-z0-9+/=]|$)`)

// TestValidateServers: a healthy hybrid of two servers is green for every question of a help desk.
func TestValidateServers(t *testing.T) {
	e := workingIn(t, lab.Options{Forests: 1, Servers: 2})
	pair := e.answers.Tests.Pairs[0]
	for _, o := range []ValidateOptions{{Subject: "freebusy", From: pair.From, To: pair.To, Both: true},
		{Subject: "user", User: pair.From}, {Subject: "user", User: pair.To}, {Subject: "certificates"}, {Subject: "oauth"},
		{Subject: "mailflow"}, {Subject: "domain", Domain: "contoso.example"}, {}} {
		v, err := e.open().Validate(t.Context(), o, &events{})
		if err != nil || v.Verdict.Status != freebusy.OK {
			t.Errorf("%q: %s, %s, %v", o.Subject, v.Verdict.Status, v.Verdict.Text, err)
		}
	}
}

// TestServersBeside: two servers beside an Edge server, WorkMail and lookups between forests give no
// finding, and mail works.
func TestServersBeside(t *testing.T) {
	for name, o := range map[string]lab.Options{
		"an Edge server": {Edge: true, State: lab.Wizard},
		"WorkMail":       {Forests: 1, Clouds: []string{lab.WorkMail}},
		"other forests":  {Between: true},
	} {
		t.Run(name, func(t *testing.T) {
			_, d := twoServers(t, o)
			r, err := d.Check(t.Context(), &events{})
			if err != nil {
				t.Fatal(err)
			}
			for _, result := range r.Results {
				if expectedWarning(result.ID, o.State) && result.Status == check.StatusWarn {
					continue
				}
				if result.Status != check.StatusPass && result.Status != check.StatusSkip || len(result.MissingRights) > 0 {
					t.Errorf("%s %s (%s): %s", result.Status, result.ID, result.Scope, result.Summary)
				}
			}
			for range 2 { // the load balancer takes turns
				if !o.Edge {
					break
				}
				sent, err := d.Test(t.Context(), TestOptions{Message: true}, &events{})
				if err != nil || sent.Summary.Failed+sent.Summary.Unknown+sent.Summary.Pending > 0 || sent.Summary.OK == 0 {
					t.Errorf("messages: %+v, %v", sent.Summary, err)
					for _, a := range sent.Matrix {
						t.Logf("%+v", a)
					}
				}
			}
		})
	}
}
