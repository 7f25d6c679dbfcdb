package certificate

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
	pkcs12 "software.sslmate.com/src/go-pkcs12"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

var now = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

// issue makes a certificate; parent nil makes it self-signed.
func issue(t testing.TB, template *x509.Certificate, parent *Bundle) Bundle {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return issueWith(t, template, parent, key)
}

func issueWith(t testing.TB, template *x509.Certificate, parent *Bundle, key crypto.Signer) Bundle {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = serial
	if template.NotAfter.IsZero() {
		template.NotBefore, template.NotAfter = now.Add(-time.Hour), now.AddDate(1, 0, 0)
	}
	above, signer := template, key
	if parent != nil {
		above, signer = parent.Leaf, parent.Key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, above, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return Bundle{Leaf: c, Key: key}
}

func authority(t testing.TB, name string, parent *Bundle) Bundle {
	return issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: name, Organization: []string{"Lab"}}, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, parent)
}

func TestPKCS12(t *testing.T) {
	root := authority(t, "Root", nil)
	intermediate := authority(t, "Intermediate", &root)
	leaf := issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "mail.contoso.example"}}, &intermediate)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rsaLeaf := issueWith(t, &x509.Certificate{Subject: pkix.Name{CommonName: "auth"}}, nil, rsaKey)
	encode := func(e *pkcs12.Encoder, b Bundle, chain ...*x509.Certificate) []byte {
		data, err := e.Encode(b.Key, b.Leaf, chain, "pässword")
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	password := secret.NewValue("pässword")
	for name, e := range map[string]*pkcs12.Encoder{"modern": pkcs12.Modern, "legacy DES": pkcs12.LegacyDES,
		"legacy RC2": pkcs12.LegacyRC2} {
		t.Run(name, func(t *testing.T) {
			data := encode(e, leaf, root.Leaf, intermediate.Leaf)
			b, err := Parse(data, password)
			if err != nil {
				t.Fatal(err)
			}
			if !b.Leaf.Equal(leaf.Leaf) || len(b.Chain) != 2 || !b.Chain[0].Equal(intermediate.Leaf) ||
				!b.Chain[1].Equal(root.Leaf) || b.Key == nil {
				t.Errorf("%s with %d others", b, len(b.Chain))
			}
			for _, wrong := range []string{"", "password", "pässword "} {
				if _, err := Parse(data, secret.NewValue(wrong)); !errors.Is(err, ErrPassword) {
					t.Errorf("password %q: %v", wrong, err)
				}
			}
			if _, err := Parse(data[:len(data)/2], password); !errors.Is(err, ErrFormat) {
				t.Errorf("half a file: %v", err)
			}
		})
	}
	t.Run("RSA", func(t *testing.T) {
		b, err := Parse(encode(pkcs12.Modern, rsaLeaf), password)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := b.Key.(*rsa.PrivateKey); !ok {
			t.Errorf("key is %T", b.Key)
		}
		if s := fmt.Sprintf("%v %+v %#v", b, b, b); strings.Contains(s, rsaKey.D.String()[:20]) {
			t.Error("the key is printed")
		}
	})
	t.Run("the leaf is not first", func(t *testing.T) {
		b, err := Parse(encode(pkcs12.Modern, Bundle{Leaf: root.Leaf, Key: leaf.Key}, intermediate.Leaf, leaf.Leaf),
			password)
		if err != nil {
			t.Fatal(err)
		}
		if !b.Leaf.Equal(leaf.Leaf) || !b.Chain[0].Equal(intermediate.Leaf) {
			t.Errorf("leaf %s, then %s", b, Subject(b.Chain[0]))
		}
	})
	t.Run("the key is another's", func(t *testing.T) {
		if _, err := Parse(encode(pkcs12.Modern, Bundle{Leaf: leaf.Leaf, Key: rsaKey}), password); !errors.Is(err,
			ErrKeyMismatch) {
			t.Errorf("%v", err)
		}
	})
	t.Run("no key", func(t *testing.T) {
		data, err := pkcs12.Modern.EncodeTrustStore([]*x509.Certificate{leaf.Leaf}, "pässword")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(data, password); !errors.Is(err, ErrNoKey) {
			t.Errorf("%v", err)
		}
	})
	for name, data := range map[string][]byte{"empty": {}, "text": []byte("hello"),
		"certificate in DER": leaf.Leaf.Raw} {
		if _, err := Parse(data, password); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPEM(t *testing.T) {
	root := authority(t, "Root", nil)
	leaf := issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "mail.contoso.example"}}, &root)
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(leaf.Key)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(leaf.Key.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	both := block("CERTIFICATE", root.Leaf.Raw) + block("CERTIFICATE", leaf.Leaf.Raw)
	for _, test := range []struct {
		name, text string
		want       error
		key        bool
	}{
		{"chain without key", both, nil, false},
		{"PKCS#8", block("PRIVATE KEY", pkcs8) + both, nil, true},
		{"SEC 1, text between", "subject=x\n" + both + block("EC PRIVATE KEY", sec1), nil, true},
		{"Windows line ends", strings.ReplaceAll(both, "\n", "\r\n"), nil, false},
		{"only a key", block("PRIVATE KEY", pkcs8), ErrFormat, false},
		{"key of another", block("PRIVATE KEY", pkcs8) + block("CERTIFICATE", root.Leaf.Raw), ErrKeyMismatch, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			b, err := Parse([]byte(test.text), secret.Value{})
			if !errors.Is(err, test.want) {
				t.Fatalf("%v, want %v", err, test.want)
			}
			if err == nil && (!b.Leaf.Equal(leaf.Leaf) || len(b.Chain) != 1 || (b.Key != nil) != test.key) {
				t.Errorf("%s with %d others, key %v", b, len(b.Chain), b.Key != nil)
			}
		})
	}
	for name, text := range map[string]string{
		"encrypted key":      block("ENCRYPTED PRIVATE KEY", pkcs8) + both,
		"two keys":           block("PRIVATE KEY", pkcs8) + block("PRIVATE KEY", pkcs8) + both,
		"broken key":         block("PRIVATE KEY", pkcs8[:20]) + both,
		"broken certificate": block("CERTIFICATE", leaf.Leaf.Raw[:50]),
	} {
		if _, err := Parse([]byte(text), secret.Value{}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(filepath.Join(dir, "missing.pfx"), secret.Value{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	if _, err := Load(dir, secret.Value{}); err == nil {
		t.Error("a directory was read")
	}
	big := filepath.Join(dir, "big")
	if err := os.WriteFile(big, make([]byte, maxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(big, secret.Value{}); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), big) {
		t.Errorf("big: %v", err)
	}
}

// The renewal of a certificate with the same key: the newer one is meant.
func TestSameKeyTwice(t *testing.T) {
	old := issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "a"}, NotBefore: now,
		NotAfter: now.Add(time.Hour)}, nil)
	renewed := issueWith(t, &x509.Certificate{Subject: pkix.Name{CommonName: "a"}, NotBefore: now,
		NotAfter: now.Add(2 * time.Hour)}, nil, old.Key)
	b, err := assemble([]*x509.Certificate{old.Leaf, renewed.Leaf}, old.Key)
	if err != nil || !b.Leaf.Equal(renewed.Leaf) {
		t.Errorf("%s until %s, %v", b, b.Leaf.NotAfter, err)
	}
}

func rdn(attributes ...any) []attributeValue {
	var out []attributeValue
	for i := 0; i < len(attributes); i += 2 {
		raw := asn1.RawValue{Tag: asn1.TagUTF8String}
		switch v := attributes[i+1].(type) {
		case string:
			raw.Bytes = []byte(v)
		case asn1.RawValue:
			raw = v
		}
		out = append(out, attributeValue{attributes[i].(asn1.ObjectIdentifier), raw})
	}
	return out
}

func encodeName(t testing.TB, parts ...[]attributeValue) []byte {
	t.Helper()
	var sequence []relativeNameSET
	for _, p := range parts {
		sequence = append(sequence, p)
	}
	der, err := asn1.Marshal(sequence)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

var (
	oidC  = asn1.ObjectIdentifier{2, 5, 4, 6}
	oidO  = asn1.ObjectIdentifier{2, 5, 4, 10}
	oidOU = asn1.ObjectIdentifier{2, 5, 4, 11}
	oidCN = asn1.ObjectIdentifier{2, 5, 4, 3}
	oidS  = asn1.ObjectIdentifier{2, 5, 4, 8}
	oidE  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}
	oidDC = asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 25}
	oidX  = asn1.ObjectIdentifier{2, 5, 4, 15}
)

func TestFormatName(t *testing.T) {
	for _, test := range []struct {
		name string
		der  []byte
		want string
	}{
		{"empty", encodeName(t), ""},
		{"as Exchange prints a public issuer",
			encodeName(t, rdn(oidC, "US"), rdn(oidO, "DigiCert Inc"), rdn(oidOU, "www.digicert.com"),
				rdn(oidCN, "GeoTrust TLS RSA CA G1")),
			"CN=GeoTrust TLS RSA CA G1, OU=www.digicert.com, O=DigiCert Inc, C=US"},
		{"company with a comma", encodeName(t, rdn(oidO, "Contoso, Inc."), rdn(oidCN, "mail.contoso.example")),
			`CN=mail.contoso.example, O="Contoso, Inc."`},
		{"quotes", encodeName(t, rdn(oidO, `The "Best" Co`)), `O="The ""Best"" Co"`},
		{"state and e-mail", encodeName(t, rdn(oidS, "Südtirol"), rdn(oidE, "pki@contoso.example")),
			"E=pki@contoso.example, S=Südtirol"},
		{"domain components", encodeName(t, rdn(oidDC, "example"), rdn(oidDC, "contoso"), rdn(oidCN, "contoso-CA")),
			"CN=contoso-CA, DC=contoso, DC=example"},
		{"unknown type", encodeName(t, rdn(oidX, "Private Organization")), "OID.2.5.4.15=Private Organization"},
		{"spaces around", encodeName(t, rdn(oidO, " x ")), `O=" x "`},
		{"empty value", encodeName(t, rdn(oidO, "")), `O=""`},
		{"joined", encodeName(t, rdn(oidOU, "a", oidCN, "b"), rdn(oidO, "c")), "O=c, CN=b + OU=a"},
		{"looks like the separator", encodeName(t, rdn(oidO, "<S>")), `O="<S>"`},
		{"two-byte text", encodeName(t,
			rdn(oidO, asn1.RawValue{Tag: asn1.TagBMPString, Bytes: []byte{0, 'a', 0x20, 0xac}})), "O=a€"},
		{"Latin text", encodeName(t, rdn(oidO, asn1.RawValue{Tag: asn1.TagT61String, Bytes: []byte{'a', 0xe9}})),
			"O=aé"},
		{"no text", encodeName(t, rdn(oidO, asn1.RawValue{Tag: asn1.TagInteger, Bytes: []byte{7}})), `O="#020107"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := FormatName(test.der)
			if err != nil || got != test.want {
				t.Errorf("%s, %v; want %s", got, err, test.want)
			}
		})
	}
	if _, err := FormatName([]byte("x")); err == nil {
		t.Error("nonsense was rendered")
	}
}

// What is printed reads back as it was, whatever the values are, and so does the pair of names.
func TestNamesReadBack(t *testing.T) {
	value := rapid.OneOf(rapid.StringMatching(`[a-zA-Z0-9 ,+="<>#;.ISéß\n]{0,12}`),
		rapid.SampledFrom([]string{"", `"`, `""`, "<S>", "<I>", `",`, " ", "a + b", "x\n"}))
	attribute := rapid.Custom(func(t *rapid.T) Attribute {
		return Attribute{Type: rapid.SampledFrom([]string{"CN", "O", "OU", "S", "OID.2.5.4.15"}).Draw(t, "type"),
			Value: value.Draw(t, "value"), Joined: rapid.Bool().Draw(t, "joined")}
	})
	name := rapid.Custom(func(t *rapid.T) []Attribute {
		out := rapid.SliceOfN(attribute, 1, 5).Draw(t, "attributes")
		out[0].Joined = false
		return out
	})
	rapid.Check(t, func(t *rapid.T) {
		issuer, subject := name.Draw(t, "issuer"), name.Draw(t, "subject")
		id := Identifier{Issuer: JoinName(issuer), Subject: JoinName(subject)}
		got, err := ParseIdentifier(id.String())
		if err != nil {
			t.Fatalf("%q: %v", id, err)
		}
		if got != id {
			t.Fatalf("%q reads back as %q", id, got)
		}
		for printed, want := range map[string][]Attribute{got.Issuer: issuer, got.Subject: subject} {
			back, err := ParseName(printed)
			if err != nil {
				t.Fatalf("%q: %v", printed, err)
			}
			if got.Issuer != got.Subject {
				if diff := cmp.Diff(want, back); diff != "" {
					t.Fatalf("%q: %s", printed, diff)
				}
			}
		}
	})
}

func TestParseIdentifier(t *testing.T) {
	for _, test := range []struct {
		text string
		want Identifier
		ok   bool
	}{
		{"<I>CN=localhost<S>CN=localhost", Identifier{"CN=localhost", "CN=localhost"}, true},
		{`<I>CN=R11, O="Let's, Encrypt", C=US<S>CN=mail.contoso.example`,
			Identifier{`CN=R11, O="Let's, Encrypt", C=US`, "CN=mail.contoso.example"}, true},
		{`<I>O="a<S>b"<S>CN=c`, Identifier{`O="a<S>b"`, "CN=c"}, true},
		{"<I>CN=a<S>", Identifier{"CN=a", ""}, true}, // certificates without a subject exist
		{"<i>CN=a<s>CN=b", Identifier{"CN=a", "CN=b"}, true},
		{`<I>O="a</S>b"<s>CN=c`, Identifier{`O="a</S>b"`, "CN=c"}, true},
		{"<I>CN=a<S>CN=b</S>", Identifier{}, false},
		{"<I>CN=a</I><S>CN=b</s>", Identifier{}, false},
		{"<I><S>CN=a", Identifier{}, false},
		{"", Identifier{}, false},
		{"CN=a", Identifier{}, false},
		{"<I>CN=a", Identifier{}, false},
		{`<I>CN="a<S>CN=b`, Identifier{}, false},
		{"<I>a<S>CN=b", Identifier{}, false},
		{"<I>CN=a,<S>CN=b", Identifier{}, false},
		{`<I>CN="a"b<S>CN=b`, Identifier{}, false},
	} {
		got, err := ParseIdentifier(test.text)
		if (err == nil) != test.ok || got != test.want {
			t.Errorf("%q: %+v, %v", test.text, got, err)
		}
	}
	a, b := Identifier{"CN=A", "CN=mail"}, Identifier{"cn=a", "CN=MAIL"}
	if !a.Equal(b) || a.Equal(Identifier{"CN=A", "CN=other"}) {
		t.Error("comparison is wrong")
	}
	if got := CommonName(`O=x, CN="mail, the host"`); got != "mail, the host" {
		t.Errorf("common name %q", got)
	}
}

func TestFacts(t *testing.T) {
	ca := authority(t, "Lab CA", nil)
	c := issue(t, &x509.Certificate{
		Subject:     pkix.Name{CommonName: "Mail.contoso.example", Country: []string{"IT"}},
		DNSNames:    []string{"mail.contoso.example", "*.contoso.example."},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, &ca).Leaf
	if got := IdentifierOf(c).String(); got != "<I>CN=Lab CA, O=Lab<S>CN=Mail.contoso.example, C=IT" {
		t.Error(got)
	}
	if diff := cmp.Diff([]string{"mail.contoso.example", "*.contoso.example"}, Names(c)); diff != "" {
		t.Error(diff)
	}
	if server, client := Usable(c); !server || client {
		t.Errorf("usable as server %v, as client %v", server, client)
	}
	if server, client := Usable(ca.Leaf); !server || !client {
		t.Error("a certificate without extended key usages is for all")
	}
	if SelfSigned(c) || !SelfSigned(ca.Leaf) {
		t.Error("self-signed is wrong")
	}
	thumbprint := Thumbprint(c)
	if len(thumbprint) != 40 || NormalThumbprint("\u200e"+
		strings.ToLower(thumbprint[:2]+" "+thumbprint[2:])) != thumbprint {
		t.Error(thumbprint)
	}
	for _, bad := range []string{"", "x", thumbprint[1:], thumbprint + "0", strings.Repeat("g", 40)} {
		if NormalThumbprint(bad) != "" {
			t.Errorf("%q is no thumbprint", bad)
		}
	}
	name, domain, ok := NameUnder(c, []string{"fabrikam.example", "Contoso.example"})
	if !ok || name != "mail.contoso.example" || domain != "contoso.example" {
		t.Error(name, domain, ok)
	}
	if _, _, ok := NameUnder(c, []string{"toso.example"}); ok {
		t.Error("a domain matched by its end")
	}
}

func TestMatches(t *testing.T) {
	for _, test := range []struct {
		name, host string
		want       bool
	}{
		{"mail.contoso.example", "MAIL.contoso.example.", true},
		{"*.contoso.example", "mail.contoso.example", true},
		{"*.contoso.example", "contoso.example", false},
		{"*.contoso.example", "a.b.contoso.example", false},
		{"*.example", "contoso.example", false},
		{"*.contoso.example", ".contoso.example", false},
		{"m*.contoso.example", "mail.contoso.example", false},
		{"*", "contoso", false},
		{"", "", false},
		{"*.contoso.example", "*.contoso.example", false},
	} {
		if got := Matches(test.name, test.host); got != test.want {
			t.Errorf("%q covers %q: %v", test.name, test.host, got)
		}
	}
}

func TestNameAndIssuer(t *testing.T) {
	ca, other := authority(t, "CA 1", nil), authority(t, "CA 2", nil)
	leaf := func(name string, parent *Bundle) *x509.Certificate {
		return issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: name}}, parent).Leaf
	}
	a := leaf("mail.contoso.example", &ca)
	for name, test := range map[string]struct {
		b    *x509.Certificate
		want bool
	}{
		"renewed":      {leaf("MAIL.contoso.example", &ca), true},
		"other name":   {leaf("mail.fabrikam.example", &ca), false},
		"other issuer": {leaf("mail.contoso.example", &other), false},
	} {
		if got := NameAndIssuer(a) == NameAndIssuer(test.b); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// A certificate that an authority of the same name signed is not its own issuer.
func TestNamesakeIsNotSelfSigned(t *testing.T) {
	root := authority(t, "Contoso", nil)
	namesake := issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "Contoso", Organization: []string{"Lab"}}},
		&root)
	if Issuer(namesake.Leaf) != Subject(namesake.Leaf) || SelfSigned(namesake.Leaf) || !SelfSigned(root.Leaf) {
		t.Error("the name alone decides")
	}
}

func TestVerify(t *testing.T) {
	root := authority(t, "Root", nil)
	intermediate := authority(t, "Intermediate", &root)
	leaf := issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "mail.contoso.example"},
		DNSNames: []string{"mail.contoso.example"}}, &intermediate)
	alone := issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "own"}, DNSNames: []string{"own.example"}}, nil)
	roots := x509.NewCertPool()
	roots.AddCert(root.Leaf)
	full := Bundle{Leaf: leaf.Leaf, Chain: []*x509.Certificate{intermediate.Leaf}}
	for _, test := range []struct {
		name string
		b    Bundle
		host string
		at   time.Time
		want string
	}{
		{"good", full, "mail.contoso.example", now, ""},
		{"no host asked", full, "", now, ""},
		{"other host", full, "mail.fabrikam.example", now,
			"certificate refused: the certificate is for mail.contoso.example, not for mail.fabrikam.example"},
		{"late", full, "", now.AddDate(2, 0, 0), "expired on 2027-11-22T10:00:00Z"},
		{"early", full, "", now.AddDate(-1, 0, 0), "is valid only from 2026-11-22T09:00:00Z"},
		{"no intermediate", Bundle{Leaf: leaf.Leaf}, "", now,
			"the issuer CN=Intermediate, O=Lab is not trusted, and no intermediate certificate was sent along"},
		{"self-signed", alone, "", now, "CN=own is self-signed and not among the trusted roots"},
		{"nothing", Bundle{}, "", now, "no certificate"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := Verify(test.b, roots, test.host, test.at)
			if test.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if !errors.Is(err, link.ErrUntrusted) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want ... %s", err, test.want)
			}
		})
	}
}

func TestFromPeer(t *testing.T) {
	root := authority(t, "Root", nil)
	leaf := issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "mail.contoso.example"}}, &root)
	b, err := FromPeer([]*x509.Certificate{leaf.Leaf, root.Leaf})
	if err != nil || !b.Leaf.Equal(leaf.Leaf) || len(b.Chain) != 1 || b.Key != nil {
		t.Errorf("%v, %v", b, err)
	}
	if _, err := FromPeer(nil); err == nil {
		t.Error("nothing was taken as a certificate")
	}
}

func FuzzParseIdentifier(f *testing.F) {
	for _, seed := range []string{"<I>CN=a<S>CN=b", `<I>O="a, ""b""", C=US<S>CN=x + OU=y`, `<I>"<S>`, "<I>=<S>=",
		"<I>CN=a;O=b<S>"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, err := ParseIdentifier(text)
		if err != nil {
			return
		}
		again, err := ParseIdentifier(id.String())
		if err != nil || again != id {
			t.Errorf("%q reads back as %+v, %v", id, again, err)
		}
		attributes, err := ParseName(id.Subject)
		if err != nil {
			t.Fatal(err)
		}
		back, err := ParseName(JoinName(attributes))
		if err != nil {
			t.Fatalf("%q: %v", JoinName(attributes), err)
		}
		if diff := cmp.Diff(attributes, back); diff != "" {
			t.Error(diff)
		}
	})
}

func FuzzFormatName(f *testing.F) {
	f.Add(encodeName(f, rdn(oidO, "a, b"), rdn(oidCN, `"`)))
	f.Add([]byte{0x30, 0})
	f.Fuzz(func(t *testing.T, der []byte) {
		name, err := FormatName(der)
		if err != nil {
			return
		}
		if _, err := ParseName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	})
}

func FuzzParseFile(f *testing.F) {
	b := issue(f, &x509.Certificate{Subject: pkix.Name{CommonName: "x"}}, nil)
	data, err := pkcs12.LegacyDES.WithIterations(1).Encode(b.Key, b.Leaf, nil, "p")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: b.Leaf.Raw}))
	f.Fuzz(func(t *testing.T, data []byte) {
		// A hostile file may ask for any number of rounds of key derivation; the harness cannot
		// wait for that.
		if bytes.Contains(data, []byte("-----BEGIN ")) {
			Parse(data, secret.NewValue("p"))
		}
	})
}

// A file that is far too large is not a certificate.
func TestLargeFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.pem")
	if err := os.WriteFile(path, bytes.Repeat([]byte("\n"), maxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path, secret.Value{}); !errors.Is(err, ErrFormat) ||
		!strings.Contains(err.Error(), "larger than") {
		t.Errorf("got %v", err)
	}
}
