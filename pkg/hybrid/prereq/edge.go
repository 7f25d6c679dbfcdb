package prereq

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// edgeChecks are about Edge servers that carry the mail of the tenant. hybridge sees them from
// outside: by SMTP, and by what the organization says of their subscriptions.
var edgeChecks = []Check{
	{
		ID:    "transport.edge-subscription",
		Title: "The Edge server is subscribed, and EdgeSync reaches it",
		Scope: PerForest,
		Needs: []check.ID{"access.onprem-read"},
		Reads: fact.List(fact.Servers, fact.EdgeSubscriptions, fact.EdgeSyncs),
		Why: "An Edge server gets its connectors, domains and recipients from EdgeSync. Without it the server does " +
			"not know the connector to the tenant, and refuses mail to new recipients.",
		Fix: "Let port 50636 of the Edge server through from the Mailbox servers of its site, and start EdgeSync. " +
			"When that does not help, or the Mailbox servers of the site are new, make the subscription anew: " +
			"New-EdgeSubscription on the Edge server, then in the organization.",
		Consider: "A new subscription takes all settings of the Edge server from the organization: connectors that " +
			"were made on the Edge server are replaced.",
		Each: edgeServers,
		Run:  mailOnly(judgeEdgeSubscription),
	},
	{
		ID:    "transport.edge-server",
		Title: "The Edge server takes mail over TLS with the transport certificate",
		Scope: PerForest,
		Reads: fact.List(fact.MailServers, fact.CertificateFile),
		Why: "Exchange Online sends mail to the forest over TLS, and takes it only to a server whose certificate " +
			"names the mail host. One Edge server of several with another certificate makes mail wait now and then. " +
			"Whether the server also takes the headers of internal mail (TlsDomainCapabilities) shows to Exchange " +
			"Online alone: hybridge test --message finds it.",
		Fix: "Run the script for the Edge server, which hybridge plan --scripts writes, in the Exchange Management " +
			"Shell of that server. It sets the certificate and the capabilities of its receive connector.",
		Consider: "The connector takes all mail from outside: every sender sees the new certificate.",
		Each:     edgeServers,
		Run:      mailOnly(judgeEdgeServer),
	},
}

// edgeServers are the instances of a check per Edge server.
func edgeServers(in Input) (out []check.Instance[Input]) {
	for _, name := range in.Forest.Answers.Edge {
		one := in
		one.Host = strings.ToLower(name)
		out = append(out, check.Instance[Input]{Name: one.Host, Input: one})
	}
	return out
}

// staleSync is how long EdgeSync may be behind: it runs every three minutes for the configuration,
// and every five for recipients.
const staleSync = time.Hour

func judgeEdgeSubscription(ctx context.Context, in Input) check.Result {
	servers, err := fact.Servers.In(ctx, in.Forest)
	if err != nil {
		return check.Unknown(err)
	}
	subscriptions, err := fact.EdgeSubscriptions.In(ctx, in.Forest)
	if err != nil {
		return check.Unknown(err)
	}
	mine := func(name string) bool {
		first, _, _ := strings.Cut(name, ".")
		second, _, _ := strings.Cut(in.Host, ".")
		return strings.EqualFold(first, second)
	}
	if !slices.ContainsFunc(servers, func(s fact.Server) bool { return s.Edge && mine(s.Name) }) ||
		!slices.ContainsFunc(subscriptions, func(s fact.EdgeSubscription) bool { return mine(s.Name) }) {
		return check.Failed("Edge server %s is not subscribed to the organization of forest %s", in.Host,
			in.Forest.Name()).
			Fix("On the Edge server run New-EdgeSubscription -FileName, then import the file in the organization "+
				"within a "+
				"day.").
			FixWith(`New-EdgeSubscription -FileName 'C:\EdgeSubscription.xml'`, `New-EdgeSubscription -FileData `+
				`([System.IO.File]::ReadAllBytes('C:\EdgeSubscription.xml')) -Site 'SITE'`)
	}
	syncs, err := fact.EdgeSyncs.In(ctx, in.Forest)
	if err != nil {
		return check.Unknown(err)
	}
	behind := func(r check.Result) check.Result {
		return r.FixWith("Start-EdgeSynchronization -ForceFullSync", "Test-EdgeSynchronization")
	}
	i := slices.IndexFunc(syncs, func(s fact.EdgeSync) bool { return mine(s.Name) })
	if i < 0 {
		return behind(check.Failed("EdgeSync of forest %s does not know %s", in.Forest.Name(), in.Host))
	}
	switch s := syncs[i]; {
	case !strings.EqualFold(s.Status, "Normal") && !strings.EqualFold(s.Status, "InProgress"):
		return behind(check.Failed("EdgeSync of forest %s does not reach %s: %s", in.Forest.Name(), in.Host,
			s.Status).With("detail", s.Detail))
	case !s.Synced.IsZero() && in.Now().Sub(s.Synced) > staleSync:
		return behind(check.Failed("EdgeSync of forest %s reached %s on %s for the last time", in.Forest.Name(),
			in.Host,
			day(s.Synced)))
	}
	return check.Pass("EdgeSync reaches %s", in.Host)
}

func judgeEdgeServer(ctx context.Context, in Input) check.Result {
	host := in.Forest.Answers.Namespace.SMTP
	seen, err := fact.MailServers.In(ctx, in.Network, in.Host)
	if err == nil && len(seen.Capabilities) == 0 {
		err = seen.Err
	}
	if err != nil {
		return check.Unknown(err)
	}
	wrong := func(r check.Result) check.Result {
		return r.FixWith("Get-ReceiveConnector | Format-List Identity, Bindings, TlsCertificateName, "+
			"TlsDomainCapabilities",
			"Get-ExchangeCertificate | Format-List Subject, Issuer, Thumbprint, Services, NotAfter")
	}
	if seen.TLS == nil {
		return wrong(check.Failed("Edge server %s offers no STARTTLS: no certificate is enabled for SMTP, or a "+
			"firewall "+
			"masks it", in.Host))
	}
	leaf := seen.Certificate.Leaf
	file, err := fact.CertificateFile.In(ctx, in.Forest)
	switch {
	case !certificate.Covers(leaf, host):
		return wrong(check.Failed("Edge server %s presents the certificate %s, which does not name %s", in.Host,
			certificate.Subject(leaf), host))
	case err == nil && certificate.Thumbprint(file.Leaf) != certificate.Thumbprint(leaf):
		return wrong(check.Failed("Edge server %s presents the certificate %s, and the answers file names %s", in.Host,
			certificate.Thumbprint(leaf), certificate.Thumbprint(file.Leaf)))
	case in.Now().After(leaf.NotAfter):
		return wrong(check.Failed("the certificate of Edge server %s ended on %s", in.Host, day(leaf.NotAfter)))
	}
	return check.Pass("Edge server %s takes mail over TLS with a certificate for %s", in.Host, host)
}
