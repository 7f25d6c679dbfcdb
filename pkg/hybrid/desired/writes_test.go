package desired

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

// A property that can only be set at creation is not sent again: a server would refuse the whole
// command.
func TestUpdatesLeaveOutWhatIsFixed(t *testing.T) {
	for _, k := range Kinds() {
		for name, p := range k.Properties {
			if p.Write != change.CreateOnly || k.Noun == "KeyCredential" || name == "Identity" {
				continue // the properties that identify the resource are sent
			}
			c, err := k.Command(change.Update, "x", change.Properties{name: "value"}, &change.Live{Identity: "x"})
			if err != nil {
				continue
			}
			if _, sent := c.Parameters[name]; sent {
				t.Errorf("%s sends %s", c.Name, name)
			}
		}
	}
}

// The service principal of Exchange Online is Microsoft's: no command creates or removes it.
func TestPrincipalOfMicrosoftStays(t *testing.T) {
	k := kindNamed("ServicePrincipalName")
	for _, a := range []change.Action{change.Create, change.Delete} {
		if c, err := k.Command(a, "x", change.Properties{}, &change.Live{Identity: "x"}); err == nil {
			t.Errorf("%s gives %s", a, c.Name)
		}
	}
}

// An object of another tenant, or of one realm only, does not match.
func TestMatchesOfOAuth(t *testing.T) {
	const metadata = "https://login.windows.net/contoso.onmicrosoft.com/federationmetadata/2007-06/federationmetadata.xml"
	server := change.Properties{"Type": "AzureAD", "Realm": tenantID, "AuthMetadataUrl": metadata}
	partner := change.Properties{"ApplicationIdentifier": oauth.AppExchangeOnline}
	for _, test := range []struct {
		name string
		kind *Kind
		want change.Properties
		live change.Properties
		good bool
	}{
		{"server of the tenant", authServer, server,
			change.Properties{"Type": "AzureAD", "Realm": strings.ToUpper(tenantID),
				"AuthMetadataUrl": "https://elsewhere/"}, true},
		{"server whose metadata was not read", authServer, server,
			change.Properties{"Type": "AzureAD", "Realm": "", "AuthMetadataUrl": metadata}, true},
		{"the like of another tenant", authServer, server,
			change.Properties{"Type": "AzureAD", "Realm": "",
				"AuthMetadataUrl": strings.ReplaceAll(metadata, "contoso", "fabrikam")}, false},
		{"the like without an address", authServer, server, change.Properties{"Type": "AzureAD"}, false},
		{"server of another tenant", authServer, server,
			change.Properties{"Type": "AzureAD", "Realm": "other", "AuthMetadataUrl": metadata}, false},
		{"server of another type", authServer, server,
			change.Properties{"Type": "MicrosoftACS", "Realm": tenantID, "AuthMetadataUrl": metadata}, false},
		{"partner of all realms", partnerApplication, partner,
			change.Properties{"ApplicationIdentifier": oauth.AppExchangeOnline, "Realm": ""}, true},
		{"partner of one realm", partnerApplication, partner,
			change.Properties{"ApplicationIdentifier": oauth.AppExchangeOnline, "Realm": tenantID}, false},
		{"another partner", partnerApplication, partner,
			change.Properties{"ApplicationIdentifier": tenantID, "Realm": ""}, false},
	} {
		if got := test.kind.Matches(test.want, change.Live{Properties: test.live}); got != test.good {
			t.Errorf("%s: %t", test.name, got)
		}
	}
}

// listed is a directory that answers every list with the same objects.
type listed []map[string]any

func (l listed) List(context.Context, string) ([]map[string]any, error) { return l, nil }
func (l listed) Get(context.Context, string) (map[string]any, error) {
	return nil, errors.ErrUnsupported
}

func (l listed) Do(context.Context, string, string, any) (map[string]any, error) {
	return nil, errors.ErrUnsupported
}

// The names of Exchange Online's principal are written whole: a list that was not returned must not
// count as empty.
func TestNamesNotTold(t *testing.T) {
	for _, test := range []struct {
		names any
		want  any
	}{
		{nil, change.Unreadable{Reason: "it is not shown, and a list written without what is on it would lose what " +
			"others put there"}},
		{[]any{}, []string{}},
		{[]any{"https://a/"}, []string{"https://a/"}},
	} {
		principal := map[string]any{"id": "1", "appId": oauth.AppExchangeOnline}
		if test.names != nil {
			principal["servicePrincipalNames"] = test.names
		}
		place := entraAt(listed{principal})
		live, err := place.Read(t.Context(), servicePrincipalName)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, live[0].Properties["servicePrincipalNames"], cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
	}
}

// Lists that others also write into keep their elements.
func TestListsOfOthersAreMerged(t *testing.T) {
	for _, test := range []struct {
		kind     *Kind
		property string
	}{
		{organizationRelationship, "DomainNames"}, {intraOrganizationConnector, "TargetAddressDomains"},
		{authServer, "DomainName"}, {authServerApplication, "DomainName"},
		{servicePrincipalName, "servicePrincipalNames"},
	} {
		p, declared := test.kind.Properties[test.property]
		if !declared || p.Write != change.Merge {
			t.Errorf("%s.%s is not merged", test.kind.Noun, test.property)
			continue
		}
		if diff := cmp.Diff([]string{"https://theirs.example/", "https://ours.example/"},
			p.Merged([]string{"https://ours.example/"}, []string{"https://theirs.example/"})); diff != "" {
			t.Errorf("%s.%s: %s", test.kind.Noun, test.property, diff)
		}
	}
}

// A secret is revealed where the request is made: encoded as it is, it would be "[redacted]".
func TestSecretsReachGraph(t *testing.T) {
	w := newTenant()
	w.objects["applications"] = []map[string]any{{"id": "a"}}
	_, err := runRequest(t.Context(), &DirectoryWriter{Directory: Directory{Graph: w}, Do: w.Do}, change.Command{
		Name: "PATCH /applications/{id}", Parameters: map[string]any{"id": "a", "notes": secret.NewValue("s3cret"),
			"passwordCredentials": []any{map[string]any{"secretText": secret.NewValue("s3cret")}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(w.objects["applications"])
	if err != nil || strings.Count(string(raw), "s3cret") != 2 {
		t.Errorf("%s, %v", raw, err)
	}
}

// A request that writes whole values is sent again after a conflict. One that creates an object is
// sent again where the refusal says that nothing was done.
func TestWritesArePutAgain(t *testing.T) {
	for _, test := range []struct {
		name   string
		status int
		code   string
		want   int
	}{
		{"PATCH /applications/{id}", 409, "", 2},
		{"PATCH /applications/{id}", 412, "", 2},
		{"PATCH /applications/{id}", 503, "", 2},
		{"PATCH /applications/{id}", 504, "", 2},
		{"POST /applications", 409, "Directory_ConcurrencyViolation", 2},
		{"POST /applications", 409, "Request_MultipleObjectsWithSameKeyValue", 1},
		{"POST /applications", 412, "", 2},
		{"POST /applications", 503, "", 1},
		{"POST /applications", 504, "", 1},
		{"DELETE /applications/{id}", 409, "", 1},
	} {
		asked := 0
		graph := graphFunc(func(string) (map[string]any, error) {
			if asked++; asked == 1 {
				return nil, &entra.Error{Status: test.status, Code: test.code}
			}
			return nil, nil
		})
		_, err := runRequest(t.Context(), &DirectoryWriter{Directory: Directory{Graph: graph, Pause: 1}, Do: graph.Do},
			change.Command{Name: test.name, Parameters: map[string]any{"id": "a", "displayName": "n"}})
		if asked != test.want || (err == nil) != (test.want == 2) {
			t.Errorf("%s after %d %s: asked %d times, %v", test.name, test.status, test.code, asked, err)
		}
	}
}

// A write depends on the version that was read where Graph gives one. A changed object is not
// written over.
func TestWritesDependOnTheVersion(t *testing.T) {
	for name, test := range map[string]struct{ tag, now string }{
		"without a version": {"", `W/"2"`}, "the same": {`W/"1"`, `W/"1"`}, "changed": {`W/"1"`, `W/"2"`},
	} {
		t.Run(name, func(t *testing.T) {
			sent, asked := "", 0
			server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked++
				if sent = r.Header.Get("If-Match"); sent != "" && sent != test.now {
					w.WriteHeader(http.StatusPreconditionFailed)
				}
			}))
			defer server.Close()
			client, err := entra.New(entra.Options{Graph: server.URL, HTTP: server.Client(),
				Token: func(context.Context) (string, error) { return "x", nil }})
			if err != nil {
				t.Fatal(err)
			}
			o := map[string]any{"id": "a"}
			if test.tag != "" {
				o["@odata.etag"] = test.tag
			}
			memory := &Memory{seen: map[string]recalled{"x": {"n", []map[string]any{o}}}}
			_, err = runRequest(t.Context(), &DirectoryWriter{Directory: Directory{Graph: client, Memory: memory, Pause: 1}, Do: client.Do},
				change.Command{Name: "PATCH /applications/{id}", Parameters: map[string]any{"id": "a", "notes": "n"}})
			if sent != test.tag || asked != 1 || (err != nil) != (name == "changed") {
				t.Errorf("If-Match %q, %d requests, %v", sent, asked, err)
			}
		})
	}
}

// graphFunc is Graph as one function of the request.
type graphFunc func(request string) (map[string]any, error)

func (f graphFunc) Get(_ context.Context, path string) (map[string]any, error) {
	return f("GET " + path)
}

func (f graphFunc) Do(_ context.Context, method, path string, _ any) (map[string]any, error) {
	return f(method + " " + path)
}

func (f graphFunc) List(context.Context, string) ([]map[string]any, error) { return nil, nil }
