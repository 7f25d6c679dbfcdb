package desired

import (
	"context"
	"slices"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// hybridRecord keeps what was set up where Microsoft's wizard and its checkers look for it. It is
// the last change of a forest.
var hybridRecord = &Topic{
	ID:        "hybrid-configuration",
	Title:     "The record of the hybrid configuration in the forest",
	Features:  allFeatures,
	PerForest: true,
	Kinds:     []*Kind{hybridConfiguration},
	Reads: fact.List(fact.Organization, fact.HybridConfigurations, fact.CertificateFile, fact.Auth, fact.MailboxServers,
		fact.Servers),
	Derive: func(ctx context.Context, p *Planner) error {
		domains, err := p.domains()
		if err != nil {
			return err
		}
		var features []string
		for _, f := range recordedFeatures {
			if wants(p.Answers.Features, f.feature) {
				features = append(features, f.name)
			}
		}
		properties := change.Properties{"Domains": domains, "Features": features}
		reason := msg.Of("Microsoft's tools read from it what is set up in %s", p.Forest.Name())
		if p.set.Cloud.ServiceInstance == "1" {
			properties["ServiceInstance"] = int64(1)
			if slices.Contains(p.set.Cloud.Unconfirmed, "serviceInstance") {
				reason = unconfirmedIn(reason, "ServiceInstance", "serviceInstance")
			}
		}
		live, err := fact.HybridConfigurations.In(ctx, p.Forest)
		if err != nil {
			return err
		}
		if mailFlow.wanted(p.Answers.Features) {
			host, err := p.mailHost()
			if err != nil {
				return err
			}
			m, err := p.mailServers(ctx)
			if err != nil {
				return err
			}
			certificate, _, err := p.mailCertificate(ctx, m, host)
			if err != nil {
				return err
			}
			properties["OnPremisesSmartHost"], properties["TlsCertificateName"] = host, certificate
			// A record with Edge servers and Mailbox servers is refused (HCW8043): one of them is
			// cleared.
			for _, list := range []struct {
				property   string
				want, live []string
			}{
				{"SendingTransportServers", m.sending, live.Sending},
				{"ReceivingTransportServers", m.receiving, live.Receiving},
				{"EdgeTransportServers", m.edge, live.Edge},
			} {
				if len(list.want) > 0 {
					properties[list.property] = list.want
				} else if len(list.live) > 0 {
					properties[list.property] = nil
				}
			}
		}
		needs := All(p.at(), acceptedDomain, remoteDomainDelivery, organizationRelationship, intraOrganizationConnector,
			settingOverride, sendConnector, receiveConnector)
		there := All(PlaceOnline, organizationRelationship, intraOrganizationConnector, onPremisesOrganization)
		for _, n := range there {
			n.loose = true
			needs = append(needs, n)
		}
		p.Add(hybridConfiguration, p.at(), "record", "Hybrid Configuration",
			reason, properties, needs...)
		return nil
	},
}

// recordedFeatures are the names of features in the record, in the sequence of Microsoft's wizard.
var recordedFeatures = []struct {
	feature answers.Feature
	name    string
}{
	{answers.FreeBusy, "FreeBusy"}, {answers.MoveMailbox, "MoveMailbox"}, {answers.MailTips, "Mailtips"},
	{answers.MessageTracking, "MessageTracking"}, {answers.OWARedirection, "OwaRedirection"},
	{answers.OnlineArchive, "OnlineArchive"}, {answers.SecureMail, "SecureMail"},
	{answers.CentralizedTransport, "CentralizedTransport"}, {answers.Photos, "Photos"},
}

var hybridConfiguration = Exchange.Declare(Kind{
	Noun:  "HybridConfiguration",
	Title: "Record of the hybrid configuration",
	Why: "Microsoft's wizard and HealthChecker read from it the domains, the features, the certificate and the " +
		"servers of the hybrid configuration.",
	Places:     []string{OnPremises},
	Recognizes: "$true",
	Match:      func(change.Properties, change.Live) bool { return true },
	Properties: map[string]Property{
		"Domains":                   {Type: recordedDomains, Write: change.Merge},
		"Features":                  {Type: hybridFeatures, Write: change.Merge},
		"OnPremisesSmartHost":       {Type: text},
		"TlsCertificateName":        {Type: certificateName},
		"SendingTransportServers":   {Type: someServers},
		"ReceivingTransportServers": {Type: someServers},
		"EdgeTransportServers":      {Type: someServers},
		"ServiceInstance":           {Type: number},
	},
	Risk: "nothing uses it but Microsoft's wizard and its checkers",
}, Cmdlets{
	Verbs: New | Set | Remove, Only: true,
	// There is one, without a name of its own.
	Adjust: func(c *change.Command) {
		delete(c.Parameters, "Name")
		delete(c.Parameters, "Identity")
	},
})
