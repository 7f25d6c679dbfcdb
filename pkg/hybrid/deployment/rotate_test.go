package deployment

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/engine/selection"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/lab"
)

// estate is a lab whose hybrid works, with a deployment for changes and one that only tests.
type estate struct {
	*testing.T
	lab           *lab.Lab
	d, referee    *Deployment
	answers       answers.Answers
	tests, passed int
}

func working(t *testing.T, forests int, faults ...string) *estate {
	t.Helper()
	return workingIn(t, lab.Options{Forests: forests, Faults: faults})
}

func workingIn(t *testing.T, o lab.Options) *estate {
	t.Helper()
	o.Dir, o.Users = t.TempDir(), 20
	l, err := lab.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	a, err := answers.Load(t.Context(), l.Answers())
	if err != nil {
		t.Fatal(err)
	}
	e := &estate{T: t, lab: l, answers: a}
	e.d, e.referee = e.open(), e.open()
	plan, err := e.d.Plan(t.Context(), &events{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.d.Apply(t.Context(), plan, apply.Options{}, &events{}); err != nil {
		t.Fatal(err)
	}
	return e
}

func (e *estate) open() *Deployment {
	e.Helper()
	d, err := Open(e.answers, Options{Dir: filepath.Dir(e.lab.Answers()), StateDir: e.TempDir(), Version: "test"})
	if err != nil {
		e.Fatal(err)
	}
	e.Cleanup(func() { _ = d.Close(context.WithoutCancel(e.Context())) })
	return d
}

// works sends a message for each pair, and asks for free/busy.
func (e *estate) works(when string) {
	e.Helper()
	for _, o := range []TestOptions{{Message: true}, {}} {
		r, err := e.referee.Test(context.WithoutCancel(e.Context()), o, &events{})
		e.tests++
		if err != nil || r.Summary.Failed+r.Summary.Unknown+r.Summary.Pending > 0 || r.Summary.OK == 0 {
			e.Errorf("%s (messages: %v): %+v, %v", when, o.Message, r.Summary, err)
			for _, a := range r.Matrix {
				e.Logf("%+v", a)
			}
			return
		}
	}
	e.passed++
}

// Observe tests mail and lookups after each change.
func (e *estate) Observe(event observe.Event) {
	if o, done := event.(apply.Outcome); done && o.Status == apply.Done {
		e.works("after " + o.ID)
	}
}

func (e *estate) renewed(r lab.Renewal) Rotation {
	e.Helper()
	file, password, err := e.lab.Renew("contoso", r)
	if err != nil {
		e.Fatal(err)
	}
	return Rotation{Forest: "contoso", PFX: file, Password: password, Services: []string{"SMTP"}}
}

func (e *estate) rotate(r Rotation) change.Plan {
	e.Helper()
	plan, err := e.d.Rotate(e.Context(), r, &events{})
	if err != nil {
		e.Fatal(err)
	}
	return plan
}

func (e *estate) apply(plan change.Plan, obs observe.Observer, accept ...string) {
	e.Helper()
	if done, err := e.d.Apply(e.Context(), plan, apply.Options{Accept: accept}, obs); err != nil {
		e.Fatalf("%v: %+v", err, done)
	}
}

func (e *estate) on(forest bool, cmdlet, property string) []string {
	e.Helper()
	connected := e.d.tenant.online
	if forest {
		connected = e.d.forests[0].exchange
	}
	session, err := connected.get(e.Context())
	if err != nil {
		e.Fatal(err)
	}
	found, err := session.Run(e.Context(), exchange.Command{Name: cmdlet})
	if err != nil {
		e.Fatal(err)
	}
	var out []string
	for _, o := range found {
		if v, err := o.String(property); err == nil && v != "" {
			out = append(out, v)
		}
	}
	slices.Sort(out)
	return out
}

// TestRotateTransport replaces the transport certificate by one with the same issuer and subject, by
// one of another authority, and by one with another name. Mail and lookups work before, after each
// change, and at the end. A rollback leads back.
func TestRotateTransport(t *testing.T) {
	for _, test := range []struct {
		name    string
		renewal lab.Renewal
		changes int
		moved   bool // the tenant gets another connector
	}{
		{"same issuer and subject", lab.Renewal{}, 1, false},
		{"other issuer", lab.Renewal{Issuer: "hybridge lab CA 2"}, 1 + 3, false},
		{"other name", lab.Renewal{CommonName: "mail2.contoso.example"}, 1 + 3 + 2, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := working(t, 1)
			e.works("before")
			was := e.on(true, "Get-SendConnector", "TlsCertificateName")
			inbound := e.on(false, "Get-InboundConnector", "Name")
			r := e.renewed(test.renewal)
			plan := e.rotate(r)
			if len(plan.Changes) != test.changes {
				t.Errorf("%d changes: %v", len(plan.Changes), slices.Collect(ids(plan)))
			}
			if test.moved != (len(plan.LeftOut) > 0) {
				t.Errorf("left out: %v", plan.LeftOut)
			}
			for _, l := range plan.LeftOut {
				if !l.Waits {
					t.Errorf("left out: %+v", l)
				}
			}
			if text := string(plan.Encode()); strings.Contains(text, "PRIVATE") || len(text) > 20000 {
				t.Errorf("the plan holds more than it should: %d bytes", len(text))
			}
			e.apply(plan, e)
			e.works("after")
			e.keepsSecret(r)
			if now := e.on(true, "Get-SendConnector", "TlsCertificateName"); slices.Equal(was, now) == (test.changes > 1) {
				t.Errorf("the send connector names %v, and did %v", now, was)
			}
			again := e.rotate(r)
			if test.moved {
				if len(again.Changes) != 1 || again.Changes[0].Action != change.Delete || len(again.LeftOut) > 0 {
					t.Fatalf("then: %v, %v", slices.Collect(ids(again)), again.LeftOut)
				}
				e.apply(again, e, apply.AcceptRemovals)
				e.works("at the end")
				if again = e.rotate(r); slices.Equal(inbound, e.on(false, "Get-InboundConnector", "Name")) {
					t.Errorf("inbound connectors: %v", inbound)
				}
			}
			if len(again.Changes)+len(again.LeftOut) > 0 {
				t.Errorf("not complete: %v, %v", slices.Collect(ids(again)), again.LeftOut)
			}
			// With the new file in the answers, there is nothing else to change.
			d := e.open()
			d.answers.Forests[0].Certificate = &answers.Certificate{PFX: r.PFX, Password: r.Password}
			d.forests[0].answers.Certificate = d.answers.Forests[0].Certificate
			if p, err := d.Plan(t.Context(), &events{}); err != nil || len(p.Changes)+len(p.LeftOut) > 0 {
				t.Errorf("the next plan: %v, %v, %v", slices.Collect(ids(p)), p.LeftOut, err)
			}
			runs := 1
			if test.moved {
				runs = 2
			}
			for range runs {
				if undone, err := e.d.Rollback(t.Context(), "", apply.Options{Accept: []string{apply.AcceptRemovals}},
					&events{}); err != nil {
					t.Fatalf("%v: %+v", err, undone)
				}
				e.works("after a rollback")
			}
			if now := e.on(true, "Get-SendConnector", "TlsCertificateName"); !slices.Equal(was, now) {
				t.Errorf("after the rollback the send connector names %v, and did %v", now, was)
			}
			if now := e.on(false, "Get-InboundConnector", "Name"); !slices.Equal(inbound, now) {
				t.Errorf("after the rollback: %v, before %v", now, inbound)
			}
			if e.passed < test.changes || e.tests < 2*e.passed {
				t.Errorf("%d tests", e.tests)
			}
		})
	}
}

// TestRotationInterrupted ends a rotation after each of its changes has begun, and starts it anew.
func TestRotationInterrupted(t *testing.T) {
	e := working(t, 1)
	r := e.renewed(lab.Renewal{CommonName: "mail2.contoso.example", Issuer: "hybridge lab CA 2"})
	cut := 0
	for step := 0; ; step = (step + 1) % 3 {
		plan := e.rotate(r)
		if len(plan.Changes) == 0 {
			break
		}
		ctx, cancel := context.WithCancel(t.Context())
		_, err := e.d.Apply(ctx, plan, apply.Options{Accept: []string{apply.AcceptRemovals}}, &interrupted{step, cancel})
		cancel()
		if err != nil {
			cut++
		}
		e.works("after an interruption")
		if cut > 40 {
			t.Fatalf("it does not end: %v", slices.Collect(ids(plan)))
		}
		if err != nil && cut%2 == 0 { // every second time with the same plan
			if _, err := e.d.Apply(t.Context(), plan, apply.Options{Accept: []string{apply.AcceptRemovals}},
				&events{}); err != nil && !errors.Is(err, apply.ErrStale) {
				t.Fatal(err)
			}
		}
	}
	if cut < 2 {
		t.Errorf("%d interruptions", cut)
	}
	if names := e.on(false, "Get-InboundConnector", "TlsSenderCertificateName"); !slices.Equal(names,
		[]string{"mail2.contoso.example"}) {
		t.Errorf("the tenant recognizes %v", names)
	}
}

// TestRotationRefused: certificates that would stop mail.
func TestRotationRefused(t *testing.T) {
	e := working(t, 2)
	for name, test := range map[string]struct {
		renewal lab.Renewal
		want    string
	}{
		"without the mail host": {lab.Renewal{Only: []string{"other.contoso.example"}}, "does not speak for"},
		"a stranger's name":     {lab.Renewal{CommonName: "mail.stranger.example"}, "in no accepted domain"},
		"too far below":         {lab.Renewal{CommonName: "mail.eu.contoso.example"}, "directly below one"},
		"ends earlier":          {lab.Renewal{Days: 20}, "Exchange uses the one that ends last"},
		"of the other forest":   {lab.Renewal{CommonName: "mail.fabrikam.example"}, "of one name"},
	} {
		plan, err := e.d.Rotate(t.Context(), e.renewed(test.renewal), &events{})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, %v", name, err, slices.Collect(ids(plan)))
		}
	}
	for name, r := range map[string]Rotation{
		"no forest named": {PFX: "x"}, "unknown forest": {Forest: "x", PFX: "x"}, "no file": {Forest: "contoso", PFX: "x"},
	} {
		if _, err := e.d.Rotate(t.Context(), r, &events{}); !errors.Is(err, ErrRotation) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRotateAuth replaces the auth certificate of all forests, stage by stage.
func TestRotateAuth(t *testing.T) {
	e := working(t, 2)
	was := e.on(true, "Get-AuthConfig", "CurrentCertificateThumbprint")
	if p := e.rotate(Rotation{Auth: "publish"}); len(p.Changes) > 0 || len(p.Notes) != 2 {
		t.Errorf("publish before stage: %v %v", slices.Collect(ids(p)), p.Notes)
	}
	stage := e.rotate(Rotation{Auth: "stage"})
	if len(stage.Changes) != 2*3 {
		t.Errorf("stage: %v", slices.Collect(ids(stage)))
	}
	for _, c := range stage.Changes {
		if date, _ := c.Command.Parameters["NewCertificateEffectiveDate"].(string); c.Kind == "AuthConfig" &&
			!strings.HasSuffix(date, "T00:00:00Z") {
			t.Errorf("%s: when does Exchange publish it? %v", c.ID, c.Command.Parameters)
		}
	}
	e.apply(stage, e)
	if again := e.rotate(Rotation{Auth: "stage"}); len(again.Changes)+len(again.LeftOut) > 0 {
		t.Errorf("stage again: %v, %v", slices.Collect(ids(again)), again.LeftOut)
	}
	publish := e.rotate(Rotation{Auth: "publish"})
	if len(publish.Changes) != 2 {
		t.Errorf("publish: %v, %v", slices.Collect(ids(publish)), publish.LeftOut)
	}
	e.apply(publish, e)
	now := e.on(true, "Get-AuthConfig", "CurrentCertificateThumbprint")
	if slices.Equal(was, now) {
		t.Errorf("still %v", now)
	}
	if _, err := e.d.Rollback(t.Context(), "", apply.Options{}, &events{}); err != nil {
		t.Fatal(err)
	}
	e.works("after the rollback of publish")
	if back := e.on(true, "Get-AuthConfig", "CurrentCertificateThumbprint"); !slices.Equal(was, back) {
		t.Errorf("after the rollback: %v, want %v", back, was)
	}
	e.apply(e.rotate(Rotation{Auth: "stage"}), e)
	e.apply(e.rotate(Rotation{Auth: "publish"}), e)
	e.works("published")
	if now := e.on(true, "Get-AuthConfig", "CurrentCertificateThumbprint"); slices.Equal(was, now) {
		t.Errorf("published again, and still %v", now)
	}
	clean := e.rotate(Rotation{Auth: "clean"})
	if got := count(clean); got["AuthConfig update"] != 2 || got["ApplicationKeys update"] != 2 {
		t.Errorf("clean: %v, %v", slices.Collect(ids(clean)), clean.LeftOut)
	}
	var refused *apply.NotAccepted
	if _, err := e.d.Apply(t.Context(), clean, apply.Options{}, &events{}); !errors.As(err, &refused) {
		t.Errorf("without consent: %v", err)
	}
	e.apply(clean, e, "earlier-auth-keys")
	e.works("at the end")
	if again := e.rotate(Rotation{Auth: "clean"}); len(again.Changes)+len(again.LeftOut) > 0 {
		t.Errorf("clean again: %v, %v", slices.Collect(ids(again)), again.LeftOut)
	}
	if p, err := e.d.Plan(t.Context(), &events{}); err != nil || len(p.Changes)+len(p.LeftOut) > 0 {
		t.Errorf("the next plan: %v, %v, %v", slices.Collect(ids(p)), p.LeftOut, err)
	}
	// Exchange alone names the previous certificate: the rollback of clean gives the keys back, and is
	// complete, so that the next one undoes publish.
	r, err := e.d.Rollback(t.Context(), "", apply.Options{}, &events{})
	if err != nil || r.Summary.Done != 2 || r.Summary.Skipped != 2 {
		t.Errorf("the rollback of clean: %v: %+v", err, r)
	}
	if _, err := e.d.Rollback(t.Context(), "", apply.Options{}, &events{}); err != nil {
		t.Errorf("the rollback of publish: %v", err)
	}
	e.works("after both rollbacks")
	if back := e.on(true, "Get-AuthConfig", "CurrentCertificateThumbprint"); !slices.Equal(was, back) {
		t.Errorf("after both rollbacks: %v, want %v", back, was)
	}
}

// TestAuthRotationInterrupted ends each stage after each of its changes has begun.
func TestAuthRotationInterrupted(t *testing.T) {
	e := working(t, 1)
	for _, stage := range AuthStages() {
		for cut := 0; ; cut++ {
			plan := e.rotate(Rotation{Auth: stage})
			if len(plan.Changes) == 0 {
				break
			}
			ctx, cancel := context.WithCancel(t.Context())
			_, _ = e.d.Apply(ctx, plan, apply.Options{Accept: []string{"earlier-auth-keys"}}, &interrupted{cut % 3, cancel})
			cancel()
			e.works("in " + stage)
			if cut > 12 {
				t.Fatalf("%s does not end: %v", stage, slices.Collect(ids(plan)))
			}
		}
	}
	if _, err := e.d.Rollback(t.Context(), "", apply.Options{}, &events{}); err != nil &&
		!strings.Contains(err.Error(), "by itself") {
		t.Error(err)
	}
}

// TestRotationWaitsForTLSA: where other mail servers pin the certificate, nothing is imported before
// the record of the new one is published.
func TestRotationWaitsForTLSA(t *testing.T) {
	e := working(t, 1, "policy.pin-stale")
	r := e.renewed(lab.Renewal{})
	plan := e.rotate(r)
	if len(plan.Changes) > 0 || len(plan.LeftOut) != 1 || !plan.LeftOut[0].Waits {
		t.Fatalf("%v, %v", slices.Collect(ids(plan)), plan.LeftOut)
	}
	_, record, found := strings.Cut(plan.LeftOut[0].Reason.String(), "run this again: ")
	if !found {
		t.Fatal(plan.LeftOut[0].Reason)
	}
	if err := e.lab.Publish(strings.Replace(record, "IN TLSA", "TLSA", 1)); err != nil {
		t.Fatal(err)
	}
	if plan = e.rotate(r); len(plan.Changes) != 1 || len(plan.LeftOut) > 0 {
		t.Errorf("with its record: %v, %v", slices.Collect(ids(plan)), plan.LeftOut)
	}
}

// keepsSecret looks for the file of the certificate and its password in what a run leaves.
func (e *estate) keepsSecret(r Rotation) {
	e.Helper()
	content, err := os.ReadFile(r.PFX)
	if err != nil {
		e.Fatal(err)
	}
	password, err := e.d.secret(e.Context(), r.Password, "password")
	if err != nil {
		e.Fatal(err)
	}
	seen := 0
	err = filepath.WalkDir(e.d.options.StateDir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		kept, err := os.ReadFile(path)
		seen++
		for _, form := range []string{password.Reveal(), string(content),
			base64.StdEncoding.EncodeToString(content)[:200], hex.EncodeToString(content)[:200]} {
			if strings.Contains(string(kept), form) {
				e.Errorf("%s holds the certificate's file or its password", path)
			}
		}
		return err
	})
	if err != nil || seen == 0 || password.IsZero() {
		e.Errorf("%d files: %v", seen, err)
	}
}

// TestStageStays: nothing takes a staged auth certificate back. A rollback says so, and leaves the
// certificate and its key, which Exchange will need.
func TestStageStays(t *testing.T) {
	e := working(t, 1)
	e.apply(e.rotate(Rotation{Auth: "stage"}), &events{})
	next := e.on(true, "Get-AuthConfig", "NextCertificateThumbprint")
	undone, err := e.d.Rollback(t.Context(), "", apply.Options{Accept: []string{apply.AcceptRemovals}}, &events{})
	if !errors.Is(err, apply.ErrPartial) || !strings.Contains(err.Error(), "takes a staged auth certificate back") {
		t.Errorf("%v: %+v", err, undone.Summary)
	}
	if now := e.on(true, "Get-AuthConfig", "NextCertificateThumbprint"); len(now) != 1 || !slices.Equal(next, now) {
		t.Errorf("next is %v, and was %v", now, next)
	}
	publish := e.rotate(Rotation{Auth: "publish"})
	if len(publish.Changes) != 1 || len(publish.LeftOut) > 0 {
		t.Errorf("publish: %v, %v", slices.Collect(ids(publish)), publish.LeftOut)
	}
	e.apply(publish, e)
}

// TestRotationWithEdge: hybridge does not reach Edge servers. The connectors wait until the mail host
// presents the new certificate, and a person gets the commands.
func TestRotationWithEdge(t *testing.T) {
	l, err := lab.Start(t.Context(), lab.Options{Dir: t.TempDir(), Users: 20, Forests: 1, State: lab.Wizard, Edge: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	a, err := answers.Load(t.Context(), l.Answers())
	if err != nil {
		t.Fatal(err)
	}
	e := &estate{T: t, lab: l, answers: a}
	e.d = e.open()
	plan := e.rotate(e.renewed(lab.Renewal{Issuer: "hybridge lab CA 2"}))
	if slices.ContainsFunc(plan.Changes, func(c change.Change) bool { return c.Kind == "SendConnector" }) ||
		!slices.ContainsFunc(plan.LeftOut, func(l change.LeftOut) bool { return l.Waits }) {
		t.Errorf("%v, %v", slices.Collect(ids(plan)), plan.LeftOut)
	}
	if !slices.ContainsFunc(plan.Notes, func(n change.Note) bool {
		return slices.ContainsFunc(n.Commands, func(c string) bool { return strings.Contains(c, "Import-Exchange") })
	}) {
		t.Errorf("no commands for the Edge server: %v", plan.Notes)
	}
	// The script for Edge servers is of the present certificate.
	scripts, err := e.d.Scripts(t.Context(), plan)
	if err != nil || slices.ContainsFunc(scripts, func(s Script) bool { return strings.HasPrefix(s.Place, "edge/") }) {
		t.Errorf("%d scripts: %v", len(scripts), err)
	}
	runbook, err := e.d.Runbook(t.Context(), plan, "")
	if err != nil || strings.Contains(string(runbook), "## Edge servers") {
		t.Errorf("%v: %s", err, runbook)
	}
	e.d.options.Only = []string{"nothing/of/it"}
	if p, err := e.d.Rotate(t.Context(), e.renewed(lab.Renewal{}), &events{}); !errors.Is(err,
		selection.ErrUnmatched) {
		t.Errorf("--only does nothing: %v, %v", slices.Collect(ids(p)), err)
	}
	e.d.answers.ExchangeOnline = nil
	if _, err := e.d.Rotate(t.Context(), Rotation{Auth: "stage"}, &events{}); !errors.Is(err, ErrRotation) {
		t.Errorf("without a tenant: %v", err)
	}
}
