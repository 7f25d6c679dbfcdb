package entra_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
	lab "github.com/hybridge-cli/hybridge/pkg/lab/entra"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

const (
	tenantID = "6d1a2b3c-4e5f-4a6b-8c7d-0e1f2a3b4c5d"
	login    = "https://login.microsoftonline.com"
	graph    = "https://graph.microsoft.com"
	name     = "ExchangeServerApp-1f3a7c52-9b1e-4c37-8a54-2d6e0f9b1c01"
)

// serve puts a simulated tenant behind TLS; every connection of the client leads there.
func serve(t *testing.T, change func(*lab.Config)) (*lab.Tenant, *http.Client) {
	t.Helper()
	config := lab.Config{TenantID: tenantID, InitialDomain: "contoso.onmicrosoft.com",
		LoginHost: "login.microsoftonline.com", GraphHost: "graph.microsoft.com"}
	if change != nil {
		change(&config)
	}
	tenant, err := lab.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return tenant, serveHandlers(t, tenant.Login(), tenant.Graph())
}

func serveHandlers(t *testing.T, loginHost, graphHost http.Handler) *http.Client {
	t.Helper()
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host == "graph.microsoft.com" {
			graphHost.ServeHTTP(w, r)
			return
		}
		loginHost.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	client := &http.Client{
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, srv.Listener.Addr().String())
			},
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	t.Cleanup(client.CloseIdleConnections)
	return client
}

func newBundle(t *testing.T, name string, to time.Time) certificate.Bundle {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: to}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate.Bundle{Leaf: c, Key: key}
}

func newClient(t *testing.T, client *http.Client, credential entra.Credential) *entra.Client {
	t.Helper()
	identity, err := entra.NewIdentity(entra.IdentityOptions{Tenant: tenantID, Login: login, Graph: graph, HTTP: client,
		Credential: credential})
	if err != nil {
		t.Fatal(err)
	}
	c, err := entra.New(entra.Options{Graph: graph, HTTP: client, Token: identity.Source(graph)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var adminRoles = []string{"Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All", "Domain.Read.All",
	"Organization.Read.All"}

// Every kind of credential signs in, through Microsoft's library, at a login host that verifies it.
func TestCredentials(t *testing.T) {
	tenant, client := serve(t, func(c *lab.Config) { c.ConfirmDeviceCodes = true })
	bundle := newBundle(t, "hybridge", time.Now().Add(time.Hour))
	appID, err := tenant.AddApplication(lab.NewApplication{DisplayName: "hybridge", Certificate: bundle.Leaf,
		Secret: "s3cret", Graph: adminRoles})
	if err != nil {
		t.Fatal(err)
	}
	said := ""
	for _, test := range []struct {
		name       string
		credential entra.Credential
	}{
		{"certificate", entra.Credential{Kind: answers.CredentialCertificate, ClientID: appID, Bundle: bundle}},
		{"secret", entra.Credential{Kind: answers.CredentialSecret, ClientID: appID,
			Secret: secret.NewValue("s3cret")}},
		{"device code", entra.Credential{Kind: answers.CredentialDeviceCode, Say: func(s string) { said = s }}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := newClient(t, client, test.credential).Organization(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
	}
	if !strings.Contains(said, "enter the code") {
		t.Errorf("the person was told %q", said)
	}
	t.Run("workload identity", func(t *testing.T) {
		// The workload's token is here a client assertion of the application itself, because the
		// login host can verify that.
		assertion, err := oauth.Assertion(bundle.Leaf, bundle.Key, appID, login+"/"+tenantID+"/oauth2/v2.0/token",
			time.Now())
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(file, []byte(assertion), 0o600); err != nil {
			t.Fatal(err)
		}
		c := newClient(t, client, entra.Credential{Kind: answers.CredentialWorkloadIdentity, ClientID: appID,
			TokenFile: file})
		if _, err := c.Organization(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("GitHub Actions", func(t *testing.T) {
		github := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer request-token" ||
				r.URL.Query().Get("audience") != "api://AzureADTokenExchange" {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			assertion, err := oauth.Assertion(bundle.Leaf, bundle.Key, appID, login+"/"+tenantID+"/oauth2/v2.0/token",
				time.Now())
			if err != nil {
				t.Error(err)
			}
			fmt.Fprintf(w, `{"value": %q}`, assertion)
		}))
		t.Cleanup(github.Close)
		both := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.URL.Host == github.Listener.Addr().String() {
				return github.Client().Transport.RoundTrip(r)
			}
			return client.Transport.RoundTrip(r)
		})}
		environment := map[string]string{"ACTIONS_ID_TOKEN_REQUEST_URL": github.URL + "/?x=1",
			"ACTIONS_ID_TOKEN_REQUEST_TOKEN": "request-token"}
		identity, err := entra.NewIdentity(entra.IdentityOptions{
			Tenant: tenantID, Login: login, Graph: graph, HTTP: both,
			Getenv:     func(k string) string { return environment[k] },
			Credential: entra.Credential{Kind: answers.CredentialWorkloadIdentity, ClientID: appID},
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := identity.Token(t.Context(), graph); err != nil {
			t.Fatal(err)
		}
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestCredentialsRefused(t *testing.T) {
	tenant, client := serve(t, nil)
	bundle, other := newBundle(t, "hybridge", time.Now().Add(time.Hour)), newBundle(t, "other",
		time.Now().Add(time.Hour))
	appID, err := tenant.AddApplication(lab.NewApplication{DisplayName: "hybridge", Certificate: bundle.Leaf,
		Secret: "s3cret", Graph: adminRoles})
	if err != nil {
		t.Fatal(err)
	}
	dead := &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
		return nil, link.Classify(&net.OpError{Op: "dial", Err: errors.New("connection refused")})
	})}
	for _, test := range []struct {
		name       string
		client     *http.Client
		credential entra.Credential
		code       int
		class      error
	}{
		{"certificate not uploaded", client,
			entra.Credential{Kind: answers.CredentialCertificate, ClientID: appID, Bundle: other}, 700027,
			link.ErrAccess},
		{"unknown application", client,
			entra.Credential{Kind: answers.CredentialCertificate, ClientID: tenantID, Bundle: bundle}, 700016,
			link.ErrAccess},
		{"wrong secret", client, entra.Credential{Kind: answers.CredentialSecret, ClientID: appID,
			Secret: secret.NewValue("hunter2hunter2")}, 7000215, link.ErrAccess},
		{"nobody there", dead, entra.Credential{Kind: answers.CredentialSecret, ClientID: appID,
			Secret: secret.NewValue("hunter2hunter2")}, 0, link.ErrUnreachable},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := newClient(t, test.client, test.credential).Organization(t.Context())
			if !errors.Is(err, test.class) {
				t.Fatalf("%v is not %v", err, test.class)
			}
			var refused *oauth.Error
			if test.code != 0 && (!errors.As(err, &refused) || !refused.AADSTS(test.code)) {
				t.Errorf("%v, want AADSTS%d", err, test.code)
			}
			for _, bad := range []string{"hunter2", "eyJ", "\n", "client_assertion"} {
				if strings.Contains(err.Error(), bad) {
					t.Errorf("the error holds %q: %v", bad, err)
				}
			}
		})
	}
	for name, credential := range map[string]entra.Credential{
		"no key": {Kind: answers.CredentialCertificate, ClientID: appID,
			Bundle: certificate.Bundle{Leaf: bundle.Leaf}},
		"no client id": {Kind: answers.CredentialSecret},
		"nobody there": {Kind: answers.CredentialDeviceCode},
		"wrong kind":   {Kind: answers.CredentialKerberos},
	} {
		if _, err := entra.NewIdentity(entra.IdentityOptions{Tenant: tenantID, Login: login, HTTP: client,
			Credential: credential}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// The error names a wrong clock where the answer shows it. A clock within Entra's tolerance is not
// blamed for another cause.
func TestClockThatIsOff(t *testing.T) {
	for _, test := range []struct {
		name  string
		ahead time.Duration // of this machine's clock
		id    string        // empty: the application's
		says  string
		code  int
	}{
		{"behind", -20 * time.Minute, "", "this machine's clock is 20m0s behind the server's", 700024},
		{"ahead", 10 * time.Minute, "", "this machine's clock is 10m0s ahead of the server's", 700024},
		{"a little ahead", time.Minute, "", "", 0},
		{"a little ahead, refused", time.Minute, tenantID, "", 700016},
	} {
		shown := time.Now().Truncate(time.Second)
		tenant, client := serve(t, func(c *lab.Config) { c.Clock = func() time.Time { return shown.Add(-test.ahead) } })
		bundle := newBundle(t, "hybridge", time.Now().Add(time.Hour))
		appID, err := tenant.AddApplication(lab.NewApplication{DisplayName: "hybridge", Certificate: bundle.Leaf,
			Graph: adminRoles})
		if err != nil {
			t.Fatal(err)
		}
		if test.id == "" {
			test.id = appID
		}
		identity, err := entra.NewIdentity(entra.IdentityOptions{
			Tenant: tenantID, Login: login, Graph: graph, HTTP: client, Now: func() time.Time { return shown },
			Credential: entra.Credential{Kind: answers.CredentialCertificate, ClientID: test.id, Bundle: bundle},
		})
		if err != nil {
			t.Fatal(err)
		}
		_, err = identity.Token(t.Context(), graph)
		var refused *oauth.Error
		if errors.As(err, &refused) != (test.code != 0) || test.code != 0 && !refused.AADSTS(test.code) {
			t.Errorf("%s: %v, want AADSTS%d", test.name, err, test.code)
		}
		if err != nil && (strings.Contains(err.Error(), "clock") != (test.says != "") ||
			!strings.Contains(err.Error(), test.says)) {
			t.Errorf("%s: %v, want it to say %q", test.name, err, test.says)
		}
	}
}

// brokenBody is an answer whose connection breaks.
type brokenBody struct{ io.ReadCloser }

func (brokenBody) Read([]byte) (int, error) { return 0, link.Classify(io.ErrUnexpectedEOF) }

// A token that was issued and lost on the way is requested again, with a new assertion: the login
// host accepts none twice.
func TestTokenLostOnTheWay(t *testing.T) {
	tenant, client := serve(t, nil)
	bundle := newBundle(t, "hybridge", time.Now().Add(time.Hour))
	appID, err := tenant.AddApplication(lab.NewApplication{DisplayName: "hybridge", Certificate: bundle.Leaf,
		Graph: adminRoles})
	if err != nil {
		t.Fatal(err)
	}
	credential := entra.Credential{Kind: answers.CredentialCertificate, ClientID: appID, Bundle: bundle}
	for _, test := range []struct {
		name  string
		times int
		lose  func(*http.Response) (*http.Response, error)
		want  error
	}{
		{"no answer", 2, func(*http.Response) (*http.Response, error) { return nil, link.Classify(io.EOF) }, nil},
		{"half an answer", 2, func(r *http.Response) (*http.Response, error) {
			r.Body = brokenBody{r.Body}
			return r,
				nil
		}, nil},
		{"a gateway's word for it", 2,
			func(r *http.Response) (*http.Response, error) { r.StatusCode = http.StatusBadGateway; return r, nil },
			nil},
		{"always half an answer", 9, func(r *http.Response) (*http.Response,
			error) {
			r.Body = brokenBody{r.Body}
			return r, nil
		}, link.ErrUnreachable},
		{"never an answer", 9, func(*http.Response) (*http.Response, error) { return nil, link.Classify(io.EOF) },
			link.ErrUnreachable},
	} {
		asked := 0
		lossy := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			resp, err := client.Transport.RoundTrip(r)
			if err != nil || r.Method != http.MethodPost {
				return resp, err
			}
			if asked++; asked > test.times {
				return resp, nil
			}
			return test.lose(resp)
		})}
		_, err := newClient(t, lossy, credential).Organization(t.Context())
		if !errors.Is(err, test.want) || errors.Is(err, link.ErrAccess) || asked != 3 {
			t.Errorf("%s: %v after %d requests, want %v after 3", test.name, err, asked, test.want)
		}
	}
}

// newKey is the key credential that uploads a certificate.
func newKey(b certificate.Bundle) map[string]any {
	return map[string]any{"type": "AsymmetricX509Cert", "usage": "Verify",
		"key": base64.StdEncoding.EncodeToString(b.Leaf.Raw)}
}

// The life of a dedicated hybrid application, in the requests that a plan makes: creation, keys and
// consent, use, removal.
func TestHybridApplication(t *testing.T) {
	asked := 0
	tenant, client := serve(t, func(c *lab.Config) {
		c.PageSize = 1 // every list is paged
		c.Schedules = func(q lab.ScheduleQuestion) ([]lab.Schedule, error) {
			asked++
			if q.As != "anna@contoso.example" {
				return nil, lab.ErrNoMailbox
			}
			return []lab.Schedule{
				{Address: q.Addresses[0], Items: []lab.ScheduleItem{{Status: "busy", Start: q.Start.Add(time.Hour),
					End: q.Start.Add(2 * time.Hour)}}},
				{Address: q.Addresses[1], ErrorCode: "ErrorMailRecipientNotFound", Message: "not here"},
			}, nil
		}
	})
	admin := newBundle(t, "hybridge", time.Now().Add(time.Hour))
	adminID, err := tenant.AddApplication(lab.NewApplication{DisplayName: "hybridge", Certificate: admin.Leaf,
		Graph: adminRoles})
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, client, entra.Credential{Kind: answers.CredentialCertificate, ClientID: adminID, Bundle: admin})
	ctx := t.Context()

	do := func(method, path string, body any) map[string]any {
		t.Helper()
		answer, err := c.Do(ctx, method, path, body)
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	refused := func(what string, status int, method, path string, body any) {
		t.Helper()
		var e *entra.Error
		if _, err := c.Do(ctx, method, path, body); !errors.As(err, &e) || e.Status != status {
			t.Errorf("%s: %v, want status %d", what, err, status)
		}
	}
	named := func() []map[string]any {
		t.Helper()
		found, err := c.List(ctx, "/applications?"+entra.Filter("displayName",
			name)+"&$select=id,appId,keyCredentials,requiredResourceAccess")
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if found := named(); len(found) != 0 {
		t.Fatalf("before: %v", found)
	}
	resource, err := c.ServicePrincipal(ctx, oauth.AppGraph)
	if err != nil {
		t.Fatal(err)
	}
	roles := map[string]string{}
	for _, r := range resource.AppRoles {
		roles[r.Value] = r.ID
	}
	access := []any{map[string]any{"resourceAppId": oauth.AppGraph,
		"resourceAccess": []any{map[string]any{"id": roles["Calendars.Read"], "type": "Role"}}}}
	created := do("POST", "/applications", map[string]any{"displayName": name, "signInAudience": "AzureADMyOrg"})
	id, appID := created["id"].(string), created["appId"].(string)
	do("PATCH", "/applications/"+id, map[string]any{"requiredResourceAccess": access})
	auth, next := newBundle(t, "Microsoft Exchange Server Auth Certificate", time.Now().AddDate(5, 0, 0)), newBundle(t,
		"Microsoft Exchange Server Auth Certificate", time.Now().AddDate(5, 0, 0))
	do("PATCH", "/applications/"+id, map[string]any{"keyCredentials": []any{newKey(auth)}})
	found := named()
	if len(found) != 1 {
		t.Fatalf("found %v", found)
	}
	// The entries that were read are sent back together with the new one.
	do("PATCH", "/applications/"+id,
		map[string]any{"keyCredentials": append(found[0]["keyCredentials"].([]any), newKey(next))})
	found = named()
	if diff := cmp.Diff(access, found[0]["requiredResourceAccess"]); diff != "" {
		t.Error(diff)
	}
	for _, k := range found[0]["keyCredentials"].([]any) {
		if key := k.(map[string]any)["key"]; key != nil {
			t.Errorf("a list shows the certificate %v", key)
		}
	}
	var keys []string
	for _, k := range do("GET", "/applications/"+id+"?$select=keyCredentials", nil)["keyCredentials"].([]any) {
		keys = append(keys, k.(map[string]any)["key"].(string))
	}
	if diff := cmp.Diff([]string{base64.StdEncoding.EncodeToString(auth.Leaf.Raw),
		base64.StdEncoding.EncodeToString(next.Leaf.Raw)}, keys); diff != "" {
		t.Error(diff)
	}

	principal := map[string]any{"appId": appID, "accountEnabled": true}
	sp := do("POST", "/servicePrincipals", principal)["id"].(string)
	refused("a second service principal", http.StatusConflict, "POST", "/servicePrincipals", principal)
	if _, err := c.Do(ctx, "POST", "/servicePrincipals", map[string]any{"appId": tenantID}); !entra.NotYet(err) {
		t.Errorf("a service principal without application: %v", err)
	}
	consent := map[string]any{"principalId": sp, "resourceId": resource.ID, "appRoleId": roles["Calendars.Read"]}
	granted := do("POST", "/servicePrincipals/"+sp+"/appRoleAssignments", consent)["id"].(string)
	do("POST", "/servicePrincipals/"+sp+"/appRoleAssignments",
		map[string]any{"principalId": sp, "resourceId": resource.ID, "appRoleId": roles["MailboxSettings.Read"]})
	refused("a second consent", http.StatusBadRequest, "POST", "/servicePrincipals/"+sp+"/appRoleAssignments", consent)
	consents, err := c.List(ctx, "/servicePrincipals/"+sp+"/appRoleAssignments")
	if err != nil || len(consents) != 2 || consents[0]["id"] != granted {
		t.Errorf("consents %v, %v", consents, err)
	}

	// As the application itself, with the auth certificate's key.
	grant := oauth.ClientCredentials{
		TokenURL: login + "/" + tenantID + "/oauth2/v2.0/token", ClientID: appID, Scope: graph + "/.default",
		Certificate: auth.Leaf, Key: auth.Key,
	}
	own, err := entra.New(entra.Options{Graph: graph, HTTP: client, Token: grant.Source(client)})
	if err != nil {
		t.Fatal(err)
	}
	day := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	question := entra.ScheduleRequest{As: "anna@contoso.example",
		Addresses: []string{"bob@contoso.example",
			"nobody@contoso.example"}, Start: day, End: day.Add(4 * time.Hour), Interval: time.Hour}
	schedules := func() ([]entra.Schedule, error) {
		got, err := own.GetSchedules(ctx, []entra.ScheduleRequest{question})
		if err != nil {
			return nil, err
		}
		return got[0].Found, got[0].Err
	}
	got, err := schedules()
	if err != nil {
		t.Fatal(err)
	}
	want := []entra.Schedule{
		{Address: "bob@contoso.example", View: "0200",
			Items: []entra.ScheduleItem{{Status: "busy", Start: day.Add(time.Hour), End: day.Add(2 * time.Hour)}}},
		{Address: "nobody@contoso.example",
			Err: &entra.ScheduleError{Code: "ErrorMailRecipientNotFound", Message: "not here"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	question.As = "stranger@contoso.example"
	if _, err := schedules(); !errors.Is(err, entra.ErrNotFound) {
		t.Errorf("asked by a stranger: %v", err)
	}
	if _, err := own.Domains(ctx); !errors.Is(err, link.ErrAccess) {
		t.Errorf("the application reads domains: %v", err)
	}
	do("DELETE", "/servicePrincipals/"+sp+"/appRoleAssignments/"+granted, nil)
	if own, err = entra.New(entra.Options{Graph: graph, HTTP: client, Token: grant.Source(client)}); err != nil {
		t.Fatal(err)
	}
	before := asked
	if _, err := schedules(); !errors.Is(err, link.ErrAccess) || asked != before {
		t.Errorf("without consent: %v", err)
	}

	do("POST", "/applications", map[string]any{"displayName": name})
	if found := named(); len(found) != 2 {
		t.Errorf("two applications of one name: %v", found)
	}
	do("DELETE", "/applications/"+id, nil)
	if _, err := c.ServicePrincipal(ctx, appID); !errors.Is(err, entra.ErrNotFound) {
		t.Errorf("service principal of a deleted application: %v", err)
	}
}

func TestDomains(t *testing.T) {
	tenant, client := serve(t, func(c *lab.Config) { c.PageSize = 1 })
	bundle := newBundle(t, "hybridge", time.Now().Add(time.Hour))
	appID, err := tenant.AddApplication(lab.NewApplication{DisplayName: "hybridge", Certificate: bundle.Leaf,
		Graph: adminRoles})
	if err != nil {
		t.Fatal(err)
	}
	wanted := tenant.AddDomain("contoso.example", false)
	c := newClient(t, client, entra.Credential{Kind: answers.CredentialCertificate, ClientID: appID, Bundle: bundle})
	domains, err := c.Domains(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(domains) != 2 || domains[1].ID != "contoso.example" || domains[1].IsVerified ||
		!slices.Contains(domains[1].SupportedServices, "Email") || !domains[0].IsInitial {
		t.Errorf("%+v", domains)
	}
	records, err := c.VerificationRecords(t.Context(), "contoso.example")
	if err != nil {
		t.Fatal(err)
	}
	if len(records) != 2 || records[0].Text != wanted.VerificationText() {
		t.Errorf("%+v", records)
	}
	if _, err := c.VerificationRecords(t.Context(), "fabrikam.example"); !errors.Is(err, entra.ErrNotFound) {
		t.Errorf("a domain that is not there: %v", err)
	}
	organization, err := c.Organization(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if organization.ID != tenantID || organization.OnPremisesSyncEnabled != nil ||
		len(organization.VerifiedDomains) != 1 {
		t.Errorf("%+v", organization)
	}
}

// The lab throttles only when a test requests it, and the client succeeds by retrying.
func TestLabThrottles(t *testing.T) {
	tenant, client := serve(t, nil)
	appID, err := tenant.AddApplication(lab.NewApplication{DisplayName: "hybridge", Secret: "s", Graph: adminRoles})
	if err != nil {
		t.Fatal(err)
	}
	token, err := tenant.AppToken(appID, graph)
	if err != nil {
		t.Fatal(err)
	}
	waited := 0
	c, err := entra.New(entra.Options{
		Graph: graph, HTTP: client, Token: func(context.Context) (string, error) { return token, nil },
		Wait: func(_ context.Context, d time.Duration) error {
			if d != 3*time.Second {
				t.Errorf("waited %s", d)
			}
			waited++
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	tenant.Throttle(2, 3*time.Second)
	if _, err := c.Domains(t.Context()); err != nil || waited != 2 {
		t.Errorf("%v after %d waits", err, waited)
	}
}
