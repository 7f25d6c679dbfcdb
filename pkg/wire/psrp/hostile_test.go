package psrp

import (
	"context"
	"encoding/binary"
	"errors"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// allocated is how many bytes f allocates in all. Repeated copies show in it.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestTextInPieces: comments cut an element's text into as many pieces as a server likes. Putting
// them together must cost what the text costs, and not its square: an answer of 32 MB would keep
// the client busy for hours.
func TestTextInPieces(t *testing.T) {
	const pieces = 20_000
	document := []byte("<a>" + strings.Repeat("x<!---->", pieces) + "</a>")
	var n *node
	var err error
	if got := allocated(func() { n, err = parseNode(document) }); got > 64<<20 {
		t.Errorf("%d bytes allocated for a document of %d", got, len(document))
	}
	if err != nil || n.text != strings.Repeat("x", pieces) {
		t.Errorf("%v, text of %d bytes", err, len(n.text))
	}
}

// TestFragmentInPieces feeds one fragment in small pieces, as a server may with a stream element
// each.
func TestFragmentInPieces(t *testing.T) {
	m := message{destination: toClient, kind: pipelineOutput, data: []byte(strings.Repeat("x", 1<<20))}
	whole := fragments(1, m.bytes(), 2<<20)[0]
	var got []message
	bytes := allocated(func() {
		var a assembler
		for rest := whole; len(rest) > 0; {
			n := min(500, len(rest))
			list, err := a.feed(rest[:n])
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, list...)
			rest = rest[n:]
		}
	})
	if len(got) != 1 || len(got[0].data) != 1<<20 {
		t.Fatalf("%d messages", len(got))
	}
	if bytes > 64<<20 {
		t.Errorf("%d bytes allocated for a fragment of %d", bytes, len(whole))
	}
}

// TestMessagesInPiecesAreBounded begins many messages and ends none: the limit is theirs together.
func TestMessagesInPiecesAreBounded(t *testing.T) {
	begin := func(object uint64, n int) []byte {
		f := make([]byte, fragmentHeader+n)
		binary.BigEndian.PutUint64(f, object)
		f[16] = 1
		binary.BigEndian.PutUint32(f[17:], uint32(n))
		return f
	}
	a := assembler{limit: 1000}
	for object := range uint64(3) {
		_, err := a.feed(begin(object, 400))
		if refused := err != nil; refused != (object == 2) {
			t.Errorf("message %d of 400 bytes: %v", object, err)
		}
	}
	// A message that is started again and again takes no more memory than one.
	a = assembler{limit: 1000}
	for range 10 {
		if _, err := a.feed(begin(1, 900)); err != nil {
			t.Fatalf("begun anew: %v", err)
		}
	}
}

// TestEndlessOutput: a server that never stops writing must not fill the client's memory.
func TestEndlessOutput(t *testing.T) {
	ts, _ := serve(t, &Server{Run: func(_ context.Context, _ Caller, _ Pipeline, w *Writer) error {
		for {
			if err := w.Output(strings.Repeat("x", 10_000)); err != nil {
				return err
			}
		}
	}})
	o := optionsFor(ts)
	o.maxOutput = 1 << 20
	p, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(context.Background())
	out, err := p.Invoke(t.Context(), Pipeline{Commands: []Command{{Name: "Get-Thing"}}})
	if err == nil || !strings.Contains(err.Error(), "wrote more than") || len(out.Objects) > 110 {
		t.Errorf("%d objects, error %v", len(out.Objects), err)
	}
	if maxOutput > 64<<20 {
		t.Errorf("by default a pipeline may write %d bytes", maxOutput)
	}
}

// TestManySmallElements: an element of seven bytes takes more than a hundred in memory.
func TestManySmallElements(t *testing.T) {
	ts, _ := serve(t, &Server{Run: func(_ context.Context, _ Caller, _ Pipeline, w *Writer) error {
		for {
			if err := w.Output(make([]any, maxTags/10)); err != nil {
				return err
			}
		}
	}})
	p, err := Open(t.Context(), optionsFor(ts))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(context.Background())
	if out, err := p.Invoke(t.Context(), Pipeline{Commands: []Command{{Name: "Get-Thing"}}}); err == nil ||
		!strings.Contains(err.Error(), "tags") || len(out.Objects) > 10 {
		t.Errorf("%d objects, error %v", len(out.Objects), err)
	}
}

// TestWrongPasswordOnce: accounts are locked after a few wrong passwords, so one mistake must be
// one attempt.
func TestWrongPasswordOnce(t *testing.T) {
	var attempts atomic.Int32
	ts, _ := serve(t, &Server{Authenticate: func(context.Context, string, string) error {
		attempts.Add(1)
		return errors.New("no")
	}})
	o := optionsFor(ts)
	o.Password = secret.NewValue("wrong")
	if _, err := Open(t.Context(), o); !errors.Is(err, link.ErrAccess) {
		t.Errorf("error %v, want ErrAccess", err)
	}
	if n := attempts.Load(); n != 1 {
		t.Errorf("the wrong password was sent %d times", n)
	}
}

// TestCancelWithMuteServer cancels a pipeline at a server that stopped answering. A limit that is
// missing hangs the test.
func TestCancelWithMuteServer(t *testing.T) {
	s := &Server{}
	running := make(chan struct{})
	s.Run = func(ctx context.Context, _ Caller, _ Pipeline, _ *Writer) error {
		close(running)
		<-ctx.Done()
		return ctx.Err()
	}
	s.Authenticate = func(context.Context, string, string) error { return nil }
	var mute atomic.Bool
	release := make(chan struct{})
	ts := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if mute.Load() {
			<-release
			return
		}
		s.ServeHTTP(w, r)
	}))
	s.MaxPoll = 100 * time.Millisecond
	ts.StartTLS()
	t.Cleanup(func() { close(release); s.Close(); ts.Close() })
	p, err := Open(t.Context(), optionsFor(ts))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-running
		mute.Store(true)
		cancel()
	}()
	if _, err := p.Invoke(ctx, Pipeline{Commands: []Command{{Name: "Get-Thing"}}}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	if err := p.Close(ctx); err == nil {
		t.Error("the shell of a server that answers nothing was deleted")
	}
	if all := terminateTime + lastDeleteTime; all > 6*time.Second || deleteTime > 8*time.Second {
		t.Errorf("whoever cancels waits for up to %s", max(all, deleteTime))
	}
}
