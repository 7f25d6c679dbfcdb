package prereq

import (
	"context"
	"crypto/x509"
	"errors"
	"slices"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/wire/dns"
)

var daneChecks = []Check{{
	ID:    "transport.smart-host-tlsa",
	Title: "TLSA records of the mail host fit its certificate",
	Scope: PerForest,
	Reads: fact.List(fact.TLSA, fact.MailServers),
	Why: "Outbound connectors of Exchange Online validate TLSA records where they find them with DNSSEC. Where the " +
		"certificate does not fit, mail to the forest waits for 24 hours and is returned (5.7.321 to 5.7.324). " +
		"Whether Exchange Online looks for the records of a smart host is not documented. An MTA-STS policy does not " +
		"concern this hop: it is about the mail exchangers of a domain, and the connector names its host.",
	Fix: "Publish the TLSA record of the certificate that the mail host presents (usage 3, selector 1, SHA-256), and " +
		"keep the record of the next certificate beside it before the certificate changes.",
	Consider: "Resolvers keep the old record for its time to live.",
	Run:      mailOnly(judgePins),
}}

func judgePins(ctx context.Context, in Input) check.Result {
	host := in.Forest.Answers.Namespace.SMTP
	if host == "" {
		return check.NotApplicable("the answers name no mail host (namespace.smtp) of forest %s", in.Forest.Name())
	}
	pins, err := fact.TLSA.In(ctx, in.Network, host)
	switch {
	case errors.Is(err, dns.ErrAbsent), errors.Is(err, dns.ErrEmpty):
		return check.Pass("%s has no TLSA record", host)
	case err != nil:
		return check.Unknown(err)
	}
	seen, err := fact.MailServers.In(ctx, in.Network, host)
	if err == nil && seen.TLS == nil {
		err = seen.Err
	}
	if err != nil {
		return check.Unknown(err)
	}
	if seen.TLS == nil {
		return check.NotApplicable("%s offers no STARTTLS: see certificates.transport", host)
	}
	chain := slices.Concat([]*x509.Certificate{seen.Certificate.Leaf}, seen.Certificate.Chain)
	usable := 0
	for _, r := range pins.Records {
		matches, counts := certificate.Pinned(*r.Pin, chain)
		if matches {
			return check.Pass("a TLSA record of %s fits its certificate", host)
		}
		if counts {
			usable++
		}
	}
	said := msg.Of("no TLSA record of %s fits the certificate %s that it presents", host,
		certificate.Thumbprint(chain[0]))
	switch {
	case usable == 0:
		return check.Warned("no TLSA record of %s is of a kind that mail servers use (usage 2 or 3)", host)
	case !pins.Verified:
		return check.Warned("%s; the resolver does not vouch for the records (DNSSEC)", said)
	}
	return check.Failed("%s", said)
}
