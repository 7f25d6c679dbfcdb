package report_test

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

// In a pipeline, the output of a job is searched for commands. A server's text is none, in any
// format, wherever a line is broken.
func TestServerTextIsNoPipelineCommand(t *testing.T) {
	commands := regexp.MustCompile(`(?m)##[A-Za-z]*\[|^[\s\p{Z}]*::[A-Za-z-]+(?:\s[^\n]*?)?::`)
	attacks := []string{
		"##vso[task.setvariable variable=PATH]/tmp/evil", "a relationship ##vso[task.complete result=Succeeded;]done",
		"##[error]forged", "##teamcity[buildStatus text='ok']", "::add-mask::relationship",
		"::set-output name=x::y", "a\n  ::error file=a,line=1::forged", "###vso[task.x]y",
		strings.Repeat("word ", 30) + "::stop-commands::token " + strings.Repeat("word ", 30) + "::warning::w",
		// The runner drops all blanks at the start of a line, not those of ASCII alone.
		"\u00a0::add-mask::relationship", "a\n\u3000::add-mask::relationship",
		// No blank is before these. The line breaks there nevertheless.
		strings.Repeat("\u4e2d::add-mask::x", 30), longWords("::add-mask::x", 120),
	}
	for _, attack := range attacks {
		said := msg.Plain(attack)
		view := report.View{Title: said, Blocks: []report.Block{
			report.Finding{ID: attack, Status: report.Fail, Place: attack, Summary: said,
				Details: []report.Block{report.Paragraph{Label: said, Text: said}}},
			report.Paragraph{Text: said}, report.Source{Text: attack}, report.Command{Lines: []string{attack}},
			report.Table{Columns: []msg.Text{said}, Rows: [][]msg.Text{{said}}},
			report.Diff{Changes: []report.Change{{Action: "create", ID: attack, Name: attack,
				Properties: []report.Property{{Name: attack, Sign: report.Added, After: said}}}}},
		}, Summary: report.Summary{Lead: said}}
		document := shown{view}
		for _, format := range []string{"text", "json", "jsonl", "junit", "markdown", "openmetrics"} {
			out := written(t, format, report.Options{Style: report.Style{Width: 60}}, document)
			if found := commands.Find(out); found != nil {
				t.Errorf("%s: %q gets through: %q", format, attack, found)
			}
		}
		// In JSON the text stays what it is.
		var out bytes.Buffer
		if err := report.JSON(&out, map[string]string{"name": attack}); err != nil {
			t.Fatal(err)
		}
		var back map[string]string
		if err := json.Unmarshal(out.Bytes(), &back); err != nil || back["name"] != attack {
			t.Errorf("%q is %q, %v", attack, back["name"], err)
		}
		if commands.Match(out.Bytes()) {
			t.Errorf("JSON: %s", out.Bytes())
		}
	}
	for _, plain := range []string{"[Type]::Method", "fe80::1", "::1", "## a heading", "# 1 ## 2", "a :: b", "C#[x]"} {
		if got := report.Sanitize(plain); got != plain {
			t.Errorf("%q became %q", plain, got)
		}
	}
}

// longWords are words that are wider than a line, each with a command at another column.
func longWords(command string, widest int) string {
	var words []string
	for n := range widest {
		words = append(words, strings.Repeat("x", n)+command+strings.Repeat("y", widest))
	}
	return strings.Join(words, " ")
}
