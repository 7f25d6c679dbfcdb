package deployment

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
)

// crowd is the people of a forest that a sample takes.
type crowd struct{ here, moved []string }

// sampled returns pairs of a sample: so many mailboxes per forest and side are looked up, from the
// other side and from each forest that asks this one. Their askers are one person per domain, in
// turn: whether a lookup is allowed depends on the asker's domain.
func (d *Deployment) sampled(ctx context.Context, n int) (pairs []freebusy.Pair, err error) {
	people := map[*forest]crowd{}
	for _, f := range d.forests {
		var c crowd
		if c.here, err = d.peopleIn(ctx, f, "Get-Mailbox", n); err != nil {
			return nil, err
		}
		if c.moved, err = d.peopleIn(ctx, f, "Get-RemoteMailbox", n); err != nil {
			return nil, err
		}
		people[f] = c
		// Both directions in turn: the first pairs of a long run show both.
		out, back := across(c.here, c.moved), across(c.moved, c.here)
		for i := range max(len(out), len(back)) {
			pairs = append(pairs, out[min(i, len(out)):min(i+1, len(out))]...)
			pairs = append(pairs, back[min(i, len(back)):min(i+1, len(back))]...)
		}
	}
	for _, f := range d.forests {
		for _, other := range d.forests {
			if f != other && other.answers.Lookups != nil {
				pairs = append(pairs, across(people[f].here, people[other].here)...)
			}
		}
	}
	return pairs, nil
}

// across pairs each mailbox that is looked up with an asker of the other side.
func across(from, to []string) (pairs []freebusy.Pair) {
	var askers []string
	domains := map[string]bool{}
	for _, address := range from {
		_, domain, _ := strings.Cut(strings.ToLower(address), "@")
		if !domains[domain] {
			domains[domain] = true
			askers = append(askers, address)
		}
	}
	for i, address := range to {
		if len(askers) > 0 {
			pairs = append(pairs, freebusy.Pair{From: askers[i%len(askers)], To: address})
		}
	}
	return pairs
}

// searched is how many recipients are searched for people at least.
const searched = 200

// peopleIn returns the addresses of up to n people that a cmdlet finds, spread over what it lists.
func (d *Deployment) peopleIn(ctx context.Context, f *forest, cmdlet string, n int) ([]string, error) {
	s, err := d.reading(f.exchange)(ctx)
	if err != nil {
		return nil, err
	}
	size := strconv.Itoa(max(searched, 4*n))
	found, err := s.Read(ctx, exchange.Command{Name: cmdlet, Parameters: map[string]any{"ResultSize": size}})
	if err != nil {
		return nil, fmt.Errorf("%s: find mailboxes to look up: %w", f.answers.Name, err)
	}
	found = slices.DeleteFunc(found, func(o exchange.Object) bool { return !person(o) })
	var out []string
	for i := range min(n, len(found)) {
		address, err := found[i*len(found)/min(n, len(found))].String("PrimarySmtpAddress")
		if err != nil {
			return nil, fmt.Errorf("%s: %s: PrimarySmtpAddress: %w", f.answers.Name, cmdlet, err)
		}
		out = append(out, address)
	}
	return out, nil
}
