package prereq

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
)

var (
	cmdletName = regexp.MustCompile(`\b(?:Add|Clear|Disable|Enable|Export|Get|Import|Invoke|Mount|New|Remove|Retry|` +
		`Set|Start|Test|Update)-[A-Z][A-Za-z0-9]+\b`)
	parameter = regexp.MustCompile(`(?:^| )-([A-Z][A-Za-z]+)`)
	// windows are cmdlets of Windows PowerShell itself.
	windows = []string{"Get-Command", "Get-Credential"}
)

// reference returns the parameters of Exchange cmdlets with the sides they exist on. full reports
// whether the project's reference is present and covers all cmdlets. Otherwise the list is that of
// the product. The empty parameter stands for the cmdlet itself.
var reference = sync.OnceValues(func() (known map[string]map[string][]string, full bool) {
	out := map[string]map[string][]string{}
	for _, side := range []exchange.Side{exchange.OnPremises, exchange.Online} {
		for _, name := range exchange.Catalogue().Names(side) {
			c, _ := exchange.Catalogue().Find(name)
			if out[strings.ToLower(name)] == nil {
				out[strings.ToLower(name)] = map[string][]string{}
			}
			out[strings.ToLower(name)][""] = append(out[strings.ToLower(name)][""], string(side))
			for _, p := range c.Parameters(side) {
				out[strings.ToLower(name)][p.Name] = append(out[strings.ToLower(name)][p.Name], string(side))
			}
		}
	}
	dir, _ := os.Getwd()
	for dir != filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		dir = filepath.Dir(dir)
	}
	content, err := os.ReadFile(filepath.Join(dir, "..", "shared", "reference", "exchange-cmdlets.json"))
	if err != nil {
		return out, false
	}
	var all map[string]struct {
		Where      []string `json:"where"`
		Parameters map[string]struct {
			Where []string `json:"where"`
		} `json:"parameters"`
	}
	if json.Unmarshal(content, &all) != nil {
		return out, false
	}
	for name, c := range all {
		if out[strings.ToLower(name)] == nil {
			out[strings.ToLower(name)] = map[string][]string{}
		}
		out[strings.ToLower(name)][""] = append(out[strings.ToLower(name)][""], c.Where...)
		for p, d := range c.Parameters {
			out[strings.ToLower(name)][p] = append(out[strings.ToLower(name)][p], d.Where...)
		}
	}
	return out, true
})

// sideOf returns the side on which the commands of a check's fix run: a forest's in its own
// Exchange organization, the tenant's online.
func sideOf(scope check.ScopeID) exchange.Side {
	if scope == PerTenant {
		return exchange.Online
	}
	return exchange.OnPremises
}

// wrongCommands finds the cmdlets in a text that do not exist on a side ("" for either), and the
// parameters that they do not have there.
func wrongCommands(text string, side exchange.Side) (wrong []string) {
	cmdlets, full := reference()
	exists := func(where []string) bool {
		return len(where) > 0 && (side == "" || slices.Contains(where, string(side)))
	}
	spans := cmdletName.FindAllStringIndex(text, -1)
	for i, at := range spans {
		name := text[at[0]:at[1]]
		if strings.HasPrefix(text[at[1]:], ".ps1") || slices.Contains(windows, name) ||
			strings.Contains(name, "-Mg") { // Microsoft Graph PowerShell
			continue
		}
		known, there := cmdlets[strings.ToLower(name)]
		if !there {
			if full {
				wrong = append(wrong, name)
			}
			continue
		}
		if !exists(known[""]) {
			wrong = append(wrong, name)
			continue
		}
		rest := text[at[1]:]
		if i+1 < len(spans) {
			rest = text[at[1]:spans[i+1][0]]
		}
		rest, _, _ = strings.Cut(rest, ". ")
		rest, _, _ = strings.Cut(rest, ";")
		rest, _, _ = strings.Cut(rest, ".ps1")
		for _, p := range parameter.FindAllStringSubmatch(rest, -1) {
			if !exists(known[p[1]]) && !exchange.IsCommon(p[1]) {
				wrong = append(wrong, name+" -"+p[1])
			}
		}
	}
	return wrong
}

// Every cmdlet that a text names exists, with its parameters, on the side where it runs. Texts of
// findings are examined wherever a test produces one.
func TestTextsNameCmdletsThatExist(t *testing.T) {
	if wrong := wrongCommands(string(desired.Markdown()), ""); len(wrong) > 0 {
		t.Errorf("kinds: %s", strings.Join(wrong, ", "))
	}
	for _, c := range Checks() {
		for _, text := range []string{c.Title, c.Why, c.Fix} {
			if wrong := wrongCommands(text, sideOf(c.Scope)); len(wrong) > 0 {
				t.Errorf("%s: %s", c.ID, strings.Join(wrong, ", "))
			}
		}
	}
	for _, tt := range []struct {
		text string
		side exchange.Side
		want string
	}{
		{"Run Set-AcceptedDomain -DomainType InternalRelay.", "", ""},
		{"Run Set-AcceptedDomain -Sorts InternalRelay.", "", "Set-AcceptedDomain -Sorts"},
		{"Set-WebServicesVirtualDirectory -Identity 'a' -OAuthAuthentication", exchange.OnPremises, ""},
		{"Set-WebServicesVirtualDirectory -Identity 'a' -OAuthAuthentication", exchange.Online,
			"Set-WebServicesVirtualDirectory"},
		{"Set-OrganizationConfig -EwsAllowedAppIDs a", exchange.Online, ""},
		{"Set-OrganizationConfig -EwsAllowedAppIDs a", exchange.OnPremises, "Set-OrganizationConfig -EwsAllowedAppIDs"},
		{"Get-Command ExSetup.exe", "", ""},
	} {
		if got := strings.Join(wrongCommands(tt.text, tt.side), ", "); got != tt.want {
			t.Errorf("%s on %q: %q, want %q", tt.text, tt.side, got, tt.want)
		}
	}
	if _, full := reference(); !full {
		t.Skip("../shared/reference/exchange-cmdlets.json is not there: only cmdlets that hybridge runs are held " +
			"against their parameters")
	}
	if len(wrongCommands("Set-Weather -Sunny $true", "")) == 0 {
		t.Error("a cmdlet that does not exist passes")
	}
}
