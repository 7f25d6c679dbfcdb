//go:build linux

package e2e

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/test/directory"
)

// TestTwoSambaForests checks two real Active Directory forests, over LDAPS and with Kerberos: exactly what was planted is found.
func TestTwoSambaForests(t *testing.T) {
	if what := directory.Missing(); what != "" {
		missing(t, what)
	}
	dir := t.TempDir()
	forests, err := directory.Pair(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, f := range forests {
			f.Down()
		}
	})
	if err := directory.WriteAnswers(dir, forests); err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{}
	for _, f := range forests {
		expect := directory.Planted(f.Name).Expect
		want["directory.upn-matches-primary"] = append(want["directory.upn-matches-primary"], expect.UPNMismatch...)
		want["directory.one-primary"] = append(want["directory.one-primary"], append(expect.ManyPrimaries, expect.NoPrimary...)...)
		want["directory.unique-addresses"] = append(want["directory.unique-addresses"], append(expect.DuplicatesHere, expect.DuplicatesBoth...)...)
	}
	for id := range want {
		slices.Sort(want[id])
		want[id] = slices.Compact(want[id])
	}
	check := func(t *testing.T, answers, only string, format string) run {
		t.Helper()
		return finish(t, exec.Command(binary, "check", "-f", filepath.Join(dir, answers), "--state-dir", t.TempDir(), "--only", only, "-o", format))
	}
	for _, answers := range []string{"answers.yaml", "answers-kerberos.yaml"} {
		t.Run(answers, func(t *testing.T) {
			r := check(t, answers, "directory.*", "json")
			if r.code != 3 {
				t.Fatalf("exit %d, want 3\n%s%s", r.code, tail(r.stdout), tail(r.stderr))
			}
			report := decode[struct {
				Results []struct {
					ID, Status string
					Evidence   struct {
						Users     []struct{ DN string }
						Addresses []struct{ Address string }
					}
				}
			}](t, r.stdout)
			got := map[string][]string{}
			for _, result := range report.Results {
				for _, u := range result.Evidence.Users {
					// "CN=User C\, 030,OU=..." is the account c030.
					name := strings.TrimPrefix(u.DN, "CN=User ")
					got[result.ID] = append(got[result.ID], strings.ToLower(name[:1])+name[4:7])
				}
				for _, a := range result.Evidence.Addresses {
					got[result.ID] = append(got[result.ID], a.Address)
				}
			}
			for id := range got {
				slices.Sort(got[id])
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		})
	}

	spoil := func(t *testing.T, change func(text string) string) string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(dir, "answers.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		name := strings.ReplaceAll(t.Name(), "/", "-") + ".yaml"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(change(string(text))), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	for name, c := range map[string]struct {
		change func(string) string
		before func()
		code   int
		says   string
	}{
		"wrong password": {func(s string) string {
			os.WriteFile(filepath.Join(dir, "wrong"), []byte("nope"), 0o600)
			return strings.ReplaceAll(s, "file:password}\n    exchange", "file:wrong}\n    exchange")
		}, nil, 4, "wrong user name or password"},
		"untrusted certificate": {func(s string) string { return strings.ReplaceAll(s, "caFile: ca.pem", "caFile: other.pem") }, func() {
			other, err := os.ReadFile("/etc/ssl/certs/ca-certificates.crt")
			if err != nil {
				t.Fatal(err)
			}
			os.WriteFile(filepath.Join(dir, "other.pem"), other, 0o600)
		}, 9, "authority that is not trusted here"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.before != nil {
				c.before()
			}
			sentence(t, check(t, spoil(t, c.change), "directory.*", "json"), c.code, c.says, len(forests))
		})
	}
	t.Run("stopped server", func(t *testing.T) {
		forests[0].Down()
		sentence(t, check(t, "answers.yaml", "directory.*", "json"), 9, "connection refused", 1)
	})
}

// sentence wants a check that could not look: its code, and what it says, once for each server that is concerned.
func sentence(t *testing.T, r run, code int, says string, times int) {
	t.Helper()
	var report struct {
		Results []struct{ ID, Status, Summary string }
	}
	if err := json.Unmarshal([]byte(r.stdout), &report); err != nil {
		t.Fatalf("%v\n%s", err, tail(r.stderr))
	}
	var said int
	for _, result := range report.Results {
		if result.Status == "error" {
			said++
			if !strings.Contains(result.Summary, says) || strings.Contains(result.Summary, "\n") {
				t.Errorf("%s: %s", result.ID, result.Summary)
			}
		}
	}
	if r.code != code || said != times {
		t.Errorf("exit %d, want %d; %d errors, want %d\n%s", r.code, code, said, times, tail(r.stdout))
	}
}
