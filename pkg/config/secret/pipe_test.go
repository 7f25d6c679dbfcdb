//go:build unix

package secret

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A pipe without a writer blocks no longer than the caller allows.
func TestSilentPipe(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Skip(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := Resolver{Dir: dir}.Resolve(ctx, "file:pipe", "password")
		ended <- err
	}()
	select {
	case err := <-ended:
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("still waiting")
	}
}

// Nor for ever, where the caller sets no limit.
func TestPipeThatStaysSilent(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Skip(err)
	}
	usual := patience
	patience = 50 * time.Millisecond
	defer func() { patience = usual }()
	_, err := Resolver{Dir: dir}.Resolve(t.Context(), "file:pipe", "password")
	if err == nil || !strings.Contains(err.Error(), "pipe: no secret came out of it within 50ms") {
		t.Errorf("%v", err)
	}
}
