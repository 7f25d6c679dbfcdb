package desired

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/hcw"
)

// Restored is what a plan takes back of the wizard's overwriting.
type Restored struct {
	Resources []change.Resource
	LeftOut   []change.LeftOut
	Notes     []change.Note
}

// restoreTopic is the topic of its notes.
const restoreTopic = "restore"

// Restore adds to the resources of a plan what Microsoft's wizard overwrote. A property is restored
// only where its present value is still what the wizard wrote, and where the rest of the plan does
// not want it so. Each property that is not restored gets a note that says why. The wizard ran in one
// of forests; in any, where none is named.
func Restore(ctx context.Context, set *fact.Set, places map[string]change.Reader, resources []change.Resource,
	overwritten []hcw.Overwritten, forests []string) Restored {
	r := restoring{ctx: ctx, set: set, places: places, forests: forests, unreadable: map[string]bool{}}
	r.out.Resources = slices.Clone(resources)
	restored := 0
	for _, o := range overwritten {
		if r.restore(o) {
			restored++
		}
	}
	r.out.Notes = slices.Insert(r.out.Notes, 0, change.Note{Topic: restoreTopic, Text: msg.Of(
		"the plan restores %d of %d values that Microsoft's wizard overwrote", restored, len(overwritten))})
	return r.out
}

type restoring struct {
	ctx        context.Context
	set        *fact.Set
	places     map[string]change.Reader
	forests    []string
	unreadable map[string]bool // what a LeftOut already names
	out        Restored
}

// note says why a value stays.
func (r *restoring) note(o hcw.Overwritten, place string, why msg.Text, commands ...string) bool {
	r.out.Notes = append(r.out.Notes, change.Note{Topic: restoreTopic, Place: place, Commands: commands,
		Text: msg.Of("%s of %s %q is not restored to %s: %s", o.Property, o.Kind, o.Object, orNothing(o.Was), why)})
	return false
}

func orNothing(s string) msg.Text {
	if s == "" {
		return msg.Of("(nothing)")
	}
	return msg.Plain(s)
}

// found is the live object of an overwritten value.
type found struct {
	kind     *Kind
	property string
	place    string
	live     change.Live
}

// restore plans one value, or says why not.
func (r *restoring) restore(o hcw.Overwritten) bool {
	switch {
	case o.Object == "":
		return r.note(o, "", msg.Of("the log does not name the object"))
	case o.Unsure:
		return r.note(o, "", msg.Of("the log does not say what the wizard wrote"))
	case strings.HasSuffix(o.Was, "...") || strings.HasSuffix(o.Was, "…"):
		return r.note(o, "", msg.Of("the log has only its beginning"))
	}
	kind, property := writable(o)
	if kind == nil {
		return r.note(o, "", msg.Of("hybridge does not write this property"), byHand(o)...)
	}
	all, known := r.find(o, kind, property)
	switch {
	case !known:
		return false
	case len(all) == 0:
		return r.note(o, "", msg.Of("there is no such object"))
	case len(all) > 1:
		return r.note(o, "", msg.Of("%s and %s both have such an object; name the forest that the wizard ran in with "+
			"--forest", all[0].place, all[1].place))
	}
	f := all[0]
	p := kind.Properties[property]
	was, wrote, is := valueOf(p, o.Was), valueOf(p, o.Wrote), f.live.Properties[property]
	switch {
	case isUnreadable(is):
		r.leave(o, f.place, msg.Of("%s of %s cannot be read", property, o.Object), change.ErrUnreadable)
		return false
	case sameValue(p, was, is):
		return r.note(o, f.place, msg.Of("it has that value again"))
	case !sameValue(p, wrote, is):
		return r.note(o, f.place, msg.Of("it has changed since: the wizard wrote %s, it is %s", orNothing(o.Wrote),
			change.Text(is)))
	}
	return r.plan(o, f, was)
}

func isUnreadable(v any) bool { _, is := v.(change.Unreadable); return is }

// plan adds the value to the resource of the plan that is this object, or makes one.
func (r *restoring) plan(o hcw.Overwritten, f found, was any) bool {
	p := f.kind.Properties[f.property]
	i := slices.IndexFunc(r.out.Resources, func(other change.Resource) bool {
		return other.Kind == f.kind && other.Target == f.place && !other.Absent &&
			len(change.Refs(other.Properties)) == 0 && f.kind.Matches(other.Properties, f.live)
	})
	var res change.Resource
	if i >= 0 {
		res = r.out.Resources[i]
		res.Properties = maps.Clone(res.Properties)
	} else {
		res = change.Resource{
			Kind: f.kind, Target: f.place, Key: strings.ToLower(o.Object), Name: f.live.Name, Topic: restoreTopic,
			Part: partOf(f.place), Reason: msg.Of("Microsoft's wizard overwrote it"), Properties: change.Properties{},
		}
		for name, declared := range f.kind.Properties {
			if declared.Write == change.Key {
				res.Properties[name] = f.live.Properties[name]
			}
		}
		if len(res.Properties) == 0 || !f.kind.Matches(res.Properties, f.live) {
			return r.note(o, f.place, msg.Of("hybridge recognizes the object only as a part of hybrid"), byHand(o)...)
		}
	}
	if want, wanted := res.Properties[f.property]; wanted {
		if len(change.Secrets(want)) > 0 || !p.InEffect(want, was) {
			return r.note(o, f.place, msg.Of("hybrid needs it as the wizard set it, and the next plan would change it "+
				"back"))
		}
		if p.Write == change.Merge {
			was = p.Merged(want, was)
		}
	}
	if p.InEffect(was, f.live.Properties[f.property]) { // what is there counts as right too
		return r.note(o, f.place, msg.Of("hybridge takes both values for the same"), byHand(o)...)
	}
	res.Properties[f.property] = was
	if len(res.Restores) == 0 && res.Topic != restoreTopic {
		res.Reason = msg.Of("%s; it gets back what Microsoft's wizard overwrote", res.Reason)
	}
	res.Restores = append(slices.Clone(res.Restores), f.property)
	if i < 0 {
		r.out.Resources = append(r.out.Resources, res)
	} else {
		r.out.Resources[i] = res
	}
	return true
}

func partOf(place string) string {
	part, _ := strings.CutPrefix(place, PlaceForest(""))
	if part == place {
		return ""
	}
	return part
}

// writable is the kind by which hybridge writes an overwritten property; nil when there is none.
func writable(o hcw.Overwritten) (*Kind, string) {
	place := PlaceOnline
	if o.Side == hcw.OnPremises {
		place = PlaceForest("any")
	}
	for _, k := range Kinds() {
		if !k.At(place) || k.Recreates || k.Permanent != "" || !slices.Contains(k.Writes, "Set-"+o.Kind) {
			continue
		}
		for _, name := range sortedKeys(k.Properties) {
			p := k.Properties[name]
			if (p.Write == change.Replace || p.Write == change.Merge) && !p.Derived &&
				(strings.EqualFold(name, o.Property) || p.From != "" && strings.EqualFold(p.From, o.Property)) {
				return k, name
			}
		}
	}
	return nil, ""
}

// find looks for the object on its side; false when a place could not be read.
func (r *restoring) find(o hcw.Overwritten, k *Kind, property string) (out []found, known bool) {
	known = true
	var at []string
	if o.Side == hcw.OnPremises {
		for _, f := range r.set.Forests {
			if len(r.forests) == 0 || slices.Contains(r.forests, f.Name()) {
				at = append(at, PlaceForest(f.Name()))
			}
		}
	} else if r.set.Tenant != nil {
		at = append(at, PlaceOnline)
	}
	for _, place := range at {
		all, err := r.places[place].Read(r.ctx, k)
		if err != nil {
			r.leave(o, place, msg.Plain(err.Error()), err)
			known = false
			continue
		}
		for _, l := range all {
			if strings.EqualFold(l.Identity, o.Object) || strings.EqualFold(l.Name, o.Object) {
				out = append(out, found{k, property, place, l})
			}
		}
	}
	return out, known
}

// leave names once per kind and place what could not be read.
func (r *restoring) leave(o hcw.Overwritten, place string, why msg.Text, err error) {
	key := place + "/" + o.Kind
	if r.unreadable[key] {
		return
	}
	r.unreadable[key] = true
	r.out.LeftOut = append(r.out.LeftOut, change.LeftOut{Topic: restoreTopic, Place: place, Part: partOf(place),
		Err: err, Reason: msg.Of("what Microsoft's wizard overwrote of %s %q: %s", o.Kind, o.Object, why)})
}

// valueOf reads a value as the wizard prints it.
func valueOf(p Property, printed string) any {
	var v any = printed
	if p.Type.List {
		list := []string{}
		for part := range strings.SplitSeq(strings.Trim(printed, "{}"), ",") {
			if part = strings.Trim(strings.TrimSpace(part), "'"); part != "" {
				list = append(list, part)
			}
		}
		v = list
	}
	if p.Type.Read != nil {
		v = p.Type.Read(v)
	}
	return v
}

// sameValue reports whether two values are the same, and not only as good as each other.
func sameValue(p Property, a, b any) bool {
	if !p.Same(a, b) {
		return false
	}
	if p.Type.List {
		return true
	}
	text := func(v any) string { return strings.TrimSuffix(strings.ToLower(fmt.Sprint(v)), "/") }
	return text(a) == text(b)
}

// byHand is the command that restores a value which hybridge does not write; none where the
// catalogue does not know the parameter.
func byHand(o hcw.Overwritten) []string {
	name := "Set-" + o.Kind
	cmdlet, known := exchange.Catalogue().Find(name)
	if !known {
		return nil
	}
	parameter, known := cmdlet.Parameter(o.Property)
	if !known {
		return nil
	}
	var v any = o.Was
	switch {
	case parameter.Type == "Boolean" || parameter.Type == "SwitchParameter" || strings.Contains(parameter.Type, "Bool"):
		v = readBool(o.Was)
	case o.Was == "":
		v = nil
	case strings.HasPrefix(parameter.Type, "MultiValued") || strings.HasSuffix(parameter.Type, "[]"):
		v = valueOf(Property{Type: settings}, o.Was)
	}
	c := exchange.Command{Name: name, Parameters: map[string]any{"Identity": o.Object, o.Property: v}}
	return []string{c.String()}
}
