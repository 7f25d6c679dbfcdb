package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/gofrs/flock"
	"github.com/spf13/cobra"

	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/lab"
)

func newLabCommand(a app) *cobra.Command {
	c := &cobra.Command{
		Use:     "lab",
		GroupID: "try",
		Short:   "A simulated estate on loopback: forests and a tenant",
		Args:    noSuchCommand,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(newLabStartCommand(a), newLabFaultsCommand(a))
	return c
}

// noSuchCommand refuses the arguments of a command that only has subcommands.
func noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%s has no command %q", cmd.CommandPath(), args[0])
	}
	return nil
}

type labOptions struct {
	dir     string
	forests int
	faults  []string
	users   int
	keytab  string
}

func newLabStartCommand(a app) *cobra.Command {
	var o labOptions
	c := &cobra.Command{
		Use:   "start",
		Short: "Bring the lab up, until it is interrupted",
		Long: `Start brings the lab up in this process, writes what leads to it into --dir (answers.yaml, lab.json, its certificate
authority, generated secrets), and runs until it is interrupted.`,
		Example: `  hybridge lab start --dir lab &
  hybridge check -f lab/answers.yaml
  hybridge lab start --dir many --forests 5`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runLab(cmd.Context(), a, o) },
	}
	c.Flags().StringVar(&o.dir, "dir", "", "`DIR` for what leads to the lab")
	c.Flags().IntVar(&o.forests, "forests", 2, "`NUMBER` of forests; contoso and fabrikam are the first two")
	c.Flags().StringArrayVar(&o.faults, "fault", nil, "plant the fault with this `ID`; may be given more than once")
	c.Flags().IntVar(&o.users, "users", 0, "mailboxes per forest; 0 is 200")
	c.Flags().StringVar(&o.keytab, "keytab", "",
		"let Exchange take Kerberos tickets with the keys of this `FILE` (HTTP/ex1.contoso.example)")
	return c
}

func runLab(ctx context.Context, a app, o labOptions) (err error) {
	if o.dir == "" {
		return usage("--dir is needed: where to write answers.yaml")
	}
	if a.outputFile != "" {
		return usage("--output-file: a lab writes %s, and runs until it is interrupted", filepath.Join(o.dir, "lab.json"))
	}
	if o.forests < 1 {
		return usage("--forests %d: a lab has one forest or more", o.forests)
	}
	r, err := begin(a, "text", "json")
	if err != nil {
		return err
	}
	defer r.close(&err)
	if err := lab.CheckFaults(o.faults, o.forests); err != nil {
		return usage("--fault: %w", err)
	}
	unlock, err := claim(o.dir)
	if err != nil {
		return err
	}
	defer unlock()
	fmt.Fprintln(a.Err, "bringing the lab up ...")
	l, err := lab.Start(ctx, lab.Options{
		Dir: o.dir, Forests: o.forests, Faults: o.faults, Users: o.users, Keytab: o.keytab, Log: r.log,
	})
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("start the lab: %w", err)
	}
	document := map[string]string{"apiVersion": "hybridge/v1", "kind": "Lab", "answers": l.Answers()}
	if r.format == "json" {
		err = report.JSON(a.Out, document)
	} else {
		_, err = fmt.Fprintf(a.Out, "%s\n", l.Answers())
	}
	if err == nil {
		forests := "1 forest"
		if o.forests != 1 {
			forests = fmt.Sprintf("%d forests", o.forests)
		}
		fmt.Fprintf(a.Err, `the lab is up: %[2]s and a tenant, with nothing set up between them yet. Ctrl-C stops it.
next, in another terminal: hybridge check -f %[1]s
                      or:  hybridge wizard -f %[1]s
`, report.ShellWord(l.Answers()), forests)
		<-ctx.Done() // being interrupted is how it ends
	}
	if closeErr := l.Close(); err == nil && closeErr != nil {
		return fmt.Errorf("stop the lab: %w", closeErr)
	}
	fmt.Fprintln(a.Err, "the lab has stopped; what was set up in it is gone")
	return err
}

// claim takes a directory for a lab, until unlock: one lab at a time, and never over answers that no lab wrote.
func claim(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, usage("--dir: %w", err)
	}
	_, ofLab := os.Lstat(filepath.Join(dir, "lab.json"))
	if _, err := os.Lstat(filepath.Join(dir, defaultAnswers)); err == nil && ofLab != nil {
		return nil, usage("--dir %s: an %s is there that no lab wrote; choose another directory", dir, defaultAnswers)
	}
	lock := flock.New(filepath.Join(dir, "lock"), flock.SetPermissions(0o600))
	switch taken, err := lock.TryLock(); {
	case err != nil:
		return nil, usage("--dir: %w", err)
	case !taken:
		return nil, usage("--dir %s: another lab is running there; stop it, or choose another directory", dir)
	}
	return func() { _ = lock.Unlock() }, nil
}

func newLabFaultsCommand(a app) *cobra.Command {
	return &cobra.Command{
		Use:   "faults",
		Short: "List the faults that can be planted, and what must find each",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) (err error) {
			r, err := begin(a, "text", "json")
			if err != nil {
				return err
			}
			defer r.close(&err)
			type fault struct {
				ID        string          `json:"id"`
				Title     string          `json:"title"`
				Turns     []lab.CheckID   `json:"turns"`
				Verdict   lab.Verdict     `json:"verdict,omitempty"`
				May       []lab.CheckID   `json:"may,omitempty"`
				Diagnosis lab.DiagnosisID `json:"diagnosis"`
			}
			faults := []fault{}
			for _, f := range lab.Faults() {
				faults = append(faults, fault{f.ID, f.Title, append([]lab.CheckID{}, f.Turns...), f.Verdict, f.May, f.Diagnosis})
			}
			if r.format == "json" {
				return report.JSON(r.out, map[string]any{"apiVersion": "hybridge/v1", "kind": "Faults", "faults": faults})
			}
			w := tabwriter.NewWriter(r.out, 0, 8, 2, ' ', 0)
			fmt.Fprintln(w, "ID\tFOUND BY\tWHAT IS WRONG")
			for _, f := range lab.Faults() {
				fmt.Fprintf(w, "%s\t%s\t%s\n", f.ID, foundBy(f), f.Title)
			}
			return w.Flush()
		},
	}
}

func foundBy(f lab.Fault) string {
	switch {
	case f.Passes:
		return "-"
	case len(f.Turns) == 0:
		return "test"
	}
	ids := make([]string, len(f.Turns))
	for i, id := range f.Turns {
		ids[i] = string(id)
	}
	return strings.Join(ids, ", ")
}
