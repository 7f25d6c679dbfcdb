package check

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// No cell begins a formula, and each finding is one line.
func TestWriteCSV(t *testing.T) {
	var findings []Finding
	for _, value := range []string{"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\r=1", "\uff1d1", "a\nb",
		`"quoted", b`} {
		findings = append(findings, Finding{Forest: "contoso", DN: "CN=x", Attribute: "mail", Value: value,
			Rule: "a.b"})
	}
	findings = append(findings, Finding{Forest: "contoso", DN: "CN=y", Attribute: "homeMDB", Rule: "a.c", Remove: true})
	var b bytes.Buffer
	if err := WriteCSV(&b, findings); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), "\n"); n != len(findings)+1 {
		t.Errorf("%d lines", n)
	}
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows[1:9] {
		if !strings.HasPrefix(row[3], "'") {
			t.Errorf("%q begins a formula", row[3])
		}
	}
	if rows[9][3] != "a b" || rows[10][3] != `"quoted", b` || rows[11][5] != "(remove)" {
		t.Errorf("%q", rows[9:])
	}
}

// Where a comma is the decimal mark, spreadsheets break lines at semicolons, and some at both marks.
func TestNoFormulaBehindASemicolon(t *testing.T) {
	for value, want := range map[string]string{"a;=cmd|' /C calc'!A0;b": "a;'=cmd|' /C calc'!A0;b", "a; \u00a0@x": "a;' \u00a0@x",
		"x;y;-1": "x;y;'-1", ";;+1": ";;'+1", "smtp:a@b;c=d": "smtp:a@b;c=d", "=a;=b": "'=a;'=b"} {
		var b bytes.Buffer
		if err := WriteCSV(&b, []Finding{{Forest: "contoso", DN: "CN=x", Attribute: "mail", Value: value}}); err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(&b).ReadAll()
		if err != nil || len(rows) != 2 || rows[1][3] != want {
			t.Errorf("%q became %q, want %q (%v)", value, rows[1][3], want, err)
		}
	}
}

func TestWriteJSONLines(t *testing.T) {
	want := Finding{Forest: "contoso", DN: "CN=x", Attribute: "mail", Value: "=1\n", Rule: "a.b", Suggestion: "c"}
	var b bytes.Buffer
	if err := WriteJSONLines(&b, []Finding{want, want}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	var got Finding
	if err := json.Unmarshal([]byte(lines[0]), &got); err != nil || got != want || len(lines) != 2 {
		t.Errorf("%+v, %v, %d lines", got, err, len(lines))
	}
}

// A value acts on no terminal where the files are looked at. In JSON it stays what it is.
func TestFindingsAreInert(t *testing.T) {
	const hostile = "a\u009b2J\u202eb\u3164"
	all := []Finding{{Forest: "contoso", DN: "CN=x", Attribute: "mail", Value: hostile}}
	var table, lines bytes.Buffer
	if err := errors.Join(WriteCSV(&table, all), WriteJSONLines(&lines, all)); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(table.String(), "\u009b") {
		t.Errorf("%q", &table)
	}
	var back Finding
	if err := json.Unmarshal(lines.Bytes(), &back); err != nil || back.Value != hostile ||
		strings.ContainsAny(lines.String(), "\u009b\u202e\u3164") {
		t.Errorf("%q, %v", &lines, err)
	}
}

// Only what failed or warns has findings.
func TestFindingsOfReport(t *testing.T) {
	one := []Finding{{DN: "CN=x"}}
	r := Report{Results: []Result{{Status: StatusFail, Findings: one}, {Status: StatusWarn, Findings: one},
		{Status: StatusPass, Findings: one}}}
	if got := r.Findings(); len(got) != 2 {
		t.Errorf("%+v", got)
	}
}
