package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/lab"
	"github.com/hybridge-cli/hybridge/test/peer"
)

// TestClientsAgreeWithTheVerdict plants faults of lookups, and requests the same calendars of the
// same servers with exchangelib and DavMail: what works there works here, and what is refused there
// is a failed lookup here. VERDICTS=all takes every fault of the lab.
func TestClientsAgreeWithTheVerdict(t *testing.T) {
	const python = "/usr/bin/python3" // Debian's own, which has Debian's modules
	if err := exec.Command(python, "-c", "import exchangelib").Run(); err != nil {
		peer.Missing(t, "exchangelib", "python3-exchangelib")
	}
	failed := 0
	for _, f := range lab.Faults() {
		some := len(f.Turns) == 0 || strings.HasPrefix(f.ID, "lookup.") || f.ID == "tenant.ews-off"
		if f.Passes || f.Message || !some && os.Getenv("VERDICTS") != "all" {
			continue
		}
		t.Run(f.ID, func(t *testing.T) {
			e := startLab(t, "--fault", f.ID)
			e.run(t, "apply", "--yes") // some faults stop it; the lookups say the same then
			verdicts := decode[struct {
				Matrix []struct{ From, To, Direction, Probe, Status, Error string }
			}](t, e.run(t, "test", "-o", "json").stdout).Matrix
			for _, forest := range e.facts(t).Forests {
				for _, v := range verdicts {
					if v.Probe != "ews" || v.To != forest.Remote || !strings.HasPrefix(v.Direction, forest.Name+" ->") {
						continue
					}
					merged := e.exchangelib(t, python, forest.Domain, forest.User, forest.Password, forest.Remote)[v.To]
					status, body := e.davMail(t, forest.Domain, forest.User, forest.Password, forest.Remote)
					seen := map[string]bool{"exchangelib": merged != "" && strings.Trim(merged, "01234") == "",
						"DavMail": busy(body, v.To)}
					// A calendar that is shown, and shown wrongly or for anyone, is a failed lookup: these
					// clients compare nothing.
					wrong := v.Status == "failed" && (strings.Contains(v.Error, "shifted") ||
						strings.Contains(v.Error, "prove nothing"))
					for client, works := range seen {
						if works != (v.Status == "ok") && !wrong {
							t.Errorf("%s: %s sees the calendar: %v (%s), hybridge: %s %s", v.To, client, works, status,
								v.Status, v.Error)
						}
					}
					if v.Status != "ok" {
						failed++
					}
				}
			}
		})
	}
	if failed == 0 && !t.Failed() {
		t.Error("no fault made a lookup fail: nothing was compared")
	}
}

// exchangelib requests calendars of a forest's EWS, without autodiscover.
func (e *estate) exchangelib(t *testing.T, python, domain, user, password string, others ...string) map[string]string {
	t.Helper()
	dir := t.TempDir()
	c := exec.Command(python, append([]string{"-W", "ignore", "testdata/freebusy.py", filepath.Join(e.dir, "lab.json"),
		"direct:https://mail." + domain + "/EWS/Exchange.asmx", "ntlm", user, e.secret(t, password)}, others...)...)
	c.Env = append(os.Environ(), "REQUESTS_CA_BUNDLE="+filepath.Join(e.dir, "ca.pem"), "TMPDIR="+dir, "HOME="+dir,
		"PYTHONDONTWRITEBYTECODE=1", "NO_PROXY=*")
	var stderr strings.Builder
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil { // the request as a whole failed
		t.Logf("exchangelib: %v: %s", err, tail(stderr.String()))
		return nil
	}
	return decode[struct{ Merged map[string]string }](t, string(out)).Merged
}
