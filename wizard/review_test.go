package wizard

import "testing"

var _ = pass[*reviewScreen]("These are the answers", "<enter>")

func TestReviewScreen(t *testing.T) {
	b, _ := open[*reviewScreen](t, given{})
	b.goldens("review")
	b.walk(step{"e", "for reports"})
}
