package snapshot

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"
)

// Tape keeps what a run reads, or answers from a snapshot. A nil Tape does neither.
type Tape struct {
	codec

	replay bool
	mu     sync.Mutex
	kept   map[asked]Reading
}

type asked struct{ place, system, ask string }

// codec has the classes of errors of a tape, and the certificates that it encoded.
type codec struct {
	classes map[string]error

	certificatesMu sync.Mutex
	certificates   map[string]*x509.Certificate
}

func (c *codec) saw(leaf *x509.Certificate) {
	c.certificatesMu.Lock()
	defer c.certificatesMu.Unlock()
	if c.certificates == nil {
		c.certificates = map[string]*x509.Certificate{}
	}
	c.certificates[string(leaf.Raw)] = leaf
}

// ErrNotHeld says that a snapshot lacks the answer to a question. What depends on it is unknown.
var ErrNotHeld = errors.New("the snapshot does not hold it")

// ErrChanges is the answer to a request that would change something.
var ErrChanges = errors.New("a snapshot cannot be changed")

// missing is a question that a snapshot does not answer.
type missing struct {
	asked
	why string
}

func (e *missing) Error() string {
	why := cmp.Or(e.why, "the snapshot does not hold it")
	return fmt.Sprintf("%s: %s: %s: %s", e.place, e.system, e.ask, why)
}
func (e *missing) Unwrap() error { return ErrNotHeld }
func (*missing) Hint() string {
	return "make a new snapshot with hybridge collect --output-file FILE, with the account that may read it"
}

// Record returns a tape that keeps what is read. errs are classes of errors beside the common ones.
func Record(errs map[string]error) *Tape {
	return &Tape{codec: codec{classes: together(errs)}, kept: map[asked]Reading{}}
}

// Replay returns a tape that answers from a snapshot.
func Replay(s Snapshot, errs map[string]error) *Tape {
	t := Record(errs)
	t.replay = true
	for _, r := range s.Readings {
		t.kept[asked{r.Place, r.System, r.Ask}] = r
	}
	return t
}

func together(errs map[string]error) map[string]error {
	out := maps.Clone(classes)
	maps.Copy(out, errs)
	return out
}

// Replays reports whether the tape answers from a snapshot.
func (t *Tape) Replays() bool { return t != nil && t.replay }

// Read answers a question: from the snapshot, or by live, and keeps the answer. A question is asked
// once: every caller of a recording gets the same answer. What a cancelled caller did not get is
// not kept.
func Read[T any](ctx context.Context, t *Tape, place, system, ask string,
	live func(context.Context) (T, error)) (v T, err error) {
	if t == nil {
		return live(ctx)
	}
	at := asked{place, system, ask}
	err = t.read(ctx, at, t.replay, reflect.ValueOf(&v).Elem(), func(ctx context.Context) (err error) {
		v, err = live(ctx)
		return err
	})
	return v, err
}

// Fill is Read for a snapshot that is being made of files: live reads them.
func Fill[T any](ctx context.Context, t *Tape, place, system, ask string,
	live func(context.Context) (T, error)) (v T, err error) {
	at := asked{place, system, ask}
	err = t.read(ctx, at, false, reflect.ValueOf(&v).Elem(), func(ctx context.Context) (err error) {
		v, err = live(ctx)
		return err
	})
	return v, err
}

// Lacks is the error of a question that a snapshot does not answer.
func Lacks(place, system, ask string) error { return &missing{asked{place, system, ask}, ""} }

// read puts the answer into v.
func (t *Tape) read(ctx context.Context, at asked, closed bool, v reflect.Value,
	live func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	kept, known := t.look(at)
	if known {
		return t.recallInto(kept, v)
	}
	if closed {
		return &missing{at, ""}
	}
	err := live(ctx)
	if ctx.Err() != nil || errors.Is(err, ErrNotHeld) {
		return err
	}
	reading, wrong := t.form(at, v, err)
	if wrong != nil {
		return fmt.Errorf("keep %s: %s: %s: %w", at.place, at.system, at.ask, wrong)
	}
	t.mu.Lock()
	earlier, known := t.kept[at]
	if !known {
		t.kept[at] = reading
	}
	t.mu.Unlock()
	if known {
		return t.recallInto(earlier, v)
	}
	return err
}

func (t *Tape) look(at asked) (Reading, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r, known := t.kept[at]
	return r, known
}

// form is the form of an answer. An answer can come with an error: what was read before it.
func (t *Tape) form(at asked, v reflect.Value, err error) (r Reading, wrong error) {
	r = Reading{Place: at.place, System: at.system, Ask: at.ask, Shape: shape(v.Type())}
	if err == nil || !v.IsZero() {
		if r.Answer, wrong = t.encode(v); wrong != nil {
			return r, wrong
		}
	}
	if err != nil {
		f, wrong := t.failure(err)
		if wrong != nil {
			return r, wrong
		}
		r.Error = &f
	}
	return r, nil
}

// recallInto reads an answer from its form.
func (t *Tape) recallInto(r Reading, v reflect.Value) error {
	at := asked{r.Place, r.System, r.Ask}
	v.SetZero()
	if r.Shape != shape(v.Type()) {
		return &missing{at, "another version of hybridge made the snapshot, and reads it differently"}
	}
	if r.Answer != nil {
		if err := t.decode(r.Answer, v); err != nil {
			v.SetZero()
			return &missing{at, "the snapshot is damaged there: " + err.Error()}
		}
	}
	if r.Error == nil {
		// What no system says without an error, a snapshot may.
		if whole, ok := v.Interface().(interface{ Whole() error }); ok {
			if wrong := whole.Whole(); wrong != nil {
				v.SetZero()
				return &missing{at, "the snapshot is damaged there: " + wrong.Error()}
			}
		}
		return nil
	}
	e, wrong := t.recall(*r.Error)
	if wrong != nil {
		v.SetZero()
		return &missing{at, "the snapshot is damaged there: " + wrong.Error()}
	}
	return e
}

// Readings are what the tape holds, by place, system and question.
func (t *Tape) Readings() []Reading {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.SortedFunc(maps.Values(t.kept), func(a, b Reading) int {
		return cmp.Or(cmp.Compare(a.Place, b.Place), cmp.Compare(a.System, b.System), cmp.Compare(a.Ask, b.Ask))
	})
}

// Roots are the authorities of a pool that the certificates of the tape lead to: a pool does not
// list its own.
func (t *Tape) Roots(pool *x509.CertPool, now time.Time) [][]byte {
	t.certificatesMu.Lock()
	defer t.certificatesMu.Unlock()
	others := x509.NewCertPool()
	for _, c := range t.certificates {
		others.AddCert(c)
	}
	found := map[string]bool{}
	for _, c := range t.certificates {
		// An expired certificate has an authority too.
		for _, at := range []time.Time{now, c.NotBefore.Add(c.NotAfter.Sub(c.NotBefore) / 2), c.NotAfter} {
			chains, _ := c.Verify(x509.VerifyOptions{Roots: pool, Intermediates: others, CurrentTime: at,
				KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
			for _, chain := range chains {
				found[string(chain[len(chain)-1].Raw)] = true
			}
		}
	}
	var out [][]byte
	for _, der := range slices.Sorted(maps.Keys(found)) {
		out = append(out, []byte(der))
	}
	return out
}
