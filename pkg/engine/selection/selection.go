// Package selection picks checks and changes by globs on their ids: what --only and --skip mean.
package selection

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrUnmatched is the class of a glob that picks nothing: a typing mistake, and a fault in usage.
var ErrUnmatched = errors.New("matches nothing")

// Selection is a pair of glob lists. The zero Selection picks everything.
type Selection struct{ Only, Skip []string }

// errNothing is for globs that each fit something and together pick nothing.
var errNothing = fmt.Errorf("--only and --skip: the selection %w", ErrUnmatched)

// Validate reports every glob that picks none of the ids, and a Selection that picks none.
func (s Selection) Validate(ids []string) error {
	var errs []error
	for _, glob := range s.Only {
		if !anyMatch(glob, ids) {
			errs = append(errs, fmt.Errorf("--only %q: %w", glob, ErrUnmatched))
		}
	}
	for _, glob := range s.Skip {
		if !anyMatch(glob, ids) {
			errs = append(errs, fmt.Errorf("--skip %q: %w", glob, ErrUnmatched))
		}
	}
	if len(errs) == 0 && len(ids) > 0 && !slices.ContainsFunc(ids, s.Picks) {
		errs = append(errs, errNothing)
	}
	return errors.Join(errs...)
}

// Picks reports whether id is selected: matched by one of Only (or Only is empty) and by none of
// Skip.
func (s Selection) Picks(id string) bool {
	picked := len(s.Only) == 0
	for _, glob := range s.Only {
		picked = picked || Match(glob, id)
	}
	for _, glob := range s.Skip {
		picked = picked && !Match(glob, id)
	}
	return picked
}

func anyMatch(glob string, ids []string) bool {
	for _, id := range ids {
		if Match(glob, id) {
			return true
		}
	}
	return false
}

// Match reports whether id matches glob, without regard to case. "*" stands for any run of
// characters (dots and slashes included) and "?" for one.
func Match(glob, id string) bool {
	g, s := []rune(strings.ToLower(glob)), []rune(strings.ToLower(id))
	// The usual two-pointer match: on a mismatch, the last star takes one character more.
	star, mark, i, j := -1, 0, 0, 0
	for j < len(s) {
		switch {
		case i < len(g) && g[i] == '*':
			star, mark = i, j
			i++
		case i < len(g) && (g[i] == '?' || g[i] == s[j]):
			i++
			j++
		case star >= 0:
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	for i < len(g) && g[i] == '*' {
		i++
	}
	return i == len(g)
}
