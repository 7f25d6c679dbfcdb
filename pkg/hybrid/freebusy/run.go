package freebusy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/diagnose"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/snapshot"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// Window is the time span of a lookup.
type Window struct{ Start, End time.Time }

// View is the result of a lookup: one digit per slot, as in MergedFreeBusy (0 free, 1 tentative, 2
// busy, 3 out of office, 4 elsewhere, 5 no data; 4 is "no data" of older servers).
type View struct {
	Merged    string
	Interval  time.Duration
	Elsewhere bool // an entry says "working elsewhere", so that 4 means this
}

// Seen is the result of one lookup.
type Seen struct {
	View View
	Err  error
	Took time.Duration // of the request that asked for it
}

// Together is how many mailboxes one request asks for.
const Together = ews.MaxMailboxes

// Premise is one place of mailboxes: a forest's Exchange organization, the tenant, or WorkMail.
type Premise struct {
	Name    string // "contoso", "online", "workmail"
	Side    exchange.Side
	Session exchange.Reader // nil: it has no cmdlets; Has and Route answer in their place
	// Has reports whether the mailbox of an address is here.
	Has func(ctx context.Context, address string) (bool, error)
	// Route returns the hops of a lookup that leaves.
	Route func(ctx context.Context, address string) ([]string, error)
	// Proofs are further probes of lookups that leave.
	Proofs []Proof
	// Servers are the other servers of an on-premises organization; nil where there are none to ask.
	Servers func(ctx context.Context) ([]Server, error)
	Domains []string // SMTP and routing domains of its mailboxes
	EWS     string   // its EWS address as the other premises reach it
	Probe   string   // the probe of Ask: "ews" or "graph"
	// Ask runs lookups as a client of this premise would: it asks the premise of From for the
	// calendars of To, and returns one Seen per pair. An error is about the request as a whole.
	Ask func(ctx context.Context, pairs []Pair, w Window) ([]Seen, error)
}

// Server is one server of an organization.
type Server struct {
	Name string
	Read func(ctx context.Context, c exchange.Command) ([]exchange.Object, error)
}

// Proof is a probe of one step of a lookup.
type Proof struct {
	Probe string
	To    string // the premise that the lookup goes to
	// Beyond says that it is about more than calendars.
	Beyond bool
	// Try returns a note, also where it succeeds. ErrNotAsked leaves it out.
	Try func(ctx context.Context, s Step) (note string, err error)
}

// Step is the lookup that a proof is made for.
type Step struct {
	Pair
	Address string // what the asking side asks for: the target address of a mailbox that is elsewhere
	Route   []string
	Works   bool // the lookup itself
}

// ThroughGraph reports whether an on-premises organization asks Microsoft Graph, and not EWS.
func (s Step) ThroughGraph() bool { return throughGraph(s.Route) }

// ErrNotAsked says that a proof does not apply, or that the account lacks a right which nothing else
// needs.
var ErrNotAsked = errors.New("not asked")

func (p Premise) holds(domain string) bool { return containsFold(p.Domains, domain) }

// Pair is one lookup.
type Pair struct{ From, To string }

// Options for Run.
type Options struct {
	Pairs   []Pair
	Window  Window        // today's working day when zero
	Timeout time.Duration // of one request; a minute when 0, since a lookup may need autodiscover and a token
	UntilOK time.Duration // repeat failed lookups until all are ok, or until this has passed
	Every   time.Duration // pause between rounds; 10 s when 0
	Markers *Markers      // nil: no calendar is written
	// CalendarsOnly leaves out the proofs that are about more than calendars.
	CalendarsOnly bool
	// Following are changes that the systems may still be following: a failure that one of them
	// ends is pending where UntilOK is given, and has a note otherwise.
	Following []Following
	Now       func() time.Time // time.Now when nil
}

// Run looks up every pair from both sides: the lookup itself for every pair, and the probes of an
// organization once per direction. Mailboxes are asked for together, up to Together of them. With
// UntilOK, later rounds ask again for what is not ok yet.
func Run(ctx context.Context, premises []Premise, o Options, obs observe.Observer) (Report, error) {
	if o.Timeout == 0 {
		o.Timeout = time.Minute
	}
	if o.Every == 0 {
		o.Every = 10 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Window.Start.IsZero() {
		day := o.Now().UTC().Truncate(24 * time.Hour)
		o.Window = Window{day, day.Add(24 * time.Hour)}
	}
	deadline := time.Now().Add(o.UntilOK)
	obs.Observe(observe.Started{Stage: "test", Total: len(o.Pairs)})
	rows := make([][]Answer, len(o.Pairs)) // the answers of each pair
	for {
		again := make([]int, 0, len(o.Pairs))
		for i, row := range rows {
			if len(row) == 0 || slices.ContainsFunc(row, func(a Answer) bool { return a.Status != OK }) {
				again = append(again, i)
			}
		}
		newRound(premises, o, obs).run(ctx, rows, again)
		report := reportOf(rows)
		rest := report.Summary.Failed + report.Summary.Unknown + report.Summary.Pending
		if err := ctx.Err(); err != nil {
			return report, err
		}
		if rest == 0 || time.Now().Add(o.Every).After(deadline) {
			return report, nil
		}
		obs.Observe(observe.Waiting{Stage: "test", ID: "lookups", Until: deadline,
			What: msg.Plural(rest, "%d lookup is not ok yet", "%d lookups are not ok yet").String()})
		select {
		case <-ctx.Done():
			return report, ctx.Err()
		case <-time.After(o.Every):
		}
	}
}

func reportOf(rows [][]Answer) Report {
	report := Report{APIVersion: "hybridge/v1", Kind: "TestReport", Matrix: []Answer{}} // JSON holds no null
	for _, row := range rows {
		report.Matrix = append(report.Matrix, row...)
	}
	report.Count()
	return report
}

// Count counts the answers.
func (r *Report) Count() {
	r.Summary = Summary{}
	for _, a := range r.Matrix {
		switch a.Status {
		case OK:
			r.Summary.OK++
		case Failed:
			r.Summary.Failed++
		case Pending:
			r.Summary.Pending++
		default:
			r.Summary.Unknown++
		}
	}
}

// Why a lookup cannot be made, other than that a side was not reached or refused us.
var (
	ErrNoRecipient = errors.New("the address is misspelt, or the person is not synchronized")
	ErrNoDomain    = errors.New("is in no domain of this deployment")
)

// Home returns the premise that holds the mailbox of an address. It first asks every on-premises
// organization that has the domain: these know where their mailboxes moved.
func Home(ctx context.Context, premises []Premise, address string) (Premise, error) {
	for _, p := range premises {
		if !p.holds(domainOf(address)) {
			continue
		}
		at, err := locate(ctx, p, premises, address)
		if err != nil {
			return Premise{}, err
		}
		if at.Premise == "" {
			return Premise{}, &refusal{astray(p, address, at.Address)}
		}
		for _, q := range premises {
			if q.Name == at.Premise {
				return q, nil
			}
		}
	}
	return Premise{}, fmt.Errorf("%s %w", address, ErrNoDomain)
}

// note adds a note.
func (a *Answer) note(text string) {
	switch {
	case text == "":
	case a.Note == "":
		a.Note = text
	default:
		a.Note += "; " + text
	}
}

// betweenForests says what a lookup without a route lacks when both mailboxes are on-premises.
func betweenForests(p Premise, premises []Premise, at Location) string {
	i := slices.IndexFunc(premises, func(q Premise) bool { return q.Name == at.Premise })
	if p.Side != exchange.OnPremises || i < 0 || premises[i].Side != exchange.OnPremises {
		return ""
	}
	return fmt.Sprintf("%s needs an availability address space or an organization relationship for %s: hybridge plan "+
		"sets it up where the answers file has lookups of forest %s (forests[].lookups)", p.Name,
		domainOf(at.Address), at.Premise)
}

// refusal is a lookup that was answered with a refusal, unlike one that could not be sent.
type refusal struct{ text string }

func (r *refusal) Error() string { return r.text }

// noVerdict is a probe that did not run. The lookup is unknown.
type noVerdict struct{ error }

func (n *noVerdict) Unwrap() error { return n.error }

func timed(ctx context.Context, limit time.Duration, a Answer,
	f func(context.Context) (note string, err error)) Answer {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	start := time.Now()
	note, err := f(ctx)
	a.LatencyMS = time.Since(start).Milliseconds()
	a = settle(a, err, false)
	a.note(note)
	return a
}

// settle sets the status of an answer. It is unknown when the lookup could not be sent: before is
// true, or the asking side was not reached or refused us. It is failed when the lookup was sent and
// returned no free/busy.
func settle(a Answer, err error, before bool) Answer {
	if a.Route == nil {
		a.Route = []string{} // JSON holds no null
	}
	var no *refusal
	var none *noVerdict
	switch {
	case err == nil:
		a.Status = OK
	case errors.As(err, &no):
		a.Status = Failed
	case before, errors.As(err, &none), errors.Is(err, context.Canceled), errors.Is(err, exchange.ErrNoCmdlet),
		errors.Is(err, link.ErrUnreachable), errors.Is(err, link.ErrUntrusted), errors.Is(err, link.ErrAccess),
		errors.Is(err, snapshot.ErrNotHeld):
		a.Status = Unknown
	default:
		a.Status = Failed
	}
	if err != nil {
		a.Error, a.Cause = err.Error(), err
		if errors.Is(err, snapshot.ErrNotHeld) {
			return a // the words of the question are no symptom
		}
		a.Diagnosis = suspected(a)
	}
	return a
}

// suspected lists the causes that the error of an answer shows.
func suspected(a Answer) []Diagnosis { return Suspected(a.Error, Way(a.Direction)) }

// Way is the direction of diagnoses that a direction of the matrix, "contoso -> online", is of.
func Way(direction string) string {
	from, to, _ := strings.Cut(direction, " -> ")
	switch {
	case from == "online":
		return diagnose.OnlineToOnprem
	case to == "online":
		return diagnose.OnpremToOnline
	case from == "?", to == "?":
		return diagnose.AnyDirection
	}
	return diagnose.ForestToForest
}

// Suspected lists the causes that an error of a direction shows, the most likely first.
func Suspected(text, direction string) []Diagnosis {
	var out []Diagnosis
	for _, d := range diagnose.OfLookup(text, direction) {
		if len(out) < 3 {
			out = append(out, Diagnosis{string(d.ID), d.Confidence})
		}
	}
	return out
}
