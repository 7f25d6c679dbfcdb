package delivery

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/diagnose"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// Header is a message's header, first line first.
type Header []Field

// Field is one header field.
type Field struct{ Name, Value string }

// Get returns the first field of a name, or "".
func (h Header) Get(name string) string {
	for _, f := range h {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// failure is a message that did not arrive as it must.
type failure struct {
	text       string
	diagnosis  diagnose.ID
	confidence float64
}

func (f *failure) Error() string { return f.text }

// reasons are what servers say of a message that they hold or refuse, most telling first.
var reasons = []struct {
	text      string
	diagnosis diagnose.ID
	advice    string
}{
	{"4.7.230", diagnose.MailServerOutdated, "update the server that hands mail over"},
	{"5.7.230", diagnose.MailServerOutdated, "update the server that hands mail over"},
	{"5.7.68", diagnose.MailNotAttributed, "the tenant rejects direct send and did not recognize the servers: set " +
		"TlsSenderCertificateName of the inbound connector to the name of their certificate"},
	{"5.7.51", diagnose.MailPartnerConnector, "admit the certificate of the forest with an inbound connector of type " +
		"OnPremises"},
	{"5.7.64", diagnose.MailNotAttributed, "set TlsSenderCertificateName of the inbound connector to the name of the " +
		"servers' certificate, in an accepted domain"},
	{"TlsCertificateName of the SendConnector", diagnose.MailCertificateGone, "set TlsCertificateName of the send " +
		"connector to a certificate in the server's store"},
	{"SubjectMismatch", diagnose.MailCertificateName, "another certificate answers than the connector expects: set " +
		"TlsCertificateName on the receive connector that answers, or correct TlsDomain"},
	{"UntrustedRoot", diagnose.MailCertificateUntrusted, "install a certificate of a public authority with its chain"},
	{"CertExpired", diagnose.CertificateExpired, "renew the certificate"},
	{"STARTTLS is required", diagnose.MailNoTLS,
		"the receiving server offers no STARTTLS: enable a certificate for SMTP, " +
			"and switch SMTP inspection off on firewalls"},
	{"A matching connector cannot be found", diagnose.MailNoRoute,
		"make the send connector for the coexistence domain"},
	{"5.7.54", diagnose.MailNotAccepted, "make the recipient's domain an accepted domain"},
	{"5.4.14", diagnose.MailLoop, "correct the target address of the recipient on one side"},
	{"5.4.6", diagnose.MailLoop, "correct the target address of the recipient on one side"},
	{"5.1.10", diagnose.MailRecipientUnknown, "give the recipient this address, or synchronize the recipient"},
	{"5.4.1 ", diagnose.MailRecipientUnknown, "give the recipient this address, or synchronize the recipient"},
	{"DNS query failed", diagnose.MailNoExchanger, "publish the MX record, or correct the smart host"},
	{"4.4.316", diagnose.MailUnreachable, "let port 25 through to the server"},
	{"441 4.4.1", diagnose.MailUnreachable, "let port 25 through to Exchange Online"},
}

// stopped is a message that a premise's servers hold or refuse.
func stopped(p Premise, status string) error {
	f := &failure{text: fmt.Sprintf("%s: %s", p.Name, link.Line(status))}
	for _, r := range reasons {
		if strings.Contains(status, r.text) {
			f.diagnosis, f.confidence = r.diagnosis, 0.9
			f.text += ": " + r.advice
			break
		}
	}
	return f
}

var (
	receivedBy = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)^from (\S+).*? by (\S+)`)
	})
	overTLS = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?i)version=TLS(1_?[0-9.]*)`) })
)

// hops are the servers that the message went through, first to last.
func (h Header) hops() []string {
	out := []string{}
	for _, f := range slices.Backward(h) {
		if !strings.EqualFold(f.Name, "Received") {
			continue
		}
		m := receivedBy().FindStringSubmatch(f.Value)
		if m == nil {
			continue
		}
		hop := m[2]
		if v := overTLS().FindStringSubmatch(f.Value); v != nil {
			hop += " over TLS " + strings.ReplaceAll(v[1], "_", ".")
		}
		out = append(out, link.Line(hop))
	}
	return out
}

// clear reports whether the servers of two premises exchanged the message without TLS. Exchange
// Online passes messages on between its own servers; what they say does not count.
func (h Header) clear() bool {
	for _, f := range h {
		if !strings.EqualFold(f.Name, "Received") {
			continue
		}
		m := receivedBy().FindStringSubmatch(f.Value)
		if m != nil && m[1] != m[2] && !sameParent(m[1], m[2]) && overTLS().FindString(f.Value) == "" {
			return true
		}
	}
	return false
}

// sameParent reports whether two hosts are in one domain.
func sameParent(a, b string) bool {
	_, first, _ := strings.Cut(strings.ToLower(a), ".")
	_, second, ok := strings.Cut(strings.ToLower(b), ".")
	return ok && first == second
}

// judge looks at the header of a message that arrived from another premise.
func judge(ctx context.Context, from, to Premise, h Header, subject string) error {
	as := h.Get("X-MS-Exchange-Organization-AuthAs")
	switch {
	case h.clear():
		return &failure{"the message crossed between the premises without TLS", diagnose.MailClear, 0.9}
	case strings.EqualFold(as, "Internal"):
		return nil
	case as == "":
		return fmt.Errorf("%s: the header of the message has no verdict (X-MS-Exchange-Organization-AuthAs)", to.Name)
	}
	arrived := fmt.Sprintf("the message arrived as external mail (AuthAs: %s)", link.Line(as))
	if by := h.Get("X-CrossPremisesHeadersFilteredBySendConnector"); by != "" {
		return &failure{fmt.Sprintf("%s: %s removed the headers of internal mail: the connector there that sends to "+
			"%s "+
			"is not the hybrid one, or CloudServicesMailEnabled is off", arrived, link.Line(by), to.Name),
			diagnose.MailHeadersNotSent, 0.9}
	}
	if to.Side == exchange.OnPremises {
		return &failure{fmt.Sprintf("%s: no receive connector of %s accepts the headers of Exchange Online: "+
			"TlsDomainCapabilities must be mail.protection.outlook.com:AcceptCloudServicesMail on the connector that "+
			"answers",
			arrived, to.Name), diagnose.MailHeadersNotAccepted, 0.8}
	}
	events, err := traceEvents(ctx, to, subject)
	if err != nil {
		return &failure{fmt.Sprintf("%s; the connector is unknown (%v)", arrived, err), diagnose.MailNotAttributed, 0.5}
	}
	for _, e := range events {
		data, _ := e.String("Data")
		if name, _ := e.String("Event"); name == "Receive" && strings.Contains(data, "InboundConnectorData=Name=") {
			return &failure{arrived +
				": CloudServicesMailEnabled is off on the inbound connector that recognized " + from.Name,
				diagnose.MailHeadersNotAccepted, 0.8}
		}
	}
	return &failure{fmt.Sprintf("%s: no inbound connector recognized the servers of %s: TlsSenderCertificateName must "+
		"be the name of the certificate that their send connector presents, in an accepted domain", arrived, from.Name),
		diagnose.MailNotAttributed, 0.9}
}
