package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/fleet"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// mainFleet is the program over deployments whose state follows from the organization's name.
func mainFleet() {
	os.Exit(run(os.Args[1:], systemStreams(), openMember))
}

func openMember(a answers.Answers, _ deployment.Options) (deployed, error) {
	return &memberDeployment{organization: a.Organization}, nil
}

type memberDeployment struct {
	scripted
	organization string
}

// sort is what is wrong with a deployment: one of ten.
func sort(organization string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(organization))
	return int(h.Sum32() % 10)
}

func (d *memberDeployment) Check(ctx context.Context, obs observe.Observer) (check.Report, error) {
	if pause, err := time.ParseDuration(os.Getenv("FLEET_PAUSE")); err == nil {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
	obs.Observe(observe.Warning{Text: "certificates are not verified"})
	result := func(id check.ID, s check.Status, r check.Result) check.Result {
		r.ID, r.Scope, r.Status, r.Title = id, "contoso", s, "every "+string(id)+" is right"
		return r
	}
	results := []check.Result{result("directory.reachable", check.StatusPass, check.Pass("dc1 answers"))}
	switch sort(d.organization) {
	case 0:
		return check.Report{}, fmt.Errorf("ex1 of %s: %w", d.organization, link.ErrUnreachable)
	case 1:
		panic("a nil map")
	case 2, 3:
		results = append(results, result("certificates.transport", check.StatusFail,
			check.Failed("the certificate of %s has ended", d.organization).Fix("renew it")))
	case 4:
		results = append(results, result("dns.spf", check.StatusWarn, check.Warned("no SPF record")))
	}
	return checked(results...), ctx.Err()
}

func (d *memberDeployment) Plan(context.Context, observe.Observer) (change.Plan, error) {
	return d.plan, d.err
}

// fleetFolder writes n answers files, in folders and with unlike names.
func fleetFolder(t *testing.T, n int) (dir string, names []string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "fleet")
	for i := range n {
		name := fmt.Sprintf("region%d/org-%04d", i%7, i)
		names = append(names, name)
		path := filepath.Join(dir, filepath.FromSlash(name)+[]string{".yaml", ".yml"}[i%2])
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		text := strings.Replace(answersFile, "organization: Contoso", fmt.Sprintf("organization: Org %04d", i), 1)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir, names
}

// program runs the program of a fleet as a process of its own.
func program(t *testing.T, dir string, env []string, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.Command("hybridge-fleet", args...)
	c.Dir, c.Env = dir, append(os.Environ(), append(env, "HOME="+dir)...)
	return c
}

// A fleet of 1,000 deployments runs in shards. One is killed in the middle and run again, one runs
// twice. The merged report has each deployment once, with what its own run found.
func TestFleetOfAThousand(t *testing.T) {
	const n, parts = 1000, 8
	folder, names := fleetFolder(t, n)
	dir := filepath.Dir(folder)
	reports := filepath.Join(dir, "reports")
	if err := os.Mkdir(reports, 0o700); err != nil {
		t.Fatal(err)
	}
	run := func(part int, file string) {
		t.Helper()
		c := program(t, dir, nil, "check", "-f", "fleet", "--shard", fmt.Sprintf("%d/%d", part, parts), "-o", "json",
			"--output-file", filepath.Join("reports", file))
		out, err := c.CombinedOutput()
		if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != exitInconclusive {
			t.Fatalf("shard %d: %v\n%s", part, err, out)
		}
	}
	for part := range parts { // counted from 0, as Kubernetes does
		if part != 3 {
			run(part, fmt.Sprintf("shard-%d.json", part))
		}
	}
	run(5, "shard-5-again.json")

	// The one that is killed writes lines, which stay.
	stream, err := os.Create(filepath.Join(reports, "shard-3.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	c := program(t, dir, []string{"FLEET_PAUSE=20ms"}, "check", "-f", "fleet", "--shard", "3/8", "-o", "jsonl",
		"--parallel", "2")
	c.Stdout = stream
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(time.Minute)
	for {
		data, _ := os.ReadFile(stream.Name())
		if strings.Count(string(data), `"event":"deployment"`) >= 20 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the shard writes nothing")
		}
		time.Sleep(5 * time.Millisecond)
	}
	_ = c.Process.Kill()
	_ = c.Wait()
	stream.Close()

	merge := func(args ...string) (fleet.Report, int) {
		t.Helper()
		c := program(t, dir, nil, append([]string{"report", "merge", "reports", "--fleet", "fleet", "-o", "json"},
			args...)...)
		out, err := c.Output()
		code := 0
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
			code = exit.ExitCode()
		}
		var r fleet.Report
		if err := json.Unmarshal(out, &r); err != nil {
			t.Fatalf("%v: %.200s", err, out)
		}
		return r, code
	}
	cut, code := merge()
	if code != exitInconclusive || len(cut.Missing) == 0 || len(cut.Deployments) < 20 ||
		len(cut.Deployments)+len(cut.Missing) != n {
		t.Fatalf("exit %d: of a killed shard: %d reports and %d missing, want %d together", code,
			len(cut.Deployments), len(cut.Missing), n)
	}
	run(3, "shard-3.json")
	whole, code := merge()
	s := whole.Summary
	if code != exitInconclusive || s.Fine+s.Failed+s.Unknown != n || len(whole.Missing)+len(whole.Unreadable) != 0 {
		t.Fatalf("exit %d: %+v", code, s)
	}
	if s.Superseded < 20 {
		t.Errorf("%d superseded: shard 5 ran twice, and 20 of shard 3", s.Superseded)
	}
	seen := map[string]bool{}
	for _, d := range whole.Deployments {
		name := d.About.Deployment
		if seen[name] {
			t.Errorf("%s is there twice", name)
		}
		seen[name] = true
		organization := "Org " + name[strings.LastIndex(name, "-")+1:]
		want := map[int]int{0: exitInconclusive, 1: exitFailure, 2: exitFailed, 3: exitFailed}[sort(organization)]
		if d.ExitCode != want {
			t.Errorf("%s: exit %d, want %d", name, d.ExitCode, want)
		}
		if text := fmt.Sprint(d.Outcomes, d.Error); want == exitFailed && !strings.Contains(text, organization+" has ended") ||
			want == exitInconclusive && !strings.Contains(text, "ex1 of "+organization) {
			t.Errorf("%s has what another found: %s", name, text)
		}
	}
	for _, name := range names {
		if !seen[name] {
			t.Errorf("%s is lost", name)
		}
	}

	// One page, one file of metrics.
	page, err := program(t, dir, nil, "report", "merge", "reports", "--fleet", "fleet", "-o", "html").Output()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	for _, name := range names {
		if !strings.Contains(string(page), "<td>"+name+"</td>") {
			t.Fatalf("the page lacks %s", name)
		}
	}
	if len(page) > 3<<20 {
		t.Errorf("the page has %d bytes", len(page))
	}
	t.Logf("page: %d KB", len(page)>>10)
}

// What a person can do wrong with a fleet.
func TestFleetUsage(t *testing.T) {
	folder, _ := fleetFolder(t, 3)
	file := filepath.Join(t.TempDir(), "answers.yaml")
	if err := os.WriteFile(file, []byte(answersFile), 0o600); err != nil {
		t.Fatal(err)
	}
	twice, _ := fleetFolder(t, 1)
	if err := os.WriteFile(filepath.Join(twice, "region0", "org-0000.yml"), []byte(answersFile), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args []string
		says string
	}{
		{[]string{"check", "-f", file, "--shard", "1/2"}, "--shard needs a fleet"},
		{[]string{"check", "-f", folder, "--shard", "9/8"}, `"9/8" is no part of a fleet`},
		{[]string{"check", "-f", folder, "--shard", "1"}, "write the number of the part and of all parts: 3/8"},
		{[]string{"check", "-f", folder, "--findings", "x.csv"}, "--findings is for one deployment"},
		{[]string{"plan", "-f", folder, "--out", "p.json"}, "--out is for one deployment"},
		{[]string{"test", "-f", folder, "--watch"}, "--watch is for one deployment"},
		{[]string{"check", "-f", t.TempDir()}, "holds no answers file"},
		{[]string{"check", "-f", twice}, "are answers files of one name"},
		{[]string{"report", "merge", t.TempDir()}, "there is no report"},
	} {
		got := execute(t, &scripted{}, "", test.args...)
		if got.code != exitUsage || !strings.Contains(got.errout, test.says) {
			t.Errorf("%v: exit %d, want %q: %s", test.args, got.code, test.says, got.errout)
		}
	}
}

// A damaged answers file is the report of its deployment and stops no other. A folder as Kubernetes
// mounts it holds links into a hidden folder.
func TestFleetOfLinksAndFaults(t *testing.T) {
	dir := t.TempDir()
	hidden := filepath.Join(dir, "..2026_11_27")
	if err := os.Mkdir(hidden, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"good.yaml": answersFile, "bad.yaml": "kind: Answers\nforest: 1\n"} {
		if err := os.WriteFile(filepath.Join(hidden, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join("..2026_11_27", name), filepath.Join(dir, name)); err != nil {
			t.Skip("no links here: ", err)
		}
	}
	pass := check.Result{ID: "a.b", Scope: "contoso", Status: check.StatusPass}
	got := execute(t, &scripted{check: checked(pass)}, "", "check", "-f", dir, "-o", "json")
	var r fleet.Report
	if err := json.Unmarshal([]byte(got.out), &r); err != nil || got.code != exitInconclusive {
		t.Fatalf("exit %d: %v %s%s", got.code, err, got.out, got.errout)
	}
	if err := validates(t, schemaComments(t), "fleet-report", []byte(got.out)); err != nil {
		t.Error(err)
	}
	if len(r.Deployments) != 2 || r.Deployments[0].About.Deployment != "bad" || r.Deployments[0].ExitCode != exitUsage ||
		!strings.Contains(r.Deployments[0].Error.Message, "bad.yaml:2") || r.Deployments[1].ExitCode != 0 {
		t.Errorf("%s", got.out)
	}
	lines := execute(t, &scripted{check: checked(pass)}, "", "check", "-f", dir, "-o", "jsonl")
	if strings.Count(lines.out, `"event":"deployment"`) != 2 || !strings.Contains(lines.out, `"event":"end"`) {
		t.Errorf("%s", lines.out)
	}
}

// The drift of a fleet: a plan with changes is exit code 5 where it is asked for.
func TestFleetOfPlans(t *testing.T) {
	folder, _ := fleetFolder(t, 2)
	got := execute(t, &scripted{plan: onePlan(t)}, "", "plan", "-f", folder, "--detailed-exitcode")
	if got.code != exitPending || !strings.Contains(got.out, "Deployments: 0 fine, 2 with pending changes.\n") ||
		strings.Contains(got.out, "FAIL ") || strings.Count(got.out, "PEND") != 2 {
		t.Errorf("exit %d: %s%s", got.code, got.out, got.errout)
	}
	if got := execute(t, &scripted{plan: onePlan(t)}, "", "plan", "-f", folder); got.code != exitFine {
		t.Errorf("exit %d: %s%s", got.code, got.out, got.errout)
	}
}

// Reports of single runs, of runs that failed, and files that are none.
func TestMergeAndTrendOfSingleReports(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "answers.yaml")
	if err := os.WriteFile(file, []byte(answersFile), 0o600); err != nil {
		t.Fatal(err)
	}
	reports := filepath.Join(dir, "reports")
	if err := os.Mkdir(reports, 0o700); err != nil {
		t.Fatal(err)
	}
	fail := check.Result{ID: "a.c", Scope: "contoso", Status: check.StatusFail, Summary: msg.Plain("broken")}
	pass := check.Result{ID: "a.c", Scope: "contoso", Status: check.StatusPass}
	blind := check.Result{ID: "a.c", Scope: "contoso", Status: check.StatusError, Summary: msg.Plain("no route")}
	day := func(n int) string { return fmt.Sprintf("2026-11-%02dT03:00:00Z", n) }
	for i, r := range []check.Result{pass, fail, blind, fail, pass, fail, fail} {
		got := execute(t, &scripted{check: checked(r)}, "", "check", "-f", file, "-o", "json")
		var document map[string]any
		if err := json.Unmarshal([]byte(got.out), &document); err != nil {
			t.Fatal(err)
		}
		about := document["about"].(map[string]any)
		if about["deployment"] != "Contoso" || about["verb"] != "check" {
			t.Fatalf("%v", about)
		}
		about["time"] = day(i + 1)
		data, _ := json.Marshal(document)
		if err := os.WriteFile(filepath.Join(reports, fmt.Sprintf("%d.json", 9-i)), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got := execute(t, &scripted{}, "", "report", "trend", reports, "-o", "json")
	var trend fleet.Trend
	if err := json.Unmarshal([]byte(got.out), &trend); err != nil || got.code != 0 || len(trend.Courses) != 1 {
		t.Fatalf("exit %d: %v %s%s", got.code, err, got.out, got.errout)
	}
	c := trend.Courses[0]
	var news, gone []int
	for _, p := range c.Points {
		news, gone = append(news, p.New), append(gone, p.Gone)
	}
	// What could not be seen on the third day is neither gone then nor new on the fourth.
	if fmt.Sprint(news, gone) != "[0 1 0 0 0 1 0] [0 0 0 0 1 0 0]" {
		t.Errorf("new and gone: %v %v", news, gone)
	}
	if len(c.Open) != 1 || c.Open[0].Since.Format(time.RFC3339) != day(6) || c.Open[0].Reports != 2 ||
		c.Open[0].Times != 2 || len(c.Unsteady) != 1 {
		t.Errorf("%+v", c)
	}
	if got := execute(t, &scripted{}, "", "report", "trend", reports); !strings.Contains(got.out, "2026-11-06 03:00") {
		t.Errorf("%s", got.out)
	}

	failed := execute(t, &scripted{err: fmt.Errorf("x: %w", link.ErrUnreachable)}, "", "test", "-f", file, "-o", "json")
	for name, text := range map[string]string{"failed.json": failed.out, "cut.json": got.out[:40],
		"other.json": `{"apiVersion":"hybridge/v1","kind":"Plan"}`, ".hidden.json": "x", "notes.txt": "x"} {
		if err := os.WriteFile(filepath.Join(reports, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	merged := execute(t, &scripted{}, "", "report", "merge", reports, "-o", "json")
	var r fleet.Report
	if err := json.Unmarshal([]byte(merged.out), &r); err != nil || merged.code != exitInconclusive {
		t.Fatalf("exit %d: %v %s%s", merged.code, err, merged.out, merged.errout)
	}
	if len(r.Deployments) != 2 || r.Summary.Superseded != 6 || len(r.Unreadable) != 2 ||
		r.Deployments[0].ExitCode != exitFailed || r.Deployments[1].ExitCode != exitInconclusive {
		t.Errorf("%s", merged.out)
	}
	if got := execute(t, &scripted{}, "", "report", "trend", reports); got.code != exitInconclusive ||
		!strings.Contains(got.errout, "left out: ") || !strings.Contains(got.errout, "cut.json") ||
		!strings.Contains(got.out, "2026-11-06 03:00") {
		t.Errorf("exit %d: %s", got.code, got.errout)
	}
	cut := filepath.Join(reports, "cut.json")
	if got := execute(t, &scripted{}, "", "report", "trend", cut); got.code != exitUsage ||
		!strings.Contains(got.errout, "cut.json is not JSON") {
		t.Errorf("exit %d: %s", got.code, got.errout)
	}
}

// The file of metrics is whole, can be read by the node exporter's account, and is there after a run
// that failed, which says which deployment it is of.
func TestMetricsFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "answers.yaml")
	if err := os.WriteFile(file, []byte(answersFile), 0o600); err != nil {
		t.Fatal(err)
	}
	metrics := filepath.Join(dir, "hybridge.prom")
	fail := check.Result{ID: "a.c", Scope: "contoso", Status: check.StatusFail}
	for _, test := range []struct {
		s    scripted
		args []string
		want string
	}{
		{scripted{check: checked(fail)}, []string{"check"}, `hybridge_run_exit_code{deployment="Contoso",verb="check"} 3`},
		{scripted{err: fmt.Errorf("x: %w", link.ErrUnreachable)}, []string{"check"},
			`hybridge_run_exit_code{deployment="Contoso",verb="check"} 9`},
		{scripted{plan: onePlan(t)}, []string{"plan", "--detailed-exitcode"},
			`hybridge_changes{deployment="Contoso",verb="plan",action="create"} 1`},
		{scripted{check: checked(fail)}, []string{"--non-interactive"},
			`hybridge_run_exit_code{deployment="Contoso",verb="run"} 3`},
	} {
		got := execute(t, &test.s, "", append(test.args, "-f", file, "-o", "openmetrics", "--output-file", metrics)...)
		text, err := os.ReadFile(metrics)
		if err != nil || !strings.Contains(string(text), test.want+"\n") || !strings.HasSuffix(string(text), "# EOF\n") {
			t.Errorf("%v: exit %d: %v\n%s%s", test.args, got.code, err, text, got.errout)
		}
		if info, err := os.Stat(metrics); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o644 {
			t.Errorf("%v: %v", info.Mode(), err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
