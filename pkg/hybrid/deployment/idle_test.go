package deployment

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/lab"
)

// A closed deployment leaves no connection open: none to Graph, the sign-in service, EWS or a
// probe. It leaves no goroutine and no descriptor either.
func TestCloseLeavesNoConnection(t *testing.T) {
	l, err := lab.Start(t.Context(), lab.Options{Dir: t.TempDir(), Users: 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	a, err := answers.Load(t.Context(), l.Answers())
	if err != nil {
		t.Fatal(err)
	}
	connections := func() int {
		var b bytes.Buffer
		_ = pprof.Lookup("goroutine").WriteTo(&b, 2)
		return bytes.Count(b.Bytes(), []byte("net/http.(*persistConn).readLoop"))
	}
	goroutines, descriptors := runtime.NumGoroutine(), openFiles()
	before := connections()
	d, err := Open(a, Options{Dir: filepath.Dir(l.Answers()), StateDir: t.TempDir(), Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Check(t.Context(), &events{}); err != nil {
		t.Fatal(err)
	}
	if connections() == before {
		t.Error("a check left no connection open: this test sees nothing")
	}
	if err := d.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Second); connections() > before && time.Now().Before(deadline); {
		time.Sleep(20 * time.Millisecond)
	}
	if left := connections() - before; left > 0 {
		t.Errorf("%d connections are left", left)
	}
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline) &&
		(runtime.NumGoroutine() > goroutines || openFiles() > descriptors); {
		time.Sleep(20 * time.Millisecond)
	}
	if g, f := runtime.NumGoroutine()-goroutines, openFiles()-descriptors; g > 0 || f > 0 {
		t.Errorf("%d goroutines and %d descriptors are left", g, f)
		_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
	}
}

// openFiles is the number of open descriptors; 0 where the system does not list them.
func openFiles() int {
	files, _ := os.ReadDir("/proc/self/fd")
	return len(files)
}
