package apply

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/sorting"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
)

// ErrScripts says that a result file of scripts cannot be used.
var ErrScripts = errors.New("the result file of the scripts cannot be used")

// The files beside the scripts of a plan.
const (
	ResultFile = "hybridge-result.json"
	// ScriptResultSuffix ends the name of the result file of a script that does not share
	// ResultFile.
	ScriptResultSuffix = ".result.json"
	PlanFile           = "hybridge-plan.json"
)

// Scripted is what the scripts of a plan did: the result file that they write beside themselves.
type Scripted struct {
	Path   string
	Plan   change.Plan // from beside the file
	places map[string]string
	digest string
	rows   map[string]scriptedRow
}

// scriptedRow is what a script wrote about one change.
type scriptedRow struct {
	Script string         `json:"script"`
	Status string         `json:"status"`
	Text   string         `json:"text"`
	Write  string         `json:"write"` // empty, begun or accepted
	Before *scriptedImage `json:"before"`
	After  *scriptedImage `json:"after"`
	Time   time.Time      `json:"time"`
}

// scriptedImage is a live resource as a script read it, with the names of the place.
type scriptedImage struct {
	Identity   string         `json:"identity"`
	Name       string         `json:"name"`
	Properties map[string]any `json:"properties"`
}

// What a script says of its write. Nothing: it has not written, or its rollback script has undone
// it.
const (
	writeBegun    = "begun"
	writeAccepted = "accepted"
	asWanted      = "as wanted"
	refusedThere  = "refused"
	undoneThere   = "undone"
)

// ReadScripted reads a result file and the plan beside it. Scripts of other languages have result
// files of their own: those of the same plan in the folder count too.
func ReadScripted(path string) (Scripted, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return Scripted{}, err
	}
	fault := func(path string, err error) (Scripted, error) {
		return Scripted{}, fmt.Errorf("%w: %s: %w", ErrScripts, path, err)
	}
	var all []resultFile
	first, err := readResult(path)
	wanted := first.Plan
	switch {
	case err == nil:
		all = append(all, first)
	case !errors.Is(err, fs.ErrNotExist):
		return fault(path, err)
	default:
		wanted = digestOf(filepath.Join(filepath.Dir(path), PlanFile))
	}
	others, dirErr := filesIn(filepath.Dir(path), "", ScriptResultSuffix)
	if dirErr != nil {
		return fault(path, dirErr)
	}
	for _, file := range append(others, filepath.Join(filepath.Dir(path), ResultFile)) {
		if file == path {
			continue
		}
		switch other, err := readResult(file); {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return fault(file, err)
		case other.Plan == wanted:
			all = append(all, other)
		}
	}
	if len(all) == 0 {
		return fault(path, err)
	}
	// Whichever of the files is named, together they are the same.
	sorting.Func(all, func(a, b resultFile) int { return strings.Compare(a.rank(), b.rank()) })
	s := Scripted{Path: path, places: map[string]string{}, rows: map[string]scriptedRow{}}
	sums := []byte{}
	for _, one := range all {
		sums = append(sums, one.sum[:]...)
		maps.Copy(s.places, one.Places)
		for id, row := range one.Changes {
			if s.rows[id].outcome() == Pending {
				s.rows[id] = row
			}
		}
	}
	if len(all) > 1 {
		sum := sha256.Sum256(sums)
		sums = sum[:]
	}
	s.digest = hex.EncodeToString(sums)
	if s.Plan, err = planBeside(path, wanted); err != nil {
		return fault(path, err)
	}
	return s, nil
}

// resultFile is a result file as a script writes it.
type resultFile struct {
	APIVersion string                 `json:"apiVersion"`
	Kind       string                 `json:"kind"`
	Plan       string                 `json:"plan"`
	Places     map[string]string      `json:"places"`
	Changes    map[string]scriptedRow `json:"changes"`
	path       string
	sum        [sha256.Size]byte
}

// rank sorts the result files of a folder: the one that scripts share comes first.
func (f resultFile) rank() string {
	if base(f.path) == ResultFile {
		return ""
	}
	return f.path
}

func readResult(path string) (file resultFile, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return file, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxJournal {
		return file, errors.New("it is not a regular file of a result's size")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return file, err
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&file); err != nil {
		return file, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return file, errors.New("there is more behind its end")
	}
	if file.APIVersion != "hybridge/v1" || file.Kind != "ScriptResult" {
		return file, fmt.Errorf("it is a %q of version %q, not a ScriptResult of version hybridge/v1",
			file.Kind, file.APIVersion)
	}
	file.path, file.sum = path, sha256.Sum256(data)
	return file, nil
}

// filesIn lists the files of a folder by the beginning and the end of their names, sorted. The name
// of the folder is no pattern, as it would be for filepath.Glob.
func filesIn(dir, begin, end string) (paths []string, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		if name := e.Name(); strings.HasPrefix(name, begin) && strings.HasSuffix(name, end) {
			paths = append(paths, filepath.Join(dir, name))
		}
	}
	return paths, err
}

// planBeside finds the plan of a result file by its digest.
func planBeside(path, digest string) (change.Plan, error) {
	name, extension := strings.TrimSuffix(PlanFile, ".json"), ".json"
	files, err := filesIn(filepath.Dir(path), name, extension)
	if err != nil {
		return change.Plan{}, err
	}
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			return change.Plan{}, err
		}
		p, err := change.Decode(f)
		_ = f.Close()
		if err == nil && p.Digest == digest {
			return p, nil
		}
	}
	return change.Plan{}, fmt.Errorf("its plan %s is not beside it: copy %s there from the folder of the scripts",
		digest, PlanFile)
}

// digestOf is the digest of a plan file; empty when it has none.
func digestOf(file string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	p, err := change.Decode(f)
	if err != nil {
		return ""
	}
	return p.Digest
}

// NoteScripts remembers a folder with scripts, for InPart; not without a state directory, as with a
// snapshot.
func NoteScripts(stateDir, dir string) error {
	if stateDir == "" {
		return nil
	}
	dirs, err := notedScripts(stateDir)
	if err != nil || slices.Contains(dirs, dir) || strings.Contains(dir, "\n") {
		return err
	}
	if err := os.MkdirAll(stateDir, 0o700); err != nil {
		return fmt.Errorf("%w: %w", ErrState, err)
	}
	text := strings.Join(append(dirs, dir), "\n") + "\n"
	if err := writeNew(notes(stateDir), []byte(text)); err != nil {
		return fmt.Errorf("%w: %w", ErrState, err)
	}
	return nil
}

func notes(stateDir string) string { return filepath.Join(stateDir, "scripts") }

func notedScripts(stateDir string) ([]string, error) {
	if err := privateState(stateDir); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(notes(stateDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	return strings.FieldsFunc(string(data), func(r rune) bool { return r == '\n' }), nil
}

// Part is a set of scripts that ran in part.
type Part struct {
	Path    string // of the result file
	Summary Summary
	Stopped string // where a script stopped; empty when none did
}

// InPart lists the scripts that ran in part, in the folders that are remembered and in the history.
// A rollback settles them.
func InPart(stateDir string) ([]Part, error) {
	dirs, err := notedScripts(stateDir)
	if err != nil {
		return nil, err
	}
	runs, _, err := readRuns(stateDir)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, dir := range dirs {
		files = append(files, filepath.Join(dir, ResultFile))
	}
	var settled []*past
	for _, run := range runs {
		if run.head.Scripts == "" {
			continue
		}
		if undoing(runs, run.head.RunID) != nil || run.outcome() == "complete" {
			settled = append(settled, run)
		}
		if !slices.Contains(files, run.head.Scripts) {
			files = append(files, run.head.Scripts)
		}
	}
	var sets []Scripted // one per plan: the scripts of each role may be in a folder of their own
	var errs []error
	for _, file := range files {
		s, err := ReadScripted(file)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			errs = append(errs, err)
			continue
		case slices.ContainsFunc(settled, func(run *past) bool { return run.took(s.digest) }):
			continue
		}
		at := slices.IndexFunc(sets, func(o Scripted) bool { return o.Plan.Digest == s.Plan.Digest })
		if at < 0 {
			sets = append(sets, s)
			continue
		}
		for id, row := range s.rows {
			if sets[at].rows[id].outcome() == Pending {
				sets[at].rows[id] = row
			}
		}
	}
	var parts []Part
	for _, s := range sets {
		part := Part{Path: s.Path}
		for _, c := range s.Plan.Changes {
			row := s.rows[c.ID]
			status := row.outcome()
			part.Summary.add(status)
			if status == Failed && part.Stopped == "" {
				part.Stopped = fmt.Sprintf("%s stopped at %s: %s", row.Script, c.ID, row.Text)
			}
		}
		if part.Summary.Done+part.Summary.Failed > 0 && part.Summary.Failed+part.Summary.Pending > 0 {
			parts = append(parts, part)
		}
	}
	return parts, errors.Join(errs...)
}

// outcome is the row's status in the words of a run.
func (r scriptedRow) outcome() Status {
	switch {
	case r.Write != "" && r.After == nil && r.Status == refusedThere:
		return Failed
	case r.Write == writeAccepted:
		return Done
	case r.Write == writeBegun, r.Status == refusedThere:
		return Failed
	case r.Status == asWanted:
		return Skipped
	}
	return Pending
}

// at is when the script did it. A script that runs where the clock is wrong did it now at the
// latest.
func (r scriptedRow) at(now time.Time) time.Time {
	if r.Time.IsZero() || r.Time.After(now) {
		return now
	}
	return r.Time.UTC()
}

// TakeUp brings what the scripts of a plan did into the history as a run of apply: apply resumes
// it, and Rollback undoes it. A result file that was taken up before adds what is new.
func TakeUp(kinds map[string]*change.Kind, s Scripted, o Options) (Entry, error) {
	p := s.Plan
	state, err := openState(o.StateDir)
	if err != nil {
		return Entry{}, err
	}
	defer state.close()
	runs, _, err := readRuns(o.StateDir)
	if err != nil {
		return Entry{}, err
	}
	var prior *past
	for _, run := range runs {
		if run.head.Action == actionApply && run.head.Scripts != "" && run.head.Plan.Digest == p.Digest {
			prior = run
		}
	}
	if prior != nil && prior.took(s.digest) {
		return entry(runs, prior), nil
	}
	if prior != nil && undoing(runs, prior.head.RunID) != nil {
		prior = nil // the scripts ran again after the rollback
	}
	records, outcome, err := s.records(kinds, prior.traces())
	if err != nil {
		return Entry{}, err
	}
	if prior != nil {
		if err := prior.elsewhere(s.places); err != nil {
			return Entry{}, err
		}
	}
	var j *journal
	if prior == nil {
		j, err = state.create(record{
			Action: actionApply, Version: o.Version, Places: s.places, Plan: &storedPlan{p}, IDs: idsOf(p.Changes),
			Scripts: s.Path, Taken: s.digest,
		}, o.fault)
	} else {
		j, err = prior.reopen(o.fault)
		records = slices.Insert(records, 0, record{Record: eventResume, Version: o.Version, Taken: s.digest})
	}
	if err != nil {
		return Entry{}, err
	}
	defer j.close()
	for _, r := range append(records, record{Record: eventFinish, Outcome: outcome}) {
		if err := j.append(r); err != nil {
			return Entry{}, err
		}
	}
	if runs, _, err = readRuns(o.StateDir); err != nil {
		return Entry{}, err
	}
	for _, run := range runs {
		if run.path == j.path {
			return entry(runs, run), nil
		}
	}
	return Entry{}, fmt.Errorf("%w: %s is not there any more", ErrState, j.path)
}

// took reports whether a result file with this digest was taken up.
func (p *past) took(digest string) bool {
	return slices.ContainsFunc(p.records, func(r record) bool { return r.Taken == digest })
}

// records are what a journal has of the result file, without what it knows already.
func (s Scripted) records(
	kinds map[string]*change.Kind, known map[string]trace,
) (out []record, outcome string, err error) {
	p, now := s.Plan, time.Now().UTC()
	keep := map[change.Ref]bool{}
	for _, c := range p.Changes {
		for _, ref := range slices.Concat(change.Refs(c.After), change.Refs(c.Command.Parameters)) {
			keep[ref] = true
		}
	}
	outcome = "complete"
	for _, c := range p.Changes {
		k := kinds[c.Kind]
		if k == nil {
			return nil, "", fmt.Errorf("%w: this hybridge knows no kind %q", change.ErrPlan, c.Kind)
		}
		row, had := s.rows[c.ID], known[c.ID]
		status := row.outcome()
		if status == Pending {
			undone := row.Status == undoneThere && (had.begin != nil || had.end != nil)
			if undone {
				out = append(out, record{Record: eventUndone, Change: c.ID})
			}
			if undone || !had.done() { // the scripts of another folder may have done it
				outcome = "partial"
			}
			continue
		}
		if status == Failed {
			outcome = "partial"
		}
		if had.end != nil && had.end.Status == status && status != Failed {
			continue
		}
		end := record{Record: eventEnd, Change: c.ID, Status: status, Time: row.at(now)}
		if row.Write != "" && (had.begin == nil || had.end != nil) {
			begin := record{Record: eventBegin, Change: c.ID, Time: end.Time}
			if begin.Want, err = s.want(kinds, c); err != nil {
				return nil, "", err
			}
			if before := row.Before.live(k); before != nil && (c.Action != change.Create || k.Shown(*before)) {
				begin.Before = imageOf(k, before)
			}
			out = append(out, begin)
			end.After = imageOf(k, row.After.live(k))
			end.Uncertain = row.After == nil && c.Action != change.Delete
		}
		if status == Failed {
			end.Error = strings.TrimSpace(row.Script + ": " + row.Text)
		}
		for ref := range keep {
			if ref.Change != c.ID {
				continue
			}
			if v, known := s.value(kinds, ref); known {
				if end.Outputs == nil {
					end.Outputs = change.Properties{}
				}
				end.Outputs[ref.Property] = v
			}
		}
		out = append(out, end)
	}
	return out, outcome, nil
}

// want is what a change of the plan wrote, its references resolved by what the scripts made.
func (s Scripted) want(kinds map[string]*change.Kind, c change.Change) (change.Properties, error) {
	v, err := change.Resolve(c.After, func(ref change.Ref) (any, error) {
		if v, known := s.value(kinds, ref); known {
			return v, nil
		}
		return nil, fmt.Errorf("%w: %s: %s refers to %s, which it does not have", ErrScripts, s.Path, c.ID, ref)
	})
	if err != nil {
		return nil, err
	}
	want, _ := v.(change.Properties)
	return want, nil
}

// value is what a reference stands for: a property of what the scripts made or found.
func (s Scripted) value(kinds map[string]*change.Kind, ref change.Ref) (any, bool) {
	for _, c := range s.Plan.Changes {
		row := s.rows[c.ID]
		if c.ID != ref.Change || row.After == nil {
			continue
		}
		if raw, shown := row.After.Properties[ref.Property].(string); shown {
			return raw, true
		}
		v, err := change.LiveValue(*row.After.live(kinds[c.Kind]), ref.Property)
		return v, err == nil
	}
	return nil, false
}

// live is the image in the form of the kind.
func (i *scriptedImage) live(k *change.Kind) *change.Live {
	if i == nil {
		return nil
	}
	l := k.Image(i.Identity, i.Name, func(name string) (any, error) {
		v, shown := i.Properties[name]
		if !shown {
			return nil, change.ErrAbsent
		}
		return scriptedValue(v), nil
	})
	return &l
}

// scriptedValue is a value of PowerShell's JSON. Windows PowerShell writes some lists as an object
// of value and Count.
func scriptedValue(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		return v.String()
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = scriptedValue(v[i])
		}
		return out
	case map[string]any:
		if list, isList := v["value"].([]any); isList && len(v) == 2 && v["Count"] != nil {
			return scriptedValue(list)
		}
		out := make(map[string]any, len(v))
		for key, e := range v {
			out[key] = scriptedValue(e)
		}
		return out
	}
	return v
}

// imageOf keeps the declared properties that can be read.
func imageOf(k *change.Kind, l *change.Live) *image {
	if l == nil {
		return nil
	}
	properties := change.Properties{}
	for name := range k.Properties {
		if v, present := l.Properties[name]; present {
			if normal, err := change.Normal(v); err == nil {
				properties[name] = normal
			}
		}
	}
	return &image{l.Identity, l.Name, properties, l.Foreign}
}
