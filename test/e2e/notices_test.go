package e2e

import (
	"debug/buildinfo"
	"os/exec"
	"strings"
	"testing"
)

// TestNoticesOfTheBinary: the program prints a notice for every module that Go's linker put into
// it.
func TestNoticesOfTheBinary(t *testing.T) {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	r := finish(t, exec.Command(binary, "version", "--notices"))
	if r.code != 0 || len(info.Deps) < 40 {
		t.Fatalf("exit %d, %d modules\n%s", r.code, len(info.Deps), tail(r.stderr))
	}
	for _, m := range info.Deps {
		if !strings.Contains(r.stdout, "\n  "+m.Path+" "+m.Version+"  ") ||
			!strings.Contains(r.stdout, "\n"+m.Path+"\n") {
			t.Errorf("no notice of %s %s", m.Path, m.Version)
		}
	}
}
