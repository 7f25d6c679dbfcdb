package prereq

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"slices"
	"strings"
	"testing"
)

// said names the functions that keep a format and its arguments until they are shown.
var said = []string{"Pass", "Failed", "Warned", "NotApplicable", "Because", "Fix", "Of", "Count"}

// formattedEarly lists the places of a file that format a text before it is shown. Such a text
// cannot be translated.
func formattedEarly(files *token.FileSet, file *ast.File, constants map[string]bool) []string {
	var out []string
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		function, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || !slices.Contains(said, function.Sel.Name) {
			return true
		}
		for i, argument := range call.Args {
			if i == 0 && function.Sel.Name != "Count" && !isFormat(argument, constants) {
				out = append(out, fmt.Sprintf("%s: the format of %s is not constant", files.Position(argument.Pos()),
					function.Sel.Name))
			}
			ast.Inspect(argument, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.FuncLit:
					return false
				case *ast.BinaryExpr:
					if n.Op == token.ADD && !isFormat(n, constants) && (isText(n.X) || isText(n.Y)) {
						out = append(out, fmt.Sprintf("%s: texts are joined in %s", files.Position(n.Pos()),
							function.Sel.Name))
					}
				case *ast.CallExpr:
					if s, ok := n.Fun.(*ast.SelectorExpr); ok && strings.HasPrefix(s.Sel.Name, "Sprint") {
						out = append(out, fmt.Sprintf("%s: %s in %s", files.Position(n.Pos()), s.Sel.Name,
							function.Sel.Name))
					}
				}
				return true
			})
		}
		return true
	})
	return out
}

// isFormat reports whether a format is constant: literals and names of constants.
func isFormat(e ast.Expr, constants map[string]bool) bool {
	switch e := e.(type) {
	case *ast.BasicLit:
		return e.Kind == token.STRING
	case *ast.Ident:
		return constants[e.Name]
	case *ast.BinaryExpr:
		return isFormat(e.X, constants) && isFormat(e.Y, constants)
	}
	return false
}

// constantsOf adds the names of a file's constants.
func constantsOf(file *ast.File, constants map[string]bool) {
	for _, d := range file.Decls {
		if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.CONST {
			for _, s := range g.Specs {
				for _, name := range s.(*ast.ValueSpec).Names {
					constants[name.Name] = true
				}
			}
		}
	}
}

func isText(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit:
		return e.Kind == token.STRING
	case *ast.BinaryExpr:
		return isText(e.X) || isText(e.Y)
	}
	return false
}

// No check formats a text early.
func TestTextsAreKept(t *testing.T) {
	files := token.NewFileSet()
	//nolint:staticcheck // only syntax is examined
	packages, err := parser.ParseDir(files, ".",
		func(f fs.FileInfo) bool { return !strings.HasSuffix(f.Name(), "_test.go") }, 0)
	if err != nil {
		t.Fatal(err)
	}
	constants := map[string]bool{}
	for _, p := range packages {
		for _, file := range p.Files {
			constantsOf(file, constants)
		}
	}
	found := 0
	for _, p := range packages {
		for _, file := range p.Files {
			found++
			for _, wrong := range formattedEarly(files, file, constants) {
				t.Error(wrong)
			}
		}
	}
	if found < 9 {
		t.Errorf("%d files", found)
	}
	file, err := parser.ParseFile(files, "wrong.go", `package p
func f() { check.Failed("a" + b); check.Pass("a %s", fmt.Sprintf("b"))
r.Because(text); check.Warned("%s", "x" + y); msg.Of("%d", 1) }`, 0)
	if err != nil {
		t.Fatal(err)
	}
	if wrong := formattedEarly(files, file, constants); len(wrong) != 5 {
		t.Errorf("what is wrong passes: %s", strings.Join(wrong, "; "))
	}
}
