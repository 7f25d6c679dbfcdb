package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

var _ = register(Format{
	Name: "openmetrics", About: "a file of gauges, for Prometheus' node exporter", Needs: Measures, Single: true,
	Open: func(w io.Writer, o Options) Writer {
		if o.Now == nil {
			o.Now = time.Now
		}
		return &metricsWriter{w: w, style: o.Style, now: o.Now, begun: o.Now(), families: map[string]*family{}}
	},
})

// families are the metrics, in the order of the file. All are gauges, without types and suffixes
// that OpenMetrics and Prometheus' older text format read differently: the node exporter reads the
// older one. The words after the name are its HELP, which must be the same in every file.
var families = []struct{ name, help string }{
	{"hybridge_run_timestamp_seconds", "When the run began, in seconds since 1970."},
	{"hybridge_run_duration_seconds", "How long the run took."},
	{"hybridge_run_exit_code", "The exit code of the run: 0 fine, 3 a failure, 9 something required could not be " +
		"read."},
	{"hybridge_findings", "How many checks ended with this status."},
	{"hybridge_check_state", "How a check ended: 0 passed, 1 acknowledged, 2 warning, 3 unknown, 4 failed. " +
		"A skipped check has none."},
	{"hybridge_lookups", "How many lookups ended with this status."},
	{"hybridge_lookup_state", "How a lookup ended: 0 works, 2 pending, 3 unknown, 4 failed."},
	{"hybridge_lookup_duration_seconds", "How long a lookup took."},
	{"hybridge_changes", "How many changes a plan has that are not made yet."},
}

// metricsWriter collects samples and writes them at the end, when the exit code is known.
type metricsWriter struct {
	w        io.Writer
	style    Style
	now      func() time.Time
	begun    time.Time
	about    About
	families map[string]*family
}

// family is the samples of one metric. Of two with the same labels, the larger value counts: the
// node exporter refuses a file with both as a whole.
type family struct {
	labels []string // in the order in which they came
	values map[string]float64
}

func (m *metricsWriter) Begin(a About) { m.about = a }

func (m *metricsWriter) Write(d Document) error {
	m.collect(d.View(), m.about)
	return nil
}

// Fail writes nothing: End says how the run ended.
func (*metricsWriter) Fail(Failure) error { return nil }

// End writes the file. A run that failed has one too: its exit code is what an alert needs.
func (m *metricsWriter) End(code int) error {
	m.ran(m.about, m.begun, m.now().Sub(m.begun), code)
	var b strings.Builder
	for _, known := range families {
		f := m.families[known.name]
		if f == nil {
			continue
		}
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %[1]s gauge\n", known.name, known.help)
		for _, labels := range f.labels {
			fmt.Fprintf(&b, "%s{%s} %s\n", known.name, labels, strconv.FormatFloat(f.values[labels], 'f', -1, 64))
		}
	}
	b.WriteString("# EOF\n")
	_, err := io.WriteString(m.w, b.String())
	return err
}

// ran adds how a run ended.
func (m *metricsWriter) ran(about About, begun time.Time, took time.Duration, code int) {
	m.add("hybridge_run_timestamp_seconds", float64(begun.Unix()), run(about)...)
	m.add("hybridge_run_duration_seconds", took.Seconds(), run(about)...)
	m.add("hybridge_run_exit_code", float64(code), run(about)...)
}

// run are the labels of one run.
func run(a About) []string { return []string{"deployment", a.Deployment, "verb", a.Verb} }

// add adds a sample, with its labels by name and value.
func (m *metricsWriter) add(name string, value float64, labels ...string) {
	var pairs []string
	for i := 0; i < len(labels); i += 2 {
		text := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(line(labels[i+1]))
		pairs = append(pairs, labels[i]+`="`+text+`"`)
	}
	key := strings.Join(pairs, ",")
	f := m.families[name]
	if f == nil {
		f = &family{values: map[string]float64{}}
		m.families[name] = f
	}
	before, twice := f.values[key]
	if !twice {
		f.labels = append(f.labels, key)
		before = value
	}
	f.values[key] = max(before, value)
}

// collect adds the samples of a View. A section that is of another run has its own labels.
func (m *metricsWriter) collect(v View, about About) {
	if v.About != (About{}) {
		about = v.About
	}
	labels := run(about)
	own := View{}
	for _, b := range v.Blocks {
		switch b := b.(type) {
		case Section:
			m.collect(b.View, about)
			continue
		case Diff:
			for _, a := range actions {
				n := 0
				for _, c := range b.Changes {
					if c.Action == a.action {
						n++
					}
				}
				m.add("hybridge_changes", float64(n), append(labels, "action", string(a.action))...)
			}
		}
		own.Blocks = append(own.Blocks, b)
	}
	checks, lookups := map[Status]int{}, map[Status]int{}
	for _, o := range OutcomesOf(own) {
		if l := o.Lookup; l != nil {
			of := append(labels, "direction", l.Direction, "from", l.From, "to", l.To, "by", l.Probe)
			m.add("hybridge_lookup_state", float64(l.Status.Weight()), of...)
			m.add("hybridge_lookup_duration_seconds", l.Took.Seconds(), of...)
			lookups[o.Status]++
			continue
		}
		if o.Status != Skip {
			place := strings.TrimPrefix(o.Place, about.Deployment+": ") // of a member
			m.add("hybridge_check_state", float64(o.Status.Weight()), append(labels, "id", o.ID, "place", place)...)
		}
		checks[o.Status]++
	}
	if p := v.Member; p != nil {
		m.ran(about, about.Time, p.Took, p.Code)
		checks = p.Counts
	}
	m.count("hybridge_findings", checks, []Status{Pass, Acknowledged, Warn, Error, Fail, Skip}, labels)
	m.count("hybridge_lookups", lookups, []Status{OK, Pending, Unknown, Fail}, labels)
}

// count adds how many there are of each status, zero too: an alert compares with it.
func (m *metricsWriter) count(name string, counts map[Status]int, statuses []Status, labels []string) {
	if len(counts) == 0 {
		return
	}
	for _, s := range statuses {
		m.add(name, float64(counts[s]), append(labels, "status", string(s))...)
	}
}
