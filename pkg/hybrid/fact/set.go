package fact

import (
	"context"
	"crypto/x509"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/estate/directory"
	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact/once"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/snapshot"
	"github.com/hybridge-cli/hybridge/pkg/wire/dns"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// Set is what one run knows: the answers, the clock, and the sides to query.
type Set struct {
	Answers answers.Answers
	Cloud   cloud.Cloud // with the answers' overrides, placeholders not filled in
	Now     func() time.Time
	// Parallel limits the forests that are asked at once; 0: all of them.
	Parallel int
	// Observer hears how far long reads are; nil: nothing is reported.
	Observer observe.Observer
	Roots    *x509.CertPool // trusted authorities; nil: the system's
	// Tape keeps what is read, or answers from a snapshot; nil: neither.
	Tape *snapshot.Tape

	Forests      []*Side // in the answers' order
	Tenant       *Side   // nil: no Exchange Online in the answers
	WorkMail     *Side   // nil: no Amazon WorkMail in the answers
	Network      *Side
	Organization *Side

	// Cmdlets are the cmdlets whose rights are queried.
	Cmdlets map[System][]string
}

// Side is one place that questions go to: a forest, the tenant, WorkMail, the network.
type Side struct {
	Answers answers.Forest // of a forest
	Clients

	at  At
	set *Set

	mu      sync.Mutex
	memo    map[asked]any
	printed map[string]*once.Value[[]exchange.Object] // by Get cmdlets; see Session
	all     map[*question]any                         // answers given in advance for every key
	used    map[*question]bool
}

// asked is a question with its key.
type asked struct {
	question *question
	key      string
}

// Clients open the connections of a side, or say how it is reached. A side has the clients of its
// kind. A nil client is not configured.
type Clients struct {
	// Of a forest, and of the tenant.
	Exchange func(context.Context) (exchange.Reader, error)

	// Of a forest.
	Directory   func(context.Context) (Directory, error)
	Certificate func(context.Context) (certificate.Bundle, error) // the transport certificate's file

	// ProviderPassword judges the password with which WorkMail signs in, and gives no part of it.
	ProviderPassword func(context.Context) (PasswordForm, error)

	// Of the tenant.
	Graph func(context.Context) (Graph, error)
	Token func(context.Context) (string, error) // the access token for Microsoft Graph

	// Of WorkMail.
	WorkMail func(context.Context) (WorkMailAPI, error)

	// Of the network.
	Lookup  func(ctx context.Context, name string, t dns.Type) (dns.Answer, error)
	Link    func(context.Context) (*link.Link, error)
	Timeout time.Duration // of one question to the network
	// EHLOName is the name in EHLO; this machine's name or address when empty.
	EHLOName string
}

// Directory is a forest's directory; *directory.Forest is one.
type Directory interface {
	RootDSE() directory.RootDSE
	Exchange(ctx context.Context) (*directory.Exchange, error)
	Setup(ctx context.Context) (directory.Setup, error)
	Users(ctx context.Context) iter.Seq2[directory.User, error]
}

// Graph is Microsoft Graph; *entra.Client is one. Paths follow the version.
type Graph interface {
	Get(ctx context.Context, path string) (map[string]any, error)
	List(ctx context.Context, path string) ([]map[string]any, error)

	Organization(ctx context.Context) (entra.Organization, error)
	Domains(ctx context.Context) ([]entra.Domain, error)
	VerificationRecords(ctx context.Context, domain string) ([]entra.DomainRecord, error)
	ServicePrincipal(ctx context.Context, appID string) (entra.ServicePrincipal, error)
}

// New returns the sides that the answers name. The caller sets their clients.
func New(a answers.Answers, c cloud.Cloud) *Set {
	s := &Set{Answers: a, Cloud: c, Now: time.Now}
	s.Network, s.Organization = s.side(AtNetwork), s.side(AtOrganization)
	if a.ExchangeOnline != nil {
		s.Tenant = s.side(AtTenant)
	}
	if a.WorkMail != nil {
		s.WorkMail = s.side(AtWorkMail)
	}
	for _, forest := range a.Forests {
		side := s.side(AtForest)
		side.Answers = forest
		s.Forests = append(s.Forests, side)
	}
	return s
}

func (s *Set) side(at At) *Side {
	return &Side{at: at, set: s, memo: map[asked]any{}, all: map[*question]any{}, used: map[*question]bool{},
		printed: map[string]*once.Value[[]exchange.Object]{}}
}

// Sides returns the sides of a kind. Of the forests it returns only the given one, unless that is
// nil.
func (s *Set) Sides(at At, forest *Side) []*Side {
	switch {
	case at == AtForest && forest != nil:
		return []*Side{forest}
	case at == AtForest:
		return s.Forests
	case at == AtNetwork:
		return []*Side{s.Network}
	case at == AtTenant && s.Tenant != nil:
		return []*Side{s.Tenant}
	case at == AtWorkMail && s.WorkMail != nil:
		return []*Side{s.WorkMail}
	case at == AtOrganization:
		return []*Side{s.Organization}
	}
	return nil
}

// Asked returns the raw questions of the queries that were asked so far, each once.
func (s *Set) Asked() []Source {
	var facts []Fact
	for _, side := range append([]*Side{s.Tenant, s.WorkMail, s.Network, s.Organization}, s.Forests...) {
		if side == nil {
			continue
		}
		side.mu.Lock()
		for q := range side.used {
			facts = append(facts, q)
		}
		side.mu.Unlock()
	}
	return SourcesOf(facts...)
}

func (s *Side) Set() *Set { return s.set }

// Name returns a forest's name in the answers, or the kind of the side.
func (s *Side) Name() string {
	if s.at == AtForest {
		return s.Answers.Name
	}
	return string(s.at)
}

// Place names a system of the side in errors.
func (s *Side) Place(system System) string {
	if s.at == AtForest {
		return s.Answers.Name
	}
	return string(system)
}

func (s *Side) seed(q *question, key string, value any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.memo[asked{q, key}] = value
}

func (s *Side) seedAll(q *question, answer any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[q] = answer
	for at := range s.memo {
		if at.question == q {
			delete(s.memo, at)
		}
	}
}

func (s *Side) seededAll(q *question) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all[q]
}

// unreadable names the side where an answer could not be read.
func (s *Side) unreadable(err error) error { return fmt.Errorf("%s: %w", s.Name(), err) }
