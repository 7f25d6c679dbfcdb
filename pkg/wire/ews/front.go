package ews

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/wire/finding"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// exchangeID is the application id of Exchange, which its own challenge names.
const exchangeID = "00000002-0000-0ff1-ce00-000000000000"

// Front is the answer at the address of an Exchange web service (EWS, autodiscover) to a caller
// without a credential.
type Front struct {
	URL      string
	Status   int
	Location string   // of a redirect; printable
	Schemes  []string // that a 401 offers
	OAuth    bool     // the challenge is Exchange's own: OAuth reaches it
	Exchange bool     // something in the answer is Exchange's own
	What     string   // what answered, where it is not Exchange

	Certificates []*x509.Certificate // as served, leaf first
	Staple       []byte              // OCSP response that was sent along
}

// Look asks an address with an empty Authorization: Bearer. Exchange answers with its own
// challenge, and a device before Exchange answers differently. No credential is sent, and no
// redirect is followed.
func Look(ctx context.Context, client *http.Client, address string) (Front, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return Front{URL: address}, err
	}
	return Ask(client, r)
}

// Ask sends a request as Look does. Authorization and User-Agent of the request stay.
func Ask(client *http.Client, r *http.Request) (Front, error) {
	f := Front{URL: r.URL.String()}
	for name, value := range map[string]string{"Authorization": "Bearer", "User-Agent": "hybridge"} {
		if r.Header.Get(name) == "" {
			r.Header.Set(name, value)
		}
	}
	transport := client.Transport
	if transport == nil {
		transport = http.DefaultTransport
	}
	resp, err := transport.RoundTrip(r) // a Client refuses an answer whose Location is no URL
	if err != nil {
		return f, link.Classify(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // a cut body is enough
	f.Status, f.Location = resp.StatusCode, link.Printable(resp.Header.Get("Location"))
	f.Exchange = FromExchange(resp.Header)
	if resp.TLS != nil {
		f.Certificates, f.Staple = resp.TLS.PeerCertificates, resp.TLS.OCSPResponse
	}
	for _, c := range link.Challenges(resp.Header) {
		scheme := link.Printable(c.Scheme)
		if !slices.Contains(f.Schemes, scheme) {
			f.Schemes = append(f.Schemes, scheme)
		}
		if strings.EqualFold(scheme, "Bearer") && strings.EqualFold(c.Params["client_id"], exchangeID) {
			f.OAuth, f.Exchange = true, true
		}
	}
	if f.Status != http.StatusUnauthorized {
		f.What = whatAnswered(resp, body)
	}
	return f, nil
}

// The fixes of findings.
const (
	fixPreAuth = "Publish the address without pre-authentication: pass it through to the Exchange servers as it is " +
		"(Application Proxy, WAF, AD FS proxy: pass-through for /autodiscover/ and /EWS/)."
	fixPublish = "Publish /autodiscover/ and /EWS/ of the Exchange servers on port 443 under this name."
	fixCloud   = "While mailboxes are in the forest, the name must lead to the forest's Exchange servers."
	fixTLS     = "Enable TLS 1.2 with ECDHE cipher suites on what answers there, for this name (SNI), and demand no " +
		"client certificate."
	fixProxy = "Check the proxy (network.proxy, its sign-in and its log), or run the check on a machine that " +
		"reaches the host directly."
)

// Judge says what stands in the way of a caller from the other side, which sends a token of
// Exchange Online and follows no redirect to another service. isCloud recognizes hosts of Exchange
// Online.
func (f Front) Judge(isCloud func(host string) bool) []finding.Finding {
	one := func(level finding.Level, id, fix, format string, args ...any) []finding.Finding {
		return []finding.Finding{finding.Of(level, id, format, args...).WithFix(fix)}
	}
	switch {
	case f.Status/100 == 3:
		return f.judgeRedirect(isCloud)
	case f.Status == http.StatusUnauthorized && f.OAuth:
		return nil
	case f.Status == http.StatusUnauthorized && len(f.Schemes) == 0:
		return one(finding.Wrong, "pre-authentication", fixPreAuth,
			"%s answers 401 and offers no way to sign in: something before Exchange answers", f.URL)
	case f.Status == http.StatusUnauthorized && f.windows():
		return nil // a separate check covers Exchange without OAuth on this directory
	case f.Status == http.StatusUnauthorized:
		return one(finding.Wrong, "pre-authentication", fixPreAuth,
			"%s asks for a sign-in by %s alone, and Exchange offers more: something before Exchange answers, and "+
				"lookups of the tenant cannot pass it", f.URL, strings.Join(f.Schemes, ", "))
	case f.Status == http.StatusOK:
		return one(finding.Wrong, "pre-authentication", fixPreAuth,
			"%s answers without asking for a sign-in, with %s: something before Exchange answers", f.URL,
			something(f.What))
	case f.Status == http.StatusForbidden && f.Exchange:
		return one(finding.Wrong, "refused",
			"Check EwsEnabled and the EWS access policies (Get-OrganizationConfig, Get-CASMailbox), and at IP "+
				"restrictions of the virtual directory.", "%s is refused by Exchange: 403, %s", f.URL,
			something(f.What))
	case f.Status == http.StatusForbidden || f.Status == 440 || f.Status == 456:
		return one(finding.Wrong, "pre-authentication", fixPreAuth,
			"%s answers %d, %s: something before Exchange answers", f.URL, f.Status, something(f.What))
	case f.Status >= 500:
		return one(finding.Wrong, "server-error", fixPublish, "%s answers %d %s", f.URL, f.Status,
			http.StatusText(f.Status))
	}
	return one(finding.Wrong, "not-published", fixPublish, "%s answers %d %s (%s)", f.URL, f.Status,
		http.StatusText(f.Status), something(f.What))
}

func (f Front) windows() bool {
	return slices.ContainsFunc(f.Schemes,
		func(s string) bool { return strings.EqualFold(s, "NTLM") || strings.EqualFold(s, "Negotiate") })
}

func something(what string) string {
	if what == "" {
		return "nothing more is said"
	}
	return what
}

func (f Front) judgeRedirect(isCloud func(host string) bool) []finding.Finding {
	one := func(level finding.Level, id, fix, format string, args ...any) []finding.Finding {
		return []finding.Finding{finding.Of(level, id, format, args...).WithFix(fix)}
	}
	base, err := url.Parse(f.URL)
	if err != nil {
		base = &url.URL{}
	}
	target, err := base.Parse(strings.TrimSpace(f.Location))
	path := ""
	if err == nil {
		path = strings.ToLower(target.Path)
	}
	to := link.PrintableURL(f.Location)
	switch {
	case f.Location == "" || err != nil || target.Host == "":
		return one(finding.Wrong, "redirect", fixPreAuth,
			"%s answers %d and leads nowhere: something before Exchange answers", f.URL, f.Status)
	case isCloud(target.Hostname()):
		return one(finding.Wrong, "redirect-cloud", fixCloud, "%s redirects to Exchange Online (%s)", f.URL,
			target.Hostname())
	case strings.EqualFold(target.Scheme, "http"):
		return one(finding.Wrong, "redirect", fixPreAuth,
			"%s redirects to plain http (%s): the tenant does not follow it", f.URL, to)
	case strings.EqualFold(target.Host, base.Host) && target.Path == base.Path && target.RawQuery == base.RawQuery:
		return one(finding.Wrong, "redirect", fixPreAuth, "%s redirects to itself: something before Exchange answers",
			f.URL)
	case strings.HasPrefix(path, "/adfs/"):
		return one(finding.Wrong, "pre-authentication", fixPreAuth,
			"%s redirects to AD FS (%s): pre-authentication is in front of Exchange, and lookups of the tenant cannot "+
				"pass it", f.URL, to)
	case strings.HasPrefix(path, "/owa"):
		return one(finding.Wrong, "pre-authentication", fixPreAuth,
			"%s redirects to Outlook on the web (%s): the address leads to its log-on page, and lookups of the "+
				"tenant cannot pass it", f.URL, to)
	case isLogOn(target.String()):
		return one(finding.Wrong, "pre-authentication", fixPreAuth,
			"%s redirects to the log-on page %s: pre-authentication is in front of Exchange, and lookups of the "+
				"tenant cannot pass it", f.URL, to)
	case strings.HasPrefix(path, "/autodiscover/") || strings.HasPrefix(path, "/ews/"):
		return one(finding.Doubtful, "redirect-elsewhere", fixPublish, "%s redirects to %s", f.URL, to)
	}
	return one(finding.Wrong, "redirect", fixPublish, "%s redirects to %s, which is another service", f.URL, to)
}

// JudgeConnection judges a failed connection to host. A failure that the other side would see too
// is Wrong. A failure on this machine's side is Unseen. An untrusted certificate is judged where
// the roots are known.
func JudgeConnection(host string, err error) finding.Finding {
	alert, told := link.RemoteAlert(err)
	var record tls.RecordHeaderError
	wrong := func(id, format string, args ...any) finding.Finding {
		return finding.Of(finding.Wrong, id, format, args...).WithFix(fixTLS)
	}
	switch {
	case link.ByProxy(err):
		return finding.Of(finding.Blind, "proxy", "%s could not be checked, because of the proxy: %v", host,
			err).WithFix(fixProxy)
	case errors.As(err, &record):
		return finding.Of(finding.Wrong, "no-tls", "%s does not speak TLS on this port", host).WithFix(fixPublish)
	case told && alert == link.AlertCertificateRequired:
		return wrong("client-certificate", "%s demands a client certificate, which callers from the tenant do not have",
			host)
	case told && alert == link.AlertProtocolVersion, strings.Contains(fmt.Sprint(err), "no TLS 1.2 or better"):
		return wrong("tls-version", "%s refuses TLS 1.2, which Exchange Online needs", host)
	case told && alert == link.AlertUnrecognizedName:
		return wrong("sni", "%s refuses its own name in the TLS handshake (SNI): what answers there does not serve it",
			host)
	case told && (alert == link.AlertHandshakeFailure || alert == link.AlertBadCertificate ||
		alert == link.AlertInsufficientSecurity):
		return wrong("handshake", "%s refuses the TLS handshake (alert %s): it demands a client certificate, or has "+
			"no cipher suite that Exchange Online offers", host, link.AlertName(alert))
	case told:
		return wrong("handshake", "%s refuses the TLS handshake: it sends the alert %s", host, link.AlertName(alert))
	}
	return finding.Of(finding.Unseen, "unreachable", "%s could not be checked: %v", host, err).
		WithFix("Check the firewalls on the way, and run the check from another network.")
}
