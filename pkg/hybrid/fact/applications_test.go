package fact

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
)

// An application is the dedicated one when the answers or the auth server name it, or when every
// way to sign in as it is Exchange's. An application of the right name that another user registered
// is never accepted.
func TestDedicatedApplication(t *testing.T) {
	const tenant = "11111111-2222-3333-4444-555555555555"
	exchange, stranger := selfSigned(t), selfSigned(t)
	key := func(c *x509.Certificate) []any {
		return []any{map[string]any{"keyId": "k", "key": base64.StdEncoding.EncodeToString(c.Raw)}}
	}
	app := func(id string, change func(*Application)) Application {
		a := Application{ID: "object " + id, AppID: id, DisplayName: "ExchangeServerApp-org",
			SignInAudience: "AzureADMyOrg", KeyCredentials: key(exchange)}
		change(&a)
		return a
	}
	own := app("own", func(*Application) {})
	bound := []AuthServer{{Type: "AzureAD", Realm: strings.ToUpper(tenant), ApplicationIdentifier: "BOUND"}}
	for name, test := range map[string]struct {
		answer   string
		servers  []AuthServer
		named    []Application
		byID     map[string]Application
		want     string // appId; empty: none
		proven   bool
		doubtful int
		stale    string
	}{
		"none":                        {},
		"its every key is Exchange's": {named: []Application{own}, want: "own"},
		"half made, without keys": {named: []Application{app("half",
			func(a *Application) { a.KeyCredentials = nil })}, want: "half"},
		"a stranger's key": {named: []Application{app("evil",
			func(a *Application) { a.KeyCredentials = key(stranger) })}, doubtful: 1},
		"a stranger's key beside": {named: []Application{app("evil",
			func(a *Application) { a.KeyCredentials = append(a.KeyCredentials, key(stranger)...) })}, doubtful: 1},
		"a client secret": {named: []Application{app("evil",
			func(a *Application) { a.Passwords = 1 })}, doubtful: 1},
		"a federated credential": {named: []Application{app("evil",
			func(a *Application) { a.Federated = 1 })}, doubtful: 1},
		"an owner": {named: []Application{app("evil",
			func(a *Application) { a.Owners = []string{"mallory"} })}, doubtful: 1},
		"other tenants": {named: []Application{app("evil",
			func(a *Application) { a.SignInAudience = "AzureADMultipleOrgs" })}, doubtful: 1},
		"a stranger beside the own": {named: []Application{app("evil",
			func(a *Application) { a.Passwords = 1 }), own}, want: "own", doubtful: 1},
		"two that are alike": {named: []Application{own, app("own2", func(*Application) {})}, doubtful: 2},
		"the auth server's, renamed": {servers: bound,
			byID: map[string]Application{"bound": app("bound",
				func(a *Application) { a.DisplayName = "Other"; a.Passwords = 1 })}, want: "bound", proven: true},
		"the auth server's, not a name's": {servers: bound, named: []Application{own},
			byID: map[string]Application{"bound": app("bound", func(*Application) {})}, want: "bound", proven: true},
		"the auth server's is gone": {servers: bound, stale: "bound"},
		"another tenant's auth server": {servers: []AuthServer{{Type: "AzureAD", Realm: "other",
			ApplicationIdentifier: "bound"}}, byID: map[string]Application{"bound": own}},
		"the shared application": {servers: []AuthServer{{Type: "AzureAD", Realm: tenant,
			ApplicationIdentifier: "00000002-0000-0ff1-ce00-000000000000"}}},
		"the answers' wins": {answer: "Mine", servers: bound,
			byID: map[string]Application{"mine": app("mine", func(*Application) {}),
				"bound": own}, want: "mine", proven: true},
	} {
		t.Run(name, func(t *testing.T) {
			set := New(answers.Answers{
				ExchangeOnline: &answers.ExchangeOnline{Tenant: "contoso.onmicrosoft.com"},
				Forests:        []answers.Forest{{Name: "contoso", ApplicationID: test.answer}},
			}, cloud.Cloud{})
			forest := set.Forests[0]
			Organization.Seed(forest, OnPremisesOrganization{GUID: "org"}, nil)
			AuthServers.Seed(forest, test.servers, nil)
			Auth.Seed(forest, AuthConfig{Current: certificate.Thumbprint(exchange),
				Servers: map[string][]*x509.Certificate{"EX1": {exchange}}}, nil)
			Tenant.Seed(set.Tenant, entra.Organization{ID: tenant}, nil)
			Applications.SeedAll(set.Tenant, func(string) ([]Application, error) { return test.named, nil })
			ApplicationsByID.SeedAll(set.Tenant, func(id string) ([]Application, error) {
				if a, there := test.byID[id]; there {
					return []Application{a}, nil
				}
				return nil, nil
			})
			got, err := DedicatedApplication.In(t.Context(), forest)
			if err != nil {
				t.Fatal(err)
			}
			if got.AppID != test.want || got.Proven != test.proven || len(got.Doubtful) != test.doubtful ||
				got.Stale != test.stale {
				t.Errorf("application %q, proven %t, stale %q, doubtful %+v", got.AppID, got.Proven, got.Stale,
					got.Doubtful)
			}
		})
	}
}

// What cannot be read is unknown, never absent: otherwise a second application would be made.
func TestDedicatedApplicationIsUnknown(t *testing.T) {
	set := New(answers.Answers{ExchangeOnline: &answers.ExchangeOnline{},
		Forests: []answers.Forest{{Name: "contoso", ApplicationID: "gone"}, {Name: "fabrikam"}}}, cloud.Cloud{})
	ApplicationsByID.SeedAll(set.Tenant, func(string) ([]Application, error) { return nil, nil })
	Tenant.Seed(set.Tenant, entra.Organization{ID: "t"}, nil)
	for _, forest := range set.Forests {
		Organization.Seed(forest, OnPremisesOrganization{GUID: "org"}, nil)
		AuthServers.Seed(forest, nil, os.ErrPermission)
		if d, err := DedicatedApplication.In(context.Background(), forest); err == nil {
			t.Errorf("%s: %+v", forest.Name(), d)
		}
	}
}

func selfSigned(t *testing.T) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1),
		Subject: pkix.Name{CommonName: "Microsoft Exchange Server Auth Certificate"}, NotAfter: time.Now().AddDate(5,
			0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
