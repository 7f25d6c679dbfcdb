package deployment

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/estate/workmail"
)

// RoleNetwork is the team of names, ways and firewalls. A plan has no change for it: its runbook
// says what must be open, and in public DNS, before the scripts of the others run.
const RoleNetwork = "network"

// opening is one way that must be open.
type opening struct{ from, to, port, use string }

// networkRunbook is the cut-over sheet of the network team, from the answers and the cloud.
func (d *Deployment) networkRunbook(p change.Plan) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# Runbook of the network team: %s by others\n\nhybridge plan `%s`. hybridge changes no "+
		"DNS record and no firewall: this is what the other teams rest on.\n",
		msg.Plural(len(p.Changes), "%d change", "%d changes"), p.Digest)
	b.WriteString("\n## Before the first step\n\n- GO when everything below is in place and these checks pass: " +
		"`hybridge check --only 'reachability.*' --only 'dns.*' --only 'autodiscover.*'`.\n" +
		"- STOP when one of them fails or cannot look: the scripts of the others would set up a way that is closed.\n")
	b.WriteString("\n## Ways\n\n| from | to | TCP | for |\n| --- | --- | --- | --- |\n")
	for _, o := range d.openings() {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", o.from, o.to, o.port, o.use)
	}
	b.WriteString("\nThe addresses of Microsoft's services change: take them from \"Microsoft 365 URLs and IP " +
		"address ranges\" of the cloud. Nothing on these ways may end TLS or sign people in: lookups and mail carry " +
		"their own proof.\n")
	b.WriteString("\n## Public DNS\n\n| name | record | leads to |\n| --- | --- | --- |\n")
	for _, r := range d.records() {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(r, " | "))
	}
	b.WriteString("\n## After the last step\n\n- GO when `hybridge test --until-ok 20m` shows every lookup OK, and " +
		"with secureMail `hybridge test --message` every message.\n- STOP when a lookup or a message fails at a " +
		"connection: the hop that is named is yours.\n\n## Going back\n\nClose what was opened for this plan when " +
		"the other teams have gone back, not before.\n")
	return []byte(b.String())
}

// openings are the ways that the features use.
func (d *Deployment) openings() []opening {
	a := d.answers
	var out []opening
	host := func(address string) string {
		if u, err := url.Parse(address); err == nil && u.Host != "" {
			return u.Host
		}
		return address
	}
	if a.ExchangeOnline != nil {
		var hosts []string
		for _, address := range []string{d.cloud.Login, d.cloud.Graph, d.cloud.AdminAPI, d.cloud.EWS,
			d.cloud.DiscoveryEndpoint, d.cloud.EvoSTSMetadataURL, d.cloud.ACSMetadataURL} {
			if h := host(address); h != "" && !slices.Contains(hosts, h) {
				hosts = append(hosts, h)
			}
		}
		out = append(out, opening{"hybridge's computer", strings.Join(hosts[:min(3, len(hosts))], ", "), "443",
			"to read and change the tenant"})
		for _, f := range a.Forests {
			out = append(out,
				opening{"Exchange servers of " + f.Name, strings.Join(hosts, ", "), "443", "tokens, lookups, metadata"},
				opening{"Exchange servers of " + f.Name, "the hosts of revocation lists and OCSP in the certificates",
					"80", "whether a certificate is revoked"},
				opening{"Exchange Online", f.Namespace.Autodiscover, "443", "autodiscover"},
				opening{"Exchange Online", f.Namespace.EWS, "443",
					"lookups" + map[bool]string{true: ", mailbox moves"}[a.Has(answers.MoveMailbox)]})
			if !a.Has(answers.SecureMail) {
				continue
			}
			servers := "Mailbox servers of " + f.Name
			if len(f.Edge) > 0 {
				servers = strings.Join(f.Edge, ", ")
				out = append(out, opening{"Mailbox servers of " + f.Name, servers, "50636", "EdgeSync"})
			}
			out = append(out, opening{"Exchange Online", f.Namespace.SMTP, "25", "mail, with STARTTLS unbroken"},
				opening{servers, "the MX host of the coexistence domain", "25", "mail, with STARTTLS unbroken"})
		}
	}
	for _, f := range a.Forests {
		servers := f.Directory.Servers
		if len(servers) == 0 {
			servers = []string{"the domain controllers of " + f.Directory.Domain}
		}
		port := "636"
		if f.Directory.Security == answers.SecurityStartTLS {
			port = "389"
		}
		out = append(out, opening{"hybridge's computer", strings.Join(servers, ", "), port,
			"the directory of " + f.Name},
			opening{"hybridge's computer", f.Exchange.Server,
				map[bool]string{true: "443", false: "80"}[strings.HasPrefix(f.Exchange.URL, "https:")],
				"remote PowerShell of " + f.Name})
		if a.BetweenForests() {
			for _, other := range a.Forests {
				if other.Name != f.Name && other.Lookups != nil {
					out = append(out, opening{"Exchange servers of " + f.Name,
						other.Namespace.Autodiscover + ", " + other.Namespace.EWS, "443", "lookups between forests"})
				}
			}
		}
		if a.WorkMail != nil && f.WorkMail != nil {
			out = append(out, opening{"Amazon WorkMail", f.Namespace.EWS, "443", "lookups"},
				opening{"Exchange servers of " + f.Name, workmail.AutodiscoverHost(a.WorkMail.Region) + ", " +
					workmail.EWSHost(a.WorkMail.Region), "443", "autodiscover, lookups"})
		}
	}
	return out
}

// records are the names that must be in public DNS.
func (d *Deployment) records() (rows [][]string) {
	a := d.answers
	for _, f := range a.Forests {
		for _, domain := range f.Domains {
			rows = append(rows, []string{"autodiscover." + domain, "A or CNAME", f.Namespace.Autodiscover})
			if a.ExchangeOnline != nil && a.Has(answers.SecureMail) {
				rows = append(rows, []string{domain, "MX", "as before: the plan turns no MX record"},
					[]string{domain, "TXT (SPF)", "as before, with what the checks `dns.*` ask for"})
			}
		}
		rows = append(rows, []string{f.Namespace.Autodiscover + ", " + f.Namespace.EWS, "A",
			"the publication of " + f.Name})
		if a.ExchangeOnline != nil && a.Has(answers.SecureMail) {
			rows = append(rows, []string{f.Namespace.SMTP, "A", "the mail servers of " + f.Name})
		}
	}
	return rows
}
