package link

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// A request body that is too long to be sent again is refused, and not sent in part.
func TestBodyTooLongToReplay(t *testing.T) {
	for _, more := range []int64{0, 1} {
		r, err := http.NewRequest(http.MethodPost, "https://mail.contoso.com/EWS",
			io.LimitReader(zeros{}, maxReplay+more))
		if err != nil {
			t.Fatal(err)
		}
		body, err := replayable(r)
		if more == 0 && (err != nil || len(body) != maxReplay) || more > 0 &&
			(err == nil || !strings.Contains(err.Error(), "cannot be authenticated")) {
			t.Errorf("%d bytes more: %d bytes, %v", more, len(body), err)
		}
	}
}

func TestTLSConfiguration(t *testing.T) {
	l := newLink(t, Options{InsecureHosts: []string{"Lab.contoso.com"}})
	for host, insecure := range map[string]bool{"lab.contoso.com.": true, "mail.contoso.com": false} {
		c := l.TLS(host)
		if c.MinVersion < tls.VersionTLS12 || c.InsecureSkipVerify != insecure || strings.HasSuffix(c.ServerName, ".") {
			t.Errorf("%s: from version %#x, unverified %v, as %q", host, c.MinVersion, c.InsecureSkipVerify,
				c.ServerName)
		}
	}
}

// HTTP/2 carries the requests of many callers over one connection: there, what the connection was
// authenticated as speaks for no user.
func TestConnectionSpeaksForHTTP1Alone(t *testing.T) {
	a := &Accept{NTLM: true}
	for major, want := range map[int]int{1: http.StatusOK, 2: http.StatusUnauthorized} {
		ctx := ConnContext(t.Context(), nil)
		ctx.Value(connKey{}).(*connState).caller = &Caller{Scheme: "NTLM", User: "anna"}
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
		r.ProtoMajor = major
		w := httptest.NewRecorder()
		a.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("HTTP/%d: %d", major, w.Code)
		}
	}
}

type endless struct{}

func (endless) Step([]byte) ([]byte, bool, error) { return []byte("x"), false, nil }

// An exchange belongs to one connection: on another one, its next message would show a stranger the
// rest of it.
func TestExchangeKeepsItsConnection(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		offer := "Negotiate"
		if r.Header.Get("Authorization") != "" {
			offer += " dG9rZW4="
			w.Header().Set("Connection", "close")
		}
		w.Header().Set("WWW-Authenticate", offer)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer srv.Close()
	c := newLink(t, Options{}).Client(Negotiate{Context: func(context.Context, string) (SecurityContext,
		error) {
		return endless{}, nil
	}})
	defer c.CloseIdleConnections()
	if _, err := get(t, c, srv.URL); !errors.Is(err, ErrUnreachable) ||
		!strings.Contains(err.Error(), "closed the connection in the middle") {
		t.Errorf("got %v", err)
	}
}
