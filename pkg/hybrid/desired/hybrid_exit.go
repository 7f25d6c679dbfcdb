package desired

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/sorting"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// HybridExitID is the id of the topic of the way out of hybrid.
const HybridExitID = "hybrid-exit"

// ExitStage is a stage of the way out of hybrid, per forest. A stage is done when nothing of it is
// left, and the next one begins then. What is live says how far a forest is: nothing about it is
// stored.
type ExitStage struct {
	ID, Title string
	Why, Fix  string // for its check
	Kinds     []*Kind
	Reads     []fact.Fact
	// open adds what the stage changes, and returns what it waits for.
	open func(ctx context.Context, p *Planner) (waits []msg.Text, err error)
}

// LookingStages are the first stages: they look for what is in use, or hand it over. The others
// remove, and wait for these.
func LookingStages() []ExitStage { return []ExitStage{nothingNeeded, authorityMoved, namesTurned} }

// ExitStages lists the stages in their sequence: what takes over comes before what is removed.
func ExitStages() []ExitStage {
	return append(LookingStages(), mailEnds, lookupsEnd, trustEnds, servicePointsCleared, recordRemoved)
}

// hybridExit is the way out of hybrid itself. A plan holds the present stage of every forest.
var hybridExit = &Topic{
	ID:       HybridExitID,
	Title:    "The way out of hybrid",
	Features: allFeatures,
	Asked:    func(a answers.Answers) bool { return a.Hybrid.IsLeaving() },
	Kinds:    exitKinds(),
	Reads:    exitReads(),
	Derive: func(ctx context.Context, p *Planner) error {
		if !p.Answers.Hybrid.IsLeaving() {
			return nil
		}
		defer func() { p.Forest = nil }()
		for _, forest := range p.set.Forests {
			p.Forest = forest
			before, said, waited := len(p.out), len(p.notes), len(p.waits)
			err := p.leaveHybrid(ctx)
			switch {
			case err == nil:
				continue
			case ctx.Err() != nil:
				return context.Cause(ctx)
			case errors.As(err, &refusal{}), errors.Is(err, change.ErrAmbiguous):
				return err
			}
			p.out, p.notes, p.waits = p.out[:before], p.notes[:said], p.waits[:waited]
			p.left = append(p.left, instance{p.topic, forest, err})
		}
		return nil
	},
}

func exitKinds() (out []*Kind) {
	for _, s := range ExitStages() {
		out = append(out, s.Kinds...)
	}
	return out
}

func exitReads() []fact.Fact {
	out := fact.List(fact.Organization, fact.Tenant, fact.OnlineConfig, fact.OnlineAcceptedDomains)
	for _, s := range ExitStages() {
		out = append(out, s.Reads...)
	}
	return out
}

// leaveHybrid plans the present stage of a forest.
func (p *Planner) leaveHybrid(ctx context.Context) error {
	stages := ExitStages()
	for i, s := range stages {
		before := len(p.out)
		waits, err := s.open(ctx, p)
		if err != nil {
			return fmt.Errorf("stage %d (%s): %w", i+1, s.Title, err)
		}
		s.sequence(p.out[before:])
		for _, w := range waits {
			p.wait(p.topic.ID, p.at(), msg.Of("stage %d of %d: %s", i+1, len(stages), w))
		}
		if len(p.out) > before && i+1 < len(stages) {
			p.Note(msg.Of("stage %d of %d of the way out of hybrid: %s. The next one: %s. Apply, look at mail and "+
				"calendars, then plan again", i+1, len(stages), s.Title, stages[i+1].Title))
		}
		if len(waits) > 0 || len(p.out) > before {
			return nil
		}
	}
	p.sayLastServer()
	return nil
}

// sequence sorts what a stage changes by its kinds. Objects that a rollback made again are read in
// another sequence than before, and the plan is the same.
func (s ExitStage) sequence(resources []*planned) {
	sorting.Stable(resources, func(a, b *planned) int {
		return cmp.Or(cmp.Compare(slices.Index(s.Kinds, a.Kind), slices.Index(s.Kinds, b.Kind)),
			strings.Compare(a.ID(), b.ID()))
	})
}

// StageState is how far a forest is with one stage.
type StageState struct {
	Open  []string   // ids of what is left to change
	Waits []msg.Text // what it waits for
}

// Done reports whether nothing of the stage is left.
func (s StageState) Done() bool { return len(s.Open)+len(s.Waits) == 0 }

// StageOf looks how far a forest is with a stage, whatever the stages before it say.
func StageOf(ctx context.Context, set *fact.Set, forest *fact.Side, s ExitStage) (StageState, error) {
	p := &Planner{Answers: set.Answers, Forest: forest, set: set, topic: &Topic{ID: HybridExitID}}
	waits, err := s.open(ctx, p)
	state := StageState{Waits: waits}
	for _, r := range p.out {
		state.Open = append(state.Open, r.ID())
	}
	return state, err
}

// Leaves reports whether the topic is part of the hybrid that answers leave.
func (t *Topic) leaves(a answers.Answers) bool {
	return a.Hybrid.IsLeaving() && t.Cloud == "" && t.Retires == "" && t.ID != HybridExitID
}

// reduce takes elements out of a list of a live object.
func (p *Planner) reduce(k *Kind, place, key, name string, reason msg.Text, properties change.Properties,
	property string, without []string, needs ...Need) {
	p.Add(k, place, key, name, reason, properties, needs...)
	p.out[len(p.out)-1].Without = map[string][]string{property: without}
}

// servicePointsCleared clears what computers of the domain ask before DNS.
var servicePointsCleared = ExitStage{
	ID:    "service-points",
	Title: "no service connection point leads to the forest",
	Why: "Outlook on a computer of the domain asks the service connection points first. One that leads to a server " +
		"that is shut down delays every start.",
	Fix: "hybridge plan and hybridge apply clear them: Set-ClientAccessService -AutoDiscoverServiceInternalUri " +
		"$null.",
	Kinds: []*Kind{clientAccessService},
	Reads: fact.List(fact.ServicePoints),
	open: func(ctx context.Context, p *Planner) ([]msg.Text, error) {
		points, err := fact.ServicePoints.In(ctx, p.Forest)
		if err != nil {
			return nil, err
		}
		for _, s := range points {
			if s.URL != "" {
				p.Add(clientAccessService, p.at(), strings.ToLower(s.Server), s.Server,
					msg.Of("Outlook in the domain finds Exchange Online by DNS"),
					change.Properties{"Name": s.Server, "AutoDiscoverServiceInternalUri": nil})
			}
		}
		return nil, nil
	},
}

// recordRemoved removes the record of Microsoft's wizard.
var recordRemoved = ExitStage{
	ID:    "record",
	Title: "the forest has no record of a hybrid configuration",
	Why:   "Microsoft's wizard and HealthChecker take an organization with the record for a hybrid one.",
	Fix:   "hybridge plan and hybridge apply remove it.",
	Kinds: []*Kind{hybridConfiguration},
	Reads: fact.List(fact.HybridConfigurations),
	open: func(ctx context.Context, p *Planner) ([]msg.Text, error) {
		record, err := fact.HybridConfigurations.In(ctx, p.Forest)
		if err == nil && record.Exists {
			p.Remove(hybridConfiguration, p.at(), "record", "Hybrid Configuration",
				msg.Of("%s is hybrid no longer", p.Forest.Name()), change.Properties{})
		}
		return nil, err
	},
}

// sayLastServer says what remains when every stage is done. hybridge uninstalls no server.
func (p *Planner) sayLastServer() {
	p.Note(msg.Of("%s has left hybrid. The last Exchange server: while Active Directory is the source of any "+
		"recipient "+
		"(groups, contacts, mail users), keep it, or install the management tools of Exchange on another computer and "+
		"shut it down. Do not uninstall it: setup takes the attributes of Exchange along that synchronization still "+
		"reads. When Exchange Online manages every recipient, follow Microsoft's guide for the last server "+
		"(decommission-last-exchange-server); hybridge does none of it", p.Forest.Name()))
	p.Note(msg.Of("when no recipient is made on-premises any more, Exchange Online may manage new ones by default. "+
		"Only "+
		"Microsoft can repair accounts that are made on-premises afterwards: a person decides"),
		"Set-OrganizationConfig -ExchangeAttributesCloudManagedByDefault")
}

var cloudManagedMailbox = Exchange.Declare(Kind{
	Noun:  "CloudManagedMailbox",
	Title: "Mailbox whose attributes Exchange Online manages",
	Why: "The attributes of Exchange of a synchronized account come from Active Directory, until its mailbox is " +
		"handed " +
		"over. Name, phone and other attributes still come from there.",
	Places: []string{Online},
	Properties: map[string]Property{
		"PrimarySmtpAddress":     {Type: text, Write: change.Key},
		"Identity":               {Type: text, Write: change.CreateOnly},
		"IsExchangeCloudManaged": {Type: boolean, Unset: false},
	},
	Risk: "changes of its attributes of Exchange on-premises have no effect from then on; it cannot be moved back " +
		"on-premises until it is handed back",
	Undo: &change.Consent{ID: "attribute-authority",
		Title: "hand mailboxes back to Active Directory: what was changed in Exchange Online since is overwritten"},
	Patience: entraPatience,
}, Cmdlets{Verbs: Set, Of: "Mailbox", Get: map[string]any{"ResultSize": "Unlimited"}})

var clientAccessService = Exchange.Declare(Kind{
	Noun:  "ClientAccessService",
	Title: "Service connection point of a server",
	Why: "Active Directory tells computers of the domain where autodiscover is, before DNS is asked. When every " +
		"mailbox " +
		"is in Exchange Online, none is needed.",
	Places: []string{OnPremises},
	Properties: map[string]Property{
		"Name":                           {Type: text, Write: change.Key},
		"AutoDiscoverServiceInternalUri": {Type: address},
	},
	Risk: "Outlook in the domain finds its mailbox by DNS alone from then on",
}, Cmdlets{Verbs: Set})
