package wizard

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
)

// completed are the paths that go on what is typed, as far as they are alike.
type completed struct {
	key, typed string // of the question, when it was asked for
	longer     string // what is typed, and what all paths have behind it
	names      []string
}

// path is the part of a typed answer that is a path; false when the answer is none.
func path(q answers.Question, typed string) (before, at string, ok bool) {
	at, prefixed := strings.CutPrefix(typed, "file:")
	if prefixed {
		before = "file:"
	}
	return before, at, q.File || prefixed && q.Kind == answers.SecretAnswer
}

// complete looks for the paths that begin with what is typed, relative to the answers file.
func (f *formScreen) complete(m *model) tea.Cmd {
	typed := f.input.String()
	before, at, ok := path(f.current(m), typed)
	if !ok || typed == "" || typed == f.offered {
		return nil
	}
	f.offered = typed
	dir, key := filepath.Dir(m.file.name()), f.key
	return func() tea.Msg {
		longer, names := completions(dir, at)
		return completed{key: key, typed: typed, longer: before + longer, names: names}
	}
}

// most of the names in a folder that are looked at.
const mostNames = 10000

// completions are the names that go on a path, and the path with what they have in common.
func completions(dir, typed string) (longer string, names []string) {
	folder, begin := filepath.Split(filepath.FromSlash(typed))
	look := folder
	if !filepath.IsAbs(look) {
		look = filepath.Join(dir, folder)
	}
	d, err := os.Open(look)
	if err != nil {
		return typed, nil
	}
	defer d.Close()
	entries, _ := d.ReadDir(mostNames)
	for _, e := range entries {
		name := e.Name()
		if !begins(name, begin) || strings.HasPrefix(name, ".") && begin == "" {
			continue
		}
		if info, err := os.Stat(filepath.Join(look, name)); err == nil && info.IsDir() {
			name += "/"
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		return typed, nil
	}
	slices.Sort(names)
	common := names[0]
	for _, name := range names[1:] {
		for !begins(name, common) {
			common = common[:len(common)-1]
		}
	}
	if len(common) < len(begin) {
		return typed, names
	}
	return typed[:len(typed)-len(begin)] + strings.ToValidUTF8(common, ""), names
}

// begins compares as the file system does.
func begins(name, begin string) bool {
	if runtime.GOOS == "windows" {
		return len(name) >= len(begin) && strings.EqualFold(name[:len(begin)], begin)
	}
	return strings.HasPrefix(name, begin)
}

// completed takes in what was found, if the person has typed nothing since. Where there is nothing
// to add, Tab goes to the next question.
func (f *formScreen) completed(m *model, c completed) tea.Cmd {
	if f.key != c.key || f.input.String() != c.typed {
		return nil
	}
	switch {
	case c.longer != c.typed:
		f.input, f.loaded = newInput(c.longer), false
		f.store(m, f.current(m))
		if len(c.names) > 1 {
			f.offered = ""
		}
	case len(c.names) > 1:
	default:
		return f.move(m, 0, 1)
	}
	if len(c.names) > 1 {
		m.note = fit(clean(strings.Join(c.names, "  ")), m.width-2)
	}
	return nil
}
