package deployment

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
)

// known is a recipient as one side knows it.
type known struct {
	premise   freebusy.Premise
	kind      string // RecipientTypeDetails
	here      bool   // its mailbox is on this side
	primary   string
	target    string // where lookups go when the mailbox is elsewhere
	addresses []string
}

func (k known) has(address string) bool {
	return slices.ContainsFunc(k.addresses, func(a string) bool { return strings.EqualFold(a, address) })
}

// userPairs says what the sides know about a mailbox, and returns the lookups of it and by it.
func (d *Deployment) userPairs(ctx context.Context, facts *fact.Set, premises []freebusy.Premise,
	address string) (remarks []Remark, pairs []freebusy.Pair, err error) {
	var found []known
	var absent []string
	for _, p := range premises {
		if p.Session == nil {
			continue
		}
		k, err := knownAt(ctx, p, address)
		switch {
		case errors.Is(err, exchange.ErrNotFound):
			absent = append(absent, p.Name)
		case err != nil:
			remarks = append(remarks, Remark{Side: p.Name, Status: freebusy.Unknown,
				Text: fmt.Sprintf("%s could not be looked up in %s: %v", address, p.Name, err), cause: err})
		default:
			found = append(found, k)
		}
	}
	unsure := len(remarks) > 0
	remarks = append(remarks, compareSides(address, found, absent, unsure)...)
	for _, k := range found {
		if k.here {
			remarks = append(remarks, d.openness(ctx, facts, k, address)...)
		}
	}
	if i := slices.IndexFunc(found, func(k known) bool { return k.here }); i >= 0 {
		pairs = d.withOthers(ctx, premises, found[i].premise, found, address)
	}
	return remarks, pairs, nil
}

func knownAt(ctx context.Context, p freebusy.Premise, address string) (known, error) {
	found, err := p.Session.Read(ctx,
		exchange.Command{Name: "Get-Recipient", Parameters: map[string]any{"Identity": address}})
	if err == nil && len(found) == 0 {
		err = exchange.ErrNotFound
	}
	if err != nil {
		return known{}, err
	}
	o := found[0]
	k := known{premise: p}
	if k.kind, err = o.String("RecipientTypeDetails"); err != nil {
		return k, fmt.Errorf("RecipientTypeDetails: %w", err)
	}
	k.here = freebusy.IsMailbox(k.kind)
	k.primary, _ = o.String("PrimarySmtpAddress")
	target, err := exchange.Optional(o.String("ExternalEmailAddress"))
	if err != nil && !errors.Is(err, exchange.ErrAbsent) {
		return k, fmt.Errorf("ExternalEmailAddress: %w", err)
	}
	plain := func(a string) string {
		if i := strings.Index(a, ":"); i >= 0 && strings.EqualFold(a[:i], "smtp") {
			return a[i+1:]
		}
		return a
	}
	k.target = plain(target)
	addresses, _ := o.Strings("EmailAddresses")
	for _, a := range addresses {
		k.addresses = append(k.addresses, plain(a))
	}
	return k, nil
}

// compareSides compares what the sides know about one mailbox. unsure says that a side could not be
// asked: what is absent may be there.
func compareSides(address string, found []known, absent []string, unsure bool) (remarks []Remark) {
	add := func(side string, status freebusy.Status, format string, args ...any) {
		remarks = append(remarks, Remark{Side: side, Status: status, Text: fmt.Sprintf(format, args...)})
	}
	var holders []known
	for _, k := range found {
		if k.here {
			holders = append(holders, k)
		}
	}
	switch {
	case len(found) == 0 && !unsure:
		add("", freebusy.Failed, "no side knows %s (%s were asked): the address is misspelt, belongs to another "+
			"organization, or its person is not synchronized", address, strings.Join(absent, ", "))
		return remarks
	case len(holders) == 0 && !unsure:
		add("", freebusy.Failed, "no side has a mailbox of %s: it is a %s in %s", address, found[0].kind,
			found[0].premise.Name)
		return remarks
	case len(holders) == 0:
		return remarks
	case len(holders) > 1:
		add(holders[1].premise.Name, freebusy.Failed, "%s has two mailboxes, in %s and in %s: each side finds its "+
			"own, and meetings of the other one do not show", address, holders[0].premise.Name, holders[1].premise.Name)
		return remarks
	}
	home := holders[0]
	add(home.premise.Name, freebusy.OK, "the mailbox of %s is in %s (%s)", address, home.premise.Name, home.kind)
	for _, k := range found {
		side := k.premise.Name
		switch {
		case k.here:
			continue
		case k.target == "":
			add(side, freebusy.Failed, "%s knows %s as a %s without a target address: a lookup for it goes nowhere",
				side, address, k.kind)
		case !home.has(k.target):
			add(side, freebusy.Failed, "%s sends lookups to %s, which is no address of the mailbox in %s", side,
				k.target, home.premise.Name)
		default:
			add(side, freebusy.OK, "%s sends lookups to %s", side, k.target)
		}
		if k.primary != "" && home.primary != "" && !strings.EqualFold(k.primary, home.primary) {
			add(side, freebusy.Failed, "the primary address is %s in %s and %s in %s: answers to invitations go astray",
				k.primary, side, home.primary, home.premise.Name)
		}
	}
	// Forests need not know each other's people. The tenant and the forest of a person do.
	for _, side := range absent {
		if side == desired.PlaceOnline || home.premise.Name == desired.PlaceOnline && len(found) == 1 {
			add(side, freebusy.Failed, "%s does not know %s: a lookup from there finds no one", side, address)
			break
		}
	}
	return remarks
}

// openness says whether a mailbox lets EWS in, by which its side reads it for others.
func (d *Deployment) openness(ctx context.Context, facts *fact.Set, k known, address string) []Remark {
	side, query := facts.Tenant, fact.OnlineMailboxAccesses
	for _, f := range facts.Forests {
		if f.Name() == k.premise.Name {
			side, query = f, fact.MailboxAccesses
		}
	}
	access, err := query.In(ctx, side, address)
	switch {
	case err != nil:
		return []Remark{{Side: k.premise.Name, Status: freebusy.Unknown,
			Text: fmt.Sprintf("whether the mailbox lets EWS in is unknown: %v", err), cause: err}}
	case access.EwsEnabled != nil && !*access.EwsEnabled:
		return []Remark{{Side: k.premise.Name, Status: freebusy.Failed, Text: fmt.Sprintf("EWS is off for the mailbox "+
			"of %s (Get-CASMailbox shows EwsEnabled False): other organizations do not see its free/busy", address)}}
	}
	return nil
}

// withOthers pairs a mailbox with a person of each side that has lookups with its side, in the
// directions that are set up.
func (d *Deployment) withOthers(ctx context.Context, premises []freebusy.Premise, home freebusy.Premise, found []known,
	address string) (pairs []freebusy.Pair) {
	at := func(name string) *forest {
		i := slices.IndexFunc(d.forests, func(f *forest) bool { return f.answers.Name == name })
		if i < 0 {
			return nil
		}
		return d.forests[i]
	}
	for _, p := range premises {
		knows := slices.ContainsFunc(found, func(k known) bool { return k.premise.Name == p.Name })
		here, there := at(home.Name), at(p.Name)
		var cmdlet string
		var list *forest // where a person of the side is found
		to, from := knows, knows
		switch {
		case p.Name == home.Name || p.Session == nil:
			continue
		case here != nil && there != nil:
			cmdlet, list = "Get-Mailbox", there
			to, from = here.answers.Lookups != nil, there.answers.Lookups != nil
		case there != nil:
			cmdlet, list = "Get-Mailbox", there
		case here != nil:
			cmdlet, list = "Get-RemoteMailbox", here
		}
		if list == nil || !to && !from {
			continue
		}
		// A side that cannot be asked shows in the lookups themselves.
		others, err := d.peopleIn(ctx, list, cmdlet, 1)
		if err != nil || len(others) == 0 {
			continue
		}
		if to {
			pairs = append(pairs, freebusy.Pair{From: others[0], To: address})
		}
		if from {
			pairs = append(pairs, freebusy.Pair{From: address, To: others[0]})
		}
	}
	return pairs
}
