package answers

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v4"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
)

// Ready returns Faults, each with its line, for the references to secrets that ready refuses.
func (d *Document) Ready(ready func(secret.Ref) error) error {
	var faults Faults
	var walk func(n *yaml.Node, path []string)
	walk = func(n *yaml.Node, path []string) {
		n = resolveAlias(n)
		for i := range n.Content {
			at := slices.Concat(path, []string{strconv.Itoa(i)})
			if n.Kind == yaml.MappingNode {
				if i%2 == 0 {
					continue // the key
				}
				at = slices.Concat(path, []string{n.Content[i-1].Value})
			}
			walk(n.Content[i], at)
		}
		if n.Kind != yaml.ScalarNode || len(path) == 0 || !slices.Contains(secretKeys, path[len(path)-1]) {
			return
		}
		if err := ready(secret.Ref(n.Value)); err != nil {
			hint := "set it, or name another reference: " + secret.Forms
			if errors.Is(err, secret.ErrNobodyToAsk) {
				hint = "" // it says what to do
			}
			faults = append(faults, d.fault(n.Line, n.Column, render(path), err.Error(), hint))
		}
	}
	walk(d.root, nil)
	if len(faults) == 0 {
		return nil
	}
	return faults
}

// Variables are the environment variables that references to secrets name.
func (a Answers) Variables() []string {
	data, err := json.Marshal(a)
	if err != nil {
		return nil
	}
	var tree any
	if err := json.Unmarshal(data, &tree); err != nil {
		return nil
	}
	var names []string
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, v := range v {
				walk(v)
			}
		case []any:
			for _, v := range v {
				walk(v)
			}
		case string:
			if source, name, ok := secret.Ref(v).Source(); ok && source == secret.Env {
				names = append(names, name)
			}
		}
	}
	walk(tree)
	slices.Sort(names)
	return slices.Compact(names)
}
