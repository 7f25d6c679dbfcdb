package prereq

import (
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
)

// The scripts change what has a correction, name the rest, and undo in reverse order.
func TestFixScripts(t *testing.T) {
	scripts := FixScripts([]check.Finding{
		{Forest: "contoso", DN: "CN=a", Attribute: "proxyAddresses", Value: "smtp:a b@c.d",
			Rule:       "directory.address-format",
			Suggestion: "smtp:ab@c.d"},
		{Forest: "contoso", DN: "CN=O'Neil\n$(rm)", Attribute: "mail", Value: "x@c.d",
			Rule:       "directory.mail-matches-primary",
			Suggestion: "y@c.d"},
		{Forest: "contoso", DN: "CN=b\nRemove-Item", Attribute: "homeMDB", Value: "CN=DB1",
			Rule:   "directory.home-database",
			Remove: true},
		{Forest: "fab/rikam", DN: "CN=c", Attribute: "mailNickname", Rule: "directory.nickname-missing",
			Suggestion: "c"},
	})
	if len(scripts) != 4 {
		t.Fatalf("%d scripts", len(scripts))
	}
	lines := func(name string) (out []string) {
		for l := range strings.SplitSeq(scripts[name], "\r\n") {
			if strings.HasPrefix(l, "Edit-Value") || strings.HasPrefix(l, "# directory.") {
				out = append(out, l)
			}
			if strings.HasPrefix(l, "Remove-Item") || strings.HasPrefix(l, "$(rm)") {
				t.Errorf("a value begins a line: %s", l)
			}
		}
		return out
	}
	fix, undo := lines("fix-contoso.ps1"), lines("undo-contoso.ps1")
	if len(fix) != 3 || !strings.HasPrefix(fix[2], "# directory.home-database: ") ||
		!strings.Contains(fix[1], "O''Neil") || !strings.Contains(fix[0], "-Old 'smtp:a b@c.d' -New 'smtp:ab@c.d'") {
		t.Errorf("fix:\n%s", strings.Join(fix, "\n"))
	}
	if len(undo) != 2 || !strings.Contains(undo[0], "-Old 'y@c.d' -New 'x@c.d'") {
		t.Errorf("undo:\n%s", strings.Join(undo, "\n"))
	}
	if other := lines("undo-fab_rikam.ps1"); len(other) != 1 || !strings.Contains(other[0], "-Old 'c' -New ''") {
		t.Errorf("%q", other)
	}
}
