package report_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/mattn/go-runewidth"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/templates"
)

// translated are the files whose texts every catalogue has.
var translated = []string{"html.go", "lines.go", "markdown.go", "progress.go", "text.go", "view.go",
	"../check/view.go", "../check/diff.go", "../change/view.go", "../apply/view.go", "../apply/rollback.go",
	"../../hybrid/freebusy/view.go", "../../hybrid/freebusy/board.go", "../../hybrid/deployment/validation.go",
	"../../hybrid/diagnose/view.go", "../apply/drift.go", "../fleet/view.go", "../../hybrid/discover/discover.go"}

var words = regexp.MustCompile(`\pL{2}`)

// Every text of the blocks of documents is in every catalogue.
func TestDocumentsAreTranslated(t *testing.T) {
	catalogues := map[string]map[string]string{}
	for _, language := range msg.Languages()[1:] {
		texts, err := msg.Catalogue(templates.Language(language))
		if err != nil {
			t.Fatal(err)
		}
		catalogues[language] = texts
	}
	found := 0
	for _, name := range translated {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			s, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			var texts []ast.Expr
			switch s.Sel.Name {
			case "Of", "Key":
				texts = call.Args[:1]
			case "Plural", "Count":
				texts = call.Args[min(1, len(call.Args)):]
			}
			for _, e := range texts {
				key := literally(e)
				if !words.MatchString(regexp.MustCompile(`%[.\d]*[a-z]`).ReplaceAllString(key, "")) {
					continue
				}
				found++
				for language, texts := range catalogues {
					if texts[key] == "" {
						t.Errorf("%s: templates/languages/%s.po lacks %q", name, language, key)
					}
				}
			}
			return true
		})
	}
	if found < 150 {
		t.Errorf("only %d texts found: is this test looking?", found)
	}
}

// literally is a text that is written out, perhaps over several lines; "" for what is computed.
func literally(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, _ := strconv.Unquote(e.Value)
		return s
	case *ast.BinaryExpr:
		return literally(e.X) + literally(e.Y)
	}
	return ""
}

// Chinese has no spaces: a line ends between ideographs, and not before the punctuation that
// closes.
func TestChineseIsWrapped(t *testing.T) {
	text := msg.Plain("读取每个系统并指出尚未就绪的内容，不做任何更改。每条建议都注明来源（Active Directory），按空格可排除一条。")
	lines := report.Style{Width: 40}.Blocks(report.Paragraph{Text: text})
	for i, line := range lines {
		if w := runewidth.StringWidth(line); w > 40 || i < len(lines)-1 && w < 30 {
			t.Errorf("line %d is %d wide: %s", i+1, w, line)
		}
		if strings.IndexAny(strings.TrimSpace(line), "，。）") == 0 {
			t.Errorf("line %d begins with what closes the line before: %s", i+1, line)
		}
	}
	if got := strings.Join(lines, ""); strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(text.String(), " ", "") {
		t.Errorf("characters are lost: %s", got)
	}
	for _, whole := range []string{"https://autodiscover-s.outlook.com/autodiscover", "Exchange"} {
		lines := report.Style{Width: 60}.Blocks(report.Paragraph{Text: msg.Plain("请打开 " + whole)})
		if len(lines) != 1 || !strings.Contains(lines[0], whole) {
			t.Errorf("%q", lines)
		}
	}
}

// In another language, a report is in that language up to what servers and checks say; JSON and
// JUnit are as in English.
func TestReportsInLanguages(t *testing.T) {
	results := []check.Result{check.Pass("%d servers answer", 3), check.Unknown(errRoute)}
	for i := range results {
		results[i].ID, results[i].Scope = []check.ID{"directory.reachable", "tenant.domains"}[i], "contoso"
		results[i].Title = "Active Directory can be read"
	}
	r := check.Report{APIVersion: report.APIVersion, Kind: "CheckReport", Summary: check.Count(results),
		Results: results}
	for language, want := range map[string][]string{"it": {"Controlli:", "superati 1", "leggere Active Directory",
		`<html lang="it">`},
		"zh-Hans": {"检查：", "1 项通过", "可以读取 Active Directory", `<html lang="zh-Hans">`}} {
		o := report.Options{Style: report.Style{Width: 80, Language: msg.Printer(language)}}
		text := string(written(t, "text", o, r)) + string(written(t, "html", o, r))
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%s: %q is missing:\n%s", language, w, text)
			}
		}
		for _, format := range []string{"json", "junit"} {
			if got, english := written(t, format, o, r), written(t, format, report.Options{},
				r); string(got) != string(english) {
				t.Errorf("%s in %s:\n%s", format, language, got)
			}
		}
	}
}

// A locale of East Asia changes no width.
func TestWidthsInEastAsia(t *testing.T) {
	table := report.Table{Columns: []msg.Text{msg.Plain("a → b"), msg.Plain("c")},
		Rows: [][]msg.Text{{msg.Plain("x"), msg.Plain("y")}}}
	here := report.Style{Width: 80}.Blocks(table)
	runewidth.DefaultCondition.EastAsianWidth = !runewidth.DefaultCondition.EastAsianWidth
	t.Cleanup(func() {
		runewidth.DefaultCondition.EastAsianWidth = !runewidth.DefaultCondition.EastAsianWidth
	})
	if there := (report.Style{Width: 80}).Blocks(table); strings.Join(there, "\n") != strings.Join(here, "\n") {
		t.Errorf("%q, and %q", here, there)
	}
}
