package apply

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/sorting"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

// Left is how the runs under a state directory left a resource.
type Left struct {
	ID, Target, Kind, Name string
	RunID                  string // the run that wrote it last
	At                     time.Time
	Live                   change.Live
	Wrote                  map[string]bool // the properties that runs wrote
	// Places are the ids of the organizations that the run changed, by place.
	Places map[string]string
}

// LeftBehind lists how runs of apply and rollback left what they wrote, by the newest run. What a
// run removed, and what may or may not have been written, is not among it. A journal that cannot be
// read contributes nothing: History reports its error.
func LeftBehind(stateDir string) ([]Left, error) {
	runs, _, err := readRuns(stateDir)
	if err != nil {
		return nil, err
	}
	sorting.Stable(runs, func(a, b *past) int { return strings.Compare(a.head.RunID, b.head.RunID) })
	changes := map[string]change.Change{}
	newest := map[string]Left{}
	for _, run := range runs {
		if run.head.Plan != nil {
			for _, c := range run.head.Plan.Changes {
				changes[c.ID] = c
			}
		}
		for id, t := range run.traces() {
			c, known := changes[id]
			switch {
			case !known || t.begin == nil && t.end == nil:
			case t.done() && t.end.After != nil:
				wrote := newest[id].Wrote
				if wrote == nil {
					wrote = map[string]bool{}
				}
				if t.begin != nil {
					for name := range t.begin.Want {
						wrote[name] = true
					}
				}
				newest[id] = Left{ID: id, Target: c.Target, Kind: c.Kind, Name: t.end.After.Name, Wrote: wrote,
					RunID: run.head.RunID, At: t.end.Time, Live: *t.end.After.live(), Places: run.head.Places}
			case t.done() || t.uncertain():
				delete(newest, id)
			}
		}
	}
	out := slices.Collect(maps.Values(newest))
	sorting.Func(out, func(a, b Left) int { return strings.Compare(a.ID, b.ID) })
	return out, nil
}

// Drift says what changed since the runs.
type Drift struct {
	// The version of the format: hybridge/v1.
	APIVersion string `json:"apiVersion"`
	// Always Drift.
	Kind string `json:"kind"`
	// The objects that are no longer as hybridge left them.
	Objects []Drifted `json:"objects"`
	// How many are as hybridge left them.
	Unchanged int `json:"unchanged"`
	// What could not be read: nothing is known of it.
	Unknown []DriftUnknown `json:"unknown,omitempty"`
	// Why a side's audit log does not say who changed what.
	Unaudited []DriftUnknown `json:"unaudited,omitempty"`
}

// Drifted is an object that changed since a run wrote it.
type Drifted struct {
	// The id of the change, as plans and journals have it.
	ID     string `json:"id"`
	Target string `json:"target"`
	// The kind of resource.
	Kind string `json:"kind"`
	Name string `json:"name"`
	// The run that wrote it last, and when that was done.
	RunID string    `json:"runId"`
	At    time.Time `json:"at"`
	// It is not there any more.
	Gone       bool            `json:"gone,omitempty"`
	Properties []DriftProperty `json:"properties,omitempty"`
	// What the audit log of its side has since then, oldest first.
	By []Author `json:"by,omitempty"`
}

// DriftProperty is a property with another value than the run left.
type DriftProperty struct {
	Name string `json:"name"`
	Left any    `json:"left"`
	Now  any    `json:"now"`
}

// Author is an entry of an audit log.
type Author struct {
	At     time.Time `json:"at"`
	Who    string    `json:"who"`
	Cmdlet string    `json:"cmdlet"`
}

// DriftUnknown is what could not be read.
type DriftUnknown struct {
	Place  string   `json:"place"`
	Kind   string   `json:"kind,omitempty"`
	Reason msg.Text `json:"reason"`
	Err    error    `json:"-"`
}

// Since compares a resource with the live ones of its kind. The second result is false when it is as
// the run left it. Only what runs wrote counts: other changes of the same plan may have written the
// rest of the object later.
func (l Left) Since(k *change.Kind, live []change.Live) (Drifted, bool) {
	d := Drifted{ID: l.ID, Target: l.Target, Kind: l.Kind, Name: l.Name, RunID: l.RunID, At: l.At}
	at := slices.IndexFunc(live, func(now change.Live) bool {
		return l.Live.Identity != "" && strings.EqualFold(now.Identity, l.Live.Identity)
	})
	if at < 0 { // another name, or made anew
		at = slices.IndexFunc(live, func(now change.Live) bool { return k.Matches(l.Live.Properties, now) })
	}
	if at < 0 {
		d.Gone = true
		return d, true
	}
	for _, name := range slices.Sorted(maps.Keys(k.Properties)) {
		was, kept := l.Live.Properties[name]
		now := live[at].Properties[name]
		_, withheld := was.(change.Unreadable)
		if _, unreadable := now.(change.Unreadable); unreadable || withheld || !kept || !l.Wrote[name] ||
			k.Properties[name].Same(was, now) {
			continue
		}
		d.Properties = append(d.Properties, DriftProperty{name, was, now})
	}
	return d, len(d.Properties) > 0
}

// View shows each object that changed, with who changed it as far as the audit log says.
func (d Drift) View() report.View {
	v := report.View{Name: "history", Title: msg.Of("What changed since hybridge wrote it")}
	diff := report.Diff{Intro: msg.Of("No longer as hybridge left it:")}
	for _, o := range d.Objects {
		c := report.Change{Action: report.Update, ID: o.ID, Place: o.Target, Kind: o.Kind, Name: o.Name}
		if o.Gone {
			c.Action = report.Delete
		}
		for _, p := range o.Properties {
			c.Properties = append(c.Properties, report.Property{Name: p.Name, Sign: report.Changed,
				Before: shownValue(p.Left), After: shownValue(p.Now)})
		}
		c.Details = append(c.Details, report.Paragraph{Label: msg.Of("since"),
			Text: msg.Of("run %s, %s", o.RunID, o.At.UTC().Format(time.RFC3339))})
		for _, by := range o.By {
			c.Details = append(c.Details, report.Paragraph{Label: msg.Of("changed by"),
				Text: msg.Of("%s with %s, %s", by.Who, by.Cmdlet, by.At.UTC().Format(time.RFC3339))})
		}
		diff.Changes = append(diff.Changes, c)
	}
	if len(d.Objects) > 0 {
		v.Blocks = append(v.Blocks, diff)
	}
	for _, u := range d.Unknown {
		v.Blocks = append(v.Blocks, report.Paragraph{Label: msg.Of("unknown"), Tone: report.Caution,
			Text: msg.Of("%s at %s: %s", u.Kind, u.Place, u.Reason)})
	}
	for _, u := range d.Unaudited {
		v.Blocks = append(v.Blocks, report.Paragraph{Label: msg.Of("note"),
			Text: msg.Of("who changed what at %s is not known: %s", u.Place, u.Reason)})
	}
	v.Summary = report.Summary{Lead: msg.Of("Objects:"), Counts: []report.Count{
		{Text: msg.Of("%d changed", len(d.Objects))}, {Text: msg.Of("%d as hybridge left them", d.Unchanged)},
		{Text: msg.Of("%d unknown", len(d.Unknown))},
	}}
	return v
}

func shownValue(v any) msg.Text {
	if v == nil {
		return msg.Of("(nothing)")
	}
	return msg.Plain(change.Text(v))
}
