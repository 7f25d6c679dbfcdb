package lab

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/dns"
)

// network holds the connect-to rules that lead clients to the sites on loopback, and the network
// faults.
type network struct {
	connectTo []string // HOST:PORT=127.0.0.1:PORT
	log       *log.Logger
	weather   func(http.Handler) http.Handler
	names     *dns.Client
	silent    []string // HOST:PORT of a fault: no rule leads there, so that a connection is refused

	origins sync.Map // local address of a connection -> address at which the internet sees its client
}

type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// behind makes connections come from a public address, as address translation does.
func (n *network) behind(public netip.Addr, dial dialer) dialer {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err == nil {
			n.origins.Store(c.LocalAddr().String(), public)
		}
		return c, err
	}
}

// origin is the address at which the internet sees a client.
func (n *network) origin(client net.Addr) netip.Addr {
	if a, known := n.origins.Load(client.String()); known {
		return a.(netip.Addr)
	}
	a, _ := netip.ParseAddrPort(client.String())
	return a.Addr().Unmap()
}

// silence is a network fault: HOST:PORT refuses connections. It is planted before listeners open.
func (n *network) silence(name string) { n.silent = append(n.silent, name) }

// servers are the listeners of one site. A site queues them while it is raised; start runs them
// once every site has an address.
type servers struct {
	network *network
	runs    []func() error
	stops   []func()
	wait    sync.WaitGroup
}

// virtualHost is the certificate and the handler of a host name.
type virtualHost struct {
	cert    *issued
	handler http.Handler
}

// listen opens a port on loopback and leads the names (HOST:PORT) to it.
func (s *servers) listen(names ...string) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("lab: listen on loopback: %w", err)
	}
	for _, name := range names {
		if !slices.Contains(s.network.silent, name) {
			s.network.connectTo = append(s.network.connectTo, name+"="+l.Addr().String())
		}
	}
	return l, nil
}

// share is the part of a load balancer's connections that one server gets.
type share struct {
	net.Listener
	connections chan net.Conn
	done        chan struct{}
	once        sync.Once
}

func (s *share) Accept() (net.Conn, error) {
	select {
	case c := <-s.connections:
		return c, nil
	case <-s.done:
		return nil, net.ErrClosed
	}
}

func (s *share) Close() error {
	s.once.Do(func() { close(s.done) })
	return s.Listener.Close()
}

// balance leads names to n servers in turn, connection by connection, as a load balancer without
// affinity does. It asks skip which servers it takes for dead.
func (s *servers) balance(n int, skip func(i int) bool, names ...string) ([]net.Listener, error) {
	l, err := s.listen(names...)
	if err != nil {
		return nil, err
	}
	shares, out := make([]*share, n), make([]net.Listener, n)
	for i := range shares {
		shares[i] = &share{Listener: l, connections: make(chan net.Conn), done: make(chan struct{})}
		out[i] = shares[i]
	}
	s.queue(func() error {
		for turn := 0; ; turn++ {
			c, err := l.Accept()
			if err != nil {
				return err
			}
			to := shares[turn%n]
			for i := range n {
				if !skip((turn + i) % n) {
					to = shares[(turn+i)%n]
					break
				}
			}
			select {
			case to.connections <- c:
			case <-to.done:
				c.Close()
			}
		}
	}, func() { l.Close() })
	return out, nil
}

type connContext func(context.Context, net.Conn) context.Context

// serveTLS serves virtual hosts on one port, in place of 443. SNI and Host select the virtual host.
// HTTP/2 is off: NTLM and Kerberos bind to the connection, as in IIS.
func (s *servers) serveTLS(hosts map[string]virtualHost, c connContext) error {
	var names []string
	for host := range hosts {
		names = append(names, host+":443")
	}
	slices.Sort(names)
	l, err := s.listen(names...)
	if err != nil {
		return err
	}
	s.serveTLSAt(l, hosts, c)
	return nil
}

// serveTLSAt is serveTLS at a listener.
func (s *servers) serveTLSAt(l net.Listener, hosts map[string]virtualHost, c connContext) {
	config := &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			h, ok := hosts[strings.ToLower(hello.ServerName)]
			if !ok {
				return nil, fmt.Errorf("no site %q here", hello.ServerName)
			}
			c := h.cert.tls()
			return &c, nil
		},
	}
	s.serve(tls.NewListener(l, config), byHost(hosts), c)
}

// listenEach opens a port at each Exchange server of the forest under its own name, and the published
// names in front of them all.
func (f *forestSite) listenEach(port string, published ...string) ([][]net.Listener, error) {
	out := make([][]net.Listener, len(f.exchange))
	if len(f.exchange) == 1 {
		l, err := f.listen(append(published, f.first().host+":"+port)...)
		out[0] = []net.Listener{l}
		return out, err
	}
	for i, s := range f.exchange {
		l, err := f.listen(s.host + ":" + port)
		if err != nil {
			return nil, err
		}
		out[i] = []net.Listener{l}
	}
	if len(published) == 0 {
		return out, nil
	}
	shares, err := f.balance(len(f.exchange), func(i int) bool {
		return slices.Contains(f.network.silent, f.exchange[i].host+":"+port)
	}, published...)
	for i := range shares {
		out[i] = append(out[i], shares[i])
	}
	return out, err
}

// serveHTTP serves a handler on a port, in place of port 80 of the hosts.
func (s *servers) serveHTTP(h http.Handler, c connContext, hosts ...string) error {
	var names []string
	for _, host := range hosts {
		names = append(names, host+":80")
	}
	l, err := s.listen(names...)
	if err != nil {
		return err
	}
	s.serve(l, h, c)
	return nil
}

func (s *servers) serve(l net.Listener, h http.Handler, c connContext) {
	if s.network.weather != nil {
		h = s.network.weather(h)
	}
	// It limits the TLS handshake, too: on a busy machine, a client takes more than ten seconds to begin.
	server := &http.Server{Handler: h, ConnContext: c, ReadHeaderTimeout: time.Minute, ErrorLog: s.network.log}
	s.queue(func() error { return server.Serve(l) }, func() { server.Close(); l.Close() })
}

// queue adds a server: start calls run, close calls stop.
func (s *servers) queue(run func() error, stop func()) {
	s.runs = append(s.runs, run)
	s.stops = append(s.stops, stop)
}

func (s *servers) start() {
	for _, run := range s.runs {
		s.wait.Go(func() {
			if err := run(); err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
				s.network.log.Print(err)
			}
		})
	}
}

func (s *servers) close() {
	for _, stop := range s.stops {
		stop()
	}
	s.wait.Wait()
}

func byHost(hosts map[string]virtualHost) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.Host
		if h, _, err := net.SplitHostPort(name); err == nil {
			name = h
		}
		h, ok := hosts[strings.ToLower(name)]
		if !ok {
			http.Error(w, "no such site", http.StatusMisdirectedRequest)
			return
		}
		h.handler.ServeHTTP(w, r)
	})
}

// cutRule splits a connect-to rule.
func cutRule(rule string) (name, address string) {
	name, address, _ = strings.Cut(rule, "=")
	return name, address
}
