package link

import (
	"net/http"
	"strings"
)

// Challenge is one way to authenticate that a server offers in WWW-Authenticate (RFC 9110, 11.6.1).
type Challenge struct {
	Scheme string // as spelled by the server: "NTLM", "Negotiate", "Basic", "Bearer"
	Token  string // the token68 form: "Negotiate YII..."
	// names in lower case: realm, client_id, trusted_issuers, authorization_uri; the first wins
	// when one is repeated
	Params map[string]string
}

// Challenges reads every challenge of a response, in the order of the header. Servers write all
// challenges into one field or, as Exchange does, each into its own. What cannot be read ends its
// field.
func Challenges(h http.Header) []Challenge {
	var all []Challenge
	for _, line := range h.Values("WWW-Authenticate") {
		all = append(all, parseChallenges(line)...)
	}
	return all
}

// Schemes names what is offered, for a sentence.
func Schemes(h http.Header) string {
	var names []string
	for _, c := range Challenges(h) {
		names = append(names, Printable(c.Scheme))
	}
	return strings.Join(names, ", ")
}

// maxChallenge bounds a field; net/http bounds the header as a whole.
const maxChallenge = 16 << 10

func parseChallenges(s string) []Challenge {
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
			if c.Params == nil {
				c.Params = map[string]string{}
			}
			if _, dup := c.Params[strings.ToLower(word)]; !dup {
				c.Params[strings.ToLower(word)] = value
			}
			s = tail
			continue
		}
		c := Challenge{Scheme: word}
		s = after
		if token, tail, ok := cutToken68(after); ok && rest != after {
			c.Token, s = token, tail
		}
		out = append(out, c)
	}
}

func isTokenByte(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' ||
		strings.IndexByte("!#$%&'*+-.^_`|~", b) >= 0
}

func cutToken(s string) (token, rest string) {
	i := 0
	for i < len(s) && isTokenByte(s[i]) {
		i++
	}
	return s[:i], s[i:]
}

// cutToken68 takes a token68, which must end the challenge: only a comma or the end may follow. A
// bare word before "=" is a parameter, and before another word a scheme, not a token68.
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
		// Unquoted; servers also leave URLs unquoted, so anything up to a comma or white space is
		// taken.
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
