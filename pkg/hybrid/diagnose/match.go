package diagnose

import (
	"iter"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// gap is how many bytes " * " of a pattern may stand for.
const gap = 300

// pattern is a text of the table, lower case, cut at its gaps.
type pattern struct {
	parts  []string
	words  []string
	length int
}

func patterns(texts []string) []pattern {
	var out []pattern
	for _, t := range texts {
		p := pattern{parts: strings.Split(plain(t), " * ")}
		for _, part := range p.parts {
			p.length += len(part)
			p.words = slices.AppendSeq(p.words, wordsOf(part))
		}
		out = append(out, p)
	}
	return out
}

// plainText is a text that patterns are looked for in, with its words: most patterns have one that
// a text lacks.
type plainText struct {
	string
	words map[string]bool
}

func textOf(plain string) plainText {
	t := plainText{plain, map[string]bool{}}
	for w := range wordsOf(plain) {
		t.words[w] = true
	}
	return t
}

// wordsOf are the words of a plain text.
func wordsOf(plain string) iter.Seq[string] {
	return strings.FieldsFuncSeq(plain, func(r rune) bool { return !wordy(r) })
}

// in finds the pattern in a plain text. The end is -1 when it is not there. No word of a pattern is
// a part of a longer one of the text.
func (p pattern) in(t plainText) (start, end int) {
	for _, w := range p.words {
		if !t.words[w] {
			return 0, -1
		}
	}
	text := t.string
	for from := 0; ; {
		first := word(text, p.parts[0], from, len(text))
		if first < 0 {
			return 0, -1
		}
		at := first + len(p.parts[0])
		for _, part := range p.parts[1:] {
			next := word(text, part, at, min(len(text), at+gap+len(part)))
			if next < 0 {
				at = -1
				break
			}
			at = next + len(part)
		}
		if at >= 0 {
			return first, at
		}
		from = first + 1
	}
}

// word finds part between two places of a text, where it does not begin or end within a word.
func word(text, part string, from, to int) int {
	for from <= to-len(part) {
		at := strings.Index(text[from:to], part)
		if at < 0 {
			return -1
		}
		at += from
		before, _ := utf8.DecodeLastRuneInString(text[:at])
		after, _ := utf8.DecodeRuneInString(text[at+len(part):])
		first, _ := utf8.DecodeRuneInString(part)
		last, _ := utf8.DecodeLastRuneInString(part)
		if !(wordy(first) && wordy(before)) && !(wordy(last) && wordy(after)) {
			return at
		}
		from = at + 1
	}
	return -1
}

func wordy(r rune) bool { return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r)) }

var quotes = strings.NewReplacer("\u2019", "'", "\u2018", "'", "\u201c", `"`, "\u201d", `"`, "\u00a0", " ",
	"\u202f", " ", "\u200b", "", "\ufeff", "")

// plain is a text in lower case, with plain quotes and single blanks: mail programs and terminals
// break lines and replace quotes.
func plain(s string) string {
	return strings.Join(strings.Fields(strings.ToLower(quotes.Replace(strings.ToValidUTF8(s, " ")))), " ")
}

// field are words that show that a text is about Exchange, its hybrid, or a lookup.
var field = patterns([]string{
	"autodiscover", "ews", "exchange.asmx", "free/busy", "freebusy", "getuseravailability", "availability", "exchange",
	"office365", "office 365", "test-oauthconnectivity", "oauth", "organization relationship", "hybrid", "mrsproxy",
	"outlook", "federation", "x-ms-diagnostics", "svc-integrated", "msexchange", "asautodiscover", "asproxy", "hcw",
})

// ofTheField reports whether a plain text is about what the table is about.
func ofTheField(text plainText) bool {
	for _, p := range field {
		if _, end := p.in(text); end >= 0 {
			return true
		}
	}
	return false
}

// alone reports whether a vague text is all that was pasted, but for addresses, names in quotes and
// the name of an exception.
func (p pattern) alone(text string, start, end int) bool {
	rest := 0
	for _, w := range strings.Fields(text[:start] + " " + text[end:]) {
		if !strings.ContainsAny(w, "'\"/@:.()") {
			rest += len(w)
		}
	}
	return 2*rest <= p.length
}
