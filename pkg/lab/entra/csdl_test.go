package entra

import (
	"encoding/xml"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// schema reads Microsoft's description of Graph: properties by type, those of base types included. Absent outside the project's own checkout.
func schema(t *testing.T) map[string]map[string]bool {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("no go.mod above the test")
		}
		dir = parent
	}
	raw, err := os.ReadFile(filepath.Join(dir, "..", "shared", "reference", "schemas", "graph-v1.0-subset.csdl.xml"))
	if os.IsNotExist(err) {
		t.Skip("the Graph schema (../shared/reference/schemas) is not here")
	}
	if err != nil {
		t.Fatal(err)
	}
	type kind struct {
		Name       string `xml:"Name,attr"`
		Base       string `xml:"BaseType,attr"`
		Properties []struct {
			Name string `xml:"Name,attr"`
		} `xml:"Property"`
	}
	var doc struct {
		Complex []kind `xml:"ComplexType"`
		Entity  []kind `xml:"EntityType"`
	}
	if err := xml.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	byName := map[string]kind{}
	for _, k := range append(doc.Complex, doc.Entity...) {
		byName[k.Name] = k
	}
	out := map[string]map[string]bool{}
	for name := range byName {
		out[name] = map[string]bool{}
		for k, ok := byName[name]; ok; k, ok = byName[strings.TrimPrefix(k.Base, "graph.")] {
			for _, p := range k.Properties {
				out[name][p.Name] = true
			}
		}
	}
	return out
}

// Every property that the lab gives exists in Graph.
func TestPropertiesExistInGraph(t *testing.T) {
	properties := schema(t)
	for name, v := range map[string]any{
		"application": Application{}, "requiredResourceAccess": RequiredResourceAccess{}, "resourceAccess": ResourceAccess{}, "keyCredential": KeyCredential{},
		"passwordCredential": PasswordCredential{}, "servicePrincipal": ServicePrincipal{}, "appRole": AppRole{}, "appRoleAssignment": Assignment{},
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
