package prereq_test

import (
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/prereq"
	"github.com/hybridge-cli/hybridge/templates"
)

// Every title, every remedy and every consideration of a check is in every catalogue.
func TestChecksAreTranslated(t *testing.T) {
	for _, language := range msg.Languages()[1:] {
		texts, err := msg.Catalogue(templates.Language(language))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range prereq.Checks() {
			for _, text := range []string{c.Title, c.Fix, c.Consider} {
				if text != "" && texts[msg.Key(text).Format] == "" {
					t.Errorf("%s: templates/languages/%s.po lacks %q", c.ID, language, text)
				}
			}
		}
	}
}
