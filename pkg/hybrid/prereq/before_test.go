package prereq

import (
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
)

func TestBefore(t *testing.T) {
	for _, k := range []string{"IntraOrganizationConnector", "OrganizationConfig", "KeyCredential", "SettingOverride", "AuthServer", "OrganizationRelationship", "ServicePrincipalName"} {
		t.Log(k, Before(change.Plan{Changes: []change.Change{{Kind: k, Target: "online"}}}))
	}
}
