package fact

import (
	"context"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/estate/directory"
)

// slowly is a directory that gives 1,000 recipients per second.
type slowly struct {
	Directory
	users, expected int
}

func (slowly) RootDSE() directory.RootDSE { return directory.RootDSE{} }
func (d slowly) Expected() int            { return d.expected }
func (d slowly) Users(context.Context) iter.Seq2[directory.User, error] {
	return func(yield func(directory.User, error) bool) {
		for range d.users {
			time.Sleep(time.Millisecond)
			if !yield(directory.User{}, nil) {
				return
			}
		}
	}
}

// A long pass says how many it has read, how fast, and how long the rest takes where the server
// estimates the number.
func TestAPassIsReported(t *testing.T) {
	for name, test := range map[string]struct {
		directory slowly
		total     int
		want      []observe.Progress
	}{
		"a short pass": {slowly{users: 1500}, 0, nil},
		"without an estimate": {slowly{users: 5000}, 0, []observe.Progress{
			{Stage: "read", Done: 2048, Text: "contoso", Rate: 1000},
			{Stage: "read", Done: 4096, Text: "contoso", Rate: 1000}}},
		"with the server's estimate": {slowly{users: 3000, expected: 4048}, 0, []observe.Progress{
			{Stage: "read", Done: 2048, Total: 4048, Text: "contoso", Rate: 1000, Left: 2}}},
		"the second pass": {slowly{users: 3000, expected: 100_000}, 3048, []observe.Progress{
			{Stage: "read", Done: 2048, Total: 3048, Text: "contoso", Rate: 1000, Left: 1}}},
		"more than estimated": {slowly{users: 3000, expected: 2000}, 0, []observe.Progress{
			{Stage: "read", Done: 2048, Text: "contoso", Rate: 1000}}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				set := New(answers.Answers{Forests: []answers.Forest{{Name: "contoso"}}}, cloud.Cloud{})
				var got []observe.Progress
				set.Observer = observe.Func(func(e observe.Event) { got = append(got, e.(observe.Progress)) })
				n := 0
				for range watched(t.Context(), set.Forests[0], test.directory, test.total) {
					n++
				}
				if diff := cmp.Diff(test.want, got); diff != "" || n != test.directory.users {
					t.Errorf("%d users (-want +got):\n%s", n, diff)
				}
			})
		})
	}
}
