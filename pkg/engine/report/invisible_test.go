package report_test

import (
	"strings"
	"testing"
	"unicode"

	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// Nothing that Printable shows or replaces passes the renderers as it is: the two rules agree.
func TestRenderersKnowTheSameInvisibles(t *testing.T) {
	for r := rune(0x80); r <= unicode.MaxRune; r++ {
		s := "a" + string(r) + "b"
		if !strings.ContainsRune(s, r) { // no character of its own
			continue
		}
		if printable, sanitized := link.Printable(s), report.Sanitize(s); printable != s && sanitized == s {
			t.Errorf("%U: Printable makes it %q, Sanitize leaves it", r, printable)
		}
	}
}
