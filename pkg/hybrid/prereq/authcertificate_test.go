package prereq

import (
	"crypto/x509"
	"slices"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// An auth certificate that is missing or expired is replaced immediately by a valid one of a
// server. A staged and overdue one is published.
func TestAuthCertificateNow(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(a *fact.AuthConfig, current, valid *x509.Certificate)
		want  check.Status
		runs  string
	}{
		"on no server": {func(a *fact.AuthConfig, _, valid *x509.Certificate) {
			a.Servers["EX1"] = []*x509.Certificate{valid}
		}, check.StatusFail, "-NewCertificateEffectiveDate (Get-Date)"},
		"ended": {func(a *fact.AuthConfig, current, valid *x509.Certificate) {
			current.NotAfter = today.AddDate(0, 0, -1)
			a.Servers["EX1"] = []*x509.Certificate{current, valid}
		}, check.StatusFail, "-NewCertificateEffectiveDate (Get-Date)"},
		"ended, with others": {func(a *fact.AuthConfig, current, valid *x509.Certificate) {
			current.NotAfter = today.AddDate(0, 0, -1)
			short, early := *valid, *valid
			short.Raw, short.NotAfter = []byte("ends earlier"), today.AddDate(0, 0, 30)
			early.Raw, early.NotBefore = []byte("not valid yet"), today.AddDate(0, 0, 1)
			early.NotAfter = today.AddDate(5, 0, 0)
			a.Servers["EX1"] = []*x509.Certificate{current, &short, valid, &early}
		}, check.StatusFail, "-NewCertificateEffectiveDate (Get-Date)"},
		"overdue": {func(a *fact.AuthConfig, current, valid *x509.Certificate) {
			a.Next, a.NextEffective = certificate.Thumbprint(valid), today.AddDate(0, 0, -2)
			a.Servers["EX1"] = []*x509.Certificate{current, valid}
		}, check.StatusWarn, "-PublishCertificate"},
	} {
		t.Run(name, func(t *testing.T) {
			set, ca := healthy(t)
			valid := ca.issue(t, leaf{cn: "Microsoft Exchange Server Auth Certificate", selfSigned: true,
				to: today.AddDate(4, 0, 0)}).Leaf
			auth, err := fact.Auth.In(t.Context(), set.Forests[0])
			if err != nil {
				t.Fatal(err)
			}
			test.spoil(&auth, auth.Certificates()[0], valid)
			fact.Auth.Seed(set.Forests[0], auth, nil)
			at := slices.IndexFunc(certificateChecks, func(c Check) bool { return c.ID == "certificates.auth" })
			r := certificateChecks[at].Run(t.Context(), Input{Set: set, Forest: set.Forests[0]})
			commands := strings.Join(r.Remedy.Commands, "\n")
			if r.Status != test.want || !strings.Contains(commands, test.runs) ||
				!strings.Contains(commands, "-ClearPreviousCertificate") {
				t.Errorf("%s: %s\n%s\n%s", r.Status, r.Summary, r.Remedy.Text, commands)
			}
			if test.want == check.StatusFail && !strings.Contains(commands, certificate.Thumbprint(valid)) {
				t.Errorf("the valid certificate is not named:\n%s", commands)
			}
		})
	}
}

// A next certificate that becomes current when the present one has ended leaves a gap.
func TestAuthCertificateStagedTooLate(t *testing.T) {
	set, ca := healthy(t)
	next := ca.issue(t, leaf{cn: "Microsoft Exchange Server Auth Certificate", selfSigned: true,
		to: today.AddDate(4, 0, 0)}).Leaf
	auth, err := fact.Auth.In(t.Context(), set.Forests[0])
	if err != nil {
		t.Fatal(err)
	}
	current, _ := auth.Certificate(auth.Current)
	auth.Next = certificate.Thumbprint(next)
	for server := range auth.Servers {
		auth.Servers[server] = append(auth.Servers[server], next)
	}
	at := slices.IndexFunc(certificateChecks, func(c Check) bool { return c.ID == "certificates.auth" })
	for days, want := range map[int]check.Status{-1: check.StatusPass, 1: check.StatusWarn} {
		auth.NextEffective = current.NotAfter.AddDate(0, 0, days)
		fact.Auth.Seed(set.Forests[0], auth, nil)
		if r := certificateChecks[at].Run(t.Context(), Input{Set: set, Forest: set.Forests[0]}); r.Status != want {
			t.Errorf("%d days after: %s, %s", days, r.Status, r.Summary)
		}
	}
}
