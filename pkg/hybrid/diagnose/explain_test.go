package diagnose

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

type source struct {
	reference, text string
	id              ID
}

func sources(t *testing.T) []source {
	t.Helper()
	data, err := os.ReadFile("testdata/sources.txt")
	if err != nil {
		t.Fatal(err)
	}
	var out []source
	for line := range strings.Lines(string(data)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		parts := strings.SplitN(strings.TrimSpace(line), " | ", 3)
		if len(parts) != 3 {
			t.Fatalf("%q", line)
		}
		out = append(out, source{parts[0], parts[2], ID(parts[1])})
	}
	return out
}

// TestSources: each text of the sources finds its row first, and each row of the sources is there.
func TestSources(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range sources(t) {
		seen[s.reference] = true
		if _, ok := Find(s.id); !ok {
			t.Errorf("%s: there is no %s", s.reference, s.id)
			continue
		}
		if s.text == "-" {
			continue
		}
		found := Suspects(s.text)
		if len(found) == 0 {
			t.Errorf("%s: nothing for %q, want %s", s.reference, s.text, s.id)
		} else if found[0].ID != s.id {
			t.Errorf("%s: %q finds %s %v %.2f, want %s", s.reference, s.text, found[0].ID, found[0].Found,
				found[0].Confidence, s.id)
		}
	}
	for prefix, n := range map[string]int{"FB%02d": 55, "G%d": 47, "N%d": 19, "M%d": 19, "T%d": 44, "O%d": 8} {
		for i := range n {
			if reference := fmt.Sprintf(prefix, i+1); !seen[reference] {
				t.Errorf("%s is missing", reference)
			}
		}
	}
}

// TestOrdinary: ordinary sentences, success outputs, unrelated stack traces and the errors of other
// products, of mail, calendars, directories and sign-ins among them, find nothing, each one once.
func TestOrdinary(t *testing.T) {
	seen := map[string]bool{}
	for _, name := range []string{"ordinary.txt", "other-products.txt"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		for text := range strings.SplitSeq(strings.TrimSpace(string(data)), "\n---\n") {
			if key := plain(text); seen[key] {
				t.Errorf("%q is there twice", text)
			} else {
				seen[key] = true
			}
			if e := Explain(text, false); len(e.Diagnoses) > 0 {
				t.Errorf("%q finds %s %v", text, e.Diagnoses[0].ID, e.Diagnoses[0].Found)
			}
		}
	}
	if len(seen) < 280 {
		t.Errorf("%d texts, want 280", len(seen))
	}
}

// A long text is bounded, and says so: what is at its end is found, what is in its middle is not.
func TestLongTexts(t *testing.T) {
	noise := strings.Repeat("q7Zx p0Lm 9vKd ", 200_000)
	for name, tt := range map[string]struct {
		text    string
		found   bool
		skipped bool
	}{
		"short":         {"Missing signing certificate", true, false},
		"at the end":    {noise + noise + "\nMissing signing certificate\n", true, true},
		"in the middle": {noise + "\nMissing signing certificate\n" + noise, false, true},
		"a log": {strings.Repeat("2024.01.31 20:44:19.769 *INFO* 10277 [Client=UX, Thread=10] fine\n", 60_000) +
			"2024.01.31 20:44:20.769 *ERROR* 10277 [Client=UX, Thread=10] HCW8064\n" +
			strings.Repeat("2024.01.31 20:44:21.769 *INFO* 10277 [Client=UX, Thread=10] fine\n", 60_000), true, false},
	} {
		e := Explain(tt.text, false)
		if len(e.Diagnoses) > 0 != tt.found || e.Skipped > 0 != tt.skipped {
			t.Errorf("%s: %d causes, %d bytes skipped", name, len(e.Diagnoses), e.Skipped)
		}
		shown := ""
		for _, b := range e.View().Blocks {
			if p, is := b.(report.Paragraph); is {
				shown += p.Text.String()
			}
		}
		if strings.Contains(shown, "The text is long") != tt.skipped {
			t.Errorf("%s: shown %q", name, shown)
		}
	}
}

// TestExplainIsFast compares with one expression over the same text.
func TestExplainIsFast(t *testing.T) {
	log := strings.Repeat("2024.01.31 20:44:19.769 *ERROR* 10277 [Client=UX, Thread=10] nothing that the table knows\n",
		2000)
	for name, text := range map[string]string{
		"short": "Missing signing certificate", "a log of 170 kB": log + "HCW8064",
	} {
		if found := Suspects(text); len(found) == 0 {
			t.Errorf("%s: nothing", name)
		}
	}
	// However busy the computer is: the whole table takes as long as a few expressions, and not as
	// long as its hundreds.
	expression := regexp.MustCompile(`(?i)missing signing certificate`)
	one, all := time.Hour, time.Hour
	for range 5 {
		begin := time.Now()
		expression.FindAllString(log, -1)
		one, begin = min(one, time.Since(begin)), time.Now()
		Explain(log+"HCW8064", false)
		all = min(all, time.Since(begin))
	}
	if t.Logf("a log: %s; one expression: %s", all, one); all > 40*one {
		t.Errorf("a log takes %s, and one regular expression %s", all, one)
	}
}

// Codes are found where they are, whatever stands around them.
func TestCodesIn(t *testing.T) {
	for text, want := range map[string]string{
		"error 5037": "5037", "fehlercode: 5037.": "5037", "das ist fehler nummer 5037": "5037", "erreur 5037": "5037",
		"kod błędu: 5037": "5037", "kod bledu 5037": "5037", "код ошибки 5037": "5037", "エラー コード: 5037": "5037",
		"错误代码：5037": "5037", "错误代码:5037": "5037", "오류 코드: 5037": "5037", "x-ms-diagnostics: 2000008": "2000008",
		"error error 5037": "5037", "error 50371": "", "error5037": "5037", "terror 5037x": "",
		"550 5.7.64 tenantattribution": "5.7.64", "550-5.7.64": "5.7.64", "#5.7.64": "5.7.64", "450 #4.7.26 x": "",
		"1550 5.7.64": "", "5.7.64": "", "version 15.7.64": "", "550 5.7.6": "", "550 5.7.6444": "",
		"5.7.1 and 550 5.7.64": "5.7.64",
	} {
		padded := strings.Repeat("nothing at all ", 4) + text
		var got []string
		for code := range codesIn(padded, plain(padded)) {
			got = append(got, code)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: %v, want %q", text, got, want)
		}
	}
}
