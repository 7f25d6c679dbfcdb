package desired

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/engine/broken"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// Planner gives a topic the answers and the facts, and collects the resources that should exist.
type Planner struct {
	Answers answers.Answers
	// Forest is the one that a topic per forest is derived for.
	Forest *fact.Side

	set      *fact.Set
	topic    *Topic
	rotation Rotation
	// unconfirmed are values of the cloud that no source confirms, with the keys that override
	// them.
	unconfirmed map[string]string
	out         []*planned
	left        []instance
	waits       []change.LeftOut // what a later plan does, and why not this one
	notes       []change.Note
}

// planned is a resource with its origin.
type planned struct {
	change.Resource
	instance
	needs []Need
}

// instance is a topic, or a topic in one forest.
type instance struct {
	topic  *Topic
	forest *fact.Side
	err    error // why it is left out
}

// Need is what must precede a resource: one resource of a kind at a place. Without a key, it means
// all resources of the same forest and those outside forests. For a topic that is not per forest,
// it means those of all forests.
type Need struct {
	kind       *Kind
	place, key string
	loose      bool // only left out together, in any sequence
}

// All needs all resources of kinds at a place.
func All(place string, kinds ...*Kind) []Need {
	var out []Need
	for _, k := range kinds {
		out = append(out, Need{kind: k, place: place})
	}
	return out
}

// One needs one resource.
func One(k *Kind, place, key string) Need { return Need{kind: k, place: place, key: key} }

// Ref stands for a property of another resource: its live value when it exists, else the value that
// its change produces.
func Ref(k *Kind, place, key, property string) change.Ref {
	return change.Ref{Change: change.Resource{Kind: k, Target: place, Key: key}.ID(), Property: property}
}

// Add says that a resource should exist. It comes after the resources that its properties refer to,
// and after its needs.
func (p *Planner) Add(k *Kind, place, key, name string, reason msg.Text, properties change.Properties, needs ...Need) {
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		if text, ok := properties[name].(string); ok && p.unconfirmed[text] != "" {
			reason = unconfirmedIn(reason, name, p.unconfirmed[text])
		}
	}
	r := &planned{instance: instance{topic: p.topic, forest: p.Forest}, needs: needs}
	r.Resource = change.Resource{
		Kind: k, Target: place, Key: key, Name: name, Reason: reason, Properties: properties, Topic: p.topic.ID,
	}
	if p.Forest != nil {
		r.Part = p.Forest.Name()
	}
	p.out = append(p.out, r)
}

// unconfirmedIn adds to a reason that no source confirms a property, and which key overrides it.
func unconfirmedIn(reason msg.Text, property, key string) msg.Text {
	return msg.Of("%s; %s is not confirmed for this cloud: exchangeOnline.hosts.%s overrides it", reason, property, key)
}

// Note says something beside the changes: a decision and how long it holds, or what is left to a
// person, with the commands for it.
func (p *Planner) Note(text msg.Text, commands ...string) {
	n := change.Note{Topic: p.topic.ID, Text: text, Commands: commands}
	if p.Forest != nil {
		n.Place = p.at()
	}
	p.notes = append(p.notes, n)
}

// refusal is an error that prevents every plan: the answers contradict themselves or the live
// state.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

// Is makes a refusal an ErrRefused.
func (r refusal) Is(target error) bool { return target == ErrRefused }

// ErrRefused says that nothing can be planned although all is known.
var ErrRefused = errors.New("nothing can be planned")

func refuse(format string, args ...any) error { return refusal{fmt.Errorf(format, args...)} }

// ErrUnknown says that a fact is missing.
var ErrUnknown error = unknown{}

type unknown struct{}

func (unknown) Error() string { return "not known" }

// Is makes a missing fact equal to an unreadable one: nothing is planned on either.
func (unknown) Is(target error) bool { return target == change.ErrUnreadable }

func missing(what, where string) error { return fmt.Errorf("%s: %s: %w", where, what, ErrUnknown) }

// Derived is what follows from answers and facts.
type Derived struct {
	Resources []change.Resource
	LeftOut   []change.LeftOut
	Notes     []change.Note
}

// Resources returns the resources of Derive, and what is left out.
func Resources(ctx context.Context, set *fact.Set) ([]change.Resource, []change.LeftOut, error) {
	d, err := Derive(ctx, set)
	return d.Resources, d.LeftOut, err
}

// Derive derives what should exist from the answers and the facts. The same facts give the same
// resources in the same sequence. A topic that lacks a fact is left out, in the forest of that
// fact, with everything that needs it. When no forest is known, the result is an error: there is
// nothing to connect. Without a cloud, and for features that need no topic, nothing should exist.
func Derive(ctx context.Context, set *fact.Set) (Derived, error) {
	p := &Planner{Answers: set.Answers, set: set}
	topics := slices.DeleteFunc(Topics(), func(t *Topic) bool { return !t.in(set.Answers) })
	if len(topics) == 0 {
		return Derived{}, nil
	}
	if err := p.consistent(ctx); err != nil {
		return Derived{}, err
	}
	p.sayUnconfirmed()
	p.unconfirmed = unconfirmed(ctx, p)
	for i := 0; i < len(topics); {
		if !topics[i].PerForest {
			fact.AskForests(ctx, set, topics[i].Reads)
			if err := p.derive(ctx, topics[i], nil); err != nil {
				return Derived{}, err
			}
			i++
			continue
		}
		// The topics of a forest stay together.
		end := i
		for end < len(topics) && topics[end].PerForest {
			end++
		}
		if err := p.deriveForests(ctx, topics[i:end]); err != nil {
			return Derived{}, err
		}
		i = end
	}
	return p.derived()
}

// derived is what the topics gave.
func (p *Planner) derived() (Derived, error) {
	resources, left := p.settle()
	if len(p.left) > 0 && !slices.ContainsFunc(p.out, func(r *planned) bool { return r.forest != nil }) {
		var errs []error
		for _, i := range p.left {
			if !slices.ContainsFunc(errs, func(err error) bool { return err.Error() == i.err.Error() }) {
				errs = append(errs, i.err)
			}
		}
		return Derived{}, errors.Join(errs...)
	}
	return Derived{resources, append(left, p.waits...), p.notes}, nil
}

// connections are the values of a cloud that no resource holds, and that connections use.
var connections = []string{"login", "graph", "adminAPI", "autodiscoverJSON", "exchangeResource"}

// sayUnconfirmed says which addresses hybridge itself uses that no source confirms for the cloud.
func (p *Planner) sayUnconfirmed() {
	var list []string
	for _, k := range cloud.Keys() {
		if slices.Contains(p.set.Cloud.Unconfirmed, k.Name) && slices.Contains(connections, k.Name) {
			list = append(list, k.Name+" "+k.Value(p.set.Cloud))
		}
	}
	if p.set.Tenant != nil && len(list) > 0 {
		p.notes = append(p.notes, change.Note{Topic: "cloud", Text: msg.Of("hybridge uses addresses that no source "+
			"confirms for %s: %s; exchangeOnline.hosts overrides each", p.set.Cloud.Title, strings.Join(list, ", "))})
	}
}

// unconfirmed returns the values of the tenant's cloud that no source confirms. Without the
// tenant's id, no resource needs them.
func unconfirmed(ctx context.Context, p *Planner) map[string]string {
	if p.set.Tenant == nil {
		return nil
	}
	c, err := p.cloud(ctx)
	if err != nil {
		return nil
	}
	out := map[string]string{}
	for _, k := range cloud.Keys() {
		if slices.Contains(c.Unconfirmed, k.Name) && k.Name != "serviceInstance" {
			out[k.Value(c)] = k.Name
		}
	}
	return out
}

// derive derives one topic. A topic that is left out has no resources.
func (p *Planner) derive(ctx context.Context, t *Topic, forest *fact.Side) error {
	before, said := len(p.out), len(p.notes)
	p.topic, p.Forest = t, forest
	err := t.Derive(ctx, p)
	later, waits := errors.AsType[waiting](err)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &refusal{}), errors.Is(err, change.ErrAmbiguous):
		return err
	}
	p.out, p.notes = p.out[:before], p.notes[:said]
	if waits {
		p.wait(t.ID, string(t.Cloud), later.text)
		return nil
	}
	p.left = append(p.left, instance{t, forest, err})
	return nil
}

// deriveForests derives topics in every forest. Forests are asked at once, and their resources keep
// the sequence of the forests.
func (p *Planner) deriveForests(ctx context.Context, topics []*Topic) error {
	forests := make([]*Planner, len(p.set.Forests))
	var g errgroup.Group
	g.SetLimit(max(1, cmp.Or(p.set.Parallel, len(forests))))
	for i, forest := range p.set.Forests {
		own := *p
		own.out, own.left, own.waits, own.notes = nil, nil, nil, nil
		forests[i] = &own
		g.Go(func() (err error) {
			defer broken.Into(&err, "plan forest "+forest.Name())
			for _, t := range topics {
				if err := own.derive(ctx, t, forest); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := g.Wait()
	for _, own := range forests {
		p.out, p.left = append(p.out, own.out...), append(p.left, own.left...)
		p.waits, p.notes = append(p.waits, own.waits...), append(p.notes, own.notes...)
	}
	return err
}

// settling finds what meets a need.
type settling struct {
	by    map[settled][]*planned
	nouns map[string]*Kind
	left  []instance
	gone  map[*planned]msg.Text // resources that are left out, and why
}

// settled is what a need names at least.
type settled struct {
	kind  *Kind
	place string
}

// settle converts needs to ids, and leaves out resources with a need that is left out: p.out keeps
// the others.
func (p *Planner) settle() (resources []change.Resource, left []change.LeftOut) {
	s := settling{by: map[settled][]*planned{}, nouns: map[string]*Kind{}, left: p.left, gone: map[*planned]msg.Text{}}
	for _, k := range Kinds() {
		s.nouns[k.Noun] = k
	}
	for _, r := range p.out {
		s.by[settled{r.Kind, r.Target}] = append(s.by[settled{r.Kind, r.Target}], r)
	}
	for again := len(p.left) > 0; again; {
		again = false
		for _, r := range p.out {
			if _, gone := s.gone[r]; gone {
				continue
			}
			if why := s.lacks(r); !why.IsZero() {
				s.gone[r], again = why, true
			}
		}
	}
	for _, i := range p.left {
		place, part := "", ""
		if i.forest != nil {
			place, part = PlaceForest(i.forest.Name()), i.forest.Name()
		}
		left = append(left, change.LeftOut{Topic: i.topic.ID, Place: place, Reason: msg.Plain(i.err.Error()),
			Err: i.err, Part: part})
	}
	for _, r := range p.out {
		if why, gone := s.gone[r]; gone {
			left = append(left, change.LeftOut{Topic: r.topic.ID, Place: r.Target, Resources: []string{r.ID()},
				Reason: why, Part: r.Part})
			continue
		}
		for _, n := range r.needs {
			for other := range s.meeting(n, r) {
				if !n.loose {
					r.Needs = append(r.Needs, other.ID())
				}
			}
		}
		slices.Sort(r.Needs)
		r.Needs = slices.Compact(r.Needs)
		resources = append(resources, r.Resource)
	}
	p.out = slices.DeleteFunc(p.out, func(r *planned) bool { _, gone := s.gone[r]; return gone })
	return resources, left
}

// meeting are the other resources that satisfy a need of r.
func (s *settling) meeting(n Need, r *planned) iter.Seq[*planned] {
	return func(yield func(*planned) bool) {
		for _, other := range s.by[settled{n.kind, n.place}] {
			if met := other.Key == n.key || n.key == "" && n.meets(r.instance, other.instance); other != r && met &&
				!yield(other) {
				return
			}
		}
	}
}

// lacks says which need of a resource is left out; empty when none is.
func (s *settling) lacks(r *planned) msg.Text {
	for _, n := range append(s.references(r.Resource), r.needs...) {
		for other := range s.meeting(n, r) {
			if _, gone := s.gone[other]; gone {
				return msg.Of("it needs %s, which is left out", other.ID())
			}
		}
		for _, i := range s.left {
			if slices.Contains(i.topic.Kinds, n.kind) && n.kind.At(n.place) && n.meets(r.instance, i) {
				if i.forest == nil {
					return msg.Of("it needs %s, which is left out", i.topic.ID)
				}
				return msg.Of("it needs %s of forest %s, which is left out", i.topic.ID, i.forest.Name())
			}
		}
	}
	return msg.Text{}
}

// references returns the needs that a resource's properties imply: a change's id is PLACE/NOUN/KEY.
func (s *settling) references(r change.Resource) []Need {
	var out []Need
	for _, ref := range change.Refs(r.Properties) {
		parts := strings.Split(ref.Change, "/")
		for i := 1; i < len(parts)-1; i++ {
			if k := s.nouns[parts[i]]; k != nil {
				out = append(out, One(k, strings.Join(parts[:i], "/"), strings.Join(parts[i+1:], "/")))
				break
			}
		}
	}
	return out
}

// meets reports whether a need of one instance may be satisfied by another one: of the same forest,
// or of the forest that the need names.
func (n Need) meets(of, other instance) bool {
	return of.forest == nil || other.forest == nil || of.forest == other.forest ||
		n.key != "" && n.place == PlaceForest(other.forest.Name())
}

// consistent refuses answers in which two forests claim one domain. Each side keeps a domain in one
// relationship and one connector: the objects of the second forest would be refused. It also
// refuses two forests that are the same.
func (p *Planner) consistent(ctx context.Context) error {
	coexistence := ""
	if p.Answers.ExchangeOnline != nil {
		coexistence, _ = p.coexistence(ctx) // when unknown, it belongs to no forest
	}
	holder := map[string]string{}
	for _, f := range p.Answers.Forests {
		for _, d := range lower(f.Domains) {
			if other := holder[d]; other != "" {
				return refuse("forests %s and %s both name the domain %s: lookups from the tenant for a domain go "+
					"to one forest; name it in the forest that its autodiscover leads to",
					other, f.Name, d)
			}
			if d == coexistence {
				return refuse("forest %s names the coexistence domain %s among its own: its mailboxes are in the "+
					"tenant", f.Name, d)
			}
			holder[d] = f.Name
		}
	}
	byGUID := map[string]string{}
	for _, forest := range p.set.Forests {
		guid, err := p.organization(ctx, forest)
		if err != nil {
			continue
		}
		if other := byGUID[guid]; other != "" {
			return refuse("forests %s and %s have the same Exchange organization %s: they are one forest",
				other, forest.Name(), guid)
		}
		byGUID[guid] = forest.Name()
	}
	return nil
}

// at returns the place of the forest.
func (p *Planner) at() string { return PlaceForest(p.Forest.Name()) }

// day returns the date: a plan does not depend on the time of day.
func (p *Planner) day() time.Time { return p.set.Now().UTC().Truncate(24 * time.Hour) }

// tenant names the tenant as the place of a missing fact.
func (p *Planner) tenant() string { return "tenant " + p.Answers.ExchangeOnline.Tenant }

// tenantID returns the tenant's GUID.
func (p *Planner) tenantID(ctx context.Context) (string, error) {
	organization, err := fact.Tenant.In(ctx, p.set.Tenant)
	if err == nil && organization.ID == "" {
		err = missing("tenant id", p.tenant())
	}
	return strings.ToLower(organization.ID), err
}

// tenantName returns the GUID in the names of on-premises objects: that of the Exchange Online
// organization, or the tenant's when the organization shows none.
func (p *Planner) tenantName(ctx context.Context) (string, error) {
	config, err := fact.OnlineConfig.In(ctx, p.set.Tenant)
	if err != nil {
		return "", err
	}
	if config.GUID != "" {
		return strings.ToLower(config.GUID), nil
	}
	return p.tenantID(ctx)
}

// cloud returns the tenant's cloud with its addresses filled in.
func (p *Planner) cloud(ctx context.Context) (cloud.Cloud, error) {
	id, err := p.tenantID(ctx)
	return p.set.Cloud.Expand(p.Answers.ExchangeOnline.Tenant, id), err
}

// coexistence returns the target delivery domain.
func (p *Planner) coexistence(ctx context.Context) (string, error) {
	live := ""
	if p.Answers.ExchangeOnline.CoexistenceDomain == "" {
		accepted, err := fact.OnlineAcceptedDomains.In(ctx, p.set.Tenant)
		if err != nil {
			return "", err
		}
		for _, a := range accepted {
			if a.Coexistence {
				live = a.Name
			}
		}
	}
	return CoexistenceDomain(*p.Answers.ExchangeOnline, p.set.Cloud, live)
}

// organization returns the GUID of a forest's Exchange organization.
func (p *Planner) organization(ctx context.Context, forest *fact.Side) (string, error) {
	organization, err := fact.Organization.In(ctx, forest)
	if err == nil && organization.GUID == "" {
		err = missing("GUID of the Exchange organization", "forest "+forest.Name())
	}
	return strings.ToLower(organization.GUID), err
}

// domains returns the forest's domains that take part.
func (p *Planner) domains() ([]string, error) {
	if len(p.Forest.Answers.Domains) == 0 {
		return nil, missing("SMTP domains that take part", "forest "+p.Forest.Name())
	}
	return lower(p.Forest.Answers.Domains), nil
}

func with(all ...change.Properties) change.Properties {
	out := change.Properties{}
	for _, p := range all {
		maps.Copy(out, p)
	}
	return out
}

func lower(in []string) []string {
	out := make([]string, 0, len(in))
	for _, s := range in {
		if s = normalDomain(s); !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}
