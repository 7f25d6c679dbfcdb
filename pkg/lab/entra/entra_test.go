package entra

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

const tenantID = "6d1a2b3c-4e5f-4a6b-8c7d-0e1f2a3b4c5d"

var start = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time  { c.mu.Lock(); defer c.mu.Unlock(); return c.now }
func (c *clock) Set(t time.Time) { c.mu.Lock(); defer c.mu.Unlock(); c.now = t }

// estate is a tenant behind real TLS, and a client whose connections all lead there.
type estate struct {
	*Tenant
	clock  *clock
	client *http.Client
}

func newEstate(t *testing.T, change func(*Config)) *estate {
	t.Helper()
	c := &clock{now: start}
	config := Config{
		TenantID: tenantID, InitialDomain: "contoso.onmicrosoft.com", LoginHost: "login.microsoftonline.com",
		GraphHost: "graph.microsoft.com", Clock: c.Now,
	}
	if change != nil {
		change(&config)
	}
	tenant, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	login, graph := tenant.Login(), tenant.Graph()
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host == "graph.microsoft.com" {
			graph.ServeHTTP(w, r)
			return
		}
		login.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, srv.Listener.Addr().String())
		},
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
	t.Cleanup(client.CloseIdleConnections)
	return &estate{Tenant: tenant, clock: c, client: client}
}

func newCertificate(t testing.TB, name string, from, to time.Time) (*x509.Certificate, *rsa.PrivateKey) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: from, NotAfter: to}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c, key
}

const tokenURL = "https://login.microsoftonline.com/" + tenantID + "/oauth2/v2.0/token"

// request sends a client-credentials request with a given assertion. It returns the AADSTS code of
// the refusal, or 0 for a token.
func (e *estate) request(t *testing.T, clientID, assertion string) (int, oauth.Claims) {
	t.Helper()
	resp, err := e.client.PostForm(tokenURL, url.Values{
		"client_id": {clientID}, "scope": {"https://outlook.office365.com/.default"},
		"grant_type":            {"client_credentials"},
		"client_assertion_type": {oauth.AssertionType}, "client_assertion": {assertion},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		refused := oauth.ParseError("login", resp.StatusCode, body)
		if len(refused.Codes) == 0 {
			t.Fatalf("refusal without a code: %s", body)
		}
		return refused.Codes[0], nil
	}
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatal(err)
	}
	verified, err := e.VerifyToken(answer.AccessToken, "exchange")
	if err != nil {
		t.Fatalf("the issued token does not verify: %v", err)
	}
	return 0, verified.Claims
}

func TestClientAssertions(t *testing.T) {
	e := newEstate(t, nil)
	good, key := newCertificate(t, "Microsoft Exchange Server Auth Certificate", start.Add(-time.Hour),
		start.AddDate(5, 0, 0))
	old, oldKey := newCertificate(t, "old", start.AddDate(-5, 0, 0), start.Add(-time.Hour))
	other, otherKey := newCertificate(t, "other", start.Add(-time.Hour), start.AddDate(5, 0, 0))
	appID, err := e.AddApplication(NewApplication{DisplayName: "ExchangeServerApp-x", Certificate: good,
		Exchange: []string{"full_access_as_app"}})
	if err != nil {
		t.Fatal(err)
	}
	e.Update(func(s *State) {
		k, err := completeKey(KeyCredential{Key: old.Raw, Type: "AsymmetricX509Cert", Usage: "Verify"})
		if err != nil {
			t.Error(err)
		}
		a := s.Application(appID)
		a.KeyCredentials = append(a.KeyCredentials, k)
	})
	claims := func(change func(oauth.Claims)) oauth.Claims {
		c := oauth.Claims{"iss": appID, "sub": appID, "aud": tokenURL, "jti": newGUID(), "nbf": start.Unix(),
			"exp": start.Add(10 * time.Minute).Unix()}
		if change != nil {
			change(c)
		}
		return c
	}
	sign := func(s oauth.Signer, c oauth.Claims) string {
		text, err := s.Sign(c)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	signer := oauth.Signer{Key: key, Certificate: good}
	presented := sign(signer, claims(nil))
	if code, _ := e.request(t, appID, presented); code != 0 {
		t.Fatalf("a good assertion: AADSTS%d", code)
	}
	// As MSAL.NET and Azure.Identity write the times.
	if code, _ := e.request(t, appID, sign(signer, claims(func(c oauth.Claims) {
		c["nbf"], c["exp"] = strconv.FormatInt(start.Unix(), 10), strconv.FormatInt(start.Add(10*time.Minute).Unix(),
			10)
	}))); code != 0 {
		t.Errorf("times as texts: AADSTS%d", code)
	}
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`)) + "." +
		strings.Split(sign(signer, claims(nil)), ".")[1] + "."
	tampered := func() string {
		parts := strings.Split(sign(signer, claims(nil)), ".")
		body, err := json.Marshal(claims(func(c oauth.Claims) { c["exp"] = start.Add(20 * time.Minute).Unix() }))
		if err != nil {
			t.Fatal(err)
		}
		return parts[0] + "." + base64.RawURLEncoding.EncodeToString(body) + "." + parts[2]
	}
	for _, test := range []struct {
		name, assertion string
		want            int
	}{
		// @azure/msal-node sends one assertion until it expires, and Entra accepts it.
		{"presented again", presented, 0},
		{"unsigned", none, 50027},
		{"no token", "x", 50027},
		{"key not uploaded", sign(oauth.Signer{Key: otherKey, Certificate: other}, claims(nil)), 700027},
		{"key of another under our thumbprint", sign(oauth.Signer{Key: otherKey, Certificate: good}, claims(nil)),
			700027},
		{"expired key", sign(oauth.Signer{Key: oldKey, Certificate: old}, claims(nil)), 700027},
		{"names no key", sign(oauth.Signer{Key: key}, claims(nil)), 700027},
		{"claims changed", tampered(), 700027},
		{"expired", sign(signer, claims(func(c oauth.Claims) { c["exp"] = start.Add(-6 * time.Minute).Unix() })),
			700024},
		{"expired, as text", sign(signer,
			claims(func(c oauth.Claims) { c["exp"] = strconv.FormatInt(start.Add(-6*time.Minute).Unix(), 10) })),
			700024},
		{"a time that is none", sign(signer, claims(func(c oauth.Claims) { c["exp"] = "tomorrow" })), 50027},
		{"never expires", sign(signer, claims(func(c oauth.Claims) { delete(c, "exp") })), 700024},
		{"from the future", sign(signer, claims(func(c oauth.Claims) { c["nbf"] = start.Add(6 * time.Minute).Unix() })),
			700024},
		{"for another tenant", sign(signer,
			claims(func(c oauth.Claims) { c["aud"] = strings.Replace(tokenURL, "6d1a", "7d1a", 1) })), 700023},
		{"of another issuer", sign(signer, claims(func(c oauth.Claims) { c["iss"] = newGUID() })), 700021},
		{"of another subject", sign(signer, claims(func(c oauth.Claims) { c["sub"] = newGUID() })), 700021},
	} {
		t.Run(test.name, func(t *testing.T) {
			if code, _ := e.request(t, appID, test.assertion); code != test.want {
				t.Errorf("AADSTS%d, want %d", code, test.want)
			}
		})
	}
	if code, _ := e.request(t, newGUID(), sign(signer, claims(nil))); code != 700016 {
		t.Errorf("unknown application: AADSTS%d, want 700016", code)
	}
	code, issued := e.request(t, appID, sign(signer, claims(nil)))
	if code != 0 {
		t.Fatalf("AADSTS%d", code)
	}
	if diff := cmp.Diff([]string{"full_access_as_app"}, issued.Strings("roles")); diff != "" {
		t.Error("roles", diff)
	}
	e.Update(func(s *State) { s.Revoke(appID, "full_access_as_app") })
	if _, issued = e.request(t, appID, sign(signer, claims(nil))); issued.Strings("roles") != nil {
		t.Errorf("roles %v after the consent was taken back", issued.Strings("roles"))
	}
	e.Update(func(s *State) { s.ServicePrincipal(appID).AccountEnabled = false })
	if code, _ = e.request(t, appID, sign(signer, claims(nil))); code != 7000112 {
		t.Errorf("disabled: AADSTS%d, want 7000112", code)
	}
	e.Update(func(s *State) { s.removePrincipal(s.ServicePrincipal(appID)) })
	if code, _ = e.request(t, appID, sign(signer, claims(nil))); code != 7000229 {
		t.Errorf("without service principal: AADSTS%d, want 7000229", code)
	}
}

// The product's own client against the login host, and its errors.
func TestClientCredentials(t *testing.T) {
	e := newEstate(t, nil)
	c, key := newCertificate(t, "app", start.Add(-time.Hour), start.AddDate(1, 0, 0))
	appID, err := e.AddApplication(NewApplication{DisplayName: "app", Certificate: c, Secret: "s3cret",
		Graph: []string{"Calendars.Read"}})
	if err != nil {
		t.Fatal(err)
	}
	grant := oauth.ClientCredentials{TokenURL: tokenURL, ClientID: appID, Scope: "https://graph.microsoft.com/.default",
		Certificate: c, Key: key, Now: e.clock.Now}
	got, err := grant.Token(t.Context(), e.client)
	if err != nil {
		t.Fatal(err)
	}
	claims, err := got.Claims()
	if err != nil {
		t.Fatal(err)
	}
	if claims.String("appid") != appID || claims.String("tid") != tenantID ||
		claims.String("aud") != "https://graph.microsoft.com" ||
		!cmp.Equal(claims.Strings("roles"), []string{"Calendars.Read"}) {
		t.Errorf("claims %v", claims)
	}
	if !got.Expires.Equal(start.Add(time.Hour)) {
		t.Errorf("expires %s", got.Expires)
	}
	for _, test := range []struct {
		name   string
		change func(*oauth.ClientCredentials)
		code   int
	}{
		{"wrong secret", func(g *oauth.ClientCredentials) { g.Key, g.Secret = nil, secret.NewValue("hunter2hunter2") },
			7000215},
		{"wrong tenant", func(g *oauth.ClientCredentials) {
			g.TokenURL = "https://login.microsoftonline.com/fabrikam.example/oauth2/v2.0/token"
		}, 90002},
		{"unknown resource", func(g *oauth.ClientCredentials) { g.Scope = "https://example.org/.default" }, 500011},
		{"no default scope", func(g *oauth.ClientCredentials) { g.Scope = "https://graph.microsoft.com/Calendars.Read" }, 1002012},
		{"two resources", func(g *oauth.ClientCredentials) { g.Scope += " https://outlook.office365.com/.default" },
			1002012},
		{"no tenant named", func(g *oauth.ClientCredentials) {
			g.TokenURL = "https://login.microsoftonline.com/common/oauth2/v2.0/token"
		}, 50059},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := grant
			test.change(&g)
			_, err := g.Token(t.Context(), e.client)
			var refused *oauth.Error
			if !errors.As(err, &refused) || !refused.AADSTS(test.code) {
				t.Fatalf("%v, want AADSTS%d", err, test.code)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Error("the error tells the secret")
			}
		})
	}
	if g := (oauth.ClientCredentials{TokenURL: tokenURL, ClientID: appID, Scope: "https://graph.microsoft.com/.default",
		Secret: secret.NewValue("s3cret")}); true {
		if _, err := g.Token(t.Context(), e.client); err != nil {
			t.Error(err)
		}
	}
}

func TestMetadata(t *testing.T) {
	e := newEstate(t, nil)
	openID, err := oauth.FetchOpenIDConfiguration(t.Context(), e.client,
		"https://login.microsoftonline.com/contoso.onmicrosoft.com")
	if err != nil {
		t.Fatal(err)
	}
	if openID.TenantID() != tenantID {
		t.Errorf("tenant id %q", openID.TenantID())
	}
	keys, err := oauth.FetchKeys(t.Context(), e.client, openID.JWKSURI)
	if err != nil {
		t.Fatal(err)
	}
	acs, err := oauth.FetchAuthMetadata(t.Context(), e.client,
		"https://accounts.accesscontrol.windows.net/"+tenantID+"/metadata/json/1")
	if err != nil {
		t.Fatal(err)
	}
	acsKeys, err := acs.SigningKeys()
	if err != nil {
		t.Fatal(err)
	}
	federation, err := oauth.FetchFederationMetadata(t.Context(), e.client,
		"https://login.windows.net/contoso.onmicrosoft.com/federationmetadata/2007-06/federationmetadata.xml")
	if err != nil {
		t.Fatal(err)
	}
	if federation.TenantID() != tenantID || len(federation.Certificates) != 1 {
		t.Errorf("federation metadata of %q with %d certificates", federation.TenantID(), len(federation.Certificates))
	}
	// A token for on-premises Exchange verifies with the keys that ACS publishes, as an on-premises
	// server verifies it.
	if _, err := e.ServiceToken(ServiceTokenOptions{Host: "mail.contoso.example",
		Realm: "contoso.example"}); err == nil || !strings.Contains(err.Error(), "AADSTS500011") {
		t.Errorf("a token for a host that is not registered: %v", err)
	}
	for _, name := range []string{"https://mail.contoso.example/", oauth.AppExchangeOnline + "/mail.contoso.example",
		oauth.AppExchangeOnline + "/*.contoso.example"} {
		e.Update(func(s *State) {
			p := s.principalOf(oauth.AppExchangeOnline)
			p.ServicePrincipalNames = []string{p.AppID, name}
		})
		if _, err := e.ServiceToken(ServiceTokenOptions{Host: "contoso.example",
			Realm: "contoso.example"}); err == nil {
			t.Errorf("%s stands for the domain above too", name)
		}
		if _, err := e.ServiceToken(ServiceTokenOptions{Host: "mail.contoso.example",
			Realm: "contoso.example"}); err != nil {
			t.Errorf("registered as %s: %v", name, err)
		}
	}
	text, err := e.ServiceToken(ServiceTokenOptions{Host: "mail.contoso.example", Realm: "contoso.example"})
	if err != nil {
		t.Fatal(err)
	}
	v := oauth.Verifier{
		Keys: acsKeys, Issuers: []string{acs.Issuer}, Now: e.clock.Now,
		Audiences: []string{oauth.AppExchangeOnline + "/mail.contoso.example@contoso.example"},
	}
	if _, err := v.Verify(text); err != nil {
		t.Error(err)
	}
	v.Keys = keys
	if _, err := v.Verify(text); err != nil {
		t.Error("with the key set:", err)
	}
	if _, err := oauth.FetchOpenIDConfiguration(t.Context(), e.client,
		"https://login.microsoftonline.com/other.example"); err == nil ||
		!strings.Contains(err.Error(), "AADSTS90002") {
		t.Errorf("unknown tenant: %v", err)
	}
}

// graph sends a raw request to Graph as an application.
func (e *estate) graph(t *testing.T, token, method, path string, body any) (int, map[string]any) {
	t.Helper()
	var payload io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		payload = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, "https://graph.microsoft.com/v1.0"+path, payload)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := e.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var m map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&m); err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return resp.StatusCode, m
}

func code(m map[string]any) string {
	e, _ := m["error"].(map[string]any)
	s, _ := e["code"].(string)
	return s
}

func TestGraphRefuses(t *testing.T) {
	e := newEstate(t, nil)
	all := []string{"Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All", "Domain.Read.All"}
	admin, err := e.AddApplication(NewApplication{DisplayName: "admin", Graph: all,
		Exchange: []string{"Exchange.ManageAsApp"}})
	if err != nil {
		t.Fatal(err)
	}
	reader, err := e.AddApplication(NewApplication{DisplayName: "reader", Graph: []string{"Application.Read.All"}})
	if err != nil {
		t.Fatal(err)
	}
	token := func(appID, resource string) string {
		text, err := e.AppToken(appID, resource)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	full, readOnly, exchange := token(admin, "https://graph.microsoft.com"), token(reader,
		"https://graph.microsoft.com"), token(admin, "https://outlook.office365.com")
	var sp, exo ServicePrincipal
	e.Update(func(s *State) { sp, exo = *s.ServicePrincipal(reader), *s.ServicePrincipal(oauth.AppExchangeOnline) })
	grant := map[string]any{"principalId": sp.ID, "resourceId": exo.ID,
		"appRoleId": exchangeRoles["full_access_as_app"]}
	for _, test := range []struct {
		name, token, method, path string
		body                      any
		status                    int
		code                      string
	}{
		{"no token", "", "GET", "/applications", nil, 401, "InvalidAuthenticationToken"},
		{"garbage", "eyJ.x.y", "GET", "/applications", nil, 401, "InvalidAuthenticationToken"},
		{"token for Exchange", exchange, "GET", "/applications", nil, 401, "InvalidAuthenticationToken"},
		{"may not write", readOnly, "POST", "/applications", map[string]any{"displayName": "x"}, 403,
			"Authorization_RequestDenied"},
		{"may not read domains", readOnly, "GET", "/domains", nil, 403, "Authorization_RequestDenied"},
		{"no calendars", full, "POST", "/users/a@b.example/calendar/getSchedule", map[string]any{}, 403,
			"ErrorAccessDenied"},
		{"not there", full, "GET", "/applications/" + newGUID(), nil, 404, "Request_ResourceNotFound"},
		{"no name", full, "POST", "/applications", map[string]any{}, 400, "Request_BadRequest"},
		{"unknown property", full, "POST", "/applications", map[string]any{"displayName": "x", "colour": "red"}, 400,
			"Request_BadRequest"},
		{"read-only property", full, "POST", "/applications", map[string]any{"displayName": "x", "appId": newGUID()},
			400, "Request_BadRequest"},
		{"wrong type", full, "POST", "/applications", map[string]any{"displayName": 7}, 400, "Request_BadRequest"},
		{"not JSON", full, "POST", "/applications", nil, 400, "BadRequest"},
		{"bad filter", full, "GET", "/applications?$filter=displayName%20ne%20'x'", nil, 400,
			"Request_UnsupportedQuery"},
		{"unknown segment", full, "GET", "/groups", nil, 400, "Request_BadRequest"},
		{"principal without application", full, "POST", "/servicePrincipals", map[string]any{"appId": newGUID()}, 400,
			"NoBackingApplicationObject"},
		{"principal twice", full, "POST", "/servicePrincipals", map[string]any{"appId": reader}, 409,
			"Request_MultipleObjectsWithSameKeyValue"},
		{"consent without right", readOnly, "POST", "/servicePrincipals/" + sp.ID + "/appRoleAssignments", grant, 403,
			"Authorization_RequestDenied"},
		{"consent", full, "POST", "/servicePrincipals/" + sp.ID + "/appRoleAssignments", grant, 201, ""},
		{"consent twice", full, "POST", "/servicePrincipals/" + sp.ID + "/appRoleAssignments", grant, 400,
			"Request_BadRequest"},
		{"wrong method", full, "PUT", "/applications", nil, 405, "Request_BadRequest"},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, answer := e.graph(t, test.token, test.method, test.path, test.body)
			if status != test.status || code(answer) != test.code {
				t.Errorf("%d %q, want %d %q: %v", status, code(answer), test.status, test.code, answer)
			}
		})
	}
	e.clock.Set(start.Add(2 * time.Hour))
	if status, _ := e.graph(t, full, "GET", "/applications", nil); status != 401 {
		t.Errorf("an expired token: %d, want 401", status)
	}
}

func TestKeysAppearOnlyWhenAskedFor(t *testing.T) {
	e := newEstate(t, nil)
	c, _ := newCertificate(t, "auth", start.Add(-time.Hour), start.AddDate(5, 0, 0))
	admin, err := e.AddApplication(NewApplication{DisplayName: "admin", Certificate: c, Secret: "s3cret",
		Graph: []string{"Application.ReadWrite.All"}})
	if err != nil {
		t.Fatal(err)
	}
	token, err := e.AppToken(admin, "https://graph.microsoft.com")
	if err != nil {
		t.Fatal(err)
	}
	read := func(query string) map[string]any {
		_, m := e.graph(t, token, "GET", "/applications(appId='"+admin+"')"+query, nil)
		keys := elements(m["keyCredentials"])
		if len(keys) != 1 {
			t.Fatalf("%d keys in %v", len(keys), m)
		}
		if strings.Contains(toJSON(t, m), "s3cret") {
			t.Error("the secret is told")
		}
		return keys[0]
	}
	if k := read(""); k["key"] != nil {
		t.Error("the certificate came without $select")
	}
	k := read("?$select=id,keyCredentials")
	if k["key"] != base64.StdEncoding.EncodeToString(c.Raw) {
		t.Error("the certificate did not come with $select")
	}
	// An entry that is sent back without its certificate keeps it. An unknown entry is refused.
	delete(k, "key")
	if status, m := e.graph(t, token, "PATCH", "/applications(appId='"+admin+"')",
		map[string]any{"keyCredentials": []any{k}}); status != 204 {
		t.Fatalf("%d %v", status, m)
	}
	if k := read("?$select=keyCredentials"); k["key"] == nil {
		t.Error("the certificate got lost")
	}
	k["keyId"] = newGUID()
	if status, _ := e.graph(t, token, "PATCH", "/applications(appId='"+admin+"')",
		map[string]any{"keyCredentials": []any{k}}); status != 400 {
		t.Errorf("a key without value: %d, want 400", status)
	}
}

func toJSON(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestSnapshot(t *testing.T) {
	e := newEstate(t, nil)
	c, _ := newCertificate(t, "auth", start.Add(-time.Hour), start.AddDate(5, 0, 0))
	appID, err := e.AddApplication(NewApplication{DisplayName: "a", Certificate: c, Secret: "s",
		Exchange: []string{"full_access_as_app"}})
	if err != nil {
		t.Fatal(err)
	}
	e.AddDomain("contoso.example", true)
	before, err := e.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	e.Update(func(s *State) { s.Applications, s.Assignments = nil, nil; s.Domains[0].Verified = false })
	if err := e.Restore(before); err != nil {
		t.Fatal(err)
	}
	after, err := e.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(before), string(after)); diff != "" {
		t.Error(diff)
	}
	e.Update(func(s *State) {
		if got := s.Roles(appID, oauth.AppExchangeOnline); !cmp.Equal(got, []string{"full_access_as_app"}) {
			t.Errorf("roles %v", got)
		}
	})
	if err := e.Restore([]byte(`{"nonsense": 1}`)); err == nil {
		t.Error("nonsense was restored")
	}
}

func TestView(t *testing.T) {
	q := ScheduleQuestion{Start: start, End: start.Add(3 * time.Hour), Interval: 30 * time.Minute}
	items := []ScheduleItem{
		{Status: "busy", Start: start.Add(30 * time.Minute), End: start.Add(time.Hour)},
		{Status: "workingElsewhere", Start: start, End: start.Add(90 * time.Minute)},
		{Status: "oof", Start: start.Add(2 * time.Hour), End: start.Add(2*time.Hour + time.Minute)},
		{Status: "tentative", Start: start.Add(150 * time.Minute), End: start.Add(4 * time.Hour)},
	}
	if got := view(q, items); got != "424031" {
		t.Errorf("%s, want 424031", got)
	}
}

func TestClientSecrets(t *testing.T) {
	e := newEstate(t, nil)
	appID, err := e.AddApplication(NewApplication{DisplayName: "app", Secret: "s3cret",
		Exchange: []string{"full_access_as_app"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, secret string
		after        time.Duration
		code         int
	}{
		{"good", "s3cret", 0, 0},
		{"wrong", "other", 0, 7000215},
		{"expired", "s3cret", 367 * 24 * time.Hour, 7000222},
		{"wrong and expired", "other", 367 * 24 * time.Hour, 7000215},
	} {
		t.Run(test.name, func(t *testing.T) {
			e.clock.Set(start.Add(test.after))
			_, err := oauth.ClientCredentials{TokenURL: tokenURL, ClientID: appID,
				Scope:  "https://outlook.office365.com/.default",
				Secret: secret.NewValue(test.secret)}.Token(t.Context(), e.client)
			var refused *oauth.Error
			switch {
			case test.code == 0 && err != nil:
				t.Error(err)
			case test.code != 0 && (!errors.As(err, &refused) || !slices.Contains(refused.Codes, test.code)):
				t.Errorf("got %v, want AADSTS%d", err, test.code)
			}
		})
	}
}

// TestDeviceCodes: a code is valid for the application that requested it, for one resource, once,
// until it expires.
func TestDeviceCodes(t *testing.T) {
	const publicClient = "1950a258-227b-4e31-a9cf-717495945fc2" // Azure PowerShell
	e := newEstate(t, func(c *Config) { c.ConfirmDeviceCodes = true })
	host := strings.TrimSuffix(tokenURL, "/oauth2/v2.0/token")
	post := func(t *testing.T, address string, form url.Values) (code int, answer map[string]any) {
		t.Helper()
		resp, err := e.client.PostForm(address, form)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
			t.Fatal(err)
		}
		if codes, _ := answer["error_codes"].([]any); len(codes) > 0 {
			number, _ := codes[0].(float64)
			code = int(number)
		}
		return code, answer
	}
	for _, test := range []struct {
		name, scope, redeemer string
		after                 time.Duration
		want                  []int // of one poll after the other
	}{
		{"confirmed at the second poll, good for one token", "https://graph.microsoft.com/.default offline_access",
			publicClient, 0, []int{70016, 0, 70000}},
		{"another application", "https://graph.microsoft.com/.default", "fb78d390-0c51-40cd-8e17-fdbfab77341b", 0,
			[]int{70000, 70000}},
		{"expired", "https://graph.microsoft.com/.default", publicClient, 16 * time.Minute, []int{70020, 70000}},
		{"two resources", "https://graph.microsoft.com/.default https://outlook.office365.com/.default", publicClient,
			0, []int{70016, 70011}},
	} {
		t.Run(test.name, func(t *testing.T) {
			e.clock.Set(start)
			_, given := post(t, host+"/oauth2/v2.0/devicecode",
				url.Values{"client_id": {publicClient}, "scope": {test.scope}})
			device, _ := given["device_code"].(string)
			e.clock.Set(start.Add(test.after))
			var got []int
			for range test.want {
				code, _ := post(t, tokenURL, url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"},
					"client_id": {test.redeemer}, "device_code": {device}})
				got = append(got, code)
			}
			if d := cmp.Diff(test.want, got); d != "" {
				t.Errorf("AADSTS codes (-want +got):\n%s", d)
			}
		})
	}
}
