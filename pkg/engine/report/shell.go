package report

import (
	"runtime"
	"strings"
)

// ShellWord is a word of a command line for a person to copy, quoted where the shells of this
// system need it.
func ShellWord(word string) string { return shellWord(word, runtime.GOOS == "windows") }

// singleQuotes doubles what PowerShell takes for a single quote.
var singleQuotes = strings.NewReplacer("'", "''", "\u2018", "\u2018\u2018", "\u2019", "\u2019\u2019",
	"\u201a", "\u201a\u201a", "\u201b", "\u201b\u201b")

func shellWord(word string, windows bool) string {
	plain := "-_./:=+@%,"
	if windows {
		plain = `-_./:=+\` // cmd.exe replaces %NAME%, and in PowerShell a comma makes two words
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool {
		return !strings.ContainsRune(plain, r) && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) < 0 {
		return word
	}
	word = Sanitize(word)
	switch {
	case !windows:
		return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	case strings.ContainsAny(word, "$`\"\u201c\u201d\u201e"): // PowerShell alone can quote these
		return "'" + singleQuotes.Replace(word) + "'"
	}
	// Both shells take double quotes. A backslash before the closing one would escape it.
	bare := strings.TrimRight(word, `\`)
	return `"` + word + word[len(bare):] + `"`
}
