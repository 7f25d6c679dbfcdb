package exchange

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// ErrReadOnly is what a Snapshot, or a session for reading, answers to a cmdlet that would change
// something.
var ErrReadOnly = errors.New("nothing is changed here, only read")

// Snapshot is a Session that answers from a recording. It never reaches anywhere. Its JSON form is
// an object of cmdlet names, each with its output objects, or with {"error": {...}} where recording
// it failed:
//
//	{
//	  "Get-AuthConfig": [{"$types": [], "Realm": ""}],
//	  "Get-AuthServer": {"error": {"cmdlet": "Get-AuthServer", "message": "..."}}
//	}
type Snapshot struct{ answers map[string]Recorded }

// Recorded is what one cmdlet gave.
type Recorded struct {
	Objects []Object
	Err     *Error
}

var _ Session = (*Snapshot)(nil)

// NewSnapshot makes a session of what was recorded, by cmdlet.
func NewSnapshot(answers map[string]Recorded) *Snapshot {
	s := &Snapshot{answers: make(map[string]Recorded, len(answers))}
	for name, r := range answers {
		s.answers[strings.ToLower(name)] = r
	}
	return s
}

// ReadSnapshot reads a recording in the JSON form of Snapshot.
func ReadSnapshot(r io.Reader) (*Snapshot, error) {
	var raw map[string]json.RawMessage
	if err := json.NewDecoder(r).Decode(&raw); err != nil {
		return nil, fmt.Errorf("exchange snapshot: %w", err)
	}
	answers := make(map[string]Recorded, len(raw))
	for name, text := range raw {
		if !isCmdlet(name) {
			return nil, fmt.Errorf("exchange snapshot: %q is not a cmdlet's name", link.Line(name))
		}
		var recorded Recorded
		var failure struct {
			Error *Error `json:"error"`
		}
		if err := json.Unmarshal(text, &recorded.Objects); err != nil {
			if json.Unmarshal(text, &failure) != nil || failure.Error == nil {
				return nil, fmt.Errorf("exchange snapshot: %s: %w", name, err)
			}
			recorded.Err = failure.Error
		}
		answers[name] = recorded
	}
	return NewSnapshot(answers), nil
}

// WriteSnapshot writes a recording, cmdlets by alphabet.
func WriteSnapshot(w io.Writer, answers map[string]Recorded) error {
	raw := make(map[string]any, len(answers))
	for name, r := range answers {
		switch {
		case r.Err != nil:
			raw[name] = map[string]any{"error": r.Err}
		case r.Objects == nil:
			raw[name] = []Object{}
		default:
			raw[name] = r.Objects
		}
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(raw)
}

// Run answers a Get- cmdlet. An Identity picks the object of that identity, name, GUID or
// distinguished name; other parameters, which would say how to ask, are taken to have been given
// when it was recorded.
func (s *Snapshot) Run(ctx context.Context, c Command) ([]Object, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p, err := c.prepared()
	if err != nil {
		return nil, err
	}
	if !strings.EqualFold(p.Verb(), "Get") {
		return nil, fmt.Errorf("%s: %w", p.Name, ErrReadOnly)
	}
	r, ok := s.answers[strings.ToLower(p.Name)]
	if !ok {
		return nil, fmt.Errorf("%s: %w: it was not recorded", p.Name, ErrNoCmdlet)
	}
	if r.Err != nil {
		return nil, r.Err
	}
	given, ok := p.Parameter("Identity")
	if !ok || given == nil {
		return slices.Clone(r.Objects), nil
	}
	identity, ok := Scalar(canonical(given))
	if !ok {
		return nil, fmt.Errorf("%s: Identity is not a text", p.Name)
	}
	var found []Object
	for _, o := range r.Objects {
		for _, name := range []string{"Identity", "Name", "Guid", "DistinguishedName"} {
			if v, err := o.String(name); err == nil && strings.EqualFold(v, identity) {
				found = append(found, o)
				break
			}
		}
	}
	if found == nil {
		return nil, &Error{Cmdlet: p.Name, Category: "ObjectNotFound", Target: identity,
			ExceptionType: "Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException",
			Message: fmt.Sprintf("The operation couldn't be performed because object '%s' couldn't be found in "+
				"the snapshot.", identity)}
	}
	return found, nil
}

// Allowed reports which of the cmdlets were recorded.
func (s *Snapshot) Allowed(_ context.Context, cmdlets ...string) (map[string]Allowance, error) {
	out := map[string]Allowance{}
	for _, c := range cmdlets {
		if r, ok := s.answers[strings.ToLower(c)]; ok && r.Err == nil {
			out[c] = Allowance{}
		}
	}
	return out, nil
}

// Close does nothing.
func (s *Snapshot) Close(context.Context) error { return nil }
