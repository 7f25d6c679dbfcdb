// Package lab is a simulated estate on loopback: two Active Directory forests with their Exchange organizations, DNS, and a Microsoft 365
// tenant, all speaking the real protocols. It is honest: a lookup between premises really resolves the target address, picks
// connector or relationship by Exchange's rules, asks autodiscover, presents a token that is really verified, and calls the other side. What is
// misconfigured fails the way it fails in life.
package lab

import (
	"context"
	"crypto/rand"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hybridge-cli/hybridge/pkg/lab/entra"
	"github.com/hybridge-cli/hybridge/pkg/wire/dns"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// Options for Start.
type Options struct {
	Dir    string       // answers.yaml, lab.json, the CA and the secrets are written here
	Faults []string     // ids of Faults() to plant
	Users  int          // people a forest; 200 when 0
	Log    *slog.Logger // what the lab's servers have to say; nil discards it
	// Keytab holds the key of HTTP/SERVER@REALM for the Exchange servers: remote PowerShell then takes Kerberos too, from any KDC that issued it.
	Keytab string
	// Today is the clock by which Exchange Online goes on with the retirement of EWS; time.Now when nil. Certificates and tokens go by the machine's.
	Today func() time.Time
}

// Lab is a running estate.
type Lab struct {
	dir         string
	now         func() time.Time
	network     *network
	authority   *authority
	zone        *dns.Server
	link        *link.Link
	forests     []*forestSite
	tenant      *tenantSite
	credentials *credentials
	keytab      string
}

// Start brings the estate up. Every listener is on loopback with a port of its own; Close ends them all.
func Start(ctx context.Context, o Options) (*Lab, error) {
	planted, err := find(o.Faults)
	if err != nil {
		return nil, err
	}
	if o.Users == 0 {
		o.Users = 200
	}
	if o.Today == nil {
		o.Today = time.Now
	}
	messages := log.New(io.Discard, "", 0)
	if o.Log != nil {
		messages = slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug)
	}
	l := &Lab{dir: o.Dir, now: time.Now, network: &network{log: messages}, keytab: o.Keytab, tenant: &tenantSite{now: time.Now, today: o.Today}}
	if err := l.build(ctx, o.Users, planted); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	l.network.start()
	for _, f := range planted {
		if f.late != nil {
			f.late(l)
		}
	}
	if err := l.write(); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (l *Lab) build(ctx context.Context, users int, planted []Fault) error {
	var err error
	if l.credentials, err = newCredentials(l.dir); err != nil {
		return err
	}
	if l.authority, err = newAuthority(l.now()); err != nil {
		return err
	}
	for _, f := range forests() {
		f.populate(users)
		l.forests = append(l.forests, &forestSite{forest: f, now: l.now, passwords: map[string]string{}, keys: map[string]keptKeys{}})
	}
	for _, f := range planted {
		if f.early != nil {
			f.early(l)
		}
	}
	if err := l.certify(ctx); err != nil {
		return err
	}
	if err := l.tenant.register(l.forests); err != nil {
		return fmt.Errorf("lab: tenant: %w", err)
	}
	if err := l.startZone(); err != nil {
		return err
	}
	for _, f := range l.forests {
		if err := l.raiseForest(f); err != nil {
			return fmt.Errorf("lab: forest %s: %w", f.name, err)
		}
	}
	if err := l.raiseTenant(); err != nil {
		return fmt.Errorf("lab: tenant: %w", err)
	}
	// Only now is it known where everybody is.
	l.link, err = link.New(link.Options{ConnectTo: l.network.connectTo, Resolvers: []string{l.zone.Address()}, CAs: l.authority.pool(), Timeout: 20 * time.Second})
	if err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	for _, f := range l.forests {
		f.premise.link = l.link
	}
	l.tenant.premise.link = l.link
	return nil
}

// certify makes the certificates; RSA keys take a while, so they are made side by side.
func (l *Lab) certify(ctx context.Context) error {
	group, _ := errgroup.WithContext(ctx)
	issue := func(to **issued, d leaf) {
		group.Go(func() (err error) {
			*to, err = l.authority.issue(d)
			return err
		})
	}
	for _, f := range l.forests {
		d := f.transportLeaf()
		if f.alter != nil {
			f.alter(&d)
		}
		issue(&f.transport, d)
		f.authCertificates = make([]*issued, 1)
		from := l.now().AddDate(-1, 0, 0)
		issue(&f.authCertificates[0], leaf{
			subject: pkix.Name{CommonName: "Microsoft Exchange Server Auth Certificate"}, from: from, to: from.AddDate(5, 0, 0), rsa: true, selfSigned: true,
		})
		issue(&f.serverCertificate, leaf{subject: pkix.Name{CommonName: f.server}, names: []string{f.server}})
		issue(&f.directoryCertificate, leaf{subject: pkix.Name{CommonName: f.controller}, names: []string{f.controller, f.domain}})
	}
	issue(&l.tenant.automation, leaf{subject: pkix.Name{CommonName: "hybridge automation"}, rsa: true, selfSigned: true})
	issue(&l.tenant.front, leaf{subject: pkix.Name{CommonName: "outlook.com"}, names: microsoftHosts})
	return group.Wait()
}

// transportLeaf is the certificate that a forest bought: its mail host by name, its other names beside it.
func (f *forest) transportLeaf() leaf {
	return leaf{subject: pkix.Name{CommonName: f.mail, Organization: []string{f.organization}}, names: []string{f.mail, f.autodiscover, f.domain}, rsa: true}
}

func (l *Lab) startZone() error {
	zones := []string{tenantDomain, coexistenceDomain}
	var records []string
	for _, f := range l.forests {
		zones = append(zones, f.domain)
		records = append(records,
			f.mail+". A 127.0.0.1", f.autodiscover+". A 127.0.0.1", f.server+". A 127.0.0.1", f.controller+". A 127.0.0.1",
			f.domain+". MX 10 "+f.mail+".", f.domain+`. TXT "`+entra.Domain{Name: f.domain}.VerificationText()+`"`, f.domain+`. TXT "v=spf1 mx -all"`,
			"_ldap._tcp.dc._msdcs."+f.domain+". SRV 0 100 636 "+f.controller+".", "_ldap._tcp."+f.domain+". SRV 0 100 636 "+f.controller+".",
		)
	}
	for _, host := range microsoftHosts {
		zones = append(zones, host)
		records = append(records, host+". A 127.0.0.1")
	}
	var err error
	if l.zone, err = dns.NewServer(zones, records...); err != nil {
		return fmt.Errorf("lab: zones: %w", err)
	}
	return l.zone.Listen("127.0.0.1:0")
}

// Close stops every server.
func (l *Lab) Close() error {
	l.network.close()
	if l.zone != nil {
		return l.zone.Close()
	}
	return nil
}

// Answers is the path of the answers file that leads to this lab.
func (l *Lab) Answers() string { return filepath.Join(l.dir, "answers.yaml") }

// credentials are the lab's generated secrets, each in a file of its own that only its owner can read.
type credentials struct{ dir string }

func newCredentials(dir string) (*credentials, error) {
	c := &credentials{filepath.Join(dir, "secrets")}
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	return c, nil
}

// password makes a password and keeps it under a name; the reference to it goes into the answers.
func (c *credentials) password(name string) (text string, err error) {
	text = rand.Text()
	return text, c.keep(name, []byte(text+"\n"))
}

func (c *credentials) keep(name string, content []byte) error {
	if err := os.WriteFile(filepath.Join(c.dir, name), content, 0o600); err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	return nil
}
