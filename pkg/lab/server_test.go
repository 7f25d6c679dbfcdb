package lab

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/lab/organization"
	"github.com/hybridge-cli/hybridge/pkg/wire/psrp"
)

// two starts a lab whose forests have two Exchange servers each.
func two(t *testing.T, faults ...string) *Lab {
	t.Helper()
	l, err := Start(t.Context(), Options{Dir: t.TempDir(), Users: 20, Servers: 2, Faults: faults})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// TestServersOfAForest: each server shows its own certificates and answers under its own name. The
// published names lead to both.
func TestServersOfAForest(t *testing.T) {
	l := two(t)
	f := l.contoso()
	at := func(s *exchangeServer, name string, pairs ...any) ([]exchange.Object, error) {
		c := exchange.Command{Name: name, Parameters: map[string]any{}}
		for i := 0; i+1 < len(pairs); i += 2 {
			c.Parameters[pairs[i].(string)] = pairs[i+1]
		}
		found, _, err := f.org.Run(t.Context(), organization.Caller{Host: s.host}, c)
		return found, err
	}
	one, other := f.exchange[0], f.exchange[1]
	for _, s := range f.exchange {
		found, err := at(s, "Get-ExchangeCertificate")
		if err != nil || len(found) != 3 {
			t.Errorf("%s shows %d certificates: %v", s.name(), len(found), err)
		}
	}
	thumbprint := certificate.Thumbprint(other.own.cert)
	if _, err := at(one, "Get-ExchangeCertificate", "Thumbprint", thumbprint); err == nil {
		found, _ := at(one, "Get-ExchangeCertificate", "Thumbprint", thumbprint)
		if len(found) > 0 {
			t.Error("EX1 shows a certificate of EX2")
		}
	}
	if found, err := at(one, "Get-ExchangeCertificate", "Server", "ex2.contoso.example"); err != nil || len(found) != 3 {
		t.Errorf("of EX2, asked at EX1: %d, %v", len(found), err)
	}
	if _, err := at(one, "Get-ExchangeCertificate", "Server", "EX3"); err == nil {
		t.Error("a server that is not there has a store")
	}
	made, err := at(other, "New-ExchangeCertificate", "SubjectName", "CN=made", "Services", "None",
		"PrivateKeyExportable", true)
	if err != nil || len(made) != 1 {
		t.Fatal(made, err)
	}
	if found, _ := at(one, "Get-ExchangeCertificate"); len(found) != 3 {
		t.Error("what is made at EX2 is at EX1")
	}
	if found, _ := at(other, "Get-ExchangeCertificate"); len(found) != 4 {
		t.Error("what is made at EX2 is not there")
	}

	answered := map[string]int{}
	for _, address := range []string{"https://" + f.mail, "https://" + f.mail, "https://" + one.host,
		"https://" + other.host} {
		client := l.way.Client(nil)
		response, err := client.Get(address + "/EWS/Exchange.asmx")
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		client.CloseIdleConnections()
		if response.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: %s", address, response.Status)
		}
		answered[response.Header.Get("X-FEServer")]++
	}
	if answered["EX1"] != 2 || answered["EX2"] != 2 {
		t.Errorf("answers: %v", answered)
	}
}

// TestSessionsOfServers: remote PowerShell runs at the server whose name it is opened with.
func TestSessionsOfServers(t *testing.T) {
	l := two(t)
	f := l.contoso()
	password, _ := f.password("svc-hybridge")
	for _, s := range f.exchange {
		session, err := exchange.NewRemote(exchange.RemoteOptions{Name: f.name, PSRP: psrp.Options{
			URL: "https://" + s.host + "/PowerShell/", User: f.account(), Password: secret.NewValue(password),
			Dial: l.way.DialContext, TLS: l.way.TLS(s.host)}})
		if err != nil {
			t.Fatal(err)
		}
		found, err := session.Run(t.Context(), exchange.Command{Name: "Get-ExchangeCertificate"})
		if err != nil || len(found) != 3 {
			t.Fatal(len(found), err)
		}
		var mine bool
		for _, o := range found {
			raw, _ := o.Bytes("RawData")
			mine = mine || string(raw) == string(s.own.cert.Raw)
		}
		if !mine {
			t.Errorf("the session at %s shows the store of another server", s.host)
		}
		_, err = session.Run(t.Context(), exchange.Command{Name: "Get-Mailbox", Parameters: map[string]any{"Identity": "x"}})
		if err == nil || !strings.Contains(err.Error(), "couldn't be found") {
			t.Error(err)
		}
		_ = session.Close(t.Context())
	}
}

// TestMailOfServers: mail comes in at either server and reaches every mailbox; a server sends by
// itself where the connector has it among its source servers, and by way of another one else.
func TestMailOfServers(t *testing.T) {
	l := two(t)
	if err := l.begin(t.Context(), Wizard); err != nil {
		t.Fatal(err)
	}
	f := l.contoso()
	var here []*mailbox
	for _, m := range f.users {
		if !m.remote && len(here) < 2 {
			here = append(here, m)
		}
	}
	if f.homeOf(here[0].primary) == f.homeOf(here[1].primary) {
		t.Fatal("two mailboxes of one server")
	}
	moved := f.moved().primary
	for i, m := range here {
		for n := range 2 { // the load balancer takes turns
			subject := "down " + m.account + string(rune('0'+n))
			if _, err := l.tenant.post.Submit(moved, []string{m.primary}, subject, "hello\r\n"); err != nil {
				t.Fatal(err)
			}
			arrives(t, f.post, m.primary, subject)
		}
		for _, sources := range [][]string{{"EX1", "EX2"}, {"EX1"}, {"EX2"}} {
			for _, c := range f.org.Objects("SendConnector") {
				c.Set("SourceTransportServers", sources)
			}
			subject := "up " + m.account + strings.Join(sources, "+")
			if _, err := f.post.Submit(m.primary, []string{moved}, subject, "hello\r\n"); err != nil {
				t.Fatal(err)
			}
			got := arrives(t, l.tenant.post, moved, subject)
			hops := strings.Join(got.Header.All("Received"), "\n")
			home := f.homeOf(m.primary)
			if want := slices.Contains(sources, home.name()); want == strings.Contains(hops,
				"by "+f.exchange[1-i].host) {
				t.Errorf("from %s by %v:\n%s", home.name(), sources, hops)
			}
		}
	}
}

// TestAuthCertificateIsDistributed: Set-AuthConfig takes a certificate of the server that runs it, and
// Exchange brings it to the other one.
func TestAuthCertificateIsDistributed(t *testing.T) {
	l := two(t)
	f := l.contoso()
	do := func(s *exchangeServer, name string, parameters map[string]any) error {
		_, _, err := f.org.Run(t.Context(), organization.Caller{Host: s.host},
			exchange.Command{Name: name, Parameters: parameters})
		return err
	}
	one, other := f.exchange[0], f.exchange[1]
	if err := do(other, "New-ExchangeCertificate", map[string]any{"SubjectName": "CN=next", "Services": "None",
		"PrivateKeyExportable": true}); err != nil {
		t.Fatal(err)
	}
	thumbprint := certificate.Thumbprint(other.keys[len(other.keys)-1].cert)
	set := map[string]any{"NewCertificateThumbprint": thumbprint, "NewCertificateEffectiveDate": "2030-01-01",
		"Force": true}
	if err := do(one, "Set-AuthConfig", set); err == nil {
		t.Error("EX1 stages a certificate that it does not have")
	}
	if err := do(other, "Set-AuthConfig", set); err != nil {
		t.Fatal(err)
	}
	if one.stored(thumbprint) == nil {
		t.Error("it has not come to EX1")
	}
	if err := do(one, "Set-AuthConfig", map[string]any{"PublishCertificate": true}); err != nil {
		t.Fatal(err)
	}
	for _, s := range f.exchange {
		if key, err := s.signingKey(); err != nil || certificate.Thumbprint(key.cert) != thumbprint {
			t.Errorf("%s signs with %v, %v", s.name(), key, err)
		}
	}
}

// TestServersRefused: numbers of servers that the lab does not have.
func TestServersRefused(t *testing.T) {
	for _, n := range []int{-1, 9} {
		if _, err := Start(t.Context(), Options{Dir: t.TempDir(), Servers: n}); err == nil {
			t.Errorf("%d servers", n)
		}
	}
}
