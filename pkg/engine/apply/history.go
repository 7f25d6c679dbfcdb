package apply

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Entry is one run of the history.
type Entry struct {
	RunID    string    `json:"runId"`
	Action   string    `json:"action"`       // apply or rollback
	Of       string    `json:"of,omitempty"` // the run that a rollback undoes
	Started  time.Time `json:"started"`
	Version  string    `json:"version,omitempty"` // of hybridge
	Outcome  string    `json:"outcome"`           // complete, partial, cancelled, unfinished
	UndoneBy string    `json:"undoneBy,omitempty"`
	Summary  Summary   `json:"summary"`
	Journal  string    `json:"journal"` // path
	PlanHash string    `json:"planHash,omitempty"`
}

// History lists the runs under a state directory, newest first. One that cannot be read is told in the error, beside the others.
func History(stateDir string) ([]Entry, error) {
	runs, err := readRuns(stateDir)
	entries := make([]Entry, 0, len(runs))
	for _, run := range runs {
		entries = append(entries, entry(runs, run))
	}
	slices.Reverse(entries)
	return entries, err
}

// entry is how a run is listed.
func entry(runs []*past, run *past) Entry {
	e := Entry{
		RunID: run.head.RunID, Action: run.head.Action, Of: run.head.Of, Started: run.head.Time, Version: run.head.Version,
		Outcome: run.outcome(), Journal: run.path, PlanHash: run.head.PlanHash,
	}
	traces := run.traces()
	for _, id := range run.head.IDs {
		if end := traces[id].end; end != nil {
			e.Summary.add(end.Status)
		} else {
			e.Summary.Pending++
		}
	}
	if by := undoing(runs, e.RunID); by != nil && by.outcome() == "complete" {
		e.UndoneBy = by.head.RunID
	}
	return e
}

// ToUndo is the run that Rollback would undo; ErrNoRun when there is none.
func ToUndo(stateDir, runID string) (Entry, error) {
	runs, err := readRuns(stateDir)
	if err != nil {
		return Entry{}, err
	}
	run, err := toUndo(runs, runID)
	if err != nil {
		return Entry{}, err
	}
	return entry(runs, run), nil
}

// readRuns reads every journal, oldest first.
func readRuns(stateDir string) ([]*past, error) {
	ids, err := runIDs(runsDir(stateDir))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	var runs []*past
	var errs []error
	for _, id := range ids {
		run, err := readJournal(filepath.Join(runsDir(stateDir), id+".jsonl"))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		runs = append(runs, run)
	}
	return runs, errors.Join(errs...)
}

// undoing is the newest rollback of a run, nil when there is none.
func undoing(runs []*past, runID string) *past {
	for _, run := range slices.Backward(runs) {
		if run.head.Action == actionRollback && run.head.Of == runID {
			return run
		}
	}
	return nil
}

const (
	actionApply    = "apply"
	actionRollback = "rollback"
)

func (s *Summary) add(status Status) {
	switch status {
	case Done:
		s.Done++
	case Failed:
		s.Failed++
	case Skipped:
		s.Skipped++
	case Pending:
		s.Pending++
	}
}
