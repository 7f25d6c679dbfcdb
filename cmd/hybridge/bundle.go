package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
)

type bundleOptions struct {
	out, since, names string
	from              *fromSnapshot
}

func newBundleCommand(a app) *cobra.Command {
	var o bundleOptions
	c := &cobra.Command{
		Use:     "support-bundle [FILE]...",
		GroupID: "back",
		Short:   "Put what support needs into one file, without names and secrets",
		Long: `Support-bundle collects a snapshot, or takes the one of --snapshot, replaces its names as collect
--redact does, and writes a zip file: the snapshot, what check and plan say of it, the journals, the
versions, the ids of failed requests and timings. FILE adds a report or a log, with the same names
replaced. The contents are listed before the file is written. --names keeps what stands for what: do not give it away.`,
		Example: `  hybridge support-bundle -f answers.yaml --out support.zip
  hybridge support-bundle check.json hybridge.log -f answers.yaml --since 72h --out support.zip
  hybridge support-bundle --snapshot snapshot.json --names names.json --out support.zip`,
	}
	c.Flags().StringVar(&o.out, "out", "hybridge-support.zip", "write the bundle to `FILE`")
	c.Flags().StringVar(&o.since, "since", "", "leave out journals and files from before `TIME`: 72h, or 2026-11-20")
	c.Flags().StringVar(&o.names, "names", "", "write what stands for what to `FILE`, as JSON")
	o.from = snapshotFlag(c)
	return a.verb(c, 0, func(ctx context.Context, t *task, args []string) error { return runBundle(ctx, t, o, args) })
}

func runBundle(ctx context.Context, t *task, o bundleOptions, files []string) error {
	after, err := moment(o.since, time.Now())
	if err != nil {
		return err
	}
	for _, path := range files { // before anything is contacted
		if _, err := os.Stat(path); err != nil {
			return usage("%w", unreadable(path, err))
		}
	}
	f, err := newOutputFile(o.out)
	if err != nil {
		return usage("--out: %w", err)
	}
	defer f.commit() //nolint:errcheck // of a bundle that was not written; nothing then
	took := map[string]time.Duration{}
	started := time.Now()
	s, err := t.bundled(ctx, o)
	if err != nil {
		return err
	}
	took["collect"] = time.Since(started)
	others, err := t.enclosures(files, after)
	if err != nil {
		return err
	}
	contents, names, err := deployment.Bundle(ctx, s, others, deployment.Options{Version: version}, took)
	if err != nil {
		return err
	}
	t.settle()
	for _, f := range contents {
		fmt.Fprintf(t.Err, "%9d  %s: %s\n", len(f.Data), report.Sanitize(f.Name), f.About)
	}
	if t.interactive() && !t.yes {
		if yes, err := t.confirm(ctx, "write "+report.Sanitize(o.out)+"?"); err != nil || !yes {
			return err
		}
	}
	if err := errors.Join(deployment.WriteBundle(f, contents), f.commit()); err != nil {
		return fmt.Errorf("write the bundle: %w", err)
	}
	t.note("wrote %s: look into it before you give it away", report.Sanitize(o.out))
	return t.keepNames(names, o.names)
}

// bundled is the snapshot of a bundle.
func (t *task) bundled(ctx context.Context, o bundleOptions) (deployment.Snapshot, error) {
	if o.from.file != "" {
		return t.readSnapshot(o.from.file)
	}
	if err := t.open(ctx); err != nil {
		return deployment.Snapshot{}, err
	}
	return t.deployed.Collect(ctx, t.obs)
}

// maxEnclosure limits one file of a bundle.
const maxEnclosure = 64 << 20

// enclosures are the versions, the journals of the deployment, and the files that were named.
func (t *task) enclosures(files []string, after time.Time) ([]deployment.Enclosure, error) {
	commit, date := source()
	out := []deployment.Enclosure{{Name: "versions.txt", About: "of hybridge, of Go and of the system",
		Data: fmt.Appendf(nil, "hybridge %s\n%s %s\n%s %s/%s\n", version, commit, date, runtime.Version(),
			runtime.GOOS, runtime.GOARCH)}}
	add := func(path, folder, about string) error {
		info, err := os.Stat(path)
		switch {
		case err != nil:
			return err
		case info.ModTime().Before(after):
			return nil
		case !info.Mode().IsRegular() || info.Size() > maxEnclosure:
			return fmt.Errorf("%s is not a file of at most 64 MB", path)
		case slices.Contains([]string{".pfx", ".p12", ".pem", ".key", ".keytab"}, strings.ToLower(filepath.Ext(path))):
			return fmt.Errorf("%s may hold a key: it goes into no bundle", path)
		}
		data, err := os.ReadFile(path)
		name := enclosed(folder+"/"+filepath.Base(path), out)
		out = append(out, deployment.Enclosure{Name: name, About: about, Data: data})
		return err
	}
	if state := cmp.Or(t.state, t.stateDir); state != "" { // with --snapshot, the deployment is not opened
		runs := filepath.Join(state, "runs")
		journals, err := os.ReadDir(runs)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, entry := range journals {
			// A link in it is no journal: it may lead anywhere.
			if !entry.Type().IsRegular() || filepath.Ext(entry.Name()) != ".jsonl" {
				continue
			}
			err := add(filepath.Join(runs, entry.Name()), "journals", "a run of apply or rollback")
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
		}
	}
	for _, path := range files {
		if err := add(path, "files", "named on the command line"); err != nil {
			return nil, usage("%w", err)
		}
	}
	return out, nil
}

// enclosed is a name that every system can unpack, and that no other file has.
func enclosed(name string, others []deployment.Enclosure) string {
	name = strings.Map(func(c rune) rune {
		if c < ' ' || strings.ContainsRune(`\:*?"<>|`, c) {
			return '_'
		}
		return c
	}, name)
	ext := filepath.Ext(name)
	free := name
	taken := func(e deployment.Enclosure) bool { return strings.EqualFold(e.Name, free) }
	for n := 2; slices.ContainsFunc(others, taken); n++ {
		free = fmt.Sprintf("%s-%d%s", strings.TrimSuffix(name, ext), n, ext)
	}
	return free
}

// moment reads a duration before now, or a day.
func moment(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	day, err := time.ParseInLocation(time.DateOnly, text, time.Local)
	if err != nil {
		return time.Time{}, usage("--since %s: give a duration as 72h, or a day as 2026-11-20", text)
	}
	return day, nil
}
