package answers

import (
	"cmp"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/hybridge-cli/hybridge/pkg/config/schema"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
)

// Example is an answers file that is whole and valid: one forest, an application that signs in by
// certificate.
const Example = `apiVersion: hybridge/v1
kind: Answers
organization: Contoso
exchangeOnline:
  cloud: worldwide
  tenant: contoso.onmicrosoft.com
  credential:
    kind: certificate
    clientId: 6f4f1c9a-58a5-4bb2-9c08-7b9c7d3d2f10
    pfx: app.pfx
    password: keyring:hybridge/app
forests:
  - name: contoso
    domains: [contoso.com]
    namespace: {autodiscover: autodiscover.contoso.com, ews: mail.contoso.com, smtp: mail.contoso.com}
    directory: {servers: [dc1.contoso.com], bind: {kind: kerberos}}
    exchange: {server: ex1.contoso.com, credential: {kind: kerberos}}
tests:
  pairs:
    - {from: anna@contoso.com, to: bob@contoso.com}
    - {from: bob@contoso.com, to: anna@contoso.com}
`

// parts are the mappings of an answers file as the reference page shows them: where each stands,
// and the type that it is read into. A mapping that stands in several places has one part; parts of
// a path follow it.
var parts = []struct {
	id, title string
	at        string // the first place
	of        reflect.Type
}{
	{"top", "The file", "", reflect.TypeFor[Answers]()},
	{"hybrid", "hybrid", "hybrid", reflect.TypeFor[Hybrid]()},
	{"exchangeonline", "exchangeOnline", "exchangeOnline", reflect.TypeFor[ExchangeOnline]()},
	{"workmail", "workmail", "workmail", reflect.TypeFor[WorkMail]()},
	{"workmail-export", "workmail.export", "workmail.export", reflect.TypeFor[Export]()},
	{"workmail-account", "workmail.account", "workmail.account", reflect.TypeFor[WorkMailAccount]()},
	{"forest", "forests[]", "forests[]", reflect.TypeFor[Forest]()},
	{"directory", "forests[].directory", "forests[].directory", reflect.TypeFor[Directory]()},
	{"exchange", "forests[].exchange", "forests[].exchange", reflect.TypeFor[Exchange]()},
	{"namespace", "forests[].namespace", "forests[].namespace", reflect.TypeFor[Namespace]()},
	{"certificate", "forests[].certificate, forests[].authCertificate", "forests[].certificate",
		reflect.TypeFor[Certificate]()},
	{"copy-rules", "forests[].copyRules", "forests[].copyRules", reflect.TypeFor[CopyRules]()},
	{"provider", "forests[].workmail", "forests[].workmail", reflect.TypeFor[Provider]()},
	{"lookups", "forests[].lookups", "forests[].lookups", reflect.TypeFor[Lookups]()},
	{"credential", "Credentials", "exchangeOnline.credential", reflect.TypeFor[Credential]()},
	{"network", "network", "network", reflect.TypeFor[Network]()},
	{"proxy-credential", "network.proxyCredential", "network.proxyCredential", reflect.TypeFor[ProxyCredential]()},
	{"tests", "tests", "tests", reflect.TypeFor[Tests]()},
	{"pair", "tests.pairs[]", "tests.pairs[]", reflect.TypeFor[Pair]()},
	{"check", "checks[]", "checks[]", reflect.TypeFor[CheckRule]()},
	{"receiver", "notify[]", "notify[]", reflect.TypeFor[Receiver]()},
}

// Markdown renders the reference page of the answers file, docs/reference/answers.md: from the
// schema, the questions and the rules about credentials.
func Markdown() []byte {
	var b strings.Builder
	b.WriteString("# The answers file\n\nGenerated from the types in pkg/config/answers; do not edit.\n\n")
	b.WriteString("YAML, one document. `hybridge init` writes one with a comment at every key; `hybridge schema` " +
		"prints the JSON Schema that editors use.\n" +
		"Unknown keys are faults, and every fault is reported at once, with line and column. Paths are relative to " +
		"the answers file.\n" +
		"Secrets are [references](../secrets.md), never values.\n\n```yaml\n" + Example + "```\n")
	for _, p := range parts {
		fmt.Fprintf(&b, "\n<a id=%q></a>\n\n## %s\n\n", p.id, p.title)
		if p.id == "credential" {
			credentialKinds(&b)
		}
		b.WriteString("| key | type | default | meaning | example |\n| --- | --- | --- | --- | --- |\n")
		s := schemaAt(tokens(p.at))
		for i := range p.of.NumField() {
			name, _, _ := strings.Cut(p.of.Field(i).Tag.Get("yaml"), ",")
			row(&b, p.at, name, p.of.Field(i), s)
		}
	}
	return []byte(b.String())
}

func row(b *strings.Builder, at, name string, field reflect.StructField, s *schema.Schema) {
	path := strings.TrimPrefix(at+"."+name, ".")
	property := s.Properties[name]
	meaning, fallback := property.Description, ""
	if before, after, ok := strings.Cut(meaning, " Default: "); ok {
		meaning, fallback = before, strings.TrimSuffix(after, ".")
	} else if m := inWords().FindStringSubmatch(meaning); m != nil {
		fallback = m[1]
	}
	if q, ok := questionFor(path); ok {
		fallback = cmp.Or(fallback, q.Default)
	}
	if slices.Contains(s.Required, name) {
		fallback = "**needed**"
	}
	kind := typeName(field.Type, property)
	if path == "exchangeOnline.credential.kind" {
		kind = "text" // the kinds depend on the place
	}
	example := cmp.Or(field.Tag.Get("example"), asked(path))
	if example != "" {
		example = "`" + example + "`"
	}
	fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", name, kind, fallback, cell(meaning), cell(example))
}

var inWords = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(\w+) \(default\)`)
})

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

func tokens(path string) []string {
	if path == "" {
		return nil
	}
	return strings.Split(strings.ReplaceAll(path, "[]", ".0"), ".")
}

// questionFor returns the question that asks for a key.
func questionFor(path string) (Question, bool) {
	for _, q := range questions {
		if q.Key == path {
			return q, true
		}
	}
	return Question{}, false
}

// asked is the example of the question that asks for a key, as YAML; the fields of keys that no
// question asks for have a tag.
func asked(path string) string {
	q, _ := questionFor(path)
	if (q.Kind == ListAnswer || q.Kind == ManyAnswer) && q.Example != "" {
		if strings.ContainsAny(q.Example, ":=") {
			return fmt.Sprintf("[%q]", q.Example)
		}
		return "[" + q.Example + "]"
	}
	return q.Example
}

// typeName says what stands under a key, linked to its part when that is a mapping.
func typeName(of reflect.Type, s *schema.Schema) string {
	if of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	for _, p := range parts {
		if p.of == of {
			return "[mapping](#" + p.id + ")"
		}
		if of.Kind() == reflect.Slice && of.Elem() == p.of {
			return "list of [mappings](#" + p.id + ")"
		}
	}
	if s.Items != nil {
		return "list of " + typeName(of.Elem(), s.Items)
	}
	switch {
	case of.Kind() == reflect.Map:
		return "mapping of text"
	case of == reflect.TypeFor[secret.Ref]():
		return "[reference](../secrets.md)"
	case s.Enum != nil:
		var values []string
		for _, v := range s.Enum {
			values = append(values, fmt.Sprint(v))
		}
		return strings.Join(values, ", ")
	}
	return "text"
}

// credentialKinds is the table of the kinds: where each can stand, what it needs, what it may have.
func credentialKinds(b *strings.Builder) {
	b.WriteString("`directory.bind`, `exchange.credential`, `exchange.ews`, `exchangeOnline.credential` and " +
		"`workmail.credential` have a kind and what it needs:\n\n" +
		"| kind | who signs in | where | needs | may have |\n| --- | --- | --- | --- | --- |\n")
	who := map[CredentialKind]string{
		CredentialKerberos: "the user who runs hybridge: logged on to Windows, or with a ticket from kinit",
		CredentialKeytab:   "the account that the keytab is of, by Kerberos",
		CredentialPassword: "an account with its password: to the directory by LDAP, to remote PowerShell " +
			"by Kerberos over http and by Basic over https, to EWS by NTLM",
		CredentialBasic:            "an account with its password, as Basic authentication; https only",
		CredentialNTLM:             "an account with its password, as NTLM",
		CredentialCertificate:      "an application, with its own certificate",
		CredentialSecret:           "an application, with a client secret; for WorkMail, an access key",
		CredentialDeviceCode:       "a person, with a browser and the code that hybridge shows; not in pipelines",
		CredentialWorkloadIdentity: "what the platform gives: a federated token of a pipeline or a managed identity",
	}
	for _, kind := range slices.Concat(onPremises, online) {
		var needs, may, where []string
		for _, place := range credentials {
			if r, ok := place.kinds[kind]; ok {
				needs, where = r.needs, append(where, place.at)
				for _, key := range r.may {
					if !slices.Contains(may, key) {
						may = append(may, key)
					}
				}
			}
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", kind, who[kind], strings.Join(where, ", "),
			strings.Join(needs, ", "), strings.Join(may, ", "))
	}
	b.WriteString("\n")
}
