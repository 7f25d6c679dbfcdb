package attack_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
)

// A token for Graph is sent only to Graph, wherever its answers point.
func TestGraphLeadsElsewhere(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"redirect": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://evil.example/v1.0/applications")
			w.WriteHeader(http.StatusTemporaryRedirect)
		},
		"to clear text": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://graph.microsoft.com/v1.0/applications")
			w.WriteHeader(http.StatusFound)
		},
		"next page": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"value":[],"@odata.nextLink":"https://evil.example/v1.0/applications?$skiptoken=x"}`)
		},
		"next page in clear text": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"value":[],"@odata.nextLink":"http://graph.microsoft.com/v1.0/applications?$skiptoken=x"}`)
		},
		"next page with an account": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"value":[],"@odata.nextLink":"https://graph.microsoft.com@evil.example/v1.0/x"}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMiddle(t, answer)
			graph, err := entra.New(entra.Options{Graph: "https://graph.microsoft.com", HTTP: m.client(t),
				Token: func(context.Context) (string, error) { return "t0ken", nil }})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := graph.List(t.Context(), "/applications"); err == nil {
				t.Error("no error")
			}
			if strings.Count(m.asked()["graph.microsoft.com"], "t0ken") != 1 || len(m.asked()) != 1 {
				t.Errorf("seen: %v", m.asked())
			}
		})
	}
}

// A client secret is sent only to the login host and only by https, whatever the host's metadata
// contains.
func TestTokenEndpointLeadsElsewhere(t *testing.T) {
	const login = "https://login.microsoftonline.com"
	for endpoint, reaches := range map[string]bool{
		"https://evil.example/oauth2/v2.0/token":          false,
		"http://login.microsoftonline.com/token":          false,
		"https://login.microsoftonline.com.evil.example/": false,
		// otherwise the other cases prove nothing
		login + "/contoso.onmicrosoft.com/token": true,
	} {
		t.Run(endpoint, func(t *testing.T) {
			m := newMiddle(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				if r.Method == http.MethodGet {
					_, _ = io.WriteString(w, `{"issuer":"`+login+
						`/contoso.onmicrosoft.com/v2.0","authorization_endpoint":"`+login+
						`/authorize","token_endpoint":"`+endpoint+`"}`)
					return
				}
				w.WriteHeader(http.StatusBadRequest)
				_, _ = io.WriteString(w, `{"error":"invalid_client"}`)
			})
			identity, err := entra.NewIdentity(entra.IdentityOptions{
				Tenant: "contoso.onmicrosoft.com", Login: login, Graph: "https://graph.microsoft.com",
				HTTP: m.client(t),
				Credential: entra.Credential{Kind: answers.CredentialSecret,
					ClientID: "6d1a2b3c-4e5f-4a6b-8c7d-0e1f2a3b4c5d",
					Secret:   secret.NewValue("s3cret")},
			})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := identity.Token(t.Context(), "https://graph.microsoft.com"); err == nil {
				t.Error("no error")
			}
			for host, text := range m.asked() {
				if sent := strings.Contains(text, "s3cret"); sent && (host != "login.microsoftonline.com" || !reaches) {
					t.Errorf("%s got the secret", host)
				} else if !sent && reaches {
					t.Errorf("the secret went nowhere: %s", text)
				}
			}
		})
	}
}
