package answers

import (
	"reflect"
	"strings"
	"testing"
)

// The page's own example is a file that hybridge takes.
func TestExample(t *testing.T) {
	if _, err := Parse("answers.yaml", []byte(Example)); err != nil {
		t.Error(err)
	}
}

// Every key stands on the page, in the part of its mapping, with a meaning and, unless it is a
// mapping, an example.
func TestMarkdown(t *testing.T) {
	page := string(Markdown())
	shown := map[reflect.Type]bool{}
	for _, p := range parts {
		shown[p.of] = true
		_, section, ok := strings.Cut(page, "<a id=\""+p.id+"\"></a>")
		section, _, _ = strings.Cut(section, "\n<a id=")
		_, section, _ = strings.Cut(section, "| key | type |") // after the table of kinds
		if !ok {
			t.Errorf("no part %s", p.id)
		}
		for i := range p.of.NumField() {
			name, _, _ := strings.Cut(p.of.Field(i).Tag.Get("yaml"), ",")
			_, row, ok := strings.Cut(section, "\n| "+name+" | ")
			row, _, _ = strings.Cut(row, "\n")
			cells := strings.Split(row, " | ")
			if !ok || len(cells) != 4 || cells[2] == "" || cells[3] == " |" && !strings.Contains(cells[0], "](#") {
				t.Errorf("%s.%s: %q", p.at, name, row)
			}
		}
	}
	var walk func(reflect.Type)
	walk = func(of reflect.Type) {
		switch of.Kind() {
		case reflect.Pointer, reflect.Slice:
			walk(of.Elem())
		case reflect.Struct:
			if !shown[of] {
				t.Errorf("%s is not among the parts", of)
			}
			for i := range of.NumField() {
				walk(of.Field(i).Type)
			}
		}
	}
	walk(reflect.TypeFor[Answers]())
}
