package entra

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

// Query options are answered or refused, never ignored.
func TestQueries(t *testing.T) {
	e := newEstate(t, nil)
	admin, err := e.AddApplication(NewApplication{DisplayName: "ad'min", Graph: []string{"Application.ReadWrite.All"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.AddApplication(NewApplication{DisplayName: "other and else"}); err != nil {
		t.Fatal(err)
	}
	token, err := e.AppToken(admin, "https://graph.microsoft.com")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		query string
		want  int // objects found; the status of a refusal from 400 on
	}{
		{"", 2},
		{"$filter=displayName eq 'ad''min'", 1},
		{"$filter=displayName eq 'other and else'", 1},
		{"$filter=displayName eq 'ad'min'", 400},
		{"$filter=displayName eq 'open", 400},
		{"$filter=startsWith(displayName,'AD')", 1},
		{"$filter=displayName eq 'x' or startswith(displayName, 'other')", 1},
		{"$filter=(displayName eq 'x' or displayName eq 'ad''min') and appId eq '" + admin + "'", 1},
		{"$filter=appId in ('" + admin + "','" + newGUID() + "')", 1},
		{"$filter=identifierUris/any(u:u eq 'x')", 0},
		{"$filter=displayName ne 'x'", 400},
		{"$filter=endsWith(displayName,'else')", 400},
		{"$filter=colour eq 'red'", 400},
		{"$filter=displayName", 400},
		{"$select=id,colour", 400},
		{"$select=id,web", 2},
		{"$orderby=displayName", 400},
		{"$expand=owners", 400},
		{"$skip=1", 400},
		{"$search=\"x\"", 400},
		{"$count=true", 400},
		{"$top=0", 400},
	} {
		name, value, _ := strings.Cut(tt.query, "=")
		status, m := e.graph(t, token, "GET", "/applications?"+name+"="+url.QueryEscape(value), nil)
		got := status
		if status == 200 {
			got = len(m["value"].([]any))
		}
		if got != tt.want {
			t.Errorf("%s: %d, want %d: %v", tt.query, got, tt.want, m["error"])
		}
	}
}

// Writes that Graph refuses.
func TestWritesRefused(t *testing.T) {
	e := newEstate(t, nil)
	c, _ := newCertificate(t, "auth", start.Add(-time.Hour), start.AddDate(5, 0, 0))
	ended, _ := newCertificate(t, "auth", start.AddDate(-2, 0, 0), start.AddDate(-1, 0, 0))
	admin, err := e.AddApplication(NewApplication{DisplayName: "admin", Certificate: c,
		Graph: []string{"Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All"}})
	if err != nil {
		t.Fatal(err)
	}
	token, err := e.AppToken(admin, "https://graph.microsoft.com")
	if err != nil {
		t.Fatal(err)
	}
	application := "/applications(appId='" + admin + "')"
	_, m := e.graph(t, token, "GET", application+"?$select=keyCredentials", nil)
	kept := elements(m["keyCredentials"])[0]
	with := func(pairs ...any) map[string]any {
		out := map[string]any{}
		for k, v := range kept {
			out[k] = v
		}
		for i := 0; i < len(pairs); i += 2 {
			out[pairs[i].(string)] = pairs[i+1]
		}
		return out
	}
	fresh := func(raw []byte, pairs ...any) map[string]any {
		out := map[string]any{"key": base64.StdEncoding.EncodeToString(raw), "type": "AsymmetricX509Cert",
			"usage": "Verify"}
		for i := 0; i < len(pairs); i += 2 {
			out[pairs[i].(string)] = pairs[i+1]
		}
		return out
	}
	keys := func(list ...any) map[string]any { return map[string]any{"keyCredentials": list} }
	access := func(id string, permissions ...string) map[string]any {
		list := []any{}
		for _, p := range permissions {
			list = append(list, map[string]any{"id": p, "type": "Role"})
		}
		return map[string]any{"resourceAppId": id, "resourceAccess": list}
	}
	exchange, role := oauth.AppExchangeOnline, exchangeRoles["full_access_as_app"]
	principal := "/servicePrincipals(appId='" + exchange + "')"
	for _, tt := range []struct {
		name, method, path string
		body               map[string]any
		status             int
		code               string
	}{
		{"an entry as it was", "PATCH", application, keys(with()), 204, ""},
		{"an entry with SDK annotations", "PATCH", application,
			keys(with("@odata.type", "#microsoft.graph.keyCredential")), 204, ""},
		{"an entry without its key", "PATCH", application, keys(with("key", nil)), 204, ""},
		{"another name under a key id", "PATCH", application, keys(with("displayName", "other")), 400,
			"Request_BadRequest"},
		{"another end under a key id", "PATCH", application, keys(with("endDateTime", "2027-01-01T00:00:00Z")), 400,
			"Request_BadRequest"},
		{"another key under a key id", "PATCH", application,
			keys(with("key", base64.StdEncoding.EncodeToString(ended.Raw))), 400, "Request_BadRequest"},
		{"an ended certificate", "PATCH", application, keys(with(), fresh(ended.Raw)), 400,
			"KeyCredentialsInvalidEndDate"},
		{"the end before the start", "PATCH", application,
			keys(fresh(c.Raw, "startDateTime", "2027-01-01T00:00:00Z", "endDateTime", "2026-12-01T00:00:00Z")), 400,
			"Request_BadRequest"},
		{"a key id of zeros", "PATCH", application, keys(fresh(c.Raw, "keyId", "00000000-0000-0000-0000-000000000000")),
			400, "Request_BadRequest"},
		{"null for a list", "PATCH", application, map[string]any{"keyCredentials": nil}, 400, "Request_BadRequest"},
		{"an empty name", "PATCH", application, map[string]any{"displayName": ""}, 400, "Request_BadRequest"},
		{"a long name", "PATCH", application, map[string]any{"displayName": strings.Repeat("x", 257)}, 400,
			"Request_BadRequest"},
		{"a resource twice", "PATCH", application,
			map[string]any{"requiredResourceAccess": []any{access(exchange, role), access(exchange, role)}}, 400,
			"Request_BadRequest"},
		{"a permission twice", "PATCH", application,
			map[string]any{"requiredResourceAccess": []any{access(exchange, role, role)}}, 400, "Request_BadRequest"},
		{"a resource that is no GUID", "PATCH", application,
			map[string]any{"requiredResourceAccess": []any{access("exchange", role)}}, 400, "Request_BadRequest"},
		{"a malformed id", "GET", "/applications/42", nil, 400, "Request_BadRequest"},
		{"names without the application id", "PATCH", principal,
			map[string]any{"servicePrincipalNames": []any{"https://mail.contoso.example"}}, 400, "Request_BadRequest"},
		{"names of another principal", "PATCH", principal,
			map[string]any{"servicePrincipalNames": []any{exchange, "https://graph.microsoft.com"}}, 409,
			"Request_MultipleObjectsWithSameKeyValue"},
		{"a name twice", "PATCH", principal,
			map[string]any{"servicePrincipalNames": []any{exchange, "https://a.example", "https://A.example"}}, 400,
			"Request_BadRequest"},
	} {
		var body any
		if tt.body != nil {
			body = tt.body
		}
		if status, m := e.graph(t, token, tt.method, tt.path, body); status != tt.status || code(m) != tt.code {
			t.Errorf("%s: %d %s, want %d %s: %v", tt.name, status, code(m), tt.status, tt.code, m)
		}
	}
}

// Lists omit a new object for a time. It can be read by its id at once.
func TestLag(t *testing.T) {
	e := newEstate(t, nil)
	admin, err := e.AddApplication(NewApplication{DisplayName: "admin", Graph: []string{"Application.ReadWrite.All"}})
	if err != nil {
		t.Fatal(err)
	}
	token, err := e.AppToken(admin, "https://graph.microsoft.com")
	if err != nil {
		t.Fatal(err)
	}
	e.Lag(40 * time.Second)
	status, made := e.graph(t, token, "POST", "/applications", map[string]any{"displayName": "new"})
	if status != 201 {
		t.Fatal(status, made)
	}
	listed := func() int {
		_, m := e.graph(t, token, "GET", "/applications?$filter=displayName%20eq%20'new'", nil)
		return len(m["value"].([]any))
	}
	if n := listed(); n != 0 {
		t.Errorf("at once the list has %d", n)
	}
	if status, m := e.graph(t, token, "GET", "/applications/"+made["id"].(string), nil); status != 200 {
		t.Errorf("by id: %d %v", status, m)
	}
	e.clock.Set(start.Add(41 * time.Second))
	if n := listed(); n != 1 {
		t.Errorf("after 41 s the list has %d", n)
	}
}

// Reads of keyCredentials have a separate quota. Secrets are shown once.
func TestQuotaAndSecrets(t *testing.T) {
	e := newEstate(t, nil)
	admin, err := e.AddApplication(NewApplication{DisplayName: "admin", Graph: []string{"Application.ReadWrite.All"}})
	if err != nil {
		t.Fatal(err)
	}
	token, err := e.AppToken(admin, "https://graph.microsoft.com")
	if err != nil {
		t.Fatal(err)
	}
	application := "/applications(appId='" + admin + "')"
	e.LimitKeyReads(2)
	for i, want := range []int{200, 200, 429} {
		if status, _ := e.graph(t, token, "GET", application+"?$select=keyCredentials", nil); status != want {
			t.Errorf("read %d: %d, want %d", i+1, status, want)
		}
	}
	if status, _ := e.graph(t, token, "GET", application+"?$select=id", nil); status != 200 {
		t.Errorf("a read without keys: %d", status)
	}
	e.clock.Set(start.Add(time.Minute))
	if status, _ := e.graph(t, token, "GET", application+"?$select=keyCredentials", nil); status != 200 {
		t.Errorf("a minute later: %d", status)
	}
	status, made := e.graph(t, token, "POST", application+"/addPassword",
		map[string]any{"passwordCredential": map[string]any{"displayName": "x"}})
	secret, _ := made["secretText"].(string)
	if status != 200 || secret == "" {
		t.Fatal(status, made)
	}
	if _, m := e.graph(t, token, "GET", application, nil); strings.Contains(toJSON(t, m), secret) {
		t.Error("the secret is shown again")
	}
	for _, want := range []int{204, 400} {
		if status, _ := e.graph(t, token, "POST", application+"/removePassword",
			map[string]any{"keyId": made["keyId"]}); status != want {
			t.Errorf("removed: %d, want %d", status, want)
		}
	}
	for zone, good := range map[string]bool{"W. Europe Standard Time": true, "Europe/Berlin": true, "UTC": true,
		"Middle Earth Standard Time": false, "": false} {
		if _, err := (dateTimeZone{"2026-11-26T08:00:00", zone}).time(); (err == nil) != good {
			t.Errorf("time zone %q: %v", zone, err)
		}
	}
}
