// Package lab is a simulated estate on loopback: Active Directory forests with their Exchange
// organizations, DNS, a Microsoft 365 tenant and Amazon WorkMail, all speaking the real protocols.
// Nothing is faked: a lookup between premises resolves the target address, picks connector or
// relationship by Exchange's rules, asks autodiscover, presents a token that is verified, and calls
// the other side. A misconfiguration fails as it does in a real organization.
package lab

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hybridge-cli/hybridge/pkg/lab/organization"
	"github.com/hybridge-cli/hybridge/pkg/wire/dns"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// Options for Start.
type Options struct {
	Dir     string   // answers.yaml, lab.json, the CA and the secrets are written here
	Forests int      // 2 when 0
	Faults  []string // ids of Faults() to plant, with a value as ID=VALUE
	Users   int      // people per forest; 200 when 0
	// Edge gives contoso an Edge server that carries its mail; a fault of Edge servers does so too.
	Edge bool
	// Servers is the number of Exchange servers per forest; 1 when 0. A load balancer without affinity
	// stands before the published names.
	Servers int
	// State is the id of one of States(); Clean when empty.
	State string
	// Clouds are some of Clouds(). Empty: WorkMail where a fault needs it, else the tenant.
	Clouds []string
	Log    *slog.Logger // messages of the lab's servers; nil discards them
	// Keytab holds the key of HTTP/SERVER@REALM for the Exchange servers: remote PowerShell then
	// takes Kerberos too, from any KDC that issued it.
	Keytab string
	// Estate names an organization of its own: its tenant and its Exchange organizations have other
	// ids than those of the lab without that name.
	Estate string
	// Today is the clock of the retirement of EWS in Exchange Online and of WorkMail; time.Now when
	// nil.
	// Certificates and tokens follow the machine's clock.
	Today func() time.Time
	// Between lets the forests ask each other for free/busy: see forests[].lookups of the answers.
	// A fault of such lookups sets it.
	Between bool
	// Left lets the organization have left hybrid: everyone is in Exchange Online, and the answers say
	// that hybrid is left. A fault of the way out sets it.
	Left bool
	// Under is a lab whose certificate authority this one shares: what trusts that lab trusts this one.
	Under *Lab
	// Weather stands between the clients and every web server of the lab: it may delay, refuse or
	// drop a request. nil: fair.
	Weather func(http.Handler) http.Handler
}

// site is one system of the estate. Start calls each method once, on every site before the next
// one.
type site interface {
	// register announces DNS records and certificates.
	register(*registry)
	// raise builds the state and opens the listeners.
	raise(*Lab) error
	// link connects the site to the other sites. From then on it serves.
	link(*link.Link)
	close()
}

// registry collects what the sites announce before their servers start.
type registry struct {
	zones, records []string
	certificates   []request
}

type request struct {
	to   **issued
	leaf leaf
}

func (r *registry) certificate(to **issued, l leaf) {
	r.certificates = append(r.certificates, request{to, l})
}

// host announces names with an address in the lab.
func (r *registry) host(names ...string) {
	for _, name := range names {
		r.records = append(r.records, name+". A 127.0.0.1")
	}
}

// Lab is a running estate.
type Lab struct {
	dir         string
	users       int
	now         func() time.Time
	network     *network
	authority   *authority
	zone        *dns.Server
	sites       []site // forests and clouds
	forests     []*forestSite
	tenant      *tenantSite   // nil: the lab has none
	workMail    *workMailSite // nil: the lab has none
	way         *link.Link
	credentials *credentials
	keytab      string
	left        bool // the organization has left hybrid
	renewed     int  // transport certificates that were issued later
}

// Start starts the estate. Every listener has a separate port on loopback. Close stops them.
func Start(ctx context.Context, o Options) (*Lab, error) {
	if o.Forests == 0 {
		o.Forests = 2
	}
	planted, err := find(o.Faults, o.Forests)
	if err != nil {
		return nil, err
	}
	if o.Clouds, err = cloudsFor(o.Clouds, planted); err != nil {
		return nil, err
	}
	if err := CheckServers(o.Servers); err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	for _, f := range planted {
		o.Servers = max(o.Servers, f.servers, 1)
	}
	if o.Users == 0 {
		o.Users = 200
	}
	if o.State == "" {
		o.State = Clean
	}
	if o.State, err = stateFor(o.State, planted); err != nil {
		return nil, err
	}
	if err := CheckState(o.State, o.Clouds); err != nil {
		return nil, fmt.Errorf("lab: state %w", err)
	}
	if o.Today == nil {
		o.Today = time.Now
	}
	messages := log.New(io.Discard, "", 0)
	if o.Log != nil {
		messages = slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug)
	}
	l := &Lab{dir: o.Dir, users: o.Users, now: time.Now, network: &network{log: messages, weather: o.Weather},
		keytab: o.Keytab}
	if o.Under != nil {
		l.authority = o.Under.authority.twin(l.now())
	}
	for i, f := range forests(o.Forests) {
		f.guid = identityOf(o.Estate, f.guid)
		f.populate(o.Users)
		if slices.Contains(o.Clouds, WorkMail) {
			f.moveToWorkMail(i == 0, !slices.Contains(o.Clouds, Online))
		}
		site := newForestSite(f, l)
		site.putServers(max(o.Servers, 1))
		l.forests = append(l.forests, site)
	}
	for _, f := range l.forests {
		l.sites = append(l.sites, f)
	}
	if slices.Contains(o.Clouds, Online) {
		l.tenant = &tenantSite{servers: servers{network: l.network}, now: l.now, today: o.Today,
			id: identityOf(o.Estate, tenantID)}
		for _, f := range l.forests {
			l.tenant.domains = append(l.tenant.domains, f.domain)
			f.senders = "include:" + senders + " "
		}
		l.sites = append(l.sites, l.tenant)
	}
	if slices.Contains(o.Clouds, WorkMail) {
		l.workMail = &workMailSite{servers: servers{network: l.network}, forest: l.forests[0], now: l.now}
		l.sites = append(l.sites, l.workMail)
	}
	if o.Between || slices.ContainsFunc(planted, func(f Fault) bool { return f.between }) {
		l.meet()
	}
	if o.Edge || slices.ContainsFunc(planted, func(f Fault) bool { return f.edge }) {
		l.contoso().putEdge()
	}
	for _, f := range planted {
		f.early.plant(l)
	}
	if err := l.build(ctx); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	if err := l.begin(ctx, o.State); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	if o.Left || slices.ContainsFunc(planted, func(f Fault) bool { return f.left }) {
		l.left = true
		if err := l.leave(); err != nil {
			return nil, errors.Join(err, l.Close())
		}
	}
	for _, f := range planted {
		f.late.plant(l)
		if f.valued == nil {
			continue
		}
		if err := f.valued(l, f.Value); err != nil {
			return nil, errors.Join(err, l.Close())
		}
	}
	if err := l.write(); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (l *Lab) build(ctx context.Context) error {
	var err error
	if l.credentials, err = newCredentials(l.dir); err != nil {
		return err
	}
	if l.authority == nil {
		if l.authority, err = newAuthority(l.now()); err != nil {
			return err
		}
	}
	var r registry
	for _, s := range l.sites {
		s.register(&r)
	}
	if err := l.certify(ctx, r.certificates); err != nil {
		return err
	}
	if l.zone, err = dns.NewServer(r.zones, r.records...); err != nil {
		return fmt.Errorf("lab: zones: %w", err)
	}
	if err := l.zone.Listen("127.0.0.1:0"); err != nil {
		return err
	}
	for _, s := range l.sites {
		if err := s.raise(l); err != nil {
			return fmt.Errorf("lab: %w", err)
		}
	}
	l.network.names = &dns.Client{Resolvers: []string{l.zone.Address()}}
	l.way, err = link.New(link.Options{
		ConnectTo: l.network.connectTo, LookupHost: l.network.names.LookupHost,
		CAs: l.authority.pool(), Timeout: 20 * time.Second,
	})
	if err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	for _, s := range l.sites {
		s.link(l.way)
	}
	return nil
}

// certify makes the certificates in parallel: RSA keys take a while.
func (l *Lab) certify(ctx context.Context, wanted []request) error {
	group, _ := errgroup.WithContext(ctx)
	for _, w := range wanted {
		group.Go(func() (err error) {
			*w.to, err = l.authority.issue(w.leaf)
			return err
		})
	}
	return group.Wait()
}

// Close stops every server.
func (l *Lab) Close() error {
	for _, s := range l.sites {
		s.close()
	}
	if l.authority != nil {
		l.authority.rsa.release()
	}
	if l.zone != nil {
		return l.zone.Close()
	}
	return nil
}

// Runs is how often each cmdlet was run, refused runs included, by "forest cmdlet" or "online
// cmdlet", in lower case.
func (l *Lab) Runs() map[string]int {
	out := map[string]int{}
	add := func(place string, o *organization.Organization) {
		for cmdlet, n := range o.AllRuns() {
			out[place+" "+cmdlet] = n
		}
	}
	for _, f := range l.forests {
		add(f.name, f.org)
	}
	if l.tenant != nil {
		add(Online, l.tenant.org)
	}
	return out
}

// Answers is the path of the answers file that leads to this lab.
func (l *Lab) Answers() string { return filepath.Join(l.dir, "answers.yaml") }

// credentials are the lab's generated secrets. Each is in a separate file that only its owner can
// read.
type credentials struct{ dir string }

func newCredentials(dir string) (*credentials, error) {
	c := &credentials{filepath.Join(dir, "secrets")}
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	info, err := os.Lstat(c.dir)
	switch {
	case err != nil:
		return nil, fmt.Errorf("lab: %w", err)
	case !info.IsDir():
		return nil, fmt.Errorf("lab: %s is not a directory; choose another directory for the lab", c.dir)
	}
	if err := os.Chmod(c.dir, 0o700); err != nil { // it may be there already
		return nil, fmt.Errorf("lab: %w", err)
	}
	return c, nil
}

// password generates a password and stores it under a name. The answers file refers to it.
func (c *credentials) password(name string) (text string, err error) {
	text = rand.Text()
	return text, c.keep(name, []byte(text+"\n"))
}

func (c *credentials) keep(name string, content []byte) error {
	return writeFile(filepath.Join(c.dir, name), content)
}

// writeFile replaces a file with one that only its owner can read. It writes into no file that is
// there and through no link.
func writeFile(path string, content []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".lab-*") // mode 0600
	if err == nil {
		_, err = f.Write(content)
		err = errors.Join(err, f.Close())
		if err == nil {
			err = os.Rename(f.Name(), path)
		}
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}
	if err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	return nil
}
