package wizard

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

// file is the answers file. It never writes an older state over a newer one, though commands run
// side by side, and never writes over what another program wrote meanwhile.
type file struct {
	mu    sync.Mutex
	saved int    // edits that are in the file
	base  []byte // the file as it was read or written last

	path atomic.Value // a string, read by the window while the file is written
}

func newFile(path string) *file {
	f := &file{}
	f.path.Store(path)
	return f
}

func (f *file) name() string { return f.path.Load().(string) }

// loaded is the answers file, or why it could not be read.
type loaded struct {
	document *answers.Document
	answers  answers.Answers
	err      error
	invalid  error
}

func (f *file) load(ctx context.Context) loaded {
	f.mu.Lock()
	defer f.mu.Unlock()
	d, err := answers.Open(ctx, f.name())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return loaded{err: err}
	case err != nil: // what is there is kept: it may be fixed by hand
		f.path.Store(free(f.name()))
		return loaded{err: err}
	}
	f.base = d.Bytes()
	a, invalid := d.Answers()
	return loaded{document: d, answers: a, invalid: invalid}
}

// saved is the outcome of saving.
type saved struct {
	err      error
	conflict *conflict
	own      *answers.Document // that was saved
	document *answers.Document // what the file holds, when that is more than own
	invalid  error             // of document
	bytes    string            // what the file holds
}

// stops reports whether a person has to decide before anything runs with these answers.
func (s saved) stops() bool { return s.conflict != nil }

// conflict is what both another program and the person changed.
type conflict struct {
	keys  []string
	retry func(*model) tea.Cmd
}

// save writes the document, together with what another program changed in the file meanwhile.
func (f *file) save(d *answers.Document, edits int, side answers.Side) saved {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := saved{own: d, bytes: string(d.Bytes())}
	if edits < f.saved {
		return s
	}
	disk, err := os.ReadFile(f.name())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.err = err
		return s
	}
	if err == nil && !bytes.Equal(disk, f.base) {
		theirs, err := answers.NewDocument(f.name(), disk)
		if err != nil {
			if edits == f.saved {
				return s // nothing to write, and nothing to read yet: an editor may be at work
			}
			taken := f.name()
			f.path.Store(free(taken))
			f.base = nil
			s.err = fmt.Errorf("%s was changed meanwhile and cannot be read any more; the answers go to %s",
				clean(taken), clean(f.name()))
			return f.write(s, d, edits)
		}
		merged, keys := answers.Merge(f.before(), d, theirs, side)
		if len(keys) > 0 {
			s.conflict = &conflict{keys: keys}
			return s
		}
		f.base = disk
		d, s.document, s.bytes = merged, merged, string(merged.Bytes())
		if bytes.Equal(merged.Bytes(), disk) {
			f.saved = edits
			return s
		}
	} else if edits == f.saved {
		return s
	}
	return f.write(s, d, edits)
}

func (f *file) write(s saved, d *answers.Document, edits int) saved {
	if err := d.Save(f.name()); err != nil {
		s.err = err
		return s
	}
	f.saved, f.base = edits, d.Bytes()
	return s
}

// before is the file as it was read or written last.
func (f *file) before() *answers.Document {
	if d, err := answers.NewDocument(f.name(), f.base); err == nil {
		return d
	}
	return nil
}

// free is a path beside one that is taken, at which nothing is yet.
func free(path string) string {
	for n := 1; ; n++ {
		candidate := path + ".new.yaml"
		if n > 1 {
			candidate = fmt.Sprintf("%s.new%d.yaml", path, n)
		}
		if _, err := os.Lstat(candidate); err != nil {
			return candidate
		}
	}
}

// saving returns what saves the answers as they are now. It may run beside the model.
func (m *model) saving() func() saved {
	file, document, edits, side := m.file, m.document.Clone(), m.edits, m.side
	m.side = answers.Undecided
	return func() saved { return file.save(document, edits, side) }
}

// store is the command that saves the answers.
func (m *model) store() tea.Cmd {
	save := m.saving()
	return func() tea.Msg { return save() }
}

// settle takes in the outcome of saving; retry is what to do once a conflict is decided.
func (m *model) settle(s saved, retry func(*model) tea.Cmd) tea.Cmd {
	switch {
	case s.conflict != nil:
		if retry == nil {
			retry = (*model).store
		}
		s.conflict.retry = retry
		m.over = append(m.over, &conflictPane{conflict: *s.conflict})
		return nil
	case s.document != nil:
		// What was typed since then is kept.
		m.document, _ = answers.Merge(s.own, m.document, s.document, answers.Ours)
		m.note = m.words("%s was changed by another program; the changes are taken in.", clean(m.file.name()))
		if f, ok := m.screen.(*formScreen); ok {
			f.focus(m)
		}
		if err := m.valid(); err != nil {
			return m.complain(err)
		}
	}
	if s.err != nil {
		m.note = clean(s.err.Error())
	}
	return nil
}

// save saves the answers once the program has ended. No person can decide a conflict then: the
// answers go to another file beside it.
func (m *model) save() error {
	if m.document == nil {
		return nil
	}
	s := m.saving()()
	if s.conflict != nil {
		m.file.path.Store(free(m.file.name()))
		return m.document.Save(m.file.name())
	}
	return s.err
}

// conflictPane asks whose answers count.
type conflictPane struct {
	page
	conflict conflict
}

func (c *conflictPane) actions(*model) []action {
	decide := func(side answers.Side) func(*model) tea.Cmd {
		return func(m *model) tea.Cmd {
			m.over = m.over[1:]
			m.side = side
			return c.conflict.retry(m)
		}
	}
	return []action{on("m", "keep mine", decide(answers.Ours)), on("t", "take theirs", decide(answers.Theirs))}
}

func (c *conflictPane) render(m *model, width, _ int) []string {
	lines := m.text(width, m.words("%s was changed by another program, in answers that you changed too:",
		clean(m.file.name())))
	lines = append(lines, "")
	for _, k := range c.conflict.keys[:min(len(c.conflict.keys), 10)] {
		lines = append(lines, "  "+clean(k))
	}
	lines = append(lines, "")
	return append(lines, m.text(width,
		m.words("m keeps what you answered here, t takes what the file holds. All other "+
			"changes of both are kept."))...)
}

// commands are the command lines that go on where the wizard ended.
type commands struct{ path string }

func (c commands) line(verb string) string {
	return "hybridge " + verb + " -f " + report.ShellWord(c.path)
}

// farewell lists the paths and the next commands.
func (m *model) farewell(saveError error) []string {
	if m.document == nil {
		return nil
	}
	var lines []string
	if saveError == nil {
		lines = append(lines, m.words("answers: %s", clean(m.file.name())))
	}
	c := commands{m.file.name()}
	for i := len(m.way) - 1; i >= 0; i-- {
		if last := m.way[i].farewell(m, c); len(last) > 0 {
			return append(lines, last...)
		}
	}
	return append(lines, m.words("go on with: %s", c.line("wizard")))
}
