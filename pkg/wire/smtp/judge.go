package smtp

import (
	"crypto/tls"
	"errors"
	"io"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/finding"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// The fixes of findings.
const (
	fixLook = "Look in the server's protocol log and at the firewalls on the way, run the check from another " +
		"network, or send a test message from Exchange Online."
	fixBusy = "Retry later; if the error stays, check the connection limits and the state of the transport service."
	fixSelf = "Run the check from a machine that the server lets in, or send a test message from Exchange Online; " +
		"its addresses must be let in."
	fixPort = "Look where address and port lead to: port forwarding, load balancer, network.connectTo."
	fixTLS  = "Enable a certificate for SMTP on the receive connector (Exchange: event 12014, TlsCertificateName), " +
		"or switch TLS on in the gateway."
	fixMask = "Switch SMTP inspection off on the firewall in front of the server (Cisco: no inspect esmtp)."
	fixKey  = "Look in the server's log, and give it a certificate whose private key it can read."
	fixText = "Find the device or program between here and the server that adds the text, and take it out of the way " +
		"or update it."
	fixOld  = "Enable TLS 1.2 on the server."
	fixECDH = "Enable ECDHE cipher suites with AES-GCM on the server, and give it an RSA key of 2048 bits or more or " +
		"an ECDSA key on P-256."
	fixAuth = "Let the server ask for a client certificate without requiring one, or make it trust the issuer of " +
		"Exchange Online's certificate."
	fixLate = "Look in the server's protocol log for this session, make sure that Exchange Online's addresses are " +
		"let in, and send a test message from there."
)

// Judge says what a probe shows about mail from a sender that requires TLS, as Exchange Online
// does. err is what Probe returned with the Report. The certificates are not judged here.
func Judge(r Report, err error) []finding.Finding {
	var out []finding.Finding
	if t := r.TLS; t != nil && t.Version != 0 {
		switch {
		case t.Version < tls.VersionTLS12:
			return []finding.Finding{finding.Of(finding.Wrong, "tls-version",
				"%s refuses TLS 1.2 and later (it speaks %s): Exchange Online, which needs TLS 1.2, cannot deliver "+
					"to it", r.Address, tls.VersionName(t.Version)).WithFix(fixOld)}
		case t.Version == tls.VersionTLS12 && !strings.Contains(tls.CipherSuiteName(t.CipherSuite), "_ECDHE_"):
			out = append(out, finding.Of(finding.Doubtful, "no-ecdhe",
				"%s has no ECDHE cipher suites: Exchange Online still takes RSA key exchange, but there is no "+
					"forward secrecy", r.Address).WithFix(fixECDH))
		}
	}
	var failed *StepError
	switch {
	case errors.As(err, &failed):
		out = append(out, judgeStep(r, failed))
	case err != nil:
		out = append(out, finding.Of(finding.Unseen, "unseen", "%s could not be checked: %v", r.Address,
			err).WithFix(fixLook))
	case r.TLS == nil && masked(r):
		out = append(out, finding.Of(finding.Wrong, "masked",
			"a firewall on the way to %s masks the greeting or STARTTLS (%s): Exchange Online, which requires TLS, "+
				"cannot deliver", r.Address, maskedText(r)).WithFix(fixMask))
	case r.TLS == nil:
		out = append(out, finding.Of(finding.Wrong, "no-starttls",
			"%s offers no STARTTLS: Exchange Online, which requires TLS, cannot deliver to it",
			r.Address).WithFix(fixTLS))
	}
	return out
}

// stars and crosses are what firewalls write over text.
var (
	stars   = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[*2 ]{10,}$`) })
	crosses = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^X{4,}[A-Z]?$`) })
)

func masked(r Report) bool { return maskedText(r) != "" }

func maskedText(r Report) string {
	for _, c := range r.Capabilities {
		if crosses().MatchString(c.Keyword) {
			return c.Keyword
		}
	}
	if strings.Contains(r.Banner, "*****") && stars().MatchString(r.Banner) {
		return r.Banner
	}
	return ""
}

func judgeStep(r Report, e *StepError) finding.Finding {
	var reply *ReplyError
	seconds := int(e.Waited.Round(time.Second) / time.Second)
	unseen := func(id, format string, args ...any) finding.Finding {
		return finding.Of(finding.Unseen, id, format, args...).WithFix(fixLook)
	}
	late := e.Step == SecureHello
	switch {
	case late:
		return judgeLate(r, e)
	case errors.As(e.Err, &reply):
		return judgeReply(r, e.Step, reply)
	case errors.Is(e.Err, ErrInjected):
		return finding.Of(finding.Wrong, "injected",
			"%s goes on in clear text after its 220 to STARTTLS: that breaks the protocol and looks like tampering, "+
				"and strict senders end the session", r.Address).WithFix(fixText)
	case errors.Is(e.Err, ErrProtocol) && e.Step == Greeting:
		return finding.Of(finding.Wrong, "not-smtp", "what answers at %s does not speak SMTP: %s", r.Address,
			detail(e.Err)).WithFix(fixPort)
	case errors.Is(e.Err, ErrProtocol):
		return finding.Of(finding.Wrong, "not-smtp", "the answer of %s to %s is not SMTP: %s", r.Address,
			string(e.Step), detail(e.Err)).WithFix(fixPort)
	case e.Step == Connect:
		return finding.Of(finding.Blind, "unreachable", "%s could not be reached from here: %v", r.Address,
			e.Err).WithFix(fixLook)
	case e.Silent() && r.ImplicitTLS:
		return finding.Of(finding.Unseen, "implicit-tls",
			"%s gave no greeting within %d seconds, and does a TLS handshake at once: it expects TLS from the first "+
				"byte, as on port 465", r.Address, seconds).
			WithFix("Switch TLS from the first byte (wrapper mode) off on port 25 and offer STARTTLS; look in the " +
				"server's log.")
	case e.Silent() && e.Step == Greeting && e.Heard:
		return unseen("silent", "the greeting of %s was not complete within %d seconds", r.Address, seconds)
	case e.Silent() && e.Step == Greeting:
		return unseen("silent", "%s gave no greeting within %d seconds; a sender may wait longer, up to 5 minutes",
			r.Address, seconds)
	case e.Silent() && e.Step == Handshake:
		return unseen("silent", "%s answered 220 to STARTTLS, and then the TLS handshake got no answer within %d "+
			"seconds", r.Address, seconds)
	case e.Silent():
		return unseen("silent", "%s gave no answer to %s within %d seconds", r.Address, string(e.Step), seconds)
	case e.Step == Handshake:
		return judgeHandshake(r, e)
	case closed(e.Err) && e.Step == Greeting:
		return unseen("closed", "%s closed the connection without a greeting", r.Address)
	case closed(e.Err):
		return unseen("closed", "%s closed the connection after %s without an answer", r.Address, string(e.Step))
	}
	return unseen("unseen", "%s could not be checked: %s: %v", r.Address, string(e.Step), e.Err)
}

// detail is what an error of ErrProtocol says about the text that came.
func detail(err error) string { return strings.TrimPrefix(err.Error(), ErrProtocol.Error()+": ") }

func closed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.Errno(10054))
}

// judgeReply judges a reply other than the wanted one, up to STARTTLS.
func judgeReply(r Report, step Step, reply *ReplyError) finding.Finding {
	temporary := reply.Code/100 == 4
	switch {
	case step == StartTLS && (reply.Code == 454 || !temporary && reply.Code != 502):
		return finding.Of(finding.Wrong, "starttls-refused",
			"%s offers STARTTLS and answers %s (%s) to it: its certificate or its key cannot be used", r.Address,
			reply.Status(), reply.Text).WithFix(fixKey)
	case step == StartTLS && !temporary:
		return finding.Of(finding.Wrong, "starttls-refused", "%s offers STARTTLS and refuses it with %s (%s)",
			r.Address, reply.Status(), reply.Text).WithFix(fixTLS)
	case temporary:
		return finding.Of(finding.Unseen, "busy", "%s is busy: it answered %s (%s) to %s", r.Address, reply.Status(),
			reply.Text, what(step)).WithFix(fixBusy)
	case step == Hello && (reply.Code == 500 || reply.Code == 502):
		return finding.Of(finding.Wrong, "no-ehlo",
			"%s does not know EHLO (%s), so it has no STARTTLS: a firewall inspects SMTP, or the server is very old",
			r.Address, reply.Status()).WithFix(fixMask)
	}
	return finding.Of(finding.Blind, "refused", "%s refuses this machine: it answered %s (%s) to %s", r.Address,
		reply.Status(), reply.Text, what(step)).WithFix(fixSelf)
}

func what(step Step) string {
	if step == Greeting {
		return "the connection, in place of a greeting"
	}
	return string(step)
}

func judgeHandshake(r Report, e *StepError) finding.Finding {
	var record tls.RecordHeaderError
	alert, told := link.RemoteAlert(e.Err)
	switch {
	case wantsCertificate(r, e.Err):
		return clientCertificate(r, "ended the handshake after its own certificate was seen")
	case told && alert == link.AlertProtocolVersion:
		return finding.Of(finding.Wrong, "tls-version",
			"%s refuses TLS 1.2: Exchange Online, which needs it, cannot deliver", r.Address).WithFix(fixOld)
	case told && (alert == link.AlertHandshakeFailure || alert == link.AlertInsufficientSecurity):
		return finding.Of(finding.Wrong, "handshake",
			"the TLS handshake with %s fails (alert %s): the server has no cipher suite or key type that Exchange "+
				"Online offers", r.Address, link.AlertName(alert)).WithFix(fixECDH)
	case told:
		return finding.Of(finding.Wrong, "handshake", "the TLS handshake with %s fails: the server sends the alert %s",
			r.Address, link.AlertName(alert)).WithFix(fixKey)
	case errors.As(e.Err, &record):
		return finding.Of(finding.Wrong, "handshake", "%s answers 220 to STARTTLS, and then does not speak TLS",
			r.Address).WithFix(fixKey)
	case closed(e.Err):
		return finding.Of(finding.Unseen, "closed",
			"%s answered 220 to STARTTLS, and closed the connection in the TLS handshake", r.Address).WithFix(fixLook)
	}
	return finding.Of(finding.Wrong, "handshake", "the TLS handshake with %s fails: %v", r.Address,
		e.Err).WithFix(fixECDH)
}

// wantsCertificate reports whether an alert is the refusal of a client that presents no
// certificate.
func wantsCertificate(r Report, err error) bool {
	alert, ok := link.RemoteAlert(err)
	if !ok || r.TLS == nil || !r.TLS.CertificateRequested {
		return false
	}
	switch alert {
	case link.AlertHandshakeFailure, link.AlertBadCertificate, link.AlertUnknownCA, link.AlertAccessDenied,
		link.AlertCertificateRequired:
		return true
	}
	return false
}

func clientCertificate(r Report, how string) finding.Finding {
	return finding.Of(finding.Doubtful, "client-certificate",
		"%s demands a client certificate and %s; mail arrives only if the server trusts the certificate that "+
			"Exchange Online presents", r.Address, how).WithFix(fixAuth)
}

// judgeLate judges the EHLO after STARTTLS: STARTTLS and certificate were seen by then.
func judgeLate(r Report, e *StepError) finding.Finding {
	var reply *ReplyError
	isReply := errors.As(e.Err, &reply)
	switch {
	case wantsCertificate(r, e.Err):
		return clientCertificate(r, "refuses right after the handshake")
	case isReply && r.TLS.CertificateRequested && strings.Contains(strings.ToLower(reply.Text), "certificate"):
		return clientCertificate(r, "answers EHLO after STARTTLS with "+reply.Status()+" ("+reply.Text+")")
	case isReply:
		return finding.Of(finding.Doubtful, "late-refusal",
			"%s refuses EHLO after STARTTLS with %s (%s): it may refuse only this machine, or Exchange Online too",
			r.Address, reply.Status(), reply.Text).WithFix(fixLate)
	case e.Silent():
		return finding.Of(finding.Doubtful, "late-silence",
			"%s gives no answer to EHLO after STARTTLS within %d seconds: mail may not get through", r.Address,
			int(e.Waited.Seconds())).WithFix(fixLate)
	case closed(e.Err):
		return finding.Of(finding.Doubtful, "late-close",
			"%s closes the connection at EHLO after STARTTLS: mail may not get through", r.Address).WithFix(fixLate)
	case errors.Is(e.Err, ErrProtocol):
		return finding.Of(finding.Wrong, "not-smtp", "the answer of %s to EHLO after STARTTLS is not SMTP: %s",
			r.Address, detail(e.Err)).WithFix(fixPort)
	}
	return finding.Of(finding.Doubtful, "late-failure", "the session with %s fails at EHLO after STARTTLS: %v",
		r.Address, e.Err).WithFix(fixLate)
}
