package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
)

// writeScripts writes the plan as PowerShell, and for WorkMail as shell. A person would run scripts
// of another plan in the same folder with the new ones. They are refused, or removed with force.
func (t *task) writeScripts(ctx context.Context, plan change.Plan, dir string, force bool) error {
	old, err := otherScripts(dir, plan.Digest)
	if err != nil {
		return fmt.Errorf("write the scripts: %w", err)
	}
	if len(old) > 0 && !force {
		return &exitError{
			code: exitUsage,
			err: fmt.Errorf("--scripts: %s holds scripts of another plan: %s",
				report.Sanitize(dir), report.Sanitize(strings.Join(old, ", "))),
			hint: "name another folder, or remove these files with --force",
		}
	}
	for _, name := range old {
		if err := t.setAside(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("write the scripts: %w", err)
		}
	}
	if len(plan.Changes) == 0 {
		t.note("the plan has nothing to change: no script is written")
		return nil
	}
	scripts, err := t.deployed.Scripts(ctx, plan)
	if err != nil {
		return fmt.Errorf("write the scripts: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write the scripts: %w", err)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return fmt.Errorf("write the scripts: %w", err)
	}
	if err := apply.NoteScripts(t.state, dir); err != nil {
		return fmt.Errorf("write the scripts: %w", err)
	}
	if err := writeFile(filepath.Join(dir, apply.PlanFile), plan.Encode()); err != nil {
		return fmt.Errorf("write the scripts: %w", err)
	}
	for _, script := range scripts {
		path := filepath.Join(dir, filepath.FromSlash(script.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("write the scripts: %w", err)
		}
		if err := writeFile(path, script.Content); err != nil {
			return fmt.Errorf("write the scripts: %w", err)
		}
		if !script.Rollback {
			t.note("wrote %s", report.Sanitize(path))
		}
	}
	t.note("run them in the order of their names; each says where it runs, and -WhatIf (--what-if) shows what it would "+
		"do; the folder %s has a script for each that undoes it", deployment.RollbackFolder)
	return nil
}

// setAside removes a script of another plan. What its scripts did, and the plan that a rollback of
// them needs, gets another name.
func (t *task) setAside(path string) error {
	name := filepath.Base(path)
	if name != apply.ResultFile && name != apply.PlanFile {
		t.note("removed %s", report.Sanitize(path))
		return os.Remove(path)
	}
	for n := 1; ; n++ {
		to := fmt.Sprintf("%s-%d.json", strings.TrimSuffix(path, ".json"), n)
		if _, err := os.Lstat(to); errors.Is(err, fs.ErrNotExist) {
			t.note("renamed %s to %s", report.Sanitize(path), report.Sanitize(filepath.Base(to)))
			return os.Rename(path, to)
		}
	}
}

// isResult reports whether an argument is a result file and not the id of a run.
func isResult(argument string) bool { return strings.EqualFold(filepath.Ext(argument), ".json") }

// takeUp brings what scripts did into the history.
func (t *task) takeUp(path, stateDir string) (apply.Entry, error) {
	done, err := apply.ReadScripted(path)
	if err != nil {
		return apply.Entry{}, err
	}
	return apply.TakeUp(deployment.Kinds(), done, apply.Options{StateDir: stateDir, Version: version})
}

// warnOfScripts reports scripts that ran in part: the live state is between two plans.
func (t *task) warnOfScripts() {
	parts, err := apply.InPart(t.state)
	if err != nil {
		t.obs.Observe(observe.Warning{Text: err.Error()})
	}
	for _, part := range parts {
		s := part.Summary
		text := fmt.Sprintf("the scripts in %s ran in part: %d of %d changes are in effect",
			filepath.Dir(part.Path), s.Done+s.Skipped, s.Done+s.Skipped+s.Failed+s.Pending)
		if part.Stopped != "" {
			text += "; " + part.Stopped
		}
		text += ". Run them again, or take back what they did with: " + t.command("rollback", part.Path)
		t.obs.Observe(observe.Warning{Text: text})
	}
}

// otherScripts lists what another plan left in a folder: its scripts, known by the line that names
// their plan, the plan, and their result file.
func otherScripts(dir, digest string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		isScript := slices.Contains([]string{".ps1", ".sh"}, strings.ToLower(filepath.Ext(e.Name())))
		if !e.Type().IsRegular() || !isScript && e.Name() != apply.ResultFile && e.Name() != apply.PlanFile {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		mine := bytes.Contains(text, []byte("hybridge plan")) || !isScript
		if mine && !bytes.Contains(text, []byte(digest)) {
			out = append(out, e.Name())
		}
	}
	return out, nil
}
