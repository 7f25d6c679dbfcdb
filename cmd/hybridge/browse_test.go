package main

import (
	"errors"
	"strings"
	"testing"
)

// A page is opened by a program that no shell starts, and the page is one argument.
func TestBrowser(t *testing.T) {
	const page = "https://login.example/common/oauth2/deviceauth"
	env := func(known ...string) func(string) string {
		return func(name string) string {
			for _, k := range known {
				if n, v, _ := strings.Cut(k, "="); n == name {
					return v
				}
			}
			return ""
		}
	}
	for system, want := range map[string]string{"windows": "rundll32.exe", "darwin": "/usr/bin/open"} {
		got, err := browser(system, env(), page)
		if err != nil || !strings.HasSuffix(got[0], want) || got[len(got)-1] != page {
			t.Errorf("%s: %q, %v", system, got, err)
		}
	}
	if _, err := browser("linux", env(), page); !errors.Is(err, errNoDisplay) {
		t.Errorf("without a display: %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := browser("linux", env("DISPLAY=:0"), page); err == nil {
		t.Error("without xdg-open: no error")
	}
}
