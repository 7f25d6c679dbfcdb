package report

import (
	"cmp"
	"io"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
)

var _ = register(Format{
	Name: "jsonl", About: "one event per line, as it happens", Needs: Events,
	Open: func(w io.Writer, o Options) Writer { return newLines(w, o) },
})

// lines writes events as JSON lines, as they come. The first says what the others are; a "report"
// holds the document that JSON writes, an "error" the failure, and "end", the last, the exit code.
// The first error of the writer is kept for Write, Fail and End, and nothing is written after it.
type lines struct {
	w   io.Writer
	now func() time.Time
	err error
}

// Line is one line of the format jsonl.
type Line struct {
	// The event's name: version, started, progress, waiting, warning, check, change, lookup,
	// deployment, report, error or end.
	Event string `json:"event"`
	// When it happened, in UTC.
	Time time.Time `json:"time"`
	// What the event carries.
	Data any `json:"data"`
}

// Stream is the data of the first line.
type Stream struct {
	// The version of the format: hybridge/v1.
	APIVersion string `json:"apiVersion"`
	// The version of hybridge.
	Hybridge string `json:"hybridge"`
	// Always EventStream.
	Kind string `json:"kind"`
}

// Ended is the data of the last line.
type Ended struct {
	// The exit code of the run.
	ExitCode int `json:"exitCode"`
}

var _ observe.Observer = (*lines)(nil)

func newLines(w io.Writer, o Options) *lines {
	l := &lines{w: w, now: o.Now}
	if l.now == nil {
		l.now = time.Now
	}
	_ = l.write("version", Stream{APIVersion, o.Version, "EventStream"})
	return l
}

func (l *lines) Observe(e observe.Event) { _ = l.write(e.Event(), e) }

func (l *lines) Write(d Document) error { return l.write("report", data(d)) }

func (l *lines) Fail(f Failure) error { return l.write("error", f) }

func (l *lines) End(code int) error { return l.write("end", Ended{code}) }

func (l *lines) write(event string, data any) error {
	if l.err == nil {
		var encoded []byte
		if encoded, l.err = encode(Line{event, l.now().UTC(), data}, ""); l.err == nil {
			_, err := l.w.Write(encoded)
			l.err = cmp.Or(err, l.err)
		}
	}
	return l.err
}
