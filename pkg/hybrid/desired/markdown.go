package desired

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
)

// where returns the titles of the places that hold resources of a kind.
func where(k *Kind) string {
	var out []string
	for _, sort := range k.System().Places {
		if slices.Contains(k.Places, sort.Name) {
			out = append(out, sort.Title)
		}
	}
	return strings.Join(out, ", ")
}

var modeTexts = map[change.Mode]string{
	change.Replace: "replaced", change.Merge: "added to; what others put there stays",
	change.CreateOnly: "given once, not compared", change.Key: "identifies it, never changed",
}

// Markdown renders the reference page of the kinds, docs/reference/kinds.md, from their
// declarations.
func Markdown() []byte {
	var b strings.Builder
	b.WriteString("# Kinds of resources\n\nGenerated from the declarations in pkg/hybrid/desired; do not edit.\n\n")
	b.WriteString("A topic is a subject of hybrid: what should exist of some kinds, and for which features of the " +
		"answers file. A feature that is not wanted adds nothing; an answers file that names none wants all but " +
		"centralizedTransport.\n\nA plan leaves a topic out when a fact that it rests on is unknown, in the forest " +
		"where it is, and says so (exit code 9). What needs a topic that is left out is left out, too. Nothing is " +
		"removed for it.\n\n| topic | what | kinds | features |\n| --- | --- | --- | --- |\n")
	for _, t := range Topics() {
		var kinds, features []string
		for _, k := range t.Kinds {
			kinds = append(kinds, fmt.Sprintf("[%s](#%s)", k.Noun, k.Anchor()))
		}
		for _, f := range t.Features {
			features = append(features, string(f))
		}
		what := t.Title
		if t.PerForest {
			what += "; per forest"
		}
		if t.Verb != "" {
			what += "; planned by `" + t.Verb + "` alone"
		}
		fmt.Fprintf(&b, "| <a id=%q></a>%s | %s | %s | %s |\n",
			t.ID, t.ID, what, strings.Join(kinds, ", "), strings.Join(features, ", "))
	}
	b.WriteString("\n| kind | where | what |\n| --- | --- | --- |\n")
	for _, k := range Kinds() {
		fmt.Fprintf(&b, "| [%s](#%s) | %s | %s |\n", k.Noun, k.Anchor(), where(k), k.Title)
	}
	for _, k := range Kinds() {
		fmt.Fprintf(&b, "\n## %s\n\n**%s.** %s\n\n", k.Noun, k.Title, k.Why)
		fmt.Fprintf(&b, "- Where: %s\n", where(k))
		if c := slices.Concat(k.Reads, k.Writes); len(c) > 0 {
			fmt.Fprintf(&b, "- Cmdlets: `%s`\n", strings.Join(c, "`, `"))
		}
		if k.Risk != "" {
			fmt.Fprintf(&b, "- Risk: %s\n", k.Risk)
		}
		if k.Permanent != "" {
			fmt.Fprintf(&b, "- Cannot be undone: %s\n", k.Permanent)
		}
		for _, action := range sortedKeys(byText(k.Consents)) {
			c := k.Consents[change.Action(action)]
			fmt.Fprintf(&b, "- To %s one: `--accept %s` (%s)\n", action, c.ID, c.Title)
		}
		if c := k.Undo; c != nil {
			fmt.Fprintf(&b, "- To roll one back: `--accept %s` (%s)\n", c.ID, c.Title)
		}
		b.WriteString("\n| property | type | how it is written |\n| --- | --- | --- |\n")
		for _, name := range sortedKeys(k.Properties) {
			p := k.Properties[name]
			how := modeTexts[p.Write]
			if p.Derived {
				how = "made by the server; serves to recognize it"
			}
			fmt.Fprintf(&b, "| %s | %s | %s |\n", name, p.Type.Name, how)
		}
	}
	return []byte(b.String())
}

func byText(m map[change.Action]change.Consent) map[string]change.Consent {
	out := map[string]change.Consent{}
	for action, c := range m {
		out[string(action)] = c
	}
	return out
}
