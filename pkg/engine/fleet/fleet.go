// Package fleet puts the reports of many deployments together: of shards, and over time. It knows
// deployments by their names and findings by their ids.
package fleet

import (
	"cmp"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/sorting"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

// Report is how many deployments are.
type Report struct {
	// The version of the format: hybridge/v1.
	APIVersion string `json:"apiVersion"`
	// Always FleetReport.
	Kind string `json:"kind"`
	// The part of the fleet that was run: 3/8. Absent in a report of the whole fleet.
	Shard   string  `json:"shard,omitempty"`
	Summary Summary `json:"summary"`
	// Each deployment once per command, by name.
	Deployments []Deployment `json:"deployments"`
	// The deployments of the fleet that no report is of.
	Missing []string `json:"missing,omitempty"`
	// The files that hold no report, or a part of one.
	Unreadable []Unreadable `json:"unreadable,omitempty"`
}

// Summary counts a Report.
type Summary struct {
	// The deployments whose run ended with exit code 0, with their warnings.
	Fine int `json:"fine"`
	// Those with a failed check or lookup.
	Failed int `json:"failed"`
	// Those that plan --detailed-exitcode has changes for.
	Pending int `json:"pending"`
	// Those whose run ended with another exit code: how they are is not known.
	Unknown int `json:"unknown"`
	// Those that no report is of.
	Missing int `json:"missing"`
	// How many reports are left out because a newer one is of the same deployment and command.
	Superseded int `json:"superseded"`
}

// Deployment is how one deployment is.
type Deployment struct {
	About report.About `json:"about"`
	// How long the run took; absent where the report does not say.
	DurationMS int64 `json:"durationMs,omitempty"`
	// The exit code of its run.
	ExitCode int `json:"exitCode"`
	// How many changes its plan has; absent for other commands.
	Changes int `json:"changes,omitempty"`
	// Why the run failed.
	Error *report.Failure `json:"error,omitempty"`
	// What was looked at. What is well has neither title nor summary.
	Outcomes []Outcome `json:"outcomes,omitempty"`
}

// Event makes a Deployment an observe.Event.
func (Deployment) Event() string { return "deployment" }

// Outcome is how one check or lookup ended.
type Outcome struct {
	// The id of the check; of a lookup, how it was asked.
	ID string `json:"id"`
	// The scope of the check; of a lookup, its question.
	Place   string        `json:"place"`
	Status  report.Status `json:"status"`
	Title   msg.Text      `json:"title,omitzero"`
	Summary msg.Text      `json:"summary,omitzero"`
	// What fixes it.
	Fix msg.Text `json:"fix,omitzero"`
}

// Unreadable is a file that holds no report, or a part of one.
type Unreadable struct {
	File  string `json:"file"`
	Error string `json:"error"`
}

// New is a report of these deployments.
func New(deployments ...Deployment) Report {
	return Report{APIVersion: report.APIVersion, Kind: "FleetReport", Deployments: deployments}.sorted()
}

// Of is how a deployment is by the View of its document.
func Of(v report.View) Deployment {
	d := Deployment{About: v.About}
	for _, o := range report.OutcomesOf(v) {
		kept := Outcome{ID: o.ID, Place: o.Place, Status: o.Status}
		if o.Status.Weight() > 0 {
			kept.Title, kept.Summary = o.Title, o.Summary
			for _, b := range o.Details {
				if p, ok := b.(report.Paragraph); ok && p.Label.String() == "fix" {
					kept.Fix = p.Text
				}
			}
		}
		d.Outcomes = append(d.Outcomes, kept)
	}
	for _, b := range v.Blocks {
		if diff, ok := b.(report.Diff); ok {
			d.Changes += len(diff.Changes)
		}
	}
	return d
}

// key says which reports are of the same thing.
func (d Deployment) key() string { return d.About.Deployment + "\x00" + d.About.Verb }

// Merge makes one report of several. Of two of the same deployment and command, the newer counts: a
// shard that was run again replaces what is left of its first run.
func Merge(reports ...Report) Report {
	newest := map[string]Deployment{}
	out := Report{APIVersion: report.APIVersion, Kind: "FleetReport"}
	for _, r := range reports {
		out.Unreadable = append(out.Unreadable, r.Unreadable...)
		out.Summary.Superseded += r.Summary.Superseded
		for _, d := range r.Deployments {
			known, twice := newest[d.key()]
			if twice {
				out.Summary.Superseded++
			}
			if !twice || !d.About.Time.Before(known.About.Time) {
				newest[d.key()] = d
			}
		}
	}
	for _, d := range newest {
		out.Deployments = append(out.Deployments, d)
	}
	return out.sorted()
}

// Expect names the deployments that a report should be of. Those without one are missing.
func (r Report) Expect(names []string) Report {
	have := map[string]bool{}
	for _, d := range r.Deployments {
		have[d.About.Deployment] = true
	}
	r.Missing = nil
	for _, name := range names {
		if !have[name] {
			r.Missing = append(r.Missing, name)
		}
	}
	return r.sorted()
}

func (r Report) sorted() Report {
	if r.Deployments == nil {
		r.Deployments = []Deployment{}
	}
	sorting.Func(r.Deployments, func(a, b Deployment) int { return cmp.Compare(a.key(), b.key()) })
	slices.Sort(r.Missing)
	r.Summary.Fine, r.Summary.Failed, r.Summary.Pending, r.Summary.Unknown = 0, 0, 0, 0
	for _, d := range r.Deployments {
		switch d.state() {
		case report.Fail:
			r.Summary.Failed++
		case report.Pending:
			r.Summary.Pending++
		case report.Error:
			r.Summary.Unknown++
		default:
			r.Summary.Fine++
		}
	}
	r.Summary.Missing = len(r.Missing)
	return r
}

// The exit codes that say how a deployment is: see docs/exit-codes.md. Any other says that it is
// not known.
const (
	codeFine    = 0
	codeFailed  = 3
	codePending = 5
)

// state is how a deployment is, in one word.
func (d Deployment) state() report.Status {
	switch d.ExitCode {
	case codeFailed:
		return report.Fail
	case codePending:
		return report.Pending
	case codeFine:
		if d.counts()[report.Warn] > 0 {
			return report.Warn
		}
		return report.Pass
	}
	return report.Error
}

// counts is how many outcomes have each status, lookups by the words of checks.
func (d Deployment) counts() map[report.Status]int {
	counts := map[report.Status]int{}
	for _, o := range d.Outcomes {
		counts[plain(o.Status)]++
	}
	return counts
}

// plain is the status of a check that means the same.
func plain(s report.Status) report.Status {
	switch s {
	case report.OK:
		return report.Pass
	case report.Unknown:
		return report.Error
	case report.Pending:
		return report.Warn
	}
	return s
}

// Shard is one part of n of a fleet. The zero Shard is the whole fleet.
type Shard struct{ part, of int }

// ParseShard reads i/n. Parts are counted from 1 to n or from 0 to n-1: the n parts of either count
// are the whole fleet.
func ParseShard(s string) (Shard, error) {
	i, n, found := strings.Cut(s, "/")
	part, err := strconv.Atoi(i)
	of, err2 := strconv.Atoi(n)
	if !found || errors.Join(err, err2) != nil || of < 1 || part < 0 || part > of {
		return Shard{}, fmt.Errorf("%q is no part of a fleet; write the number of the part and of all parts: 3/8", s)
	}
	return Shard{part, of}, nil
}

func (s Shard) String() string {
	if s.of == 0 {
		return ""
	}
	return fmt.Sprintf("%d/%d", s.part, s.of)
}

// Has reports whether a deployment is in the shard. The name decides, and not the place in a list:
// shards that see the fleet at different moments still share no deployment and lose none.
func (s Shard) Has(name string) bool {
	if s.of == 0 {
		return true
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	return int(mix(h.Sum32())%uint32(s.of)) == s.part%s.of
}

// mix spreads the bits of a hash: names that differ in a digit at the end differ in few bits.
func mix(h uint32) uint32 {
	h ^= h >> 16
	h *= 0x85ebca6b
	h ^= h >> 13
	h *= 0xc2b2ae35
	return h ^ h>>16
}

// took is the duration of a run.
func (d Deployment) took() time.Duration { return time.Duration(d.DurationMS) * time.Millisecond }
