package desired

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// AcceptMailboxDisconnect is the consent to take mailboxes from their users.
const AcceptMailboxDisconnect = "mailbox-disconnect"

var workMailRouting = &Topic{
	ID:       "workmail-routing",
	Title:    "Mail routing of users who move to WorkMail",
	Features: workMailFeatures,
	Cloud:    fact.AtWorkMail,
	Kinds:    []*Kind{routedRecipient, mailUserAddresses, remoteDomain, remoteDomainFormat},
	Reads:    fact.List(fact.WorkMailOrganization, fact.WorkMailUsers, fact.Recipients, fact.Movers),
	Derive: func(ctx context.Context, p *Planner) error {
		wanted := p.Answers.WorkMail
		if wanted.IsLeaving() || len(wanted.Routed) == 0 {
			return nil
		}
		organization, err := p.workMail(ctx)
		if err != nil {
			return err
		}
		users, err := fact.WorkMailUsers.In(ctx, p.set.WorkMail)
		if err != nil {
			return err
		}
		enabled := map[string]bool{}
		for _, u := range users {
			if u.Enabled() {
				enabled[strings.ToLower(u.Email)] = true
			}
		}
		domain, formatted := organization.TestDomain(), map[string]bool{}
		for _, address := range wanted.Routed {
			if !enabled[strings.ToLower(address)] {
				p.wait("workmail-routing", address,
					msg.Of("it is not registered to WorkMail yet: plan again after the "+
						"registration"))
				continue
			}
			forest, err := p.forestOf(address)
			if err == nil {
				err = p.routed(ctx, forest, address, domain)
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err != nil {
				p.wait("workmail-routing", address, msg.Plain(err.Error()))
				continue
			}
			if formatted[forest.Name()] {
				continue
			}
			formatted[forest.Name()] = true
			place, name := PlaceForest(forest.Name()), objectName(domain)
			why := msg.Of("WorkMail shows mail in the format of Outlook (TNEF) as an attachment winmail.dat")
			p.Add(remoteDomain, place, domain, name, why, change.Properties{"DomainName": domain})
			p.Add(remoteDomainFormat, place, domain, name, why, change.Properties{"DomainName": domain,
				"Identity": Ref(remoteDomain, place, domain, "Identity"), "TNEFEnabled": false})
		}
		return nil
	},
}

// routed plans that Exchange passes the mail of one user on to WorkMail.
func (p *Planner) routed(ctx context.Context, forest *fact.Side, address, domain string) error {
	r, err := fact.Recipients.In(ctx, forest, address)
	if errors.Is(err, exchange.ErrNotFound) {
		return fmt.Errorf("no recipient of forest %s has the address; an interrupted run is resumed with: "+
			"hybridge apply", forest.Name())
	}
	if err != nil {
		return err
	}
	place, key := PlaceForest(forest.Name()), strings.ToLower(address)
	target := r.Account + "@" + domain
	_, at, _ := strings.Cut(strings.ToLower(r.Target), "@")
	switch {
	case r.Kind == "MailUser" && at == strings.ToLower(domain):
		return nil // it is routed
	case r.Kind != "UserMailbox":
		return fmt.Errorf("it is %s in Exchange with the target %q; expected is UserMailbox, or a mail user with a "+
			"target in %s", r.Kind, r.Target, domain)
	}
	m, err := fact.Movers.In(ctx, forest, address)
	switch {
	case err != nil:
		return err
	case m.Hold:
		return errors.New("its mailbox is on hold (LitigationHoldEnabled, RetentionHoldEnabled): end the hold, or " +
			"leave the user out of workmail.routed")
	case m.Archive:
		return errors.New("its mailbox has an archive, which would be disconnected too: carry it over and disable it " +
			"(Disable-Mailbox -Archive)")
	}
	addresses := slices.Clone(m.Addresses)
	if x := "X500:" + m.LegacyDN; m.LegacyDN != "" && !slices.Contains(addresses, x) {
		addresses = append(addresses, x)
	}
	p.Add(routedRecipient, place, key, address,
		msg.Of("Exchange passes its mail on to %s, and lookups for it go to WorkMail", target),
		change.Properties{"SamAccountName": m.Account, "RecipientTypeDetails": "MailUser", "Alias": m.Alias,
			"PrimarySmtpAddress": m.Primary, "ExternalEmailAddress": "SMTP:" + target},
		One(workMailUser, PlaceWorkMail, key))
	kept := change.Properties{"Identity": m.Account, "PrimarySmtpAddress": m.Primary, "EmailAddresses": addresses}
	if m.Hidden {
		kept["HiddenFromAddressListsEnabled"] = true
	}
	for name, value := range m.Custom {
		kept[name] = value
	}
	p.Add(mailUserAddresses, place, key, address, msg.Of("its addresses and attributes stay what they were"), kept,
		One(routedRecipient, place, key))
	return nil
}

// routedRecipient is a recipient that has a mailbox in Exchange, or passes its mail on.
var routedRecipient = Exchange.Declare(Kind{
	Noun:  "RoutedRecipient",
	Title: "Recipient whose mail goes to WorkMail",
	Why: "A user of WorkMail is a mail user in Exchange whose target is there. A mailbox cannot be made a mail user: " +
		"it is disconnected, and the account becomes a mail user. What was there before is kept in the journal, or " +
		"in the result file of a script, before anything is written.",
	Places:     []string{OnPremises},
	Properties: routedProperties(),
	Risk: "the mailbox and what it holds are no longer the user's; Exchange deletes it after the retention time of " +
		"its database (30 days by default). Carry the content over first",
	Consents: map[change.Action]change.Consent{change.Recreate: {ID: AcceptMailboxDisconnect,
		Title: "disconnect the mailboxes of users who move to WorkMail"}},
}, routes{})

func routedProperties() map[string]Property {
	properties := map[string]Property{
		"SamAccountName":       {Type: text, Write: change.Key},
		"RecipientTypeDetails": {Type: text},
		"Alias":                {Type: text, Write: change.CreateOnly},
		"PrimarySmtpAddress":   {Type: text, Write: change.CreateOnly},
		"ExternalEmailAddress": {Type: text, Write: change.CreateOnly},
		// What a mailbox is connected by again, and what it loses.
		"ExchangeGuid":                  {Type: text, Write: change.CreateOnly},
		"Database":                      {Type: text, Write: change.CreateOnly},
		"EmailAddresses":                {Type: proxies, Write: change.CreateOnly},
		"HiddenFromAddressListsEnabled": {Type: boolean, Write: change.CreateOnly},
	}
	for i := range 15 {
		properties[fmt.Sprint("CustomAttribute", i+1)] = Property{Type: text, Write: change.CreateOnly}
	}
	return properties
}

// isSnapshot reports whether a property is kept to connect a mailbox again. Of a mail user it is
// another kind's.
func isSnapshot(name string) bool {
	return slices.Contains([]string{"ExchangeGuid", "Database", "EmailAddresses", "HiddenFromAddressListsEnabled"},
		name) || strings.HasPrefix(name, "CustomAttribute")
}

type routes struct{}

// For makes the operations. A mail user that gets its mailbox back is connected with it again.
func (routes) For(k *Kind) change.Ops[exchange.Reader] {
	get := map[string]any{"RecipientTypeDetails": []any{"MailUser", "UserMailbox"}, "ResultSize": "Unlimited"}
	return change.Ops[exchange.Reader]{
		Read: func(ctx context.Context, session exchange.Reader) ([]change.Live, error) {
			found, err := fact.Get(ctx, session, exchange.Command{Name: "Get-Recipient", Parameters: get})
			var out []change.Live
			for _, o := range found {
				l := image(k, o)
				l.Identity, _ = o.String("SamAccountName")
				if l.Properties["RecipientTypeDetails"] == "MailUser" {
					maps.DeleteFunc(l.Properties, func(name string, _ any) bool { return isSnapshot(name) })
				}
				out = append(out, l)
			}
			return out, err
		},
		Find: func(change.Change) change.Command {
			return change.Command{Name: "Get-Recipient", Parameters: get}
		},
		Create: func(_ string, want change.Properties) (change.Command, error) {
			if want["RecipientTypeDetails"] == "UserMailbox" {
				return reconnect(want)
			}
			return change.Command{Name: "Enable-MailUser",
				Parameters: map[string]any{"Identity": want["SamAccountName"],
					"Alias": want["Alias"], "PrimarySmtpAddress": want["PrimarySmtpAddress"],
					"ExternalEmailAddress": want["ExternalEmailAddress"]}}, nil
		},
		Delete: func(live change.Live) (change.Command, error) {
			noun := "Mailbox"
			if live.Properties["RecipientTypeDetails"] == "MailUser" {
				noun = "MailUser"
			}
			return change.Command{Name: "Disable-" + noun, Parameters: map[string]any{"Identity": identityOf(live),
				"Confirm": false}}, nil
		},
		Reads:  []string{"Get-Recipient"},
		Writes: []string{"Disable-Mailbox", "Enable-MailUser"},
	}
}

// reconnect connects a disconnected mailbox with its account. Its addresses and attributes are
// written again then.
func reconnect(was change.Properties) (change.Command, error) {
	if nothing(was["ExchangeGuid"]) || nothing(was["Database"]) {
		return change.Command{}, fmt.Errorf("the id and the database of the mailbox are not known: %w",
			change.ErrNoOperation)
	}
	set := map[string]any{"Identity": was["SamAccountName"], "EmailAddressPolicyEnabled": false}
	for name, v := range was {
		if isSnapshot(name) && name != "ExchangeGuid" && name != "Database" && !nothing(v) {
			set[name] = v
		}
	}
	return change.Command{Name: "Connect-Mailbox", Parameters: map[string]any{"Identity": was["ExchangeGuid"],
		"Database": was["Database"], "User": was["SamAccountName"], "Alias": was["Alias"], "Confirm": false},
		Then: []change.Command{{Name: "Set-Mailbox", Parameters: set}}}, nil
}

var mailUserAddresses = Exchange.Declare(Kind{
	Noun:  "MailUserAddresses",
	Title: "Addresses of a mail user whose mail goes to WorkMail",
	Why: "Addresses, custom attributes and the X500 address by which replies to old mail find the user are lost when " +
		"a mailbox becomes a mail user, and are written again.",
	Places:     []string{OnPremises},
	Properties: keptProperties(),
	Risk:       riskKept,
	Permanent:  "the mail user would lose its addresses",
}, kept{Cmdlets{Verbs: Set, Of: "MailUser", Get: map[string]any{"ResultSize": "Unlimited"}}})

var remoteDomainFormat = Exchange.Declare(Kind{
	Noun:  "RemoteDomainFormat",
	Title: "Format of mail to a remote domain",
	Why: "Mail in the format of Outlook (TNEF) is readable in Outlook with Exchange alone. Other systems show an " +
		"attachment winmail.dat, and signed mail is lost in it.",
	Places: []string{OnPremises},
	Properties: map[string]Property{
		"DomainName":  {Type: domainName, Write: change.Key, Derived: true},
		"Identity":    {Type: text, Write: change.CreateOnly},
		"TNEFEnabled": {Type: boolean},
	},
	Risk: "mail to the domain is sent as MIME; voting buttons and the like are lost",
}, Cmdlets{Verbs: Set, Of: "RemoteDomain"})
