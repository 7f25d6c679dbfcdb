package msg

import "strings"

// Key makes a Text of fixed words without arguments: a title of a declaration, the name of an
// action. The words are the key of their translations.
func Key(s string) Text { return Text{Format: strings.ReplaceAll(s, "%", "%%")} }
