package deployment

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/delivery"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/snapshot"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// ErrNoPairs says that no mailboxes are configured or found for a lookup.
var ErrNoPairs = errors.New("no pair of mailboxes to ask about")

// Test asks every free/busy pair from both sides. With Message, it sends a message for each pair
// instead, and judges how it arrives.
func (d *Deployment) Test(ctx context.Context, o TestOptions, obs observe.Observer) (freebusy.Report, error) {
	if d.answers.ValidateOnly && (o.Marker || o.Message) {
		return freebusy.Report{}, ErrValidateOnly
	}
	facts, end := d.begin(obs)
	defer end()
	pairs, err := d.pairs(ctx, o)
	if err != nil {
		return freebusy.Report{}, err
	}
	mailboxes := d.mailboxes()
	premises, release, err := d.premisesOf(ctx, facts, mailboxes)
	if err != nil {
		return freebusy.Report{}, err
	}
	defer release()
	if o.Message {
		if pairs, err = d.throughAccount(ctx, facts, pairs); err != nil {
			return freebusy.Report{}, err
		}
		sent, err := delivery.Run(ctx, d.posts(facts, premises, mailboxes),
			delivery.Options{Pairs: pairs, Wait: o.Wait}, d)
		return d.judged(ctx, facts, sent), err
	}
	markers, done, err := d.markers(ctx, o, d.diaries(mailboxes))
	if err != nil {
		return freebusy.Report{}, err
	}
	defer done()
	report, err := freebusy.Run(ctx, premises, freebusy.Options{Pairs: pairs, UntilOK: o.UntilOK, Markers: markers,
		Following: d.following(), Now: d.now}, d)
	if err == nil && o.From == "" && o.To == "" {
		if unasked := d.unasked(report); len(unasked) > 0 {
			d.warn("nothing was asked " + strings.Join(unasked, ", ") +
				": name a pair of people for it in the answers (tests.pairs)")
		}
	}
	return d.judged(ctx, facts, report), err
}

// unasked returns the directions between the forests and the clouds that no pair covers: all
// lookups may work while half of the hybrid does not. It returns none when a lookup failed before
// its direction was known.
func (d *Deployment) unasked(r freebusy.Report) []string {
	var unasked []string
	for _, f := range d.forests {
		var directions []string
		if d.answers.ExchangeOnline != nil {
			directions = append(directions, f.answers.Name+" -> "+desired.PlaceOnline,
				desired.PlaceOnline+" -> "+f.answers.Name)
		}
		if f.answers.WorkMail != nil && !d.answers.WorkMail.IsLeaving() {
			directions = append(directions, f.answers.Name+" -> "+desired.PlaceWorkMail,
				desired.PlaceWorkMail+" -> "+f.answers.Name)
		}
		for _, other := range d.forests {
			if other != f && other.answers.Lookups != nil && d.answers.Has(answers.FreeBusy) {
				directions = append(directions, f.answers.Name+" -> "+other.answers.Name)
			}
		}
		for _, direction := range directions {
			if !slices.ContainsFunc(r.Matrix, func(a freebusy.Answer) bool {
				return a.Direction == direction || !strings.Contains(a.Direction, " -> ") ||
					strings.HasSuffix(a.Direction, "?")
			}) {
				unasked = append(unasked, direction)
			}
		}
	}
	return unasked
}

// pairs returns the pairs to look up: those of the answers, or the one that From and To name. With
// Sample, and where the answers have none, mailboxes of each forest and side are taken.
func (d *Deployment) pairs(ctx context.Context, o TestOptions) ([]freebusy.Pair, error) {
	if o.From != "" && o.To != "" {
		return []freebusy.Pair{{From: o.From, To: o.To}}, nil
	}
	var all []freebusy.Pair
	for _, p := range d.answers.Tests.Pairs {
		all = append(all, freebusy.Pair{From: p.From, To: p.To})
	}
	if len(all) == 0 || o.Sample > 0 {
		var err error
		if all, err = d.sampled(ctx, max(o.Sample, 1)); err != nil {
			return nil, err
		}
	}
	var asked []freebusy.Pair
	for _, p := range all {
		if (o.From == "" || strings.EqualFold(o.From, p.From)) && (o.To == "" || strings.EqualFold(o.To, p.To)) {
			asked = append(asked, p)
		}
	}
	switch {
	case len(asked) > 0:
		return asked, nil
	case len(all) > 0:
		return nil, fmt.Errorf("%w: none in the answers (tests.pairs) has %s", ErrNoPairs, cmp.Or(o.From, o.To))
	default:
		return nil, fmt.Errorf("%w: no forest has both a mailbox and a remote mailbox", ErrNoPairs)
	}
}

// person reports whether a recipient is a person with a calendar: not the discovery mailbox, which
// Get-Mailbox lists, nor a room or a shared mailbox.
func person(o exchange.Object) bool {
	kind, err := o.String("RecipientTypeDetails")
	name, _ := o.String("Name")
	if strings.HasPrefix(strings.ToLower(name), "discoverysearchmailbox") {
		return false
	}
	switch kind {
	case "UserMailbox", "LinkedMailbox", "LegacyMailbox", "RemoteUserMailbox":
		return true
	}
	return err != nil // a recipient of unknown kind counts as a person
}

// mailboxes are clients of the EWS of forests and WorkMail, by premise.
type mailboxes map[string]*connection[*ews.Client]

func (d *Deployment) mailboxes() mailboxes {
	out := mailboxes{}
	for _, f := range d.forests {
		out[f.answers.Name] = &connection[*ews.Client]{open: func(ctx context.Context) (*ews.Client, error) {
			return d.openEWS(ctx, f.answers)
		}}
	}
	if d.answers.WorkMail != nil {
		out[desired.PlaceWorkMail] = &connection[*ews.Client]{open: d.openWorkMailEWS}
	}
	return out
}

// diaries write the calendars of premises.
func (d *Deployment) diaries(clients mailboxes) map[string]freebusy.Diary {
	out := map[string]freebusy.Diary{}
	for _, f := range d.forests {
		out[f.answers.Name] = freebusy.EWSDiary(clients[f.answers.Name].get)
	}
	if d.answers.ExchangeOnline != nil {
		out[desired.PlaceOnline] = freebusy.GraphDiary(d.tenant.graph.get)
	}
	return out
}

// premises returns the places that lookups go between. A premise connects on first use. release
// drops these connections.
func (d *Deployment) premises(ctx context.Context, facts *fact.Set) (premises []freebusy.Premise, release func(),
	err error) {
	return d.premisesOf(ctx, facts, d.mailboxes())
}

func (d *Deployment) premisesOf(ctx context.Context, facts *fact.Set, own mailboxes) (
	premises []freebusy.Premise, release func(), err error) {
	clients := slices.Collect(maps.Values(own))
	for i, f := range d.forests {
		client := own[f.answers.Name]
		premises = append(premises, freebusy.Premise{
			Name: f.answers.Name, Side: exchange.OnPremises, Session: lazySession{d.reading(f.exchange)},
			Domains: f.answers.Domains,
			EWS:     ewsURL(f.answers), Probe: "ews", Ask: calendars(client.get),
		})
		p := &premises[i]
		p.Servers = d.otherServers(f, facts.Forests[i])
		if d.answers.ExchangeOnline != nil && f.answers.AuthCertificate != nil {
			p.Proofs = append(p.Proofs, d.signing(f, p.Session, facts.Forests[i]))
		}
		if d.answers.ExchangeOnline != nil && d.answers.Has(answers.MailTips) {
			p.Proofs = append(p.Proofs, mailTips(client.get))
		}
	}
	if online := d.answers.ExchangeOnline; online != nil {
		// The tenant's own list of domains is the best source. When it cannot be read, the answers
		// and the cloud are enough.
		domains, live := []string{online.Tenant}, ""
		if accepted, err := fact.OnlineAcceptedDomains.In(ctx, facts.Tenant); err == nil {
			for _, a := range accepted {
				if a.Coexistence {
					live = a.Name
				}
				if a.Initial {
					domains = append(domains, a.Name)
				}
			}
		}
		coexistence, err := desired.CoexistenceDomain(*online, d.cloud, live)
		if err != nil {
			return nil, nil, err
		}
		premises = append(premises, freebusy.Premise{
			Name: desired.PlaceOnline, Side: exchange.Online, Session: lazySession{d.reading(d.tenant.online)},
			Domains: append(domains, coexistence),
			EWS:     d.cloud.EWS, Probe: "graph",
			Ask: freebusy.Graph(asking[*entra.Client, freebusy.Schedules](d.tenant.graph.get)),
		})
		p := &premises[len(premises)-1]
		if d.answers.Has(answers.MoveMailbox) {
			for _, f := range d.forests {
				p.Proofs = append(p.Proofs, d.moving(f, facts.Tenant))
			}
		}
		if d.answers.Has(answers.MailTips) {
			for _, f := range d.forests {
				p.Proofs = append(p.Proofs, d.tipsOf(f, facts.Tenant))
			}
		}
	}
	if d.answers.WorkMail != nil {
		client := own[desired.PlaceWorkMail]
		amazon, more := d.amazon(ctx, facts, client)
		clients = append(clients, more...)
		proof := freebusy.Proof{Probe: "ews-workmail", To: desired.PlaceWorkMail, Try: d.asked(client)}
		for i, f := range d.forests {
			if f.answers.WorkMail != nil {
				premises[i].Proofs = append(premises[i].Proofs, proof)
			}
		}
		premises = append(premises, amazon)
	}
	if d.tape.Replays() {
		for i, p := range premises {
			premises[i].Ask = func(context.Context, []freebusy.Pair, freebusy.Window) ([]freebusy.Seen, error) {
				return nil, fmt.Errorf("free/busy as %s answers now: %w", p.Name, snapshot.ErrNotHeld)
			}
			premises[i].Proofs = nil
		}
	}
	return premises, func() {
		for _, c := range clients {
			if client, ok := c.opened(); ok {
				client.HTTP.CloseIdleConnections()
			}
		}
	}, nil
}

// posts are the premises with their mailboxes.
func (d *Deployment) posts(facts *fact.Set, premises []freebusy.Premise, clients mailboxes) []delivery.Premise {
	var out []delivery.Premise
	for _, p := range premises {
		with := delivery.Premise{Premise: p, Post: delivery.GraphPost(d.tenant.graph.get)}
		if c := clients[p.Name]; c != nil {
			with.Post = delivery.EWSPost(c.get)
		}
		for i, f := range d.answers.Forests {
			if f.Name == p.Name {
				with.Edge = f.Edge
				with.Hosts = mailServers(facts.Forests[i])
			}
		}
		out = append(out, with)
	}
	return out
}

// mailServers are the names of a forest's Mailbox servers.
func mailServers(side *fact.Side) func(context.Context) ([]string, error) {
	return func(ctx context.Context) (names []string, err error) {
		servers, err := fact.PlacedServers.In(ctx, side)
		for _, s := range servers {
			if !s.Gone {
				names = append(names, s.Name)
			}
		}
		return names, err
	}
}

func ewsURL(f answers.Forest) string { return "https://" + f.Namespace.EWS + "/EWS/Exchange.asmx" }

// openEWS returns a client of a forest's EWS with the account that is configured for it.
func (d *Deployment) openEWS(ctx context.Context, a answers.Forest) (*ews.Client, error) {
	l, err := d.link.get(ctx)
	if err != nil {
		return nil, err
	}
	credential := a.Exchange.Credential
	if a.Exchange.EWS != nil {
		credential = *a.Exchange.EWS
	}
	password, err := d.secret(ctx, credential.Password, "password of "+credential.User)
	if err != nil {
		return nil, fmt.Errorf("%s: EWS: %w", a.Name, err)
	}
	var authenticator link.Authenticator
	switch credential.Kind {
	case answers.CredentialBasic:
		authenticator = link.Basic{User: credential.User, Password: password}
	case answers.CredentialNTLM, answers.CredentialPassword:
		authenticator = link.NTLM{User: credential.User, Password: password}
	case answers.CredentialKerberos, answers.CredentialKeytab:
		k, err := d.kerberos(credential, password)
		if err != nil {
			return nil, fmt.Errorf("%s: EWS: %w", a.Name, err)
		}
		authenticator = link.Negotiate{Context: func(ctx context.Context, spn string) (link.SecurityContext,
			error) {
			return k.Context(ctx, spn)
		}}
	default:
		return nil, fmt.Errorf("%s: a credential of kind %s does not work with EWS; use kerberos, keytab, password, "+
			"ntlm or basic (exchange.ews)", a.Name, credential.Kind)
	}
	return &ews.Client{URL: ewsURL(a), HTTP: l.Client(authenticator), Timeout: 2 * d.limit()}, nil
}

// lazySession opens its session on first use.
type lazySession struct {
	open func(context.Context) (exchange.Reader, error)
}

func (s lazySession) Read(ctx context.Context, c exchange.Command) ([]exchange.Object, error) {
	session, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	return session.Read(ctx, c)
}

func (s lazySession) Allowed(ctx context.Context, cmdlets ...string) (map[string]exchange.Allowance, error) {
	session, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	return session.Allowed(ctx, cmdlets...)
}
