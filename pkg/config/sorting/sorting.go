// Package sorting sorts lists by a function, as slices.SortFunc does. The 20 KB of code of
// slices.SortFunc exist once per type in the program, and hybridge sorts many types of short lists.
package sorting

import "sort"

// Func sorts a list so that by is never positive between neighbours.
func Func[E any](list []E, by func(a, b E) int) {
	sort.Slice(list, func(i, j int) bool { return by(list[i], list[j]) < 0 })
}

// Stable is Func. Equal elements stay as they are to each other.
func Stable[E any](list []E, by func(a, b E) int) {
	sort.SliceStable(list, func(i, j int) bool { return by(list[i], list[j]) < 0 })
}
