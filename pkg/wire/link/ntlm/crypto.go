package ntlm

import (
	"crypto"
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // prescribed by MS-NLMP
	"crypto/rc4" //nolint:gosec // prescribed by MS-NLMP
	_ "crypto/sha256"
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/binary"
	"strings"

	"golang.org/x/crypto/md4" //nolint:staticcheck // prescribed by MS-NLMP
)

// Hash is the NT hash of a password, MS-NLMP 3.3.1 NTOWFv1: it is equivalent to the password, so
// treat it as a secret.
type Hash [16]byte

// String keeps the hash out of logs.
func (Hash) String() string { return "[redacted]" }

// GoString keeps the hash out of logs.
func (Hash) GoString() string { return "[redacted]" }

// HashOf is the NT hash of password.
func HashOf(password string) Hash {
	h := md4.New()
	h.Write(toUTF16(password))
	return Hash(h.Sum(nil))
}

// SplitUser splits DOMAIN\user; user@domain and user have an empty domain, as Windows sends them.
func SplitUser(name string) (domain, user string) {
	if d, u, ok := strings.Cut(name, `\`); ok {
		return d, u
	}
	return "", name
}

func hmacMD5(key []byte, parts ...[]byte) []byte {
	h := hmac.New(md5.New, key)
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

// responseKey is NTOWFv2, MS-NLMP 3.3.2. The user is folded to upper case, the domain is taken as
// it is.
func responseKey(h Hash, domain, user string) []byte {
	return hmacMD5(h[:], toUTF16(strings.ToUpper(user)+domain))
}

func rc4Once(key, data []byte) []byte {
	c, err := rc4.NewCipher(key) //nolint:gosec // prescribed by MS-NLMP
	if err != nil {
		return nil // the key is always 16 bytes
	}
	out := make([]byte, len(data))
	c.XORKeyStream(out, data)
	return out
}

// EndPointBinding is the tls-server-end-point channel binding of a server certificate as NTLM
// carries it: MD5 over gss_channel_bindings_struct (RFC 2744, 3.11) with the certificate's hash
// (RFC 5929, 4.1). ok is false for signature algorithms that RFC 5929 leaves undefined (Ed25519).
func EndPointBinding(cert *x509.Certificate) (binding [16]byte, ok bool) {
	hash := crypto.SHA256 // also in place of MD5 and SHA-1
	switch cert.SignatureAlgorithm {
	case x509.SHA384WithRSA, x509.ECDSAWithSHA384, x509.SHA384WithRSAPSS:
		hash = crypto.SHA384
	case x509.SHA512WithRSA, x509.ECDSAWithSHA512, x509.SHA512WithRSAPSS:
		hash = crypto.SHA512
	case x509.PureEd25519, x509.UnknownSignatureAlgorithm:
		return binding, false
	}
	h := hash.New()
	h.Write(cert.Raw)
	data := append([]byte("tls-server-end-point:"), h.Sum(nil)...)
	// initiator address type and length, acceptor address type and length: all zero
	b := make([]byte, 16, 20+len(data))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(data))) //nolint:gosec // below 100
	return md5.Sum(append(b, data...)), true                   //nolint:gosec // prescribed by MS-NLMP 2.2.2.1
}
