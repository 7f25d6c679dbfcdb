package oauth

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// Challenge is one challenge of a WWW-Authenticate header (RFC 9110 section 11.6.1).
type Challenge struct {
	Scheme     string            // as sent: "Bearer", "Negotiate"
	Token      string            // the token68 form (NTLM, Negotiate); empty otherwise
	Parameters map[string]string // by lower-case name; the first wins when one is repeated
}

// ParseChallenges reads every challenge of a response, in order. Servers write all challenges into one field or each into its own; Exchange does
// the latter. What cannot be read ends its field.
func ParseChallenges(h http.Header) []Challenge {
	var out []Challenge
	for _, field := range h.Values("WWW-Authenticate") {
		out = append(out, parseChallengeField(field)...)
	}
	return out
}

// maxChallenge bounds a field; net/http bounds the header as a whole.
const maxChallenge = 16 << 10

func parseChallengeField(s string) []Challenge {
	if len(s) > maxChallenge {
		return nil
	}
	var out []Challenge
	for {
		s = strings.TrimLeft(s, " \t,")
		if s == "" {
			return out
		}
		word, rest := cutToken(s)
		if word == "" {
			return out
		}
		after := strings.TrimLeft(rest, " \t")
		// "name = value" continues the last challenge; anything else begins one.
		if strings.HasPrefix(after, "=") && len(out) > 0 {
			value, tail, ok := cutValue(strings.TrimLeft(after[1:], " \t"))
			if !ok {
				return out
			}
			c := &out[len(out)-1]
			if _, dup := c.Parameters[strings.ToLower(word)]; !dup {
				c.Parameters[strings.ToLower(word)] = value
			}
			s = tail
			continue
		}
		c := Challenge{Scheme: word, Parameters: map[string]string{}}
		s = after
		if token, tail, ok := cutToken68(after); ok && rest != after {
			c.Token, s = token, tail
		}
		out = append(out, c)
	}
}

func isTokenByte(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", b) >= 0
}

func cutToken(s string) (token, rest string) {
	i := 0
	for i < len(s) && isTokenByte(s[i]) {
		i++
	}
	return s[:i], s[i:]
}

// cutToken68 takes a token68, which must end the challenge: only a comma or the end may follow. A bare word before "=" is a parameter, and
// before another word a scheme, not a token68.
func cutToken68(s string) (token, rest string, ok bool) {
	i := 0
	for i < len(s) && (isTokenByte(s[i]) || s[i] == '/') {
		i++
	}
	if i == 0 {
		return "", s, false
	}
	for i < len(s) && s[i] == '=' {
		i++
	}
	tail := strings.TrimLeft(s[i:], " \t")
	if tail != "" && tail[0] != ',' {
		return "", s, false
	}
	return s[:i], tail, true
}

func cutValue(s string) (value, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		// Unquoted; servers also leave URLs unquoted, so anything up to a comma or white space is taken.
		end := strings.IndexAny(s, ", \t")
		if end < 0 {
			end = len(s)
		}
		return s[:end], s[end:], true
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], true
		case '\\':
			if i++; i < len(s) {
				b.WriteByte(s[i])
			}
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", false
}

// BearerChallenge is how an Exchange server, on-premises or online, asks for a token: it tells whom it trusts.
type BearerChallenge struct {
	ClientID         string   // 00000002-0000-0ff1-ce00-000000000000: the server's own application id
	TrustedIssuers   []string // "00000001-0000-0000-c000-000000000000@{tenantId}": one for each configured auth server
	TokenTypes       []string // "app_asserted_user_v1 service_asserted_app_v1"
	AuthorizationURI string   // set when modern authentication of users is on
	Error            string   // "invalid_token"
	Realm            string
}

// FindBearer returns the Bearer challenge of a response; false when it has none, which on an Exchange server means that OAuth is off for that
// virtual directory.
func FindBearer(h http.Header) (BearerChallenge, bool) {
	for _, c := range ParseChallenges(h) {
		if !strings.EqualFold(c.Scheme, "Bearer") {
			continue
		}
		b := BearerChallenge{
			ClientID:         c.Parameters["client_id"],
			TokenTypes:       strings.Fields(c.Parameters["token_types"]),
			AuthorizationURI: c.Parameters["authorization_uri"],
			Error:            c.Parameters["error"],
			Realm:            c.Parameters["realm"],
		}
		for _, issuer := range strings.Split(c.Parameters["trusted_issuers"], ",") {
			if issuer = strings.TrimSpace(issuer); issuer != "" {
				b.TrustedIssuers = append(b.TrustedIssuers, issuer)
			}
		}
		return b, true
	}
	return BearerChallenge{}, false
}

// TrustsTenant tells whether the server trusts tokens that ACS or Entra issues for this tenant. A realm of "*" trusts every tenant.
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
//	2000003;reason="The hostname component of the audience claim value 'https://x' is invalid.";error_category="invalid_resource"
type Diagnostics struct {
	Code     int
	Reason   string
	Category string
}

var diagnosticsPart = regexp.MustCompile(`(?i)\b(reason|error_category)="([^"]*)"`)

// FindDiagnostics returns a response's diagnostics; false when it has none.
func FindDiagnostics(h http.Header) (Diagnostics, bool) {
	text := h.Get("X-Ms-Diagnostics")
	number, rest, _ := strings.Cut(text, ";")
	code, err := strconv.Atoi(strings.TrimSpace(number))
	if err != nil {
		return Diagnostics{}, false
	}
	d := Diagnostics{Code: code}
	for _, m := range diagnosticsPart.FindAllStringSubmatch(rest, 8) {
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
	return strconv.Itoa(d.Code) + `;reason="` + plain.Replace(d.Reason) + `";error_category="` + plain.Replace(d.Category) + `"`
}
