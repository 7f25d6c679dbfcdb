package report_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (write it with -update)", err)
	}
	if diff := cmp.Diff(strings.ReplaceAll(string(want), "\r\n", "\n"), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func checks() check.Report {
	results := []check.Result{
		{ID: "directory.reachable", Category: "directory", Title: "The directory answers", Status: check.StatusPass,
			Scope: "contoso", Summary: msg.Plain("dc1 answers"), DurationMS: 41},
		{
			ID: "directory.upn-matches-primary", Category: "directory",
			Title: "User principal names equal primary SMTP addresses", Status: check.StatusFail, Scope: "fabrikam",
			Summary: msg.Plain("203 of 10,000 users sign in with a name that is not their primary SMTP address, " +
				"first: r.neri@fabrikam.example (primary ricarda.neri@fabrikam.example)"),
			Detail: msg.Plain("Cross-premises lookups and sign-in go by the address; these users will see no " +
				"free/busy."),
			Remedy: check.Remedy{Text: msg.Plain("correct userPrincipalName or the primary address"),
				Commands: []string{"hybridge check --only directory.upn-matches-primary"},
				Docs:     "hybridge help directory.upn-matches-primary"},
			Evidence:   map[string]any{"count": 203},
			DurationMS: 12345,
		},
		{ID: "tls.hostile", Category: "tls", Title: "A server that \x1b[31mshouts", Status: check.StatusWarn,
			Scope: "contoso", Summary: msg.Plain("it said \x1b]0;owned\x07 and \u202e\u009b2J <&\"> \xff\ttwice\nand " +
				"more")},
		{ID: "cloud.domain", Category: "cloud", Title: "The domain is verified", Status: check.StatusSkip,
			Scope: "tenant", Summary: msg.Plain("needs cloud.signed-in, which could not be checked")},
		{ID: "cloud.signed-in", Category: "cloud", Title: "Signed in", Status: check.StatusError, Scope: "tenant",
			Summary: msg.Plain("sign in to login.microsoftonline.com: no route"),
			Remedy:  check.Remedy{Commands: []string{"one", "two"}}},
	}
	return check.Report{APIVersion: "hybridge/v1", Kind: "CheckReport", Summary: check.Count(results), Results: results}
}

func plan() change.Plan {
	changes := []change.Change{
		{
			ID: "entra/Application/hybrid", Target: "entra", Kind: "Application", Name: "ExchangeServerApp",
			Action: change.Create, Reason: msg.Of("the dedicated hybrid application"),
			After:   change.Properties{"DisplayName": "ExchangeServerApp", "Audience": "AzureADMyOrg"},
			Command: change.Command{Name: "POST /applications"},
		},
		{
			ID: "online/OrganizationRelationship/contoso.com", Target: "online", Kind: "OrganizationRelationship",
			Name: "O365 to On-premises", Identity: "1", Action: change.Update,
			Reason: msg.Of("free/busy of %s", "contoso.com"),
			Risk:   "while it is wrong, nobody in the cloud sees free/busy of people on premises",
			Before: change.Properties{"DomainNames": []string{"old.com", "contoso.com"}, "Enabled": false,
				"TargetApplicationUri": nil},
			After: change.Properties{"DomainNames": []string{"contoso.com", "fabrikam.com", "litware.com"},
				"Enabled": true, "TargetApplicationUri": change.Ref{Change: "entra/Application/hybrid",
					Property: "AppID"}},
			Command: change.Command{Name: "Set-OrganizationRelationship"}, Needs: []string{"entra/Application/hybrid"},
		},
		{
			ID: "onprem/contoso/SettingOverride/Exo", Target: "onprem/contoso", Kind: "SettingOverride",
			Name: "\x1b[2JExo", Identity: "2", Action: change.Recreate,
			Before:  change.Properties{"Parameters": []string{"a=1"}, "Reason": "why"},
			After:   change.Properties{"Parameters": []string{"a=2"}, "Reason": "why"},
			Removal: &change.Command{Name: "Remove-SettingOverride"},
			Command: change.Command{Name: "New-SettingOverride"},
		},
		{
			ID: "online/Connector/old", Target: "online", Kind: "Connector", Name: "old", Identity: "3",
			Action: change.Delete,
			Before: change.Properties{"Enabled": true}, Command: change.Command{Name: "Remove-Connector"},
		},
	}
	p := change.Plan{APIVersion: "hybridge/v1", Kind: "Plan", Changes: changes, Summary: change.Count(changes)}
	p.Summary.Unchanged = 7
	return p
}

func applied() apply.Report {
	return apply.Report{
		APIVersion: "hybridge/v1", Kind: "ApplyReport", RunID: "20261122T055801.000Z",
		Journal: "/state/runs/20261122T055801.000Z.jsonl",
		Summary: apply.Summary{Done: 1, Failed: 1, Skipped: 1, Pending: 1},
		Changes: []apply.Outcome{
			{ID: "entra/Application/hybrid", Target: "entra", Kind: "Application", Action: change.Create,
				Status: apply.Done, DurationMS: 1234},
			{ID: "online/A/x", Target: "online", Kind: "A", Action: change.Update, Status: apply.Failed,
				Error: "online: Set-A: access \x1b[31mdenied", DurationMS: 88},
			{ID: "online/A/y", Target: "online", Kind: "A", Action: change.Delete, Status: apply.Skipped,
				Note: msg.Of("in effect already")},
			{ID: "online/A/z", Target: "online", Kind: "A", Action: change.Recreate, Status: apply.Pending,
				Error: "needs online/A/x, which failed"},
		},
	}
}

// shown is a document of nothing but a View.
type shown struct{ view report.View }

func (s shown) View() report.View { return s.view }

func lookups() []report.Lookup {
	plain := func(s string) report.Block { return report.Paragraph{Text: msg.Plain(s)} }
	const refused = "The caller has not assigned any of the RBAC roles \x1b[2J requested in the management role header"
	return []report.Lookup{
		{From: "anna@contoso.com", To: "carol@contoso.onmicrosoft.com", Direction: "contoso -> online", Probe: "ews",
			Status: report.OK, Took: 120 * time.Millisecond},
		{
			From: "bob@fabrikam.com", To: "carol@contoso.onmicrosoft.com", Direction: "fabrikam -> online",
			Probe: "ews", Status: report.Fail, Took: 61 * time.Second,
			Error: msg.Plain(refused),
			Details: []report.Block{
				plain(refused),
				report.Path{Label: msg.Of("way"),
					Hops: []string{"intra-organization connector HybridIOC",
						"autodiscover https://autodiscover-s.outlook.com"}, Broken: 2},
				report.Paragraph{Label: msg.Of("why"),
					Text: msg.Of("%s (%.0f%%)", "oauth.partner-application-disabled", 80.0)},
			},
		},
		{
			From: "carol@contoso.onmicrosoft.com", To: "anna@contoso.com", Direction: "online -> contoso",
			Probe: "graph", Status: report.Unknown, Took: 5 * time.Millisecond,
			Error: msg.Plain("no token"), Details: []report.Block{plain("no token")},
		},
	}
}

func matrix() report.Document {
	return shown{report.View{
		Name: "test", Title: msg.Of("Free/busy"), Blocks: []report.Block{report.Matrix{Lookups: lookups()}},
		Summary: report.Summary{Lead: msg.Of("Free/busy:"), Counts: []report.Count{
			{Text: msg.Of("%d of %d lookups work", 1, 3)}, {Text: msg.Of("%d failed", 1), Tone: report.Bad},
			{Text: msg.Of("%d could not be asked", 1), Tone: report.Caution},
		}},
	}}
}

func compared() report.Document {
	after := lookups()
	after[1].Status = report.OK
	return shown{report.View{Name: "demo", Blocks: []report.Block{report.Matrix{Lookups: after, Before: lookups()}}}}
}

func history() report.Document {
	return apply.Runs{APIVersion: report.APIVersion, Kind: "History", StateDir: "/state", Runs: []apply.Entry{
		{RunID: "20261122T060000.000Z", Action: "rollback", Of: "20261122T055801.000Z", Outcome: "complete",
			Summary: apply.Summary{Done: 12}},
		{RunID: "20261122T055801.000Z", Action: "apply", Outcome: "complete",
			Summary: apply.Summary{Done: 12, Skipped: 1}, UndoneBy: "20261122T060000.000Z"},
	}}
}

// documents are one of each shape that a View has.
func documents() map[string]report.Document {
	return map[string]report.Document{
		"check": checks(), "plan": plan(), "apply": applied(), "matrix": matrix(), "compare": compared(),
		"history": history(),
		"nothing": change.Plan{Summary: change.Summary{Unchanged: 7}},
		"sections": shown{report.View{Name: "demo", Title: msg.Of("Demo"), Blocks: []report.Block{
			report.Section{Heading: msg.Of("Prerequisites"), View: checks().View()},
			report.Section{Heading: msg.Of("Free/busy"), View: matrix().View()},
			report.Section{View: applied().View()},
			report.Paragraph{Text: msg.Of("How to go on:")},
			report.Command{Lines: []string{"hybridge lab start --dir lab"}},
			report.Source{Language: "json", Text: "{\n  \"a\": 1\n}\n"},
		}}},
	}
}

// written is what a format makes of documents.
func written(t *testing.T, format string, o report.Options, documents ...report.Document) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := writes(&b, format, o, documents...); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func open(w io.Writer, format string, o report.Options) report.Writer {
	if o.Now == nil {
		o.Now = func() time.Time { return time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC) }
	}
	f, known := report.Named(format)
	if !known {
		panic("no format " + format)
	}
	return f.Open(w, o)
}

func writes(w io.Writer, format string, o report.Options, documents ...report.Document) error {
	out := open(w, format, o)
	for _, d := range documents {
		if err := out.Write(d); err != nil {
			return err
		}
	}
	return out.End(0)
}

// safe fails when output could act on a terminal: an escape byte that is not one of our colors, or
// any other control character.
func safe(t *testing.T, out []byte, color bool) {
	t.Helper()
	text := string(out)
	if color {
		for _, code := range []string{"1", "2", "31", "32", "33", "36", "0"} {
			text = strings.ReplaceAll(text, "\x1b["+code+"m", "")
		}
	}
	if !utf8.ValidString(text) {
		t.Error("not UTF-8")
	}
	for _, r := range text {
		if r != '\n' && (r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u202e') {
			t.Fatalf("%q passes through: %q", r, text)
		}
	}
}

func TestNothingIsCutOffElsewhereThanOnATerminal(t *testing.T) {
	passed := report.Finding{ID: "servers.build", Status: report.Pass, Place: "contoso",
		Summary: msg.Plain(strings.Repeat("EX1 is fit, ", 20) + "and so is the last")}
	for width, whole := range map[int]bool{0: true, 80: false} {
		if text := strings.Join(report.Style{Width: width}.Block(passed), "\n"); strings.Contains(text,
			"the last") != whole {
			t.Errorf("width %d: %s", width, text)
		}
	}
}

// A long label and a long text from a server take no more room than both have.
func TestLongLabel(t *testing.T) {
	long := strings.Repeat("label ", 500)
	lines := report.Style{Width: 80}.Block(report.Matrix{Lookups: []report.Lookup{{Direction: long, From: long,
		To: long, Probe: "ews", Status: report.OK}}})
	if n := len(strings.Join(lines, "\n")); n > 10*len(long) {
		t.Errorf("%d bytes of %d", n, len(long))
	}
}

func TestText(t *testing.T) {
	for _, test := range []struct {
		name  string
		style report.Style
	}{{"plain", report.Style{ASCII: true, Width: 100}}, {"color", report.Style{Color: true, Width: 72}}} {
		t.Run(test.name, func(t *testing.T) {
			for name, d := range documents() {
				out := written(t, "text", report.Options{Style: test.style}, d)
				safe(t, out, test.style.Color)
				golden(t, name+"-"+test.name+".txt", out)
				if test.style.ASCII {
					for _, r := range string(out) {
						if r > 0x7e {
							t.Errorf("%s: %q is not ASCII", name, r)
						}
					}
				}
			}
		})
	}
}

// The wizard paints with its own styles; widths stay those of the text.
func TestPaint(t *testing.T) {
	marks := map[report.Tone]string{report.Strong: "s", report.Faint: "f", report.Good: "g", report.Caution: "c",
		report.Bad: "b", report.Literal: "l"}
	paint := func(t report.Tone, text string) string { return "<" + marks[t] + ">" + text + "</>" }
	strip := strings.NewReplacer("</>", "", "<s>", "", "<f>", "", "<g>", "", "<c>", "", "<b>", "", "<l>", "")
	for name, d := range documents() {
		plain := report.Style{Width: 72}.View(d.View())
		painted := report.Style{Width: 72, Paint: paint}.View(d.View())
		for i := range painted {
			painted[i] = strings.TrimRight(strip.Replace(painted[i]), " ")
		}
		if name != "check" && name != "sections" { // their texts hold < and >
			if diff := cmp.Diff(plain, painted); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
	}
}

func TestMarkdown(t *testing.T) {
	for name, d := range documents() {
		out := written(t, "markdown", report.Options{Style: report.Style{Color: true, Width: 40}}, d)
		safe(t, out, false)
		golden(t, name+".md", out)
	}
	// Text from a server cannot become markup.
	hostile := "![x](http://evil) <script> **b** `c` | d\n# e"
	out := string(written(t, "markdown", report.Options{},
		shown{report.View{Title: msg.Plain(hostile), Blocks: []report.Block{
			report.Finding{ID: hostile, Status: report.Fail, Place: hostile, Summary: msg.Plain(hostile)},
			report.Table{Columns: []msg.Text{msg.Plain(hostile)}, Rows: [][]msg.Text{{msg.Plain(hostile)}}},
			report.Command{Lines: []string{"a `b` c"}},
		}}}))
	spans := regexp.MustCompile("(`+) ?!.*? d # e ?`+") // an id stands in a code span, where nothing acts
	rest := regexp.MustCompile(`\\.`).ReplaceAllString(spans.ReplaceAllString(out, ""), "")
	for _, bad := range []string{"![", "](", "<script", " **b", " `c`", "\n# e"} {
		if strings.Contains(rest, bad) {
			t.Errorf("%q acts: %s", bad, out)
		}
	}
	if !strings.Contains(out, "``a `b` c``") {
		t.Errorf("a command is not as it is: %s", out)
	}
}

func TestProgress(t *testing.T) {
	var b bytes.Buffer
	p := report.NewProgress(&b, report.Style{})
	for _, e := range []observe.Event{
		observe.Started{Stage: "check", Total: 3},
		observe.Progress{Stage: "check", Done: 0, Total: 3, Text: "one\x1b[2J"},
		observe.Progress{Stage: "plan", Text: "reading"},
		observe.Waiting{ID: "a.b", What: "not yet", Until: time.Date(2026, 11, 22, 6, 0, 0, 0, time.Local)},
		observe.Warning{Text: "careful"}, checks().Results[0],
	} {
		p.Observe(e)
	}
	safe(t, b.Bytes(), false)
	want := "[1/3] check: one\\u001b[2J\nplan: reading\nwaiting until 06:00:00: a.b: not yet\nwarning: careful\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

func TestJSON(t *testing.T) {
	out := written(t, "json", report.Options{}, checks())
	safe(t, out, false)
	golden(t, "check.json", out)
	var back check.Report
	if err := json.Unmarshal(out, &back); err != nil {
		t.Fatal(err)
	}
	if back.Results[1].Summary.String() != checks().Results[1].Summary.String() ||
		!strings.Contains(back.Results[2].Summary.String(), "\u009b2J") {
		t.Errorf("escapes changed the text: %q", back.Results[2].Summary)
	}
}

func TestLines(t *testing.T) {
	var b bytes.Buffer
	l := open(&b, "jsonl", report.Options{Version: "1.2.3"})
	events := l.(observe.Observer)
	for _, r := range checks().Results {
		events.Observe(r)
	}
	events.Observe(observe.Warning{Text: "a\nb"})
	for _, err := range []error{l.Write(checks()), l.Fail(failure), l.End(3)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	safe(t, b.Bytes(), false)
	golden(t, "check.jsonl", b.Bytes())
	for text := range strings.SplitSeq(strings.TrimSpace(b.String()), "\n") {
		if !json.Valid([]byte(text)) {
			t.Errorf("no JSON: %s", text)
		}
	}
	if open(failing{}, "jsonl", report.Options{}).End(0) == nil {
		t.Error("a stream that could not be written ends well")
	}
	broken := &once{}
	short := open(broken, "jsonl", report.Options{})
	short.(observe.Observer).Observe(observe.Warning{})
	if err := short.Write(checks()); !errors.Is(err, io.ErrShortWrite) || broken.writes != 1 {
		t.Errorf("after a line that was cut: %v, %d writes", err, broken.writes)
	}
}

var failure = report.Failure{APIVersion: report.APIVersion, Kind: "Error", Code: 9, Message: "dc1: \x1b[2J no route",
	Hint: "check name and port", See: "hybridge help exit-codes"}

// A failure is a document where a machine reads, and nothing where a person does: they have it on
// standard error.
func TestFailure(t *testing.T) {
	for format, names := range map[string]string{"json": "error.json", "jsonl": "error.jsonl", "junit": "error.xml",
		"text": "", "markdown": ""} {
		var b bytes.Buffer
		w := open(&b, format, report.Options{})
		if err := errors.Join(w.Fail(failure), w.End(9)); err != nil {
			t.Fatal(err)
		}
		safe(t, b.Bytes(), false)
		if names == "" {
			if b.Len() > 0 {
				t.Errorf("%s: %s", format, b.String())
			}
			continue
		}
		golden(t, names, b.Bytes())
	}
	// One document per run: what was written stays alone.
	for _, format := range []string{"json", "junit"} {
		var b bytes.Buffer
		w := open(&b, format, report.Options{})
		if err := errors.Join(w.Write(checks()), w.Fail(failure)); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(b.String(), "no route\"") && strings.Contains(b.String(), "Error\"") {
			t.Errorf("%s: two documents: %s", format, b.String())
		}
	}
}

func TestFormats(t *testing.T) {
	all := report.Documents | report.Outcomes | report.Measures | report.Events
	for name, needs := range map[string]report.Trait{
		"text": 0, "json": report.Documents, "markdown": report.Documents, "jsonl": report.Events,
		"junit": report.Outcomes, "openmetrics": report.Measures,
	} {
		for _, has := range []report.Trait{0, report.Documents, report.Documents | report.Events,
			report.Documents | report.Outcomes, all} {
			if fits := slices.Contains(report.Names(has), name); fits != (needs&^has == 0) {
				t.Errorf("%s fits %b: %t", name, has, fits)
			}
		}
		several := name == "text" || name == "jsonl"
		if fits := slices.Contains(report.Names(all|report.Rounds), name); fits != several {
			t.Errorf("%s for several documents: %t", name, fits)
		}
	}
	if report.Names(all)[0] != "text" {
		t.Errorf("the default is %s", report.Names(all)[0])
	}
}

// once fails at the first write and takes the others: a line after one that was cut would be glued
// to it.
type once struct{ writes int }

func (o *once) Write(p []byte) (int, error) {
	if o.writes++; o.writes == 1 {
		return 0, io.ErrShortWrite
	}
	return len(p), nil
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestJUnit(t *testing.T) {
	late := applied()
	late.Changes[3].Error, late.Changes[3].Cause = "cancelled", context.Canceled
	for name, d := range map[string]report.Document{"check": checks(), "apply": applied(), "matrix": matrix(),
		"cancelled": late, "sections": documents()["sections"]} {
		out := written(t, "junit", report.Options{}, d)
		safe(t, out, false)
		golden(t, name+".xml", out)
		var back struct {
			Suites []struct {
				Tests int `xml:"tests,attr"`
			} `xml:"testsuite"`
		}
		if err := xml.Unmarshal(out, &back); err != nil || len(back.Suites) == 0 || back.Suites[0].Tests == 0 {
			t.Errorf("%s: %v %+v", name, err, back)
		}
	}
}

func TestSanitize(t *testing.T) {
	for in, want := range map[string]string{
		"plain ü 漢字 →":       "plain ü 漢字 →",
		"a\r\nb\tc":          "a\nb c",
		"\x1b[31mred\x9b":    `\u001b[31mred\x9b`,
		"\u0085\u200b\u2066": `\u0085\u200b\u2066`,
		"\U000e0041":         `\U000e0041`,
	} {
		if got := report.Sanitize(in); got != want {
			t.Errorf("Sanitize(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add("it said \x1b]0;owned\x07", 40)
	f.Add(strings.Repeat("漢", 300)+" x\n\n y", 1)
	f.Add("\xff\xfe\u202e", 80)
	f.Fuzz(func(t *testing.T, text string, width int) {
		said := msg.Plain(text)
		details := []report.Block{report.Paragraph{Label: said, Text: said},
			report.Command{Label: said, Lines: []string{text, text}}, report.Path{Label: said, Hops: []string{text}}}
		v := report.View{Title: said, Blocks: []report.Block{
			report.Finding{ID: text, Status: report.Status(text), Place: text, Summary: said, Details: details},
			report.Finding{ID: text, Status: report.Pass, Place: text, Summary: said},
			report.Finding{ID: text, Status: report.Done, Action: said, Summary: said},
			report.Diff{Intro: said, Changes: []report.Change{{ID: text, Name: text, Details: details,
				Properties: []report.Property{
					{Name: text, Sign: report.Changed, Before: said, After: said},
					{Name: text, Sign: report.Changed, Gone: []msg.Text{said}, Come: []msg.Text{said}},
				}}}},
			report.Matrix{Lookups: []report.Lookup{{From: text, To: text, Direction: text, Probe: text,
				Status: report.Status(text), Error: said, Details: details}}},
			report.Matrix{Before: []report.Lookup{{From: text, To: text, Direction: text, Probe: text}},
				Lookups: []report.Lookup{}},
			report.Table{Columns: []msg.Text{said}, Rows: [][]msg.Text{{said}}},
			report.Source{Text: text},
			report.Section{Heading: said, View: report.View{Blocks: details}},
		}, Summary: report.Summary{Lead: said, Counts: []report.Count{{Text: said}}, Notes: details}}
		for _, format := range []string{"text", "markdown", "junit"} {
			safe(t, written(t, format, report.Options{Style: report.Style{Width: width % 500}}, shown{v}), false)
		}
	})
}

// A server's text has no limit: the report shows the first pages of it.
func TestTextIsBounded(t *testing.T) {
	lines := report.Style{ASCII: true}.Block(report.Finding{ID: "a.b", Place: "x", Status: report.Fail,
		Summary: msg.Plain(strings.Repeat("word ", 200_000))})
	if text := strings.Join(lines, "\n"); len(text) > 20<<10 || !strings.Contains(text, "bytes more)") {
		t.Errorf("%d bytes: %.200s", len(text), text)
	}
}

// The first error stays, also when later writes succeed.
func TestTextKeepsTheFirstError(t *testing.T) {
	w := &once{}
	text := report.NewText(w, report.Style{ASCII: true})
	text.View(checks().View())
	text.View(checks().View())
	if !errors.Is(text.Err(), io.ErrShortWrite) || w.writes != 1 {
		t.Errorf("%v after %d writes", text.Err(), w.writes)
	}
}

// A property that goes away is shown as going, on a separate line.
func TestPropertyThatGoes(t *testing.T) {
	c := change.Change{ID: "online/Thing/a", Action: change.Update,
		Before: change.Properties{"Proxy": "http://old", "Same": "x"}, After: change.Properties{"Same": "x"}}
	text := strings.Join(report.Style{ASCII: true}.Block(report.Diff{Changes: []report.Change{c.Diff()}}), "\n")
	if !strings.Contains(text, "- Proxy  \"http://old\"") && !strings.Contains(text, "- Proxy  http://old") ||
		strings.Contains(text, "Same") {
		t.Error(text)
	}
}

// However many findings there are, their Markdown fits a ticket. What failed comes first and keeps
// its details as long as that is possible.
func TestMarkdownFitsATicket(t *testing.T) {
	long := report.Paragraph{Label: msg.Of("fix"), Text: msg.Plain(strings.Repeat("a long remedy ", 20))}
	many := func(failed, warned, passed int) string {
		v := report.View{Title: msg.Plain("Prerequisites"), Summary: report.Summary{Lead: msg.Plain("Checks:")}}
		for i := range failed + warned + passed {
			f := report.Finding{Status: report.Fail, ID: fmt.Sprintf("check.number-%d", i), Place: "contoso",
				Summary: msg.Plain("203 of 10,000 users sign in with a name that is not their address"),
				Details: []report.Block{long}}
			if i >= failed {
				f.Status = report.Warn
			}
			if i >= failed+warned {
				f.Status = report.Pass
			}
			v.Blocks = append(v.Blocks, f)
		}
		return string(written(t, "markdown", report.Options{}, shown{v}))
	}
	for _, test := range []struct {
		failed, warned, passed int
		details, leftOut       bool
	}{
		{5, 5, 100, true, false}, {20, 100, 500, true, false}, {900, 100, 2000, true, true},
	} {
		out := many(test.failed, test.warned, test.passed)
		if len(out) > 32_000 || len(out) < 1000 {
			t.Errorf("%v: %d bytes", test, len(out))
		}
		first := strings.Contains(out,
			"- **FAIL** `check.number-0` (contoso): 203 of 10,000 users sign in with a name "+
				"that is not their address\n  - fix: a long remedy")
		if first != test.details {
			t.Errorf("%v: the first failure has lost its details:\n%.500s", test, out)
		}
		if leftOut := strings.Contains(out, "more findings do not fit a ticket"); leftOut != test.leftOut {
			t.Errorf("%v: left out: %t", test, leftOut)
		}
		if strings.Count(out, "**PASS**") != 1 {
			t.Errorf("%v: what passed takes more than one line", test)
		}
	}
}

// A command can be copied as it is, and no text of a server ends the fence that it stands in.
func TestMarkdownKeepsCommands(t *testing.T) {
	out := string(written(t, "markdown", report.Options{}, shown{report.View{Blocks: []report.Block{
		report.Finding{ID: "a.b", Status: report.Fail, Details: []report.Block{
			report.Command{Lines: []string{"Get-EdgeSubscription | Remove-EdgeSubscription"}}}},
		report.Source{Language: "powershell", Text: "```\n# not a heading"},
	}}}))
	if !strings.Contains(out, "`Get-EdgeSubscription | Remove-EdgeSubscription`") ||
		!strings.Contains(out, "````powershell\n```\n# not a heading\n````") {
		t.Error(out)
	}
}

// A long report keeps the details of what could not be looked at, as those of failures.
func TestMarkdownKeepsDetailsOfTheUnknown(t *testing.T) {
	long := report.Paragraph{Label: msg.Of("fix"), Text: msg.Plain(strings.Repeat("a long remedy ", 20))}
	v := report.View{Blocks: []report.Block{report.Finding{Status: report.Error, ID: "unknown.one",
		Details: []report.Block{report.Paragraph{Label: msg.Of("why"), Text: msg.Plain("no right")}}}}}
	for i := range 200 {
		v.Blocks = append(v.Blocks, report.Finding{Status: report.Warn, ID: fmt.Sprintf("check.number-%d", i),
			Details: []report.Block{long}})
	}
	out := string(written(t, "markdown", report.Options{}, shown{v}))
	if !strings.Contains(out, "why: no right") || strings.Contains(out, "a long remedy") {
		t.Errorf("%.500s", out)
	}
}
