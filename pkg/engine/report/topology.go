package report

import (
	"fmt"
	"html"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
)

// Topology is a picture of systems and of the ways between them. A format that cannot draw leaves
// it out.
type Topology struct {
	Systems []System
	Ways    []Way
}

// System is a box of a Topology, with its parts as lines.
type System struct {
	ID   string // for Ways
	Kind msg.Text
	Name string
	// Cloud systems stand beside the others: the first to their right, the second to their left.
	Cloud bool
	Parts []Part
}

// Part is a line of a System: a server, a name, a certificate.
type Part struct {
	Kind  msg.Text
	Name  string
	Note  msg.Text
	State State
}

// Way leads from one system to another.
type Way struct {
	From, To string // ids of systems, one of them a cloud
	Kind     msg.Text
	Via      string
	State    State
}

// State is what the findings say about a part or a way.
type State struct {
	Status Status // empty: not looked at
	// ID and Place are those of the Finding that decides.
	ID, Place string
}

func (Topology) block() {}

// withoutPictures returns the blocks that can be written as text.
func withoutPictures(blocks []Block) []Block {
	var out []Block
	for _, b := range blocks {
		if _, picture := b.(Topology); !picture {
			out = append(out, b)
		}
	}
	return out
}

// drawing is a picture in SVG. All colors are classes, which the page's style sheet defines.
type drawing struct {
	style Style
	b     strings.Builder
}

// Sizes of a picture.
const (
	boxHead    = 44 // the first line of a box
	lineHeight = 24
	wayHeight  = 34
	boxGap     = 18
	letter     = 7.3 // the width of a letter on average, in the widest of the fonts
)

// wide draws the systems in columns: on-premises ones between the clouds. Every way is a level
// line.
func (t Topology) wide(s Style) string {
	const box, gap, margin = 370, 270, 6
	d := &drawing{style: s}
	right, left, middle := t.columns()
	x := margin
	if left != nil {
		x += box + gap
	}
	y := margin
	for _, system := range middle {
		height := t.height(system)
		d.box(x, y, box, height, system)
		lanes := map[string]int{}
		for _, w := range t.Ways {
			other, out := w.To, true
			if w.To == system.ID {
				other, out = w.From, false
			} else if w.From != system.ID {
				continue
			}
			at := y + boxHead/2 + wayHeight*lanes[other] + 14
			lanes[other]++
			switch {
			case right != nil && other == right.ID:
				d.way(x+box, x+box+gap, at, out, w)
			case left != nil && other == left.ID:
				d.way(x-gap, x, at, !out, w)
			}
		}
		y += height + boxGap
	}
	height := y - boxGap
	width := x + box + margin
	if right != nil {
		height = max(height, margin+t.height(*right))
		d.box(x+box+gap, margin, box, height-margin, *right)
		width += box + gap
	}
	if left != nil {
		height = max(height, margin+t.height(*left))
		d.box(margin, margin, box, height-margin, *left)
	}
	return d.svg("wide", width, height+margin)
}

// narrow draws the clouds above the other systems. A trunk leads down from each cloud. The ways of
// a system branch off above it.
func (t Topology) narrow(s Style) string {
	const width, margin, trunkGap = 360, 4, 12
	d := &drawing{style: s}
	right, left, middle := t.columns()
	y := margin
	trunks, begin := map[string]int{}, map[string]int{}
	for i, cloud := range []*System{right, left} {
		if cloud == nil {
			continue
		}
		height := boxHead + lineHeight*len(cloud.Parts) + 8
		d.box(margin, y, width-2*margin, height, *cloud)
		y += height
		trunks[cloud.ID], begin[cloud.ID] = margin+8+i*trunkGap, y
		y += boxGap
	}
	for _, system := range middle {
		for _, w := range t.Ways {
			other, out := w.To, true
			if w.To == system.ID {
				other, out = w.From, false
			} else if w.From != system.ID {
				continue
			}
			if trunk, known := trunks[other]; known {
				y += wayHeight - 8
				d.way(trunk, width-margin, y, !out, w)
				d.line("trunk", trunk, begin[other], trunk, y)
				begin[other] = y
			}
		}
		y += boxGap
		height := boxHead + lineHeight*len(system.Parts) + 8
		d.box(margin+30, y, width-2*margin-30, height, system)
		y += height + boxGap
	}
	return d.svg("narrow", width, y)
}

// columns are the clouds at both sides, and what is between them.
func (t Topology) columns() (right, left *System, middle []System) {
	for i, s := range t.Systems {
		switch {
		case !s.Cloud:
			middle = append(middle, s)
		case right == nil:
			right = &t.Systems[i]
		case left == nil:
			left = &t.Systems[i]
		}
	}
	return right, left, middle
}

// height is what a system needs for its parts and its ways to either side.
func (t Topology) height(s System) int {
	ways := map[string]int{}
	most := 0
	for _, w := range t.Ways {
		if w.From == s.ID || w.To == s.ID {
			ways[w.From+"\x00"+w.To]++
		}
	}
	if !s.Cloud {
		sides := map[string]int{}
		for key, n := range ways {
			from, to, _ := strings.Cut(key, "\x00")
			if from == s.ID {
				from = to
			}
			sides[from] += n
			most = max(most, sides[from])
		}
	}
	return max(boxHead+lineHeight*len(s.Parts)+8, boxHead+wayHeight*most)
}

func (d *drawing) svg(class string, width, height int) string {
	return fmt.Sprintf("<svg class=\"%s\" viewBox=\"0 0 %d %d\" xmlns=\"http://www.w3.org/2000/svg\" role=\"group\">\n"+
		"%s</svg>\n", class, width, height, d.b.String())
}

func (d *drawing) put(format string, args ...any) { fmt.Fprintf(&d.b, format+"\n", args...) }

func (d *drawing) line(class string, x1, y1, x2, y2 int) {
	d.put(`<line class="%s" x1="%d" y1="%d" x2="%d" y2="%d"/>`, class, x1, y1, x2, y2)
}

func (d *drawing) box(x, y, width, height int, s System) {
	class := "box"
	if s.Cloud {
		class += " cloud"
	}
	d.put(`<rect class="%s" x="%d" y="%d" width="%d" height="%d" rx="6"/>`, class, x, y, width, height)
	kind := line(d.style.say(s.Kind))
	name := fit(line(s.Name), width-30-int(float64(cells.StringWidth(kind))*letter))
	d.put(`<text class="name" x="%d" y="%d">%s<tspan class="kind" dx="8">%s</tspan></text>`, x+12, y+26,
		html.EscapeString(name), html.EscapeString(kind))
	at := y + boxHead
	for _, p := range s.Parts {
		at += lineHeight
		d.part(x, at-8, width, p)
	}
}

// part is a line of a box. What does not fit is in the title, which a pointer shows.
func (d *drawing) part(x, y, width int, p Part) {
	kind, name, note := line(d.style.say(p.Kind)), line(p.Name), line(d.style.say(p.Note))
	const text = 126 // where the name begins
	name = fit(name, width-text-8)
	rest := width - text - 8 - int(float64(cells.StringWidth(name)+1)*letter)
	d.link(p.State, strings.TrimSpace(kind+" "+line(p.Name)+" "+note), func() {
		d.mark(x+18, y-4, p.State.Status)
		d.put(`<text class="kind" x="%d" y="%d">%s</text>`, x+32, y, html.EscapeString(fit(kind, text-32)))
		d.put(`<text x="%d" y="%d">%s<tspan class="kind" dx="6">%s</tspan></text>`, x+text, y,
			html.EscapeString(name), html.EscapeString(fit(note, rest)))
	})
}

// way is an arrow between two places of one height, with its words above it.
func (d *drawing) way(left, right, y int, toRight bool, w Way) {
	label := line(d.style.say(w.Kind))
	via := line(w.Via)
	d.link(w.State, strings.TrimSpace(label+" "+via), func() {
		class := "way " + toneClass(w.State.Status)
		d.line(class, left+1, y, right-1, y)
		tip, back := right-1, right-9
		if !toRight {
			tip, back = left+1, left+9
		}
		d.put(`<path class="%s tip" d="M%d %d L%d %d L%d %d Z"/>`, class, tip, y, back, y-5, back, y+5)
		d.mark(left+20, y-10, w.State.Status)
		room := right - left - 44 - int(float64(cells.StringWidth(label))*letter)
		d.put(`<text class="label" x="%d" y="%d">%s<tspan class="kind" dx="6">%s</tspan></text>`, left+32, y-6,
			html.EscapeString(label), html.EscapeString(fit(via, room)))
	})
}

// mark is a circle with a sign: the color alone does not say what it means.
func (d *drawing) mark(x, y int, s Status) {
	d.put(`<circle class="mark %s" cx="%d" cy="%d" r="7"/><text class="sign" x="%d" y="%d">%s</text>`, toneClass(s), x,
		y,
		x, y+4, s.sign())
}

func (s Status) sign() string {
	switch s {
	case "":
		return "·"
	case Error, Unknown:
		return "?"
	}
	return map[Tone]string{Good: "✓", Caution: "!", Bad: "✕", Faint: "–"}[s.look().tone]
}

// link leads to the finding behind a state, and says what it is.
func (d *drawing) link(s State, title string, content func()) {
	if s.Status != "" {
		title += ": " + d.style.say(s.Status.look().word)
		d.put(`<a href="#%s">`, anchor(s.ID, s.Place))
		defer d.put("</a>")
	}
	d.put("<g><title>%s</title>", html.EscapeString(title))
	defer d.put("</g>")
	content()
}

// fit cuts a text that is wider than so many pixels.
func fit(text string, pixels int) string {
	columns := int(float64(pixels) / letter)
	if cells.StringWidth(text) <= columns {
		return text
	}
	if columns < 2 {
		return ""
	}
	return cells.Truncate(text, columns, "…")
}

// toneClass is the class of a status in the style sheet.
func toneClass(s Status) string {
	if s == "" {
		return "unseen"
	}
	return map[Tone]string{Good: "good", Caution: "caution", Bad: "bad"}[s.look().tone]
}
