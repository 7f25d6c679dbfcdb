package deployment

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
)

// Markers that stand in a calendar are files in the state directory: MARKER.json under markers. The
// file is there before the appointment and goes after it. A run that was killed leaves the file,
// and the next test removes the appointment.

// markers removes the markers that an earlier run left, and lets a run write its own. done ends the
// run. A run that writes none does not wait for another that does.
func (d *Deployment) markers(ctx context.Context, o TestOptions, diaries map[string]freebusy.Diary) (
	m *freebusy.Markers, done func(), err error) {
	write, nothing := o.Marker, func() {}
	dir := filepath.Join(d.options.StateDir, "markers")
	if d.options.StateDir == "" || d.answers.ValidateOnly {
		return nil, nothing, nil
	}
	entries, err := os.ReadDir(dir) // the directory's name is no pattern: no Glob
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nothing, fmt.Errorf("%w: %w", apply.ErrState, err)
	}
	var left []string
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ".json" {
			left = append(left, filepath.Join(dir, e.Name()))
		}
	}
	if !write && len(left) == 0 {
		return nil, nothing, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nothing, fmt.Errorf("%w: %w", apply.ErrState, err)
	}
	if info, err := os.Stat(dir); err != nil {
		return nil, nothing, fmt.Errorf("%w: %w", apply.ErrState, err)
	} else if err := apply.Private(dir, info); err != nil {
		return nil, nothing, fmt.Errorf("%w: %w", apply.ErrState, err)
	}
	lock := flock.New(filepath.Join(dir, "lock"), flock.SetPermissions(0o600))
	switch ok, err := lock.TryLock(); {
	case err != nil:
		return nil, nothing, fmt.Errorf("%w: lock %s: %w", apply.ErrState, lock.Path(), err)
	case !ok && !write:
		return nil, nothing, nil
	case !ok:
		return nil, nothing, fmt.Errorf("%w: another hybridge test --marker runs (%s)", apply.ErrLocked, lock.Path())
	}
	done = func() { _ = lock.Unlock() }
	for _, file := range left {
		d.sweep(ctx, file, diaries)
	}
	if !write {
		return nil, done, nil
	}
	return &freebusy.Markers{
		Diaries: diaries, Now: d.now,
		Keep: func(m freebusy.Marker) error {
			data, err := json.Marshal(m)
			if err != nil {
				return err
			}
			return writeSynced(markerFile(dir, m), data)
		},
		Done: func(m freebusy.Marker) { _ = os.Remove(markerFile(dir, m)) },
	}, done, nil
}

func markerFile(dir string, m freebusy.Marker) string {
	return filepath.Join(dir, m.Subject[strings.LastIndex(m.Subject, " ")+1:]+".json")
}

// sweep removes the marker of a file. What cannot be removed now stays for the next run.
func (d *Deployment) sweep(ctx context.Context, file string, diaries map[string]freebusy.Diary) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return // the run that wrote it has ended since
	}
	var m freebusy.Marker
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	if err != nil {
		d.warn(fmt.Sprintf("%s does not name a marker (%v): remove the file", file, err))
		return
	}
	err = fmt.Errorf("%s is not in the answers any more", m.Premise)
	if diary := diaries[m.Premise]; diary != nil {
		err = freebusy.Remove(ctx, diary, m)
	}
	if err != nil {
		d.warn(fmt.Sprintf("the marker %q of an earlier run is still in the calendar of %s on %s: %v; delete it "+
			"there, "+
			"then remove %s", m.Subject, m.Mailbox, m.Start.Format(time.DateOnly), err, file))
		return
	}
	_ = os.Remove(file)
}

// writeSynced writes a new file that is on the disk when it returns.
func writeSynced(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}
