package main

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// A document that is longer than the terminal goes to the pager, a shorter one to the terminal. So
// does all that is no document: formats for machines, and verbs that show their work.
func TestPager(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the pager of this test is a shell script")
	}
	dir := t.TempDir()
	script := filepath.Join(dir, "scroll")
	shown := filepath.Join(dir, "shown")
	if err := os.WriteFile(script, []byte("#!/bin/sh\ncat >"+shown+"\necho paged \"$1\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		height int
		pager  string
		args   []string
		paged  bool
	}{
		"long":               {24, script + " -x", []string{"schema", "plan"}, true},
		"short":              {5000, script, []string{"schema", "plan"}, false},
		"for machines":       {24, script, []string{"schema", "plan", "-o", "json"}, false},
		"off":                {24, "cat", []string{"schema", "plan"}, false},
		"a missing program":  {24, "no-such-pager", []string{"schema", "plan"}, false},
		"the size not known": {0, script, []string{"schema", "plan"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			os.Remove(shown)
			var out, errout bytes.Buffer
			io := streams{In: strings.NewReader(""), Out: &out, Err: &errout, OutTTY: true, Height: c.height,
				Env: func(name string) string {
					return map[string]string{"HYBRIDGE_PAGER": c.pager, "PAGER": "more", "HOME": dir}[name]
				}}
			if code := runIn(t.Context(), c.args, io, nil); code != 0 {
				t.Fatalf("exit %d: %s", code, errout.String())
			}
			text, err := os.ReadFile(shown)
			if (err == nil) != c.paged {
				t.Fatalf("paged: %v, want %v", err == nil, c.paged)
			}
			if c.paged {
				if out.String() != "paged -x\n" || !strings.Contains(string(text), `"$schema"`) {
					t.Errorf("the terminal shows %q, the pager got %d bytes", out.String(), len(text))
				}
				return
			}
			if !strings.Contains(out.String(), `"$schema"`) {
				t.Errorf("the terminal shows %d bytes", out.Len())
			}
		})
	}
}
