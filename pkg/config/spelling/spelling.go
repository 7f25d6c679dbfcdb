// Package spelling finds what a misspelt name was meant to be.
package spelling

import (
	"fmt"
	"strings"
)

// Nearest returns the candidate that word was most likely meant to be: one that differs by a slip or
// two, the fewer the shorter it is, or the only one that begins with word. Dashes in front of a flag
// are no letters.
func Nearest(word string, candidates []string) (string, bool) {
	if len(word) > 64 {
		return "", false
	}
	word = strings.ToLower(word)
	letters := len(strings.TrimLeft(word, "-"))
	best, distance := "", 3
	begun, longer := "", 0
	for _, c := range candidates {
		name := strings.ToLower(c)
		begins := letters >= 2 && strings.HasPrefix(name, word)
		if begins {
			begun = c
			longer++
		}
		d := Distance(word, name)
		if d < distance && (begins || d <= slips(min(letters, len(strings.TrimLeft(name, "-"))))) {
			best, distance = c, d
		}
	}
	if best == "" && longer == 1 {
		best = begun
	}
	return best, best != ""
}

// slips is how many slips a word of so many letters has at most.
func slips(letters int) int {
	switch {
	case letters < 3:
		return 0
	case letters < 6:
		return 1
	}
	return 2
}

// DidYouMean is the nearest candidate as the end of a sentence: `; did you mean "check"?`. It is
// empty when none is near.
func DidYouMean(word string, candidates []string) string {
	if near, ok := Nearest(word, candidates); ok {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}

// OneOf is the end of a sentence about a name that does not exist: the candidate that was probably
// meant, or all that there are.
func OneOf(word string, candidates []string) string {
	if near := DidYouMean(word, candidates); near != "" {
		return near
	}
	return "; there are " + strings.Join(candidates, ", ")
}

// Distance is how many slips of the hand lie between two words: a letter that is missing, added or
// wrong, or two that changed places.
func Distance(a, b string) int {
	before, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range len(b) {
			if next[j+1] = row[j]; a[i] != b[j] {
				next[j+1] = 1 + min(row[j], row[j+1], next[j])
			}
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
