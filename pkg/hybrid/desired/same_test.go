package desired

import (
	"fmt"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
)

// A value equals itself, absent, null and empty included. Otherwise apply would refuse a value that
// it has just read as changed, and rollback one that it has just restored.
func TestEveryValueIsTheSameAsItself(t *testing.T) {
	values := []any{
		nil, "", []string{}, []any{}, true, false, int64(3), "x", "https://mail.contoso.com/ews/", tenantID,
		[]string{"a.example", "B.example"},
		[]any{map[string]any{"keyId": "k1"}},
		[]any{map[string]any{"keyId": nil, "key": nil, "customKeyIdentifier": nil}}, []any{map[string]any{}},
		[]any{map[string]any{"resourceAppId": "r", "resourceAccess": []any{map[string]any{"id": "i", "type": "Role"}}}},
		map[string]any{"a": "b"},
	}
	empty := []any{nil, "", []string{}, []any{}}
	for _, k := range Kinds() {
		for name, p := range k.Properties {
			same := func(a, b any) {
				t.Helper()
				if !p.Same(a, b) {
					t.Errorf("%s.%s: %s and %s differ", k.Noun, name, change.Text(a), change.Text(b))
				}
			}
			for _, v := range values {
				same(v, v)
				if p.Type.Read != nil {
					same(p.Type.Read(v), p.Type.Read(v))
				}
			}
			for _, a := range empty {
				for _, b := range empty {
					same(a, b)
				}
			}
		}
	}
}

// Values that the comparisons must distinguish: otherwise a difference is never written.
func TestSomeValuesDiffer(t *testing.T) {
	for _, test := range []struct {
		t          Type
		want, live any
	}{
		{boolean, true, false}, {boolean, true, nil}, {boolean, false, nil},
		{text, "a", nil}, {text, "a", ""}, {text, "a", "b"},
		{guid, tenantID, nil}, {someText, "a", nil}, {someText, "a", ""},
		{address, "https://a/", nil}, {domains, []string{"a"}, nil}, {settings, []string{"a=b"}, nil},
		{keys, []any{map[string]any{"keyId": "k1"}}, []any{map[string]any{"keyId": "k2"}}},
		{keys, []any{map[string]any{"keyId": "k1"}}, nil},
		{accesses, []any{map[string]any{"resourceAppId": "r",
			"resourceAccess": []any{map[string]any{"id": "i", "type": "Role"}}}}, []any{}},
	} {
		t.Run(fmt.Sprint(test.t.Name, test.want, test.live), func(t *testing.T) {
			if test.t.Compare(test.want, test.live) {
				t.Error("taken for the same")
			}
		})
	}
}
