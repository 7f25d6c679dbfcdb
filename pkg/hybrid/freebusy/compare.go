package freebusy

import (
	"fmt"
	"strings"
	"time"
)

// maxShift is a little more than the largest difference of two time zones.
const maxShift = 27 * time.Hour

// compared compares the result of a lookup with that of the mailbox's own side. Some builds of
// Exchange silently shift the times of the other side by the asker's offset from UTC. err is a
// wrong lookup. note says why no comparison was possible.
func compared(seen, own View) (note string, err error) {
	if seen.Interval != own.Interval || seen.Interval <= 0 {
		return "the times could not be compared: the intervals differ", nil
	}
	a, b := busy(seen.Merged), busy(own.Merged)
	n := min(len(a), len(b))
	a, b = a[:n], b[:n]
	switch {
	case !strings.Contains(b, "1"):
		return "the times could not be compared: the calendar has no busy time in the window", nil
	case a == b:
		return "", nil
	}
	for slots := 1; slots < n && time.Duration(slots)*seen.Interval <= maxShift; slots++ {
		for _, by := range []int{slots, -slots} {
			if shifted(a, b, by) {
				by := time.Duration(by) * seen.Interval
				return "", &refusal{fmt.Sprintf("the busy times are shifted by %s against those of the mailbox's own "+
					"side: Exchange Server builds 15.2.2562.41 to 15.2.2562.46 do that; install a later update on "+
					"the asking servers", signed(by))}
			}
		}
	}
	return "the busy times differ from those of the mailbox's own side", nil
}

// busy returns one digit per slot: 1 where the person shows as not available.
func busy(merged string) string {
	return strings.Map(func(r rune) rune {
		if r == '1' || r == '2' || r == '3' {
			return '1'
		}
		return '0'
	}, merged)
}

// shifted reports whether a is b moved by a number of slots to the right, where both overlap.
// Something must be busy there, or a shift does not show.
func shifted(a, b string, by int) bool {
	if by < 0 {
		a, b = a[:len(a)+by], b[-by:]
	} else {
		a, b = a[by:], b[:len(b)-by]
	}
	return a == b && strings.Contains(a, "1")
}

func signed(d time.Duration) string {
	sign := "+"
	if d < 0 {
		sign, d = "-", -d
	}
	return fmt.Sprintf("%s%d:%02d hours", sign, int(d.Hours()), int(d.Minutes())%60)
}
