package main

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hybridge-cli/hybridge/pkg/config/spelling"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

// measured are the traits of a document that says how the deployment is.
const measured = report.Documents | report.Outcomes | report.Measures

// work is what a verb does.
type work func(ctx context.Context, t *task, args []string) error

// verb makes c the command of a verb that offers these traits to formats. Its output is opened in
// the format that --output names before do runs, and closed by runIn with the exit code.
func (a app) verb(c *cobra.Command, has report.Trait, do work) *cobra.Command {
	c.RunE = func(cmd *cobra.Command, args []string) error {
		var page *pager
		if a.OutTTY && a.output == "text" && a.outputFile == "" && slices.Contains(paged, cmd.Name()) {
			if page = newPager(a.streams); page != nil {
				a.Out = page
			}
		}
		t, err := a.start(has)
		if err != nil {
			return err
		}
		if page != nil {
			t.paged = true
			t.closers = append(t.closers, page.Close)
		}
		t.verb = cmd.Name()
		if !cmd.HasParent() { // all stages
			t.verb = "run"
		}
		err = do(cmd.Context(), t, args)
		t.notify(cmd.Context(), cmd, err)
		return err
	}
	if names := report.Names(has); len(names) > 1 {
		about := strings.TrimRight(cmp.Or(c.Long, c.Short+"."), "\n")
		c.Long = about + "\n\nFormats (-o): " + strings.Join(names, ", ") + "."
	}
	return c
}

// errFormat is the class of refused formats.
var errFormat = errors.New("format")

// format is the format of that name; an error when a verb with these traits does not write it.
func format(name string, has report.Trait) (report.Format, error) {
	for _, f := range report.Formats(has) {
		if f.Name == name {
			return f, nil
		}
	}
	names := report.Names(has)
	return report.Format{}, usage("--output %s: this command writes %s%s%w", name, strings.Join(names, ", "),
		spelling.DidYouMean(name, names), hidden{errFormat})
}

// hidden is an error that gives another error its class and adds no text.
type hidden struct{ error }

func (hidden) Error() string   { return "" }
func (h hidden) Unwrap() error { return h.error }
