// Package snapshot keeps what a run reads of all systems in one file, and answers from it later.
// A reading is kept where hybridge asks a system: a cmdlet, a request to Microsoft Graph or Amazon
// WorkMail, the directory, the network. What is derived from readings is derived again.
package snapshot

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// Kind is the kind of the document.
const Kind = "Snapshot"

// Snapshot is what a run read of all systems. It holds no secret.
type Snapshot struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	// Hybridge is the version that made it.
	Hybridge string `json:"hybridge"`
	// TakenAt is the clock of the snapshot: dates and lifetimes are judged by it.
	TakenAt time.Time `json:"takenAt"`
	// Redacted says that names and addresses are replaced.
	Redacted bool `json:"redacted,omitempty"`
	// Answers are the answers file that named the systems, see: hybridge schema answers.
	Answers json.RawMessage `json:"answers"`
	// Roots are the trusted authorities of the certificates that were seen, as base64 of their DER.
	Roots    [][]byte  `json:"roots,omitempty"`
	Readings []Reading `json:"readings"`
}

// Reading is one question and its answer.
type Reading struct {
	// Place is a forest by its name in the answers, tenant, workmail, network or here.
	Place  string `json:"place"`
	System string `json:"system"`
	Ask    string `json:"ask"`
	// Shape is a fingerprint of the form of the answer.
	Shape string `json:"shape"`
	// Answer is what the system said.
	Answer json.RawMessage `json:"answer,omitempty"`
	// Error is why there is no answer, or no whole one.
	Error *Failure `json:"error,omitempty"`
}

// ErrFormat says that a file is not a snapshot that this version reads.
var ErrFormat = errors.New("not a snapshot")

// Encode writes the snapshot with one reading per line, so that ordinary tools can compare two.
func (s Snapshot) Encode() []byte {
	head := s
	head.Readings = nil
	var b bytes.Buffer
	raw, err := report.Compact(head)
	if err != nil {
		panic(err) // every form in it was encoded already
	}
	b.Write(bytes.TrimSuffix(raw, []byte("\"readings\":null}\n")))
	b.WriteString("\"readings\":[")
	for i, r := range s.Readings {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('\n')
		raw, err := report.Compact(r)
		if err != nil {
			panic(err)
		}
		b.Write(bytes.TrimSpace(raw))
	}
	b.WriteString("\n]}\n")
	return b.Bytes()
}

// View shows the file as it is.
func (s Snapshot) View() report.View {
	return report.View{Name: "snapshot", Blocks: []report.Block{report.Source{Language: "json",
		Text: string(s.Encode())}}}
}

// notThere are the errors that answer a question: what was asked for does not exist.
var notThere = []string{"dns.absent", "dns.empty", "exchange.notFound", "entra.notFound", "workmail.notFound"}

// Failed are the readings without an answer.
func (s Snapshot) Failed() (n int) {
	for _, r := range s.Readings {
		if r.Error != nil && !slices.ContainsFunc(r.Error.Is, func(class string) bool {
			return slices.Contains(notThere, class)
		}) {
			n++
		}
	}
	return n
}

// Limits of a snapshot. One of 100,000 mailboxes has some 50 MB. Objects of remote PowerShell nest up
// to 96 times, with a few levels of JSON each.
const (
	maxSize  = 1 << 30
	maxDepth = 500
)

var errDeep = fmt.Errorf("%w: it is nested deeper than %d levels", ErrFormat, maxDepth)

// deep reports whether a value is nested deeper than an answer is. To read it would take time in
// proportion to the square of its depth.
func deep(raw []byte) bool {
	depth, quoted := 0, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// deep reports whether a part of a reading is.
func (r Reading) deep() bool {
	if r.Error != nil {
		for _, t := range r.Error.As {
			if deep(t.Value) {
				return true
			}
		}
	}
	return deep(r.Answer)
}

// Decode reads a snapshot.
func Decode(in io.Reader) (Snapshot, error) {
	var s Snapshot
	limited := &io.LimitedReader{R: in, N: maxSize}
	d := json.NewDecoder(limited)
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		var syntax *json.SyntaxError
		switch {
		case limited.N <= 0:
			err = fmt.Errorf("it is larger than %d MB", maxSize>>20)
		case s.Kind != "" && s.Kind != Kind: // its keys are those of another document
			err = fmt.Errorf("a document of kind %q", s.Kind)
		case errors.Is(err, io.EOF):
			err = errors.New("the file is empty")
		case errors.As(err, &syntax):
			err = errors.New("it is not JSON")
		case errors.Is(err, io.ErrUnexpectedEOF):
			err = errors.New("the file ends too early")
		}
		return Snapshot{}, fmt.Errorf("%w: %s", ErrFormat, link.Line(err.Error()))
	}
	switch {
	case s.Kind != Kind:
		return Snapshot{}, fmt.Errorf("%w: a document of kind %q", ErrFormat, link.Line(s.Kind))
	case s.APIVersion != report.APIVersion:
		return Snapshot{}, fmt.Errorf("%w: it is of version %q, and this hybridge reads %s", ErrFormat,
			link.Line(s.APIVersion), report.APIVersion)
	case s.TakenAt.IsZero():
		return Snapshot{}, fmt.Errorf("%w: takenAt is missing", ErrFormat)
	}
	if deep(s.Answers) {
		return Snapshot{}, errDeep
	}
	if _, err := s.Deployment(); err != nil {
		return Snapshot{}, err
	}
	seen := map[asked]bool{}
	for _, r := range s.Readings {
		at := asked{r.Place, r.System, r.Ask}
		if seen[at] {
			return Snapshot{}, fmt.Errorf("%w: %s %s is there twice", ErrFormat, link.Line(r.Place), link.Line(r.Ask))
		}
		seen[at] = true
		if r.deep() {
			return Snapshot{}, errDeep
		}
		if strings.TrimSpace(r.Ask) == "" {
			return Snapshot{}, fmt.Errorf("%w: a reading has no question", ErrFormat)
		}
	}
	if _, err := s.Pool(); err != nil {
		return Snapshot{}, err
	}
	return s, nil
}

// Deployment are the answers of the snapshot.
func (s Snapshot) Deployment() (answers.Answers, error) {
	return answers.Parse("the answers of the snapshot", s.Answers)
}

// Pool holds the trusted authorities of the snapshot.
func (s Snapshot) Pool() (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	for _, der := range s.Roots {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("%w: roots: %s", ErrFormat, link.Line(err.Error()))
		}
		pool.AddCert(c)
	}
	return pool, nil
}
