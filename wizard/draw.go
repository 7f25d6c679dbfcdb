package wizard

import (
	"slices"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"github.com/hybridge-cli/hybridge/pkg/config/sorting"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
)

// blocks renders blocks of a document into lines of a width.
func (m *model) blocks(width int, blocks ...report.Block) []string {
	return m.style(width).Blocks(blocks...)
}

// text breaks a text into lines of a width.
func (m *model) text(width int, text string) []string {
	return m.labelled(width, "", report.Plain, text)
}

// labelled breaks a text into lines behind a label.
func (m *model) labelled(width int, label string, tone report.Tone, text string) []string {
	return m.blocks(width, report.Paragraph{Label: msg.Plain(label), Text: msg.Plain(text), Tone: tone})
}

// most is how many lines of an item a list shows. The rest is in its pane.
const most = 14

// item makes an entry of a list from a block.
func (m *model) item(id string, width int, b report.Block) item {
	render := func(width int) []string {
		lines := m.blocks(width, b)
		if slices.ContainsFunc(lines, func(l string) bool { return l != "" && !strings.HasPrefix(l, "  ") }) {
			return lines
		}
		for i := range lines { // the list adds its own margin
			lines[i] = strings.TrimPrefix(lines[i], "  ")
		}
		return lines
	}
	it := item{id: id, lines: render(width), detail: render}
	it.search = ansi.Strip(strings.Join(it.lines, " "))
	if n := len(it.lines); n > most {
		it.lines = append(it.lines[:most-1:most-1],
			m.styles.faint.Render("      "+m.words("(%d lines more; space shows them)", n-most+1)))
	}
	return it
}

// problemLines shows what went wrong with a stage as a whole.
func (m *model) problemLines(s staged, width int) []string {
	var lines []string
	for _, w := range s.warnings {
		lines = append(lines, m.labelled(width, m.words("warning:"), report.Caution, w)...)
	}
	if s.err != nil {
		lines = append(lines, m.labelled(width, m.words("error:"), report.Bad, s.err.Error())...)
		if hint := m.options.Hint(s.err); hint != "" {
			lines = append(lines, m.labelled(width, m.words("hint:"), report.Plain, hint)...)
		}
	}
	return lines
}

// grid is who sees whom: places by places.
func grid(all []deployment.Answer) report.Table {
	type cell struct{ ok, total, unknown int }
	cells := map[[2]string]*cell{}
	var places []string
	for _, a := range all {
		from, to, found := strings.Cut(a.Direction, " -> ")
		if !found {
			continue
		}
		for _, p := range []string{from, to} {
			if !slices.Contains(places, p) {
				places = append(places, p)
			}
		}
		c := cells[[2]string{from, to}]
		if c == nil {
			c = &cell{}
			cells[[2]string{from, to}] = c
		}
		c.total++
		switch a.Status {
		case deployment.OK:
			c.ok++
		case deployment.Unknown:
			c.unknown++
		}
	}
	sorting.Func(places, func(a, b string) int { // clouds last
		if (a == "online") != (b == "online") {
			if a == "online" {
				return 1
			}
			return -1
		}
		return strings.Compare(a, b)
	})
	t := report.Table{Grid: true, Columns: []msg.Text{msg.Of(`asks \ about`)}}
	for _, from := range places {
		t.Columns = append(t.Columns, msg.Plain(from))
		row := []msg.Text{msg.Plain(from)}
		for _, to := range places {
			switch c := cells[[2]string{from, to}]; {
			case c == nil:
				row = append(row, msg.Plain("-"))
			case c.ok == c.total:
				row = append(row, msg.Of("ok %d/%d", c.ok, c.total))
			case c.ok+c.unknown == c.total:
				row = append(row, msg.Of("unknown %d/%d", c.ok, c.total))
			default:
				row = append(row, msg.Of("FAILED %d/%d", c.ok, c.total))
			}
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}
