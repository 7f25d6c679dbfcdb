package desired

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

// retires reports whether the answers retire something.
func (p *Planner) retires(r answers.Retired) bool { return slices.Contains(p.Answers.Retire, r) }

// Remove says that a resource should not exist. It is removed before what it needs and is removed too.
func (p *Planner) Remove(k *Kind, place, key, name string, reason msg.Text, properties change.Properties,
	needs ...Need) {
	p.Add(k, place, key, name, reason, properties, needs...)
	p.out[len(p.out)-1].Absent = true
}

// sharedKeys takes the auth certificates of forests away from the application that all Exchange
// organizations once shared. A certificate stays while its forest may still sign in with it.
var sharedKeys = &Topic{
	ID:       "shared-keys",
	Title:    "Auth certificates at the shared application",
	Features: allFeatures,
	Retires:  answers.RetireSharedKeys,
	Kinds:    []*Kind{sharedKey},
	Reads: fact.List(fact.SharedKeys, fact.Principal, fact.Auth, fact.AuthServers, fact.DedicatedApplication,
		fact.SettingOverrides,
		fact.MailboxServers, fact.Connectors, fact.OnlineAcceptedDomains),
	Derive: func(ctx context.Context, p *Planner) error {
		keys, err := p.sharedKeys(ctx)
		if err != nil || len(keys) == 0 {
			return p.unless(answers.RetireSharedKeys, err)
		}
		var kept []any
		var gone, named []string
		for _, credential := range keys {
			if end := credential.EndDateTime; end != nil && !end.After(p.day()) {
				continue // it opens nothing, and Graph takes no list that holds it
			}
			owner, forest, err := p.ownerOf(ctx, credential)
			if err != nil {
				return p.unless(answers.RetireSharedKeys, err)
			}
			title := cmp.Or(credential.Thumbprint(), "keyId "+credential.KeyID)
			var uses msg.Text
			if forest != nil {
				if uses, err = p.usesSharedKey(ctx, forest); err != nil {
					return p.unless(answers.RetireSharedKeys, err)
				}
			}
			switch {
			case forest == nil:
				p.Note(msg.Of("the key %s at the shared application is no auth certificate of a forest in the "+
					"answers: "+
					"it stays; find out whose it is", title))
			case !uses.IsZero() && p.retires(answers.RetireSharedKeys):
				p.wait(p.topic.ID, PlaceEntra,
					msg.Of("the key %s of %s stays at the shared application: %s", title, owner, uses))
			case !uses.IsZero():
			default:
				gone = append(gone, title+" of "+owner)
				continue
			}
			named = append(named, title)
			if len(credential.Key) == 0 && p.retires(answers.RetireSharedKeys) {
				return missing("certificate of the key "+title+" at the shared application, which stays: Graph takes "+
					"the list whole", p.tenant())
			}
			kept = append(kept, bareKey(base64.StdEncoding.EncodeToString(credential.Key)))
		}
		switch {
		case len(gone) == 0:
		case !p.retires(answers.RetireSharedKeys):
			p.Note(msg.Of("the shared application still holds auth certificates (%s), with which Exchange on-premises "+
				"can act as Exchange Online (CVE-2025-53786), and nothing uses them: when hybridge test shows every "+
				"lookup OK, plan with retire: [sharedKeys]", strings.Join(gone, ", ")))
		default:
			stay := msg.Of("no other key stays")
			if len(named) > 0 {
				stay = msg.Of("%s stay", strings.Join(named, ", "))
			}
			if kept == nil {
				kept = []any{}
			}
			p.Add(sharedKey, PlaceEntra, oauth.AppExchangeOnline, "Office 365 Exchange Online",
				msg.Of("lookups use the dedicated applications, and nothing uses these keys any more: %s; %s",
					strings.Join(gone, ", "), stay),
				change.Properties{"appId": oauth.AppExchangeOnline, "keyCredentials": kept})
			p.Note(msg.Of("of the shared application, only the named keys go: never remove its service principal, " +
				"its service principal names or its app roles, which lookups from the tenant need; Microsoft's " +
				"wizard puts the keys back when it configures OAuth"))
		}
		return nil
	},
}

// unless returns an error where the answers retire something. What would only be said is left
// unsaid when it is unknown.
func (p *Planner) unless(r answers.Retired, err error) error {
	if p.retires(r) {
		return err
	}
	return nil
}

// sharedKeys returns the keys at the shared application, with their certificates where these are
// needed.
func (p *Planner) sharedKeys(ctx context.Context) ([]entra.KeyCredential, error) {
	if p.retires(answers.RetireSharedKeys) {
		return fact.SharedKeys.In(ctx, p.set.Tenant)
	}
	principal, err := fact.Principal.In(ctx, p.set.Tenant, oauth.AppExchangeOnline)
	return principal.KeyCredentials, err
}

// ownerOf finds the forest whose auth certificate a key is.
func (p *Planner) ownerOf(ctx context.Context, key entra.KeyCredential) (string, *fact.Side, error) {
	for _, forest := range p.set.Forests {
		auth, err := fact.Auth.In(ctx, forest)
		if err != nil {
			return "", nil, err
		}
		if owner := fact.OwnerOf(key, forest.Name(), auth); owner != "" {
			return "forest " + owner, forest, nil
		}
	}
	return "", nil, nil
}

// usesSharedKey says why a forest may still sign in to the tenant as the shared application; zero
// when it does not.
func (p *Planner) usesSharedKey(ctx context.Context, forest *fact.Side) (msg.Text, error) {
	if p.Answers.Hybrid.IsLeaving() || !hybridApplication.wanted(p.Answers.Features) {
		coexistence, err := p.coexistence(ctx)
		if err != nil {
			return msg.Text{}, err
		}
		connectors, err := fact.Connectors.In(ctx, forest)
		if err != nil {
			return msg.Text{}, err
		}
		for _, c := range connectors {
			if slices.Contains(lower(c.Domains), coexistence) {
				return msg.Of("the intra-organization connector %s of %s sends lookups to the tenant, and the "+
					"features "+
					"of the answers have no dedicated application for them", c.Name, forest.Name()), nil
			}
		}
		return msg.Text{}, nil
	}
	app, err := fact.DedicatedApplication.In(ctx, forest)
	if err != nil {
		return msg.Text{}, err
	}
	servers, err := fact.AuthServers.In(ctx, forest)
	if err != nil {
		return msg.Text{}, err
	}
	bound := slices.ContainsFunc(servers, func(s fact.AuthServer) bool {
		return s.Enabled && strings.EqualFold(s.Type, "AzureAD") && app.AppID != "" &&
			strings.EqualFold(s.ApplicationIdentifier, app.AppID)
	})
	if !bound {
		return msg.Of("Exchange in %s does not sign in as its dedicated application yet", forest.Name()), nil
	}
	overrides, err := fact.SettingOverrides.In(ctx, forest)
	if err != nil {
		return msg.Text{}, err
	}
	mailbox, err := fact.MailboxServers.In(ctx, forest)
	if err != nil {
		return msg.Text{}, err
	}
	for _, s := range mailbox {
		found := fact.Overriding(overrides, dedicatedApplicationOverride.section, s)
		if len(found) != 1 || !found[0].On() {
			return msg.Of("server %s of %s does not use the dedicated application yet", s.Name, forest.Name()), nil
		}
	}
	return msg.Text{}, nil
}

// bareKey is a key in the only form that a service principal of Microsoft's takes.
func bareKey(certificate string) map[string]any {
	return map[string]any{"key": certificate, "type": "AsymmetricX509Cert", "usage": "Verify"}
}

// keySet is the set of keys of a principal of Microsoft's, in the form that it takes. Graph shows a
// certificate only where a single object is read.
var keySet = Type{
	Name: "set of keys, whole", List: true, Script: "KeySet",
	Read: func(v any) any {
		out := []any{}
		for _, e := range elements(v) {
			m, _ := e.(map[string]any)
			if str(m["key"]) == "" {
				return change.Unreadable{Reason: "Graph does not show the certificate of key " + str(m["keyId"])}
			}
			out = append(out, bareKey(str(m["key"])))
		}
		return out
	},
	Compare: func(want, live any) bool {
		certificates := func(v any) (out []string) {
			for _, e := range elements(v) {
				m, _ := e.(map[string]any)
				out = append(out, str(m["key"]))
			}
			slices.Sort(out)
			return out
		}
		return slices.Equal(certificates(want), certificates(live))
	},
}

var sharedKey = MicrosoftGraph.Declare(Kind{
	Noun:     "SharedKeys",
	Patience: entraPatience,
	Title:    "Keys of the shared application",
	Why: "Before the dedicated application, every Exchange organization signed in to the tenant as Exchange Online " +
		"itself, with its auth certificate at that service principal. Exchange Online refuses such lookups since " +
		"2025-10-31, and the holder of a key can still act as Exchange Online (CVE-2025-53786).",
	Places: []string{Entra},
	Properties: map[string]Property{
		"appId":          {Type: guid, Write: change.Key},
		"keyCredentials": {Type: keySet},
	},
	Risk: "it needs a Global Administrator; Graph takes the list whole, keys that have ended go for good, and a " +
		"rollback puts the others back under new ids",
	Consents: map[change.Action]change.Consent{change.Update: {ID: "shared-keys",
		Title: "remove auth certificates from the shared application of Exchange Online"}},
}, Collection{
	Path: "/servicePrincipals", Methods: Patch,
	Read: func(d Directory, ctx context.Context) ([]map[string]any, error) {
		found, err := d.List(ctx, "/servicePrincipals?"+entra.Filter("appId", oauth.AppExchangeOnline)+
			"&$select=id,appId,displayName")
		if err != nil {
			return nil, err
		}
		return each(found, func(o map[string]any) ([]map[string]any, error) {
			whole, err := d.Get(ctx, "/servicePrincipals/"+str(o["id"])+
				"?$select=id,appId,displayName,keyCredentials")
			if err != nil {
				return nil, err
			}
			day := d.day()
			whole["keyCredentials"] = slices.DeleteFunc(slices.Clone(elements(whole["keyCredentials"])),
				func(k any) bool { return fact.Ended(k, day) })
			return []map[string]any{whole}, nil
		})
	},
})

// workarounds removes setting overrides that an update has made unnecessary.
var workarounds = &Topic{
	ID:        "workarounds",
	Title:     "Setting overrides against faults that updates have fixed",
	Features:  allFeatures,
	PerForest: true,
	Retires:   answers.RetireWorkarounds,
	Kinds:     []*Kind{settingOverride},
	Reads:     fact.List(fact.SettingOverrides, fact.MailboxServers),
	Derive: func(ctx context.Context, p *Planner) error {
		overrides, err := fact.SettingOverrides.In(ctx, p.Forest)
		if err != nil {
			return p.unless(answers.RetireWorkarounds, err)
		}
		servers, err := fact.MailboxServers.In(ctx, p.Forest)
		if err != nil {
			return p.unless(answers.RetireWorkarounds, err)
		}
		for _, o := range overrides {
			w, stale := fact.Stale(o, servers)
			switch {
			case w.Name == "":
			case !stale && p.retires(answers.RetireWorkarounds):
				p.wait(p.topic.ID, p.at(), msg.Of("the setting override %s stays: not every server is known to have "+
					"the update that "+
					"replaces it", o.Name))
			case !stale:
			case !p.retires(answers.RetireWorkarounds):
				p.Note(msg.Of("the setting override %s is a workaround for %s, and every server has the update: plan "+
					"with retire: [workarounds] to remove it", o.Name, w.Fault))
			default:
				p.Remove(settingOverride, p.at(), "workaround:"+strings.ToLower(o.Name), o.Name,
					msg.Of("it is a workaround for %s, and every server has the update", w.Fault), limitsOf(o))
			}
		}
		return nil
	},
}

// limitsOf returns the properties by which an override is recognized.
func limitsOf(o fact.SettingOverride) change.Properties {
	properties := change.Properties{"Component": o.Component, "Section": o.Section}
	for name, value := range map[string]string{"MinVersion": o.MinVersion, "MaxVersion": o.MaxVersion} {
		if value != "" {
			properties[name] = value
		}
	}
	if len(o.Servers) > 0 {
		properties["Server"] = o.Servers
	}
	return properties
}

// movesOff closes MRSProxy where the answers want it closed and no mailbox is moved.
var movesOff = &Topic{
	ID:        "mrs-proxy-off",
	Title:     "MRSProxy is closed where no mailboxes are moved",
	Features:  allFeatures,
	PerForest: true,
	Retires:   answers.RetireMRSProxy,
	Kinds:     []*Kind{mailboxReplicationProxy},
	Reads: fact.List(fact.VirtualDirectories, fact.MoveRequests, fact.OnlineMoveRequests,
		fact.MigrationBatches),
	Derive: func(ctx context.Context, p *Planner) error {
		if wants(p.Answers.Features, answers.MoveMailbox) {
			return nil
		}
		directories, err := fact.VirtualDirectories.In(ctx, p.Forest)
		if err != nil {
			return p.unless(answers.RetireMRSProxy, err)
		}
		directories = slices.DeleteFunc(slices.Clone(directories), func(d fact.VirtualDirectory) bool {
			return !d.MRSProxy || d.Noun != fact.EWSDirectory
		})
		if len(directories) == 0 || !p.retires(answers.RetireMRSProxy) {
			for _, d := range directories {
				p.Note(msg.Of("MRSProxy is open on %s, and the features of the answers move no mailboxes: plan with "+
					"retire: [mrsProxy] to close it", d.Identity))
			}
			return nil
		}
		left, err := p.moving(ctx)
		if err != nil {
			return err
		}
		if left != "" {
			p.wait(p.topic.ID, p.at(), msg.Of("MRSProxy stays open: %s is left; remove it when it is complete", left))
			return nil
		}
		for _, d := range directories {
			p.Remove(mailboxReplicationProxy, p.at(), strings.ReplaceAll(strings.ToLower(d.Identity), `\`, ":"),
				d.Identity, msg.Of("no migration batch and no move request is left, and the features of the answers "+
					"move no mailboxes"), change.Properties{"Identity": d.Identity})
		}
		return nil
	},
}

// moving names what moves mailboxes, on either side.
func (p *Planner) moving(ctx context.Context) (string, error) {
	for _, q := range []struct {
		side  *fact.Side
		query *fact.Query[[]string]
		title string
	}{
		{p.set.Tenant, fact.MigrationBatches, "the migration batch %s of the tenant"},
		{p.set.Tenant, fact.OnlineMoveRequests, "the move request %s of the tenant"},
		{p.Forest, fact.MoveRequests, "the move request %s of forest " + p.Forest.Name()},
	} {
		found, err := q.query.In(ctx, q.side)
		if err != nil {
			return "", err
		}
		if len(found) > 0 {
			return fmt.Sprintf(q.title, exchange.Quote(found[0])), nil
		}
	}
	return "", nil
}
