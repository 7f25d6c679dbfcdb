package change

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/broken"
)

// System is what places of one sort have in common: their client, C, and how it runs a command.
type System[R, W any] struct {
	Family
	// Reading is the reading part of a client.
	Reading func(client W) R
	// Run runs one command, all Refs resolved, and returns the properties that later Refs may ask
	// for.
	Run func(ctx context.Context, client W, c Command) (Properties, error)
}

// Family is the part of a system that needs no client: documents and scripts use it.
type Family struct {
	ID    string
	Title string
	// Role is the team that runs its scripts; the ID when empty.
	Role   string
	Places []PlaceSort
	Script Script
	// Later says what follows when a follow-up command (Command.Then) failed: when what was written
	// takes effect, or what is missing. A system whose kinds have follow-ups has it.
	Later func(then Command) string
}

// PlaceSort is a place of a system, or all that are alike.
type PlaceSort struct {
	Name  string // of the place; "onprem/*" stands for one place per forest
	Title string
	// Step orders the scripts of places: a lower one runs first.
	Step int
	// Use says where the place's script is run, and as what; name stands for the * of the place.
	Use func(name string) []string
}

// Named is the title of the place of that name.
func (s PlaceSort) Named(name string) string {
	if name == "" {
		return s.Title
	}
	return s.Title + ", " + name
}

// Holds reports whether a place is of this sort, and returns what stands for the * of its name.
func (s PlaceSort) Holds(place string) (name string, ok bool) {
	if before, many := strings.CutSuffix(s.Name, "*"); many {
		return strings.CutPrefix(place, before)
	}
	return "", place == s.Name
}

// Script is how a system's commands are written for people who run them themselves. A script does
// what apply does: it looks, compares, writes and looks again.
type Script struct {
	Language string
	// Look is an expression for what a Find command gives, and the statements before it.
	Look func(find Command, w Writing) (before []string, expression string)
	// Write is the statements that run a command.
	Write func(c Command, w Writing) []string
	// Joined is an expression for a list that a command takes in another form than a list.
	Joined func(c Command, parameter, list string) string
	// Identity is the property by which a live resource is addressed, Name that of its name.
	Identity, Name string
}

// Writing is what a script gives to what is written into it.
type Writing struct {
	Name  string             // of variables; unique in the script
	Value func(v any) string // an expression for a value of a plan
}

// Ops are the operations of a kind: how live resources are read, and the commands that make, set
// and remove one. One that is nil does not exist. Without Update, a resource that differs is
// removed and made again.
type Ops[C any] struct {
	Read func(ctx context.Context, client C) ([]Live, error)
	// Find is for scripts: its result contains the resource of the change.
	Find   func(c Change) Command
	Create func(name string, want Properties) (Command, error)
	Update func(want Properties, live Live) (Command, error)
	Delete func(live Live) (Command, error)
	Aspect bool // see Kind
	// Reads and Writes are what an account must be allowed.
	Reads, Writes []string
}

// For makes Ops Operations.
func (o Ops[C]) For(*Kind) Ops[C] { return o }

// Operations make the operations of a kind from its declaration.
type Operations[C any] interface {
	For(k *Kind) Ops[C]
}

// ErrNoOperation says that nothing carries out an action on resources of a kind.
var ErrNoOperation = errors.New("no command does this")

// ErrOneWay says that no command brings a value back, and that nothing rests on it: a rollback goes
// on without it.
var ErrOneWay = fmt.Errorf("%w, and nothing needs it", ErrNoOperation)

// Declare completes the declaration of a kind: its system, and what its operations make of it.
// Kinds are compared by identity.
func (s *System[R, W]) Declare(k Kind, operations Operations[R]) *Kind {
	out := &k
	ops := operations.For(out)
	out.family, out.read, out.Find = &s.Family, ops.Read, ops.Find
	out.Reads, out.Writes, out.Aspect = ops.Reads, ops.Writes, ops.Aspect
	out.Recreates = ops.Update == nil && ops.Create != nil && ops.Delete != nil
	out.Command = func(a Action, name string, want Properties, live *Live) (Command, error) {
		switch {
		case a == Create && ops.Create != nil:
			return ops.Create(name, want)
		case a == Update && ops.Update != nil && live != nil:
			return ops.Update(want, *live)
		case a == Delete && ops.Delete != nil && live != nil:
			return ops.Delete(*live)
		}
		return Command{}, fmt.Errorf("%s %s %q: %w", a, out.Noun, name, ErrNoOperation)
	}
	return out
}

// System is what the kind belongs to; nil for one that was not declared.
func (k *Kind) System() *Family { return k.family }

// Anchor is the kind's anchor on the reference page.
func (k *Kind) Anchor() string { return strings.ToLower(k.Noun) }

// At reports whether a place holds resources of the kind.
func (k *Kind) At(place string) bool {
	for _, name := range k.Places {
		if _, ok := (PlaceSort{Name: name}).Holds(place); ok {
			return true
		}
	}
	return false
}

// ErrAbsent is what the values of Image give for one that the place does not show.
var ErrAbsent = errors.New("not shown")

// Image is a live resource of the kind, made of raw values: one that the place does not show is
// left out, one that cannot be read is Unreadable.
func (k *Kind) Image(identity, name string, value func(name string) (any, error)) Live {
	l := Live{Identity: identity, Name: name, Properties: Properties{}}
	for property, p := range k.Properties {
		from := property
		if p.From != "" {
			from = p.From
		}
		switch v, err := value(from); {
		case errors.Is(err, ErrAbsent) && p.MayHide:
			l.Properties[property] = Unreadable{
				Reason: "it is not shown, and a list written without what is on it would lose what others put there",
			}
		case errors.Is(err, ErrAbsent):
		case err != nil:
			l.Properties[property] = Unreadable{Reason: err.Error()}
		case p.Type.Read != nil:
			l.Properties[property] = p.Type.Read(v)
		default:
			l.Properties[property] = v
		}
	}
	return l
}

// Shown reports whether any property of a live resource that can be set is set, or cannot be read.
// A kind that is one aspect of another kind's object is there when this holds.
func (k *Kind) Shown(l Live) bool {
	for name, p := range k.Properties {
		if v := l.Properties[name]; p.Sent() && len(elements(v)) > 0 && !Equal(p.Unset, v) {
			return true
		}
	}
	return false
}

// Sent reports whether an update may send the property.
func (p Property) Sent() bool { return !p.Derived && p.Write != Key && p.Write != CreateOnly }

// NewReader is a place of a system for reading. open gives its client when it is first needed, and
// the same one ever after.
func NewReader[R, W any](name string, s *System[R, W], open func(context.Context) (R, error)) Reader {
	return newSource(name, s, open)
}

// Readers are places for reading.
func Readers[R Reader](places map[string]R) map[string]Reader {
	out := make(map[string]Reader, len(places))
	for name, p := range places {
		out[name] = p
	}
	return out
}

// source is no generic type: each would take its own room in the program.
type source struct {
	name   string
	family *Family
	read   func(ctx context.Context, read any) (live []Live, known bool, err error)
}

func newSource[R, W any](name string, s *System[R, W], open func(context.Context) (R, error)) source {
	return source{name, &s.Family, func(ctx context.Context, read any) ([]Live, bool, error) {
		f, ok := read.(func(context.Context, R) ([]Live, error))
		if !ok || f == nil {
			return nil, false, nil
		}
		client, err := open(ctx)
		if err != nil {
			return nil, true, err
		}
		live, err := f(ctx, client)
		return live, true, err
	}}
}

func (p source) Read(ctx context.Context, k *Kind) (live []Live, err error) {
	defer broken.Into(&err, "read "+k.Noun+" at "+p.name)
	known := k.family == p.family
	if known {
		live, known, err = p.read(ctx, k.read)
	}
	if !known {
		return nil, fmt.Errorf("%s are not kept at %s", k.Noun, p.name)
	}
	return live, err
}

// NewPlace is a place of a system. open gives its client when it is first needed, and the same one
// ever after. warn takes messages for a person that stop nothing.
func NewPlace[R, W any](name string, s *System[R, W], open func(context.Context) (W, error),
	warn func(text string)) Place {
	reading := newSource(name, s, func(ctx context.Context) (r R, err error) {
		client, err := open(ctx)
		if err != nil {
			return r, err
		}
		return s.Reading(client), nil
	})
	return place{reading, func(ctx context.Context, c Command) (Properties, error) {
		client, err := open(ctx)
		if err != nil {
			return nil, err
		}
		return s.Run(ctx, client, c)
	}, warn}
}

type place struct {
	source
	run  func(ctx context.Context, c Command) (Properties, error)
	warn func(string)
}

func (p place) Run(ctx context.Context, c Command) (outputs Properties, err error) {
	defer broken.Into(&err, c.Name+" at "+p.name)
	out, err := p.run(ctx, c)
	if err != nil {
		return nil, err
	}
	for _, then := range c.Then {
		if _, err := p.run(ctx, then); err != nil && p.warn != nil {
			p.warn(fmt.Sprintf("%s: %s failed (%v); %s", p.name, then.Name, err, p.family.Later(then)))
		}
	}
	return out, nil
}
