package desired

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/estate/workmail"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// The consents to create an organization in WorkMail, and to delete it in a rollback.
const (
	AcceptEndOfSupport       = "workmail-end-of-support"
	AcceptDeleteOrganization = "workmail-delete-organization"
)

// workMailCreation is about the account alone: an organization that does not exist cannot be asked.
// What belongs into the organization waits until it is active.
var workMailCreation = &Topic{
	ID:       "workmail-organization",
	Title:    "The organization in WorkMail",
	Features: workMailFeatures,
	Cloud:    fact.AtWorkMail,
	Kinds:    []*Kind{workMailOrganization},
	Reads:    fact.List(fact.WorkMailNamed, fact.WorkMailConnector),
	Derive: func(ctx context.Context, p *Planner) error {
		wanted := p.Answers.WorkMail
		if wanted.Directory == "" {
			return nil
		}
		if err := p.inService(); err != nil {
			return err
		}
		named, err := fact.WorkMailNamed.In(ctx, p.set.WorkMail)
		if err != nil {
			return err
		}
		token := sha256.New()
		fmt.Fprintln(token, wanted.Region, wanted.Organization, wanted.Directory)
		live := -1
		for i, o := range named {
			if !o.Gone() {
				live = i
				continue
			}
			fmt.Fprintln(token, o.ID) // another organization than one that was deleted
		}
		switch {
		case live < 0:
			if err := p.connector(ctx); err != nil {
				return err
			}
			p.Note(msg.Of("WorkMail has taken no new customers since %s, and ends on %s, in %s days: what is created "+
				"now has to leave it by then", workmail.NewCustomersEnd.Format(time.DateOnly), lastDay(),
				msg.Number(workmail.DaysLeft(p.day()))))
		case named[live].Arising():
			return nil // workMail says so
		case named[live].State != "Active":
			return notReady{fmt.Sprintf("organization %s in WorkMail is %s: %s; AWS Support helps, or delete it: aws "+
				"workmail delete-organization --organization-id %s --no-delete-directory", named[live].Alias,
				strings.ToLower(named[live].State), cmpOr(named[live].Problem, "AWS gives no reason"), named[live].ID)}
		}
		var domains []string
		for _, f := range p.set.Forests {
			if f.Answers.WorkMail != nil {
				domains = append(domains, lower(f.Answers.Domains)...)
			}
		}
		p.Add(workMailOrganization, PlaceWorkMail, wanted.Organization, wanted.Organization,
			msg.Of("the answers file names its directory (workmail.directory), and the account has no organization "+
				"with the alias in %s", wanted.Region),
			change.Properties{"Alias": wanted.Organization, "DirectoryId": wanted.Directory,
				"EnableInteroperability": true, "Domains": domains[:min(len(domains), mostNewDomains)],
				"ClientToken": hex.EncodeToString(token.Sum(nil)[:16]), "State": "Active"})
		return nil
	},
}

// mostNewDomains is how many domains an organization is created with. Others are added when it is
// active.
const mostNewDomains = 5

func lastDay() string { return workmail.EndOfSupport.AddDate(0, 0, -1).Format(time.DateOnly) }

// connector refuses a directory that WorkMail would refuse.
func (p *Planner) connector(ctx context.Context) error {
	wanted := p.Answers.WorkMail
	d, err := fact.WorkMailConnector.In(ctx, p.set.WorkMail, wanted.Directory)
	switch {
	case errors.Is(err, workmail.ErrNotFound):
		return refuse("workmail.directory: the account has no directory %s in %s", wanted.Directory, wanted.Region)
	case err != nil:
		return err
	case d.Stage != "Active":
		return notReady{fmt.Sprintf("AD Connector %s is %s: %s (AWS Directory Service > Directories)", d.ID,
			strings.ToLower(d.Stage), cmpOr(d.Reason, "AWS gives no reason"))}
	}
	if why := NoOrganizationWith(d, wanted.Organization); !why.IsZero() {
		return refuse("workmail.directory: %s", why.String())
	}
	return nil
}

// NoOrganizationWith says why no organization with an alias can be created with a directory; zero: it can.
func NoOrganizationWith(d workmail.Directory, alias string) msg.Text {
	switch {
	case d.Type != "ADConnector":
		return msg.Of("directory %s is of type %s; interoperability needs an AD Connector", d.ID, d.Type)
	case d.Alias == "", strings.EqualFold(d.Alias, d.ID):
		return msg.Of("AD Connector %s has no alias, and an organization takes the alias of its directory; once given, "+
			"it cannot be changed: aws ds create-alias --directory-id %s --alias %s", d.ID, d.ID, alias)
	case !strings.EqualFold(d.Alias, alias):
		return msg.Of("AD Connector %s has the alias %s, and its organization can have no other one than that", d.ID,
			d.Alias)
	}
	return msg.Text{}
}

var workMailOrganization = AmazonWorkMail.Declare(Kind{
	Noun:  "WorkMailOrganization",
	Title: "Organization in WorkMail",
	Why: "Users of an on-premises directory have mailboxes in an organization of WorkMail, which reads the directory " +
		"through an AD Connector. Interoperability with Exchange is chosen when it is created, and never later.",
	Places: []string{WorkMail},
	Properties: map[string]Property{
		"Alias":                  {Type: text, Write: change.Key},
		"DirectoryId":            {Type: text, Write: change.CreateOnly},
		"EnableInteroperability": {Type: boolean, Write: change.CreateOnly},
		"Domains":                {Type: domains, Write: change.CreateOnly},
		// The same for the same organization: AWS carries a repeated request out once.
		"ClientToken": {Type: text, Write: change.CreateOnly},
		"State":       {Type: text, Derived: true},
	},
	Risk: "WorkMail ends on 2027-03-31 with all mailboxes, and the alias and the directory belong to the organization " +
		"until it is deleted",
	Consents: map[change.Action]change.Consent{change.Create: {ID: AcceptEndOfSupport,
		Title: "create an organization in Amazon WorkMail, which ends on 2027-03-31", Ends: workmail.EndOfSupport}},
	Undo: &change.Consent{ID: AcceptDeleteOrganization,
		Title: "delete the organization in Amazon WorkMail that a run created, with its mailboxes; nothing brings it " +
			"back"},
	// The provider of terraform waits for ten minutes.
	Patience: 30 * time.Minute,
}, change.Ops[fact.WorkMailAPI]{
	Read: func(ctx context.Context, api fact.WorkMailAPI) ([]change.Live, error) {
		named, err := api.Named(ctx)
		var out []change.Live
		for _, o := range named {
			if !o.Gone() {
				out = append(out, change.Live{Identity: o.ID, Name: o.Alias,
					Properties: change.Properties{"Alias": o.Alias, "State": o.State}})
			}
		}
		return out, err
	},
	Create: func(_ string, want change.Properties) (change.Command, error) {
		var domains []any
		for _, d := range texts(want["Domains"]) {
			domains = append(domains, map[string]any{"DomainName": d})
		}
		return change.Command{Name: "CreateOrganization", Parameters: map[string]any{"Alias": want["Alias"],
			"DirectoryId": want["DirectoryId"], "EnableInteroperability": want["EnableInteroperability"],
			"Domains": domains, "ClientToken": want["ClientToken"]}}, nil
	},
	// Nothing changes one. Without this, one that differs would be deleted and made again.
	Update: func(change.Properties, change.Live) (change.Command, error) {
		return change.Command{}, change.ErrNoOperation
	},
	// The users of an organization that is in use keep it: ForceDelete would delete their mailboxes.
	Delete: func(live change.Live) (change.Command, error) {
		return change.Command{Name: "DeleteOrganization", Parameters: map[string]any{
			"OrganizationId": live.Identity, "DeleteDirectory": false}}, nil
	},
	Find:   func(change.Change) change.Command { return change.Command{Name: "ListOrganizations"} },
	Reads:  []string{"workmail:ListOrganizations"},
	Writes: []string{"workmail:CreateOrganization", "workmail:DeleteOrganization"},
})
