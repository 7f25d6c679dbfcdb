package entra

import (
	"reflect"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/test/peer"
)

// Every property that the lab returns exists in Graph.
func TestPropertiesExistInGraph(t *testing.T) {
	properties := peer.GraphSchema(t)
	for name, v := range map[string]any{
		"application": Application{}, "requiredResourceAccess": RequiredResourceAccess{},
		"resourceAccess": ResourceAccess{}, "keyCredential": KeyCredential{},
		"passwordCredential": PasswordCredential{}, "servicePrincipal": ServicePrincipal{}, "appRole": AppRole{},
		"appRoleAssignment": Assignment{},
	} {
		k := reflect.TypeOf(v)
		for i := range k.NumField() {
			tag, _, _ := strings.Cut(k.Field(i).Tag.Get("json"), ",")
			if !properties[name][tag] {
				t.Errorf("%s.%s is not in the schema", name, tag)
			}
		}
	}
}
