package desired

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

var hybridApplication = &Topic{
	ID:        "dedicated-application",
	Title:     "Dedicated hybrid application, its certificate and its consent",
	Features:  lookupFeatures,
	PerForest: true,
	Kinds:     []*Kind{application, keyCredential, servicePrincipal, appRoleAssignment},
	Reads:     fact.List(fact.Tenant, fact.MailboxServers, fact.Auth, fact.Principal, fact.DedicatedApplication),
	Derive: func(ctx context.Context, p *Planner) error {
		route, err := p.route(ctx)
		if err != nil {
			return err
		}
		dedicated, err := p.dedicated(ctx)
		if err != nil {
			return err
		}
		offer, err := p.offer(ctx, route)
		if err != nil {
			return err
		}
		switch servers, err := fact.MailboxServers.In(ctx, p.Forest); {
		case err != nil:
			return err
		case len(servers) == 0:
			return missing("Exchange servers", "forest "+p.Forest.Name())
		}
		auth, err := fact.Auth.In(ctx, p.Forest)
		if err != nil {
			return err
		}
		certificates := auth.Certificates()
		if len(certificates) == 0 {
			return missing("auth certificate on a server (check certificates.auth)", "forest "+p.Forest.Name())
		}

		forest, name := p.Forest.Name(), dedicated.Name
		about := change.Properties{
			"displayName": cmp.Or(dedicated.DisplayName, name), "signInAudience": "AzureADMyOrg",
			"requiredResourceAccess": withAccess(dedicated.RequiredResourceAccess, offer.application, offer.access()),
		}
		if dedicated.AppID != "" {
			about["appId"] = dedicated.AppID
		}
		p.Add(application, PlaceEntra, name, name,
			msg.Of("Exchange in %s is this application to the tenant", forest), about)
		app := One(application, PlaceEntra, name)
		p.Add(keyCredential, PlaceEntra, name, name,
			msg.Of("with this key Exchange in %s proves that it is the application", forest), change.Properties{
				"id":             Ref(application, PlaceEntra, name, "id"),
				"keyCredentials": p.keyCredentials(dedicated.KeyCredentials, certificates),
			}, app)
		p.Add(servicePrincipal, PlaceEntra, name, name, msg.Of("the application signs in as it"), change.Properties{
			"appId": Ref(application, PlaceEntra, name, "appId"), "accountEnabled": true,
		}, app)
		for i, permission := range offer.permissions {
			p.Add(appRoleAssignment, PlaceEntra, name+":"+permission, name+" "+permission,
				msg.Of("lookups from %s need the permission", forest), change.Properties{
					"principalId": Ref(servicePrincipal, PlaceEntra, name, "id"),
					"resourceId":  offer.principal, "appRoleId": offer.ids[i],
				}, One(servicePrincipal, PlaceEntra, name), app)
		}
		return nil
	},
}

var application = MicrosoftGraph.Declare(Kind{
	Noun:     "Application",
	Patience: entraPatience,
	Title:    "Dedicated Exchange hybrid application",
	Why: "The identity of Exchange on-premises in the tenant, one per Exchange organization: Exchange Online refuses " +
		"the shared first-party application. hybridge uses the application that the tenant's auth server or the " +
		"answers file names. A display name alone is no proof, because any user of the tenant may register an " +
		"application.",
	Places: []string{Entra},
	Match: func(want change.Properties, live change.Live) bool {
		if want["appId"] != nil {
			return byValue("appId")(want, live)
		}
		return byValue("displayName")(want, live)
	},
	Recognizes: "{displayName?}",
	Own:        true,
	Properties: map[string]Property{
		"appId":                  {Type: guid, Write: change.Key, Derived: true},
		"displayName":            {Type: text, Write: change.Key},
		"signInAudience":         {Type: text, Write: change.CreateOnly},
		"requiredResourceAccess": {Type: accesses},
	},
	Risk: "with the permission for EWS (full_access_as_app) the application may open every mailbox of the tenant " +
		"once it is consented to, with those for Graph read all calendars and mailbox settings; guard the auth " +
		"certificate's key",
}, Collection{Path: "/applications", Methods: Post | Patch | Delete, Read: Directory.ownedApplications,
	Foreign: foreignToApplication})

var keyCredential = MicrosoftGraph.Declare(Kind{
	Noun:     "KeyCredential",
	Patience: entraPatience,
	Title:    "Auth certificate of the hybrid application",
	Why: "The public half of the Exchange auth certificate, the current one and the next: its key proves that " +
		"Exchange on-premises is the application.",
	Places: []string{Entra},
	Properties: map[string]Property{
		"id":             {Type: guid, Write: change.Key},
		"keyCredentials": {Type: keys, Write: change.Merge},
	},
	Risk: "Graph takes the list whole: keys that are there and still valid are sent again, and keys that have ended " +
		"go for good",
}, Collection{Path: "/applications", Aspect: true, Methods: Patch, Read: Directory.applicationKeys})

var servicePrincipal = MicrosoftGraph.Declare(Kind{
	Noun:     "ServicePrincipal",
	Patience: entraPatience,
	Title:    "Service principal of the hybrid application",
	Why:      "The application's account in the tenant: it gets the permissions and signs in.",
	Places:   []string{Entra},
	Properties: map[string]Property{
		"appId":          {Type: guid, Write: change.Key},
		"accountEnabled": {Type: boolean},
	},
	Risk: "disabled, the application gets no tokens",
}, Collection{Path: "/servicePrincipals", Methods: Post | Patch | Delete, Read: Directory.principals,
	Foreign: foreignToPrincipal})

var appRoleAssignment = MicrosoftGraph.Declare(Kind{
	Noun:     "AppRoleAssignment",
	Patience: entraPatience,
	Title:    "Administrator consent for the hybrid application",
	Why:      "Grants the application the permission it asks for, for the whole tenant.",
	Places:   []string{Entra},
	Properties: map[string]Property{
		"principalId": {Type: guid, Write: change.Key},
		"resourceId":  {Type: guid, Write: change.Key},
		"appRoleId":   {Type: guid, Write: change.Key},
	},
	Risk: "tenant-wide: the application may use the permission on every mailbox",
}, Collection{
	Path: "/servicePrincipals/{id}/appRoleAssignments", Under: "principalId", Methods: Post | Delete,
	Read: Directory.assignments,
})

// offer is what a Microsoft resource offers to the application of a route.
type offer struct {
	application string   // the resource's application id
	principal   string   // object id of its service principal in this tenant
	permissions []string // by value, "full_access_as_app"
	ids         []string // of the permissions
}

// access returns the permissions in the form that an application requests them.
func (o offer) access() []any {
	var out []any
	for _, id := range o.ids {
		out = append(out, map[string]any{"id": id, "type": "Role"})
	}
	return out
}

// offer finds the permissions that a route requires.
func (p *Planner) offer(ctx context.Context, r fact.Route) (offer, error) {
	o := offer{application: oauth.AppExchangeOnline, permissions: []string{"full_access_as_app"}}
	if r == fact.RouteGraph {
		o = offer{application: oauth.AppGraph, permissions: []string{
			"Calendars.Read", "MailboxSettings.Read", "MailTips.ReadBasic.All", "ProfilePhoto.Read.All",
		}}
	}
	principal, err := fact.Principal.In(ctx, p.set.Tenant, o.application)
	switch {
	case errors.Is(err, entra.ErrNotFound), err == nil && principal.ID == "":
		return o, missing("service principal of application "+o.application, p.tenant())
	case err != nil:
		return o, err
	}
	o.principal = principal.ID
	for _, permission := range o.permissions {
		at := slices.IndexFunc(principal.AppRoles,
			func(r entra.AppRole) bool { return r.IsEnabled && r.Value == permission })
		if at < 0 {
			return o, missing("id of permission "+permission, p.tenant())
		}
		o.ids = append(o.ids, principal.AppRoles[at].ID)
	}
	return o, nil
}

// applicationName returns the name of a forest's dedicated application.
func (p *Planner) applicationName(ctx context.Context, forest *fact.Side) (string, error) {
	guid, err := p.organization(ctx, forest)
	return fact.ApplicationName(guid), err
}

// dedicated returns the forest's application. It has no AppID when it does not exist yet.
func (p *Planner) dedicated(ctx context.Context) (fact.Dedicated, error) {
	d, err := fact.DedicatedApplication.In(ctx, p.Forest)
	if err == nil && d.AppID == "" && len(d.Doubtful) > 0 {
		err = fmt.Errorf("tenant: application %s (%s) is not taken for Exchange's: %s; delete it, or name the right "+
			"application in forests[].applicationId of %s (check oauth.application)",
			d.Name, d.Doubtful[0].AppID, d.Doubtful[0].Why, p.Forest.Name())
	}
	return d, err
}

// keyCredentials returns the keys of the auth certificates, to be added to the existing ones: an
// existing entry that has not ended, or a new one.
func (p *Planner) keyCredentials(existing []any, certificates []*x509.Certificate) []any {
	out, used := []any{}, map[string]bool{}
	for _, k := range existing {
		used[strings.ToLower(fact.Credential(k).KeyID)] = true
	}
next:
	for _, c := range certificates {
		if !c.NotAfter.After(p.day()) {
			continue // Graph refuses an expired certificate; the check certificates.auth reports it
		}
		for _, k := range existing {
			if !fact.Ended(k, p.day()) && fact.Credential(k).Of(c.Raw) {
				out = append(out, k)
				continue next
			}
		}
		t := certificate.ThumbprintOf(c.Raw)
		out = append(out, map[string]any{
			"displayName": "CN=Microsoft Exchange Server Auth Certificate " + t[:8], "keyId": keyID(t, used),
			"type": "AsymmetricX509Cert", "usage": "Verify", "key": base64.StdEncoding.EncodeToString(c.Raw),
		})
	}
	return out
}

// keyID returns the GUID that Graph requires for a new key of the thumbprint. The same certificate
// gets the same id. Graph refuses the id of an earlier entry, even of an expired one.
func keyID(thumbprint string, used map[string]bool) string {
	b, _ := hex.DecodeString(thumbprint)
	for {
		b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80 // version 8: made from what the application knows (RFC 9562)
		id := fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:16])
		if !used[id] {
			return id
		}
		sum := sha256.Sum256(b)
		b = sum[:]
	}
}

// withAccess returns the required resource access with a resource's permissions added to the
// existing ones.
func withAccess(existing []any, resource string, access []any) []any {
	out := []any{}
	done := false
	for _, e := range existing {
		m, ok := e.(map[string]any)
		id, _ := m["resourceAppId"].(string)
		if !ok || normalGUID(id) != resource {
			out = append(out, e)
			continue
		}
		merged := slices.Clone(elements(m["resourceAccess"]))
		have := permissions([]any{m})
		for _, a := range access {
			am := a.(map[string]any)
			if !have[permission{resource, normalGUID(am["id"].(string)), "Role"}] {
				merged = append(merged, a)
			}
		}
		out = append(out, map[string]any{"resourceAppId": resource, "resourceAccess": merged})
		done = true
	}
	if !done {
		out = append(out, map[string]any{"resourceAppId": resource, "resourceAccess": access})
	}
	return out
}
