package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
)

// The exit code of history --drift says whether something changed, and unknown comes before it.
func TestHistoryDrift(t *testing.T) {
	file := filepath.Join(t.TempDir(), "answers.yaml")
	if err := os.WriteFile(file, []byte(answersFile), 0o600); err != nil {
		t.Fatal(err)
	}
	comments := schemaComments(t)
	at := time.Date(2026, 11, 26, 20, 0, 0, 0, time.UTC)
	changed := apply.Drifted{ID: "online/InboundConnector/x", Target: "online", Kind: "InboundConnector",
		Name: "Inbound \x1b[31mfrom x", RunID: "20261126T200000.000Z", At: at,
		Properties: []apply.DriftProperty{{Name: "Enabled", Left: true, Now: false}},
		By:         []apply.Author{{At: at.Add(time.Hour), Who: "anna@contoso.example", Cmdlet: "Set-InboundConnector"}}}
	drift := func(objects ...apply.Drifted) apply.Drift {
		return apply.Drift{APIVersion: "hybridge/v1", Kind: "Drift", Objects: append([]apply.Drifted{}, objects...), Unchanged: 7}
	}
	unread := drift(changed)
	unread.Unknown = []apply.DriftUnknown{{Place: "onprem/contoso", Kind: "SendConnector", Reason: msg.Of("no right")}}
	unread.Unaudited = []apply.DriftUnknown{{Place: "online", Reason: msg.Of("no role")}}
	for name, c := range map[string]struct {
		drift apply.Drift
		code  int
		parts []string
	}{
		"nothing": {drift(), exitFine, []string{"0 changed, 7 as hybridge left them"}},
		"changed": {drift(changed), exitPending, []string{"Enabled", "anna@contoso.example with Set-InboundConnector",
			"2026-11-26T21:00:00Z", "20261126T200000.000Z", "1 changed"}},
		"unknown": {unread, exitInconclusive, []string{"SendConnector at onprem/contoso: no right",
			"who changed what at online is not known: no role"}},
	} {
		s := &scripted{drift: c.drift}
		got := execute(t, s, "", "history", "--drift", "-f", file)
		if got.code != c.code {
			t.Errorf("%s: exit %d, want %d\n%s", name, got.code, c.code, got.errout)
		}
		for _, part := range c.parts {
			if !strings.Contains(got.out, part) {
				t.Errorf("%s: %q is not in\n%s", name, part, got.out)
			}
		}
		if strings.Contains(got.out, "\x1b[31m") {
			t.Errorf("%s: a name colors the terminal", name)
		}
		out := execute(t, s, "", "history", "--drift", "-f", file, "-o", "json")
		if err := validates(t, comments, "drift", []byte(out.out)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := execute(t, &scripted{}, "", "history", "--drift", "result.json", "-f", file); got.code != exitUsage {
		t.Errorf("exit %d", got.code)
	}
}
