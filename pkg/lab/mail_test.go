package lab

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/lab/mail"
	"github.com/hybridge-cli/hybridge/pkg/lab/organization"
	"github.com/hybridge-cli/hybridge/pkg/wire/smtp"
)

// startWithMail starts a lab in which Microsoft's wizard ran.
func startWithMail(t *testing.T) *Lab {
	t.Helper()
	l, err := Start(t.Context(), Options{Dir: t.TempDir(), Users: 30, State: Wizard})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// arrives waits for a message with a subject.
func arrives(t *testing.T, at *mail.Transport, address, subject string) mail.Message {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if found := at.Inbox(address, subject); len(found) > 0 {
			return found[0]
		}
		if time.Now().After(deadline) {
			t.Fatalf("no message %q for %s", subject, address)
		}
	}
}

// Mail between each forest and the tenant is delivered over TLS and is internal, with the headers
// that tell the organization apart.
func TestMailIsInternal(t *testing.T) {
	l := startWithMail(t)
	for _, f := range l.forests {
		local, moved := f.local().primary, f.moved().primary
		if _, err := f.post.Submit(local, []string{moved}, "up", "hello\r\n.\r\nend\r\n"); err != nil {
			t.Fatal(err)
		}
		up := arrives(t, l.tenant.post, moved, "up")
		if _, err := l.tenant.post.Submit(moved, []string{local}, "down", "hello\r\n"); err != nil {
			t.Fatal(err)
		}
		down := arrives(t, f.post, local, "down")
		for _, c := range []struct {
			name string
			mail.Message
			want map[string]string
		}{
			{"to the tenant", up, map[string]string{
				"X-MS-Exchange-Organization-AuthAs": "Internal", "X-MS-Exchange-Organization-AuthSource": f.server,
				"X-EOPTenantAttributedMessage":                     l.tenant.id + ":0",
				"X-MS-Exchange-Organization-MessageDirectionality": "Originating", "X-OriginatorOrg": f.domain,
			}},
			{"to the forest", down, map[string]string{
				"X-MS-Exchange-Organization-AuthAs": "Internal", "X-CrossPremisesHeadersPromoted": f.server,
			}},
		} {
			for name, want := range c.want {
				if have := c.Header.Get(name); have != want {
					t.Errorf("%s %s: %s is %q, want %q\n%s", f.name, c.name, name, have, want, c.Header)
				}
			}
			if hop := c.Header.Get("Received"); !strings.Contains(hop, "version=TLS1_3") {
				t.Errorf("%s %s: Received: %s", f.name, c.name, hop)
			}
		}
		if up.Body != "hello\r\n.\r\nend\r\n" {
			t.Errorf("body %q", up.Body)
		}
	}
}

// status is what the servers say of the message with a subject: the queue's error, or the refusal.
func status(t *testing.T, l *Lab, f *forestSite, subject string) string {
	t.Helper()
	get := func(o *organization.Organization, cmdlet, property string, pairs ...any) []string {
		c := exchange.Command{Name: cmdlet, Parameters: map[string]any{}}
		for i := 0; i < len(pairs); i += 2 {
			c.Parameters[pairs[i].(string)] = pairs[i+1]
		}
		found, _, err := o.Run(t.Context(), organization.Caller{}, c)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, e := range found {
			if list, err := e.Strings(property); err == nil {
				out = append(out, list...)
			}
		}
		return out
	}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		for _, queue := range get(f.org, "Get-Message", "Queue", "Filter", "Subject -eq '"+subject+"'") {
			if last := get(f.org, "Get-Queue", "LastError", "Identity", queue); len(last) > 0 {
				return last[0]
			}
		}
		if failed := get(f.org, "Get-MessageTrackingLog", "RecipientStatus", "EventId", "FAIL", "MessageSubject",
			subject); len(failed) > 0 {
			return failed[0]
		}
		for _, id := range get(l.tenant.org, "Get-MessageTraceV2", "MessageTraceId", "Subject", subject) {
			to := get(l.tenant.org, "Get-MessageTraceV2", "RecipientAddress", "Subject", subject)[0]
			for _, event := range []string{"Defer", "Fail"} {
				names := get(l.tenant.org, "Get-MessageTraceDetailV2", "Event", "MessageTraceId", id,
					"RecipientAddress", to)
				details := get(l.tenant.org, "Get-MessageTraceDetailV2", "Detail", "MessageTraceId", id,
					"RecipientAddress", to)
				if i := slices.Index(names, event); i >= 0 && i < len(details) {
					return details[i]
				}
			}
		}
	}
	t.Fatalf("nothing is known of %q", subject)
	return ""
}

// A message that cannot be delivered is refused or waits, in the words of the server.
func TestMailThatDoesNotArrive(t *testing.T) {
	l := startWithMail(t)
	f, g := l.contoso(), l.fabrikam()
	local, moved := f.local().primary, f.moved().primary
	out := l.tenant.org.Object("OutboundConnector", "Outbound to "+f.guid)
	in := l.tenant.org.Object("InboundConnector", "Inbound from "+f.guid)
	for _, c := range []struct {
		name   string
		online bool
		to     string
		change func()
		want   string
	}{
		{"nobody on-premises", false, "nobody@" + f.domain, nil, "550 5.1.10 RESOLVER.ADR.RecipientNotFound"},
		{"nobody in the tenant", false, "nobody@" + coexistenceDomain, nil, "550 5.1.10 "},
		{"nobody in the forest, from the tenant", true, "nobody@" + f.domain, nil, "550 5.1.10 "},
		{"the internet, without a connector", false, "a@elsewhere.example", nil,
			"A matching connector cannot be found"},
		{"the internet, from the tenant", true, "a@elsewhere.example", nil, "450 4.4.312 DNS query failed"},
		{"a domain that the forest does not have", true, "a@" + g.domain + ".example", func() {
			out.Set("RecipientDomains", []string{f.domain, g.domain + ".example"})
		}, "550 5.7.54 SMTP; Unable to relay"},
		{"a TLS domain that the certificate lacks", true, local, func() { out.Set("TlsDomain", "*.elsewhere.example") },
			"SubjectMismatch Expected Subject: *.elsewhere.example. Presented Subject: CN=mail.contoso.example"},
		{"no certificate on the connector", true, local, func() {
			out.Set("TlsDomain", f.mail)
			f.frontend().Set("TlsCertificateName", "<I>CN=gone<S>CN=gone")
		}, "[Message=451 5.7.3 STARTTLS is required to send mail]"},
		{"a connector that is off", true, local, func() { f.frontend().Set("Enabled", false) }, "421 4.3.2"},
		{"an outdated server", false, moved, func() { f.post.Build = "15.1.2507.60" }, "550 5.7.230 "},
		{"a server of 2013", false, moved, func() { f.post.Build = "15.0.1497.48" }, "550 5.7.230 "},
		{"direct send is rejected", false, moved, func() {
			f.post.Build = "15.1.2507.61"
			in.Set("Enabled", false)
			l.tenant.org.Objects("OrganizationConfig")[0].Set("RejectDirectSend", true)
		}, "550 5.7.68 TenantInboundAttribution"},
		{"a domain of the certificate that the tenant does not accept", false, moved, func() {
			in.Set("Enabled", true)
			l.tenant.org.Object("AcceptedDomain", f.domain).Remove()
			l.tenant.org.Objects("OrganizationConfig")[0].Set("RejectDirectSend", true)
			l.tenant.org.Seed("InboundConnector", "Name", "Lock", "ConnectorType", "Partner", "SenderDomains",
				[]string{"smtp:*;1"}, "RestrictDomainsToCertificate", true, "TlsSenderCertificateName",
				"gateway.example")
		}, "550 5.7.51 TenantInboundAttribution"},
	} {
		if c.change != nil {
			c.change()
		}
		from, post := local, f.post
		if c.online {
			from, post = moved, l.tenant.post
		}
		if _, err := post.Submit(from, []string{c.to}, c.name, "text\r\n"); err != nil {
			t.Fatal(err)
		}
		if have := status(t, l, f, c.name); !strings.Contains(have, c.want) {
			t.Errorf("%s: %s\nwant %s", c.name, have, c.want)
		}
	}
	// What is refused for good comes back to the sender.
	if m := arrives(t, f.post, local, "Undeliverable: an outdated server"); !strings.Contains(m.Body, "550 5.7.230") {
		t.Error(m.Body)
	}
}

// Two sides that each take the other for the mailbox's home: the hops end the message.
func TestMailLoopEnds(t *testing.T) {
	l := startWithMail(t)
	f := l.contoso()
	moved := f.moved()
	l.tenant.org.Object("Mailbox", moved.primary).Remove()
	l.tenant.org.Seed("MailUser", "Name", "loop", "Alias", "loop", "PrimarySmtpAddress", moved.primary,
		"EmailAddresses",
		[]string{"SMTP:" + moved.primary, "smtp:" + moved.target()}, "ExternalEmailAddress", "SMTP:"+moved.primary)
	l.tenant.premise.read()
	if _, err := f.post.Submit(f.local().primary, []string{moved.primary}, "round", "text\r\n"); err != nil {
		t.Fatal(err)
	}
	if have := status(t, l, f, "round"); !strings.Contains(have, "5.4.14 Hop count exceeded") {
		t.Error(have)
	}
}

// What a stranger claims in Exchange's own headers is gone when the message arrives.
func TestMailHeadersOfStrangers(t *testing.T) {
	l := startWithMail(t)
	f := l.contoso()
	for i, at := range []struct {
		server string
		post   *mail.Transport
		to     string
	}{{f.mail, f.post, f.local().primary}, {exchanger(coexistenceDomain), l.tenant.post, f.moved().primary}} {
		subject := fmt.Sprint("claims ", i)
		sent, err := smtp.Send(t.Context(), smtp.Options{Dial: l.way.DialContext, Hello: "elsewhere.example"},
			at.server+":25", smtp.Outgoing{From: "x@elsewhere.example", To: []string{at.to}, Organization: f.domain,
				Data: "Subject: " + subject + "\r\nX-MS-Exchange-Organization-AuthAs: Internal\r\n" +
					"X-MS-Exchange-CrossPremises-AuthAs:\r\n Internal\r\n\r\ntext\r\n"})
		if err != nil || sent.Recognized {
			t.Fatalf("%s: %+v, %v", at.server, sent, err)
		}
		m := arrives(t, at.post, at.to, subject)
		if as := m.Header.All("X-MS-Exchange-Organization-AuthAs"); len(as) != 1 || as[0] != "Anonymous" ||
			m.Header.Get("X-MS-Exchange-CrossPremises-AuthAs") != "" {
			t.Errorf("%s:\n%s", at.server, m.Header)
		}
	}
}

// Faults of mail flow break what Microsoft's wizard set up, and need that state.
func TestMailFaultsNeedTheirState(t *testing.T) {
	mail, other := []Fault{{ID: "mail.x", Message: true}}, []Fault{{ID: "x"}}
	for _, c := range []struct {
		state   string
		planted []Fault
		want    string
	}{{Clean, mail, Wizard}, {Wizard, mail, Wizard}, {Manual, mail, ""}, {Manual, other, Manual},
		{Clean, other, Clean}} {
		if have, err := stateFor(c.state, c.planted); have != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%s: %s, %v", c.state, have, err)
		}
	}
}

// An inbound connector by address recognizes a forest's server by the address that the internet
// sees, for senders of an accepted domain. A partner connector by address locks others out.
func TestMailByAddress(t *testing.T) {
	l := startWithMail(t)
	f := l.contoso()
	in := l.tenant.org.Object("InboundConnector", "Inbound from "+f.guid)
	in.Set("TlsSenderCertificateName", "")
	in.Set("SenderIPAddresses", []string{f.public().String()})
	local, moved := f.local().primary, f.moved().primary
	send := func(subject string) {
		t.Helper()
		if _, err := f.post.Submit(local, []string{moved}, subject, "text\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	send("by address")
	if m := arrives(t, l.tenant.post, moved, "by address"); m.Header.Get("X-EOPTenantAttributedMessage") == "" {
		t.Errorf("the connector does not recognize the server:\n%s", m.Header)
	}
	in.Set("SenderIPAddresses", []string{"198.51.100.1"})
	send("another address")
	if m := arrives(t, l.tenant.post, moved, "another address"); m.Header.Get("X-EOPTenantAttributedMessage") != "" {
		t.Errorf("a connector for another address recognizes the server:\n%s", m.Header)
	}
	lock := l.tenant.org.Seed("InboundConnector", "Name", "Filter", "ConnectorType", "Partner", "SenderDomains",
		[]string{"smtp:*;1"}, "RestrictDomainsToIPAddresses", true, "SenderIPAddresses", []string{"198.51.100.1"})
	send("locked out")
	if have := status(t, l, f, "locked out"); !strings.Contains(have, "5.7.51") {
		t.Error(have)
	}
	lock.Set("SenderIPAddresses", []string{f.public().String()})
	send("let in")
	arrives(t, l.tenant.post, moved, "let in")
}
