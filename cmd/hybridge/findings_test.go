package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/lab"
)

// inLab starts a lab with faults and returns a function that runs a command against it, with lines
// added to its answers.
func inLab(t *testing.T, faults ...string) (dir string, hybridge func(more string, args ...string) result) {
	t.Helper()
	dir = t.TempDir()
	l, err := lab.Start(t.Context(), lab.Options{Dir: dir, Users: 20, Faults: faults})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	plain, err := os.ReadFile(l.Answers())
	if err != nil {
		t.Fatal(err)
	}
	return dir, func(more string, args ...string) result {
		t.Helper()
		file := filepath.Join(dir, "more.yaml")
		if err := os.WriteFile(file, append(bytes.Clone(plain), more...), 0o600); err != nil {
			t.Fatal(err)
		}
		var out, errs bytes.Buffer
		s := streams{In: strings.NewReader(""), Out: &out, Err: &errs, Env: func(name string) string {
			return map[string]string{"HOME": dir, "LocalAppData": dir}[name]
		}}
		code := runIn(t.Context(), append(args, "-f", file, "--non-interactive"), s, openDeployment)
		return result{code, out.String(), errs.String()}
	}
}

// An acknowledgement holds for the check and the scope that it names, until its last day. Every
// format shows it, and JUnit skips the case with the reason.
func TestAcknowledgement(t *testing.T) {
	_, hybridge := inLab(t, "directory.upn-differs")
	const until = `
checks:
  - {id: directory.upn-matches-primary, scope: contoso, reason: "ticket 4711", owner: Anna, expires: 2099-12-31}
`
	only := []string{"check", "--only", "directory.upn-matches-primary"}
	for name, test := range map[string]struct {
		checks string
		code   int
		says   string
	}{
		"without":        {"", exitFailed, "  FAIL  directory.upn-matches-primary  contoso\n"},
		"until later":    {until, exitFine, "  ACK   directory.upn-matches-primary  contoso\n"},
		"another forest": {strings.Replace(until, "contoso", "fabrikam", 1), exitFailed, "no longer needed"},
		"expired":        {strings.Replace(until, "2099", "2025", 1), exitFailed, "ended on 2025-12-31: ticket 4711"},
		"a severity": {"\nchecks: [{id: directory.upn-matches-primary, severity: warn}]\n", exitFine,
			"  WARN  directory.upn-matches-primary  contoso\n"},
		"no such check": {strings.Replace(until, "upn-m", "upm-m", 1), exitUsage, "checks[0].id: there is no check"},
	} {
		if got := hybridge(test.checks, only...); got.code != test.code ||
			!strings.Contains(got.out+got.errout, test.says) {
			t.Errorf("%s: exit %d, want %d and %q:\n%s%s", name, got.code, test.code, test.says, got.out, got.errout)
		}
	}
	for format, says := range map[string][]string{
		"text":     {"acknowledged  ticket 4711, by Anna until 2099-12-31", "1 acknowledged"},
		"markdown": {"**ACK**", "acknowledged: ticket 4711, by Anna until 2099-12-31"},
		"json":     {`"status": "acknowledged"`, `"state": "active"`, `"finding": "fail"`, `"acknowledged": 1`},
		"jsonl":    {`"status":"acknowledged"`, `"reason":"ticket 4711"`},
		"junit": {`<testsuite name="contoso"`, `<testsuite name="fabrikam"`,
			`<skipped message="acknowledged: ticket 4711, by Anna until 2099-12-31"`, `failures="0"`},
	} {
		got := hybridge(until, append(slices.Clone(only), "-o", format)...)
		for _, text := range says {
			if got.code != exitFine || !strings.Contains(got.out, text) {
				t.Errorf("%s: exit %d, without %q:\n%s", format, got.code, text, got.out)
			}
		}
	}
}

// The wrong values of the directory go into a table, and into scripts with their undo. The report
// and the exit code stay what they are.
func TestFindingsFiles(t *testing.T) {
	dir, hybridge := inLab(t, "directory.upn-differs", "directory.blank-in-address")
	table, lines := filepath.Join(dir, "findings.csv"), filepath.Join(dir, "findings.jsonl")
	repair := filepath.Join(dir, "repair")
	got := hybridge("", "check", "--only", "directory.*", "--findings", table, "--fix-script", repair)
	if got.code != exitFailed || !strings.Contains(got.out, "directory.upn-matches-primary") {
		t.Fatalf("exit %d:\n%s%s", got.code, got.out, got.errout)
	}
	for _, note := range []string{"wrote " + table + ": ", "wrote 2 scripts to " + repair} {
		if !strings.Contains(got.errout, note) {
			t.Errorf("standard error lacks %q:\n%s", note, got.errout)
		}
	}
	data, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
	if err != nil || !slices.Equal(rows[0], []string{"forest", "dn", "attribute", "value", "rule", "suggestion"}) {
		t.Fatalf("%v, %v", rows, err)
	}
	rules := map[string]int{}
	for _, row := range rows[1:] {
		rules[row[4]]++
		if row[0] != "contoso" || !strings.HasPrefix(row[1], "CN=") {
			t.Errorf("%v", row)
		}
	}
	if rules["directory.upn-matches-primary"] != 3 || rules["directory.address-format"] != 1 {
		t.Errorf("by rule: %v", rules)
	}
	if got := hybridge("", "check", "--only", "directory.*", "--findings", lines); got.code != exitFailed {
		t.Errorf("exit %d: %s", got.code, got.errout)
	}
	data, err = os.ReadFile(lines)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range bytes.Lines(data) {
		var f check.Finding
		if err := json.Unmarshal(line, &f); err != nil || f.Forest != "contoso" || f.Rule == "" {
			t.Errorf("%s: %v", line, err)
		}
		n++
	}
	if n != len(rows)-1 {
		t.Errorf("%d lines of JSON and %d rows", n, len(rows)-1)
	}
	for _, name := range []string{"findings.csv", "findings.jsonl", "repair/fix-contoso.ps1",
		"repair/undo-contoso.ps1"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		} else if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: others may read it: %v", name, info.Mode())
		}
	}
	fix, _ := os.ReadFile(filepath.Join(repair, "fix-contoso.ps1"))
	undo, _ := os.ReadFile(filepath.Join(repair, "undo-contoso.ps1"))
	if bytes.Count(fix, []byte("\nEdit-Value ")) < 3 ||
		bytes.Count(fix, []byte("\nEdit-Value ")) != bytes.Count(undo, []byte("\nEdit-Value ")) {
		t.Errorf("fix:\n%s\nundo:\n%s", fix, undo)
	}
	// Who can write to the folder can change what a script does.
	if runtime.GOOS != "windows" {
		if strings.Contains(got.errout, "can change what they do") {
			t.Error(got.errout)
		}
		if err := os.Chmod(repair, 0o777); err != nil { //nolint:gosec // the attack
			t.Fatal(err)
		}
		if got := hybridge("", "check", "--only", "directory.*", "--fix-script", repair); !strings.Contains(got.errout,
			"can change what they do") {
			t.Errorf("a folder that others can write to: %s", got.errout)
		}
	}
	// A finding that is acknowledged is not listed for repair.
	got = hybridge("\nchecks: [{id: directory.upn-matches-primary, reason: r, owner: o, expires: 2099-12-31}]\n",
		"check", "--only", "directory.upn-matches-primary", "--findings", table)
	if data, _ := os.ReadFile(table); got.code != exitFine || bytes.Contains(data, []byte("upn-matches")) {
		t.Errorf("exit %d:\n%s", got.code, data)
	}
	// A place that cannot be written to is an error, and what was there stays.
	for flag, path := range map[string]string{"--findings": dir, "--fix-script": table} {
		if got := hybridge("", "check", "--only", "directory.*", flag, path); got.code != exitFailure ||
			!strings.Contains(got.errout, "write the ") {
			t.Errorf("%s %s: exit %d: %s", flag, path, got.code, got.errout)
		}
	}
}
