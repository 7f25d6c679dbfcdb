package msg

import (
	"fmt"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"golang.org/x/text/message/catalog"

	"github.com/hybridge-cli/hybridge/templates"
)

// English is the language of the formats.
const English = "en"

// Languages are the languages that there are catalogues for, and English.
func Languages() []string { return []string{English, "it", "zh-Hans"} }

// Printer renders texts in one of Languages; nil for English. A catalogue is read once, when its
// language is asked for first.
func Printer(name string) *message.Printer {
	switch name {
	case "it":
		return italian()
	case "zh-Hans":
		return chinese()
	}
	return nil
}

// Name is the language that a printer renders; "" for one that is not of Printer.
func Name(p *message.Printer) string {
	if p == nil {
		return English
	}
	for _, name := range Languages()[1:] {
		if Printer(name) == p {
			return name
		}
	}
	return ""
}

var (
	italian = sync.OnceValue(func() *message.Printer { return printer("it", language.Italian) })
	chinese = sync.OnceValue(func() *message.Printer { return printer("zh-Hans", language.SimplifiedChinese) })
)

func printer(name string, tag language.Tag) *message.Printer {
	catalogue, err := Catalogue(templates.Language(name))
	b := catalog.NewBuilder()
	for key, text := range catalogue {
		if err == nil {
			err = b.SetString(tag, key, text)
		}
	}
	if err != nil {
		panic("templates/languages/" + name + ".po: " + err.Error()) // part of the program
	}
	return message.NewPrinter(tag, message.Catalog(b))
}

// Catalogue reads a catalogue in the PO format of gettext: the translations by their English
// formats. An entry without a translation is left out.
func Catalogue(data []byte) (map[string]string, error) {
	texts := map[string]string{}
	var key, text string
	into := &key
	keep := func() error {
		if _, twice := texts[key]; twice {
			return fmt.Errorf("%q is there twice", key)
		}
		if key != "" && text != "" { // the head of the file has no key
			texts[key] = text
		}
		return nil
	}
	for n, line := range strings.Split(string(data), "\n") {
		line = strings.TrimSpace(line)
		quoted := line
		if rest, ok := strings.CutPrefix(line, "msgid "); ok {
			if err := keep(); err != nil {
				return nil, fmt.Errorf("line %d: %w", n+1, err)
			}
			key, text, into, quoted = "", "", &key, rest
		} else if rest, ok := strings.CutPrefix(line, "msgstr "); ok {
			into, quoted = &text, rest
		}
		if quoted == "" || quoted[0] == '#' {
			continue
		}
		part, err := strconv.Unquote(quoted)
		if err != nil {
			return nil, fmt.Errorf("line %d: %s is no text in quotes", n+1, quoted)
		}
		*into += part
	}
	return texts, keep()
}

// Language is the language that a name of the environment or a person stands for, as in
// it_IT.UTF-8, zh_CN or zh-Hans; "" when there is no catalogue for it.
func Language(name string) string {
	name, _, _ = strings.Cut(name, ".")
	name, _, _ = strings.Cut(name, "@")
	parts := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return r == '-' || r == '_' })
	if len(parts) == 0 {
		return ""
	}
	switch parts[0] {
	case "en", "c", "posix":
		return English
	case "it":
		return "it"
	case "zh":
		if len(parts) == 1 {
			return "zh-Hans"
		}
		switch parts[1] { // the others write traditional characters
		case "hans", "cn", "sg", "my":
			return "zh-Hans"
		}
	}
	return ""
}

// Preferred is the language that the environment asks for, as POSIX reads it: the first variable
// that is set decides. English where there is no catalogue.
func Preferred(env func(string) string) string {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if value := env(name); value != "" {
			if l := Language(value); l != "" {
				return l
			}
			break
		}
	}
	return English
}
