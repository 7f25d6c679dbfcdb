package diagnose

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// A text that was made to take long does not.
func TestExplainEnds(t *testing.T) {
	const size = 256 << 10
	fill := func(s string) string { return strings.Repeat(s, size/len(s)) }
	for name, text := range map[string]string{
		"a header that goes on":   "Received: from a by b\nX-MS-Exchange-A: b\n" + strings.Repeat(" x\n", 700_000),
		"headers":                 fill("Received: from a by b\n"),
		"beginnings of a pattern": fill("the remote server returned an error: "),
		"words of the field":      fill("exchangex xexchange autodiscover "),
		"codes":                   fill("error code: 1234 "),
		"blanks":                  "Received: from " + fill(" ") + "by",
		"lines of a trace":        fill("  at a.b(\n"),
		"blocks":                  "ResultType : Success\n\n" + fill("a\n\n"),
	} {
		began := time.Now()
		_ = Explain(text, true)
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("%s: %s", name, took)
		}
	}
}

// FuzzExplain reads what people paste: errors, logs, headers of messages.
func FuzzExplain(f *testing.F) {
	for _, s := range []string{"AADSTS700016: x", "Received: from a.b (1.2.3.4) by c.d with Microsoft SMTP Server id 1\n\tby x\nX-OriginatorOrg: a",
		"2024.01.31 20:44:19.769 *ERROR* 10241 [Client=UX] HCW8078 x", "550 5.7.64 TenantAttribution; Relay Access Denied", "\xff\xfea\x00",
		"ResultType : Success\n\nResultType : Error", "0x80338012", "-2144108453"} {
		f.Add(s, false)
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, text string, headers bool) {
		e := Explain(text, headers)
		if len(e.Diagnoses) > most+8 {
			t.Fatalf("%d causes", len(e.Diagnoses))
		}
		for _, d := range e.Diagnoses {
			if d.Confidence < 0 || d.Confidence > 1 || d.ID == "" {
				t.Fatalf("%+v", d)
			}
		}
		if _, err := json.Marshal(e); err != nil {
			t.Fatal(err)
		}
	})
}
