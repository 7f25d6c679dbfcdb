package deployment

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/estate/workmail"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/diagnose"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/prereq"
	"github.com/hybridge-cli/hybridge/pkg/lab"
)

// workMailItems are the prerequisites of WorkMail by their ids in the reference of the project, with
// the checks that judge each.
var workMailItems = map[string][]string{
	"WM-EOL":     {"workmail.end-of-support"},
	"WM-CRED":    {"access.workmail-read"},
	"WM-ORG":     {"workmail.organization"},
	"WM-INTEROP": {"workmail.interoperability"},
	"WM-ADC":     {"workmail.directory"},
	"WM-ALIAS":   {"workmail.new-directory"},
	"WM-1USER":   {"workmail.enabled-user"},
	"WM-SVCWM":   {"workmail.service-account"},
	"WM-SVCEX":   {"workmail.exchange-account"},
	"WM-DOM":     {"workmail.domains"},
	"WM-TXT":     {"workmail.ownership-record"},
	"WM-MX":      {"workmail.mx"},
	"WM-ADNS":    {"workmail.autodiscover-dns"},
	"WM-UPN":     {"directory.upn-matches-primary"},
	"WM-TWOADDR": {"workmail.addresses"},
	"WM-EWSURL":  {"workmail.provider"},
	"WM-443":     {"workmail.provider"},
	"WM-CERT":    {"workmail.provider", "certificates.transport"},
	"WM-BASIC":   {"workmail.basic"},
	"WM-EWSORG":  {"workmail.ews-allowed"},
	"WM-CALPERM": {"workmail.calendar-permissions"},
	"WM-PWCHARS": {"workmail.password-characters"},
	"WM-OUTNET":  {"workmail.front-ends"},
	"WM-SEND":    {"workmail.send-connector"},
	"WM-IDC":     {"workmail.identity", "workmail.token"},
	"WM-ACR":     {"workmail.access-rules"},
	"WM-RES":     {"workmail.resources"},
	"WM-4H":      {"workmail.users-visible"},
	"WM-MIG":     {"workmail.target-addresses"},
	"WM-LIM":     {"workmail.quotas"},
	"WM-ONEDIR":  {"workmail.one-directory"},
	"WM-ADDR":    nil, // answers: TestWorkMailFaults of pkg/config/answers
	"WM-RO":      nil, // TestWorkMailItems: no operation writes to the directory
	"WM-EP":      nil, // what WorkMail uses, Basic, is not concerned
	"WM-MXNOISE": nil, // the texts of workmail.mx and workmail.autodiscover-dns say it
}

// elsewhere are checks that no fault of the lab turns, with the test that turns them.
var elsewhere = map[string]string{
	"workmail.end-of-support": "TestEndOfSupport",
	"access.workmail-read":    "TestWorkMailCredential",
	"workmail.way-out":        "TestLeaveWorkMail",
}

// TestWorkMailItems: every prerequisite has a check, and every check of WorkMail has a fault that
// turns it, on which TestWorkMailFaults looks.
func TestWorkMailItems(t *testing.T) {
	turned := func(id string) bool {
		return elsewhere[id] != "" || slices.ContainsFunc(lab.Faults(), func(f lab.Fault) bool {
			return slices.Contains(f.Turns, lab.CheckID(id))
		})
	}
	known := map[string]bool{}
	for _, c := range prereq.Checks() {
		known[string(c.ID)] = true
		if strings.HasPrefix(string(c.ID), "workmail.") && !turned(string(c.ID)) {
			t.Errorf("no fault turns %s", c.ID)
		}
	}
	for item, checks := range workMailItems {
		for _, id := range checks {
			if !known[id] || !turned(id) {
				t.Errorf("%s: %s is no check, or no fault turns it", item, id)
			}
		}
	}
	for _, write := range []string{"CreateUser", "UpdateUser", "DeleteUser", "ResetPassword", "CreateGroup", "DeleteGroup",
		"CreateResource", "DeleteResource", "CreateAlias", "DeleteAlias", "UpdatePrimaryEmailAddress"} {
		if slices.Contains(workmail.Operations(), write) {
			t.Errorf("%s writes to the directory, which an AD Connector only reads", write)
		}
	}
}

// TestWorkMailCauses: what the reference has seen fail has a cause in the knowledge base, and a
// fault of the lab where it can be simulated.
func TestWorkMailCauses(t *testing.T) {
	for _, c := range []struct {
		number string
		cause  diagnose.ID
		fault  string // empty: what other programs meet, not hybridge
	}{
		{"1", "workmail.provider-unusable", "workmail.provider-unreachable"},
		{"2", "certificate.not-public", "workmail.certificate-private"},
		{"3", "workmail.basic-off", "workmail.basic-off"},
		{"3", "workmail.provider-unusable", "workmail.provider-account"},
		{"4", "workmail.ews-version", ""},
		{"6", "workmail.front-end", "workmail.autodiscover-refuses"},
		{"7", "workmail.no-interoperability", "workmail.no-interoperability"},
		{"8", "workmail.dns-moved", "workmail.mx-moved"},
		{"8", "workmail.dns-moved", "workmail.autodiscover-moved"},
		{"9", "workmail.target-address", "workmail.target-address"},
		{"10", "domain.not-verified", "workmail.domain-pending"},
		{"11", "workmail.sync-pending", "workmail.sync-pending"},
		{"12", "workmail.group-refuses", "workmail.group-closed"},
		{"13", "workmail.winmail", ""},
		{"14", "mailbox.calendar-permission", "workmail.calendar-hidden"},
		{"15", "workmail.identity-center", "workmail.identity-center"},
		{"15", "workmail.token-expired", "workmail.token-expired"},
		{"16", "workmail.rules-refuse", "workmail.rules-gone"},
		{"18", "workmail.function-refused", "workmail.function-anonymous"},
		{"18", "workmail.function-slow", ""},
		{"19", "workmail.not-enabled", "workmail.nobody-enabled"},
	} {
		if _, known := diagnose.Find(c.cause); !known {
			t.Errorf("cause %s: there is no diagnosis %s", c.number, c.cause)
		}
		if c.fault != "" && !slices.ContainsFunc(lab.Faults(), func(f lab.Fault) bool {
			return f.ID == c.fault && f.Diagnosis == lab.DiagnosisID(c.cause)
		}) {
			t.Errorf("cause %s: no fault %s with the diagnosis %s", c.number, c.fault, c.cause)
		}
	}
}

// TestWorkMailCredential: an access key that AWS does not know ends in a missing right to read, and
// nothing of WorkMail is judged.
func TestWorkMailCredential(t *testing.T) {
	var l *lab.Lab
	openLabAs(t, lab.Options{Forests: 1, Clouds: []string{lab.WorkMail}}, &l)
	for _, right := range []bool{true, false} {
		a, err := answers.Load(t.Context(), l.Answers())
		if err != nil {
			t.Fatal(err)
		}
		if !right {
			t.Setenv("WRONG_KEY", "wrong")
			a.WorkMail.Credential.Secret = "env:WRONG_KEY"
		}
		d, err := Open(a, Options{Dir: filepath.Dir(l.Answers()), StateDir: t.TempDir(), Version: "test",
			Only: []string{"access.workmail-read", "workmail.organization"}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = d.Close(t.Context()) })
		r, err := d.Check(t.Context(), &events{})
		if err != nil {
			t.Fatal(err)
		}
		for _, result := range r.Results {
			want := check.StatusPass
			if !right {
				want = map[check.ID]check.Status{"access.workmail-read": check.StatusError}[result.ID]
				if result.ID == "workmail.organization" {
					want = check.StatusSkip
				}
			}
			if result.Status != want {
				t.Errorf("right %v: %s %s %s", right, result.Status, result.ID, result.Summary)
			}
		}
	}
}
