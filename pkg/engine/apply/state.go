package apply

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/gofrs/flock"
)

// state is the state directory, locked.
type state struct {
	dir  string
	lock *flock.Flock
}

const journalSuffix = ".jsonl"

func runsDir(stateDir string) string { return filepath.Join(stateDir, "runs") }

func base(path string) string { return filepath.Base(path) }

// openState makes and locks the state directory.
func openState(dir string) (*state, error) {
	if dir == "" {
		return nil, fmt.Errorf("%w: none is given", ErrState)
	}
	if err := os.MkdirAll(runsDir(dir), 0o700); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	if err := privateState(dir); err != nil {
		return nil, err
	}
	lock := flock.New(filepath.Join(dir, "lock"), flock.SetPermissions(0o600))
	ok, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("%w: lock %s: %w", ErrState, lock.Path(), err)
	}
	if !ok {
		return nil, fmt.Errorf("%w: %s is locked", ErrLocked, lock.Path())
	}
	return &state{dir, lock}, nil
}

func (s *state) close() { _ = s.lock.Unlock() }

// privateState refuses a state directory that another account can write to: a journal decides what
// a rollback runs.
func privateState(dir string) error {
	for _, d := range []string{dir, runsDir(dir)} {
		info, err := os.Stat(d)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = Private(d, info)
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrState, err)
		}
	}
	return nil
}

// create begins a journal. The file appears whole or not at all, with its first record on the disk.
func (s *state) create(r record, fault func(string) error) (*journal, error) {
	dir := runsDir(s.dir)
	id, err := nextID(dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	r.Record, r.Time, r.APIVersion, r.RunID = eventRun, time.Now().UTC(), JournalVersion, id
	f := formats[JournalVersion]
	line, chain, err := f.encode("", r)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	p := past{path: filepath.Join(dir, id+journalSuffix), format: f, chain: chain, size: int64(len(line) + 1)}
	if err := writeNew(p.path, append(line, '\n')); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	return p.reopen(fault)
}

func writeNew(path string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	if _, err = f.Write(data); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	if runtime.GOOS == "windows" { // has no way to flush a directory
		return nil
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	return d.Sync()
}

// nextID returns an id that sorts behind those of all runs: the time, to the millisecond.
func nextID(dir string) (string, error) {
	ids, err := runIDs(dir)
	if err != nil {
		return "", err
	}
	const layout = "20060102T150405.000Z"
	now := time.Now().UTC()
	for _, last := range slices.Backward(ids) {
		at, err := time.Parse(layout, last)
		if err != nil {
			continue // no run: a copy of a journal
		}
		if now.Format(layout) <= last {
			now = at.Add(time.Millisecond) // the clock went back, or two runs in one millisecond
		}
		break
	}
	return now.Format(layout), nil
}
