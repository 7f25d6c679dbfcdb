package wizard

import (
	"context"
	"fmt"
	"slices"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/wizard/stage"
)

// A form tries each access on the page where it is entered: when the person leaves the page, and
// for ctrl+t. It runs beside the form, and keeps nobody from going on. What failed stays on the
// page until it works.

// trials are the accesses of a form that were tried.
type trials struct {
	done    map[deployment.Access]trial
	waiting []deployment.Access
	now     *deployment.Access // that is tried
	asked   string             // of now
}

// trial is what came of it.
type trial struct {
	texts []msg.Text
	err   error
	asked string // the answers that it was made with
}

// tryNext begins the next trial that waits.
type tryNext struct{}

// accessOf is the access of a page; false when it has none.
func accessOf(p answers.Page) (deployment.Access, bool) {
	return deployment.Access{Section: p.ID, Forest: p.Forest}, deployment.HasAccess(p.ID)
}

// answered are the answers of a page in one text.
func (f *formScreen) answered(m *model, p answers.Page) string {
	var b strings.Builder
	for _, q := range m.document.Questions(p) {
		values, _ := m.document.Get(m.document.Key(q, p.Forest))
		fmt.Fprintf(&b, "%s=%q\n", q.Key, values)
	}
	return b.String()
}

// given reports whether the answers of a page suffice to try its access.
func (f *formScreen) given(m *model, p answers.Page) bool {
	text := func(field string) string { return m.document.Text(fmt.Sprintf("forests[%d].%s", p.Forest, field)) }
	switch p.ID {
	case "directory":
		if text("directory.domain") == "" && text("directory.servers[0]") == "" {
			return false
		}
	case "certificate":
		if text("certificate.pfx") == "" && text("exchange.server") == "" {
			return false
		}
	}
	return !f.incomplete(m, p)
}

// asks reports whether a trial asks the person something: a secret, or a sign-in with a browser.
func (f *formScreen) asks(m *model, p answers.Page) bool {
	if p.ID == "cloud" && m.document.Text("exchangeOnline.credential.kind") == string(answers.CredentialDeviceCode) {
		return true
	}
	for _, q := range m.document.Questions(p) {
		key := m.document.Key(q, p.Forest)
		if q.Kind != answers.SecretAnswer || m.document.Text(key) != string(secret.Prompt) {
			continue
		}
		base := key[:strings.LastIndexByte(key, '.')+1]
		user := m.document.Text(base + "user")
		if _, known := m.typed.secrets.Load("password of " + user); user == "" || !known {
			return true
		}
	}
	return false
}

// left tries the access of a page that the person leaves, when its answers are new.
func (f *formScreen) left(m *model, p answers.Page) tea.Cmd {
	at, has := accessOf(p)
	if !has || !f.changed[p] || !f.given(m, p) || f.asks(m, p) {
		return nil
	}
	if p.ID == "certificate" && m.document.Text(fmt.Sprintf("forests[%d].certificate.pfx", p.Forest)) == "" {
		return nil // the servers are read when the person asks for it
	}
	return f.try(m, at)
}

// tryPage tries the access of the page in front.
func (f *formScreen) tryPage(m *model) tea.Cmd {
	f.commit(m)
	p := f.section(m)
	at, has := accessOf(p)
	switch {
	case !has:
		return nil
	case !f.given(m, p):
		m.note = m.words("The answers of this page are not complete yet.")
		return nil
	}
	return f.try(m, at)
}

func (f *formScreen) try(m *model, at deployment.Access) tea.Cmd {
	if !slices.Contains(f.trials.waiting, at) {
		f.trials.waiting = append(f.trials.waiting, at)
	}
	return f.tryNext(m)
}

func (f *formScreen) tryNext(m *model) tea.Cmd {
	if m.run != nil || len(f.trials.waiting) == 0 || m.screen != screen(f) {
		return nil
	}
	at := f.trials.waiting[0]
	f.trials.waiting = f.trials.waiting[1:]
	for _, p := range f.pages(m) {
		if of, _ := accessOf(p); of == at {
			f.trials.now, f.trials.asked = &at, f.answered(m, p)
			delete(f.changed, p)
			return m.begin()
		}
	}
	return f.tryNext(m)
}

func (f *formScreen) run(*model) work {
	if f.trials.now == nil {
		return nil
	}
	at := *f.trials.now
	return func(ctx context.Context, e stage.Engine, o observe.Observer) (any, error) { return e.Try(ctx, at, o) }
}

func (f *formScreen) end(m *model, v any, err error) {
	t := trial{err: err, asked: f.trials.asked}
	if texts := result[[]msg.Text](v); texts != nil {
		t.texts = *texts
	}
	if f.trials.now == nil {
		return
	}
	at := *f.trials.now
	f.trials.now = nil
	if m.returning == nil { // what was cut off says nothing
		f.keep(at, t)
	}
	m.queue.put(tryNext{})
}

func (f *formScreen) keep(at deployment.Access, t trial) {
	if f.trials.done == nil {
		f.trials.done = map[deployment.Access]trial{}
	}
	f.trials.done[at] = t
}

// failed reports whether the access of a page was tried and does not work.
func (f *formScreen) failed(p answers.Page) bool {
	at, has := accessOf(p)
	return has && f.trials.done[at].err != nil
}

// tried says on a page what came of its access.
func (f *formScreen) tried(m *model, p answers.Page, width int) []string {
	at, has := accessOf(p)
	if !has {
		return nil
	}
	if n := f.trials.now; n != nil && *n == at && m.run != nil {
		return append(m.text(width, m.words("Testing what is entered here; you can go on.")), "")
	}
	t, known := f.trials.done[at]
	if !known {
		return nil
	}
	var lines []string
	for _, text := range t.texts {
		lines = append(lines, m.labelled(width, m.words("ok"), report.Good, clean(m.in(text)))...)
	}
	if t.err != nil {
		lines = append(lines, m.labelled(width, "!", report.Bad, clean(t.err.Error()))...)
		if hint := m.options.Hint(t.err); hint != "" {
			lines = append(lines, m.labelled(width, m.words("hint:"), report.Plain, hint)...)
		}
	}
	if t.asked != f.answered(m, p) {
		lines = append(lines, m.text(width, m.words("That was before the last changes; ctrl+t tests again."))...)
	}
	return append(lines, "")
}
