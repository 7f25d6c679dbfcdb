package lab

import (
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
)

// Merged is the expected MergedFreeBusy of one of the lab's people for a day (UTC). It has one
// digit per half hour.
func Merged(address string, day time.Time) string {
	w := ews.Window{Start: day.UTC().Truncate(24 * time.Hour)}
	w.End = w.Start.Add(24 * time.Hour)
	return ews.Merge(events(address, w), w, 30*time.Minute)
}
