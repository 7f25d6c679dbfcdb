package check

import (
	"encoding/csv"
	"io"
	"regexp"
	"strings"
	"sync"
	"unicode"

	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

// Finding is one wrong value of one object: a finding of a check in the form that a spreadsheet or
// a program takes.
type Finding struct {
	Forest    string `json:"forest"`
	DN        string `json:"dn"`
	Attribute string `json:"attribute"`
	Value     string `json:"value"`
	Rule      ID     `json:"rule"`
	// Suggestion is the value that fits the rule; empty where a person decides.
	Suggestion string `json:"suggestion,omitempty"`
	// Remove says that the value should be removed.
	Remove bool `json:"remove,omitempty"`
}

// Findings returns the wrong values of all results.
func (r Report) Findings() []Finding {
	var out []Finding
	for _, result := range r.Results {
		if result.Status == StatusFail || result.Status == StatusWarn {
			out = append(out, result.Findings...)
		}
	}
	return out
}

// WriteCSV writes findings as a table. A spreadsheet takes none of its cells for a formula.
func WriteCSV(w io.Writer, findings []Finding) error {
	table := csv.NewWriter(w)
	table.UseCRLF = true
	rows := [][]string{{"forest", "dn", "attribute", "value", "rule", "suggestion"}}
	for _, f := range findings {
		suggestion := f.Suggestion
		if f.Remove {
			suggestion = "(remove)"
		}
		rows = append(rows, []string{cell(f.Forest), cell(f.DN), cell(f.Attribute), cell(f.Value), cell(string(f.Rule)),
			cell(suggestion)})
	}
	return table.WriteAll(rows)
}

// formula is what a spreadsheet takes for one: at the start of a cell. Where a comma is the decimal
// mark, a semicolon begins a cell too.
var formula = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile("(^|;)([ \u00a0\u3000]*[-=+@\uff1d\uff0b\uff0d\uff20])")
})

// cell puts an apostrophe in front of a formula. A line break would begin a row in programs that
// read CSV line by line, and other control characters act on a terminal.
func cell(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
	return formula().ReplaceAllString(s, "$1'$2")
}

// WriteJSONLines writes one finding per line.
func WriteJSONLines(w io.Writer, findings []Finding) error {
	for _, f := range findings {
		line, err := report.Compact(f)
		if err != nil {
			return err
		}
		if _, err := w.Write(line); err != nil {
			return err
		}
	}
	return nil
}
