package desired

import (
	"fmt"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
)

// Anchor is the kind's anchor on the reference page.
func (k *Kind) Anchor() string { return strings.ToLower(k.Noun) }

func (s Sides) String() string {
	var out []string
	for _, e := range []struct {
		side Sides
		name string
	}{{OnPremises, "Exchange on-premises"}, {Online, "Exchange Online"}, {Entra, "Entra"}} {
		if s&e.side != 0 {
			out = append(out, e.name)
		}
	}
	return strings.Join(out, ", ")
}

var modeTexts = map[change.Mode]string{
	change.Replace: "replaced", change.Merge: "added to; what others put there stays", change.CreateOnly: "given once, not compared", change.Key: "identifies it, never changed",
}

// Markdown renders the reference page of the kinds, docs/reference/kinds.md, from their declarations.
func Markdown() []byte {
	var b strings.Builder
	b.WriteString("# Kinds of resources\n\nGenerated from the declarations in pkg/hybrid/desired; do not edit.\n\n")
	b.WriteString("| kind | where | what |\n| --- | --- | --- |\n")
	for _, k := range Kinds() {
		fmt.Fprintf(&b, "| [%s](#%s) | %s | %s |\n", k.Noun, k.Anchor(), k.Sides, k.Title)
	}
	for _, k := range Kinds() {
		fmt.Fprintf(&b, "\n## %s\n\n**%s.** %s\n\n", k.Noun, k.Title, k.Why)
		fmt.Fprintf(&b, "- Where: %s\n", k.Sides)
		if c := k.Cmdlets(); len(c) > 0 {
			fmt.Fprintf(&b, "- Cmdlets: `%s`\n", strings.Join(c, "`, `"))
		}
		if k.Risk != "" {
			fmt.Fprintf(&b, "- Risk: %s\n", k.Risk)
		}
		if k.Permanent != "" {
			fmt.Fprintf(&b, "- Cannot be undone: %s\n", k.Permanent)
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
