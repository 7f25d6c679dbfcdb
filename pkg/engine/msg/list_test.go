package msg

import (
	"testing"

	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"golang.org/x/text/message/catalog"
)

func TestNumber(t *testing.T) {
	for n, want := range map[Number]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1: "-1",
		-100: "-100", -1000: "-1,000"} {
		if got := n.String(); got != want {
			t.Errorf("%d is %s, want %s", int(n), got, want)
		}
	}
}

func TestLists(t *testing.T) {
	german := catalog.NewBuilder()
	for key, translation := range map[string]string{"%s users": "%s Benutzer", "%s in %s": "%s bei %s"} {
		if err := german.SetString(language.German, key, translation); err != nil {
			t.Fatal(err)
		}
	}
	p := message.NewPrinter(language.German, message.Catalog(german))
	for _, test := range []struct {
		text            Text
		english, german string
	}{
		{Count(1, "%s user", "%s users"), "1 user", "1 user"},
		{Count(10_000, "%s user", "%s users"), "10,000 users", "10.000 Benutzer"},
		{Join([]Text{Of("%s in %s", "a", "b"), Plain("100%")}, ", "), "a in b, 100%", "a bei b, 100%"},
		{Join([]Text{Plain("a"), Plain("b")}, " % "), "a % b", "a % b"},
		{Join(nil, ", "), "", ""},
	} {
		if got := test.text.String(); got != test.english {
			t.Errorf("English: %q, want %q", got, test.english)
		}
		if got := test.text.In(p); got != test.german {
			t.Errorf("German: %q, want %q", got, test.german)
		}
	}
}
