package entra

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

// tokenLifetime is Entra's minimum.
const tokenLifetime = time.Hour

// stsIssuer is the issuer of access tokens in the form that Exchange and Graph accept (version
// 1.0).
func (t *Tenant) stsIssuer() string { return "https://sts.windows.net/" + t.config.TenantID + "/" }

func (t *Tenant) signer() oauth.Signer {
	return oauth.Signer{Key: t.key, Certificate: t.certificate, KeyID: oauth.X5T(t.certificate)}
}

// Keys are the keys that verify the tenant's tokens.
func (t *Tenant) Keys() []oauth.Key {
	k, err := oauth.CertificateKey(t.certificate)
	if err != nil {
		return nil // New made it with an RSA key
	}
	return []oauth.Key{k}
}

// VerifyToken verifies an access token that was issued for one of the audiences, as a resource
// does. The audience "exchange" stands for all names of Exchange Online.
func (t *Tenant) VerifyToken(text string, audiences ...string) (oauth.Token, error) {
	var accepted []string
	for _, a := range audiences {
		if a == "exchange" {
			accepted = append(accepted, t.resourceNames(oauth.AppExchangeOnline)...)
			continue
		}
		accepted = append(accepted, a, strings.TrimSuffix(a, "/"), a+"/")
	}
	return t.verifier(accepted).Verify(text)
}

func (t *Tenant) verifier(audiences []string) oauth.Verifier {
	return oauth.Verifier{Keys: t.Keys(), Issuers: []string{t.stsIssuer()}, Audiences: audiences, Now: t.config.Clock,
		Leeway: 5 * time.Minute}
}

// resourceNames are the audiences of a resource, each with and without a final slash.
func (t *Tenant) resourceNames(appID string) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []string
	if p := t.state.principalOf(appID); p != nil {
		for _, n := range p.ServicePrincipalNames {
			out = append(out, strings.TrimSuffix(n, "/"), strings.TrimSuffix(n, "/")+"/")
		}
	}
	return out
}

// AppToken issues an access token to an application without asking for proof, with the roles that
// it has. Tests of a resource use it.
func (t *Tenant) AppToken(appID, resource string) (string, error) {
	t.mu.Lock()
	claims, refusal := t.appClaims(appID, resource, "2")
	t.mu.Unlock()
	if refusal != nil {
		return "", fmt.Errorf("AADSTS%d: %s", refusal.code, refusal.text)
	}
	return t.signer().Sign(claims)
}

// ServiceTokenOptions describe the token that Microsoft issues to Exchange Online.
type ServiceTokenOptions struct {
	Host  string // of the on-premises endpoint, as its URL has it: mail.contoso.com
	Realm string // of the on-premises organization: a domain of it
	// Mutate may spoil the claims, to test that they are refused.
	Mutate func(oauth.Claims)
}

// ServiceToken issues the token with which Exchange Online calls an on-premises server: signed by
// Microsoft, for 00000002-0000-0ff1-ce00-000000000000/{host}@{realm} ([MS-XOAUTH]). ACS metadata
// publishes the key. An unsigned token around it names the person for whom Exchange Online asks.
// That one is not made here. The host must be among the names of Exchange Online's service
// principal.
func (t *Tenant) ServiceToken(o ServiceTokenOptions) (string, error) {
	if !t.registered(o.Host) {
		return "", fmt.Errorf("AADSTS500011: The resource principal named %s/%s was not found in the tenant named %s",
			oauth.AppExchangeOnline, o.Host, t.config.DisplayName)
	}
	now := t.config.Clock()
	issuer := oauth.AppAccessControlService + "@" + t.config.TenantID
	claims := oauth.Claims{
		"aud":                  oauth.AppExchangeOnline + "/" + o.Host + "@" + o.Realm,
		"iss":                  issuer,
		"nbf":                  now.Unix(),
		"iat":                  now.Unix(),
		"exp":                  now.Add(tokenLifetime).Unix(),
		"nameid":               oauth.AppExchangeOnline + "@" + t.config.TenantID,
		"identityprovider":     issuer,
		"trustedfordelegation": "true",
		"jti":                  newGUID(),
	}
	if o.Mutate != nil {
		o.Mutate(claims)
	}
	return t.signer().Sign(claims)
}

// registered reports whether a host is among the names of Exchange Online's service principal: as a
// URL, or in the older form APPID/HOST. There "*." stands for the names one level below a domain,
// not for the domain itself.
func (t *Tenant) registered(host string) bool {
	_, parent, _ := strings.Cut(host, ".")
	return slices.ContainsFunc(t.resourceNames(oauth.AppExchangeOnline), func(name string) bool {
		name = strings.TrimSuffix(name, "/")
		return strings.EqualFold(name, "https://"+host) || strings.EqualFold(name, oauth.AppExchangeOnline+"/"+host) ||
			strings.EqualFold(name, oauth.AppExchangeOnline+"/*."+parent)
	})
}

// refusal is an error answer of the token endpoint.
type refusal struct {
	status int
	kind   string // "invalid_client"
	code   int    // AADSTS
	text   string
}

func refuse(status int, kind string, code int, format string, args ...any) *refusal {
	return &refusal{status, kind, code, fmt.Sprintf(format, args...)}
}

// appClaims makes the claims of an application's token; t.mu must be held.
func (t *Tenant) appClaims(appID, resource, proof string) (oauth.Claims, *refusal) {
	principal := t.state.principalOf(appID)
	if principal == nil {
		return nil, refuse(401, "invalid_client", 7000229,
			"The client application %s is missing service principal in the tenant %s. See instructions here: "+
				"https://go.microsoft.com/fwlink/?linkid=2225119", appID, t.config.TenantID)
	}
	if !principal.AccountEnabled {
		return nil, refuse(401, "unauthorized_client", 7000112, "Application '%s'(%s) is disabled.", principal.AppID,
			principal.DisplayName)
	}
	target, audience := t.resource(resource)
	if target == nil {
		return nil, refuse(400, "invalid_resource", 500011,
			"The resource principal named %s was not found in the tenant named %s. This can happen if the "+
				"application has not been installed by the administrator of the tenant or consented to by any user in "+
				"the tenant. You might have sent your authentication request to the wrong tenant.", resource,
			t.config.DisplayName)
	}
	now := t.config.Clock()
	claims := oauth.Claims{
		"aud": audience, "iss": t.stsIssuer(), "iat": now.Unix(), "nbf": now.Add(-5 * time.Minute).Unix(),
		"exp":   now.Add(tokenLifetime).Unix(),
		"appid": principal.AppID, "appidacr": proof, "app_displayname": principal.DisplayName, "idp": t.stsIssuer(),
		"idtyp": "app",
		"oid":   principal.ID, "sub": principal.ID, "tid": t.config.TenantID, "uti": newAssignmentID()[:22],
		"ver": "1.0",
	}
	if roles := t.state.Roles(appID, target.AppID); len(roles) > 0 {
		claims["roles"] = roles
	}
	return claims, nil
}

// userClaims makes the claims of a token for the administrator, signed in through a public client;
// t.mu must be held.
func (t *Tenant) userClaims(clientID, resource string) (oauth.Claims, *refusal) {
	target, audience := t.resource(resource)
	if target == nil {
		return nil, refuse(400, "invalid_resource", 500011,
			"The resource principal named %s was not found in the tenant named %s.", resource, t.config.DisplayName)
	}
	now := t.config.Clock()
	scope := "AdminApi.AccessAsUser.All FfoPowerShell.AccessAsUser.All"
	if target.AppID == oauth.AppGraph {
		// The scopes of Azure PowerShell. Directory.AccessAsUser.All stands for the person's own
		// directory roles.
		scope = "AuditLog.Read.All Directory.AccessAsUser.All email openid profile"
	}
	return oauth.Claims{
		"aud": audience, "iss": t.stsIssuer(), "iat": now.Unix(), "nbf": now.Add(-5 * time.Minute).Unix(),
		"exp":   now.Add(tokenLifetime).Unix(),
		"appid": clientID, "appidacr": "0", "idp": t.stsIssuer(), "idtyp": "user", "oid": stableGUID(t.config.Admin),
		"sub": stableGUID(t.config.Admin),
		"tid": t.config.TenantID, "upn": t.config.Admin, "unique_name": t.config.Admin, "scp": scope, "ver": "1.0",
		"wids": []string{"62e90394-69f5-4237-9190-012177145e10"}, // Global Administrator
	}, nil
}

func stableGUID(s string) string {
	var b [16]byte
	for i := range b {
		n := uint32(2166136261) ^ uint32(i)
		for _, c := range []byte(s) {
			n = (n ^ uint32(c)) * 16777619
		}
		b[i] = byte(n >> 24)
	}
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// resource finds the service principal that a scope without "/.default" names, and the audience of
// tokens for it.
func (t *Tenant) resource(name string) (*ServicePrincipal, string) {
	plain := strings.TrimSuffix(name, "/")
	for _, p := range t.state.ServicePrincipals {
		for _, n := range p.ServicePrincipalNames {
			if strings.EqualFold(strings.TrimSuffix(n, "/"), plain) {
				return p, plain
			}
		}
	}
	return nil, ""
}
