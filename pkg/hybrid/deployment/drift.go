package deployment

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// Drift compares what the runs of this deployment left with what is live, and asks the audit logs
// who changed it. A log that this account may not read leaves the author unknown, and nothing else.
func (d *Deployment) Drift(ctx context.Context, obs observe.Observer) (apply.Drift, error) {
	facts, end := d.begin(obs)
	defer end()
	out := apply.Drift{APIVersion: report.APIVersion, Kind: "Drift", Objects: []apply.Drifted{}}
	left, err := apply.LeftBehind(d.options.StateDir)
	if err != nil {
		return out, err
	}
	if _, err := apply.History(d.options.StateDir); err != nil { // what these runs left is not known
		out.Unknown = append(out.Unknown, apply.DriftUnknown{Place: "the state directory", Kind: "Journal",
			Reason: msg.Plain(err.Error()), Err: err})
	}
	foreign := d.foreign(ctx, facts)
	places := d.readers(facts)
	kinds := Kinds()
	type reading struct {
		live []change.Live
		err  error
	}
	read := map[string]reading{}
	for _, l := range left {
		k, place := kinds[l.Kind], places[l.Target]
		if k == nil || place == nil || foreign(l.Target, l.Places) { // a version before, or a forest that left
			continue
		}
		key := l.Target + "/" + l.Kind
		r, asked := read[key]
		if !asked {
			r.live, r.err = place.Read(ctx, k)
			if ctx.Err() != nil {
				return out, context.Cause(ctx)
			}
			read[key] = r
			if r.err != nil {
				out.Unknown = append(out.Unknown, apply.DriftUnknown{Place: l.Target, Kind: l.Kind,
					Reason: msg.Plain(r.err.Error()), Err: r.err})
			}
		}
		if r.err != nil {
			continue
		}
		if o, differs := l.Since(k, r.live); differs {
			out.Objects = append(out.Objects, o)
		} else {
			out.Unchanged++
		}
	}
	d.authors(ctx, facts, left, &out)
	return out, ctx.Err()
}

// authors asks the audit log of each side with changes who made them.
func (d *Deployment) authors(ctx context.Context, facts *fact.Set, left []apply.Left, out *apply.Drift) {
	identities := map[string]string{}
	for _, l := range left {
		identities[l.ID] = l.Live.Identity
	}
	byPlace := map[string][]*apply.Drifted{}
	for i := range out.Objects {
		o := &out.Objects[i]
		byPlace[o.Target] = append(byPlace[o.Target], o)
	}
	for _, place := range slices.Sorted(maps.Keys(byPlace)) {
		objects := byPlace[place]
		side, online := facts.Tenant, place == desired.PlaceOnline
		for _, f := range facts.Forests {
			if desired.PlaceForest(f.Name()) == place {
				side = f
			}
		}
		unaudited := func(reason msg.Text, err error) {
			out.Unaudited = append(out.Unaudited, apply.DriftUnknown{Place: place, Reason: reason, Err: err})
		}
		if !online && !strings.HasPrefix(place, desired.PlaceForest("")) {
			unaudited(msg.Of("hybridge reads the audit logs of Exchange alone"), nil)
			continue
		}
		from := objects[0].At
		var cmdlets []string
		for _, o := range objects {
			if o.At.Before(from) {
				from = o.At
			}
			cmdlets = append(cmdlets, writesOf(o.Kind)...)
		}
		slices.Sort(cmdlets)
		cmdlets = slices.DeleteFunc(slices.Compact(cmdlets), func(c string) bool {
			_, known := exchange.Catalogue().Find(c)
			return !known
		})
		events, err := fact.Audit(ctx, side, online, from, d.now().Add(time.Hour), cmdlets)
		switch {
		case errors.Is(err, exchange.ErrNoCmdlet), errors.Is(err, link.ErrAccess):
			unaudited(msg.Of("the account lacks the role View-Only Audit Logs"), err)
		case err != nil:
			unaudited(msg.Plain(err.Error()), err)
		}
		for _, o := range objects {
			for _, e := range events {
				if e.At.After(o.At) && slices.Contains(writesOf(o.Kind), e.Cmdlet) &&
					e.About(o.Name, identities[o.ID]) {
					o.By = append(o.By, apply.Author{At: e.At.UTC(), Who: e.Who, Cmdlet: e.Cmdlet})
				}
			}
		}
	}
}

// writesOf are the cmdlets that change an object of a kind. Another tool may make it anew.
func writesOf(noun string) []string {
	out := []string{"Remove-" + noun, "New-" + noun}
	if k := Kinds()[noun]; k != nil {
		out = append(out, k.Writes...)
	}
	return out
}
