package psrp

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// unsealed is a security context that seals nothing and takes "proof" for the server's.
type unsealed struct{}

func (unsealed) Seal(plain []byte) (signature, sealed []byte, err error) {
	return []byte("sign"), plain, nil
}
func (unsealed) Unseal(_, sealed []byte) ([]byte, error) { return sealed, nil }
func (unsealed) Close()                                  {}
func (unsealed) Step(in []byte) ([]byte, bool, error) {
	if in != nil && string(in) != "proof" {
		return nil, false, errors.New("not the server's token")
	}
	return []byte("hello"), in != nil, nil
}

// Over plain http, only sealed answers of an authenticated server count.
func TestPlainHTTPBelievesOnlyTheSealed(t *testing.T) {
	proof := "Kerberos " + base64.StdEncoding.EncodeToString([]byte("proof"))
	sealed := func(w http.ResponseWriter) {
		contentType, body, _ := sealBody(unsealed{}, "Kerberos", []byte("answer"))
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write(body)
	}
	for _, test := range []struct {
		name   string
		proof  string
		answer func(http.ResponseWriter)
		want   string // of the error
		class  error
	}{
		{"sealed", proof, sealed, "", nil},
		{"no proof", "", sealed, "did not prove itself", link.ErrAccess},
		{"another's proof", "Kerberos aGVsbG8=", sealed, "not the server's token", nil},
		{"not sealed", proof, func(w http.ResponseWriter) { _, _ = io.WriteString(w, "answer") }, "not encrypted", nil},
		{"a fault that is not sealed", proof,
			func(w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) }, "not encrypted", nil},
		{"too long", proof, func(w http.ResponseWriter) { _, _ = w.Write(make([]byte, maxAnswer+1)) },
			"answer of more than", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			signIns := 0
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") == "" {
					w.Header().Set("Connection", "close")
					test.answer(w)
					return
				}
				signIns++
				if test.proof != "" {
					w.Header().Set("WWW-Authenticate", test.proof)
				}
			}))
			defer srv.Close()
			c, err := newCarrier(Options{URL: "https://mail.contoso.com/PowerShell", User: "u",
				Password: secret.NewValue("p")})
			if err != nil {
				t.Fatal(err)
			}
			defer c.close()
			c.url, _ = url.Parse(srv.URL)
			c.newSecure = func(context.Context, string) (securityContext, error) { return unsealed{}, nil }
			for range 2 { // the second time over another connection: signed in again
				a, err := c.exchange(t.Context(), []byte("question"))
				if test.want == "" {
					if err != nil || string(a.body) != "answer" {
						t.Fatalf("got %+v, %v", a, err)
					}
					continue
				}
				if err == nil || !strings.Contains(err.Error(), test.want) || test.class != nil &&
					!errors.Is(err, test.class) {
					t.Errorf("got %v", err)
				}
				if c.security != nil {
					t.Error("the connection counts as authenticated")
				}
			}
			if signIns != 2 {
				t.Errorf("signed in %d times", signIns)
			}
		})
	}
}

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

type readFunc func(p []byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

// A server that sees the connection close may end its answer regularly: a cut answer must not look
// complete.
func TestAnEndAfterTheRequestsIsNone(t *testing.T) {
	c, err := newCarrier(Options{URL: "https://ex1.contoso.com/PowerShell/", User: "u", Password: secret.NewValue("p")})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	c.client.Transport = roundTripFunc(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(readFunc(func([]byte) (int, error) {
			cancel()
			return 0, io.EOF
		}))}, nil
	})
	if a, err := c.send(ctx, nil, soapType, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("answer %v, error %v, want context.Canceled", a, err)
	}
}

// A server that no longer knows a kept connection has not accepted the message: the client signs in
// again and sends it once more.
func TestForgottenConnection(t *testing.T) {
	known, signIns := false, 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		switch {
		case r.Header.Get("Authorization") != "":
			known = true
			signIns++
			w.Header().Set("WWW-Authenticate", "Kerberos "+base64.StdEncoding.EncodeToString([]byte("proof")))
		case !known:
			w.WriteHeader(http.StatusUnauthorized)
		default:
			contentType, body, _ := sealBody(unsealed{}, "Kerberos", []byte("answer"))
			w.Header().Set("Content-Type", contentType)
			_, _ = w.Write(body)
		}
	}))
	defer srv.Close()
	c, err := newCarrier(Options{URL: "https://mail.contoso.com/PowerShell", User: "u", Password: secret.NewValue("p")})
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	c.url, _ = url.Parse(srv.URL)
	c.newSecure = func(context.Context, string) (securityContext, error) { return unsealed{}, nil }
	for range 2 {
		if a, err := c.exchange(t.Context(), []byte("question")); err != nil || string(a.body) != "answer" {
			t.Fatalf("got %+v, %v", a, err)
		}
		known = false
	}
	if signIns != 2 {
		t.Errorf("signed in %d times", signIns)
	}
}

// A server that knows Negotiate alone answers "Kerberos" with 401: the scheme follows what it
// offers, once.
func TestSchemeFollowsTheOffer(t *testing.T) {
	for _, test := range []struct {
		name, given, offer string
		tried              []string
		fine               bool
	}{
		{"both", "", "Kerberos,Negotiate", []string{"Kerberos"}, true},
		{"Negotiate alone", "", "Negotiate", []string{"Kerberos", "Negotiate"}, true},
		{"neither", "", "Basic", []string{"Kerberos"}, false},
		{"the options decide", "Kerberos", "Negotiate", []string{"Kerberos"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			var tried []string
			proof := base64.StdEncoding.EncodeToString([]byte("proof"))
			srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
				tried = append(tried, scheme)
				if !strings.Contains(test.offer, scheme) {
					for offer := range strings.SplitSeq(test.offer, ",") {
						w.Header().Add("WWW-Authenticate", offer)
					}
					w.WriteHeader(http.StatusUnauthorized)
					return
				}
				w.Header().Set("WWW-Authenticate", scheme+" "+proof)
				_, _ = io.WriteString(w, "answer")
			}))
			defer srv.Close()
			c, err := newCarrier(Options{URL: srv.URL + "/PowerShell/", User: "u", Password: secret.NewValue("p"),
				Scheme: test.given,
				TLS:    trusting(srv)})
			if err != nil {
				t.Fatal(err)
			}
			defer c.close()
			c.newSecure = func(context.Context, string) (securityContext, error) { return unsealed{}, nil }
			a, err := c.exchange(t.Context(), []byte("question"))
			if (err == nil) != test.fine || test.fine && string(a.body) != "answer" {
				t.Errorf("got %v", err)
			}
			if err != nil && (!errors.Is(err, link.ErrAccess) ||
				!strings.Contains(err.Error(), "the server offers "+test.offer)) {
				t.Errorf("got %v", err)
			}
			if got := strings.Join(tried, " "); got != strings.Join(test.tried, " ") {
				t.Errorf("tried %s", got)
			}
		})
	}
}

// After a redirect the certificate must be the new server's.
func TestServerNameAfterRedirect(t *testing.T) {
	asked := make(chan string, 1)
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.TLS = &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		asked <- h.ServerName
		return nil, nil
	}}
	srv.StartTLS()
	defer srv.Close()
	for address, want := range map[string]string{"ex1.contoso.com:443": "mail.contoso.com",
		"ex2.contoso.com:443": "ex2.contoso.com"} {
		c, err := newCarrier(Options{
			URL: "https://ex1.contoso.com/PowerShell/", User: "u", Password: secret.NewValue("p"),
			// of ex1 alone: not spread by a redirect
			TLS: &tls.Config{ServerName: "mail.contoso.com", InsecureSkipVerify: true},
			Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, srv.Listener.Addr().String())
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		conn, err := c.handshake(t.Context(), "tcp", address, tls.VersionTLS12)
		if trusted := want == "mail.contoso.com"; (err == nil) != trusted {
			t.Fatalf("%s: %v", address, err)
		}
		if err == nil {
			conn.Close()
		}
		if got := <-asked; got != want {
			t.Errorf("%s: asked for %s, want %s", address, got, want)
		}
	}
}

// A silent server does not block without end, whatever the caller's context allows.
func TestEnvelopeEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := newCarrier(Options{URL: "https://ex1.contoso.com/PowerShell/", User: "u",
			Password: secret.NewValue("p"), OperationTimeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		c.client.Transport = roundTripFunc(func(r *http.Request) (*http.Response, error) {
			select {
			case <-r.Context().Done():
				return nil, r.Context().Err()
			case <-time.After(24 * time.Hour):
				return nil, errors.New("waited for a day")
			}
		})
		if _, err := c.send(t.Context(), nil, soapType, nil); !errors.Is(err, link.ErrUnreachable) ||
			!strings.Contains(err.Error(), "no answer within 1m30s") {
			t.Errorf("got %v", err)
		}
	})
}
