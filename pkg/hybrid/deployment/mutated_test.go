package deployment

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/hybridge-cli/hybridge/pkg/engine/broken"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/snapshot"
)

// mutation changes one value of a reading: what an enemy, or a server, could say.
func mutation(r *rand.Rand, raw json.RawMessage) json.RawMessage {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var tree any
	if d.Decode(&tree) != nil {
		return raw
	}
	var count func(v any) int
	count = func(v any) int {
		n := 1
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				n += count(e)
			}
		case map[string]any:
			for _, e := range v {
				n += count(e)
			}
		}
		return n
	}
	at := r.IntN(count(tree))
	others := []any{nil, true, "", "\x1b]52;c;eA==\x07\u202e\u0000", json.Number("-1"), json.Number("9223372036854775807"), []any{},
		map[string]any{}, strings.Repeat("x", 1<<16), "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "*", "::", "-----", "a@b@c",
		[]any{nil, "a", []any{}}, "https://[::1", "%", "..\\..\\x", "{0}%s%n"}
	var change func(v any) any
	change = func(v any) any {
		if at--; at == -1 {
			switch v := v.(type) {
			case []any:
				if len(v) > 0 && r.IntN(2) == 0 {
					return append(v, v[r.IntN(len(v))], v[0]) // what is there once
				}
			case string:
				if r.IntN(3) == 0 {
					return v + "\x1b[2J'; \u2066"
				}
			}
			return others[r.IntN(len(others))]
		}
		switch v := v.(type) {
		case []any:
			for i := range v {
				v[i] = change(v[i])
			}
		case map[string]any:
			names := make([]string, 0, len(v))
			for k := range v {
				names = append(names, k)
			}
			slices.Sort(names)
			for _, k := range names {
				v[k] = change(v[k])
			}
		}
		return v
	}
	out, err := json.Marshal(change(tree))
	if err != nil {
		return raw
	}
	return out
}

// Whatever a snapshot says, checks and the plan end, nothing breaks, and no control character of it is
// in what is printed.
func TestMutatedSnapshots(t *testing.T) {
	d := openAt(t, nil)
	s, err := d.Collect(t.Context(), &events{})
	if err != nil {
		t.Fatal(err)
	}
	rounds := 40
	if n, err := strconv.Atoi(os.Getenv("HYBRIDGE_TEST_ROUNDS")); err == nil {
		rounds = n
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // repeatable
	for range rounds {
		m := s
		m.Readings = slices.Clone(s.Readings)
		var what []string
		for range 1 + r.IntN(8) {
			i := r.IntN(len(m.Readings))
			at := &m.Readings[i]
			what = append(what, at.Place+": "+at.Ask)
			switch r.IntN(6) {
			case 0: // the answer to another question of the same form
				for _, other := range s.Readings {
					if other.Shape == at.Shape && other.Ask != at.Ask && r.IntN(3) == 0 {
						at.Answer, at.Error = other.Answer, other.Error
					}
				}
			case 1:
				at.Error = &snapshot.Failure{Text: "\x1b[31mno\x07", Is: []string{"access"}}
			case 2:
				m.TakenAt = []time.Time{time.Unix(1, 0).UTC(), time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC),
					s.TakenAt.Add(400 * 24 * time.Hour)}[r.IntN(3)]
			default:
				at.Answer = mutation(r, at.Answer)
			}
		}
		read, err := ReadSnapshot(bytes.NewReader(m.Encode()))
		if err != nil {
			continue
		}
		began := time.Now()
		func() {
			var wrong error
			defer func() {
				if wrong != nil {
					t.Errorf("seed %d: %q: %v", seed, what, wrong)
				}
			}()
			defer broken.Into(&wrong, "a mutated snapshot")
			for name, text := range output(t, recalled(t, read)) {
				if at := strings.Index(text, "a bug in hybridge"); at >= 0 {
					t.Errorf("seed %d: %q: %s: %q", seed, what, name, text[max(0, at-300):min(len(text), at+80)])
				}
				if name == "plan failed" || strings.Contains(name, "json") {
					continue
				}
				if at := strings.IndexFunc(text, func(c rune) bool { return c != '\n' && unicode.IsControl(c) || c == '\u202e' }); at >= 0 {
					t.Errorf("seed %d: %q: %s: %q", seed, what, name, text[max(0, at-80):min(len(text), at+80)])
				}
			}
		}()
		if took := time.Since(began); took > time.Minute {
			t.Errorf("seed %d: %q took %s", seed, what, took)
		}
	}
}
