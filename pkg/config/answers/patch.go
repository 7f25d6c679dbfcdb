package answers

import (
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// Editing changes the tree of nodes first. Then the text is patched where the change is, so that a
// person's comments, order, quotes and alignment stay; the patched text counts only when it means
// what the tree means. Where no patch is known, the tree is written anew.

// edited brings the text after a change of the tree; patches are tried one after the other.
func (d *Document) edited(patches ...patch) {
	tree := d.root
	candidate, ok := newWritten(d.source), len(patches) > 0 && d.source != nil
	for _, p := range patches {
		if ok {
			candidate, ok = p(candidate)
		}
	}
	if ok {
		if fresh, err := NewDocument(d.name, candidate.bytes()); err == nil && same(fresh.root, tree) {
			d.adopt(fresh)
			return
		}
	}
	d.lines, d.source = nil, nil
	if fresh, err := NewDocument(d.name, d.Bytes()); err == nil {
		d.adopt(fresh)
	}
}

func (d *Document) adopt(fresh *Document) {
	bom := d.bom
	*d = *fresh
	d.bom = bom
}

// patch changes the text of a document; false when it does not know how.
type patch func(written) (written, bool)

// written is a file as lines with their ends.
type written []string

func newWritten(data []byte) written {
	return slices.Collect(strings.Lines(string(data)))
}

func (t written) bytes() []byte { return []byte(strings.Join(t, "")) }

// eol is how the lines of the file end.
func (t written) eol() string {
	if len(t) > 0 && strings.HasSuffix(t[0], "\r\n") {
		return "\r\n"
	}
	return "\n"
}

// at splits the line of a node at the node's first character.
func (t written) at(n *yaml.Node) (before, after string, ok bool) {
	if n.Line < 1 || n.Line > len(t) || n.Column < 1 {
		return "", "", false
	}
	line := t[n.Line-1]
	i := 0
	for range n.Column - 1 {
		_, size := utf8.DecodeRuneInString(line[i:])
		i += size
	}
	return line[:i], line[i:], i <= len(line)
}

// flowEnd is the length of what begins a text, up to one of the ends at its own level; -1 when the
// line ends before.
func flowEnd(s, ends string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case depth == 0 && strings.IndexByte(ends, c) >= 0:
			return i
		case c == '"' || c == '\'':
			end := quotedEnd(s[i:])
			if end < 0 {
				return -1
			}
			i += end - 1
		case c == '[' || c == '{':
			depth++
		case c == ']' || c == '}':
			depth--
		}
	}
	return -1
}

// quotedEnd is the length of a quoted scalar that begins a text; -1 when the line ends before.
func quotedEnd(s string) int {
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && s[0] == '"':
			i++
		case s[i] == s[0] && s[0] == '\'' && i+1 < len(s) && s[i+1] == '\'':
			i++
		case s[i] == s[0]:
			return i + 1
		}
	}
	return -1
}

// length is how long the value of a node is in the text, for values that stand on one line.
func length(n *yaml.Node, after string) int {
	switch {
	case n.Kind == yaml.ScalarNode && n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0:
		return quotedEnd(after)
	case n.Kind == yaml.ScalarNode && n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) == 0 && strings.HasPrefix(after,
		n.Value):
		return len(n.Value)
	case n.Kind == yaml.SequenceNode && strings.HasPrefix(after, "["), n.Kind == yaml.MappingNode &&
		strings.HasPrefix(after, "{"):
		if end := flowEnd(after[1:], "]}"); end >= 0 {
			return end + 2
		}
	}
	return -1
}

// replace puts another value in the place of a node.
func replace(n *yaml.Node, value string) patch {
	return func(t written) (written, bool) {
		before, after, ok := t.at(n)
		if !ok {
			return nil, false
		}
		end := length(n, after)
		if end < 0 {
			return nil, false
		}
		t[n.Line-1] = before + value + after[end:]
		return t, true
	}
}

// lastLine is the last line of a value in block style; 0 when it cannot be known.
func lastLine(n *yaml.Node) int {
	last := n.Line
	if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return 0
	}
	for _, c := range n.Content {
		end := lastLine(c)
		if end == 0 {
			return 0
		}
		last = max(last, end)
	}
	return last
}

// insert puts what is new into a mapping or at the end of a list.
func insert(parent *yaml.Node, key string, value *yaml.Node, root bool) patch {
	return func(t written) (written, bool) {
		if parent.Style&yaml.FlowStyle != 0 {
			_, after, ok := t.at(parent)
			end := length(parent, after)
			if !ok || end < 0 || len(parent.Content) == 0 {
				return nil, false
			}
			what := flow(value)
			if parent.Kind == yaml.MappingNode {
				what = key + ": " + what
			}
			before, _, _ := t.at(parent)
			inner := strings.TrimRight(after[:end-1], " ")
			t[parent.Line-1] = before + inner + ", " + what + after[end-1:]
			return t, true
		}
		last := lastLine(parent)
		if len(parent.Content) == 0 || last == 0 || last > len(t) {
			return nil, false
		}
		whole := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Content: []*yaml.Node{value}}
		column := parent.Column
		if parent.Kind == yaml.MappingNode {
			column = parent.Content[0].Column
			whole = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Content: []*yaml.Node{{Kind: yaml.ScalarNode,
				Tag: "!!str", Value: key}, value}}
		}
		data, err := yaml.Dump(whole, layout())
		if err != nil {
			return nil, false
		}
		var lines []string
		if root {
			lines = append(lines, t.eol())
		}
		for line := range strings.Lines(string(data)) {
			lines = append(lines, strings.Repeat(" ", column-1)+strings.TrimRight(line, "\n")+t.eol())
		}
		if !strings.HasSuffix(t[last-1], "\n") {
			t[last-1] += t.eol()
		}
		return slices.Insert(t, last, lines...), true
	}
}

// cut takes an entry out of a mapping or list, with the comment above it.
func cut(parent, key, value *yaml.Node) patch {
	return func(t written) (written, bool) {
		first := value
		if key != nil {
			first = key
		}
		before, after, ok := t.at(first)
		if !ok {
			return nil, false
		}
		if parent.Style&yaml.FlowStyle != 0 {
			end := flowEnd(after, ",]}")
			if end < 0 {
				return nil, false
			}
			rest := after[end:]
			if rest[0] == ',' {
				rest = strings.TrimLeft(rest[1:], " ")
			} else {
				before = strings.TrimRight(strings.TrimRight(before, " "), ",")
			}
			t[first.Line-1] = before + rest
			return t, true
		}
		last := lastLine(value)
		lead := strings.TrimSpace(before)
		if last == 0 || key != nil && lead != "" || key == nil && lead != "-" {
			return nil, false // the first key of a list's element shares its line with the dash
		}
		from := first.Line - 1
		for from > 0 && strings.HasPrefix(t[from-1], before[:len(before)-len(strings.TrimLeft(before, " "))]+"#") {
			from--
		}
		return slices.Delete(t, from, last), true
	}
}

// flow writes a value on one line.
func flow(n *yaml.Node) string {
	var parts []string
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			parts = append(parts, n.Content[i].Value+": "+flow(n.Content[i+1]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case yaml.SequenceNode:
		for _, item := range n.Content {
			parts = append(parts, flow(item))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return scalar(n.Value)
}

// scalar writes a text so that it is a text again wherever it stands.
func scalar(s string) string {
	var n yaml.Node
	if err := yaml.Load([]byte("[{k: "+s+"}]"), &n); err == nil && len(n.Content) == 1 &&
		len(n.Content[0].Content) == 1 {
		if m := n.Content[0].Content[0]; m.Kind == yaml.MappingNode && len(m.Content) == 2 &&
			m.Content[1].Kind == yaml.ScalarNode && m.Content[1].ShortTag() == "!!str" && m.Content[1].Value == s &&
			m.Content[1].Style == 0 {
			return s
		}
	}
	if strings.ContainsAny(s, "\\\"") {
		return "'" + strings.ReplaceAll(s, "'", "''") + "'"
	}
	return `"` + s + `"`
}
