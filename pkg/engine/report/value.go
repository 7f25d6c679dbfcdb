package report

import (
	"crypto/sha1"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
)

// Value shows a property's value to a person, in one line that may be broken at its blanks. What nobody reads whole is shortened: a certificate to
// what tells it apart, other opaque text to its beginning and length. The plan as JSON has everything. The text is not sanitized.
func Value(v any) string {
	switch v := v.(type) {
	case nil:
		return "(nothing)"
	case change.Ref:
		return reference(v)
	case string:
		return text(v)
	case []string:
		return list(change.Elements(v))
	case []any:
		return list(v)
	case change.Properties:
		return Value(map[string]any(v))
	case map[string]any:
		parts := make([]string, 0, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, key+": "+Value(v[key]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return change.Text(v)
}

func list(elements []any) string {
	parts := make([]string, len(elements))
	for i, e := range elements {
		parts[i] = Value(e)
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

var guid = regexp.MustCompile(`\b([0-9a-fA-F]{8})-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b`)

// reference shows what a value will come from. The change stands above in the plan: of a GUID in its id, the beginning tells it apart.
func reference(r change.Ref) string {
	_, id, found := strings.Cut(r.Change, "/")
	if strings.HasPrefix(r.Change, "onprem/") {
		_, id, found = strings.Cut(id, "/")
	}
	if !found {
		id = r.Change
	}
	return fmt.Sprintf("(the %s of %s, once it is made)", r.Property, guid.ReplaceAllString(id, "$1.."))
}

const (
	opaqueFrom = 100 // characters from which text without blanks may be a key
	longest    = 400 // characters of any other text
	beginning  = 12
)

var opaque = regexp.MustCompile(`^[A-Za-z0-9+/_-]+=*$`)

func text(s string) string {
	switch {
	case len(s) >= opaqueFrom && opaque.MatchString(s):
		if der, err := base64.StdEncoding.DecodeString(s); err == nil {
			if c, err := x509.ParseCertificate(der); err == nil {
				// The thumbprint is the name that Exchange and Windows give it.
				return fmt.Sprintf("(certificate %s, thumbprint %X, until %s)", change.Text(c.Subject.String()), sha1.Sum(der), c.NotAfter.Format("2006-01-02"))
			}
		}
		return fmt.Sprintf("%s (the beginning of %d characters)", change.Text(s[:beginning]), len(s))
	case len(s) > longest:
		return fmt.Sprintf("%s (the beginning of %d bytes)", change.Text(strings.ToValidUTF8(s[:longest], "")), len(s))
	}
	return change.Text(s)
}
