package prereq

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
)

// Input is what a check looks at.
type Input struct {
	*Facts
	Forest *Forest // nil unless the check's scope is a forest
}

// Check is a declaration.
type Check struct {
	ID       check.ID
	Title    string
	Scope    check.Scope
	Severity check.Severity // check.Fail when empty
	Needs    []check.ID
	Timeout  time.Duration // of one attempt; two minutes when 0
	Why      string        // why it matters: the detail of every finding, and on the reference page
	Fix      string        // what to do about a finding, unless the finding says better
	Run      func(ctx context.Context, in Input) check.Result
}

// Checks lists every check, in the order in which reports show them.
func Checks() []Check {
	return slices.Concat(accessChecks, directoryChecks, addressChecks, domainChecks, autodiscoverChecks, certificateChecks, serverChecks, oauthChecks, tenantChecks)
}

// defaultLimit leaves a session time to be opened and a slow cmdlet time to answer; each call has a shorter limit of its own.
const defaultLimit = 2 * time.Minute

// Declarations are Checks as the engine runs them.
func Declarations() []check.Check[Input] {
	var out []check.Check[Input]
	for _, c := range Checks() {
		out = append(out, check.Check[Input]{
			ID: c.ID, Title: c.Title, Scope: c.Scope, Severity: cmp.Or(c.Severity, check.Fail), Needs: c.Needs, Timeout: cmp.Or(c.Timeout, defaultLimit),
			Run: func(ctx context.Context, in Input) check.Result {
				r := c.Run(ctx, in)
				if r.Status == check.StatusError {
					if forest := transportToBlame(ctx, in, r.Cause); forest != "" {
						return check.NotApplicable("the transport certificate of %s, with which its Exchange server answers, is not in order: see certificates.transport", forest)
					}
				}
				if r.Status == check.StatusFail || r.Status == check.StatusWarn {
					if r.Detail.IsZero() {
						r.Detail = msg.Text{Format: c.Why}
					}
					if r.Remedy.Text.IsZero() {
						r.Remedy.Text = msg.Text{Format: c.Fix}
					}
				}
				return r
			},
		})
	}
	return out
}

// Scopes are the instances that checks run for: every forest, the tenant, the whole organization.
func Scopes(f *Facts) []check.Scoped[Input] {
	var out []check.Scoped[Input]
	for _, forest := range f.Forests {
		out = append(out, check.Scoped[Input]{Scope: check.PerForest, Name: forest.Name(), Input: Input{Facts: f, Forest: forest}})
	}
	return append(out,
		check.Scoped[Input]{Scope: check.PerTenant, Name: "tenant", Input: Input{Facts: f}},
		check.Scoped[Input]{Scope: check.PerOrganization, Name: "organization", Input: Input{Facts: f}},
	)
}

// Markdown renders the reference page of the checks, docs/reference/checks.md, from their declarations.
func Markdown() []byte {
	var b strings.Builder
	b.WriteString("# Prerequisite checks\n\nGenerated from the declarations in pkg/hybrid/prereq; do not edit.\n\n")
	b.WriteString("| check | runs | finding | what |\n| --- | --- | --- | --- |\n")
	for _, c := range Checks() {
		fmt.Fprintf(&b, "| [%s](#%s) | per %s | %s | %s |\n", c.ID, c.ID.Anchor(), c.Scope, cmp.Or(c.Severity, check.Fail), c.Title)
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
		fmt.Fprintf(&b, "- Fix: %s\n", c.Fix)
	}
	return []byte(b.String())
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// someOf lists the first few of many for a sentence: "a, b, c and 12 more".
func someOf(list []string) string {
	const few = 3
	if len(list) <= few {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %s more", strings.Join(list[:few], ", "), count(len(list)-few))
}

// firstOf is the beginning of a list, for evidence.
func firstOf[T any](list []T, n int) []T { return list[:min(n, len(list))] }

// count writes a number with its thousands apart: 10,000.
func count(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + many
}

// days are the whole days from now until t, negative when t is past.
func days(now, t time.Time) int {
	d := t.Sub(now)
	n := int(d / (24 * time.Hour))
	if d < 0 && d%(24*time.Hour) != 0 {
		n--
	}
	return n
}
