package link

import (
	"net/http"
	"strings"
)

// Challenge is one way to authenticate that a server offers in WWW-Authenticate (RFC 9110, 11.6.1).
type Challenge struct {
	Scheme string            // as spelled by the server: "NTLM", "Negotiate", "Basic", "Bearer"
	Token  string            // the token68 form: "Negotiate YII..."
	Params map[string]string // names in lower case: realm, client_id, trusted_issuers, authorization_uri
}

// Challenges reads every WWW-Authenticate header, also several challenges in one header. What cannot be read is left out.
func Challenges(h http.Header) []Challenge {
	var all []Challenge
	for _, line := range h.Values("WWW-Authenticate") {
		all = append(all, parseChallenges(line)...)
	}
	return all
}

// schemes names what is offered, for a sentence.
func schemes(h http.Header) string {
	var names []string
	for _, c := range Challenges(h) {
		names = append(names, Printable(c.Scheme))
	}
	return strings.Join(names, ", ")
}

func parseChallenges(s string) []Challenge {
	var all []Challenge
	for {
		s = strings.TrimLeft(s, " \t,")
		if s == "" {
			return all
		}
		scheme := takeToken(&s)
		if scheme == "" {
			return all
		}
		c := Challenge{Scheme: scheme}
		if strings.HasPrefix(s, " ") || strings.HasPrefix(s, "\t") {
			parseChallengeRest(&c, &s)
		}
		all = append(all, c)
	}
}

// parseChallengeRest reads a token68 or parameters up to the next scheme.
func parseChallengeRest(c *Challenge, s *string) {
	for {
		rest := strings.TrimLeft(*s, " \t,")
		name := takeToken(&rest)
		if name == "" {
			*s = rest
			return
		}
		after := strings.TrimLeft(rest, " \t")
		if value, ok := strings.CutPrefix(after, "="); ok && strings.TrimLeft(value, "= \t") != "" && !strings.HasPrefix(strings.TrimLeft(value, "="), ",") && !strings.HasPrefix(value, "=") {
			value = strings.TrimLeft(value, " \t")
			if c.Params == nil {
				c.Params = map[string]string{}
			}
			c.Params[strings.ToLower(name)] = takeValue(&value)
			*s = value
			continue
		}
		if c.Token == "" && c.Params == nil && !strings.HasPrefix(strings.TrimLeft(*s, " \t"), ",") {
			// token68 may end in padding
			n := len(rest) - len(strings.TrimLeft(rest, "="))
			c.Token = name + rest[:n]
			*s = rest[n:]
			if next := strings.TrimLeft(*s, " \t"); next != "" && next[0] != ',' {
				*s = "" // not a list any more
			}
			return
		}
		return // name is the next scheme; s still stands before it
	}
}

// takeToken takes token68 characters off the front, a superset of those of a token that servers use.
func takeToken(s *string) string {
	i := 0
	for i < len(*s) && (isAlphanumeric((*s)[i]) || strings.IndexByte("!#$%&'*+-.^_`|~/:", (*s)[i]) >= 0) {
		i++
	}
	t := (*s)[:i]
	*s = (*s)[i:]
	return t
}

func isAlphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// takeValue takes a quoted string or what stands before the next comma off the front.
func takeValue(s *string) string {
	if !strings.HasPrefix(*s, `"`) {
		v, rest, found := strings.Cut(*s, ",")
		if found {
			rest = "," + rest
		}
		*s = rest
		return strings.TrimSpace(v)
	}
	var b strings.Builder
	for i := 1; i < len(*s); i++ {
		switch (*s)[i] {
		case '"':
			*s = (*s)[i+1:]
			return b.String()
		case '\\':
			if i+1 < len(*s) {
				i++
			}
		}
		b.WriteByte((*s)[i])
	}
	*s = ""
	return b.String()
}
