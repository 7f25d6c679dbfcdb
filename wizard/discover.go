package wizard

import (
	"context"
	"fmt"
	"slices"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/wizard/stage"
)

// discoverScreen asks for the domain of a forest and an account, and proposes the other answers.
type discoverScreen struct {
	listed
	forest  int // that is asked for; counts from 0
	fields  [2]input
	at      int // of fields: domain, account
	found   *deployment.Found
	without map[string]bool // proposals that are left out, by their item
}

func (*discoverScreen) about() about {
	a := (*scenarioScreen)(nil).about()
	a.draft = true
	a.does = "Looks for the answers in DNS, Active Directory and the clouds. Nothing is changed."
	a.help = "Each proposal says where it was found. x leaves one out. What is not found, the form asks. " +
		"Without an account, hybridge signs in as you, with Kerberos."
	return a
}

func (s *discoverScreen) enter(m *model) tea.Cmd {
	*s = discoverScreen{without: map[string]bool{}}
	for s.forest = 0; s.forest < m.document.Len("forests")-1 && s.domain(m, s.forest) != ""; s.forest++ {
	}
	s.ask(m, s.forest)
	return nil
}

func (s *discoverScreen) domain(m *model, forest int) string {
	return m.document.Text(fmt.Sprintf("forests[%d].directory.domain", forest))
}

// ask shows the fields for a forest. What is known of the forest before is offered.
func (s *discoverScreen) ask(m *model, forest int) {
	s.forest, s.at, s.found = forest, 0, nil
	domain, user := s.domain(m, forest), m.document.Text(fmt.Sprintf("forests[%d].directory.bind.user", forest))
	if domain == "" && forest == 0 && m.options.Domain != nil {
		domain = m.options.Domain()
	}
	if user == "" && forest > 0 {
		before := m.document.Text(fmt.Sprintf("forests[%d].directory.bind.user", forest-1))
		user, _, _ = strings.Cut(before, "@")
	}
	s.fields = [2]input{newInput(domain), newInput(user)}
}

func (s *discoverScreen) typing(*model) bool { return s.found == nil || s.list.filtering }

// look takes the fields into the document and begins to look.
func (s *discoverScreen) look(m *model) tea.Cmd {
	if !s.said(m) {
		s.at = 0
		return nil
	}
	return m.begin()
}

// said takes the fields into the document; false, with a note, when there is no domain.
func (s *discoverScreen) said(m *model) bool {
	domain := strings.ToLower(strings.Trim(strings.TrimSpace(s.fields[0].String()), "."))
	user := strings.TrimSpace(s.fields[1].String())
	key := func(field string) string { return fmt.Sprintf("forests[%d].directory.%s", s.forest, field) }
	if err := question("forests[].directory.domain").Validate([]string{domain}); domain == "" || err != nil {
		m.note = m.words("Type the DNS name of the forest root domain, such as contoso.com.")
		return false
	}
	m.document.Set(key("domain"), domain)
	if user == "" {
		m.document.Set(key("bind.kind"), string(answers.CredentialKerberos))
		m.document.Unset(key("bind.user"))
		m.document.Unset(key("bind.password"))
	} else {
		if !strings.ContainsAny(user, `@\`) {
			user += "@" + domain
		}
		m.document.Set(key("bind.user"), user)
		if m.document.Text(key("bind.password")) == "" {
			m.document.Set(key("bind.password"), "prompt")
		}
		m.document.Set(key("bind.kind"), string(answers.CredentialPassword))
	}
	m.edits++
	return true
}

// question is the question of a key.
func question(key string) answers.Question {
	for _, q := range answers.Questions() {
		if q.Key == key {
			return q
		}
	}
	return answers.Question{}
}

func (*discoverScreen) run(*model) work {
	return func(ctx context.Context, e stage.Engine, o observe.Observer) (any, error) { return e.Discover(ctx, o) }
}

func (s *discoverScreen) end(_ *model, v any, err error) {
	if s.err = err; err == nil {
		s.found = result[deployment.Found](v)
		s.list = list{}
	}
	s.changed()
}

func (s *discoverScreen) actions(m *model) []action {
	switch {
	case m.run != nil:
		return []action{backward(m)}
	case s.found == nil:
		return []action{on("enter", "look", s.onward),
			on("tab", "next field", s.turn, "tab", "up", "down", "shift+tab"),
			on("ctrl+o", "skip this", s.skip), on("esc", "back", s.leave)}
	}
	own := []action{on("enter", s.follows(m), s.take), on("x", "leave out", s.toggle),
		on("f", "another forest", s.another), on("r", "look again", s.anew), on("esc", "back", s.leave)}
	return s.list.actions(own...)
}

// follows is what enter does with the proposals.
func (s *discoverScreen) follows(m *model) string {
	if s.next(m) > 0 {
		return "next forest"
	}
	return "take these"
}

// next is the next forest of the document that has no domain yet; 0 when there is none.
func (s *discoverScreen) next(m *model) int {
	if n := s.forest + 1; n < m.document.Len("forests") && s.domain(m, n) == "" {
		return n
	}
	return 0
}

func (s *discoverScreen) anew(m *model) tea.Cmd {
	s.ask(m, s.forest)
	return nil
}

func (s *discoverScreen) turn(*model) tea.Cmd {
	s.at = 1 - s.at
	return nil
}

func (s *discoverScreen) onward(m *model) tea.Cmd {
	if s.at == 0 && strings.TrimSpace(s.fields[0].String()) != "" {
		s.at = 1
		return nil
	}
	return s.look(m)
}

// skip goes to the form without a look.
func (*discoverScreen) skip(m *model) tea.Cmd { return show[*formScreen](m) }

func (s *discoverScreen) leave(m *model) tea.Cmd {
	if s.found == nil && s.forest > 0 {
		s.ask(m, s.forest-1)
		return nil
	}
	return m.back()
}

func (s *discoverScreen) toggle(*model) tea.Cmd {
	if i := s.list.index(); i < len(s.list.items) {
		id := s.list.items[i].id
		s.without[id] = !s.without[id]
		s.changed()
	}
	return nil
}

func (s *discoverScreen) another(m *model) tea.Cmd {
	others := s.found.Forests
	s.ask(m, s.forest+1)
	if i := slices.IndexFunc(others, func(d string) bool { return !s.has(m, d) }); i >= 0 {
		s.fields[0] = newInput(others[i])
	}
	return nil
}

func (s *discoverScreen) has(m *model, domain string) bool {
	for i := range m.document.Len("forests") {
		if s.domain(m, i) == domain {
			return true
		}
	}
	return false
}

// take puts the proposals into the answers, and goes to what is missing: the next forest, the form,
// or the overview. Where hybrid exists, what differs comes first.
func (s *discoverScreen) take(m *model) tea.Cmd {
	if n := s.next(m); n > 0 {
		s.ask(m, n)
		return nil
	}
	taken := s.accept(m)
	if err := m.valid(); err != nil {
		cmd := m.complain(err)
		m.note = m.count(len(taken), "%d answer found; this one is missing.", "%d answers found; this one is missing.")
		return tea.Batch(m.store(), cmd)
	}
	if len(s.found.Hybrid) > 0 {
		return tea.Batch(m.store(), show[*planScreen](m))
	}
	return tea.Batch(m.store(), show[*reviewScreen](m))
}

// accept puts the proposals that are not left out into the answers.
func (s *discoverScreen) accept(m *model) []deployment.Proposal {
	found := *s.found
	found.Proposals = slices.DeleteFunc(slices.Clone(found.Proposals), func(p deployment.Proposal) bool {
		return s.without[proposalID(p)]
	})
	m.edits++
	return found.Into(m.document)
}

// asks is what a proposal answers, with its forest.
func asks(m *model, p deployment.Proposal) string {
	label := m.term(question(p.Question).Label)
	if strings.HasPrefix(p.Question, "forests[]") || strings.HasPrefix(p.Question, "tests.") {
		return clean(m.document.Text(fmt.Sprintf("forests[%d].directory.domain", p.Forest))) + ": " + label
	}
	return label
}

// proposed is a proposal in one line.
func proposed(m *model, p deployment.Proposal) string {
	return asks(m, p) + ": " + clean(strings.Join(p.Values, ", "))
}

func proposalID(p deployment.Proposal) string { return fmt.Sprintf("%s %d", p.Question, p.Forest) }

func (s *discoverScreen) other(_ *model, k tea.KeyMsg) tea.Cmd {
	if s.found != nil {
		s.list.key(k)
	} else {
		s.fields[s.at].key(k)
	}
	return nil
}

func (s *discoverScreen) render(m *model, width, height int) []string {
	if s.found == nil || m.run != nil {
		return s.form(m, width)
	}
	lines := []string{m.styles.title.Render(m.count(len(s.found.Proposals),
		"%d answer found. Each is a proposal.", "%d answers found. Each is a proposal."))}
	lines = append(lines, m.problemLines(s.staged, width)...)
	lines = append(lines, "")
	items := s.items(width, func() []item { return s.proposals(m, width-gutter) })
	return append(lines, s.list.render(m, items, width, height-len(lines))...)
}

func (s *discoverScreen) form(m *model, width int) []string {
	lines := []string{m.styles.title.Render(m.words("Where is forest %d?", s.forest+1)), ""}
	lines = append(lines, m.problemLines(s.staged, width)...)
	for i, f := range []struct{ label, help string }{
		{"Forest root domain", "The DNS name of the domain, such as contoso.com. DNS finds its domain controllers."},
		{"Account", "An account of that forest, which may read Active Directory. Empty: you, with Kerberos. " +
			"hybridge asks for its password, and does not store it."},
	} {
		focused := i == s.at && m.run == nil
		label := "  " + m.term(f.label)
		if focused {
			label = m.styles.focus.Render("> " + m.term(f.label))
		}
		value := "    " + clean(s.fields[i].String())
		if focused {
			value = "    " + s.fields[i].render(m.styles, width-4, false)
		}
		lines = append(lines, label, value)
		for _, line := range m.text(width-4, m.term(f.help)) {
			lines = append(lines, "    "+m.styles.faint.Render(line))
		}
		lines = append(lines, "")
	}
	return lines
}

func (s *discoverScreen) proposals(m *model, width int) []item {
	var items []item
	for _, p := range s.found.Proposals {
		what := asks(m, p)
		id := proposalID(p)
		text := clean(strings.Join(p.Values, ", "))
		if s.without[id] {
			text = m.words("left out: %s", text)
		}
		it := m.item(id, width, report.Paragraph{Label: msg.Plain(what), Text: msg.Plain(text), Tone: report.Strong})
		for _, line := range m.text(width-4, m.in(p.From)) {
			it.lines = append(it.lines, "    "+m.styles.faint.Render(clean(line)))
		}
		help := m.term(question(p.Question).Help)
		it.detail = func(width int) []string {
			return append(m.blocks(width, report.Paragraph{Label: msg.Plain(what), Text: msg.Plain(text)},
				report.Paragraph{Label: msg.Of("found in"), Text: p.From}), m.text(width, help)...)
		}
		items = append(items, it)
	}
	for i, g := range s.found.Gaps {
		items = append(items, m.item(fmt.Sprintf("gap %d", i), width, report.Paragraph{
			Label: msg.Of("not found, %s", clean(g.What)), Text: g.Why, Tone: report.Caution}))
	}
	for _, root := range s.found.Hybrid {
		items = append(items, m.item("hybrid "+root, width, report.Paragraph{Label: msg.Plain(clean(root)),
			Text: msg.Of("it has a hybrid configuration; the plan shows what differs")}))
	}
	for _, domain := range s.found.Forests {
		items = append(items, m.item("forest "+domain, width, report.Paragraph{Label: msg.Plain(clean(domain)),
			Text: msg.Of("this forest may take part too: f adds it")}))
	}
	return items
}
