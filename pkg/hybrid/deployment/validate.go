package deployment

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/prereq"
)

// Subject is what validate answers a question about.
type Subject struct {
	ID    string
	Takes string // its arguments, as the usage shows them
	About string // what it answers, in one clause
	// Checks are globs of the checks that belong to it.
	Checks []string
	// Also are cmdlets of Exchange Online that its checks run where the account may.
	Also []string
	// Lookups says that it makes lookups.
	Lookups bool
}

// Subjects lists what validate takes; the last one is bare validate.
func Subjects() []Subject {
	return slices.Clone(subjects)
}

var subjects = []Subject{
	{ID: "freebusy", Takes: "FROM TO", About: "why FROM does not see the free/busy of TO", Lookups: true},
	{ID: "user", Takes: "ADDRESS", About: "where a mailbox is, whether both sides agree on it, and whether it sees " +
		"and is seen from the other sides", Lookups: true},
	{ID: "certificates", About: "certificates of mail, of OAuth and of web addresses: on every server, and as the " +
		"cloud knows them", Checks: []string{"certificates.*", "tenant.connector-certificate", "tenant.shared-keys",
		"servers.tls", "oauth.auth-config"}, Also: []string{"Get-AcceptedDomain"}},
	{ID: "oauth", About: "sign-in of the organizations at each other: auth servers, applications, EvoSTS and Graph, and " +
		"a token in each direction", Lookups: true, Checks: []string{"oauth.*",
		"certificates.auth", "tenant.ews-switch", "tenant.shared-keys", "tenant.mailbox-ews", "servers.override-status",
		"servers.clock", "hybrid.auth-server*", "hybrid.partner-application", "hybrid.application",
		"hybrid.key-credential", "hybrid.service-principal*", "hybrid.app-role-assignment", "hybrid.setting-override",
		"hybrid.intra-organization-connector", "hybrid.organization-config", "reachability.long-token"}},
	{ID: "mailflow", About: "connectors, certificates, records and servers of mail between the organizations; no " +
		"message is sent", Checks: []string{"transport.*", "certificates.transport*", "certificates.mail-*",
		"certificates.send-connector", "certificates.receive-connector", "certificates.inbound-distinct",
		"certificates.internal-mail", "dns.mx*", "dns.spf*", "dns.smart-host", "dns.dkim", "dns.dmarc*",
		"domains.relay-*", "reachability.smtp-*", "tenant.connector-certificate", "tenant.direct-send",
		"tenant.enhanced-filtering", "tenant.front-door", "tenant.outbound-limit", "hybrid.send-connector",
		"hybrid.receive-connector", "hybrid.inbound-connector", "hybrid.outbound-connector",
		"hybrid.on-premises-organization", "hybrid.remote-domain*"}},
	{ID: "domain", Takes: "DOMAIN", About: "records, autodiscover and registration of one domain on every side",
		Checks: []string{"domains.*", "dns.*", "autodiscover.*", "directory.address-domain", "directory.primary-domain",
			"directory.upn-suffix"}, Also: []string{"Get-IntraOrganizationConnector", "Get-OrganizationRelationship"}},
	{ID: "", About: "everything: each check, and free/busy in both directions", Lookups: true},
}

// subject finds one by its id.
func subject(id string) (Subject, bool) {
	i := slices.IndexFunc(subjects, func(s Subject) bool { return s.ID == id })
	if i < 0 {
		return Subject{}, false
	}
	return subjects[i], true
}

// ValidateOptions say what to validate.
type ValidateOptions struct {
	Subject  string // an id of Subjects
	From, To string // of freebusy
	Both     bool   // the other direction too
	User     string // of user
	Domain   string // of domain
}

// Validate answers one question, and changes nothing: its facts and lookups come from clients that
// cannot write.
func (d *Deployment) Validate(ctx context.Context, o ValidateOptions, obs observe.Observer) (Validation, error) {
	s, known := subject(o.Subject)
	if !known {
		return Validation{}, fmt.Errorf("cannot validate %q", o.Subject)
	}
	if o.Domain != "" && !slices.ContainsFunc(d.Domains(), func(have string) bool {
		return strings.EqualFold(have, o.Domain)
	}) {
		return Validation{}, fmt.Errorf("%w: %s is in no domain of the answers file: %s", ErrNoDomain, o.Domain,
			strings.Join(d.Domains(), ", "))
	}
	facts, end := d.begin(obs)
	defer end()
	v := newValidation(o)
	if s.Lookups {
		if err := d.lookUp(ctx, facts, o, &v); err != nil {
			return v, err
		}
	}
	if len(s.Checks) > 0 || s.ID == "" {
		checks := d.checking()
		checks.Only, checks.Skip = s.Checks, d.options.Skip
		if len(d.options.Only) > 0 {
			checks.Only = d.options.Only
		}
		r, err := prereq.Run(ctx, facts, checks, d)
		if err != nil {
			return v, err
		}
		if o.Domain != "" {
			r = about(r, o.Domain, d.Domains())
		}
		v.Checks = &r
		if s.ID == "" && (v.Ranked != nil || r.Summary.Fail > 0) { // everything was looked at
			ranked := Diagnosed(r, freebusy.Report{Matrix: v.Matrix})
			v.Ranked = &ranked
		}
	}
	v.judge(d.answers)
	return v, ctx.Err()
}

// Domains lists the domains of the answers file.
func (d *Deployment) Domains() []string {
	var out []string
	for _, f := range d.answers.Forests {
		out = append(out, f.Domains...)
	}
	if d.answers.ExchangeOnline != nil {
		out = append(out, d.answers.ExchangeOnline.Tenant)
	}
	return out
}

// about leaves out the findings that name other domains and not this one.
func about(r check.Report, domain string, all []string) check.Report {
	r.Results = slices.DeleteFunc(slices.Clone(r.Results), func(result check.Result) bool {
		if result.Status == check.StatusPass || result.Status == check.StatusSkip {
			return false
		}
		text := strings.ToLower(fmt.Sprint(result.Scope, " ", result.Summary, " ", result.Detail, " ", result.Evidence))
		if names(text, domain) {
			return false
		}
		return slices.ContainsFunc(all, func(other string) bool { return names(text, other) })
	})
	r.Summary = check.Count(r.Results)
	return r
}

// names reports whether a text holds a domain, and not only as the end of a longer name.
func names(text, domain string) bool {
	domain = strings.ToLower(domain)
	for {
		before, after, found := strings.Cut(text, domain)
		if !found {
			return false
		}
		inside := func(c byte) bool { return c == '-' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }
		if (before == "" || !inside(before[len(before)-1])) && (after == "" || !inside(after[0])) {
			return true
		}
		text = after
	}
}

// lookUp fills in the lookups, and what was found about a user.
func (d *Deployment) lookUp(ctx context.Context, facts *fact.Set, o ValidateOptions, v *Validation) error {
	premises, release, err := d.premises(ctx, facts)
	if err != nil {
		return err
	}
	defer release()
	var pairs []freebusy.Pair
	switch {
	case o.User != "":
		if v.Remarks, pairs, err = d.userPairs(ctx, facts, premises, o.User); err != nil {
			return err
		}
	case o.From != "":
		pairs = append(pairs, freebusy.Pair{From: o.From, To: o.To})
		if o.Both {
			pairs = append(pairs, freebusy.Pair{From: o.To, To: o.From})
		}
	default:
		if pairs, err = d.pairs(ctx, TestOptions{}); err != nil {
			v.Remarks = append(v.Remarks, Remark{Status: freebusy.Unknown, Text: err.Error(), cause: err})
			return nil
		}
	}
	if len(pairs) == 0 {
		return nil
	}
	r, err := freebusy.Run(ctx, premises, freebusy.Options{Pairs: pairs, Following: d.following(), Now: d.now,
		CalendarsOnly: o.Subject != ""}, d)
	r = d.judged(ctx, facts, r)
	v.Matrix, v.Summary, v.Ranked = r.Matrix, r.Summary, r.Verdict
	return err
}
