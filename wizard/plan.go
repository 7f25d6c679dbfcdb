package wizard

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/wizard/stage"
)

// planScreen shows the plan as a tree: places, changes, and what each change writes. Changes can be
// left out of what is applied.
type planScreen struct {
	listed
	whole   *change.Plan    // with what is left out
	writes  string          // the folder that scripts are written into; "" while a plan is made
	without map[string]bool // by the ids of changes
	left    []string        // those, and what needs them
	folded  map[string]bool // places and changes, by item
}

func (*planScreen) about() about {
	return about{
		step: "Plan", does: "Compares what should be with what is. Nothing is changed.",
		help: "+ is created, ~ is changed, - is removed, -/+ is replaced: removed, then created. Within a change, - " +
			"is what goes and + what comes. What others put into a list stays. The plan holds for what is live now: " +
			"when that moves, apply refuses.\nx leaves a change out, with those that need it, or takes it back in " +
			"with " +
			"those that it needs. w writes the plan as PowerShell, with a runbook.",
	}
}

// enter plans, unless there is a plan that was not applied yet.
func (s *planScreen) enter(m *model) tea.Cmd {
	if m.outcome.Plan != nil && !m.spent {
		if s.whole == nil {
			s.show(m.outcome.Plan)
		}
		return nil
	}
	return s.again(m)
}

func (s *planScreen) again(m *model) tea.Cmd {
	if m.run != nil {
		return nil
	}
	*s = planScreen{}
	m.outcome.Plan, m.spent = nil, false
	return m.begin()
}

// scripts writes the plan as PowerShell into a folder beside the answers.
func (s *planScreen) scripts(m *model) tea.Cmd {
	if m.run != nil {
		return nil
	}
	s.writes = filepath.Join(filepath.Dir(m.file.name()), "scripts")
	return m.begin()
}

// written is the folder that scripts were written into.
type written string

func (s *planScreen) run(m *model) work {
	if s.writes != "" {
		dir, plan, write := s.writes, *m.outcome.Plan, m.options.Scripts
		return func(ctx context.Context, e stage.Engine, _ observe.Observer) (any, error) {
			into := dir
			for n := 2; n < 1000; n++ { // scripts of another plan stay as they are
				if _, err := os.Lstat(into); os.IsNotExist(err) {
					break
				}
				into = fmt.Sprintf("%s-%d", dir, n)
			}
			return written(into), write(ctx, e, plan, into)
		}
	}
	return func(ctx context.Context, e stage.Engine, o observe.Observer) (any, error) { return e.Plan(ctx, o) }
}

// unfolded is how many changes are shown with all that they write. A longer plan begins folded.
const unfolded = 12

func (s *planScreen) end(m *model, v any, err error) {
	if s.writes != "" {
		s.writes = ""
		m.note = m.words("The scripts are written: %s", clean(string(*cmp.Or(result[written](v), new(written)))))
		if err != nil {
			m.note = m.words("The scripts are not written: %s", clean(firstLine(err.Error())))
		}
		return
	}
	if s.err = err; err != nil {
		return
	}
	m.outcome.Plan = result[change.Plan](v)
	s.show(m.outcome.Plan)
}

// show begins with a plan from which nothing is left out.
func (s *planScreen) show(p *change.Plan) {
	s.whole = p
	s.without, s.left, s.folded = map[string]bool{}, nil, map[string]bool{}
	if len(p.Changes) > unfolded {
		s.foldAll(true)
	}
	if len(p.Changes) > 0 {
		s.list.selected = p.Changes[0].ID
	}
	s.changed()
}

func (s *planScreen) foldAll(folded bool) {
	for _, c := range s.whole.Changes {
		s.folded[c.ID] = folded
		s.folded[c.Target] = false
	}
}

func (s *planScreen) actions(m *model) []action {
	again := on("r", "plan again", s.again)
	p := s.whole
	switch {
	case m.run != nil:
		return []action{backward(m)}
	case p == nil || m.outcome.Plan == nil:
		return []action{again, backward(m)}
	case len(p.Changes) == 0:
		return []action{on("enter", "free/busy", show[*testScreen]), again, backward(m)}
	}
	own := []action{}
	if len(m.outcome.Plan.Changes) > 0 {
		own = append(own, forward("apply ..."))
	}
	own = append(own, on("left/right", "fold", s.fold, "left", "right"), on("x", "leave out", s.toggle),
		on("t", "free/busy as it is", show[*testScreen]), backward(m), again, on("z", "fold all", s.turnAll),
		on("s", "save the plan", s.save))
	if m.options.Scripts != nil {
		own = append(own, on("w", "write scripts", s.scripts))
	}
	return s.list.actions(own...)
}

// selected is the item in front: a change, or the place of several.
func (s *planScreen) selected() string {
	if i := s.list.index(); i < len(s.list.items) {
		return s.list.items[i].id
	}
	return ""
}

func (s *planScreen) fold(*model) tea.Cmd {
	id := s.selected()
	s.folded[id] = !s.folded[id]
	s.changed()
	return nil
}

func (s *planScreen) turnAll(*model) tea.Cmd {
	s.foldAll(!slices.Contains(slices.Collect(maps.Values(s.folded)), true))
	s.changed()
	return nil
}

// toggle leaves the selected change out, or takes it back in with what it needs. For a place, it
// does so with all its changes.
func (s *planScreen) toggle(m *model) tea.Cmd {
	id := s.selected()
	byID := map[string]change.Change{}
	var ids []string
	out := true
	for _, c := range s.whole.Changes {
		byID[c.ID] = c
		if c.ID == id || c.Target == id {
			ids = append(ids, c.ID)
			out = out && slices.Contains(s.left, c.ID)
		}
	}
	for len(ids) > 0 {
		id := ids[0]
		ids = ids[1:]
		if !out {
			s.without[id] = true
			continue
		}
		delete(s.without, id)
		ids = append(ids, byID[id].Needs...)
	}
	var rest change.Plan
	rest, s.left = s.whole.Without(slices.Sorted(maps.Keys(s.without))...)
	m.outcome.Plan = &rest
	s.changed()
	return nil
}

// save writes the plan beside the answers, as hybridge apply takes it.
func (s *planScreen) save(m *model) tea.Cmd {
	data := m.outcome.Plan.Encode()
	dir, c := filepath.Dir(m.file.name()), commands{m.file.name()}
	return func() tea.Msg {
		for n := 1; ; n++ {
			path := filepath.Join(dir, "plan.json")
			if n > 1 {
				path = filepath.Join(dir, fmt.Sprintf("plan-%d.json", n))
			}
			f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if os.IsExist(err) && n < 1000 {
				continue
			}
			if err == nil {
				_, err = f.Write(data)
				if closed := f.Close(); err == nil {
					err = closed
				}
			}
			if err != nil {
				return noted(m.words("The plan is not saved: %s", err.Error()))
			}
			return noted(m.words("The plan is saved: %s", c.line("apply "+report.ShellWord(path))))
		}
	}
}

func (s *planScreen) render(m *model, width, height int) []string {
	lines := m.problemLines(s.staged, width)
	p := m.outcome.Plan
	if p == nil || s.whole == nil {
		if s.err == nil {
			lines = append([]string{m.styles.title.Render(m.words("Comparing what should be with what is"))}, lines...)
		}
		return lines
	}
	title := m.planned(p.Summary)
	if n := len(s.left); n > 0 {
		title += m.words("; %d left out", n)
	}
	lines = append([]string{m.styles.title.Render(title)}, append(lines, "")...)
	if len(s.whole.Changes) == 0 {
		return append(lines, m.words("Everything is as it should be. There is nothing to change."))
	}
	items := s.items(width, func() []item { return s.tree(m, width-gutter) })
	return append(lines, s.list.render(m, items, width, height-len(lines))...)
}

// tree is the plan, place by place.
func (s *planScreen) tree(m *model, width int) []item {
	var items []item
	var places []string
	for _, c := range s.whole.Changes {
		if !slices.Contains(places, c.Target) {
			places = append(places, c.Target)
		}
	}
	for _, place := range places {
		var inside []item
		var changes []change.Change
		for _, c := range s.whole.Changes {
			if c.Target == place {
				changes = append(changes, c)
				inside = append(inside, s.item(m, c, width-2))
			}
		}
		sign := "[-] "
		if s.folded[place] {
			sign = "[+] "
		}
		head := item{id: place, lines: []string{m.styles.title.Render(fit(sign+clean(place), width)) +
			m.styles.faint.Render("  "+m.planned(change.Count(changes)))}}
		items = append(items, head)
		for _, it := range inside {
			it.hidden = s.folded[place]
			items = append(items, it)
		}
	}
	return items
}

// item is one change, folded to its first line or whole.
func (s *planScreen) item(m *model, c change.Change, width int) item {
	diff := report.Diff{Changes: []report.Change{c.Diff()}}
	it := m.item(c.ID, width, diff)
	if s.folded[c.ID] {
		it.lines = it.lines[:1]
	} else {
		it.lines = append(it.lines, "")
	}
	why := ""
	switch {
	case s.without[c.ID]:
		why = m.words("left out")
	case slices.Contains(s.left, c.ID):
		i := slices.IndexFunc(c.Needs, func(id string) bool { return slices.Contains(s.left, id) })
		why = m.words("left out, because it needs %s", clean(c.Needs[i]))
	}
	if why != "" {
		it.lines = []string{m.styles.faint.Render(fit(it.lines[0], width)),
			"    " + m.styles.warn.Render(fit(why, width-4))}
	}
	it.lines = slices.Clone(it.lines)
	for i := range it.lines {
		it.lines[i] = "  " + it.lines[i]
	}
	it.detail = func(width int) []string {
		blocks := []report.Block{diff}
		if c.Command.Name != "" {
			blocks = append(blocks, report.Command{Label: msg.Of("runs"), Lines: commandLines(c)})
		}
		if len(c.Needs) > 0 {
			needs := msg.Plain(strings.Join(c.Needs, ", "))
			blocks = append(blocks, report.Paragraph{Label: msg.Of("needs"), Text: needs})
		}
		return m.blocks(width, blocks...)
	}
	return it
}

// commandLines are the commands of a change with their parameters.
func commandLines(c change.Change) []string {
	var lines []string
	for _, command := range c.Commands() {
		line := command.Name
		for _, name := range slices.Sorted(maps.Keys(command.Parameters)) {
			line += " -" + name + " " + change.Shown(command.Parameters[name]).String()
		}
		lines = append(lines, clean(line))
	}
	return lines
}

// planned is the summary of a plan.
func (m *model) planned(c change.Summary) string {
	if c.Create+c.Update+c.Replace+c.Delete == 0 {
		return m.words("No changes; %d unchanged", c.Unchanged)
	}
	var parts []string
	for _, p := range []struct {
		n    int
		text msg.Text
	}{{c.Create, msg.Of("%d to create", c.Create)}, {c.Update, msg.Of("%d to update", c.Update)},
		{c.Replace, msg.Of("%d to replace", c.Replace)}, {c.Delete, msg.Of("%d to delete", c.Delete)},
		{c.Unchanged, msg.Of("%d unchanged", c.Unchanged)}} {
		if p.n > 0 {
			parts = append(parts, m.in(p.text))
		}
	}
	return strings.Join(parts, m.words(", "))
}
