package lab

import (
	"errors"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
)

// inSecond plants in contoso's second Exchange server.
func inSecond(plant func(*exchangeServer)) hook {
	return inContoso(func(f *forestSite) { plant(f.exchange[1]) })
}

// behindBalancer are the checks that ask a published name. The load balancer leads them to the second
// server by turn.
var behindBalancer = turns("certificates.transport", "ews.answers", "autodiscover.answers",
	"reachability.ews-post", "reachability.autodiscover-service", "reachability.long-token")

// serverFaults are faults of contoso's second Exchange server, while the first one is as it should be. A
// lab with one of them has two servers per forest.
func serverFaults() []Fault {
	list := []Fault{
		{
			ID: "second.auth-certificate-missing", Turns: turns("certificates.auth"),
			Diagnosis: "oauth.certificate-distribution",
			Title:     "contoso's second server does not have the auth certificate",
			late: inSecond(func(s *exchangeServer) {
				s.stored(certificate.Thumbprint(s.site.authCertificate.cert)).Remove()
			}),
		},
		{
			ID: "second.auth-not-distributed", Passes: true, Diagnosis: "oauth.certificate-distribution",
			Title: "Exchange brings no auth certificate to contoso's other servers",
			early: inContoso(func(f *forestSite) { f.apart = true }),
		},
		{
			ID: "second.no-way-out", Diagnosis: "oauth.server-kept-in",
			Title: "a firewall keeps contoso's second server from the internet",
			late:  inSecond(func(s *exchangeServer) { s.inside = true }),
		},
		{
			ID: "second.tokens-off", Turns: turns("oauth.virtual-directories"),
			Diagnosis: "oauth.virtual-directory-off", Title: "EWS of contoso's second server takes no tokens",
			late: inSecond(func(s *exchangeServer) {
				s.directory("WebServicesVirtualDirectory").Set("OAuthAuthentication", false)
			}),
		},
		{
			ID: "second.override-missing", Turns: turns("oauth.overrides"), Diagnosis: "oauth.override-limited",
			Title: "contoso's setting override for the dedicated application applies to the first server only",
			late: inSecond(func(s *exchangeServer) {
				s.site.org.Seed("SettingOverride", "Name", "EnableExchangeHybrid3PAppFeature", "ComponentName",
					"Global", "SectionName", "ExchangeOnpremAsThirdPartyAppId", "Parameters", []string{"Enabled=true"},
					"Server", []string{s.site.first().name()}, "Reason", "trial")
			}),
		},
		{
			ID: "second.old", Turns: turns("servers.build", "transport.enforcement"),
			May: turns("servers.same-build"), Diagnosis: "oauth.shared-application-refused",
			Title: "contoso's second server runs a cumulative update that does not know the dedicated application",
			early: inSecond(func(s *exchangeServer) { s.build = "Version 15.2 (Build 1258.12)" }),
		},
		{
			ID: "second.update-missing", Turns: turns("servers.same-build", "servers.updates"), Verdict: Warns,
			Diagnosis: "server.upkeep",
			Title:     "contoso's second server lacks the security update that the first one has",
			early:     inSecond(func(s *exchangeServer) { s.securityUpdate = "15.2.2562.49" }),
		},
		{
			ID: "second.component-off", Turns: turns("servers.components", "servers.ews"),
			May: append(turns("servers.mrs-proxy"), behindBalancer...), Diagnosis: "ews.service-unavailable",
			Title: "maintenance left the component EwsProxy of contoso's second server off",
			late: inSecond(func(s *exchangeServer) {
				s.site.org.Object("ServerComponentState", s.name()+" EwsProxy").Set("State", "Inactive")
			}),
		},
		{
			ID: "second.clock-wrong", Turns: turns("servers.clock"), Diagnosis: "time.clock-skew",
			Title: "the clock of contoso's second server is ten minutes behind",
			early: inSecond(func(s *exchangeServer) { s.ahead = -10 * time.Minute }),
		},
		{
			ID: "second.proxy", Turns: turns("servers.proxy"), Verdict: Warns, Diagnosis: "lookup.server-not-found",
			Title: "contoso's second server has a proxy, and the first one has none",
			late: inSecond(func(s *exchangeServer) {
				s.site.org.Object("ExchangeServer", s.name()).Set("InternetWebProxy",
					"http://proxy.contoso.example:8080")
			}),
		},
		{
			ID: "second.web-certificate", Turns: turns("certificates.web-each"),
			May: append(turns("certificates.mail-each"), behindBalancer...), Diagnosis: "certificate.web-differs",
			Title: "contoso's second server kept the transport certificate of last year",
			early: inSecond(func(s *exchangeServer) {
				s.alter = func(l *leaf) { l.to = s.now().AddDate(0, 0, 90) }
			}),
		},
		{
			ID: "second.certificate-expired", Turns: turns("certificates.mail-each"), Message: true,
			May: append(turns("certificates.renewed-everywhere", "certificates.web-each",
				"reachability.smtp-servers"), behindBalancer...), Diagnosis: "mail.subject-mismatch",
			Title: "the transport certificate of contoso's second server has expired",
			early: inSecond(func(s *exchangeServer) {
				s.alter = func(l *leaf) { l.from, l.to = s.now().AddDate(-1, 0, 0), s.now().Add(-24*time.Hour) }
			}),
		},
		{
			ID: "second.certificate-missing", Message: true,
			Turns: turns("certificates.receive-connector", "certificates.send-connector", "certificates.mail-each"),
			May:   append(turns("reachability.smtp-servers"), behindBalancer...), Diagnosis: "mail.no-tls",
			Title: "contoso's second server does not have the transport certificate",
			late: inSecond(func(s *exchangeServer) {
				s.stored(certificate.Thumbprint(s.transport().cert)).Remove()
			}),
		},
		{
			ID: "second.headers-not-accepted", Message: true, Diagnosis: "mail.headers-not-accepted",
			Title: "the frontend receive connector of contoso's second server accepts no headers of the cloud",
			late:  inSecond(func(s *exchangeServer) { s.frontend().Set("TlsDomainCapabilities", []string{}) }),
		},
	}
	for i := range list {
		list[i].servers, list[i].ByChance = 2, !list[i].Passes
	}
	return list
}

// outside refuses connections of a server that a firewall keeps from the internet.
func (s *exchangeServer) outside() error {
	if s.inside {
		return errors.New("unable to get a token from the auth server: Unable to connect to the remote server")
	}
	return nil
}
