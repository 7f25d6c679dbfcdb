package answers

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
)

// AnswerKind is what an answer looks like.
type AnswerKind string

// The kinds of answers.
const (
	TextAnswer   AnswerKind = "text"
	ChoiceAnswer AnswerKind = "choice"  // one of Choices
	ManyAnswer   AnswerKind = "choices" // some of Choices
	ListAnswer   AnswerKind = "list"    // texts, separated by commas or blanks when typed
	SecretAnswer AnswerKind = "secret"  // a reference to a secret, never the secret
)

// Question is one question about an organization, as the wizard's form asks it and as a template of init answers it.
type Question struct {
	Key      string // where the answer goes: "exchangeOnline.tenant"; "forests[].name" is asked for every forest
	Section  string // one of Sections
	Label    string
	Help     string
	Kind     AnswerKind
	Required bool
	Default  string   // what applies when there is no answer
	Example  string   // a valid answer
	Choices  []string // of ChoiceAnswer and ManyAnswer
	// Check returns what is wrong with one text (of a list, with one element) in words that follow it.
	Check func(string) error
	When  []Condition // all must hold for the question to be asked
}

// Condition holds when the answer to a question (of the same forest, for "forests[]." keys) is one of In; with In empty, when there is an
// answer at all.
type Condition struct {
	Key string
	In  []string
}

// Section groups questions: one screen of the form, one part of a template.
type Section struct {
	ID, Title string
	PerForest bool
	Root      string // the top key that everything in it is under; "" when there are several
}

// Page is a section as it is asked of one document: once, or once a forest.
type Page struct {
	Section
	Forest int // counts from 0; 0 when the section is not per forest
}

// Pages returns the sections that a document is to be asked: that of the cloud it has (Exchange Online, when it has none yet), those of
// every forest (of one, when there is none yet), and the others.
func (d *Document) Pages() []Page {
	var before, forest, after []Section
	for _, s := range sections {
		switch {
		case s.Root == "workmail" && d.find("workmail") == nil, s.Root == "exchangeOnline" && d.find("exchangeOnline") == nil && d.find("workmail") != nil:
		case s.PerForest:
			forest = append(forest, s)
		case len(forest) == 0:
			before = append(before, s)
		default:
			after = append(after, s)
		}
	}
	var pages []Page
	for _, s := range before {
		pages = append(pages, Page{Section: s})
	}
	for i := range max(1, d.Len("forests")) {
		for _, s := range forest {
			pages = append(pages, Page{s, i})
		}
	}
	for _, s := range after {
		pages = append(pages, Page{Section: s})
	}
	return pages
}

// Questions returns the questions of a page that are asked, given the answers so far.
func (d *Document) Questions(p Page) []Question {
	var asked []Question
	for _, q := range questions {
		if q.Section == p.ID && q.Asked(d, p.Forest) {
			asked = append(asked, q)
		}
	}
	return asked
}

// Sections are the sections, in the order in which they are asked.
func Sections() []Section { return slices.Clone(sections) }

// Questions are the questions, in the order in which they are asked.
func Questions() []Question { return slices.Clone(questions) }

var sections = []Section{
	{ID: "organization", Title: "Organization"},
	{ID: "cloud", Title: "Exchange Online", Root: "exchangeOnline"},
	{ID: "workmail", Title: "Amazon WorkMail", Root: "workmail"},
	{ID: "forest", Title: "Forest", PerForest: true, Root: "forests"},
	{ID: "directory", Title: "Active Directory", PerForest: true, Root: "forests"},
	{ID: "exchange", Title: "Exchange", PerForest: true, Root: "forests"},
	{ID: "certificate", Title: "Transport certificate", PerForest: true, Root: "forests"},
	{ID: "tests", Title: "Free/busy test", Root: "tests"},
	{ID: "network", Title: "Network", Root: "network"},
}

var (
	onlineKind = func(kinds ...string) Condition { return Condition{"exchangeOnline.credential.kind", kinds} }
	bindKind   = func(kinds ...string) Condition { return Condition{"forests[].directory.bind.kind", kinds} }
	serverKind = func(kinds ...string) Condition { return Condition{"forests[].exchange.credential.kind", kinds} }
)

var questions = []Question{
	{Key: "organization", Section: "organization", Label: "Organization", Kind: TextAnswer, Required: true, Example: "Contoso", Check: rule(text),
		Help: "The organization's name, for reports."},
	{Key: "features", Section: "organization", Label: "Features", Kind: ManyAnswer, Choices: enumerations["Answers.features[]"], Default: "all but centralizedTransport",
		Help: "What the hybrid deployment offers, as Microsoft's wizard names it."},

	{Key: "exchangeOnline.cloud", Section: "cloud", Label: "Cloud", Kind: ChoiceAnswer, Required: true, Choices: enumerations["ExchangeOnline.cloud"], Example: "worldwide",
		Help: "The Microsoft cloud that the tenant is in. GCC is part of worldwide."},
	{Key: "exchangeOnline.tenant", Section: "cloud", Label: "Tenant", Kind: TextAnswer, Required: true, Example: "contoso.onmicrosoft.com", Check: rule(domainName),
		Help: "The tenant's initial domain, such as contoso.onmicrosoft.com."},
	{Key: "exchangeOnline.credential.kind", Section: "cloud", Label: "Sign in with", Kind: ChoiceAnswer, Required: true, Choices: texts(online), Example: "certificate",
		Help: "certificate and secret: an application of your own; deviceCode: a person with a browser; workloadIdentity: what the platform gives."},
	{Key: "exchangeOnline.credential.clientId", Section: "cloud", Label: "Application (client) id", Kind: TextAnswer, Required: true, Example: "6f4f1c9a-58a5-4bb2-9c08-7b9c7d3d2f10", Check: rule(guid),
		When: []Condition{onlineKind("certificate", "secret")}, Help: "The application's id in Entra, a GUID."},
	{Key: "exchangeOnline.credential.pfx", Section: "cloud", Label: "Application certificate", Kind: TextAnswer, Required: true, Example: "file:app.pfx", Check: rule(filePath),
		When: []Condition{onlineKind("certificate")}, Help: "A PKCS#12 file with the application's certificate and key, relative to the answers file."},
	{Key: "exchangeOnline.credential.password", Section: "cloud", Label: "Password of that file", Kind: SecretAnswer, Example: "keyring:hybridge/app", Check: checkSecret,
		When: []Condition{onlineKind("certificate")}, Help: "Where the password is kept: " + secret.Forms + "."},
	{Key: "exchangeOnline.credential.secret", Section: "cloud", Label: "Application secret", Kind: SecretAnswer, Required: true, Example: "keyring:hybridge/app", Check: checkSecret,
		When: []Condition{onlineKind("secret")}, Help: "Where the secret is kept: " + secret.Forms + "."},
	{Key: "exchangeOnline.richCoexistence", Section: "cloud", Label: "Calendar lookups by", Kind: ChoiceAnswer, Choices: enumerations["ExchangeOnline.richCoexistence"], Default: "auto",
		Help: "The route of lookups from on-premises to the cloud. auto takes Graph where the servers can, EWS otherwise."},

	{Key: "workmail.region", Section: "workmail", Label: "Region", Kind: ChoiceAnswer, Required: true, Choices: enumerations["WorkMail.region"], Example: "us-east-1",
		Help: "The AWS region of the organization."},
	{Key: "workmail.organization", Section: "workmail", Label: "Organization", Kind: TextAnswer, Required: true, Example: "contoso", Check: rule(text),
		Help: "The organization's alias or id (m-...)."},

	{Key: "forests[].name", Section: "forest", Label: "Forest", Kind: TextAnswer, Required: true, Example: "contoso", Check: rule(shortName),
		Help: "A short name for the forest, used in reports and plans."},
	{Key: "forests[].domains", Section: "forest", Label: "SMTP domains", Kind: ListAnswer, Required: true, Example: "contoso.com", Check: rule(domainName),
		Help: "The mail domains of this forest that take part. A domain belongs to one forest."},
	{Key: "forests[].namespace.autodiscover", Section: "forest", Label: "Autodiscover host", Kind: TextAnswer, Required: true, Example: "autodiscover.contoso.com", Check: rule(domainName),
		Help: "The public host that answers autodiscover for this forest. No two forests share one."},
	{Key: "forests[].namespace.ews", Section: "forest", Label: "EWS host", Kind: TextAnswer, Required: true, Example: "mail.contoso.com", Check: rule(domainName),
		Help: "The external host name of Exchange Web Services."},
	{Key: "forests[].namespace.smtp", Section: "forest", Label: "SMTP host", Kind: TextAnswer, Required: true, Example: "mail.contoso.com", Check: rule(domainName),
		Help: "The public host that takes mail from the cloud."},

	{Key: "forests[].directory.servers", Section: "directory", Label: "Domain controllers", Kind: ListAnswer, Example: "dc1.contoso.com", Check: rule(hostPort),
		Help: "HOST or HOST:PORT. Leave empty to find them by DNS; then the domain is needed."},
	{Key: "forests[].directory.domain", Section: "directory", Label: "Forest root domain", Kind: TextAnswer, Example: "contoso.com", Check: rule(domainName),
		Help: "The DNS name of the forest root domain; domain controllers are found by it."},
	{Key: "forests[].directory.security", Section: "directory", Label: "Protected by", Kind: ChoiceAnswer, Choices: enumerations["Directory.security"], Default: "ldaps",
		Help: "How the LDAP connection is protected."},
	{Key: "forests[].directory.bind.kind", Section: "directory", Label: "Bind with", Kind: ChoiceAnswer, Required: true, Choices: kinds(bindKinds), Example: "kerberos",
		Help: "kerberos: the user who runs hybridge; keytab and password: an account. Any user may read what is needed."},
	{Key: "forests[].directory.bind.user", Section: "directory", Label: "Account", Kind: TextAnswer, Required: true, Example: "svc-hybridge@contoso.com", Check: rule(text),
		When: []Condition{bindKind("keytab", "password")}, Help: `user@domain or DOMAIN\user.`},
	{Key: "forests[].directory.bind.password", Section: "directory", Label: "Password", Kind: SecretAnswer, Required: true, Example: "keyring:hybridge/contoso", Check: checkSecret,
		When: []Condition{bindKind("password")}, Help: "Where the password is kept: " + secret.Forms + "."},
	{Key: "forests[].directory.bind.keytab", Section: "directory", Label: "Keytab", Kind: TextAnswer, Required: true, Example: "hybridge.keytab", Check: rule(filePath),
		When: []Condition{bindKind("keytab")}, Help: "The path of the keytab, relative to the answers file."},

	{Key: "forests[].exchange.server", Section: "exchange", Label: "Exchange server", Kind: TextAnswer, Required: true, Example: "ex1.contoso.com", Check: rule(hostOrAddress),
		Help: "The host name of one Mailbox server."},
	{Key: "forests[].exchange.url", Section: "exchange", Label: "Remote PowerShell URL", Kind: TextAnswer, Default: "http://SERVER/PowerShell/, sealed by Kerberos", Example: "https://ex1.contoso.com/PowerShell/", Check: rule(webURL),
		Help: "Needed when remote PowerShell is reached by https."},
	{Key: "forests[].exchange.credential.kind", Section: "exchange", Label: "Sign in with", Kind: ChoiceAnswer, Required: true, Choices: kinds(exchangeKinds), Example: "kerberos",
		Help: "The account is a member of Organization Management. basic needs an https URL."},
	{Key: "forests[].exchange.credential.user", Section: "exchange", Label: "Account", Kind: TextAnswer, Required: true, Example: "svc-hybridge@contoso.com", Check: rule(text),
		When: []Condition{serverKind("keytab", "password", "basic")}, Help: `user@domain or DOMAIN\user.`},
	{Key: "forests[].exchange.credential.password", Section: "exchange", Label: "Password", Kind: SecretAnswer, Required: true, Example: "keyring:hybridge/contoso", Check: checkSecret,
		When: []Condition{serverKind("password", "basic")}, Help: "Where the password is kept: " + secret.Forms + "."},
	{Key: "forests[].exchange.credential.keytab", Section: "exchange", Label: "Keytab", Kind: TextAnswer, Required: true, Example: "hybridge.keytab", Check: rule(filePath),
		When: []Condition{serverKind("keytab")}, Help: "The path of the keytab, relative to the answers file."},
	{Key: "forests[].edge", Section: "exchange", Label: "Edge Transport servers", Kind: ListAnswer, Example: "edge1.contoso.com", Check: rule(hostOrAddress),
		Help: "With any, mail flows through them and not through the Mailbox servers."},

	{Key: "forests[].certificate.pfx", Section: "certificate", Label: "Certificate file", Kind: TextAnswer, Example: "file:mail-contoso.pfx", Check: rule(filePath),
		Help: "The transport certificate with its key. It differs from every other forest's in common name or issuer."},
	{Key: "forests[].certificate.password", Section: "certificate", Label: "Password of that file", Kind: SecretAnswer, Example: "env:PFX_PASSWORD", Check: checkSecret,
		When: []Condition{{Key: "forests[].certificate.pfx"}}, Help: "Where the password is kept: " + secret.Forms + "."},

	{Key: "tests.pairs[0].from", Section: "tests", Label: "On premises", Kind: TextAnswer, Example: "anna@contoso.com", Check: rule(address),
		Help: "A user with a mailbox on premises, who looks at a calendar in the cloud."},
	{Key: "tests.pairs[0].to", Section: "tests", Label: "... looks at, in the cloud", Kind: TextAnswer, Example: "bob@contoso.com", Check: rule(address),
		Help: "A user with a mailbox in the cloud."},
	{Key: "tests.pairs[1].from", Section: "tests", Label: "In the cloud", Kind: TextAnswer, Example: "bob@contoso.com", Check: rule(address),
		Help: "A user with a mailbox in the cloud, who looks at a calendar on premises."},
	{Key: "tests.pairs[1].to", Section: "tests", Label: "... looks at, on premises", Kind: TextAnswer, Example: "anna@contoso.com", Check: rule(address),
		Help: "A user with a mailbox on premises."},

	{Key: "network.resolvers", Section: "network", Label: "DNS servers", Kind: ListAnswer, Example: "10.0.0.53", Check: rule(hostPort), Default: "the system's",
		Help: "HOST or HOST:PORT."},
	{Key: "network.caFile", Section: "network", Label: "Certificate authorities", Kind: TextAnswer, Example: "corporate-ca.pem", Check: rule(filePath), Default: "the system's",
		Help: "A PEM file with authorities to trust besides the system's."},
	{Key: "network.proxy", Section: "network", Label: "Proxy", Kind: TextAnswer, Example: "http://proxy.contoso.com:8080", Check: rule(webURL), Default: "none",
		Help: "The URL of an HTTP proxy, without user name and password."},
	{Key: "network.connectTo", Section: "network", Label: "Connect to", Kind: ListAnswer, Example: "mail.contoso.com:443=10.0.0.4:443", Check: rule(connectTo),
		Help: "Where to really connect to: HOST:PORT=HOST:PORT, as curl's --connect-to."},
}

func rule(r func(string) (string, error)) func(string) error {
	return func(s string) error { _, err := r(s); return err }
}

func checkSecret(s string) error {
	if err := secret.Ref(s).Validate(); err != nil && !errors.Is(err, secret.ErrNotReference) {
		return err
	}
	if _, _, ok := secret.Ref(s).Source(); !ok {
		return errors.New("is not a reference; write where the secret is kept: " + secret.Forms)
	}
	return nil
}

// unfilled tells a placeholder, or a list of nothing else.
func unfilled(n *yaml.Node) bool {
	if n.Kind == yaml.SequenceNode {
		return !slices.ContainsFunc(n.Content, func(item *yaml.Node) bool { return !unfilled(item) })
	}
	return n.Kind == yaml.ScalarNode && isPlaceholder(n.Value)
}

// kinds lists the kinds of a table in the order in which they are declared.
func kinds(rules map[CredentialKind]kindRule) []string {
	var names []string
	for _, k := range append(slices.Clone(onPremises), online...) {
		if _, ok := rules[k]; ok {
			names = append(names, string(k))
		}
	}
	return names
}

// For returns the question's key for one forest.
func (q Question) For(forest int) string { return keyFor(q.Key, forest) }

func keyFor(key string, forest int) string {
	return strings.Replace(key, "forests[]", "forests["+strconv.Itoa(forest)+"]", 1)
}

// Asked tells whether the question is to be asked, given a document's answers so far; forest counts from 0 and is ignored
// for questions that are not per forest.
func (q Question) Asked(d *Document, forest int) bool {
	for _, c := range q.When {
		text := d.Text(keyFor(c.Key, forest))
		if text == "" || len(c.In) > 0 && !slices.Contains(c.In, text) {
			return false
		}
	}
	return true
}

// Validate returns what is wrong with the answer to a question: every text of it is checked, and none is a fault when one is
// required. The error never holds what was typed for a secret.
func (q Question) Validate(values []string) error {
	if len(values) == 0 || len(values) == 1 && values[0] == "" {
		if q.Required {
			return errors.New("an answer is needed")
		}
		return nil
	}
	for _, v := range values {
		var err error
		switch {
		case len(q.Choices) > 0 && !slices.Contains(q.Choices, v):
			err = errors.New("is not known here; " + choose(v, q.Choices))
		case q.Check != nil:
			err = q.Check(v)
		}
		switch {
		case err != nil && q.Kind == SecretAnswer:
			return errors.New("that " + strings.TrimPrefix(err.Error(), "that "))
		case err != nil:
			return errors.New(quote(v) + " " + err.Error())
		}
	}
	return nil
}

// Split takes a typed list apart: elements stand between commas and blanks.
func Split(typed string) []string {
	return strings.FieldsFunc(typed, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == ';' })
}

// Answer puts the answer to a question into a document; no values take it out.
func (d *Document) Answer(q Question, forest int, values []string) {
	key := q.For(forest)
	switch {
	case len(values) == 0 || len(values) == 1 && values[0] == "":
		d.Unset(key)
	case q.Kind == ListAnswer || q.Kind == ManyAnswer:
		d.SetList(key, values)
	default:
		d.Set(key, values[0])
	}
}

// Prune takes out the answers to questions that are no longer asked, such as the password after the kind became kerberos, and a
// template's placeholders where no answer is needed.
func (d *Document) Prune() {
	for i := range max(1, d.Len("forests")) {
		for _, q := range slices.Backward(questions) { // so that indexes of lists stay true
			if n := d.find(q.For(i)); n != nil && !q.Required && unfilled(n) {
				d.Unset(q.For(i))
			}
		}
	}
	for _, q := range questions {
		forests := 1
		if strings.HasPrefix(q.Key, "forests[]") {
			forests = d.Len("forests")
		}
		for i := range forests {
			if len(q.When) > 0 && !q.Asked(d, i) && d.find(q.For(i)) != nil {
				d.Unset(q.For(i))
			}
		}
	}
}
