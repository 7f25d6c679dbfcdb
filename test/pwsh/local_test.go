package pwsh_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/psrp"
	"github.com/hybridge-cli/hybridge/test/peer"
)

// program is Microsoft's PowerShell as hybridge starts it.
func program(t *testing.T) []string {
	t.Helper()
	pwsh, err := filepath.Abs(peer.Shared(t, "tools", "pwsh", "run"))
	if err != nil {
		t.Fatal(err)
	}
	return []string{pwsh, "-s", "-NoLogo", "-NoProfile"}
}

// powerShellProcess is Microsoft's PowerShell over its own standard streams.
func powerShellProcess(t *testing.T) *psrp.Pool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	pool, err := psrp.Open(ctx, psrp.Options{Program: program(t), Environment: os.Environ()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pool.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return pool
}

// bothWays runs a test over WS-Management and over the standard streams of a process.
func bothWays(t *testing.T, test func(t *testing.T, pool *psrp.Pool)) {
	t.Run("WSMan", func(t *testing.T) { test(t, powerShellServer(t)) })
	t.Run("process", func(t *testing.T) { test(t, powerShellProcess(t)) })
}

// TestPowerShellProcess: what a process of Microsoft's PowerShell does beside its answers: it takes
// scripts of many fragments, ends with its pool, and its death and its garbage are one clear error.
func TestPowerShellProcess(t *testing.T) {
	pool := powerShellProcess(t)
	long := strings.Repeat("ä😀<&>\r\n", 30_000)
	out, err := pool.Invoke(t.Context(), script(`param($v) $v; $PID`, psrp.Parameter{Name: "v", Value: long}))
	if err != nil || len(out.Objects) != 2 || psrp.Text(out.Objects[0]) != long {
		t.Fatalf("%d objects, %v", len(out.Objects), err)
	}
	id := int(out.Objects[1].(int64))
	if err := syscall.Kill(id, 0); err != nil {
		t.Fatalf("the process is not seen to live: %v", err)
	}
	began := time.Now()
	if err := pool.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := syscall.Kill(id, 0); err == nil {
		t.Error("the process outlives its pool")
	}
	t.Logf("closed within %s", time.Since(began).Round(time.Millisecond))
	for command, want := range map[string]string{
		`[Environment]::Exit(7)`:                                    "ended (exit status 7)",
		`Stop-Process -Id $PID -Force`:                              "ended (signal: killed)",
		`/bin/echo "PowerShell passes it on"`:                       "",
		`sh -c 'echo "a program writes here" >/proc/$PPID/fd/1'`:    `its standard output: "a program writes here"`,
		`[Console]::WriteLine("swallowed"); [Console]::Out.Flush()`: "",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		pool := powerShellProcess(t)
		_, err := pool.Invoke(ctx, script(command))
		cancel()
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", command, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want) || !errors.Is(err, psrp.ErrShellGone)):
			t.Errorf("%s: got %v, want %s", command, err, want)
		}
	}
}
