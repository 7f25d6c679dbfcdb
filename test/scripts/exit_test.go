package scripts

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/pkg/lab"
	"github.com/hybridge-cli/hybridge/test/peer"
)

// hostile is what a name may hold, in every quote that PowerShell knows.
const hostile = " ' \u2019 \" $(throw 'bad') `n ; # <# #> @{} %\u201c\u00fc"

var id = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// unkind gives the objects of Exchange that a plan changes hostile names, wherever the plan has
// them.
func unkind(p change.Plan) (change.Plan, int) {
	names := map[string]string{}
	for _, c := range p.Changes {
		if c.Target != "entra" && c.Name != "" && c.Name == c.Identity && !id.MatchString(c.Name) &&
			strings.Contains(c.Command.Name, "-") {
			names[c.Name] = c.Name + hostile
		}
	}
	var rename func(v any) any
	rename = func(v any) any {
		switch v := v.(type) {
		case string:
			if other := names[v]; other != "" {
				return other
			}
		case map[string]any:
			out := map[string]any{}
			for name, value := range v {
				out[name] = rename(value)
			}
			return out
		}
		return v
	}
	properties := func(given map[string]any) map[string]any {
		if given == nil {
			return nil
		}
		return rename(given).(map[string]any)
	}
	out := p
	out.Changes = nil
	for _, c := range p.Changes {
		c.Name, c.Identity = rename(c.Name).(string), rename(c.Identity).(string)
		c.Before, c.After = properties(c.Before), properties(c.After)
		c.Command.Parameters = properties(c.Command.Parameters)
		out.Changes = append(out.Changes, c)
	}
	return out, len(names)
}

// TestLeavingScriptsAgainstStandIns runs the scripts of every stage of the way out of hybrid, and
// their rollback scripts: every call is the plan's change, hostile names among them, and a script
// that is stopped at any call goes on. The rules and the grammar find nothing in them.
func TestLeavingScriptsAgainstStandIns(t *testing.T) {
	l, err := lab.Start(t.Context(), lab.Options{Dir: t.TempDir(), Users: 4, Forests: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	at := func(hybrid *answers.Hybrid) *deployment.Deployment {
		a, err := answers.Load(t.Context(), l.Answers())
		if err != nil {
			t.Fatal(err)
		}
		a.Hybrid = hybrid
		d, err := deployment.Open(a, deployment.Options{Dir: filepath.Dir(l.Answers()), StateDir: t.TempDir(),
			Version: "test"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = d.Close(context.WithoutCancel(t.Context())) })
		return d
	}
	consents := apply.Options{StateDir: t.TempDir()}
	for _, c := range deployment.Consents() {
		consents.Accept = append(consents.Accept, c.ID)
	}
	carryOut := func(d *deployment.Deployment) change.Plan {
		t.Helper()
		p, err := d.Plan(t.Context(), silent{})
		if err != nil {
			t.Fatal(err)
		}
		if done, err := d.Apply(t.Context(), p, consents, silent{}); err != nil && len(p.Changes) > 0 {
			t.Fatalf("%v: %+v", err, done)
		}
		return p
	}
	carryOut(at(nil))
	l.MoveEveryone()
	if err := l.LeadToCloud(); err != nil {
		t.Fatal(err)
	}
	d, read, stages, unkindly := at(&answers.Hybrid{State: answers.Leaving}), t.TempDir(), 0, 0
	for {
		p, err := d.Plan(t.Context(), silent{})
		if err != nil || len(p.LeftOut) > 0 {
			t.Fatalf("%v, %+v", err, p.LeftOut)
		}
		if len(p.Changes) == 0 {
			break
		}
		stages++
		evil, n := unkind(p)
		unkindly += n
		s := written(t, d, evil)
		t.Run(fmt.Sprintf("stage %d", stages), func(t *testing.T) { s.standIns(t, "Module") })
		for _, script := range append(s.scripts, s.undo...) {
			name := fmt.Sprintf("%d-%s", stages, strings.ReplaceAll(script.Name, "/", "-"))
			if err := os.WriteFile(filepath.Join(read, name), script.Content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		carryOut(d)
	}
	if stages != 6 || unkindly < 5 {
		t.Errorf("%d stages, %d hostile names", stages, unkindly)
	}
	sound(t, read)
}

// sound gives the scripts of a folder to PowerShell's own parser with the rules and the cmdlets,
// and to a grammar of another maker.
func sound(t *testing.T, dir string) {
	t.Helper()
	own, err := filepath.Abs("testdata/analyze.ps1")
	if err != nil {
		t.Fatal(err)
	}
	powershell(t, nil, "-File", own, "-Folder", dir)
	powershell(t, nil, "-File", shared(t, "tools", "pwsh-lab", "check-scripts.ps1"), "-Path", dir, "-Catalogue",
		peer.Catalogue(t))
	files, err := filepath.Glob(filepath.Join(dir, "*.ps1"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%v: %v", files, err)
	}
	peer.LintPowerShell(t, "auto", files...)
}
