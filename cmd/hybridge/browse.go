package main

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/hybridge-cli/hybridge/pkg/engine/broken"
)

// errNoDisplay says that there is nothing that a browser could be shown on.
var errNoDisplay = errors.New("this session has no display")

// browse opens a page of hybridge's own, no text of a server, in the browser of this computer.
func (s streams) browse(page string) error {
	command, err := browser(runtime.GOOS, s.Env, page)
	if err != nil {
		return err
	}
	// No shell, and a page that hybridge knows. The browser outlives this program.
	c := exec.CommandContext(context.Background(), command[0], command[1:]...) //nolint:gosec // see above
	if err := c.Start(); err != nil {
		return err
	}
	go func() {
		var err error
		defer broken.Into(&err, "wait for the browser")
		_ = c.Wait() // many end only with the browser
	}()
	return nil
}

// browser is the command that opens a page. No shell reads it.
func browser(system string, env func(string) string, page string) ([]string, error) {
	switch system {
	case "windows": // by its path: another program of the name may be in the current folder
		root := env("SystemRoot")
		if root == "" {
			root = `C:\Windows`
		}
		return []string{filepath.Join(root, "System32", "rundll32.exe"), "url.dll,FileProtocolHandler", page}, nil
	case "darwin":
		return []string{"/usr/bin/open", page}, nil
	}
	if env("DISPLAY") == "" && env("WAYLAND_DISPLAY") == "" {
		return nil, errNoDisplay
	}
	program, err := exec.LookPath("xdg-open")
	return []string{program, page}, err
}
