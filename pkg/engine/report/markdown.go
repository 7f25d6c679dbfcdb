package report

import (
	"io"
	"regexp"
	"strings"
	"sync"

	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
)

var _ = register(Format{
	Name: "markdown", About: "for wikis, tickets and pull requests", Needs: Documents, Single: true,
	Open: func(w io.Writer, o Options) Writer {
		o.Style.Color, o.Style.Width = false, 0
		return &markdownWriter{w: w, style: o.Style}
	},
})

// markdownWriter writes Markdown as GitHub, GitLab and most wikis read it. No text from a server
// can become markup.
//
// Findings fit a ticket: what passed and what was skipped takes a line each, and a report that is
// still too long loses details, the least important first.
type markdownWriter struct {
	w     io.Writer
	style Style
	b     strings.Builder
	short shortening
}

// ticket is how many bytes the description of a ticket holds, with the least generous of the common
// systems.
const ticket = 32_000

// shortening is what the findings of a long report are shown without.
type shortening int

const (
	whole     shortening = iota
	headsOnly            // details only of what failed or is unknown
	cutOff               // and nothing beyond the size of a ticket
)

func (m *markdownWriter) Write(d Document) error {
	v := d.View()
	for m.short = whole; m.short <= cutOff; m.short++ {
		m.b.Reset()
		m.view(v, 1)
		if m.b.Len() <= ticket {
			break
		}
	}
	_, err := io.WriteString(m.w, strings.TrimRight(m.b.String(), "\n")+"\n")
	return err
}

func (*markdownWriter) Fail(Failure) error { return nil }
func (*markdownWriter) End(int) error      { return nil }

var (
	markup = strings.NewReplacer(`\`, `\\`, "`", "\\`", `*`, `\*`, `_`, `\_`, `[`, `\[`, `]`, `\]`,
		`<`, `&lt;`, `&`, `&amp;`, `|`, `\|`, `~`, `\~`, `#`, `\#`, `$`, `\$`)
	atStart = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^(\d*)([>+=.)-])`)
	}) // a quotation, an item of a list, the rule under a heading
)

// text is a text on one line, without a character that Markdown would act on.
func (m *markdownWriter) text(t msg.Text) string {
	return atStart().ReplaceAllString(markup.Replace(line(m.style.say(t))), `$1\$2`)
}

// code is a code span, which no table holds: a bar would end its cell.
func code(s string) string {
	s = line(s)
	fence := strings.Repeat("`", longestRun(s)+1)
	if strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") {
		s = " " + s + " "
	}
	if s == "" {
		return ""
	}
	return fence + s + fence
}

// longestRun is the length of the longest run of backticks.
func longestRun(s string) int {
	longest, run := 0, 0
	for _, r := range s {
		if run++; r != '`' {
			run = 0
		}
		longest = max(longest, run)
	}
	return longest
}

func (m *markdownWriter) put(parts ...string) {
	for _, part := range parts {
		m.b.WriteString(part)
	}
	m.b.WriteString("\n")
}

func (m *markdownWriter) view(v View, level int) {
	if !v.Title.IsZero() {
		m.put(strings.Repeat("#", level), " ", m.text(v.Title), "\n")
	}
	if !v.Summary.Lead.IsZero() {
		parts := make([]string, len(v.Summary.Counts))
		for i, c := range v.Summary.Counts {
			if parts[i] = m.text(c.Text); c.Tone != Plain {
				parts[i] = "**" + parts[i] + "**"
			}
		}
		m.put(m.text(v.Summary.Lead), " ", strings.Join(parts, ", "), ".\n")
		for _, note := range v.Summary.Notes {
			m.detail("", note)
			m.put()
		}
	}
	var listed []Finding
	leftOut := 0
	blocks := withoutPictures(v.Blocks)
	for i, b := range blocks {
		if f, ok := b.(Finding); ok {
			switch {
			case f.Action.IsZero() && (f.Status == Pass || f.Status == Skip):
				listed = append(listed, f)
			case m.short == cutOff && m.b.Len() > ticket*3/4: // the lists below need room too
				leftOut++
			default:
				m.finding(f)
			}
			continue
		}
		if i > 0 && apart(blocks[i-1], b) {
			m.put()
		}
		m.block(b, level)
	}
	if leftOut > 0 {
		m.put("- ", m.text(msg.Count(leftOut, "%s more finding does not fit a ticket: see the report in another format",
			"%s more findings do not fit a ticket: see the report in another format")))
	}
	m.listed(listed)
}

// listed writes the findings without an action for the reader: one line for all that passed, and
// one per reason for what was skipped.
func (m *markdownWriter) listed(findings []Finding) {
	for _, g := range gather(findings, func(f Finding) string {
		if f.Status == Skip {
			return "- " + m.word(f.Status) + " " + m.text(f.Summary)
		}
		return "- " + m.word(f.Status)
	}) {
		parts := make([]string, 0, len(g.ids))
		for _, id := range g.ids {
			part := code(id)
			if where := strings.Join(g.places[id], ", "); where != "" && m.short < cutOff {
				part += " (" + m.text(msg.Plain(where)) + ")"
			}
			parts = append(parts, part)
		}
		most := len(parts)
		if m.short == cutOff {
			most = min(most, 40)
		}
		more := ""
		if most < len(parts) {
			more = " " + m.text(msg.Of("and %s more", msg.Number(len(parts)-most)))
		}
		m.put(g.lead, ": ", strings.Join(parts[:most], ", "), more)
	}
}

func (m *markdownWriter) block(b Block, level int) {
	switch b := b.(type) {
	case Section:
		if !b.Heading.IsZero() {
			b.View.Title = b.Heading
		}
		m.view(b.View, level+1)
		m.put()
	case Finding:
		m.finding(b)
	case Diff:
		for i, c := range b.Changes {
			if i > 0 {
				m.put()
			}
			m.change(c, level+1)
		}
	case Matrix:
		m.matrix(b)
	case Table:
		rows := make([][]string, len(b.Rows))
		for i, row := range b.Rows {
			for _, cell := range row {
				rows[i] = append(rows[i], m.text(cell))
			}
		}
		m.table(b.Columns, rows)
	case Path, Paragraph, Command:
		m.detail("", b)
	case Source:
		m.fenced(b.Language, strings.TrimRight(Sanitize(b.Text), "\n"))
	}
}

func (m *markdownWriter) word(s Status) string { return "**" + m.text(s.look().word) + "**" }

func (m *markdownWriter) finding(f Finding) {
	head := "- " + m.word(f.Status)
	if !f.Action.IsZero() {
		head += " " + m.text(f.Action)
	}
	head += " " + code(f.ID)
	if f.Place != "" {
		head += " (" + m.text(msg.Plain(f.Place)) + ")"
	}
	if s := m.text(f.Summary); s != "" {
		head += ": " + s
	}
	m.put(head)
	if f.Status != Pass && (m.short == whole || f.Status == Fail || f.Status == Error || f.Status == Unknown) {
		for _, d := range f.Details {
			m.detail("  ", d)
		}
	}
}

// detail is an item of a list, or, without an indent, a paragraph.
func (m *markdownWriter) detail(indent string, b Block) {
	lead := ""
	if l := m.text(labelOf(b)); l != "" {
		lead = l + ": "
	}
	item := indent
	if indent != "" {
		item += "- "
	}
	switch b := b.(type) {
	case Paragraph:
		m.put(item, lead, m.text(b.Text))
	case Path:
		hops := make([]string, len(b.Hops))
		for i, hop := range b.texts() {
			hops[i] = m.text(hop)
		}
		m.put(item, lead, strings.Join(hops, " → "))
	case Command:
		for _, command := range b.Lines {
			m.put(item, lead, code(command))
			lead = ""
		}
	}
}

// change is a heading, the reasons, and the properties as a diff.
func (m *markdownWriter) change(c Change, level int) {
	symbol, _ := c.Action.Symbol()
	head := strings.Repeat("#", level) + " " + markup.Replace(symbol) + " " + code(c.ID)
	if c.Name != "" && !strings.HasSuffix(c.ID, "/"+c.Name) {
		head += " " + m.text(msg.Plain(c.Name))
	}
	m.put(head, "\n")
	for _, d := range c.Details {
		m.detail("", d)
		m.put()
	}
	if len(c.Properties) == 0 {
		return
	}
	var diff []string
	row := func(sign, name string, value msg.Text) {
		diff = append(diff, sign+" "+line(name)+": "+line(m.style.say(value)))
	}
	for _, p := range c.Properties {
		switch {
		case p.List():
			diff = append(diff, "  "+line(p.Name)+":")
			for _, e := range p.Gone {
				diff = append(diff, "-   "+line(m.style.say(e)))
			}
			for _, e := range p.Come {
				diff = append(diff, "+   "+line(m.style.say(e)))
			}
			if p.Kept > 0 {
				diff = append(diff, "    "+m.style.say(msg.Of("%d kept", p.Kept)))
			}
		case p.Sign == Changed:
			row("-", p.Name, p.Before)
			row("+", p.Name, p.After)
		case p.Sign == Removed:
			row("-", p.Name, p.Before)
		default:
			row("+", p.Name, p.After)
		}
	}
	m.fenced("diff", strings.Join(diff, "\n"))
}

// fenced is a block of code, behind a fence that the text cannot close.
func (m *markdownWriter) fenced(language, text string) {
	fence := strings.Repeat("`", max(3, longestRun(text)+1))
	m.put(fence, language)
	m.put(text)
	m.put(fence)
}

func (m *markdownWriter) matrix(x Matrix) {
	columns := []msg.Text{msg.Of("status"), msg.Of("direction"), msg.Of("lookup"), msg.Of("by"), msg.Of("time")}
	if x.Before != nil {
		columns = []msg.Text{msg.Of("before"), msg.Of("after"), msg.Of("direction"), msg.Of("lookup"), msg.Of("by")}
	}
	var rows [][]string
	status := func(s Status) string {
		if s == "" {
			return "-"
		}
		return m.word(s)
	}
	plain := func(s string) string { return m.text(msg.Plain(s)) }
	if x.Before != nil {
		for _, group := range pairs(x) {
			for _, l := range group {
				rows = append(rows, []string{
					status(l.before), status(l.after), plain(l.Direction), m.text(l.Question()), plain(l.Probe),
				})
			}
		}
		m.table(columns, rows)
		return
	}
	for _, l := range x.Lookups {
		rows = append(rows, []string{
			status(l.Status), plain(l.Direction), m.text(l.Question()), plain(l.Probe), plain(duration(l.Took)),
		})
	}
	m.table(columns, rows)
	first := true
	for _, l := range x.Lookups {
		if len(l.Details) == 0 {
			continue
		}
		if first {
			m.put()
			first = false
		}
		m.put("- ", m.word(l.Status), " ", m.text(l.Question()), ", ", m.text(msg.Of("by %s", l.Probe)))
		for _, d := range l.Details {
			m.detail("  ", d)
		}
	}
}

func (m *markdownWriter) table(columns []msg.Text, rows [][]string) {
	head := make([]string, len(columns))
	for i, c := range columns {
		head[i] = m.text(c)
	}
	m.put("| ", strings.Join(head, " | "), " |")
	m.put("|", strings.Repeat(" --- |", len(columns)))
	for _, row := range rows {
		m.put("| ", strings.Join(row, " | "), " |")
	}
}
