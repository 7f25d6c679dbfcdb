package entra_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

// signIn is a sign-in service: metadata and a device code, and what its token endpoint answers in
// turn.
type signIn struct {
	tokenEndpoint string
	answers       []string // bodies of 400
	asked         []string // URLs
}

func (s *signIn) RoundTrip(r *http.Request) (*http.Response, error) {
	const login = "https://login.microsoftonline.com/contoso.onmicrosoft.com"
	endpoint := s.tokenEndpoint
	if endpoint == "" {
		endpoint = login + "/oauth2/v2.0/token"
	}
	s.asked = append(s.asked, r.URL.String())
	status, body := http.StatusOK, ""
	switch {
	case strings.HasSuffix(r.URL.Path, "/openid-configuration"):
		body = `{"issuer":"` + login + `/v2.0","authorization_endpoint":"` + login +
			`/oauth2/v2.0/authorize","token_endpoint":"` + endpoint + `"}`
	case strings.HasSuffix(r.URL.Path, "/devicecode"):
		body = `{"user_code":"ABC123","device_code":"code","verification_uri":"https://login.microsoftonline.com/device",` +
			`"expires_in":900,"interval":1,"message":"enter ABC123"}`
	default:
		status, body = http.StatusBadRequest, s.answers[0]
		if len(s.answers) > 1 {
			s.answers = s.answers[1:]
		}
	}
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Request: r,
		Body: io.NopCloser(strings.NewReader(body))}, nil
}

// A device code that ends without a sign-in says why, by the OAuth error and Entra's number, and
// what to do. The library reads the body of the answer away.
func TestDeviceCodeRefusals(t *testing.T) {
	const pending = `{"error":"authorization_pending","error_description":"AADSTS70016: pending","error_codes":[70016]}`
	refusal := func(code, description string) string {
		return `{"error":"` + code + `","error_description":"` + description + ` Trace ID: x","error_codes":[]}`
	}
	for name, test := range map[string]struct{ answer, says, hint string }{
		"declined": {refusal("authorization_declined", "AADSTS65004: User declined to consent."), "AADSTS65004",
			"declined in the browser"},
		"expired": {refusal("expired_token", "AADSTS70019: The code has expired."), "AADSTS70019",
			"not confirmed in time"},
		"expired too": {refusal("expired_token", "AADSTS70020: The code has expired."), "AADSTS70020",
			"Conditional Access"},
		"blocked": {refusal("access_denied", "AADSTS53003: Blocked by Conditional Access."), "AADSTS53003",
			"Conditional Access blocks"},
		"refused": {refusal("access_denied", "AADSTS50105: not assigned."), "AADSTS50105",
			"refused in the browser"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				identity, err := entra.NewIdentity(entra.IdentityOptions{
					Tenant: "contoso.onmicrosoft.com", Login: "https://login.microsoftonline.com", Graph: graph,
					HTTP:       &http.Client{Transport: &signIn{answers: []string{pending, pending, test.answer}}},
					Credential: entra.Credential{Kind: answers.CredentialDeviceCode, Say: func(string) {}},
				})
				if err != nil {
					t.Fatal(err)
				}
				_, err = identity.Token(t.Context(), graph)
				var refused *oauth.Error
				if !errors.As(err, &refused) || !errors.Is(err, link.ErrAccess) ||
					!strings.Contains(err.Error(), test.says) {
					t.Fatalf("got %v", err)
				}
				if !strings.Contains(refused.Hint(), test.hint) {
					t.Errorf("hint %q", refused.Hint())
				}
			})
		})
	}
}

// A secret goes to the login host by https alone, also when the host's own metadata names another
// token endpoint.
func TestTokenEndpointElsewhere(t *testing.T) {
	for _, endpoint := range []string{"https://evil.example/token", "http://login.microsoftonline.com/token",
		"https://login.microsoftonline.com:444/token"} {
		service := &signIn{tokenEndpoint: endpoint, answers: []string{`{"error":"x"}`}}
		identity, err := entra.NewIdentity(entra.IdentityOptions{
			Tenant: "contoso.onmicrosoft.com", Login: "https://login.microsoftonline.com", Graph: graph,
			HTTP: &http.Client{Transport: service},
			Credential: entra.Credential{Kind: answers.CredentialSecret,
				ClientID: "6d1a2b3c-4e5f-4a6b-8c7d-0e1f2a3b4c5d", Secret: secret.NewValue("s")},
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := identity.Token(t.Context(), graph); err == nil {
			t.Errorf("%s: no error", endpoint)
		}
		for _, asked := range service.asked {
			if !strings.HasPrefix(asked, "https://login.microsoftonline.com/") {
				t.Errorf("%s was asked", asked)
			}
		}
	}
}

// A person sees the code with its page and how long it is valid. Giving up ends the wait at once,
// and so does the sign-in: the page is told that it is over.
func TestSignInIsShown(t *testing.T) {
	const pending = `{"error":"authorization_pending","error_description":"AADSTS70016: pending","error_codes":[70016]}`
	for _, givesUp := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var shown []entra.DeviceCode
			over := 0
			began := time.Now()
			identity, err := entra.NewIdentity(entra.IdentityOptions{
				Tenant: "contoso.onmicrosoft.com", Login: "https://login.microsoftonline.com", Graph: graph,
				HTTP: &http.Client{Transport: &signIn{answers: []string{pending, pending,
					`{"error":"expired_token","error_description":"AADSTS70019: over","error_codes":[70019]}`}}},
				Credential: entra.Credential{Kind: answers.CredentialDeviceCode, SignIn: func(c entra.DeviceCode) func() {
					shown = append(shown, c)
					if givesUp {
						go c.GiveUp()
					}
					return func() { over++ }
				}},
			})
			if err != nil {
				t.Fatal(err)
			}
			_, err = identity.Token(t.Context(), graph)
			if err == nil || errors.Is(err, entra.ErrGivenUp) != givesUp || over != 1 || len(shown) != 1 {
				t.Fatalf("gives up %t: %v; over %d times, shown %d", givesUp, err, over, len(shown))
			}
			c := shown[0]
			if c.Code == "" || !strings.HasPrefix(c.Page, "https://") || !strings.Contains(c.Message, c.Code) ||
				!c.Until.After(began) {
				t.Errorf("%+v", c)
			}
		})
	}
}

// Without a person, the hint is not about accounts and roles.
func TestDeviceCodeWithoutAPerson(t *testing.T) {
	_, err := entra.NewIdentity(entra.IdentityOptions{
		Tenant: "contoso.onmicrosoft.com", Login: "https://login.microsoftonline.com", Graph: graph,
		Credential: entra.Credential{Kind: answers.CredentialDeviceCode}})
	var hinting interface{ Hint() string }
	if !errors.Is(err, link.ErrAccess) || !errors.As(err, &hinting) ||
		!strings.Contains(hinting.Hint(), "run it on a terminal") || strings.Contains(err.Error(), "refused") {
		t.Errorf("%v", err)
	}
}
