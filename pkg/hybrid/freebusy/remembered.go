package freebusy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// remembered is a session of one round. It runs each Get cmdlet once, reads many recipients with
// one command, and does not ask a side again that was not reached or that refused us.
type remembered struct {
	exchange.Reader

	mu      sync.Mutex
	printed map[string]printed
	people  map[string][]exchange.Object // by address, in lower case
	refused error
}

type printed struct {
	objects []exchange.Object
	err     error
}

const getRecipient = "Get-Recipient"

// Read runs a command, or returns what it printed before.
func (s *remembered) Read(ctx context.Context, c exchange.Command) ([]exchange.Object, error) {
	if !strings.HasPrefix(c.Name, "Get-") {
		return s.Reader.Read(ctx, c)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if identity, _ := c.Parameters["Identity"].(string); c.Name == getRecipient && len(c.Parameters) == 1 {
		if found, ok := s.people[strings.ToLower(identity)]; ok {
			return found, nil
		}
	}
	key := fmt.Sprint(c.Name, c.Parameters) // maps print in the order of their keys
	if known, ok := s.printed[key]; ok {
		return known.objects, known.err
	}
	return s.run(ctx, key, c)
}

func (s *remembered) run(ctx context.Context, key string, c exchange.Command) ([]exchange.Object, error) {
	if s.refused != nil {
		return nil, s.refused
	}
	found, err := s.Reader.Read(ctx, c)
	var record *exchange.Error
	switch {
	case errors.As(err, &record):
	case errors.Is(err, link.ErrUnreachable), errors.Is(err, link.ErrUntrusted), errors.Is(err, link.ErrAccess):
		s.refused = err
	}
	if s.printed == nil {
		s.printed = map[string]printed{}
	}
	s.printed[key] = printed{found, err}
	return found, err
}

// The recipients that one command reads, and how many make it worth while.
const (
	peopleAtOnce = 25
	fewPeople    = 5
)

// foresee reads the recipients with some addresses, many at a time. Addresses that it does not find,
// or finds more than once, are looked up one by one when they are needed.
func (s *remembered) foresee(ctx context.Context, addresses []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var wanted []string
	for _, a := range addresses {
		a = strings.ToLower(a)
		if _, known := s.people[a]; !known && !slices.Contains(wanted, a) {
			wanted = append(wanted, a)
		}
	}
	if len(wanted) <= fewPeople {
		return
	}
	found := map[string][]exchange.Object{}
	for some := range slices.Chunk(wanted, peopleAtOnce) {
		var filter []string
		for _, a := range some {
			filter = append(filter, "EmailAddresses -eq '"+strings.ReplaceAll(a, "'", "''")+"'")
		}
		text := strings.Join(filter, " -or ")
		people, err := s.run(ctx, text, exchange.Command{Name: getRecipient,
			Parameters: map[string]any{"Filter": text, "ResultSize": "Unlimited"}})
		if err != nil {
			return
		}
		for _, o := range people {
			held, _ := o.Strings("EmailAddresses")
			for _, a := range held {
				a = strings.ToLower(withoutPrefix(a))
				if slices.Contains(some, a) && len(found[a]) < 2 {
					found[a] = append(found[a], o)
				}
			}
		}
	}
	if s.people == nil {
		s.people = map[string][]exchange.Object{}
	}
	for a, people := range found {
		if len(people) == 1 {
			s.people[a] = people
		}
	}
}
