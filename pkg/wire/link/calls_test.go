package link

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A call is listed while it has no answer, by the address that it goes to: one to a server that
// accepts and stays silent, and one whose answer does not end.
func TestCalls(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	l, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	address := silent.Addr().String()
	for name, call := range map[string]func(context.Context) error{
		"connect to " + address: func(ctx context.Context) error {
			_, err := l.DialTLS(ctx, address, "")
			return err
		},
		"GET " + address: func(ctx context.Context) error {
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address, nil)
			if err != nil {
				return err
			}
			resp, err := l.Client(nil).Do(r)
			if err == nil {
				resp.Body.Close()
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			calls := &Calls{}
			ctx, cancel := context.WithCancel(WithCalls(t.Context(), calls))
			ended := make(chan error, 1)
			go func() { ended <- call(ctx) }()
			for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
				if got, n := calls.Waiting(); n > 0 && strings.HasPrefix(got.What, name) {
					break
				}
				if time.Now().After(deadline) {
					t.Fatal("never listed")
				}
			}
			cancel()
			if err := <-ended; err == nil {
				t.Error("no error")
			}
			// The transport connects beside the request, and gives up a moment after it.
			for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
				got, n := calls.Waiting()
				if n == 0 {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("%s is still listed", got.What)
				}
			}
		})
	}
	Await(t.Context(), "outside of a run")() // must not panic
}
