// Package peer starts programs that others wrote, for tests to hold ours against.
package peer

import (
	"net"
	"os"
	"os/exec"
	"testing"
)

// Missing says what a test needs and does not have. Where everything has to run (CI=true), that is
// a failure.
func Missing(t testing.TB, what, packages string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing: install %s", what, packages)
	}
	t.Skipf("NOT TESTED: %s is missing: install %s", what, packages)
}

// Program finds a program, also where only root's path leads.
func Program(t testing.TB, name, packages string) string {
	t.Helper()
	for _, path := range []string{name, "/usr/sbin/" + name, "/sbin/" + name} {
		if p, err := exec.LookPath(path); err == nil {
			return p
		}
	}
	Missing(t, name, packages)
	return ""
}

// FreePort is a TCP port of loopback that nobody listened on a moment ago.
func FreePort(t testing.TB) int {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
