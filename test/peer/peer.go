// Package peer starts third-party programs, for tests that compare ours with them.
package peer

import (
	"net"
	"os"
	"os/exec"
	"testing"
)

// Missing skips a test and reports what it lacks. Under CI=true, where every test must run, it
// fails the test.
func Missing(t testing.TB, what, packages string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing: install %s", what, packages)
	}
	t.Skipf("NOT TESTED: %s is missing: install %s", what, packages)
}

// Program finds a program, also in the folders that only root's PATH contains.
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

// FreePort returns a free TCP port of loopback. Another process can take it before the caller does.
func FreePort(t testing.TB) int {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
