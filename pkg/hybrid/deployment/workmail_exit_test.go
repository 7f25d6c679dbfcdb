package deployment

import (
	"context"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/lab"
)

// leaving opens the deployment of a lab whose organization uses WorkMail, and leaves it then.
func leaving(t *testing.T, users int, edit func(*answers.WorkMail)) (*lab.Lab, *Deployment) {
	t.Helper()
	return leavingFor(t, users, []string{lab.WorkMail}, edit)
}

func leavingFor(t *testing.T, users int, clouds []string, edit func(*answers.WorkMail)) (*lab.Lab, *Deployment) {
	t.Helper()
	l, err := lab.Start(t.Context(), lab.Options{Dir: t.TempDir(), Users: users, Forests: 1, Clouds: clouds})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	a, err := answers.Load(t.Context(), l.Answers())
	if err != nil {
		t.Fatal(err)
	}
	open := func() *Deployment {
		d, err := Open(a, Options{Dir: filepath.Dir(l.Answers()), StateDir: t.TempDir(), Version: "test"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = d.Close(t.Context()) })
		return d
	}
	a.WorkMail.Groups = []string{"sales@contoso.example"}
	before := open()
	plan, err := before.Plan(t.Context(), &events{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := before.Apply(t.Context(), plan, apply.Options{}, &events{}); err != nil {
		t.Fatal(err)
	}
	a.WorkMail.State, a.WorkMail.To = answers.Leaving, answers.ToExchange
	if edit != nil {
		edit(a.WorkMail)
	}
	return l, open()
}

// addressesOf reads the addresses of recipients.
func addressesOf(t *testing.T, d *Deployment, people []string) map[string][]string {
	t.Helper()
	session, err := d.forests[0].exchange.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	for _, address := range people {
		found, err := session.Run(t.Context(), exchange.Command{Name: "Get-Recipient",
			Parameters: map[string]any{"Identity": address}})
		if err != nil || len(found) != 1 {
			t.Fatalf("%s: %v", address, err)
		}
		if out[address], err = found[0].Strings("EmailAddresses"); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// interrupted ends a context when a run has reported some changes: the rest of a stage is not
// carried out.
type interrupted struct {
	after  int
	cancel context.CancelFunc
}

func (i *interrupted) Observe(e observe.Event) {
	if _, begun := e.(observe.Progress); begun {
		if i.after--; i.after < 0 {
			i.cancel()
		}
	}
}

// TestLeaveWorkMailInterrupted ends every stage after each of its changes has begun, and resumes it
// with the same plan, in another process as it were. 20 people come out, and nothing is lost.
func TestLeaveWorkMailInterrupted(t *testing.T) {
	l, d := leaving(t, 200, nil)
	people := slices.Sorted(maps.Keys(l.Holdings()))
	if len(people) < 20 {
		t.Fatalf("%d people in WorkMail", len(people))
	}
	was := addressesOf(t, d, people)
	stages, cut := 0, 0
	for range 5 {
		plan, err := d.Plan(t.Context(), &events{})
		if err != nil {
			t.Fatal(err)
		}
		if len(plan.Changes) == 0 && len(plan.LeftOut) == 0 {
			break
		}
		stages++
		for after := 0; len(plan.Changes) > 0; after = (after + 1) % 3 {
			ctx, cancel := context.WithCancel(t.Context())
			done, err := d.Apply(ctx, plan, apply.Options{Accept: []string{apply.AcceptRemovals}},
				&interrupted{after, cancel})
			cancel()
			if err == nil {
				break
			}
			cut++
			if cut > 200 {
				t.Fatalf("stage %d does not end: %v: %+v", stages, err, done.Summary)
			}
		}
		for _, address := range people {
			l.Carry(address)
		}
	}
	if stages != 3 || cut < 2*stages {
		t.Errorf("%d stages, %d interruptions", stages, cut)
	}
	if left := l.InWorkMail(); len(left) > 0 {
		t.Errorf("left in WorkMail: %v", left)
	}
	now := addressesOf(t, d, people)
	for address, before := range was {
		for _, a := range before {
			if !slices.Contains(now[address], a) && !strings.HasSuffix(a, ".awsapps.com") {
				t.Errorf("%s lost %s: %v", address, a, now[address])
			}
		}
	}
}

// stage plans and applies what the present stage allows.
func stage(t *testing.T, d *Deployment) change.Plan {
	t.Helper()
	plan, err := d.Plan(t.Context(), &events{})
	if err != nil {
		t.Fatal(err)
	}
	done, err := d.Apply(t.Context(), plan, apply.Options{Accept: []string{apply.AcceptRemovals}}, &events{})
	if err != nil {
		t.Fatalf("%v: %+v", err, done)
	}
	return plan
}

// standing runs the checks, of which none may fail on the way out, and returns what that of the way
// out says.
func standing(t *testing.T, d *Deployment) string {
	t.Helper()
	report, err := d.Check(t.Context(), &events{})
	if err != nil {
		t.Fatal(err)
	}
	if failed, unknown := found(report); len(failed)+len(unknown) > 0 {
		t.Errorf("failed %v, unknown %v", failed, unknown)
	}
	for _, r := range report.Results {
		if r.ID == "workmail.way-out" {
			return string(r.Status) + " " + r.Summary.String()
		}
	}
	return ""
}

// count counts the changes of a plan by kind.
func count(p change.Plan) map[string]int {
	out := map[string]int{}
	for _, c := range p.Changes {
		out[c.Kind+" "+string(c.Action)]++
	}
	return out
}

// TestLeaveWorkMail leads an organization out, stage by stage, and loses nothing.
func TestLeaveWorkMail(t *testing.T) {
	l, d := leaving(t, 20, nil)
	people := slices.Sorted(maps.Keys(l.Holdings()))
	if len(people) == 0 {
		t.Fatal("nobody is in WorkMail")
	}
	n := len(people)

	was := addressesOf(t, d, people)
	says := func(want string) {
		t.Helper()
		if got := standing(t, d); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	says("warn stages 1 to 3: 2 have the mailbox in WorkMail")
	first := stage(t, d)
	if diff := cmp.Diff(map[string]int{"ImpersonationRole create": 1, "ReturnedRecipient replace": n,
		"MailboxAddresses create": n}, count(first)); diff != "" {
		t.Fatal(diff)
	}

	for address, before := range was {
		now := addressesOf(t, d, []string{address})[address]
		for _, a := range before {
			if !slices.Contains(now, a) && !strings.HasSuffix(a, ".awsapps.com") {
				t.Errorf("%s lost %s: %v", address, a, now)
			}
		}
	}

	says("warn stages 1 to 3: 2 have the mailbox in Exchange and wait for their content")
	// Nothing was carried over: nobody is deregistered, and the plan says what is missing.
	second := stage(t, d)
	if len(second.Changes) > 0 || len(second.LeftOut) != n {
		t.Fatalf("%v, left out: %+v", count(second), second.LeftOut)
	}
	if why := second.LeftOut[0].Reason.String(); !strings.Contains(why, "/Calendar 0 of ") {
		t.Error(why)
	}

	// Mail and calendar of one person alone: contacts and tasks still hold that person.
	l.Carry(people[0], "IPF.Note", "IPF.Appointment")
	third := stage(t, d)
	if why := third.LeftOut[0].Reason.String(); len(third.Changes) > 0 || strings.Contains(why, "/Calendar") ||
		!strings.Contains(why, "/Contacts 0 of") {
		t.Errorf("%v, %s", count(third), why)
	}

	l.Carry(people[0])
	says("warn stages 1 to 3: 1 has the mailbox in Exchange and waits for its content, 1 can be deregistered")
	fourth := stage(t, d)
	if diff := cmp.Diff(map[string]int{"WorkMailRegistration delete": 1}, count(fourth)); diff != "" {
		t.Error(diff)
	}
	for _, address := range people[1:] {
		l.Carry(address)
	}
	stage(t, d)
	if diff := cmp.Diff([]string{"sales@contoso.example", "svc-workmail@contoso.example"}, l.InWorkMail()); diff != "" {
		t.Errorf("left in WorkMail: %s", diff)
	}
	says("warn stage 4: no user is left, and these are: workmail/ImpersonationRole/hybridge-exit, " +
		"workmail/DefaultMailDomain/default, workmail/AvailabilityConfiguration/contoso.example and 4 more")
	last := stage(t, d)
	if diff := cmp.Diff(map[string]int{"AvailabilityAddressSpace delete": 1, "AvailabilityConfiguration delete": 1,
		"DefaultMailDomain update": 1, "ImpersonationRole delete": 1, "WorkMailDomain delete": 1,
		"WorkMailRegistration delete": 2}, count(last)); diff != "" {
		t.Error(diff)
	}
	after, err := d.Plan(t.Context(), &events{})
	if err != nil || len(after.Changes)+len(after.LeftOut) > 0 {
		t.Errorf("%v, %+v, %v", changed(after), after.LeftOut, err)
	}
	says("pass no user is left in WorkMail, and nothing leads there")
}

// TestLeaveWorkMailExports takes an export of every mailbox before its user is deregistered. A job
// that runs is waited for, and is not made twice.
func TestLeaveWorkMailExports(t *testing.T) {
	l, d := leaving(t, 20, func(w *answers.WorkMail) {
		w.Export = &answers.Export{Bucket: lab.ExportBucket, Role: lab.ExportRole, Key: lab.ExportKey}
	})
	l.Slow(time.Hour)
	people := slices.Sorted(maps.Keys(l.Holdings()))
	stage(t, d)
	for _, address := range people {
		l.Carry(address)
	}
	if got := standing(t, d); got != "warn stages 1 to 3: 2 have the mailbox in Exchange and wait for their content" {
		t.Error(got)
	}
	if diff := cmp.Diff(map[string]int{"MailboxExport create": 2}, count(stage(t, d))); diff != "" {
		t.Error(diff)
	}
	running, err := d.Plan(t.Context(), &events{})
	if err != nil || len(running.Changes) > 0 || len(running.LeftOut) != 2 ||
		running.LeftOut[0].Reason.String() != "its export is running" {
		t.Errorf("%v, %+v, %v", count(running), running.LeftOut, err)
	}
	l.Slow(0)
	if diff := cmp.Diff(map[string]int{"WorkMailRegistration delete": 2}, count(stage(t, d))); diff != "" {
		t.Error(diff)
	}
	if got := l.Exported(); len(got) != 2 {
		t.Errorf("exports: %v", got)
	}
}

// TestLeaveWorkMailBehind names what users may lose: folders of these kinds hold nobody back, and
// all others do.
func TestLeaveWorkMailBehind(t *testing.T) {
	l, d := leaving(t, 20, func(w *answers.WorkMail) { w.LeaveBehind = []string{"tasks", "contacts"} })
	people := slices.Sorted(maps.Keys(l.Holdings()))
	stage(t, d)
	l.Carry(people[0], "IPF.Note", "IPF.Appointment")
	l.Carry(people[1], "IPF.Note")
	second := stage(t, d)
	if diff := cmp.Diff(map[string]int{"WorkMailRegistration delete": 1}, count(second)); diff != "" {
		t.Fatal(diff)
	}
	if why := second.Changes[0].Reason.String(); !strings.Contains(why, "tasks, contacts were not compared") {
		t.Error(why)
	}
	if len(second.LeftOut) != 1 || !strings.Contains(second.LeftOut[0].Reason.String(), "/Calendar 0 of") ||
		strings.Contains(second.LeftOut[0].Reason.String(), "/Tasks") {
		t.Errorf("%+v", second.LeftOut)
	}
}

// TestLeaveWorkMailToExchangeOnline leads users to Exchange Online: each waits for its license, and
// becomes a remote mailbox with all its addresses.
func TestLeaveWorkMailToExchangeOnline(t *testing.T) {
	l, d := leavingFor(t, 20, []string{lab.Online, lab.WorkMail}, func(w *answers.WorkMail) {
		w.To = answers.ToExchangeOnline
	})
	before := l.Holdings()
	people := slices.Sorted(maps.Keys(before))
	if len(people) != 2 {
		t.Fatal(people)
	}
	first := stage(t, d)
	if diff := cmp.Diff(map[string]int{"ImpersonationRole create": 1}, count(first)); diff != "" {
		t.Fatal(diff)
	}
	if why := first.LeftOut[0].Reason.String(); len(first.LeftOut) != 2 || !strings.Contains(why, "assign a license") {
		t.Errorf("%+v", first.LeftOut)
	}
	if err := l.License(people[0]); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"ReturnedRecipient replace": 1, "RemoteMailboxAddresses create": 1},
		count(stage(t, d))); diff != "" {
		t.Error(diff)
	}
	waiting, err := d.Plan(t.Context(), &events{})
	if err != nil || !strings.Contains(waiting.LeftOut[0].Reason.String(), "/Calendar 0 of") {
		t.Errorf("%+v, %v", waiting.LeftOut, err)
	}
	// The route of Exchange Online itself is named, with what it leaves behind.
	if last := waiting.LeftOut[len(waiting.LeftOut)-1]; last.Place != "online" ||
		!strings.Contains(last.Reason.String(), "leaves calendar, contacts") ||
		!strings.Contains(last.Reason.String(), "imap.mail.us-east-1.awsapps.com -Port 993") {
		t.Errorf("%+v", last)
	}
	l.Carry(people[0])
	if diff := cmp.Diff(map[string]int{"WorkMailRegistration delete": 1}, count(stage(t, d))); diff != "" {
		t.Error(diff)
	}
	if err := l.License(people[1]); err != nil {
		t.Fatal(err)
	}
	stage(t, d)
	l.Carry(people[1])
	stage(t, d)
	stage(t, d)
	after, err := d.Plan(t.Context(), &events{})
	if err != nil || len(after.Changes)+len(after.LeftOut) > 0 {
		t.Errorf("%v, %+v, %v", changed(after), after.LeftOut, err)
	}
	if lost := lab.Missing(before, l.Holdings()); len(lost)+len(l.InWorkMail()) > 0 {
		t.Errorf("lost %v, left in WorkMail %v", lost, l.InWorkMail())
	}
	// The other cloud is untouched: free/busy with the tenant still works.
	r, err := d.Test(t.Context(), TestOptions{From: "anna.alberti@contoso.example", To: people[0],
		UntilOK: 10 * time.Second}, &events{})
	if err != nil || r.Summary.Failed+r.Summary.Unknown > 0 {
		t.Errorf("%v, %v", directions(r), err)
	}
}
