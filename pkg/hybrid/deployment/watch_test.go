package deployment

import (
	"runtime"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
)

// An hour of test --watch asks 120 times by the same deployment. Nothing of a round stays: the memory
// after the last is that after the first ones. The lab is in it.
func TestRoundsStaySmall(t *testing.T) {
	if testing.Short() {
		t.Skip("asks 120 times")
	}
	d := open(t)
	quiet := observe.Func(func(observe.Event) {})
	heap := func() int64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	var base int64
	for round := range 120 {
		if _, err := d.Test(t.Context(), TestOptions{}, quiet); err != nil {
			t.Fatal(err)
		}
		if round == 30 {
			base = heap()
		}
	}
	grown := heap() - base
	t.Logf("90 rounds added %d KB", grown>>10)
	if grown > 2<<20 {
		t.Errorf("90 rounds added %d KB", grown>>10)
	}
}
