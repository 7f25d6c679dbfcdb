package deployment

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
)

// Each access of the lab works and says what answered. Without a certificate file, the certificates
// of the servers are offered.
func TestTry(t *testing.T) {
	d := open(t)
	for i := range d.forests {
		d.forests[i].answers.Certificate = nil
		d.answers.Forests[i].Certificate = nil
	}
	quiet := observe.Func(func(observe.Event) {})
	for at, want := range map[Access]string{
		{Section: "directory"}:              "dc1.contoso.example",
		{Section: "directory", Forest: 1}:   "dc1.fabrikam.example",
		{Section: "exchange"}:               "the organization has the server EX",
		{Section: "certificate"}:            "the plan takes it: no file is needed",
		{Section: "certificate", Forest: 1}: "CN=mail.fabrikam.example",
		{Section: "cloud"}:                  "Exchange Online answers",
	} {
		texts, err := d.Try(t.Context(), at, quiet)
		var said []string
		for _, text := range texts {
			said = append(said, text.String())
		}
		if err != nil || !strings.Contains(strings.Join(said, "\n"), want) {
			t.Errorf("%v: %q, %v", at, said, err)
		}
	}
	for _, at := range []Access{{Section: "workmail"}, {Section: "directory", Forest: 7}, {Section: "network"}} {
		if texts, err := d.Try(t.Context(), at, quiet); err == nil {
			t.Errorf("%v: %v", at, texts)
		}
	}
}

// What is wrong with an access is its error: a password, a file that is none, a file without a key.
func TestTryFails(t *testing.T) {
	d := open(t)
	quiet := observe.Func(func(observe.Event) {})
	d.forests[0].answers.Directory.Bind.User = "nobody@contoso.example"
	d.answers.Forests[0].Directory.Bind.User = "nobody@contoso.example"
	d.forests = nil
	d.connect()
	if _, err := d.Try(t.Context(), Access{Section: "directory"}, quiet); err == nil {
		t.Error("signed in as nobody")
	}
	dir := t.TempDir()
	none := filepath.Join(dir, "none.pfx")
	if err := os.WriteFile(none, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{none, filepath.Join(dir, "missing.pfx")} {
		d.answers.Forests[0].Certificate = &answers.Certificate{PFX: file}
		d.forests = nil
		d.connect()
		if texts, err := d.Try(t.Context(), Access{Section: "certificate"}, quiet); err == nil ||
			!strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v, %v", file, texts, err)
		}
	}
}
