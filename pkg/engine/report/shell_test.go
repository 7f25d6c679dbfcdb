package report

import "testing"

func TestShellWord(t *testing.T) {
	for _, test := range []struct{ word, unix, windows string }{
		{"answers.yaml", "answers.yaml", "answers.yaml"},
		{"", "''", `""`},
		{"a.b,c.d", "a.b,c.d", `"a.b,c.d"`},
		{"directory.*", "'directory.*'", `"directory.*"`},
		{`C:\lab\answers.yaml`, `'C:\lab\answers.yaml'`, `C:\lab\answers.yaml`},
		{`C:\my lab\`, `'C:\my lab\'`, `"C:\my lab\\"`},
		{"it's here", `'it'\''s here'`, `"it's here"`},
		{"100%", "100%", `"100%"`},
		{"a&b", "'a&b'", `"a&b"`},
		{"it's $5", `'it'\''s $5'`, "'it''s $5'"},
		{"two\x1blines", `'two\u001blines'`, `"two\u001blines"`},
	} {
		if got := shellWord(test.word, false); got != test.unix {
			t.Errorf("%q: %s, want %s", test.word, got, test.unix)
		}
		if got := shellWord(test.word, true); got != test.windows {
			t.Errorf("%q on Windows: %s, want %s", test.word, got, test.windows)
		}
	}
}
