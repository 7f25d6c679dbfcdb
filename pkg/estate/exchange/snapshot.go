package exchange

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrReadOnly is what a Snapshot, or a session for reading, answers to a cmdlet that would change
// something.
var ErrReadOnly = errors.New("nothing is changed here, only read")

// ErrNotRecorded says that a Snapshot does not hold the answer: it is unknown.
var ErrNotRecorded = errors.New("it was not recorded")

// Snapshot is a Session that answers from the objects that Get cmdlets printed: files of
// Export-Clixml. It never reaches anywhere.
type Snapshot struct{ answers map[string][]Object }

var _ Session = (*Snapshot)(nil)

// NewSnapshot makes a session of what was recorded, by cmdlet.
func NewSnapshot(answers map[string][]Object) *Snapshot {
	s := &Snapshot{answers: make(map[string][]Object, len(answers))}
	for name, objects := range answers {
		s.answers[strings.ToLower(name)] = objects
	}
	return s
}

// harmless are the parameters that do not select what is printed.
var harmless = []string{"ADPropertiesOnly", "Status", "ShowMailboxVirtualDirectories", "DomainController", "ResultSize",
	"IncludePreExchange2013", "ErrorAction", "WarningAction"}

// selecting are the properties by which an Identity or a Server finds an object.
var selecting = []string{"Identity", "Name", "Guid", "DistinguishedName", "Alias", "PrimarySmtpAddress",
	"UserPrincipalName",
	"Server", "ServerName", "ServerFqdn", "Fqdn", "MachineName", "OriginatingServer"}

// Run answers a Get cmdlet. An Identity or a Server picks objects. What no recorded object matches
// is unknown: who recorded may have left it out.
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
	objects, ok := s.answers[strings.ToLower(p.Name)]
	if !ok {
		return nil, fmt.Errorf("%s: %w", p.Name, ErrNotRecorded)
	}
	picked := slices.Clone(objects)
	for name, given := range p.Parameters {
		fold := func(have string) bool { return strings.EqualFold(have, name) }
		switch {
		case slices.ContainsFunc(harmless, fold) || given == nil:
			continue
		case !strings.EqualFold(name, "Identity") && !strings.EqualFold(name, "Server"):
			return nil, fmt.Errorf("%s -%s: %w", p.Name, name, ErrNotRecorded)
		}
		identity, ok := Scalar(canonical(given))
		if !ok {
			return nil, fmt.Errorf("%s: %s is not a text", p.Name, name)
		}
		picked = slices.DeleteFunc(picked, func(o Object) bool { return !picks(o, identity) })
		if len(picked) == 0 {
			return nil, fmt.Errorf("%s -%s %s: %w", p.Name, name, identity, ErrNotRecorded)
		}
	}
	return picked, nil
}

// picks reports whether an object has an identity: whole, or as the server in EX1\name and in
// ex1.contoso.com.
func picks(o Object, identity string) bool {
	for _, name := range selecting {
		v, err := o.String(name)
		if err != nil {
			continue
		}
		server, _, _ := strings.Cut(v, "\\")
		host, _, _ := strings.Cut(v, ".")
		for _, have := range []string{v, server, host} {
			if strings.EqualFold(have, identity) {
				return true
			}
		}
	}
	return false
}

// Allowed lets every Get cmdlet be asked: Run says what is unknown. Of the others nothing is known.
func (s *Snapshot) Allowed(_ context.Context, cmdlets ...string) (map[string]Allowance, error) {
	out := map[string]Allowance{}
	for _, c := range cmdlets {
		out[c] = Allowance{Untold: !strings.HasPrefix(strings.ToLower(c), "get-")}
	}
	return out, nil
}

// Close does nothing.
func (s *Snapshot) Close(context.Context) error { return nil }
