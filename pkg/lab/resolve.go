package lab

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/sorting"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
)

// Resolve finds the recipients of this side whose name, alias or address begins with a text.
// Another organization's application is not answered.
func (a answering) Resolve(_ context.Context, q ews.Query, text string) ([]ews.Person, error) {
	if q.Caller.Scheme == "Bearer" {
		return nil, &ews.Fault{ResponseCode: "ErrorAccessDenied",
			Message: "Access is denied. Check credentials and try again."}
	}
	text = strings.ToLower(strings.TrimSpace(text))
	a.mu.RLock()
	defer a.mu.RUnlock()
	var out []ews.Person
	for _, r := range a.people {
		p := ews.Person{Name: r.display, Address: r.primary}
		fits := func(s string) bool { return strings.HasPrefix(strings.ToLower(s), text) }
		if text != "" && !slices.Contains(out, p) &&
			(fits(r.display) || fits(r.account) || slices.ContainsFunc(append(r.others, r.primary), fits)) {
			out = append(out, p)
		}
	}
	sorting.Func(out, func(x, y ews.Person) int { return cmp.Compare(x.Address, y.Address) })
	return out, nil
}
