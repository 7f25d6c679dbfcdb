package fact

import (
	"encoding/base64"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// An application's token names roles, a person's scopes.
func TestTokenPermissions(t *testing.T) {
	for claims, want := range map[string][]string{
		`{"roles":["A.Read","B.Read"]}`:         {"A.Read", "B.Read"},
		`{"scp":"A.Read B.Read"}`:               {"A.Read", "B.Read"},
		`{"roles":["A.Read"],"scp":"C.Read  "}`: {"A.Read", "C.Read"},
		`{}`:                                    nil,
		`no claims`:                             nil,
	} {
		encode := base64.RawURLEncoding.EncodeToString
		token := encode([]byte(`{"alg":"RS256"}`)) + "." + encode([]byte(claims)) + "." + encode([]byte("signature"))
		if diff := cmp.Diff(want, TokenPermissions(token)); diff != "" {
			t.Errorf("%s: %s", claims, diff)
		}
	}
}
