package answers

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// The rules of single values. Each takes a text and returns it in the one form that hybridge uses,
// or says what is wrong with it in words that follow the value.

var profile = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.CheckHyphens(false), idna.StrictDomainName(true))

// domainName returns a DNS domain name as lower case ASCII: contoso.com, xn--bcher-kva.example.
func domainName(s string) (string, error) {
	if err := plain(s); err != nil {
		return "", err
	}
	switch {
	case strings.Contains(s, "://"):
		return "", errors.New("is a URL; write the name alone")
	case strings.Contains(s, "@"):
		return "", errors.New("is an address; write only the part after the @")
	case strings.HasPrefix(s, "*."):
		return "", errors.New("has a wildcard; write every domain by its name")
	case strings.ContainsAny(s, "/\\"):
		return "", errors.New("has a path; write the name alone")
	}
	if _, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return "", errors.New("is an IP address; write a name")
	}
	if strings.Contains(s, ":") {
		return "", errors.New("has a port; write the name alone")
	}
	name, err := hostName(s)
	if err != nil {
		return "", err
	}
	if !strings.Contains(name, ".") {
		return "", errors.New("has one label only; write the whole name, such as contoso.com")
	}
	return name, nil
}

// hostName returns a DNS name of one label or more.
func hostName(s string) (string, error) {
	name, err := profile.ToASCII(strings.TrimSuffix(s, "."))
	if err != nil || name == "" {
		return "", errors.New("is not a DNS name; letters, digits, hyphens and dots make one")
	}
	if len(name) > 253 {
		return "", errors.New("is longer than a DNS name can be (253 characters)")
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return "", errors.New("is not a DNS name; every label has 1 to 63 letters, digits and inner hyphens")
		}
	}
	if last := name[strings.LastIndexByte(name, '.')+1:]; strings.Trim(last, "0123456789") == "" {
		return "", errors.New("is not a DNS name; it ends in a number")
	}
	return name, nil
}

// hostOrAddress returns a DNS name or an IP address, without a port.
func hostOrAddress(s string) (string, error) {
	if err := plain(s); err != nil {
		return "", err
	}
	if strings.Contains(s, "://") || strings.ContainsAny(s, "/\\@") {
		return "", errors.New("is not a host; write the name alone, without scheme and path")
	}
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return a.String(), nil
	}
	if strings.Contains(s, ":") {
		return "", errors.New("has a port; write the name alone")
	}
	return hostName(s)
}

// hostPort returns HOST or HOST:PORT.
func hostPort(s string) (string, error) {
	host, port := s, ""
	if _, err := netip.ParseAddr(s); err != nil { // else: a bare address, perhaps IPv6
		if cut := strings.LastIndexByte(s, ':'); cut >= 0 && !strings.HasSuffix(s, "]") && !strings.Contains(s, "://") {
			host, port = s[:cut], s[cut+1:]
			if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
				return "", errors.New("has no valid port; write HOST or HOST:PORT, ports from 1 to 65535")
			}
		}
	}
	name, err := hostOrAddress(host)
	if err != nil {
		return "", err
	}
	if port == "" {
		return name, nil
	}
	if strings.Contains(name, ":") {
		name = "[" + name + "]"
	}
	return name + ":" + port, nil
}

// serverBuild is SERVER=BUILD, or BUILD for all servers of a forest.
func serverBuild(s string) (string, error) {
	server, build, named := strings.Cut(s, "=")
	if !named {
		build = s
	} else if _, err := hostOrAddress(server); err != nil {
		return "", fmt.Errorf("on the left %w; write SERVER=BUILD", err)
	}
	parts := strings.Split(build, ".")
	for _, part := range parts {
		if _, err := strconv.ParseUint(part, 10, 16); err != nil || len(parts) != 4 {
			return "", errors.New("has no build of four numbers, such as 15.2.2562.53")
		}
	}
	return strings.ToLower(s), nil
}

// connectTo returns HOST:PORT=HOST:PORT; the left host or port may be empty.
func connectTo(s string) (string, error) {
	const form = "write HOST:PORT=HOST:PORT; an empty left host or port matches any"
	left, right, found := strings.Cut(s, "=")
	if !found {
		return "", errors.New("has no =; " + form)
	}
	cut := strings.LastIndexByte(left, ':')
	if cut < 0 {
		return "", errors.New("has no port on the left; " + form)
	}
	if host := left[:cut]; host != "" {
		if _, err := hostOrAddress(host); err != nil {
			return "", fmt.Errorf("on the left %w; %s", err, form)
		}
	}
	if port := left[cut+1:]; port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return "", errors.New("has no valid port on the left; " + form)
		}
	}
	if host, err := hostPort(right); err != nil || host == right && !strings.Contains(right, ":") {
		return "", errors.New("has no valid HOST:PORT on the right; " + form)
	}
	return s, nil
}

// webURL returns an absolute http or https URL without user name, query and fragment.
func webURL(s string) (string, error) {
	if err := plain(s); err != nil {
		return "", err
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return "", errors.New("is not a URL; write it with https:// (or http://) and the host")
	case u.User != nil:
		return "", errors.New("holds a user name or a password; remove the part before the @")
	case u.RawQuery != "" || u.Fragment != "":
		return "", errors.New("has a query or a fragment; write it without")
	}
	if _, err := hostPort(u.Host); err != nil {
		return "", fmt.Errorf("has a host that %w", err)
	}
	return s, nil
}

var guidForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$`)
})

// guid returns a GUID in lower case without braces.
func guid(s string) (string, error) {
	id := strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(s, "{"), "}"))
	if !guidForm().MatchString(id) {
		return "", errors.New("is not a GUID; it looks like 00000002-0000-0ff1-ce00-000000000000")
	}
	return id, nil
}

// Address returns the SMTP address that a person wrote or copied: user@domain, with or without a
// display name, "mailto:" or "smtp:". The error follows the text in a sentence.
func Address(s string) (string, error) {
	s = strings.TrimSpace(s)
	if open := strings.LastIndexByte(s, '<'); open >= 0 && strings.HasSuffix(s, ">") {
		s = strings.TrimSpace(s[open+1 : len(s)-1])
	}
	for _, prefix := range []string{"mailto:", "smtp:"} {
		if len(s) > len(prefix) && strings.EqualFold(s[:len(prefix)], prefix) {
			s = s[len(prefix):]
		}
	}
	return address(s)
}

// address returns an SMTP address with its domain as domainName.
func address(s string) (string, error) {
	if err := plain(s); err != nil {
		return "", err
	}
	cut := strings.LastIndexByte(s, '@')
	if cut < 0 {
		return "", errors.New("is not an address; write user@domain")
	}
	local := s[:cut]
	if lower := strings.ToLower(local); strings.HasPrefix(lower, "smtp:") {
		return "", errors.New("has a prefix; write user@domain")
	}
	if local == "" || len(local) > 64 || local[0] == '.' || local[len(local)-1] == '.' || strings.Contains(local,
		"..") || strings.ContainsAny(local, "@<>()[],;:\\\" ") {
		return "", errors.New("is not an address; the part before the @ is not valid")
	}
	domain, err := domainName(s[cut+1:])
	if err != nil {
		return "", fmt.Errorf("has a domain that %w", err)
	}
	return local + "@" + domain, nil
}

var nameForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)
})

// shortName is a name used in reports, plans and file names.
func shortName(s string) (string, error) {
	if !nameForm().MatchString(s) {
		return "", errors.New("cannot be a name; up to 63 letters, digits, dots, hyphens and underscores make one")
	}
	if lower := strings.ToLower(s); lower == "online" || lower == "entra" || lower == "workmail" {
		return "", errors.New("is what the cloud is called in reports; choose another name")
	}
	return s, nil
}

// text is any printable text.
func text(s string) (string, error) { return s, plain(s) }

// filePath is a path; a leading file: is allowed.
func filePath(s string) (string, error) {
	if strings.TrimPrefix(s, "file:") == "" {
		return "", errors.New("has no path")
	}
	for _, scheme := range []string{"env:", "keyring:", "http:", "https:"} {
		if strings.HasPrefix(s, scheme) {
			return "", errors.New("is not a path; write the path of a file")
		}
	}
	if strings.HasPrefix(strings.TrimPrefix(s, "file:"), "~") {
		return "", errors.New("begins with ~, which is not your home directory here; write the whole path, or one " +
			"relative to the answers file")
	}
	return s, plain(s)
}

// plain refuses invisible characters: line breaks, control characters, blanks at the ends.
func plain(s string) error {
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return errors.New("holds a line break or another character that cannot be seen; " +
			`between double quotes \n and \t are such: use single quotes`)
	}
	if s != strings.TrimSpace(s) {
		return errors.New("begins or ends with a blank")
	}
	return nil
}

// quote renders a value for a message: short, and without what stands before the @ of a URL.
func quote(s string) string {
	s = maskURL(s)
	if runes := []rune(s); len(runes) > 60 {
		s = string(runes[:60]) + "…"
	}
	return strconv.Quote(s)
}

// ruleName accepts the name of a rule, as Exchange keeps it.
func ruleName(s string) (string, error) {
	const most = 64
	switch {
	case strings.TrimSpace(s) != s:
		return "", errors.New("begins or ends with a blank")
	case strings.ContainsFunc(s, unicode.IsControl):
		return "", errors.New("has a control character or a line break")
	case utf8.RuneCountInString(s) > most:
		return "", fmt.Errorf("is longer than %d characters", most)
	}
	return s, nil
}
