package report

import (
	"slices"
	"strings"
	"unicode"
)

// Told breaks a message (an error, a warning, the next step) into lines of at most width columns. It
// indents them as far as the label of the message ("error: ") takes. A word and a command line stay
// whole, to be copied. At a width of 0 there is no terminal, and the message stays as it is.
func Told(text string, width int) string {
	if width == 0 {
		return text
	}
	lines := strings.Split(text, "\n")
	for i, whole := range lines {
		if cells.StringWidth(whole) <= width {
			continue
		}
		text := strings.TrimLeft(whole, " ")
		margin := whole[:len(whole)-len(text)]
		hang := margin + "  "
		word, rest, found := strings.Cut(text, ": ")
		label := margin + word + ": "
		if wide := cells.StringWidth(label); found && !strings.Contains(word, " ") && wide <= width/4 {
			margin, text, hang = label, rest, strings.Repeat(" ", wide)
		}
		room := width - cells.StringWidth(hang)
		lines[i] = margin + strings.Join(fill(together(words(text), room), room, inChinese), "\n"+hang)
	}
	return strings.Join(lines, "\n")
}

// words are those of a text. What a command line quotes is one word, with all its blanks: it is
// copied.
func words(text string) []string {
	var out []string
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		from := 0
		if quote := text[0]; (quote == '\'' || quote == '"') && slices.Contains(out, "hybridge") {
			for at := 1; at < len(text) && from == 0; at++ {
				if text[at] == quote && (at+1 == len(text) || strings.IndexByte(" .,:;?", text[at+1]) >= 0) {
					from = at
				}
			}
		}
		end := strings.IndexFunc(text[from:], unicode.IsSpace)
		if end < 0 {
			end = len(text) - from
		}
		out, text = append(out, text[:from+end]), text[from+end:]
	}
	return out
}

// together joins the words of each command line of hybridge. Where its end is not clear, it takes the
// words up to a mark of punctuation, and if that is too long for a line, only what looks like a part of
// a command.
func together(words []string, width int) []string {
	var out []string
	for i := 0; i < len(words); i++ {
		if words[i] != "hybridge" {
			out = append(out, words[i])
			continue
		}
		end := i + 1
		for end < len(words) && !strings.ContainsAny(words[end-1][len(words[end-1])-1:], ".,:;?") {
			end++
		}
		command := strings.Join(words[i:end], " ")
		if cells.StringWidth(command) > width {
			end = min(i+2, end)
			for end < len(words) && (words[end][0] == '-' || words[end-1][0] == '-' ||
				strings.ContainsAny(words[end], `./\=*'"`)) {
				end++
			}
			command = strings.Join(words[i:end], " ")
		}
		out = append(out, command)
		i = end - 1
	}
	return out
}
