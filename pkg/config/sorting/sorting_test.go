package sorting

import (
	"cmp"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

type pair struct{ key, place int }

func TestLikeTheStandardLibrary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var list []pair
		for i, k := range rapid.SliceOf(rapid.IntRange(0, 5)).Draw(t, "keys") {
			list = append(list, pair{k, i})
		}
		byKey := func(a, b pair) int { return cmp.Compare(a.key, b.key) }
		whole := func(a, b pair) int { return cmp.Or(byKey(a, b), cmp.Compare(b.place, a.place)) }
		for name, f := range map[string][2]func([]pair){
			"stable": {func(l []pair) { Stable(l, byKey) }, func(l []pair) { slices.SortStableFunc(l, byKey) }},
			"func":   {func(l []pair) { Func(l, whole) }, func(l []pair) { slices.SortFunc(l, whole) }},
		} {
			got, want := slices.Clone(list), slices.Clone(list)
			f[0](got)
			f[1](want)
			if !slices.Equal(got, want) {
				t.Errorf("%s: %v, want %v", name, got, want)
			}
		}
	})
}
