package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/lab"
)

// missing says what a test needs and does not have. Where everything has to run, that is a failure.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing", what)
	}
	t.Skipf("NOT TESTED: %s is missing", what)
}

type labFacts struct {
	Endpoints map[string]string
	Forests   []struct{ Name, Domain, Account, User, Remote, Password string }
}

func (e *estate) facts(t *testing.T) labFacts {
	t.Helper()
	var f labFacts
	content, err := os.ReadFile(filepath.Join(e.dir, "lab.json"))
	if err == nil {
		err = json.Unmarshal(content, &f)
	}
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (e *estate) secret(t *testing.T, reference string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(e.dir, strings.TrimPrefix(reference, "file:")))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(content))
}

// TestExchangelibAgainstTheLab has a client that others wrote find its way by autodiscover and ask for somebody in the same forest and somebody in
// the tenant, with Basic and with NTLM.
func TestExchangelibAgainstTheLab(t *testing.T) {
	const python = "/usr/bin/python3" // Debian's own, which has Debian's modules
	if err := exec.Command(python, "-c", "import exchangelib").Run(); err != nil {
		missing(t, "exchangelib (python3-exchangelib)")
	}
	e := startLab(t)
	e.must(t, 0, "apply", "--yes")
	type answer struct {
		Endpoint string
		Merged   map[string]string
	}
	for _, f := range e.facts(t).Forests {
		want := answer{"https://mail." + f.Domain + "/EWS/Exchange.asmx", map[string]string{
			f.User: lab.Merged(f.User, time.Now()), f.Remote: lab.Merged(f.Remote, time.Now()), "nobody@" + f.Domain: "error ErrorMailRecipientNotFound",
		}}
		for _, discovery := range []string{"pox", "soap"} {
			for _, scheme := range []string{"basic", "ntlm"} {
				t.Run(f.Name+" "+discovery+" "+scheme, func(t *testing.T) {
					dir := t.TempDir()
					c := exec.Command(python, "-W", "ignore", "testdata/freebusy.py", filepath.Join(e.dir, "lab.json"), discovery, scheme, f.User, e.secret(t, f.Password), f.Remote, "nobody@"+f.Domain)
					// A directory for temporary files of its own: exchangelib keeps a cache there from run to run.
					c.Env = append(os.Environ(), "REQUESTS_CA_BUNDLE="+filepath.Join(e.dir, "ca.pem"), "TMPDIR="+dir, "HOME="+dir, "PYTHONDONTWRITEBYTECODE=1", "NO_PROXY=*")
					var stderr strings.Builder
					c.Stderr = &stderr
					out, err := c.Output()
					if err != nil {
						t.Fatalf("exchangelib: %v\n%s", err, tail(stderr.String()))
					}
					if d := cmp.Diff(want, decode[answer](t, string(out))); d != "" {
						t.Error(d)
					}
				})
			}
		}
	}
}
