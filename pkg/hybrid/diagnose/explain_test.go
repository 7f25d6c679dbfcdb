package diagnose

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
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

// TestOrdinary: ordinary sentences, success outputs and unrelated stack traces find nothing.
func TestOrdinary(t *testing.T) {
	data, err := os.ReadFile("testdata/ordinary.txt")
	if err != nil {
		t.Fatal(err)
	}
	texts := strings.Split(strings.TrimSpace(string(data)), "\n---\n")
	if len(texts) < 200 {
		t.Errorf("%d texts, want 200", len(texts))
	}
	for _, text := range texts {
		if e := Explain(text, false); len(e.Diagnoses) > 0 {
			t.Errorf("%q finds %s %v", text, e.Diagnoses[0].ID, e.Diagnoses[0].Found)
		}
	}
}

// TestExplainIsFast: the first text includes the time to read the table.
func TestExplainIsFast(t *testing.T) {
	log := strings.Repeat("2024.01.31 20:44:19.769 *ERROR* 10277 [Client=UX, Thread=10] nothing that the table knows\n",
		2000)
	for name, text := range map[string]string{
		"short": "Missing signing certificate", "a log of 170 kB": log + "HCW8064",
	} {
		begin := time.Now()
		if found := Suspects(text); len(found) == 0 {
			t.Errorf("%s: nothing", name)
		}
		took := time.Since(begin)
		t.Logf("%s: %s", name, took)
		if took > time.Second { // 100 ms on a computer that does nothing else
			t.Errorf("%s: %s", name, took)
		}
	}
}
