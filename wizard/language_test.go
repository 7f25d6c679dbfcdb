package wizard

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/templates"
)

// languages are those with a catalogue.
func languages() []string {
	return slices.DeleteFunc(msg.Languages(), func(l string) bool { return l == msg.English })
}

func catalogue(t *testing.T, language string) map[string]string {
	t.Helper()
	texts, err := msg.Catalogue(templates.Language(language))
	if err != nil {
		t.Fatalf("%s: %v", language, err)
	}
	return texts
}

// texts are the arguments of calls that are texts for the person, by the name of the function.
var texts = map[string][]int{
	"words": {0}, "term": {0}, "tell": {0}, "Of": {0}, "Key": {0}, "count": {1, 2}, "Plural": {1, 2}, "on": {1},
	"forward": {0}, "row": {0},
}

// unspoken are functions whose texts are no sentences of the wizard: errors stay English, and names
// are no words.
var unspoken = []string{"New", "Errorf", "Into", "HasPrefix", "Contains", "Cut"}

// declared are the texts that are data: of the screens, the questions, the scenarios.
func declared() []string {
	var list []string
	for _, s := range screens() {
		a := s.about()
		list = append(list, a.step, a.does, a.help)
	}
	for _, s := range answers.Sections() {
		list = append(list, s.Title)
	}
	for _, s := range answers.Scenarios() {
		list = append(list, s.Title)
	}
	for _, q := range answers.Questions() {
		list = append(list, q.Label, q.Help, q.Why)
		if strings.Contains(q.Default, " ") {
			list = append(list, q.Default)
		}
	}
	list = append(list, "apply", "rollback", "complete", "partial", "unfinished", "unreadable", "create", "update",
		"delete", "replace", "EWS in Exchange Online", "Amazon WorkMail", "Domain", "Account", "nothing", "none",
		"[y/N]", "[Y/n]")
	return slices.DeleteFunc(list, func(s string) bool { return s == "" })
}

// constant is the value of a text that is written out, perhaps over several lines.
func constant(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(e.Value)
		return s, err == nil && e.Kind == token.STRING
	case *ast.BinaryExpr:
		x, left := constant(e.X)
		y, right := constant(e.Y)
		return x + y, e.Op == token.ADD && left && right
	}
	return "", false
}

var (
	sentence = regexp.MustCompile(`[A-Za-z,;.:]{2} +[a-z]{2}`)
	lettered = regexp.MustCompile(`[A-Za-z]{2}`)
	// verbs are the places of arguments.
	verbs = regexp.MustCompile(`%(\[\d+\])?[-+# 0]*\d*(\.\d+)?[a-zA-Z]`)
)

// spoken are the texts of the wizard, each with where it is.
func spoken(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, text := range declared() {
		all[strings.ReplaceAll(text, "%", "%%")] = "a declaration"
	}
	files, err := filepath.Glob(filepath.Join(here, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ImportSpec:
				return false
			case *ast.CallExpr:
				called := ""
				switch f := n.Fun.(type) {
				case *ast.Ident:
					called = f.Name
				case *ast.SelectorExpr:
					called = f.Sel.Name
				}
				for _, i := range texts[called] {
					if s, ok := constant(n.Args[min(i, len(n.Args)-1)]); ok {
						all[s] = set.Position(n.Pos()).String()
					}
				}
				return !slices.Contains(unspoken, called)
			case *ast.BinaryExpr, *ast.BasicLit:
				if s, ok := constant(n.(ast.Expr)); ok {
					if sentence.MatchString(s) {
						all[s] = set.Position(n.Pos()).String()
					}
					return false
				}
			}
			return true
		})
	}
	for text := range all {
		// What ends in a blank is the beginning of a command, or of a declared text.
		if !lettered.MatchString(verbs.ReplaceAllString(text, "")) || strings.HasSuffix(text, " ") {
			delete(all, text)
		}
	}
	if len(all) < 300 {
		t.Errorf("%d texts found: is this test looking?", len(all))
	}
	return all
}

// Every sentence of the wizard is in every catalogue.
func TestTheWizardIsTranslated(t *testing.T) {
	all := spoken(t)
	if path := os.Getenv("HYBRIDGE_TEXTS"); path != "" { // for translators
		var b strings.Builder
		for text := range all {
			b.WriteString("msgid " + strconv.Quote(text) + "\nmsgstr \"\"\n\n")
		}
		if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, language := range languages() {
		known := catalogue(t, language)
		for text, where := range all {
			if known[text] == "" {
				t.Errorf("%s: templates/languages/%s.po lacks %q", where, language, text)
			}
		}
	}
}

// A translation whose English text is gone is one that a person no longer sees.
func TestNoTranslationIsLeftOver(t *testing.T) {
	said := map[string]bool{", ": true}
	for _, text := range declared() {
		said[text] = true
	}
	for _, dir := range []string{"pkg", "wizard", "cmd"} {
		err := filepath.WalkDir(filepath.Join(here, "..", dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				e, ok := n.(ast.Expr)
				if !ok {
					return true
				}
				s, ok := constant(e)
				said[s] = said[s] || ok
				return !ok
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for key := range catalogue(t, "it") {
		text, _ := strings.CutSuffix(strings.ReplaceAll(key, "%%", "%"), ": as planned")
		// Made of a constant, and of the number of a stage.
		made := strings.Contains(key, "@{Add='smtp:") || strings.HasPrefix(key, "The way out of hybrid, stage ")
		if !said[key] && !said[text] && !made {
			t.Errorf("no code says %q", key)
		}
	}
}

// The whole way in plain lines in another language: a person agrees in that language, no sentence
// of the wizard is English, and no line is wider than the terminal.
func TestLinesInLanguages(t *testing.T) {
	for language, yes := range map[string]string{"it": "sì", "zh-Hans": "是"} {
		for _, width := range []int{40, 80} {
			t.Run(language+"-"+strconv.Itoa(width), func(t *testing.T) {
				out, err := linesOn(t, newTypist(t.Context().Done(), "", "", "", "", yes, "4", leaves), width, valid,
					newFake(), Options{Language: msg.Printer(language)})
				if err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
				said := strings.Join(strings.Fields(out), " ")
				for _, english := range []string{"What next?", "to create", "Apply it?", "answers:",
					"Nothing is changed",
					"left out", "These are", "Number"} {
					if strings.Contains(said, english) {
						t.Errorf("%q is English:\n%s", english, out)
					}
				}
				for line := range strings.Lines(out) {
					longest := 0
					for _, word := range strings.Fields(line) {
						longest = max(longest, ansi.StringWidth(word))
					}
					if w := ansi.StringWidth(strings.TrimRight(line, " \n")); w > width && longest < width/2 &&
						!strings.Contains(line, "hybridge ") {
						t.Errorf("%d columns: %q", w, line)
					}
				}
			})
		}
	}
}

// The help page cuts no text, in no language.
func TestHelpPageIsWhole(t *testing.T) {
	const text = "leave; the answers are saved (Ctrl-C while typing)"
	for _, language := range append(languages(), msg.English) {
		m := &model{options: Options{Language: msg.Printer(language)}}
		for _, width := range []int{78, 40} {
			var said []string
			for i, line := range m.describe(on("q", "leave", nil), width) {
				if ansi.StringWidth(line) > width {
					t.Errorf("%s: wider than %d columns: %q", language, width, line)
				}
				said = append(said, strings.TrimSpace(strings.TrimPrefix(line, "  q")))
				if i == 0 && !strings.HasPrefix(line, "  q  ") {
					t.Errorf("%s: %q", language, line)
				}
			}
			blank := strings.NewReplacer(" ", "")
			if got := blank.Replace(strings.Join(said, "")); got != blank.Replace(m.term(text)) {
				t.Errorf("%s in %d columns: %q", language, width, said)
			}
		}
	}
}
