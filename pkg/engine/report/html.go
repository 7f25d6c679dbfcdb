package report

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/templates"
)

var _ = register(Format{
	Name: "html", About: "one page that needs no network, for people", Needs: Documents, Single: true,
	Open: func(w io.Writer, o Options) Writer {
		o.Style.Color, o.Style.ASCII, o.Style.Width = false, false, 0
		if o.Now == nil {
			o.Now = time.Now
		}
		return &htmlWriter{w: w, style: o.Style, version: o.Version, begun: o.Now()}
	},
})

// htmlWriter writes one page with its style sheet and its script. The page's policy forbids every
// request and every other script. No text from a server can become markup.
type htmlWriter struct {
	w       io.Writer
	style   Style
	version string
	begun   time.Time
	b       strings.Builder
	anchors map[string]int // how often each was given
}

func (h *htmlWriter) Write(d Document) error {
	v := d.View()
	style, script := asset("report.css"), asset("report.js")
	h.b.Reset()
	h.anchors = map[string]int{}
	language := msg.Name(h.style.Language)
	if language != "" {
		language = ` lang="` + language + `"`
	}
	title := h.text(v.Title)
	if title == "" {
		title = html.EscapeString(line(v.Name))
	}
	h.put("<!doctype html>\n<html%s>\n<head>\n<meta charset=\"utf-8\">", language)
	h.put(`<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src '%s'; script-src '%s'; `+
		`base-uri 'none'; form-action 'none'">`, hash(style), hash(script))
	h.put(`<meta name="viewport" content="width=device-width, initial-scale=1">`)
	h.put(`<meta name="referrer" content="no-referrer">`)
	h.put("<title>%s</title>\n<style>%s</style>\n</head>\n<body>\n<header>", title, style)
	h.put("<h1>%s</h1>", title)
	h.put(`<p class="about">hybridge %s, <time datetime="%s">%s</time></p>`, html.EscapeString(line(h.version)),
		h.begun.UTC().Format(time.RFC3339), h.begun.UTC().Format("2006-01-02 15:04 UTC"))
	h.summary(v.Summary)
	h.put("</header>\n<main>")
	for _, b := range v.Blocks {
		if picture, ok := b.(Topology); ok {
			h.block(picture)
		}
	}
	h.filters(v)
	h.blocks(withoutPictures(v.Blocks))
	h.put("</main>\n<script>%s</script>\n</body>\n</html>", script)
	_, err := io.WriteString(h.w, h.b.String())
	return err
}

// Fail writes nothing: standard error has it.
func (*htmlWriter) Fail(Failure) error { return nil }
func (*htmlWriter) End(int) error      { return nil }

func asset(name string) string {
	text, err := templates.Read("html/" + name)
	if err != nil {
		panic(err) // embedded
	}
	return text
}

// hash is the source expression of a Content-Security-Policy that allows this very text.
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// put writes a line. Its arguments are markup already: text passes through text or plain.
func (h *htmlWriter) put(format string, args ...any) { fmt.Fprintf(&h.b, format+"\n", args...) }

// text is a text on one line as markup.
func (h *htmlWriter) text(t msg.Text) string { return html.EscapeString(line(h.style.say(t))) }

// plain is text from elsewhere on one line as markup.
func plain(s string) string { return html.EscapeString(line(s)) }

// anchor is the id of a finding on the page.
func anchor(id, place string) string {
	return "f-" + strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '.':
			return r
		}
		return '_'
	}, id+"_"+place)
}

func (h *htmlWriter) summary(s Summary) {
	if !s.Lead.IsZero() {
		h.put(`<ul class="summary" aria-label="%s">`, strings.TrimSuffix(h.text(s.Lead), ":"))
		for _, c := range s.Counts {
			h.put(`<li class="%s">%s</li>`, map[Tone]string{Good: "good", Caution: "caution", Bad: "bad"}[c.Tone],
				h.text(c.Text))
		}
		h.put("</ul>")
	}
	h.details(s.Notes)
}

// filters are shown by the script. Without it, everything is shown.
func (h *htmlWriter) filters(v View) {
	var statuses []Status
	var places []string
	var collect func([]Block)
	collect = func(blocks []Block) {
		for _, b := range blocks {
			switch b := b.(type) {
			case Section:
				collect(b.View.Blocks)
			case Finding:
				if !slices.Contains(statuses, b.Status) {
					statuses = append(statuses, b.Status)
				}
				if side, _, _ := strings.Cut(b.Place, ": "); side != "" && !slices.Contains(places, side) {
					places = append(places, side)
				}
			}
		}
	}
	collect(v.Blocks)
	if len(statuses) == 0 {
		return
	}
	slices.Sort(places)
	h.put(`<form class="filters" hidden>`)
	for _, s := range statuses {
		h.put(`<button type="button" data-status="%s" aria-pressed="true"><span class="%s">%s</span></button>`,
			plain(string(s)), toneClass(s), h.text(s.look().word))
	}
	h.put(`<select aria-label="%s"><option value="">%s</option>`, h.text(msg.Of("place")), h.text(msg.Of("all places")))
	for _, p := range places {
		h.put(`<option>%s</option>`, plain(p))
	}
	h.put(`</select><input type="search" placeholder="%s" aria-label="%[1]s"><output></output></form>`,
		h.text(msg.Of("search")))
}

func (h *htmlWriter) blocks(blocks []Block) {
	for _, b := range blocks {
		h.block(b)
	}
}

func (h *htmlWriter) block(b Block) {
	switch b := b.(type) {
	case Section:
		h.put("<section>")
		if title := b.Heading; !title.IsZero() {
			h.put("<h2>%s</h2>", h.text(title))
		} else if !b.View.Title.IsZero() {
			h.put("<h2>%s</h2>", h.text(b.View.Title))
		}
		h.summary(b.View.Summary)
		h.blocks(b.View.Blocks)
		h.put("</section>")
	case Topology:
		h.put("<figure class=\"picture\">\n%s%s", b.wide(h.style), b.narrow(h.style))
		h.put("<figcaption>%s</figcaption></figure>", h.legend())
	case Finding:
		h.finding(b)
	case Diff:
		if !b.Intro.IsZero() {
			h.put("<p>%s</p>", h.text(b.Intro))
		}
		for _, c := range b.Changes {
			h.change(c)
		}
	case Matrix:
		h.matrix(b)
	case Table:
		rows := make([][]string, len(b.Rows))
		for i, row := range b.Rows {
			for _, cell := range row {
				rows[i] = append(rows[i], h.text(cell))
			}
		}
		h.table(b.Columns, rows)
	case Path, Paragraph, Command:
		h.details([]Block{b})
	case Source:
		h.put("<pre>%s</pre>", html.EscapeString(Sanitize(strings.TrimRight(b.Text, "\n"))))
	}
}

// legend says what the marks of a picture mean.
func (h *htmlWriter) legend() string {
	var parts []string
	for _, s := range []Status{Pass, Warn, Fail, Error, Acknowledged} {
		parts = append(parts, fmt.Sprintf(`<span class="%s">%s</span> %s`, toneClass(s), s.sign(),
			h.text(s.look().word)))
	}
	return strings.Join(append(parts, Status("").sign()+" "+h.text(msg.Of("not checked"))), " &nbsp; ")
}

func (h *htmlWriter) status(s Status) string {
	return fmt.Sprintf(`<span class="status %s">%s</span>`, toneClass(s), h.text(s.look().word))
}

func (h *htmlWriter) finding(f Finding) {
	side, _, _ := strings.Cut(f.Place, ": ")
	id := anchor(f.ID, f.Place)
	if h.anchors[id]++; h.anchors[id] > 1 {
		id += fmt.Sprintf("_%d", h.anchors[id])
	}
	h.put(`<article class="finding %s" id="%s" data-status="%s" data-place="%s">`, toneClass(f.Status),
		id, plain(string(f.Status)), plain(side))
	head := h.status(f.Status) + " "
	if !f.Action.IsZero() {
		head += h.text(f.Action) + " "
	}
	head += "<code>" + plain(f.ID) + "</code>"
	if f.Place != "" {
		head += " " + plain(f.Place)
	}
	if !f.Title.IsZero() {
		head += ` <span class="title">` + h.text(f.Title) + "</span>"
	}
	if !f.Action.IsZero() && f.Took > 0 {
		head += ` <span class="took">` + plain(duration(f.Took)) + "</span>"
	}
	h.put("<h3>%s</h3>", head)
	if summary := h.text(f.Summary); summary != "" {
		h.put("<p>%s</p>", summary)
	}
	if f.Status != Pass {
		h.details(f.Details)
	}
	h.put("</article>")
}

// details is a list of labels and texts. What has no label goes over the whole width.
func (h *htmlWriter) details(blocks []Block) {
	if len(blocks) == 0 {
		return
	}
	h.put("<dl>")
	for _, b := range blocks {
		class := ` class="whole"`
		if l := h.text(labelOf(b)); l != "" {
			h.put("<dt>%s</dt>", l)
			class = ""
		}
		content := ""
		switch b := b.(type) {
		case Paragraph:
			lines := strings.Split(strings.TrimRight(Sanitize(h.style.say(b.Text)), "\n"), "\n")
			for i, l := range lines {
				lines[i] = html.EscapeString(l)
			}
			content = strings.Join(lines, "<br>")
			if tone := map[Tone]string{Good: "good", Caution: "caution", Bad: "bad"}[b.Tone]; tone != "" {
				content = fmt.Sprintf(`<span class="%s">%s</span>`, tone, content)
			}
		case Path:
			hops := make([]string, len(b.Hops))
			for i, hop := range b.texts() {
				hops[i] = plain(h.style.say(hop))
				if i == b.Broken-1 {
					hops[i] = `<span class="bad">` + hops[i] + "</span>"
				}
			}
			content = strings.Join(hops, " → ")
		case Command:
			commands := make([]string, len(b.Lines))
			for i, command := range b.Lines {
				commands[i] = plain(command)
			}
			content = "<pre>" + strings.Join(commands, "\n") + "</pre>"
		}
		h.put("<dd%s>%s</dd>", class, content)
	}
	h.put("</dl>")
}

func (h *htmlWriter) change(c Change) {
	symbol, tone := c.Action.Symbol()
	head := fmt.Sprintf(`<span class="status %s">%s</span> <code>%s</code>`,
		map[Tone]string{Good: "good", Caution: "caution", Bad: "bad"}[tone], html.EscapeString(symbol), plain(c.ID))
	if c.Name != "" && !strings.HasSuffix(c.ID, "/"+c.Name) {
		head += " " + plain(c.Name)
	}
	h.put(`<article class="change"><h3>%s</h3>`, head)
	h.details(c.Details)
	var rows [][]string
	for _, p := range c.Properties {
		sign := fmt.Sprintf(`<span class="%s">%s</span>`, map[Tone]string{Good: "good", Caution: "caution",
			Bad: "bad"}[p.Sign.tone()], html.EscapeString(string(p.Sign)))
		before, after := h.text(p.Before), h.text(p.After)
		if p.List() {
			before, after = h.lines(p.Gone), h.lines(p.Come)
			if p.Kept > 0 {
				after += ` <span class="label">` + h.text(msg.Of("%d kept", p.Kept)) + "</span>"
			}
		}
		rows = append(rows, []string{sign, plain(p.Name), before, after})
	}
	if len(rows) > 0 {
		h.table([]msg.Text{{}, msg.Of("property"), msg.Of("before"), msg.Of("after")}, rows)
	}
	h.put("</article>")
}

func (h *htmlWriter) lines(texts []msg.Text) string {
	out := make([]string, len(texts))
	for i, t := range texts {
		out[i] = h.text(t)
	}
	return strings.Join(out, "<br>")
}

func (h *htmlWriter) matrix(x Matrix) {
	direction := func(l Lookup) string { return html.EscapeString(h.style.direction(l.Direction)) }
	cell := func(s Status) string {
		if s == "" {
			return "-"
		}
		return h.status(s)
	}
	var rows [][]string
	if x.Before != nil {
		for _, group := range pairs(x) {
			for _, l := range group {
				rows = append(rows, []string{cell(l.before), cell(l.after), direction(l.Lookup), h.text(l.Question()),
					plain(l.Probe)})
			}
		}
		h.table([]msg.Text{msg.Of("before"), msg.Of("after"), msg.Of("direction"), msg.Of("lookup"), msg.Of("by")},
			rows)
		return
	}
	for _, l := range x.Lookups {
		rows = append(rows, []string{cell(l.Status), direction(l), h.text(l.Question()), plain(l.Probe),
			plain(duration(l.Took))})
	}
	h.table([]msg.Text{msg.Of("status"), msg.Of("direction"), msg.Of("lookup"), msg.Of("by"), msg.Of("time")}, rows)
	for _, l := range x.Lookups {
		if len(l.Details) > 0 {
			h.finding(Finding{Status: l.Status, ID: h.style.direction(l.Direction), Place: l.Probe,
				Summary: l.Question(), Details: l.Details})
		}
	}
}

func (h *htmlWriter) table(columns []msg.Text, rows [][]string) {
	h.put(`<div class="scroll"><table><thead><tr>`)
	for _, c := range columns {
		h.put("<th>%s</th>", h.text(c))
	}
	h.put("</tr></thead><tbody>")
	for _, row := range rows {
		h.put("<tr><td>%s</td></tr>", strings.Join(row, "</td><td>"))
	}
	h.put("</tbody></table></div>")
}
