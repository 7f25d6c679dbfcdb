package diagnose

import (
	"cmp"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/sorting"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
)

// The probes of symptoms.
const (
	lookup  = "lookup"
	message = "message"
)

// Symptom is a lookup or a message that does not work.
type Symptom struct {
	Text      string // the error
	Direction string // AnyDirection where it is not known
	// From and To are the places that it goes between: names of forests, "online", "workmail".
	From, To string
	Message  bool
}

// Evidence is what speaks for a cause.
type Evidence struct {
	// The check, or lookup or message.
	Probe string `json:"probe"`
	// The forest or cloud, or the direction.
	Place string `json:"place"`
	// What the probe found: fail, warn, skip.
	Status string `json:"status"`
	// The finding, in its own words.
	Text string `json:"text"`
}

// Cause is a cause with what the probes say about it.
type Cause struct {
	Diagnosis
	// A probe decided. Without it, the texts alone suggest the cause.
	Decided bool `json:"decided"`
	// What speaks for the cause.
	Evidence []Evidence `json:"evidence"`
}

// Excluded is a cause that a text suggests and probes exclude.
type Excluded struct {
	ID ID `json:"id"`
	// The checks that would have found it, and pass.
	By []string `json:"by"`
}

// Open is a probe that would decide and could not be run.
type Open struct {
	// The causes that it decides.
	IDs []ID `json:"ids"`
	// The check, and its forest or cloud.
	Probe string `json:"probe"`
	Place string `json:"place"`
	// Why it did not run: the right that is missing, or the error.
	Why string `json:"why"`
}

// Verdict is what probes and texts together say.
type Verdict struct {
	// The causes, the most likely first.
	Causes []Cause `json:"causes"`
	// What the texts suggest, and the probes exclude.
	RuledOut []Excluded `json:"ruledOut,omitempty"`
	// The probes that would decide and could not be run.
	Unknown []Open `json:"unknown,omitempty"`
}

// item is one thing that a cause can explain: a finding of a check, or a symptom.
type item struct {
	Evidence
	weight  float64
	symptom *Symptom
}

// candidate is a row with what it explains: item index -> how strongly.
type candidate struct {
	row        Row
	order      int
	explains   map[int]float64
	checked    float64 // the strongest finding of a check
	hinted     float64 // the strongest text
	decided    bool
	confidence float64
	found      []string
}

// Decide ranks the causes of what checks found and of what does not work. A text is a hint; a check
// that finds the cause decides, and one that passes rules it out. The order is that of the fewest
// causes that explain everything: what explains most comes first.
func Decide(results []check.Result, symptoms []Symptom) Verdict {
	items := itemsOf(results, symptoms)
	passed, open := map[string]int{}, map[string][]check.Result{}
	for _, r := range results {
		switch {
		case r.Status == check.StatusPass:
			passed[string(r.ID)]++
		case r.Status == check.StatusError, len(r.MissingRights) > 0:
			open[string(r.ID)] = append(open[string(r.ID)], r)
		}
	}
	turned := map[string]bool{}
	for _, i := range items {
		turned[i.Probe] = turned[i.Probe] || i.symptom == nil
	}
	v := Verdict{Causes: []Cause{}}
	var left []candidate
	for _, c := range candidates(items) {
		if c.hinted > 0 && c.checked == 0 && !c.decided {
			if by := clears(c.row, passed, turned, open); len(by) > 0 {
				v.RuledOut = append(v.RuledOut, Excluded{c.row.ID, by})
				continue
			}
		}
		left = append(left, c)
	}
	for _, c := range ranked(left, items) {
		d := c.row.diagnosis(c.confidence, c.found)
		cause := Cause{Diagnosis: d, Decided: c.decided, Evidence: []Evidence{}}
		for i, it := range items {
			if c.explains[i] > 0 {
				cause.Evidence = append(cause.Evidence, it.Evidence)
			}
		}
		v.Causes = append(v.Causes, cause)
	}
	v.Unknown = opened(v.Causes, open)
	return v
}

// itemsOf lists what is to be explained. What could not be looked at is no finding; a right that is
// missing is one about rights alone.
func itemsOf(results []check.Result, symptoms []Symptom) []item {
	var items []item
	for i := range symptoms {
		s := &symptoms[i]
		probe := lookup
		if s.Message {
			probe = message
		}
		items = append(items, item{Evidence{probe, s.From + " -> " + s.To, string(check.StatusFail), s.Text}, 1.2, s})
	}
	for _, r := range results {
		weight := 0.0
		switch {
		case r.Status == check.StatusFail:
			weight = 1
		case r.Status == check.StatusWarn, r.Status == check.StatusSkip && len(r.MissingRights) > 0:
			weight = 0.4
		default:
			continue
		}
		items = append(items, item{Evidence{string(r.ID), r.Scope, string(r.Status), r.Summary.String()}, weight, nil})
	}
	return items
}

// candidates lists the rows for which something speaks.
func candidates(items []item) []candidate {
	found := map[ID]*candidate{}
	get := func(order int, r Row) *candidate {
		if found[r.ID] == nil {
			found[r.ID] = &candidate{row: r, order: order, explains: map[int]float64{}}
		}
		return found[r.ID]
	}
	for i, it := range items {
		if it.symptom != nil {
			for order, h := range hints(*it.symptom) {
				c := get(order, Rows()[order])
				c.explains[i] = h.worth
				c.hinted = max(c.hinted, h.worth)
				c.decided = c.decided || h.decides
				for _, f := range h.found {
					if !slices.Contains(c.found, f) {
						c.found = append(c.found, f)
					}
				}
			}
			continue
		}
		for _, m := range decidedBy(it.Evidence) {
			c := get(m.order, Rows()[m.order])
			worth := m.worth
			if it.Status == string(check.StatusWarn) {
				worth -= 0.15
			}
			c.explains[i] = worth
			c.checked = max(c.checked, worth)
			c.decided = c.decided || m.alone && it.Status != string(check.StatusSkip)
		}
	}
	var out []candidate
	for _, c := range found {
		// What a check found also explains what it breaks, without a word in the error.
		if c.failed(items) {
			places := c.places(items)
			for i, it := range items {
				if it.symptom != nil && c.explains[i] < 0.5 && breaks(c.row, *it.symptom, places) {
					c.explains[i] = 0.5
				}
			}
		}
		c.confidence = round(min(0.98, 1-(1-c.checked)*(1-c.hinted)))
		out = append(out, *c)
	}
	sorting.Func(out, func(a, b candidate) int { return cmp.Compare(a.order, b.order) })
	return out
}

// failed reports whether a check failed on account of the cause: a warning breaks nothing.
func (c *candidate) failed(items []item) bool {
	for i := range c.explains {
		if items[i].symptom == nil && items[i].Status == string(check.StatusFail) {
			return true
		}
	}
	return false
}

func (c *candidate) places(items []item) []string {
	var out []string
	for i := range c.explains {
		if items[i].symptom == nil {
			out = append(out, items[i].Place)
		}
	}
	return out
}

// breaks reports whether a cause at these places can be why a lookup or message does not work.
func breaks(r Row, s Symptom, places []string) bool {
	topic, _, _ := strings.Cut(string(r.ID), ".")
	switch topic {
	case "wizard", "migration", "client", "powershell", "sync", "server":
		return false
	}
	switch shared := r.Layer == "dns" || r.Layer == "network"; {
	case r.Layer == "certificate": // one may serve both
	case topic == "mail" && !s.Message, topic != "mail" && s.Message && !shared:
		return false
	}
	if r.Direction != AnyDirection && s.Direction != AnyDirection && r.Direction != s.Direction {
		return false
	}
	return slices.ContainsFunc(places, func(p string) bool {
		p, _, _ = strings.Cut(p, ":")
		return p == s.From || p == s.To || p == "tenant" || p == "organization" || p == "network" || p == "workmail"
	})
}

// match is a row that a finding of a check shows.
type match struct {
	order int
	worth float64
	alone bool // no other row is as likely
}

// decidedBy lists the rows that a finding of a check shows: those whose words it says, or else those
// that need no words.
func decidedBy(e Evidence) []match {
	text := textOf(plain(e.Text))
	var said, silent []int
	for i, r := range Rows() {
		if !slices.Contains(r.finders(), e.Probe) || e.Status == string(check.StatusSkip) && r.Layer != "access" {
			continue
		}
		words, given := r.says[e.Probe]
		switch {
		case !given:
			silent = append(silent, i)
		case slices.ContainsFunc(words, func(p pattern) bool { _, end := p.in(text); return end >= 0 }):
			said = append(said, i)
		}
	}
	if len(said) == 0 {
		said = silent
	}
	var out []match
	for _, i := range said {
		out = append(out, match{i, max(0.4, 0.95-0.15*float64(len(said)-1)), len(said) == 1})
	}
	return out
}

// hint is what a symptom says of a row.
type hint struct {
	worth   float64
	decides bool
	found   []string
}

// hints lists what a symptom says, by the order of the rows.
func hints(s Symptom) map[int]hint {
	out := map[int]hint{}
	suspects, text := OfLookup(s.Text, s.Direction), textOf(plain(s.Text))
	for i, r := range Rows() {
		if at := slices.IndexFunc(suspects, func(d Diagnosis) bool { return d.ID == r.ID }); at >= 0 {
			out[i] = hint{suspects[at].Confidence, false, suspects[at].Found}
		}
		for _, p := range r.seen {
			if start, end := p.in(text); end >= 0 {
				out[i] = hint{0.95, true, []string{text.string[start:end]}}
			}
		}
	}
	return out
}

// clears lists the checks that rule a row out: all that would find it ran, and pass.
func clears(r Row, passed map[string]int, turned map[string]bool, open map[string][]check.Result) []string {
	if slices.ContainsFunc(r.Shows, func(id string) bool { return turned[id] || len(open[id]) > 0 }) {
		return nil
	}
	var by []string
	for _, id := range r.Checks {
		if turned[id] || len(open[id]) > 0 {
			return nil
		}
		if passed[id] > 0 {
			by = append(by, id)
		}
	}
	return by
}

// ranked orders the candidates: each next one explains most of what those before it leave.
func ranked(left []candidate, items []item) []candidate {
	explained := make([]float64, len(items))
	gain := func(c candidate) (sum float64) {
		for i, worth := range c.explains {
			if more := worth - explained[i]; more > 0 {
				sum += items[i].weight * more
			}
		}
		switch {
		case c.row.Wrapper || c.row.ByDesign:
			sum /= 4
		case c.checked == 0 && !c.decided: // many errors with one word are still a hint
			sum /= 2
		}
		return sum
	}
	var out []candidate
	for len(left) > 0 {
		best := 0
		for i := range left {
			more := gain(left[i]) - gain(left[best])
			if by := cmp.Or(sign(more), cmp.Compare(left[i].confidence, left[best].confidence),
				cmp.Compare(len(left[best].row.finders()), len(left[i].row.finders())), // the more special one
				cmp.Compare(depth(left[best].row), depth(left[i].row))); by > 0 {
				best = i
			}
		}
		c := left[best]
		for i, worth := range c.explains {
			explained[i] = max(explained[i], worth)
		}
		left = slices.Delete(left, best, best+1)
		out = append(out, c)
	}
	return out
}

func sign(f float64) int {
	switch {
	case f > 0.001:
		return 1
	case f < -0.001:
		return -1
	}
	return 0
}

// layers are the layers from the ground up: of two causes that explain the same, the lower one is
// that of the other.
var layers = []string{"time", "dns", "network", "tls", "certificate", "access", "identity", "directory", "organization",
	"autodiscover", "entra", "oauth", "federation", "ews", "mailbox"}

func depth(r Row) int {
	if i := slices.Index(layers, r.Layer); i >= 0 {
		return i
	}
	return len(layers)
}

// opened lists the probes that could not run, of the causes that no probe decided.
func opened(causes []Cause, open map[string][]check.Result) []Open {
	var out []Open
	for _, c := range causes {
		if c.Decided {
			continue
		}
		for _, id := range c.Checks {
			for _, r := range open[id] {
				i := slices.IndexFunc(out, func(o Open) bool { return o.Probe == id && o.Place == r.Scope })
				if i < 0 {
					i = len(out)
					out = append(out, Open{nil, id, r.Scope, r.Summary.String()})
				}
				out[i].IDs = append(out[i].IDs, c.ID)
			}
		}
	}
	return out
}

// Deciders lists the checks that decide between the causes that symptoms can have: those of what
// the errors suggest, and those of all causes on the way. Checks that read every user run only
// where an error suggests them.
func Deciders(symptoms []Symptom) []string {
	var out []string
	for i := range symptoms {
		s := symptoms[i]
		suggested := hints(s)
		for order, r := range Rows() {
			_, named := suggested[order]
			if !named && !breaks(r, s, []string{s.From}) {
				continue
			}
			for _, id := range r.finders() {
				topic, _, _ := strings.Cut(id, ".")
				if named || !slices.Contains([]string{"directory", "workmail", "lookups", "hybrid"}, topic) ||
					topic == "workmail" && (s.From == "workmail" || s.To == "workmail") ||
					topic == "lookups" && s.Direction == ForestToForest {
					out = append(out, id)
				}
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Explaining keeps the causes that explain a symptom. Findings that break no lookup are for the checks to
// show.
func (v Verdict) Explaining() Verdict {
	v.Causes = slices.DeleteFunc(slices.Clone(v.Causes), func(c Cause) bool {
		return !slices.ContainsFunc(c.Evidence, func(e Evidence) bool {
			return e.Probe == lookup || e.Probe == message
		})
	})
	return v
}
