// Package converge proves the law of the product over many shapes of an organization: after an
// apply the plan is empty, and a rollback restores what was there.
package converge

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/pkg/lab"
)

// shape is one organization: what it is, and what it should become.
type shape struct {
	state    string
	cloud    string
	forests  int
	features []answers.Feature // nil: those of a file that names none
	between  bool              // the forests ask each other for free/busy
	servers  int               // Exchange servers per forest; 1 when 0
}

func (s shape) String() string {
	var names []string
	for _, f := range s.features {
		names = append(names, string(f))
	}
	features := "default"
	if len(names) > 0 {
		features = strings.Join(names, "+")
	}
	if s.between {
		features += "+between"
	}
	if s.servers > 1 {
		features += fmt.Sprintf("+%dservers", s.servers)
	}
	return fmt.Sprintf("%s/%s/%d/%s", s.state, s.cloud, s.forests, features)
}

var (
	states     = []string{lab.Clean, lab.Wizard, lab.Manual, lab.Half}
	clouds     = []string{"worldwide", "gcc-high", "dod", "21vianet"}
	numbers    = []int{1, 2, 3}
	everything = append(answers.DefaultFeatures(), answers.CentralizedTransport)
)

// value is one value of a dimension of shapes. Each feature is a dimension, on or off.
type value struct {
	dimension string
	value     any
}

func (s shape) values() []value {
	out := []value{{"state", s.state}, {"cloud", s.cloud}, {"forests", s.forests}}
	for _, f := range everything {
		out = append(out, value{string(f), slices.Contains(s.features, f)})
	}
	return append(out, value{"between", s.between}, value{"servers", s.servers})
}

// pair is two values of different dimensions.
type pair [2]value

// pairs are those that meet in a shape.
func (s shape) pairs() []pair {
	var out []pair
	all := s.values()
	for i := range all {
		for j := range i {
			out = append(out, pair{all[j], all[i]})
		}
	}
	return out
}

// pairwise chooses shapes in which every two values of different dimensions meet: greedily, the
// shape with the most new pairs first.
func pairwise() []shape {
	seen := map[pair]bool{}
	fresh := func(s shape) (n int) {
		for _, p := range s.pairs() {
			if !seen[p] {
				n++
			}
		}
		return n
	}
	var candidates []shape
	// A linear congruential generator: the same shapes in every run.
	draw := uint32(20261126)
	next := func(n int) int {
		draw = draw*1664525 + 1013904223
		return int(draw>>8) % n
	}
	for range 600 {
		s := shape{state: states[next(len(states))], cloud: clouds[next(len(clouds))],
			forests: numbers[next(len(numbers))], servers: 1 + next(2)}
		s.between = s.forests > 1 && next(2) == 0
		for _, f := range everything {
			if next(2) == 0 {
				s.features = append(s.features, f)
			}
		}
		if len(s.features) > 0 {
			candidates = append(candidates, s)
		}
	}
	var out []shape
	for {
		best, most := -1, 0
		for i, s := range candidates {
			if n := fresh(s); n > most {
				best, most = i, n
			}
		}
		if best < 0 {
			return out
		}
		for _, p := range candidates[best].pairs() {
			seen[p] = true
		}
		out = append(out, candidates[best])
	}
}

// all is every state, cloud and number of forests with the features one by one and together.
func all() []shape {
	sets := [][]answers.Feature{nil, everything}
	for _, f := range everything {
		sets = append(sets, []answers.Feature{f})
	}
	var out []shape
	for _, state := range states {
		for _, c := range clouds {
			for _, n := range numbers {
				for _, features := range sets {
					out = append(out, shape{state, c, n, features, false, 1})
					if n > 1 && len(features) != 1 {
						out = append(out, shape{state, c, n, features, true, 1})
					}
					if features == nil {
						out = append(out, shape{state, c, n, features, false, 2})
					}
				}
			}
		}
	}
	return out
}

// shapes are those of this run: CONVERGE=all takes all, and short runs take some.
func shapes() []shape {
	if os.Getenv("CONVERGE") == "all" {
		return all()
	}
	out := pairwise()
	if testing.Short() {
		return out[:min(3, len(out))]
	}
	return out
}

// TestStateOfTheWizard: where Microsoft's wizard ran to its end, the plan has what 2026 needs: the
// dedicated application, the switches that use it, and the list of applications.
func TestStateOfTheWizard(t *testing.T) {
	for _, forests := range numbers {
		e := open(t, shape{lab.Wizard, "worldwide", forests, nil, false, 1})
		p := e.plan(t)
		seen := map[string]bool{}
		for _, c := range p.Changes {
			seen[c.Kind] = true
			switch c.Kind {
			case "Application", "KeyCredential", "ServicePrincipal", "AppRoleAssignment", "AuthServerApplication",
				"SettingOverride", "OrganizationConfig":
				continue
			case "OrganizationRelationship":
				// Lookups as the application go straight to EWS of the tenant.
				if c.Action == change.Update && len(c.After) == 1 && c.After["TargetSharingEpr"] != nil {
					continue
				}
			}
			t.Errorf("%d forests: %s %s %v -> %v", forests, c.Action, c.ID, c.Before, c.After)
		}
		if len(p.LeftOut) > 0 || !seen["Application"] || !seen["SettingOverride"] || !seen["OrganizationConfig"] {
			t.Errorf("%d forests: %s", forests, list(p))
		}
	}
}

// TestPairwise: every two values of different dimensions meet in a shape of the suite.
func TestPairwise(t *testing.T) {
	met := map[pair]bool{}
	for _, s := range pairwise() {
		for _, p := range s.pairs() {
			met[p] = true
		}
	}
	sizes := []int{len(states), len(clouds), len(numbers)}
	for range len(everything) + 2 {
		sizes = append(sizes, 2)
	}
	want := -1 // one forest asks no other
	for i := range sizes {
		for j := range i {
			want += sizes[i] * sizes[j]
		}
	}
	if len(met) != want {
		t.Errorf("%d pairs meet, of %d", len(met), want)
	}
}

// kinds counts the changes of a plan at a place, by action and kind.
func kinds(p change.Plan, place string, action change.Action) map[string]int {
	out := map[string]int{}
	for _, c := range p.Changes {
		if c.Target == place && c.Action == action {
			out[c.Kind]++
		}
	}
	return out
}

// TestStateOfHands: what was made by hand is taken over and not doubled. Of its lists, nothing is
// removed.
func TestStateOfHands(t *testing.T) {
	e := open(t, shape{lab.Manual, "worldwide", 2, nil, false, 1})
	p := e.plan(t)
	want := map[string]int{"RemoteDomain": 1, "RemoteDomainDelivery": 2, "AuthServerApplication": 1,
		"SettingOverride": 1, "HybridConfiguration": 1}
	for _, forest := range []string{"onprem/contoso", "onprem/fabrikam"} {
		if d := cmp.Diff(want, kinds(p, forest, change.Create)); d != "" {
			t.Errorf("%s makes (-want +got):\n%s", forest, d)
		}
	}
	if d := cmp.Diff(map[string]int{"OnPremisesOrganization": 2}, kinds(p, "online", change.Create)); d != "" {
		t.Errorf("online makes (-want +got):\n%s", d)
	}
	for _, c := range p.Changes {
		if c.Action != change.Create && c.Action != change.Update {
			t.Errorf("%s %s", c.Action, c.ID)
		}
		for name, before := range c.Before {
			old, isList := before.([]string)
			now, _ := c.After[name].([]string)
			for _, e := range old {
				if isList && c.Action == change.Update && len(now) > 0 && !slices.Contains(now, e) {
					t.Errorf("%s: %s loses %s", c.ID, name, e)
				}
			}
		}
	}
}

// TestStateOfAHalfRun: the plan makes what a run of Microsoft's wizard that failed did not reach.
func TestStateOfAHalfRun(t *testing.T) {
	p := open(t, shape{lab.Half, "worldwide", 2, nil, false, 1}).plan(t)
	oauth := map[string]int{"AuthServer": 2, "AuthServerApplication": 1, "SettingOverride": 1}
	if d := cmp.Diff(oauth, kinds(p, "onprem/contoso", change.Create)); d != "" {
		t.Errorf("contoso makes (-want +got):\n%s", d)
	}
	oauth["IntraOrganizationConnector"] = 1
	if d := cmp.Diff(oauth, kinds(p, "onprem/fabrikam", change.Create)); d != "" {
		t.Errorf("fabrikam makes (-want +got):\n%s", d)
	}
	if d := cmp.Diff(map[string]int{"PartnerApplication": 1, "OrganizationRelationship": 1},
		kinds(p, "onprem/contoso", change.Update)); d != "" {
		t.Errorf("contoso changes (-want +got):\n%s", d)
	}
	if d := cmp.Diff(map[string]int{"IntraOrganizationConnector": 2, "InboundConnector": 1, "OutboundConnector": 1,
		"OnPremisesOrganization": 1}, kinds(p, "online", change.Create)); d != "" {
		t.Errorf("online makes (-want +got):\n%s", d)
	}
}

func TestConvergence(t *testing.T) {
	for _, s := range shapes() {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			e := open(t, s)
			before := e.plan(t)
			e.apply(t, before)
			if after := e.plan(t); len(after.Changes)+len(after.LeftOut) != 0 {
				t.Fatalf("after the apply the plan still has %s", list(after))
			}
			if len(before.Changes) == 0 {
				return // there is nothing to roll back
			}
			e.rollback(t)
			again := e.plan(t)
			if before.Digest != again.Digest {
				t.Errorf("the rollback did not restore what was there (-before +now):\n%s",
					cmp.Diff(list(before), list(again)))
			}
		})
	}
}

// list is a plan in short, with the live values that it would change.
func list(p change.Plan) string {
	var b strings.Builder
	for _, c := range p.Changes {
		fmt.Fprintf(&b, "%s %s\n\tbefore %v\n\tafter %v\n", c.Action, c.ID, c.Before, c.After)
	}
	for _, l := range p.LeftOut {
		fmt.Fprintf(&b, "left out %s %s: %s\n", l.Topic, l.Place, l.Reason)
	}
	return b.String()
}

// estate is a lab and a deployment that leads to it.
type estate struct {
	*deployment.Deployment
	state string
}

var silent = observe.Func(func(observe.Event) {})

func open(t *testing.T, s shape, with ...func(*answers.Answers)) *estate {
	return openIn(t, s, nil, with...)
}

// openIn opens a shape whose web servers stand in some weather.
func openIn(t *testing.T, s shape, weather func(http.Handler) http.Handler, with ...func(*answers.Answers)) *estate {
	t.Helper()
	dir := t.TempDir()
	l, err := lab.Start(t.Context(), lab.Options{Dir: dir, Forests: s.forests, Users: 12, State: s.state,
		Between: s.between, Servers: s.servers, Weather: weather})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	a, err := answers.Load(t.Context(), l.Answers())
	if err != nil {
		t.Fatal(err)
	}
	a.Features = s.features
	into(t, &a, s.cloud)
	for _, c := range with {
		c(&a)
	}
	e := &estate{state: filepath.Join(dir, "state")}
	e.Deployment, err = deployment.Open(a, deployment.Options{Dir: dir, StateDir: e.state})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close(context.WithoutCancel(t.Context())) })
	return e
}

// into makes the answers those of another cloud. The lab has the hosts of the worldwide one, so the
// cloud brings its rules and not its addresses.
func into(t *testing.T, a *answers.Answers, id string) {
	t.Helper()
	worldwide, _ := cloud.Get("worldwide")
	a.ExchangeOnline.Cloud = id
	if id == "worldwide" {
		return
	}
	a.ExchangeOnline.Hosts = map[string]string{}
	for _, k := range cloud.Keys() {
		a.ExchangeOnline.Hosts[k.Name] = k.Value(worldwide)
	}
}

func (e *estate) plan(t *testing.T) change.Plan {
	t.Helper()
	p, err := e.Plan(t.Context(), silent)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (e *estate) options() apply.Options {
	o := apply.Options{StateDir: e.state}
	for _, c := range deployment.Consents() {
		o.Accept = append(o.Accept, c.ID)
	}
	return o
}

func (e *estate) apply(t *testing.T, p change.Plan) {
	t.Helper()
	if len(p.Changes) == 0 {
		return
	}
	if r, err := e.Apply(t.Context(), p, e.options(), silent); err != nil {
		t.Fatalf("apply: %v\n%+v", err, r)
	}
}

// rollback undoes the newest run: all that its preview says, and no less.
func (e *estate) rollback(t *testing.T) {
	t.Helper()
	preview, err := e.PreviewRollback(t.Context(), "", e.options(), silent)
	if err != nil {
		t.Fatalf("preview of the rollback: %v", err)
	}
	r, err := e.Rollback(t.Context(), "", e.options(), silent)
	if err != nil {
		t.Fatalf("rollback: %v\n%+v", err, r)
	}
	for _, left := range preview.Left {
		i := slices.IndexFunc(r.Changes, func(o apply.Outcome) bool { return o.ID == left.ID })
		if r.Changes[i].Status != left.Status {
			t.Errorf("%s: the preview says %s (%s), the rollback %s", left.ID, left.Status, left.Error, r.Changes[i].Status)
		}
	}
}
