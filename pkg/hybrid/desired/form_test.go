package desired

import (
	"bytes"
	"os"
	"reflect"
	"strings"
	"testing"
	"text/template"
)

// TestForms fills the templates as text/template does, with data of which every field is set, and
// with empty data.
func TestForms(t *testing.T) {
	texts := map[string]func(string) string{}
	for _, name := range []string{"quote", "comment", "cell", "line"} {
		texts[name] = func(s string) string { return name + "(" + s + ")" }
	}
	funcs := template.FuncMap{}
	for name, f := range texts {
		funcs[name] = f
	}
	for _, tt := range []struct {
		path string
		data any
	}{
		{"powershell/script.ps1.tmpl", &page{}},
		{"powershell/runbook.md.tmpl", &runbook{}},
		{"shell/script.sh.tmpl", &shellPage{}},
	} {
		their := template.Must(template.New(tt.path[strings.LastIndex(tt.path, "/")+1:]).Funcs(funcs).
			ParseFS(os.DirFS("../../../templates"), tt.path))
		our := mustForm(tt.path, texts)
		for round := range 3 {
			if round > 0 {
				some(reflect.ValueOf(tt.data).Elem(), round, new(int))
			}
			var want bytes.Buffer
			if err := their.Execute(&want, tt.data); err != nil {
				t.Fatal(err)
			}
			if got := our.fill(tt.data); !bytes.Equal(got, want.Bytes()) {
				t.Errorf("%s, round %d: text/template writes\n%s\nand the form\n%s", tt.path, round, want.Bytes(), got)
			}
		}
	}
}

// some sets every field. Every other truth is false, and lists have n entries.
func some(v reflect.Value, n int, count *int) {
	*count++
	switch v.Kind() {
	case reflect.String:
		v.SetString(strings.Repeat("t", *count%7))
	case reflect.Int:
		v.SetInt(int64(*count))
	case reflect.Bool:
		v.SetBool((*count+n)%2 == 0)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			some(v.Index(i), n, count)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			some(v.Field(i), n, count)
		}
	}
}
