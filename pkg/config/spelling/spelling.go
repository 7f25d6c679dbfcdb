// Package spelling finds what a misspelt name was meant to be.
package spelling

import (
	"fmt"
	"strings"
)

// Nearest returns the candidate that word was most likely meant to be.
func Nearest(word string, candidates []string) (string, bool) {
	if len(word) > 64 {
		return "", false
	}
	best, distance := "", 3
	for _, c := range candidates {
		d := Distance(strings.ToLower(word), strings.ToLower(c))
		if d < distance && d <= max(1, len(c)/2) {
			best, distance = c, d
		}
	}
	return best, best != ""
}

// DidYouMean is the nearest candidate as the end of a sentence: `; did you mean "check"?`. It is
// empty when none is near.
func DidYouMean(word string, candidates []string) string {
	if near, ok := Nearest(word, candidates); ok {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}

// Distance is the Levenshtein distance.
func Distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		previous := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := previous
			if a[i] != b[j] {
				cost = 1 + min(previous, row[j], row[j+1])
			}
			previous, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
