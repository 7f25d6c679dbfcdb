package entra

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

const publicClient = "1950a258-227b-4e31-a9cf-717495945fc2" // Azure PowerShell

// post sends a form to the login host.
func (e *estate) post(t *testing.T, address string, form url.Values) (answer map[string]any, code int) {
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
		code = int(codes[0].(float64))
	}
	return answer, code
}

const graphScope = "https://graph.microsoft.com/.default offline_access"

// A person approves or declines on the page.
func TestDevicePage(t *testing.T) {
	e := newEstate(t, nil)
	host := strings.TrimSuffix(tokenURL, "/oauth2/v2.0/token")
	page := httptest.NewServer(e.DevicePage())
	defer page.Close()
	click := func(form url.Values) string {
		resp, err := http.PostForm(page.URL, form)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	for decision, want := range map[string]struct {
		kind string
		code int
	}{"approve": {"", 0}, "decline": {"authorization_declined", 65004}} {
		given, _ := e.post(t, host+"/oauth2/v2.0/devicecode",
			url.Values{"client_id": {publicClient}, "scope": {graphScope}})
		user, _ := given["user_code"].(string)
		if !regexp.MustCompile(`^[A-Z0-9]{9}$`).MatchString(user) {
			t.Errorf("user code %q", user)
		}
		redeem := func() (map[string]any, int) {
			device, _ := given["device_code"].(string)
			return e.post(t, tokenURL, url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"},
				"client_id": {publicClient}, "device_code": {device}})
		}
		if _, code := redeem(); code != 70016 {
			t.Errorf("before: AADSTS%d", code)
		}
		if text := click(url.Values{"code": {"WRONG2345"}}); !strings.Contains(text, "did not work") {
			t.Errorf("a wrong code: %s", text)
		}
		if text := click(url.Values{"code": {strings.ToLower(user)}}); !strings.Contains(text, "Continue") ||
			!strings.Contains(text, publicClient) {
			t.Errorf("the code: %s", text)
		}
		click(url.Values{"code": {user}, "decision": {decision}})
		answer, code := redeem()
		if code != want.code || want.kind != "" && answer["error"] != want.kind {
			t.Errorf("%s: AADSTS%d %v", decision, code, answer["error"])
		}
		if decision == "decline" {
			continue
		}
		again, code := e.post(t, tokenURL,
			url.Values{"grant_type": {"refresh_token"}, "client_id": {publicClient},
				"refresh_token": {answer["refresh_token"].(string)},
				"scope":         {"https://outlook.office365.com/.default"}})
		if code != 0 || again["access_token"] == nil {
			t.Errorf("refreshed: AADSTS%d", code)
		}
		if _, code := e.post(t, tokenURL,
			url.Values{"grant_type": {"refresh_token"}, "client_id": {newGUID()},
				"refresh_token": {answer["refresh_token"].(string)}}); code != 9002313 {
			t.Errorf("another client's refresh token: AADSTS%d", code)
		}
	}
}

// Requests for a device code that are refused.
func TestDeviceCodesRefused(t *testing.T) {
	e := newEstate(t, nil)
	address := strings.TrimSuffix(tokenURL, "/oauth2/v2.0/token") + "/oauth2/v2.0/devicecode"
	for name, tt := range map[string]struct {
		form url.Values
		code int
	}{
		"no client":         {url.Values{"scope": {graphScope}}, 900144},
		"no scope":          {url.Values{"client_id": {publicClient}}, 900144},
		"an unknown client": {url.Values{"client_id": {newGUID()}, "scope": {graphScope}}, 700016},
		"another resource": {url.Values{"client_id": {publicClient}, "scope": {"https://gone.example/.default"}},
			500011},
	} {
		if _, code := e.post(t, address, tt.form); code != tt.code {
			t.Errorf("%s: AADSTS%d, want %d", name, code, tt.code)
		}
	}
}

// A person's token carries Directory.AccessAsUser.All, and the person's own roles decide.
func TestDelegatedAdministrator(t *testing.T) {
	e := newEstate(t, nil)
	host := strings.TrimSuffix(tokenURL, "/oauth2/v2.0/token")
	given, _ := e.post(t, host+"/oauth2/v2.0/devicecode",
		url.Values{"client_id": {publicClient}, "scope": {graphScope}})
	e.ConfirmDeviceCode(given["user_code"].(string))
	answer, code := e.post(t, tokenURL,
		url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "client_id": {publicClient},
			"device_code": {given["device_code"].(string)}})
	if code != 0 {
		t.Fatalf("AADSTS%d", code)
	}
	token := answer["access_token"].(string)
	if status, m := e.graph(t, token, "POST", "/applications", map[string]any{"displayName": "x"}); status != 201 {
		t.Errorf("%d %v", status, m)
	}
	if status, _ := e.graph(t, token, "POST", "/users/a@b.example/calendar/getSchedule",
		map[string]any{}); status != 403 {
		t.Errorf("calendars: %d", status)
	}
}
