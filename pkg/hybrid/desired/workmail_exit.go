package desired

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/sorting"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/estate/workmail"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
)

// The way out of WorkMail goes in stages, and a plan holds what the present stage of every user
// allows. What is live says which stage that is: nothing about it is stored.
//
//  1. The mailbox: a mail user that leads to WorkMail becomes a mailbox again, or a remote mailbox
//     once the mailbox in Exchange Online exists. New mail arrives there from then on. What
//     WorkMail holds stays there.
//  2. The content: WorkMail exports the mailbox where that is wanted, and the person carries it
//     over. The folders of both mailboxes are counted.
//  3. The deregistration of the user, when Exchange holds at least what WorkMail holds.
//  4. When nobody is left, the organization: address space, availability configurations, groups,
//     service account, impersonation role, domains.

// exit is what the way out of one organization asks again and again.
type exit struct {
	organization  workmail.Organization
	users, groups []workmail.Entity // enabled, without the service account
	service       *workmail.Entity  // enabled
}

// exit returns who is left in WorkMail.
func (p *Planner) exit(ctx context.Context) (e exit, err error) {
	if e.organization, err = p.workMail(ctx); err != nil {
		return e, err
	}
	users, err := fact.WorkMailUsers.In(ctx, p.set.WorkMail)
	if err != nil {
		return e, err
	}
	service := p.Answers.WorkMail.Account
	for _, u := range users {
		switch {
		case !u.Enabled(), u.Role == "SYSTEM_USER", u.Role == "REMOTE_USER":
		case service != nil && strings.EqualFold(u.Email, service.User):
			e.service = &u
		default:
			e.users = append(e.users, u)
		}
	}
	groups, err := fact.WorkMailGroups.In(ctx, p.set.WorkMail)
	for _, g := range groups {
		if g.Enabled() {
			e.groups = append(e.groups, g)
		}
	}
	sorting.Func(e.users, byEmail)
	sorting.Func(e.groups, byEmail)
	return e, err
}

func byEmail(a, b workmail.Entity) int { return strings.Compare(a.Email, b.Email) }

// everyoneLeft reports whether the organization leaves WorkMail and no user is left there: what
// leads to it is no longer wanted then.
func (p *Planner) everyoneLeft(ctx context.Context) (bool, error) {
	if !p.Answers.WorkMail.IsLeaving() {
		return false, nil
	}
	e, err := p.exit(ctx)
	return len(e.users) == 0, err
}

// wait says what the next stage waits for. It is no fault, and a later plan looks again.
func (p *Planner) wait(topic, place string, reason msg.Text) {
	p.waits = append(p.waits, change.LeftOut{Topic: topic, Place: place, Reason: reason, Waits: true})
}

var workMailExit = &Topic{
	ID:       "workmail-exit",
	Title:    "The way out of WorkMail",
	Features: workMailFeatures,
	Cloud:    fact.AtWorkMail,
	Kinds: []*Kind{returnedRecipient, mailboxAddresses, remoteMailboxAddresses, impersonationRole, mailboxExport,
		workMailRegistration, defaultMailDomain},
	Reads: fact.List(fact.WorkMailOrganization, fact.WorkMailUsers, fact.WorkMailGroups, fact.WorkMailDomains,
		fact.WorkMailAvailabilities, fact.WorkMailExports, fact.WorkMailFolders, fact.Recipients, fact.Leavers,
		fact.MailboxFolders),
	Derive: func(ctx context.Context, p *Planner) error {
		if !p.Answers.WorkMail.IsLeaving() {
			return nil
		}
		e, err := p.exit(ctx)
		if err != nil {
			return err
		}
		if len(e.users) == 0 {
			return p.closeDown(ctx, e)
		}
		p.Add(impersonationRole, PlaceWorkMail, fact.ExitRole, fact.ExitRole,
			msg.Of("mailboxes in WorkMail are counted as it, to see that nothing is lost"),
			change.Properties{"Name": fact.ExitRole, "Type": "READ_ONLY"})
		content := false
		for _, u := range e.users {
			if err := p.leave(ctx, e, u); err != nil {
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				content = content || errors.As(err, &notCarried{})
				p.wait("workmail-exit", u.Email, msg.Plain(err.Error()))
			}
		}
		if content && p.Answers.WorkMail.To == answers.ToExchangeOnline {
			p.wait("workmail-exit", PlaceOnline, imapRoute(p.Answers.WorkMail.Region))
		}
		return nil
	},
}

// OnTheWayOut reports whether a kind exists alone for the way out of WorkMail or of hybrid, for what
// the answers retire, or for a command other than plan.
func OnTheWayOut(k *Kind) bool {
	return slices.Contains(workMailExit.Kinds, k) || topicOf(k) == hybridExit || topicOf(k).Retires != "" ||
		topicOf(k).Verb != ""
}

// forestOf returns the forest of an address.
func (p *Planner) forestOf(address string) (*fact.Side, error) {
	_, domain, _ := strings.Cut(strings.ToLower(address), "@")
	for _, f := range p.set.Forests {
		if f.Answers.WorkMail != nil && slices.Contains(lower(f.Answers.Domains), domain) {
			return f, nil
		}
	}
	return nil, fmt.Errorf("%s is in no domain of a forest with a section workmail", address)
}

// leave plans the present stage of one user.
func (p *Planner) leave(ctx context.Context, e exit, u workmail.Entity) error {
	forest, err := p.forestOf(u.Email)
	if err != nil {
		return err
	}
	r, err := fact.Recipients.In(ctx, forest, u.Email)
	if errors.Is(err, exchange.ErrNotFound) {
		return fmt.Errorf("no recipient of forest %s has the address; an interrupted run is resumed with: "+
			"hybridge apply", forest.Name())
	}
	if err != nil {
		return err
	}
	online := p.Answers.WorkMail.To == answers.ToExchangeOnline
	there := map[bool]string{false: "UserMailbox", true: "RemoteUserMailbox"}[online]
	_, target, _ := strings.Cut(strings.ToLower(r.Target), "@")
	switch {
	case r.Kind == "MailUser" && target == strings.ToLower(e.organization.TestDomain()):
		return p.bringBack(ctx, forest, u, online)
	case r.Kind != there:
		return fmt.Errorf("it is %s in Exchange with the target %q; expected is a mail user with a target in %s, or %s",
			r.Kind, r.Target, e.organization.TestDomain(), there)
	}
	return p.deregister(ctx, forest, u, online)
}

// bringBack makes the mailbox.
func (p *Planner) bringBack(ctx context.Context, forest *fact.Side, u workmail.Entity, online bool) error {
	l, err := fact.Leavers.In(ctx, forest, u.Email)
	if err != nil {
		return err
	}
	place, key := PlaceForest(forest.Name()), strings.ToLower(u.Email)
	want := change.Properties{"SamAccountName": l.Account, "RecipientTypeDetails": "UserMailbox", "Alias": l.Alias,
		"PrimarySmtpAddress": l.Primary}
	addresses, kind := l.Addresses, mailboxAddresses
	if online {
		coexistence, err := p.coexistence(ctx)
		if err != nil {
			return err
		}
		switch _, err := fact.OnlineMailboxFolders.In(ctx, p.set.Tenant, u.Email); {
		case errors.Is(err, exchange.ErrNotFound):
			return fmt.Errorf("its mailbox in Exchange Online does not exist yet: assign a license with Exchange " +
				"Online (Microsoft 365 admin center, Users, Active users, Licenses and apps) and wait for the mailbox")
		case err != nil:
			return err
		}
		routing := l.Alias + "@" + coexistence
		want["RecipientTypeDetails"], want["RemoteRoutingAddress"] = "RemoteUserMailbox", routing
		kind = remoteMailboxAddresses
		if !slices.ContainsFunc(addresses, func(a string) bool { return strings.EqualFold(a, "smtp:"+routing) }) {
			addresses = append(slices.Clone(addresses), "smtp:"+routing)
		}
	}
	// Addresses in the domain of WorkMail end with it; replies to old mail find the mailbox by
	// X500.
	addresses = slices.DeleteFunc(slices.Clone(addresses), func(a string) bool {
		return strings.HasSuffix(strings.ToLower(a), ".awsapps.com")
	})
	if x := "X500:" + l.LegacyDN; l.LegacyDN != "" && !slices.Contains(addresses, x) {
		addresses = append(addresses, x)
	}
	p.Add(returnedRecipient, place, key, u.Email,
		msg.Of("new mail for it arrives in Exchange from then on; WorkMail keeps what it holds"), want)
	kept := change.Properties{"Identity": l.Account, "PrimarySmtpAddress": l.Primary, "EmailAddresses": addresses}
	if l.Hidden {
		kept["HiddenFromAddressListsEnabled"] = true
	}
	for name, value := range l.Custom {
		kept[name] = value
	}
	p.Add(kind, place, key, u.Email, msg.Of("its addresses and attributes stay what they were"), kept,
		One(returnedRecipient, place, key))
	return nil
}

// deregister deregisters a user whose mailbox holds what WorkMail holds.
func (p *Planner) deregister(ctx context.Context, forest *fact.Side, u workmail.Entity, online bool) error {
	if to := p.Answers.WorkMail.Export; to != nil {
		jobs, err := fact.WorkMailExports.In(ctx, p.set.WorkMail)
		if err != nil {
			return err
		}
		state := ""
		for _, j := range jobs {
			if j.Entity == u.ID && j.Bucket == to.Bucket && (state == "" || j.State == "COMPLETED") {
				state = j.State
			}
		}
		if state != "COMPLETED" {
			p.Add(mailboxExport, PlaceWorkMail, strings.ToLower(u.Email), u.Email,
				msg.Of("the export holds mail and calendar as MIME; it leaves contacts, tasks and notes behind"),
				change.Properties{"EntityId": u.ID, "S3BucketName": to.Bucket, "S3Prefix": cmpOr(to.Prefix, "workmail"),
					"RoleArn": to.Role, "KmsKeyArn": to.Key})
			if state != "" {
				p.wait("workmail-exit", u.Email, msg.Of("its export is %s", strings.ToLower(state)))
			}
			return nil
		}
	}
	from, err := fact.WorkMailFolders.In(ctx, p.set.WorkMail, u.Email)
	if errors.Is(err, workmail.ErrNoRole) {
		return errors.New("its mailbox in WorkMail is counted once the impersonation role exists")
	}
	if err != nil {
		return fmt.Errorf("count its mailbox in WorkMail: %w", err)
	}
	counted, side := fact.MailboxFolders, forest
	if online {
		counted, side = fact.OnlineMailboxFolders, p.set.Tenant
	}
	to, err := counted.In(ctx, side, u.Email)
	if err != nil {
		return fmt.Errorf("count its mailbox in Exchange: %w", err)
	}
	if lost := Lost(from, to, p.Answers.WorkMail.LeaveBehind); len(lost) > 0 {
		return notCarried{fmt.Errorf("not in Exchange yet, but in WorkMail: %s; carry it over "+
			"(docs/tasks.md#leave-workmail), "+
			"or name what may be lost in workmail.leaveBehind", strings.Join(lost, ", "))}
	}
	reason := msg.Of("Exchange holds what WorkMail holds, folder by folder")
	if behind := p.Answers.WorkMail.LeaveBehind; len(behind) > 0 {
		reason = msg.Of("Exchange holds what WorkMail holds, folder by folder; %s were not compared",
			strings.Join(behind, ", "))
	}
	p.out = append(p.out, &planned{instance: instance{topic: p.topic}, Resource: registration(u, reason)})
	return nil
}

// notCarried says that content is still in WorkMail.
type notCarried struct{ error }

// imapRoute says how Exchange Online carries mail over by itself, and what that leaves behind. The
// passwords of the users belong into the file of the batch, which is made by hand.
func imapRoute(region string) msg.Text {
	return msg.Of("an IMAP migration carries mail alone, and leaves calendar, contacts, tasks, notes and rules "+
		"behind. "+
		"In Exchange Online PowerShell: New-MigrationEndpoint -IMAP -Name WorkMail -RemoteServer "+
		"imap.mail.%s.awsapps.com -Port 993 -Security Ssl; New-MigrationBatch -Name WorkMail -SourceEndpoint WorkMail "+
		"-CSVData ([System.IO.File]::ReadAllBytes('users.csv')) -AutoStart. The columns of users.csv are "+
		"EmailAddress, "+
		"UserName and Password: of the user in WorkMail, or a personal access token", region)
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// registration is a registration that is to end.
func registration(u workmail.Entity, reason msg.Text) change.Resource {
	return change.Resource{Kind: workMailRegistration, Target: PlaceWorkMail, Key: strings.ToLower(u.Email),
		Name: u.Email, Reason: reason, Topic: "workmail-exit", Absent: true,
		Properties: change.Properties{"Email": strings.ToLower(u.Email)}}
}

// Lost names the folders of which one mailbox holds more than the other, those of some kinds of
// items left out. A folder without items is not missed.
func Lost(from, to []ews.Folder, leaveBehind []string) []string {
	holds := map[string]int{}
	for _, f := range to {
		holds[strings.ToLower(f.Path)] += f.Items
	}
	var lost []string
	for _, f := range from {
		if has := holds[strings.ToLower(f.Path)]; f.Items > has && !slices.Contains(leaveBehind, fact.KindOf(f.Class)) {
			lost = append(lost, fmt.Sprintf("%s %d of %d", f.Path, has, f.Items))
		}
	}
	return lost
}

// closeDown plans the last stage: nobody is left in WorkMail.
func (p *Planner) closeDown(ctx context.Context, e exit) error {
	gone := func(r change.Resource, needs ...Need) {
		r.Absent, r.Topic = true, p.topic.ID
		p.out = append(p.out, &planned{instance: instance{topic: p.topic}, Resource: r, needs: needs})
	}
	reason := msg.Of(nobodyLeft)
	test := e.organization.TestDomain()
	var registered []Need // what is removed after everything that leads to it
	for _, u := range append(slices.Clone(e.groups), service(e)...) {
		p.out = append(p.out, &planned{instance: instance{topic: p.topic}, Resource: registration(u, reason),
			needs: All(PlaceWorkMail, workMailDomain)})
		registered = append(registered, One(workMailRegistration, PlaceWorkMail, strings.ToLower(u.Email)))
	}
	gone(change.Resource{Kind: impersonationRole, Target: PlaceWorkMail, Key: fact.ExitRole, Name: fact.ExitRole,
		Reason: reason, Properties: change.Properties{"Name": fact.ExitRole}})
	domains, err := fact.WorkMailDomains.In(ctx, p.set.WorkMail)
	if err != nil {
		return err
	}
	p.Add(defaultMailDomain, PlaceWorkMail, "default", test,
		msg.Of("a domain can be removed when it is not the default one"), change.Properties{"DomainName": test})
	for _, d := range domains {
		if strings.EqualFold(d.Name, test) {
			continue
		}
		gone(change.Resource{Kind: workMailDomain, Target: PlaceWorkMail, Key: strings.ToLower(d.Name), Name: d.Name,
			Reason: reason, Properties: change.Properties{"DomainName": strings.ToLower(d.Name)}},
			One(defaultMailDomain, PlaceWorkMail, "default"))
	}
	configured, err := fact.WorkMailAvailabilities.In(ctx, p.set.WorkMail)
	if err != nil {
		return err
	}
	for _, a := range configured {
		needs := slices.Clone(registered)
		needs = append(needs, One(workMailDomain, PlaceWorkMail, strings.ToLower(a.Domain)))
		gone(change.Resource{Kind: availabilityConfiguration, Target: PlaceWorkMail, Key: strings.ToLower(a.Domain),
			Name: a.Domain, Reason: reason, Properties: change.Properties{"DomainName": strings.ToLower(a.Domain)}},
			needs...)
	}
	for _, f := range p.set.Forests {
		if f.Answers.WorkMail != nil {
			gone(change.Resource{Kind: availabilityAddressSpace, Target: PlaceForest(f.Name()), Key: test, Name: test,
				Reason: reason, Properties: change.Properties{"ForestName": test}}, registered...)
		}
	}
	return nil
}

func service(e exit) []workmail.Entity {
	if e.service == nil {
		return nil
	}
	return []workmail.Entity{*e.service}
}

// returnedRecipient is a recipient whose mailbox is in WorkMail, or has come back.
var returnedRecipient = Exchange.Declare(Kind{
	Noun:  "ReturnedRecipient",
	Title: "Recipient that comes back from WorkMail",
	Why: "A user who was moved to WorkMail is a mail user whose target is there. A mail user cannot be made a " +
		"mailbox: its attributes of Exchange are removed, and the account gets a mailbox.",
	Places: []string{OnPremises},
	Properties: map[string]Property{
		"SamAccountName":       {Type: text, Write: change.Key},
		"RecipientTypeDetails": {Type: text},
		"PrimarySmtpAddress":   {Type: text, Write: change.CreateOnly},
		"Alias":                {Type: text, Write: change.CreateOnly},
		"RemoteRoutingAddress": {Type: text, Write: change.CreateOnly},
	},
	Risk: "mail for the user is refused between the two commands; it is kept by the sender's server and sent again " +
		"only when that server is told to wait",
	Permanent: "mail that arrived in the mailbox since would be cut off; WorkMail still holds what it held",
}, returns{})

type returns struct{}

// For makes the operations.
func (returns) For(k *Kind) change.Ops[exchange.Reader] {
	return change.Ops[exchange.Reader]{
		Read: func(ctx context.Context, session exchange.Reader) ([]change.Live, error) {
			found, err := fact.Get(ctx, session,
				exchange.Command{Name: "Get-Recipient", Parameters: maps.Clone(returning)})
			var out []change.Live
			for _, o := range found {
				target, _ := o.String("ExternalEmailAddress")
				kind, _ := o.String("RecipientTypeDetails")
				if kind != "MailUser" || strings.HasSuffix(strings.ToLower(target), ".awsapps.com") {
					account, _ := o.String("SamAccountName")
					l := image(k, o)
					l.Identity = account
					out = append(out, l)
				}
			}
			return out, err
		},
		Find: func(change.Change) change.Command {
			return change.Command{Name: "Get-Recipient", Parameters: maps.Clone(returning)}
		},
		Create: func(_ string, want change.Properties) (change.Command, error) {
			c := change.Command{Name: "Enable-Mailbox", Parameters: map[string]any{"Identity": want["SamAccountName"],
				"Alias": want["Alias"], "PrimarySmtpAddress": want["PrimarySmtpAddress"]}}
			if want["RecipientTypeDetails"] == "RemoteUserMailbox" {
				c.Name, c.Parameters["RemoteRoutingAddress"] = "Enable-RemoteMailbox", want["RemoteRoutingAddress"]
			}
			return c, nil
		},
		Delete: func(live change.Live) (change.Command, error) {
			if live.Properties["RecipientTypeDetails"] != "MailUser" {
				return change.Command{}, fmt.Errorf("%s is a mailbox: %w", live.Name, change.ErrNoOperation)
			}
			return change.Command{Name: "Disable-MailUser", Parameters: map[string]any{"Identity": identityOf(live),
				"Confirm": false}}, nil
		},
		Reads:  []string{"Get-Recipient"},
		Writes: []string{"Disable-MailUser", "Enable-Mailbox", "Enable-RemoteMailbox"},
	}
}

// returning are the parameters that list the recipients which can be such ones.
var returning = map[string]any{"RecipientTypeDetails": []any{"MailUser", "UserMailbox", "RemoteUserMailbox"},
	"ResultSize": "Unlimited"}

// keptProperties are the attributes that a recipient keeps.
func keptProperties() map[string]Property {
	properties := map[string]Property{
		"PrimarySmtpAddress":            {Type: text, Write: change.Key},
		"Identity":                      {Type: text, Write: change.CreateOnly},
		"EmailAddresses":                {Type: proxies, Write: change.Merge},
		"HiddenFromAddressListsEnabled": {Type: boolean},
	}
	for i := range 15 {
		properties[fmt.Sprint("CustomAttribute", i+1)] = Property{Type: text}
	}
	return properties
}

const (
	whyKept = "Addresses, custom attributes and the X500 address by which replies to old mail find the mailbox are " +
		"lost when a mail user becomes a mailbox, and are written again."
	riskKept      = "mail to an address that is not written again is refused"
	permanentKept = "the mailbox would lose its addresses"
)

var mailboxAddresses = Exchange.Declare(Kind{
	Noun:       "MailboxAddresses",
	Title:      "Addresses of a mailbox that came back",
	Why:        whyKept,
	Places:     []string{OnPremises},
	Properties: keptProperties(),
	Risk:       riskKept,
	Permanent:  permanentKept,
}, kept{Cmdlets{Verbs: Set, Of: "Mailbox", Get: map[string]any{"ResultSize": "Unlimited"}}})

var remoteMailboxAddresses = Exchange.Declare(Kind{
	Noun:       "RemoteMailboxAddresses",
	Title:      "Addresses of a remote mailbox that came back",
	Why:        whyKept,
	Places:     []string{OnPremises},
	Properties: keptProperties(),
	Risk:       riskKept,
	Permanent:  permanentKept,
}, kept{Cmdlets{Verbs: Set, Of: "RemoteMailbox", Get: map[string]any{"ResultSize": "Unlimited"}}})

// kept are Cmdlets without a removal.
type kept struct{ Cmdlets }

// For makes the operations.
func (k kept) For(kind *Kind) change.Ops[exchange.Reader] {
	ops := k.Cmdlets.For(kind)
	ops.Delete = nil
	return ops
}

// proxies is a set of addresses with their prefixes: SMTP in capital letters is the primary one.
var proxies = Type{Name: "set of addresses", Read: readTexts, Compare: containsAll(func(a string) string { return a }),
	List: true, Script: "SettingList"}

var impersonationRole = AmazonWorkMail.Declare(Kind{
	Noun:  "ImpersonationRole",
	Title: "Impersonation role",
	Why: "Lets hybridge count the folders of mailboxes in WorkMail without the passwords of their users. It may only " +
		"read, and is removed at the end of the way out.",
	Places: []string{WorkMail},
	Properties: map[string]Property{
		"Name": {Type: text, Write: change.Key},
		"Type": {Type: text, Write: change.CreateOnly},
	},
	Risk: "IAM principals with workmail:AssumeImpersonationRole can read every mailbox of the organization while it " +
		"exists",
}, change.Ops[fact.WorkMailAPI]{
	Read: func(ctx context.Context, api fact.WorkMailAPI) ([]change.Live, error) {
		roles, err := api.Roles(ctx)
		var out []change.Live
		for _, r := range roles {
			out = append(out, change.Live{Identity: r.ID, Name: r.Name,
				Properties: change.Properties{"Name": r.Name, "Type": r.Type}})
		}
		return out, err
	},
	Create: func(_ string, want change.Properties) (change.Command, error) {
		return change.Command{Name: "CreateImpersonationRole", Parameters: map[string]any{"Name": want["Name"],
			"Type": want["Type"], "Rules": []any{map[string]any{"ImpersonationRuleId": "everyone",
				"Effect": "ALLOW"}}}}, nil
	},
	Delete: func(live change.Live) (change.Command, error) {
		return change.Command{Name: "DeleteImpersonationRole", Parameters: map[string]any{
			"ImpersonationRoleId": live.Identity}}, nil
	},
	Find:   func(change.Change) change.Command { return change.Command{Name: "ListImpersonationRoles"} },
	Reads:  []string{"workmail:ListImpersonationRoles"},
	Writes: []string{"workmail:CreateImpersonationRole", "workmail:DeleteImpersonationRole"},
})

var mailboxExport = AmazonWorkMail.Declare(Kind{
	Noun:  "MailboxExport",
	Title: "Export of a mailbox",
	Why: "WorkMail writes mail and calendar of a mailbox as MIME into an encrypted object of S3. It exports no " +
		"contacts, tasks or notes, and not the state of one moment.",
	Places: []string{WorkMail},
	Properties: map[string]Property{
		"EntityId":     {Type: text, Write: change.Key},
		"S3BucketName": {Type: text, Write: change.Key},
		"S3Prefix":     {Type: text, Write: change.CreateOnly},
		"RoleArn":      {Type: text, Write: change.CreateOnly},
		"KmsKeyArn":    {Type: text, Write: change.CreateOnly},
	},
	Risk:      "whoever may read the bucket and use the key can read the mailbox",
	Permanent: "a job that has begun is stopped in the console or with: aws workmail cancel-mailbox-export-job",
}, change.Ops[fact.WorkMailAPI]{
	Read: func(ctx context.Context, api fact.WorkMailAPI) ([]change.Live, error) {
		jobs, err := api.Exports(ctx)
		var out []change.Live
		for _, j := range jobs {
			again := slices.ContainsFunc(out, func(l change.Live) bool { return l.Name == j.Entity })
			if !again && (j.State == "RUNNING" || j.State == "COMPLETED") {
				out = append(out, change.Live{Identity: j.ID, Name: j.Entity,
					Properties: change.Properties{"EntityId": j.Entity, "S3BucketName": j.Bucket}})
			}
		}
		return out, err
	},
	Create: func(_ string, want change.Properties) (change.Command, error) {
		return change.Command{Name: "StartMailboxExportJob", Parameters: map[string]any{"EntityId": want["EntityId"],
			"S3BucketName": want["S3BucketName"], "S3Prefix": want["S3Prefix"], "RoleArn": want["RoleArn"],
			"KmsKeyArn": want["KmsKeyArn"]}}, nil
	},
	Find:   func(change.Change) change.Command { return change.Command{Name: "ListMailboxExportJobs"} },
	Reads:  []string{"workmail:ListMailboxExportJobs"},
	Writes: []string{"workmail:StartMailboxExportJob", "iam:PassRole"},
})

var workMailRegistration = AmazonWorkMail.Declare(Kind{
	Noun:   "WorkMailRegistration",
	Title:  "Registration to WorkMail that ends",
	Why:    "A user or group that has left WorkMail is deregistered. The account in the directory stays.",
	Places: []string{WorkMail},
	Properties: map[string]Property{
		"Email": {Type: text, Write: change.Key},
	},
	Risk: "the user loses the mailbox in WorkMail, which is deleted after 30 days",
	Permanent: "register again by hand within 30 days to get the mailbox back: " +
		"aws workmail register-to-work-mail",
}, change.Ops[fact.WorkMailAPI]{
	Read: func(ctx context.Context, api fact.WorkMailAPI) ([]change.Live, error) {
		users, err := api.Users(ctx)
		if err != nil {
			return nil, err
		}
		groups, err := api.Groups(ctx)
		var out []change.Live
		for _, one := range append(users, groups...) {
			if one.Enabled() {
				out = append(out, change.Live{Identity: one.ID, Name: one.Email,
					Properties: change.Properties{"Email": strings.ToLower(one.Email)}})
			}
		}
		return out, err
	},
	Delete: func(live change.Live) (change.Command, error) {
		return change.Command{Name: "DeregisterFromWorkMail",
			Parameters: map[string]any{"EntityId": live.Identity}}, nil
	},
	Find:   func(change.Change) change.Command { return change.Command{Name: "ListUsers"} },
	Reads:  []string{"workmail:ListUsers", "workmail:ListGroups"},
	Writes: []string{"workmail:DeregisterFromWorkMail"},
})

var defaultMailDomain = AmazonWorkMail.Declare(Kind{
	Noun:  "DefaultMailDomain",
	Title: "Default mail domain in WorkMail",
	Why: "WorkMail keeps a domain as long as it is the default one. The domain of WorkMail itself takes its " +
		"place.",
	Places:     []string{WorkMail},
	Match:      func(change.Properties, change.Live) bool { return true }, // there is one
	Recognizes: "$true",
	Properties: map[string]Property{
		"DomainName": {Type: text},
	},
	Risk: "new users of WorkMail get addresses in the domain of WorkMail",
}, change.Ops[fact.WorkMailAPI]{
	Read: func(ctx context.Context, api fact.WorkMailAPI) ([]change.Live, error) {
		domains, err := api.Domains(ctx)
		var out []change.Live
		for _, d := range domains {
			if d.Default {
				out = append(out, change.Live{Identity: "default", Name: d.Name,
					Properties: change.Properties{"DomainName": strings.ToLower(d.Name)}})
			}
		}
		return out, err
	},
	Update: func(want change.Properties, _ change.Live) (change.Command, error) {
		return change.Command{Name: "UpdateDefaultMailDomain", Parameters: map[string]any{
			"DomainName": want["DomainName"]}}, nil
	},
	Find:   func(change.Change) change.Command { return change.Command{Name: "ListMailDomains"} },
	Reads:  []string{"workmail:ListMailDomains"},
	Writes: []string{"workmail:UpdateDefaultMailDomain"},
})
