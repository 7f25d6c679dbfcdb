package prereq

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// The finding states the fault of the certificate itself, and not where its chain ends.
func TestTransportIsToldByItsOwnFault(t *testing.T) {
	for _, test := range []struct {
		name string
		leaf leaf
		want string
	}{
		{"ended", leaf{to: today.AddDate(0, 0, -1)}, " ended on "},
		{"not yet", leaf{from: today.AddDate(0, 0, 1)}, " is not valid before "},
		{"self-signed", leaf{selfSigned: true}, " is self-signed: Exchange Online does not trust it"},
		{"short", leaf{to: today.AddDate(0, 0, 29)}, " ends in 29 days"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, ca := healthy(t)
			transport(test.leaf)(t, f, ca)
			_, report := outcome(t, f)
			for _, r := range report.Results {
				if r.ID == "certificates.transport" && r.Scope == "contoso" &&
					!strings.Contains(r.Summary.String(), test.want) {
					t.Errorf("says %q", r.Summary)
				}
			}
		})
	}
}

// Where the answers name a certificate file, a firewall that drops port 25 costs seconds and not
// the check.
func TestServedCertificateIsNotWaitedFor(t *testing.T) {
	_, ca := healthy(t)
	file := ca.issue(t, leaf{cn: "mail.contoso.com"})
	synctest.Test(t, func(t *testing.T) {
		set := fact.New(answers.Answers{Forests: []answers.Forest{{Name: "contoso",
			Namespace: answers.Namespace{SMTP: "mail.contoso.com"}}}}, cloud.Cloud{})
		fact.CertificateFile.Seed(set.Forests[0], file, nil)
		fact.MailServers.SeedAll(set.Network, func(string) (fact.MailServer, error) {
			time.Sleep(10 * time.Minute)
			return fact.MailServer{}, link.ErrUnreachable
		})
		begun := time.Now()
		seen, err := transportCertificates(t.Context(), set, set.Forests[0])
		if found := seen.certificates; err != nil || len(found) != 1 || found[0].source != "file" {
			t.Errorf("%v, %v", found, err)
		}
		if took := time.Since(begun); took > probeLimit {
			t.Errorf("took %s", took)
		}
		time.Sleep(time.Hour) // the probe that the check no longer waits for ends by itself
	})
}
