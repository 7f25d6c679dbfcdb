package desired

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/estate/workmail"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// WorkMail is the sort of places that the organization of Amazon WorkMail is, and PlaceWorkMail the
// place.
const (
	WorkMail      = "workmail"
	PlaceWorkMail = WorkMail
)

// WorkMailWriter is an organization of WorkMail that can be changed; *workmail.Client is one.
type WorkMailWriter interface {
	fact.WorkMailAPI
	Run(ctx context.Context, operation string, parameters map[string]any) error
}

// AmazonWorkMail is WorkMail as a system. Its commands are operations of its API.
var AmazonWorkMail = &change.System[fact.WorkMailAPI, WorkMailWriter]{
	Reading: func(api WorkMailWriter) fact.WorkMailAPI { return api },
	Family: change.Family{
		ID: "workmail", Title: "Amazon WorkMail",
		Places: []change.PlaceSort{{Name: WorkMail, Title: "Amazon WorkMail", Step: 30, Use: func(string) []string {
			return []string{
				"Run with the AWS CLI, as an IAM principal with the actions of the plan (AmazonWorkMailFullAccess " +
					"has them).",
				"Passwords are read from files or typed; no command line holds one.",
			}
		}}},
		Script: change.Script{Language: shellLanguage},
	},
	Run: func(ctx context.Context, api WorkMailWriter, c change.Command) (change.Properties, error) {
		return nil, api.Run(ctx, c.Name, c.Parameters)
	},
}

// workMailFeatures are the features that need WorkMail: it has none but free/busy.
var workMailFeatures = []answers.Feature{answers.FreeBusy}

// workMailForest reports whether the forest takes part in the interoperability with WorkMail.
func (p *Planner) workMailForest() bool { return p.Forest.Answers.WorkMail != nil }

// workMail returns the organization. It refuses one that cannot be connected with Exchange, and all
// of them once the service has ended.
func (p *Planner) workMail(ctx context.Context) (workmail.Organization, error) {
	if err := p.inService(); err != nil {
		return workmail.Organization{}, err
	}
	o, err := fact.WorkMailOrganization.In(ctx, p.set.WorkMail)
	switch {
	case errors.Is(err, workmail.ErrNotFound) && p.Answers.WorkMail.Directory != "":
		return o, waiting{msg.Of("the organization comes first: plan again when it is active")}
	case errors.Is(err, workmail.ErrNotFound):
		return o, notReady{fmt.Sprintf("%v. hybridge creates one where the answers file names its AD Connector "+
			"(workmail.directory): WorkMail has taken no new customers since %s, and ends in %s", err,
			workmail.NewCustomersEnd.Format(time.DateOnly),
			msg.Plural(workmail.DaysLeft(p.day()), "%d day", "%d days"))}
	case err != nil:
		return o, err
	case o.Arising():
		return o, waiting{msg.Of("organization %s in WorkMail is %s: plan again when it is active", o.Alias,
			strings.ToLower(o.State))}
	case o.State != "Active":
		return o, notReady{fmt.Sprintf("organization %s in WorkMail is %s", o.Alias, strings.ToLower(o.State))}
	case !o.Interoperability:
		return o, notReady{fmt.Sprintf("organization %s in WorkMail has no interoperability with Exchange (check "+
			"workmail.interoperability)", o.Alias)}
	}
	return o, nil
}

// inService refuses every plan once the service has ended.
func (p *Planner) inService() error {
	if p.day().Before(workmail.EndOfSupport) {
		return nil
	}
	return refuse("Amazon WorkMail has ended on %s: its console, its API and all mailboxes are gone",
		workmail.EndOfSupport.AddDate(0, 0, -1).Format(time.DateOnly))
}

// waiting says that a topic is planned later. It is no fault.
type waiting struct{ text msg.Text }

func (w waiting) Error() string { return w.text.String() }

// ErrNotReady says that a system is known, and cannot take what should exist in it.
var ErrNotReady error = notReady{}

type notReady struct{ text string }

func (n notReady) Error() string { return n.text }

// Is makes every notReady an ErrNotReady. Nothing is planned on it, as on what cannot be read.
func (n notReady) Is(target error) bool {
	return target == ErrNotReady || target == change.ErrUnreadable
}

var workMailDomains = &Topic{
	ID:        "workmail-domains",
	Title:     "Mail domains in WorkMail",
	Features:  workMailFeatures,
	Cloud:     fact.AtWorkMail,
	PerForest: true,
	Kinds:     []*Kind{workMailDomain},
	Reads:     fact.List(fact.WorkMailOrganization, fact.WorkMailDirectory),
	Derive: func(ctx context.Context, p *Planner) error {
		if !p.workMailForest() {
			return nil
		}
		if _, err := p.workMail(ctx); err != nil {
			return err
		}
		if left, err := p.everyoneLeft(ctx); left || err != nil {
			return err
		}
		domains, err := p.domains()
		if err != nil {
			return err
		}
		for _, d := range domains {
			p.Add(workMailDomain, PlaceWorkMail, d, d,
				msg.Of("users of %s in WorkMail have addresses in it; publish the TXT record that WorkMail names, "+
					"and leave "+
					"MX and autodiscover on Exchange", p.Forest.Name()), change.Properties{"DomainName": d})
		}
		return nil
	},
}

var workMailDomain = AmazonWorkMail.Declare(Kind{
	Noun:   "WorkMailDomain",
	Title:  "Mail domain in WorkMail",
	Why:    "WorkMail delivers mail for a domain, and takes users with addresses in it, when it is added and verified.",
	Places: []string{WorkMail},
	Properties: map[string]Property{
		"DomainName": {Type: text, Write: change.Key},
	},
	Risk: "an organization in another AWS account cannot have the domain at the same time",
}, change.Ops[fact.WorkMailAPI]{
	Read: func(ctx context.Context, api fact.WorkMailAPI) ([]change.Live, error) {
		domains, err := api.Domains(ctx)
		var out []change.Live
		for _, d := range domains {
			out = append(out, change.Live{Identity: d.Name, Name: d.Name,
				Properties: change.Properties{"DomainName": strings.ToLower(d.Name)}})
		}
		return out, err
	},
	Create: func(_ string, want change.Properties) (change.Command, error) {
		return change.Command{Name: "RegisterMailDomain",
			Parameters: map[string]any{"DomainName": want["DomainName"]}}, nil
	},
	Delete: func(live change.Live) (change.Command, error) {
		return change.Command{Name: "DeregisterMailDomain",
			Parameters: map[string]any{"DomainName": live.Identity}}, nil
	},
	Find:   func(change.Change) change.Command { return change.Command{Name: "ListMailDomains"} },
	Reads:  []string{"workmail:ListMailDomains"},
	Writes: []string{"workmail:RegisterMailDomain", "workmail:DeregisterMailDomain"},
})

var workMailUsers = &Topic{
	ID:       "workmail-users",
	Title:    "Users and groups of WorkMail",
	Features: workMailFeatures,
	Cloud:    fact.AtWorkMail,
	Kinds:    []*Kind{workMailUser, workMailGroup},
	Reads: fact.List(fact.WorkMailOrganization, fact.WorkMailDomain, fact.WorkMailUsers, fact.WorkMailGroups,
		fact.Recipients),
	Derive: func(ctx context.Context, p *Planner) error {
		wanted := p.Answers.WorkMail
		if wanted.IsLeaving() || len(wanted.Users)+len(wanted.Groups) == 0 {
			return nil
		}
		if _, err := p.workMail(ctx); err != nil {
			return err
		}
		for _, l := range []struct {
			kind      *Kind
			addresses []string
		}{{workMailUser, wanted.Users}, {workMailGroup, wanted.Groups}} {
			for _, address := range l.addresses {
				account, err := p.account(ctx, address)
				if err != nil {
					return err
				}
				_, domain, _ := strings.Cut(strings.ToLower(address), "@")
				if proof, err := p.unproved(ctx, domain); err != nil {
					return err
				} else if !proof.IsZero() {
					if registered, err := p.registered(ctx, address); err != nil {
						return err
					} else if !registered {
						p.wait("workmail-users", address, proof)
						continue
					}
				}
				p.Add(l.kind, PlaceWorkMail, strings.ToLower(address), address,
					msg.Of("the answers file lists it (workmail.users, workmail.groups)"),
					change.Properties{"Email": strings.ToLower(address), "EntityId": account},
					One(workMailDomain, PlaceWorkMail, domain))
			}
		}
		return nil
	},
}

// unproved says what is missing before WorkMail takes users with addresses in a domain.
func (p *Planner) unproved(ctx context.Context, domain string) (msg.Text, error) {
	d, err := fact.WorkMailDomain.In(ctx, p.set.WorkMail, domain)
	switch {
	case errors.Is(err, workmail.ErrNotFound):
		return msg.Of("its domain %s comes first: WorkMail names a TXT record then, and takes users once it is "+
			"published (hybridge check --only workmail.domains)", domain), nil
	case err != nil:
		return msg.Text{}, err
	case d.Ownership == "VERIFIED" || d.Test:
		return msg.Text{}, nil
	}
	record := "_amazonses." + domain
	for _, r := range d.Records {
		if r.Type == "TXT" {
			record = r.Host + " " + r.Value
		}
	}
	return msg.Of("its domain %s is not verified in WorkMail (%s): publish TXT %s, and plan again when WorkMail has "+
		"seen it, within 72 hours", domain, strings.ToLower(d.Ownership), record), nil
}

// registered reports whether a user or group with the address is registered to WorkMail.
func (p *Planner) registered(ctx context.Context, address string) (bool, error) {
	for _, list := range []*fact.Query[[]workmail.Entity]{fact.WorkMailUsers, fact.WorkMailGroups} {
		entities, err := list.In(ctx, p.set.WorkMail)
		if err != nil || slices.ContainsFunc(entities, func(e workmail.Entity) bool {
			return e.Enabled() && strings.EqualFold(e.Email, address)
		}) {
			return err == nil, err
		}
	}
	return false, nil
}

// anyone reports whether a user is registered to WorkMail, or can be now.
func (p *Planner) anyone(ctx context.Context) (bool, error) {
	users, err := fact.WorkMailUsers.In(ctx, p.set.WorkMail)
	if err != nil || slices.ContainsFunc(users, func(u workmail.Entity) bool { return u.Enabled() && u.Person() }) {
		return err == nil, err
	}
	for _, address := range p.Answers.WorkMail.Users {
		_, domain, _ := strings.Cut(strings.ToLower(address), "@")
		if proof, err := p.unproved(ctx, domain); err != nil || proof.IsZero() {
			return err == nil, err
		}
	}
	return len(p.Answers.WorkMail.Users) == 0, nil
}

// account returns the name under which WorkMail knows a recipient before it is registered: that of
// its account in the directory.
func (p *Planner) account(ctx context.Context, address string) (string, error) {
	_, domain, _ := strings.Cut(strings.ToLower(address), "@")
	for _, forest := range p.set.Forests {
		if forest.Answers.WorkMail == nil || !slices.Contains(lower(forest.Answers.Domains), domain) {
			continue
		}
		r, err := fact.Recipients.In(ctx, forest, address)
		switch {
		case err != nil:
			return "", fmt.Errorf("forest %s: %s: %w", forest.Name(), address, err)
		case strings.HasPrefix(r.Kind, "Room"), strings.HasPrefix(r.Kind, "Equipment"),
			strings.HasPrefix(r.Kind, "RemoteRoom"), strings.HasPrefix(r.Kind, "RemoteEquipment"):
			return "", refuse("workmail.users: %s is a resource: WorkMail cannot enable resources in "+
				"interoperability mode; "+
				"it stays in Exchange, and WorkMail users see it as a user", address)
		case !strings.EqualFold(r.Primary, address):
			return "", refuse("workmail.users: %s is not the primary address of its user, which is %s: WorkMail "+
				"takes the "+
				"primary address alone", address, r.Primary)
		case r.Account == "":
			return "", missing("account of "+address, "forest "+forest.Name())
		}
		return r.Account, nil
	}
	return "", refuse("workmail.users: %s is in no domain of a forest with a section workmail", address)
}

// entities are users and groups: both are registered and deregistered in the same way.
type entities struct {
	list string
	read func(fact.WorkMailAPI, context.Context) ([]workmail.Entity, error)
}

// For makes the operations.
func (e entities) For(*Kind) change.Ops[fact.WorkMailAPI] {
	return change.Ops[fact.WorkMailAPI]{
		Read: func(ctx context.Context, api fact.WorkMailAPI) ([]change.Live, error) {
			found, err := e.read(api, ctx)
			var out []change.Live
			for _, one := range found {
				if one.Enabled() {
					out = append(out, change.Live{Identity: one.ID, Name: cmp.Or(one.Email, one.Name),
						Properties: change.Properties{"Email": strings.ToLower(one.Email), "EntityId": one.Name}})
				}
			}
			return out, err
		},
		Create: func(_ string, want change.Properties) (change.Command, error) {
			return change.Command{Name: "RegisterToWorkMail", Parameters: map[string]any{
				"EntityId": want["EntityId"], "Email": want["Email"]}}, nil
		},
		Find:   func(change.Change) change.Command { return change.Command{Name: e.list} },
		Reads:  []string{"workmail:" + e.list},
		Writes: []string{"workmail:RegisterToWorkMail"},
	}
}

// entityProperties are what WorkMail shows of a user or group. EntityId is the account in the
// directory: WorkMail knows no address before the registration.
var entityProperties = map[string]Property{
	"Email":    {Type: text, Write: change.Key},
	"EntityId": {Type: text, Write: change.CreateOnly},
}

const staysRegistered = "deregistering would remove the mailbox with what arrived since; deregister by hand when " +
	"that is wanted"

var workMailUser = AmazonWorkMail.Declare(Kind{
	Noun:       "WorkMailUser",
	Title:      "User of WorkMail",
	Why:        "A user of the directory gets a mailbox in WorkMail when it is registered with its primary address.",
	Places:     []string{WorkMail},
	Properties: entityProperties,
	Risk:       "WorkMail bills each registered user, and ends on 2027-03-31 with all mailboxes",
	Permanent:  staysRegistered,
}, entities{"ListUsers", fact.WorkMailAPI.Users})

var workMailGroup = AmazonWorkMail.Declare(Kind{
	Noun:       "WorkMailGroup",
	Title:      "Group of WorkMail",
	Why:        "A group of the directory gets mail in WorkMail when it is registered.",
	Places:     []string{WorkMail},
	Properties: entityProperties,
	Risk:       "WorkMail ends on 2027-03-31",
	Permanent:  staysRegistered,
}, entities{"ListGroups", fact.WorkMailAPI.Groups})

var workMailLookups = &Topic{
	ID:        "workmail-lookups",
	Title:     "Free/busy between Exchange and WorkMail",
	Features:  workMailFeatures,
	Cloud:     fact.AtWorkMail,
	PerForest: true,
	Kinds:     []*Kind{availabilityConfiguration, availabilityAddressSpace},
	Reads: fact.List(fact.WorkMailOrganization, fact.WorkMailUsers, fact.WorkMailDomain, fact.Recipients,
		fact.WorkMailIdentityMode, fact.EWSHosts, fact.Organization),
	Derive: func(ctx context.Context, p *Planner) error {
		provider := p.Forest.Answers.WorkMail
		if provider == nil {
			return nil
		}
		organization, err := p.workMail(ctx)
		if err != nil {
			return err
		}
		if left, err := p.everyoneLeft(ctx); left || err != nil {
			return err
		}
		if someone, err := p.anyone(ctx); err != nil {
			return err
		} else if !someone {
			return waiting{msg.Of("WorkMail takes no availability configuration before a user is registered")}
		}
		domains, err := p.domains()
		if err != nil {
			return err
		}
		forest := p.Forest.Name()
		properties := change.Properties{"LambdaArn": provider.Lambda, "EwsEndpoint": nil, "EwsUsername": nil}
		if provider.Lambda == "" {
			properties = change.Properties{"LambdaArn": nil, "EwsEndpoint": EWSAddress(p.Forest),
				"EwsUsername": provider.User, "EwsPassword": change.SecretRef{Ref: string(provider.Password)}}
		}
		properties["SignsIn"] = true
		for _, d := range domains {
			p.Add(availabilityConfiguration, PlaceWorkMail, d, d,
				msg.Of("WorkMail asks %s for the calendars of %s", forest, d),
				with(properties, change.Properties{"DomainName": d}),
				append(All(PlaceWorkMail, workMailUser), One(workMailDomain, PlaceWorkMail, d))...)
		}
		account := p.Answers.WorkMail.Account
		if account == nil {
			return missing("service account of WorkMail (workmail.account)", "answers file")
		}
		// The account signs in by the name that the directory gives it.
		name, err := p.account(ctx, account.User)
		if err != nil {
			return err
		}
		user := organization.TestDomain() + `\` + name
		p.Add(availabilityAddressSpace, p.at(), organization.TestDomain(), organization.TestDomain(),
			msg.Of("%s asks WorkMail for the calendars of users who were moved there", forest),
			change.Properties{"ForestName": organization.TestDomain(), "AccessMethod": "OrgWideFB", "UserName": user,
				"Credentials": map[string]any{"UserName": user,
					"Password": change.SecretRef{Ref: string(account.Password)}}})
		return nil
	},
}

// signsIn is satisfied unless WorkMail refused the stored password. What else may fail in a test of
// the provider is no reason to write it again.
var signsIn = Type{
	Name: "Boolean, false when the stored password is refused", Script: "Boolean",
	Compare: func(want, live any) bool { return want != true || live != false },
}

var availabilityConfiguration = AmazonWorkMail.Declare(Kind{
	Noun:  "AvailabilityConfiguration",
	Title: "Availability configuration",
	Why: "Says how WorkMail looks up calendars of a domain whose mailboxes are in Exchange: its EWS address with an " +
		"account, or a Lambda function. WorkMail shows no password: whether the stored one still works is seen by a " +
		"test, which signs in at Exchange.",
	Places: []string{WorkMail},
	Properties: map[string]Property{
		"DomainName":  {Type: text, Write: change.Key},
		"EwsEndpoint": {Type: address},
		"EwsUsername": {Type: text},
		"EwsPassword": {Type: text},
		"LambdaArn":   {Type: text},
		"SignsIn":     {Type: signsIn, Derived: true},
	},
	Risk: "WorkMail asks for the calendars of the whole domain in this way",
}, change.Ops[fact.WorkMailAPI]{
	Read: readAvailability,
	Create: func(_ string, want change.Properties) (change.Command, error) {
		return provide("CreateAvailabilityConfiguration", want)
	},
	Update: func(want change.Properties, live change.Live) (change.Command, error) {
		all := maps.Clone(live.Properties)
		maps.Copy(all, want)
		return provide("UpdateAvailabilityConfiguration", all)
	},
	Delete: func(live change.Live) (change.Command, error) {
		return change.Command{Name: "DeleteAvailabilityConfiguration", Parameters: map[string]any{
			"DomainName": live.Identity}}, nil
	},
	Find:  func(change.Change) change.Command { return change.Command{Name: "ListAvailabilityConfigurations"} },
	Reads: []string{"workmail:ListAvailabilityConfigurations", "workmail:TestAvailabilityConfiguration"},
	Writes: []string{"workmail:CreateAvailabilityConfiguration", "workmail:UpdateAvailabilityConfiguration",
		"workmail:DeleteAvailabilityConfiguration"},
})

// readAvailability reads the configurations, and tests each provider that signs in with a password.
func readAvailability(ctx context.Context, api fact.WorkMailAPI) ([]change.Live, error) {
	list, err := api.Availabilities(ctx)
	if err != nil {
		return nil, err
	}
	var out []change.Live
	for _, a := range list {
		l := change.Live{Identity: a.Domain, Name: a.Domain, Properties: change.Properties{
			"DomainName": strings.ToLower(a.Domain), "EwsEndpoint": readText(a.Endpoint),
			"EwsUsername": readText(a.User),
			"LambdaArn":   readText(a.Lambda)}}
		if a.Endpoint != "" {
			reason, passed, err := api.TestAvailability(ctx, a.Domain)
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			// Without the right to test, the password counts as good.
			if s := (fact.SignIn{Passed: passed, Reason: reason}); err == nil && (passed || s.Refused()) {
				l.Properties["SignsIn"] = passed
			}
		}
		out = append(out, l)
	}
	return out, nil
}

// errNoProvider says that a provider cannot be written. A rollback meets it where a function took
// the place of an EWS provider.
var errNoProvider = errors.New("an EWS provider is written with its password, which WorkMail does not show: name its " +
	"account and password in the answers file (forests[].workmail) and run hybridge apply")

// provide writes a provider, which replaces the one before as a whole.
func provide(operation string, p change.Properties) (change.Command, error) {
	parameters := map[string]any{"DomainName": p["DomainName"]}
	switch {
	case !nothing(p["LambdaArn"]):
		parameters["LambdaProvider"] = map[string]any{"LambdaArn": p["LambdaArn"]}
	case !nothing(p["EwsEndpoint"]) && p["EwsPassword"] != nil:
		parameters["EwsProvider"] = map[string]any{"EwsEndpoint": p["EwsEndpoint"], "EwsUsername": p["EwsUsername"],
			"EwsPassword": p["EwsPassword"]}
	default:
		return change.Command{}, errNoProvider
	}
	return change.Command{Name: operation, Parameters: parameters}, nil
}

var availabilityAddressSpace = Exchange.Declare(Kind{
	Noun:  "AvailabilityAddressSpace",
	Title: "Availability address space",
	Why: "Sends lookups for people of another forest to that forest, and lookups for users in WorkMail to WorkMail: " +
		"the forest name is the domain of their target addresses. " +
		"Sends those of servers older than Exchange 2013 Service Pack 1 for the tenant through a newer server. " +
		"Exchange has no cmdlet that changes one: one that differs is replaced, never doubled.",
	Places: []string{OnPremises},
	Properties: map[string]Property{
		"ForestName":   {Type: text, Write: change.Key},
		"AccessMethod": {Type: text},
		"UserName":     {Type: text, Derived: true},
		"Credentials":  {Type: text},
		// Of lookups between forests.
		"TargetAutodiscoverEpr": {Type: unlessElsewhere},
		// Of lookups through a newer server of the forest.
		"UseServiceAccount": {Type: boolean, Write: change.CreateOnly},
		"ProxyUrl":          {Type: address, Write: change.CreateOnly},
	},
	Risk: "lookups for this domain have no way between the removal and the creation of the address space",
}, Cmdlets{
	Verbs: Add | Remove,
	Adjust: func(c *change.Command) {
		if c.Parameters["UseServiceAccount"] == false {
			delete(c.Parameters, "UseServiceAccount") // as it is without
		}
	},
})
