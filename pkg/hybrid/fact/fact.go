// Package fact holds what can be read about an organization: one Query per question, one file per
// topic. Checks, desired topics and diagnoses share the queries. A query runs once per run and
// side. The required read rights follow from the queries.
package fact

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/hybridge-cli/hybridge/pkg/engine/broken"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact/once"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/snapshot"
)

// ErrNotConfigured says that the answers file names no system to query.
var ErrNotConfigured = errors.New("not configured in the answers file")

// Errors are the classes of errors of this package that readings of a snapshot can have.
func Errors() map[string]error {
	return map[string]error{"notConfigured": ErrNotConfigured, "noTenant": ErrNoTenant}
}

// At is the kind of side that a query is sent to.
type At string

const (
	AtForest       At = "forest"
	AtTenant       At = "tenant"
	AtWorkMail     At = "workmail"
	AtNetwork      At = "network"
	AtOrganization At = "organization" // all sides together
)

// System is the kind of system that answers a query.
type System string

const (
	OnPremises      System = "Exchange on-premises"
	Online          System = "Exchange Online"
	Entra           System = "Microsoft Graph"
	WorkMail        System = "Amazon WorkMail"
	ActiveDirectory System = "Active Directory"
	DNS             System = "DNS"
	SMTP            System = "SMTP"
	HTTP            System = "HTTP"
	Files           System = "files"
)

// Source is one raw question, as administrators of its system write it, with the right that it
// requires.
type Source struct {
	System System
	Ask    string   // "Get-ExchangeServer", "GET /domains", "TXT {key}"
	Right  []string // one of these is enough; empty: no right is required
}

// Fact is a query of any type. Checks and topics use it to declare what they read.
type Fact interface {
	At() At
	// Sources are the raw questions, those of underlying queries included.
	Sources() []Source
}

// List names facts of several types.
func List(facts ...Fact) []Fact { return facts }

// question is the common part of all queries.
type question struct {
	at      At
	sources []Source
}

func (q *question) At() At            { return q.at }
func (q *question) Sources() []Source { return q.sources }

// Query is one question to one kind of side.
type Query[T any] struct {
	question
	ask func(ctx context.Context, s *Side) (T, error)
}

// In returns the answer of a side. The side is asked once. A nil side is not configured.
func (q *Query[T]) In(ctx context.Context, s *Side) (T, error) {
	v, err := answer(&q.question, s, "", func(ctx context.Context) (T, error) { return q.ask(ctx, s) })
	if err != nil {
		var zero T
		return zero, err
	}
	return v.Get(ctx)
}

func (q *Query[T]) warm(ctx context.Context, s *Side) { _, _ = q.In(ctx, s) }

// AskForests asks queries of forests, all forests at once. The answers are remembered.
func AskForests(ctx context.Context, set *Set, facts []Fact) {
	var g errgroup.Group
	g.SetLimit(max(1, cmp.Or(set.Parallel, len(set.Forests))))
	for _, forest := range set.Forests {
		g.Go(func() (err error) {
			defer broken.Into(&err, "ask forest "+forest.Name())
			for _, f := range facts {
				if q, ok := f.(interface{ warm(context.Context, *Side) }); ok && f.At() == AtForest {
					q.warm(ctx, forest)
				}
			}
			return nil
		})
	}
	_ = g.Wait() // a later caller gets the errors
}

// Read returns the answer of a side when the run has read it already. It asks no system.
func (q *Query[T]) Read(s *Side) (v T, known bool) {
	if s == nil {
		return v, false
	}
	s.mu.Lock()
	value, ok := s.memo[asked{&q.question, ""}].(*once.Value[T])
	s.mu.Unlock()
	if !ok {
		return v, false
	}
	return value.Peek()
}

// Seed gives a side the answer in advance, for tests.
func (q *Query[T]) Seed(s *Side, v T, err error) { s.seed(&q.question, "", once.Known(v, err)) }

// SeedWith gives a side the lookup of the answer, for tests.
func (q *Query[T]) SeedWith(s *Side, look func(context.Context) (T, error)) {
	s.seed(&q.question, "", once.New(look))
}

// Keyed is one question per key: a host, a domain, an application.
type Keyed[T any] struct {
	question
	ask func(ctx context.Context, s *Side, key string) (T, error)
}

// In returns the answer of a side for a key.
func (q *Keyed[T]) In(ctx context.Context, s *Side, key string) (T, error) {
	v, err := answer(&q.question, s, key, func(ctx context.Context) (T, error) {
		if seeded := s.seededAll(&q.question); seeded != nil {
			return seeded.(func(string) (T, error))(key)
		}
		return q.ask(ctx, s, key)
	})
	if err != nil {
		var zero T
		return zero, err
	}
	return v.Get(ctx)
}

// Seed gives a side the answer for a key in advance, for tests.
func (q *Keyed[T]) Seed(s *Side, key string, v T, err error) {
	s.seed(&q.question, key, once.Known(v, err))
}

// SeedAll gives a side the answers for all keys that Seed does not give, for tests.
func (q *Keyed[T]) SeedAll(s *Side, answer func(key string) (T, error)) {
	s.seedAll(&q.question, answer)
}

// fetch looks an answer up.
type fetch[T any] = func(ctx context.Context) (T, error)

// answer returns the remembered answer of a side, or registers the lookup.
func answer[T any](q *question, s *Side, key string, fetch fetch[T]) (*once.Value[T], error) {
	v, err := s.remembered(q, key, func() any { return once.New(fetch) })
	if err != nil {
		return nil, err
	}
	return v.(*once.Value[T]), nil
}

func (s *Side) remembered(q *question, key string, register func() any) (any, error) {
	if s == nil {
		return nil, fmt.Errorf("%s: %w", q.at, ErrNotConfigured)
	}
	if s.at != q.at {
		return nil, fmt.Errorf("%s is a question to a %s, and %s is a %s; this is a bug in hybridge",
			q.sources[0].Ask, q.at, s.Name(), s.at)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used[q] = true
	at := asked{q, key}
	v, ok := s.memo[at]
	if !ok {
		v = register()
		s.memo[at] = v
	}
	return v, nil
}

// Cmdlet declares a query that runs one cmdlet without parameters.
func Cmdlet[T any](system System, cmdlet string, read func(objects []exchange.Object) (T, error)) *Query[T] {
	return Session(system, []string{cmdlet}, func(ctx context.Context, s exchange.Reader) (T, error) {
		objects, err := s.Read(ctx, exchange.Command{Name: cmdlet})
		if err != nil {
			var zero T
			return zero, err
		}
		return read(objects)
	})
}

// Cmdlets declares cmdlets that are read without a query, so that their rights are known.
func Cmdlets(system System, cmdlets ...string) Fact {
	at := AtForest
	if system == Online {
		at = AtTenant
	}
	q := &question{at: at}
	for _, c := range cmdlets {
		q.sources = append(q.sources, Source{System: system, Ask: c, Right: []string{c}})
	}
	return q
}

// Session declares a query that asks an Exchange session with some cmdlets.
func Session[T any](system System, cmdlets []string, ask func(context.Context, exchange.Reader) (T, error)) *Query[T] {
	at := AtForest
	if system == Online {
		at = AtTenant
	}
	q := &Query[T]{question: question{at: at}}
	for _, c := range cmdlets {
		q.sources = append(q.sources, Source{System: system, Ask: c, Right: []string{c}})
	}
	q.ask = func(ctx context.Context, side *Side) (T, error) {
		return with(ctx, side, side.Session, func(ctx context.Context, s exchange.Reader) (T, error) {
			v, err := ask(ctx, s)
			if unreadable := (*readError)(nil); errors.As(err, &unreadable) {
				err = fmt.Errorf("%s: %w", side.Place(system), err)
			}
			return v, err
		})
	}
	return q
}

// FromGraph declares a query to Microsoft Graph, asked by a method of Graph. One of the rights is
// enough.
func FromGraph[T any](request string, right []string, ask func(Graph, context.Context) (T, error)) *Query[T] {
	return &Query[T]{
		question: question{AtTenant, []Source{{Entra, "GET " + request, right}}},
		ask: func(ctx context.Context, s *Side) (T, error) {
			return with(ctx, s, s.Graph, func(ctx context.Context, g Graph) (T, error) { return ask(g, ctx) })
		},
	}
}

// FromGraphBy declares a query by key to Microsoft Graph.
func FromGraphBy[T any](request string, right []string, ask func(Graph, context.Context, string) (T, error)) *Keyed[T] {
	return &Keyed[T]{
		question: question{AtTenant, []Source{{Entra, "GET " + request, right}}},
		ask: func(ctx context.Context, s *Side, key string) (T, error) {
			return with(ctx, s, s.Graph, func(ctx context.Context, g Graph) (T, error) { return ask(g, ctx, key) })
		},
	}
}

// FromNetwork declares a query by key to the network.
func FromNetwork[T any](system System, asks string, ask func(context.Context, *Side, string) (T, error)) *Keyed[T] {
	return &Keyed[T]{
		question: question{AtNetwork, []Source{{System: system, Ask: asks}}},
		ask: func(ctx context.Context, s *Side, key string) (T, error) {
			return snapshot.Read(ctx, s.set.Tape, s.Name(), string(system), strings.ReplaceAll(asks, "{key}", key),
				func(ctx context.Context) (T, error) { return ask(ctx, s, key) })
		},
	}
}

// Derive declares a query that is answered from other queries. sources are what it reads besides.
func Derive[T any](at At, from []Fact, ask func(ctx context.Context, s *Side) (T, error), sources ...Source) *Query[T] {
	return &Query[T]{question: question{at, slices.Concat(SourcesOf(from...), sources)}, ask: ask}
}

// SourcesOf returns the raw questions of facts, each once.
func SourcesOf(facts ...Fact) []Source {
	var out []Source
	for _, f := range facts {
		for _, s := range f.Sources() {
			if !slices.ContainsFunc(out, func(o Source) bool { return o.System == s.System && o.Ask == s.Ask }) {
				out = append(out, s)
			}
		}
	}
	return out
}

// with opens a connection of a side and asks it.
func with[C, T any](ctx context.Context, s *Side, open fetch[C], ask func(context.Context, C) (T, error)) (T, error) {
	var zero T
	if open == nil {
		return zero, fmt.Errorf("%s: %w", s.Name(), ErrNotConfigured)
	}
	c, err := open(ctx)
	if err != nil {
		return zero, err
	}
	return ask(ctx, c)
}

// readError is an answer that arrived but cannot be parsed.
type readError struct {
	cmdlet, object string
	err            error
}

func (e *readError) Error() string {
	if e.object != "" {
		return e.cmdlet + ": " + e.object + ": " + e.err.Error()
	}
	return e.cmdlet + ": " + e.err.Error()
}
func (e *readError) Unwrap() error { return e.err }

// unreadable names the cmdlet and the object whose output cannot be read.
func unreadable(cmdlet, object string, err error) error { return &readError{cmdlet, object, err} }

// one reads the output of a cmdlet that prints one object.
func one[T any](cmdlet string, read func(exchange.Object) (T, error)) func([]exchange.Object) (T, error) {
	return func(objects []exchange.Object) (T, error) {
		var zero T
		if len(objects) != 1 {
			err := fmt.Errorf("%w: %d objects where one was expected", exchange.ErrUnreadable, len(objects))
			return zero, unreadable(cmdlet, "", err)
		}
		v, err := read(objects[0])
		if err != nil {
			return zero, unreadable(cmdlet, "", err)
		}
		return v, nil
	}
}

// each reads the output of a cmdlet that prints a list.
func each[T any](cmdlet string, read func(exchange.Object) (T, error)) func([]exchange.Object) ([]T, error) {
	return func(objects []exchange.Object) ([]T, error) {
		var out []T
		for _, o := range objects {
			v, err := read(o)
			if err != nil {
				name, _ := o.String("Name")
				return nil, unreadable(cmdlet, name, err)
			}
			out = append(out, v)
		}
		return out, nil
	}
}
