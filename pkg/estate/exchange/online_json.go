package exchange

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
)

// onlineBody encodes a command as the service takes it.
func onlineBody(c Command) ([]byte, error) {
	parameters := make(map[string]any, len(c.Parameters)+1)
	for name, v := range c.Parameters {
		encoded, err := Convert(v, onlineValue)
		if err != nil {
			return nil, fmt.Errorf("%s: parameter %s: %w", c.Name, name, err)
		}
		parameters[name] = encoded
	}
	if _, given := c.Parameter("Confirm"); !given && !c.Reads() && takes(c.Name, "Confirm", Online) {
		parameters["Confirm"] = false
	}
	return json.Marshal(map[string]any{"CmdletInput": map[string]any{"CmdletName": c.Name, "Parameters": parameters}})
}

// takes reports whether a cmdlet of the catalogue has a parameter on a side.
func takes(cmdlet, parameter string, side Side) bool {
	spec, ok := Catalogue().Find(cmdlet)
	if !ok {
		return false
	}
	p, ok := spec.Parameter(parameter)
	return ok && p.On(side)
}

// onlineValue encodes one value of a parameter; its elements are encoded already.
func onlineValue(v any) (any, error) {
	switch v := v.(type) {
	case []byte:
		return map[string]any{"@odata.type": byteArray, "Data": base64.StdEncoding.EncodeToString(v)}, nil
	case ListChange:
		table := map[string]any{"@odata.type": genericTable}
		if len(v.Add) > 0 {
			table["Add"] = v.Add
		}
		if len(v.Remove) > 0 {
			table["Remove"] = v.Remove
		}
		return table, nil
	case map[string]any:
		v["@odata.type"] = genericTable
		return v, nil
	case secret.Value, Credential:
		return nil, errors.New("the admin API has no known form for a credential")
	default:
		return v, nil
	}
}

// onlineObject reads one object of an answer and drops what OData put beside its properties.
func onlineObject(text json.RawMessage) (Object, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if trimmed := bytes.TrimSpace(text); len(trimmed) == 0 || trimmed[0] != '{' {
		// a cmdlet that prints plain values
		v, err := decodeValue(d, maxDepth)
		if err != nil {
			return Object{}, err
		}
		s, ok := Scalar(v)
		if !ok {
			return Object{}, fmt.Errorf("it is %s, not an object", describe(v))
		}
		return NewObject(nil, s), nil
	}
	raw, err := decodeObject(d, maxDepth)
	if err != nil {
		return Object{}, err
	}
	out := Object{Types: raw.Types, Text: raw.Text}
	for _, name := range raw.names {
		v := raw.properties[strings.ToLower(name)]
		switch {
		case strings.EqualFold(name, "@odata.type"):
			if s, ok := v.(string); ok && out.Types == nil {
				out.Types = []string{strings.TrimPrefix(s, "#")}
			}
		case strings.Contains(name, "@"):
		default:
			out.put(name, must(Convert(v, withoutSidecars)))
		}
	}
	if out.Text == "" {
		for _, name := range []string{"Identity", "Name"} {
			if s, err := out.String(name); err == nil {
				out.Text = s
				break
			}
		}
	}
	return out, nil
}

// withoutSidecars takes OData's annotations out of a hashtable.
func withoutSidecars(v any) (any, error) {
	if table, ok := v.(map[string]any); ok {
		maps.DeleteFunc(table, func(k string, _ any) bool { return strings.Contains(k, "@") })
	}
	return v, nil
}
