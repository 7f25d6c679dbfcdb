package deployment

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/diagnose"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/snapshot"
)

// ErrNoDomain says that a domain is in none of the answers' lists.
var ErrNoDomain = errors.New("no such domain")

// Validation is the answer to one question of a help desk.
type Validation struct {
	APIVersion string `json:"apiVersion"` // hybridge/v1
	Kind       string `json:"kind"`       // ValidateReport
	// Subject is what was validated: freebusy, user, certificates, oauth, mailflow, domain; empty
	// when everything was.
	Subject string   `json:"subject,omitempty"`
	About   []string `json:"about,omitempty"` // the addresses or the domain
	Verdict Verdict  `json:"verdict"`
	// Remarks are what the sides know about a mailbox.
	Remarks []Remark          `json:"remarks,omitempty"`
	Summary freebusy.Summary  `json:"summary"`
	Matrix  []freebusy.Answer `json:"matrix"`
	// Ranked are the causes of what failed, as the deciding checks rank them.
	Ranked *diagnose.Verdict `json:"ranked,omitempty"`
	Checks *check.Report     `json:"checks,omitempty"`
}

// Verdict is the answer in one sentence, with what to do.
type Verdict struct {
	Status freebusy.Status `json:"status"` // ok, failed, unknown or pending
	Text   msg.Text        `json:"text"`
	// Side is whose side the fault is on: a forest, online, workmail.
	Side string `json:"side,omitempty"`
	// Cause is the id of a cause or of a check: hybridge help ID describes it.
	Cause      string   `json:"cause,omitempty"`
	Confidence float64  `json:"confidence,omitempty"` // 0 to 1, of a cause
	Owner      string   `json:"owner,omitempty"`      // who can fix it
	Next       msg.Text `json:"next,omitzero"`        // the next step
}

// Remark is one thing that a side knows about a mailbox.
type Remark struct {
	Side   string          `json:"side,omitempty"`
	Status freebusy.Status `json:"status"`
	Text   string          `json:"text"`
	cause  error
}

func newValidation(o ValidateOptions) Validation {
	v := Validation{APIVersion: report.APIVersion, Kind: "ValidateReport", Subject: o.Subject,
		Matrix: []freebusy.Answer{}}
	for _, about := range []string{o.From, o.To, o.User, o.Domain} {
		if about != "" {
			v.About = append(v.About, about)
		}
	}
	return v
}

// Causes are the errors of what could not be seen, for exit codes and hints.
func (v Validation) Causes() (causes []error) {
	for _, a := range v.Matrix {
		if a.Status == freebusy.Unknown {
			causes = append(causes, a.Cause)
		}
	}
	for _, r := range v.Remarks {
		causes = append(causes, r.cause)
	}
	return slices.DeleteFunc(causes, func(err error) bool { return err == nil })
}

// judge makes the verdict. What failed comes before what is unknown; a lookup and what is known
// about a mailbox come before a check, which may have nothing to do with the question.
func (v *Validation) judge(a answers.Answers) {
	for _, try := range []func(answers.Answers) bool{v.byRemark, v.byLookup, v.byCheck, v.byUnknown} {
		if try(a) {
			return
		}
	}
	v.Verdict = Verdict{Status: freebusy.OK, Text: msg.Of("nothing is wrong")}
	switch lookups, checks := len(v.Matrix), 0; {
	case v.Checks != nil:
		checks = len(v.Checks.Results)
		found := msg.Plural(checks, "%d check found no failure", "%d checks found no failure")
		v.Verdict.Text = msg.Of("nothing is wrong: %s", found)
		if lookups > 0 {
			v.Verdict.Text = msg.Of("nothing is wrong: %s, and %s",
				msg.Plural(lookups, "%d lookup works", "%d lookups work"), found)
		}
	case lookups > 0:
		v.Verdict.Text = msg.Of("free/busy works: all %d lookups returned the calendar", lookups)
		if lookups == 1 {
			v.Verdict.Text = msg.Of("free/busy works: the lookup returned the calendar")
		}
	}
}

func (v *Validation) byRemark(answers.Answers) bool {
	for _, r := range v.Remarks {
		if r.Status == freebusy.Failed {
			v.Verdict = Verdict{Status: freebusy.Failed, Text: msg.Plain(r.Text), Side: r.Side, Owner: "directory",
				Next: msg.Of("correct the recipient, wait for the synchronization, and validate again")}
			return true
		}
	}
	return false
}

// byLookup judges by the failed lookup whose cause is known best.
func (v *Validation) byLookup(a answers.Answers) bool {
	worst := -1
	confidence := func(i int) float64 {
		if i < 0 || len(v.Matrix[i].Diagnosis) == 0 {
			return 0
		}
		return v.Matrix[i].Diagnosis[0].Confidence
	}
	for _, status := range []freebusy.Status{freebusy.Failed, freebusy.Pending} {
		for i, answer := range v.Matrix {
			if answer.Status == status && (worst < 0 || confidence(i) > confidence(worst)) {
				worst = i
			}
		}
		if worst >= 0 {
			break
		}
	}
	if worst < 0 {
		return false
	}
	answer := v.Matrix[worst]
	v.Verdict = Verdict{Status: answer.Status, Side: asker(answer.Direction)}
	if answer.Status == freebusy.Pending {
		v.Verdict.Text = msg.Of("%s does not see %s yet: %s", answer.From, answer.To, answer.Note)
		v.Verdict.Next = msg.Of("wait, or ask again with: hybridge test --until-ok")
		return true
	}
	if len(answer.Diagnosis) == 0 && (v.Ranked == nil || len(v.Ranked.Causes) == 0) {
		v.Verdict.Text = msg.Of("%s does not see %s: %s", answer.From, answer.To, answer.Gist())
		v.Verdict.Next = msg.Of("hybridge check says what is missing on each side")
		return true
	}
	var id string
	var sure float64
	if len(answer.Diagnosis) > 0 {
		id, sure = answer.Diagnosis[0].ID, answer.Diagnosis[0].Confidence
	}
	if v.Ranked != nil && len(v.Ranked.Causes) > 0 {
		id, sure = string(v.Ranked.Causes[0].ID), v.Ranked.Causes[0].Confidence
	}
	row, _ := diagnose.Find(diagnose.ID(id))
	v.Verdict.Cause, v.Verdict.Confidence, v.Verdict.Owner = id, sure, row.Owner
	v.Verdict.Side = cmp.Or(v.decidedAt(answer.Direction), sideOf(row, answer.Direction, a))
	v.Verdict.Text = msg.Of("%s does not see %s: %s", answer.From, answer.To, msg.Key(row.Cause))
	v.Verdict.Next = msg.Key(row.Fix)
	return true
}

// decidedAt is the side where a check found the first cause, if one did: a side of the lookup before
// another one, a failure before a warning.
func (v *Validation) decidedAt(direction string) string {
	if v.Ranked == nil || len(v.Ranked.Causes) == 0 {
		return ""
	}
	from, to, _ := strings.Cut(direction, " -> ")
	found, best := "", -1
	for _, e := range v.Ranked.Causes[0].Evidence {
		if !strings.Contains(e.Probe, ".") { // a lookup or a message, not a check
			continue
		}
		side, rank := sideOfEvidence(e), 0
		if side == from || side == to {
			rank += 2
		}
		if e.Status == string(check.StatusFail) {
			rank++
		}
		if rank > best {
			found, best = side, rank
		}
	}
	return found
}

// sideOfEvidence is the side of what a check found. A check of a kind runs per forest, and also finds
// the objects that the forest has in the tenant: "1 object is not as planned: NAME at online: Enabled".
func sideOfEvidence(e diagnose.Evidence) string {
	if strings.HasPrefix(e.Probe, "hybrid.") && strings.Contains(e.Text, " at "+desired.PlaceOnline) &&
		!strings.Contains(e.Text, " at "+desired.PlaceForest(e.Place)) {
		return desired.PlaceOnline
	}
	return sideOfScope(e.Place)
}

// asker is the side where a lookup starts.
func asker(direction string) string {
	from, _, _ := strings.Cut(direction, " -> ")
	return strings.Trim(from, "?") // "?" where it is not known
}

// sideOf is the side on which a cause is fixed.
func sideOf(row diagnose.Row, direction string, a answers.Answers) string {
	from, to, _ := strings.Cut(direction, " -> ")
	onPremises := from
	if !slices.ContainsFunc(a.Forests, func(f answers.Forest) bool { return f.Name == from }) {
		onPremises = to
	}
	switch row.Owner {
	case "Entra", "Microsoft", "licensing":
		return desired.PlaceOnline
	case "AWS administrator":
		return desired.PlaceWorkMail
	case "mailbox owner":
		return to
	case "workstation", "application", "none":
		return from
	}
	return onPremises // Exchange, network, directory, DNS
}

// owners are who can fix what the checks of a category find.
var owners = map[string]string{"directory": "directory", "identity": "directory", "forests": "directory",
	"domains": "Exchange", "dns": "DNS", "autodiscover": "network", "ews": "Exchange", "reachability": "network",
	"certificates": "Exchange", "servers": "Exchange", "transport": "Exchange", "migration": "Exchange",
	"oauth": "Exchange", "tenant": "Entra", "lookups": "Exchange", "workmail": "AWS administrator",
	"hybrid": "Exchange", "access": "Exchange"}

func (v *Validation) byCheck(answers.Answers) bool {
	if v.Checks == nil {
		return false
	}
	for _, r := range v.Checks.Results {
		if r.Status != check.StatusFail {
			continue
		}
		v.Verdict = Verdict{Status: freebusy.Failed, Text: r.Summary, Side: sideOfScope(r.Scope), Cause: string(r.ID),
			Owner: owners[r.ID.Category()], Next: r.Remedy.Text}
		if v.Verdict.Side == desired.PlaceOnline {
			v.Verdict.Owner = "Entra"
		}
		if causes := diagnose.Decide([]check.Result{r}, nil).Causes; len(causes) > 0 && causes[0].Decided {
			v.Verdict.Owner = causes[0].Owner // the same as where a lookup failed on account of it
		}
		if r.Remedy.Text.IsZero() {
			v.Verdict.Next = msg.Of("hybridge help %s says more", r.ID)
		}
		return true
	}
	return false
}

// sideOfScope is the side of a check's scope: "contoso: ex1" is one of contoso's.
func sideOfScope(scope string) string {
	side, _, _ := strings.Cut(scope, ": ")
	switch side {
	case "tenant":
		return desired.PlaceOnline
	case "organization", "network":
		return ""
	}
	return side
}

func (v *Validation) byUnknown(answers.Answers) bool {
	unknown := func(side string, text msg.Text, cause error) bool {
		v.Verdict = Verdict{Status: freebusy.Unknown, Text: text, Side: side,
			Next: msg.Of("make it reachable, or give the account the right, and validate again")}
		if errors.Is(cause, snapshot.ErrNotHeld) {
			v.Verdict.Next = msg.Of("what is asked now is in no snapshot: validate where the systems are reachable, " +
				"without --snapshot")
		}
		return true
	}
	for _, a := range v.Matrix {
		if a.Status == freebusy.Unknown {
			unknown(asker(a.Direction), msg.Of("whether %s sees %s is unknown: %s", a.From, a.To, a.Gist()), a.Cause)
			switch {
			case errors.Is(a.Cause, freebusy.ErrNoRecipient):
				v.Verdict.Owner = "directory"
				v.Verdict.Next = msg.Of("correct the address, or synchronize the person, and validate again")
			case errors.Is(a.Cause, freebusy.ErrNoDomain):
				v.Verdict.Next = msg.Of("name an address in a domain of the answers file, or add the domain there")
			}
			return true
		}
	}
	for _, r := range v.Remarks {
		if r.Status == freebusy.Unknown {
			return unknown(r.Side, msg.Plain(r.Text), r.cause)
		}
	}
	if v.Checks != nil {
		for _, r := range v.Checks.Results {
			if r.Status == check.StatusError && r.Severity != check.Warn || len(r.MissingRights) > 0 {
				return unknown(sideOfScope(r.Scope), r.Summary, nil)
			}
		}
	}
	return false
}

var subjectTitles = map[string]msg.Text{
	"freebusy": msg.Of("Free/busy"), "user": msg.Of("Mailbox"), "certificates": msg.Of("Certificates"),
	"oauth": msg.Of("OAuth"), "mailflow": msg.Of("Mail flow"), "domain": msg.Of("Domain"), "": msg.Of("Validation"),
}

var remarkStatuses = map[freebusy.Status]report.Status{freebusy.OK: report.OK, freebusy.Failed: report.Fail,
	freebusy.Unknown: report.Unknown, freebusy.Pending: report.Pending}

var verdictTones = map[freebusy.Status]report.Tone{freebusy.OK: report.Good, freebusy.Failed: report.Bad,
	freebusy.Unknown: report.Caution, freebusy.Pending: report.Caution}

// View shows the verdict first, whose side and who fixes it, the next step, and then the detail.
func (v Validation) View() report.View {
	out := report.View{Name: "validate", Title: subjectTitles[v.Subject]}
	if len(v.About) > 0 {
		out.Title = msg.Of("%s: %s", out.Title, strings.Join(v.About, ", "))
	}
	say := func(label, text msg.Text, tone report.Tone) {
		if !text.IsZero() && text.String() != "" {
			out.Blocks = append(out.Blocks, report.Paragraph{Label: label, Text: text, Tone: tone})
		}
	}
	say(msg.Of("verdict"), v.Verdict.Text, verdictTones[v.Verdict.Status])
	say(msg.Of("side"), msg.Plain(v.Verdict.Side), report.Plain)
	cause := msg.Plain(v.Verdict.Cause)
	if v.Verdict.Confidence > 0 {
		cause = msg.Of("%s (%.0f%%)", v.Verdict.Cause, 100*v.Verdict.Confidence)
	}
	say(msg.Of("cause"), cause, report.Plain)
	say(msg.Of("owner"), msg.Plain(v.Verdict.Owner), report.Plain)
	say(msg.Of("next"), v.Verdict.Next, report.Plain)
	for _, r := range v.Remarks {
		out.Blocks = append(out.Blocks, report.Finding{Status: remarkStatuses[r.Status], ID: "mailbox",
			Place: cmp.Or(r.Side, "all"), Group: cmp.Or(r.Side, "all"), Class: "mailbox", Title: msg.Plain(r.Text)})
	}
	if len(v.Matrix) > 0 {
		out.Blocks = append(out.Blocks, report.Section{Heading: msg.Of("Lookups"),
			View: freebusy.Report{Summary: v.Summary, Matrix: v.Matrix, Verdict: v.Ranked}.View()})
	}
	if v.Checks != nil {
		out.Blocks = append(out.Blocks, report.Section{Heading: msg.Of("Checks"), View: v.Checks.View()})
	}
	return out
}
