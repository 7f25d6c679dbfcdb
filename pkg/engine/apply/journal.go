package apply

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
)

// A journal is a file of JSON lines, runs/RUNID.jsonl under the state directory, one record a line, each flushed to the disk before anything
// else happens. It holds no secret: commands are not in it beyond what the plan has, and outputs only as far as the plan refers to them.

// event is what a record tells.
type event string

const (
	eventRun     event = "run"     // the first line: what is to be done
	eventResume  event = "resume"  // a killed or partial run goes on
	eventBegin   event = "begin"   // a change is about to be written: its before-image
	eventRemoved event = "removed" // first half of a replacement
	eventEnd     event = "end"     // a change ended
	eventFinish  event = "finish"  // the run ended
)

// record is one line.
type record struct {
	Record event     `json:"record"`
	Time   time.Time `json:"time"`

	// run
	APIVersion string      `json:"apiVersion,omitempty"`
	RunID      string      `json:"runId,omitempty"`
	Action     string      `json:"action,omitempty"` // apply or rollback
	Of         string      `json:"of,omitempty"`     // the run that a rollback undoes
	Version    string      `json:"version,omitempty"`
	PlanHash   string      `json:"planHash,omitempty"`
	Plan       *storedPlan `json:"plan,omitempty"`
	IDs        []string    `json:"ids,omitempty"` // of the changes, in order

	// begin, removed, end
	Change string            `json:"change,omitempty"`
	Before *image            `json:"before,omitempty"` // nil: nothing was there
	Want   change.Properties `json:"want,omitempty"`   // what is written, references resolved
	Others string            `json:"others,omitempty"` // fingerprint of the kind's other resources at the place

	// begin and end
	Live string `json:"live,omitempty"` // fingerprint of the kind at the place; empty: could not be read

	// end
	Status     Status            `json:"status,omitempty"`
	Error      string            `json:"error,omitempty"`
	Note       string            `json:"note,omitempty"`
	After      *image            `json:"after,omitempty"` // nil: nothing is there now
	Outputs    change.Properties `json:"outputs,omitempty"`
	DurationMS int64             `json:"durationMs,omitempty"`

	// finish
	Outcome string `json:"outcome,omitempty"` // complete, partial, cancelled
}

// image is a live resource as it was read.
type image struct {
	Identity   string            `json:"identity"`
	Name       string            `json:"name"`
	Properties change.Properties `json:"properties"`
}

func (i *image) live() *change.Live {
	if i == nil {
		return nil
	}
	return &change.Live{Identity: i.Identity, Name: i.Name, Properties: i.Properties}
}

// imageOf keeps of a live resource what its kind declares.
func imageOf(k *change.Kind, l *change.Live) *image {
	if l == nil {
		return nil
	}
	properties := change.Properties{}
	for name := range k.Properties {
		if value, present := l.Properties[name]; present {
			properties[name] = value
		}
	}
	return &image{l.Identity, l.Name, properties}
}

// storedPlan is a plan within a journal, decoded as strictly as one in a file.
type storedPlan struct{ change.Plan }

func (p storedPlan) MarshalJSON() ([]byte, error) { return json.Marshal(p.Plan) }

func (p *storedPlan) UnmarshalJSON(data []byte) (err error) {
	p.Plan, err = change.Decode(bytes.NewReader(data))
	return err
}

// journal is an open journal. It is safe for concurrent use; after a failed write it refuses all others.
type journal struct {
	path  string
	fault func(string) error

	mu     sync.Mutex
	file   *os.File
	broken error
}

func (j *journal) append(r record) error {
	r.Time = time.Now().UTC()
	line, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("journal %s: %w", j.path, err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.broken == nil {
		j.broken = j.write(append(line, '\n'), string(r.Record)+" "+r.Change)
	}
	return j.broken
}

func (j *journal) write(line []byte, point string) error {
	if j.fault != nil {
		if err := j.fault("before " + point); err != nil {
			_, _ = j.file.Write(line[:len(line)/2]) // died in the middle of the line
			return err
		}
	}
	_, err := j.file.Write(line)
	if err == nil {
		err = j.file.Sync()
	}
	if err != nil {
		return fmt.Errorf("%w: journal %s: %w", ErrState, j.path, err)
	}
	if j.fault != nil {
		return j.fault("after " + point)
	}
	return nil
}

func (j *journal) close() {
	_ = j.file.Close()
}

// state is the state directory, locked.
type state struct {
	dir  string
	lock *flock.Flock
}

func runsDir(stateDir string) string { return filepath.Join(stateDir, "runs") }

// openState makes and locks the state directory.
func openState(dir string) (*state, error) {
	if dir == "" {
		return nil, fmt.Errorf("%w: none is given", ErrState)
	}
	if err := os.MkdirAll(runsDir(dir), 0o700); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	for _, d := range []string{dir, runsDir(dir)} {
		if info, err := os.Stat(d); err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o002 != 0 {
			return nil, fmt.Errorf("%w: everybody may write to %s, and a journal decides what a rollback runs; take that right away (chmod o-w)", ErrState, d)
		}
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

// create begins a journal. The file appears whole or not at all, with its first record on the disk.
func (s *state) create(r record, fault func(string) error) (*journal, error) {
	dir := runsDir(s.dir)
	id, err := nextID(dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	r.Record, r.Time, r.APIVersion, r.RunID = eventRun, time.Now().UTC(), "hybridge/v1", id
	line, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	path := filepath.Join(dir, id+".jsonl")
	if err := writeNew(path, append(line, '\n')); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	return openJournal(path, fault)
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

// openJournal opens a journal to add to it. What a kill left of a last line is cut off.
func openJournal(path string, fault func(string) error) (*journal, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	data, err := io.ReadAll(f)
	if err == nil {
		whole := int64(bytes.LastIndexByte(data, '\n') + 1)
		if err = f.Truncate(whole); err == nil {
			_, err = f.Seek(whole, io.SeekStart)
		}
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	return &journal{path: path, file: f, fault: fault}, nil
}

// nextID gives an id that sorts behind all others: the time, to the millisecond.
func nextID(dir string) (string, error) {
	ids, err := runIDs(dir)
	if err != nil {
		return "", err
	}
	const layout = "20060102T150405.000Z"
	now := time.Now().UTC()
	if len(ids) > 0 {
		last := ids[len(ids)-1]
		if at, err := time.Parse(layout, last); err == nil && now.Format(layout) <= last {
			now = at.Add(time.Millisecond) // the clock went back, or two runs in one millisecond
		}
	}
	return now.Format(layout), nil
}

// runIDs lists the runs, oldest first.
func runIDs(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var ids []string
	for _, e := range entries {
		if id, ok := strings.CutSuffix(e.Name(), ".jsonl"); ok {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// past is a journal as it was read.
type past struct {
	path    string
	head    record
	records []record
}

// maxJournal is far above any run's: a line a change with its before-image.
const maxJournal = 256 << 20

// readJournal reads a journal. A last line that a kill cut short is ignored; any other fault is an error.
func readJournal(path string) (*past, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	if !info.Mode().IsRegular() { // a pipe would hang, a device not end, and a link lead out of the state directory
		return nil, fmt.Errorf("%w: journal %s is not a regular file", ErrState, path)
	}
	if info.Size() > maxJournal {
		return nil, fmt.Errorf("%w: journal %s is larger than %d MiB", ErrState, path, maxJournal>>20)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	data = data[:bytes.LastIndexByte(data, '\n')+1]
	p := &past{path: path}
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, len(data)+1)
	for n := 1; lines.Scan(); n++ {
		var r record
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return nil, fmt.Errorf("journal %s: line %d: %w", path, n, err)
		}
		p.records = append(p.records, r)
	}
	if len(p.records) == 0 || p.records[0].Record != eventRun {
		return nil, fmt.Errorf("journal %s does not begin with a run", path)
	}
	p.head = p.records[0]
	if p.head.APIVersion != "hybridge/v1" {
		return nil, fmt.Errorf("journal %s is of version %q; this hybridge reads \"hybridge/v1\"", path, p.head.APIVersion)
	}
	return p, nil
}

// trace is what a journal knows of one change.
type trace struct {
	begin   *record
	end     *record
	removed bool // of a replacement, since begin
}

func (t trace) done() bool { return t.end != nil && (t.end.Status == Done || t.end.Status == Skipped) }

// uncertain tells that what was written may or may not be in effect.
func (t trace) uncertain() bool {
	return t.begin != nil && (t.end == nil || t.end.Status == Failed && t.end.Live == "")
}

// traces sums up the journal by change.
func (p *past) traces() map[string]trace {
	m := map[string]trace{}
	for i := range p.records {
		r := &p.records[i]
		t := m[r.Change]
		switch r.Record {
		case eventBegin:
			t = trace{begin: r}
		case eventRemoved:
			t.removed = true
		case eventEnd:
			t.end = r
		default:
			continue
		}
		m[r.Change] = t
	}
	return m
}

// outcome is "complete", "partial", "cancelled", or "unfinished" for a run that was killed.
func (p *past) outcome() string {
	if last := p.records[len(p.records)-1]; last.Record == eventFinish {
		return last.Outcome
	}
	return "unfinished"
}
