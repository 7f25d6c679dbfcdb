package peer

import (
	"encoding/xml"
	"os"
	"strings"
	"testing"
)

// GraphSchema is the part of Microsoft's description of Graph that the reference folder contains:
// properties by type, including those of base types.
func GraphSchema(t testing.TB) map[string]map[string]bool {
	t.Helper()
	raw, err := os.ReadFile(Shared(t, "reference", "schemas", "graph-v1.0-subset.csdl.xml"))
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
