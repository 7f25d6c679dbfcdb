package fact

import (
	"context"
	"iter"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/estate/directory"
)

// pace is how often a pass over a directory is reported.
const pace = 2 * time.Second

// watched passes the recipients of a directory on and reports how many were read and how fast. The
// number to come is total, or else what the server estimates; 0 where neither is known.
func watched(ctx context.Context, s *Side, d Directory, total int) iter.Seq2[directory.User, error] {
	if s.set.Observer == nil {
		return d.Users(ctx)
	}
	return func(yield func(directory.User, error) bool) {
		began := time.Now()
		next, read := began.Add(pace), 0
		for u, err := range d.Users(ctx) {
			if !yield(u, err) {
				return
			}
			if read++; read%256 != 0 { // a look at the clock for each would slow the pass down
				continue
			}
			if now := time.Now(); now.After(next) {
				next = now.Add(pace)
				s.set.Observer.Observe(passed(s.Name(), read, expected(d, total), now.Sub(began)))
			}
		}
	}
}

// expected is how many recipients a pass meets, as far as that is known.
func expected(d Directory, total int) int {
	if server, ok := d.(interface{ Expected() int }); ok && total == 0 {
		return server.Expected()
	}
	return total
}

func passed(forest string, read, total int, took time.Duration) observe.Progress {
	p := observe.Progress{Stage: "read", Done: read, Total: max(0, total), Text: forest,
		Rate: float64(read) / took.Seconds()}
	if total > read {
		p.Left = float64(total-read) / p.Rate
	}
	if total < read {
		p.Total = 0 // an estimate that was too low says nothing
	}
	return p
}
