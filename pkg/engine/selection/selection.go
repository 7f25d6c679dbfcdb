// Package selection picks checks and changes by globs on their ids: what --only and --skip mean.
package selection

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/spelling"
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
			errs = append(errs, unmatched("--only", glob, ids))
		}
	}
	for _, glob := range s.Skip {
		if !anyMatch(glob, ids) {
			errs = append(errs, unmatched("--skip", glob, ids))
		}
	}
	if len(errs) == 0 && len(ids) > 0 && !slices.ContainsFunc(ids, s.Picks) {
		errs = append(errs, errNothing)
	}
	return errors.Join(errs...)
}

// unmatched says that a glob picks nothing, and what was probably meant.
func unmatched(flag, glob string, ids []string) error {
	hint := "* stands for any text and ? for one character"
	switch near := likely(glob, ids); {
	case near != "":
		hint = fmt.Sprintf("did you mean %q?", near)
	case strings.ContainsAny(glob, "*?"):
		hint = ""
	}
	if hint == "" {
		return fmt.Errorf("%s %q: %w", flag, glob, ErrUnmatched)
	}
	return fmt.Errorf("%s %q: %w; %s", flag, glob, ErrUnmatched, hint)
}

// likely is the glob that was probably meant: one of the ids, all below a part of one, or all that
// contain the text.
func likely(glob string, ids []string) string {
	candidates := slices.Clone(ids)
	for _, id := range ids {
		for i := range id {
			if id[i] == '.' || id[i] == '/' {
				candidates = append(candidates, id[:i+1]+"*")
			}
		}
	}
	if near, ok := spelling.Nearest(glob, candidates); ok {
		return near
	}
	if around := "*" + strings.Trim(glob, "*") + "*"; len(around) > 4 && anyMatch(around, ids) {
		return around
	}
	return ""
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
