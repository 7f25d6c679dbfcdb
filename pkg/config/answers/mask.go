package answers

import (
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/config/spelling"
)

// isSecretKey reports whether a key, perhaps misspelt, is one that secrets are put under.
func isSecretKey(key string) bool {
	key = strings.ToLower(key)
	for _, part := range []string{"passw", "passphrase", "pwd", "secret", "token", "apikey", "accesskey",
		"privatekey"} {
		if strings.Contains(key, part) {
			return true
		}
	}
	return spelling.Distance(key, "password") <= 3 || spelling.Distance(key, "secret") <= 2
}

// maskLines returns lines fit to be shown: what stands under the keys of secrets, unless it is a
// reference, is masked, and so are passwords in URLs. It works on text, because files that are not
// YAML are shown as well. In doubt it masks.
func maskLines(lines []string) []string {
	masked := make([]string, len(lines))
	within := -1     // indentation of the key whose secret goes on over several lines; -1: none
	flow := false    // a flow mapping with such a secret is open: mask all text up to a }
	comment := false // such a secret stands in a comment, which the next lines may continue
	for i, line := range lines {
		indent := len(line) - len(strings.TrimLeft(line, " \t-"))
		first, isKey := leadingKey(line)
		if flow || within >= 0 && strings.TrimSpace(line) != "" {
			if flow || indent > within || !isKey {
				masked[i] = line[:indent] + secret.Redacted
				flow = flow && !strings.Contains(line, "}")
				continue
			}
			within = -1
		}
		isComment := strings.HasPrefix(strings.TrimLeft(line, " \t"), "#")
		if comment = comment && isComment; comment {
			masked[i] = line[:indent] + secret.Redacted
			continue
		}
		at, open := secretStart(line)
		if at >= 0 {
			line = line[:at] + secret.Redacted
		}
		switch {
		case isComment:
			comment = open
		case open && isKey && isSecretKey(first):
			within = indent
		case open && !closes(lines[i][max(at, 0):]):
			flow = true
		}
		masked[i] = maskURL(line)
	}
	return masked
}

// closes reports whether a value in a flow mapping ends on its line: its quotes are closed, and a }
// follows.
func closes(value string) bool {
	if value != "" && (value[0] == '"' || value[0] == '\'') {
		end := strings.LastIndexByte(value[1:], value[0])
		if end < 0 {
			return false
		}
		value = value[end+2:]
	}
	return strings.Contains(value, "}")
}

func leadingKey(line string) (string, bool) {
	key, _, found := strings.Cut(strings.TrimLeft(line, " \t-"), ":")
	key = strings.Trim(key, `"' `)
	return key, found && key != "" && !strings.ContainsAny(key, " {[")
}

// secretStart finds where on a line a secret begins that is not a reference (-1: nowhere), and
// whether it may go on on the next line.
func secretStart(line string) (at int, open bool) {
	for from := 0; ; {
		colon := strings.IndexByte(line[from:], ':')
		if colon < 0 {
			return -1, open
		}
		colon += from
		from = colon + 1
		key := strings.TrimRight(line[:colon], " \t\"'")
		if cut := strings.LastIndexAny(key, " \t\"'{,[-?"); cut >= 0 {
			key = key[cut+1:]
		}
		if !isSecretKey(key) {
			continue
		}
		rest := strings.TrimLeft(line[from:], " \t")
		start := len(line) - len(rest)
		value := rest
		if cut := strings.IndexAny(value, ",}"); cut >= 0 {
			value = value[:cut]
		}
		if cut := strings.Index(value, " #"); cut >= 0 {
			value = value[:cut]
		}
		value = strings.Trim(strings.TrimSpace(value), `"'`)
		if value == "" {
			open = true
			continue
		}
		if _, err := secret.Parse(value); err == nil {
			continue
		}
		return start, true
	}
}

// maskURL masks what stands before the @ of a URL, and its query.
func maskURL(s string) string {
	for from := 0; ; {
		at := strings.Index(s[from:], "://")
		if at < 0 {
			return s
		}
		from += at + 3
		end := len(s)
		if cut := strings.IndexAny(s[from:], " \t\"'"); cut >= 0 {
			end = from + cut
		}
		if query := strings.IndexByte(s[from:end], '?'); query >= 0 {
			s = s[:from+query+1] + secret.Redacted + s[end:]
		}
		host := s[from:]
		if end := strings.IndexAny(host, "/ \t\"'"); end >= 0 {
			host = host[:end]
		}
		if user := strings.LastIndexByte(host, '@'); user >= 0 {
			s = s[:from] + secret.Redacted + s[from+user:]
			from += len(secret.Redacted)
		}
	}
}
