package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/gofrs/flock"
	"github.com/spf13/cobra"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/lab"
)

func newLabCommand(a app) *cobra.Command {
	c := &cobra.Command{
		Use:     "lab",
		GroupID: "try",
		Short:   "A simulated estate on loopback: forests, a tenant, Amazon WorkMail",
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
	servers int
	faults  []string
	users   int
	clouds  []string
	keytab  string
	state   string
	between bool
	edge    bool
}

func newLabStartCommand(a app) *cobra.Command {
	var o labOptions
	c := &cobra.Command{
		Use:   "start",
		Short: "Run the lab until it is interrupted",
		Long: `Start runs the lab in this process until it is interrupted. It writes into --dir what
clients need: answers.yaml, lab.json, its certificate authority, generated secrets.`,
		Example: `  hybridge lab start --dir lab &
  hybridge check -f lab/answers.yaml
  hybridge lab start --dir many --forests 5
  hybridge lab start --dir pair --servers 2
  hybridge lab start --dir wm --cloud workmail
  hybridge lab start --dir old --state wizard`,
		Args: cobra.NoArgs,
	}
	c.Flags().StringVar(&o.dir, "dir", "", "`DIR` for the files of the lab")
	c.Flags().IntVar(&o.forests, "forests", 2, "`NUMBER` of forests; contoso and fabrikam are the first two")
	c.Flags().IntVar(&o.servers, "servers", 1, "`NUMBER` of Exchange servers per forest, behind a load balancer")
	c.Flags().StringArrayVar(&o.faults, "fault", nil, "plant the fault with this `ID`; may be given more than once")
	c.Flags().StringSliceVar(&o.clouds, "cloud", nil,
		"`CLOUD` beside the forests: online or workmail; given twice, both (default online)")
	c.Flags().StringVar(&o.state, "state", lab.Clean,
		"`STATE` between the forests and the tenant: clean, wizard, manual or half")
	c.Flags().BoolVar(&o.edge, "edge", false, "contoso's mail passes an Edge Transport server")
	c.Flags().IntVar(&o.users, "users", 0, "`NUMBER` of mailboxes per forest; 0 is 200")
	c.Flags().BoolVar(&o.between, "between", false, "let the forests ask each other for free/busy")
	c.Flags().StringVar(&o.keytab, "keytab", "",
		"let Exchange take Kerberos tickets with the keys of this `FILE` (HTTP/ex1.contoso.example)")
	c.PreRunE = func(*cobra.Command, []string) error {
		if o.dir == "" {
			return usage("--dir is needed: where to write answers.yaml")
		}
		if a.outputFile != "" {
			return usage("--output-file: a lab writes %s, and runs until it is interrupted",
				filepath.Join(o.dir, "lab.json"))
		}
		return nil
	}
	return a.verb(c, report.Documents,
		func(ctx context.Context, t *task, _ []string) error { return runLab(ctx, t, o) })
}

// labDocument is what lab start -o json writes.
type labDocument struct {
	// The path of the answers file that leads to the lab.
	Answers string `json:"answers"`
	// The version of the format: hybridge/v1.
	APIVersion string `json:"apiVersion"`
	// Always Lab.
	Kind string `json:"kind"`
}

func (l labDocument) View() report.View {
	return report.View{Name: "lab", Blocks: []report.Block{report.Source{Text: l.Answers}}}
}

func runLab(ctx context.Context, t *task, o labOptions) error {
	if err := lab.CheckFaults(o.faults, o.forests); err != nil {
		return usage("--fault: %w", err)
	}
	if err := lab.CheckServers(o.servers); err != nil {
		return usage("--servers: %w", err)
	}
	if err := lab.CheckClouds(o.clouds, o.faults); err != nil {
		return usage("--cloud: %w", err)
	}
	if err := lab.CheckState(o.state, o.clouds); err != nil {
		return usage("--state: %w", err)
	}
	unlock, err := claim(o.dir)
	if err != nil {
		return err
	}
	defer unlock()
	fmt.Fprintln(t.Err, "bringing the lab up ...")
	l, err := lab.Start(ctx, lab.Options{
		Dir: o.dir, Forests: o.forests, Servers: o.servers, Faults: o.faults, Users: o.users, Keytab: o.keytab,
		Log: t.log, Edge: o.edge, Clouds: o.clouds,
		State: o.state, Between: o.between,
	})
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("start the lab: %w", err)
	}
	err = t.write(labDocument{l.Answers(), report.APIVersion, "Lab"})
	if err == nil {
		state := slices.IndexFunc(lab.States(), func(s lab.State) bool { return s.ID == o.state })
		title := lab.States()[state].Title
		forests := msg.Plural(o.forests, "%d forest", "%d forests")
		t.tell(t.Err, fmt.Sprintf(`the lab is up: %[2]s and %[3]s; Ctrl-C stops it
set up between them: %[4]s
next, in another terminal: hybridge check -f %[1]s
                      or:  hybridge wizard -f %[1]s`,
			report.ShellWord(l.Answers()), forests, strings.Join(l.Clouds(), " and "), title))
		<-ctx.Done() // being interrupted is how it ends
	}
	if closeErr := l.Close(); err == nil && closeErr != nil {
		return fmt.Errorf("stop the lab: %w", closeErr)
	}
	fmt.Fprintln(t.Err, "the lab has stopped; what was set up in it is gone")
	return err
}

// claim takes a directory for a lab, until unlock: one lab at a time, and never over answers that
// no lab wrote.
func claim(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, usage("--dir: %w", err)
	}
	// Through a directory or a link of another account, the lab would use that account's secrets,
	// or write over files that the account may not write to.
	info, err := os.Stat(dir)
	if err == nil {
		err = apply.Private(dir, info)
	}
	if err != nil {
		return nil, usage("--dir: %w", err)
	}
	for _, name := range []string{"lock", "lab.json", defaultAnswers} {
		if info, err := os.Lstat(filepath.Join(dir, name)); err == nil && !info.Mode().IsRegular() {
			return nil, usage("--dir: %s is not a regular file; choose another directory", filepath.Join(dir, name))
		}
	}
	_, ofLab := os.Lstat(filepath.Join(dir, "lab.json"))
	if _, err := os.Lstat(filepath.Join(dir, defaultAnswers)); err == nil && ofLab != nil {
		return nil, usage("--dir %s: it contains an %s that no lab wrote; choose another directory", dir,
			defaultAnswers)
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

// faultsDocument is what lab faults -o json writes.
type faultsDocument struct {
	// The version of the format: hybridge/v1.
	APIVersion string `json:"apiVersion"`
	// The faults that can be planted.
	Faults []labFault `json:"faults"`
	// Always Faults.
	Kind string `json:"kind"`
}

type labFault struct {
	// The fault's id, for lab start --fault.
	ID string `json:"id"`
	// What is wrong.
	Title string `json:"title"`
	// The checks that report the fault; empty when only lookups find it.
	Turns []lab.CheckID `json:"turns"`
	// What those checks say; fail by default.
	Verdict lab.Verdict `json:"verdict,omitempty"`
	// The checks that can report the fault as well.
	May []lab.CheckID `json:"may,omitempty"`
	// The id of the cause that test must name.
	Diagnosis lab.DiagnosisID `json:"diagnosis"`
	// A fault of mail flow, which test --message finds.
	Message bool `json:"message,omitempty"`
}

func (d faultsDocument) View() report.View {
	table := report.Table{Columns: []msg.Text{msg.Of("id"), msg.Of("found by"), msg.Of("what is wrong")}}
	for _, f := range d.Faults {
		found := msg.Of("test")
		if f.Message {
			found = msg.Of("test --message")
		}
		if len(f.Turns) > 0 {
			text := string(f.Turns[0])
			if more := len(f.Turns) - 1; more > 0 { // nine names would push the title off the screen; -o json has them
				text += " +" + strconv.Itoa(more)
			}
			found = msg.Plain(text)
		}
		table.Rows = append(table.Rows, []msg.Text{msg.Plain(f.ID), found, msg.Key(f.Title)})
	}
	return report.View{Name: "faults", Title: msg.Of("Faults"), Blocks: []report.Block{table}}
}

func newLabFaultsCommand(a app) *cobra.Command {
	return a.verb(&cobra.Command{
		Use:   "faults",
		Short: "List the faults that can be planted, and the checks that find them",
		Args:  cobra.NoArgs,
	}, report.Documents, func(_ context.Context, t *task, _ []string) error {
		d := faultsDocument{APIVersion: report.APIVersion, Faults: []labFault{}, Kind: "Faults"}
		for _, f := range lab.Faults() {
			turns := append([]lab.CheckID{}, f.Turns...) // never null
			d.Faults = append(d.Faults, labFault{f.ID, f.Title, turns, f.Verdict, f.May, f.Diagnosis, f.Message})
		}
		return t.write(d)
	})
}
