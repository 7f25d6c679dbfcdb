package deployment

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/lab"
)

// fingerprints differ where names and keys do.
var fingerprints = regexp.MustCompile(`sha256:[0-9a-f]{64}|MII[A-Za-z0-9+/=]{100,}`)

// labNames are the names of the lab, where no base64 is.
var labNames = regexp.MustCompile(`(?i)contoso|fabrikam|alberti|(^|[^A-Za-z0-9+/])ex1([^A-Za-z0-9+/=]|$)`)

// sorted are the lines of a document, without what redaction changes in form: the sequence of names,
// and where a line breaks.
func sorted(text string) string {
	lines := strings.Split(fingerprints.ReplaceAllString(text, ""), "\n")
	for i, l := range lines {
		words := strings.FieldsFunc(strings.ToLower(l), func(c rune) bool { return strings.ContainsRune(` ,()"`, c) })
		slices.Sort(words) // names stand in another sequence
		lines[i] = strings.Join(words, " ")
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// example is a server that a message names for others: with other names, another one is the first.
var example = regexp.MustCompile(`\bex[29]\b`)

// A redacted snapshot gives the results of the other one, but for the names, and holds none of them.
func TestRedact(t *testing.T) {
	now := time.Now()
	every := os.Getenv("HYBRIDGE_TEST_EVERY") != ""
	faults := []string{""}
	but := map[string]string{"directory.blank-in-address": "a suggestion joins two words to one",
		"workmail.no-organization": "the token of a request is a hash of names"}
	for _, f := range lab.Faults() {
		if every && but[f.ID] == "" || slices.Contains([]string{"mail.port-closed", "directory.upn-differs", "tenant.wizard-failed", "workmail.mx-moved"}, f.ID) {
			faults = append(faults, f.ID)
		}
	}
	for _, fault := range faults {
		t.Run("fault "+fault, func(t *testing.T) {
			var planted []string
			if fault != "" {
				planted = append(planted, fault)
			}
			d := openAt(t, func() time.Time { return now }, planted...)
			s, err := d.Collect(t.Context(), &events{})
			if err != nil {
				t.Fatal(err)
			}
			redacted, names, err := Redact(s)
			if err != nil {
				t.Fatal(err)
			}
			file := redacted.Encode()
			if at := labNames.FindIndex(file); at != nil {
				t.Errorf("a name is in the redacted snapshot: %s", file[max(0, at[0]-100):min(len(file), at[1]+100)])
			}
			want, got := output(t, recalled(t, s)), output(t, recalled(t, redacted))
			for _, name := range []string{"check json", "plan json", "plan failed"} {
				live, back := sorted(want[name]), sorted(greeting.ReplaceAllString(names.Restore(got[name]),
					`"banner": "ex.`))
				if live != back && (fault == "servers.gone" || strings.HasPrefix(fault, "second.")) {
					live, back = example.ReplaceAllString(live, "ex1"), example.ReplaceAllString(back, "ex1")
				}
				if diff := cmp.Diff(live, back); diff != "" {
					t.Errorf("%s:\n%s", name, diff)
				}
			}
		})
	}
}
