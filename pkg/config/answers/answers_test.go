package answers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
)

const good = `# a comment
apiVersion: hybridge/v1
kind: Answers
organization: Contoso
exchangeOnline:
  cloud: worldwide
  tenant: Contoso.onmicrosoft.com
  credential: {kind: certificate, clientId: 6F4F1C9A-58a5-4bb2-9c08-7b9c7d3d2f10, pfx: file:app.pfx, password: keyring:hybridge/app}
  hosts: {graph: https://localhost:8443/graph}
forests:
  - name: contoso
    directory: {servers: [dc1.contoso.com:636], bind: {kind: kerberos}}
    exchange: {server: ex1.contoso.com, credential: {kind: password, user: 'CONTOSO\svc', password: env:EX_PASSWORD}}
    namespace: {autodiscover: autodiscover.contoso.com, ews: mail.contoso.com, smtp: mail.contoso.com}
    domains: [contoso.com, BÜCHER.example]
    certificate: {pfx: file:mail.pfx, password: prompt} # stays
  - name: fabrikam
    directory: {domain: fabrikam.example, bind: {kind: keytab, user: svc@fabrikam.example, keytab: svc.keytab}}
    exchange: {server: ex1.fabrikam.example, url: "https://ex1.fabrikam.example/PowerShell/", credential: {kind: basic, user: svc, password: "file:secrets/pw"}}
    namespace: {autodiscover: autodiscover.fabrikam.example, ews: mail.fabrikam.example, smtp: mail.fabrikam.example}
    domains: [fabrikam.example]
network: {resolvers: ["127.0.0.1:5353", "::1"], connectTo: ["mail.contoso.com:443=10.0.0.4:443", ":=[::1]:443"]}
tests: {pairs: [{from: anna@contoso.com, to: bob@bücher.example}]}
checks:
  - {id: directory.one-primary, severity: warn}
  - {id: certificates.transport, scope: contoso, reason: ticket 4711, owner: Anna, expires: '2027-01-31'}
`

func TestParse(t *testing.T) {
	a, err := Parse("answers.yaml", []byte(good))
	if err != nil {
		t.Fatal(err)
	}
	got := []string{
		a.ExchangeOnline.Tenant, a.ExchangeOnline.Credential.ClientID, a.Forests[0].Domains[1], a.Tests.Pairs[0].To,
		string(a.Forests[1].Exchange.Credential.Password),
		a.Network.Resolvers[1], a.ExchangeOnline.Hosts["graph"],
	}
	want := []string{
		"contoso.onmicrosoft.com", "6f4f1c9a-58a5-4bb2-9c08-7b9c7d3d2f10", "xn--bcher-kva.example",
		"bob@xn--bcher-kva.example", "file:secrets/pw", "::1", "https://localhost:8443/graph",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !a.Has(FreeBusy) || a.Has(CentralizedTransport) {
		t.Error("without a list, all features but centralizedTransport are asked for")
	}
}

// A date needs no quotes, although YAML has a type for it.
func TestDateWithoutQuotes(t *testing.T) {
	a, err := Parse("a", []byte(strings.Replace(good, "'2027-01-31'", "2027-01-31", 1)))
	if err != nil || a.Checks[1].Expires != "2027-01-31" {
		t.Errorf("%+v, %v", a.Checks, err)
	}
}

// TestForms: what editors on Windows do to a file is no fault.
func TestForms(t *testing.T) {
	want, err := Parse("a", []byte(good))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"CRLF":         strings.ReplaceAll(good, "\n", "\r\n"),
		"BOM":          "\ufeff" + good,
		"BOM and CRLF": "\ufeff" + strings.ReplaceAll(good, "\n", "\r\n"),
		"document":     "---\n" + good + "...\n",
	} {
		got, err := Parse("a", []byte(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

const planted = "Zebra-Hunter2"

// damages change one thing in a good file each.
var damages = []struct {
	name, old, new string
	want           []string // "line:column path: text" each, text a part of what and hint
}{
	{"unknown key", "organization:", "organisation:",
		[]string{`4:1 organisation: unknown key "organisation"; did you mean "organization"?`,
			"1:1|4:1|2:1 organization: missing"}},
	{"deep unknown key", "ews: mail.contoso.com", "ewz: mail.contoso.com",
		[]string{`ewz: unknown key "ewz"; did you mean "ews"?`, "forests[0].namespace.ews: missing; add ews: " +
			"the external host"}},
	{"duplicate key", "organization: Contoso", "organization: Contoso\norganization: Other",
		[]string{"5:1 organization: this key was given before, on line 4"}},
	{"number", "organization: Contoso", "organization: 42", []string{"4:15 organization: a number where text " +
		"belongs; put it in quotes"}},
	{"list for text", "organization: Contoso", "organization: [a]",
		[]string{"organization: a list where text belongs"}},
	{"text for list", "domains: [contoso.com, BÜCHER.example]", "domains: contoso.com",
		[]string{"forests[0].domains: text where a list belongs"}},
	{"text for mapping", "directory: {domain: fabrikam.example, bind: {kind: keytab, user: " +
		"svc@fabrikam.example, keytab: svc.keytab}}", "directory: dc1", []string{"forests[1].directory: text " +
		"where a mapping belongs; write its keys below it, indented: bind, domain, security, servers"}},
	{"severity of nothing", "severity: warn", "severity: none", []string{
		`25:43 checks[0].severity: "none" is not known here; use one of fail, warn`}},
	{"neither severity nor acknowledgement", ", severity: warn", "", []string{
		"checks[0].reason: missing: an acknowledgement has a reason, an owner and a last day; add reason, or " +
			"severity"}},
	{"severity and acknowledgement", "severity: warn", "severity: warn, owner: Anna", []string{
		"checks[0].owner: an entry sets a severity or acknowledges findings, not both"}},
	{"acknowledgement without an end", ", expires: '2027-01-31'", "", []string{"checks[1].expires: missing: an " +
		"acknowledgement has a reason, an owner and a last day; add expires"}},
	{"no date", "2027-01-31", "31.1.2027", []string{"checks[1].expires: \"31.1.2027\" is not a date; write year"}},
	{"no day of a month", "2027-01-31", "2027-02-30", []string{"checks[1].expires: \"2027-02-30\" is not a date"}},
	{"glob of checks", "directory.one-primary", "directory.*", []string{"checks[0].id: \"directory.*\" is not the " +
		"id of a check; hybridge help checks"}},
	{"unknown scope", "scope: contoso", "scope: contosso", []string{"checks[1].scope: \"contosso\" is no scope of a " +
		"check; did you mean \"contoso\"?; there are: organization, contoso, fabrikam, tenant"}},
	{"check twice", "directory.one-primary", "directory.one-primary, severity: fail}\n  - {id: directory.one-primary",
		[]string{"checks[1].id: there is a severity for this check and scope before, on line 25; keep one"}},
	{"no value", "organization: Contoso", "organization:", []string{"organization: no value; give it one, or " +
		"remove the key"}},
	{"empty", "organization: Contoso", `organization: ""`, []string{"organization: empty"}},
	{"no forests", "", "", []string{"forests: an empty list"}},
	{"version", "hybridge/v1", "hybridge/v9",
		[]string{`2:13 apiVersion: this hybridge reads hybridge/v1, the file says "hybridge/v9"`}},
	{"version of another type", "apiVersion: hybridge/v1", "apiVersion: 1",
		[]string{`2:13 apiVersion: a number where text belongs`}},
	{"kind of another type", "kind: Answers", "kind: [Answers]", []string{`3:7 kind: a list where text belongs`}},
	{"another kind of file", "kind: Answers", "kind: Deployment",
		[]string{`3:7 kind: "Deployment" is not an answers file's kind`}},
	{"cloud", "cloud: worldwide", "cloud: " +
		"gcchigh", []string{`6:10 exchangeOnline.cloud: "gcchigh" is not known here; did you mean "gcc-high"?`}},
	{"another cloud's tenant", "Contoso.onmicrosoft.com", "contoso.partner.onmschina.cn",
		[]string{`exchangeOnline.tenant: "contoso.partner.onmschina.cn" is a tenant of cloud 21vianet, not of worldwide`}},
	{"coexistence domain", "Contoso.onmicrosoft.com", "contoso.mail.onmicrosoft.com",
		[]string{`is the coexistence domain; write the initial domain: contoso.onmicrosoft.com`}},
	{"tenant as URL", "Contoso.onmicrosoft.com", "https://contoso.onmicrosoft.com",
		[]string{"exchangeOnline.tenant: \"https://contoso.onmicrosoft.com\" is a URL; write the name alone"}},
	{"graph where there is none", "cloud: worldwide\n  tenant: Contoso.onmicrosoft.com",
		"cloud: gcc-high\n  richCoexistence: graph\n  tenant: " +
			"contoso.onmicrosoft.us", []string{"exchangeOnline.richCoexistence: cloud gcc-high has no Graph " +
			"route"}},
	{"sovereign cloud without suffix", "cloud: worldwide\n  tenant: Contoso.onmicrosoft.com",
		"cloud: bleu\n  tenant: contoso.bleu.example", []string{"exchangeOnline.coexistenceDomain: missing"}},
	{"GUID", "6F4F1C9A-58a5", "6F4F1C9A-58a", []string{"exchangeOnline.credential.clientId: " +
		"\"6F4F1C9A-58a-4bb2-9c08-7b9c7d3d2f10\" is not a GUID"}},
	{"host key", "graph: https", "grahp: " +
		"https", []string{`exchangeOnline.hosts.grahp: unknown key "grahp"; did you mean "graph"?`}},
	{"host URL", "https://localhost:8443/graph", "localhost", []string{"exchangeOnline.hosts.graph: needs a " +
		"URL that begins with https://"}},
	{"kind elsewhere", "bind: {kind: kerberos}", "bind: {kind: deviceCode}",
		[]string{`forests[0].directory.bind.kind: kind "deviceCode" does not work here; use one of kerberos, keytab, password`}},
	{"kind misspelt", "bind: {kind: kerberos}", "bind: {kind: kerberus}",
		[]string{`forests[0].directory.bind.kind: "kerberus" is not known here; did you mean "kerberos"? use one of kerberos, keytab, password$`}},
	{"kind that remote PowerShell does not know", `credential: {kind: password, user: 'CONTOSO\svc'`,
		`credential: {kind: ntlm, user: 'CONTOSO\svc'`,
		[]string{`forests[0].exchange.credential.kind: kind "ntlm" does not work here; use one of kerberos, keytab, password, basic`}},
	{"kind lacks", "kind: keytab, user: svc@fabrikam.example, keytab: svc.keytab", "kind: keytab",
		[]string{"bind.user: missing: kind keytab needs it", "bind.keytab: missing: kind keytab needs it"}},
	{"kind does not use", "bind: {kind: kerberos}", "bind: {kind: kerberos, password: prompt}",
		[]string{"bind.password: kind kerberos does not use it"}},
	{"basic in the clear", `url: "https://ex1.fabrikam.example/PowerShell/", `, "",
		[]string{"forests[1].exchange.credential.kind: basic would send the password in the clear"}},
	{"no directory", "servers: [dc1.contoso.com:636], bind", "bind",
		[]string{"forests[0].directory.servers: missing, and so is domain"}},
	{"port", "dc1.contoso.com:636", "dc1.contoso.com:99999", []string{"12:27 forests[0].directory.servers[0]: " +
		"\"dc1.contoso.com:99999\" has no valid port"}},
	{"namespace with scheme", "ews: mail.contoso.com", "ews: https://mail.contoso.com/ews",
		[]string{"forests[0].namespace.ews: \"https://mail.contoso.com/ews\" is a URL"}},
	{"two forests, one name", "name: fabrikam", "name: " +
		"Contoso", []string{`17:11 forests[1].name: there is a forest "Contoso" before, on line 11`}},
	{"reserved name", "name: fabrikam", "name: " +
		"online", []string{`forests[1].name: "online" is what the cloud is called`}},
	{"two forests, one domain", "domains: [fabrikam.example]", "domains: [fabrikam.example, " +
		"xn--bcher-kva.EXAMPLE]", []string{`21:33 forests[1].domains[1]: forest "contoso" has the domain already, on line 15`}},
	{"two forests, one autodiscover", "autodiscover: autodiscover.fabrikam.example",
		"autodiscover: autodiscover.contoso.com",
		[]string{`forests[1].namespace.autodiscover: forest "contoso" has the same host, on line 14`}},
	{"two forests, one EWS", "ews: mail.fabrikam.example", "ews: Mail.contoso.com",
		[]string{`forests[1].namespace.ews: forest "contoso" has the same host, on line 14`}},
	{"two forests, one mail host", "smtp: mail.fabrikam.example", "smtp: mail.contoso.com",
		[]string{`forests[1].namespace.smtp: forest "contoso" has the same host, on line 14`}},
	{"two forests, one certificate", "domains: [fabrikam.example]",
		"domains: [fabrikam.example]\n    certificate: {pfx: " +
			"mail.pfx}", []string{`forests[1].certificate.pfx: forest "contoso" has the same certificate, on line 16`}},
	{"domain twice", "domains: [fabrikam.example]", "domains: [fabrikam.example, Fabrikam.example.]",
		[]string{`forests[1].domains[1]: "fabrikam.example" is listed before, on line 21`}},
	{"tenant's domain", "domains: [fabrikam.example]", "domains: [contoso.onmicrosoft.com]",
		[]string{`is a domain of the tenant`}},
	{"bad domain", "domains: [fabrikam.example]", "domains: [fabrikam_x.example, -a.example, a..example, " +
		"10.0.0.1, '*.fabrikam.example', x]", []string{
		"domains[0]: \"fabrikam_x.example\" is not a DNS name", "domains[1]: \"-a.example\" is " +
			"not", "domains[2]: \"a..example\" is not", "domains[3]: \"10.0.0.1\" is an IP address", "has a " +
			"wildcard", `"x" has one label only`,
	}},
	{"connect-to", "mail.contoso.com:443=10.0.0.4:443", "mail.contoso.com:443",
		[]string{`network.connectTo[0]: "mail.contoso.com:443" has no =`}},
	{"address", "anna@contoso.com", "anna", []string{`tests.pairs[0].from: "anna" is not an address`}},
	{"one mailbox", "anna@contoso.com", "Bob@bücher.example", []string{"tests.pairs[0].to: from and to are one " +
		"mailbox"}},
	{"placeholder", "organization: Contoso", "organization: <organization>",
		[]string{"organization: still to be filled in: <organization>"}},
	{"merge key", "bind: {kind: kerberos}", "bind: {<<: {kind: kerberos}}",
		[]string{`merges are not supported`, "bind.kind: missing"}},
	{"tag", "organization: Contoso", "organization: !!binary Q29udG9zbw==",
		[]string{`organization: a YAML tag, "!!binary"`}},
	{"no cloud", "exchangeOnline:", "x:", []string{`5:1 x: unknown key`, "exchangeOnline: no cloud is named"}},

	{"plain secret", "password: env:EX_PASSWORD", "password: " + planted,
		[]string{"forests[0].exchange.credential.password: a secret is given as a plain value; write where it " +
			"is kept: prompt, file:PATH, env:NAME or keyring:SERVICE/ACCOUNT"}},
	{"plain secret quoted", "password: env:EX_PASSWORD", `password: "` + planted + `"`, []string{"a plain value"}},
	{"plain secret, misspelt key", "password: env:EX_PASSWORD", "pasword: " + planted,
		[]string{`did you mean "password"?`, "password: missing"}},
	{"plain secret, odd reference", "password: env:EX_PASSWORD", "password: env:" + planted,
		[]string{"env: needs the name of an environment variable"}},
	{"plain secret, odd scheme", "password: env:EX_PASSWORD", "password: plain:" + planted,
		[]string{"a plain value"}},
	{"plain secret in a mapping", "password: env:EX_PASSWORD", "password: {value: " + planted + "}",
		[]string{"a mapping where text belongs"}},
	{"plain secret in a list", "password: env:EX_PASSWORD", "password: [" + planted + "]",
		[]string{"a list where text belongs"}},
	{"plain secret by alias", "organization: Contoso", "organization: Contoso\nspare: &p " +
		"" + planted + "\nsecret: *p", []string{"spare: unknown key", "secret: unknown key"}},
	{"plain secret over lines", "certificate: {pfx: file:mail.pfx, password: prompt} # stays",
		"certificate:\n      pfx: a.pfx\n      password: |\n        first " + planted + "\n        second " +
			"" + planted, []string{"certificate.password: a secret is given"}},
	{"plain secret, broken YAML", "password: env:EX_PASSWORD}}", "password: " + planted,
		[]string{"in brackets is not closed"}},
	{"plain secret, unclosed quotes", "to: bob@bücher.example}]}",
		"to: bob@bücher.example}]}\npassword: \"" + planted + "\n more " + planted, []string{"24:11 : the " +
			"quotes that open here are never closed"}},
	{"password in a URL", "network: {", "network: {proxy: 'http://u:" + planted + "@proxy:8080', ",
		[]string{"network.proxy: \"http://[redacted]@proxy:8080\" holds a user name or a password"}},

	{"tab", "  - name: contoso", "\t- name: contoso", []string{"11:1 : a tab in the indentation; YAML indents " +
		"with spaces"}},
	{"escape sequence", "organization: Contoso", "organization: Contoso # \x1b[31mred\x1b[0m",
		[]string{"4:25 : control character U+001B; remove it", "4:33 : control"}},
	{"escaped escape sequence", "organization: Contoso", `organization: "Con\e[31mtoso"`,
		[]string{`organization: "Con\x1b[31mtoso" holds a line break or another character`}},
	{"hidden text", "organization: Contoso", "organization: Con\u202etoso",
		[]string{"holds a line break or another character that cannot be seen"}},
	{"second document", "tests:", "---\ntests:", []string{"a second YAML document begins"}},
	{"forest of another type", "  - name: fabrikam\n", "  - 42\n  - name: fabrikam\n",
		[]string{"forests[1]: a number where a mapping belongs"}},
	{"hosts of another type", "hosts: {graph: https://localhost:8443/graph}", "hosts: x",
		[]string{"hosts: text where a mapping belongs; write its keys below it, indented: acsMetadataURL"}},
	{"Windows path in double quotes", "file:app.pfx", `"C:\certs\app.pfx"`,
		[]string{`8:91 : a \ between double quotes begins an escape; put the value in single quotes`}},
	{"Windows user path in double quotes", "file:app.pfx", `"C:\Users\app.pfx"`,
		[]string{`a \ between double quotes begins an escape`}},
	{"Windows path with what is an escape", "file:app.pfx", `"C:\new.pfx"`,
		[]string{`between double quotes \n and \t are such: use single quotes`}},
	{"home directory", "file:app.pfx", "~/app.pfx", []string{`credential.pfx: "~/app.pfx" begins with ~`}},
	{"no blank", "organization: Contoso", "organization:Contoso",
		[]string{`a line without a key, or with a key and no blank behind its ":"; write KEY: VALUE`}},
	{"wildcard, plain", "domains: [fabrikam.example]", "domains: [*.fabrikam.example]",
		[]string{"a value that begins with * or & is taken for a reference"}},
	{"wrong indentation", "  tenant:", " tenant:", []string{"7:2 : this line's indentation fits none"}},
}

func damaged(t *testing.T, name, old, new string) string {
	t.Helper()
	if !strings.Contains(good, old) {
		t.Fatalf("the good file has no %q", old)
	}
	if name == "no forests" {
		return good[:strings.Index(good, "forests:")] + "forests: []\n"
	}
	return strings.Replace(good, old, new, 1)
}

// TestFaults changes one thing in a good file and expects exactly the faults that follow.
func TestFaults(t *testing.T) {
	for _, test := range damages {
		t.Run(test.name, func(t *testing.T) {
			bad := damaged(t, test.name, test.old, test.new)
			_, err := Parse("answers.yaml", []byte(bad))
			var faults Faults
			if !errors.As(err, &faults) {
				t.Fatalf("got %v, want Faults", err)
			}
			if len(faults) != len(test.want) {
				t.Errorf("%d faults, want %d:\n%v", len(faults), len(test.want), err)
			}
			for _, want := range test.want {
				if !hasFault(faults, want) {
					t.Errorf("no fault %q in:\n%v", want, err)
				}
			}
			if strings.Contains(err.Error(), "not valid here") {
				t.Errorf("no rule has words for it:\n%v", err)
			}
			shown := err.Error() + fmt.Sprintf("%+v %#v", err, err)
			if strings.Contains(shown, planted) {
				t.Errorf("the secret is shown:\n%v", shown)
			}
			if at := strings.IndexFunc(err.Error(), func(r rune) bool {
				return r != '\n' &&
					!unicode.IsPrint(r)
			}); at >= 0 {
				t.Errorf("unprintable at %d of %q", at, err.Error())
			}
		})
	}
}

// hasFault looks for "line:column path: text"; line:column may be left out, or be several with |
// between.
func hasFault(faults Faults, want string) bool {
	for _, f := range faults {
		whole := fmt.Sprintf("%s: %s; %s$", f.Path, f.What, f.Hint) // $ is its end
		head, rest, _ := strings.Cut(want, " ")
		positions := strings.Split(head, "|")
		if !strings.Contains(head, ":") || head[0] < '0' || head[0] > '9' {
			if strings.Contains(whole, want) {
				return true
			}
			continue
		}
		for _, p := range positions {
			if p == fmt.Sprintf("%d:%d", f.Line, f.Column) && strings.HasPrefix(whole, rest) {
				return true
			}
		}
	}
	return false
}

func TestFaultText(t *testing.T) {
	_, err := Parse("answers.yaml", []byte(strings.Replace(good, "cloud: worldwide", "cloud:   gcchigh", 1)))
	want := `answers.yaml:6:12: exchangeOnline.cloud: "gcchigh" is not known here; did you mean "gcc-high"? use one of ` + strings.Join(cloud.IDs(), ", ") + `
    6 |   cloud:   gcchigh
      |            ^`
	if err == nil || err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
}

// TestMask: a masked secret takes no more of the file with it than it must.
func TestMask(t *testing.T) {
	got := maskLines(splitLines("a: {password: Hunter2, user: x}\nb: {password: 'Hunter2}\n  Hunter3'}\nc: " +
		"{password: \"Hunter2 }\",\n  user: x}\nd: y\npassword: Hunter2\n  Hunter3\n\nHunter4\ne: {password: " +
		"env:A}\nf: http://u:Hunter2@h/\n- password:\n    Hunter2: x\n- g: z"))
	want := splitLines("a: {password: [redacted]\nb: {password: [redacted]\n  [redacted]\nc: {password: " +
		"[redacted]\n  [redacted]\nd: y\npassword: [redacted]\n  [redacted]\n\n[redacted]\ne: {password: " +
		"env:A}\nf: http://[redacted]@h/\n- password:\n    [redacted]\n- g: z")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A comment that speaks of a secret hides no line but comments: the answers below it are shown.
func TestMaskOfComments(t *testing.T) {
	got := maskLines(splitLines("# certificate and secret: an application of your own;\n# password: |\n" +
		"#   Hunter2\nkind: deviceCode\nforests: x # secret: Hunter2\n# password: prompt\n# y\nz: 1"))
	want := splitLines("# certificate and secret: [redacted]\n[redacted]\n[redacted]\nkind: deviceCode\n" +
		"forests: x # secret: [redacted]\n[redacted]\n[redacted]\n[redacted]")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The first error of a newcomer: what is still to be filled in takes one line each, and the advice
// stands once.
func TestFreshAnswersFile(t *testing.T) {
	for _, s := range Scenarios() {
		template, err := Template(s.ID)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Parse("answers.yaml", template)
		if err == nil {
			t.Fatalf("%s: no fault", s.ID)
		}
		text := err.Error()
		if strings.Contains(text, "[redacted]") || strings.Contains(text, " | ") ||
			strings.Count(text, "write your own value") != 1 {
			t.Errorf("%s:\n%s", s.ID, text)
		}
	}
}

// TestHostile: every kind of file named as the answers file gives one message and does no harm.
func TestHostile(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	big := file("big", nil)
	if err := os.Truncate(big, 100<<20); err != nil { // sparse: 100 MB that are never read
		t.Fatal(err)
	}
	locked := file("locked", []byte(good))
	if err := os.Chmod(locked, 0); err != nil {
		t.Fatal(err)
	}
	bomb := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c <= 'k'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c,", c-1), 10),
			","))
	}
	for _, test := range []struct{ name, path, want string }{
		{"absent", filepath.Join(dir, "absent"), "there is no such file; write one with: hybridge init"},
		{"directory", dir, "this is a directory"},
		{"100 MB", big, "this is larger than 1024 KiB"},
		{"unreadable", locked, "this user may not read the file"},
		{"empty", file("empty", nil), "the file is empty"},
		{"blanks", file("blanks", []byte(" \n\n\t\n")), "the file is empty"},
		{"comments", file("comments", []byte("# nothing\n")), "the file holds nothing but comments"},
		{"null", file("null", []byte("~\n")), "the file holds nothing"},
		{"scalar", file("scalar", []byte("hello\n")), "it holds text"},
		{"list", file("list", []byte("- a\n")), "it holds a list"},
		{"binary", file("binary", []byte("\x7fELF\x02\x01\x01\x00\x00\x00")), "binary file"},
		{"not UTF-8", file("latin1", []byte("organization: B\xfccher\n")), ":1:16: byte 0xfc is not UTF-8"},
		{"UTF-16", file("utf16", []byte("\xff\xfea\x00:\x00 \x00b\x00")), "this is UTF-16 text"},
		{"UTF-16 without mark", file("utf16le", []byte("a\x00:\x00 \x00b\x00")), "this is UTF-16 text"},
		{"alias bomb", file("bomb", []byte(bomb)), "grows beyond 50000 values"},
		{"alias of itself", file("self", []byte("a: &a [*a]\n")), "an alias that contains itself"},
		{"deep flow", file("deep", []byte(strings.Repeat("[", 100_000))), "nested deeper than 32 levels"},
		{"deep blocks", file("deep2", []byte(strings.Repeat("- ", 100_000))), "nested deeper than 32 levels"},
		{"many values", file("many", []byte("a: ["+strings.Repeat("1,", 200_000)+"]")), "grows beyond 50000 values"},
		{"many keys", file("keys", append([]byte("kind: Answers\n"), manyKeys(20_000)...)), "more faults"},
		{"endless", "/dev/zero", "this is larger than"},
	} {
		t.Run(test.name, func(t *testing.T) {
			switch {
			case test.path == "/dev/zero" && runtime.GOOS == "windows":
				t.Skip("no /dev/zero here")
			case test.path == locked && (os.Geteuid() == 0 || runtime.GOOS == "windows"):
				return // this user may read everything; test/e2e tries it as nobody
			}
			_, err := Load(t.Context(), test.path)
			var faults Faults
			if !errors.As(err, &faults) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if strings.ContainsAny(err.Error(), "\x00\x1b") {
				t.Errorf("unprintable: %q", err)
			}
		})
	}
	if _, err := Load(t.Context(), filepath.Join(dir, "absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the cause is lost: %v", err)
	}
}

func manyKeys(n int) []byte {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "k%d: 1\n", i)
	}
	return []byte(b.String())
}

// TestSilent: a read of a pipe without a writer ends, and a cancel is reported as a cancel.
func TestSilent(t *testing.T) {
	never := make(chan struct{})
	defer close(never)
	wait := func() ([]byte, error) { <-never; return nil, nil }
	if _, err := within(t.Context(), time.Millisecond, wait); !errors.Is(err, errSilent) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := within(ctx, 0, wait)
	if err = unreadable(ctx, "-", err); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestRead(t *testing.T) {
	d, err := Read(t.Context(), "standard input", strings.NewReader(good))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Answers(); err != nil {
		t.Fatal(err)
	}
}

func TestSave(t *testing.T) {
	a, err := Parse("a", []byte(good))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, before := range map[string]string{"new": "", "commented": good, "broken": "a: [",
		"aliases": "a: &a b\nc: *a\n"} {
		path := filepath.Join(dir, name)
		if before != "" {
			if err := os.WriteFile(path, []byte(before), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := a.Save(path); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(data), Header+"\n") {
			t.Errorf("%s: no schema line first:\n%.200s", name, data)
		}
		if name == "commented" && (!strings.Contains(string(data), "# a comment") || !strings.Contains(string(data),
			"# stays")) {
			t.Errorf("comments are lost:\n%s", data)
		}
		if info, _ := os.Stat(path); runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v", name, info.Mode())
		}
		again, err := Load(t.Context(), path)
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, data)
		}
		if diff := cmp.Diff(a, again); diff != "" {
			t.Errorf("%s (-saved +loaded):\n%s", name, diff)
		}
	}
	// Lists that got shorter lose their ends.
	a.Forests, a.Tests.Pairs = a.Forests[:1], nil
	a.Forests[0].Domains = a.Forests[0].Domains[:1]
	if err := a.Save(filepath.Join(dir, "commented")); err != nil {
		t.Fatal(err)
	}
	if again, err := Load(t.Context(), filepath.Join(dir, "commented")); err != nil || len(again.Forests) != 1 ||
		len(again.Forests[0].Domains) != 1 || len(again.Tests.Pairs) != 0 {
		t.Errorf("%+v, %v", again, err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 4 {
		t.Errorf("files are left behind: %v", entries)
	}
	if err := a.Save(filepath.Join(dir, "absent", "a.yaml")); err == nil {
		t.Error("saved where there is no directory")
	}
}

func TestDocument(t *testing.T) {
	d, err := NewDocument("a", []byte("kind: Answers # keep\n"))
	if err != nil {
		t.Fatal(err)
	}
	d.Set("forests[1].exchange.server", "123")
	d.SetList("forests[0].domains", []string{"a.example", "no"})
	d.Set("kind", "true")
	if got := d.Text("forests[1].exchange.server"); got != "123" {
		t.Errorf("got %q", got)
	}
	want := Header + `
kind: "true" # keep
forests:
  - domains: [a.example, no]
  - exchange:
      server: "123"
`
	if diff := cmp.Diff(want, string(d.Bytes())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	d.Unset("forests[1].exchange.server")
	if d.Len("forests") != 1 {
		t.Errorf("emptied mappings stay:\n%s", d.Bytes())
	}
}

// TestTemplates: every template reports its placeholders and nothing else, has a question for each,
// and is valid once they are answered.
func TestTemplates(t *testing.T) {
	for _, s := range Scenarios() {
		t.Run(s.ID, func(t *testing.T) {
			d, err := New("answers.yaml", s.ID)
			if err != nil {
				t.Fatal(err)
			}
			_, err = d.Answers()
			var faults Faults
			if !errors.As(err, &faults) {
				t.Fatalf("a template needs filling in, got %v", err)
			}
			for _, f := range faults {
				if !strings.HasPrefix(f.What, "still to be filled in") {
					t.Errorf("not a placeholder: %v", f)
				}
			}
			for _, p := range d.Pages() {
				for _, q := range d.Questions(p) {
					key := d.Key(q, p.Forest)
					if values, given := d.Get(key); given && len(values) > 0 || d.find(key) == nil {
						continue
					}
					example := q.Example
					if other := recipes[s.ID].examples[q.Key]; other != "" {
						example = other
					}
					if p.Forest == 1 {
						example = strings.ReplaceAll(example, "contoso", "fabrikam")
					}
					d.Answer(q, p.Forest, key, []string{example})
				}
			}
			if got, want := d.Len("tests.pairs"), 2*max(1, d.Len("forests")); got != want && !recipes[s.ID].looks {
				t.Errorf("%d lookups, want %d", got, want)
			}
			if _, err := d.Answers(); err != nil {
				t.Errorf("filled in:\n%v\n%s", err, d.Bytes())
			}
		})
	}
	if _, err := Template("multiforest"); err == nil || !strings.Contains(err.Error(), `did you mean "multi-forest"`) {
		t.Errorf("got %v", err)
	}
}

// TestQuestions: every question has what a form needs, its example is valid, and its key is one
// that the schema knows.
func TestQuestions(t *testing.T) {
	known := map[string]bool{}
	for _, s := range Sections() {
		known[s.ID] = true
	}
	for _, q := range Questions() {
		if !known[q.Section] || q.Label == "" || q.Help == "" {
			t.Errorf("%s: incomplete", q.Key)
		}
		if schemaAt(tokens(q.Key)) == nil {
			t.Errorf("%s: the schema has no such key", q.Key)
		}
		if q.Example != "" {
			if err := q.Validate([]string{q.Example}); err != nil {
				t.Errorf("%s: the example: %v", q.Key, err)
			}
		}
		if (len(q.Choices) > 0) != (q.Kind == ChoiceAnswer || q.Kind == ManyAnswer) {
			t.Errorf("%s: choices and kind do not fit", q.Key)
		}
		if err := q.Validate(nil); (err != nil) != q.Required {
			t.Errorf("%s: no answer: %v", q.Key, err)
		}
	}
	for scenario, want := range map[string]int{"single-forest": 8, "multi-forest": 15, "workmail": 9} {
		d, err := New("a", scenario)
		if err != nil || len(d.Pages()) != want {
			t.Errorf("%s: %d pages, want %d: %v", scenario, len(d.Pages()), want, err)
		}
	}
	d, _ := New("a", "single-forest")
	ask := func(key string) bool {
		for _, q := range Questions() {
			if q.Key == key {
				return q.Asked(d, 0)
			}
		}
		t.Fatalf("no question %s", key)
		return false
	}
	d.Set("forests[0].directory.bind.kind", "password")
	d.Set("forests[0].directory.bind.user", "svc")
	if !ask("forests[].directory.bind.password") {
		t.Error("kind password asks for the password")
	}
	d.Set("forests[0].directory.bind.kind", "kerberos")
	d.Prune()
	if ask("forests[].directory.bind.password") || d.Text("forests[0].directory.bind.user") != "" {
		t.Error("kind kerberos asks for nothing")
	}
	if d.find("forests[0].certificate") != nil || d.find("tests") != nil {
		t.Errorf("what is optional and not filled in stays:\n%s", d.Bytes())
	}
	secretQuestion := Question{Kind: SecretAnswer, Check: checkSecret}
	if err := secretQuestion.Validate([]string{"Hunter2"}); err == nil || strings.Contains(err.Error(), "Hunter2") {
		t.Errorf("got %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	for _, s := range Scenarios() {
		data, err := Template(s.ID)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("a: &a [*a]\npassword: |\n x\n"))
	f.Add([]byte("? [a]\n: {password: \"x\ny\"}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := Parse("f", data)
		if err != nil {
			if strings.ContainsFunc(err.Error(), func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }) {
				t.Errorf("unprintable: %q", err)
			}
			return
		}
		for _, ref := range []secret.Ref{a.Forests[0].Directory.Bind.Password} {
			if ref != "" && ref.Validate() != nil {
				t.Error("a plain secret passed")
			}
		}
		path := filepath.Join(t.TempDir(), "a.yaml")
		if err := a.Save(path); err != nil {
			t.Fatal(err)
		}
		again, err := Load(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(a, again); diff != "" {
			t.Errorf("(-saved +loaded):\n%s", diff)
		}
	})
}

func TestPorts(t *testing.T) {
	for text, want := range map[string]string{
		"dns1.contoso.com": "dns1.contoso.com", "10.0.0.1:53": "10.0.0.1:53",
		"dns1.contoso.com:65535": "dns1.contoso.com:65535", "::1": "::1", "[::1]:53": "[::1]:53",
		"10.0.0.1:0": "", "10.0.0.1:65536": "", "10.0.0.1:": "", "10.0.0.1:dns": "", ":53": "",
	} {
		if got, err := hostPort(text); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
}

// TestSideBySide is for the race detector: the wizard writes answers in one goroutine and reads
// them in another.
func TestSideBySide(t *testing.T) {
	d, err := NewDocument("answers.yaml", []byte("apiVersion: hybridge/v1\nkind: Answers\norganization: Contoso\n"))
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	for range 4 {
		clone := d.Clone()
		wait.Go(func() {
			if !bytes.Contains(clone.Bytes(), []byte("Contoso")) {
				t.Error("lost")
			}
		})
	}
	wait.Wait()
}

// One value that a file names in two places stays two values: answers that differ there are saved as
// they are.
func TestSaveOverAliases(t *testing.T) {
	a, err := Parse("a", []byte(good))
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Forests) < 2 {
		t.Fatal("one forest")
	}
	path := filepath.Join(t.TempDir(), "answers.yaml")
	const before = "apiVersion: hybridge/v1\nkind: Answers\norganization: x\nforests:\n" +
		"  - &one {name: a, domains: [a.example]}\n  - *one\n"
	if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := a.Save(path); err != nil {
		t.Fatal(err)
	}
	again, err := Load(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(a, again); diff != "" {
		t.Errorf("(-saved +loaded):\n%s", diff)
	}
}

// Every variable that holds a secret is named: a local PowerShell gets none of them.
func TestVariables(t *testing.T) {
	a := Answers{ExchangeOnline: &ExchangeOnline{Credential: Credential{Secret: "env:TENANT", Password: "env:PFX"}},
		Network: Network{ProxyCredential: &ProxyCredential{Password: "env:TENANT"}},
		Notify:  []Receiver{{URLSecret: "env:HOOK", Secret: "file:key"}}}
	if diff := cmp.Diff([]string{"HOOK", "PFX", "TENANT"}, a.Variables()); diff != "" {
		t.Error(diff)
	}
}

// A file of another format has one fault, whatever its keys and values are.
func TestAnotherFormat(t *testing.T) {
	for data, want := range map[string]string{
		`{"apiVersion": "hybridge/v1", "kind": "Plan", "changes": [{"before": null}]}`: `kind: "Plan" is not an ` +
			"answers file's kind",
		`{"pid": 1, "dns": "127.0.0.1:53", "endpoints": {}, "forests": [{"name": "contoso"}]}`: "this is not an " +
			"answers file",
	} {
		_, err := Parse("answers.yaml", []byte(data))
		var faults Faults
		if !errors.As(err, &faults) || len(faults) != 1 || !strings.Contains(faults[0].Error(), want) {
			t.Errorf("%s: %v", data, err)
		}
	}
	_, err := Parse("answers.yaml", []byte("organization: Contoso\nforests: []\nfeature: [freeBusy]\n"))
	if err == nil || !strings.Contains(err.Error(), `did you mean "features"`) {
		t.Errorf("an answers file without its head: %v", err)
	}
}

// A reference that lacks its place holds no secret: the forms in the hint stay readable.
func TestReferenceWithoutAPlace(t *testing.T) {
	for _, ref := range []string{"file:", "env:", "keyring:"} {
		data := strings.Replace(good, "keyring:hybridge/app", `"`+ref+`"`, 1)
		_, err := Parse("answers.yaml", []byte(data))
		if data == good || err == nil || !strings.Contains(err.Error(), ref+" needs ") ||
			!strings.Contains(err.Error(), secret.Forms) {
			t.Errorf("%s: %v", ref, err)
		}
	}
}
