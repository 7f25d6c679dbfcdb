package entra

import (
	"encoding/base64"
	"maps"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

// TestKeysOfMicrosoftsPrincipals: they accept only key, type and usage, and an empty list clears
// them.
func TestKeysOfMicrosoftsPrincipals(t *testing.T) {
	e := newEstate(t, nil)
	c, _ := newCertificate(t, "auth", start, start.AddDate(5, 0, 0))
	admin, err := e.AddApplication(NewApplication{DisplayName: "admin", Secret: "s3cret",
		Graph: []string{"Application.ReadWrite.All"}})
	if err != nil {
		t.Fatal(err)
	}
	token, err := e.AppToken(admin, "https://graph.microsoft.com")
	if err != nil {
		t.Fatal(err)
	}
	bare := map[string]any{"key": base64.StdEncoding.EncodeToString(c.Raw), "type": "AsymmetricX509Cert",
		"usage": "Verify"}
	named, short := maps.Clone(bare), maps.Clone(bare)
	named["displayName"] = "auth"
	delete(short, "key")
	principal := "/servicePrincipals(appId='" + oauth.AppExchangeOnline + "')"
	for _, tt := range []struct {
		name   string
		keys   []any
		status int
		left   int
	}{
		{"bare", []any{bare}, 204, 1},
		{"with a name", []any{named}, 400, 1},
		{"one with a name", []any{bare, named}, 400, 1},
		{"without the key", []any{short}, 400, 1},
		{"none", []any{}, 204, 0},
	} {
		if status, m := e.graph(t, token, "PATCH", principal,
			map[string]any{"keyCredentials": tt.keys}); status != tt.status {
			t.Errorf("%s: %d %v", tt.name, status, m)
		}
		if _, m := e.graph(t, token, "GET", principal, nil); len(elements(m["keyCredentials"])) != tt.left {
			t.Errorf("%s: left are %v", tt.name, m["keyCredentials"])
		}
	}
}
