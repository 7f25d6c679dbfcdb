package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/hybridge-cli/hybridge/pkg/engine/broken"
	"github.com/hybridge-cli/hybridge/pkg/engine/fleet"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

// fleetVerb is a verb that also runs for each answers file of a folder. The flags that single names
// write a file of one deployment.
func (a app) fleetVerb(c *cobra.Command, has report.Trait, do work, single ...string) *cobra.Command {
	var shard string
	c.Flags().StringVar(&shard, "shard", "",
		"with a folder of answers files: only `I/N`, one of N parts of the fleet")
	return a.verb(c, has, func(ctx context.Context, t *task, args []string) error {
		if info, err := os.Stat(t.answersFile); err != nil || !info.IsDir() {
			if shard != "" {
				return usage("--shard needs a fleet: name a folder of answers files with -f")
			}
			return do(ctx, t, args)
		}
		for _, flag := range single {
			if c.Flags().Changed(flag) {
				return usage("--%s is for one deployment; name its answers file with -f", flag)
			}
		}
		return t.runFleet(ctx, c, shard, func(ctx context.Context, t *task) error { return do(ctx, t, args) })
	})
}

// runFleet runs a verb for each deployment of the fleet, or of one shard of it. A deployment that
// fails does not stop the others: its failure is its report.
func (t *task) runFleet(ctx context.Context, c *cobra.Command, shard string,
	do func(context.Context, *task) error) error {
	names, err := fleetOf(t.answersFile)
	if err != nil {
		return err
	}
	var part fleet.Shard
	if shard != "" {
		if part, err = fleet.ParseShard(shard); err != nil {
			return usage("--shard: %w", err)
		}
	}
	t.is(filepath.Base(filepath.Clean(t.answersFile)))
	var mine []string
	for _, name := range sortedKeys(names) {
		if part.Has(name) {
			mine = append(mine, name)
		}
	}
	var mu sync.Mutex
	var done []fleet.Deployment
	observe1 := func(e observe.Event) {
		mu.Lock()
		defer mu.Unlock()
		t.obs.Observe(e)
	}
	observe1(observe.Started{Stage: "fleet", Total: len(mine)})
	slots := make(chan struct{}, max(1, t.parallelFleet()))
	var wait sync.WaitGroup
	for _, name := range mine {
		wait.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			if ctx.Err() != nil {
				return // without a report: merge names it
			}
			d := t.runMember(ctx, c, name, names[name], observe1, do)
			if ctx.Err() != nil {
				return // cut off: what it says is not how the deployment is
			}
			mu.Lock()
			defer mu.Unlock()
			done = append(done, d)
			t.obs.Observe(d)
			t.obs.Observe(observe.Progress{Stage: "fleet", Done: len(done), Total: len(mine), Text: name})
		})
	}
	wait.Wait()
	r := fleet.New(done...)
	r.Shard = part.String()
	if err := t.write(r); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return quietly(resultCode(r))
}

// parallelFleet is how many deployments run at the same time.
func (t *task) parallelFleet() int {
	if t.parallel > 0 {
		return t.parallel
	}
	return 4
}

// runMember runs a verb for one deployment and returns what it found, or why it failed.
func (t *task) runMember(ctx context.Context, c *cobra.Command, name, file string, obs func(observe.Event),
	do func(context.Context, *task) error) fleet.Deployment {
	one := &task{streams: t.streams, globals: t.globals, opener: t.opener, verb: t.verb, begun: time.Now(),
		out: io.Discard, log: t.log.With("deployment", name), member: name}
	one.Err, one.answersFile, one.output, one.outputFile, one.nonInteractive = io.Discard, file, "json", "", true
	one.parallel = 0
	if t.stateDir != "" {
		one.stateDir = filepath.Join(t.stateDir, filepath.FromSlash(name))
	}
	held := &heldDocument{}
	one.writer = held
	one.obs = observe.Func(func(e observe.Event) {
		if w, ok := e.(observe.Warning); ok {
			obs(observe.Warning{Text: name + ": " + w.Text})
		}
	})
	one.is(name)
	err := func() (err error) {
		defer broken.Into(&err, "the deployment "+name)
		return do(ctx, one)
	}()
	one.notify(ctx, c, err)
	f := explain(ctx, c, err)
	_ = one.end(f) // it has no output of its own that could fail
	d := fleet.Deployment{}
	if held.document != nil {
		d = fleet.Of(held.document.View())
	}
	d.About, d.ExitCode, d.DurationMS = one.about, f.Code, time.Since(one.begun).Milliseconds()
	if f.Message != "" {
		f.About = report.About{} // the deployment has it
		d.Error = &f
	}
	return d
}

// heldDocument keeps the document of a run.
type heldDocument struct{ document report.Document }

func (h *heldDocument) Write(d report.Document) error { h.document = d; return nil }
func (*heldDocument) Fail(report.Failure) error       { return nil }
func (*heldDocument) End(int) error                   { return nil }

// fleetOf lists the answers files below a folder by the names of their deployments: their paths
// without the extension. Hidden files and folders are left out, as in a folder that Kubernetes
// mounts, whose files are links into a hidden one.
func fleetOf(dir string) (map[string]string, error) {
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if strings.HasPrefix(d.Name(), ".") && path != dir {
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		extension := strings.ToLower(filepath.Ext(path))
		if extension != ".yaml" && extension != ".yml" {
			return nil
		}
		if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() { // a pipe would hold up the fleet
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(strings.TrimSuffix(rel, filepath.Ext(rel)))
		if other := files[name]; other != "" {
			return fmt.Errorf("%s and %s are answers files of one name", other, path)
		}
		files[name] = path
		return nil
	})
	if err != nil {
		return nil, usage("%s: %w", report.Sanitize(dir), err)
	}
	if len(files) == 0 {
		return nil, usage("%s holds no answers file (*.yaml)", report.Sanitize(dir))
	}
	return files, nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// fleetCode is the exit code of a fleet: what is not known of one deployment outranks the failures
// of others.
func fleetCode(r fleet.Report) int {
	s := r.Summary
	switch {
	case s.Unknown+s.Missing+len(r.Unreadable) > 0:
		return exitInconclusive
	case s.Failed > 0:
		return exitFailed
	case s.Pending > 0:
		return exitPending
	}
	return exitFine
}
