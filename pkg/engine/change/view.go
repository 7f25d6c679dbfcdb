package change

import (
	"crypto/sha1"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

// View shows the changes as a diff, what is left out, and how many changes there are of each
// action.
func (p Plan) View() report.View {
	v := report.View{Name: "plan", Title: msg.Of("Plan")}
	s := p.Summary
	if len(p.Changes) == 0 {
		text := msg.Plural(s.Unchanged, "Nothing to change: %d resource is up to date.",
			"Nothing to change: all %d resources are up to date.")
		if s.Unchanged == 0 {
			text = msg.Of("Nothing to change: no resource is planned.")
		}
		v.Blocks = slices.Concat([]report.Block{report.Paragraph{Text: text}}, p.leftOut(), p.notes())
		return v
	}
	diff := report.Diff{Intro: msg.Of("Changes, in this order:")}
	for _, c := range p.Changes {
		diff.Changes = append(diff.Changes, c.Diff())
	}
	v.Blocks = slices.Concat([]report.Block{diff}, p.leftOut(), p.notes())
	v.Summary = report.Summary{Lead: msg.Of("Plan:"), Counts: []report.Count{{Text: msg.Of(
		"%d to create, %d to change, %d to replace, %d to remove; %d unchanged",
		s.Create, s.Update, s.Replace, s.Delete, s.Unchanged,
	)}}}
	if p.Digest != "" {
		v.Summary.Notes = []report.Block{report.Command{Label: msg.Of("digest"), Lines: []string{p.Digest}}}
	}
	return v
}

// leftOut shows what the plan lacks.
func (p Plan) leftOut() []report.Block {
	if len(p.LeftOut) == 0 {
		return nil
	}
	var out []report.Block
	out = append(out, p.leftOutOf(msg.Of("Left out, because something that it rests on is unknown. Plan again when "+
		"it can be read:"), msg.Of("left out"), false)...)
	return append(out, p.leftOutOf(msg.Of("Waiting. A later plan holds the next step:"), msg.Of("waits"), true)...)
}

// leftOutOf shows what is unknown, or what waits.
func (p Plan) leftOutOf(intro, title msg.Text, waits bool) []report.Block {
	var out []report.Block
	for _, l := range p.LeftOut {
		if l.Waits != waits {
			continue
		}
		if out == nil {
			out = append(out, report.Paragraph{Text: intro, Tone: report.Caution})
		}
		f := report.Finding{Status: report.Unknown, ID: l.Topic, Place: l.Place, Group: "plan", Class: l.Topic,
			Title: title, Summary: l.Reason}
		for _, id := range l.Resources {
			f.Details = append(f.Details, report.Paragraph{Text: msg.Plain(id)})
		}
		out = append(out, f)
	}
	return out
}

// notes shows what the plan says and does not do.
func (p Plan) notes() []report.Block {
	if len(p.Notes) == 0 {
		return nil
	}
	out := []report.Block{report.Paragraph{Text: msg.Of("To know:")}}
	for _, n := range p.Notes {
		label := n.Topic
		if n.Place != "" {
			label += " " + n.Place
		}
		out = append(out, report.Paragraph{Label: msg.Plain(label), Text: n.Text})
		if len(n.Commands) > 0 {
			out = append(out, report.Command{Label: msg.Of("run"), Lines: n.Commands})
		}
	}
	return out
}

// Diff shows one change, property by property. What stays as it is is left out.
func (c Change) Diff() report.Change {
	out := report.Change{Action: report.Action(c.Action), ID: c.ID, Place: c.Target, Kind: c.Kind, Name: c.Name}
	for _, d := range []struct {
		label msg.Text
		text  msg.Text
	}{{msg.Of("why"), c.Reason}, {msg.Of("risk"), msg.Key(c.Risk)}} {
		if !d.text.IsZero() {
			out.Details = append(out.Details, report.Paragraph{Label: d.label, Text: d.text})
		}
	}
	names := maps.Clone(c.Before)
	if names == nil {
		names = Properties{}
	}
	maps.Copy(names, c.After)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		before, had := c.Before[name]
		after, has := c.After[name]
		p := report.Property{Name: name}
		switch {
		case c.Action == Delete || had && !has:
			p.Sign, p.Before = report.Removed, Shown(before)
		case c.Action == Create || !had:
			p.Sign, p.After = report.Added, Shown(after)
		case Equal(before, after):
			continue
		default:
			p.Sign = report.Changed
			p.Gone, p.Come, p.Kept = listed(before, after)
			if !p.List() {
				p.Before, p.After = Shown(before), Shown(after)
			}
		}
		out.Properties = append(out.Properties, p)
	}
	return out
}

// listed is what a list loses and gets; nothing of what is no list, or a list of one element.
func listed(before, after any) (gone, come []msg.Text, kept int) {
	_, wasText := before.(string)
	_, isText := after.(string)
	was, is := Elements(before), Elements(after)
	if wasText || isText || len(was) < 2 && len(is) < 2 {
		return nil, nil, 0
	}
	var p Property
	for _, element := range p.Added(was, is) {
		gone = append(gone, Shown(element))
	}
	for _, element := range p.Added(is, was) {
		come = append(come, Shown(element))
	}
	return gone, come, len(was) - len(gone)
}

// Shown shows a property's value to a person, in one line that may be broken at its blanks. What is
// too long to read is shortened: a certificate to what identifies it, other opaque text to its
// beginning and length. The plan as JSON has everything. The text is not sanitized.
func Shown(v any) msg.Text {
	switch v := v.(type) {
	case nil:
		return msg.Of("(nothing)")
	case Ref:
		return shownRef(v)
	case SecretRef:
		return msg.Of("(secret %s)", v.String())
	case string:
		return shownText(v)
	case []string:
		return shownList(Elements(v))
	case []any:
		return shownList(v)
	case Properties:
		return Shown(map[string]any(v))
	case map[string]any:
		keys := slices.Sorted(maps.Keys(v))
		args := make([]any, 0, 2*len(keys))
		for _, key := range keys {
			args = append(args, key, Shown(v[key]))
		}
		return msg.Text{Format: "{" + strings.Repeat(", %s: %s", len(keys))[min(2, 8*len(keys)):] + "}", Args: args}
	}
	return msg.Plain(Text(v))
}

func shownList(elements []any) msg.Text {
	args := make([]any, len(elements))
	for i, e := range elements {
		args[i] = Shown(e)
	}
	return msg.Text{Format: "[" + strings.Repeat(", %s", len(args))[min(2, 4*len(args)):] + "]", Args: args}
}

var guid = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\b([0-9a-fA-F]{8})-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b`)
})

// shownRef shows what a value will come from. The change stands above in the plan: the beginning of
// a GUID in its id identifies it.
func shownRef(r Ref) msg.Text {
	_, id, found := strings.Cut(r.Change, "/")
	if strings.HasPrefix(r.Change, "onprem/") {
		_, id, found = strings.Cut(id, "/")
	}
	if !found {
		id = r.Change
	}
	return msg.Of("(the %s of %s, once it is made)", r.Property, guid().ReplaceAllString(id, "$1.."))
}

const (
	opaqueFrom = 100 // characters from which text without blanks may be a key
	longest    = 400 // characters of any other text
	beginning  = 12
)

var opaque = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Za-z0-9+/_-]+=*$`)
})

func shownText(s string) msg.Text {
	switch {
	case len(s) >= opaqueFrom && opaque().MatchString(s):
		if der, err := base64.StdEncoding.DecodeString(s); err == nil {
			if c, err := x509.ParseCertificate(der); err == nil {
				// The thumbprint is the name that Exchange and Windows give it.
				sum := sha1.Sum(der)
				return msg.Of("(certificate %s, thumbprint %s, until %s)",
					Text(c.Subject.String()), strings.ToUpper(hex.EncodeToString(sum[:])),
					c.NotAfter.Format("2006-01-02"))
			}
		}
		return msg.Of("%s (the beginning of %d characters)", Text(s[:beginning]), len(s))
	case len(s) > longest:
		return msg.Of("%s (the beginning of %d bytes)", Text(strings.ToValidUTF8(s[:longest], "")), len(s))
	}
	return msg.Plain(Text(s))
}
