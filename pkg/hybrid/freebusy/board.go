package freebusy

import (
	"maps"
	"slices"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/sorting"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

// Board is the state of lookups that are repeated: the newest answer of each, and since when it has
// its status.
type Board struct {
	rows  []*standing
	at    map[question]*standing
	Round int
}

type question struct{ from, to, probe string }

type standing struct {
	Answer
	since time.Time
	round int // that answered last
}

// Put takes an answer. It reports whether its status differs from that of the last round.
func (b *Board) Put(a Answer, at time.Time) (changed bool) {
	if b.at == nil {
		b.at = map[question]*standing{}
	}
	q := question{a.From, a.To, a.Probe}
	row, known := b.at[q]
	if !known {
		b.at[q] = &standing{a, at, b.Round}
		b.rows = append(b.rows, b.at[q])
		return false
	}
	if changed = row.Status != a.Status; changed {
		row.since = at
	}
	row.Answer, row.round = a, b.Round
	return changed
}

// End drops the lookups that the round which ends did not ask: a mailbox may have moved, or a side
// may be back that could not say where the asker is.
func (b *Board) End() {
	b.rows = slices.DeleteFunc(b.rows, func(row *standing) bool { return row.round < b.Round })
	maps.DeleteFunc(b.at, func(_ question, row *standing) bool { return row.round < b.Round })
}

var columns = []msg.Text{msg.Of("status"), msg.Of("direction"), msg.Of("lookup"), msg.Of("by"), msg.Of("time"),
	msg.Of("since")}

// worst orders the statuses for a table that has not room for all.
var worst = map[Status]int{Failed: 0, Unknown: 1, Pending: 2, OK: 3}

// View shows at most so many lookups, the failed ones first where there are more.
func (b *Board) View(most int, now time.Time) report.View {
	r := Report{}
	rows := slices.Clone(b.rows)
	for _, row := range rows {
		r.Matrix = append(r.Matrix, row.Answer)
	}
	r.Count()
	hidden := 0
	if len(rows) > max(most, 1) {
		sorting.Stable(rows, func(x, y *standing) int { return worst[x.Status] - worst[y.Status] })
		hidden = len(rows) - max(most, 1)
		rows = rows[:max(most, 1)]
	}
	t := report.Table{Columns: columns, Grid: true}
	for _, row := range rows {
		t.Rows = append(t.Rows, []msg.Text{msg.Plain(string(row.Status)), msg.Plain(row.Direction),
			row.Lookup().Question(), msg.Plain(row.Probe), msg.Of("%d ms", row.LatencyMS),
			msg.Plain(clock(row.since, now))})
	}
	v := r.View()
	v.Blocks = []report.Block{t}
	if hidden > 0 {
		v.Blocks = append(v.Blocks, report.Paragraph{Text: msg.Of("%d more are not shown", hidden)})
	}
	return v
}
