package diagnose

import (
	"cmp"
	"io"
	"iter"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/hybridge-cli/hybridge/pkg/config/sorting"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/hcw"
)

// Explanation is what a text says about the cause of a failure.
type Explanation struct {
	// The version of the format: hybridge/v1.
	APIVersion string `json:"apiVersion"`
	// Always Explanation.
	Kind string `json:"kind"`
	// The causes, the most likely first; empty when nothing is known.
	Diagnoses []Diagnosis `json:"diagnoses"`
	// The bytes in the middle of a long text that were not looked at; absent when all were.
	Skipped int `json:"skipped,omitempty"`
	// What the headers of a message say; absent when the text has none.
	Message *Message `json:"message,omitempty"`
}

// Diagnosis is a suspected cause.
type Diagnosis struct {
	// The cause, as docs/reference/diagnoses.md lists it.
	ID ID `json:"id"`
	// How much the text alone says, from 0 to 1. The probe decides.
	Confidence float64 `json:"confidence"`
	// Where the cause lies: dns, network, tls, oauth, ews, mail, ...
	Layer string `json:"layer"`
	// The way that fails: any, online-to-onprem, onprem-to-online, forest-to-forest.
	Direction string `json:"direction"`
	Cause     string `json:"cause"`
	// How to find out whether this is the cause.
	Probe string `json:"probe"`
	// Who can fix it; none when there is nothing to fix.
	Owner string `json:"owner"`
	Fix   string `json:"fix"`
	// The kinds of resources that hybridge plan fixes it with.
	Plan []string `json:"plan,omitempty"`
	// The checks that find it.
	Checks []string `json:"checks,omitempty"`
	// The command of hybridge that looks whether it is this cause; absent where only a person can.
	Run string `json:"run,omitempty"`
	// It works as designed: there is nothing to fix.
	WorksAsDesigned bool `json:"worksAsDesigned,omitempty"`
	// The parts of the text that show it.
	Found []string `json:"found"`
	// Where it is described.
	See string `json:"see"`
}

func (r Row) diagnosis(confidence float64, found []string) Diagnosis {
	return Diagnosis{r.ID, confidence, r.Layer, r.Direction, r.Cause, r.Probe, r.Owner, r.Fix, r.Plan, r.finders(),
		r.command(), r.ByDesign, found, r.ID.Page()}
}

// Explain finds the causes in a text: errors, non-delivery reports, logs, headers of a message.
// headers says that the text is the headers of a message; they are recognized without it too.
func Explain(text string, headers bool) Explanation {
	e := Explanation{APIVersion: "hybridge/v1", Kind: "Explanation", Diagnoses: []Diagnosis{}}
	text, e.Skipped = bounded(failures(decoded(text)))
	m, causes := readMessage(text, headers)
	if m != nil {
		e.Message = m
		for _, c := range causes {
			if r, ok := Find(c.id); ok {
				e.Diagnoses = append(e.Diagnoses, r.diagnosis(c.confidence, c.found))
			}
		}
	}
	for _, d := range Suspects(text) {
		if !slices.ContainsFunc(e.Diagnoses, func(have Diagnosis) bool { return have.ID == d.ID }) {
			e.Diagnoses = append(e.Diagnoses, d)
		}
	}
	return e
}

// ends is how much of the beginning and of the end of a long text is looked at.
const ends = 1 << 20

// bounded leaves out the middle of a long text. Logs begin with what was tried, and end with why it
// failed.
func bounded(text string) (kept string, skipped int) {
	if len(text) <= 2*ends {
		return text, 0
	}
	return text[:ends] + "\n" + text[len(text)-ends:], len(text) - 2*ends
}

// most is how many causes are worth reading.
const most = 8

// Suspects lists the causes that a text shows, the most likely first.
func Suspects(text string) []Diagnosis { return suspects(text, "") }

// OfLookup lists the causes that the error of a lookup or message shows, those of its direction;
// those of all with AnyDirection.
func OfLookup(text, direction string) []Diagnosis { return suspects(text, direction) }

// suspects lists the causes of a text. A direction says that the text is the error of a lookup.
func suspects(text, direction string) []Diagnosis {
	whole := strings.TrimSpace(text)
	text = plain(failures(text))
	if text == "" {
		return nil
	}
	looked := textOf(text)
	inField := direction != "" || ofTheField(looked)
	traced := sync.OnceValue(func() bool { return frame().MatchString(whole) })
	type suspect struct {
		Diagnosis
		wrapper bool
		longest string // of the parts that were found
	}
	var found []suspect
	codes := codesIn(whole, text)
	for _, r := range Rows() {
		if direction != "" && direction != AnyDirection && r.Direction != direction && r.Direction != AnyDirection {
			continue
		}
		s := suspect{wrapper: r.Wrapper}
		confidence := 0.0
		add := func(part string, worth float64) {
			if !slices.Contains(s.Found, part) {
				s.Found = append(s.Found, part)
			}
			if len(part) > len(s.longest) {
				s.longest = strings.ToLower(part)
			}
			confidence = max(confidence, worth)
		}
		for _, c := range r.Codes {
			if codes[c] {
				add(c, r.Confidence-0.1)
			}
		}
		for _, p := range r.texts {
			if start, end := p.in(looked); end >= 0 {
				add(text[start:end], r.Confidence)
			}
		}
		for _, p := range r.vague {
			if start, end := p.in(looked); end >= 0 && (inField || !traced() && p.alone(text, start, end)) {
				add(text[start:end], r.Confidence-0.3)
			}
		}
		if confidence == 0 {
			continue
		}
		if r.Wrapper {
			confidence = min(confidence, 0.3)
		}
		s.Diagnosis = r.diagnosis(round(min(0.9, confidence+0.05*float64(len(s.Found)-1))), s.Found)
		found = append(found, s)
	}
	// A text within another row's text is less specific.
	for i, a := range found {
		if slices.ContainsFunc(found, func(b suspect) bool {
			return a.longest != b.longest && strings.Contains(b.longest, a.longest)
		}) {
			found[i].Confidence = round(max(0.1, a.Confidence-0.25))
		}
	}
	sorting.Stable(found, func(a, b suspect) int {
		return cmp.Or(last(a.wrapper, b.wrapper), cmp.Compare(b.Confidence, a.Confidence),
			cmp.Compare(len(b.longest), len(a.longest)))
	})
	var out []Diagnosis
	for _, s := range found[:min(most, len(found))] {
		out = append(out, s.Diagnosis)
	}
	return out
}

// last orders what is true behind what is false.
func last(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

func round(f float64) float64 { return float64(int(f*100+0.5)) / 100 }

var (
	// numberForm is a number in a plain text that a word before it makes a code, in the languages of
	// Outlook. statusForm is the status of SMTP. Both are looked for where a part of them is: a regular
	// expression alone takes a long time for a log.
	numberForm = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^(?:error|fehler|erreur|errore|fout|b[łl][ęe]du|ошибка|ошибки|エラー|错误|錯誤|오류|x-ms-diagnostics)` +
			`(?:[ -]?(?:code|nummer|number|代码|コード|코드))?\s*[:：#=]?\s*\(?(\d{4,10})\b`)
	})
	numberWords = []string{"error", "fehler", "erreur", "fout", "błędu", "błedu", "blędu", "bledu", "ошибк", "エラー",
		"错误", "錯誤", "오류", "x-ms-diagnostics"}
	statusForm = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?:\b[45]\d\d[ \-]#?|#)([45]\.7\.\d{2,3})\b`)
	})
)

// places are where a part is in a text.
func places(text, part string) iter.Seq[int] {
	return func(yield func(int) bool) {
		for from := 0; ; {
			at := strings.Index(text[from:], part)
			if at < 0 || !yield(from+at) {
				return
			}
			from += at + len(part)
		}
	}
}

// codesIn finds the codes of the table in a text. A short number is one only where it is all that
// was given, or where the text says that it is a code.
func codesIn(whole, text string) map[string]bool {
	found := map[string]bool{}
	add := func(candidate string) {
		if c, ok := findCode(candidate); ok {
			found[c.ID] = true
		}
	}
	if len(whole) < 40 {
		add(whole)
	}
	for _, w := range numberWords {
		for at := range places(text, w) {
			if m := numberForm().FindStringSubmatch(text[at:]); m != nil {
				add(m[1])
			}
		}
	}
	for at := range places(text, ".7.") {
		// With what stands before "450 #4.7.26", and behind it.
		if m := statusForm().FindStringSubmatch(text[max(0, at-7):min(len(text), at+7)]); m != nil {
			add(m[1])
		}
	}
	for w := range strings.FieldsFuncSeq(text, func(r rune) bool { return !wordy(r) && r != '-' }) {
		// Numbers of this length are in nothing else.
		if c, ok := byCode()[w]; ok && (len(w) == 10 || w[0] > '9') {
			found[c.ID] = true
		} else if strings.HasPrefix(w, "0x8033") || strings.HasPrefix(w, "-21441") {
			add(w)
		}
	}
	return found
}

// decoded is a text that Windows PowerShell or Notepad may have written as UTF-16.
func decoded(text string) string {
	out, err := io.ReadAll(hcw.Decoded(strings.NewReader(text)))
	if err != nil {
		return text
	}
	return string(out)
}

var (
	// A line of a stack trace, of .NET, Java, JavaScript.
	frame = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?m)^\s+at \S+[.(]`)
	})
	succeeded = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?mi)^\s*ResultType\s*:\s*Success\b`)
	})
)

// failures leaves out what succeeded: lines of the wizard's log without ERROR or WARNING, results
// of Test-OAuthConnectivity with Success.
func failures(text string) string {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	if strings.Contains(strings.ToLower(text), "resulttype") && succeeded().MatchString(text) {
		var kept []string
		for block := range strings.SplitSeq(text, "\n\n") {
			if !succeeded().MatchString(block) {
				kept = append(kept, block)
			}
		}
		text = strings.Join(kept, "\n\n")
	}
	var out strings.Builder
	logged, keep := false, true
	for line := range strings.Lines(text) {
		if l, ok := hcw.ParseLine(strings.TrimSuffix(line, "\n")); ok {
			logged, keep = true, l.Level != hcw.Information || strings.Contains(line, "does NOT go thr")
		}
		if keep || !logged {
			out.WriteString(line)
		}
	}
	return out.String()
}
