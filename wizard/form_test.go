package wizard

import (
	"bytes"
	"os"
	"strings"
	"testing"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
)

var _ = pass[*formScreen]("", "")

func TestFormScreen(t *testing.T) {
	b := sit(t, 80, 24, "", newFake())
	b.walk(step{"", "Which organization"}, step{"<down><enter>", "Organization"},
		step{"Contoso<pgdown><down>https://contoso<down>", "is a URL"})
	b.goldens("form")

	b, _ = open[*formScreen](t, given{})
	b.walk(step{"<pgdown><pgdown><pgdown><pgdown><down><down><down><down>plain", "!  that is not"})
	b.goldens("form-forest")

	b = sit(t, 80, 24, strings.Replace(valid, "tenant: contoso.onmicrosoft.com",
		"tenant: contoso.partner.onmschina.cn", 1), newFake())
	b.until("1 answer missing or wrong")
	b.goldens("form-faults")
}

// A form is filled in from nothing; the file is valid, and its secrets are references.
func TestForm(t *testing.T) {
	b := sit(t, 100, 30, "", newFake())
	b.walk(
		step{"", "Which organization"},
		step{"<enter>", "ctrl+s"},
		step{"<ctrl+s>", "missing or wrong; this is the first"},
		step{"Contoso<pgdown><down>contoso.onmicrosoft.com", "contoso.onmicrosoft.com"},
		step{"<pgdown>contoso<down>contoso.com, " +
			"bücher.example<down>autodiscover.contoso.com<down>mail.contoso.com<down>mail.contoso.com", "SMTP host"},
		step{"<pgdown>dc1.contoso.com<down><down><down><right><right>", "< password >"},
		step{"<down>svc@contoso.com<down>Hunter2", "!  that is not a reference"},
		step{"<ctrl+u>keyring:hybridge/contoso<pgdown>ex1.contoso.com", "ex1.contoso.com"},
		step{"<ctrl+s>", "These are the answers"},
		step{"e<pgdown><pgup>", "The organization's name, for reports"},
	)
	b.press("<ctrl+c>")
	b.left()
	if err := b.m.save(); err != nil {
		t.Fatal(err)
	}
	a, err := answers.Load(t.Context(), b.m.file.name())
	if err != nil {
		t.Fatal(err)
	}
	if a.Forests[0].Domains[1] != "xn--bcher-kva.example" ||
		a.Forests[0].Directory.Bind.Password != "keyring:hybridge/contoso" || a.Forests[0].Certificate != nil {
		t.Errorf("got %+v", a.Forests[0])
	}
	data, _ := os.ReadFile(b.m.file.name())
	if bytes.Contains(data, []byte("Hunter2")) || !bytes.Contains(data, []byte("# The organization's name")) {
		t.Errorf("a secret is in the file, or its comments are not:\n%s", data)
	}
}

// A reference that is typed where one stands replaces it; what is no reference yet stays, unseen,
// until it is completed, wherever the person goes meanwhile. It never reaches the file.
func TestTypedReference(t *testing.T) {
	toPassword := "<pgdown><pgdown><pgdown><pgdown><down><down><down><down>"
	b, _ := open[*formScreen](t, given{})
	b.walk(step{toPassword, "prompt"}, step{"keyring:hybridge/svc", "keyring:hybridge/svc"},
		step{"<ctrl+s>", "These are the answers"})
	if got := b.m.answers.Forests[0].Exchange.Credential.Password; got != "keyring:hybridge/svc" {
		t.Errorf("typed over what stood there: %q", got)
	}

	b, _ = open[*formScreen](t, given{})
	b.walk(step{toPassword + "<end>", "prompt"}, step{"<backspace>", "promp"},
		step{"<pgdown><pgup>" + strings.Repeat("<down>", 4), "promp"},
		step{"<ctrl+s>", "no reference to a secret yet"}, step{"<ctrl+u>Hunter2<up>",
			"(typed, not complete)"}, step{"<down>", "*******"},
		step{"<pgup><pgup><ctrl+s>", "*******"}, step{"<esc>", "Not all answers"}, step{"<ctrl+u>env:PW<ctrl+s>",
			"These are the answers"})
	if got := b.m.answers.Forests[0].Exchange.Credential.Password; got != "env:PW" {
		t.Errorf("completed: %q", got)
	}
	if data, _ := os.ReadFile("answers.yaml"); bytes.Contains(data, []byte("Hunter2")) {
		t.Errorf("a secret is in the file:\n%s", data)
	}
	// Under the other kind, nothing asks for the draft any more.
	b, f := open[*formScreen](t, given{})
	b.walk(step{toPassword + "x", "!  that is not"}, step{"<up><up><left><left>", "< kerberos >"},
		step{"<ctrl+s>", "These are the answers"})
	if len(f.drafts) != 0 {
		t.Error("the draft stays")
	}
}

// The account for EWS is asked, and is gone when it is not given any more; one pair of users per
// forest becomes lookups in both directions.
func TestAccountAndPairs(t *testing.T) {
	b, _ := open[*formScreen](t, given{})
	b.walk(step{"<pgdown><pgdown><pgdown><pgdown>" + strings.Repeat("<down>", 5), "Ask for free/busy as"},
		step{"<right><right><right>", "< password >"},
		step{"<down>anna@contoso.com<down>prompt", "prompt"}, step{"<pgdown><pgdown><pgdown>", "anna@contoso.com"})
	b.walk(step{strings.Repeat("<pgdown>", 6), "User in the cloud"},
		step{"gina@fabrikam.example<down>bob@contoso.com", "bob@contoso.com"}, step{"<ctrl+s>",
			"These are the answers"})
	a := b.m.answers
	if ews := a.Forests[0].Exchange.EWS; ews == nil || ews.User != "anna@contoso.com" || ews.Password != "prompt" {
		t.Errorf("account: %+v", ews)
	}
	want := []answers.Pair{{From: "anna@contoso.com", To: "bob@contoso.com"},
		{From: "gina@fabrikam.example", To: "bob@contoso.com"}, {From: "bob@contoso.com", To: "gina@fabrikam.example"}}
	if len(a.Tests.Pairs) != 3 || a.Tests.Pairs[1] != want[1] || a.Tests.Pairs[2] != want[2] ||
		a.Tests.Pairs[0] != want[0] {
		t.Errorf("lookups: %+v", a.Tests.Pairs)
	}
	b.walk(step{"e<pgdown><pgdown><pgdown><pgdown>" + strings.Repeat("<down>", 5) + "<backspace>",
		"the account above"}, step{"<ctrl+s>", "These are the answers"})
	if b.m.answers.Forests[0].Exchange.EWS != nil {
		t.Error("the account stays")
	}
}

// One answer changes; comments, order and every other line of the file stay.
func TestEditKeepsTheFile(t *testing.T) {
	b, _ := open[*formScreen](t, given{})
	b.walk(step{"<ctrl+u>Fabrikam", "Fabrikam"}, step{"<ctrl+s>", "These are the answers"})
	b.wait("never saved", func() bool {
		data, _ := os.ReadFile("answers.yaml")
		return bytes.Contains(data,
			[]byte("Fabrikam"))
	})
	data, _ := os.ReadFile("answers.yaml")
	if want := strings.Replace(valid, "organization: Contoso", "organization: Fabrikam", 1); string(data) != want {
		t.Errorf("got\n%s\nwant\n%s", data, want)
	}
}

// An answer that is emptied is gone, also when the program is left in that field.
func TestEmptied(t *testing.T) {
	for _, then := range []string{"<down>", "<ctrl+c>"} {
		b, _ := open[*formScreen](t, given{file: strings.Replace(valid, "organization",
			"network: {caFile: ca.pem}\norganization", 1)})
		b.walk(step{strings.Repeat("<pgdown>", 14) + "<down>", "ca.pem"},
			step{"<ctrl+u>" + then, "Certificate authorities"})
		if b.m.document.Text("network.caFile") != "" {
			t.Errorf("%s: it stays", then)
		}
	}
}

// A scenario can be chosen again as long as nothing is answered, and typing where there is nothing
// to type changes nothing.
func TestWrongTurn(t *testing.T) {
	b := sit(t, 80, 24, "", newFake())
	b.walk(
		step{"", "Which organization"},
		step{"<down><enter>", "forest 2"},
		step{"<esc>", "Which organization"},
		step{"<up><enter>", "ctrl+s"},
		step{"Contoso", "Contoso"},
		step{"<esc>", "Not all answers"},
		step{"<pgdown>", "< worldwide >"},
		step{"hl.example", "nothing to type"},
		step{"<right>", "< gcc-high >"},
		step{"<pgup><down>hl", "nothing to type"},
	)
	b.press("<ctrl+c>")
	b.left()
	if b.m.interrupted || b.m.document.Len("forests") != 1 || b.m.document.Text("exchangeOnline.cloud") != "gcc-high" {
		t.Errorf("interrupted %v, %d forests, cloud %s", b.m.interrupted, b.m.document.Len("forests"),
			b.m.document.Text("exchangeOnline.cloud"))
	}
}

// A forest is added and another taken away.
func TestForests(t *testing.T) {
	b, _ := open[*formScreen](t, given{})
	b.walk(step{"<pgdown><pgdown><ctrl+n>", "forest 3"}, step{"adatum", "adatum"}, step{"<esc>", "Not all answers"},
		step{"<ctrl+d>", "ctrl+d again removes forest 3"},
		step{"x", "adatumx"}, step{"<ctrl+d>", "ctrl+d again"}, step{"<ctrl+d>", "Forest 3 is removed"})
	b.press("<ctrl+c>")
	b.left()
	if err := b.m.save(); err != nil {
		t.Fatal(err)
	}
	a, err := answers.Load(t.Context(), b.m.file.name())
	if err != nil || len(a.Forests) != 2 {
		t.Errorf("got %d forests, %v", len(a.Forests), err)
	}
	if data, _ := os.ReadFile(b.m.file.name()); string(data) != valid {
		t.Errorf("the file changed:\n%s", data)
	}
}

// Letters are text while text is typed.
func TestLettersOfKeys(t *testing.T) {
	b, _ := open[*formScreen](t, given{})
	b.press("q?")
	if b.quit || len(b.m.over) > 0 || b.m.document.Text("organization") != "Contosoq?" {
		t.Errorf("left %t, %d panes, %q", b.quit, len(b.m.over), b.m.document.Text("organization"))
	}
	b, _ = open[*reviewScreen](t, given{})
	b.press("q")
	b.left()
}

// Letters that arrive at once are text, also when they spell the name of a key.
func TestTypedFast(t *testing.T) {
	b, _ := open[*formScreen](t, given{})
	b.press("<ctrl+u>")
	for _, text := range []string{"Go ", "up", "enter", "tab"} {
		b.send(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune(text)})
	}
	if got := b.m.document.Text("organization"); got != "Go upentertab" {
		t.Errorf("typed %q", got)
	}
}

// All features are offered, in the sequence of the answers file.
func TestFeaturesOffered(t *testing.T) {
	b, _ := open[*formScreen](t, given{file: strings.Replace(valid, "organization: Contoso",
		"organization: Contoso\nfeatures: [freeBusy]", 1)})
	b.walk(step{"<down>", "[x] freeBusy"}, step{"<right><space>", "[x] mailTips"})
	if shown := b.m.View(); !strings.Contains(shown, "secureMail") ||
		!strings.Contains(shown, "centralizedTransport") {
		t.Errorf("offered:\n%s", shown)
	}
	if got, _ := b.m.document.Get("features"); strings.Join(got, " ") != "freeBusy mailTips" {
		t.Errorf("features: %v", got)
	}
}

// Where a whole part of the answers is missing, each of its questions says so, and the first has
// the focus: the host names of a forest that is new.
func TestFormMissingPart(t *testing.T) {
	f := &formScreen{faults: answers.Faults{{Path: "forests[2].namespace", What: "missing"},
		{Path: "forests[1].exchange", What: "is no mapping"}}}
	for key, want := range map[string]string{"forests[2].namespace.ews": "missing", "forests[1].exchange.server": "",
		"forests[2].namespaces": "", "forests[2].name": ""} {
		if got := f.fault(key); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
}
