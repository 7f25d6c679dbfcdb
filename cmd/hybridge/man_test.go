package main

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/hybridge-cli/hybridge/test/peer"
)

var man = flag.String("man", "", "write the man pages into this directory")

// The man pages are made here and not by the program: their renderer would be part of it. make
// release passes the directory that the packages take them from. Every page is dated by the commit
// (SOURCE_DATE_EPOCH), so that two releases of one commit are the same.
func TestManPages(t *testing.T) {
	root := newRootCommand(streams{Env: func(string) string { return "" }}, nil, nil)
	root.InitDefaultCompletionCmd()
	dir := *man
	if dir == "" {
		dir = t.TempDir()
	} else if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	day := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	if s := os.Getenv("SOURCE_DATE_EPOCH"); s != "" {
		seconds, err := time.ParseDuration(s + "s")
		if err != nil {
			t.Fatal("SOURCE_DATE_EPOCH: ", err)
		}
		day = time.Unix(0, 0).UTC().Add(seconds)
	}
	header := &doc.GenManHeader{Title: "HYBRIDGE", Section: "1", Source: "hybridge", Manual: "hybridge manual", Date: &day}
	if err := doc.GenManTree(root, header, dir); err != nil {
		t.Fatal(err)
	}
	var all []string
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if !c.IsAvailableCommand() {
			return
		}
		page := filepath.Join(dir, strings.ReplaceAll(c.CommandPath(), " ", "-")+".1")
		text, err := os.ReadFile(page)
		if err != nil || !strings.Contains(string(text), ".SH SYNOPSIS") {
			t.Errorf("%s: %v, %d bytes", page, err, len(text))
			return
		}
		all = append(all, page)
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	for _, sub := range root.Commands() {
		walk(sub)
	}
	if len(all) < 20 {
		t.Errorf("only %d man pages", len(all))
	}
	mandoc := peer.Program(t, "mandoc", "mandoc")
	args := append([]string{"-Tlint", "-Werror"}, all...)
	if out, err := exec.CommandContext(t.Context(), mandoc, args...).CombinedOutput(); err != nil {
		t.Errorf("mandoc: %v\n%s", err, out)
	}
}
