package diagnose

import (
	"fmt"
	"strings"
)

// Markdown renders docs/reference/diagnoses.md.
func Markdown() []byte {
	var b strings.Builder
	rows := Rows()
	fmt.Fprintf(&b, "# Diagnoses\n\nGenerated from templates/diagnoses; do not edit.\n\n"+
		"These are the %d causes that hybridge knows. `hybridge explain` finds them in errors, non-delivery reports,\n"+
		"logs and headers, and `hybridge test` names them beside a failed lookup. A text is a hint, and the\n"+
		"probe decides: the checks of a cause run, and rank it first or rule it out.\n"+
		"In a text, `*` stands for some words. A text under \"only with Exchange\" counts alone, or beside a word\n"+
		"of the field.\n\n"+
		"| cause | layer | direction | owner |\n| --- | --- | --- | --- |\n", len(rows))
	for _, r := range rows {
		fmt.Fprintf(&b, "| [%s](#%s) | %s | %s | %s |\n", r.ID, r.ID.Anchor(), r.Layer, r.Direction, r.Owner)
	}
	for _, r := range rows {
		fmt.Fprintf(&b, "\n<a id=%q></a>\n## %s\n\n%s\n", r.ID.Anchor(), r.ID, escape(r.Cause))
		if r.ByDesign {
			b.WriteString("\nThis works as designed.\n")
		}
		item := func(name, text string) {
			if text != "" {
				fmt.Fprintf(&b, "- %s: %s\n", name, text)
			}
		}
		b.WriteString("\n")
		item("where", r.Layer+", "+r.Direction)
		item("owner", r.Owner)
		item("probe", escape(r.Probe))
		item("fix", escape(r.Fix))
		if r.Passes {
			item("passes", "by itself: servers retry")
		}
		item("codes", linked(r.Codes, func(c string) string { return "codes.md#" + strings.ToLower(c) }))
		item("texts", quoted(r.Texts))
		item("only with Exchange", quoted(r.Vague))
		item("seen by hybridge as", quoted(r.Seen))
		check := func(c string) string { return "checks.md#" + ID(c).Anchor() }
		item("checks", linked(r.Checks, check))
		item("checks that show it and do not exclude it", linked(r.Shows, check))
		for _, id := range r.finders() {
			if words := r.Says[id]; len(words) > 0 {
				item("words of "+id, quoted(words))
			}
		}
		if r.Run != "" {
			item("run", "`"+r.Run+"`")
		}
		if r.Outside {
			item("run", "no command of hybridge looks at this; a person does, by the probe")
		}
		item("plan", linked(r.Plan, func(k string) string { return "kinds.md#" + strings.ToLower(k) }))
	}
	return []byte(b.String())
}

func linked(names []string, target func(string) string) string {
	var out []string
	for _, n := range names {
		out = append(out, "["+n+"]("+target(n)+")")
	}
	return strings.Join(out, ", ")
}

func quoted(texts []string) string {
	var out []string
	for _, t := range texts {
		out = append(out, "`"+t+"`")
	}
	return strings.Join(out, ", ")
}

// escape keeps what looks like HTML a text.
func escape(s string) string { return strings.ReplaceAll(s, "<", `\<`) }
