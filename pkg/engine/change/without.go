package change

import "slices"

// Without returns the plan without some changes, and without those that need them. It carries out
// less than the plan does, never more. left lists all that is left out.
func (p Plan) Without(ids ...string) (rest Plan, left []string) {
	if len(ids) == 0 {
		return p, nil
	}
	out := map[string]bool{}
	for _, id := range ids {
		out[id] = true
	}
	rest = p
	rest.Changes = nil
	for _, c := range p.Changes { // what is needed comes before what needs it
		if out[c.ID] || slices.ContainsFunc(c.Needs, func(id string) bool { return out[id] }) {
			out[c.ID] = true
			left = append(left, c.ID)
			continue
		}
		rest.Changes = append(rest.Changes, c)
	}
	rest.Summary = Count(rest.Changes)
	rest.Summary.Unchanged = p.Summary.Unchanged
	return rest.Sealed(), left
}
