package report

import (
	"io"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
)

var _ = register(Format{
	Name: "text", About: "for people",
	Open: func(w io.Writer, o Options) Writer {
		o.Style.brief = true
		return textWriter{NewText(w, o.Style)}
	},
})

// textWriter leaves failures to standard error, where people look.
type textWriter struct{ *Text }

func (t textWriter) Write(d Document) error { t.View(d.View()); return t.Err() }
func (textWriter) Fail(Failure) error       { return nil }
func (textWriter) End(int) error            { return nil }

// Text writes blocks for people. The first error of the writer is kept.
type Text struct {
	w     io.Writer
	style Style
	err   error
}

// NewText makes a Text on w.
func NewText(w io.Writer, s Style) *Text { return &Text{w: w, style: s} }

// Err is the first error of the writer.
func (t *Text) Err() error { return t.err }

// View writes a View.
func (t *Text) View(v View) { t.write(t.style.View(v)) }

// Blocks writes blocks.
func (t *Text) Blocks(blocks ...Block) { t.write(t.style.Blocks(blocks...)) }

func (t *Text) write(lines []string) {
	if t.err == nil && len(lines) > 0 {
		_, t.err = io.WriteString(t.w, strings.Join(lines, "\n")+"\n")
	}
}

func (p *page) view(v View) {
	p.blocks(v.Blocks)
	if v.Summary.Lead.IsZero() {
		return
	}
	if len(withoutPictures(v.Blocks)) > 0 {
		p.add("")
	}
	p.summary(v.Summary)
}

func (p *page) blocks(blocks []Block) {
	blocks = p.crowds(withoutPictures(blocks))
	for i, b := range blocks {
		if i > 0 && apart(blocks[i-1], b) {
			p.add("")
		}
		p.block(b)
	}
}

// crowds puts one block in the place of findings that are skipped for one reason. A few stay.
func (p *page) crowds(blocks []Block) []Block {
	const few = 3
	var aside []Finding
	for _, b := range blocks {
		if f, finding := b.(Finding); finding && f.Aside {
			aside = append(aside, f)
		}
	}
	reason := func(f Finding) string { return p.say(f.Summary) }
	crowds := map[string]*group{}
	for _, g := range gather(aside, reason) {
		if len(g.findings) > few {
			crowds[g.lead] = g
		}
	}
	var out []Block
	for _, b := range blocks {
		if f, finding := b.(Finding); finding && f.Aside && crowds[reason(f)] != nil {
			g := crowds[reason(f)]
			if g.placed {
				continue
			}
			g.placed = true
			b = g
		}
		out = append(out, b)
	}
	return out
}

// apart reports whether an empty line stands between two blocks. Sections bring their own.
func apart(before, b Block) bool {
	if _, section := b.(Section); section {
		return false
	}
	return !listed(before) || !listed(b)
}

func listed(b Block) bool {
	switch b.(type) {
	case Finding, *group:
		return true
	}
	return false
}

func (p *page) block(b Block) {
	switch b := b.(type) {
	case Section:
		if !b.Heading.IsZero() {
			p.add("")
			p.add("== " + line(p.say(b.Heading)))
			p.add("")
		}
		p.view(b.View)
	case Finding:
		p.finding(b)
	case *group:
		p.group(b)
	case Diff:
		p.diff(b)
	case Matrix:
		if b.Before != nil {
			p.beforeAfter(b)
		} else {
			p.matrix(b)
		}
	case Table:
		p.table(b)
	case Path, Paragraph, Command:
		p.detail(0, 0, b)
	case Source:
		for source := range strings.Lines(b.Text) {
			p.lines = append(p.lines, strings.TrimSuffix(Sanitize(source), "\n"))
		}
	}
}

// details writes the blocks below something, their texts behind labels that are as wide as the
// widest and at least as wide as columns.
func (p *page) details(indent, columns int, blocks []Block) {
	for _, b := range blocks {
		columns = max(columns, cells.StringWidth(line(p.say(labelOf(b)))))
	}
	for _, b := range blocks {
		p.detail(indent, columns, b)
	}
}

func labelOf(b Block) msg.Text {
	switch b := b.(type) {
	case Path:
		return b.Label
	case Paragraph:
		return b.Label
	case Command:
		return b.Label
	}
	return msg.Text{}
}

func (p *page) detail(indent, columns int, b Block) {
	name := line(p.say(labelOf(b)))
	if name != "" {
		name = pad(name, columns)
	}
	l := p.label(name, Faint)
	switch b := b.(type) {
	case Path:
		p.text(indent, l, Plain, p.say(b.text()))
	case Paragraph:
		p.text(indent, l, b.Tone, p.say(b.Text))
	case Command:
		if name == "" && columns > 0 {
			l = p.label(strings.Repeat(" ", columns), Faint)
		}
		for i, command := range b.Lines {
			if i == 1 {
				l = p.label(strings.Repeat(" ", columns), Faint)
			}
			// A command is never wrapped: it is there to be copied.
			p.add(strings.Repeat(" ", indent) + l.painted + p.paint(Literal, line(command)))
		}
	}
}

func (p *page) summary(s Summary) {
	parts := make([]string, len(s.Counts))
	for i, c := range s.Counts {
		parts[i] = p.paint(c.Tone, Sanitize(p.say(c.Text)))
	}
	p.add(p.say(msg.Of("%s %s.", Sanitize(p.say(s.Lead)), strings.Join(parts, p.say(msg.Of(", "))))))
	p.details(0, 0, s.Notes)
}

// word is a status as a word that is at least four columns wide.
func (p *page) word(s Status) string { return p.paint(s.look().tone, pad(p.say(s.look().word), 4)) }

func (p *page) finding(f Finding) {
	const indent = 8
	head := "  " + p.word(f.Status) + "  "
	room := p.Width - 2 - max(4, cells.StringWidth(p.say(f.Status.look().word))) - 2
	put := func(t Tone, text string) {
		head += p.paint(t, text)
		room -= cells.StringWidth(text)
	}
	if !f.Action.IsZero() {
		put(Plain, line(p.say(f.Action))+" ")
	}
	took := ""
	if !f.Action.IsZero() && f.Took > 0 {
		took = duration(f.Took)
	}
	// An id is copied whole: where the line is too short for it, it stands on the next. The wizard,
	// which has its own colors, cuts the lines of its lists.
	short := cells.StringWidth(line(f.ID))+2+len(took) > room
	if short && p.cut && p.Paint == nil && took != "" && f.Place == "" {
		p.add(head + p.paint(Faint, took))
		head, took = strings.Repeat(" ", indent), ""
	}
	put(Strong, line(f.ID))
	if f.Place != "" {
		put(Plain, "  "+line(f.Place))
	}
	if took != "" {
		put(Plain, "  ")
		put(Faint, took)
	}
	summary := p.say(f.Summary)
	if f.Status == Pass {
		// What was seen, as far as the line goes.
		switch room -= 2; {
		case summary == "":
		case !p.cut:
			head += "  " + p.paint(Faint, line(summary))
		case room >= 20:
			head += "  " + p.paint(Faint, cells.Truncate(line(summary), room, ".."))
		}
		p.add(head)
		return
	}
	p.add(head)
	if summary != "" {
		p.text(indent, label{}, Plain, summary)
	}
	p.details(indent, 3, f.Details)
}

// group writes how many findings have one reason, where, and what it is. A person at a terminal reads
// how to see each of them. A file has their ids, for a search.
func (p *page) group(g *group) {
	const indent = 8
	var places []string
	for _, f := range g.findings {
		if place := line(f.Place); !slices.Contains(places, place) {
			places = append(places, place)
		}
	}
	word := p.say(g.findings[0].Status.look().word)
	many := p.say(msg.Of("%s checks", msg.Number(len(g.findings))))
	lead := label{"  " + p.paint(g.findings[0].Status.look().tone, pad(word, 4)) + "  " + p.paint(Strong, many) + "  ",
		6 + max(0, cells.StringWidth(word)-4) + cells.StringWidth(many) + 2}
	p.text(0, lead, Plain, strings.Join(places, ", "))
	p.text(indent, label{}, Plain, g.lead)
	if p.brief && p.cut {
		p.text(indent, label{}, Faint, p.say(msg.Of("the same command with -o markdown lists them")))
		return
	}
	parts := make([]string, len(g.ids))
	for i, id := range g.ids {
		parts[i] = line(id)
		if len(g.places[id]) < len(places) {
			parts[i] += " (" + line(strings.Join(g.places[id], ", ")) + ")"
		}
	}
	for _, ids := range breakLines(strings.Join(parts, ", "), p.Width-indent, atSpaces) {
		p.add(strings.Repeat(" ", indent) + ids)
	}
}

// diff writes changes with a legend of the symbols that occur.
func (p *page) diff(d Diff) {
	legend := line(p.say(d.Intro))
	for _, a := range actions {
		if slices.ContainsFunc(d.Changes, func(c Change) bool { return c.Action == a.action }) {
			legend += "  " + p.paint(a.tone, a.symbol) + " " + p.say(a.word)
		}
	}
	if !d.Intro.IsZero() {
		p.add(legend)
	}
	for i, c := range d.Changes {
		if i > 0 || !d.Intro.IsZero() {
			p.add("")
		}
		p.change(c)
	}
}

func (p *page) change(c Change) {
	const indent = 6
	symbol, tone := c.Action.Symbol()
	head := "  " + p.paint(tone, symbol) + " " + p.paint(Strong, line(c.ID))
	if c.Name != "" && !strings.HasSuffix(c.ID, "/"+c.Name) {
		name := `"` + line(c.Name) + `"`
		if p.cut && 2+len(symbol)+1+cells.StringWidth(line(c.ID))+2+cells.StringWidth(name) > p.Width {
			p.add(head)
			head = strings.Repeat(" ", indent) + name
		} else {
			head += "  " + name
		}
	}
	p.add(head)
	p.details(indent, 4, c.Details)
	for _, property := range c.Properties {
		p.property(indent, property)
	}
}

// property writes a name and its value: beside it, or below it when that takes more than a line. It
// does not break text that a person copies (a URL, an id).
func (p *page) property(indent int, c Property) {
	margin := strings.Repeat(" ", indent)
	head := margin + p.paint(c.Sign.tone(), string(c.Sign)) + " " + line(c.Name)
	if c.List() {
		p.add(head)
		for _, element := range c.Gone {
			p.text(indent+4, p.label("-", Bad), Plain, p.say(element))
		}
		for _, element := range c.Come {
			p.text(indent+4, p.label("+", Good), Plain, p.say(element))
		}
		if c.Kept > 0 {
			p.add(margin + "    " + p.paint(Faint, "  "+p.say(msg.Of("%d kept", c.Kept))))
		}
		return
	}
	value := strings.ReplaceAll(Sanitize(p.value(c)), "\n", " ")
	if indent+2+cells.StringWidth(line(c.Name))+2+cells.StringWidth(value) <= p.Width {
		p.add(head + "  " + value)
		return
	}
	p.add(head)
	for _, line := range breakLines(value, p.Width-indent-4, atSpaces) {
		p.add(margin + "    " + line)
	}
}

func (p *page) value(c Property) string {
	switch c.Sign {
	case Added:
		return p.say(c.After)
	case Removed:
		return p.say(c.Before)
	}
	return p.say(c.Before) + " " + p.arrow() + " " + p.say(c.After)
}

// matrix writes who sees whom: by direction and question, one line per way of asking, and what
// stands in the way where that failed.
func (p *page) matrix(m Matrix) {
	const indent = 8
	wide := 0
	for _, l := range m.Lookups {
		wide = max(wide, cells.StringWidth(p.by(l)))
	}
	for i, lookups := range questions(m.Lookups) {
		if i > 0 {
			p.add("")
		}
		p.question(lookups[0])
		for _, l := range lookups {
			took := duration(l.Took)
			took = strings.Repeat(" ", max(0, 7-cells.StringWidth(took))) + took
			p.add("  " + p.word(l.Status) + "  " + pad(p.by(l), wide) + "  " + p.paint(Faint, took))
			p.details(indent, 3, l.Details)
		}
	}
}

func (p *page) by(l Lookup) string { return line(p.say(msg.Of("by %s", l.Probe))) }

func (p *page) question(l Lookup) {
	p.text(0, p.label(p.direction(l.Direction), Strong), Plain, p.say(l.Question()))
}

// Question is what a lookup asks.
func (l Lookup) Question() msg.Text {
	if l.Message {
		return msg.Of("%s writes to %s", l.From, l.To)
	}
	return msg.Of("%s sees %s", l.From, l.To)
}

// questions gives the lookups of each question (who, whom, which way), in the order in which they
// come.
func questions(lookups []Lookup) [][]Lookup {
	type question struct{ direction, from, to string }
	at := map[question]int{}
	var all [][]Lookup
	for _, l := range lookups {
		q := question{l.Direction, l.From, l.To}
		i, known := at[q]
		if !known {
			i = len(all)
			at[q] = i
			all = append(all, nil)
		}
		all[i] = append(all[i], l)
	}
	return all
}

// pair is how one lookup ended before and after; "" where it was not asked.
type pair struct {
	Lookup
	before, after Status
}

// pairs gives the lookups of both matrices, by question.
func pairs(m Matrix) [][]pair {
	type key struct{ direction, from, to, probe string }
	of := func(l Lookup) key { return key{l.Direction, l.From, l.To, l.Probe} }
	before, after := map[key]Status{}, map[key]Status{}
	var rows []Lookup
	for _, l := range m.Before {
		if _, seen := before[of(l)]; !seen {
			rows = append(rows, l)
		}
		before[of(l)] = l.Status
	}
	for _, l := range m.Lookups {
		_, asked := before[of(l)]
		if _, seen := after[of(l)]; !seen && !asked {
			rows = append(rows, l)
		}
		after[of(l)] = l.Status
	}
	var all [][]pair
	for _, lookups := range questions(rows) {
		var group []pair
		for _, l := range lookups {
			group = append(group, pair{l, before[of(l)], after[of(l)]})
		}
		all = append(all, group)
	}
	return all
}

// beforeAfter writes two matrices of the same questions beside each other.
func (p *page) beforeAfter(m Matrix) {
	first, second := p.say(msg.Of("before")), p.say(msg.Of("after"))
	cell := func(s Status, width int) string {
		if s == "" {
			return pad("-", width)
		}
		return p.word(s) + strings.Repeat(" ", max(0, width-max(4, cells.StringWidth(p.say(s.look().word)))))
	}
	p.add("  " + p.paint(Faint, first+"  "+second))
	for _, group := range pairs(m) {
		p.question(group[0].Lookup)
		for _, l := range group {
			before := cell(l.before, cells.StringWidth(first))
			after := cell(l.after, max(6, cells.StringWidth(second)))
			p.add("  " + before + "  " + after + "  " + p.by(l.Lookup))
		}
	}
}

func (p *page) records(columns []msg.Text, rows [][]string) {
	wide := 0
	for _, c := range columns[1:] {
		wide = max(wide, cells.StringWidth(line(p.say(c))))
	}
	for i, row := range rows {
		if i > 0 {
			p.add("")
		}
		p.text(0, label{}, Strong, row[0])
		for j, c := range row[1:] {
			if c != "" && c != "-" && c != "0" {
				p.text(2, p.label(pad(line(p.say(columns[j+1])), wide), Faint), Plain, c)
			}
		}
	}
}

// table writes columns as wide as their widest cell. Where the terminal is narrower, each row becomes
// lines of its own: the first cell, and below it what the others hold, if anything.
func (p *page) table(t Table) {
	rows := [][]string{}
	head := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		head[i] = strings.ToUpper(line(p.say(c)))
	}
	rows = append(rows, head)
	for _, row := range t.Rows {
		cells := make([]string, len(row))
		for i, c := range row {
			cells[i] = line(p.say(c))
		}
		rows = append(rows, cells)
	}
	widths := make([]int, len(t.Columns))
	for _, row := range rows {
		for i, c := range row[:min(len(row), len(widths))] {
			widths[i] = max(widths[i], cells.StringWidth(c))
		}
	}
	total := -2
	for _, w := range widths {
		total += w + 2
	}
	if p.cut && !t.Grid && total > p.Width && len(widths) > 1 {
		p.records(t.Columns, rows[1:])
		return
	}
	for _, row := range rows {
		text := ""
		for i, c := range row[:min(len(row), len(widths))] {
			text += pad(c, widths[i]) + "  "
		}
		p.add(text)
	}
}
