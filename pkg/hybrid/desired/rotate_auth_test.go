package desired

import (
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// A staged certificate becomes current before the present one ends, and lies where Set-AuthConfig
// looks for it: in the store of the server that runs the cmdlet.
func TestStagedAuthCertificate(t *testing.T) {
	for name, test := range map[string]struct {
		left, effective int // days
		connected       string
		server          string
		notes           int
	}{
		"two years":           {730, 30, "ex2.contoso.internal", "EX2", 0},
		"one month":           {32, 30, "EX1", "EX1", 0},
		"less":                {31, 4, "ex1.contoso.internal", "EX1", 0},
		"four days":           {4, 2, "ex1", "EX1", 0},
		"ends tomorrow":       {1, 1, "ex1", "EX1", 0},
		"ended":               {-9, 1, "ex1", "EX1", 0},
		"behind another name": {730, 30, "exchange.contoso.internal", "EX1", 1},
	} {
		t.Run(name, func(t *testing.T) {
			a := testAnswers()
			a.Forests = a.Forests[:1]
			a.Forests[0].Exchange.Server = test.connected
			set := testFacts().set(a, worldwide(t))
			day := set.Now().UTC().Truncate(24 * time.Hour)
			current := &x509.Certificate{Raw: []byte("current"), NotAfter: day.AddDate(0, 0, test.left)}
			fact.Auth.Seed(set.Forests[0], fact.AuthConfig{Current: certificate.Thumbprint(current),
				Servers: fact.Stores{"EX1": {current}, "EX2": {current}}}, nil)
			d, err := Rotate(t.Context(), set, Rotation{Auth: StageAuth})
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]change.Properties{}
			for _, r := range d.Resources {
				got[r.Kind.Noun] = r.Properties
			}
			want := day.AddDate(0, 0, test.effective).Format("2006-01-02T15:04:05Z")
			if at := got["AuthConfig"]["NextCertificateEffectiveDate"]; at != want {
				t.Errorf("effective %v, want %s", at, want)
			}
			if at := got["AuthCertificate"]["Server"]; at != test.server {
				t.Errorf("made on %v", at)
			}
			if len(d.Notes) != test.notes+1 { // the application is not there
				t.Errorf("notes: %v", d.Notes)
			}
		})
	}
}

// Exchange asks before it uses a certificate within two days, or at once, and takes Force alone for an
// answer.
func TestAuthConfigForces(t *testing.T) {
	live := change.Live{Properties: change.Properties{"NextCertificateThumbprint": "NEXT"}}
	for name, want := range map[string]change.Properties{
		"NewCertificateThumbprint": {"NextCertificateThumbprint": "A", "NextCertificateEffectiveDate": "2026-01-01T00:00:00Z"},
		"CertificateThumbprint":    {"CurrentCertificateThumbprint": "B"},
	} {
		c, err := authConfig.Command(change.Update, "Auth Configuration", want, &live)
		if err != nil || c.Parameters[name] == nil || c.Parameters["Force"] != true {
			t.Errorf("%s: %v, %v", name, c, err)
		}
	}
}

// By a name two labels below an accepted domain, Exchange Online attributes mail to no tenant.
func TestAttributable(t *testing.T) {
	accepted := []fact.AcceptedDomain{{Name: "contoso.com"}, {Name: "fabrikam.com", SubDomains: true}}
	for name, want := range map[string]bool{
		"contoso.com": true, "Mail.Contoso.com": true, "*.contoso.com": true, "*.eu.contoso.com": false,
		"mail.eu.contoso.com": false, "mail.eu.fabrikam.com": true, "xcontoso.com": false,
		"mail.xfabrikam.com": false, "com": false, "": false,
	} {
		if attributable(name, accepted) != want {
			t.Errorf("%q: want %v", name, want)
		}
	}
}

// A refresh that fails is made up for by time. Any other follow-up that fails is not.
func TestFailedFollowUps(t *testing.T) {
	for name, want := range map[string]string{"Get-ExchangeDiagnosticInfo": "within the hour",
		"Enable-ExchangeCertificate": "by hand", updateEmailAddressPolicy: "by hand"} {
		if got := Exchange.Later(change.Command{Name: name}); !strings.Contains(got, want) {
			t.Errorf("%s: %s", name, got)
		}
	}
}
