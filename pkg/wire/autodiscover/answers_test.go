package autodiscover

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func document(inner string) []byte {
	return []byte(`<Autodiscover xmlns="` + ErrorSchema + `"><Response xmlns="` + ResponseSchema + `">` + inner +
		`</Response></Autodiscover>`)
}

// TestOddDocuments reads what servers send beside settings.
func TestOddDocuments(t *testing.T) {
	protocol := func(kind, url string) string {
		return "<Protocol><Type>" + kind + "</Type><EwsUrl>" + url + "</EwsUrl></Protocol>"
	}
	for _, tt := range []struct {
		name, document                  string
		outcome                         Outcome
		detail, target, inside, outside string
	}{
		{name: "error in the response",
			document: "<Error><ErrorCode>600</ErrorCode><Message>Invalid Request</Message></Error>",
			outcome:  ServerError, detail: "error 600 Invalid Request"},
		{name: "error in the account",
			document: "<Account><Error><ErrorCode>500</ErrorCode><Message>not found</Message></Error></Account>",
			outcome:  NoSuchMailbox, detail: "error 500 not found"},
		{name: "error in the account, beside settings",
			document: "<Account><Action>settings</Action><Error><ErrorCode>603</ErrorCode></Error>" +
				protocol("EXCH", "https://in/") + "</Account>", outcome: ServerError, detail: "error 603"},
		{name: "error for mobile devices",
			document: "<Action><Error><Status>2</Status><Message>The directory service could not be " +
				"reached</Message></Error></Action>", outcome: ServerError, detail: "error 2 The directory"},
		{name: "settings for mobile devices", document: "<Action><Settings><Server/></Settings></Action>",
			outcome: NotAutodiscover, detail: "ActiveSync"},
		{name: "redirect with a prefix",
			document: "<Account><Action>redirectAddr</Action><RedirectAddr>SMTP:u@t.mail.onmicrosoft.com</RedirectAddr></Account>", outcome: RedirectAddress, target: "u@t.mail.onmicrosoft.com"},
		{name: "one EXHTTP", document: "<Account>" + protocol("EXHTTP", "https://one/") + "</Account>", outcome: Found,
			outside: "https://one/"},
		{name: "two EXHTTP: the inside one is first",
			document: "<Account>" + protocol("EXHTTP", "https://in/") + protocol("EXHTTP", "https://out/") +
				"</Account>", outcome: Found, inside: "https://in/", outside: "https://out/"},
		{name: "two EXHTTP beside EXCH",
			document: "<Account>" + protocol("EXCH", "https://exch/") + protocol("EXHTTP", "https://in/") +
				protocol("EXHTTP", "https://out/") + "</Account>", outcome: Found, inside: "https://exch/",
			outside: "https://out/"},
		{name: "EXPR comes before EXHTTP",
			document: "<Account>" + protocol("EXHTTP", "https://out/") + protocol("EXPR", "https://expr/") +
				"</Account>", outcome: Found, outside: "https://expr/"},
		{name: "the second EXHTTP has no EWS",
			document: "<Account>" + protocol("EXHTTP", "https://in/") +
				"<Protocol><Type>EXHTTP</Type></Protocol></Account>", outcome: Found, outside: "https://in/"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := parsePOX(document(tt.document))
			if a.attempt.Outcome != tt.outcome || !strings.Contains(a.attempt.Detail, tt.detail) ||
				a.target != tt.target || a.settings.InternalEWS != tt.inside || a.settings.ExternalEWS != tt.outside {
				t.Errorf("%+v", a)
			}
		})
	}
}

// TestRecordedDocuments reads the documents that lie beside the checkout.
func TestRecordedDocuments(t *testing.T) {
	dir := "../../../../shared/fixtures/http-answers/autodiscover"
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the recorded answers in ../shared/fixtures/http-answers are not here")
	}
	for name, want := range map[string]Outcome{
		"x-err-in-account": NoSuchMailbox, "x-err500": NoSuchMailbox, "x-err501": ServerError,
		"x-err600-nons": ServerError, "x-err600": ServerError, "x-err601": ServerError,
		"x-err602": ServerError, "x-err603": ServerError, "x-imap": Found, "x-mobilesync-error": ServerError,
		"x-mobilesync-ok": NotAutodiscover, "x-online": Found,
		"x-redirectaddr-self": RedirectAddress, "x-redirectaddr-smtp": RedirectAddress,
		"x-redirecturl-http": RedirectURL, "x-two-exhttp": Found,
	} {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join(dir, name+".http"))
			if err != nil {
				t.Fatal(err)
			}
			_, body, _ := bytes.Cut(data, []byte("\r\n\r\n"))
			a := parsePOX(body)
			if a.attempt.Outcome != want {
				t.Errorf("%s, want %s", a.attempt, want)
			}
			if name == "x-two-exhttp" && a.settings.EWS() != "https://out.fabrikam.example/EWS/Exchange.asmx" {
				t.Errorf("EWS at %s", a.settings.EWS())
			}
		})
	}
}
