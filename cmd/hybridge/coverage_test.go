package main

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/prereq"
)

// later are the pieces of work that a row of the page may wait for.
var later = []string{"Prerequisites in full", "Scripts, rotation, snapshots"}

var (
	toCheck   = regexp.MustCompile(`\[([a-z0-9.-]+)\]\(checks\.md#([a-z0-9-]+)\)`)
	toKind    = regexp.MustCompile(`\[(\w+)\]\(kinds\.md#([a-z]+)\)`)
	toFeature = regexp.MustCompile("`([a-z]+[A-Z]\\w+)`")
	toCome    = regexp.MustCompile(`(?i)to come: ([^(|.]+)`)
	answer    = regexp.MustCompile(`(?i)\b(check|plan|test|answers|states|yours|outdated|to come)\b[\]:( ]`)
)

// TestSourceCoverage: each step of the source documents has an answer, and what an answer names
// exists.
func TestSourceCoverage(t *testing.T) {
	checks, kinds := map[string]string{}, map[string]string{}
	for _, c := range prereq.Checks() {
		checks[string(c.ID)] = c.ID.Anchor()
	}
	for _, k := range desired.Kinds() {
		kinds[k.Noun] = k.Anchor()
	}
	features := append(answers.DefaultFeatures(), answers.CentralizedTransport)
	rows := map[string]int{}
	document := ""
	for line := range strings.Lines(read(t, "docs/reference/source-coverage.md")) {
		if name, ok := strings.CutPrefix(line, "## "); ok {
			document = strings.TrimSpace(name)
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if line[0] != '|' || strings.HasPrefix(line, "| step") || strings.HasPrefix(line, "| ---") {
			continue
		}
		if len(cells) != 3 {
			t.Errorf("%q: %d cells", line, len(cells))
			continue
		}
		rows[document]++
		step := document + ", " + strings.TrimSpace(cells[0])
		if !answer.MatchString(cells[2]) {
			t.Errorf("%s: no answer in %q", step, cells[2])
		}
		for _, m := range toCheck.FindAllStringSubmatch(cells[2], -1) {
			if a, ok := checks[m[1]]; !ok || a != m[2] {
				t.Errorf("%s: there is no check %s at #%s", step, m[1], m[2])
			}
		}
		for _, m := range toKind.FindAllStringSubmatch(cells[2], -1) {
			if a, ok := kinds[m[1]]; m[1] != "topics" && (!ok || a != m[2]) {
				t.Errorf("%s: there is no kind %s at #%s", step, m[1], m[2])
			}
		}
		for _, m := range toCome.FindAllStringSubmatch(cells[2], -1) {
			if !slices.Contains(later, strings.TrimSpace(m[1])) {
				t.Errorf("%s: no piece of work is called %q", step, m[1])
			}
		}
		if strings.Contains(cells[2], "eature") {
			for _, m := range toFeature.FindAllStringSubmatch(cells[2], -1) {
				if !slices.Contains(features, answers.Feature(m[1])) {
					t.Errorf("%s: there is no feature %s", step, m[1])
				}
			}
		}
	}
	for document, least := range map[string]int{
		"Hybrid deployments with several forests": 29, "Transport in a hybrid deployment": 28,
		"OAuth with Exchange Online operated by 21Vianet": 15, "WorkMail and Exchange": 20,
	} {
		if rows[document] < least {
			t.Errorf("%s: %d rows, of %d steps", document, rows[document], least)
		}
	}
}

// TestMicrosoftCheckers: each row of the table says what hybridge has for it, and that exists; what
// validate runs is all checks, so that a check in the table is one of validate.
func TestMicrosoftCheckers(t *testing.T) {
	checks := map[string]string{}
	for _, c := range prereq.Checks() {
		checks[string(c.ID)] = c.ID.Anchor()
	}
	probes := read(t, "docs/tasks.md")
	has := regexp.MustCompile(`\b(checks?|probes?|left)\b[: ]|\[causes\]`)
	toProbe := regexp.MustCompile("probes? `([a-z-]+)`")
	rows, left := 0, 0
	for line := range strings.Lines(read(t, "docs/reference/microsoft-checkers.md")) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if line[0] != '|' || strings.HasPrefix(line, "| what it") || strings.HasPrefix(line, "| ---") {
			continue
		}
		if len(cells) != 2 || !has.MatchString(cells[1]) {
			t.Errorf("no answer in %q", line)
			continue
		}
		rows++
		if strings.HasPrefix(strings.TrimSpace(cells[1]), "left:") {
			left++
		}
		for _, m := range toCheck.FindAllStringSubmatch(cells[1], -1) {
			if a, ok := checks[m[1]]; !ok || a != m[2] {
				t.Errorf("%s: there is no check %s at #%s", cells[0], m[1], m[2])
			}
		}
		for _, m := range toProbe.FindAllStringSubmatch(cells[1], -1) {
			if !strings.Contains(probes, "| `"+m[1]+"` |") {
				t.Errorf("%s: docs/tasks.md shows no probe %s", cells[0], m[1])
			}
		}
	}
	if rows < 30 || left > 6 {
		t.Errorf("%d rows, %d left", rows, left)
	}
}
