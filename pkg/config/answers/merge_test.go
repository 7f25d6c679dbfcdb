package answers

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMerge(t *testing.T) {
	const base = "organization: Contoso\nforests:\n  - name: a # kept\n    domains: [a.example]\n  - name: b\n"
	for _, test := range []struct {
		name, ours, theirs string
		side               Side
		want               string
		conflicts          []string
	}{
		{"only we changed", "organization: Fabrikam\n" + base[22:], base, Undecided,
			"organization: Fabrikam\n" + base[22:], nil},
		{"only they changed", base, "# theirs\norganization: Fabrikam\n" + base[22:], Undecided,
			"# theirs\norganization: Fabrikam\n" + base[22:], nil},
		{"both, elsewhere", strings.Replace(base, "a.example", "c.example", 1),
			"organization: Fabrikam\n" + base[22:] + "# theirs\n", Undecided,
			"organization: Fabrikam\n" + strings.Replace(base[22:], "a.example", "c.example", 1) + "# theirs\n", nil},
		{"both alike", "organization: X\n" + base[22:], "organization: X\n" + base[22:], Undecided,
			"organization: X\n" + base[22:], nil},
		{"both, the same", "organization: X\n" + base[22:], "organization: Y\n" + base[22:], Undecided, "",
			[]string{"organization"}},
		{"ours counts", "organization: X\n" + base[22:], "organization: Y\n" + base[22:], Ours,
			"organization: X\n" + base[22:], nil},
		{"theirs counts", "organization: X\n" + base[22:], "organization: Y\n" + base[22:], Theirs,
			"organization: Y\n" + base[22:], nil},
		{"we removed what they changed", base[22:], "organization: Y\n" + base[22:], Undecided, "",
			[]string{"organization"}},
		{"they removed what we left", base, base[22:], Undecided, base[22:], nil},
		{"we removed what they left", base[22:], base, Undecided, base[22:], nil},
		{"in one list", strings.Replace(base, "name: b", "name: c", 1),
			strings.Replace(base, "a.example", "b.example", 1), Undecided,
			strings.NewReplacer("name: b", "name: c", "a.example", "b.example").Replace(base), nil},
		{"a forest more", base + "  - name: c\n", "organization: Y\n" + base[22:], Undecided,
			"organization: Y\n" + base[22:] + "  - name: c\n", nil},
		{"a forest more on both sides", base + "  - name: c\n", base + "  - name: d\n", Undecided, "",
			[]string{"forests"}},
	} {
		var documents []*Document
		for _, text := range []string{base, test.ours, test.theirs} {
			d, err := NewDocument("a", []byte(text))
			if err != nil {
				t.Fatal(err)
			}
			documents = append(documents, d)
		}
		merged, conflicts := Merge(documents[0], documents[1], documents[2], test.side)
		if diff := cmp.Diff(test.conflicts, conflicts); diff != "" {
			t.Errorf("%s: conflicts (-want +got):\n%s", test.name, diff)
		}
		if test.want == "" {
			continue
		}
		if got := strings.TrimPrefix(strings.TrimPrefix(string(merged.Bytes()), Header+"\n"), "\n"); got != test.want {
			t.Errorf("%s:\n%s\nwant\n%s", test.name, got, test.want)
		}
		if string(documents[2].Bytes()) != test.theirs || string(documents[1].Bytes()) != test.ours {
			t.Errorf("%s: the inputs changed", test.name)
		}
	}
	// Without a common past, what both have must agree.
	ours, _ := NewDocument("a", []byte("organization: X\nkind: Answers\n"))
	theirs, _ := NewDocument("a", []byte("organization: Y\nkind: Answers\n"))
	if _, conflicts := Merge(nil, ours, theirs, Undecided); len(conflicts) != 1 || conflicts[0] != "organization" {
		t.Errorf("conflicts: %v", conflicts)
	}
}
