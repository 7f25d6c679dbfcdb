//go:build linux

package windows

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestLocalProcess runs the tests of local PowerShell processes in their build for Windows: the job
// object ends the process after a kill of its parent.
func TestLocalProcess(t *testing.T) {
	w := start(t)
	program := filepath.Join(t.TempDir(), "psrp.test.exe")
	build := exec.Command("go", "test", "-c", "-o", program, "../../pkg/wire/psrp")
	build.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	log, err := os.Create(filepath.Join(t.TempDir(), "log")) // a file: Wine's servers keep a pipe open
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	c := exec.CommandContext(ctx, w.loader, program, "-test.run", "TestLocalProcess", "-test.v")
	c.Env = append(os.Environ(), w.env()...)
	c.Stdout, c.Stderr = log, log
	err = c.Run()
	out, _ := os.ReadFile(log.Name())
	if err != nil || !strings.Contains(string(out), "PASS: TestLocalProcessEndsAfterKill") {
		t.Errorf("%v\n%s", err, out)
	}
}
