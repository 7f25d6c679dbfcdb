package link_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// turns answers each request in turn and notes what it was sent.
type turns struct {
	steps []func(r *http.Request) (*http.Response, error)
	sent  []string // body and token of each request
}

func (s *turns) RoundTrip(r *http.Request) (*http.Response, error) {
	body := ""
	if r.Body != nil {
		b, _ := io.ReadAll(r.Body)
		body = string(b)
	}
	s.sent = append(s.sent, body+r.Header.Get("Authorization"))
	step := s.steps[min(len(s.sent), len(s.steps))-1]
	return step(r)
}

func gives(status int, body string, headers ...string) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
		resp := w.Result()
		resp.Request = r
		return resp, nil
	}
}

func breaks(err error) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

func TestRetry(t *testing.T) {
	type steps = []func(*http.Request) (*http.Response, error)
	fine := gives(200, "fine")
	second := time.Second
	for _, test := range []struct {
		name   string
		method string
		steps  steps
		waits  []time.Duration
		status int // 0: an error
		sent   int
	}{
		{"fine", "GET", steps{fine}, nil, 200, 1},
		{"put off, reading", "GET", steps{gives(429, "", "Retry-After", "7"), fine}, []time.Duration{7 * second}, 200,
			2},
		{"put off, writing", "PATCH", steps{gives(429, "", "Retry-After", "7"), fine}, []time.Duration{7 * second}, 200,
			2},
		{"put off without a time", "POST", steps{gives(429, ""), gives(429, ""), fine},
			[]time.Duration{second, 2 * second}, 200, 3},
		{"not put off for ever", "GET", steps{gives(429, "")}, []time.Duration{second, 2 * second, 4 * second}, 429, 4},
		{"too long", "GET", steps{gives(429, "", "Retry-After", "3600")}, nil, 429, 1},
		{"busy, reading", "GET", steps{gives(503, ""), fine}, []time.Duration{second}, 200, 2},
		{"busy, writing", "POST", steps{gives(503, "")}, nil, 503, 1},
		{"busy with a time, writing", "POST", steps{gives(503, "", "Retry-After", "2"), fine},
			[]time.Duration{2 * second}, 200, 2},
		{"gateway, reading", "GET", steps{gives(504, ""), fine}, []time.Duration{second}, 200, 2},
		{"gateway, writing", "DELETE", steps{gives(504, "", "Retry-After", "2")}, nil, 504, 1},
		{"not implemented", "GET", steps{gives(501, "")}, nil, 501, 1},
		{"refused", "GET", steps{gives(403, "")}, nil, 403, 1},
		{"a document that says later, reading", "GET", steps{gives(400, "busy now"), fine}, []time.Duration{second},
			200, 2},
		{"a document that says later, writing", "POST", steps{gives(400, "busy now")}, nil, 400, 1},
		{"a document that says no", "GET", steps{gives(400, "no such thing")}, nil, 400, 1},
		{"a broken connection, reading", "GET", steps{breaks(link.ErrUnreachable), fine}, nil, 200, 2},
		{"broken twice", "GET", steps{breaks(link.ErrUnreachable)}, nil, 0, 2},
		{"a broken connection, writing", "POST", steps{breaks(link.ErrUnreachable)}, nil, 0, 1},
		{"no answer in time", "GET", steps{breaks(errors.Join(link.ErrUnreachable, context.DeadlineExceeded))}, nil, 0,
			1},
		{"an untrusted certificate", "GET", steps{breaks(link.ErrUntrusted)}, nil, 0, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := &turns{steps: test.steps}
			var waits, heard []time.Duration
			tries := 0
			client := link.Retry{
				Later: func(b []byte) bool { return strings.Contains(string(b), "busy") },
				Prepare: func(r *http.Request) error {
					tries++
					r.Header.Set("Authorization", strings.Repeat("I", tries))
					return nil
				},
				Waiting: func(w link.Wait) { heard = append(heard, w.For) },
				Sleep:   func(_ context.Context, d time.Duration) error { waits = append(waits, d); return nil },
			}.Client(&http.Client{Transport: server})
			var body io.Reader
			if test.method != "GET" {
				body = strings.NewReader("body")
			}
			r, err := http.NewRequestWithContext(t.Context(), test.method, "https://graph.microsoft.com/v1.0/x", body)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := client.Do(r)
			status := 0
			if err == nil {
				status = resp.StatusCode
				if b, err := io.ReadAll(resp.Body); err != nil || status == 400 && len(b) == 0 {
					t.Errorf("body %q, %v", b, err)
				}
				resp.Body.Close()
			}
			if status != test.status || len(server.sent) != test.sent {
				t.Errorf("status %d (%v) after %d requests", status, err, len(server.sent))
			}
			if diff := cmp.Diff(test.waits, waits) + cmp.Diff(waits, heard); diff != "" {
				t.Error(diff)
			}
			for i, sent := range server.sent { // each try has the whole body and its own token
				if want := strings.Repeat("I", i+1); !strings.HasSuffix(sent, want) || body != nil &&
					!strings.HasPrefix(sent, "body") {
					t.Errorf("request %d carries %q", i+1, sent)
				}
			}
		})
	}
}

// A POST that only reads is retried like a GET, and a cancelled wait ends the request.
func TestRetryReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &turns{steps: []func(*http.Request) (*http.Response, error){gives(503, "")}}
		client := link.Retry{}.Client(&http.Client{Transport: server})
		ctx, cancel := context.WithTimeout(link.Reading(t.Context()), 2500*time.Millisecond)
		defer cancel()
		r, _ := http.NewRequestWithContext(ctx, "POST", "https://outlook.office365.com/x", strings.NewReader("b"))
		began := time.Now()
		resp, err := client.Do(r) // waits 1 s, and has no time for 2 s more
		if err != nil || resp.StatusCode != 503 || len(server.sent) != 2 || time.Since(began) != time.Second {
			t.Errorf("%v after %d requests in %s", err, len(server.sent), time.Since(began))
		}
		ctx, stop := context.WithCancelCause(link.Reading(t.Context()))
		time.AfterFunc(500*time.Millisecond, func() { stop(errors.New("stopped")) })
		r, _ = http.NewRequestWithContext(ctx, "POST", "https://outlook.office365.com/x", strings.NewReader("b"))
		if _, err := client.Do(r); err == nil || !strings.Contains(err.Error(), "stopped") {
			t.Errorf("got %v", err)
		}
	})
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 26, 10, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, " 7 ": 7 * time.Second, "-1": 0, "1.5": 0, "soon": 0, "0": 0,
		"99999999999":                   24 * time.Hour,
		"Thu, 26 Nov 2026 10:00:30 GMT": 30 * time.Second, "Thu, 26 Nov 2026 09:00:00 GMT": 0,
		"Thu, 26 Nov 2099 10:00:30 GMT": 24 * time.Hour,
	} {
		if got := link.RetryAfter(http.Header{"Retry-After": {text}}, now); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}
