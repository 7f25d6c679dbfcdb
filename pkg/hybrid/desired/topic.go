package desired

import (
	"context"
	"slices"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// Topic is one subject of hybrid: its kinds of resources, and which resources should exist.
type Topic struct {
	ID    string // documented; a plan names a topic that it leaves out
	Title string
	// Features are those that need the topic; one of them is enough.
	Features []answers.Feature
	// Retires is what the topic removes, where the answers name it. Without that, it only says what
	// could be removed.
	Retires answers.Retired
	// Verb is the command that plans the topic; empty: plan.
	Verb string
	// Asked reports whether answers ask for the topic by name; nil: the features alone decide.
	Asked func(answers.Answers) bool
	// Cloud is the side that the answers must name: the tenant when empty.
	Cloud fact.At
	// PerForest topics are derived once per forest, the others once.
	PerForest bool
	Kinds     []*Kind
	// Reads are the facts that the resources rest on: those that Derive asks for, and those that
	// must hold so that the result works. The checks that read them are rerun before an apply.
	Reads []fact.Fact
	// Derive adds the resources that should exist. An error that is not a refusal says what is
	// unknown: the plan then leaves the topic out, for this forest if it is per forest.
	Derive func(ctx context.Context, p *Planner) error
}

// The features that need a lookup of the other side's calendars or mailboxes, those that need an
// organization relationship, and those that need more than that.
var (
	lookupFeatures = []answers.Feature{
		answers.FreeBusy, answers.MailTips, answers.Photos, answers.MessageTracking, answers.OnlineArchive,
	}
	allowances = append(slices.Clone(lookupFeatures), answers.MoveMailbox, answers.OWARedirection)
	// mailFeatures need connectors between the two sides.
	mailFeatures = []answers.Feature{answers.SecureMail, answers.CentralizedTransport}
	// routingFeatures send mail or mailboxes to the coexistence domain.
	routingFeatures = append(slices.Clone(mailFeatures), answers.MoveMailbox, answers.OnlineArchive)
	allFeatures     = append(slices.Clone(allowances), mailFeatures...)
)

// Topics lists all topics. A topic comes after those that it refers to.
func Topics() []*Topic {
	return []*Topic{
		customization, hostNames, webServices, oauthTrust, hybridApplication, ewsSwitch, coexistenceDomain,
		relationships, connectors, addressSpace, betweenForests, applicationSwitch, graphRoute, addressPolicies,
		mailFlow,
		copiedRules,
		mailboxMoves, movesOff, workarounds, hybridRecord, sharedKeys,
		workMailCreation, workMailDomains, workMailUsers, workMailLookups, workMailRouting, workMailExit,
		transportRotation, authRotation, hybridExit,
	}
}

// Kinds lists every kind that hybridge manages.
func Kinds() []*Kind { return kindsFor(nil) }

// kindsFor lists the kinds of the topics that answers need; all of them without answers.
func kindsFor(a *answers.Answers) []*Kind {
	var out []*Kind
	for _, t := range Topics() {
		for _, k := range t.Kinds {
			if (a == nil || t.manages(*a)) && !slices.Contains(out, k) {
				out = append(out, k)
			}
		}
	}
	return out
}

// wanted reports whether one of the features needs the topic.
func (t *Topic) wanted(features []answers.Feature) bool {
	return slices.ContainsFunc(t.Features, func(f answers.Feature) bool { return wants(features, f) })
}

// in reports whether answers need the topic: they name its cloud, and one of its features.
func (t *Topic) in(a answers.Answers) bool {
	return t.Verb == "" && !t.leaves(a) && Named(a, t.Cloud) && t.wanted(a.Features) && (t.Asked == nil || t.Asked(a))
}

// manages reports whether answers need the topic's kinds.
func (t *Topic) manages(a answers.Answers) bool {
	return t.in(a) && (t.Retires == "" || slices.Contains(a.Retire, t.Retires))
}

// Named reports whether answers name a cloud: the tenant when at is empty. fact.AtForest stands for
// the other forests.
func Named(a answers.Answers, at fact.At) bool {
	switch at {
	case fact.AtWorkMail:
		return a.WorkMail != nil
	case fact.AtForest:
		return a.BetweenForests()
	}
	return a.ExchangeOnline != nil
}

// wants reports whether a feature is wanted. An answers file without features wants the default
// ones.
func wants(features []answers.Feature, f answers.Feature) bool {
	if len(features) == 0 {
		features = answers.DefaultFeatures()
	}
	return slices.Contains(features, f)
}

// WantsMail reports whether features need mail flow between the two sides.
func WantsMail(features []answers.Feature) bool { return mailFlow.wanted(features) }
