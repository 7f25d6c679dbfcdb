package main

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
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
	day := commitDay(t)
	var all []string
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if !c.IsAvailableCommand() {
			return
		}
		name := filepath.Join(dir, strings.ReplaceAll(c.CommandPath(), " ", "-")+".1")
		if err := os.WriteFile(name, manPage(t, c, day), 0o644); err != nil {
			t.Fatal(err)
		}
		all = append(all, name)
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root)
	if len(all) < 20 {
		t.Errorf("only %d man pages", len(all))
	}
	mandoc := peer.Program(t, "mandoc", "mandoc")
	args := append([]string{"-Tlint", "-Werror"}, all...)
	if out, err := exec.CommandContext(t.Context(), mandoc, args...).CombinedOutput(); err != nil {
		t.Errorf("mandoc: %v\n%s", err, out)
	}
	for _, page := range all {
		if strings.Contains(page, "completion-") { // cobra's own text
			continue
		}
		out, err := exec.CommandContext(t.Context(), mandoc, "-Tascii", "-O", "width=78", page).Output()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.SplitSeq(overstruck.ReplaceAllString(string(out), ""), "\n") {
			if len(line) > 80 {
				t.Errorf("%s: wider than a terminal: %q", filepath.Base(page), line)
			}
		}
	}
}

var overstruck = regexp.MustCompile(".\b")

// A page shows the flags that the command's help shows.
func TestManPage(t *testing.T) {
	root := newRootCommand(streams{Env: func(string) string { return "" }}, nil, nil)
	history, _, err := root.Find([]string{"history"})
	if err != nil {
		t.Fatal(err)
	}
	page := string(manPage(t, history, time.Unix(1795000000, 0)))
	for _, want := range []string{`"Nov 2026"`, `\fB--state-dir\fP`} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s in\n%s", want, page)
		}
	}
	for _, other := range []string{"only", "skip", "accept"} {
		if strings.Contains(page, `\fB--`+other+`\fP`) {
			t.Errorf("history does not take --%s:\n%s", other, page)
		}
	}
}

// commitDay is the day of the commit: that which a release names, else that of the checkout. A
// source archive has neither.
func commitDay(t *testing.T) time.Time {
	t.Helper()
	s := os.Getenv("SOURCE_DATE_EPOCH")
	if s == "" {
		out, err := exec.CommandContext(t.Context(), "git", "log", "-1", "--format=%ct").Output()
		if err != nil {
			return time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
		}
		s = strings.TrimSpace(string(out))
	}
	seconds, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		t.Fatal("SOURCE_DATE_EPOCH: ", err)
	}
	return time.Unix(seconds, 0).UTC()
}

// manPage is the man page of a command, with the flags that its help shows.
func manPage(t *testing.T, c *cobra.Command, day time.Time) []byte {
	t.Helper()
	for _, name := range unused(c) {
		if f := c.InheritedFlags().Lookup(name); f != nil && !f.Hidden {
			f.Hidden = true // the commands share it
			defer func() { f.Hidden = false }()
		}
	}
	var lines []string
	for line := range strings.SplitSeq(c.Example, "\n") {
		lines = append(lines, inShell(strings.TrimPrefix(line, "  "))...)
	}
	c.Example = strings.Join(lines, "\n")
	c.DisableAutoGenTag = true
	var page bytes.Buffer
	header := &doc.GenManHeader{Section: "1", Source: "hybridge", Manual: "hybridge manual", Date: &day}
	if err := doc.GenMan(c, header, &page); err != nil {
		t.Fatal(err)
	}
	return page.Bytes()
}

// inShell breaks a line of a shell where it is wider than a page with its margin: a comment goes above
// it, and an option goes on a line of its own.
func inShell(line string) []string {
	const width = 71
	var lines []string
	if command, comment, found := strings.Cut(line, " #"); found && len(line) > width {
		lines = append(lines, "#"+comment)
		line = strings.TrimRight(command, " ")
	}
	for len(line) > width {
		at := strings.LastIndex(line[:width], " -")
		if at < 8 {
			break
		}
		lines = append(lines, line[:at]+` \`)
		line = "    " + line[at+1:]
	}
	return append(lines, line)
}
