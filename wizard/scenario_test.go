package wizard

import (
	"os"
	"testing"
)

var _ = pass[*scenarioScreen]("", "")

func TestScenarioScreen(t *testing.T) {
	b := sit(t, 80, 24, "", newFake())
	b.until("Which organization")
	b.goldens("scenario")
	b.walk(step{"<down><enter>", "forest 2"})
}

// A file that is no YAML is left alone.
func TestBrokenFile(t *testing.T) {
	b := sit(t, 80, 24, "organization: [\x1b", newFake())
	b.walk(step{"", "That file is left alone"}, step{"<enter>", "ctrl+s"})
	b.press("X<ctrl+c>")
	b.left()
	if err := b.m.save(); err != nil || b.m.file.name() != "answers.yaml.new.yaml" {
		t.Errorf("saved to %s: %v", b.m.file.name(), err)
	}
	if next := free("answers.yaml"); next != "answers.yaml.new2.yaml" {
		t.Errorf("what was answered would be overwritten: %s", next)
	}
	if data, _ := os.ReadFile("answers.yaml"); string(data) != "organization: [\x1b" {
		t.Errorf("it was overwritten: %q", data)
	}
}
