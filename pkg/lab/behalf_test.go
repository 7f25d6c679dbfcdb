package lab

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/lab/entra"
	"github.com/hybridge-cli/hybridge/pkg/lab/organization"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

// A lookup names the person who asks. The other side must find exactly one such person. This holds
// in both directions.
func TestLookupsSpeakForSomebody(t *testing.T) {
	l := start(t)
	f := l.contoso()
	configure(t, l, f)
	relate(t, l.tenant.org, "O365 to On-premises", f.domain)
	relate(t, f.org, "On-premises to O365", coexistenceDomain)
	const nobody, twice = `2000005;reason="The user specified by the user-context in the token does not exist.";error_category="invalid_user"`, `2000005;reason="The user specified by the user-context in the token is ambiguous.";error_category="invalid_user"`
	toTenant := func(user string) error {
		found, err := answering{f.premise, f.domain, ""}.Availability(t.Context(), ews.Query{
			Caller: link.Caller{Scheme: "NTLM", User: user}, Mailboxes: []string{f.moved().primary}, Window: today(),
		})
		if err != nil {
			return err
		}
		return found[0].Err
	}
	toForest := func(as string) error {
		found, err := l.tenant.schedules(entra.ScheduleQuestion{AppID: l.tenant.automationID, As: as,
			Addresses: []string{f.local().primary}, Start: today().Start, End: today().End})
		if err != nil {
			return err
		}
		if found[0].ErrorCode != "" {
			return failed(found[0].ErrorCode, "%s", found[0].Message)
		}
		return nil
	}
	forget := func(p *premise, m *mailbox) func() {
		kept := p.people[m.primary]
		delete(p.people, m.primary)
		return func() { p.people[m.primary] = kept }
	}
	share := func(p *premise, m *mailbox) func() {
		p.shared[m.primary] = true
		return func() { delete(p.shared, m.primary) }
	}
	for name, c := range map[string]struct {
		spoil func() func()
		ask   func() error
		want  string
	}{
		"to the tenant": {nil, func() error { return toTenant(f.local().primary) }, ""},
		"to the tenant, as DOMAIN\\account": {nil,
			func() error { return toTenant(strings.ToUpper(f.name) + `\` + f.local().account) }, ""},
		"to the tenant, not synchronized": {func() func() { return forget(l.tenant.premise, f.local()) },
			func() error { return toTenant(f.local().primary) }, nobody},
		"to the tenant, two of the address": {func() func() { return share(l.tenant.premise, f.local()) },
			func() error { return toTenant(f.local().primary) }, twice},
		"to the tenant, an account of no person": {nil, func() error { return toTenant(f.account()) }, nobody},
		"to the forest":                          {nil, func() error { return toForest(f.moved().primary) }, ""},
		"to the forest, not in its directory": {func() func() { return forget(f.premise, f.moved()) },
			func() error { return toForest(f.moved().primary) }, nobody},
		"to the forest, two of the address": {func() func() { return share(f.premise, f.moved()) },
			func() error { return toForest(f.moved().primary) }, twice},
	} {
		t.Run(name, func(t *testing.T) {
			if c.spoil != nil {
				defer c.spoil()()
			}
			err := c.ask()
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
	t.Run("Test-OAuthConnectivity", func(t *testing.T) {
		defer forget(l.tenant.premise, f.local())()
		for appOnly, want := range map[bool]string{false: "Error", true: "Success"} {
			out, _, err := f.org.Run(t.Context(), organization.Caller{},
				exchange.Command{Name: "Test-OAuthConnectivity", Parameters: map[string]any{
					"Service": "EWS", "TargetUri": exchangeResource + "/EWS/Exchange.asmx",
					"Mailbox": f.local().primary,
					"AppOnly": appOnly,
				}})
			if err != nil {
				t.Fatal(err)
			}
			result, _ := out[0].String("ResultType")
			if detail, _ := out[0].String("Detail"); result != want || strings.Contains(detail, nobody) == appOnly {
				t.Errorf("AppOnly %v: %s: %s", appOnly, result, detail)
			}
		}
	})
}

// The outer token adds no claim that the inner one does not confirm.
func TestUserTokens(t *testing.T) {
	l := start(t)
	f := l.contoso()
	configure(t, l, f)
	actor, err := l.tenant.entra.ServiceToken(entra.ServiceTokenOptions{Host: f.mail, Realm: f.domain})
	if err != nil {
		t.Fatal(err)
	}
	inner, err := oauth.Parse(actor)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for name, c := range map[string]struct {
		algorithm string
		change    func(oauth.Claims)
		good      bool
	}{
		"as it should be":  {"none", func(oauth.Claims) {}, true},
		"by sign-in name":  {"none", func(c oauth.Claims) { c["upn"] = c["smtp"]; delete(c, "smtp") }, true},
		"two people":       {"none", func(c oauth.Claims) { c["upn"] = f.local().upn }, false},
		"nobody":           {"none", func(c oauth.Claims) { delete(c, "smtp") }, false},
		"another audience": {"none", func(c oauth.Claims) { c["aud"] = "x" }, false},
		"another issuer":   {"none", func(c oauth.Claims) { c["iss"] = stableGUID("x") + "@" + tenantID }, false},
		"over":             {"none", func(c oauth.Claims) { c["exp"] = now.Add(-time.Hour).Unix() }, false},
		"not yet":          {"none", func(c oauth.Claims) { c["nbf"] = now.Add(time.Hour).Unix() }, false},
		"without an end":   {"none", func(c oauth.Claims) { delete(c, "exp") }, false},
		"no actor":         {"none", func(c oauth.Claims) { delete(c, "actortoken") }, false},
		"an actor forged": {"none", func(c oauth.Claims) { c["actortoken"] = actor[:len(actor)-8] + "AAAAAAAA" },
			false},
		"an actor in itself": {"none", func(c oauth.Claims) { c["actortoken"] = outerToken(t, "none", c) }, false},
		"another algorithm":  {"RS256", func(oauth.Claims) {}, false},
	} {
		t.Run(name, func(t *testing.T) {
			claims := oauth.Claims{"aud": inner.Claims["aud"], "iss": inner.Claims["nameid"], "nbf": now.Unix(),
				"exp": now.Add(time.Hour).Unix(), "smtp": f.moved().primary, "actortoken": actor}
			c.change(claims)
			answer := httptest.NewRecorder()
			admit := f.premise.bearer(answer, f.now,
				func(ctx context.Context, actor string) (oauth.Token, error) { return f.verify(ctx, actor, f.mail) })
			if _, _, err := admit(t.Context(), outerToken(t, c.algorithm, claims)); (err == nil) != c.good {
				t.Errorf("error %v", err)
			}
			want := map[string]string{"another audience": "2000003;", "two people": "2000005;", "nobody": "2000005;",
				"an actor forged": "2000000;"}[name]
			if got := answer.Header().Get("x-ms-diagnostics"); want != "" && !strings.HasPrefix(got, want) || c.good &&
				got != "" {
				t.Errorf("diagnostics %q, want %q", got, want)
			}
		})
	}
}

func outerToken(t *testing.T, algorithm string, claims oauth.Claims) string {
	t.Helper()
	header, err1 := json.Marshal(oauth.Header{Algorithm: algorithm, Type: "JWT"})
	body, err2 := json.Marshal(claims)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	return base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(body) + "."
}
