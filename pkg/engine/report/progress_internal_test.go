package report

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
)

// TestProgressBegins: a verb that shows nothing for a while says that it waits; once something is
// shown, or the report comes, it says nothing.
func TestProgressBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for want, next := range map[string]func(*Progress){
			"test: waiting for the first answer\n": func(*Progress) {},
			"plan: a\n":                            func(p *Progress) { p.Observe(observe.Progress{Stage: "plan", Text: "a"}) },
			"":                                     func(p *Progress) { p.Settle() },
		} {
			var b bytes.Buffer
			p := NewProgress(&b, Style{})
			p.Begin("test")
			time.Sleep(silent / 2)
			next(p)
			time.Sleep(2 * silent)
			synctest.Wait()
			if b.String() != want {
				t.Errorf("got %q, want %q", b.String(), want)
			}
			p.Settle()
		}
	})
}

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
		p.Observe(observe.Progress{Stage: "read", Done: 250_000, Text: "contoso", Rate: 24999.7})
		p.Observe(observe.Progress{Stage: "read", Done: 250_000, Total: 1_000_000, Text: "contoso", Rate: 25_000,
			Left: 30})
		time.Sleep(2 * pace)
		if diff := cmp.Diff("check: a\ncheck: c\ncheck: d\napply: f\napply: g\ntest: h\n"+
			"contoso: 250,000 recipients read, 25,000 per second\ncontoso: 250,000 of about 1,000,000 recipients "+
			"read, "+
			"25,000 per second, about 30.0 s left\n", b.String()); diff != "" {
			t.Error(diff)
		}
	})
}
