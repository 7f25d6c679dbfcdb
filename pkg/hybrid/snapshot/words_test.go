package snapshot

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write words.txt anew")

// examples are the names of examples in texts. They are names all the same.
var examples = strings.Fields(`contoso fabrikam northwind northwindtraders woodgrove wingtip wingtiptoys tailspin adatum
litware proseware anna bob alice carol dave eve adele alberti emma otto max erika mustermann
ex1 ex2 ex01 ex02 ex03 dc1 dc01 exch01 exch1`)

// The words that stay in a redacted snapshot are those of the code and of its data. With CI set, a
// word that is new in the code fails; elsewhere the list may be older, so that a text changes one
// file alone.
func TestWords(t *testing.T) {
	found := map[string]bool{}
	var add func(text string)
	add = func(text string) {
		for _, w := range pieces().FindAllString(text, -1) {
			w = strings.ToLower(w)
			if local, is := strings.CutSuffix(w, "@"); is {
				add(local)
				continue
			}
			if len(w) > 1 && len(w) < 60 && !slices.Contains(examples, w) {
				found[w] = true
			}
		}
	}
	root := filepath.Join("..", "..", "..")
	read := func(path string) {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		add(string(raw))
	}
	for _, dir := range []string{"pkg", "templates/diagnoses"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && (d.Name() == "lab" || d.Name() == "testdata"):
				return filepath.SkipDir
			case filepath.Ext(path) == ".yaml":
				read(path)
			case filepath.Ext(path) == ".go" && !strings.HasSuffix(path, "_test.go"):
				file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
				if err != nil {
					return err
				}
				ast.Inspect(file, func(n ast.Node) bool {
					switch n := n.(type) {
					case *ast.BasicLit:
						if text, err := strconv.Unquote(n.Value); err == nil && n.Kind == token.STRING {
							add(text)
						}
					case *ast.StructType:
						for _, f := range n.Fields.List {
							for _, name := range f.Names {
								add(name.Name)
							}
						}
					}
					return true
				})
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	read(filepath.Join(root, "pkg", "estate", "exchange", "catalogue.json"))
	want := strings.Join(slices.Sorted(maps.Keys(found)), "\n") + "\n"
	if *update {
		if err := os.WriteFile("words.txt", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	for w := range found {
		if !public()[w] && os.Getenv("CI") == "true" {
			t.Errorf("%s is not in words.txt; run: make docs", w)
		}
	}
	if len(found) < 3000 {
		t.Errorf("only %d words found: does this test look?", len(found))
	}
	for _, name := range examples {
		if public()[name] {
			t.Errorf("%s would stay in a redacted snapshot", name)
		}
	}
}
