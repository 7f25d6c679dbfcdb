package link

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"
)

// classified is an error with its class and a sentence that a person can act on.
type classified struct {
	class    error
	sentence string
	err      error
}

func (e *classified) Error() string   { return e.sentence }
func (e *classified) Unwrap() []error { return []error{e.class, e.err} }

// HostError names the host of a failed TLS handshake: the name that the certificate had to cover.
// Only errors.As finds the host: the text is that of the wrapped error. Classify keeps it in the
// chain.
type HostError struct {
	Host string
	Err  error
}

func (e *HostError) Error() string { return e.Err.Error() }
func (e *HostError) Unwrap() error { return e.Err }

// handshakeError marks an error as coming out of a TLS handshake.
type handshakeError struct{ err error }

func (e *handshakeError) Error() string { return "TLS handshake: " + e.err.Error() }
func (e *handshakeError) Unwrap() error { return e.err }

// Classify wraps errors of net, tls, x509 and http in ErrAccess, ErrUntrusted or ErrUnreachable,
// with a sentence instead of the library's text. The original stays in the chain. Text that wraps
// it is lost from the sentence, so classify where the error arises. An error that has a class, a
// cancelled context and errors of no class are returned unchanged.
func Classify(err error) error {
	if err == nil || errors.Is(err, ErrAccess) || errors.Is(err, ErrUntrusted) || errors.Is(err, ErrUnreachable) ||
		errors.Is(err, context.Canceled) {
		return err
	}
	if u, ok := err.(*url.Error); ok { //nolint:errorlint // one below would lose what is said around it
		if c := Classify(u.Err); c != u.Err { //nolint:errorlint // identity is meant: was it classified?
			return fmt.Errorf("%s %s: %w", strings.ToUpper(u.Op), PrintableURL(u.URL), c)
		}
	}
	if c := classifyTLS(err); c != nil {
		return c
	}
	return classifyNet(err)
}

func classifyTLS(err error) error {
	untrusted := func(format string, args ...any) error {
		return &classified{ErrUntrusted, Printable(fmt.Sprintf(format, args...)), err}
	}
	var (
		hs        *handshakeError
		hostname  x509.HostnameError
		unknown   x509.UnknownAuthorityError
		invalid   x509.CertificateInvalidError
		verify    *tls.CertificateVerificationError
		systemErr x509.SystemRootsError
		alert     tls.AlertError
		record    tls.RecordHeaderError
	)
	var leaf *x509.Certificate
	if errors.As(err, &verify) && len(verify.UnverifiedCertificates) > 0 {
		leaf = verify.UnverifiedCertificates[0]
	}
	switch {
	case errors.As(err, &hostname):
		return untrusted("the certificate is not for %s, it is for %s", hostname.Host,
			certificateNames(hostname.Certificate))
	case errors.As(err, &unknown):
		if leaf == nil {
			leaf = unknown.Cert
		}
		if leaf == nil {
			return untrusted("the certificate is signed by an authority that is not trusted here")
		}
		if leaf.Subject.String() == leaf.Issuer.String() {
			return untrusted("the certificate is self-signed (%s) and not trusted here", leaf.Subject)
		}
		return untrusted("the certificate of %s is signed by an authority that is not trusted here (issuer %s), or "+
			"the server does not send the intermediate certificate", certificateNames(leaf), leaf.Issuer)
	case errors.As(err, &invalid):
		if invalid.Reason == x509.Expired && invalid.Cert != nil {
			c := invalid.Cert
			now, _, _ := strings.Cut(strings.TrimPrefix(invalid.Detail, "current time "), " is ")
			return untrusted("the certificate is outside its validity, %s to %s (%s), if this machine's clock is "+
				"right: it shows %s",
				c.NotBefore.UTC().Format(time.RFC3339), c.NotAfter.UTC().Format(time.RFC3339), c.Subject, now)
		}
		return untrusted("the certificate is not valid: %s", strings.TrimPrefix(invalid.Error(), "x509: "))
	case errors.As(err, &systemErr):
		return untrusted("this machine has no list of trusted certificate authorities")
	case verify != nil:
		return untrusted("the certificate is not valid: %s", strings.TrimPrefix(verify.Err.Error(), "x509: "))
	case alertSentence(err) != "":
		return &classified{ErrUnreachable, alertSentence(err), err}
	case errors.As(err, &record):
		return &classified{ErrUnreachable, "the server does not speak TLS on this port", err}
	case errors.As(err, &alert):
		return &classified{ErrUnreachable,
			"TLS handshake refused by the server: " + strings.TrimPrefix(alert.Error(), "tls: "), err}
	case errors.As(err, &hs):
		switch {
		case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
			return &classified{ErrUnreachable, "no TLS handshake within the time limit", err}
		case errors.Is(err, io.EOF), hasErrno(err, syscall.ECONNRESET, 10054):
			return &classified{ErrUnreachable, "the server closed the connection during the TLS handshake", err}
		case strings.Contains(hs.err.Error(), "unsupported protocol version"), strings.Contains(hs.err.Error(),
			"protocol version not supported"):
			return &classified{ErrUnreachable, "the server offers no TLS 1.2 or better", err}
		}
		return &classified{ErrUnreachable,
			"TLS handshake failed: " + Printable(strings.TrimPrefix(hs.err.Error(), "tls: ")), err}
	}
	return nil
}

func classifyNet(err error) error {
	unreachable := func(format string, args ...any) error {
		return &classified{ErrUnreachable, fmt.Sprintf(format, args...), err}
	}
	var dns *net.DNSError
	var op *net.OpError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &dns):
		name := strings.TrimSuffix(dns.Name, ".")
		switch {
		case dns.IsNotFound:
			return unreachable("no such host %s", name)
		case dns.IsTimeout:
			return unreachable("no answer from the name server about %s", name)
		}
		return unreachable("the name server could not resolve %s: %s", name, dns.Err)
	case hasErrno(err, syscall.ECONNREFUSED, 10061):
		return unreachable("connection refused")
	case hasErrno(err, syscall.EHOSTUNREACH, 10065), hasErrno(err, syscall.ENETUNREACH, 10051):
		return unreachable("no route to the host")
	case hasErrno(err, syscall.ECONNRESET, 10054):
		return unreachable("connection reset by the server")
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded),
		errors.As(err, &timeout) && timeout.Timeout():
		return unreachable("no answer within the time limit")
	// net/http exports none of these errors
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), strings.Contains(err.Error(),
		"server closed idle connection"):
		return unreachable("the server closed the connection without an answer")
	case strings.Contains(err.Error(), "malformed HTTP "), strings.Contains(err.Error(), "malformed MIME header"):
		return unreachable("what the server answers is not HTTP")
	// on this side, after another failure; a later call then used the closed connection
	case errors.Is(err, net.ErrClosed):
		return unreachable("the connection broke")
	case errors.As(err, &op):
		return unreachable("%s: %v", op.Op, op.Err)
	}
	return err
}

// hasErrno compares with Go's number and with the one of Windows sockets, which Go does not
// translate.
func hasErrno(err error, number, windows syscall.Errno) bool {
	var got syscall.Errno
	return errors.As(err, &got) && (got == number || got == windows)
}

// certificateNames lists the names of a certificate, shortened.
func certificateNames(c *x509.Certificate) string {
	if c == nil {
		return "no name"
	}
	names := append([]string(nil), c.DNSNames...)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		if c.Subject.CommonName == "" {
			return "no name"
		}
		return c.Subject.CommonName + " (common name alone, no alternative names)"
	}
	const most = 5
	if rest := len(names) - most; rest > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), rest)
	}
	return strings.Join(names, ", ")
}

// StatusError is an HTTP answer that is not the one wanted. It is ErrAccess for 401, 403 and 407,
// ErrUnreachable for 502, 503 and 504.
type StatusError struct {
	Method, URL string
	StatusCode  int
	Status      string // "401 Unauthorized"
	Header      http.Header
	Detail      string // what the server said about it, printable and short; may be empty
}

func (e *StatusError) Error() string {
	s := e.Method + " " + PrintableURL(e.URL) + ": HTTP " + Printable(e.Status)
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	return s
}

// Is makes a StatusError one of the classes.
func (e *StatusError) Is(target error) bool {
	switch e.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired:
		return target == ErrAccess
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return target == ErrUnreachable
	}
	return false
}

// NewStatusError describes resp. The detail is the first text of an HTML or plain body, at most 200
// characters; body may be nil.
func NewStatusError(resp *http.Response, body []byte) *StatusError {
	e := &StatusError{StatusCode: resp.StatusCode, Status: resp.Status, Header: resp.Header,
		Detail: excerpt(body, resp.Header.Get("Content-Type"))}
	if resp.Request != nil {
		e.Method, e.URL = resp.Request.Method, resp.Request.URL.String()
	}
	return e
}

// excerpt returns the readable beginning of an unexpected answer.
func excerpt(body []byte, contentType string) string {
	if len(body) > 64<<10 {
		body = body[:64<<10]
	}
	text := string(body)
	if strings.Contains(contentType, "html") || strings.Contains(strings.ToLower(text[:min(len(text), 200)]), "<html") {
		lower := strings.ToLower(text)
		if i := strings.Index(lower, "<title>"); i >= 0 && len(lower) == len(text) {
			if j := strings.Index(lower[i:], "</title>"); j > 0 {
				text = text[i+len("<title>") : i+j]
			}
		} else {
			return "an HTML page"
		}
	}
	text = strings.Join(strings.Fields(Printable(text)), " ")
	if r := []rune(text); len(r) > 200 {
		text = string(r[:200]) + "..."
	}
	return text
}
