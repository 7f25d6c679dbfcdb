package desired

import (
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
)

// A list that others write into as well is read when the script runs: it loses nothing that was
// added since the plan, and nothing comes back that was removed since.
func TestScriptsMergeLists(t *testing.T) {
	w, f, a := newWorld(t), testFacts(), testAnswers()
	w.online.objects["OrganizationConfig"][0]["EwsAllowedAppIDs"] = "99999999-0000-0000-0000-000000000009"
	w.online.objects["OrganizationRelationship"] = []map[string]any{{"Name": "Contoso by hand",
		"DomainNames": []string{"contoso.com", "other.example"}, "Enabled": false}}
	a.Forests[0].Domains = append(a.Forests[0].Domains, "new.example")
	scripts := Scripts(makePlan(t, w, f, a))
	for name, parts := range map[string][]string{
		"20-online.ps1": {
			"$live2 = Get-OrganizationRelationship @live2of",
			`$live2DomainNames = @($live2.DomainNames | ForEach-Object { [string] $_ } | Where-Object { $_ })`,
			`DomainNames = @($live2DomainNames + @(@('new.example') | Where-Object { $live2DomainNames -notcontains $_ }))`,
			`$live1EwsAllowedAppIDs = @(([string] $live1.EwsAllowedAppIDs) -split ',' | Where-Object { $_ })`,
			`EwsAllowedAppIDs = (@($live1EwsAllowedAppIDs + @(@(`,
			"if (-not $live1.PSObject.Properties['EwsAllowedAppIDs']) { throw",
		},
		"00-entra.ps1": {
			"$live1 = Invoke-MgGraphRequest @live1of",
			"servicePrincipalNames = @($live1servicePrincipalNames + @(@('https://autodiscover.contoso.com/'",
			"if ($null -eq $live1.servicePrincipalNames) { throw",
		},
	} {
		for _, part := range parts {
			if !strings.Contains(string(scripts[name]), part) {
				t.Errorf("%s lacks %s:\n%s", name, part, scripts[name])
			}
		}
		for _, theirs := range []string{"other.example", "99999999-0000", "outlook.office365.com'"} {
			if strings.Contains(string(scripts[name]), theirs) {
				t.Errorf("%s writes %s, which others put there", name, theirs)
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
	text := string(Scripts(p)["20-online.ps1"])
	for part, times := range map[string]int{
		"[securestring] $Secret": 3, "# The secret that hybridge reads from env:PASSWORD": 1,
		"Password = $Secret1\n": 2, "Password = $Secret2\n": 1, "Password = $Secret3\n": 1, "hunter2": 0,
	} {
		if got := strings.Count(text, part); got != times {
			t.Errorf("%q stands there %d times, not %d:\n%s", part, got, times, text)
		}
	}
}
