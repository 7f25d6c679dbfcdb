package certificate

import (
	"errors"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
)

// TestEndlessDerivation: a file may ask for any number of rounds of key derivation.
func TestEndlessDerivation(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	if d := within(time.Millisecond, func() decoded { <-release; return decoded{} }); !errors.Is(d.err, errRounds) {
		t.Errorf("a derivation without end: %v", d.err)
	}
	want := errors.New("other")
	if d := within(time.Minute, func() decoded { return decoded{err: want} }); !errors.Is(d.err, want) {
		t.Errorf("a decoder's own error became %v", d.err)
	}
}

// TestLoadPipe: a pipe without a writer is refused before it is opened, for opening it would
// wait.
func TestLoadPipe(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("pipes are no files there")
	}
	path := filepath.Join(t.TempDir(), "pipe.pfx")
	if out, err := exec.Command("mkfifo", path).CombinedOutput(); err != nil {
		t.Skipf("mkfifo: %v: %s", err, out)
	}
	if _, err := Load(path, secret.Value{}); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("Load of a pipe: %v", err)
	}
}
