package freebusy

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/broken"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/diagnose"
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

// Premise is one place of mailboxes: a forest's Exchange organization, the tenant, or WorkMail.
type Premise struct {
	Name    string // "contoso", "online", "workmail"
	Side    exchange.Side
	Session exchange.Session // nil: it has no cmdlets; Has and Route answer in their place
	// Has reports whether the mailbox of an address is here.
	Has func(ctx context.Context, address string) (bool, error)
	// Route returns the hops of a lookup that leaves.
	Route func(ctx context.Context, address string) ([]string, error)
	// Proofs are further probes of lookups that leave.
	Proofs  []Proof
	Domains []string // SMTP and routing domains of its mailboxes
	EWS     string   // its EWS address as the other premises reach it
	Probe   string   // the probe of Ask: "ews" or "graph"
	// Ask runs the lookup as a client of this premise would: it asks from's premise for to's
	// calendar.
	Ask func(ctx context.Context, from, to string, w Window) (View, error)
	// Diary writes its calendars. It is nil where no marker can be written.
	Diary Diary
	// Client is the client of its EWS; nil where mailboxes are asked through Microsoft Graph.
	Client func(ctx context.Context) (*ews.Client, error)
}

// Proof is a probe of one step of a lookup.
type Proof struct {
	Probe string
	To    string // the premise that the lookup goes to
	Try   func(ctx context.Context, mailbox string) error
}

func (p Premise) holds(domain string) bool { return containsFold(p.Domains, domain) }

// Pair is one lookup.
type Pair struct{ From, To string }

// Options for Run.
type Options struct {
	Pairs   []Pair
	Window  Window        // today's working day when zero
	Timeout time.Duration // of one lookup; a minute when 0, since a lookup may need autodiscover and a token
	UntilOK time.Duration // repeat failed lookups until all are ok, or until this has passed
	Every   time.Duration // pause between rounds; 10 s when 0
	Markers *Markers      // nil: no calendar is written
}

// Run looks up every pair from both sides. The side where a lookup starts runs the direct probe and
// Test-OAuthConnectivity. Premises run in parallel, with one lookup at a time per premise.
func Run(ctx context.Context, premises []Premise, o Options, obs observe.Observer) (Report, error) {
	if o.Timeout == 0 {
		o.Timeout = time.Minute
	}
	if o.Every == 0 {
		o.Every = 10 * time.Second
	}
	if o.Window.Start.IsZero() {
		day := time.Now().UTC().Truncate(24 * time.Hour)
		o.Window = Window{day, day.Add(24 * time.Hour)}
	}
	deadline := time.Now().Add(o.UntilOK)
	obs.Observe(observe.Started{Stage: "test", Total: 2 * len(o.Pairs)})
	for {
		report := round(ctx, premises, o, obs)
		rest := report.Summary.Failed + report.Summary.Unknown
		if err := ctx.Err(); err != nil {
			return report, err
		}
		if rest == 0 || time.Now().Add(o.Every).After(deadline) {
			return report, nil
		}
		obs.Observe(observe.Waiting{Stage: "test", ID: "lookups", What: fmt.Sprintf("%d lookups are not ok yet", rest),
			Until: deadline})
		select {
		case <-ctx.Done():
			return report, ctx.Err()
		case <-time.After(o.Every):
		}
	}
}

// round runs every lookup once.
func round(ctx context.Context, premises []Premise, o Options, obs observe.Observer) Report {
	answers := make([][]Answer, len(o.Pairs))
	var wait sync.WaitGroup
	var tell sync.Mutex
	starts := make(map[string][]int) // by the premise where a lookup starts
	for i, pair := range o.Pairs {
		p, err := Home(ctx, premises, pair.From)
		if err != nil {
			nowhere := Answer{From: pair.From, To: pair.To, Direction: "? -> ?", Probe: "lookup"}
			answers[i] = []Answer{settle(nowhere, err, true)}
			obs.Observe(answers[i][0])
			continue
		}
		starts[p.Name] = append(starts[p.Name], i)
	}
	for _, p := range premises {
		wait.Go(func() {
			for _, i := range starts[p.Name] {
				answers[i] = attempt(ctx, p, premises, o, o.Pairs[i])
				tell.Lock()
				for _, a := range answers[i] {
					obs.Observe(a)
				}
				tell.Unlock()
			}
		})
	}
	wait.Wait()
	report := Report{APIVersion: "hybridge/v1", Kind: "TestReport", Matrix: []Answer{}} // JSON holds no null
	for _, a := range answers {
		report.Matrix = append(report.Matrix, a...)
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
	return Premise{}, fmt.Errorf("%s is in no domain of this deployment", address)
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

// attempt asks for one pair. A panic is an error of that pair alone.
func attempt(ctx context.Context, p Premise, premises []Premise, o Options, pair Pair) []Answer {
	out, err := func() (out []Answer, err error) {
		defer broken.Into(&err, "the lookup of "+pair.To)
		return ask(ctx, p, premises, o, pair), nil
	}()
	if err != nil {
		out = []Answer{settle(Answer{From: pair.From, To: pair.To, Direction: p.Name + " -> ?", Probe: p.Probe},
			err, true)}
	}
	return out
}

func ask(ctx context.Context, p Premise, premises []Premise, o Options, pair Pair) (answers []Answer) {
	blank := Answer{From: pair.From, To: pair.To, Direction: p.Name + " -> ?", Probe: p.Probe}
	at, err := locate(ctx, p, premises, pair.To)
	if err != nil {
		return []Answer{settle(blank, err, true)}
	}
	blank.Direction = p.Name + " -> " + cmp.Or(at.Premise, domainOf(at.Address))
	if at.Premise == "" {
		blank.Note = astray(p, pair.To, at.Address)
	}
	if at.Premise != p.Name {
		if blank.Route, err = route(ctx, p, at.Address); err != nil {
			return []Answer{settle(blank, err, true)}
		}
		if len(blank.Route) == 0 {
			blank.Route = []string{"no connector, relationship or address space for " + domainOf(at.Address)}
			blank.Note = cmp.Or(blank.Note, betweenForests(p, premises, at))
		}
	}
	there := slices.IndexFunc(premises, func(q Premise) bool { return q.Name == at.Premise })
	window, notes := o.Window, []string{blank.Note}
	var marker *Marker
	if o.Markers != nil && at.Premise != p.Name && there >= 0 {
		planted, note, remove := o.Markers.plant(ctx, premises[there], pair.To, o.Timeout)
		marker, notes = planted, append(notes, note)
		if marker != nil {
			window = marker.window()
			defer func() {
				if left := remove(); len(answers) > 0 { // none after a panic
					answers[0].note(left)
				}
			}()
		}
	}
	var view View
	direct := timed(ctx, o.Timeout, blank, func(ctx context.Context) (err error) {
		view, err = p.Ask(ctx, pair.From, pair.To, window)
		if err == nil && view.Merged == "" {
			err = errors.New("the answer holds no free/busy")
		}
		if err == nil && p.Session == nil {
			err = control(ctx, p, pair, o.Window)
		}
		return err
	})
	if direct.Status == OK && at.Premise != p.Name && there >= 0 {
		limited, cancel := context.WithTimeout(ctx, o.Timeout)
		note, err := beside(limited, premises[there], pair.To, window, view)
		cancel()
		if err == nil && marker != nil {
			err = marker.shows(view, window)
		}
		direct = settle(direct, err, false)
		notes = append(notes, note)
	}
	direct.Note = ""
	for _, note := range notes {
		direct.note(note)
	}
	answers = []Answer{direct}
	for _, proof := range p.Proofs {
		if proof.To == at.Premise {
			blank.Probe = proof.Probe
			answers = append(answers, timed(ctx, o.Timeout, blank,
				func(ctx context.Context) error { return proof.Try(ctx, pair.To) }))
		}
	}
	// The token test presents a token to EWS. Where lookups go to Microsoft Graph, the application
	// may have no access to EWS.
	if at.Premise == p.Name || throughGraph(blank.Route) {
		return answers
	}
	for _, q := range premises {
		// Forests sign in at each other with accounts, and not with tokens.
		tokens := p.Side == exchange.Online || q.Side == exchange.Online
		if q.Name == at.Premise && q.EWS != "" && p.Session != nil && q.Session != nil && tokens {
			blank.Probe = "test-oauthconnectivity"
			return append(answers, timed(ctx, o.Timeout, blank,
				func(ctx context.Context) error { return testOAuth(ctx, p, q, pair.From) }))
		}
	}
	return answers
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

// control asks for a mailbox that does not exist. A service that answers for it would answer
// anything.
func control(ctx context.Context, p Premise, pair Pair, w Window) error {
	nobody := "hybridge-" + strings.ToLower(rand.Text()) + "@" + domainOf(pair.To)
	if view, err := p.Ask(ctx, pair.From, nobody, w); err == nil && view.Merged != "" {
		return &refusal{fmt.Sprintf("%s also answers for %s, which does not exist: its answers prove nothing", p.Name,
			nobody)}
	}
	return nil
}

// testOAuth runs Test-OAuthConnectivity: a premise presents its own token to another. Only
// ResultType counts. The detail is free text.
func testOAuth(ctx context.Context, p, q Premise, mailbox string) error {
	out, err := p.Session.Run(ctx, exchange.Command{Name: "Test-OAuthConnectivity", Parameters: map[string]any{
		"Service": "EWS", "TargetUri": q.EWS, "Mailbox": mailbox, "ReloadConfig": true,
	}})
	if err != nil {
		return &noVerdict{fmt.Errorf("%s: Test-OAuthConnectivity: %w", p.Name, err)}
	}
	if len(out) == 0 {
		return &noVerdict{fmt.Errorf("%s: Test-OAuthConnectivity printed no result", p.Name)}
	}
	result, err := out[0].String("ResultType")
	if err != nil {
		return &noVerdict{fmt.Errorf("%s: Test-OAuthConnectivity: ResultType: %w", p.Name, err)}
	}
	if result == "Success" {
		return nil
	}
	detail, _ := out[0].String("Detail")
	return &refusal{fmt.Sprintf("%s: Test-OAuthConnectivity: %s: %s", p.Name, result, detail)}
}

// refusal is a lookup that was answered with a refusal, unlike one that could not be sent.
type refusal struct{ text string }

func (r *refusal) Error() string { return r.text }

// noVerdict is a probe that did not run. The lookup is unknown.
type noVerdict struct{ error }

func (n *noVerdict) Unwrap() error { return n.error }

func timed(ctx context.Context, limit time.Duration, a Answer, f func(context.Context) error) Answer {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	start := time.Now()
	err := f(ctx)
	a.LatencyMS = time.Since(start).Milliseconds()
	return settle(a, err, false)
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
		errors.Is(err, link.ErrUnreachable), errors.Is(err, link.ErrUntrusted), errors.Is(err, link.ErrAccess):
		a.Status = Unknown
	default:
		a.Status = Failed
	}
	if err != nil {
		a.Error, a.Cause = err.Error(), err
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
