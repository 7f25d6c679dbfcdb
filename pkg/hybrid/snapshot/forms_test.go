package snapshot

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"
)

// Names, addresses and numbers survive in none of the forms in which they can stand.
func TestRedactedForms(t *testing.T) {
	for _, test := range []struct{ in, gone string }{
		{"%41%6c%69%63%65%20%5ayx", "%41%6c%69"},
		{"m%FCllerzyx", "%FCller"},
		{"::ffff:192.0.2.17", ".0.2.17"},
		{"[::ffff:198.51.100.7]:25", "51.100.7"},
		{"2001:db8:aa:bb::192.0.2.33", ".0.2.33"},
		{"host-203-0-113-5.isp.net", "203-0-113-5"},
		{"ip-10-1-2-3.ec2.internal", "10-1-2-3"},
		{"5.113.0.203.in-addr.arpa", "5.113"},
		{"7.0.0.0.8.b.d.0.1.0.0.2.IP6.ARPA", "8.b.d.0"},
		{"192.0.2.17.25", "192.0.2.17"},
		{"010.001.002.003", "001.002.003"},
		{"1.3.6.1.4.1.99887.1.2", "99887"},
		{"1.3.6.1.4.1.311.21.8.1234567.7654321.1.2", "1234567.7654321"},
		{"0x5A7978776F6C74", "5A7978776F6C74"},
		{"call (+49) 151-23456 now", "151-23456"},
		{"call +1 (555) 010-9999", "010-9999"},
		{"Ⓩⓨⓧⓦ", "Ⓩⓨⓧⓦ"},
		{"\U0001f149\U0001f148 gmbh", "\U0001f149\U0001f148"},
		{"王 伟", "王"},
		{"IMCEAEX-_o=Zyxwolt_cn=Qwelf+2Egar@zyxwolt.test", "Qwelf"},
		{"S-1-12-1-1234567890-1234567891-1234567892-1234567893", "1234567890"},
		{"=?utf-8?B?Wnl4d29sdA==?=", "Wnl4d29sdA"},
		{"CN=Zyx\\2Cwolt\\, Qwelf,OU=q", "wolt"},
		{"a:b@[10.20.30.40]", "20.30.40"},
	} {
		r := testRedactor(t)
		got := r.text(test.in, false)
		if strings.Contains(strings.ToLower(got), strings.ToLower(test.gone)) {
			t.Errorf("%s became %s", test.in, got)
		}
		if again := r.text(test.in, false); again != got {
			t.Errorf("%s became %s, and then %s", test.in, got, again)
		}
	}
	r := testRedactor(t)
	for member, in := range map[string]string{"Phone": "+49 151 234-56", "MobilePhone": "4915", "Notes": "4155550123"} {
		if got := r.value(in, member, manner{}); got == in {
			t.Errorf("%s: %s stays", member, in)
		}
	}
	// An address stands backwards as it stands forwards, and in dashes as in dots.
	forward := strings.Split(r.text("203.0.113.5", false), ".")
	if got, want := r.text("5.113.0.203.in-addr.arpa", false), forward[3]+"."+forward[2]+"."+forward[1]+"."+forward[0]+
		".in-addr.arpa"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := r.text("host-203-0-113-5", false); !strings.Contains(got, strings.Join(forward, "-")) {
		t.Errorf("%s, want %s in it", got, forward)
	}
	if got := r.text("::ffff:203.0.113.5", false); !strings.HasSuffix(got, strings.Join(forward, ".")) {
		t.Errorf("%s, want %s at its end", got, forward)
	}
	key, err := r.json(json.RawMessage(`{"extension_7d3c1b2a11114222833344445555_zyxwoltId":"x"}`), manner{keys: true})
	if err != nil || bytes.Contains(key, []byte("zyxwolt")) || bytes.Contains(key, []byte("7d3c1b2a")) {
		t.Errorf("%s %v", key, err)
	}
	for _, in := range []string{"203.0.113.5", "5.113.0.203.in-addr.arpa", "1.3.6.1.4.1.99887.1.2", "+1 (555) 010-9999",
		"::ffff:203.0.113.5", "host-203-0-113-5"} {
		if back := r.Restore(r.text(in, false)); back != in {
			t.Errorf("%s came back as %s", in, back)
		}
	}
	for _, in := range []string{"error 0x8004010F", "2026-11-27", "1.3.6.1.5.5.7.3.1", "1.3.6.1.4.1.311.21.7", "27-11-2026",
		"Version 15.2 (Build 1748.10)", "+01:00", "%3A"} {
		if got := r.text(in, false); got != in {
			t.Errorf("%s became %s", in, got)
		}
	}
}

// No name is in the bytes of a certificate, whichever extension has it.
func TestRedactedCertificateForms(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	own := asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99887, 7}
	template, err := asn1.Marshal(struct{ ID asn1.ObjectIdentifier }{asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 21, 8,
		1234567, 7654321}})
	if err != nil {
		t.Fatal(err)
	}
	c := x509.Certificate{SerialNumber: big.NewInt(0x1122334455667788), Subject: pkix.Name{CommonName: "Zyxwolt"},
		NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"zyxwolt.test"},
		IPAddresses:           []net.IP{net.IPv4(10, 20, 30, 40).To4(), net.ParseIP("2a02:810a:1234::5")},
		CRLDistributionPoints: []string{"http://pki.zyxwolt.test/a.crl"}, EmailAddresses: []string{"qwelf@zyxwolt.test"},
		Policies: nil, PolicyIdentifiers: []asn1.ObjectIdentifier{own},
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 21, 7}, Value: template}}}
	der, err := x509.CreateCertificate(rand.Reader, &c, &c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Clone(der) // hybridge cannot read it, and another program can
	at := bytes.Index(damaged, []byte{0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01})
	damaged[at+8] = 0x7f
	for name, in := range map[string][]byte{"certificate": der, "damaged": damaged} {
		s := Snapshot{APIVersion: "hybridge/v1", Kind: Kind, TakenAt: time.Now(), Answers: answersOf("zyxwolt.test"),
			Readings: []Reading{{Place: "network", System: "network", Ask: "tls", Answer: json.RawMessage(`{"Leaf":"` +
				base64.StdEncoding.EncodeToString(in) + `"}`)}}}
		out, _, err := Redact(s)
		if err != nil {
			t.Fatal(err)
		}
		var answer struct{ Leaf []byte }
		if err := json.Unmarshal(out.Readings[0].Answer, &answer); err != nil {
			t.Fatal(err)
		}
		point := elliptic.Marshal(elliptic.P256(), key.X, key.Y) //nolint:staticcheck // the bytes in the certificate
		for what, raw := range map[string][]byte{"name": []byte("yxwolt"), "mailbox": []byte("qwelf"), "address": {10, 20, 30, 40},
			"address of IPv6": net.ParseIP("2a02:810a:1234::5"), "serial number": {0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88},
			"key": point, "own arc": {0x86, 0x8c, 0x2f}, "template": {0x83, 0xd3, 0x97, 0x31}} {
			if bytes.Contains(answer.Leaf, raw) {
				t.Errorf("%s: its %s is in the redacted snapshot", name, what)
			}
		}
		if c, err := x509.ParseCertificate(answer.Leaf); name == "certificate" && (err != nil || len(c.IPAddresses) != 2) {
			t.Errorf("%v", err)
		}
	}
}
