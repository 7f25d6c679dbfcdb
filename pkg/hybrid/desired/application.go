package desired

import (
	"context"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

var application = MicrosoftGraph.Declare(Kind{
	Noun:   "Application",
	Title:  "Dedicated Exchange hybrid application",
	Why:    "What Exchange on-premises is to the tenant since the shared first-party application is refused: one per Exchange organization, found by its name.",
	Places: []string{Entra},
	Properties: map[string]Property{
		"displayName":            {Type: text, Write: change.Key},
		"signInAudience":         {Type: text, Write: change.CreateOnly},
		"requiredResourceAccess": {Type: accesses},
	},
	Risk: "with the permission for EWS (full_access_as_app) the application may open every mailbox of the tenant once it is consented to, with those for Graph read all calendars and mailbox settings; guard the auth certificate's key",
}, Collection{Path: "/applications", Methods: Post | Patch | Delete, Read: applications})

var keyCredential = MicrosoftGraph.Declare(Kind{
	Noun:   "KeyCredential",
	Title:  "Auth certificate of the hybrid application",
	Why:    "The public half of the Exchange auth certificate, the current one and the next: with its key Exchange on-premises proves that it is the application.",
	Places: []string{Entra},
	Properties: map[string]Property{
		"application":    {Type: text, Write: change.Key, From: "displayName"},
		"id":             {Type: guid, Write: change.CreateOnly},
		"keyCredentials": {Type: keys},
	},
	Risk: "Graph takes the list whole; certificates that are already there and still valid are sent again",
}, Collection{Path: "/applications", Aspect: true, Methods: Patch, Read: applications})

var servicePrincipal = MicrosoftGraph.Declare(Kind{
	Noun:   "ServicePrincipal",
	Title:  "Service principal of the hybrid application",
	Why:    "The application's account in the tenant: what is given permissions and signs in.",
	Places: []string{Entra},
	Properties: map[string]Property{
		"appId":          {Type: guid, Write: change.Key},
		"accountEnabled": {Type: boolean},
	},
	Risk: "disabled, the application gets no tokens",
}, Collection{Path: "/servicePrincipals", Methods: Post | Patch | Delete, Read: principals})

var appRoleAssignment = MicrosoftGraph.Declare(Kind{
	Noun:   "AppRoleAssignment",
	Title:  "Administrator consent for the hybrid application",
	Why:    "Grants the application the permission it asks for, for the whole tenant.",
	Places: []string{Entra},
	Properties: map[string]Property{
		"principalId": {Type: guid, Write: change.Key},
		"resourceId":  {Type: guid, Write: change.Key},
		"appRoleId":   {Type: guid, Write: change.Key},
	},
	Risk: "tenant-wide: the application may use the permission on every mailbox",
}, Collection{Path: "/servicePrincipals/{id}/appRoleAssignments", Under: "principalId", Methods: Post | Delete, Read: assignments})

// Exchange Online's service principal is Microsoft's: it exists, and hybridge neither makes nor removes it.
var servicePrincipalName = MicrosoftGraph.Declare(Kind{
	Noun:  "ServicePrincipalName",
	Title: "Names of Exchange on-premises, at the service principal of Exchange Online",
	Why: "Entra issues Exchange Online a token for an on-premises server only when the server's host is among these names: without it every lookup from the " +
		"tenant is refused before it leaves.",
	Places: []string{Entra},
	Properties: map[string]Property{
		"appId":                 {Type: guid, Write: change.Key},
		"servicePrincipalNames": {Type: principalNames, Write: change.Merge, MayHide: true},
	},
	Risk: "Graph takes the list whole; the names that are there, Microsoft's own among them, are sent again",
}, Collection{Path: "/servicePrincipals", Methods: Patch, Read: func(ctx context.Context, d Directory) ([]map[string]any, error) {
	return d.List(ctx, "/servicePrincipals?"+entra.Filter("appId", oauth.AppExchangeOnline)+"&$select=id,appId,displayName,servicePrincipalNames")
}})
