package answers

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const handmade = `# The file of Contoso, kept in git.
apiVersion: hybridge/v1
kind:    Answers          # aligned by hand
organization: 'Contoso'

# Asked in the meeting of May:
# features: [freeBusy]

exchangeOnline: {cloud: worldwide, tenant: contoso.onmicrosoft.com, credential: {kind: certificate, clientId: 6f4f1c9a-58a5-4bb2-9c08-7b9c7d3d2f10, pfx: app.pfx}}
forests:
    - name: contoso       # four blanks
      domains:
        - contoso.com     # the first
        - bücher.example

      # how it is reached
      directory: {servers: [dc1.contoso.com], bind: {kind: password, user: 'CONTOSO\svc', password: prompt}} # bind
      exchange:
        server: ex1.contoso.com
        # the second one is in repair
        url: "https://ex1.contoso.com/PowerShell/"

        credential: {kind: kerberos}
      namespace: {autodiscover: autodiscover.contoso.com, ews: mail.contoso.com, smtp: mail.contoso.com}


tests:
  pairs: [{from: anna@contoso.com, to: bob@contoso.com}]   # one
`

// Editing one answer changes its place in the text and no other.
func TestEditKeepsTheRest(t *testing.T) {
	for _, test := range []struct {
		name         string
		edit         func(*Document)
		gone, arrive string // the lines that differ
	}{
		{"quoted text", func(d *Document) { d.Set("organization", "Fabrikam Inc.") }, "organization: 'Contoso'",
			"organization: Fabrikam Inc."},
		{"text that YAML would take for something else", func(d *Document) { d.Set("organization", "no: 1 # x") },
			"organization: 'Contoso'", `organization: "no: 1 # x"`},
		{"backslash", func(d *Document) { d.Set("forests[0].directory.bind.user", `FABRIKAM\svc, 'a'`) },
			`      directory: {servers: [dc1.contoso.com], bind: {kind: password, user: 'CONTOSO\svc', password: prompt}} # bind`,
			`      directory: {servers: [dc1.contoso.com], bind: {kind: password, user: 'FABRIKAM\svc, ''a''', password: prompt}} # bind`},
		{"behind a wide character", func(d *Document) {
			d.SetList("forests[0].domains",
				[]string{"contoso.com", "xn--bcher-kva.example"})
		},
			"        - bücher.example", "        - xn--bcher-kva.example"},
		{"list in brackets", func(d *Document) {
			d.SetList("forests[0].directory.servers", []string{"dc1.contoso.com", "dc2.contoso.com:636"})
		},
			`      directory: {servers: [dc1.contoso.com], bind: {kind: password, user: 'CONTOSO\svc', password: prompt}} # bind`,
			`      directory: {servers: [dc1.contoso.com, dc2.contoso.com:636], bind: {kind: password, user: 'CONTOSO\svc', password: prompt}} # bind`},
		{"longer list", func(d *Document) {
			d.SetList("forests[0].domains", []string{"contoso.com", "bücher.example", "a.example", "b.example"})
		},
			"", "        - a.example\n        - b.example"},
		{"shorter list", func(d *Document) { d.SetList("forests[0].domains", []string{"contoso.com"}) },
			"        - bücher.example", ""},
		{"new key in braces", func(d *Document) { d.Set("exchangeOnline.credential.password", "env:PFX") },
			"pfx: app.pfx}}", `pfx: app.pfx, password: env:PFX}}`},
		{"new key in a block", func(d *Document) { d.Set("forests[0].exchange.ews.kind", "kerberos") }, "",
			"        ews:\n          kind: kerberos"},
		{"new part", func(d *Document) { d.Set("network.proxy", "http://proxy:8080") }, "",
			"\nnetwork:\n  proxy: http://proxy:8080"},
		{"new element", func(d *Document) { d.Set("tests.pairs[1].from", "bob@contoso.com") },
			"  pairs: [{from: anna@contoso.com, to: bob@contoso.com}]   # one", "  pairs: [{from: " +
				"anna@contoso.com, to: bob@contoso.com}, {from: bob@contoso.com}]   # one"},
		{"new element of a block", func(d *Document) { d.Set("forests[1].name", "fabrikam") }, "",
			"    - name: fabrikam"},
		{"removed with its comment", func(d *Document) { d.Unset("forests[0].exchange.url") },
			"        # the second one is in repair\n        url: \"https://ex1.contoso.com/PowerShell/\"", ""},
		{"removed from braces", func(d *Document) {
			d.Unset("forests[0].directory.bind.user")
			d.Unset("forests[0].directory.bind.password")
		},
			"{kind: password, user: 'CONTOSO\\svc', password: prompt}", "{kind: password}"},
		{"removed with what becomes empty", func(d *Document) { d.Unset("tests.pairs[0]") },
			"tests:\n  pairs: [{from: anna@contoso.com, to: bob@contoso.com}]   # one", ""},
	} {
		for _, eol := range []string{"\n", "\r\n"} {
			in := func(s string) string { return strings.ReplaceAll(s, "\n", eol) }
			d, err := NewDocument("a", []byte("\ufeff"+in(handmade)))
			if err != nil {
				t.Fatal(err)
			}
			test.edit(d)
			got := string(d.Bytes())
			if !strings.HasPrefix(got, "\ufeff") {
				t.Errorf("%s: the byte order mark is lost", test.name)
			}
			want := ""
			switch {
			case test.gone != "":
				want = strings.Replace(handmade, test.gone, test.arrive, 1)
			default: // lines that only come: their place is where they are
				if !strings.Contains(got, in(test.arrive)+eol) {
					t.Errorf("%s: not there:\n%s", test.name, got)
				}
				got, want = strings.Replace(got, in(test.arrive)+eol, "", 1), handmade
			}
			if test.arrive == "" {
				want = strings.Replace(handmade, test.gone+"\n", "", 1)
			}
			if diff := cmp.Diff("\ufeff"+in(want), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", test.name, diff)
			}
		}
	}
}

// What no patch is known for is written anew, with the same meaning.
func TestEditWithoutPatch(t *testing.T) {
	d, err := NewDocument("a", []byte("organization: >\n  Con\n  toso\nforests: &f\n  - name: a\nspare: *f\n"))
	if err != nil {
		t.Fatal(err)
	}
	d.Set("organization", "Fabrikam")
	d.Unset("forests[0].name")
	d.Set("forests[0].name", "b")
	if d.Text("organization") != "Fabrikam" || d.Text("forests[0].name") != "b" {
		t.Errorf("%s", d.Bytes())
	}
}

// FuzzEdit: in every text, an edit sets its own answer and keeps every other answer.
func FuzzEdit(f *testing.F) {
	f.Add(handmade, "x")
	f.Add(good, "CONTOSO\\svc")
	f.Fuzz(func(t *testing.T, source, value string) {
		d, err := NewDocument("f", []byte(source))
		if err != nil || hasAliases(d.root) || strings.ContainsFunc(value,
			func(r rune) bool { return r < ' ' || r > '~' }) || value == "" || isPlaceholder(value) {
			return
		}
		want := d.Clone()
		want.source = nil
		for _, key := range []string{"organization", "forests[0].exchange.server", "forests[0].domains[0]"} {
			if d.Text(key) == "" {
				continue
			}
			d.Set(key, value)
			if got := d.Text(key); got != value {
				t.Errorf("%s: %q, want %q:\n%s", key, got, value, d.Bytes())
			}
			want.find(key).Value, want.find(key).Tag, want.find(key).Style = value, "!!str", 0
		}
		if !same(d.root, want.root) {
			t.Errorf("other answers changed:\n%s\nwant\n%s", d.Bytes(), want.Bytes())
		}
	})
}
