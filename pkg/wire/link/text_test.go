package link_test

import (
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// Two names of a server that look the same on a screen are not the same in a message.
func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"Fabrikam ü 漢字 한글":          "Fabrikam ü 漢字 한글",
		"\x1b[31mred\x07\r\n\u2028": " [31mred    ",
		"admin\u3164":               `admin\u3164`,
		"\u115fadmin\u1160\uffa0":   `\u115fadmin\u1160\uffa0`,
		"ad\u034fmin":               `ad\u034fmin`,
		"a\ufe0fb\U000e0101":        `a\ufe0fb\U000e0101`,
		"\U000e0041\U000e007f":      `\U000e0041\U000e007f`,
		"a\u180bb\u180fc":           `a\u180bb\u180fc`,
		"\u202egpj.exe\u2066\u200b": `\u202egpj.exe\u2066\u200b`,
		"\u2800\u17b4\u00ad\ufeff":  `\u2800\u17b4\u00ad\ufeff`,
		"\xff":                      "\ufffd",
	} {
		if got := link.Printable(in); got != want {
			t.Errorf("Printable(%q) = %q, want %q", in, got, want)
		}
		if got := link.Printable(link.Printable(in)); got != want {
			t.Errorf("Printable twice of %q = %q", in, got)
		}
	}
	if got := link.Line("a\u3164\n\n b"); got != `a\u3164 b` {
		t.Errorf("Line: %q", got)
	}
}
