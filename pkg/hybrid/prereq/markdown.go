package prereq

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// Markdown renders the reference page of the checks, docs/reference/checks.md, from their
// declarations.
func Markdown() []byte {
	var b strings.Builder
	b.WriteString("# Prerequisite checks\n\nGenerated from the declarations in pkg/hybrid/prereq; do not edit.\n\n")
	b.WriteString("| check | runs | finding | what |\n| --- | --- | --- | --- |\n")
	for _, c := range Checks() {
		fmt.Fprintf(&b, "| [%s](#%s) | per %s | %s | %s |\n", c.ID, c.ID.Anchor(), c.Scope,
			cmp.Or(c.Severity, check.Fail), c.Title)
	}
	category := ""
	for _, c := range Checks() {
		if c.ID.Category() != category {
			category = c.ID.Category()
			fmt.Fprintf(&b, "\n## %s\n", category)
		}
		fmt.Fprintf(&b, "\n<a id=%q></a>\n\n### %s\n\n**%s.** %s\n\n", c.ID.Anchor(), c.ID, c.Title, c.Why)
		fmt.Fprintf(&b, "- Runs once per %s; a finding counts as %s\n", c.Scope, cmp.Or(c.Severity, check.Fail))
		if len(c.Needs) > 0 {
			needs := make([]string, len(c.Needs))
			for i, n := range c.Needs {
				needs[i] = fmt.Sprintf("[%s](#%s)", n, n.Anchor())
			}
			fmt.Fprintf(&b, "- Needs %s\n", strings.Join(needs, ", "))
		}
		reads := map[fact.System][]string{}
		var systems []fact.System
		for _, s := range fact.SourcesOf(c.Reads...) {
			if reads[s.System] == nil {
				systems = append(systems, s.System)
			}
			text := "`" + s.Ask + "`"
			if s.System == fact.Entra && len(s.Right) > 0 {
				text += " (right: " + msg.Alternatives(s.Right).String() + ")"
			}
			reads[s.System] = append(reads[s.System], text)
		}
		for _, system := range systems {
			fmt.Fprintf(&b, "- Reads from %s: %s\n", system, strings.Join(reads[system], ", "))
		}
		if c.Source != "" {
			fmt.Fprintf(&b, "- Source: %s\n", c.Source)
		}
		fmt.Fprintf(&b, "- Fix: %s\n", c.Fix)
		if c.Consider != "" {
			fmt.Fprintf(&b, "- Consider: %s\n", c.Consider)
		}
	}
	b.WriteString("\n## What no check decides\n\n| row of the sources | why |\n| --- | --- |\n")
	for _, u := range undecided {
		fmt.Fprintf(&b, "| %s | %s |\n", u[0], u[1])
	}
	return []byte(b.String())
}

// undecided are rows of the sources that no check decides, with the reason.
var undecided = [][2]string{
	{"Extended Protection per server", "IIS holds it; the directory's copy is not what Microsoft's script writes"},
	{"Back-end handlers of IIS", "the front end asks for a sign-in before a missing handler shows"},
	{"Private key, services and status of a certificate", "remote PowerShell carries the certificate alone"},
	{"Roots DigiCert G1 and G2 in the stores of servers", "no cmdlet shows the store of roots"},
	{"Published calendars after August 2026 (KB5126672)", "every current build has it; no setting tells who uses one"},
	{"WordBreaker deadlock (KB5130098)", "it depends on the languages of messages"},
	{"Remote PowerShell rights of other accounts", "the account of the answers proves its own by signing in"},
}
