package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// begin writes what discovery cannot know of a lab: the way to it, its accounts and certificates.
func (e *estate) begin(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(e.dir, "answers.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	out.WriteString("apiVersion: hybridge/v1\nkind: Answers\n")
	kept := false
	for line := range strings.Lines(string(data)) {
		if line != "" && line[0] != ' ' {
			kept = strings.HasPrefix(line, "network:")
		}
		if kept {
			out.WriteString(line)
		}
	}
	out.WriteString(`
exchangeOnline:
  credential: {kind: certificate, clientId: "` + value(t, string(data), "clientId: ") + `", pfx: secrets/automation.pfx,
    password: "file:secrets/automation.password"}
forests:
`)
	for _, name := range []string{"contoso", "fabrikam"} {
		out.WriteString("  - directory: {bind: {kind: password, user: svc-hybridge@" + name + ".example, password: \"file:secrets/" +
			name + "-svc-hybridge\"}}\n    certificate: {pfx: secrets/" + name + "-transport.pfx, password: \"file:secrets/" +
			name + "-transport.password\"}\n    authCertificate: {pfx: secrets/" + name + "-auth.pfx, password: \"file:secrets/" +
			name + "-auth.password\"}\n")
	}
	file := filepath.Join(e.dir, "begin.yaml")
	if err := os.WriteFile(file, []byte(out.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func value(t *testing.T, text, key string) string {
	t.Helper()
	_, rest, ok := strings.Cut(text, key)
	if !ok {
		t.Fatalf("no %s in\n%s", key, text)
	}
	line, _, _ := strings.Cut(rest, "\n")
	return strings.Trim(line, `"`)
}

// What discovery finds in a lab leads to the plan of the lab's own answers.
func TestDiscover(t *testing.T) {
	e := startLab(t)
	want := e.plan(t)
	found := filepath.Join(e.dir, "found.yaml")
	r := finish(t, e.plainly("init", "--discover", "contoso.example", "fabrikam.example", "-f", e.begin(t),
		"--output-file", found))
	if r.code != 0 || strings.Count(r.stderr, "not found") != 2 {
		t.Fatalf("exit code %d: %s", r.code, r.stderr)
	}
	// The account of hybridge has no mailbox, and no one is there who knows the password of a person.
	for _, forest := range []string{"contoso", "fabrikam"} {
		for _, want := range []string{"who asks for free/busy in " + forest + ".example: svc-hybridge@",
			"such as " + e.person(t, forest)} {
			if !strings.Contains(strings.Join(strings.Fields(r.stderr), " "), want) {
				t.Errorf("it does not say %q:\n%s", want, r.stderr)
			}
		}
	}
	data, err := os.ReadFile(found)
	if err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{
		"#   forests[0].exchange.server: ex1.contoso.example (Active Directory of contoso.example: the Mailbox server",
		"#   exchangeOnline.tenant: contoso.onmicrosoft.com (DNS: the DKIM key selector1._domainkey.contoso.example",
	} {
		if !strings.Contains(string(data), from) {
			t.Errorf("it does not say %q:\n%s", from, data)
		}
	}
	got := decode[plan](t, finish(t, e.plainly("plan", "-f", found, "--state-dir", e.state, "-o", "json")).stdout)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("the plan of what was found is another one:\n%s", d)
	}
	if r := finish(t, e.plainly("check", "-f", found, "--state-dir", e.state)); r.code != 0 {
		t.Errorf("check: exit code %d\n%s", r.code, r.stdout)
	}
	// A domain that DNS does not know is no answer, and says so.
	r = finish(t, e.plainly("init", "--discover", "nowhere.example", "-f", filepath.Join(e.dir, "begin.yaml")))
	if r.code != 0 || !strings.Contains(r.stderr, "nowhere.example") {
		t.Errorf("exit code %d: %s", r.code, r.stderr)
	}
}
