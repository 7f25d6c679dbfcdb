package fact

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

// ApplicationName is the name of a new dedicated application of an Exchange organization. A name
// proves nothing: any user of the tenant may register an application under it.
func ApplicationName(organizationGUID string) string {
	return "ExchangeServerApp-" + strings.ToLower(organizationGUID)
}

// Application is an application as Graph prints it, limited to what is sent back.
type Application struct {
	ID             string // object id
	AppID          string
	DisplayName    string
	SignInAudience string
	// KeyCredentials and RequiredResourceAccess are lists that a PATCH sends whole.
	KeyCredentials         []any
	RequiredResourceAccess []any
	// Passwords and Federated count the other ways to sign in as the application.
	Passwords, Federated int
	// Owners are the object ids of the accounts that may add more of them.
	Owners []string
	// Consents are the app roles that are assigned to its service principal.
	Consents []string
}

// The principals and applications of the tenant.
var (
	// Grantees are the applications that hold an app role of Exchange Online, by the role's value.
	Grantees = FromGraphBy("/servicePrincipals/{Exchange Online}/appRoleAssignedTo", readApplications,
		func(g Graph, ctx context.Context, role string) ([]Grantee, error) { return granteesOf(ctx, g, role) })

	// Principal is the service principal of an application by its id, Microsoft's own too.
	Principal = FromGraphBy("/servicePrincipals?$filter=appId eq '{key}'", readApplications, Graph.ServicePrincipal)

	// Applications are the applications of exactly that display name: none, one, or several.
	Applications = FromGraphBy("/applications?$filter=displayName eq '{key}'", readApplications,
		func(g Graph, ctx context.Context, name string) ([]Application, error) {
			return applicationsOf(ctx, g, "displayName", name)
		})

	// ApplicationsByID is the application of that appId, as a list of none or one.
	ApplicationsByID = FromGraphBy("/applications?$filter=appId eq '{key}'", readApplications,
		func(g Graph, ctx context.Context, appID string) ([]Application, error) {
			return applicationsOf(ctx, g, "appId", appID)
		})
)

// Grantee is an application that holds an app role.
type Grantee struct{ Name, AppID string }

func granteesOf(ctx context.Context, g Graph, role string) ([]Grantee, error) {
	exchangeOnline, err := g.ServicePrincipal(ctx, oauth.AppExchangeOnline)
	if err != nil {
		return nil, err
	}
	assigned, err := g.List(ctx, "/servicePrincipals/"+url.PathEscape(exchangeOnline.ID)+"/appRoleAssignedTo")
	if err != nil {
		return nil, err
	}
	var out []Grantee
	for _, a := range assigned {
		for _, r := range exchangeOnline.AppRoles {
			if r.Value != role || !strings.EqualFold(r.ID, text(a["appRoleId"])) {
				continue
			}
			principal, err := g.Get(ctx, "/servicePrincipals/"+url.PathEscape(text(a["principalId"]))+
				"?$select=id,appId,displayName")
			if err != nil {
				return nil, err
			}
			out = append(out, Grantee{text(principal["displayName"]), text(principal["appId"])})
		}
	}
	return out, nil
}

const applicationFields = "id,appId,displayName,signInAudience,requiredResourceAccess,keyCredentials,passwordCredentials"

// applicationsOf finds applications and reads each singly: in a list Graph shows no keys, and the
// reads of keys that a tenant allows per minute are few.
func applicationsOf(ctx context.Context, g Graph, property, value string) ([]Application, error) {
	found, err := g.List(ctx, "/applications?"+entra.Filter(property, value)+"&$select=id,appId,displayName")
	if err != nil {
		return nil, err
	}
	var out []Application
	for _, short := range found {
		path := "/applications/" + url.PathEscape(text(short["id"]))
		whole, err := g.Get(ctx, path+"?$select="+applicationFields)
		if err != nil {
			return nil, err
		}
		app := ReadApplication(whole)
		federated, err := g.List(ctx, path+"/federatedIdentityCredentials")
		if err != nil {
			return nil, err
		}
		app.Federated = len(federated)
		owners, err := g.List(ctx, path+"/owners?$select=id")
		if err != nil {
			return nil, err
		}
		for _, o := range owners {
			app.Owners = append(app.Owners, text(o["id"]))
		}
		if app.Consents, err = consentsOf(ctx, g, app.AppID); err != nil {
			return nil, err
		}
		out = append(out, app)
	}
	return out, nil
}

func consentsOf(ctx context.Context, g Graph, appID string) ([]string, error) {
	principals, err := g.List(ctx, "/servicePrincipals?"+entra.Filter("appId", appID)+"&$select=id")
	if err != nil {
		return nil, err
	}
	var out []string
	for _, p := range principals {
		assigned, err := g.List(ctx, "/servicePrincipals/"+url.PathEscape(text(p["id"]))+"/appRoleAssignments")
		if err != nil {
			return nil, err
		}
		for _, a := range assigned {
			out = append(out, text(a["resourceDisplayName"])+" "+text(a["appRoleId"]))
		}
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
		Passwords:              len(objectsOf(app["passwordCredentials"])),
	}
	for _, m := range objectsOf(app["requiredResourceAccess"]) {
		a.RequiredResourceAccess = append(a.RequiredResourceAccess, map[string]any{
			"resourceAppId": text(m["resourceAppId"]), "resourceAccess": fields(m["resourceAccess"], "id", "type"),
		})
	}
	return a
}

// Credential reads a key credential as Graph prints it. A field that cannot be read is empty.
func Credential(v any) entra.KeyCredential {
	m, _ := v.(map[string]any)
	k := entra.KeyCredential{
		KeyID: text(m["keyId"]), CustomKeyIdentifier: text(m["customKeyIdentifier"]),
		DisplayName: text(m["displayName"]),
	}
	if der, err := base64.StdEncoding.DecodeString(text(m["key"])); err == nil {
		k.Key = der
	}
	if end, err := time.Parse(time.RFC3339Nano, text(m["endDateTime"])); err == nil {
		k.EndDateTime = &end
	}
	return k
}

// Ended reports whether the validity that Graph holds for a key credential is over. It can end
// before the certificate's own.
func Ended(v any, now time.Time) bool {
	end := Credential(v).EndDateTime
	return end != nil && !end.After(now)
}

// Foreign returns the key credentials of an application that have not ended and belong to none of
// the certificates.
func (a Application) Foreign(certificates []*x509.Certificate, now time.Time) []any {
	var out []any
	for _, k := range a.KeyCredentials {
		if !Ended(k, now) && !ofOne(k, certificates) {
			out = append(out, k)
		}
	}
	return out
}

// Holds reports whether an application has a key credential of the certificate that has not ended.
func (a Application) Holds(c *x509.Certificate, now time.Time) bool {
	for _, k := range a.KeyCredentials {
		if !Ended(k, now) && Credential(k).Of(c.Raw) {
			return true
		}
	}
	return false
}

func ofOne(credential any, certificates []*x509.Certificate) bool {
	for _, c := range certificates {
		if Credential(credential).Of(c.Raw) {
			return true
		}
	}
	return false
}

type AuthServer struct {
	Name, Type, Realm     string
	ApplicationIdentifier string
	Enabled               bool
	// DefaultEndpoint says that clients of the organization sign in there
	// (IsDefaultAuthorizationEndpoint): hybrid modern authentication.
	DefaultEndpoint bool
}

const getAuthServer = "Get-AuthServer"

// AuthServers are all auth servers, per forest.
var AuthServers = Cmdlet(OnPremises, getAuthServer, each(getAuthServer, readAuthServer))

func readAuthServer(o exchange.Object) (a AuthServer, err error) {
	if a.Type, err = o.String("Type"); err != nil {
		return a, err
	}
	a.Name, _ = o.String("Name")
	a.Realm, _ = o.String("Realm")
	a.ApplicationIdentifier, _ = o.String("ApplicationIdentifier")
	a.Enabled, _ = o.Bool("Enabled")
	a.DefaultEndpoint, _ = o.Bool("IsDefaultAuthorizationEndpoint")
	return a, nil
}

// caller is the object id of the account that asks Graph; empty when its token does not say.
var caller = &Query[string]{
	question: question{AtTenant, []Source{{System: Entra, Ask: "access token"}}},
	ask: func(ctx context.Context, s *Side) (string, error) {
		token, err := with(ctx, s, s.Token, itself)
		if err != nil {
			return "", err
		}
		claims, err := oauth.AccessToken{Value: secret.NewValue(token)}.Claims()
		if err != nil {
			return "", nil
		}
		return claims.String("oid"), nil
	},
}

// Dedicated is the application as which a forest's Exchange organization signs in to the tenant.
type Dedicated struct {
	Name string // that a new one gets
	// Application is the existing one. Without an AppID there is none.
	Application
	// Proven says that the answers or the auth server name it. Otherwise only its keys point to it.
	Proven bool
	// Stale is the application that the auth server names and that the tenant does not have.
	Stale string
	// Doubtful are the applications with the name that are not proven to be Exchange's.
	Doubtful []Doubtful
}

// Doubtful is an application that is not accepted as the dedicated one, and the reason.
type Doubtful struct {
	Application
	Why msg.Text
}

// DedicatedApplication finds a forest's application. The answers decide first, then the auth server
// of the tenant. The last resort is the display name: every key must then be an auth certificate of
// the forest, with no other way to sign in. A display name alone is no proof.
var DedicatedApplication = Derive(AtForest,
	List(Organization, AuthServers, Tenant, Applications, ApplicationsByID), findDedicated)

func findDedicated(ctx context.Context, side *Side) (Dedicated, error) {
	organization, err := Organization.In(ctx, side)
	if err != nil {
		return Dedicated{}, err
	}
	if organization.GUID == "" {
		return Dedicated{}, errors.New(side.Name() + ": the Exchange organization shows no GUID")
	}
	d := Dedicated{Name: ApplicationName(organization.GUID)}
	tenant := side.set.Tenant
	if id := side.Answers.ApplicationID; id != "" {
		found, err := ApplicationsByID.In(ctx, tenant, strings.ToLower(id))
		if err == nil && len(found) == 0 {
			err = errors.New("tenant: there is no application " + id + " (forests[].applicationId of " + side.Name() +
				")")
		}
		if err != nil {
			return d, err
		}
		d.Application, d.Proven = found[0], true
		return d, nil
	}
	about, err := Tenant.In(ctx, tenant)
	if err != nil {
		return d, err
	}
	servers, err := AuthServers.In(ctx, side)
	if err != nil {
		return d, err
	}
	for _, s := range servers {
		id := strings.ToLower(s.ApplicationIdentifier)
		if !strings.EqualFold(s.Type, "AzureAD") || !strings.EqualFold(s.Realm, about.ID) || id == "" ||
			id == oauth.AppExchangeOnline {
			continue
		}
		found, err := ApplicationsByID.In(ctx, tenant, id)
		if err != nil {
			return d, err
		}
		if len(found) > 0 {
			d.Application, d.Proven, d.Stale = found[0], true, ""
			return d, nil
		}
		d.Stale = id
	}
	named, err := Applications.In(ctx, tenant, d.Name)
	if err != nil || len(named) == 0 {
		return d, err
	}
	auth, err := Auth.In(ctx, side)
	if err != nil {
		return d, err
	}
	me, _ := caller.In(ctx, tenant) // when unknown, every owner counts as another
	var good []Application
	for _, a := range named {
		if why := doubt(a, auth.Known(), me, side.set.Now()); !why.IsZero() {
			d.Doubtful = append(d.Doubtful, Doubtful{a, why})
		} else {
			good = append(good, a)
		}
	}
	if len(good) == 1 {
		d.Application = good[0]
		return d, nil
	}
	for _, a := range good {
		d.Doubtful = append(d.Doubtful, Doubtful{a, msg.Of("several applications of the name are alike")})
	}
	return d, nil
}

// doubt says why an application that is known by its name alone may belong to another owner.
func doubt(a Application, certificates []*x509.Certificate, me string, now time.Time) msg.Text {
	switch {
	case a.SignInAudience != "" && a.SignInAudience != "AzureADMyOrg":
		return msg.Of("accounts of other tenants may sign in to it (signInAudience is %s)", a.SignInAudience)
	case len(a.Foreign(certificates, now)) > 0:
		return msg.Of("it has a key that is no auth certificate of Exchange (keyId %s)",
			Credential(a.Foreign(certificates, now)[0]).KeyID)
	case a.Passwords > 0:
		return msg.Of("it has a client secret")
	case a.Federated > 0:
		return msg.Of("it has federated credentials")
	}
	for _, owner := range a.Owners {
		if me == "" || !strings.EqualFold(owner, me) {
			return msg.Of("%s owns it and may add keys", owner)
		}
	}
	return msg.Text{}
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
