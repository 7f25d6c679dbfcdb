package apply

import (
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
)

// What a later run takes away is made no longer, by whatever key that run knows it. Another object
// of the kind stays.
func TestFollowed(t *testing.T) {
	made := []Creation{{ID: "entra/Consent/app:role", Target: "entra", Kind: "Consent", Identity: "1"},
		{ID: "entra/Consent/app:other", Target: "entra", Kind: "Consent", Identity: "2"},
		{ID: "entra/Consent/app:lost", Target: "entra", Kind: "Consent"}}
	done := trace{end: &record{Status: Done}}
	for identity, left := range map[string]int{"1": 2, "3": 3, "": 3} {
		c := change.Change{ID: "entra/Consent/app:7f3a", Target: "entra", Kind: "Consent", Identity: identity,
			Action: change.Delete}
		if got := followed(append([]Creation{}, made...), c, done); len(got) != left {
			t.Errorf("%q is removed, and %d are left, want %d", identity, len(got), left)
		}
	}
}
