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
		// PowerShell takes typographic quotes for quotes.
		{"a \u201d;calc;\u201c b", "'a \u201d;calc;\u201c b'", "'a \u201d;calc;\u201c b'"},
		{"a \u201e;calc;\u2019", "'a \u201e;calc;\u2019'", "'a \u201e;calc;\u2019\u2019'"},
		{"it\u2019s $5", "'it\u2019s $5'", "'it\u2019\u2019s $5'"},
		{"it\u2019s here", "'it\u2019s here'", "\"it\u2019s here\""},
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
