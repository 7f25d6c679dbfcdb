// Package change compares what should exist with what is live and makes a plan of the difference.
// It knows no Exchange: kinds of resources are declarations, and the places that hold them are read
// and written through Place.
package change

import (
	"context"
	"fmt"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
)

// DefaultPatience is the patience of a kind that does not say.
const DefaultPatience = 30 * time.Second

// Properties are a resource's values by property name: nil, bool, int64, string, []string, []any,
// map[string]any, or, in desired state only, a Ref to something that another change will bring
// forth, or a SecretRef. Command parameters are made of the same values: a plan holds nothing else.
// A list whose elements are all strings is always a []string in a plan.
type Properties map[string]any

// Ref stands for a value known only once another change of the plan is done (an application's id).
// It encodes as {"$ref": "CHANGE#PROPERTY"}.
type Ref struct{ Change, Property string }

// Unreadable stands for a live value that exists but could not be read. Nothing is planned on it.
type Unreadable struct{ Reason string }

// Live is one resource as it is.
type Live struct {
	Identity   string // what the place's commands take to address it
	Name       string
	Properties Properties
	// Foreign is a digest of what the place shows of the resource beyond what any kind declares,
	// without values that change by themselves. It is empty when the place shows nothing more. By
	// it, a rollback leaves alone what the run made and others have extended since.
	Foreign string
}

// Reader is a place for reading: nothing runs at it.
type Reader interface {
	// Read returns every live resource of a kind. An error means unknown, never none.
	Read(ctx context.Context, k *Kind) ([]Live, error)
}

// Place holds resources: a forest's Exchange organization ("onprem/contoso"), Exchange Online
// ("online"), Entra ("entra"). A place runs one command at a time, in order. NewPlace makes one of
// a System.
type Place interface {
	Reader
	// Run runs one command of a plan and returns the properties that later Refs may ask for. All
	// Refs are resolved, and each SecretRef is the secret.Value that it stands for. An error with a
	// method Answered() bool that returns true means that the place refused the command. After any
	// other error it is unknown whether the command ran.
	Run(ctx context.Context, c Command) (Properties, error)
}

// Command is what a change runs at its place: a cmdlet with parameters, or a Graph request ("PATCH
// /applications/{id}") with its body.
type Command struct {
	Name       string         `json:"name"`
	Parameters map[string]any `json:"parameters,omitempty"`
	// Then runs after the command so that it takes effect at once. Its failure is a warning: what
	// the command wrote stands. It holds no Refs.
	Then []Command `json:"then,omitempty"`
}

// Mode is how a property is written.
type Mode int

// The modes. Merge keeps the elements that others put into a list; CreateOnly is given when the
// resource is made and neither compared nor written afterwards; Key identifies the resource and is
// never changed.
const (
	Replace Mode = iota
	Merge
	CreateOnly
	Key
)

// Comparison reports whether a live value satisfies a desired one.
type Comparison func(want, live any) bool

// Type is what a property holds.
type Type struct {
	Name string
	// Read converts a raw value to the form of desired values. Nil: it has that form already.
	Read    func(raw any) any
	Compare Comparison // Equal when nil
	List    bool
	Script  string // how a script compares it
}

// Property declares one property of a kind.
type Property struct {
	Type    Type
	Compare Comparison // when it is not the type's
	Write   Mode
	// From is the name under which the place shows it, when that is not the property's own.
	From string
	// Derived properties are made by the place from others: they serve to recognize a resource and
	// are never sent.
	Derived bool
	// Unset is what the place shows for a property that is not set, when that is not null.
	Unset any
	// MayHide properties are lists that are written whole and that a place may not show: where it
	// shows none, the list is unknown, which is not empty.
	MayHide bool
	// WhenEmpty is the consent that is required to write the list empty; nil: none.
	WhenEmpty *Consent
}

// Consent is something that a person must agree to by name, beyond agreeing to the plan.
type Consent struct {
	ID, Title string
	// Ends is the day from which on what was agreed to is gone. Zero: no such day is known.
	Ends time.Time
}

// At is the title, with the days that are left.
func (c Consent) At(now time.Time) string {
	if c.Ends.IsZero() {
		return c.Title
	}
	return fmt.Sprintf("%s; days left: %d", c.Title, max(0, int(c.Ends.Sub(now).Hours()/24)))
}

// Kind declares a kind of resource, once, as data. Declare adds its system and its operations.
type Kind struct {
	Noun  string // "IntraOrganizationConnector": also the kind's documented id
	Title string
	Why   string // what the resource is for, in one or two sentences
	// Places names the places of its system that hold such resources; see PlaceSort.
	Places []string
	// Match recognizes a resource by meaning, never by display name alone. When nil, all Key
	// properties must be the same.
	Match func(want Properties, live Live) bool
	// Recognizes is Match as a condition of a script about $_: {NAME} stands for a wanted value,
	// and {NAME?} for the comparison of it with the live one. Empty: all Key properties.
	Recognizes string
	// Own says that others may make one that looks the same: a script that makes one takes none
	// that is there unless it has made it.
	Own        bool
	Properties map[string]Property
	// Risk says what a change of it can do to an organization. Every change shows it.
	Risk string
	// Permanent says why a change of this kind cannot be undone; empty when it can.
	Permanent string
	// Consents are what an action on such a resource needs by name. A removal without one needs the
	// consent for removals.
	Consents map[Action]Consent
	// Undo is the consent that a rollback needs to remove what a run made; nil: none.
	Undo *Consent
	// Patience is how long what was written may take to show when it is read back; DefaultPatience
	// when 0.
	Patience time.Duration

	// What follows is made by Declare.

	// Reads and Writes are what an account must be allowed to read and to write such resources:
	// cmdlets, for Exchange.
	Reads, Writes []string
	// Aspect says that a resource is a part of an object that another kind creates: to remove it
	// unsets its properties, and the object stays.
	Aspect bool
	// Recreates says that nothing updates a resource: one that differs is removed and made again.
	// Command is then asked for Delete and for Create.
	Recreates bool
	// Command renders an action as the command that its place runs. want holds the properties to
	// write (all for Create, the differing ones, already merged with live, for Update; nil for
	// Delete). It must be deterministic.
	Command func(a Action, name string, want Properties, live *Live) (Command, error)

	// Find renders the command that looks for the resource of a change: it is among what that
	// gives.
	Find func(c Change) Command

	family *Family
	read   any // func(context.Context, C) ([]Live, error)
}

// Resource is a resource that should exist (or, with Absent, should not) at a target.
type Resource struct {
	Kind   *Kind
	Target string // the place's name
	// Key distinguishes it from others of its kind at its target. It is the same in every run.
	Key        string
	Name       string // given when it is created
	Properties Properties
	Needs      []string // ids of resources that come before
	Reason     msg.Text // why it should exist, in one clause
	Topic      string   // what it belongs to, for LeftOut
	Part       string   // the part of the organization that it belongs to; empty: to all of it
	// Without are elements that runs of hybridge put into lists of the resource, and that are no
	// longer wanted there.
	Without map[string][]string
	// Restores are properties that get back what another tool replaced. hybridge does not count what
	// it puts into their lists as its own.
	Restores []string
	Absent   bool
	// Was is how a run left an Absent resource that it made. The resource is removed only while it
	// is still so and no other resource of the plan is the same.
	Was *Live
}

// ID is the resource's stable id, and that of the change that brings it about:
// "online/OrganizationRelationship/contoso.com".
func (r Resource) ID() string { return r.Target + "/" + r.Kind.Noun + "/" + r.Key }

// Action is what a change does.
type Action string

// The actions.
const (
	Create Action = "create"
	Update Action = "update"
	Delete Action = "delete"
	// Recreate removes and makes anew, for kinds that have no Set cmdlet.
	Recreate Action = "replace"
)

// Change is one step of a plan.
type Change struct {
	ID       string   `json:"id"`
	Target   string   `json:"target"`
	Kind     string   `json:"kind"`
	Name     string   `json:"name"`               // as it will be; for Update and Delete, as it is
	Identity string   `json:"identity,omitempty"` // of the live resource that is touched; empty for Create
	Action   Action   `json:"action"`
	Reason   msg.Text `json:"reason"`
	Risk     string   `json:"risk,omitempty"`
	// what is touched, as it was; the whole resource for Delete and Recreate
	Before Properties `json:"before,omitempty"`
	// what is written: everything for Create and Recreate, what differs for Update
	After Properties `json:"after,omitempty"`
	// what is taken out of lists, by property; what others put there stays
	Removes map[string][]string `json:"removes,omitempty"`
	// properties that get back what another tool replaced
	Restores []string `json:"restores,omitempty"`
	Removal  *Command `json:"removal,omitempty"` // Recreate only: what runs before Command
	Command  Command  `json:"command"`
	Needs    []string `json:"needs,omitempty"` // ids of changes of this plan
}

// Commands are what the change runs, in order.
func (c Change) Commands() []Command {
	if c.Removal != nil {
		return []Command{*c.Removal, c.Command}
	}
	return []Command{c.Command}
}

// Summary counts a plan.
type Summary struct {
	Create    int `json:"create"`
	Update    int `json:"update"`
	Replace   int `json:"replace"`
	Delete    int `json:"delete"`
	Unchanged int `json:"unchanged"`
}

// LeftOut is what a plan lacks because something that it rests on is unknown. A plan never removes
// for its sake.
type LeftOut struct {
	Topic     string   `json:"topic"`
	Place     string   `json:"place,omitempty"`     // empty: everywhere
	Resources []string `json:"resources,omitempty"` // ids, as far as they are known
	Reason    msg.Text `json:"reason"`
	// Waits says that nothing is unknown: the next step waits for what the reason names, and a later
	// plan holds it.
	Waits bool   `json:"waits,omitempty"`
	Err   error  `json:"-"` // the reason, when it is an error
	Part  string `json:"-"` // as of a Resource
}

// Plan is the ordered list of changes between what is live and what should be. It holds no secret
// and no clock: the same facts give the same bytes.
type Plan struct {
	APIVersion string            `json:"apiVersion"` // PlanVersion
	Kind       string            `json:"kind"`       // Plan
	Digest     string            `json:"digest"`     // of everything else in the plan; see Sealed
	Live       map[string]string `json:"live"`       // fingerprint of every "target/Kind" that was read
	Summary    Summary           `json:"summary"`
	Changes    []Change          `json:"changes"`
	LeftOut    []LeftOut         `json:"leftOut,omitempty"`
	Notes      []Note            `json:"notes,omitempty"`
}

// Note is what a plan says and does not do: why it decided as it did, how long that holds, what is
// left to a person.
type Note struct {
	Topic string   `json:"topic"`
	Place string   `json:"place,omitempty"` // empty: everywhere
	Text  msg.Text `json:"text"`
	// Commands are for a person to run.
	Commands []string `json:"commands,omitempty"`
}
