package msg_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/templates"
)

var (
	verb  = regexp.MustCompile(`%(\[\d+\])?[-+# 0]*\d*(\.\d+)?[a-zA-Z%]`)
	place = regexp.MustCompile(`\[\d+\]`)
)

// A translation takes the arguments of its format, all of them, and a person can read it.
func TestCatalogues(t *testing.T) {
	keys := map[string][]string{}
	for _, language := range msg.Languages()[1:] {
		texts, err := msg.Catalogue(templates.Language(language))
		if err != nil || len(texts) < 500 {
			t.Fatalf("%s: %d texts, %v", language, len(texts), err)
		}
		for key, text := range texts {
			keys[key] = append(keys[key], language)
			has, needs := verb.FindAllString(text, -1), verb.FindAllString(key, -1)
			if slices.ContainsFunc(has, place.MatchString) { // in another sequence
				for i, v := range has {
					if !place.MatchString(v) {
						t.Errorf("%s: %q names the place of some arguments and not of %s", language, key, v)
					}
					has[i] = place.ReplaceAllString(v, "")
				}
				slices.Sort(has)
				slices.Sort(needs)
			}
			if !slices.Equal(has, needs) {
				t.Errorf("%s: %q takes %v, and %q takes %v", language, key, needs, text, has)
			}
			if strings.Count(key, "\n") != strings.Count(text, "\n") {
				t.Errorf("%s: %q has other line breaks", language, key)
			}
			if strings.ContainsFunc(text, func(r rune) bool {
				return r < ' ' && r != '\n' || r == '\u200b' ||
					r == '\ufffd'
			}) {
				t.Errorf("%s: %q has characters that cannot be seen", language, key)
			}
		}
	}
	for key, in := range keys {
		if len(in) != len(msg.Languages())-1 {
			t.Errorf("%q is translated in %v alone", key, in)
		}
	}
}

func TestCatalogueFile(t *testing.T) {
	texts, err := msg.Catalogue([]byte("# head\nmsgid \"\"\nmsgstr \"Language: it\\n\"\n\nmsgid \"a " +
		"\"\n\"%s\"\nmsgstr \"un \\\"%s\\\"\"\n" +
		"\nmsgid \"b\"\nmsgstr \"\"\n"))
	if err != nil || len(texts) != 1 || texts["a %s"] != `un "%s"` {
		t.Errorf("%q, %v", texts, err)
	}
	for _, wrong := range []string{"msgid a\n", "msgid \"a\"\nmsgstr \"b\"\nmsgid \"a\"\nmsgstr \"c\"\n", "text\n"} {
		if texts, err := msg.Catalogue([]byte(wrong)); err == nil {
			t.Errorf("%q gives %q", wrong, texts)
		}
	}
}

func TestLanguage(t *testing.T) {
	for name, want := range map[string]string{"it": "it", "it_IT.UTF-8": "it", "it-CH": "it", "IT": "it",
		"zh":          "zh-Hans",
		"zh_CN.UTF-8": "zh-Hans", "zh-Hans": "zh-Hans", "zh_SG": "zh-Hans", "zh_TW.UTF-8": "", "zh-Hant": "", "C": "en",
		"C.UTF-8": "en", "POSIX": "en", "en_US.UTF-8": "en", "ca_ES@valencia": "", "de_DE.UTF-8": "", "": "",
		"iterate": ""} {
		if got := msg.Language(name); got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
	for _, test := range []struct {
		env  map[string]string
		want string
	}{
		{nil, "en"},
		{map[string]string{"LANG": "it_IT.UTF-8"}, "it"},
		{map[string]string{"LANG": "it_IT.UTF-8", "LC_MESSAGES": "C"}, "en"},
		{map[string]string{"LC_ALL": "zh_CN.UTF-8", "LANG": "it_IT.UTF-8"}, "zh-Hans"},
		{map[string]string{"LC_ALL": "de_DE.UTF-8", "LANG": "it_IT.UTF-8"}, "en"},
	} {
		if got := msg.Preferred(func(name string) string { return test.env[name] }); got != test.want {
			t.Errorf("%v: %s, want %s", test.env, got, test.want)
		}
	}
	if msg.Printer("en") != nil || msg.Printer("") != nil {
		t.Error("English needs no printer")
	}
	if got := msg.Of("%d of %d", 1, 2).In(msg.Printer("it")); got != "1 di 2" {
		t.Errorf("Italian: %q", got)
	}
	if got := msg.Of("no such text: %s",
		msg.Of("%d of %d", 1, 2)).In(msg.Printer("zh-Hans")); got != "no such text: 1/2" {
		t.Errorf("a text that is not translated: %q", got)
	}
}
