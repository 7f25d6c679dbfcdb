package apply

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
)

var update = flag.Bool("update", false, "write the golden journal of the current version")

const goldenRun = "20261126T120000.000Z"

// halfway is a world in which a run of its plan was killed: three changes are done, one is under
// way.
func halfway(t testing.TB, dir string) (*world, change.Plan, string) {
	t.Helper()
	w := newWorld()
	p := w.plan(t)
	o := Options{StateDir: dir, Accept: removalsToo, Wait: soon, Version: "2.0.0", Identity: organizations("t1")}
	o.fault = dies(w, "after run online/Thing/update")
	report, err := Run(context.Background(), w.places(), kinds, p, o, nil)
	if err == nil {
		t.Fatal("the dead process said that all is well")
	}
	w.online.death, w.onprem.death = nil, nil
	return w, p, report.Journal
}

// organizations are the ids of places: of the tenant, and of one forest.
func organizations(tenant string) func(context.Context, string) (string, error) {
	return func(_ context.Context, place string) (string, error) {
		return map[string]string{"online": tenant, "onprem/contoso": "f1"}[place], nil
	}
}

// install puts a journal into a new state directory.
func install(t testing.TB, id string, data []byte) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(runsDir(dir), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(runsDir(dir), id+journalSuffix), data, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A run that this version, or the one before, left behind is finished and rolled back. The golden
// journal of a version stays as it is for as long as its format is read.
func TestGoldenJournals(t *testing.T) {
	golden := filepath.Join("testdata", "journal-v2.golden")
	if *update {
		_, _, path := halfway(t, t.TempDir())
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		data = data[:bytes.LastIndexByte(data, '\n')+1]
		if err := os.WriteFile(golden, rename(t, data, goldenRun), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob("testdata/journal-*.golden")
	if err != nil || len(files) != len(formats) {
		t.Fatalf("%d golden journals of %d formats, %v", len(files), len(formats), err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		o := Options{Wait: soon, Accept: removalsToo, Identity: organizations("t1")}
		t.Run(filepath.Base(file)+"/finish", func(t *testing.T) {
			w, p, _ := halfway(t, t.TempDir())
			o.StateDir = install(t, goldenRun, data)
			stored, err := readJournal(filepath.Join(runsDir(o.StateDir), goldenRun+journalSuffix))
			if err != nil {
				t.Fatal(err)
			}
			if p.Digest != stored.head.Plan.Digest {
				t.Log("the plan is another one by now; the stored one is finished")
			}
			report := run(t, w, stored.head.Plan.Plan, o)
			if report.RunID != goldenRun || report.Summary.Done != 7 {
				t.Errorf("%+v", report)
			}
			if next := w.plan(t); len(next.Changes) > 0 {
				t.Errorf("not converged: %+v", next.Changes)
			}
		})
		t.Run(filepath.Base(file)+"/roll back", func(t *testing.T) {
			w, _, _ := halfway(t, t.TempDir())
			o.StateDir = install(t, goldenRun, data)
			if _, err := Rollback(t.Context(), w.places(), kinds, goldenRun, o, nil); err != nil {
				t.Fatal(err)
			}
			if before, after := newWorld().content(), w.content(); !restoredTo(before, after) {
				t.Errorf("got %v", after)
			}
		})
	}
}

func restoredTo(before, after map[string]map[string][]string) bool {
	flat := func(m map[string]map[string][]string) string {
		return strings.ReplaceAll(fmt.Sprint(m), `"False"`, "false")
	}
	return sameContent(before, after) || flat(before) == flat(after)
}

// rename rewrites a journal as that of another run.
func rename(t testing.TB, data []byte, id string) []byte {
	t.Helper()
	p, err := decodeLines(data)
	if err != nil {
		t.Fatal(err)
	}
	p.records[0].RunID = id
	return chain(t, p.records)
}

// chain writes records as a journal.
func chain(t testing.TB, records []record) []byte {
	t.Helper()
	var out bytes.Buffer
	before := ""
	for _, r := range records {
		line, next, err := encodeV2(before, r)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(append(line, '\n'))
		before = next
	}
	return out.Bytes()
}

// A bit that flipped is found, and the line is named.
func TestFlippedBits(t *testing.T) {
	_, _, path := halfway(t, t.TempDir())
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data = data[:bytes.LastIndexByte(data, '\n')+1]
	id := strings.TrimSuffix(filepath.Base(path), journalSuffix)
	dir := install(t, id, data)
	file := filepath.Join(runsDir(dir), id+journalSuffix)
	if _, err := readJournal(file); err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(data); at += 5 {
		check := func(at int, bit byte) {
			line := 1 + bytes.Count(data[:at], []byte("\n"))
			flipped := bytes.Clone(data)
			flipped[at] ^= bit
			if err := os.WriteFile(file, flipped, 0o600); err != nil {
				t.Fatal(err)
			}
			// The first line says of which version the journal is: there, the version may be what
			// is wrong.
			if _, err := readJournal(file); !errors.Is(err, ErrJournal) || line > 1 &&
				!strings.Contains(err.Error(), fmt.Sprintf("line %d:", line)) {
				t.Fatalf("bit %d of byte %d, line %d: %v", bit, at, line, err)
			}
		}
		check(at, 1<<(at%8))
		if at+5 >= len(data) {
			check(len(data)-1, 1)
			check(len(data)-1, 0x40)
		}
	}
}

// Lines that are taken out, moved or taken from another journal are found; so is a journal under
// another name, and a plan in it that is not the one that was agreed to.
func TestJournalIsRefused(t *testing.T) {
	_, _, path := halfway(t, t.TempDir())
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, _, foreign := halfway(t, t.TempDir())
	other, err := os.ReadFile(foreign)
	if err != nil {
		t.Fatal(err)
	}
	id := strings.TrimSuffix(filepath.Base(path), journalSuffix)
	lines := bytes.SplitAfter(data[:bytes.LastIndexByte(data, '\n')+1], []byte("\n"))
	others := bytes.SplitAfter(other, []byte("\n"))
	lines = lines[:len(lines)-1]
	past, err := decodeLines(bytes.Join(lines, nil))
	if err != nil {
		t.Fatal(err)
	}
	forged := func(edit func([]record) []record) []byte { return chain(t, edit(slices.Clone(past.records))) }
	for _, test := range []struct {
		name string
		data []byte
		want string
	}{
		{"a line taken out", bytes.Join(slices.Delete(slices.Clone(lines), 2, 3), nil), "line 3"},
		{"two lines swapped", bytes.Join([][]byte{lines[0], lines[2], lines[1]}, nil), "line 2"},
		{"a line twice", bytes.Join([][]byte{lines[0], lines[1], lines[1]}, nil), "line 3"},
		{"a line of another journal", bytes.Join([][]byte{lines[0], others[1]}, nil), "line 2"},
		{"nothing", nil, "no whole line"},
		{"no version", []byte("{}\n"), "names no version"},
		{"version before the first that is kept",
			[]byte(`{"record":"run","apiVersion":"hybridge/v1","runId":"r"}` + "\n"), "with that version"},
		{"version of the future", []byte(`{"record":"run","apiVersion":"hybridge/v9","runId":"r"}` + "\n"),
			"use the version that wrote it"},
		{"an edited plan", forged(func(r []record) []record {
			plan := *r[0].Plan
			plan.Changes = slices.Clone(plan.Changes)
			plan.Changes[0].Reason = plan.Changes[1].Reason
			plan.Changes[0].Name = "another"
			r[0].Plan = &plan
			return r
		}), "line 1"},
		{"another run's name", forged(func(r []record) []record { r[0].RunID = "r2"; return r }), "under another name"},
		{"a run within a run", forged(func(r []record) []record { r[1] = r[0]; return r }), "line 2"},
		{"a secret in a before-image", forged(func(r []record) []record {
			for i := range r {
				if r[i].Before != nil {
					before := *r[i].Before
					before.Properties = maps.Clone(before.Properties)
					before.Properties["URL"] = change.SecretRef{Ref: "env:HOME"}
					r[i].Before = &before
				}
			}
			return r
		}), "holds a reference"},
		{"an unknown record", forged(func(r []record) []record { r[1].Record = "run-this"; return r }),
			"unknown record"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := install(t, id, test.data)
			_, err := readJournal(filepath.Join(runsDir(dir), id+journalSuffix))
			if !errors.Is(err, ErrJournal) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestElsewhere(t *testing.T) {
	dir := t.TempDir()
	w, p, _ := halfway(t, dir)
	for name, identity := range map[string]func(context.Context, string) (string,
		error){"another tenant": organizations("t2"), "not known": nil} {
		o := Options{StateDir: dir, Accept: removalsToo, Wait: soon, Identity: identity}
		_, err := Run(t.Context(), w.places(), kinds, p, o, nil)
		_, undone := Rollback(t.Context(), w.places(), kinds, "", o, nil)
		_, preview := Preview(t.Context(), w.places(), kinds, "", o)
		for verb, err := range map[string]error{"resume": err, "rollback": undone, "preview": preview} {
			if !errors.Is(err, ErrElsewhere) || !strings.Contains(err.Error(), "online is t1") {
				t.Errorf("%s, %s: %v", name, verb, err)
			}
		}
	}
	unknown := errors.New("no answer")
	o := Options{StateDir: dir, Accept: removalsToo,
		Identity: func(context.Context, string) (string, error) { return "", unknown }}
	if _, err := Rollback(t.Context(), w.places(), kinds, "", o, nil); !errors.Is(err, unknown) {
		t.Errorf("unknown: %v", err)
	}
}

// A journal that cannot be read hides no other, and is named.
func TestUnreadableJournals(t *testing.T) {
	w, dir := newWorld(), t.TempDir()
	if err := os.Mkdir(runsDir(dir), 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(id, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(runsDir(dir), id+journalSuffix), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	v1 := `{"record":"run","time":"2026-01-02T03:04:05Z","apiVersion":"hybridge/v1","runId":"20260101T000000.000Z","action":"apply","version":"1.2.3"}` + "\n"
	write("20260101T000000.000Z", v1+`{"record":"finish","outcome":"complete"}`+"\n")
	write("20260101T000000.001Z", "garbage\n")
	var warned []string
	report, err := Run(t.Context(), w.places(), kinds, w.plan(t), Options{StateDir: dir, Accept: removalsToo},
		observe.Func(func(e observe.Event) {
			if w, is := e.(observe.Warning); is {
				warned = append(warned, w.Text)
			}
		}))
	if err != nil || len(warned) != 1 || !strings.Contains(warned[0], "20260101T000000.001Z") {
		t.Errorf("%v, warned %q", err, warned)
	}
	write("29990101T000000.000Z", v1)
	entries, err := History(dir)
	var got []string
	for _, e := range entries {
		got = append(got, e.RunID+" "+e.Outcome+" "+e.Version+" "+fmt.Sprint(e.Error != ""))
	}
	want := []string{
		"29990101T000000.000Z unreadable 1.2.3 true", report.RunID + " complete  false",
		"20260101T000000.001Z unreadable  true", "20260101T000000.000Z unreadable 1.2.3 true",
	}
	if !slices.Equal(got, want) || !errors.Is(err, ErrJournal) || strings.Contains(err.Error(), "hybridge/v1") {
		t.Errorf("history: %v\n%s", err, strings.Join(got, "\n"))
	}
	o := Options{StateDir: dir}
	if _, err := Rollback(t.Context(), w.places(), kinds, "", o, nil); !errors.Is(err, ErrJournal) ||
		!strings.Contains(err.Error(), "name it: "+report.RunID) {
		t.Errorf("a newer one is not known: %v", err)
	}
	if _, err := Rollback(t.Context(), w.places(), kinds, "29990101T000000.000Z", o, nil); !errors.Is(err,
		ErrJournal) || !strings.Contains(err.Error(), "with that version") {
		t.Errorf("of another version, by name: %v", err)
	}
	if _, err := Rollback(t.Context(), w.places(), kinds, report.RunID, o, nil); err != nil {
		t.Errorf("by name: %v", err)
	}
}

// What other accounts can write to is not trusted.
func TestStateOfOthers(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("rights are not in the mode there")
	}
	dir := t.TempDir()
	w, _, path := halfway(t, dir)
	o := Options{StateDir: dir, Wait: soon, Identity: organizations("t1")}
	for _, test := range []struct {
		path  string
		class error
	}{{dir, ErrState}, {runsDir(dir), ErrState}, {path, ErrJournal}} {
		info, err := os.Stat(test.path)
		if err != nil {
			t.Fatal(err)
		}
		for _, mode := range []os.FileMode{0o020, 0o002} {
			if err := os.Chmod(test.path, info.Mode().Perm()|mode); err != nil {
				t.Fatal(err)
			}
			_, undone := Rollback(t.Context(), w.places(), kinds, "", o, nil)
			_, listed := History(dir)
			for _, err := range []error{undone, listed} {
				if !errors.Is(err, test.class) || !strings.Contains(err.Error(), "chmod go-w "+test.path) {
					t.Errorf("%s, mode %o: %v", test.path, mode, err)
				}
			}
		}
		if err := os.Chmod(test.path, info.Mode().Perm()); err != nil {
			t.Fatal(err)
		}
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(path, 65534, -1); err == nil {
			if _, err := Rollback(t.Context(), w.places(), kinds, "", o, nil); !errors.Is(err, ErrJournal) ||
				!strings.Contains(err.Error(), "another account") {
				t.Errorf("of another account: %v", err)
			}
			_ = os.Chown(path, 0, -1)
		}
	}
	if _, err := Rollback(t.Context(), w.places(), kinds, "", o, nil); err != nil {
		t.Error(err)
	}
}

// A link is no journal: it would lead out of the state directory.
func TestJournalThatIsALink(t *testing.T) {
	dir := install(t, "20260101T000000.000Z", nil)
	link := filepath.Join(runsDir(dir), "20260101T000000.001Z"+journalSuffix)
	if err := os.Symlink("/dev/zero", link); err != nil {
		t.Skip(err)
	}
	if _, err := readJournal(link); !errors.Is(err, ErrJournal) ||
		!strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("got %v", err)
	}
}

// mutate changes a document in one to three places.
func mutate(random *rand.Rand, data []byte) []byte {
	data = bytes.Clone(data)
	for range 1 + random.IntN(3) {
		if len(data) == 0 {
			return data
		}
		at := random.IntN(len(data))
		end := min(len(data), at+1+random.IntN(40))
		switch random.IntN(8) {
		case 0, 1:
			data[at] ^= 1 << random.IntN(8)
		case 2:
			data = slices.Delete(data, at, end)
		case 3:
			data = slices.Insert(data, at, data[at:end]...)
		case 4:
			data = slices.Insert(data, at, []byte(`"Key":"others",`)...)
		case 5:
			data[at] = "{}[]\",:0tnf\\$\n"[random.IntN(14)]
		case 6: // two lines swapped, or one doubled
			lines := bytes.SplitAfter(data, []byte("\n"))
			i, j := random.IntN(len(lines)), random.IntN(len(lines))
			lines[i], lines[j] = lines[j], lines[random.IntN(2)*(i-j)+j]
			data = bytes.Join(lines, nil)
		case 7:
			for _, swap := range [][2]string{{`"1"`, `"3"`}, {"online", "onprem/contoso"}, {"true", "false"},
				{"https://", "http://"}, {"Set-", "Remove-"}}[random.IntN(5):][:1] {
				data = bytes.Replace(data, []byte(swap[0]), []byte(swap[1]), 1+random.IntN(3))
			}
		}
	}
	return data
}

// Two thousand mutated journals: none makes a rollback or a resume do anything that the journal as
// it was does not do.
func TestMutatedJournals(t *testing.T) {
	random := rand.New(rand.NewPCG(8, 26))
	_, p, path := halfway(t, t.TempDir())
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	id := strings.TrimSuffix(filepath.Base(path), journalSuffix)
	o := Options{Wait: 1, Accept: removalsToo, Identity: organizations("t1")}
	act := func(data []byte, rollback bool) (string, error) {
		w, _, _ := halfwayInMemory(t)
		o.StateDir = install(t, id, data)
		var err error
		if rollback {
			_, err = Rollback(t.Context(), w.places(), kinds, id, o, nil)
		} else {
			_, err = Run(t.Context(), w.places(), kinds, p, o, nil)
		}
		return strings.Join(slices.Concat(w.online.log, []string{"|"}, w.onprem.log), "\n"), err
	}
	want := map[bool]string{}
	for _, rollback := range []bool{false, true} {
		if want[rollback], err = act(data, rollback); err != nil {
			t.Fatal(err)
		}
	}
	nothing, _ := act(nil, true)
	refused := 0
	for n := range 2000 {
		mutated := mutate(random, data)
		rollback := n%2 == 0
		got, err := act(mutated, rollback)
		if err != nil {
			refused++
		}
		if got != want[rollback] && got != nothing {
			// A journal that lost its last lines whole is one that a kill cut short: less is known,
			// and what is live decides. It may do less than the whole one, and nothing else.
			if !bytes.HasPrefix(data, mutated[:bytes.LastIndexByte(mutated, '\n')+1]) {
				t.Fatalf("mutation %d, rollback %v: %v\n%s\nit did\n%s", n, rollback, err, mutated, got)
			}
			for line := range strings.Lines(got) {
				if !strings.Contains(want[rollback], strings.TrimSpace(line)) {
					t.Fatalf("mutation %d, rollback %v: %v\nit did %s", n, rollback, err, line)
				}
			}
		}
	}
	if refused < 1500 {
		t.Errorf("only %d refused", refused)
	}
}

// halfwayInMemory is the world of halfway, without its journal.
func halfwayInMemory(t testing.TB) (*world, change.Plan, string) {
	w := halfwayWorld(t)
	return w, change.Plan{}, ""
}

var halfwayOnce *world

func halfwayWorld(t testing.TB) *world {
	if halfwayOnce == nil {
		halfwayOnce, _, _ = halfway(t, t.TempDir())
	}
	w := newWorld()
	for _, m := range [][2]*memory{{w.online, halfwayOnce.online}, {w.onprem, halfwayOnce.onprem}} {
		m[0].next = m[1].next
		m[0].live = map[string][]change.Live{}
		for noun, live := range m[1].live {
			m[0].live[noun] = clone(live)
		}
	}
	return w
}

// Two thousand mutated plans: each is refused or does what the plan as it was does. Half of them
// are given a digest that fits, as one who knows the format would, and are applied with --digest.
func TestMutatedPlans(t *testing.T) {
	random := rand.New(rand.NewPCG(8, 27))
	p := newWorld().plan(t)
	data := p.Encode()
	act := func(data []byte, required string) (string, error) {
		w := newWorld()
		p, err := change.Decode(bytes.NewReader(data))
		if err != nil {
			return "", err
		}
		o := Options{StateDir: t.TempDir(), Wait: 1, Accept: removalsToo, Digest: required}
		_, err = Run(t.Context(), w.places(), kinds, p, o, nil)
		return strings.Join(slices.Concat(w.online.log, []string{"|"}, w.onprem.log), "\n"), err
	}
	want, err := act(data, "")
	if err != nil {
		t.Fatal(err)
	}
	for n := range 2000 {
		mutated := mutate(random, data)
		required := ""
		if n%2 == 0 {
			mutated, required = refit(mutated), p.Digest
		}
		got, err := act(mutated, required)
		if err == nil && got != want || err != nil && len(got) > 1 {
			t.Fatalf("mutation %d: %v\n%s\nit did\n%s", n, err, mutated, got)
		}
	}
}

// refit gives a plan document the digest that fits it, when it still is a plan.
func refit(data []byte) []byte {
	var p change.Plan
	if err := json.Unmarshal(data, &p); err != nil {
		return data
	}
	return p.Sealed().Encode()
}
