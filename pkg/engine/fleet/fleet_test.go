package fleet_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/fleet"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

// The parts of a fleet share no deployment and lose none, counted from 0 or from 1, and are of
// about the same size.
func TestShards(t *testing.T) {
	for _, parts := range []int{1, 2, 3, 8, 16, 100} {
		for _, from := range []int{0, 1} {
			sizes := make([]int, parts)
			for n := range 1000 {
				name := fmt.Sprintf("customer-%d", n)
				in := 0
				for i := range parts {
					s, err := fleet.ParseShard(fmt.Sprintf("%d/%d", i+from, parts))
					if err != nil {
						t.Fatal(err)
					}
					if s.Has(name) {
						in++
						sizes[i]++
					}
				}
				if in != 1 {
					t.Fatalf("%s is in %d of %d parts", name, in, parts)
				}
			}
			mean := 1000 / parts
			for i, size := range sizes {
				if parts <= 16 && (size < mean*6/10 || size > mean*14/10+1) {
					t.Errorf("part %d of %d has %d deployments", i+from, parts, size)
				}
			}
		}
	}
	for _, wrong := range []string{"", "1", "/", "1/", "/2", "3/2", "-1/2", "1/0", "0/0", "a/b", "1/2/3", "1.5/2", " 1/2"} {
		if s, err := fleet.ParseShard(wrong); err == nil {
			t.Errorf("%q is %v", wrong, s)
		}
	}
}

func at(minute int) time.Time { return time.Date(2026, 11, 27, 3, minute, 0, 0, time.UTC) }

func one(name, verb string, minute, code int) fleet.Deployment {
	return fleet.Deployment{About: report.About{Deployment: name, Verb: verb, Time: at(minute)}, ExitCode: code,
		Outcomes: []fleet.Outcome{{ID: "a.b", Place: "contoso", Status: report.Pass}}}
}

// The newest report of a deployment counts, in whatever order the reports come, and however they
// are put together.
func TestMerge(t *testing.T) {
	all := []fleet.Deployment{one("a", "check", 1, 3), one("a", "check", 5, 0), one("a", "test", 2, 9),
		one("b", "check", 1, 0), one("b", "check", 2, 3)}
	want := fleet.Merge(fleet.New(all...))
	if s := want.Summary; s != (fleet.Summary{Fine: 1, Failed: 1, Unknown: 1, Superseded: 2}) {
		t.Errorf("%+v", s)
	}
	for range 50 {
		rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		n := rand.IntN(len(all))
		for _, got := range []fleet.Report{
			fleet.Merge(fleet.New(all[:n]...), fleet.New(all[n:]...)),
			fleet.Merge(fleet.Merge(fleet.New(all[:n]...)), fleet.Merge(fleet.New(all[n:]...))),
		} {
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("%+v\nwant %+v", got, want)
			}
		}
	}
	if got := want.Expect([]string{"a", "b", "c"}); !reflect.DeepEqual(got.Missing, []string{"c"}) ||
		got.Summary.Missing != 1 {
		t.Errorf("%+v", got)
	}
}
