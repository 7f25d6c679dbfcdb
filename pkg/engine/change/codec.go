package change

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
)

// PlanVersion is the version of the plan format that Make writes.
const PlanVersion = "hybridge/v2"

// planFormats reads the plan files of each version. The version before the current one stays here
// when the format changes, so that its plans can be finished.
var planFormats = map[string]func([]byte) (Plan, error){
	PlanVersion: decodePlan,
}

// Classes of what Decode and apply.Run find wrong with a plan.
var (
	ErrPlan   = errors.New("not a usable plan")
	ErrEdited = errors.New("the plan is not as hybridge wrote it") // edited or damaged
)

// Encode writes the plan as indented JSON that ends with a newline: the same plan, the same bytes.
func (p Plan) Encode() []byte {
	if p.Changes == nil {
		p.Changes = []Change{}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(p); err != nil {
		panic(fmt.Sprintf("change: encoding a plan: %v", err))
	}
	return b.Bytes()
}

// Sealed is the plan with the digest of its content.
func (p Plan) Sealed() Plan {
	d := json.NewDecoder(bytes.NewReader(p.Encode()))
	d.UseNumber()
	var document map[string]any
	if err := d.Decode(&document); err != nil {
		panic(fmt.Sprintf("change: a plan is no JSON: %v", err))
	}
	p.Digest = documentDigest(document)
	return p
}

// documentDigest is the digest of a plan document: SHA-256 of its JSON with sorted keys and no
// white space, without the digest itself. It covers the fingerprints of what was live and every
// change.
func documentDigest(document map[string]any) string {
	rest := maps.Clone(document)
	delete(rest, "digest")
	return digest(canonical(rest))
}

// maxPlan is far above any real plan, and fits into memory.
const maxPlan = 64 << 20

// Decode reads a plan that Encode wrote, as strictly as a foreign file deserves. A plan whose
// digest does not fit its content is of class ErrEdited. Another version or kind, keys that are
// unknown, doubled or differ in case, needs and references that lead nowhere or backwards are of
// class ErrPlan.
func Decode(r io.Reader) (Plan, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxPlan+1))
	if err != nil {
		return Plan{}, fmt.Errorf("read plan: %w", err)
	}
	if len(data) > maxPlan {
		return Plan{}, fmt.Errorf("%w: larger than %d MB", ErrPlan, maxPlan>>20)
	}
	document, err := generic(data)
	if err != nil {
		return Plan{}, fmt.Errorf("%w: %w", ErrPlan, err)
	}
	if document["kind"] != "Plan" {
		return Plan{}, fmt.Errorf("%w: its kind is %s, not \"Plan\"", ErrPlan, canonical(document["kind"]))
	}
	version, _ := document["apiVersion"].(string)
	decode, known := planFormats[version]
	switch {
	case version == "hybridge/v1":
		return Plan{}, fmt.Errorf("%w: an earlier version of hybridge wrote it (hybridge/v1); make a new plan", ErrPlan)
	case !known:
		return Plan{}, fmt.Errorf("%w: its apiVersion is %q; this hybridge reads %q", ErrPlan, version, PlanVersion)
	case document["digest"] != documentDigest(document):
		return Plan{}, fmt.Errorf("%w: its digest does not fit its content", ErrEdited)
	}
	return decode(data)
}

func decodePlan(data []byte) (Plan, error) {
	var p Plan
	if err := Strict(data, &p); err != nil {
		return Plan{}, fmt.Errorf("%w: %w", ErrPlan, err)
	}
	if err := p.Validate(); err != nil {
		return Plan{}, err
	}
	return p, nil
}

// Strict decodes a JSON document into v, which must be one that v's type writes: unknown keys, keys
// that occur twice, keys in another case, and values that are written in another way are errors.
func Strict(data []byte, v any) error {
	document, err := generic(data)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	written, err := json.Marshal(v)
	if err != nil {
		return err
	}
	again, err := generic(written)
	if err != nil {
		return err
	}
	if at := firstDifference("", document, again); at != "" {
		return fmt.Errorf("%s is not written as hybridge writes it", at)
	}
	return nil
}

// generic reads a JSON document of one object, numbers as they stand. Keys that occur twice in an
// object, or twice but for case, are errors: two readers would see two documents.
func generic(data []byte) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v, err := element(d, 0)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("something follows the document")
		}
	}
	if err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errors.New("it ends too early")
		}
		line := 1 + bytes.Count(data[:min(int(d.InputOffset()), len(data))], []byte("\n"))
		return nil, fmt.Errorf("line %d: %w", line, err)
	}
	document, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("it is not a JSON object")
	}
	return document, nil
}

// element reads the next value of a document.
func element(d *json.Decoder, depth int) (any, error) {
	if depth > 2*maxDepth {
		return nil, errTooDeep
	}
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := element(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.Token()
		return list, err
	case json.Delim('{'):
		object := map[string]any{}
		folded := map[string]string{}
		for d.More() {
			token, err := d.Token()
			if err != nil {
				return nil, err
			}
			key, _ := token.(string)
			if twin, twice := folded[fold(key)]; twice {
				return nil, fmt.Errorf("the keys %q and %q are the same", twin, key)
			}
			folded[fold(key)] = key
			if object[key], err = element(d, depth+1); err != nil {
				return nil, err
			}
		}
		_, err := d.Token()
		return object, err
	}
	return token, nil
}

// fold maps keys that differ in case only to one text, also the Kelvin sign and the long s.
func fold(key string) string { return strings.ToLower(strings.ToUpper(key)) }

// firstDifference is the path of the first value in which two documents differ.
func firstDifference(path string, a, b any) string {
	switch a := a.(type) {
	case map[string]any:
		b, same := b.(map[string]any)
		if !same {
			break
		}
		for _, key := range slices.Sorted(maps.Keys(a)) {
			other, present := b[key]
			if !present {
				return path + "/" + key
			}
			if at := firstDifference(path+"/"+key, a[key], other); at != "" {
				return at
			}
		}
		for _, key := range slices.Sorted(maps.Keys(b)) {
			if _, present := a[key]; !present {
				return path + "/" + key
			}
		}
		return ""
	case []any:
		b, same := b.([]any)
		if !same || len(a) != len(b) {
			break
		}
		for i := range a {
			if at := firstDifference(fmt.Sprintf("%s/%d", path, i), a[i], b[i]); at != "" {
				return at
			}
		}
		return ""
	default:
		switch b.(type) {
		case map[string]any, []any:
		default:
			if a == b {
				return ""
			}
		}
	}
	if path == "" {
		return "it"
	}
	return path
}

// UnmarshalJSON reads properties back as what plans hold: integers as int64, lists of strings as
// []string, references as Ref and SecretRef.
func (p *Properties) UnmarshalJSON(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var raw map[string]any
	if err := d.Decode(&raw); err != nil {
		return err
	}
	if raw == nil {
		*p = nil
		return nil
	}
	v, err := revived(raw, 0)
	if err != nil {
		return err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return errors.New("a reference in place of properties")
	}
	*p = m
	return nil
}

// UnmarshalJSON reads a command back, its parameters as Properties are; unknown keys are errors.
func (c *Command) UnmarshalJSON(data []byte) error {
	var raw struct {
		Name       string     `json:"name"`
		Parameters Properties `json:"parameters"`
		Then       []Command  `json:"then"`
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&raw); err != nil {
		return err
	}
	c.Name, c.Parameters, c.Then = raw.Name, raw.Parameters, raw.Then
	return nil
}

func revived(v any, depth int) (any, error) {
	if depth > maxDepth {
		return nil, errTooDeep
	}
	switch v := v.(type) {
	case json.Number:
		n, err := v.Int64()
		if err != nil {
			return nil, fmt.Errorf("%s is not a 64-bit integer", v)
		}
		return n, nil
	case []any:
		for i := range v {
			var err error
			if v[i], err = revived(v[i], depth+1); err != nil {
				return nil, err
			}
		}
		return narrowed(v), nil
	case map[string]any:
		for key := range v {
			if strings.HasPrefix(key, "$") {
				return special(v)
			}
		}
		for key := range v {
			var err error
			if v[key], err = revived(v[key], depth+1); err != nil {
				return nil, fmt.Errorf("%s: %w", key, err)
			}
		}
	}
	return v, nil
}

// special reads an object that stands for a Ref, a SecretRef or an Unreadable.
func special(v map[string]any) (any, error) {
	if len(v) != 1 {
		return nil, errors.New(`a reference must read {"$ref": "CHANGE#PROPERTY"} or {"$secret": "env:NAME"}`)
	}
	for key, content := range v {
		text, _ := content.(string)
		switch key {
		case keyRef:
			if at := strings.LastIndexByte(text, '#'); at > 0 && at < len(text)-1 {
				return Ref{Change: text[:at], Property: text[at+1:]}, nil
			}
			return nil, errors.New(`a reference must read {"$ref": "CHANGE#PROPERTY"}`)
		case keySecret:
			if _, err := secret.Parse(text); err != nil {
				return nil, err
			}
			return SecretRef{text}, nil
		case keyUnreadable:
			if content == true {
				return Unreadable{}, nil
			}
		}
	}
	return nil, errors.New("a key that begins with a dollar sign is none that a plan has")
}

// Validate reports whether the plan is consistent. Its errors are of class ErrPlan, or ErrEdited
// when the digest does not fit. Make's plans do.
func (p Plan) Validate() error {
	seen := map[string]bool{}
	touched := map[string]string{} // the change that touches a live resource
	for i, c := range p.Changes {
		fault := func(format string, args ...any) error {
			return fmt.Errorf("%w: change %d (%q): %s", ErrPlan, i+1, c.ID, fmt.Sprintf(format, args...))
		}
		switch {
		case c.ID == "" || c.Target == "" || c.Kind == "":
			return fault("id, target or kind is missing")
		case !strings.HasPrefix(c.ID, c.Target+"/"+c.Kind+"/"):
			return fault("its id does not begin with its target and kind, %s/%s/", c.Target, c.Kind)
		case seen[c.ID]:
			return fault("the plan has it twice")
		case c.Command.Name == "":
			return fault("it has no command")
		}
		switch c.Action {
		case Create, Update, Delete:
			if c.Removal != nil {
				return fault("only a replacement has a removal")
			}
		case Recreate:
			if c.Removal == nil || c.Removal.Name == "" {
				return fault("a replacement needs a removal")
			}
		default:
			return fault("unknown action %q", c.Action)
		}
		if (c.Action == Create) != (c.Identity == "") {
			return fault("its identity does not fit its action, %s", c.Action)
		}
		if c.Identity != "" {
			object := c.Target + "/" + c.Kind + "\x00" + fold(c.Identity)
			if other, twice := touched[object]; twice {
				return fault("it touches what %s touches", other)
			}
			touched[object] = c.ID
		}
		if _, read := p.Live[c.Target+"/"+c.Kind]; !read {
			return fault("the plan has no fingerprint of %s/%s", c.Target, c.Kind)
		}
		if len(Refs(c.Before)) > 0 || len(Secrets(c.Before)) > 0 {
			return fault("what was there before holds a reference")
		}
		for _, need := range c.Needs {
			if !seen[need] {
				return fault("it needs %q, which is no earlier change", need)
			}
		}
		refs := slices.Concat(Refs(c.After), Refs(c.Command.Parameters))
		for _, ref := range refs {
			if !slices.Contains(c.Needs, ref.Change) {
				return fault("it refers to %s without needing it", ref)
			}
		}
		seen[c.ID] = true
	}
	counted := Count(p.Changes)
	counted.Unchanged = p.Summary.Unchanged
	if p.Summary != counted {
		return fmt.Errorf("%w: its summary does not fit its changes", ErrPlan)
	}
	if p.Digest != p.Sealed().Digest {
		return fmt.Errorf("%w: its digest does not fit its content", ErrEdited)
	}
	return nil
}
