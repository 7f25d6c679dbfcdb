package link_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// The meaning of a server's TLS alert is explained in words that a person can act on.
func TestAlertsAreNamed(t *testing.T) {
	for name, test := range map[string]struct {
		config *tls.Config
		want   string
	}{
		"a client certificate, TLS 1.3": {&tls.Config{ClientAuth: tls.RequireAnyClientCert},
			"requires a client certificate"},
		"a client certificate, TLS 1.2": {&tls.Config{ClientAuth: tls.RequireAnyClientCert,
			MaxVersion: tls.VersionTLS12}, "requires a client certificate"},
		"TLS 1.1 alone": {&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11},
			"no TLS 1.2 or better"},
		"SNI refused": {&tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return nil, errors.New("no such host here")
		}}, "the server's TLS failed"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewUnstartedServer(http.NotFoundHandler())
			srv.TLS = test.config
			srv.Config.ErrorLog = nil
			srv.StartTLS()
			defer srv.Close()
			l, err := link.New(link.Options{InsecureHosts: []string{"127.0.0.1"}})
			if err != nil {
				t.Fatal(err)
			}
			r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL, nil)
			_, err = l.Client(nil).Do(r)
			if err == nil || !errors.Is(err, link.ErrUnreachable) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A time-out says at which step and after how long.
func TestTimeoutsSayStepAndSeconds(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	l, err := link.New(link.Options{Timeout: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	_, err = l.DialTLS(context.Background(), silent.Addr().String(), "")
	if err == nil || !strings.Contains(err.Error(), "no TLS handshake within the time limit, after 0.3 s") {
		t.Errorf("got %v", err)
	}
}
