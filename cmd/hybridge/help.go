package main

import (
	"bytes"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/hybridge-cli/hybridge/pkg/config/spelling"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
)

// newHelpCommand is the help about a command, a topic, or anything that the reference pages explain
// under its id: the binary alone is enough to read them.
func newHelpCommand(a app) *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND | TOPIC | ID | CODE]",
		GroupID: "more",
		Short:   "Help about a command, a topic, the id of a check, kind or fault, or an error code",
		Example: `  hybridge help plan
  hybridge help secrets
  hybridge help tenant.ews-switch    # what a check looks at, why, and what to do
  hybridge help 9                    # an exit code
  hybridge help AADSTS700016         # a code of Entra, Microsoft's wizard, WinRM or Exchange`,
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return append(helpNames(cmd.Root()), helpIDs()...), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err == nil && len(rest) == 0 {
				about.InitDefaultHelpFlag()
				return about.Help()
			}
			for _, id := range []string{strings.Join(args, " "), deployment.CanonicalCode(strings.Join(args, " "))} {
				if text := helpAbout(id); text != "" {
					return a.show(text)
				}
			}
			// A code that is not known is not one that looks like it.
			names := slices.DeleteFunc(slices.Concat(helpNames(cmd.Root()), helpIDs()),
				func(name string) bool { return strings.ContainsAny(name, "0123456789") })
			if near, ok := spelling.Nearest(strings.Join(args, " "), names); ok {
				return usage("there is no help about %q; did you mean %q?", strings.Join(args, " "), near)
			}
			return usage("there is no help about %q; hybridge --help lists commands and topics, "+
				"hybridge help checks the ids of checks", strings.Join(args, " "))
		},
	}
}

// showHelp is what shows the help of every command, as show does.
func (a app) showHelp(render func(*cobra.Command, []string)) func(*cobra.Command, []string) {
	return func(cmd *cobra.Command, args []string) {
		var text bytes.Buffer
		cmd.SetOut(&text)
		for _, name := range unused(cmd) {
			if f := cmd.InheritedFlags().Lookup(name); f != nil {
				f.Hidden = true
				defer func() { f.Hidden = false }()
			}
		}
		render(cmd, args)
		cmd.SetOut(a.Out)
		a.tasks.help = a.show(text.String()) // this function returns nothing
	}
}

// show shows a page of help: on a terminal in its width, and in the pager when it is longer.
func (a app) show(text string) error {
	if !a.OutTTY {
		_, err := io.WriteString(a.Out, text)
		return err
	}
	text = fit(text, a.Width)
	page := newPager(a.streams)
	if page == nil {
		_, err := io.WriteString(a.Out, text)
		return err
	}
	_, _ = io.WriteString(page, text)
	return page.Close()
}

var itemHead = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^ *(?:- |\S+(?: \S+)*? {2,})?`)
})

// fit breaks the lines of a page of help that are wider than a terminal. The text of an item goes on
// below its beginning. Command lines stay whole, to be copied.
func fit(text string, width int) string {
	if width == 0 {
		return text
	}
	var out []string
	example := false
	for _, block := range strings.Split(text, "\n\n") {
		lines := strings.Split(block, "\n")
		example = lines[0] == "Examples:" || example && strings.HasPrefix(lines[0], " ")
		wide := slices.ContainsFunc(lines, func(line string) bool { return utf8.RuneCountInString(line) > width })
		if example || !wide {
			out = append(out, block)
			continue
		}
		var fitted, prose []string
		flush := func() {
			if len(prose) > 0 {
				fitted = append(fitted, report.Wrap(strings.Join(prose, " "), width)...)
			}
			prose = nil
		}
		for _, line := range lines {
			head := itemHead().FindString(line)
			if head == "" && line != "" && !strings.ContainsAny(line[:1], "#|") {
				prose = append(prose, line)
				continue
			}
			flush()
			if utf8.RuneCountInString(line) <= width || strings.HasPrefix(strings.TrimSpace(line), "hybridge ") {
				fitted = append(fitted, line)
				continue
			}
			hang := utf8.RuneCountInString(head)
			if hang > width-20 {
				fitted, hang = append(fitted, strings.TrimRight(head, " ")), 10
				line = strings.Repeat(" ", hang) + line[len(head):]
				head = line[:hang]
			}
			for i, part := range report.Wrap(line[len(head):], width-hang) {
				if i == 0 {
					fitted = append(fitted, head+part)
				} else {
					fitted = append(fitted, strings.Repeat(" ", hang)+part)
				}
			}
		}
		flush()
		out = append(out, strings.Join(fitted, "\n"))
	}
	return strings.Join(out, "\n\n")
}

func helpNames(root *cobra.Command) []string {
	var names []string
	for _, c := range root.Commands() {
		if !c.Hidden {
			names = append(names, c.Name())
		}
	}
	return names
}

var (
	sectionHead = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^(##+) (.+)$`)
	})
	anchorLine = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^<a id="[^"]+"></a>$`)
	})
	anchorRow = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^\| <a id="[^"]+"></a>([^ |]+) \|`)
	})
	pageLink = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`\[([^\]]+)\]\([^)]+\)`)
	})
	markup = strings.NewReplacer("**", "", `\<`, "<", `\|`, "|")
)

// helpIDs are the ids that helpAbout knows. Commands are not among them: they have help already.
func helpIDs() []string {
	var ids []string
	for _, line := range referenceLines() {
		if m := sectionHead().FindStringSubmatch(line); m != nil && !strings.Contains(m[2], " ") {
			ids = append(ids, m[2])
		} else if m := anchorRow().FindStringSubmatch(line); m != nil {
			ids = append(ids, m[1])
		}
	}
	return ids
}

func referenceLines() []string {
	pages := referencePages()
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(pages)) {
		lines = append(append(lines, strings.Split(string(pages[name]), "\n")...), "# ") // ends the page's last section
	}
	return lines
}

// helpAbout is what the reference pages say under a heading, or in the row of a table that has an
// anchor; "" when they say nothing. A fault and the cause that it plants can have the same id.
func helpAbout(id string) string {
	lines := referenceLines()
	var columns, found []string
	for i, line := range lines {
		if strings.HasPrefix(line, "| ") && i+1 < len(lines) && strings.HasPrefix(lines[i+1], "| ---") {
			columns = cells(line)
		}
		if m := anchorRow().FindStringSubmatch(line); m != nil && strings.EqualFold(m[1], id) {
			text := m[1] + "\n"
			for j, cell := range cells(line)[1:] {
				text += "\n  " + columns[j+1] + ": " + cell + "\n"
			}
			found = append(found, readable(text))
		}
		if m := sectionHead().FindStringSubmatch(line); m != nil && strings.EqualFold(m[2], id) {
			text := strings.Join(section(lines[i+1:], len(m[1])), "\n")
			found = append(found, readable(m[2]+"\n"+strings.TrimRight(text, "\n")+"\n"))
		}
	}
	return strings.Join(found, "\n")
}

// section is what stands below a heading of a level, up to the next of that level or above.
func section(lines []string, level int) []string {
	var text []string
	for _, line := range lines {
		if marks := len(line) - len(strings.TrimLeft(line, "#")); marks > 0 && marks <= level {
			break
		}
		if !anchorLine().MatchString(line) {
			text = append(text, line)
		}
	}
	return text
}

func cells(row string) []string {
	var out []string
	for cell := range strings.SplitSeq(strings.Trim(row, "| "), " | ") {
		out = append(out, strings.TrimSpace(cell))
	}
	return out
}

var tableRule = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?m)^\|( --- \|)+\n`)
})

// readable takes the markup out that a terminal does not show.
func readable(text string) string {
	return markup.Replace(pageLink().ReplaceAllString(tableRule().ReplaceAllString(text, ""), "$1"))
}
