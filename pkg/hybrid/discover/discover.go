// Package discover finds what an answers file says about an organization: in DNS, in Active
// Directory, at the sign-in hosts of the clouds. It proposes, and changes nothing.
package discover

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/sorting"
	"github.com/hybridge-cli/hybridge/pkg/engine/broken"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/estate/directory"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// Proposal is the answer to a question, with where it was found.
type Proposal struct {
	Question string // answers.Question.Key
	Forest   int    // counts from 0
	Values   []string
	From     msg.Text
}

// Gap is what could not be looked at, or what a person must decide.
type Gap struct {
	What string
	Why  msg.Text
}

// Found is what a look at an organization gave.
type Found struct {
	Proposals []Proposal
	Gaps      []Gap
	// Forests are the root domains of further forests, which these forests trust or share with.
	Forests []string
	// Hybrid lists the root domains of the forests in which hybrid was set up before.
	Hybrid []string
}

// Into puts the proposals into a document where it has no answer, and returns those that it took.
func (f Found) Into(d *answers.Document) []Proposal {
	questions := map[string]answers.Question{}
	for _, q := range answers.Questions() {
		questions[q.Key] = q
	}
	var taken []Proposal
	for _, p := range f.Proposals {
		q, known := questions[p.Question]
		if !known || !q.Asked(d, p.Forest) {
			continue
		}
		key := d.Key(q, p.Forest)
		if values, _ := d.Get(key); len(values) > 0 && values[0] != "" {
			continue
		}
		if q.Validate(p.Values) == nil {
			d.Answer(q, p.Forest, key, p.Values)
			taken = append(taken, p)
		}
	}
	return taken
}

// finder looks at one organization.
type finder struct {
	set      *fact.Set
	other    func(cloud string) *fact.Set // the same sides in another cloud
	observer observe.Observer

	mu          sync.Mutex
	done, total int
}

// clouds are those whose sign-in hosts are asked, one per host.
var clouds = []string{"worldwide", "gcc-high", "21vianet"}

// Run looks at the forests of the answers, which have a domain and an account, and at the tenant of
// their domains. other gives the facts of another cloud. What fails is a gap, and not an error.
func Run(ctx context.Context, set *fact.Set, other func(cloud string) *fact.Set, obs observe.Observer) Found {
	f := &finder{set: set, other: other, observer: obs, total: len(set.Forests) + 1}
	obs.Observe(observe.Started{Stage: "discover", Total: f.total})
	parts := make([]part, len(set.Forests))
	var g errgroup.Group
	for i, forest := range set.Forests {
		g.Go(func() (err error) {
			defer broken.Into(&err, "look at forest "+forest.Name())
			parts[i] = f.forest(ctx, i, forest)
			f.progress("forest " + root(forest.Answers))
			return nil
		})
	}
	err := g.Wait()
	var out Found
	var all part
	if err != nil {
		all.gap("forests", msg.Plain(link.Line(err.Error())))
	}
	tenant := f.tenant(ctx, parts)
	f.progress("tenant")
	for _, p := range append(parts, tenant, all) {
		out.Proposals = append(out.Proposals, p.proposals...)
		out.Gaps = append(out.Gaps, p.gaps...)
		out.Forests = append(out.Forests, p.others...)
		if p.hybrid {
			out.Hybrid = append(out.Hybrid, p.root)
		}
	}
	slices.Sort(out.Forests)
	known := func(domain string) bool {
		return slices.ContainsFunc(parts, func(p part) bool {
			return p.root == domain || slices.Contains(p.domains, domain)
		})
	}
	out.Forests = slices.DeleteFunc(slices.Compact(out.Forests), known)
	return out
}

func (f *finder) progress(what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done++
	f.observer.Observe(observe.Progress{Stage: "discover", Done: f.done, Total: f.total, Text: what})
}

// part is what was found in one place.
type part struct {
	forest    int
	root      string
	proposals []Proposal
	gaps      []Gap
	others    []string
	hybrid    bool

	domains []string // that take mail and are no one else's
	initial string   // of the tenant, by the accepted domains
	from    msg.Text // of initial
}

func (p *part) propose(question string, from msg.Text, values ...string) {
	values = slices.DeleteFunc(slices.Clone(values), func(v string) bool { return v == "" })
	if len(values) > 0 {
		p.proposals = append(p.proposals, Proposal{Question: question, Forest: p.forest, Values: values, From: from})
	}
}

func (p *part) gap(what string, why msg.Text) { p.gaps = append(p.gaps, Gap{what, why}) }

func root(f answers.Forest) string {
	switch {
	case f.Directory.Domain != "":
		return strings.ToLower(f.Directory.Domain)
	case len(f.Domains) > 0:
		return strings.ToLower(f.Domains[0])
	}
	return f.Name
}

// label is the first label of a name: a short name for a forest.
func label(domain string) string {
	first, _, _ := strings.Cut(domain, ".")
	return first
}

func (f *finder) forest(ctx context.Context, i int, side *fact.Side) part {
	p := part{forest: i, root: root(side.Answers)}
	p.propose("forests[].name", msg.Of("the first label of %s", p.root), label(p.root))
	service := "_ldap._tcp.dc._msdcs." + p.root
	switch _, err := fact.Services.In(ctx, f.set.Network, service); {
	case err == nil:
		p.propose("forests[].directory.domain", msg.Of("DNS: the domain controllers of %s", service),
			p.root)
	case fact.NoRecord(err) && len(side.Answers.Directory.Servers) == 0:
		p.gap(p.root, msg.Of("DNS lists no domain controllers (%s): name them in forests[].directory.servers", service))
	case !fact.NoRecord(err):
		p.gap(p.root, msg.Plain(link.Line(err.Error())))
	}
	f.fromDirectory(ctx, &p, side)
	if len(p.domains) == 0 && len(side.Answers.Domains) > 0 {
		p.domains = side.Answers.Domains
	}
	mail := p.root
	if len(p.domains) > 0 {
		mail = p.domains[0]
	}
	f.namespace(ctx, &p, mail)
	return p
}

// fromDirectory reads the Exchange organization in the configuration of the forest.
func (f *finder) fromDirectory(ctx context.Context, p *part, side *fact.Side) {
	if side.Directory == nil {
		return
	}
	dir, err := side.Directory(ctx)
	if err != nil {
		p.gap("Active Directory of "+p.root, msg.Plain(link.Line(err.Error())))
		return
	}
	live, asked := dir.(live)
	if asked {
		facts, err := live.Facts(ctx)
		if err != nil {
			p.gap("trusts of "+p.root, msg.Plain(link.Line(err.Error())))
		}
		for _, t := range facts.Trusts {
			if t.ForestWide() {
				p.others = append(p.others, strings.ToLower(t.Partner))
			}
		}
	}
	x, err := dir.Exchange(ctx)
	if err != nil {
		p.gap("Exchange in "+p.root, msg.Plain(link.Line(err.Error())))
		return
	}
	configuration := msg.Of("Active Directory of %s", p.root)
	// Setup's default says nothing.
	if name := x.Organization.Name; name != "First Organization" {
		p.propose("organization", msg.Of("the name of the Exchange organization in %s", p.root), name)
	}
	if x.Hybrid != nil {
		p.hybrid = true
		p.propose("features", msg.Of("the hybrid configuration in %s", p.root), features(x.Hybrid.Features)...)
	}
	for _, space := range x.AddressSpaces {
		p.others = append(p.others, strings.ToLower(space.Forest))
	}
	p.acceptedDomains(x)
	p.propose("forests[].domains", msg.Of("the accepted domains in %s", configuration), p.domains...)
	p.server(x, side.Answers, configuration)
	person := p.people(ctx, dir)
	if asked {
		p.asker(ctx, live, side.Answers, person)
	}
}

// live is what an open directory answers beyond fact.Directory.
type live interface {
	Facts(ctx context.Context) (directory.Facts, error)
	Recipients(ctx context.Context, account string) ([]directory.User, error)
}

// asker proposes who asks for free/busy where the account that signs in to Exchange has no mailbox:
// Exchange gives no token for such an account, and the tenant does not know it.
func (p *part) asker(ctx context.Context, dir live, said answers.Forest, person directory.User) {
	account := said.Exchange.Credential
	if account.Kind == "" {
		account = said.Directory.Bind
	}
	const what, prompt = "who asks for free/busy in ", "prompt"
	if account.User == "" {
		p.gap(what+p.root, msg.Of("the account that runs hybridge: where it has no mailbox, or is not synchronized, "+
			"name another one in forests[].exchange.ews"))
		return
	}
	found, err := dir.Recipients(ctx, account.User)
	switch {
	case err != nil:
		p.gap(what+p.root, msg.Plain(link.Line(err.Error())))
	case slices.ContainsFunc(found, func(u directory.User) bool { return u.Type.Local() }):
	case len(person.Primary) == 0:
		p.gap(what+p.root, msg.Of("%s has no mailbox: name an account that has one in forests[].exchange.ews",
			account.User))
	case said.Directory.Bind.Password != prompt: // the file is for runs without a person
		p.gap(what+p.root, msg.Of("%s has no mailbox: name an account that has one in forests[].exchange.ews, "+
			"such as %s", account.User, cmp.Or(person.UPN, person.Primary[0])))
	default:
		from := msg.Of("%s has no mailbox and cannot ask; a person with a mailbox can. Take one who is synchronized and "+
			"whose password you have", account.User)
		p.propose("forests[].exchange.ews.kind", from, string(answers.CredentialPassword))
		p.propose("forests[].exchange.ews.user", from, cmp.Or(person.UPN, person.Primary[0]))
		p.propose("forests[].exchange.ews.password", from, prompt)
	}
}

// searched is how many users are looked at for two people whose calendars are tested.
const searched = 2000

// people finds a person on premises, whom it returns, and one in the cloud.
func (p *part) people(ctx context.Context, dir fact.Directory) (person directory.User) {
	var here, there string
	n := 0
	for u, err := range dir.Users(ctx) {
		if n++; err != nil || n > searched || here != "" && there != "" {
			break
		}
		if len(u.Primary) != 1 || u.Account == directory.AccountDisabled {
			continue
		}
		_, domain, _ := strings.Cut(strings.ToLower(u.Primary[0]), "@")
		if !slices.Contains(p.domains, domain) {
			continue
		}
		switch {
		case u.Type == directory.UserMailbox && here == "":
			here, person = u.Primary[0], u
		case u.Type == directory.RemoteUserMailbox && there == "":
			there = u.Primary[0]
		}
	}
	if here == "" || there == "" {
		return person // a test needs both
	}
	p.propose("tests.pairs[].from", msg.Of("Active Directory of %s: a mailbox on premises", p.root), here)
	p.propose("tests.pairs[].to", msg.Of("Active Directory of %s: a mailbox in the cloud", p.root), there)
	return person
}

// acceptedDomains takes the domains that belong to the organization, the default one first.
func (p *part) acceptedDomains(x *directory.Exchange) {
	accepted := slices.Clone(x.AcceptedDomains)
	sorting.Stable(accepted, func(a, b directory.AcceptedDomain) int {
		switch {
		case a.Default == b.Default:
			return strings.Compare(a.Domain, b.Domain)
		case a.Default:
			return -1
		}
		return 1
	})
	for _, d := range accepted {
		name := strings.ToLower(d.Domain)
		if initial, ok := initialOf(name); ok {
			p.initial, p.from = initial, msg.Of("the accepted domain %s in Active Directory of %s", name, p.root)
			continue
		}
		if d.Type == directory.Authoritative && strings.Contains(name, ".") && !strings.HasPrefix(name, "*") {
			p.domains = append(p.domains, name)
		}
	}
}

// initialOf returns the initial domain of a tenant from one of its own domains.
func initialOf(domain string) (string, bool) {
	// In 21Vianet's cloud the coexistence domain is NAME.partner.mail.onmschina.cn.
	domain = strings.Replace(domain, ".partner.mail.onmschina.cn", ".partner.onmschina.cn", 1)
	for _, suffix := range []string{".onmicrosoft.com", ".onmicrosoft.us", ".partner.onmschina.cn"} {
		name, ok := strings.CutSuffix(domain, suffix)
		if !ok {
			continue
		}
		name = strings.TrimSuffix(name, ".mail")
		if name != "" && !strings.Contains(name, ".") {
			return name + suffix, true
		}
	}
	return "", false
}

// basicAuthentication is a bit of msExchInternalAuthenticationMethods (recalled).
const basicAuthentication = 1

// server chooses the Mailbox server with the newest build, and reads its addresses.
func (p *part) server(x *directory.Exchange, said answers.Forest, configuration msg.Text) {
	var best *directory.Server
	for i, s := range x.Servers {
		if s.FQDN == "" || s.Roles&directory.RoleMailbox == 0 && s.Roles != 0 {
			continue
		}
		if best == nil || s.Version.Compare(best.Version) > 0 {
			best = &x.Servers[i]
		}
	}
	if best == nil {
		p.gap("Exchange in "+p.root, msg.Of("the directory shows no Mailbox server"))
		return
	}
	from := msg.Of("%s: the Mailbox server with the newest build of %d", configuration, len(x.Servers))
	p.propose("forests[].exchange.server", from, strings.ToLower(best.FQDN))
	var basic bool
	external := ""
	for _, v := range x.VirtualDirectories {
		switch {
		case v.Kind == "EWS" && external == "" && v.ExternalURL != "":
			external = hostOf(v.ExternalURL)
		case v.Kind == "PowerShell" && strings.EqualFold(v.Server, best.Name):
			basic = v.InternalAuth&basicAuthentication != 0
		}
	}
	p.propose("forests[].namespace.ews", msg.Of("%s: the external URL of EWS", configuration), external)
	if external == "" {
		p.gap("EWS of "+p.root, msg.Of("no virtual directory has an external URL"))
	}
	// The account that reads the directory signs in to Exchange too, until other answers are given.
	bind := said.Directory.Bind
	account := msg.Of("the account for Active Directory")
	switch kind := bind.Kind; {
	case kind == answers.CredentialPassword && basic:
		p.propose("forests[].exchange.url", msg.Of("%s: remote PowerShell of %s takes Basic", configuration, best.Name),
			"https://"+strings.ToLower(best.FQDN)+"/PowerShell/")
		p.propose("forests[].exchange.credential.kind", account, string(answers.CredentialBasic))
	default:
		p.propose("forests[].exchange.credential.kind", account, string(bind.Kind))
	}
	p.propose("forests[].exchange.credential.user", account, bind.User)
	p.propose("forests[].exchange.credential.password", account, string(bind.Password))
	p.propose("forests[].exchange.credential.keytab", account, bind.Keytab)
}

// namespace finds the public hosts of a mail domain.
func (f *finder) namespace(ctx context.Context, p *part, domain string) {
	host := "autodiscover." + domain
	switch _, err := fact.Hosts.In(ctx, f.set.Network, host); {
	case err == nil:
		p.propose("forests[].namespace.autodiscover", msg.Of("DNS: %s has an address", host), host)
	case fact.NoRecord(err):
		p.gap(domain, msg.Of("DNS has no %s", host))
	default:
		p.gap(domain, msg.Plain(link.Line(err.Error())))
	}
	exchangers, err := fact.MX.In(ctx, f.set.Network, domain)
	if err != nil && !fact.NoRecord(err) {
		p.gap(domain, msg.Plain(link.Line(err.Error())))
	}
	// Where mail goes to the cloud or to a filter of another organization first, the exchanger is not the
	// forest's: nothing but Exchange may stand between the tenant and the forest.
	own := slices.Concat([]string{domain, p.root}, p.domains)
	if len(exchangers) > 0 && slices.ContainsFunc(own, func(d string) bool {
		return exchangers[0] == d || strings.HasSuffix(exchangers[0], "."+d)
	}) {
		p.propose("forests[].namespace.smtp", msg.Of("DNS: the mail exchanger of %s", domain), exchangers[0])
		return
	}
	i := slices.IndexFunc(p.proposals, func(o Proposal) bool { return o.Question == "forests[].namespace.ews" })
	if i >= 0 {
		p.propose("forests[].namespace.smtp", msg.Of("the host of EWS, because no mail exchanger of %s is on premises",
			domain), p.proposals[i].Values...)
	}
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

// tenant finds the tenant of the domains, and takes the domains out that it does not have.
func (f *finder) tenant(ctx context.Context, parts []part) part {
	p := part{}
	if f.set.Answers.ExchangeOnline == nil && f.set.Answers.WorkMail != nil {
		return p
	}
	var holder fact.Residence
	home := ""
	for i := range parts {
		part := &parts[i]
		var verified []string
		for _, domain := range part.domains {
			id, residence, err := f.residence(ctx, domain, home)
			switch {
			case errors.Is(err, fact.ErrNoTenant):
				part.gap(domain, msg.Of("no tenant has verified this domain; add it to the tenant, "+
					"then to the answers"))
				continue
			case err != nil: // unknown: the domain stays
				part.gap(domain, msg.Plain(link.Line(err.Error())))
			case home == "":
				home, holder = id, residence
				p.propose("exchangeOnline.cloud", msg.Of("the sign-in host of %s has %s", id, domain), id)
			case residence.ID != holder.ID:
				part.gap(domain, msg.Of("it belongs to another tenant, %s", residence.ID))
				continue
			}
			verified = append(verified, domain)
		}
		part.keep("forests[].domains", verified)
	}
	f.initial(ctx, &p, parts)
	p.propose("exchangeOnline.credential.kind", msg.Of("a person signs in with a browser"),
		string(answers.CredentialDeviceCode))
	return p
}

// keep replaces the values of a proposal.
func (p *part) keep(question string, values []string) {
	p.proposals = slices.DeleteFunc(p.proposals, func(o Proposal) bool {
		return o.Question == question && len(values) == 0
	})
	for i := range p.proposals {
		if p.proposals[i].Question == question {
			p.proposals[i].Values = values
		}
	}
}

// residence asks the sign-in hosts who has a domain; home alone when that is known.
func (f *finder) residence(ctx context.Context, domain, home string) (id string, r fact.Residence, err error) {
	asked := clouds
	if home != "" {
		asked = []string{home}
		if home == "dod" {
			asked = []string{"gcc-high"} // the same host
		}
	}
	var failed error
	for _, cloud := range asked {
		r, err = fact.DomainTenants.In(ctx, f.other(cloud).Network, domain)
		switch {
		case err == nil && r.Region == "USGov" && r.SubScope == "DOD":
			return "dod", r, nil
		case err == nil && r.Region == "USGov" && r.SubScope == "DODCON":
			return "gcc-high", r, nil
		case err == nil:
			return cloud, r, nil
		case !errors.Is(err, fact.ErrNoTenant) && failed == nil:
			failed = err
		}
	}
	if failed != nil {
		return "", r, failed
	}
	return "", r, fact.ErrNoTenant
}

// initial finds the initial domain of the tenant: an accepted domain, or where the DKIM selectors
// of a domain lead.
func (f *finder) initial(ctx context.Context, p *part, parts []part) {
	for _, part := range parts {
		if part.initial != "" {
			p.propose("exchangeOnline.tenant", part.from, part.initial)
			return
		}
	}
	for _, part := range parts {
		for _, domain := range part.domains {
			name := "selector1._domainkey." + domain
			host, err := f.alias(ctx, name)
			if err != nil {
				continue
			}
			if _, initial, ok := strings.Cut(host, "._domainkey."); ok {
				if initial, ok = initialOf(initial); ok {
					p.propose("exchangeOnline.tenant", msg.Of("DNS: the DKIM key %s leads there", name), initial)
					return
				}
			}
		}
	}
	p.gap("tenant", msg.Of("neither Active Directory nor DNS shows its initial domain (such as "+
		"contoso.onmicrosoft.com)"))
}

// alias is the name that another one is an alias of.
func (f *finder) alias(ctx context.Context, name string) (string, error) {
	if f.set.Network.Lookup == nil {
		return "", fmt.Errorf("%s: %w", name, fact.ErrNotConfigured)
	}
	a, err := f.set.Network.Lookup(ctx, name, "TXT")
	if len(a.Chain) > 0 {
		return a.Chain[0], nil
	}
	return "", err
}

// features are the features of an earlier hybrid configuration, by the names of the answers.
func features(bits directory.HybridFeature) []string {
	var out []string
	for _, f := range []struct {
		bit  directory.HybridFeature
		name answers.Feature
	}{
		{directory.HybridFreeBusy, answers.FreeBusy}, {directory.HybridMailTips, answers.MailTips},
		{directory.HybridPhotos, answers.Photos}, {directory.HybridMessageTracking, answers.MessageTracking},
		{directory.HybridMoveMailbox, answers.MoveMailbox}, {directory.HybridOnlineArchive, answers.OnlineArchive},
		{directory.HybridOwaRedirection, answers.OWARedirection}, {directory.HybridSecureMail, answers.SecureMail},
		{directory.HybridCentralizedTransport, answers.CentralizedTransport},
	} {
		if bits&f.bit != 0 {
			out = append(out, string(f.name))
		}
	}
	return out
}
