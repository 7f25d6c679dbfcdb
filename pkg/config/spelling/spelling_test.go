package spelling

import (
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	names := []string{"lab", "check", "plan", "apply", "o", "test", "html", "rollback", "rotate", "report", "dns.*",
		"dns.spf", "json", "jsonl", "--yes", "--only"}
	for word, want := range map[string]string{
		"chekc": "check", "CHECK": "check", "aply": "apply", "plant": "plan", "frobnicate": "", "x": "", "": "",
		"cehck": "check", "tst": "test", "plam": "plan", "lba": "lab", "ch": "check", "rol": "rollback", "rbllbakc": "rollback",
		// Short words are near to many.
		"tls": "", "xml": "", "xy": "", "lap2": "", "ro": "", "tets1": "", "dns": "dns.*", "js": "json", "jso": "json",
		"--yse": "--yes", "--xs": "", "--ony": "--only", "--": "",
		strings.Repeat("a", 65): "",
	} {
		if got, ok := Nearest(word, names); got != want || ok != (want != "") {
			t.Errorf("%s: %q, want %q", word, got, want)
		}
	}
	if got := DidYouMean("chekc", names); got != `; did you mean "check"?` {
		t.Error(got)
	}
	if got := OneOf("chekc", names); got != `; did you mean "check"?` {
		t.Error(got)
	}
	if got := OneOf("nothing", names[:2]); got != "; there are lab, check" {
		t.Error(got)
	}
	if got := DidYouMean("nothing", names); got != "" {
		t.Error(got)
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"check", "check", 0}, {"chekc", "check", 1}, {"kitten", "sitting", 3},
		{"ab", "ba", 1}, {"ca", "abc", 3}, {"lab", "plam", 2},
	} {
		if got := Distance(c.a, c.b); got != c.want {
			t.Errorf("%q and %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
