package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/hybridge-cli/hybridge/pkg/engine/fleet"
)

var yamlFence = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")

// recipe is one YAML document of docs/fleet.md.
type recipe map[string]any

func recipes(t *testing.T) []recipe {
	t.Helper()
	var out []recipe
	for _, m := range yamlFence.FindAllStringSubmatch(read(t, "docs/fleet.md"), -1) {
		for _, text := range strings.Split(m[1], "\n---\n") {
			var r recipe
			if err := yaml.Unmarshal([]byte(text), &r); err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			out = append(out, r)
		}
	}
	if len(out) != 5 {
		t.Fatalf("%d recipes found: is this test looking?", len(out))
	}
	return out
}

// get follows keys and indexes into a document.
func get(t *testing.T, v any, path ...any) any {
	t.Helper()
	for _, key := range path {
		switch k := key.(type) {
		case string:
			switch m := v.(type) {
			case recipe:
				v = m[k]
			case map[string]any:
				v = m[k]
			default:
				t.Fatalf("%v: there is no %q in %v", path, k, v)
			}
		case int:
			list, ok := v.([]any)
			if !ok || k >= len(list) {
				t.Fatalf("%v: there is no element %d in %v", path, k, v)
			}
			v = list[k]
		}
	}
	return v
}

func script(t *testing.T, v any, path ...any) string {
	t.Helper()
	switch s := get(t, v, path...).(type) {
	case string:
		return s
	case []any:
		var lines []string
		for _, l := range s {
			lines = append(lines, fmt.Sprint(l))
		}
		return strings.Join(lines, "\n")
	}
	t.Fatalf("%v is no script", path)
	return ""
}

// shellRuns runs lines as a pipeline does, with hybridge on the path.
func shellRuns(t *testing.T, dir string, shell []string, lines string, env ...string) (int, string) {
	t.Helper()
	bin := t.TempDir()
	program, err := exec.LookPath("hybridge-fleet")
	if err != nil {
		t.Fatal(err)
	}
	// The name under which the test binary is run decides what it is.
	wrapper := "#!/bin/sh\nexec " + program + ` "$@"` + "\n"
	if err := os.WriteFile(filepath.Join(bin, "hybridge"), []byte(wrapper), 0o700); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(shell[0], append(shell[1:], lines)...)
	c.Dir = dir
	c.Env = append(os.Environ(), append(env, "HOME="+dir, "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))...)
	out, err := c.CombinedOutput()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return exit.ExitCode(), string(out)
	} else if err != nil {
		t.Fatal(err)
	}
	return 0, string(out)
}

// The shell lines of every recipe run here: each part of a fleet, then the merge, which loses and
// doubles nothing.
func TestRecipesRun(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("no bash here")
	}
	const n = 40
	all := recipes(t)
	bash := []string{"bash", "--noprofile", "--norc", "-eo", "pipefail", "-c"}
	github, gitlab, azure, job, merge := all[0], all[1], all[2], all[3], all[4]

	matrix := get(t, github, "jobs", "check", "strategy", "matrix", "shard").([]any)
	for _, test := range []struct {
		name        string
		parts       int
		part, merge string
		shell       []string
		env         func(i int) []string
	}{
		{"GitHub Actions", len(matrix), script(t, github, "jobs", "check", "steps", 1, "run"),
			script(t, github, "jobs", "merge", "steps", 2, "run"), bash,
			func(i int) []string {
				return []string{fmt.Sprintf("SHARD=%v", matrix[i]), "GITHUB_STEP_SUMMARY=summary.md"}
			}},
		{"GitLab", get(t, gitlab, "check", "parallel").(int), script(t, gitlab, "check", "script"),
			script(t, gitlab, "merge", "script"), bash,
			func(i int) []string {
				return []string{fmt.Sprintf("CI_NODE_INDEX=%d", i+1),
					fmt.Sprintf("CI_NODE_TOTAL=%v", get(t, gitlab, "check", "parallel"))}
			}},
		{"Azure Pipelines", get(t, azure, "jobs", 0, "strategy", "parallel").(int),
			script(t, azure, "jobs", 0, "steps", 0, "bash"),
			script(t, azure, "jobs", 1, "steps", 1, "bash") + "\n" + script(t, azure, "jobs", 1, "steps", 3, "bash"),
			[]string{"bash", "--noprofile", "--norc", "-c"},
			func(i int) []string {
				return []string{fmt.Sprintf("SYSTEM_JOBPOSITIONINPHASE=%d", i+1), "PIPELINE_WORKSPACE=reports",
					fmt.Sprintf("SYSTEM_TOTALJOBSINPHASE=%v", get(t, azure, "jobs", 0, "strategy", "parallel"))}
			}},
		{"Kubernetes", get(t, job, "spec", "completions").(int),
			script(t, job, "spec", "template", "spec", "containers", 0, "args", 0),
			script(t, merge, "spec", "template", "spec", "containers", 0, "args", 0), []string{"sh", "-c"},
			func(i int) []string { return []string{fmt.Sprintf("JOB_COMPLETION_INDEX=%d", i)} }},
	} {
		t.Run(test.name, func(t *testing.T) {
			folder, names := fleetFolder(t, n)
			dir := filepath.Dir(folder)
			mounted := strings.NewReplacer(" /reports/fleet.html", " "+dir+"/fleet.html", " /fleet", " "+folder,
				`"/reports`, `"`+dir+"/reports", " /reports", " "+dir+"/reports")
			local := func(lines string) string {
				if test.name == "Kubernetes" {
					return mounted.Replace(lines)
				}
				return lines
			}
			if err := os.MkdirAll(filepath.Join(dir, "reports"), 0o700); err != nil {
				t.Fatal(err)
			}
			for i := range test.parts {
				if code, out := shellRuns(t, dir, test.shell, local(test.part), test.env(i)...); code != 0 {
					t.Fatalf("part %d: exit %d: %s", i, code, out)
				}
			}
			files, _ := filepath.Glob(filepath.Join(dir, "reports", "*.json"))
			if len(files) != test.parts {
				t.Fatalf("%d reports of %d parts", len(files), test.parts)
			}
			code, out := shellRuns(t, dir, test.shell, local(test.merge), test.env(0)...)
			if code != exitInconclusive { // some deployments cannot be reached
				t.Errorf("merge: exit %d: %s", code, out)
			}
			page, err := os.ReadFile(filepath.Join(dir, "fleet.html"))
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range names {
				if !strings.Contains(string(page), "<td>"+name+"</td>") {
					t.Errorf("the page lacks %s", name)
				}
			}
			got := execute(t, &scripted{}, "", "report", "merge", filepath.Join(dir, "reports"), "--fleet", folder,
				"-o", "json")
			var r fleet.Report
			if err := json.Unmarshal([]byte(got.out), &r); err != nil || len(r.Deployments) != n ||
				len(r.Missing)+r.Summary.Superseded != 0 {
				t.Errorf("%v %+v", err, r.Summary)
			}
			// A part that cannot run is a failure of the pipeline.
			lines := strings.ReplaceAll(local(test.part), "--shard \"", "--shard \"x")
			if code, out := shellRuns(t, dir, test.shell, lines, test.env(0)...); code == 0 {
				t.Errorf("a wrong command line: exit 0: %s", out)
			}
		})
	}
}

// The recipes have the keys that their services require. The published schemas of GitHub and GitLab
// read them in test/recipes.
func TestRecipesHaveTheirShape(t *testing.T) {
	all := recipes(t)
	known := func(v any, where string, keys ...string) {
		t.Helper()
		m, ok := v.(map[string]any)
		if r, is := v.(recipe); is {
			m, ok = r, true
		}
		if !ok {
			t.Fatalf("%s is no mapping", where)
		}
		for k := range m {
			if !slices.Contains(keys, k) {
				t.Errorf("%s has the key %s", where, k)
			}
		}
	}
	azure := all[2]
	known(azure, "the pipeline", "trigger", "schedules", "pool", "jobs")
	known(get(t, azure, "schedules", 0), "a schedule", "cron", "displayName", "branches", "always")
	for i := range 2 {
		known(get(t, azure, "jobs", i), "a job", "job", "strategy", "timeoutInMinutes", "steps", "dependsOn", "condition")
		for _, s := range get(t, azure, "jobs", i, "steps").([]any) {
			known(s, "a step", "bash", "displayName", "env", "publish", "artifact", "condition", "download", "patterns",
				"task", "inputs")
		}
	}
	for _, job := range all[3:] {
		known(job, "a manifest", "apiVersion", "kind", "metadata", "spec")
		if job["apiVersion"] != "batch/v1" || job["kind"] != "Job" {
			t.Errorf("%v %v", job["apiVersion"], job["kind"])
		}
		known(get(t, job, "spec"), "a Job", "completionMode", "completions", "parallelism", "backoffLimitPerIndex",
			"backoffLimit", "template")
		pod := get(t, job, "spec", "template", "spec")
		known(pod, "a pod", "restartPolicy", "containers", "volumes")
		mounted, volumes := []string{}, []string{}
		for _, m := range get(t, pod, "containers", 0, "volumeMounts").([]any) {
			known(m, "a mount", "name", "mountPath", "readOnly")
			mounted = append(mounted, get(t, m, "name").(string))
		}
		for _, v := range get(t, pod, "volumes").([]any) {
			known(v, "a volume", "name", "configMap", "persistentVolumeClaim")
			volumes = append(volumes, get(t, v, "name").(string))
		}
		if !slices.Equal(mounted, volumes) {
			t.Errorf("mounted are %v of %v", mounted, volumes)
		}
	}
}
