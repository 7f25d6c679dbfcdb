package answers

import (
	"strconv"
	"strings"
)

// The form asks for one pair of users per forest and writes both directions of it as lookups. A
// lookup belongs to the forest that has the domain of one of its users. Lookups that the form does
// not show stay as they are.

const pairs = "tests.pairs"

// pairKey is the key of a lookup, or of one of its users.
func pairKey(i int, field string) string {
	key := pairs + "[" + strconv.Itoa(i) + "]"
	if field != "" {
		key += "." + field
	}
	return key
}

// lookup returns the users of a lookup; "" for what is not given yet.
func (d *Document) lookup(i int) (from, to string) {
	return d.Text(pairKey(i, "from")), d.Text(pairKey(i, "to"))
}

// forestOf returns the forest that has the domain of an address; -1 when none has.
func (d *Document) forestOf(address string) int {
	_, domain, found := strings.Cut(address, "@")
	if normal, err := domainName(domain); err == nil {
		domain = normal
	}
	for i := range d.Len("forests") {
		domains, _ := d.Get(keyFor("forests[].domains", i))
		for _, candidate := range domains {
			if normal, err := domainName(candidate); found && err == nil && normal == domain {
				return i
			}
		}
	}
	return -1
}

// pair returns the index of the lookup that the form shows for a forest: the first that belongs to
// it, else one that belongs to none, else a new one.
func (d *Document) pair(forest int) int {
	shown := map[int]int{} // by forest
	var spare []int
	n := d.Len(pairs)
	for i := range n {
		from, to := d.lookup(i)
		if back := d.reverse(from, to); back >= 0 && back < i {
			continue
		}
		owner := d.forestOf(from)
		if owner < 0 {
			owner = d.forestOf(to)
		}
		if _, has := shown[owner]; owner < 0 {
			spare = append(spare, i)
		} else if !has {
			shown[owner] = i
		}
	}
	for f := range max(1, d.Len("forests")) {
		if _, has := shown[f]; !has && len(spare) > 0 {
			shown[f], spare = spare[0], spare[1:]
		}
	}
	if i, has := shown[forest]; has {
		return i
	}
	return n
}

// reverse returns the first lookup between two users in the other direction; -1 when there is none.
// Of lookups that are not filled in, each is the reverse of another.
func (d *Document) reverse(from, to string) int {
	for i := range d.Len(pairs) {
		if f, t := d.lookup(i); strings.EqualFold(f, to) && strings.EqualFold(t, from) {
			return i
		}
	}
	return -1
}

// answerPair sets or removes one user of the lookup at key, and keeps the reverse lookup in step.
func (d *Document) answerPair(q Question, forest int, key, value string) string {
	i, err := strconv.Atoi(splitKey(key)[2])
	if err != nil {
		return key
	}
	from, to := d.lookup(i)
	back := -1
	for j := i + 1; j < d.Len(pairs); j++ {
		if f, t := d.lookup(j); strings.EqualFold(f, to) && strings.EqualFold(t, from) {
			back = j
			break
		}
	}
	wasWhole, n := from != "" && to != "", d.Len(pairs)
	if value == "" {
		d.Unset(key)
	} else {
		d.Set(key, value)
	}
	if d.Len(pairs) < n { // the lookup had no other user
		back--
		from, to = "", ""
	} else {
		from, to = d.lookup(i)
	}
	switch {
	case from == "" || to == "":
		if back >= 0 {
			d.Unset(pairKey(back, ""))
		}
	case back >= 0:
		d.Set(pairKey(back, "from"), to)
		d.Set(pairKey(back, "to"), from)
	case !wasWhole:
		n = d.Len(pairs)
		d.Set(pairKey(n, "from"), to)
		d.Set(pairKey(n, "to"), from)
	}
	if from == "" && to == "" {
		return d.Key(q, forest)
	}
	return key
}
