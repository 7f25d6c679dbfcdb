package msg_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// makers make texts of their arguments, by package; "" are methods of any value.
var makers = map[string][]string{
	"msg":   {"Of", "Plain", "Key", "Plural", "Count"},
	"check": {"Pass", "Failed", "Warned", "NotApplicable"},
	"":      {"Because", "Fix"},
}

// TestNoTextIsFormattedEarly reads the code of checks, kinds and documents: a text that is
// formatted before it becomes a msg.Text cannot be translated.
func TestNoTextIsFormattedEarly(t *testing.T) {
	const top = "../../.."
	texts, views := 0, 0
	for _, dir := range []string{"pkg/engine", "pkg/hybrid", "cmd"} {
		err := filepath.WalkDir(filepath.Join(top, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") ||
				strings.HasSuffix(path, "msg/msg.go") {
				return err
			}
			files := token.NewFileSet()
			file, err := parser.ParseFile(files, path, nil, 0)
			if err != nil {
				return err
			}
			if filepath.Base(path) == "view.go" {
				views++
			}
			ast.Inspect(file, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok || !makesText(call) {
					return true
				}
				texts++
				for _, arg := range call.Args {
					if formatted(arg) {
						t.Errorf("%s: a text is formatted before it is one: give msg.Of the format and its arguments",
							files.Position(arg.Pos()))
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if texts < 200 || views < 4 {
		t.Errorf("%d texts and %d views found: is this test looking?", texts, views)
	}
	for _, wrong := range []string{`msg.Of(fmt.Sprintf("%d users", n))`, `msg.Plain("no " + name)`,
		`check.Failed("%s", fmt.Sprint(n)+" users")`} {
		e, err := parser.ParseExpr(wrong)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, arg := range e.(*ast.CallExpr).Args {
			found = found || makesText(e.(*ast.CallExpr)) && formatted(arg)
		}
		if !found {
			t.Errorf("%s was taken", wrong)
		}
	}
}

func makesText(call *ast.CallExpr) bool {
	selector, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	for _, name := range makers[""] {
		if selector.Sel.Name == name {
			return true
		}
	}
	of, ok := selector.X.(*ast.Ident)
	if !ok {
		return false
	}
	for _, name := range makers[of.Name] {
		if selector.Sel.Name == name {
			return true
		}
	}
	return false
}

// formatted reports that an expression makes text of a literal and values.
func formatted(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return formatted(e.X)
	case *ast.BinaryExpr:
		return e.Op == token.ADD && (!literal(e.X) || !literal(e.Y)) &&
			(wordy(e.X) || wordy(e.Y) || formatted(e.X) || formatted(e.Y))
	case *ast.CallExpr:
		if s, ok := e.Fun.(*ast.SelectorExpr); ok {
			if of, ok := s.X.(*ast.Ident); ok && of.Name == "fmt" && strings.HasPrefix(s.Sel.Name, "Sprint") {
				return true
			}
		}
	}
	return false
}

// literal reports whether a constant is written out, perhaps over several lines.
func literal(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit:
		return true
	case *ast.BinaryExpr:
		return literal(e.X) && literal(e.Y)
	}
	return false
}

// wordy reports whether a literal holds words; "*." and "/" are parts of names.
func wordy(e ast.Expr) bool {
	l, ok := e.(*ast.BasicLit)
	return ok && l.Kind == token.STRING && strings.Contains(strings.Trim(l.Value, "\"`"), " ")
}
