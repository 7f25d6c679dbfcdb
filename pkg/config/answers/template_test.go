package answers

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
)

// TestTemplateFiles compares the files of init with the questions that they are made from.
func TestTemplateFiles(t *testing.T) {
	for _, s := range scenarios {
		path := "../../../templates/answers/" + s.ID + ".yaml"
		want := recipes[s.ID].template(s.Title)
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), strings.ReplaceAll(string(got), "\r\n", "\n")); diff != "" {
			t.Errorf("%s is not what the questions say; run make docs (-want +got):\n%s", path, diff)
		}
	}
}

// recipe is what the file of a scenario says.
type recipe struct {
	forests  int
	answers  map[string]string // that the file gives already, by the keys of questions
	examples map[string]string // instead of the questions' own
	looks    bool              // validate alone
}

// attended is how a person at a terminal signs in; pipeline is how a pipeline does.
var (
	attended = map[string]string{
		"exchangeOnline.cloud":               "worldwide",
		"exchangeOnline.credential.kind":     string(CredentialDeviceCode),
		"forests[].directory.bind.kind":      string(CredentialKerberos),
		"forests[].exchange.credential.kind": string(CredentialKerberos),
		"forests[].certificate.password":     "prompt",
	}
	pipeline = with(attended, map[string]string{
		"exchangeOnline.credential.kind":     string(CredentialCertificate),
		"exchangeOnline.credential.password": "env:APP_PFX_PASSWORD",
		"forests[].directory.bind.kind":      string(CredentialKeytab),
		"forests[].exchange.credential.kind": string(CredentialKeytab),
		"forests[].certificate.password":     "env:PFX_PASSWORD",
	})
)

func with(answers, more map[string]string) map[string]string {
	all := maps.Clone(answers)
	maps.Copy(all, more)
	return all
}

var recipes = map[string]recipe{
	"single-forest": {1, attended, nil, false},
	"multi-forest":  {2, attended, nil, false},
	"unattended":    {1, pipeline, nil, false},
	"gcc-high": {1, with(attended, map[string]string{"exchangeOnline.cloud": "gcc-high"}),
		map[string]string{"exchangeOnline.tenant": "contoso.onmicrosoft.us"}, false},
	"21vianet": {1, with(attended, map[string]string{"exchangeOnline.cloud": "21vianet"}),
		map[string]string{"exchangeOnline.tenant": "contoso.partner.onmschina.cn"}, false},
	"workmail": {1, with(attended, map[string]string{"workmail.region": "us-east-1",
		"workmail.account.password": "prompt", "forests[].workmail.password": "prompt"}), nil, false},
	"help-desk": {1, attended, nil, true},
}

// templateAsks are the optional questions that a file asks all the same.
var templateAsks = []string{"forests[].directory.servers", "forests[].certificate.pfx", "tests.pairs[].from",
	"tests.pairs[].to"}

func (s recipe) template(title string) []byte {
	w := &sketch{}
	fmt.Fprintf(&w.out, "%s\n# hybridge answers: %s.\n", Header, title)
	then := "hybridge check -f FILE"
	if s.looks {
		then = "hybridge validate freebusy FROM TO -f FILE"
	}
	fmt.Fprintf(&w.out, "# Replace every <placeholder>; remove what you do not use. Then: %s\n", then)
	fmt.Fprintf(&w.out, "# Secrets stand here by reference only: %s.\n\napiVersion: %s\nkind: %s\n", secret.Forms,
		APIVersion, Kind)
	if s.looks {
		w.out.WriteString("\n# Nothing is applied, sent or written with this file. Its accounts only read:\n" +
			"# hybridge help validate-rights lists what they need.\nvalidateOnly: true\n")
	}
	for _, section := range sections {
		if section.ID == "workmail" && s.answers["workmail.region"] == "" || section.ID == "cloud" &&
			s.answers["workmail.region"] != "" || section.PerForest {
			continue
		}
		if section.ID == "network" { // what is asked per forest comes before
			s.forestsOf(w)
		}
		for _, q := range questions {
			if q.Section == section.ID {
				s.put(w, q, q.Key, !section.PerForest && (section.ID == "organization" || section.ID == "network"))
			}
		}
	}
	return []byte(w.out.String())
}

// forestsOf writes the forests, and behind them their lookups in both directions.
func (s recipe) forestsOf(w *sketch) {
	for i := range s.forests {
		for _, q := range questions {
			if strings.HasPrefix(q.Key, "forests[]") {
				s.put(w, q, keyFor(q.Key, i), false)
			}
		}
	}
	for i := range s.forests {
		if s.looks {
			break
		}
		from, _ := questionFor("tests.pairs[].from")
		to, _ := questionFor("tests.pairs[].to")
		s.put(w, from, pairKey(2*i, "from"), false)
		s.put(w, to, pairKey(2*i, "to"), false)
		w.line(pairKey(2*i+1, "from"), "", s.placeholder(to), false)
		w.line(pairKey(2*i+1, "to"), "", s.placeholder(from), false)
	}
}

// put writes a question: with the scenario's answer, as a placeholder, as a comment, or not at all.
func (s recipe) put(w *sketch, q Question, key string, optional bool) {
	if s.looks && (q.Key == "features" || q.Key == "retire" || strings.HasPrefix(q.Key, "forests[].certificate") ||
		strings.HasPrefix(q.Key, "tests.")) {
		return
	}
	comment := q.about()
	if slices.Contains(templateAsks, q.Key) {
		comment += " May be left out."
	}
	switch {
	case s.answers[q.Key] != "":
		w.line(key, comment, scalar(s.answers[q.Key]), false)
	case q.Required && s.asks(q) || slices.Contains(templateAsks, q.Key) || s.ofWorkMail(q):
		w.line(key, comment, s.placeholder(q), false)
	case optional && q.Kind == ManyAnswer:
		w.line(key, comment, "["+strings.Join(q.Choices, ", ")+"]", true)
	case optional:
		w.line(key, comment, asked(q.Key), true)
	}
}

// ofWorkMail reports whether a file about WorkMail asks an optional question of its sections.
func (s recipe) ofWorkMail(q Question) bool {
	return s.answers["workmail.region"] != "" && (q.Section == "workmail" || q.Section == "interoperability")
}

func (s recipe) asks(q Question) bool {
	return !slices.ContainsFunc(q.When, func(c Condition) bool { return !slices.Contains(c.In, s.answers[c.Key]) })
}

func (s recipe) placeholder(q Question) string {
	example := q.Example
	if other := s.examples[q.Key]; other != "" {
		example = other
	}
	text := "<" + lowerFirst(q.Label) + ", such as " + example + ">"
	if q.Kind == ListAnswer {
		return `["` + text + `"]`
	}
	return text
}

// sketch writes YAML with comments, key after key.
type sketch struct {
	out  strings.Builder
	path []string // of the last key
}

// line writes one key with the mappings around it; off, as a comment.
func (w *sketch) line(key string, comment, value string, off bool) {
	tokens := splitKey(key)
	last := len(tokens) - 1
	same := 0
	for same < last && same < len(w.path)-1 && tokens[same] == w.path[same] {
		same++
	}
	first := same // that differs from the key before
	if first == 0 || first == 1 && isIndex(tokens[1]) && first < last || tokens[0] == "forests" && first == 2 &&
		last > 2 {
		w.out.WriteByte('\n')
	}
	dash := false
	write := func(depth int, text string) {
		lead := strings.Repeat("  ", depth)
		if dash && !strings.HasPrefix(text, "#") {
			lead, dash = strings.Repeat("  ", depth-1)+"- ", false
		} else if dash {
			lead = strings.Repeat("  ", depth-1)
		}
		if off {
			lead = "# " + lead
		}
		w.out.WriteString(lead + text + "\n")
	}
	for i := first; i < last; i++ {
		if isIndex(tokens[i]) {
			dash = true
		} else {
			write(i, tokens[i]+":")
		}
	}
	for _, text := range fold(comment, 96-2*last) {
		if !off || last > 0 { // a key at the left is a comment with its comment
			text = "# " + text
		}
		write(last, text)
	}
	write(last, tokens[last]+": "+value)
	w.path = tokens
}

// fold breaks a text at blanks.
func fold(s string, width int) []string {
	var lines []string
	for word := range strings.FieldsSeq(s) {
		if n := len(lines); n > 0 && len(lines[n-1])+1+len(word) <= width {
			lines[n-1] += " " + word
		} else {
			lines = append(lines, word)
		}
	}
	return lines
}

// about is everything that is said of a key.
func (q Question) about() string {
	text := q.Help
	if q.Why != "" {
		text += " " + q.Why
	}
	if q.Default != "" {
		text += " Default: " + q.Default + "."
	}
	return text
}
