// Package entra speaks to an Entra tenant: it signs in, and sends requests to Microsoft Graph v1.0.
// What the checks and the tests read (service principals, domains, the organization, schedules) has
// types; what plans write goes through Client.Do as the plan shows it. It speaks plain HTTPS;
// Microsoft's Graph library is far heavier than what is needed here.
package entra

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// Errors of Graph besides the classes of package link. Test with errors.Is.
var (
	ErrNotFound = errors.New("no such object") // 404
	// 429 after retries, or a longer wait than there is time for
	ErrThrottled = errors.New("server asked to slow down")
	ErrForeign   = errors.New("link leads to another host") // an @odata.nextLink that does not stay at Graph
)

// Error is an error document of Graph.
type Error struct {
	Method, Path    string // path without query
	Host            string
	Status          int
	Code            string // "Request_ResourceNotFound"
	Message         string // cleaned; one line
	RequestID       string
	ClientRequestID string
	RetryAfter      time.Duration // what the last 429 or 503 asked for
}

func (e *Error) Error() string {
	text := e.Message
	if text == "" {
		text = http.StatusText(e.Status)
	}
	s := fmt.Sprintf("%s %s at %s: %d", e.Method, e.Path, e.Host, e.Status)
	if e.Code != "" {
		s += " " + e.Code
	}
	s += ": " + text
	if e.RequestID != "" {
		s += " (request id " + e.RequestID + ")"
	}
	return s
}

// Is puts the error into the classes of this package and of link. A refusal without Graph's error
// document comes from something on the way, such as a firewall, and says nothing about the account.
func (e *Error) Is(target error) bool {
	switch target {
	case link.ErrAccess:
		return e.Code != "" && (e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden)
	case link.ErrUnreachable:
		return e.Status == http.StatusBadGateway || e.Status == http.StatusServiceUnavailable ||
			e.Status == http.StatusGatewayTimeout
	case ErrNotFound:
		return e.Status == http.StatusNotFound
	case ErrThrottled:
		return e.Status == http.StatusTooManyRequests
	}
	return false
}

// NotYet reports whether an error may only mean that the directory's replicas have not all heard of
// a new object: the request is worth a retry when the object was created a moment ago.
func NotYet(err error) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	if e.Status == http.StatusNotFound {
		return true
	}
	// POST /servicePrincipals right after POST /applications; appRoleAssignments right after POST
	// /servicePrincipals.
	return e.Status == http.StatusBadRequest &&
		(e.Code == "NoBackingApplicationObject" || strings.Contains(e.Message, "NoBackingApplicationObject") ||
			strings.Contains(e.Message, "backing application") ||
			strings.Contains(e.Message, "does not reference a valid application object") ||
			strings.Contains(e.Message, "Not a valid reference update"))
}

// Options for New.
type Options struct {
	Graph string       // https://graph.microsoft.com
	HTTP  *http.Client // link's anonymous client
	// Token returns a token for Graph; Identity.Source is one.
	Token   func(ctx context.Context) (string, error)
	Tries   int           // of a request that is throttled; 4 when 0
	MaxWait time.Duration // the longest Retry-After that is obeyed; 5 minutes when 0
	Timeout time.Duration // of one try; 100 s when 0
	// Waiting is called before each pause for a retry; may be nil.
	Waiting func(link.Wait)
	// Wait pauses between tries; tests replace it.
	Wait func(ctx context.Context, d time.Duration) error
	// Now is for HTTP dates in Retry-After; time.Now when nil.
	Now func() time.Time
	// Read stands between GET requests and Graph: live sends the request to ask. May be nil.
	Read func(ctx context.Context, ask string, live func(context.Context) (json.RawMessage, error)) (json.RawMessage,
		error)
}

// Client is a tenant's Graph. It is safe for concurrent use.
type Client struct {
	o    Options
	base *url.URL // .../v1.0
	http *http.Client
}

// New makes a Client; nothing is connected to yet.
func New(o Options) (*Client, error) {
	u, err := url.Parse(strings.TrimSuffix(o.Graph, "/") + "/v1.0")
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("microsoft graph: %q is not an https URL", o.Graph)
	}
	if o.Timeout == 0 {
		o.Timeout = 100 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	retry := link.Retry{
		Tries: o.Tries, MaxWait: o.MaxWait, Timeout: o.Timeout, Backoff: backoff, Waiting: o.Waiting, Sleep: o.Wait,
		Now: o.Now,
		Prepare: func(r *http.Request) error {
			token, err := o.Token(r.Context())
			if err != nil {
				return err
			}
			r.Header.Set("Authorization", "Bearer "+token)
			return nil
		},
	}
	return &Client{o: o, base: u, http: retry.Client(o.HTTP)}, nil
}

// Reads of keyCredentials are counted by the minute: 150 per tenant. Graph's refusal may come
// without Retry-After.
const keyReadPause = 65 * time.Second

// backoff is the pause before a request that was refused without Retry-After.
func backoff(r *http.Request, status, try int) time.Duration {
	if status == http.StatusTooManyRequests && strings.Contains(r.URL.RawQuery, "keyCredentials") {
		return keyReadPause
	}
	return time.Second << (try - 1)
}

// Close closes the connections that are idle. The client may be used again.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// maxAnswer bounds one answer; a page of 999 users is some MiB.
const maxAnswer = 64 << 20

// Do sends one request. The path follows the version ("/applications?$filter=..."; values in it
// escaped by the caller) or is a whole URL of the same host, as next links are. body is encoded as
// JSON, nil sends none. The answer is the decoded document, numbers as int64 or float64; nil when
// there is none. Throttling (429, and 503 with Retry-After) is waited out; failed requests are
// retried only when they read (GET) or were not carried out. Errors of the server are *Error.
func (c *Client) Do(ctx context.Context, method, path string, body any) (map[string]any, error) {
	var out map[string]any
	raw, err := c.do(ctx, method, path, body)
	if err != nil || len(raw) == 0 {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&out); err != nil {
		return nil, c.malformed(method, path)
	}
	for k, v := range out {
		out[k] = plainNumbers(v)
	}
	return out, nil
}

// Get reads one object.
func (c *Client) Get(ctx context.Context, path string) (map[string]any, error) {
	return c.Do(ctx, http.MethodGet, path, nil)
}

// plainNumbers turns json.Number into int64 where it fits, else float64.
func plainNumbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, err := v.Float64()
		if err != nil {
			return v.String()
		}
		return f
	case map[string]any:
		for k, e := range v {
			v[k] = plainNumbers(e)
		}
	case []any:
		for i, e := range v {
			v[i] = plainNumbers(e)
		}
	}
	return v
}

func (c *Client) malformed(method, path string) error {
	return fmt.Errorf("%s %s at %s: the answer is no JSON document", method, withoutQuery(path), c.base.Host)
}

func withoutQuery(path string) string {
	path, _, _ = strings.Cut(path, "?")
	if u, err := url.Parse(path); err == nil && u.Host != "" {
		path = strings.TrimPrefix(u.Path, "/v1.0")
	}
	return link.Printable(path)
}

// resolve makes the address of a request. The token goes with it, so it must not leave Graph's
// host.
func (c *Client) resolve(path string) (string, error) {
	if strings.HasPrefix(path, "/") {
		return c.base.String() + path, nil
	}
	u, err := url.Parse(path)
	if err != nil || u.Scheme != c.base.Scheme || !strings.EqualFold(u.Host, c.base.Host) || u.User != nil {
		other := "?"
		if err == nil {
			other = link.Printable(u.Scheme + "://" + u.Host)
		}
		return "", fmt.Errorf("microsoft graph at %s: %w: %s", c.base.Host, ErrForeign, other)
	}
	return path, nil
}

func (c *Client) do(ctx context.Context, method, path string, body any) ([]byte, error) {
	if method == http.MethodGet && body == nil && c.o.Read != nil {
		ask := method + " " + strings.TrimPrefix(path, c.base.String())
		return c.o.Read(ctx, ask, func(ctx context.Context) (json.RawMessage, error) {
			return c.send(ctx, method, path, nil)
		})
	}
	return c.send(ctx, method, path, body)
}

func (c *Client) send(ctx context.Context, method, path string, body any) ([]byte, error) {
	address, err := c.resolve(path)
	if err != nil {
		return nil, err
	}
	var payload []byte
	if body != nil {
		if payload, err = json.Marshal(body); err != nil {
			return nil, fmt.Errorf("%s %s: %w", method, withoutQuery(path), err)
		}
	}
	answer, failed, err := c.once(ctx, method, address, payload)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s %s at %s: %w", method, withoutQuery(path), c.base.Host, err)
	case failed != nil:
		failed.Path = withoutQuery(path)
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < failed.RetryAfter {
			return nil, fmt.Errorf("%w: it asks to wait %s, longer than there is time", failed, failed.RetryAfter)
		}
		return nil, failed
	case bytes.Count(answer, []byte(",")) > maxCommas:
		return nil, fmt.Errorf("%s %s at %s: the answer holds more than %d values", method, withoutQuery(path),
			c.base.Host, maxCommas)
	}
	return answer, nil
}

func (c *Client) once(ctx context.Context, method, address string, payload []byte) ([]byte, *Error, error) {
	var reader io.Reader
	if payload != nil {
		reader = bytes.NewReader(payload)
	}
	req, err := http.NewRequestWithContext(ctx, method, address, reader)
	if err != nil {
		return nil, nil, err
	}
	id := newGUID()
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Client-Request-Id", id)
	req.Header.Set("Return-Client-Request-Id", "true")
	if payload != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if tag, ok := ctx.Value(ifMatch{}).(string); ok && method != http.MethodGet {
		req.Header.Set("If-Match", tag)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		return nil, nil, link.Classify(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, nil, link.Classify(err)
	}
	if len(body) > maxAnswer {
		return nil, nil, fmt.Errorf("the answer is larger than %d MiB", maxAnswer>>20)
	}
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return body, nil, nil
	}
	return nil, c.parseError(method, id, resp, body), nil
}

// blob is a certificate or another piece of base64 that Graph repeats from the request.
var blob = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`[A-Za-z0-9+/=_-]+`)
})

func withoutBlobs(text string) string {
	return blob().ReplaceAllStringFunc(text, func(run string) string {
		if len(run) < 100 {
			return run
		}
		return "..."
	})
}

func (c *Client) parseError(method, id string, resp *http.Response, body []byte) *Error {
	e := &Error{
		Method: method, Host: c.base.Host, Status: resp.StatusCode,
		RequestID: link.Line(resp.Header.Get("Request-Id")), ClientRequestID: id,
		RetryAfter: link.RetryAfter(resp.Header, c.o.Now()),
	}
	var doc struct {
		Error struct {
			Code       string `json:"code"`
			Message    string `json:"message"`
			InnerError struct {
				RequestID string `json:"request-id"`
			} `json:"innerError"`
		} `json:"error"`
	}
	if json.Unmarshal(body, &doc) == nil {
		e.Code, e.Message = link.Line(doc.Error.Code), withoutBlobs(link.Line(doc.Error.Message))
		if e.RequestID == "" {
			e.RequestID = link.Line(doc.Error.InnerError.RequestID)
		}
	}
	if e.Message == "" && e.Code == "" {
		e.Message = "the answer is not from Microsoft Graph"
		if detail := link.NewStatusError(resp, body).Detail; detail != "" {
			e.Message += ": " + detail
		}
	}
	return e
}

type ifMatch struct{}

// IfMatch makes a write depend on the version of an object that was read, its @odata.etag. Graph
// refuses the write of another version with 412.
func IfMatch(ctx context.Context, tag string) context.Context {
	return context.WithValue(ctx, ifMatch{}, tag)
}

func newGUID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// maxPages and maxCollection bound a collection.
const (
	maxPages      = 10_000
	maxCollection = 256 << 20 // bytes
	maxCommas     = 4 << 20   // an estimate of the values: some dozens per object, each of up to some hundred bytes
)

// List reads a whole collection as Graph prints its objects; path as in Do.
func (c *Client) List(ctx context.Context, path string) ([]map[string]any, error) {
	return collect[map[string]any](ctx, c, path)
}

// collect reads a whole collection.
func collect[T any](ctx context.Context, c *Client, path string) ([]T, error) {
	out := []T{}
	start := path
	size, commas := 0, 0
	seen := map[string]bool{}
	for range maxPages {
		raw, err := c.do(ctx, http.MethodGet, path, nil)
		if err != nil {
			return nil, err
		}
		if size += len(raw); size > maxCollection {
			return nil, fmt.Errorf("GET %s at %s: the list is larger than %d MiB", withoutQuery(start), c.base.Host,
				maxCollection>>20)
		}
		if commas += bytes.Count(raw, []byte(",")); commas > maxCommas {
			return nil, fmt.Errorf("GET %s at %s: the list holds more than %d values", withoutQuery(start), c.base.Host,
				maxCommas)
		}
		var page struct {
			Value *[]T   `json:"value"`
			Next  string `json:"@odata.nextLink"`
		}
		if err := json.Unmarshal(raw, &page); err != nil || page.Value == nil {
			return nil, c.malformed(http.MethodGet, path)
		}
		out = append(out, *page.Value...)
		if page.Next == "" {
			return out, nil
		}
		seen[path] = true
		if path = page.Next; seen[path] {
			break
		}
	}
	return nil, fmt.Errorf("GET %s at %s: the list does not end", withoutQuery(start), c.base.Host)
}

// Filter is the query that asks a collection for the objects of which a property has exactly that
// value.
func Filter(property, value string) string {
	expression := property + " eq '" + strings.ReplaceAll(value, "'", "''") + "'"
	return "$filter=" + strings.ReplaceAll(url.QueryEscape(expression), "+", "%20")
}
