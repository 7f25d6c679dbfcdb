package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/diagnose"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/prereq"
)

// explained runs hybridge explain.
func explained(t *testing.T, in string, tty bool, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = runIn(t.Context(), append([]string{"explain"}, args...),
		streams{In: strings.NewReader(in), InTTY: tty, Out: &o, Err: &e, Env: func(string) string { return "" }}, nil)
	return code, o.String(), e.String()
}

func TestExplainReadsEverySource(t *testing.T) {
	const text = "550 5.7.64 TenantAttribution; Relay Access Denied [ATTR36]"
	const id = "mail.attribution-domain"
	dir := t.TempDir()
	plain := filepath.Join(dir, "ndr.txt")
	wide := filepath.Join(dir, "powershell.log") // UTF-16, as Windows PowerShell redirects
	utf16 := []byte{0xff, 0xfe}
	for _, r := range text {
		utf16 = append(utf16, byte(r), 0)
	}
	for name, data := range map[string][]byte{plain: []byte(text), wide: utf16} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name, in string
		tty      bool
		args     []string
	}{
		{"an argument", "", true, []string{text}},
		{"several arguments", "", true, strings.Fields(text)},
		{"a file", "", true, []string{plain}},
		{"a file of Windows PowerShell", "", true, []string{wide}},
		{"standard input", text, false, nil},
		{"-", text, false, []string{"-"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, out, errs := explained(t, c.in, c.tty, append(c.args, "-o", "json")...)
			var e diagnose.Explanation
			if err := json.Unmarshal([]byte(out), &e); code != 0 || errs != "" || err != nil {
				t.Fatalf("exit %d, %v: %s", code, err, errs)
			}
			if e.Kind != "Explanation" || len(e.Diagnoses) == 0 || e.Diagnoses[0].ID != id {
				t.Errorf("%s", out)
			}
		})
	}
}

func TestExplainKnowsNothing(t *testing.T) {
	code, out, _ := explained(t, "", true, "The weather is fine.", "-o", "json")
	if code != 0 || !strings.Contains(out, `"diagnoses": []`) {
		t.Errorf("exit %d: %s", code, out)
	}
	code, out, errs := explained(t, "", true, "The weather is fine.")
	if code != 0 || out != "Nothing is known about this text.\n" ||
		!strings.Contains(errs, "next: give the whole text") {
		t.Errorf("exit %d: %q, %q", code, out, errs)
	}
	log := filepath.Join("..", "..", "pkg", "hybrid", "hcw", "testdata", "overwrites.log")
	if _, _, errs = explained(t, "", true, log); !strings.Contains(errs,
		"next: what Microsoft's wizard did is in: hybridge collect --hcw-log ") {
		t.Errorf("a log of the wizard: %q", errs)
	}
	if code, _, errs = explained(t, "The weather is fine.", false); code != 0 ||
		!strings.Contains(errs, "the whole text") {
		t.Errorf("standard input: exit %d, %q", code, errs)
	}
	for _, args := range [][]string{nil, {"gone.log"}, {"--headers", "no headers here"}} {
		if code, out, errs := explained(t, "", true, args...); code != exitUsage || out != "" || errs == "" {
			t.Errorf("%v: exit %d, %q, %q", args, code, out, errs)
		}
	}
}

// TestDiagnosesNameWhatExists: checks and kinds in the table are those of the product, and ids are
// not those of checks.
func TestDiagnosesNameWhatExists(t *testing.T) {
	var checks, kinds []string
	for _, c := range prereq.Checks() {
		checks = append(checks, string(c.ID))
	}
	for _, k := range desired.Kinds() {
		kinds = append(kinds, k.Noun)
	}
	for _, r := range diagnose.Rows() {
		if slices.Contains(checks, string(r.ID)) {
			t.Errorf("%s is a check", r.ID)
		}
		for _, id := range slices.Concat(r.Checks, r.Shows) {
			if !slices.Contains(checks, id) {
				t.Errorf("%s: there is no check %s", r.ID, id)
			}
		}
		if _, only, given := strings.Cut(r.Run, "--only "); given {
			for id := range strings.SplitSeq(only, ",") {
				if !slices.Contains(checks, id) {
					t.Errorf("%s: run: there is no check %s", r.ID, id)
				}
			}
		}
		for _, noun := range r.Plan {
			if !slices.Contains(kinds, noun) {
				t.Errorf("%s: there is no kind %s", r.ID, noun)
			}
		}
	}
}

// A file that cannot be read is named, in our words, and is a fault of the command line.
func TestFilesThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	gone := filepath.Join(dir, "gone.log")
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"explain", gone}, gone + ": there is no such file"},
		{[]string{"explain", dir}, dir + ": this is a directory; name a file in it"},
		{[]string{"report", "merge", gone}, gone + ": there is no such file"},
		{[]string{"report", "trend", gone}, gone + ": there is no such file"},
		{[]string{"report", "diff", gone, gone}, gone + ": there is no such file"},
	} {
		var out, errs bytes.Buffer
		code := runIn(t.Context(), c.args, streams{In: strings.NewReader(""), Out: &out, Err: &errs,
			Env: func(string) string { return "" }}, nil)
		if code != exitUsage || !strings.Contains(errs.String(), "error: "+c.says) || out.Len() > 0 {
			t.Errorf("%v: exit %d: %s%s", c.args, code, out.String(), errs.String())
		}
	}
}
