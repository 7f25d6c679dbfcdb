package entra

import (
	"reflect"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/test/peer"
)

// Every property that the client uses exists in Graph.
func TestPropertiesExistInGraph(t *testing.T) {
	properties := peer.GraphSchema(t)
	for name, v := range map[string]any{
		"keyCredential": KeyCredential{}, "servicePrincipal": ServicePrincipal{}, "appRole": AppRole{},
		"domain":       Domain{},
		"organization": Organization{}, "verifiedDomain": VerifiedDomain{},
	} {
		k := reflect.TypeOf(v)
		for i := range k.NumField() {
			tag, _, _ := strings.Cut(k.Field(i).Tag.Get("json"), ",")
			if !properties[name][tag] {
				t.Errorf("%s.%s is not in the schema", name, tag)
			}
		}
	}
	k := reflect.TypeOf(DomainRecord{})
	for i := range k.NumField() {
		tag, _, _ := strings.Cut(k.Field(i).Tag.Get("json"), ",")
		if !properties["domainDnsTxtRecord"][tag] && !properties["domainDnsMxRecord"][tag] &&
			!properties["domainDnsCnameRecord"][tag] {
			t.Errorf("domainDnsRecord.%s is not in the schema", tag)
		}
	}
	for _, p := range strings.Split(strings.TrimPrefix(principalSelect, "$select="), ",") {
		if !properties["servicePrincipal"][p] {
			t.Errorf("$select of servicePrincipal.%s is not in the schema", p)
		}
	}
}
