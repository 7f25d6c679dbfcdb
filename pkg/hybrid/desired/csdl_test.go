package desired

import (
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/test/peer"
)

// Every property that the Entra kinds ask Graph for or write exists there.
func TestPropertiesExistInGraph(t *testing.T) {
	properties := peer.GraphSchema(t)
	types := map[*Kind]string{application: "application", servicePrincipal: "servicePrincipal",
		servicePrincipalName: "servicePrincipal", sharedKey: "servicePrincipal",
		appRoleAssignment: "appRoleAssignment", keyCredential: "application",
		applicationKeyList: "application"}
	asked := map[string][]string{"application": strings.Split(applicationFields+","+applicationKeyFields, ","),
		"servicePrincipal": strings.Split(servicePrincipalFields, ","), "keyCredential": keyFields}
	for _, k := range Kinds() {
		if k.System() != &MicrosoftGraph.Family {
			continue
		}
		name, ok := types[k]
		if !ok {
			t.Errorf("%s: say here which type of Graph it is", k.Noun)
		}
		for p := range k.Properties {
			if k != keyCredential || p != "application" { // its key: the application of the credentials
				asked[name] = append(asked[name], p)
			}
		}
	}
	for name, list := range asked {
		for _, p := range list {
			if !properties[name][p] {
				t.Errorf("%s.%s is not in the schema", name, p)
			}
		}
	}
}
