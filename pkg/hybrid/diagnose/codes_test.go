package diagnose

import (
	"strings"
	"testing"
)

func TestCanonical(t *testing.T) {
	for text, want := range map[string]string{
		"8078": "HCW8078", "hcw8078": "HCW8078", "HCW8078:": "HCW8078", "700016": "AADSTS700016",
		"AADSTS700016.": "AADSTS700016", "2150858843": "2150858843", "0x8033805B": "2150858843",
		"0x8033805b": "2150858843", "-2144108453": "2150858843", "errorserverbusy": "ErrorServerBusy",
		"frob": "frob", "0xzz": "0xzz", "-5": "-5",
	} {
		if got := Canonical(text); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

// Every code says what it means and what to do, once.
func TestCodes(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range Codes() {
		id := strings.ToLower(c.ID)
		if c.Means == "" || c.Fix == "" || seen[id] || strings.ContainsAny(c.ID, " |") {
			t.Errorf("%+v", c)
		}
		seen[id] = true
	}
}
