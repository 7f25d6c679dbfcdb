package prereq

import (
	"cmp"
	"crypto/x509"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/report"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// The systems of a picture. Forests have their own names.
const (
	pictureTenant   = "tenant"
	pictureWorkMail = "workmail"
)

// Picture draws what the answers name and what a run has read: forests, servers, names,
// certificates, the clouds, and the ways of mail and lookups between them. It asks no system. Each
// part shows the worst result of the checks about it.
func Picture(set *fact.Set, results []check.Result) report.Topology {
	p := picture{set: set, results: results}
	var t report.Topology
	for _, f := range set.Forests {
		t.Systems = append(t.Systems, p.forest(f))
	}
	if set.Tenant != nil {
		t.Systems = append(t.Systems, p.tenant())
	}
	if set.WorkMail != nil {
		t.Systems = append(t.Systems, p.workMail())
	}
	for _, f := range set.Forests {
		t.Ways = append(t.Ways, p.ways(f)...)
	}
	return t
}

type picture struct {
	set     *fact.Set
	results []check.Result
}

// ranks are the statuses of results, the worst first.
var ranks = []check.Status{check.StatusFail, check.StatusError, check.StatusWarn, check.StatusAcknowledged,
	check.StatusPass}

// worst returns the worst result of a side among the checks whose ids begin with one of the
// prefixes. What was skipped says nothing. With a host, results about another host do not count.
func (p picture) worst(side, host string, prefixes ...string) report.State {
	at := len(ranks)
	var out report.State
	for _, r := range p.results {
		name, parameter, each := strings.Cut(r.Scope, ": ")
		if name != side || each && host != "" && !strings.EqualFold(parameter, host) ||
			!slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(string(r.ID), p) }) {
			continue
		}
		if n := slices.Index(ranks, r.Status); n >= 0 && n < at {
			at = n
			out = report.State{Status: report.Status(r.Status), ID: string(r.ID), Place: r.Scope}
		}
	}
	return out
}

func until(t time.Time) msg.Text { return msg.Of("until %s", t.UTC().Format(time.DateOnly)) }

func (p picture) forest(f *fact.Side) report.System {
	name := f.Name()
	s := report.System{ID: name, Kind: msg.Of("forest"), Name: name}
	add := func(kind msg.Text, of string, note msg.Text, state report.State) {
		s.Parts = append(s.Parts, report.Part{Kind: kind, Name: of, Note: note, State: state})
	}
	users := msg.Text{}
	if scan, known := fact.Users.Read(f); known {
		users = msg.Count(scan.Users, "%s user", "%s users")
	}
	directory := f.Answers.Directory.Domain
	if directory == "" && len(f.Answers.Directory.Servers) > 0 {
		directory = f.Answers.Directory.Servers[0]
	}
	add(msg.Of("directory"), directory, users, p.worst(name, "", "directory.", "recipients."))
	add(msg.Of("domains"), strings.Join(f.Answers.Domains, ", "), msg.Text{}, p.worst(name, "", "domains.", "forests."))
	servers, known := fact.Servers.Read(f)
	if !known {
		servers = []fact.Server{{Name: f.Answers.Exchange.Server}}
	}
	for _, server := range servers {
		kind := msg.Of("server")
		if server.Edge {
			kind = msg.Of("Edge server")
		}
		version := strings.TrimPrefix(server.Version, "Version ")
		add(kind, server.Name, msg.Plain(version), p.worst(name, server.FQDN, "servers."))
	}
	add(msg.Of("autodiscover"), f.Answers.Namespace.Autodiscover, msg.Text{}, p.worst(name, "", "autodiscover."))
	add(msg.Of("EWS"), f.Answers.Namespace.EWS, msg.Text{}, p.worst(name, "", "ews.", "oauth.virtual"))
	add(msg.Of("SMTP"), f.Answers.Namespace.SMTP, msg.Text{}, p.worst(name, "", "transport.", "reachability.smtp"))
	transport, note := "", msg.Text{}
	if bundle, known := fact.CertificateFile.Read(f); known && bundle.Leaf != nil {
		transport, note = commonName(bundle.Leaf), until(bundle.Leaf.NotAfter)
	} else if c := f.Answers.Certificate; c != nil {
		transport = c.PFX
	}
	add(msg.Of("certificate"), transport, note, p.worst(name, "", "certificates.transport"))
	if auth, known := fact.Auth.Read(f); known {
		if c, _ := auth.Certificate(auth.Current); c != nil {
			add(msg.Of("OAuth"), commonName(c), until(c.NotAfter), p.worst(name, "", "certificates.auth"))
		}
	}
	return s
}

// commonName is the short name of a certificate.
func commonName(c *x509.Certificate) string {
	return cmp.Or(c.Subject.CommonName, certificate.Subject(c))
}

// coexistence is the domain to which the forests send mail of the tenant.
func (p picture) coexistence() string {
	online := p.set.Answers.ExchangeOnline
	derived, _ := p.set.Cloud.CoexistenceDomain(online.Tenant)
	return cmp.Or(online.CoexistenceDomain, derived)
}

func (p picture) tenant() report.System {
	online := p.set.Answers.ExchangeOnline
	s := report.System{ID: pictureTenant, Kind: msg.Plain("Exchange Online"), Name: online.Tenant, Cloud: true}
	add := func(kind msg.Text, of string, prefixes ...string) {
		s.Parts = append(s.Parts, report.Part{Kind: kind, Name: of, State: p.worst(pictureTenant, "", prefixes...)})
	}
	add(msg.Of("cloud"), p.set.Cloud.ID, "tenant.")
	add(msg.Of("domains"), p.coexistence(), "domains.")
	add(msg.Of("sync"), "Microsoft Entra ID", "identity.")
	add(msg.Of("access"), string(online.Credential.Kind), "access.")
	add(msg.Of("connectors"), "", "transport.", "hybrid.inbound", "hybrid.outbound", "hybrid.on-premises")
	add(msg.Of("application"), "", "oauth.", "hybrid.application", "hybrid.service-principal")
	return s
}

func (p picture) workMail() report.System {
	s := report.System{ID: pictureWorkMail, Kind: msg.Plain("Amazon WorkMail"), Name: p.set.Answers.WorkMail.Region,
		Cloud: true}
	s.Parts = append(s.Parts, report.Part{Kind: msg.Of("organization"), Name: p.set.Answers.WorkMail.Organization,
		State: p.worst(pictureWorkMail, "", "workmail.", "access.")})
	return s
}

// ways are those between a forest and the clouds.
func (p picture) ways(f *fact.Side) (out []report.Way) {
	name, a := f.Name(), p.set.Answers
	add := func(from, to string, kind msg.Text, via string, prefixes ...string) {
		state := p.worst(name, "", prefixes...)
		out = append(out, report.Way{From: from, To: to, Kind: kind, Via: via, State: state})
	}
	lookups, mail := msg.Of("lookups"), msg.Of("mail")
	if a.ExchangeOnline != nil && a.Has(answers.FreeBusy) {
		add(name, pictureTenant, lookups, strings.TrimPrefix(p.set.Cloud.ExchangeResource, "https://"), "oauth.",
			"certificates.auth", "hybrid.intra")
		add(pictureTenant, name, lookups, f.Answers.Namespace.EWS, "autodiscover.", "ews.", "oauth.virtual")
	}
	if a.ExchangeOnline != nil && a.Has(answers.SecureMail) {
		add(name, pictureTenant, mail, p.coexistence(), "transport.send", "hybrid.send",
			"certificates.transport")
		add(pictureTenant, name, mail, f.Answers.Namespace.SMTP, "transport.", "hybrid.receive",
			"certificates.transport")
	}
	if a.WorkMail != nil && f.Answers.WorkMail != nil {
		add(name, pictureWorkMail, lookups, "", "workmail.", "hybrid.availability-address")
		add(pictureWorkMail, name, lookups, f.Answers.Namespace.EWS, "workmail.", "hybrid.availability-conf", "ews.")
	}
	return out
}
