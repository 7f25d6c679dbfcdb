package answers

import (
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Clone returns a copy that shares nothing with d.
func (d *Document) Clone() *Document {
	c := *d
	copies := map[*yaml.Node]*yaml.Node{}
	var clone func(*yaml.Node) *yaml.Node
	clone = func(n *yaml.Node) *yaml.Node {
		if n == nil || copies[n] != nil {
			return copies[n]
		}
		fresh := *n
		copies[n] = &fresh
		fresh.Alias = clone(n.Alias)
		fresh.Content = make([]*yaml.Node, len(n.Content))
		for i, item := range n.Content {
			fresh.Content[i] = clone(item)
		}
		return &fresh
	}
	c.all = clone(d.all)
	c.root = copies[d.root]
	return &c
}

// Get returns the text under a key; of a list, its elements. False when the key is absent, or still
// a template's placeholder.
func (d *Document) Get(key string) ([]string, bool) {
	n := d.find(key)
	if n == nil {
		return nil, false
	}
	switch n.Kind {
	case yaml.ScalarNode:
		if isPlaceholder(n.Value) || n.ShortTag() == "!!null" {
			return nil, false
		}
		return []string{n.Value}, true
	case yaml.SequenceNode:
		values := []string{}
		for _, item := range n.Content {
			if item = resolveAlias(item); item.Kind == yaml.ScalarNode && !isPlaceholder(item.Value) {
				values = append(values, item.Value)
			}
		}
		return values, true
	}
	return nil, false
}

// Text is Get for a key that holds one text; "" when there is none.
func (d *Document) Text(key string) string {
	if values, _ := d.Get(key); len(values) == 1 {
		return values[0]
	}
	return ""
}

// Len returns how many elements the list under a key has.
func (d *Document) Len(key string) int {
	if n := d.find(key); n != nil && n.Kind == yaml.SequenceNode {
		return len(n.Content)
	}
	return 0
}

// Set puts a text under a key and makes the mappings and list elements on the way.
func (d *Document) Set(key, value string) {
	d.set(splitKey(key), &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value})
}

// SetList puts a list of texts under a key.
func (d *Document) SetList(key string, values []string) {
	list := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Style: yaml.FlowStyle}
	for _, v := range values {
		list.Content = append(list.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: v})
	}
	d.set(splitKey(key), list)
}

// Unset removes a key, or an element of a list. Mappings and lists that become empty by that go
// too.
func (d *Document) Unset(key string) { d.unset(splitKey(key)) }

func (d *Document) unset(tokens []string) {
	if len(tokens) == 0 || d.walk(tokens) == nil {
		return
	}
	for len(tokens) > 1 {
		if parent := d.walk(tokens[:len(tokens)-1]); len(parent.Content) > 2 || len(parent.Content) == 2 &&
			parent.Kind == yaml.SequenceNode {
			break
		}
		tokens = tokens[:len(tokens)-1]
	}
	parent, last := d.walk(tokens[:len(tokens)-1]), tokens[len(tokens)-1]
	old := *parent
	old.Content = slices.Clone(parent.Content)
	if parent.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(old.Content); i += 2 {
			if old.Content[i].Value == last {
				parent.Content = slices.Delete(parent.Content, i, i+2)
				d.edited(cut(&old, old.Content[i], old.Content[i+1]))
				return
			}
		}
		return
	}
	i, _ := strconv.Atoi(last)
	parent.Content = slices.Delete(parent.Content, i, i+1)
	d.edited(cut(&old, nil, old.Content[i]))
}

func (d *Document) find(key string) *yaml.Node { return d.walk(splitKey(key)) }

func (d *Document) walk(tokens []string) *yaml.Node {
	n := d.root
	for _, t := range tokens {
		switch n.Kind {
		case yaml.MappingNode:
			n = child(n, t)
		case yaml.SequenceNode:
			i, err := strconv.Atoi(t)
			if err != nil || i < 0 || i >= len(n.Content) {
				return nil
			}
			n = n.Content[i]
		default:
			return nil
		}
		if n == nil {
			return nil
		}
		n = resolveAlias(n)
	}
	return n
}

func (d *Document) set(tokens []string, value *yaml.Node) {
	patches := d.patches(tokens, value)
	n := d.root
	for _, t := range tokens {
		var next *yaml.Node
		if index, err := strconv.Atoi(t); err == nil && index >= 0 {
			if n.Kind != yaml.SequenceNode {
				become(n, &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"})
			}
			for len(n.Content) <= index {
				n.Content = append(n.Content, &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"})
			}
			next = resolveAlias(n.Content[index])
		} else {
			if n.Kind != yaml.MappingNode {
				become(n, &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"})
			}
			if next = child(n, t); next == nil {
				next = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
				if len(n.Content) == 0 {
					n.Style = 0 // {} does not become a mapping in braces
				}
				n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: t}, next)
			}
			next = resolveAlias(next)
		}
		n = next
	}
	become(n, value)
	d.edited(patches...)
}

// patches are how the text changes when a value is put under a key; none when that is not known.
func (d *Document) patches(tokens []string, value *yaml.Node) []patch {
	if n := d.walk(tokens); n != nil {
		old := *n
		if n.Kind == yaml.SequenceNode && n.Style&yaml.FlowStyle == 0 {
			return elements(&old, value)
		}
		return []patch{replace(&old, flow(value))}
	}
	for i := len(tokens) - 1; i >= 0; i-- {
		parent := d.walk(tokens[:i])
		if parent == nil {
			continue
		}
		old := *parent
		old.Content = slices.Clone(parent.Content)
		if parent.Kind != yaml.MappingNode && parent.Kind != yaml.SequenceNode || parent.Kind == yaml.SequenceNode &&
			tokens[i] != strconv.Itoa(len(parent.Content)) {
			return nil
		}
		// The new value with the mappings and lists around it.
		for j := len(tokens) - 1; j > i; j-- {
			switch tokens[j] {
			case "0":
				value = &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Content: []*yaml.Node{value}}
			default:
				value = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map",
					Content: []*yaml.Node{{Kind: yaml.ScalarNode, Tag: "!!str", Value: tokens[j]}, value}}
			}
		}
		return []patch{insert(&old, tokens[i], value, i == 0)}
	}
	return nil
}

// elements changes a list in block style line by line.
func elements(old, value *yaml.Node) []patch {
	if value.Kind != yaml.SequenceNode || len(old.Content) == 0 || len(value.Content) == 0 {
		return nil
	}
	parent := *old
	parent.Content = slices.Clone(old.Content)
	var patches []patch
	common := min(len(parent.Content), len(value.Content))
	for i := range common {
		if n := *parent.Content[i]; n.Value != value.Content[i].Value {
			patches = append(patches, replace(&n, flow(value.Content[i])))
		}
	}
	for i := len(parent.Content) - 1; i >= common; i-- {
		patches = append(patches, cut(&parent, nil, parent.Content[i]))
	}
	for i := len(value.Content) - 1; i >= common; i-- { // each directly behind what was the last
		patches = append(patches, insert(&parent, "", value.Content[i], false))
	}
	return patches
}

// become gives a node another value. It keeps the comments and the style of a list.
func become(n, value *yaml.Node) {
	if n.Kind == value.Kind && n.Kind == yaml.SequenceNode {
		value.Style = n.Style
	}
	value.HeadComment, value.LineComment, value.FootComment = n.HeadComment, n.LineComment, n.FootComment
	*n = *value
}

func child(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// splitKey splits "forests[0].domains" into forests, 0 and domains.
func splitKey(key string) []string {
	if key == "" {
		return nil
	}
	return strings.Split(strings.NewReplacer("[", ".", "]", "").Replace(key), ".")
}
