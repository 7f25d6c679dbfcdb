package answers

import (
	"slices"
	"strconv"

	"go.yaml.in/yaml/v4"
)

// Side decides what counts where two documents changed the same answer.
type Side int

// The sides of a merge.
const (
	Undecided Side = iota
	Ours
	Theirs
)

// Merge returns theirs with the changes that lead from base to ours; base may be nil. Comments and
// order are those of theirs. Where both changed the same answer, side decides; undecided, the keys
// are returned and the document is nil.
func Merge(base, ours, theirs *Document, side Side) (*Document, []string) {
	merged := theirs.Clone()
	var root *yaml.Node
	if base != nil {
		root = base.root
	}
	m := merger{side: side}
	m.mapping(nil, root, ours.root, merged.root)
	if len(m.conflicts) > 0 {
		return nil, m.conflicts
	}
	for _, change := range m.changes {
		if change.value == nil {
			merged.unset(change.at)
		} else {
			merged.set(change.at, change.value)
		}
	}
	return merged, nil
}

type merger struct {
	side      Side
	conflicts []string
	changes   []change
}

// change is a value that theirs gets; nil removes it.
type change struct {
	at    []string
	value *yaml.Node
}

// mapping finds what has to change in theirs, key by key.
func (m *merger) mapping(path []string, base, ours, theirs *yaml.Node) {
	for _, key := range keysOf(base, ours) {
		m.node(append(slices.Clone(path), key), under(base, key), under(ours, key), under(theirs, key))
	}
}

func (m *merger) node(at []string, base, ours, theirs *yaml.Node) {
	switch {
	case same(ours, base), same(ours, theirs):
	case ours != nil && theirs != nil && ours.Kind == yaml.MappingNode && theirs.Kind == yaml.MappingNode:
		m.mapping(at, base, ours, theirs)
	case listsOfMappings(ours, theirs) && (base == nil || listsOfMappings(ours, base)):
		for i := range ours.Content {
			var b *yaml.Node
			if base != nil {
				b = resolveAlias(base.Content[i])
			}
			m.mapping(append(slices.Clone(at), strconv.Itoa(i)), b, resolveAlias(ours.Content[i]),
				resolveAlias(theirs.Content[i]))
		}
	case same(theirs, base), m.side == Ours:
		m.changes = append(m.changes, change{at, copyOf(ours)})
	case m.side == Undecided:
		m.conflicts = append(m.conflicts, render(at))
	}
}

// listsOfMappings reports whether two values are lists of mappings of one length, which are merged
// element by element.
func listsOfMappings(a, b *yaml.Node) bool {
	if a == nil || b == nil || a.Kind != yaml.SequenceNode || b.Kind != yaml.SequenceNode ||
		len(a.Content) != len(b.Content) {
		return false
	}
	for _, item := range slices.Concat(a.Content, b.Content) {
		if resolveAlias(item).Kind != yaml.MappingNode {
			return false
		}
	}
	return true
}

// same reports whether two values mean the same; order in mappings and comments do not count.
func same(a, b *yaml.Node) bool {
	if a == nil || b == nil {
		return a == b
	}
	a, b = resolveAlias(a), resolveAlias(b)
	if a.Kind != b.Kind || len(a.Content) != len(b.Content) {
		return false
	}
	switch a.Kind {
	case yaml.ScalarNode:
		return a.Value == b.Value && a.ShortTag() == b.ShortTag()
	case yaml.MappingNode:
		for i := 0; i+1 < len(a.Content); i += 2 {
			other := b.Content[i+1]
			if b.Content[i].Value != a.Content[i].Value { // in another place, if at all
				other = child(b, a.Content[i].Value)
			}
			if !same(a.Content[i+1], other) {
				return false
			}
		}
	default:
		for i := range a.Content {
			if !same(a.Content[i], b.Content[i]) {
				return false
			}
		}
	}
	return true
}

func keysOf(nodes ...*yaml.Node) []string {
	var keys []string
	for _, n := range nodes {
		for i := 0; n != nil && n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
			if !slices.Contains(keys, n.Content[i].Value) {
				keys = append(keys, n.Content[i].Value)
			}
		}
	}
	return keys
}

func under(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	if v := child(n, key); v != nil {
		return resolveAlias(v)
	}
	return nil
}

// copyOf returns a copy that shares nothing with n; nil of nil.
func copyOf(n *yaml.Node) *yaml.Node {
	if n == nil {
		return nil
	}
	fresh := *resolveAlias(n)
	fresh.Content = make([]*yaml.Node, len(fresh.Content))
	for i, item := range resolveAlias(n).Content {
		fresh.Content[i] = copyOf(item)
	}
	return &fresh
}
