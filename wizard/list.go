package wizard

import (
	"strings"

	"github.com/charmbracelet/bubbles/key"
	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"
)

// item is one entry of a list.
type item struct {
	id     string // unique, so that it stays selected while others come and go
	lines  []string
	search string // what a filter looks at
	hidden bool   // folded away; a filter finds it all the same
	// detail is everything about the item; nil when the lines say everything.
	detail func(width int) []string
}

// list is a list of items: one is selected, a filter narrows it, and the selected item opens in a
// separate pane.
type list struct {
	scroll   scroll
	items    []item // as they were drawn last
	starts   []int  // their first lines; one more at the end
	selected string
	follow   bool // the screen chooses what is selected, until the person does

	top   int       // the row of the body where it begins
	drawn drawnList // what the last drawing was made of, with its lines

	filter    input
	filtering bool // the filter is being typed
	opened    bool
	detail    scroll
}

// drawnList is what the lines of a list depend on. A window is drawn ten times per second while
// something runs, and mostly nothing of the list has changed.
type drawnList struct {
	first             *item // of the items as they were given: a list that changes is a new one
	count             int
	pattern, selected string
	lines             []string
}

// gutter is the space before the lines of an item, where the selected one has its mark.
const gutter = 2

func (l *list) pattern() string { return strings.ToLower(strings.TrimSpace(l.filter.String())) }

// render draws the list, or the pane of the selected item.
func (l *list) render(m *model, items []item, width, height int) []string {
	lines, at := l.lines(m, items)
	m.listed = l
	if l.opened && at < len(l.items) {
		whole := strings.Join(l.items[at].detail(width), "\n") // ids and URLs may be wider than the window
		return m.window(&l.detail, strings.Split(ansi.Hardwrap(whole, width, true), "\n"), height)
	}
	var head []string
	if l.filtering || l.pattern() != "" {
		head = append(head, "/ "+l.prompt(m, width-2)+
			m.styles.faint.Render("  "+m.words("%d of %d", len(l.items), len(items))))
	}
	l.top = m.rows - height + len(head)
	if l.follow {
		l.reveal(height - len(head))
	}
	return append(head, m.window(&l.scroll, lines, height-len(head))...)
}

// lines are the lines of the items that are shown, and the place of the selected one.
func (l *list) lines(m *model, items []item) ([]string, int) {
	pattern := l.pattern()
	if len(items) > 0 && l.drawn.first == &items[0] && l.drawn.count == len(items) && l.drawn.pattern == pattern &&
		l.drawn.selected == l.selected {
		return l.drawn.lines, l.index()
	}
	l.items, l.starts = nil, nil
	var lines []string
	for _, it := range items {
		if pattern != "" && !strings.Contains(strings.ToLower(it.search), pattern) || pattern == "" && it.hidden {
			continue
		}
		l.items, l.starts = append(l.items, it), append(l.starts, len(lines))
		mark := "  "
		if it.id == l.selected {
			mark = m.styles.focus.Render("> ")
		}
		for i, line := range it.lines {
			if i > 0 {
				mark = "  "
			}
			lines = append(lines, mark+line)
		}
	}
	l.starts = append(l.starts, len(lines))
	at := l.index()
	if at < len(l.items) && l.items[at].id != l.selected { // what was selected is gone, or nothing was yet
		l.selected = l.items[at].id
		lines[l.starts[at]] = m.styles.focus.Render("> ") + strings.TrimPrefix(lines[l.starts[at]], "  ")
	}
	if len(items) > 0 {
		l.drawn = drawnList{&items[0], len(items), pattern, l.selected, lines}
	}
	return lines, at
}

func (l *list) prompt(m *model, width int) string {
	if l.filtering {
		return strings.TrimRight(l.filter.render(m.styles, width-12, false), " ")
	}
	return clean(l.filter.String())
}

// index is the place of the selected item; 0 when it is not there.
func (l *list) index() int {
	for i, it := range l.items {
		if it.id == l.selected {
			return i
		}
	}
	return 0
}

// reveal scrolls the least that shows the selected item, and always shows its head.
func (l *list) reveal(height int) {
	if i := l.index(); i < len(l.items) {
		l.scroll.keep(l.starts[i], min(l.starts[i+1]-1, l.starts[i]+height-1), height)
	}
}

func (l *list) choose(i int) {
	if i >= 0 && i < len(l.items) {
		l.selected = l.items[i].id
		l.reveal(l.scroll.viewport.Height)
	}
}

// actions are those of the list, after the screen's own. While the filter is typed or a pane is
// open, the screen's own do not hold.
func (l *list) actions(own ...action) []action {
	switch {
	case l.filtering:
		return []action{
			on("enter", "search", func(*model) tea.Cmd { l.filtering = false; return nil }),
			on("esc", "show all", l.clear),
		}
	case l.opened:
		return []action{on("esc", "close", l.toggle, "esc", " ", "enter"), on("up/down", "scroll", nil),
			on("c", "copy", l.copied)}
	}
	if l.pattern() != "" {
		own = append([]action{on("esc", "show all", l.clear)}, own...)
	}
	own = append(own, on("up/down", "select", nil))
	if i := l.index(); i < len(l.items) && l.items[i].detail != nil {
		own = append(own, on("space", "details", l.toggle, " "))
	}
	own = append(own, on("/", "search", func(*model) tea.Cmd { l.filtering = true; return nil }))
	if len(l.items) > 0 {
		own = append(own, on("c", "copy", l.copied))
	}
	return own
}

// copied copies the selected item, with all its details.
func (l *list) copied(m *model) tea.Cmd {
	at := l.index()
	if at >= len(l.items) {
		return nil
	}
	it := l.items[at]
	lines := it.lines
	if it.detail != nil {
		lines = it.detail(m.width)
	}
	for i := range lines {
		lines[i] = strings.TrimRight(ansi.Strip(lines[i]), " ")
	}
	return m.copy(strings.TrimSpace(strings.Join(lines, "\n")))
}

func (l *list) clear(*model) tea.Cmd {
	l.filter, l.filtering = newInput(""), false
	return nil
}

func (l *list) toggle(*model) tea.Cmd {
	l.opened, l.detail = !l.opened, scroll{}
	return nil
}

// key takes a key that no action has.
func (l *list) key(k tea.KeyMsg) {
	switch {
	case l.filtering:
		l.filter.key(k)
		return
	case l.opened:
		l.detail.key(k)
		return
	}
	v := l.scroll.view()
	at := l.index()
	if at >= len(l.items) {
		return
	}
	l.follow = false
	first, last := l.starts[at], l.starts[at+1]-1
	switch {
	case key.Matches(k, v.KeyMap.Down):
		// An item that is taller than the window is read line by line.
		if last >= v.YOffset+v.Height && first <= v.YOffset {
			v.ScrollDown(1)
		} else {
			l.choose(at + 1)
		}
	case key.Matches(k, v.KeyMap.Up):
		if first < v.YOffset {
			v.ScrollUp(1)
		} else {
			l.choose(at - 1)
		}
	case l.scroll.key(k):
		l.selectVisible()
	}
}

// selectVisible selects an item that is in view: the first, or the last when the end is in view.
func (l *list) selectVisible() {
	v := l.scroll.view()
	for i := range l.items {
		if l.starts[i] >= v.YOffset {
			l.selected = l.items[i].id
			if v.YOffset < l.scroll.last() || v.YOffset == 0 {
				return
			}
		}
	}
}

// listed is a stage with a list.
type listed struct {
	staged
	list  list
	built []item // for width; nil when what they show has changed
	width int
	drawn map[string]item // by id: what has not changed since is not drawn anew
}

// items returns the items of the list. They are drawn anew only when they changed: a window is
// drawn ten times per second while something runs.
func (s *listed) items(width int, draw func() []item) []item {
	if s.width != width {
		s.changed()
	}
	if s.built == nil {
		s.width, s.built = width, draw()
	}
	return s.built
}

// item returns one item of items, as it was drawn last where it has not changed.
func (s *listed) item(id string, draw func() item) item {
	it, known := s.drawn[id]
	if !known {
		it = draw()
		if s.drawn == nil {
			s.drawn = map[string]item{}
		}
		s.drawn[id] = it
	}
	return it
}

// changed says that any item may have changed, touched that one has.
func (s *listed) changed() { s.built, s.drawn = nil, nil }

func (s *listed) touched(id string) {
	s.built = nil
	delete(s.drawn, id)
}

func (s *listed) typing(*model) bool { return s.list.filtering }

func (s *listed) other(_ *model, k tea.KeyMsg) tea.Cmd {
	s.list.key(k)
	return nil
}
