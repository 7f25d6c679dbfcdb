//go:build linux

package directory

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	lab "github.com/hybridge-cli/hybridge/pkg/lab/directory"
)

// largeSize is the number of users per forest, of which 2 % are wrong.
const largeSize = 10_000

// wrong is one planted or reported fault: an account, or an address that two accounts have.
type wrong struct{ forest, rule, what string }

// large is a forest of largeSize users. Every fiftieth is wrong, in one of five ways.
func large(name string) (p Plan, faults []wrong) {
	domain := name + ".example"
	p.UPNSuffixes = []string{name + ".com"}
	p.Organization = organization(name, domain)
	plant := func(rule, what string) { faults = append(faults, wrong{name, "directory." + rule, what}) }
	for i := range largeSize {
		id := fmt.Sprintf("%s%05d", name[:1], i)
		address := id + "@" + domain
		u := lab.User{Name: id, SAMAccountName: id, OU: fmt.Sprintf("OU=D%d,OU=People", i%5), GivenName: "User",
			Surname: id, UPN: address, Mail: address, RecipientType: 1,
			ProxyAddresses: []string{"SMTP:" + address, "smtp:" + id + ".alias@" + domain}}
		switch i % 250 {
		case 0:
			u.UPN = id + "@" + name + ".com"
			plant("upn-matches-primary", id)
		case 50:
			u.ProxyAddresses = append(u.ProxyAddresses, "SMTP:second."+address)
			plant("one-primary", id)
		case 100: // an alias of the next user
			next := fmt.Sprintf("%s%05d.alias@%s", name[:1], i+1, domain)
			u.ProxyAddresses = append(u.ProxyAddresses, "smtp:"+next)
			plant("unique-addresses", next)
		case 150: // an address that the other forest has too
			shared := fmt.Sprintf("shared.%05d@merged.example", i)
			u.ProxyAddresses = append(u.ProxyAddresses, "smtp:"+shared)
			plant("unique-addresses", shared)
		case 200: // an address that Exchange Online refuses
			u.ProxyAddresses = append(u.ProxyAddresses, "smtp:two words."+address)
			plant("address-format", id)
		}
		p.Users = append(p.Users, u)
	}
	return p, faults
}

// TestLargeForests looks for 200 wrong users among 10,000 in each of two forests of Samba, and
// expects exactly them.
func TestLargeForests(t *testing.T) {
	need(t, Missing())
	if testing.Short() {
		t.Skip("short")
	}
	dir, err := os.MkdirTemp("", "large")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	var forests []*Forest
	var want []wrong
	for i, name := range []string{"contoso", "fabrikam"} {
		plan, faults := large(name)
		f, err := Start(t.Context(), dir, name, 50+100*i, plan)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(f.Down)
		forests, want = append(forests, f), append(want, faults...)
	}
	if err := WriteAnswers(dir, forests); err != nil {
		t.Fatal(err)
	}
	program, findings := filepath.Join(dir, "hybridge"), filepath.Join(dir, "findings.jsonl")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program,
		"../../cmd/hybridge").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	args := []string{"check", "-f", filepath.Join(dir, "answers.yaml"), "--findings", findings, "--non-interactive",
		"--state-dir", t.TempDir()}
	for _, id := range []string{"upn-matches-primary", "one-primary", "unique-addresses", "address-format"} {
		args = append(args, "--only", "directory."+id)
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	if out, err := cmd.CombinedOutput(); cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != 3 {
		t.Fatalf("check: %v\n%s", err, out)
	}
	if diff := cmp.Diff(ordered(want), ordered(reported(t, findings)), cmp.AllowUnexported(wrong{})); diff != "" {
		t.Errorf("planted and found differ:\n%s", diff)
	}
}

// reported reads the faults of a file of findings.
func reported(t *testing.T, file string) (out []wrong) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var line struct{ Forest, DN, Value, Rule string }
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		what, _, _ := strings.Cut(strings.TrimPrefix(line.DN, "CN="), ",")
		if line.Rule == "directory.unique-addresses" {
			what = strings.TrimPrefix(strings.ToLower(line.Value), "smtp:")
		}
		out = append(out, wrong{line.Forest, line.Rule, what})
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// ordered sorts faults and leaves out those that several values of one user or address show.
func ordered(faults []wrong) []wrong {
	slices.SortFunc(faults, func(a, b wrong) int {
		return strings.Compare(a.forest+"\n"+a.rule+"\n"+a.what, b.forest+"\n"+b.rule+"\n"+b.what)
	})
	return slices.Compact(faults)
}
