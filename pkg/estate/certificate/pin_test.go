package certificate

import (
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/wire/dns"
)

// A TLSA record names the certificate, its key, or an authority of the chain. Usages for web
// servers do not count.
func TestPinned(t *testing.T) {
	leaf := &x509.Certificate{Raw: []byte("leaf"), RawSubjectPublicKeyInfo: []byte("key")}
	root := &x509.Certificate{Raw: []byte("root"), RawSubjectPublicKeyInfo: []byte("root key")}
	chain := []*x509.Certificate{leaf, root}
	key, all, top := sha256.Sum256([]byte("key")), sha512.Sum512([]byte("leaf")), sha256.Sum256([]byte("root key"))
	for name, c := range map[string]struct {
		pin             dns.Pin
		matches, usable bool
	}{
		"key":                     {dns.Pin{Usage: 3, Selector: 1, Matching: 1, Data: key[:]}, true, true},
		"whole, SHA-512":          {dns.Pin{Usage: 3, Selector: 0, Matching: 2, Data: all[:]}, true, true},
		"whole, as it is":         {dns.Pin{Usage: 3, Data: []byte("leaf")}, true, true},
		"authority":               {dns.Pin{Usage: 2, Selector: 1, Matching: 1, Data: top[:]}, true, true},
		"authority as the server": {dns.Pin{Usage: 3, Selector: 1, Matching: 1, Data: top[:]}, false, true},
		"another key":             {dns.Pin{Usage: 3, Selector: 1, Matching: 1, Data: all[:32]}, false, true},
		"usage for web servers":   {dns.Pin{Usage: 1, Selector: 1, Matching: 1, Data: key[:]}, false, false},
		"unknown matching":        {dns.Pin{Usage: 3, Matching: 9, Data: key[:]}, false, false},
	} {
		if matches, usable := Pinned(c.pin, chain); matches != c.matches || usable != c.usable {
			t.Errorf("%s: %v %v", name, matches, usable)
		}
	}
	if _, usable := Pinned(dns.Pin{Usage: 3}, nil); usable {
		t.Error("a server without certificate is pinned")
	}
}
