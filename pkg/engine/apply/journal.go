package apply

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
)

// A journal is a file of JSON lines, runs/RUNID.jsonl under the state directory. Each record is one
// line and is flushed to the disk before anything else happens. A journal holds no secret: commands
// are not in it beyond what the plan has, secrets are references, and outputs are kept only as far
// as the plan refers to them.

// event is what a record says.
type event string

const (
	eventRun     event = "run"     // the first line: what is to be done
	eventResume  event = "resume"  // a killed or partial run goes on
	eventBegin   event = "begin"   // a change is about to be written: its before-image
	eventRemoved event = "removed" // first half of a replacement
	eventEnd     event = "end"     // a change ended
	eventFinish  event = "finish"  // the run ended
	eventUndone  event = "undone"  // a rollback script took a change back
)

// Actions of a run.
const (
	actionApply    = "apply"
	actionRollback = "rollback"
)

// record is one line.
type record struct {
	Record event     `json:"record"`
	Time   time.Time `json:"time"`

	// run
	APIVersion string            `json:"apiVersion,omitempty"`
	RunID      string            `json:"runId,omitempty"`
	Action     string            `json:"action,omitempty"` // apply or rollback
	Of         string            `json:"of,omitempty"`     // the run that a rollback undoes
	Places     map[string]string `json:"places,omitempty"` // ids of tenant and forests by place; see Options.Identity
	Plan       *storedPlan       `json:"plan,omitempty"`
	IDs        []string          `json:"ids,omitempty"` // of the changes, in their order

	// Scripts is the result file of the scripts that made the run, and Taken the digest of that
	// file.
	Scripts string `json:"scripts,omitempty"`
	Taken   string `json:"taken,omitempty"` // resume too

	// run and resume
	Version  string   `json:"version,omitempty"`
	Accepted []string `json:"accepted,omitempty"` // ids of Consents

	// begin, removed, end
	Change string            `json:"change,omitempty"`
	Before *image            `json:"before,omitempty"` // nil: nothing was there
	Want   change.Properties `json:"want,omitempty"`   // what is written, references resolved, secrets as references
	Others string            `json:"others,omitempty"` // fingerprint of the kind's other resources at the place

	// begin and end
	Live string `json:"live,omitempty"` // fingerprint of the kind at the place; empty: could not be read

	// end
	Status     Status            `json:"status,omitempty"`
	Uncertain  bool              `json:"uncertain,omitempty"` // failed, and may be in effect
	Refused    bool              `json:"refused,omitempty"`   // failed: the place said no, and nothing of it shows
	Error      string            `json:"error,omitempty"`
	Note       msg.Text          `json:"note,omitzero"`
	After      *image            `json:"after,omitempty"` // nil: nothing is there now
	Outputs    change.Properties `json:"outputs,omitempty"`
	DurationMS int64             `json:"durationMs,omitempty"`

	// finish
	Outcome string `json:"outcome,omitempty"` // complete, partial, cancelled
}

// validate checks the record that stands in line n.
func (r *record) validate(n int) error {
	if (n == 1) != (r.Record == eventRun) {
		return fmt.Errorf("a record %q is in the wrong place", r.Record)
	}
	for _, i := range []*image{r.Before, r.After} {
		if i != nil && len(change.Refs(i.Properties))+len(change.Secrets(i.Properties)) > 0 {
			return errors.New("an image of a live resource holds a reference")
		}
	}
	switch r.Record {
	case eventRun:
		if r.Action != actionRollback && (r.Action != actionApply || r.Plan == nil) {
			return fmt.Errorf("a run to %q without a plan", r.Action)
		}
		return nil
	case eventResume, eventBegin, eventRemoved, eventEnd, eventFinish, eventUndone:
		return nil
	}
	return fmt.Errorf("unknown record %q", r.Record)
}

// image is a live resource as it was read.
type image struct {
	Identity   string            `json:"identity"`
	Name       string            `json:"name"`
	Properties change.Properties `json:"properties"`
	Foreign    string            `json:"foreign,omitempty"` // see change.Live
}

func (i *image) live() *change.Live {
	if i == nil {
		return nil
	}
	return &change.Live{Identity: i.Identity, Name: i.Name, Properties: i.Properties, Foreign: i.Foreign}
}

// imageOf returns the declared properties of a live resource. Those that show a secret of the run
// are withheld.
func (x *execution) imageOf(k *change.Kind, l *change.Live) *image {
	if l == nil {
		return nil
	}
	properties := change.Properties{}
	for name := range k.Properties {
		value, present := l.Properties[name]
		switch {
		case present && x.secrets.within(value):
			properties[name] = change.Unreadable{} // which is not nothing
		case present:
			properties[name] = value
		}
	}
	return &image{l.Identity, l.Name, properties, l.Foreign}
}

// storedPlan is a plan within a journal, decoded as strictly as one in a file.
type storedPlan struct{ change.Plan }

func (p storedPlan) MarshalJSON() ([]byte, error) { return json.Marshal(p.Plan) }

func (p *storedPlan) UnmarshalJSON(data []byte) (err error) {
	p.Plan, err = change.Decode(bytes.NewReader(data))
	return err
}

// journal is an open journal. It is safe for concurrent use; after a failed write it refuses all
// others.
type journal struct {
	path   string
	format format
	fault  func(string) error

	mu     sync.Mutex
	file   *os.File
	chain  string
	broken error
}

func (j *journal) append(r record) error {
	if r.Time.IsZero() { // scripts did theirs earlier
		r.Time = time.Now().UTC()
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.broken != nil {
		return j.broken
	}
	line, chain, err := j.format.encode(j.chain, r)
	if err != nil {
		return fmt.Errorf("journal %s: %w", j.path, err)
	}
	j.chain = chain
	j.broken = j.write(append(line, '\n'), string(r.Record)+" "+r.Change)
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

// reopen opens the journal of a run to add to it. It cuts off a last line that a kill left
// incomplete.
func (p *past) reopen(fault func(string) error) (*journal, error) {
	f, err := os.OpenFile(p.path, os.O_RDWR, 0)
	if err == nil {
		if err = f.Truncate(p.size); err == nil {
			_, err = f.Seek(p.size, io.SeekStart)
		}
		if err != nil {
			_ = f.Close()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	return &journal{path: p.path, format: p.format, chain: p.chain, file: f, fault: fault}, nil
}

// past is a journal as it was read.
type past struct {
	path    string
	version string
	format  format
	size    int64  // of its whole lines
	chain   string // digest that the next line continues
	head    record
	records []record
}

// maxJournal is far above any run's: a line per change with its before-image.
const maxJournal = 256 << 20

// readJournal reads a journal. A last line that a kill cut short is ignored; any other fault is an
// error of class ErrJournal, and names the line.
//
// Lines removed from the end look the same as lines that a kill prevented. The run then counts as
// unfinished. The live state decides, and only what the plan or a rollback of the rest would do is
// done.
func readJournal(path string) (*past, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	fault := func(err error) error { return fmt.Errorf("journal %s: %w", path, err) }
	if !info.Mode().IsRegular() { // a pipe would hang, a device not end, and a link lead out of the state directory
		return nil, fault(fmt.Errorf("%w: it is not a regular file", ErrJournal))
	}
	if err := Private(path, info); err != nil {
		return nil, fault(fmt.Errorf("%w: %w", ErrJournal, err))
	}
	if info.Size() > maxJournal {
		return nil, fault(fmt.Errorf("%w: it is larger than %d MiB", ErrJournal, maxJournal>>20))
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	whole := data[:bytes.LastIndexByte(data, '\n')+1]
	p, err := decodeLines(whole)
	if err != nil {
		return nil, fault(err)
	}
	if p.tampered(data[len(whole):]) {
		n := len(p.records) + 1
		return nil, fault(fmt.Errorf("%w: line %d: it is damaged or edited: it is whole, and does not end there",
			ErrJournal, n))
	}
	p.path, p.size = path, int64(len(whole))
	if p.head.RunID+journalSuffix != base(path) {
		return nil, fault(fmt.Errorf("%w: it is the journal of run %q under another name", ErrJournal, p.head.RunID))
	}
	return p, nil
}

// tampered reports whether the text after the last whole line is more than the beginning of a line.
// That is a line whose end was overwritten.
func (p *past) tampered(rest []byte) bool {
	for at := range rest {
		if rest[at] != '}' || at+1 == len(rest) {
			continue
		}
		if _, _, err := p.format.decode(p.chain, rest[:at+1]); err == nil {
			return true
		}
	}
	return false
}

// trace is what a journal knows of one change.
type trace struct {
	begin   *record
	end     *record
	removed bool // of a replacement, and not made anew
	// refused: nothing of it was ever written. What stands there now is the work of others.
	refused bool
	first   *record // the first of several beginnings that may have written something; else nil
	carried bool    // out, at some time
}

func (t trace) done() bool { return t.end != nil && (t.end.Status == Done || t.end.Status == Skipped) }

// was is what a property was before the run. An element of a list that an earlier beginning of the
// change put in was not there.
func (t trace) was(name string, p change.Property) any {
	before := func(r *record) any {
		if r.Before == nil {
			return nil
		}
		return r.Before.Properties[name]
	}
	was := before(t.begin)
	if t.first == nil || p.Write != change.Merge {
		return was
	}
	earlier := before(t.first)
	for _, value := range []any{was, earlier} {
		if _, unknown := value.(change.Unreadable); unknown {
			return value
		}
	}
	return p.Without(was, p.Added(t.first.Want[name], earlier))
}

// wrote reports that something was written, or may have been.
func (t trace) wrote() bool { return t.begin != nil && !t.refused }

// uncertain reports that what was written may or may not be in effect.
func (t trace) uncertain() bool {
	return t.begin != nil && (t.end == nil || t.end.Uncertain || t.end.Status == Failed && t.end.Live == "")
}

// traces sums up the journal by change.
func (p *past) traces() map[string]trace {
	m := map[string]trace{}
	if p == nil {
		return m
	}
	for i := range p.records {
		r := &p.records[i]
		t := m[r.Change]
		switch r.Record {
		case eventBegin:
			first := t.first
			if first == nil && t.wrote() {
				first = t.begin
			}
			t = trace{begin: r, removed: t.removed, carried: t.carried, first: first}
		case eventRemoved:
			t.removed = true
		case eventEnd:
			t.end, t.carried = r, t.carried || r.Status == Done
			t.refused = t.refused || r.Refused && t.first == nil && !t.removed && t.begin != nil &&
				r.Live == t.begin.Live
		case eventUndone:
			t = trace{}
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

// elsewhere refuses a journal that was written for another tenant or another forest.
func (p *past) elsewhere(now map[string]string) error {
	for _, place := range slices.Sorted(maps.Keys(p.head.Places)) {
		was := p.head.Places[place]
		if is, asked := now[place]; asked && was != Unmade && !strings.EqualFold(was, is) {
			return fmt.Errorf("%w: run %s was made where %s is %s; here it is %s",
				ErrElsewhere, p.head.RunID, place, was, orUnknown(is))
		}
	}
	return nil
}

func orUnknown(id string) string {
	if id == "" {
		return "not known"
	}
	return id
}

// runIDs lists the runs, oldest first.
func runIDs(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var ids []string
	for _, e := range entries {
		if id, ok := strings.CutSuffix(e.Name(), journalSuffix); ok {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}
