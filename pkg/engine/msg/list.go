package msg

import (
	"strconv"
	"strings"
)

// Number is a count as a person reads it: 10,000. As an argument of a Text it follows the language.
type Number int

func (n Number) String() string {
	s := strconv.Itoa(int(n))
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Count makes a Text by number: one is its format for 1, many for every other number. Both take n,
// as a Number, as their only argument: "%s users".
func Count(n int, one, many string) Text {
	if n == 1 {
		return Of(one, Number(n))
	}
	return Of(many, Number(n))
}

// Join makes one Text of several, with a separator that no language changes.
func Join(texts []Text, separator string) Text {
	if len(texts) == 0 {
		return Text{}
	}
	args := make([]any, len(texts))
	for i, t := range texts {
		args[i] = t
	}
	separator = strings.ReplaceAll(separator, "%", "%%")
	return Text{Format: strings.TrimSuffix(strings.Repeat("%s"+separator, len(texts)), separator), Args: args}
}

// Alternatives makes a Text of names of which one is enough: "a or b or c".
func Alternatives(names []string) Text {
	var t Text
	for i, name := range names {
		if i == 0 {
			t = Plain(name)
		} else {
			t = Of("%s or %s", t, name)
		}
	}
	return t
}
