package organization

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
)

// state is the JSON form of an organization's objects.
type state struct {
	Made    int                          `json:"made"`
	Objects map[string][]exchange.Object `json:"objects"` // by noun
}

// Snapshot returns the state of all objects as JSON.
func (o *Organization) Snapshot() ([]byte, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := state{Made: o.made, Objects: map[string][]exchange.Object{}}
	for _, records := range o.records {
		for _, r := range records {
			pairs := []any{"Name", r.get("Name"), "Guid", r.get("Guid"), "WhenCreated", r.get("WhenCreated"),
				"WhenChanged", r.get("WhenChanged")}
			for _, p := range r.noun.properties {
				if p.name != "Name" && p.on(o.c.Side) {
					pairs = append(pairs, p.name, r.get(p.name))
				}
			}
			for _, name := range r.extra {
				pairs = append(pairs, name, r.get(name))
			}
			s.Objects[r.noun.name] = append(s.Objects[r.noun.name], exchange.NewObject(nil, "", pairs...))
		}
	}
	return json.MarshalIndent(s, "", "  ")
}

// Restore replaces all objects by those of a snapshot. Records returned before no longer belong to
// the organization.
func (o *Organization) Restore(snapshot []byte) error {
	var s state
	if err := json.Unmarshal(snapshot, &s); err != nil {
		return fmt.Errorf("restore %s: %w", o.c.Name, err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	records := map[string][]*Record{}
	for name, objects := range s.Objects {
		n, ok := nouns()[strings.ToLower(name)]
		if !ok {
			return fmt.Errorf("restore %s: no noun %q", o.c.Name, name)
		}
		for _, object := range objects {
			r := o.blank(n)
			for _, property := range object.Names() {
				v, err := object.Value(property)
				if err == nil {
					if list, ok := v.([]any); ok {
						v, err = stringList(list)
					}
				}
				if err == nil {
					err = r.restore(property, v)
				}
				if err != nil {
					return fmt.Errorf("restore %s: %s: %w", o.c.Name, name, err)
				}
			}
			records[strings.ToLower(name)] = append(records[strings.ToLower(name)], r)
		}
	}
	o.records, o.made = records, s.Made
	return nil
}

func stringList(list []any) ([]string, error) {
	out := make([]string, len(list))
	for i, e := range list {
		s, ok := e.(string)
		if !ok {
			return nil, fmt.Errorf("a list holds a %T", e)
		}
		out[i] = s
	}
	return out, nil
}

// restore sets a property to its stored value. Properties that every object has are not extras.
func (r *Record) restore(name string, v any) error {
	switch key := strings.ToLower(name); key {
	case "name", "guid", "whencreated", "whenchanged":
		r.values[key] = v
		return nil
	}
	return r.put(name, v)
}
