package ews

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/ews/soap"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// TimeZone is a SerializableTimeZone: Windows' way to say when clocks change, the same every year.
// The zero TimeZone is UTC.
type TimeZone struct {
	Bias               int // minutes to add to local time for UTC: 300 is New York, -60 Berlin
	Standard, Daylight Transition
}

// Transition is when one half of the year begins, in the local time that is valid before it. Month
// 0 means that there is none.
type Transition struct {
	Bias    int           // minutes added to the zone's
	Time    time.Duration // after midnight
	Order   int           // which such day of the month, 5 is the last
	Month   time.Month
	Weekday time.Weekday
}

// at is the transition's local wall clock in a year, as if in UTC.
func (t Transition) at(year int) time.Time {
	first := time.Date(year, t.Month, 1, 0, 0, 0, 0, time.UTC)
	day := 1 + (int(t.Weekday)-int(first.Weekday())+7)%7 + 7*(max(t.Order, 1)-1)
	for last := first.AddDate(0, 1, -1).Day(); day > last; {
		day -= 7
	}
	return time.Date(year, t.Month, day, 0, 0, 0, 0, time.UTC).Add(t.Time)
}

// changes reports whether the zone has a daylight saving time.
func (z TimeZone) changes() bool {
	return z.Standard.Month >= 1 && z.Standard.Month <= 12 && z.Daylight.Month >= 1 && z.Daylight.Month <= 12 &&
		z.Standard.Bias != z.Daylight.Bias
}

// daylight reports whether wall, a wall clock as if in UTC read as standard time, is in daylight
// saving time.
func (z TimeZone) daylight(wall time.Time) bool {
	start := z.Daylight.at(wall.Year())
	// The end is given in daylight time; both bounds are compared in standard time.
	end := z.Standard.at(wall.Year()).Add(time.Duration(z.Daylight.Bias-z.Standard.Bias) * time.Minute)
	if start.Before(end) {
		return !wall.Before(start) && wall.Before(end)
	}
	return !wall.Before(start) || wall.Before(end) // southern hemisphere
}

func (z TimeZone) bias(standardWall time.Time) time.Duration {
	bias := z.Bias + z.Standard.Bias
	if z.changes() && z.daylight(standardWall) {
		bias = z.Bias + z.Daylight.Bias
	}
	return time.Duration(bias) * time.Minute
}

// Local is the wall clock of t in the zone, as a time in UTC.
func (z TimeZone) Local(t time.Time) time.Time {
	t = t.UTC()
	standard := t.Add(-time.Duration(z.Bias+z.Standard.Bias) * time.Minute)
	return t.Add(-z.bias(standard))
}

// UTC is the moment at which the zone's clocks show wall, whose own location is ignored. In the
// repeated hour it is the earlier of two moments. In the skipped hour it is as if the clocks had
// not changed.
func (z TimeZone) UTC(wall time.Time) time.Time {
	wall = time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), wall.Second(),
		wall.Nanosecond(), time.UTC)
	if z.changes() {
		asDaylight := wall.Add(time.Duration(z.Bias+z.Daylight.Bias) * time.Minute)
		if z.Local(asDaylight).Equal(wall) {
			return asDaylight
		}
	}
	return wall.Add(time.Duration(z.Bias+z.Standard.Bias) * time.Minute)
}

// maxBias is a day. A larger bias is not a time zone.
const maxBias = 24 * 60

// parseTimeZone reads a t:TimeZone. Missing parts are zero; malformed numbers are an error.
func parseTimeZone(e *soap.Element) (TimeZone, error) {
	var z TimeZone
	var err error
	if z.Bias, err = parseBias(e.Value("Bias")); err != nil {
		return z, err
	}
	if z.Standard, err = parseTransition(e.Child("StandardTime")); err != nil {
		return z, err
	}
	z.Daylight, err = parseTransition(e.Child("DaylightTime"))
	return z, err
}

func parseBias(s string) (int, error) {
	if s == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < -maxBias || n > maxBias {
		return 0, fmt.Errorf("time zone: %q is not a bias in minutes", s)
	}
	return n, nil
}

func parseTransition(e *soap.Element) (Transition, error) {
	var t Transition
	if e == nil {
		return t, nil
	}
	var err error
	if t.Bias, err = parseBias(e.Value("Bias")); err != nil {
		return t, err
	}
	order, err1 := strconv.Atoi(zeroIfEmpty(e.Value("DayOrder")))
	month, err2 := strconv.Atoi(zeroIfEmpty(e.Value("Month")))
	if err1 != nil || err2 != nil || month < 0 || month > 12 || order < 0 || order > 31 {
		return t, fmt.Errorf("time zone: day order %q, month %q", e.Value("DayOrder"), e.Value("Month"))
	}
	t.Order, t.Month = min(order, 5), time.Month(month)
	t.Weekday, _ = parseWeekday(e.Value("DayOfWeek"))
	if s := e.Value("Time"); s != "" {
		clock, err := time.Parse("15:04:05", strings.TrimSuffix(s, ".0000000"))
		if err != nil {
			return t, fmt.Errorf("time zone: %q is not a time of day", s)
		}
		t.Time = clock.Sub(time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC))
	}
	return t, nil
}

func zeroIfEmpty(s string) string {
	if s == "" {
		return "0"
	}
	return s
}

// write is the t:TimeZone of z, with prefix t bound to Types.
func (z TimeZone) write(b *strings.Builder) {
	standard, daylight := z.Standard, z.Daylight
	if standard.Month == 0 { // the schema wants both; without a change they are alike
		standard = Transition{Order: 1, Month: time.January, Bias: standard.Bias}
		daylight = standard
	}
	fmt.Fprintf(b, `<t:TimeZone><t:Bias>%d</t:Bias>`, z.Bias)
	for _, half := range []struct {
		name string
		t    Transition
	}{{"StandardTime", standard}, {"DaylightTime", daylight}} {
		t := half.t
		fmt.Fprintf(b, `<t:%s><t:Bias>%d</t:Bias><t:Time>%s</t:Time><t:DayOrder>%d</t:DayOrder>`+
			`<t:Month>%d</t:Month><t:DayOfWeek>%s</t:DayOfWeek></t:%s>`,
			half.name, t.Bias, time.Time{}.Add(t.Time).Format("15:04:05"), max(t.Order, 1), max(t.Month,
				1), t.Weekday, half.name)
	}
	b.WriteString(`</t:TimeZone>`)
}

// timeLayouts are the forms of xs:dateTime that servers use; those without offset are in the
// request's time zone.
var timeLayouts = []struct {
	layout string
	zoned  bool
}{
	{"2006-01-02T15:04:05Z07:00", true},
	{"2006-01-02T15:04:05", false},
}

// parseTime reads an xs:dateTime; without offset it is a wall clock of z. 24:00:00 is the end of
// its day, as XML Schema has it.
func parseTime(s string, z TimeZone) (time.Time, error) {
	text, days := s, 0
	if day, rest, ok := strings.Cut(s, "T24:00:00"); ok {
		text, days = day+"T00:00:00"+rest, 1
	}
	for _, l := range timeLayouts {
		if t, err := time.Parse(l.layout, text); err == nil {
			t = t.AddDate(0, 0, days)
			if l.zoned {
				return t.UTC(), nil
			}
			return z.UTC(t), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time", link.Line(s))
}

// formatTime writes t as a wall clock of z.
func formatTime(t time.Time, z TimeZone) string { return z.Local(t).Format("2006-01-02T15:04:05") }
