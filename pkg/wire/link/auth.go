package link

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
)

// Basic sends a user name and password with every request, over https alone (RFC 7617).
type Basic struct {
	User     string
	Password secret.Value
}

// Wrap implements Authenticator.
func (b Basic) Wrap(base *http.Transport) http.RoundTripper {
	return &headerAuth{base: base, scheme: "Basic", value: func(context.Context) (string, error) {
		return base64.StdEncoding.EncodeToString([]byte(b.User + ":" + b.Password.Reveal())), nil
	}}
}

// Bearer sends a token with every request, over https alone (RFC 6750). Token is called for each
// request and should cache.
type Bearer struct {
	Token func(ctx context.Context) (string, error)
}

// Wrap implements Authenticator.
func (b Bearer) Wrap(base *http.Transport) http.RoundTripper {
	return &headerAuth{base: base, scheme: "Bearer", value: b.Token}
}

// headerAuth adds an Authorization header.
type headerAuth struct {
	base   *http.Transport
	scheme string
	value  func(ctx context.Context) (string, error)
}

func (a *headerAuth) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := requireTLS(r, a.scheme); err != nil {
		return nil, err
	}
	value, err := a.value(r.Context())
	if err != nil {
		closeBody(r)
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", a.scheme+" "+value)
	return a.base.RoundTrip(r)
}

// requireTLS refuses to put a credential on an unencrypted connection.
func requireTLS(r *http.Request, scheme string) error {
	if r.URL.Scheme == "https" {
		return nil
	}
	closeBody(r)
	return fmt.Errorf("%s %s: %s credentials are never sent over an unencrypted connection", r.Method,
		PrintableURL(r.URL.String()), scheme)
}

func closeBody(r *http.Request) {
	if r.Body != nil {
		r.Body.Close()
	}
}
