package msg

import (
	"encoding/json"
	"errors"
	"testing"

	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"golang.org/x/text/message/catalog"
)

func TestText(t *testing.T) {
	german := catalog.NewBuilder()
	for key, translation := range map[string]string{
		"%s has %s":           "%s hat %s",
		"%d users":            "%d Benutzer",
		"forest %[1]s: %[2]s": "%[2]s (Gesamtstruktur %[1]s)",
	} {
		if err := german.SetString(language.German, key, translation); err != nil {
			t.Fatal(err)
		}
	}
	p := message.NewPrinter(language.German, message.Catalog(german))
	for _, test := range []struct {
		text            Text
		english, german string
	}{
		{Of("%s has %s", "contoso", Plural(3, "%d user", "%d users")), "contoso has 3 users", "contoso hat 3 Benutzer"},
		{Of("forest %[1]s: %[2]s", "contoso", errors.New("no answer")), "forest contoso: no answer",
			"no answer (Gesamtstruktur contoso)"},
		{Of("100%% of it"), "100% of it", "100% of it"},
		{Plain("a server's 100%"), "a server's 100%", "a server's 100%"},
		{Text{}, "", ""},
		{Plain(""), "", ""},
	} {
		if got := test.text.String(); got != test.english {
			t.Errorf("English: %q, want %q", got, test.english)
		}
		if got := test.text.In(p); got != test.german {
			t.Errorf("German: %q, want %q", got, test.german)
		}
		data, err := json.Marshal(test.text)
		if err != nil {
			t.Fatal(err)
		}
		var back Text
		if err := json.Unmarshal(data, &back); err != nil || back.String() != test.english {
			t.Errorf("%s comes back as %q, %v", data, back, err)
		}
		if back.IsZero() != (test.english == "") {
			t.Errorf("%q: zero %t", test.english, back.IsZero())
		}
	}
}
