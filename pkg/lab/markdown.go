package lab

import (
	"fmt"
	"strings"
)

// Anchor is the fault's anchor on the reference page: "directory.upn-differs" is at
// "directory-upn-differs".
func (f Fault) Anchor() string { return strings.ReplaceAll(f.ID, ".", "-") }

// Markdown renders the reference page of the faults, docs/reference/faults.md, from their
// declarations.
func Markdown() []byte {
	var b strings.Builder
	b.WriteString("# Faults\n\nGenerated from the declarations in pkg/lab; do not edit.\n\n")
	b.WriteString("What can be planted in [the lab](../lab.md), and what must find it. `--fault` may be given more " +
		"than once.\n\n" +
		"    hybridge lab start --dir lab --fault directory.upn-differs &\n    hybridge check -f lab/answers.yaml\n\n")
	b.WriteString("| fault | what is wrong | found by |\n| --- | --- | --- |\n")
	for _, f := range Faults() {
		found := "`hybridge test`, after an apply: lookups fail"
		if len(f.Turns) > 0 {
			found = links(f.Turns) + " " + map[Verdict]string{Warns: "warns", Skips: "is skipped"}[f.Verdict]
			found = strings.TrimSpace(found) + ", and no other check"
			if len(f.May) > 0 {
				found += " but perhaps " + links(f.May)
			}
		}
		if f.Message {
			found = "`hybridge test --message`"
		}
		if f.Passes {
			found = "nothing: an apply copes with it"
		}
		title := f.Title
		if f.Value != "" {
			title += "; `" + f.ID + "=" + f.Value + "` is the default"
		}
		fmt.Fprintf(&b, "| <a id=%q></a>%s | %s | %s |\n", f.Anchor(), f.ID, title, found)
	}
	return []byte(b.String())
}

func links(checks []CheckID) string {
	var list []string
	for _, c := range checks {
		list = append(list, fmt.Sprintf("[%s](checks.md#%s)", c, strings.ReplaceAll(string(c), ".", "-")))
	}
	return strings.Join(list, ", ")
}
