package desired

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/wire/dns"
	"github.com/hybridge-cli/hybridge/pkg/wire/smtp"
)

const contosoGUID = "aaaaaaaa-0000-0000-0000-000000000001" // contosoOrg, as names of connectors have it

// renewing is a forest with mail flow, of which a test changes what it is about, and the rotation of
// its transport certificate.
type renewing struct {
	*testing.T
	set     *fact.Set
	forest  *fact.Side
	key     crypto.Signer
	present *x509.Certificate // in the stores of both servers
	r       Rotation
}

func newRenewing(t *testing.T) *renewing {
	t.Helper()
	a := testAnswers()
	a.Features = append(a.Features, answers.SecureMail)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	e := &renewing{T: t, set: testFacts().set(a, worldwide(t)), key: key}
	e.forest, e.set.Roots = e.set.Forests[0], x509.NewCertPool()
	e.present = e.issue("CA 1", "mail.contoso.com", nil).Leaf
	name := certificate.IdentifierOf(e.present).String()
	fact.OnlineAcceptedDomains.Seed(e.set.Tenant, []fact.AcceptedDomain{{Name: "contoso.mail.onmicrosoft.com",
		Coexistence: true}, {Name: "contoso.com"}}, nil)
	e.stores(fact.Stores{"EX1": {e.present}, "EX2": {e.present}})
	fact.SendConnectors.Seed(e.forest, []fact.SendConnector{
		{Name: "To the tenant", CloudHeader: true, TLSCertificateName: name},
		{Name: "To a partner", TLSCertificateName: "<I>CN=CA<S>CN=partner.contoso.com"}}, nil)
	fact.ReceiveConnectors.Seed(e.forest, []fact.ReceiveConnector{
		{Identity: `EX1\From the tenant`, Server: "EX1", TLSCertificateName: name,
			Capabilities: []string{"mail.protection.outlook.com:AcceptCloudServicesMail"}},
		{Identity: `EX1\Devices`, Server: "EX1", TLSCertificateName: "<I>CN=CA<S>CN=devices.contoso.com"}}, nil)
	fact.HybridConfigurations.Seed(e.forest, fact.HybridConfiguration{Exists: true, CertificateName: name}, nil)
	e.known(fact.InboundConnector{Name: "Inbound from " + contosoGUID, Type: "OnPremises",
		CertificateName: "mail.contoso.com"})
	fact.OutboundConnectors.Seed(e.set.Tenant, []fact.OutboundConnector{{Name: "To a partner", Type: "Partner"},
		{Name: "Outbound to " + contosoGUID, Type: "OnPremises"}}, nil)
	fact.TLSA.SeedAll(e.set.Network, func(string) (dns.Answer, error) { return dns.Answer{}, dns.ErrAbsent })
	for _, f := range e.set.Forests {
		fact.CertificateFile.Seed(f, certificate.Bundle{}, fact.ErrNotConfigured)
	}
	e.r = Rotation{Forest: "contoso", Transport: &TransportCertificate{File: "new.pfx", Services: []string{"SMTP"}}}
	return e
}

// issue makes a certificate that ends in a year, and trusts its authority.
func (e *renewing) issue(authority, name string, with func(*x509.Certificate)) certificate.Bundle {
	e.Helper()
	signed := func(c, by *x509.Certificate) *x509.Certificate {
		der, err := x509.CreateCertificate(rand.Reader, c, by, e.key.Public(), e.key)
		if err != nil {
			e.Fatal(err)
		}
		c, err = x509.ParseCertificate(der)
		if err != nil {
			e.Fatal(err)
		}
		return c
	}
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: authority}, IsCA: true,
		BasicConstraintsValid: true, NotBefore: now.AddDate(-9, 0, 0), NotAfter: now.AddDate(9, 0, 0)}
	root = signed(root, root)
	e.set.Roots.AddCert(root)
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name},
		DNSNames: []string{name, "mail.contoso.com"}, NotBefore: now.AddDate(0, -1, 0), NotAfter: now.AddDate(1, 0, 0)}
	if with != nil {
		with(leaf)
	}
	return certificate.Bundle{Leaf: signed(leaf, root), Chain: []*x509.Certificate{root}, Key: e.key}
}

func (e *renewing) stores(s fact.Stores) { fact.CertificateStores.Seed(e.forest, s, nil) }

// known are the inbound connectors of the tenant; the first is that of the record.
func (e *renewing) known(inbound ...fact.InboundConnector) {
	fact.InboundConnectors.Seed(e.set.Tenant, inbound, nil)
	fact.HybridOrganizations.Seed(e.set.Tenant, []fact.HybridOrganization{{Name: "another", GUID: fabrikam,
		Inbound: "x", Outbound: "y"}, {Name: contosoGUID, GUID: "{" + contosoOrg + "}", Inbound: inbound[0].Name,
		Outbound: "Outbound to " + contosoGUID}}, nil)
}

func (e *renewing) rotate() (Derived, error) {
	e.Helper()
	return Rotate(e.Context(), e.set, e.r)
}

// planned are the ids of the resources in their sequence.
func (e *renewing) planned() (Derived, []string) {
	e.Helper()
	d, err := e.rotate()
	if err != nil {
		e.Fatal(err)
	}
	var out []string
	for _, r := range d.Resources {
		id := r.Kind.Noun + " " + r.Name
		if r.Absent {
			id = "no " + id
		}
		out = append(out, id)
	}
	return d, out
}

// A certificate that would stop mail is refused, each for its own reason.
func TestTransportCertificateRefused(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*x509.Certificate)
		spoil  func(*renewing)
		want   string // empty: it is taken
	}{
		"a good one":     {},
		"no key":         {spoil: func(e *renewing) { e.r.Transport.Key = nil }, want: "holds no private key"},
		"not valid yet":  {change: func(c *x509.Certificate) { c.NotBefore = now.Add(time.Hour) }, want: "is valid from"},
		"ended":          {change: func(c *x509.Certificate) { c.NotAfter = now }, want: "ended on 2026-11-22"},
		"no common name": {change: func(c *x509.Certificate) { c.Subject.CommonName = "" }, want: "no common name"},
		"for clients alone": {change: func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		}, want: "is not for servers"},
		"of a stranger": {spoil: func(e *renewing) { e.set.Roots = x509.NewCertPool() }, want: "intermediate certificates"},
		"of the other forest": {spoil: func(e *renewing) {
			fact.CertificateFile.Seed(e.set.Forests[1], e.issue("CA 3", "MAIL2.contoso.com", nil), nil)
		}, want: "of one name"},
		"of its own forest": {spoil: func(e *renewing) {
			fact.CertificateFile.Seed(e.forest, e.r.Transport.Bundle, nil)
		}},
		"without a name of an exchanger": {spoil: func(e *renewing) {
			e.stores(fact.Stores{"EX1": {e.issue("CA 1", "mail.contoso.com",
				func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, "mx.contoso.com") }).Leaf}})
			e.exchangers("MX.contoso.com.")
		}, want: "mx.contoso.com takes mail"},
		"with another server's exchanger": {spoil: func(e *renewing) { e.exchangers("mx.filter.example") }},
		"exchangers unknown": {spoil: func(e *renewing) {
			fact.MX.SeedAll(e.set.Network, func(string) ([]string, error) { return nil, errors.New("no answer") })
		}, want: "no answer"},
		"for web services, without their name": {spoil: func(e *renewing) { e.r.Transport.Services = []string{"iis"} },
			want: "autodiscover.contoso.com: leave IIS out"},
		"ends before one of its name in a store": {spoil: func(e *renewing) {
			e.stores(fact.Stores{"EX1": {e.present}, "EX2": {e.present, e.issue("CA 2", "mail2.contoso.com",
				func(c *x509.Certificate) { c.NotAfter = now.AddDate(2, 0, 0) }).Leaf}})
		}, want: "Exchange uses the one that ends last"},
		"no mail flow": {spoil: func(e *renewing) {
			fact.SendConnectors.Seed(e.forest, nil, nil)
			fact.ReceiveConnectors.Seed(e.forest, []fact.ReceiveConnector{{Identity: `EX1\Devices`,
				TLSCertificateName: certificate.IdentifierOf(e.present).String()}}, nil)
			fact.HybridConfigurations.Seed(e.forest, fact.HybridConfiguration{}, nil)
		}, want: "no connector names a certificate"},
		"stores unknown": {spoil: func(e *renewing) {
			fact.CertificateStores.Seed(e.forest, nil, errors.New("no answer"))
		}, want: "no answer"},
		"no stores": {spoil: func(e *renewing) { e.stores(nil) }, want: "certificate stores"},
	} {
		t.Run(name, func(t *testing.T) {
			e := newRenewing(t)
			e.r.Transport.Bundle = e.issue("CA 2", "mail2.contoso.com", test.change)
			if test.spoil != nil {
				test.spoil(e)
			}
			d, err := e.rotate()
			for _, l := range d.LeftOut {
				if !l.Waits {
					err = errors.Join(err, errors.New(l.Reason.String()))
				}
			}
			switch {
			case test.want == "" && (err != nil || len(d.Resources) == 0):
				t.Errorf("%d resources: %v", len(d.Resources), err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want) || len(d.Resources) > 0):
				t.Errorf("%d resources: %v", len(d.Resources), err)
			}
		})
	}
}

func (e *renewing) exchangers(hosts ...string) {
	fact.MX.SeedAll(e.set.Network, func(string) ([]string, error) { return hosts, nil })
}

// A certificate for servers alone is taken, and the doubt is said.
func TestTransportCertificateForServersAlone(t *testing.T) {
	for _, usage := range [][]x509.ExtKeyUsage{nil, {x509.ExtKeyUsageServerAuth}} {
		e := newRenewing(t)
		e.r.Transport.Bundle = e.issue("CA 2", "mail2.contoso.com",
			func(c *x509.Certificate) { c.ExtKeyUsage = usage })
		d, got := e.planned()
		said := slices.ContainsFunc(d.Notes,
			func(n change.Note) bool { return strings.Contains(n.Text.String(), "is not for clients") })
		if said != (usage != nil) || len(got) == 0 {
			t.Errorf("%v: %q, %v", usage, got, d.Notes)
		}
	}
}

// Without the answer of one server, what is in the stores is not known.
func TestStoresOfEveryServer(t *testing.T) {
	w := newWorld(t)
	w.contoso.objects["ExchangeServer"] = []map[string]any{{"Name": "EX1", "ServerRole": "Mailbox"},
		{"Name": "EDGE1", "ServerRole": "Edge"}}
	if live, err := stores(t.Context(), exchange.ReadOnly(w.contoso)); err != nil || len(live) != 0 ||
		len(w.contoso.commands) != 2 {
		t.Errorf("%v, %v after %v", live, err, w.contoso.commands)
	}
	w.contoso.fail["Get-ExchangeCertificate"] = errors.New("no answer")
	if live, err := stores(t.Context(), exchange.ReadOnly(w.contoso)); err == nil {
		t.Errorf("%v", live)
	}
}

// Each command names the server, asks nothing, and does not overwrite the server's own certificate (Force).
func TestServerCertificateCommands(t *testing.T) {
	want := change.Properties{"Server": "EX1", "Thumbprint": "AB", "FileData": "x", "Services": "SMTP"}
	created, err := serverCertificate.Command(change.Create, "", want, nil)
	if err != nil || created.Parameters["Server"] != "EX1" || created.Parameters["Password"] != nil ||
		len(created.Then) != 1 {
		t.Fatalf("%+v, %v", created, err)
	}
	removed, err := serverCertificate.Command(change.Delete, "", nil, &change.Live{Properties: want})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []change.Command{created.Then[0], removed} {
		if c.Parameters["Server"] != "EX1" || c.Parameters["Thumbprint"] != "AB" || c.Parameters["Confirm"] != false ||
			c.Parameters["Force"] != nil {
			t.Errorf("%+v", c)
		}
	}
	delete(want, "FileData") // as a journal has it
	if c, err := serverCertificate.Command(change.Create, "", want, nil); !errors.Is(err, change.ErrNoOperation) {
		t.Errorf("%+v, %v", c, err)
	}
	for _, c := range []change.Change{{After: change.Properties{"Server": "EX1"}},
		{Before: change.Properties{"Server": "EX1"}}, {Identity: `EX1\AB`}} {
		if find := findInStore(c); find.Parameters["Server"] != "EX1" {
			t.Errorf("%+v: %+v", c, find)
		}
	}
}

// Of two certificates with one issuer and subject, Exchange uses the one that ends last: one that ends
// at the same moment is no successor.
func TestRenewalEndsLater(t *testing.T) {
	for days, refused := range map[int]bool{-1: true, 0: true, 1: false} {
		e := newRenewing(t)
		e.r.Transport.Bundle = e.issue("CA 1", "mail.contoso.com",
			func(c *x509.Certificate) { c.NotAfter = e.present.NotAfter.AddDate(0, 0, days) })
		d, err := e.rotate()
		if (err != nil) != refused || !refused && len(d.Resources) != 5 {
			t.Errorf("%d days later: %d resources, %v", days, len(d.Resources), err)
		}
	}
}

// The tenant learns a new name before a connector presents it, every server has the certificate before
// one names it, and the records follow.
func TestTransportRotationSequence(t *testing.T) {
	e := newRenewing(t)
	e.r.Transport.Bundle = e.issue("CA 2", "mail2.contoso.com", nil)
	e.r.Transport.Password, e.r.Transport.Services = "env:P", []string{"SMTP", "IMAP"}
	d, got := e.planned()
	thumbprint := certificate.Thumbprint(e.r.Transport.Leaf)
	want := []string{
		"OutboundConnector Outbound to " + contosoGUID, "InboundConnector Inbound from " + contosoGUID + " (2)",
		"ServerCertificate " + thumbprint + " at EX1", "ServerCertificate " + thumbprint + " at EX2",
		`ReceiveConnector EX1\From the tenant`, "SendConnector To the tenant", "HybridConfiguration Hybrid Configuration",
		"OnPremisesOrganization " + contosoGUID,
	}
	if !slices.Equal(got, want) {
		t.Fatalf("got  %q\nwant %q", got, want)
	}
	ids := map[string][]string{} // of resources, by noun
	for _, r := range d.Resources {
		ids[r.Kind.Noun] = append(ids[r.Kind.Noun], r.ID())
	}
	for _, r := range d.Resources {
		var needs []string
		switch r.Kind.Noun {
		case "SendConnector", "ReceiveConnector":
			needs = slices.Concat(ids["ServerCertificate"], ids["OutboundConnector"], ids["InboundConnector"])
		case "HybridConfiguration", "OnPremisesOrganization":
			needs = slices.Concat(ids["ReceiveConnector"], ids["SendConnector"])
		}
		for _, id := range needs {
			if !slices.Contains(r.Needs, id) {
				t.Errorf("%s does not need %s", r.ID(), id)
			}
		}
	}
	for i, property := range map[int]string{0: "TlsDomain", 1: "TlsSenderCertificateName", 3: "Services"} {
		want := map[string]string{"TlsDomain": "mail.contoso.com", "TlsSenderCertificateName": "mail2.contoso.com",
			"Services": "SMTP,IMAP"}[property]
		if have := d.Resources[i].Properties[property]; have != want {
			t.Errorf("%s: %v", property, have)
		}
	}
	if p := d.Resources[1].Properties; p["RestrictDomainsToIPAddresses"] != false {
		t.Errorf("the tenant would refuse mail: %v", p)
	}
	if d.Resources[2].Properties["Password"] == nil {
		t.Error("the file cannot be opened at the server")
	}
	var notes []string
	for _, n := range d.Notes {
		notes = append(notes, n.Text.String()+strings.Join(n.Commands, ";"))
	}
	said := strings.Join(notes, "\n")
	for _, part := range []string{"To a partner", "forests[].certificate of contoso", "-Server 'EX1'", "-Server 'EX2'"} {
		if strings.Count(said, part) != 1 {
			t.Errorf("%q: %s", part, said)
		}
	}
	if len(d.LeftOut) != 1 || !d.LeftOut[0].Waits {
		t.Errorf("the earlier inbound connector: %v", d.LeftOut)
	}
}

// What other runs, and people, left in the tenant is found.
func TestTransportRotationInTheTenant(t *testing.T) {
	const standard = "Inbound from " + contosoGUID
	old := fact.InboundConnector{Name: standard, Type: "OnPremises", CertificateName: "mail.contoso.com"}
	next := fact.InboundConnector{Name: standard + " (2)", Type: "OnPremises", CertificateName: "Mail2.contoso.com"}
	for name, test := range map[string]struct {
		inbound []fact.InboundConnector // the first is that of the record
		record  string                  // another name in the record
		unknown bool                    // the tenant has no record
		done    bool                    // the connectors name the new certificate
		want    []string                // of the tenant's
		waits   int
		notes   string
	}{
		"begun": {inbound: []fact.InboundConnector{old, next}, waits: 1, want: []string{
			"InboundConnector " + next.Name, "OnPremisesOrganization " + contosoGUID}},
		"a name is taken in other letters": {waits: 2, inbound: []fact.InboundConnector{old, {
			Name: "INBOUND FROM " + contosoGUID + " (2)", Type: "Partner"}}, want: []string{
			"InboundConnector " + standard + " (3)", "OnPremisesOrganization " + contosoGUID}},
		"settled": {inbound: []fact.InboundConnector{next, old}, done: true,
			want: []string{"no InboundConnector " + standard}},
		"one name": {inbound: []fact.InboundConnector{{Name: standard, Type: "OnPremises",
			CertificateName: "mail2.contoso.com"}}},
		"the record is ahead of the servers": {inbound: []fact.InboundConnector{next, old}, waits: 1},
		"the record names it in other letters": {inbound: []fact.InboundConnector{old}, record: strings.ToUpper(standard),
			waits: 1, want: []string{"InboundConnector " + next.Name, "OnPremisesOrganization " + contosoGUID}},
		"the record's connector is gone": {inbound: []fact.InboundConnector{next}, record: "gone",
			want: []string{"OnPremisesOrganization " + contosoGUID}},
		"by hand": {inbound: []fact.InboundConnector{{Name: "By hand", Type: "OnPremises",
			CertificateName: "MAIL.contoso.com"}}, unknown: true, want: []string{"InboundConnector " + standard},
			notes: "Remove-InboundConnector -Identity 'By hand'"},
		"by hand, for the new name": {inbound: []fact.InboundConnector{{Name: "By hand", Type: "OnPremises",
			CertificateName: "mail2.contoso.com"}}, unknown: true},
	} {
		t.Run(name, func(t *testing.T) {
			e := newRenewing(t)
			e.r.Transport.Bundle = e.issue("CA 2", "mail2.contoso.com", nil)
			e.known(test.inbound...)
			if test.record != "" {
				fact.HybridOrganizations.Seed(e.set.Tenant, []fact.HybridOrganization{{Name: contosoGUID, GUID: contosoOrg,
					Inbound: test.record, Outbound: "Outbound to " + contosoGUID}}, nil)
			}
			if test.unknown {
				fact.HybridOrganizations.Seed(e.set.Tenant, nil, nil)
			}
			if test.done {
				id := certificate.IdentifierOf(e.r.Transport.Leaf).String()
				fact.SendConnectors.Seed(e.forest, []fact.SendConnector{{Name: "To the tenant", CloudHeader: true,
					TLSCertificateName: id}}, nil)
				fact.ReceiveConnectors.Seed(e.forest, nil, nil)
				fact.HybridConfigurations.Seed(e.forest, fact.HybridConfiguration{}, nil)
				e.stores(fact.Stores{"EX1": {e.present, e.r.Transport.Leaf}, "EX2": {e.present, e.r.Transport.Leaf}})
			}
			d, all := e.planned()
			var got []string
			for i, r := range d.Resources {
				if r.Target == PlaceOnline && r.Kind.Noun != "OutboundConnector" {
					got = append(got, all[i])
				}
			}
			if !slices.Equal(got, test.want) || len(d.LeftOut) != test.waits {
				t.Errorf("got  %q\nwant %q\nleft out: %v", got, test.want, d.LeftOut)
			}
			commands := ""
			for _, n := range d.Notes {
				for _, c := range n.Commands {
					if strings.Contains(c, "Inbound") {
						commands += c
					}
				}
			}
			if commands != test.notes {
				t.Errorf("commands: %s", commands)
			}
		})
	}
}

// TLSA records of the host, or of an exchanger with the forest's certificate, come before the import. Records
// that mail servers do not use, and those of the new certificate or its authority, hold nothing up.
func TestTransportRotationPinned(t *testing.T) {
	sum := func(data []byte) []byte { s := sha256.Sum256(data); return s[:] }
	pin := func(usage, selector uint8, data []byte) dns.Record {
		return dns.Record{Pin: &dns.Pin{Usage: usage, Selector: selector, Matching: 1, Data: data}}
	}
	other := pin(3, 1, sum([]byte("the present one")))
	for name, test := range map[string]struct {
		host    string
		records func(certificate.Bundle) []dns.Record
		err     error
		waits   bool
	}{
		"another certificate": {waits: true},
		"an exchanger's":      {host: "mx.contoso.com", waits: true},
		"another host's":      {host: "mx.filter.example"},
		"the new one beside it": {records: func(b certificate.Bundle) []dns.Record {
			return []dns.Record{pin(3, 1, sum(b.Leaf.RawSubjectPublicKeyInfo)), other}
		}},
		"its authority": {records: func(b certificate.Bundle) []dns.Record {
			return []dns.Record{other, pin(2, 0, sum(b.Chain[0].Raw))}
		}},
		"of no use": {records: func(certificate.Bundle) []dns.Record { return []dns.Record{pin(1, 1, other.Pin.Data)} }},
		"unknown":   {err: errors.New("no answer")},
		"empty":     {err: dns.ErrEmpty},
	} {
		t.Run(name, func(t *testing.T) {
			e := newRenewing(t)
			both := func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, "mx.contoso.com") }
			e.r.Transport.Bundle = e.issue("CA 2", "mail.contoso.com", both)
			e.stores(fact.Stores{"EX1": {e.issue("CA 1", "mail.contoso.com", both).Leaf}})
			e.exchangers("mx.contoso.com", "mx.filter.example")
			records := []dns.Record{other}
			if test.records != nil {
				records = test.records(e.r.Transport.Bundle)
			}
			at := test.host
			if at == "" {
				at = "mail.contoso.com"
			}
			fact.TLSA.SeedAll(e.set.Network, func(host string) (dns.Answer, error) {
				if host == at {
					return dns.Answer{Records: records}, test.err
				}
				return dns.Answer{}, dns.ErrAbsent
			})
			d, err := e.rotate()
			if unknown := test.err != nil && !errors.Is(test.err, dns.ErrEmpty); unknown != (err != nil) {
				t.Fatal(err)
			}
			waits := len(d.LeftOut) == 1 && d.LeftOut[0].Waits
			if waits != test.waits || waits != (len(d.Resources) == 0) && err == nil {
				t.Fatalf("%d resources, left out: %v", len(d.Resources), d.LeftOut)
			}
			record := "_25._tcp." + at + ". IN TLSA 3 1 1 " +
				hex.EncodeToString(sum(e.r.Transport.Leaf.RawSubjectPublicKeyInfo))
			if test.waits && !strings.Contains(d.LeftOut[0].Reason.String(), record) {
				t.Errorf("%s\nlacks %s", d.LeftOut[0].Reason, record)
			}
		})
	}
}

// hybridge does not reach Edge servers: no connector changes before the mail host shows the new certificate.
func TestTransportRotationBehindEdge(t *testing.T) {
	for name, test := range map[string]struct {
		authority string
		seen      string // by the mail host: "present", "new", or nothing
		planned   bool
		commands  string // empty: none
		lacks     string
	}{
		"not there yet":             {"CA 2", "present", false, "Set-ReceiveConnector", ""},
		"there":                     {"CA 2", "new", true, "", ""},
		"no TLS":                    {"CA 2", "", false, "Set-ReceiveConnector", ""},
		"same issuer and subject":   {"CA 1", "present", true, "Enable-ExchangeCertificate", "Set-ReceiveConnector"},
		"it has the later one, too": {"CA 1", "new", true, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			e := newRenewing(t)
			e.r.Transport.Bundle = e.issue(test.authority, "mail.contoso.com",
				func(c *x509.Certificate) { c.NotAfter = now.AddDate(2, 0, 0) })
			e.forest.Answers.Edge = []string{"EDGE1"}
			fact.Servers.Seed(e.forest, []fact.Server{{Name: "EDGE1", FQDN: "edge1.contoso.com", Edge: true}}, nil)
			seen := fact.MailServer{}
			if test.seen != "" {
				seen.TLS = &smtp.TLS{}
				seen.Certificate.Leaf = map[string]*x509.Certificate{"present": e.present,
					"new": e.r.Transport.Leaf}[test.seen]
			}
			fact.MailServers.Seed(e.set.Network, "mail.contoso.com", seen, nil)
			d, got := e.planned()
			if planned := slices.ContainsFunc(got, func(id string) bool {
				return strings.HasPrefix(id, "ServerCertificate")
			}); planned != test.planned {
				t.Errorf("planned: %q, %v", got, d.LeftOut)
			}
			commands := ""
			for _, n := range d.Notes {
				for _, c := range n.Commands {
					if !strings.HasPrefix(c, "Remove-") {
						commands += c + "\n"
					}
				}
			}
			if (commands == "") != (test.commands == "") || !strings.Contains(commands, test.commands) ||
				test.lacks != "" && strings.Contains(commands, test.lacks) {
				t.Errorf("commands: %s", commands)
			}
		})
	}
}
