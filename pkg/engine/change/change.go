// Package change compares what should exist with what is live and makes a plan of the difference. It knows no Exchange: kinds of resources
// are declarations, and the places that hold them are read and written through Place.
package change

import (
	"context"
	"time"
)

// DefaultPatience is the patience of a kind that does not say.
const DefaultPatience = 30 * time.Second

// Properties are a resource's values by property name: nil, bool, int64, string, []string, []any, map[string]any, or, in
// desired state only, a Ref to something that another change will bring forth. Command parameters are made of the same values: a plan
// holds nothing else. A list whose elements are all strings is a []string in a plan, whatever it was made from.
type Properties map[string]any

// Ref stands for a value known only once another change of the plan is done (an application's id). It encodes
// as {"$ref": "CHANGE#PROPERTY"}.
type Ref struct{ Change, Property string }

// Unreadable stands for a live value that exists but could not be read. Nothing is planned on it.
type Unreadable struct{ Reason string }

// Live is one resource as it is.
type Live struct {
	Identity   string // what the place's commands take to address it
	Name       string
	Properties Properties
}

// Place is one system that holds resources: a forest's Exchange organization ("onprem/contoso"), Exchange Online ("online"), Entra
// ("entra"). A place runs one command at a time, in order.
type Place interface {
	// Read returns every live resource of a kind. An error means unknown, never none.
	Read(ctx context.Context, k *Kind) ([]Live, error)
	// Run runs one command of a plan, all Refs resolved, and returns the properties that later Refs may ask for.
	Run(ctx context.Context, c Command) (Properties, error)
}

// Command is what a change runs at its place: a cmdlet with parameters, or a Graph request ("PATCH /applications/{id}") with its body.
type Command struct {
	Name       string         `json:"name"`
	Parameters map[string]any `json:"parameters,omitempty"`
}

// Mode is how a property is written.
type Mode int

// The modes. Merge keeps the elements that others put into a list; CreateOnly is given when the resource is made and neither compared nor
// written afterwards; Key identifies the resource and is never changed.
const (
	Replace Mode = iota
	Merge
	CreateOnly
	Key
)

// Comparison tells whether a live value satisfies a desired one.
type Comparison func(want, live any) bool

// Property declares how one property is compared (Equal when nil) and written.
type Property struct {
	Compare Comparison
	Write   Mode
}

// Kind declares a kind of resource, once, as data.
type Kind struct {
	Noun       string // "IntraOrganizationConnector": also the kind's documented id
	Title      string
	Match      func(want Properties, live Live) bool // by meaning, never by display name alone
	Properties map[string]Property
	Risk       string // what touching it can do to an organization; shown with every change
	// Permanent says why a change of this kind cannot be undone; empty when it can.
	Permanent string
	// Recreates tells that there is no Set cmdlet: a resource that differs is removed and made anew. Command is then asked for
	// Delete and for Create.
	Recreates bool
	// Patience is how long what was written may take to show when it is read back; DefaultPatience when 0.
	Patience time.Duration
	// Command renders an action as the command that its place runs. want holds the properties to write (all for Create, the differing ones,
	// already merged with live, for Update; nil for Delete). It must be deterministic.
	Command func(a Action, name string, want Properties, live *Live) (Command, error)
}

// Resource is a resource that should exist (or, with Absent, should not) at a target.
type Resource struct {
	Kind       *Kind
	Target     string // the place's name
	Key        string // distinguishes it from others of its kind at its target; stable across runs
	Name       string // given when it is created
	Properties Properties
	Needs      []string // ids of resources that must be in order before
	Reason     string   // why it should exist, in one clause
	Absent     bool
}

// ID is the resource's stable id, and that of the change that brings it about: "online/OrganizationRelationship/contoso.com".
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
	ID       string     `json:"id"`
	Target   string     `json:"target"`
	Kind     string     `json:"kind"`
	Name     string     `json:"name"`               // as it will be; for Update and Delete, as it is
	Identity string     `json:"identity,omitempty"` // of the live resource that is touched; empty for Create
	Action   Action     `json:"action"`
	Reason   string     `json:"reason"`
	Risk     string     `json:"risk,omitempty"`
	Before   Properties `json:"before,omitempty"`  // what is touched, as it was; the whole resource for Delete and Recreate
	After    Properties `json:"after,omitempty"`   // what is written: everything for Create and Recreate, what differs for Update
	Removal  *Command   `json:"removal,omitempty"` // Recreate only: what runs before Command
	Command  Command    `json:"command"`
	Needs    []string   `json:"needs,omitempty"` // ids of changes of this plan
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

// Plan is the ordered list of changes between what is live and what should be. It holds no secret and no clock: the
// same facts give the same bytes.
type Plan struct {
	APIVersion  string            `json:"apiVersion"` // hybridge/v1
	Kind        string            `json:"kind"`       // Plan
	Fingerprint string            `json:"fingerprint"`
	Live        map[string]string `json:"live"` // fingerprint of every "target/Kind" that was read
	Summary     Summary           `json:"summary"`
	Changes     []Change          `json:"changes"`
}
