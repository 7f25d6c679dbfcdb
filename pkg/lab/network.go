package lab

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// network is the lab's corner of loopback: who listens where, and the connect-to rules that lead a client there.
type network struct {
	connectTo []string // HOST:PORT=127.0.0.1:PORT
	runs      []func() error
	stops     []func()
	wait      sync.WaitGroup
	log       *log.Logger
}

// site is one virtual host: the certificate it shows and what answers.
type site struct {
	cert    *issued
	handler http.Handler
}

func (n *network) listen(names ...string) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("lab: listen on loopback: %w", err)
	}
	for _, name := range names {
		n.connectTo = append(n.connectTo, name+"="+l.Addr().String())
	}
	return l, nil
}

// serveTLS serves virtual hosts, told apart by SNI and Host, on a port of their own that stands for 443.
// HTTP/2 is off: NTLM and Kerberos bind to the connection, as IIS has it.
func (n *network) serveTLS(sites map[string]site, connContext func(context.Context, net.Conn) context.Context) error {
	var names []string
	for host := range sites {
		names = append(names, host+":443")
	}
	slices.Sort(names)
	l, err := n.listen(names...)
	if err != nil {
		return err
	}
	config := &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			s, ok := sites[strings.ToLower(hello.ServerName)]
			if !ok {
				return nil, fmt.Errorf("no site %q here", hello.ServerName)
			}
			c := s.cert.tls()
			return &c, nil
		},
	}
	n.serve(tls.NewListener(l, config), byHost(sites), connContext)
	return nil
}

// serveHTTP serves a handler on a port that stands for port 80 of the names.
func (n *network) serveHTTP(h http.Handler, connContext func(context.Context, net.Conn) context.Context, hosts ...string) error {
	var names []string
	for _, host := range hosts {
		names = append(names, host+":80")
	}
	l, err := n.listen(names...)
	if err != nil {
		return err
	}
	n.serve(l, h, connContext)
	return nil
}

func (n *network) serve(l net.Listener, h http.Handler, connContext func(context.Context, net.Conn) context.Context) {
	s := &http.Server{Handler: h, ConnContext: connContext, ReadHeaderTimeout: 10 * time.Second, ErrorLog: n.log}
	n.goServe(func() error { return s.Serve(l) }, func() { s.Close() })
}

// goServe queues a server: start runs it, close calls stop.
func (n *network) goServe(run func() error, stop func()) {
	n.runs = append(n.runs, run)
	n.stops = append(n.stops, stop)
}

// start runs what was queued. Everybody's address is known by then.
func (n *network) start() {
	for _, run := range n.runs {
		n.wait.Go(func() {
			if err := run(); err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
				n.log.Print(err)
			}
		})
	}
}

func (n *network) close() {
	for _, stop := range n.stops {
		stop()
	}
	n.wait.Wait()
}

func byHost(sites map[string]site) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		s, ok := sites[strings.ToLower(host)]
		if !ok {
			http.Error(w, "no such site", http.StatusMisdirectedRequest)
			return
		}
		s.handler.ServeHTTP(w, r)
	})
}

// cutRule splits a connect-to rule.
func cutRule(rule string) (name, address string) {
	name, address, _ = strings.Cut(rule, "=")
	return name, address
}
