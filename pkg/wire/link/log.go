package link

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// LevelTrace is below debug. It adds the bodies of requests and answers, without secrets.
const LevelTrace = slog.LevelDebug - 4

// Log is where calls are logged: debug has one line per call, LevelTrace their bodies too. It is
// never nil.
func (l *Link) Log() *slog.Logger {
	if l.log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return l.log
}

// logging logs each request with its answer.
type logging struct {
	log  *slog.Logger
	next http.RoundTripper
}

// correlation are the headers by which Microsoft and other operators find a request.
var correlation = []string{
	"Request-Id", "Client-Request-Id", "X-Ms-Request-Id", "X-Feserver", "X-Calculatedbetarget", "X-Diaginfo",
	"X-Ms-Diagnostics", "X-Ms-Ags-Diagnostic", "Retry-After", "Www-Authenticate",
}

func (t *logging) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	if !t.log.Enabled(ctx, slog.LevelDebug) {
		return t.next.RoundTrip(r)
	}
	if r.Body != nil && t.log.Enabled(ctx, LevelTrace) {
		// GetBody is not used: some libraries return the same stream again.
		body, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil {
			return nil, err
		}
		t.trace(ctx, "http request body", r.Header, body[:min(len(body), maxTraced)])
		r = r.Clone(ctx)
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	began := time.Now()
	resp, err := t.next.RoundTrip(r)
	attributes := []slog.Attr{slog.String("method", r.Method), slog.String("url", loggedURL(ctx, r.URL)),
		slog.Duration("took", time.Since(began).Round(time.Millisecond))}
	if err != nil {
		t.log.LogAttrs(ctx, slog.LevelDebug, "http", append(attributes, slog.String("error", Line(err.Error())))...)
		return nil, err
	}
	attributes = append(attributes, slog.Int("status", resp.StatusCode))
	for _, name := range correlation {
		value := resp.Header.Get(name)
		if value == "" {
			value = r.Header.Get(name)
		}
		if name == "Www-Authenticate" {
			value = Schemes(resp.Header)
		}
		if value != "" {
			attributes = append(attributes, slog.String(strings.ToLower(name), Line(value)))
		}
	}
	t.log.LogAttrs(ctx, slog.LevelDebug, "http", attributes...)
	if t.log.Enabled(ctx, LevelTrace) {
		resp.Body = &tracedBody{ReadCloser: resp.Body, done: func(b []byte) {
			t.trace(ctx, "http answer body", resp.Header, b)
		}}
	}
	return resp, nil
}

func (t *logging) trace(ctx context.Context, what string, h http.Header, body []byte) {
	if len(body) > 0 && t.log.Enabled(ctx, LevelTrace) {
		t.log.LogAttrs(ctx, LevelTrace, what, slog.String("body", Redact(h.Get("Content-Type"), body)))
	}
}

// maxTraced is how much of one body a log shows.
const maxTraced = 32 << 10

// tracedBody keeps the beginning of a body for the log.
type tracedBody struct {
	io.ReadCloser
	kept bytes.Buffer
	done func([]byte)
}

func (b *tracedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.kept.Write(p[:min(n, max(0, maxTraced-b.kept.Len()))])
	return n, err
}

func (b *tracedBody) Close() error {
	if b.done != nil {
		b.done(b.kept.Bytes())
		b.done = nil
	}
	return b.ReadCloser.Close()
}

type hiddenPathKey struct{}

// HiddenPath marks requests whose address is a secret: logs show its host alone.
func HiddenPath(ctx context.Context) context.Context {
	return context.WithValue(ctx, hiddenPathKey{}, true)
}

// loggedURL is an address with those parts of its query that OData defines. Others may be secrets.
func loggedURL(ctx context.Context, u *url.URL) string {
	if hidden, _ := ctx.Value(hiddenPathKey{}).(bool); hidden {
		return u.Scheme + "://" + Line(u.Host) + "/" + redacted
	}
	text := PrintableURL(u.String())
	query := u.Query()
	for name := range query {
		if !strings.HasPrefix(name, "$") || name == "$skiptoken" {
			delete(query, name)
		}
	}
	if len(query) > 0 {
		plain, err := url.QueryUnescape(query.Encode())
		if err == nil {
			text += "?" + Line(plain)
		}
	}
	return text
}

var (
	// plainFields are the fields of a token request that may be shown.
	plainFields = []string{"grant_type", "client_id", "scope", "resource", "client_assertion_type", "response_type"}

	// Compiled when needed: few runs write such a log. The end of a text ends a secret too: of a long
	// body, the log has the beginning.
	secretMembers = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)("(?:key|[^"]*(?:token|secret|secrettext|password|assertion|passphrase|` +
			`device_code|privatekey))"\s*:\s*)"(?:[^"\\]|\\.)*(?:"|\\?$)`)
	})
	secretElements = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)(<(?:[a-z0-9]+:)?(?:[a-z]*password|[a-z]*token|[a-z]*secret|ss|` +
			`ciphervalue|signaturevalue)(?:\s[^>]*)?>)[^<]*(<|$)`)
	})
	bareTokens = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,3}`)
	})
)

const redacted = "REDACTED"

// Redact prepares a body for a log. It removes secrets, tokens and keys, which it finds by the
// names beside them and by their form. A binary body is not shown.
func Redact(contentType string, body []byte) string {
	media, _, _ := mime.ParseMediaType(contentType)
	if media == "application/x-www-form-urlencoded" {
		fields, err := url.ParseQuery(string(body))
		if err != nil {
			return redacted
		}
		for name := range fields {
			if !slices.Contains(plainFields, name) {
				fields[name] = []string{redacted}
			}
		}
		return Line(fields.Encode())
	}
	text := string(body)
	if strings.ContainsRune(text, 0) || !strings.ContainsAny(text, "<{[ ") && len(text) > 0 {
		return "(not text)"
	}
	text = secretMembers().ReplaceAllString(text, `${1}"`+redacted+`"`)
	text = secretElements().ReplaceAllString(text, `${1}`+redacted+`${2}`)
	text = bareTokens().ReplaceAllString(text, redacted)
	return strings.Join(strings.Fields(Printable(text)), " ")
}
