package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// unpublished are the documents that no machine reads as JSON.
var unpublished = []string{
	"main.blocks",         // between the documents of a demo, in text only
	"main.demoStage",      // within demo-report
	"main.schemaDocument", // is a JSON Schema itself
}

// TestEveryDocumentIsPublished finds a document without a schema: its JSON is no contract.
func TestEveryDocumentIsPublished(t *testing.T) {
	var documents []string
	for _, top := range []string{"../../cmd", "../../pkg", "../../wizard"} {
		err := filepath.WalkDir(top, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			for _, d := range file.Decls {
				if of := viewOf(d); of != "" {
					documents = append(documents, file.Name.Name+"."+of)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(documents) < 10 {
		t.Fatalf("%d documents: is this test looking?", len(documents))
	}
	known := slices.Clone(unpublished)
	for _, p := range published {
		known = append(known, reflect.TypeOf(p.document).String())
	}
	for _, d := range documents {
		if !slices.Contains(known, d) {
			t.Errorf("%s has a View and no schema: add its row to published (schema.go), then make docs", d)
		}
	}
	for _, d := range unpublished {
		if !slices.Contains(documents, d) {
			t.Errorf("%s is no document any more", d)
		}
	}
}

// viewOf is the type whose method View makes it a report.Document.
func viewOf(d ast.Decl) string {
	f, ok := d.(*ast.FuncDecl)
	if !ok || f.Recv == nil || f.Name.Name != "View" || f.Type.Results.NumFields() != 1 {
		return ""
	}
	result, ok := f.Type.Results.List[0].Type.(*ast.SelectorExpr)
	if !ok || result.Sel.Name != "View" || f.Type.Params.NumFields() != 0 {
		return ""
	}
	of := f.Recv.List[0].Type
	if pointer, ok := of.(*ast.StarExpr); ok {
		of = pointer.X
	}
	name, _ := of.(*ast.Ident)
	if name == nil {
		return ""
	}
	return name.Name
}
