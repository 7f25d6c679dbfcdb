package main

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

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
		page := filepath.Join(dir, manName(c)+".1")
		if err := os.WriteFile(page, []byte(manPage(c, day)), 0o644); err != nil {
			t.Fatal(err)
		}
		all = append(all, page)
		for _, sub := range manPages(c) {
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

// A page shows the flags that the command's help shows, with the names of their values.
func TestManPage(t *testing.T) {
	root := newRootCommand(streams{Env: func(string) string { return "" }}, nil, nil)
	history, _, err := root.Find([]string{"history"})
	if err != nil {
		t.Fatal(err)
	}
	page := manPage(history, time.Unix(1795000000, 0))
	for _, want := range []string{`"HYBRIDGE\-HISTORY" "1" "2026\-11\-18"`, `\fB\-\-state\-dir\fR \fIDIR\fR`} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s in\n%s", want, page)
		}
	}
	for _, other := range []string{"only", "skip", "accept"} {
		if strings.Contains(page, `\fB\-\-`+other+`\fR`) {
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

func manName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// manPages are the commands below c that have a page of their own.
func manPages(c *cobra.Command) []*cobra.Command {
	return slices.DeleteFunc(slices.Clone(c.Commands()), func(sub *cobra.Command) bool {
		return !sub.IsAvailableCommand() || sub.IsAdditionalHelpTopicCommand()
	})
}

var roff = strings.NewReplacer(`\`, `\e`, "-", `\-`)

// manPage is the man page of a command. In contrast to cobra's, it names the values of flags, has
// only the flags that the command takes, and fits 80 columns.
func manPage(c *cobra.Command, day time.Time) string {
	var b strings.Builder
	put := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	text := func(line string) string {
		if line = roff.Replace(line); strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			line = `\&` + line
		}
		return line
	}
	verbatim := func(lines []string) {
		put(".EX")
		for _, line := range lines {
			put("%s", text(line))
		}
		put(".EE")
	}
	put(`.TH "%s" "1" "%s" "hybridge" "hybridge manual"`, text(strings.ToUpper(manName(c))),
		text(day.UTC().Format(time.DateOnly)))
	put(".nh\n.ad l\n.SH NAME\n%s \\- %s", text(manName(c)), text(c.Short))
	put(".SH SYNOPSIS\n\\fB%s\\fR", text(c.UseLine()))
	put(".SH DESCRIPTION")
	for i, paragraph := range strings.Split(strings.TrimSpace(cmp.Or(c.Long, c.Short+".")), "\n\n") {
		if i > 0 {
			put(".PP")
		}
		if lines := strings.Split(paragraph, "\n"); strings.HasPrefix(lines[0], " ") {
			verbatim(lines)
		} else {
			for _, line := range lines {
				put("%s", text(line))
			}
		}
	}
	if below := manPages(c); len(below) > 0 {
		put(".SH COMMANDS")
		for _, sub := range below {
			put(".TP\n\\fB%s\\fR\n%s", text(sub.CommandPath()), text(sub.Short))
		}
	}
	left := unused(c)
	for _, group := range []struct {
		title string
		flags *pflag.FlagSet
	}{{"OPTIONS", c.NonInheritedFlags()}, {"GLOBAL OPTIONS", c.InheritedFlags()}} {
		title := ".SH " + group.title + "\n"
		group.flags.VisitAll(func(f *pflag.Flag) {
			if f.Hidden || group.title != "OPTIONS" && slices.Contains(left, f.Name) {
				return
			}
			value, usage := pflag.UnquoteUsage(f)
			name := `\fB` + text("--"+f.Name) + `\fR`
			if f.Shorthand != "" {
				name = `\fB` + text("-"+f.Shorthand) + `\fR, ` + name
			}
			if value != "" {
				name += ` \fI` + text(value) + `\fR`
			}
			if f.DefValue != "" && !slices.Contains([]string{"false", "0", "0s", "[]"}, f.DefValue) {
				usage += " (default " + f.DefValue + ")"
			}
			put("%s.TP\n%s\n%s", title, name, text(usage))
			title = ""
		})
	}
	if c.Example != "" {
		put(".SH EXAMPLES")
		var lines []string
		for line := range strings.SplitSeq(c.Example, "\n") {
			lines = append(lines, inShell(strings.TrimPrefix(line, "  "))...)
		}
		verbatim(lines)
	}
	put(".SH SEE ALSO")
	also := []string{}
	if c.HasParent() {
		also = append(also, `\fB`+text(manName(c.Parent()))+`\fR(1)`)
	}
	for _, sub := range manPages(c) {
		also = append(also, `\fB`+text(manName(sub))+`\fR(1)`)
	}
	put("%s", strings.Join(also, ", "))
	return b.String()
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
