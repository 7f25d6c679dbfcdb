package exchange

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

const testTenant = "6a1b2c3d-0000-4000-8000-00000000abcd"

func testToken(claims string) string {
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
}

// service answers requests from a list, the last one again and again, and keeps what it was asked.
type service struct {
	mu      sync.Mutex
	answers []http.HandlerFunc
	asked   []*http.Request
	bodies  []string
	slept   []time.Duration
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	s.asked, s.bodies = append(s.asked, r), append(s.bodies, string(body))
	answer := s.answers[min(len(s.asked), len(s.answers))-1]
	s.mu.Unlock()
	answer(w, r)
}

func says(status int, contentType, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if contentType != "" {
			w.Header().Set("Content-Type", contentType)
		}
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func json200(body string) http.HandlerFunc {
	return says(200, "application/json; odata.metadata=minimal", body)
}

func online(t *testing.T, s *service, change func(*OnlineOptions)) *AdminAPI {
	t.Helper()
	server := httptest.NewTLSServer(s)
	t.Cleanup(server.Close)
	o := OnlineOptions{Endpoint: server.URL, Client: server.Client(), Timeout: 10 * time.Second,
		Token: func(context.Context) (string, error) {
			return testToken(`{"tid":"` + testTenant + `","idtyp":"app"}`), nil
		},
		sleep: func(ctx context.Context, d time.Duration) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.slept = append(s.slept, d)
			return ctx.Err()
		}}
	if change != nil {
		change(&o)
	}
	a, err := NewOnline(o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestOnlineRequest(t *testing.T) {
	s := &service{answers: []http.HandlerFunc{json200(`{"value":[]}`)}}
	a := online(t, s, nil)
	_, err := a.Run(t.Context(), Command{"Set-OrganizationRelationship", map[string]any{
		"Identity": "x", "DomainNames": ListChange{Add: []string{"a.com"}, Remove: []string{"b.com"}}, "Enabled": true,
		"TargetSharingEpr": nil, "Raw": []byte("hi"), "List": []string{}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Run(t.Context(), Command{Name: "Get-AcceptedDomain"}); err != nil {
		t.Fatal(err)
	}
	if len(s.asked) != 2 {
		t.Fatalf("%d requests for two cmdlets", len(s.asked))
	}
	first, second := s.asked[0], s.asked[1]
	if want := "/adminapi/beta/" + testTenant + "/InvokeCommand"; first.URL.Path != want || first.Method != "POST" {
		t.Errorf("%s %s", first.Method, first.URL.Path)
	}
	for _, h := range []string{"X-AnchorMailbox", "Connection-Id"} {
		if first.Header.Get(h) == "" || first.Header.Get(h) != second.Header.Get(h) {
			t.Errorf("%s: %q, then %q", h, first.Header.Get(h), second.Header.Get(h))
		}
	}
	if want := "APP:SystemMailbox{bb558c35-97f1-4cb9-8ff7-d53741dc928c}@" +
		testTenant; first.Header.Get("X-AnchorMailbox") != want {
		t.Errorf("anchor %q", first.Header.Get("X-AnchorMailbox"))
	}
	if first.Header.Get("Client-Request-Id") == second.Header.Get("Client-Request-Id") {
		t.Error("two requests have one id")
	}
	var got, want any
	if err := json.Unmarshal([]byte(s.bodies[0]), &got); err != nil {
		t.Fatal(err)
	}
	_ = json.Unmarshal([]byte(`{"CmdletInput":{"CmdletName":"Set-OrganizationRelationship","Parameters":{"Identity":"x","Enabled":true,"TargetSharingEpr":null,"Confirm":false,"List":[],
		"DomainNames":{"@odata.type":"#Exchange.GenericHashTable","Add":["a.com"],"Remove":["b.com"]},"Raw":{"@odata.type":"#Exchange.ByteArrayType","Data":"aGk="}}}}`), &want)
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if want := `{"CmdletInput":{"CmdletName":"Get-AcceptedDomain","Parameters":{}}}`; s.bodies[1] != want {
		t.Errorf("body %s", s.bodies[1])
	}
	if _, err := a.Run(t.Context(),
		Command{"New-MigrationEndpoint",
			map[string]any{"Credentials": Credential{"u", secret.NewValue("hunter2")}}}); err == nil ||
		strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a credential is sent, or shown: %v", err)
	}
}

func TestOnlineAnchorOfPerson(t *testing.T) {
	s := &service{answers: []http.HandlerFunc{json200(`{"value":[]}`)}}
	a := online(t, s, func(o *OnlineOptions) {
		o.Token = func(context.Context) (string, error) {
			return testToken(`{"tid":"` + testTenant + `","upn":"admin@contoso.com"}`), nil
		}
	})
	if _, err := a.Run(t.Context(), Command{Name: "Get-AcceptedDomain"}); err != nil {
		t.Fatal(err)
	}
	if got := s.asked[0].Header.Get("X-AnchorMailbox"); got != "UPN:admin@contoso.com" {
		t.Errorf("anchor %q", got)
	}
}

func TestOnlineObjects(t *testing.T) {
	s := &service{answers: []http.HandlerFunc{json200(`{"@odata.context":"x","adminapi.warnings@odata.type":"#Collection(String)","@adminapi.warnings":["careful\u001b[31m"],
		"value":[{"Name":"a","Guid@odata.type":"#Guid","Guid":"1-2","List@data.type":"Collection","List":["x"],"Empty":[],"Null":null,"N":3,"@odata.id":"z","Inner":{"A":1,"A@odata.type":"#Int"}}]}`)}}
	var warnings []string
	a := online(t, s, func(o *OnlineOptions) {
		o.Warn = func(cmdlet, text string) { warnings = append(warnings, cmdlet+": "+text) }
	})
	objects, err := a.Run(t.Context(), Command{Name: "Get-Thing"})
	if err != nil {
		t.Fatal(err)
	}
	want := []Object{NewObject(nil, "a", "Name", "a", "Guid", "1-2", "List", []string{"x"}, "Empty", []any{}, "Null",
		nil, "N", 3, "Inner", map[string]any{"A": 1})}
	if d := cmp.Diff(want, objects, cmp.AllowUnexported(Object{})); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"Get-Thing: careful [31m"}, warnings); d != "" {
		t.Error(d)
	}
}

func TestOnlinePaging(t *testing.T) {
	s := &service{}
	a := online(t, s, nil)
	next := a.base.String() + "/adminapi/beta/t/InvokeCommand?$skiptoken=2"
	page := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery == "" {
			json200(fmt.Sprintf(`{"value":[{"N":1}],"@odata.nextLink":%q}`, next))(w, r)
			return
		}
		json200(`{"value":[{"N":2}]}`)(w, r)
	}
	s.answers = []http.HandlerFunc{page}
	objects, err := a.Run(t.Context(), Command{Name: "Get-Mailbox"})
	if err != nil || len(objects) != 2 || len(s.asked) != 2 {
		t.Fatalf("%d objects in %d requests, %v", len(objects), len(s.asked), err)
	}
	if s.bodies[0] != s.bodies[1] ||
		s.asked[0].Header.Get("X-AnchorMailbox") != s.asked[1].Header.Get("X-AnchorMailbox") {
		t.Error("the second page is asked for otherwise than the first")
	}

	t.Run("expired once", func(t *testing.T) {
		s.asked, s.bodies = nil, nil
		expired := says(400, "application/json",
			`{"error":{"code":"BadRequest","message":"`+expiredPaging+`. Default Expiry time is 00:30:00"}}`)
		s.answers = []http.HandlerFunc{page, expired, page, page}
		objects, err := a.Run(t.Context(), Command{Name: "Get-Mailbox"})
		if err != nil || len(objects) != 2 || len(s.asked) != 4 {
			t.Errorf("%d objects in %d requests, %v", len(objects), len(s.asked), err)
		}
	})
	t.Run("elsewhere", func(t *testing.T) {
		for _, link := range []string{"https://evil.example/x", "http://" + a.base.Host + "/x", "//evil.example/x",
			"https://u:p@" + a.base.Host + "/x", "https://%zz"} {
			s.asked, s.bodies = nil, nil
			s.answers = []http.HandlerFunc{json200(fmt.Sprintf(`{"value":[],"@odata.nextLink":%q}`, link))}
			if _, err := a.Run(t.Context(), Command{Name: "Get-Mailbox"}); err == nil || len(s.asked) != 1 {
				t.Errorf("%s: %d requests, %v", link, len(s.asked), err)
			}
		}
	})
	t.Run("without end", func(t *testing.T) {
		s.asked, s.bodies = nil, nil
		s.answers = []http.HandlerFunc{func(w http.ResponseWriter, r *http.Request) {
			json200(fmt.Sprintf(`{"value":[],"@odata.nextLink":%q}`, next+strconv.Itoa(len(s.asked))))(w, r)
		}}
		if _, err := a.Run(t.Context(), Command{Name: "Get-Mailbox"}); err == nil || len(s.asked) != maxPages {
			t.Errorf("%d requests, %v", len(s.asked), err)
		}
	})
	t.Run("a crowd", func(t *testing.T) {
		crowd := func(n int, next string) http.HandlerFunc {
			return json200(`{"value":[` + strings.Repeat(`1,`, n) + `1]` + next + `}`)
		}
		more := fmt.Sprintf(`,"@odata.nextLink":%q`, next)
		for _, answers := range [][]http.HandlerFunc{{crowd(maxCommas+1, "")},
			{crowd(maxCommas/2, more), crowd(maxCommas/2+1, "")}} {
			s.asked, s.bodies, s.answers = nil, nil, answers
			if _, err := a.Run(t.Context(), Command{Name: "Get-Mailbox"}); err == nil ||
				!strings.Contains(err.Error(), "values") {
				t.Errorf("%d pages: %v", len(answers), err)
			}
		}
	})
	t.Run("in a circle", func(t *testing.T) {
		s.asked, s.bodies = nil, nil
		s.answers = []http.HandlerFunc{json200(fmt.Sprintf(`{"value":[{"N":1}],"@odata.nextLink":%q}`, next))}
		if _, err := a.Run(t.Context(), Command{Name: "Get-Mailbox"}); err == nil || len(s.asked) != 2 {
			t.Errorf("%d requests, %v", len(s.asked), err)
		}
	})
}

func TestOnlineFailures(t *testing.T) {
	const record = `{"error":{"code":"NotFound","message":"Error executing cmdlet","details":[{"code":"Context","target":"t","message":"Ex6F9304|Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException|from the detail"}],
		"innererror":{"internalexception":{"message":"Ex6F9304|Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException|from inside","type":"Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException"}}},"@adminapi.warnings":[]}`
	transient := `{"error":{"code":"BadRequest","message":"x","details":[{"message":"Ex1|Microsoft.Exchange.Data.Storage.ServerBusyException|busy"}]}}`
	nul := strings.Repeat("\x00", 64)
	tests := []struct {
		name     string
		answer   http.HandlerFunc
		cmdlet   string
		is       error
		text     string
		requests int
	}{
		{"record", says(404, "application/json", record), "Get-X", ErrNotFound, "from inside", 1},
		{"detail only", says(400, "application/json",
			`{"error":{"code":"BadRequest","message":"m","details":[{"message":"Ex1|System.Foo|why"}]}}`), "Get-X", nil,
			"why", 1},
		{"message only", says(400, "application/json", `{"error":{"code":"BadRequest","message":"plain"}}`), "Get-X",
			nil, "plain", 1},
		{"401", says(401, "", "", "WWW-Authenticate",
			`Bearer error="invalid_token", error_description="The audience is wrong."`), "Get-X", link.ErrAccess,
			"The audience is wrong.", 1},
		{"403 of NUL bytes", says(403, "application/octet-stream", nul), "Get-X", link.ErrAccess, "no role", 1},
		{"403 with gzip declared", says(403, "application/json", nul, "Content-Encoding", "gzip"), "Get-X",
			link.ErrAccess, "no role", 1},
		{"429 storm, reading", says(429, "", "", "Retry-After", "2"), "Get-X", ErrThrottled, "slow down", 5},
		{"429, writing: it was not carried out", says(429, "", "", "Retry-After", "2"), "New-X", ErrThrottled,
			"slow down", 5},
		{"503 with a time, writing", says(503, "", "", "Retry-After", "2"), "New-X", nil, "503", 5},
		{"429 for a day", says(429, "", "", "Retry-After", "86400"), "Get-X", ErrThrottled, "slow down", 1},
		{"503, reading", says(503, "text/html", "<html>busy</html>"), "Get-X", nil, "503", 5},
		{"503, writing", says(503, "text/html", "<html>busy</html>"), "Set-X", nil, "503", 1},
		{"transient record", says(400, "application/json", transient), "Test-X", nil, "busy", 5},
		{"302", says(302, "", "", "Location", "https://elsewhere.example/"), "Get-X", nil, "not followed", 1},
		{"HTML", says(200, "text/html", "<html>sign in</html>"), "Get-X", nil, "text/html", 1},
		{"truncated JSON", json200(`{"value":[{"Name":"a"`), "Get-X", nil, "not the JSON", 1},
		{"list", json200(`[]`), "Get-X", nil, "not the JSON", 1},
		{"value of another type", json200(`{"value":"x"}`), "Get-X", nil, "not the JSON", 1},
		{"no value", json200(`{}`), "Get-X", nil, "no value", 1},
		{"nothing", json200(``), "Get-X", nil, "not the JSON", 1},
		{"object of a list", json200(`{"value":[[1]]}`), "Get-X", nil, "not an object", 1},
		{"deep", json200(`{"value":[{"a":` + strings.Repeat(`[`, 500) + strings.Repeat(`]`, 500) + `}]}`), "Get-X", nil,
			"too deep", 1},
		{"escape sequences", says(400, "application/json", `{"error":{"message":"a\u001b]0;x\u0007b\nc"}}`), "Get-X",
			nil, "b c", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &service{answers: []http.HandlerFunc{tt.answer}}
			a := online(t, s, nil)
			_, err := a.Run(t.Context(), Command{Name: tt.cmdlet})
			if err == nil {
				t.Fatal("no error")
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("%v is not %v", err, tt.is)
			}
			if !strings.Contains(err.Error(), tt.text) {
				t.Errorf("%v lacks %q", err, tt.text)
			}
			if strings.ContainsAny(err.Error(), "\x00\x1b\a\n") {
				t.Errorf("%q passes control characters on", err.Error())
			}
			if len(s.asked) != tt.requests {
				t.Errorf("%d requests, want %d", len(s.asked), tt.requests)
			}
			if !strings.HasPrefix(err.Error(), "exchange online at 127.0.0.1:") {
				t.Errorf("%v does not name the place", err)
			}
		})
	}
}

func TestOnlineRecovers(t *testing.T) {
	s := &service{answers: []http.HandlerFunc{says(429, "", "", "Retry-After", "3"), says(502, "", ""),
		json200(`{"value":[{"Name":"a"}]}`)}}
	a := online(t, s, nil)
	objects, err := a.Run(t.Context(), Command{Name: "Get-X"})
	if err != nil || len(objects) != 1 {
		t.Fatalf("%v, %v", objects, err)
	}
	if d := cmp.Diff([]time.Duration{3 * time.Second, 2 * time.Second}, s.slept); d != "" {
		t.Error(d)
	}
}

func TestOnlineTokenRenewal(t *testing.T) {
	s := &service{answers: []http.HandlerFunc{says(401, "", ""), json200(`{"value":[]}`)}}
	n := 0
	a := online(t, s, func(o *OnlineOptions) {
		o.Token = func(context.Context) (string, error) {
			n++
			return testToken(fmt.Sprintf(`{"tid":"%s","n":%d}`, testTenant, n)), nil
		}
	})
	// A refused request was not executed: a write is sent again as well, once.
	if _, err := a.Run(t.Context(), Command{Name: "Set-X"}); err != nil || len(s.asked) != 2 {
		t.Errorf("%d requests, %v", len(s.asked), err)
	}
	s.asked, s.answers = nil, []http.HandlerFunc{says(401, "", "")}
	if _, err := a.Run(t.Context(), Command{Name: "Set-X"}); !errors.Is(err, link.ErrAccess) || len(s.asked) != 2 {
		t.Errorf("%d requests, %v", len(s.asked), err)
	}
}

func TestOnlineCancel(t *testing.T) {
	s := &service{answers: []http.HandlerFunc{says(503, "", "")}}
	ctx, cancel := context.WithCancel(t.Context())
	a := online(t, s, func(o *OnlineOptions) {
		o.sleep = func(ctx context.Context, _ time.Duration) error { cancel(); return ctx.Err() }
	})
	if _, err := a.Run(ctx, Command{Name: "Get-X"}); !errors.Is(err, context.Canceled) || len(s.asked) != 1 {
		t.Errorf("%d requests, %v", len(s.asked), err)
	}
}

func TestOnlineAllowed(t *testing.T) {
	for name, body := range map[string]string{
		"list":   `{"value":[{"exportedCmdlets":"Get-AcceptedDomain,Set-AcceptedDomain"}]}`,
		"object": `{"value":{"exportedCmdlets":["Get-AcceptedDomain"," Set-AcceptedDomain "]}}`,
	} {
		t.Run(name, func(t *testing.T) {
			s := &service{answers: []http.HandlerFunc{json200(body)}}
			a := online(t, s, nil)
			for range 2 {
				got, err := a.Allowed(t.Context(), "get-accepteddomain", "New-InboundConnector")
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(map[string]Allowance{"get-accepteddomain": {}}, got); d != "" {
					t.Error(d)
				}
			}
			if len(s.asked) != 1 {
				t.Errorf("%d requests", len(s.asked))
			}
			if r := s.asked[0]; r.Method != "GET" || r.URL.Path != "/adminapi/v1.0/"+testTenant+"/EXOModuleFile" ||
				r.Header.Get("CommandName") != "*" {
				t.Errorf("%s %s", r.Method, r.URL)
			}
		})
	}
	for _, body := range []string{`{}`, `{"value":[]}`, `{"value":[{}]}`, `{"value":7}`, `x`} {
		a := online(t, &service{answers: []http.HandlerFunc{json200(body)}}, nil)
		if _, err := a.Allowed(t.Context(), "Get-X"); err == nil {
			t.Errorf("%s is taken for a list", body)
		}
	}
}

func TestNewOnlineRefuses(t *testing.T) {
	token := func(context.Context) (string, error) { return "opaque", nil }
	for _, o := range []OnlineOptions{
		{Endpoint: "http://outlook.office365.com", Token: token}, {Endpoint: "outlook.office365.com", Token: token},
		{Endpoint: "https://u:p@x", Token: token},
		{Endpoint: "https://x"}, {Endpoint: "https://x", Token: token, Tenant: "contoso"},
	} {
		if _, err := NewOnline(o); err == nil {
			t.Errorf("%+v is taken", o.Endpoint)
		}
	}
	a, err := NewOnline(OnlineOptions{Endpoint: "https://127.0.0.1:1", Token: token})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Run(t.Context(), Command{Name: "Get-X"}); err == nil || !strings.Contains(err.Error(), "tenant") {
		t.Errorf("an opaque token: %v", err)
	}
}

func FuzzOnlineAnswer(f *testing.F) {
	f.Add([]byte(`{"value":[{"Name":"a","X@odata.type":"#T"}]}`))
	f.Add([]byte(`{"error":{"details":[{"message":"Ex1|T|m"}]}}`))
	f.Add([]byte(`{"value":{"exportedCmdlets":"a,b"}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if o, err := onlineObject(text); err == nil {
			for _, n := range o.Names() {
				if strings.Contains(n, "@") {
					t.Fatalf("property %q of %q", n, text)
				}
			}
		}
		if e := onlineError("Get-X", text); e != nil && strings.ContainsAny(e.Error(), "\x1b\n\x00") {
			t.Fatalf("%q gives %q", text, e.Error())
		}
		_, _ = exportedCmdlets(text)
	})
}
