package fact

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"sync"

	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
)

// Build is an Exchange Server build: 15.2.2562.41.
type Build struct{ Major, Minor, Build, Revision int }

var buildForms = sync.OnceValue(func() []*regexp.Regexp {
	return []*regexp.Regexp{
		// AdminDisplayVersion, serialNumber
		regexp.MustCompile(`^Version (\d{1,3})\.(\d{1,3}) \(Build (\d{1,5})\.(\d{1,5})\)$`),
		regexp.MustCompile(`^(\d{1,3})\.(\d{1,3})\.(\d{1,5})\.(\d{1,5})$`),
	}
})

// directoryOffset is what the directory adds to build numbers. No build number is as high.
const directoryOffset = 30000

// ParseBuild reads a build as Get-ExchangeServer prints AdminDisplayVersion ("Version 15.2 (Build
// 2562.17)"), as the directory keeps it (directoryOffset added to the build number), or dotted.
func ParseBuild(s string) (Build, error) {
	for _, form := range buildForms() {
		m := form.FindStringSubmatch(s)
		if m == nil {
			continue
		}
		var n [4]int
		for i := range n {
			n[i], _ = strconv.Atoi(m[i+1])
		}
		if n[2] >= directoryOffset {
			n[2] -= directoryOffset
		}
		if n[2] >= directoryOffset {
			break
		}
		return Build{n[0], n[1], n[2], n[3]}, nil
	}
	return Build{}, fmt.Errorf("%q is not an Exchange build", s)
}

func (b Build) String() string {
	return fmt.Sprintf("%d.%d.%d.%d", b.Major, b.Minor, b.Build, b.Revision)
}

func (b Build) Compare(o Build) int {
	return cmp.Or(
		cmp.Compare(b.Major, o.Major), cmp.Compare(b.Minor, o.Minor),
		cmp.Compare(b.Build, o.Build), cmp.Compare(b.Revision, o.Revision),
	)
}

// Line is a cumulative update of an Exchange version: the part of a build that Get-ExchangeServer
// always shows.
type Line struct {
	Title     string
	First     Build // as released; AdminDisplayVersion stays at this when hotfix and security updates are installed
	Dedicated Build // first that can use the dedicated application; zero: none can
	Graph     Build // first that can look up through Microsoft Graph; zero: none can
	Latest    Build
	// Bound is the first whose MRSProxy ties a sign-in to its TLS channel. Below it, a sign-in that
	// an attacker relays gives control of the server (CVE-2026-62911).
	Bound     Build
	EndOfLife bool // no more updates after October 2026
	// Floor is the first that Exchange Online takes mail from without slowing it down, as of
	// September 2026; zero for a version with updates.
	Floor Build
	// Updates are the hotfix (HU) and security updates (SU), oldest first, by Microsoft's short
	// names.
	Updates []Update
}

// Update is an update of a cumulative update, with the last part of its build.
type Update struct {
	Name     string
	Revision int
}

// Lines are the builds in use, newest first. Source: Microsoft's build number page and
// CSS-Exchange, as of 2026-10-02.
var Lines = []Line{
	{
		Title: "Exchange Server SE", First: Build{15, 2, 2562, 17}, Latest: Build{15, 2, 2562, 53},
		Bound:     Build{15, 2, 2562, 46},
		Dedicated: Build{15, 2, 2562, 17}, Graph: Build{15, 2, 2562, 41},
		Updates: []Update{
			{"Aug25SU", 20}, {"Sep25HU", 27}, {"Oct25SU", 29}, {"Dec25SU", 35}, {"Feb26SU", 37},
			{"May26HU", 41}, {"Jun26SU", 43}, {"Jul26SU", 45}, {"Aug26SU", 46}, {"Sep26SU", 49},
			{"Sep26SUv2", 53},
		},
	},
	{
		Title: "Exchange Server 2019 CU15", First: Build{15, 2, 1748, 10}, Latest: Build{15, 2, 1748, 53},
		Floor:     Build{15, 2, 1748, 39},
		Bound:     Build{15, 2, 1748, 49},
		EndOfLife: true,
		Dedicated: Build{15, 2, 1748, 24},
		Updates: []Update{
			{"Apr25HU", 24}, {"May25HU", 26}, {"Aug25SU", 36}, {"Sep25HU", 37}, {"Oct25SU", 39},
			{"Dec25SU", 42}, {"Feb26SU", 43}, {"Jun26SU", 46}, {"Jul26SU", 48}, {"Aug26SU", 49},
			{"Sep26SU", 51}, {"Sep26SUv2", 53},
		},
	},
	{
		Title: "Exchange Server 2019 CU14", First: Build{15, 2, 1544, 4}, Latest: Build{15, 2, 1544, 48},
		Floor:     Build{15, 2, 1544, 36},
		Bound:     Build{15, 2, 1544, 44},
		EndOfLife: true,
		Dedicated: Build{15, 2, 1544, 25},
		Updates: []Update{
			{"Mar24SU", 9}, {"Apr24HU", 11}, {"Nov24SU", 13}, {"Nov24SUv2", 14}, {"Apr25HU", 25},
			{"May25HU", 27}, {"Aug25SU", 33}, {"Sep25HU", 34}, {"Oct25SU", 36}, {"Dec25SU", 37},
			{"Feb26SU", 39}, {"Jun26SU", 41}, {"Jul26SU", 43}, {"Aug26SU", 44}, {"Sep26SU", 46},
			{"Sep26SUv2", 48},
		},
	},
	{
		Title: "Exchange Server 2016 CU23", First: Build{15, 1, 2507, 6}, Latest: Build{15, 1, 2507, 75},
		Floor:     Build{15, 1, 2507, 61},
		Bound:     Build{15, 1, 2507, 72},
		EndOfLife: true,
		Dedicated: Build{15, 1, 2507, 55},
		Updates: []Update{
			{"Apr25HU", 55}, {"May25HU", 57}, {"Aug25SU", 58}, {"Sep25HU", 59}, {"Oct25SU", 61},
			{"Dec25SU", 63}, {"Feb26SU", 66}, {"Jun26SU", 69}, {"Jul26SU", 71}, {"Aug26SU", 72},
			{"Sep26SU", 73}, {"Sep26SUv2", 75},
		},
	},
}

// Line finds the cumulative update that a build belongs to. A build of Exchange SE that is newer
// than the table belongs to Exchange SE.
func (b Build) Line() (Line, bool) {
	for _, l := range Lines {
		if b.Major == l.First.Major && b.Minor == l.First.Minor && b.Build == l.First.Build {
			return l, true
		}
	}
	if b.Compare(Lines[0].First) > 0 {
		newest := Lines[0]
		newest.Title, newest.First, newest.Latest = "Exchange Server, newer than this version of hybridge knows", b, b
		newest.Updates = nil
		return newest, true
	}
	return Line{}, false
}

// revision returns the last part of a line's build with an update; 0 when the line never got it.
func (l Line) revision(update string) int {
	for _, u := range l.Updates {
		if u.Name == update {
			return u.Revision
		}
	}
	return 0
}

// Within reports whether a build has one update and lacks a later one: "Jun26SU", "Sep26SU".
// Without from, every build below the later update is within.
func (b Build) Within(from, fixed string) bool {
	l, ok := b.Line()
	return ok && (from == "" || l.revision(from) > 0 && b.Revision >= l.revision(from)) &&
		l.revision(fixed) > 0 && b.Revision < l.revision(fixed)
}

// Has reports whether a build has an update of its line.
func (b Build) Has(update string) bool {
	l, ok := b.Line()
	return ok && l.revision(update) > 0 && b.Revision >= l.revision(update)
}

// Binds reports whether MRSProxy of this build ties a sign-in to its TLS channel.
func (b Build) Binds() Fitness {
	l, ok := b.Line()
	switch {
	case !ok:
		return Unfit
	case b.Compare(l.Bound) >= 0:
		return Fit
	case b == l.First:
		return Untold
	}
	return Unfit
}

// HandsOver reports whether Exchange Online takes mail of the organization from a server of this
// build without slowing it down.
func (b Build) HandsOver() Fitness {
	l, ok := b.Line()
	switch {
	case !ok:
		return Unfit
	case b.Compare(l.Floor) >= 0:
		return Fit
	case b == l.First:
		return Untold
	}
	return Unfit
}

// Route is how on-premises Exchange looks up free/busy in the tenant.
type Route string

const (
	RouteEWS   Route = "ews"
	RouteGraph Route = "graph"
)

// Fitness says whether a build can take a route.
type Fitness int

// Untold means: the cumulative update fits if a hotfix update is installed. The build number may
// not show that update.
const (
	Unfit Fitness = iota
	Untold
	Fit
)

// Fitness reports whether a server of this build can take a route.
func (b Build) Fitness(r Route) Fitness {
	l, ok := b.Line()
	if !ok {
		return Unfit
	}
	need := l.Dedicated
	if r == RouteGraph {
		need = l.Graph
	}
	switch {
	case need == Build{}:
		return Unfit
	case b.Compare(need) >= 0:
		return Fit
	case b == l.First:
		return Untold
	}
	return Unfit
}

// GraphFault says what is wrong with lookups through Microsoft Graph at a build that has them;
// zero: nothing is known. Source: the September 2026 security updates.
func (b Build) GraphFault() msg.Text {
	switch {
	case b.Fitness(RouteGraph) != Fit:
		return msg.Text{}
	case b.Compare(Build{15, 2, 2562, 49}) < 0:
		return msg.Of("busy times from the tenant are shifted by the asking user's time zone, without an error")
	case b.Compare(Build{15, 2, 2562, 53}) < 0:
		return msg.Of("lookups of delegates fail with 403 (Forbidden) where EWS is not allowed as well")
	}
	return msg.Text{}
}
