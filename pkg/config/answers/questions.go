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

// Question is one question about an organization. The wizard's form asks it, init writes it, and
// the schema and the reference page describe its key with it.
type Question struct {
	// Key says where the answer goes: "exchangeOnline.tenant". "forests[].name" is asked per
	// forest, and so is "tests.pairs[].from", of the lookup that belongs to the forest.
	Key     string
	Section string // one of Sections
	Label   string
	Help    string
	Why     string // we ask, where that is not plain
	Kind    AnswerKind
	// Required questions need an answer whenever they are asked.
	Required bool
	Default  string   // what applies when there is no answer
	Example  string   // a valid answer
	Choices  []string // of ChoiceAnswer and ManyAnswer
	// Check returns what is wrong with one text (of a list, with one element) in words that follow
	// it.
	Check func(string) error
	When  []Condition // all must hold for the question to be asked
	File  bool        // the answer is the path of a file
}

// Condition holds when the answer to a question (of the same forest, for "forests[]." keys) is one
// of In; with In empty, when there is an answer at all.
type Condition struct {
	Key string
	In  []string
}

// Section groups questions: one page of the form, one part of a template.
type Section struct {
	ID, Title string
	PerForest bool
}

// Page is a section as one document is asked it: once, or once per forest.
type Page struct {
	Section
	Forest int // counts from 0; 0 when the section is not per forest
}

// Pages returns the sections that a document is to be asked: that of the cloud it has (Exchange
// Online, when it has none yet), those of every forest (of one, when there is none yet), and the
// others.
func (d *Document) Pages() []Page {
	var before, forest, after []Section
	for _, s := range sections {
		switch {
		case s.ID == "leaving" && d.find("hybrid") == nil,
			(s.ID == "workmail" || s.ID == "interoperability") && d.find("workmail") == nil,
			s.ID == "between" && d.Len("forests") < 2,
			s.ID == "cloud" && d.find("exchangeOnline") == nil && d.find("workmail") != nil:
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
	{ID: "cloud", Title: "Exchange Online"},
	{ID: "leaving", Title: "The way out of hybrid"},
	{ID: "workmail", Title: "Amazon WorkMail"},
	{ID: "forest", Title: "Forest", PerForest: true},
	{ID: "directory", Title: "Active Directory", PerForest: true},
	{ID: "exchange", Title: "Exchange", PerForest: true},
	{ID: "certificate", Title: "Transport certificate", PerForest: true},
	{ID: "interoperability", Title: "Free/busy for WorkMail", PerForest: true},
	{ID: "between", Title: "Free/busy for forests", PerForest: true},
	{ID: "tests", Title: "Free/busy test", PerForest: true},
	{ID: "network", Title: "Network"},
}

var (
	onlineKind = func(kinds ...string) Condition { return Condition{"exchangeOnline.credential.kind", kinds} }
	bindKind   = func(kinds ...string) Condition { return Condition{"forests[].directory.bind.kind", kinds} }
	serverKind = func(kinds ...string) Condition { return Condition{"forests[].exchange.credential.kind", kinds} }
	ewsKind    = func(kinds ...string) Condition { return Condition{"forests[].exchange.ews.kind", kinds} }
)

const passwordKept = "Where the password is kept: " + secret.Forms + "."

var questions = []Question{
	{Key: "organization", Section: "organization", Label: "Organization", Kind: TextAnswer, Required: true,
		Example: "Contoso", Check: rule(text),
		Help: "The organization's name, for reports."},
	{Key: "features", Section: "organization", Label: "Features", Kind: ManyAnswer,
		Choices: enumerations["Answers.features[]"], Default: "all but centralizedTransport",
		Example: "freeBusy",
		Help:    "What the hybrid deployment offers, as Microsoft's wizard names it."},
	{Key: "retire", Section: "organization", Label: "Retire", Kind: ManyAnswer,
		Choices: enumerations["Answers.retire[]"], Default: "nothing", Example: "sharedKeys",
		Help: "What a plan removes although hybridge did not make it. sharedKeys: the auth certificates at the " +
			"shared application, once lookups use the dedicated one. workarounds: setting overrides that an update " +
			"made unnecessary. mrsProxy: MRSProxy, where no mailboxes are moved."},

	{Key: "exchangeOnline.cloud", Section: "cloud", Label: "Cloud", Kind: ChoiceAnswer, Required: true,
		Choices: enumerations["ExchangeOnline.cloud"], Example: "worldwide",
		Help: "The Microsoft cloud that the tenant is in; see: hybridge help clouds. GCC is part of worldwide."},
	{Key: "exchangeOnline.tenant", Section: "cloud", Label: "Tenant", Kind: TextAnswer, Required: true,
		Example: "contoso.onmicrosoft.com", Check: rule(domainName),
		Help: "The tenant's initial domain, such as contoso.onmicrosoft.com."},
	{Key: "exchangeOnline.credential.kind", Section: "cloud", Label: "Sign in with", Kind: ChoiceAnswer,
		Required: true, Choices: texts(online), Example: "certificate",
		Help: "How to sign in to the tenant. certificate and secret: an application of your own; deviceCode: a " +
			"person with a browser; workloadIdentity: what the platform gives."},
	{Key: "exchangeOnline.credential.clientId", Section: "cloud", Label: "Application (client) id", Kind: TextAnswer,
		Required: true, Example: "6f4f1c9a-58a5-4bb2-9c08-7b9c7d3d2f10", Check: rule(guid),
		When: []Condition{onlineKind("certificate", "secret")}, Help: "The application's id in Entra, a GUID."},
	{Key: "exchangeOnline.credential.pfx", Section: "cloud", Label: "Application certificate", Kind: TextAnswer,
		Required: true, Example: "file:app.pfx", Check: rule(filePath), File: true,
		When: []Condition{onlineKind("certificate")}, Help: "A PKCS#12 file with the application's certificate and " +
			"key, relative to the answers file."},
	{Key: "exchangeOnline.credential.password", Section: "cloud", Label: "Password of that file", Kind: SecretAnswer,
		Example: "keyring:hybridge/app", Check: checkSecret,
		When: []Condition{onlineKind("certificate")}, Help: passwordKept},
	{Key: "exchangeOnline.credential.secret", Section: "cloud", Label: "Application secret", Kind: SecretAnswer,
		Required: true, Example: "keyring:hybridge/app", Check: checkSecret,
		When: []Condition{onlineKind("secret")}, Help: "Where the secret is kept: " + secret.Forms + "."},
	{Key: "exchangeOnline.richCoexistence", Section: "cloud", Label: "Calendar lookups by", Kind: ChoiceAnswer,
		Choices: enumerations["ExchangeOnline.richCoexistence"], Default: "auto", Example: "graph",
		Help: "The route of lookups from on-premises to the cloud. auto takes Graph where the servers can, EWS " +
			"otherwise."},
	{Key: "exchangeOnline.via", Section: "cloud", Label: "Cmdlets by", Kind: ChoiceAnswer,
		Choices: enumerations["ExchangeOnline.via"], Default: "api", Example: "module",
		Help: "How the cmdlets of Exchange Online are run. api: by the admin API, without PowerShell. module: in a " +
			"local PowerShell, with Microsoft's module ExchangeOnlineManagement (3.1 or later). auto: by the admin " +
			"API, and by the module where the API does not answer as it should."},

	{Key: "hybrid.state", Section: "leaving", Label: "State", Kind: ChoiceAnswer,
		Choices: enumerations["Hybrid.state"], Default: "hybrid is set up and kept", Example: Leaving,
		Help: "leaving: plans end the hybrid, stage by stage, once every mailbox is in Exchange Online. Nothing else of " +
			"the hybrid is planned then."},
	{Key: "hybrid.leaveBehind", Section: "leaving", Label: "May stay on-premises", Kind: ManyAnswer,
		Choices: enumerations["Hybrid.leaveBehind[]"], Default: "nothing", Example: RemainAddressPolicies,
		When: []Condition{{Key: "hybrid.state"}},
		Help: "What is still on-premises and works without the hybrid, or is no longer needed. relays: receive " +
			"connectors for applications, devices and scanners. dynamicGroups: dynamic distribution groups that were made " +
			"in Exchange Online too."},
	{Key: "hybrid.filtered", Section: "leaving", Label: "Domains behind a filter", Kind: ListAnswer,
		Example: "contoso.com", Check: rule(domainName), When: []Condition{{Key: "hybrid.state"}},
		Help: "Domains whose MX records lead to a service that hands mail over to Exchange Online, and no longer to the " +
			"forest."},

	{Key: "workmail.region", Section: "workmail", Label: "Region", Kind: ChoiceAnswer, Required: true,
		Choices: enumerations["WorkMail.region"], Example: "us-east-1",
		Help: "The AWS region of the organization."},
	{Key: "workmail.organization", Section: "workmail", Label: "Organization", Kind: TextAnswer, Required: true,
		Example: "contoso", Check: rule(organizationName),
		Help: "The organization's alias or id (m-...)."},
	{Key: "workmail.account.user", Section: "workmail", Label: "Service account", Kind: TextAnswer,
		Example: "svc-workmail@contoso.com", Check: rule(registered),
		Help: "The address of the service account in WorkMail: the user as whom Exchange asks for free/busy."},
	{Key: "workmail.account.password", Section: "workmail", Label: "Password", Kind: SecretAnswer, Required: true,
		Example: "keyring:hybridge/workmail", Check: checkSecret,
		When: []Condition{{Key: "workmail.account.user"}}, Help: passwordKept},

	{Key: "forests[].name", Section: "forest", Label: "Forest", Kind: TextAnswer, Required: true, Example: "contoso",
		Check: rule(shortName),
		Help:  "A short name for the forest, used in reports and plans."},
	{Key: "forests[].domains", Section: "forest", Label: "SMTP domains", Kind: ListAnswer, Required: true,
		Example: "contoso.com", Check: rule(domainName),
		Help: "The mail domains of this forest that take part. A domain belongs to one forest."},
	{Key: "forests[].namespace.autodiscover", Section: "forest", Label: "Autodiscover host", Kind: TextAnswer,
		Required: true, Example: "autodiscover.contoso.com", Check: rule(domainName),
		Help: "The public host that answers autodiscover for this forest. No two forests share one."},
	{Key: "forests[].namespace.ews", Section: "forest", Label: "EWS host", Kind: TextAnswer, Required: true,
		Example: "mail.contoso.com", Check: rule(domainName),
		Help: "The external host name of Exchange Web Services. No two forests share one."},
	{Key: "forests[].namespace.smtp", Section: "forest", Label: "SMTP host", Kind: TextAnswer, Required: true,
		Example: "mail.contoso.com", Check: rule(domainName),
		Help: "The public host that takes mail from the cloud. No two forests share one."},

	{Key: "forests[].directory.servers", Section: "directory", Label: "Domain controllers", Kind: ListAnswer,
		Example: "dc1.contoso.com", Check: rule(hostPort),
		Help: "Domain controllers, HOST or HOST:PORT. Without any, DNS finds them by the domain."},
	{Key: "forests[].directory.domain", Section: "directory", Label: "Forest root domain", Kind: TextAnswer,
		Example: "contoso.com", Check: rule(domainName),
		Help: "The DNS name of the forest root domain; domain controllers are found by it."},
	{Key: "forests[].directory.security", Section: "directory", Label: "Protected by", Kind: ChoiceAnswer,
		Choices: enumerations["Directory.security"], Default: "ldaps", Example: "starttls",
		Help: "How the LDAP connection is protected."},
	{Key: "forests[].directory.bind.kind", Section: "directory", Label: "Bind with", Kind: ChoiceAnswer,
		Required: true, Choices: kinds(bindKinds), Example: "kerberos",
		Help: "How to sign in to the directory. kerberos: the user who runs hybridge; keytab and password: an " +
			"account. Any user may read what is needed."},
	{Key: "forests[].directory.bind.user", Section: "directory", Label: "Account", Kind: TextAnswer, Required: true,
		Example: "svc-hybridge@contoso.com", Check: rule(text),
		When: []Condition{bindKind("keytab", "password")}, Help: `user@domain or DOMAIN\user.`},
	{Key: "forests[].directory.bind.password", Section: "directory", Label: "Password", Kind: SecretAnswer,
		Required: true, Example: "keyring:hybridge/contoso", Check: checkSecret,
		When: []Condition{bindKind("password")}, Help: passwordKept},
	{Key: "forests[].directory.bind.keytab", Section: "directory", Label: "Keytab", Kind: TextAnswer, Required: true,
		Example: "hybridge.keytab", Check: rule(filePath), File: true,
		When: []Condition{bindKind("keytab")}, Help: "The path of the keytab, relative to the answers file."},

	{Key: "forests[].exchange.server", Section: "exchange", Label: "Exchange server", Kind: TextAnswer, Required: true,
		Example: "ex1.contoso.com", Check: rule(hostOrAddress),
		Help: "The host name of one Mailbox server, as its remote PowerShell is addressed."},
	{Key: "forests[].exchange.url", Section: "exchange", Label: "Remote PowerShell URL", Kind: TextAnswer,
		Default: "http://SERVER/PowerShell/, sealed by Kerberos",
		Example: "https://ex1.contoso.com/PowerShell/", Check: rule(webURL),
		Help: "The URL of remote PowerShell. Needed when it is reached by https."},
	{Key: "forests[].exchange.credential.kind", Section: "exchange", Label: "Sign in with", Kind: ChoiceAnswer,
		Required: true, Choices: kinds(exchangeKinds), Example: "kerberos",
		Help: "How to sign in to Exchange. The account is a member of Organization Management. basic needs an " +
			"https URL."},
	{Key: "forests[].exchange.credential.user", Section: "exchange", Label: "Account", Kind: TextAnswer,
		Required: true, Example: "svc-hybridge@contoso.com", Check: rule(text),
		When: []Condition{serverKind("keytab", "password", "basic")}, Help: `user@domain or DOMAIN\user.`},
	{Key: "forests[].exchange.credential.password", Section: "exchange", Label: "Password", Kind: SecretAnswer,
		Required: true, Example: "keyring:hybridge/contoso", Check: checkSecret,
		When: []Condition{serverKind("password", "basic")}, Help: passwordKept},
	{Key: "forests[].exchange.credential.keytab", Section: "exchange", Label: "Keytab", Kind: TextAnswer,
		Required: true, Example: "hybridge.keytab", Check: rule(filePath), File: true,
		When: []Condition{serverKind("keytab")}, Help: "The path of the keytab, relative to the answers file."},
	{Key: "forests[].exchange.ews.kind", Section: "exchange", Label: "Ask for free/busy as", Kind: ChoiceAnswer,
		Choices: kinds(ewsKinds), Default: "the account above", Example: "password",
		Help: "The account that asks for free/busy over EWS: a user with a mailbox who is synchronized to the " +
			"tenant.", Why: "A service account without a mailbox cannot ask."},
	{Key: "forests[].exchange.ews.user", Section: "exchange", Label: "Account", Kind: TextAnswer, Required: true,
		Example: "anna@contoso.com", Check: rule(text),
		When: []Condition{ewsKind("keytab", "password", "basic", "ntlm")}, Help: `user@domain or DOMAIN\user.`},
	{Key: "forests[].exchange.ews.password", Section: "exchange", Label: "Password", Kind: SecretAnswer,
		Required: true, Example: "keyring:hybridge/anna", Check: checkSecret,
		When: []Condition{ewsKind("password", "basic", "ntlm")}, Help: passwordKept},
	{Key: "forests[].exchange.ews.keytab", Section: "exchange", Label: "Keytab", Kind: TextAnswer, Required: true,
		Example: "anna.keytab", Check: rule(filePath), File: true,
		When: []Condition{ewsKind("keytab")}, Help: "The path of the keytab, relative to the answers file."},

	{Key: "forests[].exchange.builds", Section: "exchange", Label: "Builds with updates", Kind: ListAnswer,
		Example: "ex1=15.2.2562.53", Check: rule(serverBuild), Default: "what Get-ExchangeServer shows",
		Help: "The builds of servers with their hotfix and security updates, SERVER=BUILD, or BUILD for all servers. " +
			"Get-Command ExSetup.exe on the server shows it.",
		Why: "Get-ExchangeServer shows cumulative updates only. The Graph route and MRSProxy need later updates."},
	{Key: "forests[].exchange.via", Section: "exchange", Label: "Cmdlets by", Kind: ChoiceAnswer,
		Choices: enumerations["Exchange.via"], Default: "remote", Example: "local",
		Help: "How the cmdlets of Exchange are run. remote: by hybridge's own remote PowerShell. local: in a " +
			"Windows PowerShell on this computer, over a session that it opens. auto: by remote, and by local where " +
			"that does not work. snapIn: with the snap-in, on an Exchange server. Microsoft does not support the " +
			"snap-in, and the roles of the account do not limit it."},

	{Key: "forests[].certificate.pfx", Section: "certificate", Label: "Certificate file", Kind: TextAnswer,
		Example: "file:mail-contoso.pfx", Check: rule(filePath), File: true,
		Help: "The transport certificate with its key. It differs from every other forest's in common name or issuer."},
	{Key: "forests[].certificate.password", Section: "certificate", Label: "Password of that file", Kind: SecretAnswer,
		Example: "env:PFX_PASSWORD", Check: checkSecret,
		When: []Condition{{Key: "forests[].certificate.pfx"}}, Help: passwordKept},

	{Key: "forests[].workmail.user", Section: "interoperability", Label: "WorkMail asks as", Kind: TextAnswer,
		Example: `contoso\svc-workmail`, Check: rule(latin),
		Help: "The service account in Exchange: the account as which WorkMail asks the EWS of this forest for " +
			"free/busy, DOMAIN\\user or user@domain. It needs a mailbox and no rights."},
	{Key: "forests[].workmail.password", Section: "interoperability", Label: "Password", Kind: SecretAnswer,
		Required: true, Example: "keyring:hybridge/workmail-contoso", Check: checkSecret,
		When: []Condition{{Key: "forests[].workmail.user"}}, Help: passwordKept},

	{Key: "forests[].lookups.access", Section: "between", Label: "Other forests ask it", Kind: ChoiceAnswer,
		Choices: enumerations["Lookups.access"], Default: "no lookups from the other forests", Example: "orgWide",
		Help: "How the other forests ask this one for free/busy. orgWide: as one account, which sees what everyone " +
			"sees. perUser: each person sees what the calendar shows to that person; the forests need a trust. " +
			"relationship: by the federation trust that both forests have."},
	{Key: "forests[].lookups.user", Section: "between", Label: "Account", Kind: TextAnswer,
		Example: `contoso\svc-lookups`, Check: rule(account),
		When: []Condition{{"forests[].lookups.access", []string{AccessOrgWide, AccessPerUser}}},
		Help: "An account of this forest, without a mailbox and without rights, as which the Exchange servers of " +
			"the other forests ask. With perUser and no account, they ask as themselves over the trust."},
	{Key: "forests[].lookups.password", Section: "between", Label: "Password", Kind: SecretAnswer, Required: true,
		Example: "keyring:hybridge/lookups-contoso", Check: checkSecret,
		When: []Condition{{Key: "forests[].lookups.user"}}, Help: passwordKept},

	{Key: "tests.pairs[].from", Section: "tests", Label: "User on premises", Kind: TextAnswer,
		Example: "anna@contoso.com", Check: rule(address),
		Help: "A user of this forest with a mailbox on premises.", Why: "Free/busy is looked up in both directions " +
			"between the two users."},
	{Key: "tests.pairs[].to", Section: "tests", Label: "User in the cloud", Kind: TextAnswer,
		Example: "bob@contoso.com", Check: rule(address),
		Help: "A user with a mailbox in the cloud."},

	{Key: "network.resolvers", Section: "network", Label: "DNS servers", Kind: ListAnswer, Example: "10.0.0.53",
		Check: rule(hostPort), Default: "the system's",
		Help: "DNS servers to ask instead of the system's, HOST or HOST:PORT."},
	{Key: "network.caFile", Section: "network", Label: "Certificate authorities", Kind: TextAnswer,
		Example: "corporate-ca.pem", Check: rule(filePath), File: true, Default: "the system's",
		Help: "The path of a PEM file with certificate authorities to trust besides the system's."},
	{Key: "network.proxy", Section: "network", Label: "Proxy", Kind: TextAnswer,
		Example: "http://proxy.contoso.com:8080", Check: rule(webURL), Default: "none",
		Help: "The URL of an HTTP proxy, without user name and password."},
	{Key: "network.connectTo", Section: "network", Label: "Connect to", Kind: ListAnswer,
		Example: "mail.contoso.com:443=10.0.0.4:443", Check: rule(connectTo),
		Help: "Where to really connect to, as curl's --connect-to: HOST:PORT=HOST:PORT; an empty left host or port " +
			"matches any."},
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

// unfilled reports whether a node is a placeholder, or a list of placeholders only.
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

// perForest reports whether the question is asked per forest.
func (q Question) perForest() bool { return strings.Contains(q.Key, "[]") }

// Toggle returns the choices with one of them turned on or off, in the order of Choices.
func (q Question) Toggle(chosen []string, choice string) []string {
	return slices.DeleteFunc(slices.Clone(q.Choices), func(c string) bool {
		on := slices.Contains(chosen, c)
		return on == (c == choice)
	})
}

// Key returns the key under which the answer to a question stands in the document, or would stand.
func (d *Document) Key(q Question, forest int) string {
	if field, ok := strings.CutPrefix(q.Key, pairs+"[]."); ok {
		return pairKey(d.pair(forest), field)
	}
	return keyFor(q.Key, forest)
}

// Chosen are the choices of a question that are on: those of the document, or the default.
func (d *Document) Chosen(q Question, key string) []string {
	if values, ok := d.Get(key); ok {
		return values
	}
	if q.Key == "features" {
		return texts(DefaultFeatures())
	}
	return nil
}

func keyFor(key string, forest int) string {
	return strings.Replace(key, "forests[]", "forests["+strconv.Itoa(forest)+"]", 1)
}

// Asked reports whether the question is to be asked, given a document's answers so far; forest
// counts from 0 and is ignored for questions that are not per forest.
func (q Question) Asked(d *Document, forest int) bool {
	for _, c := range q.When {
		text := d.Text(keyFor(c.Key, forest))
		if text == "" || len(c.In) > 0 && !slices.Contains(c.In, text) {
			return false
		}
	}
	return true
}

// Validate returns what is wrong with the answer to a question: every text of it is checked, and
// none is a fault when one is required. The error never holds what was typed for a secret.
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

// Answer puts the answer to a question into a document, and no values take it out. The key is that
// of Document.Key; the key under which the answer stands from now on is returned.
func (d *Document) Answer(q Question, forest int, key string, values []string) string {
	none := len(values) == 0 || len(values) == 1 && values[0] == ""
	switch {
	case strings.HasPrefix(q.Key, pairs+"[]."):
		return d.answerPair(q, forest, key, strings.Join(values, ""))
	case none:
		d.Unset(key)
	case q.Kind == ListAnswer || q.Kind == ManyAnswer:
		d.SetList(key, values)
	default:
		d.Set(key, values[0])
	}
	return key
}

// RemoveForest takes out a forest with all its answers, and the lookups of its users.
func (d *Document) RemoveForest(forest int) {
	for i := d.Len(pairs) - 1; i >= 0; i-- {
		if from, to := d.lookup(i); d.forestOf(from) == forest || d.forestOf(from) < 0 && d.forestOf(to) == forest {
			d.Unset(pairKey(i, ""))
		}
	}
	d.Unset("forests[" + strconv.Itoa(forest) + "]")
}

// Prune takes out the answers to questions that are no longer asked, such as the password after the
// kind became kerberos, and a template's placeholders where no answer is needed.
func (d *Document) Prune() {
	for i := d.Len(pairs) - 1; i >= 0; i-- {
		if from, to := d.lookup(i); from == "" && to == "" {
			d.Unset(pairKey(i, ""))
		}
	}
	for _, q := range questions {
		if strings.HasPrefix(q.Key, pairs) {
			continue
		}
		forests := 1
		if q.perForest() {
			forests = max(1, d.Len("forests"))
		}
		for i := range forests {
			key := keyFor(q.Key, i)
			if n := d.find(key); n != nil && (!q.Required && unfilled(n) || len(q.When) > 0 && !q.Asked(d, i)) {
				d.Unset(key)
			}
		}
	}
}
