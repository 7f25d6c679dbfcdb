package freebusy

import (
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

// The board keeps one row per lookup, says since when it has its status, and shows the failed ones
// where there is no room for all.
func TestBoard(t *testing.T) {
	var b Board
	nine := time.Date(2026, 11, 27, 9, 0, 0, 0, time.Local)
	row := func(to string, s Status) Answer {
		return Answer{From: "anna@contoso.com", To: to, Direction: "contoso -> online", Probe: "ews", Status: s}
	}
	for _, to := range []string{"a@x", "b@x", "c@x"} {
		if b.Put(row(to, OK), nine) {
			t.Error("a first answer counts as a change")
		}
	}
	if b.Put(row("a@x", OK), nine.Add(time.Minute)) || !b.Put(row("c@x", Failed), nine.Add(5*time.Minute)) {
		t.Error("changes are not seen")
	}
	text := func(most int) string {
		return strings.Join(report.Style{Width: 120}.View(b.View(most, nine.Add(time.Hour))), "\n")
	}
	all := text(10)
	if strings.Count(all, "anna@contoso.com sees") != 3 || !strings.Contains(all, "09:05") ||
		strings.Contains(all, "not shown") {
		t.Error(all)
	}
	few := text(1)
	if !strings.Contains(few, "c@x") || strings.Contains(few, "a@x") || !strings.Contains(few, "2 more are not shown") ||
		!strings.Contains(few, "2 of 3 lookups work") {
		t.Error(few)
	}
}

// A side that was out of reach in one round leaves no row behind once it answers again.
func TestBoardForgets(t *testing.T) {
	now := time.Now()
	pair := Answer{From: "anna@contoso.com", To: "a@x", Direction: "contoso -> online", Probe: "ews", Status: OK}
	astray := pair
	astray.Direction, astray.Probe, astray.Status = "contoso -> ?", "lookup", Unknown
	b := Board{Round: 1}
	for round, answers := range [][]Answer{{pair}, {astray}, {pair}} {
		b.Round = round + 1
		for _, a := range answers {
			b.Put(a, now)
		}
		b.End()
		text := strings.Join(report.Style{Width: 120}.View(b.View(10, now)), "\n")
		if strings.Count(text, "anna@contoso.com sees") != 1 || !strings.Contains(text, string(answers[0].Status)) {
			t.Errorf("round %d: %s", b.Round, text)
		}
	}
}
