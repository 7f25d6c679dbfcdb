package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
)

// JSON writes one document, indented, with a final newline. No byte in it can act on a terminal.
func JSON(w io.Writer, document any) error {
	data, err := encode(document, "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}

// encode is JSON without HTML escapes, but with escapes for DEL, C1 control characters and those that reorder or hide text, which
// encoding/json leaves alone and terminals do not.
func encode(v any, indent string) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	for _, r := range b.String() {
		if r >= 0x7f && r < 0xa0 || r >= 0x200b && r <= 0x200f || r >= 0x202a && r <= 0x202e || r >= 0x2060 && r <= 0x206f || r == 0xfeff {
			fmt.Fprintf(&out, `\u%04x`, r)
			continue
		}
		out.WriteRune(r)
	}
	return out.Bytes(), nil
}

// Lines writes events as JSON lines, as they come: {"event": ..., "time": ..., "data": {...}}. The first says what the others are;
// Finish writes the last, "report", with the document that JSON would have written. It is an observe.Observer; the first error
// is kept for Finish.
type Lines struct {
	w   io.Writer
	now func() time.Time
	err error
}

type jsonLine struct {
	Event string    `json:"event"`
	Time  time.Time `json:"time"`
	Data  any       `json:"data"`
}

// NewLines begins a stream on w; version is hybridge's.
func NewLines(w io.Writer, version string) *Lines {
	l := &Lines{w: w, now: time.Now}
	l.begin(version)
	return l
}

func (l *Lines) begin(version string) {
	l.write("version", map[string]string{"apiVersion": "hybridge/v1", "kind": "EventStream", "hybridge": version})
}

// Observe writes one event.
func (l *Lines) Observe(e observe.Event) { l.write(e.Event(), e) }

// Finish writes the report and returns the first error of the stream. A nil report is left out.
func (l *Lines) Finish(report any) error {
	if report != nil {
		l.write("report", report)
	}
	return l.err
}

func (l *Lines) write(event string, data any) {
	if l.err != nil {
		return
	}
	var encoded []byte
	if encoded, l.err = encode(jsonLine{event, l.now().UTC(), data}, ""); l.err == nil {
		_, l.err = l.w.Write(encoded)
	}
}

type junitSuites struct {
	XMLName xml.Name     `xml:"testsuites"`
	Name    string       `xml:"name,attr"`
	Suites  []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Time     string      `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`

	ms int64
}

type junitCase struct {
	Class   string     `xml:"classname,attr"`
	Name    string     `xml:"name,attr"`
	Time    string     `xml:"time,attr"`
	Failure *junitText `xml:"failure"`
	Error   *junitText `xml:"error"`
	Skipped *junitText `xml:"skipped"`
	Out     string     `xml:"system-out,omitempty"`
}

type junitText struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

func seconds(ms int64) string { return fmt.Sprintf("%d.%03d", ms/1000, ms%1000) }

func (s *junitSuite) add(c junitCase, ms int64) {
	c.Time = seconds(ms)
	s.Tests++
	s.ms += ms
	switch {
	case c.Failure != nil:
		s.Failures++
	case c.Error != nil:
		s.Errors++
	case c.Skipped != nil:
		s.Skipped++
	}
	s.Cases = append(s.Cases, c)
}

// collect gives the suite of that name, new when it is the first of it.
func collect(suites []*junitSuite, name string) ([]*junitSuite, *junitSuite) {
	for _, s := range suites {
		if s.Name == name {
			return suites, s
		}
	}
	s := &junitSuite{Name: name}
	return append(suites, s), s
}

func writeJUnit(w io.Writer, name string, suites []*junitSuite) error {
	document := junitSuites{Name: name}
	for _, s := range suites {
		s.Time = seconds(s.ms)
		document.Suites = append(document.Suites, *s)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(document); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// JUnitChecks writes a check report as JUnit XML: a suite a category, a case a check and scope. Warnings pass, with their text.
func JUnitChecks(w io.Writer, r check.Report) error {
	var suites []*junitSuite
	for _, result := range r.Results {
		var suite *junitSuite
		suites, suite = collect(suites, result.Category)
		c := junitCase{Class: "hybridge." + string(result.ID), Name: line(result.Scope + ": " + result.Title)}
		text := &junitText{Message: Sanitize(result.Summary.String()), Text: Sanitize(explanation(result))}
		switch result.Status {
		case check.StatusFail:
			c.Failure = text
		case check.StatusError:
			c.Error = text
		case check.StatusSkip:
			c.Skipped = &junitText{Message: text.Message}
		case check.StatusWarn:
			c.Out = "warning: " + text.Message + "\n" + text.Text
		default:
			c.Out = text.Message
		}
		suite.add(c, result.DurationMS)
	}
	return writeJUnit(w, "hybridge check", suites)
}

// explanation is what a check result says beyond its summary.
func explanation(r check.Result) string {
	var b bytes.Buffer
	if !r.Detail.IsZero() {
		fmt.Fprintln(&b, r.Detail)
	}
	if !r.Remedy.Text.IsZero() {
		fmt.Fprintln(&b, "fix:", r.Remedy.Text)
	}
	for _, command := range r.Remedy.Commands {
		fmt.Fprintln(&b, "    "+command)
	}
	if r.Remedy.Docs != "" {
		fmt.Fprintln(&b, "see:", r.Remedy.Docs)
	}
	return b.String()
}

// JUnitApply writes what an apply or a rollback did: a suite a place, a case a change.
func JUnitApply(w io.Writer, r apply.Report) error {
	var suites []*junitSuite
	for _, o := range r.Changes {
		var suite *junitSuite
		suites, suite = collect(suites, o.Target)
		c := junitCase{Class: "hybridge." + o.Kind, Name: line(string(o.Action) + " " + o.ID)}
		switch o.Status {
		case apply.Failed:
			c.Failure = &junitText{Message: Sanitize(o.Error)}
		case apply.Pending:
			c.Skipped = &junitText{Message: Sanitize(o.Error)}
		default:
			c.Out = Sanitize(o.Note)
		}
		suite.add(c, o.DurationMS)
	}
	return writeJUnit(w, "hybridge apply", suites)
}

// JUnitLookups writes a free/busy matrix: a suite a direction, a case a question.
func JUnitLookups(w io.Writer, lookups []Lookup) error {
	var suites []*junitSuite
	for _, l := range lookups {
		var suite *junitSuite
		suites, suite = collect(suites, line(l.Direction))
		c := junitCase{Class: "hybridge.freebusy." + l.Probe, Name: line(l.From + " sees " + l.To)}
		switch l.Status {
		case "ok":
		case "failed":
			c.Failure = &junitText{Message: Sanitize(l.Error)}
		default:
			c.Error = &junitText{Message: Sanitize(l.Error)}
		}
		suite.add(c, l.LatencyMS)
	}
	return writeJUnit(w, "hybridge test", suites)
}
