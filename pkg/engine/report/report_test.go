package report

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
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
		{ID: "directory.reachable", Category: "directory", Title: "The directory answers", Status: check.StatusPass, Scope: "contoso", Summary: msg.Plain("dc1 answers"), DurationMS: 41},
		{
			ID: "directory.upn-matches-primary", Category: "directory", Title: "User principal names equal primary SMTP addresses", Status: check.StatusFail, Scope: "fabrikam",
			Summary:    msg.Plain("203 of 10,000 users sign in with a name that is not their primary SMTP address, first: r.neri@fabrikam.example (primary ricarda.neri@fabrikam.example)"),
			Detail:     msg.Plain("Cross-premises lookups and sign-in go by the address; these users will see no free/busy."),
			Remedy:     check.Remedy{Text: msg.Plain("correct userPrincipalName or the primary address"), Commands: []string{"hybridge check --only directory.upn-matches-primary"}, Docs: "hybridge help directory.upn-matches-primary"},
			Evidence:   map[string]any{"count": 203},
			DurationMS: 12345,
		},
		{ID: "tls.hostile", Category: "tls", Title: "A server that \x1b[31mshouts", Status: check.StatusWarn, Scope: "contoso", Summary: msg.Plain("it said \x1b]0;owned\x07 and \u202e\u009b2J <&\"> \xff\ttwice\nand more")},
		{ID: "cloud.domain", Category: "cloud", Title: "The domain is verified", Status: check.StatusSkip, Scope: "tenant", Summary: msg.Plain("needs cloud.signed-in, which could not be looked at")},
		{ID: "cloud.signed-in", Category: "cloud", Title: "Signed in", Status: check.StatusError, Scope: "tenant", Summary: msg.Plain("sign in to login.microsoftonline.com: no route"), Remedy: check.Remedy{Commands: []string{"one", "two"}}},
	}
	return check.Report{APIVersion: "hybridge/v1", Kind: "CheckReport", Summary: check.Count(results), Results: results}
}

func plan() change.Plan {
	changes := []change.Change{
		{
			ID: "entra/Application/hybrid", Target: "entra", Kind: "Application", Name: "ExchangeServerApp", Action: change.Create, Reason: msg.Plain("the dedicated hybrid application"),
			After: change.Properties{"DisplayName": "ExchangeServerApp", "Audience": "AzureADMyOrg"}, Command: change.Command{Name: "POST /applications"},
		},
		{
			ID: "online/OrganizationRelationship/contoso.com", Target: "online", Kind: "OrganizationRelationship", Name: "O365 to On-premises", Identity: "1", Action: change.Update,
			Reason: msg.Plain("free/busy of contoso.com"), Risk: "while it is wrong, nobody in the cloud sees free/busy of people on premises",
			Before:  change.Properties{"DomainNames": []string{"old.com", "contoso.com"}, "Enabled": false, "TargetApplicationUri": nil},
			After:   change.Properties{"DomainNames": []string{"contoso.com", "fabrikam.com", "litware.com"}, "Enabled": true, "TargetApplicationUri": change.Ref{Change: "entra/Application/hybrid", Property: "AppID"}},
			Command: change.Command{Name: "Set-OrganizationRelationship"}, Needs: []string{"entra/Application/hybrid"},
		},
		{
			ID: "onprem/contoso/SettingOverride/Exo", Target: "onprem/contoso", Kind: "SettingOverride", Name: "\x1b[2JExo", Identity: "2", Action: change.Recreate,
			Before: change.Properties{"Parameters": []string{"a=1"}, "Reason": "why"}, After: change.Properties{"Parameters": []string{"a=2"}, "Reason": "why"},
			Removal: &change.Command{Name: "Remove-SettingOverride"}, Command: change.Command{Name: "New-SettingOverride"},
		},
		{
			ID: "online/Connector/old", Target: "online", Kind: "Connector", Name: "old", Identity: "3", Action: change.Delete,
			Before: change.Properties{"Enabled": true}, Command: change.Command{Name: "Remove-Connector"},
		},
	}
	p := change.Plan{APIVersion: "hybridge/v1", Kind: "Plan", Changes: changes, Summary: change.Count(changes)}
	p.Summary.Unchanged = 7
	return p
}

func applied() apply.Report {
	return apply.Report{
		APIVersion: "hybridge/v1", Kind: "ApplyReport", RunID: "20261122T055801.000Z", Journal: "/state/runs/20261122T055801.000Z.jsonl",
		Summary: apply.Summary{Done: 1, Failed: 1, Skipped: 1, Pending: 1},
		Changes: []apply.Outcome{
			{ID: "entra/Application/hybrid", Target: "entra", Kind: "Application", Action: change.Create, Status: apply.Done, DurationMS: 1234},
			{ID: "online/A/x", Target: "online", Kind: "A", Action: change.Update, Status: apply.Failed, Error: "online: Set-A: access \x1b[31mdenied", DurationMS: 88},
			{ID: "online/A/y", Target: "online", Kind: "A", Action: change.Delete, Status: apply.Skipped, Note: "in effect already"},
			{ID: "online/A/z", Target: "online", Kind: "A", Action: change.Recreate, Status: apply.Pending, Error: "needs online/A/x, which failed"},
		},
	}
}

func matrix() []Lookup {
	return []Lookup{
		{From: "anna@contoso.com", To: "carol@contoso.onmicrosoft.com", Direction: "contoso -> online", Probe: "ews", Status: "ok", LatencyMS: 120},
		{
			From: "bob@fabrikam.com", To: "carol@contoso.onmicrosoft.com", Direction: "fabrikam -> online", Probe: "ews", Status: "failed", LatencyMS: 61000,
			Route:  []string{"intra-organization connector HybridIOC", "autodiscover https://autodiscover-s.outlook.com"},
			Error:  "The caller has not assigned any of the RBAC roles \x1b[2J requested in the management role header",
			Causes: []Cause{{"oauth.partner-application-disabled", 0.8}},
		},
		{From: "carol@contoso.onmicrosoft.com", To: "anna@contoso.com", Direction: "online -> contoso", Probe: "graph", Status: "unknown", LatencyMS: 5, Error: "no token"},
	}
}

// safe fails when output could act on a terminal: an escape byte that is not one of our colors, or any other control character.
func safe(t *testing.T, out []byte, color bool) {
	t.Helper()
	text := string(out)
	if color {
		for _, code := range []string{bold, dim, red, green, yellow, cyan, "0"} {
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
	passed := check.Result{ID: "servers.build", Status: check.StatusPass, Scope: "contoso", Summary: msg.Plain(strings.Repeat("EX1 is fit, ", 20) + "and so is the last")}
	for width, whole := range map[int]bool{0: true, 80: false} {
		var b bytes.Buffer
		NewText(&b, Style{Width: width}).Check(passed)
		if strings.Contains(b.String(), "the last") != whole {
			t.Errorf("width %d: %s", width, b.String())
		}
	}
}

// A label and a text, both as long as a server likes, take no more room than both have.
func TestLongLabel(t *testing.T) {
	var b bytes.Buffer
	long := strings.Repeat("label ", 500)
	NewText(&b, Style{Width: 80}).Matrix([]Lookup{{Direction: long, From: long, To: long, Probe: "ews", Status: "ok"}})
	if b.Len() > 10*len(long) {
		t.Errorf("%d bytes of %d", b.Len(), len(long))
	}
}

func TestText(t *testing.T) {
	for _, test := range []struct {
		name  string
		style Style
	}{{"plain", Style{ASCII: true, Width: 100}}, {"color", Style{Color: true, Width: 72}}} {
		t.Run(test.name, func(t *testing.T) {
			for name, write := range map[string]func(*Text){
				"check":   func(x *Text) { x.Checks(checks()) },
				"plan":    func(x *Text) { x.Plan(plan()) },
				"apply":   func(x *Text) { x.Apply(applied()) },
				"matrix":  func(x *Text) { x.Matrix(matrix()) },
				"compare": func(x *Text) { after := matrix(); after[1].Status = "ok"; x.BeforeAfter(matrix(), after) },
			} {
				var b bytes.Buffer
				x := NewText(&b, test.style)
				write(x)
				if x.Err() != nil {
					t.Fatal(x.Err())
				}
				safe(t, b.Bytes(), test.style.Color)
				golden(t, name+"-"+test.name+".txt", b.Bytes())
				if test.style.ASCII {
					for _, r := range b.String() {
						if r > 0x7e {
							t.Errorf("%s: %q is not ASCII", name, r)
						}
					}
				}
			}
		})
	}
}

func TestProgress(t *testing.T) {
	var b bytes.Buffer
	p := NewProgress(&b, Style{})
	for _, e := range []observe.Event{
		observe.Started{Stage: "check", Total: 3}, observe.Progress{Stage: "check", Done: 0, Total: 3, Text: "one\x1b[2J"}, observe.Progress{Stage: "plan", Text: "reading"},
		observe.Waiting{ID: "a.b", What: "not yet", Until: time.Date(2026, 11, 22, 6, 0, 0, 0, time.Local)}, observe.Warning{Text: "careful"}, checks().Results[0],
	} {
		p.Observe(e)
	}
	safe(t, b.Bytes(), false)
	want := "[1/3] check: one\\u001b[2J\nplan: reading\nwaiting until 06:00:00: a.b: not yet\nwarning: careful\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

// TestProgressPace: of quick reads the first is told, of slow ones every one, of writes all, and nothing once the stage is settled.
func TestProgressPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		p := NewProgress(&b, Style{})
		for _, text := range []string{"a", "b", "c"} {
			p.Observe(observe.Progress{Stage: "check", Text: text})
		}
		time.Sleep(2 * pace) // c takes long
		p.Observe(observe.Progress{Stage: "check", Text: "d"})
		p.Observe(observe.Progress{Stage: "check", Text: "e"})
		p.Settle()
		time.Sleep(2 * pace)
		p.Observe(observe.Progress{Stage: "apply", Text: "f"})
		p.Observe(observe.Progress{Stage: "apply", Text: "g"})
		p.Observe(observe.Progress{Stage: "test", Text: "h"})
		p.Settle()
		time.Sleep(2 * pace)
		if diff := cmp.Diff("check: a\ncheck: c\ncheck: d\napply: f\napply: g\ntest: h\n", b.String()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestValue(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Microsoft Exchange Server Auth Certificate"}, NotAfter: time.Date(2030, 11, 22, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate := base64.StdEncoding.EncodeToString(der)
	shown := fmt.Sprintf(`(certificate "CN=Microsoft Exchange Server Auth Certificate", thumbprint %X, until 2030-11-22)`, sha1.Sum(der))
	long := strings.Repeat("ab ", 200)
	for _, test := range []struct {
		in   any
		want string
	}{
		{nil, "(nothing)"},
		{"", `""`},
		{"https://a.example/" + strings.Repeat("x", 200), `"https://a.example/` + strings.Repeat("x", 200) + `"`},
		{certificate, shown},
		{strings.Repeat("A", 120), `"AAAAAAAAAAAA" (the beginning of 120 characters)`},
		{long, `"` + long[:longest] + `" (the beginning of 600 bytes)`},
		{[]string{"a", "b"}, `["a", "b"]`},
		{[]any{map[string]any{"key": certificate, "id": "x"}}, `[{id: "x", key: ` + shown + `}]`},
		{change.Ref{Change: "entra/Application/App-1f3a7c52-9b1e-4c37-8a54-2d6e0f9b1c01", Property: "appId"}, "(the appId of Application/App-1f3a7c52.., once it is made)"},
		{change.Ref{Change: "onprem/contoso/AuthServer/evosts", Property: "Identity"}, "(the Identity of AuthServer/evosts, once it is made)"},
		{true, "true"}, {int64(5), "5"},
	} {
		if diff := cmp.Diff(test.want, Value(test.in)); diff != "" {
			t.Errorf("%v: %s", test.in, diff)
		}
	}
}

func TestJSON(t *testing.T) {
	var b bytes.Buffer
	if err := JSON(&b, checks()); err != nil {
		t.Fatal(err)
	}
	safe(t, b.Bytes(), false)
	golden(t, "check.json", b.Bytes())
	var back check.Report
	if err := json.Unmarshal(b.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if back.Results[1].Summary.String() != checks().Results[1].Summary.String() || !strings.Contains(back.Results[2].Summary.String(), "\u009b2J") {
		t.Errorf("escapes changed the text: %q", back.Results[2].Summary)
	}
}

func TestLines(t *testing.T) {
	var b bytes.Buffer
	l := &Lines{w: &b, now: func() time.Time { return time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC) }}
	l.begin("1.2.3")
	for _, r := range checks().Results {
		l.Observe(r)
	}
	l.Observe(observe.Warning{Text: "a\nb"})
	if err := l.Finish(checks()); err != nil {
		t.Fatal(err)
	}
	safe(t, b.Bytes(), false)
	golden(t, "check.jsonl", b.Bytes())
	for text := range strings.SplitSeq(strings.TrimSpace(b.String()), "\n") {
		if !json.Valid([]byte(text)) {
			t.Errorf("no JSON: %s", text)
		}
	}
	full := NewLines(failing{}, "x")
	full.Observe(observe.Warning{})
	if full.Finish(nil) == nil {
		t.Error("a stream that could not be written ends well")
	}
	broken := &once{}
	short := NewLines(broken, "x")
	short.Observe(observe.Warning{})
	if err := short.Finish(checks()); !errors.Is(err, io.ErrShortWrite) || broken.writes != 1 {
		t.Errorf("after a line that was cut: %v, %d writes", err, broken.writes)
	}
}

// once fails at the first write and takes the others: a line after one that was cut would be glued to it.
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
	for name, write := range map[string]func(io.Writer) error{
		"check.xml":  func(w io.Writer) error { return JUnitChecks(w, checks()) },
		"apply.xml":  func(w io.Writer) error { return JUnitApply(w, applied()) },
		"matrix.xml": func(w io.Writer) error { return JUnitLookups(w, matrix()) },
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		safe(t, b.Bytes(), false)
		golden(t, name, b.Bytes())
		var back junitSuites
		if err := xml.Unmarshal(b.Bytes(), &back); err != nil {
			t.Errorf("%s: %v", name, err)
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
		if got := Sanitize(in); got != want {
			t.Errorf("Sanitize(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add("it said \x1b]0;owned\x07", 40)
	f.Add(strings.Repeat("漢", 300)+" x\n\n y", 1)
	f.Add("\xff\xfe\u202e", 80)
	f.Fuzz(func(t *testing.T, text string, width int) {
		var b bytes.Buffer
		x := NewText(&b, Style{Width: width % 500})
		x.Check(check.Result{ID: check.ID(text), Status: check.StatusFail, Scope: text, Summary: msg.Plain(text), Detail: msg.Plain(text), Remedy: check.Remedy{Text: msg.Plain(text), Commands: []string{text}, Docs: text}})
		x.Change(change.Change{ID: text, Name: text, Action: change.Update, Reason: msg.Plain(text), Before: change.Properties{text: text}, After: change.Properties{text: []string{text, "x"}}})
		x.Matrix([]Lookup{{From: text, To: text, Direction: text, Probe: text, Status: text, Error: text, Route: []string{text}, Causes: []Cause{{ID: text}}}})
		safe(t, b.Bytes(), false)
	})
}

// A server can say any amount: nobody reads further than the first pages of it.
func TestTextIsBounded(t *testing.T) {
	var b bytes.Buffer
	NewText(&b, Style{ASCII: true}).Check(check.Result{ID: "a.b", Scope: "x", Status: check.StatusFail, Summary: msg.Plain(strings.Repeat("word ", 200_000))})
	if b.Len() > 20<<10 || !strings.Contains(b.String(), "bytes more)") {
		t.Errorf("%d bytes: %.200s", b.Len(), b.String())
	}
}

// What was cut off is told, also when later writes succeed.
func TestTextKeepsTheFirstError(t *testing.T) {
	w := &once{}
	text := NewText(w, Style{ASCII: true})
	text.Checks(checks())
	if !errors.Is(text.Err(), io.ErrShortWrite) || w.writes != 1 {
		t.Errorf("%v after %d writes", text.Err(), w.writes)
	}
}

// A property that goes away is shown as going, on a line of its own.
func TestPropertyThatGoes(t *testing.T) {
	var b bytes.Buffer
	NewText(&b, Style{ASCII: true}).Change(change.Change{
		ID: "online/Thing/a", Action: change.Update, Before: change.Properties{"Proxy": "http://old", "Same": "x"}, After: change.Properties{"Same": "x"},
	})
	if text := b.String(); !strings.Contains(text, "- Proxy  \"http://old\"") && !strings.Contains(text, "- Proxy  http://old") || strings.Contains(text, "Same") {
		t.Error(text)
	}
}
