package lab

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/lab/mail"
	"github.com/hybridge-cli/hybridge/pkg/lab/organization"
)

// edgeServer is an Edge Transport server: mail from outside arrives there, and leaves there.
type edgeServer struct {
	host, name string
	own        *issued // of setup, by which the organization's servers recognize it
	org        *organization.Organization
	post       *mail.Transport
	stale      bool // EdgeSync has not reached it since before hybrid
}

// putEdge gives the forest an Edge server. It runs before names are registered.
func (f *forestSite) putEdge() {
	host := "edge1." + f.domain
	f.edge = &edgeServer{host: host, name: strings.ToUpper(firstLabel(host))}
}

func (f *forestSite) registerEdge(r *registry) {
	r.certificate(&f.edge.own, leaf{subject: pkix.Name{CommonName: f.edge.name},
		names:      []string{f.edge.name, f.edge.host},
		selfSigned: true, rsa: true})
	r.host(f.edge.host)
}

// seedEdge subscribes the server.
func (f *forestSite) seedEdge(now func() time.Time) {
	e := f.edge
	f.org.Seed("ExchangeServer", "Name", e.name, "Fqdn", e.host, "Domain", f.domain, "AdminDisplayVersion", f.build,
		"ServerRole", "Edge", "IsEdgeServer", true, "IsMailboxServer", false, "IsHubTransportServer", false,
		"IsClientAccessServer", false, "IsFrontendTransportServer", false)
	f.org.Seed("EdgeSubscription", "Name", e.name, "Domain", f.domain, "CreateUtc", now().UTC().AddDate(-1, 0, 0))
	f.org.Handle("Test-EdgeSynchronization", func(context.Context, organization.Call) ([]exchange.Object, error) {
		status, synced, detail := "Normal", now().UTC().Add(-2*time.Minute), ""
		if e.stale {
			status, synced, detail = "Failed", now().UTC().AddDate(0, -2, 0), "The LDAP server is unavailable."
		}
		types := []string{"Microsoft.Exchange.Management.EdgeSync.EdgeSubscriptionStatus"}
		return []exchange.Object{exchange.NewObject(types, "", "Name", e.name, "SyncStatus", status,
			"UtcNow", now().UTC(), "LastSynchronizedUtc", synced,
			"FailureDetail", detail)}, nil
	})
}

// raiseEdge opens port 25 of the Edge server, which is that of the mail host.
func (f *forestSite) raiseEdge(l *Lab) error {
	e := f.edge
	e.org = organization.New(organization.Config{Name: e.name, Side: exchange.OnPremises, FQDN: f.domain,
		Host: e.host, Clock: l.now})
	e.org.Seed("ReceiveConnector", "Name", "Default internal receive connector "+e.name, "Server", e.name, "Fqdn",
		e.host,
		"Bindings", []string{"0.0.0.0:25"}, "RemoteIPRanges", []string{"0.0.0.0-255.255.255.255"}, "AuthMechanism",
		"Tls, ExchangeServer", "PermissionGroups", "AnonymousUsers, ExchangeServers", "TransportRole", "HubTransport")
	for _, c := range []*issued{f.transport, e.own} {
		e.org.Seed("ExchangeCertificate", "Name", certificate.Thumbprint(c.cert), "Server", e.name, "RawData",
			c.cert.Raw,
			"Thumbprint", certificate.Thumbprint(c.cert), "Subject", certificate.Subject(c.cert), "Issuer",
			certificate.Issuer(c.cert), "SerialNumber", fmt.Sprintf("%X", c.cert.SerialNumber), "NotBefore",
			c.cert.NotBefore, "NotAfter", c.cert.NotAfter, "CertificateDomains", c.cert.DNSNames, "Services", "SMTP",
			"IsSelfSigned", c == e.own)
	}
	listener, err := f.listen(f.mail+":25", e.host+":25")
	if err != nil {
		return err
	}
	trusted := e.own.tls()
	e.post = mail.New(mail.Config{
		Organization: e.org, Host: e.host, Build: f.first().dotted(),
		Find:         func(string) mail.Address { return mail.Address{} },
		Certificates: func() []tls.Certificate { return []tls.Certificate{f.transport.tls(), e.own.tls()} },
		Now:          l.now, Alter: f.inspect, Trusts: f.trusts, Trusted: &trusted,
		Edge: &mail.Edge{From: f.org, Inside: f.server, Synced: func() bool { return !e.stale }},
	})
	f.queue(func() error { return e.post.Serve(listener) }, func() { listener.Close(); e.post.Close() })
	return nil
}

func sameAs(c *issued) func(*x509.Certificate) bool {
	return func(o *x509.Certificate) bool { return bytes.Equal(c.cert.Raw, o.Raw) }
}

// connector is the one that takes mail from outside.
func (e *edgeServer) connector() *organization.Record { return e.org.Objects("ReceiveConnector")[0] }

// prepare is what the script for the Edge server does.
func (e *edgeServer) prepare(f *forestSite) {
	e.connector().Set("TlsDomainCapabilities", []string{protection + ":AcceptCloudServicesMail"})
	e.connector().Set("TlsCertificateName", certificateName(f.transport))
}

// edgeFaults are those of the Edge server that carries contoso's mail.
func edgeFaults() []Fault {
	list := []Fault{
		{
			ID: "edge.capability-missing", Diagnosis: "mail.headers-not-accepted",
			Title: "contoso's Edge server accepts no headers of the cloud",
			late:  inContoso(func(f *forestSite) { f.edge.connector().Set("TlsDomainCapabilities", []string{}) }),
		},
		{
			ID: "edge.wrong-certificate", Turns: turns("transport.edge-server"), Diagnosis: "mail.certificate-name",
			May:   turns("certificates.transport", "transport.smart-host-tlsa"),
			Title: "contoso's Edge server presents its self-signed certificate",
			late: inContoso(func(f *forestSite) {
				f.edge.connector().Set("TlsCertificateName", certificateName(f.edge.own))
			}),
		},
		{
			ID: "edge.subscription-stale", Turns: turns("transport.edge-subscription"), Diagnosis: "mail.edge-stale",
			Title: "EdgeSync has not reached contoso's Edge server for two months",
			late:  inContoso(func(f *forestSite) { f.edge.stale = true }),
		},
	}
	for i := range list {
		list[i].Message, list[i].edge = true, true
	}
	return list
}
