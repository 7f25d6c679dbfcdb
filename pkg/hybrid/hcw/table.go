package hcw

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// The wizard compares each object with what it wants, and prints a table with the columns Actual
// and Equals. A row with Equals False is a property that it sets; Actual is its value before.
// Microsoft publishes the columns and not their layout: columns are found by bars, by the place of
// their heads, or by runs of blanks.

// table is what one of these tables says.
type table struct {
	title string // the words before it
	noun  string // of the object; empty where the title names none
	rows  []row
}

type row struct {
	property, was, wants string
	equals               bool
}

// column is one column of a table by position.
type column struct {
	name     string
	from, to int
}

// tables reads the tables in a line of the log and its continuation.
func tables(text string) (out []table, unread int) {
	var open *table
	var heads []column
	bars, continued := false, false
	title := ""
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimRight(line, " \t\r")
		if columns, isBars := headOf(line); columns != nil {
			out = append(out, table{title: strings.TrimSpace(title), noun: nounIn(title)})
			open, heads, bars, continued = &out[len(out)-1], columns, isBars, i > 0
			continue
		}
		switch {
		case open == nil:
			if t := strings.TrimSpace(line); t != "" {
				title = t
			}
		case strings.TrimSpace(line) == "":
			if len(open.rows) > 0 {
				open, title = nil, ""
			}
		case strings.Trim(line, " \t-=+|_") == "": // a rule
			if ruled := ruleOf(line); !bars && len(ruled) == len(heads) {
				for c := range heads {
					heads[c].from, heads[c].to = ruled[c].from, ruled[c].to
				}
			}
		default:
			r, ok := rowOf(line, heads, bars, continued)
			if ok {
				open.rows = append(open.rows, r)
			} else {
				unread++
				if len(open.rows) > 0 {
					open, title = nil, strings.TrimSpace(line)
				}
			}
		}
	}
	return out, unread
}

// headOf finds the columns of a head: it names Actual and Equals.
func headOf(line string) (columns []column, bars bool) {
	if !strings.Contains(line, "Actual") || !strings.Contains(line, "Equals") {
		return nil, false
	}
	bars = strings.Count(line, "|") >= 2
	if bars {
		for _, name := range barred(line) {
			columns = append(columns, column{name: name})
		}
	} else {
		columns = spaced(line)
	}
	if len(columns) < 3 || at(columns, "Actual") < 0 || at(columns, "Equals") < 0 || at(columns, "Actual") == 0 {
		return nil, false
	}
	return columns, bars
}

func at(columns []column, name string) int {
	return slices.IndexFunc(columns, func(c column) bool { return strings.EqualFold(c.name, name) })
}

// barred splits a row at its bars.
func barred(line string) []string {
	line = strings.TrimSpace(line)
	line = strings.TrimSuffix(strings.TrimPrefix(line, "|"), "|")
	cells := strings.Split(line, "|")
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	return cells
}

// spaced splits a line at runs of two blanks or a tab.
func spaced(line string) (out []column) {
	from := -1
	for i := 0; i <= len(line); i++ {
		blank := i == len(line) || line[i] == '\t' ||
			line[i] == ' ' && (i+1 == len(line) || line[i+1] == ' ' || line[i+1] == '\t' || i > 0 && line[i-1] == ' ')
		switch {
		case from < 0 && !blank && line[i] != ' ':
			from = i
		case from >= 0 && blank:
			out = append(out, column{strings.TrimSpace(line[from:i]), from, i})
			from = -1
		}
	}
	return out
}

// ruleOf finds the extents of the columns in a line of dashes.
func ruleOf(line string) (out []column) {
	from := -1
	for i := 0; i <= len(line); i++ {
		dash := i < len(line) && (line[i] == '-' || line[i] == '=' || line[i] == '_')
		if dash && from < 0 {
			from = i
		}
		if !dash && from >= 0 {
			out = append(out, column{from: from, to: i})
			from = -1
		}
	}
	return out
}

// rowOf reads a row; false when its cells do not fit the head.
func rowOf(line string, heads []column, bars, continued bool) (row, bool) {
	var cells []string
	if bars {
		cells = barred(line)
	} else {
		if continued {
			cells = byPlace(line, heads)
		}
		if cells == nil {
			for _, c := range spaced(line) {
				cells = append(cells, c.name)
			}
		}
	}
	if len(cells) != len(heads) || cells[0] == "" {
		return row{}, false
	}
	r := row{property: cells[0], was: cells[at(heads, "Actual")]}
	switch strings.ToLower(cells[at(heads, "Equals")]) {
	case "true":
		r.equals = true
	case "false":
	default:
		return row{}, false
	}
	for _, name := range []string{"Expected", "Desired", "Wanted", "Value", "Target", "New"} {
		if i := at(heads, name); i > 0 {
			r.wants = cells[i]
			return r, true
		}
	}
	for i := 1; i < len(heads); i++ { // the one that is left
		if len(heads) == 4 && i != at(heads, "Actual") && i != at(heads, "Equals") {
			r.wants = cells[i]
		}
	}
	return r, true
}

// byPlace cuts a row where the heads begin; nil when a cell reaches across.
func byPlace(line string, heads []column) []string {
	cells := make([]string, len(heads))
	for i, h := range heads {
		from, to := h.from, len(line)
		if i+1 < len(heads) {
			to = min(heads[i+1].from, len(line))
		}
		if from >= len(line) {
			continue
		}
		if i > 0 && line[from-1] != ' ' && line[from-1] != '\t' || !utf8.RuneStart(line[from]) {
			return nil
		}
		if i == 0 {
			from = 0
		}
		cells[i] = strings.TrimSpace(line[from:max(from, to)])
	}
	return cells
}

// nouns are the objects that the wizard compares.
var nouns = []string{
	"SendConnector", "ReceiveConnector", "InboundConnector", "OutboundConnector", "OrganizationRelationship",
	"IntraOrganizationConnector", "AvailabilityAddressSpace", "OnPremisesOrganization", "HybridConfiguration",
	"RemoteDomain", "AcceptedDomain", "EmailAddressPolicy", "WebServicesVirtualDirectory", "MigrationEndpoint",
	"AuthServer", "PartnerApplication", "FederatedOrganizationIdentifier", "FederationTrust",
}

// nounIn finds the object that a title names: "Send Connector" is a SendConnector.
func nounIn(title string) string {
	squeezed := strings.ToLower(strings.Join(strings.FieldsFunc(title, func(r rune) bool {
		return !letters(string(r))
	}), ""))
	for _, n := range nouns {
		if strings.Contains(squeezed, strings.ToLower(n)) {
			return n
		}
	}
	return ""
}
