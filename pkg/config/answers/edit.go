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

// Get returns the text under a key; of a list, its elements. False when the key is absent, or still a template's placeholder.
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
	d.set(key, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value})
}

// SetList puts a list of texts under a key.
func (d *Document) SetList(key string, values []string) {
	list := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Style: yaml.FlowStyle}
	for _, v := range values {
		list.Content = append(list.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: v})
	}
	d.set(key, list)
}

// Unset removes a key, or an element of a list; of the mappings that become empty by that, none is left.
func (d *Document) Unset(key string) {
	tokens := splitKey(key)
	for len(tokens) > 0 {
		parent := d.walk(tokens[:len(tokens)-1])
		if parent == nil {
			return
		}
		last := tokens[len(tokens)-1]
		switch parent.Kind {
		case yaml.MappingNode:
			for i := 0; i+1 < len(parent.Content); i += 2 {
				if parent.Content[i].Value == last {
					parent.Content = slices.Delete(parent.Content, i, i+2)
					d.lines = nil
					break
				}
			}
		case yaml.SequenceNode:
			if i, err := strconv.Atoi(last); err == nil && i >= 0 && i < len(parent.Content) {
				parent.Content = slices.Delete(parent.Content, i, i+1)
				d.lines = nil
			}
		}
		if len(parent.Content) > 0 {
			return
		}
		tokens = tokens[:len(tokens)-1]
	}
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

func (d *Document) set(key string, value *yaml.Node) {
	d.lines = nil
	tokens := splitKey(key)
	n := d.root
	for i, t := range tokens {
		var next *yaml.Node
		if index, err := strconv.Atoi(t); err == nil && i > 0 {
			if n.Kind != yaml.SequenceNode {
				become(n, &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"})
			}
			for len(n.Content) <= index {
				n.Content = append(n.Content, &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"})
			}
			next = n.Content[index]
		} else {
			if n.Kind != yaml.MappingNode {
				become(n, &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"})
			}
			if next = child(n, t); next == nil {
				next = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
				n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: t}, next)
			}
		}
		n = next
	}
	become(n, value)
}

// become gives a node another value and keeps its comments and, of a list, its style.
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
