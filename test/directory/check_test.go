//go:build linux

package directory

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// testCheck runs `hybridge check` against the forests. It must find exactly the planted faults,
// over LDAPS and Kerberos, and report each failed sign-in in one sentence.
func testCheck(t *testing.T, dir string, forests []*Forest) {
	program := filepath.Join(t.TempDir(), "hybridge")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program,
		"../../cmd/hybridge").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	if err := WriteAnswers(dir, forests); err != nil {
		t.Fatal(err)
	}
	type outcome struct {
		ID, Scope, Status, Summary string
		Detail                     string
		Evidence                   struct {
			Users     []struct{ DN string }
			Addresses []struct{ Address string }
		}
	}
	check := func(file, only string) (results []outcome, code int) {
		cmd := exec.CommandContext(t.Context(), program, "check", "-f", file, "--only", only, "-o", "json",
			"--skip", "directory.upn-suffix", "--skip", "directory.address-domain", // no tenant answers
			// The plan has no databases: a directory that shows none may hide them.
			"--skip", "directory.home-database", "--skip", "directory.database-deleted",
			"--non-interactive", "--state-dir", t.TempDir())
		cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
		out, err := cmd.Output()
		if cmd.ProcessState == nil {
			t.Fatal(err)
		}
		var report struct{ Results []outcome }
		if err := json.Unmarshal(out, &report); err != nil {
			t.Fatalf("%s: not a report: %v\n%s", file, err, out)
		}
		return report.Results, cmd.ProcessState.ExitCode()
	}

	want := map[string][]string{}
	for _, f := range forests {
		e := Planted(f.Name).Expect
		want["directory.upn-matches-primary"] = append(want["directory.upn-matches-primary"], e.UPNMismatch...)
		want["directory.one-primary"] = append(append(want["directory.one-primary"], e.ManyPrimaries...),
			e.NoPrimary...)
		want["directory.unique-addresses"] = append(append(want["directory.unique-addresses"], e.DuplicatesHere...),
			e.DuplicatesBoth...)
	}
	sorted := func(found map[string][]string) map[string][]string {
		for id := range found {
			slices.Sort(found[id])
			// an address held across forests is planted in both
			found[id] = slices.Compact(found[id])
		}
		return found
	}
	for _, file := range []string{"answers.yaml", "answers-kerberos.yaml"} {
		results, code := check(filepath.Join(dir, file), "directory.*")
		got := map[string][]string{}
		for _, r := range results {
			for _, u := range r.Evidence.Users {
				// "CN=User C\\, 030,OU=..." is the account c030.
				name := strings.TrimPrefix(u.DN, "CN=User ")
				got[r.ID] = append(got[r.ID], strings.ToLower(name[:1])+name[4:7])
			}
			for _, a := range r.Evidence.Addresses {
				got[r.ID] = append(got[r.ID], a.Address)
			}
		}
		if diff := cmp.Diff(sorted(want), sorted(got)); diff != "" || code != 3 {
			t.Errorf("%s: exit %d, want 3; %s", file, code, diff)
		}
	}

	text, err := os.ReadFile(filepath.Join(dir, "answers.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "wrong"), []byte("wrong"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		old, new string
		code     []int
		says     string
	}{
		"wrong password":        {"file:password}", "file:wrong}", []int{4}, "wrong user name or password"},
		"untrusted certificate": {"caFile: ca.pem", "caFile: fabrikam/private/tls/ca.pem", []int{9}, "not trusted"},
		"stopped server": {forests[0].Host + ":636=" + forests[0].Address + ":636",
			forests[0].Host + ":636=" + forests[0].Address + ":9", []int{9}, "refused"},
	} {
		changed := strings.ReplaceAll(string(text), c.old, c.new)
		if changed == string(text) {
			t.Fatalf("%s: the answers do not hold %q", name, c.old)
		}
		file := filepath.Join(dir, "changed.yaml")
		if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
			t.Fatal(err)
		}
		results, code := check(file, "directory.*")
		fits := false
		for _, n := range c.code {
			fits = fits || code == n
		}
		said := false
		for _, r := range results {
			if r.Status == "error" && r.Scope == forests[0].Name {
				sentence := r.Summary + " " + r.Detail
				said = strings.Contains(sentence, c.says) && !strings.Contains(r.Summary, "\n")
				t.Logf("%s: exit %d: %s", name, code, r.Summary)
			}
		}
		if !fits || !said {
			t.Errorf("%s: exit %d, want one of %v and %q: %+v", name, code, c.code, c.says, results)
		}
	}
}
