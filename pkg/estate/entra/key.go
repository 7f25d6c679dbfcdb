package entra

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
)

// Of reports whether the credential is a certificate's. Without the key itself, customKeyIdentifier
// decides: the SHA-1 or SHA-256 of the certificate, as hexadecimal or as base64.
func (k KeyCredential) Of(der []byte) bool {
	switch {
	case len(k.Key) > 0:
		return bytes.Equal(k.Key, der)
	case k.CustomKeyIdentifier == "":
		return false
	case k.Thumbprint() == certificate.ThumbprintOf(der):
		return true
	}
	sum := sha256.Sum256(der)
	raw, err := base64.StdEncoding.DecodeString(k.CustomKeyIdentifier)
	text := hex.EncodeToString(sum[:])
	return strings.EqualFold(k.CustomKeyIdentifier, text) ||
		err == nil && (bytes.Equal(raw, sum[:]) || strings.EqualFold(string(raw), text))
}
