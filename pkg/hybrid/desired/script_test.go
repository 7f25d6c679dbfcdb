package desired

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/test/peer"
)

// testSites returns the sites of testFacts.
func testSites(t *testing.T, f facts, p change.Plan) map[string]Site {
	t.Helper()
	sites, err := Sites(t.Context(), f.set(testAnswers(), worldwide(t)), p)
	if err != nil {
		t.Fatal(err)
	}
	return sites
}

// scriptsOf returns the scripts of a plan by name.
func scriptsOf(t *testing.T, w *world, f facts, p change.Plan) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for _, s := range Scripts(p, testSites(t, f, p)) {
		out[s.Name] = s.Content
	}
	return out
}

func TestScripts(t *testing.T) {
	w, f, a := newWorld(t), testFacts(), testAnswers()
	scripts := scriptsOf(t, w, f, makePlan(t, w, f, a))
	names := sortedKeys(scripts)
	want := []string{"01-entra.ps1", "02-online.ps1", "03-onprem-contoso.ps1", "03-onprem-fabrikam.ps1",
		"04-online.ps1", "rollback/01-entra.ps1", "rollback/02-online.ps1", "rollback/03-onprem-contoso.ps1",
		"rollback/03-onprem-fabrikam.ps1", "rollback/04-online.ps1"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	for _, name := range []string{"01-entra.ps1", "02-online.ps1", "03-onprem-contoso.ps1"} {
		golden(t, filepath.Join("testdata", name), scripts[name])
		golden(t, filepath.Join("testdata", "rollback-"+name), parts(t, scripts["rollback/"+name]))
	}
	for name, content := range scripts {
		if bytes.Count(content, []byte("\n")) != bytes.Count(content, []byte("\r\n")) {
			t.Errorf("%s has lines that do not end with CR LF", name)
		}
	}
}

// The runbook names every change, and a team's runbook describes its own steps only.
func TestRunbook(t *testing.T) {
	w, f, a := newWorld(t), testFacts(), testAnswers()
	p := makePlan(t, w, f, a)
	golden(t, filepath.Join("testdata", "runbook.md"), Runbook(p, testSites(t, f, p), ""))
	team := string(Runbook(p, testSites(t, f, p), "entra"))
	for part, want := range map[string]bool{
		"# Runbook of the entra team": true, "## 01-entra.ps1": true, "`.\\rollback\\01-entra.ps1`": true,
		"| `02-online.ps1` |": true, "## 02-online.ps1": false, "`.\\rollback\\02-online.ps1`": false,
	} {
		if strings.Contains(team, part) != want {
			t.Errorf("%q in the runbook of a team: %v", part, !want)
		}
	}
	evil := string(Runbook(evilPlan(), nil, ""))
	for line := range strings.Lines(evil) {
		if strings.HasPrefix(line, "Remove-Item") || strings.HasPrefix(line, "$(bad") {
			t.Errorf("a line came out of a name: %s", line)
		}
	}
}

// Each cloud has its own names of environments, addresses and metadata.
func TestScriptsOfClouds(t *testing.T) {
	for _, id := range []string{"gcc-high", "21vianet"} {
		c, ok := cloud.Get(id)
		if !ok {
			t.Fatalf("no cloud %s", id)
		}
		w, f, a := newWorld(t), testFacts(), testAnswers()
		a.ExchangeOnline.Cloud = id
		resources, err := resourcesOf(t, f, a, c)
		if err != nil {
			t.Fatal(err)
		}
		p, err := change.Make(t.Context(), w.places, resources, change.Options{})
		if err != nil {
			t.Fatal(err)
		}
		sites, err := Sites(t.Context(), f.set(a, c), p)
		if err != nil {
			t.Fatal(err)
		}
		var all []byte
		for _, s := range Scripts(p, sites) {
			if s.Rollback || s.Place == "onprem/fabrikam" {
				continue
			}
			content := parts(t, s.Content)
			for _, foreign := range []string{
				"https://outlook.office365.com/", "login.microsoftonline.com", "login.windows.net",
				"accounts.accesscontrol.windows.net", "graph.microsoft.com", "-Environment 'Global'",
			} {
				if bytes.Contains(content, []byte(foreign)) {
					t.Errorf("%s of %s has %s of the worldwide cloud", s.Name, id, foreign)
				}
			}
			all = fmt.Appendf(all, "==== %s\n%s\n", s.Name, bytes.ReplaceAll(content, []byte("\r\n"), []byte("\n")))
		}
		golden(t, filepath.Join("testdata", "scripts-"+id+".txt"), all)
	}
}

// parts leaves out the functions, which are the same in every script.
func parts(t *testing.T, content []byte) []byte {
	t.Helper()
	head, rest, _ := bytes.Cut(content, []byte("# ---- What this script did"))
	_, changes, found := bytes.Cut(rest, []byte("# ---- Where this runs"))
	if !found {
		t.Fatal("no functions")
	}
	return slices.Concat(head, []byte("# ---- Where this runs"), changes)
}

// Each script can be run when those before it were: what it needs is in an earlier file, and files
// of one phase do not need each other.
func TestScriptOrder(t *testing.T) {
	row := func(id string, needs ...string) change.Change {
		place, _, _ := strings.Cut(id, "/")
		return change.Change{ID: id, Target: place, Needs: needs}
	}
	for _, test := range []struct {
		name    string
		changes []change.Change
		want    []string
	}{
		{"nothing", nil, nil},
		{"there and back", []change.Change{row("entra/1"), row("a/1", "entra/1"), row("online/1", "entra/1"),
			row("a/2", "online/1", "a/1"), row("online/2", "a/1")},
			[]string{"01-entra: entra/1", "02-a: a/1", "03-online: online/1 online/2", "04-a: a/2"}},
		{"side by side", []change.Change{row("a/1"), row("b/1"), row("online/1", "a/1", "b/1")},
			[]string{"01-a: a/1", "01-b: b/1", "02-online: online/1"}},
		{"needs what is not planned", []change.Change{row("a/1", "entra/gone")}, []string{"01-a: a/1"}},
	} {
		var got []string
		for _, b := range scheduled(test.changes) {
			line := strings.TrimSuffix(b.file, ".ps1") + ":"
			for _, c := range b.changes {
				line += " " + c.ID
			}
			got = append(got, line)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
	w, f, a := newWorld(t), testFacts(), testAnswers()
	p := makePlan(t, w, f, a)
	at := map[string]int{}
	for _, b := range scheduled(p.Changes) {
		for _, c := range b.changes {
			at[c.ID] = b.phase
			for _, need := range c.Needs {
				same := slices.ContainsFunc(b.changes, func(o change.Change) bool { return o.ID == need })
				if n, done := at[need]; !done || n >= b.phase && !same {
					t.Errorf("%s of phase %d needs %s of phase %d", c.ID, b.phase, need, n)
				}
			}
		}
	}
	if len(at) != len(p.Changes) {
		t.Errorf("%d of %d changes are in scripts", len(at), len(p.Changes))
	}
}

func TestScriptNames(t *testing.T) {
	var batches []*batch
	for _, place := range []string{"onprem/../etc", "onprem/a b", "onprem/a-b", "onprem/A-B", "online", "entra"} {
		batches = append(batches, &batch{place: place, phase: 1})
	}
	nameFiles(batches)
	var got []string
	for _, b := range batches {
		got = append(got, b.place+" "+b.file)
	}
	want := []string{
		"entra 01-entra.ps1", "online 01-online.ps1", "onprem/../etc 01-onprem-..-etc.ps1",
		"onprem/A-B 01-onprem-A-B.ps1",
		"onprem/a b 01-onprem-a-b-2.ps1", "onprem/a-b 01-onprem-a-b-3.ps1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Hostile names stay texts in a script.
func TestScriptIsInert(t *testing.T) {
	text := string(Scripts(evilPlan(), nil)[0].Content)
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(strings.TrimPrefix(line, "\ufeff"))
		if strings.HasPrefix(line, "Remove-Item") || strings.HasPrefix(line, "$(bad") {
			t.Errorf("a statement came out of a name: %s", line)
		}
	}
	for _, part := range []string{"x''; Remove-Item C:\\ # \u2019\u2019", "[char]56128 + [char]56385", /* U+E0041 */
		`\U000e0041`} {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in:\n%s", part, text)
		}
	}
	if strings.ContainsAny(text, "\U000E0041\u3164") || !strings.HasPrefix(text, "\ufeff") {
		t.Error("an invisible character, or no byte order mark")
	}
	if _, after, _ := strings.Cut(text, "#>"); !strings.HasPrefix(after, "\r\n[CmdletBinding(") {
		t.Error("the help ends within its text")
	}
}

// evilPlan returns a plan whose names try to be statements.
func evilPlan() change.Plan {
	evil := "x'; Remove-Item C:\\ # \u2019\n$(bad)\U000E0041\u3164"
	return change.Plan{Digest: "f\nRemove-Item #>", Changes: []change.Change{{
		ID: "online/OrganizationRelationship/x", Target: "online", Kind: "OrganizationRelationship", Name: evil,
		Action: change.Create, Reason: msg.Plain("r\u2028Remove-Item"),
		After: change.Properties{"DomainNames": []string{"a.example"}},
		Command: change.Command{Name: "New-OrganizationRelationship",
			Parameters: map[string]any{"Name": evil, "DomainNames": []string{"a.example"}}},
	}}}
}

// The scripts of a first plan, on both routes, pass an independent grammar and the cmdlet
// catalogue.
func TestScriptsLint(t *testing.T) {
	w, f, a := newWorld(t), testFacts(), testAnswers()
	all := scriptsOf(t, w, f, makePlan(t, w, f, a))
	for i := range f.Forests {
		f.Forests[i].Servers[0].Build = build(15, 2, 2562, 46)
	}
	for name, content := range scriptsOf(t, w, f, makePlan(t, w, f, a)) {
		all["graph-"+name] = content
	}
	for _, s := range Scripts(evilPlan(), nil) {
		all["evil-"+s.Name] = s.Content
	}
	dir := t.TempDir()
	var files []string
	seen := map[string]bool{}
	for _, name := range sortedKeys(all) {
		path, content := filepath.Join(dir, strings.ReplaceAll(name, "/", "-")), all[name]
		// The linter is slow: the functions, the same in every script of a sort, are read once.
		before, rest, _ := bytes.Cut(content, []byte("# ---- What this script did"))
		functions, after, found := bytes.Cut(rest, []byte("# ---- Where this runs"))
		if !found {
			t.Fatalf("%s: no functions", name)
		}
		if seen[string(functions)] {
			content = slices.Concat(before, after)
		}
		seen[string(functions)] = true
		write(t, path, content)
		files = append(files, path)
	}
	peer.LintPowerShell(t, "auto", files...)
}

// What scripts compare and recognize is declared with the types and kinds.
func TestScriptsKnowAllTypes(t *testing.T) {
	for _, k := range Kinds() {
		for name, p := range k.Properties {
			if p.Type.Script == "" || p.Compare != nil {
				t.Errorf("%s.%s: a script does not compare it as hybridge does", k.Noun, name)
			}
		}
		if k.Find == nil || k.Match != nil && k.Recognizes == "" {
			t.Errorf("%s: a script does not find or recognize it", k.Noun)
		}
	}
}

// A list that others also write into is read when the script runs. It keeps what was added since
// the plan, and does not restore what was removed since.
func TestScriptsMergeLists(t *testing.T) {
	w, f, a := newWorld(t), testFacts(), testAnswers()
	w.online.objects["OrganizationConfig"][0]["EwsAllowedAppIDs"] = "99999999-0000-0000-0000-000000000009"
	w.online.objects["OrganizationRelationship"] = []map[string]any{{"Name": "Contoso by hand",
		"DomainNames": []string{"contoso.com", "other.example"}, "Enabled": false}}
	a.Forests[0].Domains = append(a.Forests[0].Domains, "new.example")
	scripts := scriptsOf(t, w, f, makePlan(t, w, f, a))
	for name, parts := range map[string][]string{
		"02-online.ps1": {
			`DomainNames = @(Join-List -As 'DomainList' -Live (Read-Property $Change.Live 'DomainNames') -Add @('new.example'))`,
			`EwsAllowedAppIDs = (@(Join-List -As 'GuidList' -Live (Read-Property $Change.Live 'EwsAllowedAppIDs') -Add @($Run.Ids[`,
		},
		"01-entra.ps1": {
			`servicePrincipalNames = @(Join-List -As 'PrincipalNameList' -Live (Read-Property $Change.Live 'servicePrincipalNames') -Add @('https://autodiscover.contoso.com/'`,
			`keyCredentials = @(Join-List -As 'KeyList'`,
		},
	} {
		text := string(scripts[name])
		_, text, _ = strings.Cut(text, "# ---- The changes")
		for _, part := range parts {
			if !strings.Contains(text, part) {
				t.Errorf("%s lacks %s:\n%s", name, part, text)
			}
		}
		for line := range strings.Lines(text) {
			if strings.Contains(line, "Before = ") {
				continue // the values that the plan read
			}
			for _, theirs := range []string{"other.example", "99999999-0000", "outlook.office365.com'"} {
				if strings.Contains(line, theirs) {
					t.Errorf("%s writes %s, which others put there", name, theirs)
				}
			}
		}
	}
}

// A script asks for a secret: the plan knows only where it is kept.
func TestScriptsAskForSecrets(t *testing.T) {
	secret := func(id string, ref change.SecretRef) change.Change {
		return change.Change{
			ID: "online/OrganizationRelationship/" + id, Target: "online", Kind: "OrganizationRelationship", Name: id,
			Action: change.Create,
			Command: change.Command{Name: "New-OrganizationRelationship",
				Parameters: map[string]any{"Name": id, "Password": ref}},
		}
	}
	kept := change.SecretRef{Ref: "env:PASSWORD"}
	p := change.Plan{Changes: []change.Change{secret("a", kept), secret("b", change.SecretRef{Ref: "prompt"}),
		secret("c", kept), secret("d", change.SecretRef{Ref: "hunter2"})}}
	text := string(Scripts(p, nil)[0].Content)
	for part, times := range map[string]int{
		"[securestring] $Secret": 3, "The secret that hybridge reads from env:PASSWORD": 1,
		"Password = $Secret1\r\n": 2, "Password = $Secret2\r\n": 1, "Password = $Secret3\r\n": 1, "hunter2": 0,
	} {
		if got := strings.Count(text, part); got != times {
			t.Errorf("%q stands there %d times, not %d:\n%s", part, got, times, text)
		}
	}
}

// A consent that a rollback made again has another id: the script that takes it back finds it by what
// it grants.
func TestScriptsFindConsents(t *testing.T) {
	const principal, resource, role, id = "11111111-0000-4000-8000-000000000001", "11111111-0000-4000-8000-000000000002",
		"11111111-0000-4000-8000-000000000003", "_N9HeTJN8km2R_bNezwTfk4VEs"
	p := change.Plan{Changes: []change.Change{{
		ID: "entra/AppRoleAssignment/x", Target: "entra", Kind: "AppRoleAssignment", Name: "x", Identity: id, Action: change.Delete,
		Before: change.Properties{"principalId": principal, "resourceId": resource, "appRoleId": role, "id": id},
		Command: change.Command{Name: "DELETE /servicePrincipals/{id}/appRoleAssignments/{item}",
			Parameters: map[string]any{"id": principal, "item": id}},
	}}}
	text := string(Scripts(p, nil)[0].Content)
	for part, times := range map[string]int{
		"'/appRoleAssignments/' + (Read-Property $Change.Live 'id'))": 1, id: 0,
		"(Test-Same -As Guid -Want '" + resource + "' -Live (Read-Property $_ 'resourceId'))": 1,
	} {
		if got := strings.Count(text, part); got != times {
			t.Errorf("%q stands there %d times, not %d:\n%s", part, got, times, text[strings.Index(text, "# ---- The changes"):])
		}
	}
}

// A script verifies the place of the plan.
func TestSites(t *testing.T) {
	w, f, a := newWorld(t), testFacts(), testAnswers()
	p := makePlan(t, w, f, a)
	got := testSites(t, f, p)
	want := Site{Organization: strings.ToLower(contosoOrg),
		Servers: []fact.MailboxServer{server("EX1", build(15, 2, 1748, 39))}}
	if diff := cmp.Diff(want, got["onprem/contoso"]); diff != "" {
		t.Error(diff)
	}
	for place, parts := range map[string]string{
		PlaceEntra:  "Connect-MgGraph -TenantId " + tenantID + " -Environment Global -Scopes Application.ReadWrite.All",
		PlaceOnline: "Connect-ExchangeOnline",
	} {
		if text := fmt.Sprint(got[place]); got[place].Tenant != tenantID || !strings.Contains(text, parts) {
			t.Errorf("%s: %s", place, text)
		}
	}
	f.Forests[0].OrganizationGUID = ""
	if _, err := Sites(t.Context(), f.set(a, worldwide(t)), p); err == nil ||
		!strings.Contains(err.Error(), "onprem/contoso") {
		t.Errorf("an organization that is not known: %v", err)
	}
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}
