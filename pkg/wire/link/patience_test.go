package link

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestAnswersEnd asks servers that never finish, with a context that sets no limit. A limit that is
// missing hangs the test.
func TestAnswersEnd(t *testing.T) {
	drip := func(w http.ResponseWriter, r *http.Request) {
		for {
			select {
			case <-r.Context().Done():
				return
			case <-time.After(time.Millisecond):
			}
			io.WriteString(w, "x")
			w.(http.Flusher).Flush()
		}
	}
	for name, handler := range map[string]http.HandlerFunc{
		"no answer":       func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"a body in drips": drip,
		"headers, then nothing": func(w http.ResponseWriter,
			r *http.Request) {
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		},
		"less than it promised": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		},
		"provisional without end": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				w.WriteHeader(http.StatusEarlyHints)
				time.Sleep(time.Millisecond)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(handler)
			defer server.CloseClientConnections()
			l, err := New(Options{ResponseTimeout: 100 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			resp, err := l.Client(nil).Get(server.URL)
			if err == nil {
				_, err = io.ReadAll(resp.Body)
				resp.Body.Close()
			}
			if !errors.Is(err, ErrUnreachable) {
				t.Errorf("error %v, want ErrUnreachable", err)
			}
		})
	}
}

// TestRequestEnds sends to a server that takes the connection and reads nothing of a request larger
// than what the system holds for it.
func TestRequestEnds(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	l, err := New(Options{ResponseTimeout: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	_, err = l.Client(nil).Post("http://"+listener.Addr().String(), "text/plain",
		strings.NewReader(strings.Repeat("x", 32<<20)))
	if !errors.Is(err, ErrUnreachable) {
		t.Errorf("error %v, want ErrUnreachable", err)
	}
}

// TestCancelKeepsItsName: a caller who gives up gets that error, not one of a server that does not
// answer.
func TestCancelKeepsItsName(t *testing.T) {
	begun := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		close(begun)
		<-r.Context().Done()
	}))
	defer server.Close()
	l, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	request, _ := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
	resp, err := l.Client(nil).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	<-begun
	cancel()
	if _, err := io.ReadAll(resp.Body); !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnreachable) {
		t.Errorf("error %v, want context.Canceled alone", err)
	}
}

// TestCAFileThatIsNone: a device never ends, and a pipe without a writer never begins.
func TestCAFileThatIsNone(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("devices and pipes are no files there")
	}
	pipe := filepath.Join(t.TempDir(), "pipe.pem")
	if out, err := exec.Command("mkfifo", pipe).CombinedOutput(); err != nil {
		t.Skipf("mkfifo: %v: %s", err, out)
	}
	big := filepath.Join(t.TempDir(), "big.pem")
	if err := os.WriteFile(big, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(big, maxFile+1); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/dev/zero", pipe, big, t.TempDir()} {
		if _, err := New(Options{CAFile: path}); err == nil {
			t.Errorf("%s was taken for a list of authorities", path)
		}
	}
}

// TestNoNameIsNoWildcard: an empty name on the left matches every host, so a text that only looks
// like a name must not become one.
func TestNoNameIsNoWildcard(t *testing.T) {
	for _, entry := range []string{".:443=evil.example:443", "..:443=evil.example:443", "a..b:443=x:1", "a..:443=x:1",
		".a:443=x:1", "a:443=.:1"} {
		if _, err := New(Options{ConnectTo: []string{entry}}); err == nil {
			t.Errorf("%s was accepted", entry)
		}
	}
	l, err := New(Options{ConnectTo: []string{"mail.contoso.com.:443=127.0.0.1:8443"}})
	if err != nil {
		t.Fatal(err)
	}
	if target, mapped := l.Target("MAIL.contoso.com:443"); !mapped || target != "127.0.0.1:8443" {
		t.Errorf("leads to %s, %v", target, mapped)
	}
}

// bodyFunc is a body.
type bodyFunc func(p []byte) (int, error)

func (f bodyFunc) Read(p []byte) (int, error) { return f(p) }
func (f bodyFunc) Close() error               { return nil }

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestAnEndAfterTheRequestsIsNone: a server that sees its client close the connection may end its
// answer regularly.
func TestAnEndAfterTheRequestsIsNone(t *testing.T) {
	for name, c := range map[string]struct {
		patience time.Duration
		end      func(ctx context.Context, cancel context.CancelFunc)
		want     error
	}{
		"cancelled": {time.Hour, func(_ context.Context, cancel context.CancelFunc) { cancel() },
			context.Canceled},
		"the time limit": {time.Millisecond, func(ctx context.Context, _ context.CancelFunc) { <-ctx.Done() },
			ErrUnreachable},
		"whole": {time.Hour, func(context.Context, context.CancelFunc) {}, nil},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		g := &guard{maxBody: 100, patience: c.patience,
			next: roundTripFunc(func(r *http.Request) (*http.Response, error) {
				sent := false
				return &http.Response{Body: bodyFunc(func(p []byte) (int, error) {
					if !sent {
						sent = true
						return copy(p, `{"value":[]}`), nil
					}
					c.end(r.Context(), cancel)
					return 0, io.EOF
				})}, nil
			})}
		resp, err := g.RoundTrip(httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(resp.Body); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		cancel()
		if n, err := resp.Body.Read(make([]byte, 1)); c.want == nil && (n > 0 || err != io.EOF) {
			t.Errorf("%s, read again: %d, %v", name, n, err)
		}
		resp.Body.Close()
	}
}

// TestCutAnswers: the part of an answer before a break is never a complete one.
func TestCutAnswers(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	io.WriteString(z, `{"value":[]}`)
	z.Close()
	for name, text := range map[string]string{
		"shorter than its Content-Length": "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{\"value\":[]}",
		"no last chunk": "HTTP/1.1 200 OK\r\nTransfer-Encoding: " +
			"chunked\r\n\r\nc\r\n{\"value\":[]}\r\n",
		"the last chunk begun": "HTTP/1.1 200 OK\r\nTransfer-Encoding: " +
			"chunked\r\n\r\nc\r\n{\"value\":[]}\r\n0",
		"packed, without the end": "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n" +
			string(packed.Bytes()[:packed.Len()-1]),
	} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		go func() {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			_, _ = http.ReadRequest(bufio.NewReader(conn))
			_, _ = io.WriteString(conn, text)
		}()
		resp, err := newLink(t, Options{}).Client(nil).Get("http://" + listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "in the middle of its answer") {
			t.Errorf("%s: %q, %v", name, body, err)
		}
	}
}

// TestBrokenTransport: whatever net/http says of a connection that broke, the server was not
// reached.
func TestBrokenTransport(t *testing.T) {
	closed := &net.OpError{Op: "write", Net: "tcp", Err: net.ErrClosed}
	for want, err := range map[string]error{
		"the connection broke":                               fmt.Errorf("http: server closed: %w", closed),
		"the server closed the connection without an answer": errors.New("http: server closed idle connection"),
		"what the server answers is not HTTP":                errors.New(`net/http: HTTP/1.x transport connection broken: malformed HTTP response "SSH-2.0-x"`),
	} {
		if got := Classify(err); !errors.Is(got, ErrUnreachable) || got.Error() != want {
			t.Errorf("%v: %v, want %s", err, got, want)
		}
	}
}

// TestClockThatIsOff: a certificate that is not yet or no longer valid by this machine's clock is
// shown with the clock's time.
func TestClockThatIsOff(t *testing.T) {
	ca := newAuthority(t)
	address := serve(t, ca.issue(t, time.Now().Add(-time.Minute), "mail.contoso.com"),
		http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	_, err := newLink(t, Options{CAFile: ca.file,
		ConnectTo: []string{":443=" + address}}).Client(nil).Get("https://mail.contoso.com/")
	if shown := "clock is right: it shows " + time.Now().Format("2006-01-02T15"); !errors.Is(err, ErrUntrusted) ||
		!strings.Contains(err.Error(), shown) {
		t.Errorf("%v, want %q", err, shown)
	}
}
