package deployment

import (
	"log/slog"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/lab"
)

// In a healthy lab nothing speaks against the plan. A recheck right after the plan shares its
// facts: it makes far fewer remote calls than one of a saved plan.
func TestRecheck(t *testing.T) {
	l, err := lab.Start(t.Context(), lab.Options{Dir: t.TempDir(), Users: 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	a, err := answers.Load(t.Context(), l.Answers())
	if err != nil {
		t.Fatal(err)
	}
	var out lines
	calls := func() int {
		out.mu.Lock()
		defer out.mu.Unlock()
		n := len(regexp.MustCompile(`msg=(cmdlet|dns|http|"ldap search") `).FindAllString(out.String(), -1))
		out.Reset()
		return n
	}
	another := func() *Deployment {
		d, err := Open(a, Options{Dir: filepath.Dir(l.Answers()), StateDir: t.TempDir(), Version: "test",
			Log: slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = d.Close(t.Context()) })
		return d
	}
	d := another()
	plan, err := d.Plan(t.Context(), &events{})
	if err != nil {
		t.Fatal(err)
	}
	planning := calls()
	for _, c := range []struct {
		name string
		d    *Deployment
		most int
	}{{"right after the plan", d, planning / 2}, {"of a saved plan", another(), planning}} {
		r, err := c.d.Recheck(t.Context(), plan, &events{})
		made := calls()
		if err != nil || len(Objections(r)) > 0 || len(r.Results) == 0 || Unaccepted(r, nil) != nil {
			t.Errorf("%s: %v, %v", c.name, Objections(r), err)
		}
		t.Logf("%s: %d checks, %d remote calls; the plan made %d", c.name, len(r.Results), made, planning)
		if made > c.most {
			t.Errorf("%s: %d remote calls, and the plan made %d", c.name, made, planning)
		}
	}
}

// What failed or could not look before an apply is named.
func TestRecheckFindsFaults(t *testing.T) {
	for fault, check := range map[string]string{
		"autodiscover.silent": "autodiscover.answers", "domains.missing-online": "domains.accepted",
		"access.right-missing": "access.onprem-write",
	} {
		t.Run(fault, func(t *testing.T) {
			d := open(t, fault)
			plan, err := d.Plan(t.Context(), &events{})
			if err != nil {
				t.Fatal(err)
			}
			r, err := d.Recheck(t.Context(), plan, &events{})
			if err != nil {
				t.Fatal(err)
			}
			var ids []string
			for _, o := range Objections(r) {
				ids = append(ids, string(o.ID))
			}
			if !slices.Contains(ids, check) {
				t.Errorf("%v", ids)
			}
		})
	}
}

// What --accept takes: the engine's own consents, and those that kinds and properties declare.
func TestConsents(t *testing.T) {
	var ids []string
	for _, c := range Consents() {
		ids = append(ids, c.ID)
	}
	want := []string{"removals", "failed-checks", "earlier-auth-keys", "attribute-authority", "update-addresses",
		"mrs-proxy-off",
		"ews-block-all", "mailbox-disconnect", "shared-keys", "workmail-end-of-support", "workmail-delete-organization"}
	if !slices.Equal(ids, want) {
		t.Errorf("%v, want %v", ids, want)
	}
}
