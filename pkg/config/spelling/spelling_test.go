package spelling

import (
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	names := []string{"check", "plan", "apply", "o"}
	for word, want := range map[string]string{
		"chekc": "check", "CHECK": "check", "aply": "apply", "plant": "plan", "frobnicate": "", "x": "o", "": "o",
		strings.Repeat("a", 65): "",
	} {
		if got, ok := Nearest(word, names); got != want || ok != (want != "") {
			t.Errorf("%s: %q, want %q", word, got, want)
		}
	}
	if got := DidYouMean("chekc", names); got != `; did you mean "check"?` {
		t.Error(got)
	}
	if got := DidYouMean("nothing", names); got != "" {
		t.Error(got)
	}
}
