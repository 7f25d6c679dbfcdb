package diagnose

import (
	"slices"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
)

func found(id, scope string, s check.Status, text string) check.Result {
	return check.Result{ID: check.ID(id), Scope: scope, Status: s, Summary: msg.Plain(text)}
}

func ids(v Verdict) (out []string) {
	for _, c := range v.Causes {
		out = append(out, string(c.ID))
	}
	return out
}

var (
	inbound  = Symptom{Text: "Autodiscover failed", Direction: OnlineToOnprem, From: "online", To: "contoso"}
	outbound = Symptom{Text: "EWS is disabled", Direction: OnpremToOnline, From: "contoso", To: "online"}
	silent   = found("autodiscover.answers", "contoso", check.StatusFail, "no answer")
	off      = found("tenant.ews-switch", "tenant", check.StatusFail, "EwsEnabled is false")
)

// A text is a hint. The checks of its cause rule it out when all of them ran and pass; one that could
// not run is named instead.
func TestTextsAreHints(t *testing.T) {
	const cause = "autodiscover.unreachable"
	passes, broken := silent, silent
	passes.Status, broken.Status = check.StatusPass, check.StatusError
	barred := silent
	barred.Status, barred.MissingRights = check.StatusSkip, []msg.Text{msg.Plain("Get-ClientAccessService")}
	for name, tt := range map[string]struct {
		results                  []check.Result
		named, decided, out, why bool
	}{
		"a text alone":         {nil, true, false, false, false},
		"its check passes":     {[]check.Result{passes}, false, false, true, false},
		"its check fails":      {[]check.Result{silent}, true, true, false, false},
		"it could not run":     {[]check.Result{broken}, true, false, false, true},
		"a right is missing":   {[]check.Result{barred}, true, false, false, true},
		"in one forest":        {[]check.Result{passes, broken}, true, false, false, true},
		"it fails in another":  {[]check.Result{passes, silent}, true, true, false, false},
		"another check passes": {[]check.Result{found("dns.mx", "contoso", check.StatusPass, "")}, true, false, false, false},
	} {
		v := Decide(tt.results, []Symptom{inbound})
		at := slices.Index(ids(v), cause)
		decided := at >= 0 && v.Causes[at].Decided
		out := slices.ContainsFunc(v.RuledOut, func(x Excluded) bool { return x.ID == cause && len(x.By) == 1 })
		why := slices.ContainsFunc(v.Unknown, func(o Open) bool { return slices.Contains(o.IDs, cause) })
		if at >= 0 != tt.named || decided != tt.decided || out != tt.out || why != tt.why {
			t.Errorf("%s: %v, decided %v, ruled out %v, unknown %v", name, ids(v), decided, v.RuledOut, v.Unknown)
		}
	}
}

// What a check found comes before a text, however many errors have the text.
func TestChecksComeBeforeTexts(t *testing.T) {
	var symptoms []Symptom
	for _, to := range []string{"contoso", "contoso", "fabrikam", "fabrikam", "tailspin"} {
		symptoms = append(symptoms, Symptom{Text: "ErrorProxyRequestProcessingFailed", Direction: OnlineToOnprem,
			From: "online", To: to})
	}
	v := Decide([]check.Result{silent}, symptoms)
	if got := ids(v); len(got) < 2 || got[0] != "autodiscover.unreachable" || !v.Causes[0].Decided {
		t.Error(got)
	}
}

// A check that fails explains what it breaks without a word in the error: on its way, in its direction,
// of lookups or of mail. A warning breaks nothing.
func TestWhatACauseBreaks(t *testing.T) {
	warning, elsewhere := silent, silent
	warning.Status, elsewhere.Scope = check.StatusWarn, "fabrikam"
	wordless := Symptom{Text: "no", Direction: OnlineToOnprem, From: "online", To: "contoso"}
	back, mail := wordless, wordless
	back.Direction, back.From, back.To = OnpremToOnline, "contoso", "online"
	mail.Message = true
	for name, tt := range map[string]struct {
		result  check.Result
		symptom Symptom
		want    bool
	}{
		"the lookup":          {silent, wordless, true},
		"a server":            {found("autodiscover.answers", "contoso: ex1", check.StatusFail, ""), wordless, true},
		"a warning":           {warning, wordless, false},
		"another forest":      {elsewhere, wordless, false},
		"the other direction": {silent, back, false},
		"mail":                {silent, mail, false},
	} {
		v := Decide([]check.Result{tt.result}, []Symptom{tt.symptom}).Explaining()
		if got := slices.Contains(ids(v), "autodiscover.unreachable"); got != tt.want {
			t.Errorf("%s: %v", name, ids(v))
		}
	}
}

// Of what two checks found, only that which breaks the lookup explains it.
func TestExplainingKeepsWhatExplains(t *testing.T) {
	v := Decide([]check.Result{silent, off}, []Symptom{outbound})
	if got := ids(v); !slices.Contains(got, "autodiscover.unreachable") || got[0] != "ews.off-online" {
		t.Error(got)
	}
	if got := ids(v.Explaining()); slices.Contains(got, "autodiscover.unreachable") || got[0] != "ews.off-online" {
		t.Error(got)
	}
}

// A warning is weaker than a failure, a cause that a check decided has nothing unknown, and a missing
// right shows causes of rights alone.
func TestEvidence(t *testing.T) {
	warning, broken := off, off
	warning.Status = check.StatusWarn
	broken.Status, broken.Scope = check.StatusError, "other"
	fails, warns := Decide([]check.Result{off}, nil), Decide([]check.Result{warning}, nil)
	if len(fails.Causes) != 1 || len(warns.Causes) != 1 || warns.Causes[0].Confidence >= fails.Causes[0].Confidence {
		t.Errorf("%+v, %+v", fails, warns)
	}
	if v := Decide([]check.Result{off, broken}, nil); len(v.Causes) != 1 || len(v.Unknown) > 0 {
		t.Errorf("%+v", v)
	}
	skipped := off
	skipped.Status, skipped.MissingRights = check.StatusSkip, []msg.Text{msg.Plain("Get-OrganizationConfig")}
	for _, c := range Decide([]check.Result{skipped}, nil).Causes {
		if row, _ := Find(c.ID); row.Layer != "access" {
			t.Errorf("a missing right shows %s", c.ID)
		}
	}
}

// The checks that decide are those of what the errors suggest and of all causes on the way; those that
// read every user are left out unless an error suggests them.
func TestDeciders(t *testing.T) {
	in, out := Deciders([]Symptom{inbound}), Deciders([]Symptom{outbound})
	if !slices.Contains(in, "autodiscover.answers") || slices.Contains(in, "servers.shifted-times") ||
		!slices.Contains(out, "servers.shifted-times") {
		t.Error(in, out)
	}
	isSlow := func(id string) bool { return strings.HasPrefix(id, "directory.") }
	if slices.ContainsFunc(out, isSlow) {
		t.Error(out)
	}
	row := Rows()[slices.IndexFunc(Rows(), func(r Row) bool { return len(r.Texts) > 0 && slices.ContainsFunc(r.Checks, isSlow) })]
	told := Deciders([]Symptom{{Text: strings.ReplaceAll(row.Texts[0], "*", "x"), Direction: AnyDirection, From: "contoso",
		To: "online"}})
	if !slices.ContainsFunc(told, isSlow) {
		t.Errorf("%s suggests none of %v", row.Texts[0], row.Checks)
	}
}

// A wrapper and what works as designed come after the cause that is wrapped.
func TestWrappersComeLast(t *testing.T) {
	wrappers := 0
	for _, r := range Rows() {
		if !r.Wrapper || len(r.Texts) == 0 {
			continue
		}
		wrappers++
		text := strings.ReplaceAll(r.Texts[0], "*", "x") + ": Autodiscover failed"
		v := Decide([]check.Result{silent}, []Symptom{{Text: text, Direction: OnlineToOnprem, From: "online", To: "contoso"}})
		if len(v.Causes) == 0 || v.Causes[0].ID == r.ID {
			t.Errorf("%s is first: %v", r.ID, ids(v))
		}
	}
	if wrappers == 0 {
		t.Error("the table has no wrapper")
	}
}

// A check that can find a cause, and could not run, keeps it from being ruled out by those that ran.
func TestWhatCouldShowACauseKeepsIt(t *testing.T) {
	tried := 0
	for _, r := range Rows() {
		if len(r.Texts) == 0 || len(r.Checks) == 0 || len(r.Shows) == 0 {
			continue
		}
		var results []check.Result
		for _, id := range r.Checks {
			results = append(results, found(id, "contoso", check.StatusPass, ""))
		}
		symptom := Symptom{Text: strings.ReplaceAll(r.Texts[0], "*", "x"), Direction: AnyDirection, From: "contoso", To: "online"}
		out := func(v Verdict) bool {
			return slices.ContainsFunc(v.RuledOut, func(x Excluded) bool { return x.ID == r.ID })
		}
		if !out(Decide(results, []Symptom{symptom})) {
			continue // another text of its decides
		}
		tried++
		if v := Decide(append(results, found(r.Shows[0], "contoso", check.StatusError, "")), []Symptom{symptom}); out(v) {
			t.Errorf("%s: %+v", r.ID, v.RuledOut)
		}
	}
	if tried == 0 {
		t.Error("no row has both")
	}
}

// A right that is missing is evidence, and decides nothing.
func TestMissingRightDecidesNothing(t *testing.T) {
	causes := 0
	for _, r := range Rows() {
		if r.Layer != "access" {
			continue
		}
		for _, id := range r.finders() {
			skipped := found(id, "contoso", check.StatusSkip, "")
			skipped.MissingRights = []msg.Text{msg.Plain("Get-Mailbox")}
			for _, c := range Decide([]check.Result{skipped}, nil).Causes {
				causes++
				if c.Decided {
					t.Errorf("%s decides %s", id, c.ID)
				}
			}
		}
	}
	if causes == 0 {
		t.Error("no cause is shown")
	}
}

// A wrapper comes after what it wraps without a check too, although it is in more errors.
func TestWrappersComeLastWithoutChecks(t *testing.T) {
	for _, r := range Rows() {
		if !r.Wrapper || len(r.Texts) == 0 {
			continue
		}
		both, alone := outbound, outbound
		alone.Text = strings.ReplaceAll(r.Texts[0], "*", "x")
		both.Text = alone.Text + ": " + outbound.Text
		if got := ids(Decide(nil, []Symptom{both, alone, alone})); len(got) < 2 || got[0] == string(r.ID) {
			t.Errorf("%s: %v", r.ID, got)
		}
	}
}

// The words between two parts of a text are some, not a whole log.
func TestGapIsLimited(t *testing.T) {
	p := patterns([]string{"the server * refused"})[0]
	for words, want := range map[int]bool{0: true, 10: true, 2 * gap: false} {
		if _, end := p.in(textOf("the server " + strings.Repeat("a ", words) + "refused it")); end >= 0 != want {
			t.Errorf("%d words between: end %d", words, end)
		}
	}
}

// A domain without MX stops messages, and no look at a calendar.
func TestMailBreaksNoLookup(t *testing.T) {
	results := []check.Result{found("dns.mx", "contoso", check.StatusFail, "no MX record")}
	for _, s := range []Symptom{
		{Text: "no answer", Direction: OnlineToOnprem, From: "online", To: "contoso"},
		{Text: "no answer", Direction: OnlineToOnprem, From: "online", To: "contoso", Message: true},
	} {
		v := Decide(results, []Symptom{s})
		at := slices.Index(ids(v), "mail.no-exchanger")
		if at < 0 {
			t.Fatalf("message %t: %v", s.Message, ids(v))
		}
		if explained := slices.ContainsFunc(v.Causes[at].Evidence, func(e Evidence) bool {
			return e.Probe == lookup || e.Probe == message
		}); explained != s.Message {
			t.Errorf("message %t: %+v", s.Message, v.Causes[at].Evidence)
		}
	}
}
