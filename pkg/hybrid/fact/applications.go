package fact

import (
	"context"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
)

// ApplicationName is the name by which the dedicated application of an Exchange organization is
// found.
func ApplicationName(organizationGUID string) string {
	return "ExchangeServerApp-" + strings.ToLower(organizationGUID)
}

// Application is an application as Graph prints it, as far as it is sent back.
type Application struct {
	ID             string // object id
	AppID          string
	DisplayName    string
	SignInAudience string
	// KeyCredentials and RequiredResourceAccess are lists that a PATCH sends whole.
	KeyCredentials         []any
	RequiredResourceAccess []any
}

// The principals and applications of the tenant.
var (
	// Principal is the service principal of an application by its id, Microsoft's own too.
	Principal = FromGraphBy("/servicePrincipals?$filter=appId eq '{key}'", readApplications, Graph.ServicePrincipal)

	// Applications are the applications of exactly that display name: none, one, or by mistake
	// several.
	Applications = FromGraphBy("/applications?$filter=displayName eq '{key}'", readApplications,
		func(g Graph, ctx context.Context, name string) ([]Application, error) {
			return applicationsNamed(ctx, g, name)
		})
)

const applicationFields = "id,appId,displayName,signInAudience,requiredResourceAccess,keyCredentials"

func applicationsNamed(ctx context.Context, g Graph, name string) ([]Application, error) {
	found, err := g.List(ctx, "/applications?"+entra.Filter("displayName", name)+"&$select="+applicationFields)
	if err != nil {
		return nil, err
	}
	var out []Application
	for _, app := range found {
		out = append(out, ReadApplication(app))
	}
	return out, nil
}

// ReadApplication reads an application.
func ReadApplication(app map[string]any) Application {
	a := Application{
		ID: text(app["id"]), AppID: text(app["appId"]),
		DisplayName: text(app["displayName"]), SignInAudience: text(app["signInAudience"]),
		KeyCredentials: fields(app["keyCredentials"],
			"customKeyIdentifier", "displayName", "endDateTime", "key", "keyId", "startDateTime", "type", "usage"),
		RequiredResourceAccess: []any{},
	}
	for _, m := range objectsOf(app["requiredResourceAccess"]) {
		a.RequiredResourceAccess = append(a.RequiredResourceAccess, map[string]any{
			"resourceAppId": text(m["resourceAppId"]), "resourceAccess": fields(m["resourceAccess"], "id", "type"),
		})
	}
	return a
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

func objectsOf(v any) []map[string]any {
	var out []map[string]any
	list, _ := v.([]any)
	for _, e := range list {
		if m, ok := e.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

// fields keeps the named texts of a list of objects.
func fields(v any, names ...string) []any {
	out := []any{}
	for _, m := range objectsOf(v) {
		kept := map[string]any{}
		for _, n := range names {
			if s, ok := m[n].(string); ok {
				kept[n] = s
			}
		}
		out = append(out, kept)
	}
	return out
}
