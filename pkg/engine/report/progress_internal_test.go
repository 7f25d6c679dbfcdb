package report

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
)

// TestProgressPace: of quick reads the first is shown, of slow ones every one, of writes all, and
// nothing once the stage is settled.
func TestProgressPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		p := NewProgress(&b, Style{})
		for _, text := range []string{"a", "b", "c"} {
			p.Observe(observe.Progress{Stage: "check", Text: text})
		}
		time.Sleep(2 * pace) // c takes long
		p.Observe(observe.Progress{Stage: "check", Text: "d"})
		p.Observe(observe.Progress{Stage: "check", Text: "e"})
		p.Settle()
		time.Sleep(2 * pace)
		p.Observe(observe.Progress{Stage: "apply", Text: "f"})
		p.Observe(observe.Progress{Stage: "apply", Text: "g"})
		p.Observe(observe.Progress{Stage: "test", Text: "h"})
		p.Settle()
		time.Sleep(2 * pace)
		if diff := cmp.Diff("check: a\ncheck: c\ncheck: d\napply: f\napply: g\ntest: h\n", b.String()); diff != "" {
			t.Error(diff)
		}
	})
}
