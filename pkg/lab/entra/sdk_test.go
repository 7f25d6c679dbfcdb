package entra

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

// headers sends a request with headers and returns status and text.
func (e *estate) headers(t *testing.T, token, method, path, body string, headers ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "https://graph.microsoft.com/v1.0"+path,
		strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := e.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(raw)
}

// Advanced queries need ConsistencyLevel: eventual. With it they are answered.
func TestAdvancedQueries(t *testing.T) {
	e := newEstate(t, nil)
	admin, err := e.AddApplication(NewApplication{DisplayName: "Exchange hybrid",
		Graph: []string{"Application.ReadWrite.All"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ExchangeServerApp-1", "payroll"} {
		if _, err := e.AddApplication(NewApplication{DisplayName: name}); err != nil {
			t.Fatal(err)
		}
	}
	token, err := e.AppToken(admin, "https://graph.microsoft.com")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		path     string
		eventual bool
		status   int
		holds    string
	}{
		{"/applications/$count", true, 200, "3"},
		{"/applications/$count", false, 400, "Request_BadRequest"},
		{"/applications/$count?$filter=displayName%20eq%20'payroll'", true, 200, "1"},
		{"/applications/" + admin + "/$count", true, 404, "Request_ResourceNotFound"},
		{"/applications(appId='" + admin + "')/$count", true, 400, "Request_BadRequest"},
		{"/applications?$count=true&$top=1", true, 200, `"@odata.count":3`},
		{`/applications?$search="displayName:exchange"`, true, 200, "Exchange hybrid"},
		{`/applications?$search="displayName:exchange"`, false, 400, "Request_UnsupportedQuery"},
		{`/applications?$search="displayName:hybrid"%20OR%20"displayName:pay"`, true, 200, "payroll"},
		{`/applications?$search="displayName:hybrid"%20AND%20"displayName:pay"`, true, 200, `"value":[]`},
		{`/applications?$search=displayName:x`, true, 400, "Request_BadRequest"},
		{`/applications?$search="notes:x"`, true, 400, "Request_BadRequest"},
		{"/applications?$orderby=displayName%20desc&$count=true&$select=displayName", true, 200,
			`[{"displayName":"payroll"},{"displayName":"ExchangeServerApp-1"},{"displayName":"Exchange hybrid"}]`},
		{"/applications?$orderby=displayName", true, 400, "Request_BadRequest"},
		{"/applications?$orderby=notes&$count=true", true, 400, "Request_BadRequest"},
		{"/applications?$filter=displayName%20ne%20'payroll'&$count=true", true, 200, `"@odata.count":2`},
	} {
		var headers []string
		if test.eventual {
			headers = []string{"ConsistencyLevel", "eventual"}
		}
		status, text := e.headers(t, token, "GET", strings.ReplaceAll(test.path, `"`, "%22"), "", headers...)
		if status != test.status || !strings.Contains(text, test.holds) {
			t.Errorf("%s (eventual %t): %d %s", test.path, test.eventual, status, text)
		}
	}
}

// A batch answers each request as if it had come alone.
func TestBatch(t *testing.T) {
	e := newEstate(t, nil)
	admin, err := e.AddApplication(NewApplication{DisplayName: "admin", Graph: []string{"Application.ReadWrite.All"}})
	if err != nil {
		t.Fatal(err)
	}
	token, err := e.AppToken(admin, "https://graph.microsoft.com")
	if err != nil {
		t.Fatal(err)
	}
	many := `{"requests":[` + strings.Repeat(`{"id":"x","method":"GET","url":"/applications"},`, 20) +
		`{"id":"y","method":"GET","url":"/applications"}]}`
	for name, test := range map[string]struct {
		body   string
		status int
		want   []int
	}{
		"three": {`{"requests":[
			{"id":"1","method":"POST","url":"/applications","headers":{"Content-Type":"application/json"},"body":{"displayName":"new"}},
			{"id":"2","method":"GET","url":"/applications?$filter=displayName eq 'new'","dependsOn":["1"]},
			{"id":"3","method":"GET","url":"/nowhere"},
			{"id":"4","method":"GET","url":"/domains"},
			{"id":"5","method":"GET","url":"/applications","dependsOn":["3"]}]}`, 200, []int{201, 200, 400, 403, 424}},
		"too many":    {many, 400, nil},
		"empty":       {`{"requests":[]}`, 400, nil},
		"the same id": {`{"requests":[{"id":"1","method":"GET","url":"/applications"},{"id":"1","method":"GET","url":"/applications"}]}`, 400, nil},
		"a later one": {`{"requests":[{"id":"1","method":"GET","url":"/applications","dependsOn":["2"]}]}`, 400,
			nil},
		"a batch in it":    {`{"requests":[{"id":"1","method":"POST","url":"/$batch","body":{}}]}`, 400, nil},
		"an absolute URL":  {`{"requests":[{"id":"1","method":"GET","url":"https://elsewhere.example/"}]}`, 400, nil},
		"no content type":  {`{"requests":[{"id":"1","method":"POST","url":"/applications","body":{"displayName":"x"}}]}`, 200, []int{400}},
		"not a batch":      {`[]`, 400, nil},
		"without requests": {`{}`, 400, nil},
	} {
		status, text := e.headers(t, token, "POST", "/$batch", strings.ReplaceAll(test.body, " eq ", "%20eq%20"))
		var answer struct{ Responses []struct{ Status int } }
		if err := json.Unmarshal([]byte(text), &answer); err != nil {
			t.Fatal(err)
		}
		var got []int
		for _, r := range answer.Responses {
			got = append(got, r.Status)
		}
		if status != test.status || len(got) != len(test.want) {
			t.Errorf("%s: %d %v %s", name, status, got, text)
			continue
		}
		for i := range got {
			if got[i] != test.want[i] {
				t.Errorf("%s: %v, want %v: %s", name, got, test.want, text)
			}
		}
	}
}

// An application rolls its own keys with a proof that it holds one of them.
func TestRollKeys(t *testing.T) {
	e := newEstate(t, nil)
	c, key := newCertificate(t, "old", start.Add(-time.Hour), start.AddDate(5, 0, 0))
	_, foreign := newCertificate(t, "foreign", start.Add(-time.Hour), start.AddDate(5, 0, 0))
	id, err := e.AddApplication(NewApplication{DisplayName: "own", Certificate: c})
	if err != nil {
		t.Fatal(err)
	}
	other, err := e.AddApplication(NewApplication{DisplayName: "other"})
	if err != nil {
		t.Fatal(err)
	}
	token, err := e.AppToken(id, "https://graph.microsoft.com")
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := e.AppToken(other, "https://graph.microsoft.com")
	if err != nil {
		t.Fatal(err)
	}
	var object string
	e.Update(func(s *State) { object = s.Application(id).ID })
	proof := func(change func(oauth.Claims)) string {
		claims := oauth.Claims{"aud": proofAudience, "iss": object, "nbf": start.Unix(),
			"exp": start.Add(10 * time.Minute).Unix()}
		change(claims)
		text, err := oauth.Signer{Key: key, Certificate: c}.Sign(claims)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	good := proof(func(oauth.Claims) {})
	forged, err := oauth.Signer{Key: foreign, Certificate: c}.Sign(oauth.Claims{"aud": proofAudience, "iss": object,
		"nbf": start.Unix(), "exp": start.Add(time.Minute).Unix()})
	if err != nil {
		t.Fatal(err)
	}
	fresh := func() map[string]any {
		next, _ := newCertificate(t, "next", start.Add(-time.Hour), start.AddDate(1, 0, 0))
		return map[string]any{"type": "AsymmetricX509Cert", "usage": "Verify",
			"key": base64.StdEncoding.EncodeToString(next.Raw)}
	}
	application := "/applications/" + object
	for _, test := range []struct {
		name, token string
		proof       string
		key         map[string]any
		status      int
	}{
		{"with a proof", token, good, fresh(), 200},
		{"by another application", stranger, good, fresh(), 403},
		{"without a proof", token, "", fresh(), 403},
		{"signed by another key", token, forged, fresh(), 403},
		{"for another audience", token, proof(func(c oauth.Claims) { c["aud"] = "https://graph.microsoft.com" }),
			fresh(), 403},
		{"of another issuer", token, proof(func(c oauth.Claims) { c["iss"] = other }), fresh(), 403},
		{"valid for an hour", token, proof(func(c oauth.Claims) { c["exp"] = start.Add(time.Hour).Unix() }), fresh(),
			403},
		{"ended", token, proof(func(c oauth.Claims) {
			c["nbf"], c["exp"] = start.Add(-time.Hour).Unix(), start.Add(-50*time.Minute).Unix()
		}), fresh(), 403},
		{"without a key", token, good, nil, 400},
		{"of another type", token, good, map[string]any{"type": "X509CertAndPassword", "usage": "Sign", "key": "AA=="},
			400},
	} {
		body := map[string]any{"keyCredential": test.key, "passwordCredential": nil, "proof": test.proof}
		status, m := e.graph(t, test.token, "POST", application+"/addKey", body)
		if status != test.status {
			t.Errorf("addKey %s: %d %v, want %d", test.name, status, m["error"], test.status)
		}
	}
	var keys []KeyCredential
	e.Update(func(s *State) { keys = s.Application(id).KeyCredentials })
	if len(keys) != 2 {
		t.Fatalf("%d keys", len(keys))
	}
	for _, test := range []struct {
		keyID  string
		status int
	}{{newGUID(), 400}, {keys[0].KeyID, 204}} {
		body := map[string]any{"keyId": test.keyID, "proof": good}
		if status, m := e.graph(t, token, "POST", application+"/removeKey", body); status != test.status {
			t.Errorf("removeKey: %d %v, want %d", status, m["error"], test.status)
		}
	}
}

// A tenant's policy limits the lifetime of new certificates. What is registered stays.
func TestKeyPolicy(t *testing.T) {
	e := newEstate(t, nil)
	auth, _ := newCertificate(t, "auth", start.Add(-time.Hour), start.AddDate(5, 0, 0))
	short, _ := newCertificate(t, "short", start.Add(-time.Hour), start.AddDate(0, 6, 0))
	admin, err := e.AddApplication(NewApplication{DisplayName: "admin", Certificate: auth,
		Graph: []string{"Application.ReadWrite.All"}})
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
	entry := func(raw []byte) map[string]any {
		return map[string]any{"type": "AsymmetricX509Cert", "usage": "Verify",
			"key": base64.StdEncoding.EncodeToString(raw)}
	}
	year := 365 * 24 * time.Hour
	for name, test := range map[string]struct {
		policy *KeyPolicy
		keys   []any
		status int
	}{
		"the registered one stays": {&KeyPolicy{MaxLifetime: year}, []any{kept}, 204},
		"five years":               {&KeyPolicy{MaxLifetime: year}, []any{kept, entry(auth.Raw)}, 400},
		"half a year":              {&KeyPolicy{MaxLifetime: year}, []any{kept, entry(short.Raw)}, 204},
		"five years, exempt": {&KeyPolicy{MaxLifetime: year, Exempt: []string{admin}},
			[]any{kept, entry(auth.Raw)}, 204},
		"five years without policy": {nil, []any{kept, entry(auth.Raw)}, 204},
	} {
		e.Update(func(s *State) {
			s.KeyPolicy = test.policy
			s.Application(admin).KeyCredentials = s.Application(admin).KeyCredentials[:1]
		})
		status, m := e.graph(t, token, "PATCH", application, map[string]any{"keyCredentials": test.keys})
		if status != test.status || status == 400 && code(m) != "CredentialInvalidLifetimeAsPerAppPolicy" {
			t.Errorf("%s: %d %v, want %d", name, status, m, test.status)
		}
	}
}

// The preference outlook.timezone changes the times of an answer. One that is no zone is refused.
func TestPreferredZone(t *testing.T) {
	e := newEstate(t, func(c *Config) {
		c.Schedules = func(q ScheduleQuestion) ([]Schedule, error) {
			return []Schedule{{Address: q.Addresses[0], Items: []ScheduleItem{{Status: "busy", Start: start,
				End: start.Add(time.Hour)}}}}, nil
		}
	})
	admin, err := e.AddApplication(NewApplication{DisplayName: "admin", Graph: []string{"Calendars.Read"}})
	if err != nil {
		t.Fatal(err)
	}
	token, err := e.AppToken(admin, "https://graph.microsoft.com")
	if err != nil {
		t.Fatal(err)
	}
	day := start.Format("2006-01-02")
	body := `{"schedules":["a@b.example"],"startTime":{"dateTime":"` + day + `T00:00:00","timeZone":"UTC"},` +
		`"endTime":{"dateTime":"` + day + `T23:00:00","timeZone":"UTC"}}`
	tokyo := start.In(time.FixedZone("", 9*3600)).Format(graphTime)
	for prefer, want := range map[string]string{
		"": start.Format(graphTime), `outlook.timezone="Tokyo Standard Time"`: tokyo,
		`return=minimal, outlook.timezone="Asia/Tokyo"`: tokyo,
		`outlook.timezone="Middle Earth Standard Time"`: "ErrorInvalidParameter",
		"odata.maxpagesize=5":                           start.Format(graphTime),
	} {
		_, text := e.headers(t, token, "POST", "/users/a@b.example/calendar/getSchedule", body, "Prefer", prefer)
		if !strings.Contains(text, want) {
			t.Errorf("Prefer %q: no %s in %s", prefer, want, text)
		}
	}
}
