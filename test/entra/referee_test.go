// Package entra_test runs Microsoft's own clients, from npm, against the lab's tenant. The lab
// behaves like Entra and Microsoft Graph when they accept its answers and understand its refusals.
package entra_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	lab "github.com/hybridge-cli/hybridge/pkg/lab/entra"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
	"github.com/hybridge-cli/hybridge/test/peer"
)

const (
	tenantID   = "6d1a2b3c-4e5f-4a6b-8c7d-0e1f2a3b4c5d"
	fullAccess = "dc890d15-9560-4a4c-9b7f-a736ec74ec40" // full_access_as_app
	name       = "ExchangeServerApp-1f3a7c52-9b1e-4c37-8a54-2d6e0f9b1c01"
)

// tenant is a tenant of the lab behind TLS at one address, which is its login host and Graph.
func tenant(t *testing.T) (*lab.Tenant, *httptest.Server, string) {
	t.Helper()
	var entra *lab.Tenant
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v1.0/") {
			entra.Graph().ServeHTTP(w, r)
			return
		}
		entra.Login().ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	host := server.Listener.Addr().String()
	var err error
	entra, err = lab.New(lab.Config{
		TenantID: tenantID, DisplayName: "Contoso", InitialDomain: "contoso.onmicrosoft.com", LoginHost: host,
		GraphHost: host,
	})
	if err != nil {
		t.Fatal(err)
	}
	return entra, server, host
}

// keyPair is a certificate in the form that clients accept.
type keyPair struct {
	leaf             *x509.Certificate
	pem, key, sha256 string
}

func newKeyPair(t *testing.T, name string) keyPair {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(der)
	return keyPair{
		leaf: leaf, pem: text("CERTIFICATE", der), key: text("PRIVATE KEY", private),
		sha256: hex.EncodeToString(sum[:]),
	}
}

func text(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// outcome is the result of one step of the referee.
type outcome struct {
	Value json.RawMessage
	Error *struct {
		Code, Message string
		Status        int
	}
}

// modules is the folder with the referee and its npm packages, as pinned by the lock file.
func modules(t *testing.T) (node, folder string) {
	t.Helper()
	node, npm := peer.Program(t, "node", "nodejs"), peer.Program(t, "npm", "npm")
	folder = t.TempDir()
	if err := os.CopyFS(folder, os.DirFS("testdata")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, npm, "ci", "--prefix", folder, "--no-audit", "--no-fund").CombinedOutput()
	if err != nil {
		t.Logf("npm ci: %v\n%s", err, out)
		peer.Missing(t, "@azure/msal-node with @microsoft/microsoft-graph-client", "them from npm")
	}
	return node, folder
}

func TestMicrosoftsClients(t *testing.T) {
	node, folder := modules(t)
	entra, server, host := tenant(t)
	ours, auth := newKeyPair(t, "hybridge"), newKeyPair(t, "Microsoft Exchange Server Auth Certificate")
	clientID, err := entra.AddApplication(lab.NewApplication{
		DisplayName: "hybridge", Certificate: ours.leaf, Secret: "s3cret",
		Graph: []string{"Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All", "Organization.Read.All"},
	})
	if err != nil {
		t.Fatal(err)
	}
	question, err := json.Marshal(map[string]string{
		"login": host, "graph": host, "tenant": tenantID, "clientId": clientID, "secret": "s3cret",
		"certificate": ours.pem, "privateKey": ours.key, "thumbprintSha256": ours.sha256,
		"auth": base64.StdEncoding.EncodeToString(auth.leaf.Raw),
		"own":  base64.StdEncoding.EncodeToString(ours.leaf.Raw), "authKey": auth.key, "authSha256": auth.sha256,
		"name": name, "exchange": oauth.AppExchangeOnline, "role": fullAccess,
	})
	if err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(folder, "ca.pem")
	if err := os.WriteFile(ca, []byte(text("CERTIFICATE", server.Certificate().Raw)), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	run := exec.CommandContext(ctx, node, filepath.Join(folder, "referee.mjs"))
	run.Stdin = bytes.NewReader(question)
	run.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+ca, "NO_PROXY=127.0.0.1", "HTTPS_PROXY=", "https_proxy=")
	var stderr strings.Builder
	run.Stderr = &stderr
	raw, err := run.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	var got map[string]outcome
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatalf("%v\n%s", err, raw)
	}

	for _, step := range []struct {
		name   string
		holds  []string // of the value, as JSON
		code   string   // of the refusal
		status int
		says   string
	}{
		{name: "certificate", holds: []string{`"Bearer"`, `"cached":true`, `"Application.ReadWrite.All"`}},
		{name: "secret", holds: []string{`"Bearer"`}},
		{name: "wrongSecret", code: "invalid_client", says: "AADSTS7000215"},
		{name: "unknownClient", code: "unauthorized_client", says: "AADSTS700016"},
		{name: "unknownResource", code: "invalid_resource", says: "AADSTS500011"},
		{name: "deviceCode", holds: []string{`"admin@contoso.onmicrosoft.com"`, "Directory.AccessAsUser.All",
			"62e90394"}},
		{name: "deviceCodeDeclined", says: "authorization_declined"},
		{name: "organization", holds: []string{tenantID, `"Contoso"`, `"contoso.onmicrosoft.com"`}},
		{name: "create", holds: []string{`"displayName":"` + name + `"`, `"appId":"`, fullAccess}},
		{name: "find", holds: []string{name}},
		{name: "addKey"},
		{name: "key", holds: []string{base64.StdEncoding.EncodeToString(auth.leaf.Raw), `"AsymmetricX509Cert"`}},
		{name: "keyLeftOut", holds: []string{"[null]"}},
		{name: "principal", holds: []string{`"accountEnabled":true`, `"servicePrincipalType":"Application"`}},
		{name: "resource", holds: []string{"full_access_as_app"}},
		{name: "consent", holds: []string{fullAccess}},
		{name: "consentTwice", code: "Request_BadRequest", status: 400},
		{name: "assignments", holds: []string{`["` + fullAccess + `"]`}},
		{name: "pages", holds: []string{`["` + name + `","hybridge"]`}},
		{name: "signInAsMade", holds: []string{"full_access_as_app"}},
		{name: "batch", holds: []string{`["` + name + `",404]`}},
		{name: "count", holds: []string{"2"}},
		{name: "search", holds: []string{`["hybridge"]`}},
		{name: "rollKey", holds: []string{`"keyId":"`, `"key":null`}},
		{name: "rollKeyForged", code: "Authentication_MissingOrMalformed", status: 403},
		{name: "rollKeyBack"},
		{name: "staleETag", code: "Request_PreconditionFailed", status: 412},
		{name: "badFilter", status: 400},
		{name: "delete"},
		{name: "gone", code: "Request_ResourceNotFound", status: 404},
		{name: "noToken", code: "InvalidAuthenticationToken", status: 401},
	} {
		o, ran := got[step.name]
		delete(got, step.name)
		refused := step.code != "" || step.status != 0 || step.says != ""
		switch {
		case !ran:
			t.Errorf("%s: not run", step.name)
		case refused && o.Error == nil:
			t.Errorf("%s: let through: %s", step.name, o.Value)
		case refused:
			if step.code != "" && o.Error.Code != step.code || step.status != 0 && o.Error.Status != step.status ||
				!strings.Contains(o.Error.Message, step.says) {
				t.Errorf("%s: %+v", step.name, *o.Error)
			}
		case o.Error != nil:
			t.Errorf("%s: %+v", step.name, *o.Error)
		default:
			for _, part := range step.holds {
				if !strings.Contains(string(o.Value), part) {
					t.Errorf("%s: no %s in %s", step.name, part, o.Value)
				}
			}
		}
	}
	if left := slices.Collect(maps.Keys(got)); len(left) > 0 {
		t.Errorf("not judged: %v", left)
	}
}
