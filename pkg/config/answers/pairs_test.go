package answers

import (
	"strings"
	"testing"
)

// The form's pair of users per forest, and the lookups made from it.
func TestPairs(t *testing.T) {
	const forests = "forests: [{name: a, domains: [a.example]}, {name: b, domains: [B.example]}]\n"
	for _, test := range []struct {
		name, pairs string
		forest      int
		answers     string // from=..., to=..., one after the other, each letter typed
		want        string
	}{
		{"the first", "", 0, "from=u@a.example to=c@a.example", "u@a.example>c@a.example c@a.example>u@a.example"},
		{"of the second forest alone", "", 1, "from=u@b.example to=c@a.example",
			"u@b.example>c@a.example c@a.example>u@b.example"},
		{"of the second forest", "[{from: u@a.example, to: c@x.example}]", 1, "from=u@b.example to=c@x.example",
			"u@a.example>c@x.example u@b.example>c@x.example c@x.example>u@b.example"},
		{"both directions are kept in step", "[{from: u@a.example, to: c@x.example}, {from: c@x.example, to: " +
			"u@a.example}]", 0, "to=d@x.example",
			"u@a.example>d@x.example d@x.example>u@a.example"},
		{"one direction stays one", "[{from: u@a.example, to: c@x.example}]", 0, "to=d@x.example",
			"u@a.example>d@x.example"},
		{"order does not matter", "[{from: u@b.example, to: c@x.example}, {from: u@a.example, to: c@x.example}]", 0,
			"to=d@x.example",
			"u@b.example>c@x.example u@a.example>d@x.example"},
		{"removed in both directions", "[{from: u@a.example, to: c@x.example}, {from: c@x.example, to: " +
			"u@a.example}, {from: u@b.example, to: c@x.example}]", 0, "from= to=",
			"u@b.example>c@x.example"},
		{"a template's", "[{from: <one>, to: <two>}, {from: <two>, to: <one>}]", 0, "from=u@a.example to=c@x.example",
			"u@a.example>c@x.example c@x.example>u@a.example"},
		{"half", "", 0, "from=u@a.example", "u@a.example>"},
	} {
		text := forests
		if test.pairs != "" {
			text += "tests: {pairs: " + test.pairs + "}\n"
		}
		d, err := NewDocument("a", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		for answer := range strings.FieldsSeq(test.answers) {
			field, value, _ := strings.Cut(answer, "=")
			q, _ := questionFor("tests.pairs[]." + field)
			key := d.Key(q, test.forest)
			if value == "" {
				d.Answer(q, test.forest, key, nil)
			}
			for i := range value {
				key = d.Answer(q, test.forest, key, []string{value[:i+1]})
			}
			if got := d.Text(d.Key(q, test.forest)); got != value && !strings.HasSuffix(test.answers, "to=") {
				t.Errorf("%s: the form shows %q", test.name, got)
			}
		}
		var got []string
		for i := range d.Len(pairs) {
			from, to := d.lookup(i)
			got = append(got, from+">"+to)
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

func TestRemoveForest(t *testing.T) {
	d, err := NewDocument("a", []byte(good))
	if err != nil {
		t.Fatal(err)
	}
	d.RemoveForest(0)
	if d.Len("forests") != 1 || d.Text("forests[0].name") != "fabrikam" || d.find("tests") != nil {
		t.Errorf("%s", d.Bytes())
	}
}
