package desired

import (
	"context"
	"fmt"
	"net/url"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

// Requests to Microsoft Graph are commands named "METHOD /path": a "{name}" in the path is filled with the parameter of
// that name, which is not part of the body then.

func graphVerb(a change.Action, noun, name string) error {
	return fmt.Errorf("%s %s %q: %w", a, noun, name, errNoVerb)
}

func without(p change.Properties, names ...string) map[string]any {
	out := make(map[string]any, len(p))
	for k, v := range p {
		out[k] = v
	}
	for _, n := range names {
		delete(out, n)
	}
	return out
}

var application = declare(Kind{
	Noun:  "Application",
	Title: "Dedicated Exchange hybrid application",
	Why:   "What Exchange on-premises is to the tenant since the shared first-party application is refused: one per Exchange organization, found by its name.",
	Sides: Entra,
	Match: byValue("displayName"),
	Properties: map[string]Property{
		"displayName":            {Type: text, Write: change.Key},
		"signInAudience":         {Type: text, Write: change.CreateOnly},
		"requiredResourceAccess": {Type: accesses},
	},
	Risk: "with the permission for EWS (full_access_as_app) the application may open every mailbox of the tenant once it is consented to, with those for Graph read all calendars and mailbox settings; guard the auth certificate's key",
	Read: perApplication(func(_ context.Context, _ Graph, a map[string]any) ([]change.Live, error) {
		id, name := str(a["id"]), str(a["displayName"])
		return []change.Live{{Identity: id, Name: name, Properties: change.Properties{
			"id": id, "appId": str(a["appId"]), "displayName": name, "signInAudience": str(a["signInAudience"]), "requiredResourceAccess": accessList(a["requiredResourceAccess"]),
		}}}, nil
	}),
	Command: func(a change.Action, name string, want change.Properties, live *change.Live) (change.Command, error) {
		switch {
		case a == change.Create:
			return change.Command{Name: "POST /applications", Parameters: without(want)}, nil
		case a == change.Update && live != nil:
			c := change.Command{Name: "PATCH /applications/{id}", Parameters: without(want, "displayName", "signInAudience")}
			c.Parameters["id"] = live.Identity
			return c, nil
		case a == change.Delete && live != nil:
			return change.Command{Name: "DELETE /applications/{id}", Parameters: map[string]any{"id": live.Identity}}, nil
		}
		return change.Command{}, graphVerb(a, "Application", name)
	},
})

var keyCredential = declare(Kind{
	Noun:  "KeyCredential",
	Title: "Auth certificate of the hybrid application",
	Why:   "The public half of the Exchange auth certificate, the current one and the next: with its key Exchange on-premises proves that it is the application.",
	Sides: Entra,
	Match: byValue("application"),
	Properties: map[string]Property{
		"application":    {Type: text, Write: change.Key},
		"id":             {Type: guid, Write: change.CreateOnly},
		"keyCredentials": {Type: keys},
	},
	Risk: "Graph takes the list whole; certificates that are already there and still valid are sent again",
	Read: perApplication(func(_ context.Context, _ Graph, a map[string]any) ([]change.Live, error) {
		id, name := str(a["id"]), str(a["displayName"])
		credentials := keyList(a["keyCredentials"])
		if len(credentials) == 0 {
			return nil, nil // an application without keys has none that is live
		}
		return []change.Live{{Identity: id, Name: name, Properties: change.Properties{"application": name, "id": id, "keyCredentials": credentials}}}, nil
	}),
	Command: func(a change.Action, name string, want change.Properties, live *change.Live) (change.Command, error) {
		c := change.Command{Name: "PATCH /applications/{id}", Parameters: map[string]any{"id": want["id"], "keyCredentials": want["keyCredentials"]}}
		if live != nil {
			c.Parameters["id"] = live.Identity
		}
		if a == change.Delete || c.Parameters["keyCredentials"] == nil {
			c.Parameters["keyCredentials"] = []any{}
		}
		if c.Parameters["id"] == nil {
			return change.Command{}, graphVerb(a, "KeyCredential", name)
		}
		return c, nil
	},
})

var servicePrincipal = declare(Kind{
	Noun:  "ServicePrincipal",
	Title: "Service principal of the hybrid application",
	Why:   "The application's account in the tenant: what is given permissions and signs in.",
	Sides: Entra,
	Match: byValue("appId"),
	Properties: map[string]Property{
		"appId":          {Type: guid, Write: change.Key},
		"accountEnabled": {Type: boolean},
	},
	Risk: "disabled, the application gets no tokens",
	Read: perPrincipal(func(_ context.Context, _ Graph, name string, sp map[string]any) ([]change.Live, error) {
		id := str(sp["id"])
		properties := change.Properties{"id": id, "appId": str(sp["appId"])}
		if enabled, ok := sp["accountEnabled"].(bool); ok {
			properties["accountEnabled"] = enabled
		}
		return []change.Live{{Identity: id, Name: name, Properties: properties}}, nil
	}),
	Command: func(a change.Action, name string, want change.Properties, live *change.Live) (change.Command, error) {
		switch {
		case a == change.Create:
			return change.Command{Name: "POST /servicePrincipals", Parameters: without(want)}, nil
		case a == change.Update && live != nil:
			c := change.Command{Name: "PATCH /servicePrincipals/{id}", Parameters: without(want, "appId")}
			c.Parameters["id"] = live.Identity
			return c, nil
		case a == change.Delete && live != nil:
			return change.Command{Name: "DELETE /servicePrincipals/{id}", Parameters: map[string]any{"id": live.Identity}}, nil
		}
		return change.Command{}, graphVerb(a, "ServicePrincipal", name)
	},
})

var appRoleAssignment = declare(Kind{
	Noun:  "AppRoleAssignment",
	Title: "Administrator consent for the hybrid application",
	Why:   "Grants the application the permission it asks for, for the whole tenant.",
	Sides: Entra,
	Match: byValue("principalId", "resourceId", "appRoleId"),
	Properties: map[string]Property{
		"principalId": {Type: guid, Write: change.Key},
		"resourceId":  {Type: guid, Write: change.Key},
		"appRoleId":   {Type: guid, Write: change.Key},
	},
	Risk: "tenant-wide: the application may use the permission on every mailbox",
	Read: perPrincipal(func(ctx context.Context, graph Graph, name string, sp map[string]any) ([]change.Live, error) {
		assignments, err := graph.List(ctx, "/servicePrincipals/"+url.PathEscape(str(sp["id"]))+"/appRoleAssignments")
		if err != nil {
			return nil, err
		}
		var out []change.Live
		for _, g := range assignments {
			out = append(out, change.Live{Identity: str(g["id"]), Name: name + " " + str(g["resourceDisplayName"]), Properties: change.Properties{
				"principalId": str(g["principalId"]), "resourceId": str(g["resourceId"]), "appRoleId": str(g["appRoleId"]),
			}})
		}
		return out, nil
	}),
	Command: func(a change.Action, name string, want change.Properties, live *change.Live) (change.Command, error) {
		switch {
		case a == change.Create:
			c := change.Command{Name: "POST /servicePrincipals/{id}/appRoleAssignments", Parameters: without(want)}
			c.Parameters["id"] = want["principalId"]
			return c, nil
		case a == change.Delete && live != nil:
			return change.Command{Name: "DELETE /servicePrincipals/{id}/appRoleAssignments/{assignment}", Parameters: map[string]any{
				"id": live.Properties["principalId"], "assignment": live.Identity,
			}}, nil
		}
		return change.Command{}, graphVerb(a, "AppRoleAssignment", name)
	},
})

var servicePrincipalName = declare(Kind{
	Noun:  "ServicePrincipalName",
	Title: "Names of Exchange on-premises, at the service principal of Exchange Online",
	Why: "Entra issues Exchange Online a token for an on-premises server only when the server's host is among these names: without it every lookup from the " +
		"tenant is refused before it leaves.",
	Sides: Entra,
	Match: byValue("appId"),
	Properties: map[string]Property{
		"appId":                 {Type: guid, Write: change.Key},
		"servicePrincipalNames": {Type: principalNames, Write: change.Merge},
	},
	Risk: "Graph takes the list whole; the names that are there, Microsoft's own among them, are sent again",
	// Exchange Online's service principal is the one object that hybridge touches and did not make.
	Read: func(ctx context.Context, p *EntraPlace) ([]change.Live, error) {
		graph, err := p.Graph(ctx)
		if err != nil {
			return nil, err
		}
		principals, err := graph.List(ctx, "/servicePrincipals?"+entra.Filter("appId", oauth.AppExchangeOnline)+"&$select=id,appId,displayName,servicePrincipalNames")
		if err != nil {
			return nil, err
		}
		var out []change.Live
		for _, sp := range principals {
			properties := change.Properties{"id": str(sp["id"]), "appId": str(sp["appId"])}
			// The list is written whole: one that was not told must not pass for an empty one.
			switch names := sp["servicePrincipalNames"].(type) {
			case []any, []string:
				properties["servicePrincipalNames"] = texts(names)
			default:
				properties["servicePrincipalNames"] = change.Unreadable{Reason: "Microsoft Graph did not tell the list"}
			}
			out = append(out, change.Live{Identity: str(sp["id"]), Name: str(sp["displayName"]), Properties: properties})
		}
		return out, nil
	},
	Command: func(a change.Action, name string, want change.Properties, live *change.Live) (change.Command, error) {
		if a != change.Update || live == nil {
			// The principal is Microsoft's: it is there, and it is nobody's to make or remove.
			return change.Command{}, graphVerb(a, "ServicePrincipalName", name)
		}
		c := change.Command{Name: "PATCH /servicePrincipals/{id}", Parameters: without(want, "appId")}
		c.Parameters["id"] = live.Identity
		return c, nil
	},
})
