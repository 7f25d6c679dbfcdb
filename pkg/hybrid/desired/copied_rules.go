package desired

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// copiedRules copies the rules that the answers name from one side to the other.
var copiedRules = &Topic{
	ID:        "copied-rules",
	Title:     "Transport rules and journal rules that are copied",
	Features:  mailFeatures,
	Asked:     asksForRules,
	PerForest: true,
	Kinds:     []*Kind{transportRule, journalRule},
	Reads: fact.List(fact.TransportRules, fact.OnlineTransportRules, fact.JournalRules, fact.OnlineJournalRules,
		fact.OnlineJournalReports),
	Derive: func(ctx context.Context, p *Planner) error {
		asked := p.Forest.Answers.CopyRules
		if asked == nil {
			return nil
		}
		here, err := p.mailRules(ctx, p.Forest, "forest "+p.Forest.Name(), fact.TransportRules, fact.JournalRules)
		if err != nil {
			return err
		}
		there, err := p.mailRules(ctx, p.set.Tenant, p.tenant(), fact.OnlineTransportRules, fact.OnlineJournalRules)
		if err != nil {
			return err
		}
		for _, name := range asked.ToTenant {
			if err := p.copyRule(ctx, name, here, there, PlaceOnline); err != nil {
				return err
			}
		}
		for _, name := range asked.ToForest {
			if err := p.copyRule(ctx, name, there, here, p.at()); err != nil {
				return err
			}
		}
		return nil
	},
}

// asksForRules reports whether answers name rules to copy.
func asksForRules(a answers.Answers) bool {
	return slices.ContainsFunc(a.Forests, func(f answers.Forest) bool { return f.CopyRules != nil })
}

// mailRules are the rules of one side.
type mailRules struct {
	side               string
	transport, journal []fact.MailRule
}

func (p *Planner) mailRules(
	ctx context.Context, side *fact.Side, name string, transport, journal *fact.Query[[]fact.MailRule],
) (r mailRules, err error) {
	r.side = name
	if r.transport, err = transport.In(ctx, side); err != nil {
		return r, err
	}
	r.journal, err = journal.In(ctx, side)
	return r, err
}

// copyRule plans the rule of a name as the other side has it: a transport rule, a journal rule, or
// both.
func (p *Planner) copyRule(ctx context.Context, name string, from, to mailRules, place string) error {
	rule, isTransport := fact.FindRule(from.transport, name)
	journal, isJournal := fact.FindRule(from.journal, name)
	if !isTransport && !isJournal {
		return fmt.Errorf("%s has no transport rule or journal rule %q: correct copyRules in the answers file",
			from.side,
			name)
	}
	why := msg.Of("the answers name it: it is copied from %s, with what is set there", from.side)
	needs := All(PlaceOnline, organizationCustomization)
	if isTransport {
		live, exists := fact.FindRule(to.transport, name)
		for _, r := range []struct {
			fact.MailRule
			side string
		}{{rule, from.side}, {live, to.side}} {
			if own := slices.Concat(r.Bound, notCopied(r.Values)); len(own) > 0 {
				return fmt.Errorf("transport rule %q of %s uses %s, which cannot be copied: make the rule by hand on "+
					"the "+
					"other side, and take it out of copyRules", name, r.side, strings.Join(own, ", "))
			}
		}
		properties := change.Properties{"Name": rule.Name, "Enabled": rule.Enabled}
		for property, v := range rule.Values {
			properties[property] = v
		}
		for property := range live.Values {
			if _, wanted := rule.Values[property]; !wanted {
				properties[property] = transportRule.Properties[property].Unset
			}
		}
		if exists {
			properties["Name"] = live.Name
		}
		p.Add(transportRule, place, strings.ToLower(name), properties["Name"].(string), why, properties, needs...)
	}
	if !isJournal {
		return nil
	}
	if place == PlaceOnline {
		reports, err := fact.OnlineJournalReports.In(ctx, p.set.Tenant)
		if err != nil {
			return err
		}
		if reports == "" {
			return fmt.Errorf("%s makes no journal rule before it has an address for reports that cannot be "+
				"delivered: run "+
				"Set-TransportConfig -JournalingReportNdrTo in Exchange Online PowerShell", p.tenant())
		}
	}
	properties := change.Properties{"Name": journal.Name, "Enabled": journal.Enabled}
	for property, v := range journal.Values {
		properties[property] = v
	}
	if live, exists := fact.FindRule(to.journal, name); exists {
		properties["Name"] = live.Name
		if _, wanted := journal.Values["Recipient"]; !wanted && live.Values["Recipient"] != nil {
			properties["Recipient"] = nil
		}
	}
	p.Add(journalRule, place, strings.ToLower(name), properties["Name"].(string), why, properties, needs...)
	return nil
}

// notCopied lists what is set and is no property of the kind: sizes, which each side writes in its
// own way.
func notCopied(values map[string]any) (out []string) {
	for _, name := range sortedKeys(values) {
		if _, is := transportRule.Properties[name]; !is {
			out = append(out, name)
		}
	}
	return out
}

// ruleProperties are the properties of transport rules that are copied. TestRuleProperties compares
// them with the cmdlets.
func ruleProperties() map[string]Property {
	out := map[string]Property{
		"Name": {Type: text, Write: change.Key}, "Enabled": {Type: boolean, Write: change.CreateOnly},
	}
	for _, name := range ruleTexts {
		out[name] = Property{Type: text}
	}
	for _, name := range ruleSwitches {
		out[name] = Property{Type: boolean, Unset: false}
	}
	for _, name := range ruleLists {
		out[name] = Property{Type: textSet}
	}
	return out
}

// textSet is a set of texts.
var textSet = Type{
	Name: "set of texts", Read: readTexts, Compare: sameSet(strings.ToLower), List: true, Script: "SettingList",
}

var transportRule = Exchange.Declare(Kind{
	Noun:  "TransportRule",
	Title: "Transport rule",
	Why: "Acts on messages by their properties. Rules are not synchronized: each side applies its own to the " +
		"messages of its mailboxes.",
	Places:     []string{OnPremises, Online},
	Properties: ruleProperties(),
	Risk: "the rule acts on all mail of its side that meets its conditions; on mail that crosses, the rules of both " +
		"sides act",
}, Cmdlets{Verbs: New | Set | Remove})

var journalRule = Exchange.Declare(Kind{
	Noun:   "JournalRule",
	Title:  "Journal rule",
	Why:    "Sends copies of messages to an archive. Rules are not synchronized: each side journals its own mailboxes.",
	Places: []string{OnPremises, Online},
	Properties: map[string]Property{
		"Name":                {Type: text, Write: change.Key},
		"Enabled":             {Type: boolean, Write: change.CreateOnly},
		"JournalEmailAddress": {Type: text},
		"Recipient":           {Type: text},
		"Scope":               {Type: text},
	},
	Risk: "the archive gets copies of more messages, and a message that crosses twice",
}, Cmdlets{Verbs: New | Set | Remove})
