package diagnose

import (
	"strings"
	"testing"
)

// The table is complete: each row says what an admin must know, once.
func TestRows(t *testing.T) {
	rows := Rows()
	if len(rows) < 200 {
		t.Errorf("%d rows, want 200", len(rows))
	}
	ids, texts := map[ID]bool{}, map[string]ID{}
	for _, r := range rows {
		if topic, name, ok := strings.Cut(string(r.ID), "."); !ok || topic == "" || name == "" || ids[r.ID] {
			t.Errorf("id %q", r.ID)
		}
		ids[r.ID] = true
		for name, text := range map[string]string{"cause": r.Cause, "probe": r.Probe, "owner": r.Owner, "fix": r.Fix,
			"layer": r.Layer} {
			if text == "" || text != strings.TrimSpace(text) {
				t.Errorf("%s: %s %q", r.ID, name, text)
			}
		}
		switch r.Direction {
		case AnyDirection, OnlineToOnprem, OnpremToOnline, ForestToForest:
		default:
			t.Errorf("%s: direction %q", r.ID, r.Direction)
		}
		for _, text := range append(append([]string{}, r.Texts...), r.Vague...) {
			key := plain(text)
			if other, twice := texts[key]; twice {
				t.Errorf("%s and %s have the text %q", r.ID, other, text)
			}
			texts[key] = r.ID
			if len(key) < 6 || strings.HasPrefix(key, "* ") || strings.HasSuffix(key, " *") || strings.Contains(key, "`") {
				t.Errorf("%s: text %q", r.ID, text)
			}
		}
	}
}
