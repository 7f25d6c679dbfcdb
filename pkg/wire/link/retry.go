package link

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Retry sends a request again when a server defers it. It is the only place that reads Retry-After.
//
//   - 429, and 503 with Retry-After, say that the request was not carried out: it is sent again.
//   - Other 5xx (not 501), and a connection that broke, leave that open: only a read is sent again.
//   - A request that took its whole time is not sent again.
//
// A read is GET, HEAD, or a request whose context came from Reading. Other failed writes are left
// to the caller: only reading back shows whether they were carried out.
type Retry struct {
	Tries   int           // of one request; 4 when 0
	MaxWait time.Duration // the longest pause that is made; 5 minutes when 0
	Timeout time.Duration // of one try, its answer's body included; none when 0
	// Prepare completes each try, with a token that may be new. An error ends the request.
	Prepare func(r *http.Request) error
	// Later reads the error document of a read and reports whether it means "ask again later".
	Later func(body []byte) bool
	// Backoff replaces the usual pause where a server names none: 1 s, doubled up to 30 s.
	Backoff func(r *http.Request, status, try int) time.Duration
	// Waiting is called before each pause. May be nil.
	Waiting func(Wait)

	Sleep func(ctx context.Context, d time.Duration) error // Sleep of this package when nil
	Now   func() time.Time                                 // for dates in Retry-After; time.Now when nil
}

// Wait is a pause before a request is sent again.
type Wait struct {
	Host   string
	Status int
	For    time.Duration
}

const (
	defaultTries   = 4
	defaultMaxWait = 5 * time.Minute
	longestBackoff = 30 * time.Second
	maxErrorBody   = 1 << 20 // of an answer that is read for the decision
)

type readingKey struct{}

// Reading marks requests that change nothing although their method is POST.
func Reading(ctx context.Context) context.Context { return context.WithValue(ctx, readingKey{}, true) }

func reads(r *http.Request) bool {
	marked, _ := r.Context().Value(readingKey{}).(bool)
	return marked || r.Method == http.MethodGet || r.Method == http.MethodHead
}

// RetryAfter is the pause that a server asks for: seconds or a date (RFC 9110, 10.2.3), a day at
// most; 0 when it names none.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	const day = 24 * time.Hour
	text := strings.TrimSpace(h.Get("Retry-After"))
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= 0 {
		return time.Duration(min(n, int64(day/time.Second))) * time.Second
	}
	if t, err := http.ParseTime(text); err == nil && t.After(now) {
		return min(t.Sub(now), day)
	}
	return 0
}

// Sleep pauses for d, or until ctx ends.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Client is a client like c whose requests are retried.
func (p Retry) Client(c *http.Client) *http.Client {
	if p.Tries == 0 {
		p.Tries = defaultTries
	}
	if p.MaxWait == 0 {
		p.MaxWait = defaultMaxWait
	}
	if p.Sleep == nil {
		p.Sleep = Sleep
	}
	if p.Now == nil {
		p.Now = time.Now
	}
	out := http.Client{}
	if c != nil {
		out = *c
	}
	next := out.Transport
	if next == nil {
		next = http.DefaultTransport
	}
	out.Transport = &retrier{Retry: p, next: next}
	return &out
}

type retrier struct {
	Retry
	next http.RoundTripper
}

// CloseIdleConnections makes http.Client.CloseIdleConnections work through the retrier.
func (t *retrier) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

func (t *retrier) RoundTrip(r *http.Request) (*http.Response, error) {
	for try := 1; ; try++ {
		resp, sent, err := t.once(r, try)
		last := try >= t.Tries || r.Body != nil && r.GetBody == nil || r.Context().Err() != nil
		if err != nil {
			broke := errors.Is(err, ErrUnreachable) && !errors.Is(err, context.DeadlineExceeded)
			if last || try > 1 || !sent || !broke || !reads(r) {
				return nil, err
			}
			continue // a broken connection is worth a retry, a slow server is not
		}
		wait, again := t.pause(r, resp, try)
		if deadline, ok := r.Context().Deadline(); last || !again || wait > t.MaxWait || ok &&
			time.Until(deadline) < wait {
			return resp, nil
		}
		_, _ = io.CopyN(io.Discard, resp.Body, maxErrorBody) // so that the connection can be reused
		resp.Body.Close()
		if t.Waiting != nil {
			t.Waiting(Wait{Host: r.URL.Host, Status: resp.StatusCode, For: wait})
		}
		if err := t.Sleep(r.Context(), wait); err != nil {
			return nil, err
		}
	}
}

// once makes one try. sent is false when it could not be prepared.
func (t *retrier) once(r *http.Request, try int) (resp *http.Response, sent bool, err error) {
	ctx, cancel := r.Context(), context.CancelFunc(func() {})
	if t.Timeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, t.Timeout)
	}
	attempt := r.Clone(ctx)
	if try > 1 && r.GetBody != nil {
		body, err := r.GetBody()
		if err != nil {
			cancel()
			return nil, false, err
		}
		attempt.Body = body
	}
	if t.Prepare != nil {
		if err := t.Prepare(attempt); err != nil {
			cancel()
			closeBody(attempt)
			return nil, false, err
		}
	}
	if resp, err = t.next.RoundTrip(attempt); err != nil {
		cancel()
		return nil, true, Classify(err)
	}
	resp.Body = &endingBody{resp.Body, ctx, cancel}
	return resp, true, nil
}

// pause reports whether and after how long a request is sent again after an answer.
func (t *retrier) pause(r *http.Request, resp *http.Response, try int) (time.Duration, bool) {
	status := resp.StatusCode
	wait := RetryAfter(resp.Header, t.Now())
	again := false
	switch {
	case status == http.StatusTooManyRequests:
		again = true
	case status == http.StatusServiceUnavailable:
		again = wait > 0 || reads(r)
	case status >= 500 && status != http.StatusNotImplemented:
		again = reads(r)
	}
	if status >= 400 && !again && t.Later != nil && reads(r) {
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
		again = err == nil && t.Later(body)
		resp.Body = &readBody{io.MultiReader(bytes.NewReader(body), resp.Body), resp.Body}
	}
	if again && wait == 0 {
		wait = min(longestBackoff, time.Second<<min(try-1, 10))
		if t.Backoff != nil {
			wait = t.Backoff(r, status, try)
		}
	}
	return wait, again
}

// endingBody ends a try's time limit together with the body.
type endingBody struct {
	io.ReadCloser
	ctx    context.Context
	cancel context.CancelFunc
}

// Read fails, and does not end, when the time is over: a server that sees the connection close may
// end its answer regularly.
func (b *endingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && b.ctx.Err() != nil {
		err = Classify(context.Cause(b.ctx))
	}
	return n, err
}

func (b *endingBody) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}

// readBody is a body whose beginning was read already.
type readBody struct {
	io.Reader
	io.Closer
}
