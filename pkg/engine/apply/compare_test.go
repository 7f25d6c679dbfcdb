package apply

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
)

// Kinds declare their comparisons (see pkg/hybrid/desired). These three are as irregular as
// Exchange's.

// sameSet holds for the same texts in any order, but for case.
func sameSet(want, live any) bool {
	set := func(v any) []string {
		var out []string
		for _, e := range change.Elements(v) {
			out = append(out, strings.ToLower(fmt.Sprint(e)))
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	return slices.Equal(set(want), set(live))
}

// sameTruth holds for the same truth value, also as text; nothing is false.
func sameTruth(want, live any) bool {
	truth := func(v any) bool { return v != nil && strings.EqualFold(fmt.Sprint(v), "true") }
	return truth(want) == truth(live)
}

// sameURL holds for the same URL but for case, the port of https and a final slash.
func sameURL(want, live any) bool {
	plain := func(v any) string {
		return strings.ToLower(strings.TrimSuffix(strings.Replace(fmt.Sprint(v), ":443/", "/", 1), "/"))
	}
	return plain(want) == plain(live)
}
