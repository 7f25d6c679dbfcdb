package wizard

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// From a key to the window it takes less than 50 ms, with two forests in the form, 300 changes in
// the plan and 130 results of checks. The best of 20 counts: the machine may have other work.
func TestSpeed(t *testing.T) {
	engine := newFake()
	for i := range 298 {
		c := engine.plan.Changes[i%2]
		c.ID = fmt.Sprint(c.ID, i)
		engine.plan.Changes = append(engine.plan.Changes, c)
	}
	results := engine.checks
	engine.checks = nil
	for i := range 130 {
		r := results[i%len(results)]
		r.Scope = fmt.Sprint(i)
		engine.checks = append(engine.checks, r)
	}
	for name, opened := range map[string]func() *bench{
		"form":  func() *bench { b, _ := open[*formScreen](t, given{}); return b },
		"plan":  func() *bench { b, _ := open[*planScreen](t, given{result: engine.plan}); return b },
		"check": func() *bench { b, _ := open[*checkScreen](t, given{result: engine.checked()}); return b },
	} {
		b := opened()
		b.m.View()
		best := time.Hour
		for _, k := range keysOf(t, "/"+strings.Repeat("e<backspace>", 10)) {
			before := time.Now()
			b.send(k)
			b.m.View()
			best = min(best, time.Since(before))
		}
		if best > 50*time.Millisecond {
			t.Errorf("%s: %s from a key to the window", name, best)
		}
	}
}
