package oauth

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// BearerChallenge is how an Exchange server, on-premises or online, asks for a token. It names the
// issuers that the server trusts.
type BearerChallenge struct {
	ClientID         string   // 00000002-0000-0ff1-ce00-000000000000: the server's own application id
	TrustedIssuers   []string // "00000001-0000-0000-c000-000000000000@{tenantId}": one for each configured auth server
	TokenTypes       []string // "app_asserted_user_v1 service_asserted_app_v1"
	AuthorizationURI string   // set when modern authentication of users is on
	Error            string   // "invalid_token"
	Realm            string
}

// FindBearer returns the Bearer challenge of a response; false when it has none, which on an
// Exchange server means that OAuth is off for that virtual directory.
func FindBearer(h http.Header) (BearerChallenge, bool) {
	for _, c := range link.Challenges(h) {
		if !strings.EqualFold(c.Scheme, "Bearer") {
			continue
		}
		b := BearerChallenge{
			ClientID:         c.Params["client_id"],
			TokenTypes:       strings.Fields(c.Params["token_types"]),
			AuthorizationURI: c.Params["authorization_uri"],
			Error:            c.Params["error"],
			Realm:            c.Params["realm"],
		}
		for _, issuer := range strings.Split(c.Params["trusted_issuers"], ",") {
			if issuer = strings.TrimSpace(issuer); issuer != "" {
				b.TrustedIssuers = append(b.TrustedIssuers, issuer)
			}
		}
		return b, true
	}
	return BearerChallenge{}, false
}

// TrustsTenant reports whether the server trusts tokens that ACS or Entra issues for this tenant. A
// realm of "*" trusts every tenant.
func (b BearerChallenge) TrustsTenant(tenantID string) bool {
	for _, issuer := range b.TrustedIssuers {
		_, realm, ok := strings.Cut(issuer, "@")
		if ok && (realm == "*" || strings.EqualFold(realm, tenantID)) {
			return true
		}
	}
	return false
}

// Format renders the challenge as Exchange writes it.
func (b BearerChallenge) Format() string {
	quote := func(s string) string {
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\r", "", "\n", "").Replace(s) + `"`
	}
	parts := []string{"client_id=" + quote(b.ClientID)}
	if b.Realm != "" {
		parts = append(parts, "realm="+quote(b.Realm))
	}
	parts = append(parts, "trusted_issuers="+quote(strings.Join(b.TrustedIssuers, ",")))
	if len(b.TokenTypes) > 0 {
		parts = append(parts, "token_types="+quote(strings.Join(b.TokenTypes, " ")))
	}
	if b.AuthorizationURI != "" {
		parts = append(parts, "authorization_uri="+quote(b.AuthorizationURI))
	}
	if b.Error != "" {
		parts = append(parts, "error="+quote(b.Error))
	}
	return "Bearer " + strings.Join(parts, ", ")
}

// Diagnostics is Exchange's reason for refusing a token, from the header x-ms-diagnostics:
//
//	2000003;reason="The hostname component of the audience claim value 'https://x' is invalid.";
//	error_category="invalid_resource"
type Diagnostics struct {
	Code     int
	Reason   string
	Category string
}

var diagnosticsPart = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)\b(reason|error_category)="([^"]*)"`)
})

// FindDiagnostics returns a response's diagnostics; false when it has none.
func FindDiagnostics(h http.Header) (Diagnostics, bool) {
	text := h.Get("X-Ms-Diagnostics")
	number, rest, _ := strings.Cut(text, ";")
	code, err := strconv.Atoi(strings.TrimSpace(number))
	if err != nil {
		return Diagnostics{}, false
	}
	d := Diagnostics{Code: code}
	for _, m := range diagnosticsPart().FindAllStringSubmatch(rest, 8) {
		if strings.EqualFold(m[1], "reason") {
			d.Reason = clean(m[2])
		} else {
			d.Category = clean(m[2])
		}
	}
	return d, true
}

// Format renders the header's value.
func (d Diagnostics) Format() string {
	plain := strings.NewReplacer(`"`, `'`, "\r", "", "\n", "")
	return strconv.Itoa(d.Code) + `;reason="` + plain.Replace(d.Reason) + `";error_category="` +
		plain.Replace(d.Category) + `"`
}
