package entra

import (
	"strings"
	"unicode"
)

// searchable are the properties that $search reads, by type.
var searchable = map[string][]string{
	"application": {"displayName", "description", "appId"}, "servicePrincipal": {"displayName", "description", "appId"},
}

// parseSearch parses $search: clauses "PROPERTY:TEXT" in quotes, joined by AND or OR from left to
// right.
func parseSearch(text, kind string, known map[string]bool) (func(map[string]any) bool, *odataError) {
	var out func(map[string]any) bool
	join := ""
	for rest := strings.TrimSpace(text); rest != ""; {
		clause, after, ok := strings.Cut(strings.TrimPrefix(rest, `"`), `"`)
		name, value, named := strings.Cut(clause, ":")
		usable := false
		for _, p := range searchable[kind] {
			usable = usable || p == name && known[p]
		}
		if !strings.HasPrefix(rest, `"`) || !ok || !named || !usable || value == "" {
			return nil, badRequest("Search property '%s' is not supported: a clause is \"property:text\".", name)
		}
		one := func(m map[string]any) bool {
			s, _ := m[name].(string)
			return hasWords(s, value)
		}
		switch left := out; join {
		case "":
			out = one
		case "AND":
			out = func(m map[string]any) bool { return left(m) && one(m) }
		case "OR":
			out = func(m map[string]any) bool { return left(m) || one(m) }
		}
		rest = strings.TrimSpace(after)
		if rest == "" {
			return out, nil
		}
		join, rest, _ = strings.Cut(rest, " ")
		rest = strings.TrimSpace(rest)
		if join != "AND" && join != "OR" || rest == "" {
			return nil, badRequest("Syntax error in $search.")
		}
	}
	return nil, badRequest("Syntax error in $search.")
}

// hasWords reports whether every word of want begins a word of text. Words end at changes between
// letters, digits and other characters.
func hasWords(text, want string) bool {
	split := func(s string) []string {
		return strings.FieldsFunc(strings.ToLower(s),
			func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	}
	for _, w := range split(want) {
		found := false
		for _, t := range split(text) {
			found = found || strings.HasPrefix(t, w)
		}
		if !found {
			return false
		}
	}
	return true
}
