package certificate

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"

	"github.com/hybridge-cli/hybridge/pkg/wire/dns"
)

// The usages of TLSA records that count for SMTP (RFC 7672).
const (
	pinAuthority = 2
	pinServer    = 3
)

// Pinned reports whether a TLSA record names the certificate of a server, or with its usage an
// authority in the chain. usable is false for a usage, selector or matching type that mail servers
// leave out of account.
func Pinned(p dns.Pin, chain []*x509.Certificate) (matches, usable bool) {
	if p.Usage != pinAuthority && p.Usage != pinServer || p.Selector > 1 || p.Matching > 2 || len(chain) == 0 {
		return false, false
	}
	if p.Usage == pinServer {
		chain = chain[:1]
	}
	for _, c := range chain {
		data := c.Raw
		if p.Selector == 1 {
			data = c.RawSubjectPublicKeyInfo
		}
		switch p.Matching {
		case 1:
			sum := sha256.Sum256(data)
			data = sum[:]
		case 2:
			sum := sha512.Sum512(data)
			data = sum[:]
		}
		if bytes.Equal(data, p.Data) {
			return true, true
		}
	}
	return false, true
}
