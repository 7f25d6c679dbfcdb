package entra

import (
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

// Login answers as the login host, and as the hosts of ACS and federation metadata
// (accounts.accesscontrol.windows.net, login.windows.net), whose paths do not collide with it.
func (t *Tenant) Login() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store, no-cache")
		w.Header().Set("X-Ms-Request-Id", newGUID())
		w.Header().Set("Date", t.config.Clock().UTC().Format(http.TimeFormat))
		if r.URL.Path == "/device" {
			t.DevicePage().ServeHTTP(w, r)
			return
		}
		tenant, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		if id := t.elsewhere(tenant); id != "" && path == "v2.0/.well-known/openid-configuration" {
			writeJSON(w, http.StatusOK, oauth.OpenIDConfiguration{
				Issuer:        "https://" + t.config.LoginHost + "/" + id + "/v2.0",
				TokenEndpoint: "https://" + t.config.LoginHost + "/" + id + "/oauth2/v2.0/token",
				JWKSURI:       "https://" + t.config.LoginHost + "/" + id + "/discovery/v2.0/keys",
				CloudInstance: "microsoftonline.com", TenantRegionScope: "NA",
			})
			return
		}
		if !t.knows(tenant) {
			t.refuse(w, refuse(400, "invalid_tenant", 90002,
				"Tenant '%s' not found. Check to make sure you have the correct tenant ID and are signing into the "+
					"correct cloud. Check with your subscription administrator, this may happen if there are no "+
					"active "+
					"subscriptions for the tenant.", tenant))
			return
		}
		get := r.Method == http.MethodGet
		switch {
		case get && (path == "v2.0/.well-known/openid-configuration" || path == ".well-known/openid-configuration"):
			writeJSON(w, http.StatusOK, t.openID(strings.HasPrefix(path, "v2.0/")))
		case get && (path == "discovery/v2.0/keys" || path == "discovery/keys"):
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			w.Write(oauth.FormatKeys(t.Keys()))
		case get && path == "metadata/json/1":
			base := "https://" + r.Host + "/" + t.config.TenantID
			writeJSON(w, http.StatusOK, oauth.ACSMetadata(t.config.TenantID, base+"/tokens/OAuth/2", t.certificate))
		case get && strings.EqualFold(path, "federationmetadata/2007-06/federationmetadata.xml"):
			w.Header().Set("Content-Type", "application/samlmetadata+xml; charset=utf-8")
			w.Write(t.FederationMetadata().Format())
		case r.Method == http.MethodPost && path == "oauth2/v2.0/token":
			t.token(w, r, tenant)
		case r.Method == http.MethodPost && path == "oauth2/v2.0/devicecode":
			t.deviceCode(w, r)
		default:
			http.NotFound(w, r)
		}
	})
}

// FederationMetadata is the document of the tenant's security token service.
func (t *Tenant) FederationMetadata() oauth.FederationMetadata {
	m := oauth.FederationMetadata{EntityID: t.stsIssuer(), Endpoint: t.authority() + "/wsfed"}
	m.Certificates = append(m.Certificates, t.certificate)
	return m
}

// authority is the tenant's address at the login host.
func (t *Tenant) authority() string { return "https://" + t.config.LoginHost + "/" + t.config.TenantID }

// knows reports whether the first part of a path names this tenant: its GUID, a verified domain, or
// "organizations" and "common", under which a user may be of any tenant.
func (t *Tenant) knows(name string) bool {
	if strings.EqualFold(name, t.config.TenantID) || name == "organizations" || name == "common" {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, d := range t.state.Domains {
		if d.Verified && strings.EqualFold(d.Name, name) {
			return true
		}
	}
	return false
}

// elsewhere returns the GUID of the other tenant that holds a domain.
func (t *Tenant) elsewhere(domain string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state.Elsewhere[strings.ToLower(domain)]
}

func (t *Tenant) openID(v2 bool) oauth.OpenIDConfiguration {
	c := oauth.OpenIDConfiguration{
		Issuer:                      t.stsIssuer(),
		AuthorizationEndpoint:       t.authority() + "/oauth2/v2.0/authorize",
		TokenEndpoint:               t.authority() + "/oauth2/v2.0/token",
		DeviceAuthorizationEndpoint: t.authority() + "/oauth2/v2.0/devicecode",
		JWKSURI:                     t.authority() + "/discovery/v2.0/keys",
		TokenEndpointAuthMethods:    []string{"client_secret_post", "private_key_jwt"},
		ResponseTypes:               []string{"code", "id_token"},
		SubjectTypes:                []string{"pairwise"},
		SigningAlgorithms:           []string{"RS256"},
		TenantRegionScope:           "EU",
		CloudInstance:               "microsoftonline.com",
		GraphHost:                   t.config.GraphHost,
	}
	if v2 {
		c.Issuer = t.authority() + "/v2.0"
	}
	return c
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // an error means that the client has gone
}

// refuse writes an error document as Entra does.
func (t *Tenant) refuse(w http.ResponseWriter, r *refusal) {
	trace, correlation, now := newGUID(), newGUID(), t.config.Clock().UTC().Format("2006-01-02 15:04:05Z")
	writeJSON(w, r.status, map[string]any{
		"error": r.kind,
		"error_description": fmt.Sprintf("AADSTS%d: %s Trace ID: %s Correlation ID: %s Timestamp: %s", r.code, r.text,
			trace, correlation, now),
		"error_codes":    []int{r.code},
		"timestamp":      now,
		"trace_id":       trace,
		"correlation_id": correlation,
		"error_uri":      fmt.Sprintf("https://%s/error?code=%d", t.config.LoginHost, r.code),
	})
}

const maxForm = 256 << 10

func (t *Tenant) token(w http.ResponseWriter, r *http.Request, tenant string) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		t.refuse(w, refuse(400, "invalid_request", 900144,
			"The request body must contain the following parameter: 'grant_type'."))
		return
	}
	switch grant := r.PostForm.Get("grant_type"); grant {
	case "client_credentials":
		t.clientCredentials(w, r, tenant)
	case "urn:ietf:params:oauth:grant-type:device_code", "device_code":
		t.redeemDeviceCode(w, r.PostForm)
	case "refresh_token":
		t.refresh(w, r.PostForm)
	case "":
		t.refuse(w, refuse(400, "invalid_request", 900144,
			"The request body must contain the following parameter: 'grant_type'."))
	default:
		t.refuse(w, refuse(400, "unsupported_grant_type", 70003, "The app requested an unsupported grant type '%s'.",
			grant))
	}
}

// resourceOf reads the one resource of a scope list, dropping those of OpenID.
func resourceOf(scope string) (string, bool) {
	resource := ""
	for _, s := range strings.Fields(scope) {
		switch s {
		case "openid", "profile", "offline_access", "email":
			continue
		}
		name, ok := strings.CutSuffix(s, "/.default")
		if !ok || resource != "" {
			return "", false
		}
		resource = name
	}
	return resource, resource != ""
}

func (t *Tenant) clientCredentials(w http.ResponseWriter, r *http.Request, tenant string) {
	form := r.PostForm
	clientID := form.Get("client_id")
	if tenant == "organizations" || tenant == "common" {
		t.refuse(w, refuse(400, "invalid_request", 50059,
			"No tenant-identifying information found in either the request or implied by any provided credentials."))
		return
	}
	resource, ok := resourceOf(form.Get("scope"))
	if !ok {
		t.refuse(w, refuse(400, "invalid_scope", 1002012,
			"The provided value for scope %s is not valid. Client credential flows must have a scope value with "+
				"/.default suffixed to the resource identifier (application ID URI).", form.Get("scope")))
		return
	}
	t.mu.Lock()
	app := t.state.Application(clientID)
	var proof string
	var refused *refusal
	switch {
	case app == nil:
		refused = refuse(400, "unauthorized_client", 700016,
			"Application with identifier '%s' was not found in the directory '%s'. This can happen if the "+
				"application has not been installed by the administrator of the tenant or consented to by any user in "+
				"the tenant. You may have sent your authentication request to the wrong tenant.", clientID,
			t.config.DisplayName)
	case form.Get("client_assertion") != "":
		proof, refused = "2", t.checkAssertion(app, form, tenant)
	case form.Get("client_secret") != "":
		proof, refused = "1", t.checkSecret(app, form.Get("client_secret"))
	default:
		refused = refuse(401, "invalid_client", 7000218,
			"The request body must contain the following parameter: 'client_assertion' or 'client_secret'.")
	}
	var claims oauth.Claims
	if refused == nil {
		claims, refused = t.appClaims(clientID, resource, proof)
	}
	t.mu.Unlock()
	if refused != nil {
		t.refuse(w, refused)
		return
	}
	t.answerToken(w, claims, nil)
}

func (t *Tenant) answerToken(w http.ResponseWriter, claims oauth.Claims, more map[string]any) {
	text, err := t.signer().Sign(claims)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	answer := map[string]any{"token_type": "Bearer", "expires_in": int(tokenLifetime.Seconds()),
		"ext_expires_in": int(tokenLifetime.Seconds()), "access_token": text}
	for k, v := range more {
		answer[k] = v
	}
	writeJSON(w, http.StatusOK, answer)
}

func (t *Tenant) checkSecret(app *Application, secret string) *refusal {
	expired := false
	for _, p := range app.PasswordCredentials {
		if p.SecretText == nil || subtle.ConstantTimeCompare([]byte(*p.SecretText), []byte(secret)) != 1 {
			continue
		}
		if p.EndDateTime != nil && t.config.Clock().After(*p.EndDateTime) {
			expired = true
			continue
		}
		return nil
	}
	if expired {
		return refuse(401, "invalid_client", 7000222, "The provided client secret keys for app '%s' are expired.",
			app.AppID)
	}
	return refuse(401, "invalid_client", 7000215,
		"Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not "+
			"the client secret ID, for a secret added to app '%s'.", app.AppID)
}

// checkAssertion verifies a signed client assertion as RFC 7523 section 3 requires, against the
// application's uploaded keys.
func (t *Tenant) checkAssertion(app *Application, form url.Values, tenant string) *refusal {
	if form.Get("client_assertion_type") != oauth.AssertionType {
		return refuse(400, "invalid_request", 900144,
			"The request body must contain the following parameter: 'client_assertion_type'.")
	}
	text := form.Get("client_assertion")
	parsed, err := oauth.Parse(text)
	if err != nil {
		return refuse(401, "invalid_client", 50027, "JWT token is invalid or malformed.")
	}
	now := t.config.Clock()
	notRegistered := func(reason string) *refusal {
		return refuse(401, "invalid_client", 700027,
			"The certificate with identifier used to sign the client assertion is not registered on application. "+
				"[Reason - %s Thumbprint of key used by client: '%s', Please visit the Azure Portal, Graph Explorer "+
				"or "+
				"directly use MS Graph to see configured keys for app Id '%s'.]",
			reason, hexThumbprint(parsed.Header), app.AppID)
	}
	keys, expired := verifyKeys(app.KeyCredentials, now)
	if expired[normal(parsed.Header.X5T)] || expired[normal(parsed.Header.X5TS256)] ||
		expired[strings.ToUpper(parsed.Header.KeyID)] {
		return notRegistered("The key used is expired.,")
	}
	authority := "https://" + t.config.LoginHost + "/"
	var audiences []string
	for _, name := range []string{tenant, t.config.TenantID} {
		audiences = append(audiences, authority+name+"/oauth2/v2.0/token", authority+name+"/v2.0",
			authority+name+"/oauth2/token")
	}
	v := oauth.Verifier{
		Keys: keys, Algorithms: []string{"RS256", "PS256"}, Issuers: []string{app.AppID}, Audiences: audiences,
		Now: t.config.Clock, Leeway: 5 * time.Minute, TextTimes: true,
	}
	token, err := v.Verify(text)
	switch {
	case err == nil:
	case errors.Is(err, oauth.ErrAlgorithm), errors.Is(err, oauth.ErrMalformed):
		return refuse(401, "invalid_client", 50027, "JWT token is invalid or malformed.")
	case errors.Is(err, oauth.ErrUnknownKey):
		return notRegistered("The key was not found.,")
	case errors.Is(err, oauth.ErrSignature):
		return notRegistered("Key was found, but use of the key to verify the signature failed.,")
	case errors.Is(err, oauth.ErrExpired), errors.Is(err, oauth.ErrNotYetValid):
		return refuse(401, "invalid_client", 700024,
			"Client assertion is not within its valid time range. Current time: %s, assertion valid from %s, expiry "+
				"time of assertion %s.",
			stamp(now), claimTime(token.Claims, "nbf"), claimTime(token.Claims, "exp"))
	case errors.Is(err, oauth.ErrIssuer):
		return refuse(401, "invalid_client", 700021,
			"Client assertion application identifier doesn't match 'client_id' parameter.")
	case errors.Is(err, oauth.ErrAudience):
		return refuse(401, "invalid_client", 700023,
			"Client assertion audience claim does not match Realm issuer. Review the documentation at "+
				"https://learn.microsoft.com/entra/identity-platform/certificate-credentials .")
	default:
		return refuse(401, "invalid_client", 50027, "JWT token is invalid or malformed.")
	}
	if sub := token.Claims.String("sub"); !strings.EqualFold(sub, app.AppID) {
		return refuse(401, "invalid_client", 700021,
			"Client assertion application identifier doesn't match 'client_id' parameter.")
	}
	return nil
}

var toURL = strings.NewReplacer("+", "-", "/", "_", "=", "")

// normal converts a thumbprint in plain base64, as some libraries send it, to base64url.
func normal(thumbprint string) string { return toURL.Replace(thumbprint) }

func hexThumbprint(h oauth.Header) string {
	for _, s := range []string{h.X5T, h.X5TS256} {
		if raw, err := base64.RawURLEncoding.DecodeString(normal(s)); err == nil && len(raw) > 0 {
			return strings.ToUpper(hex.EncodeToString(raw))
		}
	}
	return ""
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.0000000Z") }

func claimTime(c oauth.Claims, name string) string {
	at, ok, err := c.Time(name)
	if err != nil || !ok {
		return "unknown"
	}
	return stamp(at)
}
