package apply

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/sorting"
)

// Entry is one run of the history.
type Entry struct {
	RunID    string    `json:"runId"`
	Action   string    `json:"action"`       // apply or rollback
	Of       string    `json:"of,omitempty"` // the run that a rollback undoes
	Started  time.Time `json:"started"`
	Version  string    `json:"version,omitempty"` // of hybridge
	Outcome  string    `json:"outcome"`           // complete, partial, cancelled, unfinished, unreadable
	UndoneBy string    `json:"undoneBy,omitempty"`
	Scripts  string    `json:"scripts,omitempty"` // result file of the scripts that made the run
	Summary  Summary   `json:"summary"`
	Journal  string    `json:"journal"`          // path
	Digest   string    `json:"digest,omitempty"` // of the plan
	Error    string    `json:"error,omitempty"`  // why the journal cannot be read
}

// History lists the runs under a state directory, newest first. A journal that cannot be read is
// listed with its error; it does not hide the others. The error names the damaged ones.
func History(stateDir string) ([]Entry, error) {
	runs, faults, err := readRuns(stateDir)
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, 0, len(runs)+len(faults))
	for _, run := range runs {
		entries = append(entries, entry(runs, run))
	}
	var errs []error
	for _, u := range faults {
		e := Entry{
			RunID: u.id, Action: u.head.Action, Of: u.head.Of, Started: u.head.Time, Version: u.head.Version,
			Outcome: "unreadable", Journal: u.path, Error: u.err.Error(),
		}
		entries = append(entries, e)
		if !u.older {
			errs = append(errs, u.err)
		}
	}
	sorting.Stable(entries, func(a, b Entry) int { return strings.Compare(b.RunID, a.RunID) })
	return entries, errors.Join(errs...)
}

// entry is how a run is listed.
func entry(runs []*past, run *past) Entry {
	e := Entry{
		RunID: run.head.RunID, Action: run.head.Action, Of: run.head.Of, Started: run.head.Time,
		Version: run.head.Version,
		Outcome: run.outcome(), Journal: run.path, Scripts: run.head.Scripts,
	}
	if run.head.Plan != nil {
		e.Digest = run.head.Plan.Digest
	}
	traces := run.traces()
	for _, id := range run.head.IDs {
		switch t := traces[id]; {
		case t.end != nil:
			e.Summary.add(t.end.Status)
		case t.begin != nil && e.Outcome != "unfinished":
			e.Summary.Failed++ // written, and the run ended before it was seen
		default:
			e.Summary.Pending++
		}
	}
	if by := undoing(runs, e.RunID); by != nil && by.outcome() == "complete" {
		e.UndoneBy = by.head.RunID
	}
	return e
}

// unreadable is a journal that cannot be used.
type unreadable struct {
	id, path string
	err      error
	older    bool   // of a version that is not read, and not damaged
	complete bool   // of such a version, and the run ended
	head     record // what is known of it
}

// readRuns reads every journal, oldest first, and those that cannot be used beside them.
func readRuns(stateDir string) (runs []*past, faults []unreadable, err error) {
	if err := privateState(stateDir); err != nil {
		return nil, nil, err
	}
	ids, err := runIDs(runsDir(stateDir))
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	for _, id := range ids {
		path := filepath.Join(runsDir(stateDir), id+journalSuffix)
		run, err := readJournal(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			u := unreadable{id: id, path: path, err: err}
			var other *versionError
			if errors.As(err, &other) && other.version != "" {
				u.older = true
				u.head, u.complete = otherRun(path)
			}
			faults = append(faults, u)
		default:
			runs = append(runs, run)
		}
	}
	return runs, faults, nil
}

// otherRun returns what is known of a journal of another version: its first record, and whether the
// run ended.
func otherRun(path string) (head record, complete bool) {
	data, err := os.ReadFile(path)
	if err != nil {
		return head, false
	}
	lines := bytes.Split(bytes.TrimSpace(data), []byte{'\n'})
	var first struct {
		Time                time.Time
		Action, Of, Version string
	}
	var last struct{ Record, Outcome string }
	_ = json.Unmarshal(lines[0], &first)
	_ = json.Unmarshal(lines[len(lines)-1], &last)
	head = record{Time: first.Time, Action: first.Action, Of: first.Of, Version: first.Version}
	return head, last.Record == string(eventFinish) && last.Outcome == "complete"
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

// undone is what the rollbacks of a run did, together. A later one may have ended before it came to
// what an earlier one did.
func undone(runs []*past, runID string) map[string]trace {
	all := &past{}
	for _, run := range runs {
		if run.head.Action == actionRollback && run.head.Of == runID {
			all.records = append(all.records, run.records...)
		}
	}
	return all.traces()
}
