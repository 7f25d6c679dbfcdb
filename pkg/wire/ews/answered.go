package ews

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// diagnosticsReason is the reason in a value of X-MS-Diagnostics:
// 4010002;reason="EWS is disabled";error_category="...".
var diagnosticsReason = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)\breason="([^"]*)"`)
})

// Diagnostics is what Exchange says in X-MS-Diagnostics about a refusal: "EWS is disabled
// (x-ms-diagnostics 4010002)". It is empty without the header.
func Diagnostics(h http.Header) string {
	value := link.Line(strings.Join(h.Values("X-MS-Diagnostics"), "; "))
	if value == "" {
		return ""
	}
	code, rest, _ := strings.Cut(value, ";")
	if m := diagnosticsReason().FindStringSubmatch(rest); m != nil && m[1] != "" {
		return m[1] + " (x-ms-diagnostics " + strings.TrimSpace(code) + ")"
	}
	return "x-ms-diagnostics " + value
}

// exchangeHeaders are set by Exchange's front end and by no proxy before it.
var exchangeHeaders = []string{"X-MS-Diagnostics", "X-FEServer", "X-BEServer", "X-CalculatedBETarget",
	"X-CalculatedFETarget", "X-DiagInfo"}

// FromExchange reports whether an HTTP answer carries a header that Exchange alone sets.
func FromExchange(h http.Header) bool {
	for _, name := range exchangeHeaders {
		if h.Get(name) != "" {
			return true
		}
	}
	return false
}

// whatAnswered says, in words for an administrator, what sent an answer that is not EWS's.
func whatAnswered(resp *http.Response, body []byte) string {
	if d := Diagnostics(resp.Header); d != "" {
		return d
	}
	text := bytes.ToLower(body[:min(len(body), 64<<10)])
	has := func(words ...string) bool {
		for _, w := range words {
			if bytes.Contains(text, []byte(w)) {
				return true
			}
		}
		return false
	}
	html := strings.Contains(resp.Header.Get("Content-Type"), "html") || has("<html", "<!doctype html")
	location := resp.Header.Get("Location")
	switch {
	case resp.StatusCode/100 == 3 && location != "":
		if isLogOn(location) {
			return "redirects to the log-on page " + link.PrintableURL(location)
		}
		return "redirects to " + link.PrintableURL(location)
	case resp.StatusCode == 440:
		return "a log-on form (440: the session of forms-based authentication has ended), so a proxy or the OWA " +
			"authentication module is in front of EWS"
	case resp.StatusCode == 456:
		return "456: Exchange Online requires this account to sign in with multi-factor authentication or to be " +
			"unblocked"
	case resp.StatusCode == http.StatusUnsupportedMediaType:
		return "a service that does not take text/xml"
	case has("you have created a service"):
		return "the help page of a web service (\"You have created a service\"), which is not the endpoint of EWS"
	case html && has("/owa/auth", "auth.owa", "signinbg", "/adfs/ls", "login.microsoftonline", "type=\"password\"",
		"type='password'"):
		return "a log-on page" + titled(body, resp)
	case html:
		return "an HTML page" + titled(body, resp)
	case strings.Contains(resp.Header.Get("Content-Type"), "json") || len(text) > 0 &&
		(text[0] == '{' || text[0] == '['):
		return "a JSON document"
	case len(bytes.TrimSpace(body)) == 0 && resp.StatusCode == http.StatusOK:
		return "an empty answer"
	case resp.StatusCode == http.StatusOK && has("<?xml", ":envelope", "<envelope"):
		return "XML that is cut off or is no SOAP envelope"
	}
	return link.NewStatusError(resp, body).Detail
}

func titled(body []byte, resp *http.Response) string {
	if d := link.NewStatusError(resp, body).Detail; d != "" && d != "an HTML page" {
		return fmt.Sprintf(" (%q)", d)
	}
	return ""
}

// logOnPaths are parts of addresses that lead to log-on pages.
var logOnPaths = []string{"/owa", "/adfs/", "logon", "login", "signin", "/cgi/", "/my.policy", "/vpn/", "saml",
	"oauth2/authorize"}

// isLogOn reports whether an address is that of a log-on page, as far as its host and path show.
func isLogOn(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	where := strings.ToLower(u.Host + u.Path)
	for _, part := range logOnPaths {
		if strings.Contains(where, part) {
			return true
		}
	}
	return false
}
