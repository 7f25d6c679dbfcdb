package scripts

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
)

// objects are what a directory holds: the attributes by distinguished name.
type objects map[string]map[string][]string

// with returns a copy with other values of one attribute.
func (o objects) with(dn, attribute string, values ...string) objects {
	out := objects{}
	for name, attributes := range o {
		out[name] = maps.Clone(attributes)
	}
	if values == nil {
		values = []string{}
	}
	out[dn][attribute] = values
	return out
}

// The scripts of check --fix-script in Microsoft's PowerShell, against a strict stand-in for the
// module ActiveDirectory: -WhatIf changes nothing, the fix changes what was found and nothing else,
// a second run finds nothing to do, the undo restores, and what others changed since stays.
func TestFixScriptsRun(t *testing.T) {
	const (
		anna  = `CN=Anna\, "A" O'Neil $(Get-Date),OU=Büro,DC=contoso,DC=example`
		bob   = "CN=Bob,DC=contoso,DC=example"
		carla = "CN=Carla,DC=contoso,DC=example"
	)
	before := objects{
		anna: {"userPrincipalName": {"a@contoso.local"}, "proxyAddresses": {"SMTP:anna@contoso.example",
			"smtp:an na'$x@contoso.example", "X500:/o=Contoso/cn=anna"}, "mailNickname": {},
			"mail": {"anna@contoso.example"}},
		bob: {"userPrincipalName": {"bob@contoso.example"}, "proxyAddresses": {"SMTP:bob@contoso.example"},
			"mailNickname": {".bob"}, "mail": {"robert@contoso.example"},
			"targetAddress": {"SMTP:bob@contoso.example"}},
		carla: {"userPrincipalName": {}, "proxyAddresses": {"SMTP:carla@contoso.example"}, "mailNickname": {"carla"},
			"mail": {}},
	}
	finding := func(dn, attribute, value, suggestion string) check.Finding {
		return check.Finding{Forest: "contoso", DN: dn, Attribute: attribute, Value: value, Rule: "directory.rule",
			Suggestion: suggestion}
	}
	stray := finding(bob, "targetAddress", "SMTP:bob@contoso.example", "")
	stray.Remove = true
	scripts := deployment.FixScripts([]check.Finding{
		finding(anna, "userPrincipalName", "a@contoso.local", "anna@contoso.example"),
		finding(anna, "proxyAddresses", "smtp:an na'$x@contoso.example", "smtp:annax@contoso.example"),
		finding(anna, "mailNickname", "", "anna"),
		finding(bob, "mailNickname", ".bob", "bob"),
		finding(bob, "mail", "robert@contoso.example", "bob@contoso.example"),
		finding(carla, "userPrincipalName", "", "carla@contoso.example"),
		finding(carla, "proxyAddresses", "", "smtp:carla@contoso.mail.example"),
		finding(carla, "proxyAddresses", "SMTP:carla@contoso.example", ""), // a person decides
		stray,
	})
	folder := t.TempDir()
	for name, text := range scripts {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	fixed := before.with(anna, "userPrincipalName", "anna@contoso.example").
		with(anna, "proxyAddresses", "SMTP:anna@contoso.example", "X500:/o=Contoso/cn=anna",
			"smtp:annax@contoso.example").
		with(anna, "mailNickname", "anna").with(bob, "mailNickname", "bob").with(bob, "mail", "bob@contoso.example").
		with(carla, "userPrincipalName", "carla@contoso.example").
		with(carla, "proxyAddresses", "SMTP:carla@contoso.example", "smtp:carla@contoso.mail.example")
	changed := before.with(bob, "mail", "b.b@contoso.example").with(carla, "userPrincipalName", "c@contoso.example")
	save := func(name string, o objects) string {
		t.Helper()
		data, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	out := filepath.Join(folder, "out.jsonl")
	powershell(t, nil, "-File", "testdata/fix.ps1", "-Folder", folder, "-Directory", save("before.json", before),
		"-Changed", save("changed.json", changed), "-Out", out, "-Forest", "contoso")
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	type step struct {
		Step     string
		Calls    int
		Warnings []string
		Failed   string
		Objects  objects
	}
	steps := map[string]step{}
	for line := range bytes.Lines(data) {
		var s step
		if err := json.Unmarshal(line, &s); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		steps[s.Step] = s
	}
	// Others made two changes: both stay, and are named.
	afterOthers := fixed.with(bob, "mail", "b.b@contoso.example").with(carla, "userPrincipalName", "c@contoso.example")
	for _, want := range []step{
		{"what if", 0, nil, "", before}, {"fix", 7, nil, "", fixed}, {"fix again", 0, nil, "", fixed},
		{"undo", 7, nil, "", before}, {"undo again", 0, nil, "", before},
		{"after others", 5, []string{bob, carla}, "", afterOthers},
	} {
		got, ran := steps[want.Step]
		if !ran {
			t.Errorf("%s did not run", want.Step)
			continue
		}
		if got.Calls != want.Calls || got.Failed != "" || len(got.Warnings) != len(want.Warnings) {
			t.Errorf("%s: %d writes, want %d; error %q; warnings %q", want.Step, got.Calls, want.Calls, got.Failed,
				got.Warnings)
		}
		for i, w := range got.Warnings {
			if i < len(want.Warnings) && (!strings.Contains(w, want.Warnings[i]) ||
				!strings.Contains(w, "left alone")) {
				t.Errorf("%s: %q does not name %s", want.Step, w, want.Warnings[i])
			}
		}
		for _, o := range []objects{got.Objects, want.Objects} { // their order means nothing
			for _, attributes := range o {
				for _, values := range attributes {
					slices.Sort(values)
				}
			}
		}
		if diff := cmp.Diff(want.Objects, got.Objects); diff != "" {
			t.Errorf("%s (-want +got):\n%s", want.Step, diff)
		}
	}
}
