package wizard

import (
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
)

// kept says that a secret was stored in the keyring, or why not.
type kept struct {
	label, account string
	err            error
}

// prompted are the answers that ask for the secret of a label, and the account that it is of.
func (m *model) prompted(label string) (keys []string, account string) {
	if m.document == nil {
		return nil, ""
	}
	for _, p := range m.document.Pages() {
		for _, q := range m.document.Questions(p) {
			key := m.document.Key(q, p.Forest)
			if q.Kind != answers.SecretAnswer || m.document.Text(key) != string(secret.Prompt) {
				continue
			}
			base := key[:strings.LastIndexByte(key, '.')+1]
			for field, before := range map[string]string{"user": "password of ", "pfx": "password of ",
				"clientId": "secret of application "} {
				if name := m.document.Text(base + field); name != "" && label == before+name {
					keys, account = append(keys, key), name
				}
			}
		}
	}
	return keys, account
}

// keep gives the secret and stores it in the keyring.
func (q *secretPane) keep(m *model) tea.Cmd {
	_, account := m.prompted(q.label)
	label, v, ctx := q.label, secret.NewValue(q.input.String()), m.ctx
	if account == "" || v.IsZero() {
		return nil
	}
	return tea.Batch(q.answer(m, v, nil), func() tea.Msg {
		return kept{label, account, secret.Store(ctx, account, v)}
	})
}

// stored writes the references to a secret that is in the keyring now into the answers. The secret
// is the same: what was opened and checked with it stays.
func (m *model) stored(k kept) {
	if k.err != nil {
		m.note = m.words("The secret is not stored: %s", clean(firstLine(k.err.Error())))
		return
	}
	before := string(m.document.Bytes())
	keys, _ := m.prompted(k.label)
	for _, key := range keys {
		m.document.Set(key, string(secret.InKeyring(k.account)))
	}
	m.edits++
	after := string(m.document.Bytes())
	if m.same == nil {
		m.same = map[string]string{}
	}
	m.same[before] = after
	m.opened, m.checked = m.asNow(m.opened), m.asNow(m.checked)
	m.note = m.words("The secret is in the keyring; the answers refer to it.")
	if f, ok := m.screen.(*formScreen); ok {
		f.focus(m)
	}
}

// asNow is the document that answers became when references to the same secrets replaced others.
func (m *model) asNow(opened string) string {
	for range len(m.same) {
		after, known := m.same[opened]
		if !known {
			break
		}
		opened = after
	}
	return opened
}
