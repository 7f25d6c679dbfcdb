package answers

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
)

// validation is one look at a document. Paths are lists of keys and indexes.
type validation struct {
	document *Document
	nodes    map[string]place // by path
	reported map[string]bool  // paths that have a fault already
	faults   Faults
	secrets  []string // what was found where references to secrets belong
	budget   int
	open     []*yaml.Node // the aliases being followed
}

type place struct{ key, value *yaml.Node }

func (v *validation) run() Answers {
	v.budget = maxNodes
	value, ok := v.value(v.document.root, nil)
	if !ok {
		return Answers{}
	}
	tree, _ := value.(map[string]any)
	if v.header(tree) {
		return Answers{}
	}
	left := v.structure(tree)
	data, err := json.Marshal(tree)
	if err != nil {
		v.faultAt(nil, "the answers cannot be read: "+err.Error(), "report this as a bug")
		return Answers{}
	}
	var a Answers
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&a); err != nil && len(v.faults) == 0 {
		v.faultAt(nil, "the answers cannot be decoded", "report this as a bug")
		return Answers{}
	}
	v.rules(&a)
	if len(v.faults) == 0 && len(left) > 0 { // no rule knows it
		v.faultAt(left[0].At, "not valid here", "compare with: hybridge schema")
	}
	return a
}

// header reports whether this is another kind of file, or another version; nothing else is looked
// at then.
func (v *validation) header(tree map[string]any) bool {
	version, versionIsText := tree["apiVersion"].(string)
	kind, kindIsText := tree["kind"].(string)
	switch {
	case v.foreign(tree):
		v.faultAt(nil, "this is not an answers file: it has neither apiVersion nor kind, and most of its keys are "+
			"unknown",
			"name the answers file, or write one with: hybridge init")
	case kindIsText && kind != Kind:
		v.faults = nil // what its values are does not matter
		v.faultAt([]string{"kind"}, fmt.Sprintf("%s is not an answers file's kind", quote(kind)),
			"write kind: "+Kind+"; if this file is something else, name the answers file")
	case versionIsText && version != APIVersion:
		v.faultAt([]string{"apiVersion"}, fmt.Sprintf("this hybridge reads %s, the file says %s", APIVersion,
			quote(version)), "write apiVersion: "+APIVersion+", or use the hybridge that the file was written for")
	default:
		return false
	}
	return true
}

// foreign reports whether nothing says that this is an answers file, and most of its keys are
// unknown: then each of them would be a fault.
func (v *validation) foreign(tree map[string]any) bool {
	if tree["apiVersion"] != nil || tree["kind"] != nil {
		return false
	}
	known, unknown := schemaAt(nil).PropertyNames(), 0
	for key := range tree {
		if !slices.Contains(known, key) {
			unknown++
		}
	}
	return unknown > len(tree)-unknown
}

// value turns a node into what JSON has, and notes where everything stands. False: the value cannot
// be validated.
func (v *validation) value(n *yaml.Node, path []string) (any, bool) {
	if v.budget--; v.budget < 0 {
		if v.budget == -1 {
			v.faultAt(path, fmt.Sprintf("the file grows beyond %d values once its aliases are written out", maxNodes),
				"write the values out, without & and *")
		}
		return nil, false
	}
	switch n.Kind {
	case yaml.AliasNode:
		if n.Alias == nil || slices.Contains(v.open, n.Alias) {
			v.faultAt(path, "an alias that contains itself", "write the values out, without & and *")
			return nil, false
		}
		v.open = append(v.open, n.Alias)
		defer func() { v.open = v.open[:len(v.open)-1] }()
		return v.value(n.Alias, path)
	case yaml.MappingNode:
		return v.mapping(n, path)
	case yaml.SequenceNode:
		list := make([]any, 0, len(n.Content))
		for i, item := range n.Content {
			at := slices.Concat(path, []string{strconv.Itoa(i)})
			v.nodes[join(at)] = place{value: item}
			element, ok := v.value(item, at)
			if !ok {
				element = nil
				v.reported[join(at)] = true
			}
			if v.budget < 0 {
				return nil, false
			}
			list = append(list, element)
		}
		return list, true
	case yaml.ScalarNode:
		return v.scalar(n, path)
	}
	return nil, false
}

func (v *validation) mapping(n *yaml.Node, path []string) (any, bool) {
	tree := make(map[string]any, len(n.Content)/2)
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, item := n.Content[i], n.Content[i+1]
		at := slices.Concat(path, []string{key.Value})
		switch {
		case key.ShortTag() == "!!merge":
			v.positioned(key, path, "\"<<\" merges are not supported",
				"write the values out, or use an alias for the whole mapping")
			continue
		case key.Kind != yaml.ScalarNode:
			v.positioned(key, path, "a key that is not text", "a \"{\" or \"[\" at the beginning of a value is put "+
				"in quotes")
			continue
		case first[key.Value] > 0:
			v.positioned(key, at, "this key was given before, on line "+strconv.Itoa(first[key.Value]),
				"keep one of the two")
			continue
		}
		first[key.Value] = max(key.Line, 1)
		v.nodes[join(at)] = place{key, item}
		value, ok := v.value(item, at)
		if v.budget < 0 {
			return nil, false
		}
		if !ok {
			v.reported[join(at)] = true
			continue
		}
		tree[key.Value] = value
	}
	return tree, true
}

func (v *validation) scalar(n *yaml.Node, path []string) (any, bool) {
	if len(path) > 0 && isSecretKey(path[len(path)-1]) {
		if _, err := secret.Parse(n.Value); err != nil && len(n.Value) > 3 {
			v.secrets = append(v.secrets, n.Value)
		}
	}
	if isPlaceholder(n.Value) {
		v.faultAt(path, "still to be filled in: "+n.Value, "write your own value here, or remove what you do not use")
		v.faults[len(v.faults)-1].Source = "" // the message quotes it
		return nil, false
	}
	switch tag := n.ShortTag(); tag {
	case "!!str", "!!timestamp":
		return n.Value, true
	case "!!null":
		v.faultAt(path, "no value", "give it one, or remove the key")
		return nil, false
	case "!!bool":
		return strings.EqualFold(n.Value, "true"), true
	case "!!int", "!!float":
		return json.Number("0"), true // no answer is a number: the value does not matter
	default:
		v.faultAt(path, "a YAML tag, "+quote(tag), "remove what begins with !")
		return nil, false
	}
}

// join makes a map key of a path; render shows it: forests[0].domains[1].
func join(path []string) string { return strings.Join(path, "\x00") }

func render(path []string) string {
	var b strings.Builder
	for i, t := range path {
		switch {
		case i > 0 && isIndex(t):
			b.WriteString("[" + t + "]")
		case i > 0:
			b.WriteString("." + t)
		default:
			b.WriteString(t)
		}
	}
	return b.String()
}

func isIndex(t string) bool { return t != "" && strings.Trim(t, "0123456789") == "" }

// faultAt reports a fault at a value; of a missing one, at the key above it. Each path gets one
// fault, the first.
func (v *validation) faultAt(path []string, what, hint string) {
	if v.reported[join(path)] {
		return
	}
	for at := path; len(at) > 0; at = at[:len(at)-1] {
		if p, ok := v.nodes[join(at)]; ok {
			n := p.value
			if p.key != nil && (len(at) < len(path) || n.Kind == yaml.MappingNode ||
				n.Kind == yaml.SequenceNode && n.Style&yaml.FlowStyle == 0 || n.Line == 0) {
				n = p.key
			}
			v.positioned(n, path, what, hint)
			return
		}
	}
	v.positioned(v.document.root, path, what, hint)
}

func (v *validation) keyFault(path []string, what, hint string) {
	n := v.document.root
	if p, ok := v.nodes[join(path)]; ok && p.key != nil {
		n = p.key
	}
	v.positioned(n, path, what, hint)
}

func (v *validation) positioned(n *yaml.Node, path []string, what, hint string) {
	v.reported[join(path)] = true
	v.faults = append(v.faults, v.document.fault(max(n.Line, 1), max(n.Column, 1), render(path), what, hint))
}

// plainSecret reports a secret that is given as a value. The value is shown nowhere.
func (v *validation) plainSecret(path []string) {
	ref := ""
	if p, ok := v.nodes[join(path)]; ok {
		ref = resolveAlias(p.value).Value
	}
	err := secret.Ref(ref).Validate()
	hint := "write where it is kept: " + secret.Forms
	if err != nil && !errors.Is(err, secret.ErrNotReference) {
		v.faultAt(path, err.Error(), hint)
		return
	}
	v.faultAt(path, "a secret is given as a plain value", hint)
}

// scrub takes secrets that the file gave as values out of a text.
func (v *validation) scrub(s string) string {
	for _, value := range v.secrets {
		if slices.Contains([]string{"file:", "env:", "keyring:"}, value) {
			continue // a reference without its place; the hint names the forms
		}
		s = strings.ReplaceAll(s, value, secret.Redacted)
		for line := range strings.Lines(value) {
			if line = strings.TrimSpace(line); len(line) > 3 {
				s = strings.ReplaceAll(s, line, secret.Redacted)
			}
		}
	}
	return s
}

// single validates one value by a rule and replaces it by the form that the rule returns.
func (v *validation) single(path []string, value *string, rule func(string) (string, error)) bool {
	if *value == "" {
		return false
	}
	normal, err := rule(*value)
	if err != nil {
		what, hint, _ := strings.Cut(err.Error(), "; ")
		v.faultAt(path, quote(*value)+" "+what, hint)
		*value = ""
		return false
	}
	*value = normal
	return true
}

// list validates every element by a rule, and refuses duplicates.
func (v *validation) list(path []string, values []string, rule func(string) (string, error)) {
	seen := map[string]int{}
	for i := range values {
		at := slices.Concat(path, []string{strconv.Itoa(i)})
		if !v.single(at, &values[i], rule) {
			continue
		}
		if before, ok := seen[values[i]]; ok {
			v.faultAt(at, fmt.Sprintf("%s is listed before, on line %d", quote(values[i]), v.line(path, before)),
				"list it once")
			continue
		}
		seen[values[i]] = i
	}
}

func (v *validation) line(path []string, more ...any) int {
	at := slices.Clone(path)
	for _, m := range more {
		at = append(at, fmt.Sprint(m))
	}
	if p, ok := v.nodes[join(at)]; ok {
		return max(p.value.Line, 1)
	}
	return 1
}

// rules are the rules that the schema cannot express.
func (v *validation) rules(a *Answers) {
	v.single([]string{"organization"}, &a.Organization, text)
	v.list([]string{"features"}, featureTexts(a.Features), text)
	moves := len(a.Features) == 0 || slices.Contains(a.Features, MoveMailbox)
	if i := slices.Index(a.Retire, RetireMRSProxy); i >= 0 && moves {
		v.faultAt([]string{"retire", strconv.Itoa(i)}, "mrsProxy is retired, and the features include moveMailbox",
			"remove one of the two")
	}
	if a.ExchangeOnline == nil && a.WorkMail == nil && !v.reported["exchangeOnline"] && !v.reported["workmail"] {
		v.faultAt([]string{"exchangeOnline"}, "no cloud is named", "add exchangeOnline, workmail, or both")
	}
	if e := a.ExchangeOnline; e != nil {
		v.exchangeOnline(a, e)
	}
	if w := a.WorkMail; w != nil {
		v.workMail(w)
	}
	v.forests(a)
	if h := a.Hybrid; h != nil {
		v.hybrid(a, h)
	}
	network := []string{"network"}
	v.list(append(network, "resolvers"), a.Network.Resolvers, hostPort)
	v.single(append(network, "caFile"), &a.Network.CAFile, filePath)
	v.list(append(network, "connectTo"), a.Network.ConnectTo, connectTo)
	v.single(append(network, "proxy"), &a.Network.Proxy, webURL)
	if c := a.Network.ProxyCredential; c != nil {
		v.single(append(network, "proxyCredential", "user"), &c.User, text)
	}
	v.single(append(network, "ehloName"), &a.Network.EHLOName, hostOrAddress)
	v.list(append(network, "insecureHosts"), a.Network.InsecureHosts, hostOrAddress)
	v.checks(a)
	v.notify(a)
	for i := range a.Tests.Pairs {
		p := &a.Tests.Pairs[i]
		at := []string{"tests", "pairs", strconv.Itoa(i)}
		from := v.single(slices.Concat(at, []string{"from"}), &p.From, address)
		to := v.single(slices.Concat(at, []string{"to"}), &p.To, address)
		if from && to && strings.EqualFold(p.From, p.To) {
			v.faultAt(slices.Concat(at, []string{"to"}), "from and to are one mailbox",
				"ask about a mailbox on the other side")
		}
	}
}

func featureTexts(features []Feature) []string { return texts(features) }

func (v *validation) exchangeOnline(a *Answers, e *ExchangeOnline) {
	at := func(key ...string) []string { return append([]string{"exchangeOnline"}, key...) }
	c, known := cloud.Get(e.Cloud)
	if v.single(at("tenant"), &e.Tenant, domainName) && known {
		v.tenant(at("tenant"), e.Tenant, c)
	}
	v.single(at("coexistenceDomain"), &e.CoexistenceDomain, domainName)
	if e.CoexistenceDomain == "" && e.Tenant != "" && known && !v.reported[join(at("tenant"))] &&
		!v.reported[join(at("coexistenceDomain"))] && c.InitialSuffix == "" {
		if _, err := c.CoexistenceDomain(e.Tenant); err != nil {
			v.faultAt(at("coexistenceDomain"), "missing: the domain suffixes of this cloud are not known to hybridge",
				"add coexistenceDomain, the target delivery domain")
		}
	}
	if e.RichCoexistence == RichCoexistenceGraph && known && !c.GraphCoexistence {
		v.faultAt(at("richCoexistence"), "cloud "+c.ID+" has no Graph route for calendar lookups", "write auto or ews")
	}
	for _, name := range sortedKeys(e.Hosts) {
		i := slices.IndexFunc(cloud.Keys(), func(k cloud.Key) bool { return k.Name == name })
		if i < 0 {
			v.unknownKey(at("hosts", name), cloud.KeyNames())
			continue
		}
		if err := cloud.Keys()[i].Check(e.Hosts[name]); err != nil {
			v.faultAt(at("hosts", name), err.Error(), "see: hybridge help clouds")
		}
	}
	v.credential(at("credential"), &e.Credential, onlineKinds)
}

// tenant refuses names that are of the tenant, but not its initial domain, and those of another
// cloud.
func (v *validation) tenant(path []string, tenant string, c cloud.Cloud) {
	for _, other := range cloud.All() {
		if other.CoexistenceSuffix != "" && strings.HasSuffix(tenant, "."+other.CoexistenceSuffix) {
			name := strings.TrimSuffix(tenant, "."+other.CoexistenceSuffix)
			v.faultAt(path, quote(tenant)+" is the coexistence domain",
				"write the initial domain: "+name+"."+other.InitialSuffix)
			return
		}
	}
	other, ok := cloud.OfTenant(tenant)
	if !ok || c.MayHold(tenant) {
		return
	}
	v.faultAt(path, fmt.Sprintf("%s is a tenant of cloud %s, not of %s", quote(tenant), other.ID, c.ID),
		"correct the tenant or the cloud")
}

func (v *validation) forests(a *Answers) {
	names, claims, hosts, files := map[string]int{}, map[string][]string{}, map[string]int{}, map[string]int{}
	for i := range a.Forests {
		f := &a.Forests[i]
		at := func(key ...string) []string { return append([]string{"forests", strconv.Itoa(i)}, key...) }
		if v.single(at("name"), &f.Name, shortName) {
			if before, ok := names[strings.ToLower(f.Name)]; ok {
				v.faultAt(at("name"), fmt.Sprintf("there is a forest %s before, on line %d", quote(f.Name),
					v.line([]string{"forests"}, before, "name")), "give every forest a name of its own")
			} else {
				names[strings.ToLower(f.Name)] = i
			}
		}
		v.single(at("directory", "domain"), &f.Directory.Domain, domainName)
		v.list(at("directory", "servers"), f.Directory.Servers, hostPort)
		if f.Directory.Domain == "" && len(f.Directory.Servers) == 0 && !v.reported[join(at())] &&
			!v.reported[join(at("directory"))] && !v.reported[join(at("directory", "domain"))] &&
			!v.reported[join(at("directory", "servers"))] {
			v.faultAt(at("directory", "servers"), "missing, and so is domain",
				"add servers, or domain to find them by DNS")
		}
		v.credential(at("directory", "bind"), &f.Directory.Bind, bindKinds)
		v.single(at("exchange", "server"), &f.Exchange.Server, hostOrAddress)
		v.single(at("exchange", "url"), &f.Exchange.URL, webURL)
		v.credential(at("exchange", "credential"), &f.Exchange.Credential, viaKinds(f.Exchange.Via))
		if f.Exchange.EWS != nil {
			v.credential(at("exchange", "ews"), f.Exchange.EWS, ewsKinds)
		}
		if f.Exchange.Credential.Kind == CredentialBasic && !strings.HasPrefix(f.Exchange.URL, "https://") &&
			!v.reported[join(at("exchange", "url"))] {
			v.faultAt(at("exchange", "credential", "kind"), "basic would send the password in the clear to http://",
				"set exchange.url to an https:// URL, or use kind: password")
		}
		for _, n := range []struct {
			key  string
			host *string
		}{{"ews", &f.Namespace.EWS}, {"smtp", &f.Namespace.SMTP}, {"autodiscover", &f.Namespace.Autodiscover}} {
			if !v.single(at("namespace", n.key), n.host, domainName) || *n.host == "" {
				continue
			}
			if before, ok := hosts[n.key+" "+*n.host]; ok {
				v.faultAt(at("namespace", n.key), fmt.Sprintf("forest %s has the same host, on line %d",
					quote(a.Forests[before].Name), v.line([]string{"forests"}, before, "namespace", n.key)),
					"every forest publishes "+n.key+" under a host of its own")
			} else {
				hosts[n.key+" "+*n.host] = i
			}
		}
		v.domains(a, i, claims)
		v.certificate(at("certificate"), f.Certificate)
		v.certificate(at("authCertificate"), f.AuthCertificate)
		v.single(at("applicationId"), &f.ApplicationID, guid)
		if f.Certificate != nil && f.Certificate.PFX != "" {
			file := strings.TrimPrefix(f.Certificate.PFX, "file:")
			if before, ok := files[file]; ok {
				v.faultAt(at("certificate", "pfx"), fmt.Sprintf("forest %s has the same certificate, on line %d",
					quote(a.Forests[before].Name), v.line([]string{"forests"}, before, "certificate", "pfx")),
					"transport certificates of two forests differ in common name or issuer, or the cloud cannot "+
						"tell the forests apart")
			} else {
				files[file] = i
			}
		}
		v.list(at("addressPolicies"), f.AddressPolicies, text)
		v.list(at("exchange", "builds"), f.Exchange.Builds, serverBuild)
		v.list(at("edge"), f.Edge, hostOrAddress)
		v.copyRules(a, i)
		v.provider(at(), a, f.WorkMail)
		v.lookups(at(), a, f.Lookups)
	}
}

// copyRules validates the names of rules: one forest alone may give the tenant a rule of a name.
func (v *validation) copyRules(a *Answers, i int) {
	c := a.Forests[i].CopyRules
	if c == nil {
		return
	}
	path := []string{"forests", strconv.Itoa(i), "copyRules"}
	v.list(append(slices.Clone(path), "toTenant"), c.ToTenant, ruleName)
	v.list(append(slices.Clone(path), "toForest"), c.ToForest, ruleName)
	same := func(name string) func(string) bool {
		return func(other string) bool { return strings.EqualFold(name, other) }
	}
	for j, name := range c.ToTenant {
		at := append(slices.Clone(path), "toTenant", strconv.Itoa(j))
		if slices.ContainsFunc(c.ToForest, same(name)) {
			v.faultAt(at, quote(name)+" is listed in both directions", "a rule is copied from one side to the other")
		}
		for _, before := range a.Forests[:i] {
			if before.CopyRules != nil && slices.ContainsFunc(before.CopyRules.ToTenant, same(name)) {
				v.faultAt(at, fmt.Sprintf("forest %s gives the tenant a rule %s too", quote(before.Name), quote(name)),
					"take it from one forest, or rename one of the rules")
			}
		}
	}
}

func (v *validation) domains(a *Answers, i int, claims map[string][]string) {
	f := &a.Forests[i]
	path := []string{"forests", strconv.Itoa(i), "domains"}
	v.list(path, f.Domains, domainName)
	for j, domain := range f.Domains {
		at := slices.Concat(path, []string{strconv.Itoa(j)})
		if domain == "" || v.reported[join(at)] {
			continue
		}
		if e := a.ExchangeOnline; e != nil && (domain == e.Tenant || domain == e.CoexistenceDomain) {
			v.faultAt(at, quote(domain)+" is a domain of the tenant", "list the domains that this forest's users "+
				"have their addresses in")
			continue
		}
		if before, ok := claims[domain]; ok {
			v.faultAt(at, fmt.Sprintf("forest %s has the domain already, on line %d", quote(before[0]),
				v.line(before[1:])), "a domain belongs to one forest")
			continue
		}
		claims[domain] = append([]string{f.Name}, at...)
	}
}

func (v *validation) certificate(path []string, c *Certificate) {
	if c != nil {
		v.single(append(path, "pfx"), &c.PFX, filePath)
	}
}

// A kindRule says what a credential of a kind needs and what else it may have.
type kindRule struct{ needs, may []string }

// The kinds of credentials, by what they are for.
var (
	bindKinds = map[CredentialKind]kindRule{
		CredentialKerberos: {nil, []string{"user", "ticketCache", "krb5Config"}},
		CredentialKeytab:   {[]string{"user", "keytab"}, []string{"krb5Config"}},
		CredentialPassword: {[]string{"user", "password"}, nil},
	}
	exchangeKinds = map[CredentialKind]kindRule{
		CredentialKerberos: {nil, []string{"user", "ticketCache", "krb5Config"}},
		CredentialKeytab:   {[]string{"user", "keytab"}, []string{"krb5Config"}},
		CredentialPassword: {[]string{"user", "password"}, []string{"krb5Config"}},
		CredentialBasic:    {[]string{"user", "password"}, nil},
	}
	localKinds = map[CredentialKind]kindRule{ // what New-PSSession takes
		CredentialKerberos: {},
		CredentialPassword: {[]string{"user", "password"}, nil},
		CredentialBasic:    {[]string{"user", "password"}, nil},
	}
	snapInKinds = map[CredentialKind]kindRule{CredentialKerberos: {}}
	autoKinds   = map[CredentialKind]kindRule{CredentialKerberos: exchangeKinds[CredentialKerberos],
		CredentialPassword: exchangeKinds[CredentialPassword], CredentialBasic: exchangeKinds[CredentialBasic]}
	ewsKinds = map[CredentialKind]kindRule{
		CredentialKerberos: {nil, []string{"user", "ticketCache", "krb5Config"}},
		CredentialKeytab:   {[]string{"user", "keytab"}, []string{"krb5Config"}},
		CredentialPassword: {[]string{"user", "password"}, nil},
		CredentialBasic:    {[]string{"user", "password"}, nil},
		CredentialNTLM:     {[]string{"user", "password"}, nil},
	}
	onlineKinds = map[CredentialKind]kindRule{
		CredentialCertificate:      {[]string{"clientId", "pfx"}, []string{"password"}},
		CredentialSecret:           {[]string{"clientId", "secret"}, nil},
		CredentialDeviceCode:       {nil, []string{"clientId"}},
		CredentialWorkloadIdentity: {nil, []string{"clientId"}},
	}
	workMailKinds = map[CredentialKind]kindRule{
		CredentialSecret: {[]string{"clientId", "secret"}, nil},
	}
)

// viaKinds are the kinds of credentials for Exchange by the way of its cmdlets. With auto, the
// account is that of both ways; the ticket cache is hybridge's alone.
func viaKinds(via string) map[CredentialKind]kindRule {
	switch via {
	case ViaLocal:
		return localKinds
	case ViaAuto:
		return autoKinds
	case ViaSnapIn:
		return snapInKinds
	}
	return exchangeKinds
}

// credentials are the places that have one, by the ends of their paths.
var credentials = []struct {
	at    string
	kinds map[CredentialKind]kindRule
}{
	{"directory.bind", bindKinds}, {"exchange.credential", exchangeKinds}, {"exchange.ews",
		ewsKinds}, {"exchangeOnline.credential", onlineKinds}, {"workmail.credential", workMailKinds},
}

func (v *validation) credential(path []string, c *Credential, allowed map[CredentialKind]kindRule) {
	at := func(key string) []string { return slices.Concat(path, []string{key}) }
	fields := []struct {
		key   string
		value *string
		rule  func(string) (string, error)
	}{
		{"user", &c.User, text},
		{"password", (*string)(&c.Password), nil},
		{"keytab", &c.Keytab, filePath},
		{"ticketCache", &c.TicketCache, text},
		{"krb5Config", &c.Krb5Config, filePath},
		{"clientId", &c.ClientID, guid},
		{"pfx", &c.PFX, filePath},
		{"secret", (*string)(&c.Secret), nil},
	}
	if c.Kind == "" {
		return // missing or unknown: reported
	}
	rule, ok := allowed[c.Kind]
	if !ok {
		v.faultAt(at("kind"), fmt.Sprintf("kind %s does not work here", quote(string(c.Kind))),
			"use one of "+strings.Join(kinds(allowed), ", "))
		return
	}
	for _, f := range fields {
		_, given := v.nodes[join(at(f.key))]
		switch {
		case slices.Contains(rule.needs, f.key) && !given:
			v.faultAt(at(f.key), "missing: kind "+string(c.Kind)+" needs it", "add "+f.key)
		case given && !slices.Contains(rule.needs, f.key) && !slices.Contains(rule.may, f.key):
			v.faultAt(at(f.key), "kind "+string(c.Kind)+" does not use it", "remove it, or correct the kind")
		case f.rule != nil && f.key == "clientId" && len(allowed) == 1:
			v.single(at(f.key), f.value, text) // an AWS access key's id
		case f.rule != nil:
			v.single(at(f.key), f.value, f.rule)
		}
	}
}

// Has reports whether a feature is asked for: it is listed, or none is and it is one of
// DefaultFeatures.
func (a Answers) Has(f Feature) bool {
	if len(a.Features) == 0 {
		return f != CentralizedTransport
	}
	return slices.Contains(a.Features, f)
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
