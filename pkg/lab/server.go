package lab

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/lab/mail"
	"github.com/hybridge-cli/hybridge/pkg/lab/organization"
)

// exchangeServer is what an Exchange server of a forest does not share with the others. The objects
// of the organization are shared.
type exchangeServer struct {
	site *forestSite
	host string
	// own is shown under the server's own name; from the organization's authority.
	own *issued
	// keys are those of certificates that came into its store, beside own and transport.
	keys []*issued
	post *mail.Transport

	// Set by faults.
	build          string        // as AdminDisplayVersion prints it; that of the forest when empty
	securityUpdate string        // that of the forest when empty
	alter          func(*leaf)   // gives the server a transport certificate of its own
	other          *issued       // that certificate; nil: the server has that of the forest
	ahead          time.Duration // of its clock
	inside         bool          // a firewall keeps it from the internet
}

// maxServers is the limit of Options.Servers: EX9 is the server that a fault removes.
const maxServers = 8

// CheckServers refuses a number of Exchange servers per forest that the lab does not have.
func CheckServers(n int) error {
	if n < 0 || n > maxServers {
		return fmt.Errorf("%d servers: a forest of the lab has 1 to %d", n, maxServers)
	}
	return nil
}

// putServers gives the forest its Exchange servers. It runs before names are registered.
func (f *forestSite) putServers(n int) {
	f.exchange = nil
	for i := range n {
		f.exchange = append(f.exchange, &exchangeServer{site: f, host: fmt.Sprintf("ex%d.%s", i+1, f.domain)})
	}
}

// first is the server that the answers file leads to.
func (f *forestSite) first() *exchangeServer { return f.exchange[0] }

func (s *exchangeServer) name() string { return strings.ToUpper(firstLabel(s.host)) }

// now is the server's clock.
func (s *exchangeServer) now() time.Time { return s.site.now().Add(s.ahead) }

// version is the build of the server, as AdminDisplayVersion prints it.
func (s *exchangeServer) version() string { return cmp.Or(s.build, s.site.build) }

// numbers are those of the build.
func (s *exchangeServer) numbers() (n [4]int) {
	_, _ = fmt.Sscanf(s.version(), "Version %d.%d (Build %d.%d)", &n[0], &n[1], &n[2], &n[3])
	return n
}

// dotted is the build as 15.2.2562.17.
func (s *exchangeServer) dotted() string {
	n := s.numbers()
	return fmt.Sprintf("%d.%d.%d.%d", n[0], n[1], n[2], n[3])
}

// fullBuild is the installed build, as the web services show it.
func (s *exchangeServer) fullBuild() string {
	switch update := cmp.Or(s.securityUpdate, s.site.securityUpdate); {
	case update != "":
		return update
	case s.version() == build:
		return latest
	}
	return s.dotted()
}

// knowsApplication reports whether the server's cumulative update has or contains the hotfix update
// of April 2025. knowsGraph does the same for that of May 2026. The lab assumes that all updates
// for a cumulative update are installed, though AdminDisplayVersion does not show them.
func (s *exchangeServer) knowsApplication() bool {
	v := s.numbers()
	return slices.Contains([][3]int{{15, 2, 1748}, {15, 2, 1544}, {15, 1, 2507}}, [3]int(v[:3])) || s.knowsGraph()
}

func (s *exchangeServer) knowsGraph() bool {
	v := s.numbers()
	return v[0] == 15 && v[1] == 2 && v[2] >= 2562
}

// transport is the certificate that mail and clients see at this server.
func (s *exchangeServer) transport() *issued {
	if s.other != nil {
		return s.other
	}
	return s.site.transport
}

// off reports whether a component of the server takes no requests.
func (s *exchangeServer) off(component string) bool {
	r := s.site.org.Object("ServerComponentState", s.name()+" "+component)
	return r != nil && r.String("State") != "Active"
}

// directory is a virtual directory of the server.
func (s *exchangeServer) directory(noun string) *organization.Record {
	for _, r := range s.site.org.Objects(noun) {
		if strings.EqualFold(r.String("Server"), s.name()) {
			return r
		}
	}
	return s.site.org.Objects(noun)[0]
}

// stored is what the server's store shows of a certificate; nil when it is not there.
func (s *exchangeServer) stored(thumbprint string) *organization.Record {
	return s.site.org.Object("ExchangeCertificate", s.name()+`\`+thumbprint)
}

// held are the certificates whose keys the server has.
func (s *exchangeServer) held() []*issued {
	s.site.mu.Lock()
	defer s.site.mu.Unlock()
	return append([]*issued{s.transport()}, s.keys...)
}

func (s *exchangeServer) heldTLS() []tls.Certificate {
	var out []tls.Certificate
	for _, c := range s.held() {
		out = append(out, c.tls())
	}
	return out
}

// store puts a certificate into the server's store.
func (s *exchangeServer) store(c *issued, services string, selfSigned bool) {
	s.site.org.Seed("ExchangeCertificate", "Name", certificate.Thumbprint(c.cert), "Server", s.name(),
		"RawData", c.cert.Raw, "Thumbprint", certificate.Thumbprint(c.cert), "Subject", certificate.Subject(c.cert),
		"Issuer", certificate.Issuer(c.cert), "SerialNumber", fmt.Sprintf("%X", c.cert.SerialNumber),
		"NotBefore", c.cert.NotBefore, "NotAfter", c.cert.NotAfter, "CertificateDomains", c.cert.DNSNames, "Services",
		services, "IsSelfSigned", selfSigned)
}

// keep puts a certificate with its key into the server's store.
func (s *exchangeServer) keep(c *issued, services string, selfSigned bool) {
	s.site.mu.Lock()
	s.keys = append(s.keys, c)
	s.site.mu.Unlock()
	s.store(c, services, selfSigned)
}

type serverKey struct{}

// in is the context of work that the server does.
func (s *exchangeServer) in(ctx context.Context) context.Context {
	return context.WithValue(ctx, serverKey{}, s)
}

// at is the server that does the work of a context; the first one where it names none.
func (f *forestSite) at(ctx context.Context) *exchangeServer {
	if s, ok := ctx.Value(serverKey{}).(*exchangeServer); ok && s.site == f {
		return s
	}
	return f.first()
}

// server finds a server by its name or host.
func (f *forestSite) serverNamed(name string) *exchangeServer {
	for _, s := range f.exchange {
		if strings.EqualFold(name, s.host) || strings.EqualFold(name, s.name()) {
			return s
		}
	}
	return nil
}

// runs makes a handler that works as the server that runs the cmdlet.
func (f *forestSite) runs(h organization.Handler) organization.Handler {
	return func(ctx context.Context, c organization.Call) ([]exchange.Object, error) {
		if s := f.serverNamed(c.Caller.Host); s != nil {
			ctx = s.in(ctx)
		}
		return h(ctx, c)
	}
}

// server is the server that a call is about.
func (f *forestSite) serverOf(c organization.Call) (*exchangeServer, error) {
	if s := f.serverNamed(c.Server()); s != nil {
		return s, nil
	}
	return nil, refusedCertificate(c, "The Exchange server '%s' wasn't found.", c.Server())
}

// mailboxDatabase is the database on the server. Every server has one.
func (s *exchangeServer) mailboxDatabase() string {
	if s == s.site.first() {
		return "DB1"
	}
	return "DB1 " + s.name()
}

// serverFor is the server with a person's mailbox: they take turns.
func (f *forestSite) serverFor(m *mailbox) *exchangeServer {
	return f.exchange[max(slices.Index(f.users, m), 0)%len(f.exchange)]
}

// homeOf is the server of a mailbox, by address; nil where there is no such mailbox.
func (f *forestSite) homeOf(address string) *exchangeServer {
	for _, r := range f.org.Objects("Mailbox") {
		if strings.EqualFold(r.String("PrimarySmtpAddress"), address) {
			return f.serverNamed(r.String("ServerName"))
		}
	}
	return nil
}

// distributes is the service of Exchange that brings the auth certificates to all servers after
// Set-AuthConfig. It takes along keys that may be exported.
func (f *forestSite) distributes(c organization.Change) {
	if c.Noun != "AuthConfig" || f.apart {
		return
	}
	for _, which := range []string{"Current", "Next"} {
		f.distribute(c.Record.String(which + "CertificateThumbprint"))
	}
}

func (f *forestSite) distribute(thumbprint string) {
	var found *issued
	for _, s := range f.exchange {
		r := s.stored(thumbprint)
		if r == nil || !r.Bool("PrivateKeyExportable") {
			continue
		}
		for _, c := range s.held() {
			if strings.EqualFold(certificate.Thumbprint(c.cert), thumbprint) {
				found = c
			}
		}
	}
	for _, s := range f.exchange {
		if found != nil && s.stored(thumbprint) == nil {
			s.keep(found, "SMTP", true)
			s.stored(thumbprint).Set("PrivateKeyExportable", true)
		}
	}
}
