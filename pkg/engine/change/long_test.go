package change

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

// What a plan shows of a list takes work in proportion to its length: four times the entries take
// about four times the memory, and not sixteen times.
func TestLongListsAreShownInLinearWork(t *testing.T) {
	change := func(n int) Change {
		was, is := make([]string, n), make([]string, n)
		for i := range n {
			was[i], is[i] = fmt.Sprintf("was%d.contoso.com", i), fmt.Sprintf("is%d.contoso.com", i)
			if i%2 == 0 {
				is[i] = was[i]
			}
		}
		return Change{ID: "online/List/x", Action: Update, Target: "online",
			Before: Properties{"Domains": was}, After: Properties{"Domains": is}}
	}
	allocated := func(n int) uint64 {
		p := Plan{Changes: []Change{change(n)}}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		lines := report.Style{Width: 100}.View(p.View())
		runtime.ReadMemStats(&after)
		if text := strings.Join(lines, "\n"); strings.Count(text, "\n      ") < n {
			t.Fatalf("%d entries: only\n%.500s", n, text)
		}
		return after.TotalAlloc - before.TotalAlloc
	}
	allocated(100) // what is made once
	few, many := allocated(1000), allocated(4000)
	if many > 6*few {
		t.Errorf("1,000 entries take %d bytes, 4,000 take %d", few, many)
	}
	// A comparison of a property's own is asked, and the lookup of texts agrees with Equal.
	compared := 0
	p := Property{Compare: func(a, b any) bool { compared++; return Equal(a, b) }}
	p.Added([]string{"a", "b"}, []string{"c", "d"})
	if compared == 0 {
		t.Error("a property's own comparison is not asked")
	}
	slow := Property{Type: Type{Compare: Equal}}
	for _, test := range [][2]any{
		{[]string{"a", "b", "a"}, []string{"b"}}, {[]any{"a", int64(1), nil, ""}, []any{int64(1), ""}},
		{"a", []string{"A"}}, {[]string{""}, nil}, {[]any{[]string{"a"}}, []any{"a"}},
		{[]any{map[string]any{"a": "b"}, "x"}, []any{map[string]any{"a": "b"}}},
	} {
		if got, want := fmt.Sprintf("%#v", Property{}.Added(test[0], test[1])),
			fmt.Sprintf("%#v", slow.Added(test[0], test[1])); got != want {
			t.Errorf("%v less %v: %s, one by one %s", test[0], test[1], got, want)
		}
	}
}
