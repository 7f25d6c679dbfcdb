package hcw

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"
	"unicode/utf16"
)

func file(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func read(t *testing.T, text string) Run {
	t.Helper()
	run, err := Read(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// The published excerpt of 2024 (HL-3): its code stopped the wizard, the wrapper did not.
func TestPublishedExcerptOf2024(t *testing.T) {
	run := read(t, file(t, "hl3.log"))
	if run.Outcome != Failed || run.Started != "2024-01-31 20:38:59" || run.Ended != "2024-01-31 20:44:19" {
		t.Errorf("%+v", run)
	}
	var stopped []string
	for _, f := range run.Failures {
		if f.Stopped {
			stopped = append(stopped, f.Code)
		}
	}
	if !reflect.DeepEqual(stopped, []string{"HCW8001"}) || len(run.Failures) != 6 {
		t.Errorf("%v of %+v", stopped, run.Failures)
	}
}

// The published excerpt of 2017 (HL-4), with the digit that is missing in its first line.
func TestPublishedExcerptOf2017(t *testing.T) {
	run := read(t, file(t, "hl4.log"))
	if len(run.Commands) != 1 || len(run.Failures) != 2 || run.Outcome != Unfinished {
		t.Fatalf("%+v", run)
	}
	c := run.Commands[0]
	if !c.Failed || c.Unfinished || c.DurationMS != 6140 || c.Side != OnPremises ||
		!strings.HasPrefix(c.Result, "PowerShell failed to invoke 'Set-Fed") {
		t.Errorf("%+v", c)
	}
	want := map[string]any{"AccountNamespace": "contoso.com", "Enabled": true, "DefaultDomain": nil,
		"DelegationFederationTrust": "Microsoft Federation Gateway"}
	if !reflect.DeepEqual(c.command.Parameters, want) {
		t.Errorf("%v", c.command.Parameters)
	}
	if !run.Failures[1].Stopped {
		t.Errorf("%+v", run.Failures)
	}
}

// Equals False is an overwritten property only where the cmdlet that writes it succeeded.
func TestOverwritten(t *testing.T) {
	run := read(t, file(t, "overwrites.log"))
	send, receive := "Outbound to Office 365 - 177cd94d-0000-4000-8000-000000000001", `EX1\Default Frontend EX1`
	want := []Overwritten{
		{At: "2026-03-04 09:00:04", Side: OnPremises, Kind: "SendConnector", Object: send, Property: "Fqdn",
			Was: "smtp.contoso.com", Wrote: "mail.contoso.com"},
		{At: "2026-03-04 09:00:04", Side: OnPremises, Kind: "SendConnector", Object: send, Property: "RequireTLS",
			Was: "False", Wrote: "True"},
		{At: "2026-03-04 09:00:04", Side: OnPremises, Kind: "SendConnector", Object: send, Property: "ErrorPolicies",
			Wrote: "Default"},
		{At: "2026-03-04 09:00:06", Side: OnPremises, Kind: "ReceiveConnector", Object: receive,
			Property: "AuthMechanism", Was: "Tls, Integrated",
			Wrote: "Tls, Integrated, BasicAuth, BasicAuthRequireTLS, ExchangeServer"},
	}
	if !reflect.DeepEqual(run.Overwritten, want) {
		t.Errorf("%+v", run.Overwritten)
	}
	if run.Version != "17.2.6.0" || run.Outcome != Succeeded || run.Reads != 1 || len(run.Commands) != 4 ||
		run.Differing != 1 || run.UnreadRows != 0 || run.Cut != 0 {
		t.Errorf("%+v", run)
	}
	if last := run.Commands[3]; !last.Unfinished || last.Side != Tenant || strings.Contains(last.Command, "admin") ||
		!strings.Contains(last.Command, "-Credentials [not shown] -ExchangeRemoteMove: $true") {
		t.Errorf("%+v", last)
	}
}

// Windows PowerShell, Notepad and mail programs write a log in other encodings and line ends.
func TestEncodings(t *testing.T) {
	text := strings.ReplaceAll(file(t, "overwrites.log"), "smtp.contoso.com", "smtp-grüße-𝄞.contoso.com")
	want := read(t, text)
	wide := func(order binary.AppendByteOrder, mark bool) string {
		var b []byte
		if mark {
			b = order.AppendUint16(b, 0xfeff)
		}
		for _, u := range utf16.Encode([]rune(text)) {
			b = order.AppendUint16(b, u)
		}
		return string(b)
	}
	for name, in := range map[string]string{
		"UTF-8 with a mark":     "\xef\xbb\xbf" + text,
		"UTF-16":                wide(binary.LittleEndian, true),
		"UTF-16, big":           wide(binary.BigEndian, true),
		"UTF-16 without a mark": wide(binary.LittleEndian, false),
		"big without a mark":    wide(binary.BigEndian, false),
		"CRLF":                  strings.ReplaceAll(text, "\n", "\r\n"),
		"half a character more": wide(binary.LittleEndian, true) + "\x00",
	} {
		if got := read(t, in); !reflect.DeepEqual(got.Overwritten, want.Overwritten) || got.Outcome != want.Outcome {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if want.Overwritten[0].Was != "smtp-grüße-𝄞.contoso.com" {
		t.Errorf("%q", want.Overwritten[0].Was)
	}
}

// A log that is cut anywhere gives what stands before the cut, and says less, never something else.
func TestCutOff(t *testing.T) {
	text := file(t, "overwrites.log")
	whole := read(t, text)
	for at := 60; at < len(text); at += 7 {
		run, err := Read(strings.NewReader(text[:at]))
		if err != nil {
			t.Fatalf("at %d: %v", at, err)
		}
		if len(run.Overwritten) > len(whole.Overwritten) ||
			!reflect.DeepEqual(run.Overwritten, append([]Overwritten(nil), whole.Overwritten[:len(run.Overwritten)]...)) {
			t.Fatalf("at %d: %+v", at, run.Overwritten)
		}
	}
}

// endless is a log of one line that never ends.
type endless struct{ left int }

func (e *endless) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	n := min(len(p), e.left)
	for i := range p[:n] {
		p[i] = 'x'
	}
	e.left -= n
	return n, nil
}

// A huge line is read in parts, and only its beginning is kept.
func TestHugeLine(t *testing.T) {
	log := file(t, "overwrites.log")
	run, err := Read(io.MultiReader(strings.NewReader(log), &endless{64 << 20}, strings.NewReader("\n"+file(t, "hl3.log"))))
	if err != nil || run.Cut != 1 || len(run.Overwritten) != 4 || run.Outcome != Failed {
		t.Errorf("%v, %+v", err, run)
	}
}

func TestForeign(t *testing.T) {
	for _, text := range []string{"", "hello\nworld", "\xff\xfe", "<html><body>no</body></html>", "\x00\x01\x02",
		"2024-01-31 20:44:19 something else", "PK\x03\x04"} {
		if _, err := Read(strings.NewReader(text)); !errors.Is(err, ErrForeign) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// A .xhcw file has no root, and its parts may be attributes or elements.
func TestXHCW(t *testing.T) {
	const text = `<?xml version="1.0" encoding="utf-16"?>
<invoke start="2026-03-04T09:00:01" duration="250" type="OnPremisesSession" cmdlet="Get-SendConnector"><!-- Get-SendConnector --><object><Name>x</Name></object></invoke>
<invoke start="2026-03-04T09:00:04" duration="500" type="OnPremisesSession" cmdlet="Set-SendConnector"><!-- Set-SendConnector -Fqdn 'mail.contoso.com' -Identity 'O''Brien' --></invoke>
<invoke><start>2026-03-04T09:00:05</start><type>TenantSession</type><cmdlet>New-InboundConnector</cmdlet><!-- New-InboundConnector -Name 'Inbound' --><error>it exists</error></invoke>
<invoke start="2026-03-04T09:00:06" type="TenantSession" cmdlet="Set-Outb`
	run := read(t, text)
	if run.Reads != 1 || len(run.Commands) != 2 || run.Cut != 1 || run.Started != "2026-03-04T09:00:01" {
		t.Fatalf("%+v", run)
	}
	if c := run.Commands[0]; c.Side != OnPremises || c.command.Identity() != "O'Brien" || c.Failed {
		t.Errorf("%+v", c)
	}
	if c := run.Commands[1]; c.Side != Tenant || !c.Failed || c.Result != "it exists" || c.At != "2026-03-04T09:00:05" {
		t.Errorf("%+v", c)
	}
}

func TestParseCommand(t *testing.T) {
	for text, want := range map[string]map[string]any{
		`Set-X`:                                  {},
		`Set-X -A 'it''s' -B "two words"`:        {"A": "it's", "B": "two words"},
		`Set-X -A: $true -B:$false -C`:           {"A": true, "B": false, "C": true},
		`Set-X -A $null -B 'a','b' -C 'a', 'b'`:  {"A": nil, "B": []string{"a", "b"}, "C": []string{"a", "b"}},
		`Set-X -A (Get-Y -B 'c d') -E f`:         {"E": "f"},
		`Set-X -A @{Add='x'} -E 5`:               {"E": "5"},
		`Set-X -A $variable -E -1`:               {"E": "-1"},
		`Set-X -A 'never ends`:                   {},
		`Set-X -Fqdn mail.contoso.com -Force -Y`: {"Fqdn": "mail.contoso.com", "Force": true, "Y": true},
	} {
		c, ok := ParseCommand(text)
		if !ok || c.Name != "Set-X" {
			t.Errorf("%q: %v", text, ok)
			continue
		}
		if !reflect.DeepEqual(c.Parameters, want) {
			t.Errorf("%q: %v, want %v", text, c.Parameters, want)
		}
	}
	for _, text := range []string{"", "hello", "no-dash;here", "- -", "Results=1-2"} {
		if c, ok := ParseCommand(text); ok {
			t.Errorf("%q: %+v", text, c)
		}
	}
}

// What a log holds of secrets is in no document.
func TestSecretsOfLogs(t *testing.T) {
	const secret = "PlantedSecret123"
	text := `2026.03.04 09:00:00.000 *ERROR* 10333 [Client=UX, fn=SendAsync, Thread=1] Authorization: Bearer ` + secret + `.` + secret + `
2026.03.04 09:00:01.000 *ERROR* 10333 [Client=UX, Thread=1] token eyJ` + secret + `.` + secret + `.` + secret + ` refused
2026.03.04 09:00:02.000         10276 [Client=UX, Session=Tenant, Cmdlet=New-X, Thread=1] START New-X -Password '` + secret + `' -ClientSecret: '` + secret + `''x' -FileData ` + secret + ` -AccessToken "` + secret + `" -Name 'a'
2026.03.04 09:00:03.000         10277 [Client=UX, Session=Tenant, Cmdlet=New-X, Thread=1] FINISH Time=1ms Results=failed to invoke with -Credential (` + secret + `)
`
	out, err := json.Marshal(Join(map[string]Run{"a.log": read(t, text)}))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(out, []byte(secret)) || !bytes.Contains(out, []byte("-Name 'a'")) {
		t.Errorf("%s", out)
	}
}

func TestJoin(t *testing.T) {
	log, x := read(t, file(t, "overwrites.log")), Run{Started: "2026", Reads: 7}
	l := Join(map[string]Run{"d/20260304_090000.xhcw": x, "d/20260304_090000.log": log,
		"d/20240131.log": read(t, file(t, "hl3.log"))})
	if len(l.Runs) != 2 || l.Runs[0].Outcome != Failed || len(l.Runs[1].Files) != 2 || len(l.Runs[1].Overwritten) != 4 {
		t.Errorf("%+v", l)
	}
}

func FuzzRead(f *testing.F) {
	for _, name := range []string{"hl3.log", "hl4.log", "overwrites.log"} {
		data, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("<invoke cmdlet='Set-X' type='Tenant'><!-- Set-X -A 'b' --></invoke>"))
	f.Add([]byte("\xff\xfe2\x000\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		run, err := Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		out, err := json.Marshal(Join(map[string]Run{"a.log": run}))
		if err != nil {
			t.Fatal(err)
		}
		if i := bytes.IndexFunc(out, func(r rune) bool { return r < ' ' || r == 0x7f }); i >= 0 {
			t.Fatalf("a control character in %q", out)
		}
		for _, o := range run.Overwritten {
			if o.Object == "" && o.Kind == "" || o.Property == "" {
				t.Fatalf("%+v", o)
			}
		}
	})
}

// The end of a cmdlet is that of the newest of its name; a failure is one also in a line that is no
// error; and a table is of one command alone.
func TestCommandsOfOneName(t *testing.T) {
	line := func(second, text string) string {
		return "2026.03.04 09:00:" + second + ".000         10276 [Client=UX, Session=OnPremises, " +
			"Cmdlet=Set-SendConnector, Thread=1] " + text + "\n"
	}
	run := read(t, "2026.03.04 09:00:00.000         10300 [Client=UX, Workflow=Hybrid, Task=MailFlow, Thread=1] Send Connector\n"+
		"  Property  Actual            Equals\n  Fqdn      smtp.contoso.com  False\n"+
		line("01", "START Set-SendConnector -Identity 'a' -Fqdn 'x.contoso.com'")+
		line("02", "START Set-SendConnector -Identity 'b' -Fqdn 'y.contoso.com'")+
		line("03", "FINISH Time=1ms Results=0 items returned")+
		line("04", "FINISH Time=1ms Results=0 items returned")+
		line("05", "START Set-SendConnector -Identity 'c' -Fqdn 'z.contoso.com'")+
		line("06", "FINISH Time=1ms Results=PowerShell failed to invoke 'Set-SendConnector': no")+
		line("07", "START Set-SendConnector -Identity 'd' -Fqdn 'z.contoso.com'")+
		line("08", "START Set-SendConnector -Identity 'e' -Fqdn 'z.contoso.com'")+
		line("09", "FINISH Time=1ms Results=0 items returned"))
	var unfinished, failed []string
	for _, c := range run.Commands {
		if c.Unfinished {
			unfinished = append(unfinished, c.command.Identity())
		}
		if c.Failed {
			failed = append(failed, c.command.Identity())
		}
	}
	if !reflect.DeepEqual(unfinished, []string{"d"}) || !reflect.DeepEqual(failed, []string{"c"}) {
		t.Errorf("unfinished %v, failed %v", unfinished, failed)
	}
	if len(run.Overwritten) != 1 || run.Overwritten[0].Object != "a" {
		t.Errorf("%+v", run.Overwritten)
	}
}

// The code that says that something else stopped the wizard did not stop it, also where it comes
// first.
func TestWrapperDidNotStopTheWizard(t *testing.T) {
	run := read(t, `2026.03.04 09:00:00.000         10268 [Client=UX, Workflow=Hybrid, Thread=1] START
2026.03.04 09:00:01.000 *ERROR* 10241 [Client=UX, Page=Configuring, Thread=1] HCW8092 the workflow failed
2026.03.04 09:00:02.000 *ERROR* 10241 [Client=UX, Page=Configuring, Thread=1] HCW8001 the connector is there twice
2026.03.04 09:00:03.000 *ERROR* 10268 [Client=UX, Workflow=Hybrid, Thread=1] FINISH Time=1ms Results=FAILED
`)
	for _, f := range run.Failures {
		if f.Stopped != (f.Code == "HCW8001") {
			t.Errorf("%+v", f)
		}
	}
}
