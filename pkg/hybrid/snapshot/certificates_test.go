package snapshot

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net"
	"testing"
	"time"
)

// What names a certificate, or finds it in a public log, is in no certificate of a redacted snapshot:
// not in a leaf, not in a root, and not in one inside of another structure.
func TestRedactedCertificatesNameNothing(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	made := func(key *ecdsa.PrivateKey, receipt string, serial int64, name string) []byte {
		of := &x509.Certificate{SerialNumber: big.NewInt(serial), NotBefore: time.Unix(0, 0), NotAfter: time.Unix(4e9, 0),
			Subject: pkix.Name{CommonName: name, Organization: []string{"Zyxwolt"}}, DNSNames: []string{name},
			EmailAddresses: []string{"qwelfgar@zyxwolt.test"},
			IPAddresses:    []net.IP{net.IPv4(81, 200, 33, 44).To4(), net.ParseIP("2a02:810a:1234::5")},
			ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2},
				Value: append([]byte{4, byte(2 + len(receipt)), 0, byte(len(receipt))}, receipt...)}},
			IsCA: true, BasicConstraintsValid: true}
		der, err := x509.CreateCertificate(rand.Reader, of, of, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	leaf := made(key, "receipt of the leaf", 0x1a22334455667788, "mail.zyxwolt.test")
	root := made(key, "receipt of the root", 0x2233445566778899, "root.zyxwolt.test")
	inner := made(other, "receipt of the inner", 0x3344556677889911, "inner.zyxwolt.test")
	around, err := asn1.Marshal(struct{ A, B asn1.RawValue }{asn1.RawValue{FullBytes: inner},
		asn1.RawValue{FullBytes: []byte{5, 0}}})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := json.Marshal([]string{base64.StdEncoding.EncodeToString(leaf), base64.StdEncoding.EncodeToString(around),
		"1a22334455667788", fmt.Sprintf("%X", sha1.Sum(inner))})
	if err != nil {
		t.Fatal(err)
	}
	s := Snapshot{APIVersion: "hybridge/v1", Kind: Kind, TakenAt: time.Unix(1, 0).UTC(), Answers: answersOf("zyxwolt.test"),
		Roots:    [][]byte{root},
		Readings: []Reading{{Place: "zyxwolt", System: "DNS", Ask: "certificate", Answer: answer}}}
	out, _, err := Redact(s)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	if err := json.Unmarshal(out.Readings[0].Answer, &texts); err != nil {
		t.Fatal(err)
	}
	all := [][]byte{out.Roots[0]}
	for _, text := range texts[:2] {
		der, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, der)
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	inside, err := x509.MarshalPKIXPublicKey(other.Public())
	if err != nil {
		t.Fatal(err)
	}
	for i, der := range all {
		for name, planted := range map[string][]byte{"name": []byte("zyxwolt"), "address": {81, 200, 33, 44},
			"address of IPv6": net.ParseIP("2a02:810a:1234::5"), "person": []byte("qwelfgar"),
			"receipt": []byte("receipt of"), "key": spki, "key of the inner": inside, "serial number": big.NewInt(0x1a22334455667788).Bytes(),
			"serial number of the root":  big.NewInt(0x2233445566778899).Bytes(),
			"serial number of the inner": big.NewInt(0x3344556677889911).Bytes()} {
			if bytes.Contains(bytes.ToLower(der), bytes.ToLower(planted)) {
				t.Errorf("the %s is in certificate %d", name, i)
			}
		}
	}
	c, err := x509.ParseCertificate(all[1])
	if err != nil || len(c.IPAddresses) != 2 || c.CheckSignatureFrom(c) != nil || c.SerialNumber.Text(16) != texts[2] {
		t.Errorf("%v, serial number %s, addresses %v", err, texts[2], c.IPAddresses)
	}
	var structure struct{ A, B asn1.RawValue }
	if _, err := asn1.Unmarshal(all[2], &structure); err != nil || fmt.Sprintf("%X", sha1.Sum(structure.A.FullBytes)) != texts[3] {
		t.Errorf("the thumbprint %s is not that of the inner certificate (%v)", texts[3], err)
	}
}
