package wizard

import "testing"

func TestReviewScreen(t *testing.T) {
	b, _ := open[*reviewScreen](t, given{})
	b.goldens("review")
	b.walk(step{"e", "for reports"})
}
