//go:build unix

package e2e

import (
	"bytes"
	"flag"
	"fmt"
	"html"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	uv "github.com/charmbracelet/ultraviolet"
	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "draw docs/pictures anew")

// The pictures of the guide are windows of the real program, on the lab. What differs from run to
// run is replaced, see steady. make pictures draws them anew.
func TestPictures(t *testing.T) {
	e := startLab(t, "--users", "30")
	begin := e.withoutForests(t, "contoso.yaml")
	on := func(e *estate, file string, args ...string) *screen {
		command := e.plainly(append([]string{"wizard", "-f", filepath.Base(file), "--state-dir", "state"}, args...)...)
		command.Dir = e.dir
		return e.wizardOn(t, command, 100, 30, "NO_COLOR=")
	}
	s := on(e, begin)
	s.discover(e, []string{"contoso"})
	s.picture("Questions", "questions", "Answers", "found. Each is a proposal", "\x03")
	s.exit(waits)

	s = on(e, "answers.yaml")
	s.picture("Home", "home", "Answers", "These are the answers", "\r")
	s.shows(waits, "enter plan")
	s.press("\r")
	s.picture("Plan", "plan", "Plan", "enter apply", "\r")
	s.shows(waits, "y applies it")
	s.press("y")
	s.picture("Apply", "apply", "Apply", "enter free/busy", "\r")
	s.picture("Free/busy", "freebusy", "Free/busy", "Every lookup works", "q")
	s.exit(waits)

	ill := startLab(t, "--users", "30", "--fault", "certificates.auth-missing")
	s = on(ill, "answers.yaml", "--only", "certificates.*") // not changed by checks to come
	s.shows(waits, "These are the answers")
	s.press("\r")
	s.shows(waits, "enter plan")
	s.press("p")
	s.picture("Prerequisites", "check", "Prerequisites", "p show all", "q")
	s.exit(waits)
}

// picture compares what the window shows with a file, and presses keys.
func (s *screen) picture(title, name, crumb, shows, keys string) {
	s.Helper()
	s.shows(waits, shows)
	s.whole(crumb)
	for drawn := []string(nil); strings.Join(drawn, "") != strings.Join(s.window(), ""); time.Sleep(300 * time.Millisecond) {
		drawn = s.window()
	}
	s.mu.Lock()
	got := drawing("hybridge: "+title, s.cells())
	s.mu.Unlock()
	file := filepath.Join("..", "..", "docs", "pictures", name+".svg")
	want, err := os.ReadFile(file)
	switch {
	case *update:
		if err := os.WriteFile(file, got, 0o644); err != nil {
			s.Fatal(err)
		}
	case err != nil:
		s.Error(err)
	case !bytes.Equal(want, got):
		s.Errorf("%s is not what the program shows; make pictures draws it anew (-want +got):\n%s", name,
			cmp.Diff(string(want), string(got)))
	}
	if len(got) > 40_000 {
		s.Errorf("%s has %d bytes", name, len(got))
	}
	s.press(keys)
}

// stretch is a part of a line in one style.
type stretch struct {
	column, width int
	text          string
	style         uv.Style
}

// steady are what differs from run to run, and what stands for it: as wide, or at the end of a
// line.
var steady = []struct {
	changing *regexp.Regexp
	stands   string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d`), "2026-12-01 09:00"},
	{regexp.MustCompile(`\d{8}T\d{6}\.\d{3}Z`), "20261201T090000.000Z"},
	{regexp.MustCompile(`127\.0\.0\.1:\d{5}`), "127.0.0.1:50000"},
	{regexp.MustCompile(`\b[0-9A-F]{40}\b`), "0123456789ABCDEF0123456789ABCDEF01234567"},
	{regexp.MustCompile(`^(\d+ ms|\d+(\.\d)? s)$`), "12 ms"},
	{regexp.MustCompile(`/\S+/state/runs/`), "state/runs/"},
	{regexp.MustCompile(`took \d+(\.\d)? s`), "took 2 s"},
	{regexp.MustCompile(`ends on 2027-04-01, in \d+ days?`), "ends on 2027-04-01"},
	{regexp.MustCompile(`(transport\.pfx ends on )\d{4}-\d\d-\d\d`), "${1}2027-10-01"},
}

// latency is a time that is aligned on the right.
var latency = regexp.MustCompile(`^ +(\d+ ms|\d+(\.\d)? s)$`)

// cells are the lines of the window in stretches, with what is steady.
func (s *screen) cells() (lines [][]stretch) {
	columns, rows := s.terminal.Width(), s.terminal.Height()
	for y := range rows {
		var line []stretch
		for x := 0; x < columns; {
			text, width, style := " ", 1, uv.Style{}
			if c := s.terminal.CellAt(x, y); c != nil && c.Content != "" {
				text, width, style = c.Content, max(c.Width, 1), c.Style
			}
			if n := len(line); n > 0 && line[n-1].style.Equal(&style) {
				line[n-1].text += text
				line[n-1].width += width
			} else {
				line = append(line, stretch{x, width, text, style})
			}
			x += width
		}
		for i := range line {
			p := &line[i]
			p.text = strings.TrimRight(p.text, " ")
			if latency.MatchString(p.text) {
				p.text = fmt.Sprintf("%*s", len(p.text), "12 ms")
			}
			for _, c := range steady {
				p.text = c.changing.ReplaceAllString(p.text, c.stands)
			}
		}
		lines = append(lines, apart(line))
	}
	return lines
}

// apart cuts stretches where blanks are: readers of SVG take several for one.
func apart(line []stretch) (cut []stretch) {
	for _, p := range line {
		if p.style.Attrs&uv.AttrReverse != 0 { // the blanks can be seen
			cut = append(cut, p)
			continue
		}
		column := p.column
		for i, word := range strings.Split(p.text, "  ") {
			if i > 0 {
				column += 2
			}
			width := ansi.StringWidth(word)
			if text := strings.TrimLeft(word, " "); text != "" {
				blank := len(word) - len(text)
				cut = append(cut, stretch{column + blank, width - blank, text, p.style})
			}
			column += width
		}
	}
	return cut
}

// The size of a character, and of what is around the window.
const (
	cellWidth, cellHeight = 8.4, 18
	bar, margin           = 30, 12
)

// palette are the colors of the styles of the wizard on a dark ground.
var palette = map[ansi.BasicColor]string{ansi.Red: "#ff7b72", ansi.Green: "#7ee787", ansi.Yellow: "#e3b341"}

// drawing is a window as SVG. Every stretch has its width, whatever the font.
func drawing(title string, lines [][]stretch) []byte {
	columns := 0
	for _, line := range lines {
		for _, p := range line {
			columns = max(columns, p.column+p.width)
		}
	}
	width, height := margin*2+cellWidth*float64(columns), margin+bar+cellHeight*len(lines)
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%d" viewBox="0 0 %.0f %d">
<title>%s</title>
<desc>The program on the lab, drawn by make pictures. Times, dates, ports and thumbprints are fixed.</desc>
<style>text{font:14px ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#e6edf3}</style>
<rect width="100%%" height="100%%" rx="8" fill="#0d1117" stroke="#30363d"/>
<circle cx="18" cy="15" r="5" fill="#ff7b72"/><circle cx="36" cy="15" r="5" fill="#e3b341"/><circle cx="54" cy="15" r="5" fill="#7ee787"/>
`, width, height, width, height, html.EscapeString(title))
	for y, line := range lines {
		for _, p := range line {
			x, top := margin+cellWidth*float64(p.column), bar+cellHeight*y
			length := cellWidth * float64(p.width)
			var style string
			if p.style.Attrs&uv.AttrReverse != 0 {
				length = max(length, cellWidth)
				fmt.Fprintf(&b, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="#e6edf3"/>`+"\n", x, top, length,
					cellHeight)
				style += "fill:#0d1117;"
			}
			if p.text == "" {
				continue
			}
			if color, ok := p.style.Fg.(ansi.BasicColor); ok {
				style += "fill:" + palette[color] + ";"
			}
			if p.style.Attrs&uv.AttrBold != 0 {
				style += "font-weight:bold;"
			}
			if p.style.Attrs&uv.AttrFaint != 0 {
				style += "opacity:.6;"
			}
			if style != "" {
				style = ` style="` + strings.TrimSuffix(style, ";") + `"`
			}
			fmt.Fprintf(&b, `<text x="%.1f" y="%d" textLength="%.1f"%s>%s</text>`+"\n", x, top+14, length, style,
				html.EscapeString(p.text))
		}
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}
