package diagnose

import (
	"os"
	"regexp"
	"slices"
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
		// Each row says what of hybridge looks at it, or that nothing does.
		if r.Outside == (r.command() != "") || len(r.Seen) > 0 && r.Outside {
			t.Errorf("%s: outside %v, and the command is %q", r.ID, r.Outside, r.command())
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
			if len(key) < 6 || strings.HasPrefix(key, "* ") || strings.HasSuffix(key, " *") ||
				strings.Contains(key, "`") {
				t.Errorf("%s: text %q", r.ID, text)
			}
		}
	}
}

// TestWordsOfSharedChecks: of the rows that share a check, all but one or two have words, so that a
// finding shows one cause. Words are for checks of their row.
func TestWordsOfSharedChecks(t *testing.T) {
	silent := map[string][]ID{}
	for _, r := range Rows() {
		for id := range r.Says {
			if !slices.Contains(r.finders(), id) {
				t.Errorf("%s has words for %s, which is not among its checks", r.ID, id)
			}
		}
		for _, id := range r.finders() {
			if _, given := r.Says[id]; !given {
				silent[id] = append(silent[id], r.ID)
			}
		}
	}
	for id, rows := range silent {
		if len(rows) > 1 && id != "tenant.connector-certificate" { // the answer of the tenant decides
			t.Errorf("%s shows %v alike: give all but one words (says)", id, rows)
		}
	}
}

// TestNamedIDs: the causes that code names are in the table.
func TestNamedIDs(t *testing.T) {
	data, err := os.ReadFile("ids.go")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`ID = "([^"]+)"`).FindAllStringSubmatch(string(data), -1)
	if len(named) == 0 {
		t.Error("no id is named: is this test looking?")
	}
	for _, m := range named {
		if _, known := Find(ID(m[1])); !known {
			t.Errorf("there is no %s", m[1])
		}
	}
}
