package wizard

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/lipgloss"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/vt"
	"github.com/google/go-cmp/cmp"
	"github.com/muesli/termenv"

	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
)

// A screen has one golden file. It shows the screen, as the test left it, in three sizes and three
// languages, without and with color. What looks the same stands there once, under all its names;
// of what is in color, the lines that differ from those without.

var sizes = [][2]int{{80, 24}, {120, 40}, {200, 60}}

// goldens compares the body of the window, in all its looks, with its golden file. No line is wider
// than the window, and no translation is cut off where the English text is whole.
func (b *bench) goldens(name string) {
	b.Helper()
	b.looks(name, func(width, height int) []string { return b.m.body(width-2, height-6) })
}

func (b *bench) looks(name string, body func(width, height int) []string) {
	b.Helper()
	var shown sections
	colored := lipgloss.NewRenderer(io.Discard)
	colored.SetColorProfile(termenv.ANSI)
	mono, language := b.m.styles, b.m.options.Language
	for _, size := range sizes {
		width, height := size[0], size[1]
		english := 0 // texts that are cut off
		for _, language := range msg.Languages() {
			look := fmt.Sprintf("%s %dx%d", language, width, height)
			b.m.options.Language, b.m.styles = msg.Printer(language), mono
			b.redraw(width, height)
			window := strings.Split(b.m.View(), "\n")
			for i, line := range window {
				if w := ansi.StringWidth(line); w > width || i >= height {
					b.Errorf("%s, %s: line %d is %d wide: %s", name, look, i+1, w, line)
				}
			}
			if seen := displayed(width, height, window); !slices.Equal(seen, window) {
				b.Errorf("%s, %s: a terminal shows something else (-drawn +seen):\n%s", name, look, cmp.Diff(window, seen))
			}
			cut := strings.Count(strings.Join(window, ""), "…")
			if language == msg.English {
				english = cut
			} else if cut > english {
				b.Errorf("%s, %s: a text is cut off:\n%s", name, look, strings.Join(window, "\n"))
			}
			plain := body(width, height)
			if text := strings.Join(plain, ""); strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
				b.Errorf("%s, %s: control characters, without color: %q", name, look, text)
			}
			shown.add(look, plain)

			b.m.styles = stylesOf(colored)
			b.redraw(width, height)
			shown.add("color "+look, b.differing(plain, body(width, height)))
		}
	}
	b.m.options.Language, b.m.styles = language, mono
	b.redraw(80, 24)
	golden(b.T, name, shown.String())
}

// displayed are the lines that a terminal shows of a window: one that is wider than it thinks, with
// characters of East Asia for instance, is not the same.
func displayed(width, height int, window []string) []string {
	terminal := vt.NewEmulator(width, height)
	defer terminal.Close()
	_, _ = terminal.WriteString(strings.Join(window, "\r\n"))
	lines := strings.Split(terminal.String(), "\n")
	for i := range window {
		window[i] = strings.TrimRight(window[i], " ")
	}
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " \r")
	}
	return lines
}

// redraw draws the window anew. Screens keep what they drew as long as the width is the same.
func (b *bench) redraw(width, height int) {
	b.send(tea.WindowSizeMsg{Width: width + 1, Height: height})
	_ = b.m.View()
	b.send(tea.WindowSizeMsg{Width: width, Height: height})
	_ = b.m.View()
}

// differing are the lines in color that differ from those without, each with its number.
func (b *bench) differing(plain, colored []string) (lines []string) {
	b.Helper()
	for i, line := range colored {
		if i < len(plain) && line == plain[i] {
			continue
		}
		shown := readable(line)
		if strings.ContainsRune(shown, '\x1b') {
			b.Errorf("an escape sequence that is no style: %q", line)
		}
		lines = append(lines, fmt.Sprintf("%2d %s", i+1, shown))
	}
	return lines
}

var (
	style = regexp.MustCompile(`\x1b\[([\d;]*)m`)
	// attributes are the parameters of styles (SGR).
	attributes = map[string]string{"": "/", "0": "/", "1": "bold", "2": "faint", "7": "reverse",
		"31": "red", "32": "green", "33": "yellow"}
)

// readable writes styles as words: ‹bold red›. ‹/› ends all.
func readable(s string) string {
	return style.ReplaceAllStringFunc(s, func(sequence string) string {
		var names []string
		for _, p := range strings.Split(style.FindStringSubmatch(sequence)[1], ";") {
			name, known := attributes[p]
			if !known {
				name = p
			}
			names = append(names, name)
		}
		return "‹" + strings.Join(names, " ") + "›"
	})
}

// sections are texts with the looks that they belong to.
type sections []struct {
	text  string
	looks []string
}

func (s *sections) add(look string, lines []string) {
	text := strings.TrimRight(trimmed(strings.Join(lines, "\n")), "\n") + "\n"
	for i := range *s {
		if (*s)[i].text == text {
			(*s)[i].looks = append((*s)[i].looks, look)
			return
		}
	}
	*s = append(*s, struct {
		text  string
		looks []string
	}{text, []string{look}})
}

func (s sections) String() string {
	var b strings.Builder
	for _, section := range s {
		b.WriteString("== " + strings.Join(section.looks, ", ") + "\n" + section.text)
	}
	return b.String()
}

// trimmed is a text without the blanks at the ends of its lines, which editors take away.
func trimmed(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n") + "\n"
}

// here is where the tests began; they change the directory.
var here, _ = os.Getwd()

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join(here, "testdata", name+".golden")
	if update() {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.ReplaceAll(string(want), "\r\n", "\n"), got); diff != "" {
		t.Errorf("%s changed; go test ./wizard -update accepts it (-want +got):\n%s", name, diff)
	}
}

// Every golden file belongs to a test, and every pane has one.
func TestGoldenFiles(t *testing.T) {
	sources, err := filepath.Glob(filepath.Join(here, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`(?:goldens|looks|golden)\((?:t, )?(?:fmt\.Sprintf\()?"([\w-]+)`)
	var names []string
	for _, source := range sources {
		data, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range named.FindAllStringSubmatch(string(data), -1) {
			names = append(names, found[1])
		}
	}
	files, err := filepath.Glob(filepath.Join(here, "testdata", "*.golden"))
	if err != nil || len(files) < 15 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".golden")
		if !slices.Contains(names, name) && !strings.HasPrefix(name, "lines-") {
			t.Errorf("no test compares %s", file)
		}
	}
	for _, s := range screens() {
		name := strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%T", s), "*wizard."), "Screen"))
		if !slices.Contains(names, name) {
			t.Errorf("%T has no golden file: goldens(%s)", s, strconv.Quote(name))
		}
	}
}
