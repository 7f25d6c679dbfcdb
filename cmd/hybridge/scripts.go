package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

// resultFile is what the scripts of a plan write beside themselves.
const resultFile = "hybridge-result.json"

// writeScripts writes the plan as PowerShell. A person would run scripts of another plan in the
// same folder with the new ones. They are refused, or removed with force.
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
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("write the scripts: %w", err)
		}
		t.note("removed %s", report.Sanitize(filepath.Join(dir, name)))
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
	for _, script := range scripts {
		if err := writeFile(filepath.Join(dir, script.Name), script.Content); err != nil {
			return fmt.Errorf("write the scripts: %w", err)
		}
		t.note("wrote %s", report.Sanitize(filepath.Join(dir, script.Name)))
	}
	t.note("run them in the order of their names; each says where it runs, and -WhatIf shows what it would do")
	return nil
}

// otherScripts lists what another plan left in a folder: its scripts, known by the line that names
// their plan, and their result file.
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
		isScript := strings.EqualFold(filepath.Ext(e.Name()), ".ps1")
		if !e.Type().IsRegular() || !isScript && e.Name() != resultFile {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		mine := bytes.Contains(text, []byte("hybridge plan")) || e.Name() == resultFile
		if mine && !bytes.Contains(text, []byte(digest)) {
			out = append(out, e.Name())
		}
	}
	return out, nil
}
