package report

import (
	"io"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/sorting"
)

// Format is one way to write documents.
type Format struct {
	Name  string
	About string // for whom
	Needs Trait  // what a verb must offer for the format to fit
	// Single formats write one document per run. They do not fit a verb that watches.
	Single bool
	Open   func(w io.Writer, o Options) Writer
}

// Options for a Writer.
type Options struct {
	Style   Style
	Version string           // of hybridge
	Now     func() time.Time // the clock of events; time.Now when nil
}

// Writer writes what one run of a verb hands over. A Writer that is an observe.Observer also writes
// the events while they happen.
type Writer interface {
	// Write writes a document. A verb that watches writes several.
	Write(d Document) error
	// Fail writes why the run failed, where the format has a place for that.
	Fail(f Failure) error
	// End closes the output with the run's exit code.
	End(code int) error
}

// Beginner is a Writer that writes which run it is, also when the run fails.
type Beginner interface{ Begin(a About) }

// Trait is what a verb offers to formats.
type Trait int

// The traits.
const (
	Documents Trait = 1 << iota // it hands over a document
	Outcomes                    // its document holds findings or a matrix
	Events                      // it reports events while it runs
	Rounds                      // it writes several documents
	Measures                    // its document says how the deployment is, in numbers
)

// APIVersion is the version of every document.
const APIVersion = "hybridge/v1"

// Failure is the document of a run that failed.
type Failure struct {
	// The version of the format: hybridge/v1.
	APIVersion string `json:"apiVersion"`
	// Always Error.
	Kind string `json:"kind"`
	// The exit code.
	Code int `json:"code"`
	// What happened: the object, the place and the cause.
	Message string `json:"message"`
	// What to do next.
	Hint string `json:"hint,omitempty"`
	// Where to read on: a command.
	See string `json:"see,omitempty"`
	// The run that failed; absent when it had not read its answers file.
	About About `json:"about,omitzero"`
}

var formats []Format

// register adds a format; every format's file calls it once.
func register(f Format) Format {
	formats = append(formats, f)
	sorting.Func(formats, func(a, b Format) int {
		rank := func(f Format) string { return strings.Replace(f.Name, "text", "", 1) } // the default comes first
		return strings.Compare(rank(a), rank(b))
	})
	return f
}

// Formats are the formats that fit a verb with these traits; the first is the default.
func Formats(has Trait) []Format {
	var fit []Format
	for _, f := range formats {
		if f.Needs&^has == 0 && (!f.Single || has&Rounds == 0) {
			fit = append(fit, f)
		}
	}
	return fit
}

// Named is the format of that name.
func Named(name string) (Format, bool) {
	i := slices.IndexFunc(formats, func(f Format) bool { return f.Name == name })
	if i < 0 {
		return Format{}, false
	}
	return formats[i], true
}

// Names are the names of the formats that fit a verb with these traits.
func Names(has Trait) []string {
	var names []string
	for _, f := range Formats(has) {
		names = append(names, f.Name)
	}
	return names
}
