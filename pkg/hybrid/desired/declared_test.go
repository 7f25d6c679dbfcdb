package desired

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestEveryDeclarationIsListed finds a kind that is declared but missing in Kinds. Such a kind
// could be planned, but not read, and the rights to its cmdlets would not be checked.
func TestEveryDeclarationIsListed(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var declared []string
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if noun, ok := nounOf(n); ok {
				declared = append(declared, noun)
			}
			return true
		})
	}
	var listed []string
	for _, k := range Kinds() {
		listed = append(listed, k.Noun)
	}
	slices.Sort(declared)
	slices.Sort(listed)
	if len(declared) == 0 || !slices.Equal(declared, listed) {
		t.Errorf("declared are %v, Kinds lists %v", declared, listed)
	}
}

// nounOf returns the noun of a declaration: SYSTEM.Declare(Kind{Noun: "..."}, ...).
func nounOf(n ast.Node) (string, bool) {
	call, ok := n.(*ast.CallExpr)
	if !ok || len(call.Args) != 2 {
		return "", false
	}
	if f, ok := call.Fun.(*ast.SelectorExpr); !ok || f.Sel.Name != "Declare" {
		return "", false
	}
	literal, ok := call.Args[0].(*ast.CompositeLit)
	if !ok {
		return "", false
	}
	for _, e := range literal.Elts {
		if pair, ok := e.(*ast.KeyValueExpr); ok && pair.Key.(*ast.Ident).Name == "Noun" {
			return strings.Trim(pair.Value.(*ast.BasicLit).Value, `"`), true
		}
	}
	return "", false
}
