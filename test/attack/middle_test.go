package attack_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/wire/dns"
)

// middle is a man in the middle: every name leads to it, by DNS, by TLS and in clear text, for web
// servers and for domain controllers. It has a certificate for every name, of an authority that the
// victim trusts or does not trust. It gives prepared answers and records what it gets, by host.
type middle struct {
	// web answers requests of HTTP, and directory the bytes of LDAP; nil ends the connection.
	web       http.HandlerFunc
	directory func(conn net.Conn)
	// distrusted are the names with a certificate of the other authority.
	distrusted map[string]bool
	// named gives a name the certificate of another name.
	named map[string]string

	tls, plain       *httptest.Server
	ldaps, ldap      net.Listener
	names            *dns.Server
	trusted, unknown authority
	key              *ecdsa.PrivateKey
	mu               sync.Mutex
	seen             map[string]string
}

type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newMiddle(t *testing.T, web http.HandlerFunc) *middle {
	t.Helper()
	m := &middle{web: web, seen: map[string]string{}, distrusted: map[string]bool{}, named: map[string]string{}}
	m.key, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	m.trusted, m.unknown = newAuthority(t, "trusted"), newAuthority(t, "unknown")
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		user, password, _ := r.BasicAuth()
		m.record(r.Host, r.URL.String()+" "+r.Header.Get("Authorization")+" "+user+" "+password+" "+string(body))
		m.web(w, r)
	})
	silent := log.New(io.Discard, "", 0)
	m.tls, m.plain = httptest.NewUnstartedServer(handler), httptest.NewServer(handler)
	m.tls.TLS = m.config()
	m.tls.Config.ErrorLog = silent
	m.tls.StartTLS()
	t.Cleanup(m.tls.Close)
	t.Cleanup(m.plain.Close)
	for at, secure := range map[*net.Listener]bool{&m.ldaps: true, &m.ldap: false} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		*at = l
		go m.serveLDAP(l, secure)
	}
	var err error
	if m.names, err = dns.NewServer([]string{"test", "example"}); err != nil {
		t.Fatal(err)
	}
	if err := m.names.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.names.Close() })
	return m
}

func newAuthority(t *testing.T, name string) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1),
		Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign}, &x509.Certificate{Subject: pkix.Name{CommonName: name}}, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{certificate, key}
}

// config presents a certificate for the name that the client asks for.
func (m *middle) config() *tls.Config {
	return &tls.Config{GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
		m.mu.Lock()
		defer m.mu.Unlock()
		issuer, name := m.trusted, h.ServerName
		if m.distrusted[name] {
			issuer = m.unknown
		}
		if other := m.named[name]; other != "" {
			name = other
		}
		der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(2),
			Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour),
			NotAfter: time.Now().Add(time.Hour)}, issuer.certificate, m.key.Public(), issuer.key)
		return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: m.key}, err
	}}
}

func (m *middle) record(host, text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen[host] += text + "\n"
}

// serveLDAP is a domain controller: what it receives is recorded under the name of its certificate,
// or under "ldap" in clear text.
func (m *middle) serveLDAP(l net.Listener, secure bool) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
			host := "ldap"
			if secure {
				c := tls.Server(conn, m.config())
				if c.Handshake() != nil {
					return
				}
				conn, host = c, c.ConnectionState().ServerName
			}
			conn = &recorded{conn, func(data string) { m.record(host, data) }}
			if m.directory == nil {
				_, _ = conn.Read(make([]byte, 1<<16))
				return
			}
			m.directory(conn)
		}()
	}
}

// recorded is a connection whose received bytes are recorded.
type recorded struct {
	net.Conn
	record func(string)
}

func (r *recorded) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	if n > 0 {
		r.record(string(p[:n]))
	}
	return n, err
}

// asked is what each host received.
func (m *middle) asked() map[string]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.seen)
}

// got lists the hosts that received a text.
func (m *middle) got(text string) (hosts []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for host, said := range m.seen {
		if strings.Contains(said, text) {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// network is the part of an answers file that hands the victim to the attacker: name resolution and
// every connection. Only the authority is what the victim trusts.
func (m *middle) network(t *testing.T) answers.Network {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE",
		Bytes: m.trusted.certificate.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return answers.Network{CAFile: file, Resolvers: []string{m.names.Address()}, ConnectTo: []string{
		":443=" + m.tls.Listener.Addr().String(), ":80=" + m.plain.Listener.Addr().String(),
		":636=" + m.ldaps.Addr().String(), ":389=" + m.ldap.Addr().String(),
	}}
}

// client connects every name to the man in the middle. Like link's client it follows no redirect.
func (m *middle) client(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // the attack has a certificate
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			to := m.tls
			if strings.HasSuffix(address, ":80") {
				to = m.plain
			}
			return new(net.Dialer).DialContext(ctx, network, to.Listener.Addr().String())
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}
