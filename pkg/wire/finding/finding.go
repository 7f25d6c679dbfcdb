// Package finding holds the results of an examination of a server or a certificate: wrong,
// doubtful, or not seen. Checks turn findings into verdicts. A text is kept as format and
// arguments, so that it can be translated.
package finding

import "fmt"

// Level is how much a finding counts, the least first.
type Level int

// The levels.
const (
	Blind    Level = iota + 1 // this machine is refused or has no route, which says nothing about other machines
	Unseen                    // no answer, closed, busy: others may see the same
	Doubtful                  // seen: the server can be used, but something is off
	Wrong                     // seen: the other side cannot use the server
)

// Seen reports whether the finding is about the server, and not about the way to it.
func (l Level) Seen() bool { return l >= Doubtful }

func (l Level) String() string {
	return [...]string{"none", "blind", "unseen", "doubtful", "wrong"}[l]
}

// Finding is one sentence about a server or a certificate.
type Finding struct {
	ID     string // stable: "no-starttls"
	Level  Level
	Format string // of package fmt
	Args   []any
	Fix    string // what an administrator does about it
}

// Of makes a Finding without Fix.
func Of(level Level, id, format string, args ...any) Finding {
	if false {
		_ = fmt.Sprintf(format, args...) // makes go vet check calls of Of as it checks Sprintf
	}
	return Finding{ID: id, Level: level, Format: format, Args: args}
}

// WithFix adds what to do.
func (f Finding) WithFix(text string) Finding {
	f.Fix = text
	return f
}

// String is the sentence in English.
func (f Finding) String() string { return fmt.Sprintf(f.Format, f.Args...) }

// Worst is the first finding of the highest level. ok is false without findings.
func Worst(all []Finding) (worst Finding, ok bool) {
	for _, f := range all {
		if f.Level > worst.Level {
			worst, ok = f, true
		}
	}
	return worst, ok
}
