package wizard

import (
	"strings"
	"testing"
)

var _ = pass[*testScreen]("2 ok, 1 failed, 1 unknown", "")

func TestTestScreen(t *testing.T) {
	b, _ := open[*testScreen](t, given{result: newFake().tested()})
	b.until("2 ok, 1 failed, 1 unknown")
	b.goldens("test")
	b.press("p")
	if shown := b.m.View(); strings.Contains(shown, "340 ms") || !strings.Contains(shown, "FAIL ") {
		t.Errorf("problems only:\n%s", shown)
	}
	if text := strings.Join(b.m.farewell(nil), "\n"); !strings.Contains(text,
		"ask again with: hybridge test -f answers.yaml") || !b.m.finished() {
		t.Errorf("farewell: %s", text)
	}
	b.walk(step{"<esc>", "1 to create"})
}
