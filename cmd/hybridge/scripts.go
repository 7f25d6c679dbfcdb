package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
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

// splitRole makes one folder per role.
const splitRole = "role"

// writeScripts writes the plan as PowerShell, and for WorkMail as shell, with a runbook: into one
// folder, or into one per role.
func (t *task) writeScripts(ctx context.Context, plan change.Plan, o planOptions) error {
	fault := func(err error) error { return fmt.Errorf("write the scripts: %w", err) }
	dir, err := filepath.Abs(o.scripts)
	if err != nil {
		return fault(err)
	}
	sets := map[string][]deployment.Script{}
	scripts, err := t.deployed.Scripts(ctx, plan)
	if err != nil {
		return fault(err)
	}
	for _, script := range scripts {
		role := ""
		if o.split == splitRole {
			role = script.Role
		}
		sets[role] = append(sets[role], script)
	}
	t.warnOfShared(dir)
	dirs := []string{dir}
	for role := range sets {
		if role != "" {
			dirs = append(dirs, filepath.Join(dir, role))
		}
	}
	if err := t.clearScripts(dirs, plan.Digest, o.force); err != nil {
		return err
	}
	if len(scripts) == 0 { // an Edge server has its script whatever the plan changes
		t.note("the plan has nothing to change: no script is written")
		return nil
	}
	if o.split == splitRole { // its runbook alone: a plan changes no network
		sets[deployment.RoleNetwork] = nil
	}
	for _, role := range slices.Sorted(maps.Keys(sets)) {
		if err := t.writeSet(ctx, plan, filepath.Join(dir, role), role, sets[role]); err != nil {
			return fault(err)
		}
	}
	t.note("run them in the order of their names: %s says how; the folder %s has a script for each that undoes it",
		deployment.RunbookFile, deployment.RollbackFolder)
	return nil
}

// warnOfShared warns of a folder for scripts that others can write to.
func (t *task) warnOfShared(dir string) {
	info, err := os.Stat(dir)
	if err != nil {
		return // it is made later
	}
	if err := apply.Private(dir, info); err != nil {
		t.obs.Observe(observe.Warning{Text: "who can write to the folder of the scripts can change what they do: " +
			err.Error()})
	}
}

// clearScripts refuses folders with scripts of another plan: a person would run them with the new
// ones. With force it removes them.
func (t *task) clearScripts(dirs []string, digest string, force bool) error {
	for _, dir := range dirs {
		for _, folder := range []string{dir, filepath.Join(dir, deployment.RollbackFolder)} {
			old, err := otherScripts(folder, digest)
			if err != nil {
				return fmt.Errorf("write the scripts: %w", err)
			}
			if len(old) > 0 && !force {
				return &exitError{
					code: exitUsage,
					err: fmt.Errorf("--scripts: %s holds scripts of another plan: %s",
						report.Sanitize(folder), report.Sanitize(strings.Join(old, ", "))),
					hint: "name another folder, or remove these files with --force",
				}
			}
			for _, name := range old {
				if err := t.setAside(filepath.Join(folder, name)); err != nil {
					return fmt.Errorf("write the scripts: %w", err)
				}
			}
		}
	}
	return nil
}

// writeSet writes the scripts of one folder, with the runbook and the plan.
func (t *task) writeSet(ctx context.Context, plan change.Plan, dir, role string, set []deployment.Script) error {
	runbook, err := t.deployed.Runbook(ctx, plan, role)
	if err != nil {
		return err
	}
	if len(set) == 0 { // the network team
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		return writeFile(filepath.Join(dir, deployment.RunbookFile), runbook)
	}
	if err := os.MkdirAll(filepath.Join(dir, deployment.RollbackFolder), 0o755); err != nil {
		return err
	}
	if err := apply.NoteScripts(t.state, dir); err != nil {
		return err
	}
	if err := writeFile(filepath.Join(dir, apply.PlanFile), plan.Encode()); err != nil {
		return err
	}
	if err := writeFile(filepath.Join(dir, deployment.RunbookFile), runbook); err != nil {
		return err
	}
	for _, script := range set {
		path := filepath.Join(dir, filepath.FromSlash(script.Name))
		if err := writeFile(path, script.Content); err != nil {
			return err
		}
		if !script.Rollback {
			t.note("wrote %s", report.Sanitize(path))
		}
	}
	return nil
}

// kept reports whether a file says what scripts did, or is the plan that a rollback needs.
func kept(name string) bool {
	return name == apply.ResultFile || name == apply.PlanFile || strings.HasSuffix(name, apply.ScriptResultSuffix)
}

// setAside removes a script of another plan. What its scripts did, and the plan that a rollback of
// them needs, gets another name.
func (t *task) setAside(path string) error {
	name := filepath.Base(path)
	if !kept(name) {
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
	if t.recalled {
		return
	}
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
		isScript := slices.Contains([]string{".ps1", ".sh"}, strings.ToLower(filepath.Ext(e.Name()))) ||
			e.Name() == deployment.RunbookFile
		if !e.Type().IsRegular() || !isScript && !kept(e.Name()) {
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
