package wizard

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

// Moving through a list keeps the selected item in view, and reads one that is taller than the
// window line by line.
func TestListMoves(t *testing.T) {
	m := newModel(t.Context(), Options{Out: io.Discard, NoColor: true})
	tall := item{id: "tall", search: "tall"}
	for i := range 12 {
		tall.lines = append(tall.lines, fmt.Sprint("line ", i))
	}
	items := []item{{id: "first", lines: []string{"first"}}, tall, {id: "last", lines: []string{"last"}}}
	l := &list{}
	var seen []string
	for _, k := range keysOf(t, strings.Repeat("<down>", 12)+strings.Repeat("<up>", 12)) {
		lines := l.render(m, items, 40, 5)
		seen = append(seen, l.selected+" "+strings.TrimSpace(lines[4]))
		l.key(k)
	}
	want := []string{"first line 3", "tall line 4", "tall line 5", "tall line 6", "tall line 7", "tall line 8",
		"tall line 9", "tall line 10", "tall line 11", "last > last", "last > last"}
	if got := strings.Join(seen[:11], ", "); got != strings.Join(want, ", ") {
		t.Errorf("down: %s", got)
	}
	if got := seen[23]; got != "first line 3" {
		t.Errorf("and up again: %s", got)
	}
	l.render(m, nil, 40, 5)
	l.key(named["down"]) // must not panic
}

// Items that come and go leave the selection where it is; what is gone leaves it at the top.
func TestListChanges(t *testing.T) {
	m := newModel(t.Context(), Options{Out: io.Discard, NoColor: true})
	a, b, c := item{id: "a", lines: []string{"a"}, search: "a"}, item{id: "b", lines: []string{"b"},
		search: "b"}, item{id: "c", lines: []string{"c"}, search: "c"}
	l := &list{}
	for _, test := range []struct {
		items []item
		key   string
		want  string
	}{{[]item{a, b}, "<down>", "a"}, {[]item{c, a, b}, "", "b"}, {[]item{c, a}, "", "c"}} {
		l.render(m, test.items, 40, 5)
		if l.selected != test.want {
			t.Errorf("selected %q, want %q", l.selected, test.want)
		}
		for _, k := range keysOf(t, test.key) {
			l.key(k)
		}
	}
}
