package fact

import (
	"encoding/base64"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func tokenOf(claims string) string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"RS256"}`)) + "." + encode([]byte(claims)) + "." + encode([]byte("signature"))
}

// An application's token names roles, a person's scopes.
func TestTokenGrant(t *testing.T) {
	for claims, want := range map[string]Grant{
		`{"roles":["A.Read","B.Read"]}`:         {Permissions: []string{"A.Read", "B.Read"}},
		`{"scp":"A.Read B.Read"}`:               {Permissions: []string{"A.Read", "B.Read"}, Delegated: true},
		`{"roles":["A.Read"],"scp":"C.Read  "}`: {Permissions: []string{"A.Read", "C.Read"}, Delegated: true},
		`{"scp":"A.Read","wids":["x"]}`: {Permissions: []string{"A.Read"}, Delegated: true,
			Roles: []string{"x"}},
		`{}`:        {},
		`no claims`: {},
	} {
		if diff := cmp.Diff(want, TokenGrant(tokenOf(claims))); diff != "" {
			t.Errorf("%s: %s", claims, diff)
		}
	}
}

// A person's rights come from scopes and directory roles. What no claim shows is unknown.
func TestDelegatedRights(t *testing.T) {
	const powerShell = `"scp":"AuditLog.Read.All Directory.AccessAsUser.All email openid profile"`
	const none = `"b79fbf4d-3ef9-4689-8143-76b194e85509"`
	for claims, lacks := range map[string][]string{
		`{` + powerShell + `,"wids":["62E90394-69f5-4237-9190-012177145e10",` + none + `]}`: nil,
		`{` + powerShell + `,"wids":["9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3"]}`:              nil,
		`{` + powerShell + `,"wids":["11111111-0000-0000-0000-000000000000"]}`:              nil, // a custom role
		`{` + powerShell + `}`: nil,
		`{` + powerShell + `,"wids":[` + none + `,"0997a1d0-0d1d-4acb-b408-d5ca73121e90"]}`: WritePermissions,
		`{"scp":"Directory.Read.All Application.ReadWrite.All"}`:                            {"AppRoleAssignment.ReadWrite.All"},
		`{"scp":"openid"}`: {"Organization.Read.All", "Domain.Read.All", "Application.ReadWrite.All",
			"AppRoleAssignment.ReadWrite.All"},
		`{"roles":["Directory.Read.All"],"wids":["0997a1d0-0d1d-4acb-b408-d5ca73121e90"]}`: WritePermissions,
		`{}`: nil,
	} {
		rights := TokenGrant(tokenOf(claims)).rights()
		var got []string
		for _, alternatives := range [][]string{readOrganization, readDomains, WritePermissions[:1],
			WritePermissions[1:]} {
			if rights.Lacks(alternatives...) {
				got = append(got, alternatives[0])
			}
		}
		if diff := cmp.Diff(lacks, got); diff != "" {
			t.Errorf("%s: %s", claims, diff)
		}
	}
}
