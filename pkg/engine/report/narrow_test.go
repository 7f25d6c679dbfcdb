package report_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mattn/go-runewidth"

	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
)

// On a terminal that is narrower than a table, each row becomes lines of its own. A grid, and a
// table that goes to a file, stay tables.
func TestTableOnANarrowTerminal(t *testing.T) {
	table := report.Table{
		Columns: []msg.Text{msg.Of("run"), msg.Of("action"), msg.Of("rolled back by")},
		Rows: [][]msg.Text{
			{msg.Plain("20261127T082007.177Z"), msg.Of("apply"), msg.Plain("-")},
			{msg.Plain("20261127T080611.810Z"), msg.Of("apply"), msg.Plain("20261127T082028.496Z")},
		},
	}
	want := []string{
		"20261127T082007.177Z", "  action          apply", "",
		"20261127T080611.810Z", "  action          apply", "  rolled back by  20261127T082028.496Z",
	}
	if diff := cmp.Diff(want, report.Style{Width: 40}.Blocks(table)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, wide := range []int{0, 80} {
		if lines := (report.Style{Width: wide}).Blocks(table); len(lines) != 3 {
			t.Errorf("in %d columns: %q", wide, lines)
		}
	}
	table.Grid = true
	if lines := (report.Style{Width: 40}).Blocks(table); len(lines) != 3 {
		t.Errorf("a grid: %q", lines)
	}
}

// A change's id stays whole, and its line within the terminal as far as the id lets it.
func TestOutcomeOnANarrowTerminal(t *testing.T) {
	id := "onprem/fabrikam/IntraOrganizationConnector/contoso.mail.onmicrosoft.com"
	f := report.Finding{Status: report.Done, Action: msg.Of("create"), ID: id, Took: 8 * time.Millisecond}
	for width, want := range map[int][]string{
		80: {"  DONE  create 8 ms", "        " + id},
		95: {"  DONE  create " + id + "  8 ms"},
		0:  {"  DONE  create " + id + "  8 ms"},
	} {
		got := report.Style{Width: width}.Blocks(f)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("in %d columns (-want +got):\n%s", width, diff)
		}
		for _, line := range got {
			if runewidth.StringWidth(strings.TrimSpace(line)) > 80 && width == 80 {
				t.Errorf("wider than the terminal: %q", line)
			}
		}
	}
}

// The name of an object stands below its id where the terminal has no room for both.
func TestChangeOnANarrowTerminal(t *testing.T) {
	id, name := "online/InboundConnector/1f3a7c52-9b1e-4c37-8a54-2d6e0f9b1c01", "Inbound from 1f3a7c52"
	diff := report.Diff{Changes: []report.Change{{Action: report.Create, ID: id, Name: name}}}
	for width, want := range map[int][]string{
		80:  {"  + " + id, `      "` + name + `"`},
		120: {"  + " + id + `  "` + name + `"`},
		0:   {"  + " + id + `  "` + name + `"`},
	} {
		if diff := cmp.Diff(want, report.Style{Width: width}.Blocks(diff)); diff != "" {
			t.Errorf("in %d columns (-want +got):\n%s", width, diff)
		}
	}
}
