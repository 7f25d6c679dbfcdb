package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

var _ = register(Format{
	Name: "junit", About: "test results, for CI systems", Needs: Outcomes, Single: true,
	Open: func(w io.Writer, o Options) Writer {
		if o.Now == nil {
			o.Now = time.Now
		}
		return &junitWriter{w: w, begun: o.Now()}
	},
})

// junitWriter writes one file of results. A failure that comes before every result is the one
// result.
type junitWriter struct {
	w       io.Writer
	style   Style // English: a CI system follows the names of cases
	begun   time.Time
	written bool
}

type junitSuites struct {
	XMLName   xml.Name      `xml:"testsuites"`
	Name      string        `xml:"name,attr"`
	Timestamp string        `xml:"timestamp,attr"`
	Suites    []*junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name      string      `xml:"name,attr"`
	Timestamp string      `xml:"timestamp,attr"`
	Tests     int         `xml:"tests,attr"`
	Failures  int         `xml:"failures,attr"`
	Errors    int         `xml:"errors,attr"`
	Skipped   int         `xml:"skipped,attr"`
	Time      string      `xml:"time,attr"`
	Cases     []junitCase `xml:"testcase"`

	took time.Duration
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
	Type    string `xml:"type,attr,omitempty"`
	Text    string `xml:",chardata"`
}

func (j *junitWriter) Write(d Document) error {
	s := j.suites()
	v := d.View()
	s.Name = "hybridge " + v.Name
	j.collect(s, v)
	return j.write(s)
}

func (j *junitWriter) Fail(f Failure) error {
	if j.written {
		return nil
	}
	s := j.suites()
	s.Name = "hybridge"
	body := f.Message + "\n"
	if f.Hint != "" {
		body += "hint: " + f.Hint + "\n"
	}
	text := &junitText{Sanitize(f.Message), fmt.Sprintf("exit %d", f.Code), Sanitize(body)}
	s.suite("hybridge", j.stamp()).add(junitCase{Class: "hybridge", Name: "run", Error: text}, 0)
	return j.write(s)
}

func (*junitWriter) End(int) error { return nil }

func (j *junitWriter) suites() *junitSuites { return &junitSuites{Timestamp: j.stamp()} }

func (j *junitWriter) stamp() string { return j.begun.UTC().Format("2006-01-02T15:04:05") }

func (j *junitWriter) write(s *junitSuites) error {
	j.written = true
	for _, suite := range s.Suites {
		suite.Time = seconds(suite.took)
	}
	if _, err := io.WriteString(j.w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(j.w)
	e.Indent("", "  ")
	if err := e.Encode(s); err != nil {
		return err
	}
	_, err := io.WriteString(j.w, "\n")
	return err
}

// collect adds every finding and lookup of a View, those of its sections too.
func (j *junitWriter) collect(s *junitSuites, v View) {
	for _, b := range v.Blocks {
		switch b := b.(type) {
		case Section:
			j.collect(s, b.View)
		case Finding:
			name := line(b.Place + ": " + j.style.say(b.Title))
			if !b.Action.IsZero() {
				name = line(j.style.say(b.Action) + " " + b.ID)
			}
			c := junitCase{Class: line("hybridge." + b.Class), Name: name}
			j.outcome(&c, b)
			s.suite(line(b.Group), j.stamp()).add(c, b.Took)
		case Matrix:
			for _, l := range b.Lookups {
				c := junitCase{Class: line("hybridge.freebusy." + l.Probe), Name: line(j.style.say(l.Question()))}
				details := slices.DeleteFunc(slices.Clone(l.Details), func(b Block) bool { // the error in short
					return labelOf(b).IsZero()
				})
				j.outcome(&c, Finding{Status: l.Status, Summary: l.Error, Details: details})
				s.suite(line(l.Direction), j.stamp()).add(c, l.Took)
			}
		}
	}
}

// outcome says how a case went. What a time limit or a cancel cut off is an error: it was not
// decided.
func (j *junitWriter) outcome(c *junitCase, f Finding) {
	message := Sanitize(j.style.say(f.Summary))
	body := strings.TrimLeft(message+"\n"+j.body(f.Details), "\n") // many CI systems show the body alone
	switch {
	case f.Interrupted:
		c.Error = &junitText{message, "interrupted", body}
	case f.Status == Fail:
		c.Failure = &junitText{message, string(f.Status), body}
	case f.Status == Error || f.Status == Unknown:
		c.Error = &junitText{message, string(f.Status), body}
	case f.Status == Skip && f.Action.IsZero() || f.Status == Pending: // a change is skipped when it is in effect
		c.Skipped = &junitText{Message: message}
	case f.Status == Acknowledged:
		c.Skipped = &junitText{Message: strings.TrimSpace(j.body(f.Details[:min(1, len(f.Details))])), Text: body}
	case f.Status == Warn:
		c.Out = "warning: " + body
	default:
		c.Out = message
	}
}

// body is what is said beyond the summary, line by line.
func (j *junitWriter) body(details []Block) string {
	var b strings.Builder
	for _, d := range details {
		lead := ""
		if l := line(j.style.say(labelOf(d))); l != "" {
			lead = l + ": "
		}
		switch d := d.(type) {
		case Paragraph:
			fmt.Fprintln(&b, lead+j.style.say(d.Text))
		case Path:
			fmt.Fprintln(&b, lead+j.style.say(d.text()))
		case Command:
			if lead != "" {
				fmt.Fprintln(&b, strings.TrimSpace(lead))
			}
			for _, command := range d.Lines {
				fmt.Fprintln(&b, "    "+command)
			}
		}
	}
	return Sanitize(b.String())
}

// suite gives the suite of that name, new when it is the first of it.
func (s *junitSuites) suite(name, stamp string) *junitSuite {
	for _, suite := range s.Suites {
		if suite.Name == name {
			return suite
		}
	}
	suite := &junitSuite{Name: name, Timestamp: stamp}
	s.Suites = append(s.Suites, suite)
	return suite
}

func (s *junitSuite) add(c junitCase, took time.Duration) {
	c.Time = seconds(took)
	s.Tests++
	s.took += took
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

func seconds(d time.Duration) string {
	return fmt.Sprintf("%d.%03d", d.Milliseconds()/1000, d.Milliseconds()%1000)
}
