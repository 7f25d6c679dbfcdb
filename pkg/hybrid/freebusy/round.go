package freebusy

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/broken"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/snapshot"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// atOnce is how many requests a premise gets at the same time.
const atOnce = 4

// round is one pass over some pairs. What it reads about recipients and connectors, it reads once.
type round struct {
	premises []Premise
	o        Options
	obs      observe.Observer
	tell     sync.Mutex
	routes   sync.Map // hops and errors, by premise and domain

	ownTurn sync.Mutex
	own     map[calendar]Seen // what the mailboxes' own sides say

	askStranger sync.Mutex
	strangers   map[string]string // why answers of a direction prove nothing; empty: they do
}

type calendar struct {
	mailbox string // in lower case
	window  Window
}

// lookup is one pair on its way.
type lookup struct {
	row    int
	pair   Pair
	at     Location
	home   int    // the premise that holds the mailbox; -1 when there is none
	answer Answer // of the lookup itself
	ended  bool   // the answer is final: nothing could be asked
	window Window
	marker *Marker
	notes  []string
	seen   Seen
}

func newRound(premises []Premise, o Options, obs observe.Observer) *round {
	r := &round{o: o, obs: obs, premises: slices.Clone(premises), own: map[calendar]Seen{},
		strangers: map[string]string{}}
	for i, p := range premises {
		if p.Session != nil {
			r.premises[i].Session = &remembered{Reader: p.Session}
		}
	}
	return r
}

// run asks for the pairs of some rows and replaces these rows. A probe of a direction that was ok
// in an earlier round stays where it is.
func (r *round) run(ctx context.Context, rows [][]Answer, which []int) {
	proven := map[string]bool{}
	for i, row := range rows {
		if !slices.Contains(which, i) {
			for _, a := range row[1:] {
				proven[a.Direction+" "+a.Probe] = true
			}
		}
	}
	starts := make([][]*lookup, len(r.premises)) // by the premise where a lookup starts
	r.foresee(ctx, which)
	for _, i := range which {
		l := &lookup{row: i, pair: r.o.Pairs[i], home: -1}
		rows[i] = nil
		p, err := Home(ctx, r.premises, l.pair.From)
		if err != nil {
			nowhere := Answer{From: l.pair.From, To: l.pair.To, Probe: "lookup",
				Direction: r.first(l.pair.From) + " -> ?"}
			rows[i] = []Answer{settle(nowhere, err, true)}
			r.observe(rows[i][0])
			continue
		}
		at := slices.IndexFunc(r.premises, func(q Premise) bool { return q.Name == p.Name })
		starts[at] = append(starts[at], l)
	}
	var wait sync.WaitGroup
	for i, p := range r.premises {
		if len(starts[i]) > 0 {
			wait.Go(func() { r.leave(ctx, p, starts[i], rows, proven) })
		}
	}
	wait.Wait()
}

// first names the premise that is asked first where an address is; "?" when none has its domain.
func (r *round) first(address string) string {
	for _, p := range r.premises {
		if p.holds(domainOf(address)) {
			return p.Name
		}
	}
	return "?"
}

func (r *round) observe(answers ...Answer) {
	r.tell.Lock()
	defer r.tell.Unlock()
	for _, a := range answers {
		r.obs.Observe(a)
	}
}

// foresee reads the recipients that Home looks for, many at a time.
func (r *round) foresee(ctx context.Context, which []int) {
	wanted := map[*remembered][]string{}
	for _, i := range which {
		from := r.o.Pairs[i].From
		if at := slices.IndexFunc(r.premises, func(p Premise) bool { return p.holds(domainOf(from)) }); at >= 0 {
			if s, ok := r.premises[at].Session.(*remembered); ok {
				wanted[s] = append(wanted[s], from)
			}
		}
	}
	var wait sync.WaitGroup
	for s, addresses := range wanted {
		wait.Go(func() { s.foresee(ctx, addresses) })
	}
	wait.Wait()
}

// leave asks for the lookups that start at a premise: per direction, in chunks.
func (r *round) leave(ctx context.Context, p Premise, lookups []*lookup, rows [][]Answer, proven map[string]bool) {
	if s, ok := p.Session.(*remembered); ok {
		var addresses []string
		for _, l := range lookups {
			addresses = append(addresses, l.pair.To)
		}
		s.foresee(ctx, addresses)
	}
	var directions []string
	towards := map[string][]*lookup{}
	for _, l := range lookups {
		r.find(ctx, p, l)
		if l.ended {
			rows[l.row] = []Answer{l.answer}
			r.observe(l.answer)
			continue
		}
		if towards[l.answer.Direction] == nil {
			directions = append(directions, l.answer.Direction)
		}
		towards[l.answer.Direction] = append(towards[l.answer.Direction], l)
	}
	turns := make(chan struct{}, atOnce)
	var wait sync.WaitGroup
	for _, d := range directions {
		for chunk := range slices.Chunk(towards[d], Together) {
			turns <- struct{}{}
			wait.Go(func() {
				defer func() { <-turns }()
				r.chunk(ctx, p, chunk)
				for _, l := range chunk {
					rows[l.row] = []Answer{l.answer}
					r.observe(l.answer)
				}
			})
		}
	}
	wait.Wait()
	for _, d := range directions {
		l, more := r.direction(ctx, p, towards[d], proven)
		if l != nil {
			rows[l.row] = append(rows[l.row], more...)
			r.observe(more...)
		}
	}
}

// find says where the mailbox of a lookup is, and which way leads there.
func (r *round) find(ctx context.Context, p Premise, l *lookup) {
	l.answer = Answer{From: l.pair.From, To: l.pair.To, Direction: p.Name + " -> ?", Probe: p.Probe}
	err := func() (err error) {
		defer broken.Into(&err, "the lookup of "+l.pair.To)
		if l.at, err = locate(ctx, p, r.premises, l.pair.To); err != nil {
			return err
		}
		l.home = slices.IndexFunc(r.premises, func(q Premise) bool { return q.Name == l.at.Premise })
		l.window = r.o.Window
		l.answer.Direction = p.Name + " -> " + cmp.Or(l.at.Premise, domainOf(l.at.Address))
		note := ""
		if l.at.Premise == "" {
			note = astray(p, l.pair.To, l.at.Address)
		}
		if l.at.Premise != p.Name {
			if l.answer.Route, err = r.route(ctx, p, l.at.Address); err != nil {
				return err
			}
			if len(l.answer.Route) == 0 {
				l.answer.Route = []string{"no connector, relationship or address space for " + domainOf(l.at.Address)}
				note = cmp.Or(note, betweenForests(p, r.premises, l.at))
			}
		}
		l.notes = append(l.notes, note)
		return nil
	}()
	if err != nil {
		l.answer, l.ended = settle(l.answer, err, true), true
		for _, note := range l.notes {
			l.answer.note(note)
		}
	}
}

// route is the route of a domain: the same for all its addresses.
func (r *round) route(ctx context.Context, p Premise, address string) ([]string, error) {
	type known struct {
		hops []string
		err  error
	}
	key := p.Name + " " + domainOf(address)
	if v, ok := r.routes.Load(key); ok {
		k := v.(known)
		return slices.Clone(k.hops), k.err
	}
	hops, err := route(ctx, p, address)
	r.routes.Store(key, known{hops, err})
	return slices.Clone(hops), err
}

// chunk asks for some lookups of one direction, with their markers.
func (r *round) chunk(ctx context.Context, p Premise, lookups []*lookup) {
	err := func() (err error) {
		defer broken.Into(&err, "the lookups of "+lookups[0].answer.Direction)
		defer r.mark(ctx, p, lookups)()
		for _, same := range windows(lookups) {
			r.ask(ctx, p, same)
			r.compare(ctx, p, same)
		}
		return nil
	}()
	for _, l := range lookups {
		if err != nil {
			l.seen = Seen{Err: err}
		}
		l.answer.LatencyMS = l.seen.Took.Milliseconds()
		l.answer = settle(l.answer, l.seen.Err, false)
		for _, note := range l.notes {
			l.answer.note(note)
		}
		l.answer.follow(r.o.Following, r.o.Now(), r.o.UntilOK > 0)
	}
}

// windows groups lookups that ask for the same time.
func windows(lookups []*lookup) (out [][]*lookup) {
	at := map[Window]int{}
	for _, l := range lookups {
		n, ok := at[l.window]
		if !ok {
			n = len(out)
			at[l.window], out = n, append(out, nil)
		}
		out[n] = append(out[n], l)
	}
	return out
}

// mark writes a marker into each calendar that is asked for. The returned function removes them.
func (r *round) mark(ctx context.Context, p Premise, lookups []*lookup) (remove func()) {
	if r.o.Markers == nil {
		return func() {}
	}
	type planted struct {
		marker *Marker
		note   string
		remove func() string
	}
	in := map[string]planted{}
	for _, l := range lookups {
		if l.at.Premise == p.Name || l.home < 0 {
			continue
		}
		key := strings.ToLower(l.pair.To)
		m, ok := in[key]
		if !ok {
			m.marker, m.note, m.remove = r.o.Markers.plant(ctx, r.premises[l.home], l.pair.To, r.o.Timeout)
			in[key] = m
		}
		l.notes = append(l.notes, m.note)
		if m.marker != nil {
			l.marker, l.window = m.marker, m.marker.window()
		}
	}
	return func() {
		for key, m := range in {
			if m.marker == nil {
				continue
			}
			left := m.remove()
			for _, l := range lookups {
				if strings.EqualFold(l.pair.To, key) && l.marker != nil {
					l.notes = append(l.notes, left)
				}
			}
		}
	}
}

// ask fills in what each lookup of one window has seen.
func (r *round) ask(ctx context.Context, p Premise, lookups []*lookup) {
	pairs := make([]Pair, len(lookups))
	for i, l := range lookups {
		pairs[i] = l.pair
	}
	seen := r.together(ctx, p, pairs, lookups[0].window)
	for i, l := range lookups {
		l.seen = seen[i]
		if l.seen.Err == nil && l.seen.View.Merged == "" {
			l.seen.Err = errors.New("the answer holds no free/busy")
		}
	}
	if slices.ContainsFunc(lookups, func(l *lookup) bool { return l.seen.Err == nil }) {
		r.control(ctx, p, lookups)
	}
}

// control refuses answers of a side that also answers for a mailbox that does not exist: it would
// answer anything. A direction is asked once.
func (r *round) control(ctx context.Context, p Premise, lookups []*lookup) {
	r.askStranger.Lock()
	defer r.askStranger.Unlock()
	direction := lookups[0].answer.Direction
	said, asked := r.strangers[direction]
	if !asked {
		domain := domainOf(lookups[0].at.Address)
		stranger := Pair{From: lookups[0].pair.From, To: strangers + strings.ToLower(rand.Text()) + "@" + domain}
		seen := r.together(ctx, p, []Pair{stranger}, lookups[0].window)
		if seen[0].Err == nil && seen[0].View.Merged != "" {
			said = fmt.Sprintf("%s also answers for a mailbox of %s that does not exist: its answers prove nothing",
				p.Name, domain)
		}
		r.strangers[direction] = said
	}
	for _, l := range lookups {
		if said != "" && l.seen.Err == nil {
			l.seen.Err = &refusal{said}
		}
	}
}

// strangers begins the addresses that do not exist.
const strangers = "hybridge-"

// together asks for pairs in one request. A request that fails as a whole may fail because of some
// mailboxes, or of their number. Where the first, the middle and the last one fail alone too, the
// error is that of all; otherwise the request is divided.
func (r *round) together(ctx context.Context, p Premise, pairs []Pair, w Window) []Seen {
	seen, err := r.once(ctx, p, pairs, w)
	if err == nil || len(pairs) == 1 || !divisible(err) {
		return whole(seen, err)
	}
	for _, i := range []int{0, len(pairs) / 2, len(pairs) - 1} {
		if ctx.Err() != nil {
			break
		}
		var alone error
		if _, alone = r.once(ctx, p, pairs[i:i+1], w); alone == nil {
			return r.divide(ctx, p, pairs, w)
		}
		err = alone
	}
	return whole(seen, err)
}

// divide asks for each half of some pairs, and of a half that fails for its halves.
func (r *round) divide(ctx context.Context, p Premise, pairs []Pair, w Window) []Seen {
	var out []Seen
	for _, half := range [][]Pair{pairs[:len(pairs)/2], pairs[len(pairs)/2:]} {
		if len(half) == 0 {
			continue
		}
		seen, err := r.once(ctx, p, half, w)
		if err != nil && len(half) > 1 && divisible(err) && ctx.Err() == nil {
			out = append(out, r.divide(ctx, p, half, w)...)
			continue
		}
		out = append(out, whole(seen, err)...)
	}
	return out
}

// whole is what was seen, or the error of the whole request for each pair.
func whole(seen []Seen, err error) []Seen {
	if err != nil {
		for i := range seen {
			seen[i].Err = err
		}
	}
	return seen
}

// once sends one request within the time limit. seen has a place per pair, also after an error.
func (r *round) once(ctx context.Context, p Premise, pairs []Pair, w Window) (seen []Seen, err error) {
	limited, cancel := context.WithTimeout(ctx, r.o.Timeout)
	defer cancel()
	start := time.Now()
	seen, err = p.Ask(limited, pairs, w)
	if err == nil && len(seen) != len(pairs) {
		err = fmt.Errorf("asked for %d mailboxes, answered for %d", len(pairs), len(seen))
	}
	if err != nil {
		seen = make([]Seen, len(pairs))
	}
	for i := range seen {
		seen[i].Took = time.Since(start)
	}
	return seen, err
}

// divisible reports whether a request may have failed because of one of its mailboxes, or of their
// number.
func divisible(err error) bool {
	var fault *ews.Fault
	var status *link.StatusError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return true
	case errors.Is(err, context.Canceled), errors.Is(err, link.ErrAccess), errors.Is(err, link.ErrUnreachable),
		errors.Is(err, link.ErrUntrusted), errors.Is(err, exchange.ErrNoCmdlet), errors.Is(err, snapshot.ErrNotHeld):
		return false
	case errors.As(err, &fault):
		return !fault.Temporary()
	case errors.As(err, &status):
		return slices.Contains([]int{http.StatusBadRequest, http.StatusRequestEntityTooLarge,
			http.StatusInternalServerError}, status.StatusCode)
	}
	return true
}

// compare compares what lookups saw with what the mailboxes' own sides say. An error there is a
// note, never a failure of the lookup.
func (r *round) compare(ctx context.Context, p Premise, lookups []*lookup) {
	var away []*lookup
	for _, l := range lookups {
		if l.seen.Err == nil && l.at.Premise != p.Name && l.home >= 0 && r.premises[l.home].Ask != nil {
			away = append(away, l)
		}
	}
	if len(away) == 0 {
		return
	}
	own := r.ofOwnSide(ctx, r.premises[away[0].home], away)
	w := away[0].window
	for i, l := range away {
		note, err := "", own[i].Err
		if err != nil {
			note, err = "the times could not be compared with those of the mailbox's own side: "+err.Error(), nil
		} else {
			note, err = compared(l.seen.View, own[i].View)
		}
		if err == nil && l.marker != nil {
			err = l.marker.shows(l.seen.View, w)
		}
		l.seen.Err = err
		l.notes = append(l.notes, note)
	}
}

// ofOwnSide asks the side that holds the mailboxes, once for each.
func (r *round) ofOwnSide(ctx context.Context, home Premise, lookups []*lookup) []Seen {
	r.ownTurn.Lock()
	defer r.ownTurn.Unlock()
	key := func(l *lookup) calendar { return calendar{strings.ToLower(l.pair.To), l.window} }
	ask := func(from string, again bool) {
		var pairs []Pair
		var keys []calendar
		for _, l := range lookups {
			var refused *refusal
			seen, known := r.own[key(l)]
			repeat := again && errors.As(seen.Err, &refused) && l.pair.To != from
			if slices.Contains(keys, key(l)) || known && !repeat {
				continue
			}
			keys, pairs = append(keys, key(l)), append(pairs, Pair{From: cmp.Or(from, l.pair.To), To: l.pair.To})
		}
		if len(pairs) == 0 {
			return
		}
		for i, s := range r.together(ctx, home, pairs, lookups[0].window) {
			r.own[keys[i]] = s
		}
	}
	ask(lookups[0].pair.To, false)
	// A calendar can be closed to all but its owner: who is refused is asked as itself.
	if len(lookups) > 1 {
		ask("", true)
	}
	out := make([]Seen, len(lookups))
	for i, l := range lookups {
		out[i] = r.own[key(l)]
	}
	return out
}
