package snapshot

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/md5" //nolint:gosec // signatures of old certificates
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // the hash of thumbprints
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"math/big"
	"net/netip"
	"strings"
	"unicode/utf16"
)

// forger makes the certificates of a snapshot anew: the same but for names, serial numbers and
// keys, and signed along the same chains.
type forger struct {
	r       *redactor
	keys    map[string]crypto.Signer // by the public key before
	known   []*x509.Certificate
	done    map[string][]byte // by the DER before
	texts   map[string]string // fingerprints and serial numbers as hexadecimal text, in lower case
	digests map[string]string // fingerprints as bytes
}

// isDER reports whether bytes are one SEQUENCE of ASN.1.
func isDER(raw []byte) bool {
	var v asn1.RawValue
	rest, err := asn1.Unmarshal(raw, &v)
	return err == nil && len(rest) == 0 && len(raw) > 64 && v.FullBytes[0] == 0x30
}

// forge finds the certificates of a snapshot and prepares what stands for each.
func (r *redactor) forge(s Snapshot) (*forger, error) {
	f := &forger{r: r, keys: map[string]crypto.Signer{}, done: map[string][]byte{}, texts: map[string]string{},
		digests: map[string]string{}}
	r.certs = f
	seen := map[string]bool{}
	see := func(der []byte) {
		if c, err := x509.ParseCertificate(der); err == nil && !seen[string(der)] {
			seen[string(der)] = true
			f.known = append(f.known, c)
		}
	}
	for _, der := range s.Roots {
		see(der)
	}
	for _, at := range s.Readings {
		if at.Answer == nil || !bytes.Contains(at.Answer, []byte("MI")) {
			continue
		}
		_ = walk(at.Answer, "", func(_, text string) {
			if der, err := base64.StdEncoding.DecodeString(text); err == nil && isDER(der) {
				see(der)
				inside(der, see)
			}
		})
	}
	for _, c := range f.known {
		key, err := f.key(c.RawSubjectPublicKeyInfo, c.PublicKey)
		if err != nil {
			return nil, err
		}
		f.serial(c.SerialNumber)
		spki, err := x509.MarshalPKIXPublicKey(key.Public())
		if err != nil {
			return nil, err
		}
		f.both(c.RawSubjectPublicKeyInfo, spki)
		f.digest(keyBits(c.RawSubjectPublicKeyInfo), keyBits(spki))
		before := sha1.Sum(keyBits(c.RawSubjectPublicKeyInfo)) //nolint:gosec // RFC 5280
		after := sha1.Sum(keyBits(spki))                       //nolint:gosec // RFC 5280
		if id := c.SubjectKeyId; len(id) > 0 && !bytes.Equal(id, before[:]) {
			f.pair(id, r.bytesOf("key id", string(id), 0, len(id)))
		}
		f.pair(before[:], after[:])
		for _, name := range [][]byte{c.RawSubject, c.RawIssuer} {
			f.digest(name, f.rewrite(name))
		}
	}
	for _, c := range f.known {
		f.both(c.Raw, f.der(c.Raw))
	}
	for from, to := range f.texts {
		r.forward[from], r.back[to] = to, from
	}
	return f, nil
}

// inside gives the certificates in a structure.
func inside(der []byte, see func([]byte)) {
	var v asn1.RawValue
	for rest := der; len(rest) > 0; {
		var err error
		if rest, err = asn1.Unmarshal(rest, &v); err != nil {
			return
		}
		if v.IsCompound {
			if v.Class == asn1.ClassUniversal && v.Tag == asn1.TagSequence {
				see(v.FullBytes)
			}
			inside(v.Bytes, see)
		} else if v.Tag == asn1.TagOctetString && v.Class == asn1.ClassUniversal && isDER(v.Bytes) {
			inside(v.Bytes, see)
		}
	}
}

// keyBits are the bits of a public key without its algorithm.
func keyBits(spki []byte) []byte {
	var v struct {
		Algorithm asn1.RawValue
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(spki, &v); err != nil {
		return nil
	}
	return v.Key.Bytes
}

// pair remembers what stands for a fingerprint or identifier.
func (f *forger) pair(before, after []byte) {
	f.digests[string(before)] = string(after)
	from, to := hex.EncodeToString(before), hex.EncodeToString(after)
	f.texts[from] = to
	if len(from) >= 40 {
		f.texts[from[:8]] = to[:8] // the short form in names
		f.texts[keyID(before)] = keyID(after)
	}
}

// keyID is the id that hybridge gives a key credential: a UUID of version 8 of the thumbprint.
func keyID(thumbprint []byte) string {
	b := bytes.Clone(thumbprint[:16])
	b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80
	h := hex.EncodeToString(b)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

func (f *forger) digest(before, after []byte) {
	a, b := sha1.Sum(before), sha1.Sum(after) //nolint:gosec // the hash of thumbprints
	f.pair(a[:], b[:])
	c, d := sha256.Sum256(before), sha256.Sum256(after)
	f.pair(c[:], d[:])
}

func (f *forger) both(before, after []byte) {
	f.digest(before, after)
	a, b := sha512.Sum512(before), sha512.Sum512(after)
	f.pair(a[:], b[:])
}

// serial gives a serial number another one with as many digits.
func (f *forger) serial(n *big.Int) {
	text := n.Text(16)
	if _, known := f.texts[text]; known || len(text) < 8 {
		return
	}
	raw := hex.EncodeToString(f.r.bytesOf("serial", text, 0, len(text)))
	other := text[:1] + raw[:len(text)-1]
	f.texts[text] = other
	if len(text)%2 == 1 {
		f.texts["0"+text] = "0" + other
	}
	f.texts["00"+text] = "00" + other
	if m, ok := new(big.Int).SetString(other, 16); ok {
		f.texts[n.String()] = m.String()
	}
}

// key makes a key like another one.
func (f *forger) key(spki []byte, like crypto.PublicKey) (crypto.Signer, error) {
	if k, known := f.keys[string(spki)]; known {
		return k, nil
	}
	var k crypto.Signer
	var err error
	switch like := like.(type) {
	case *rsa.PublicKey:
		k, err = rsa.GenerateKey(rand.Reader, max(like.N.BitLen(), 1024))
	case ed25519.PublicKey:
		_, k, err = ed25519.GenerateKey(rand.Reader)
	case *ecdsa.PublicKey:
		k, err = ecdsa.GenerateKey(like.Curve, rand.Reader)
	default:
		k, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	f.keys[string(spki)] = k
	return k, err
}

// issuer returns the new key of the authority that signed.
func (f *forger) issuer(c *x509.Certificate) crypto.Signer {
	for _, by := range f.known {
		if bytes.Equal(by.RawSubject, c.RawIssuer) && by.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate,
			c.Signature) == nil {
			k, _ := f.key(by.RawSubjectPublicKeyInfo, by.PublicKey)
			return k
		}
	}
	return f.stranger(c.RawIssuer, c.SignatureAlgorithm)
}

// stranger is the key of an authority that the snapshot lacks.
func (f *forger) stranger(name []byte, with x509.SignatureAlgorithm) crypto.Signer {
	var like crypto.PublicKey
	switch {
	case strings.Contains(with.String(), "RSA"):
		like = &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 2047)}
	case with == x509.PureEd25519:
		like = ed25519.PublicKey{}
	}
	k, _ := f.key(append([]byte(with.String()), name...), like)
	return k
}

// der returns what stands for a certificate, a revocation list, an OCSP response, or another
// structure.
func (r *redactor) der(der []byte) []byte { return r.certs.der(der) }

func (f *forger) der(der []byte) []byte {
	if out, known := f.done[string(der)]; known {
		return out
	}
	out := f.make(der)
	f.done[string(der)] = out
	return out
}

func (f *forger) make(der []byte) []byte {
	if c, err := x509.ParseCertificate(der); err == nil {
		if out := f.signed(der, c.SignatureAlgorithm, f.issuer(c)); out != nil {
			return out
		}
	}
	if list, err := x509.ParseRevocationList(der); err == nil {
		for _, by := range f.known {
			if list.CheckSignatureFrom(by) == nil {
				k, _ := f.key(by.RawSubjectPublicKeyInfo, by.PublicKey)
				if out := f.signed(der, list.SignatureAlgorithm, k); out != nil {
					return out
				}
			}
		}
		by := f.stranger(list.RawIssuer, list.SignatureAlgorithm)
		if out := f.signed(der, list.SignatureAlgorithm, by); out != nil {
			return out
		}
	}
	return f.rewrite(der)
}

// signed rewrites what is signed and signs it: SEQUENCE {what, algorithm, BIT STRING}.
func (f *forger) signed(der []byte, with x509.SignatureAlgorithm, key crypto.Signer) []byte {
	var v struct{ What, Algorithm, Signature asn1.RawValue }
	if _, err := asn1.Unmarshal(der, &v); err != nil {
		return nil
	}
	what := f.tree(v.What.FullBytes)
	signature := sign(what, with, key)
	if signature == nil {
		return nil
	}
	bits, err := asn1.Marshal(asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)})
	if err != nil {
		return nil
	}
	return wrap(0x30, bytes.Join([][]byte{what, v.Algorithm.FullBytes, bits}, nil))
}

// sign signs as the algorithm says; nil where the key cannot.
func sign(what []byte, with x509.SignatureAlgorithm, key crypto.Signer) []byte {
	var hash crypto.Hash
	var digest []byte
	switch with {
	case x509.PureEd25519:
		digest = what
	case x509.MD5WithRSA:
		d := md5.Sum(what) //nolint:gosec // as the certificate before
		hash, digest = crypto.MD5, d[:]
	case x509.SHA1WithRSA, x509.ECDSAWithSHA1:
		d := sha1.Sum(what) //nolint:gosec // as the certificate before
		hash, digest = crypto.SHA1, d[:]
	case x509.SHA384WithRSA, x509.ECDSAWithSHA384, x509.SHA384WithRSAPSS:
		d := sha512.Sum384(what)
		hash, digest = crypto.SHA384, d[:]
	case x509.SHA512WithRSA, x509.ECDSAWithSHA512, x509.SHA512WithRSAPSS:
		d := sha512.Sum512(what)
		hash, digest = crypto.SHA512, d[:]
	default:
		d := sha256.Sum256(what)
		hash, digest = crypto.SHA256, d[:]
	}
	var o crypto.SignerOpts = hash
	switch with {
	case x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS:
		o = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
	}
	signature, err := key.Sign(rand.Reader, digest, o)
	if err != nil {
		return nil
	}
	return signature
}

// rewrite replaces the names in a structure.
func (f *forger) rewrite(der []byte) []byte { return f.tree(der) }

// tree rewrites values that stand one after another.
func (f *forger) tree(der []byte) []byte {
	var out []byte
	var v asn1.RawValue
	for rest := der; len(rest) > 0; {
		var err error
		if rest, err = asn1.Unmarshal(rest, &v); err != nil {
			return f.r.bytesOf("bytes", string(der), 0, len(der)) // not of ASN.1
		}
		out = append(out, f.element(v)...)
	}
	return out
}

// transparency is the extension with the receipts of public logs, by which a certificate is found.
var transparency = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}

func (f *forger) element(v asn1.RawValue) []byte {
	tag := v.FullBytes[0]
	if v.IsCompound {
		if tag == 0x30 {
			if k, known := f.keys[string(v.FullBytes)]; known {
				if spki, err := x509.MarshalPKIXPublicKey(k.Public()); err == nil {
					return spki
				}
			}
			for _, c := range f.known {
				if bytes.Equal(c.Raw, v.FullBytes) {
					return f.der(v.FullBytes)
				}
			}
			var receipts struct {
				ID    asn1.ObjectIdentifier
				Value []byte
			}
			if _, err := asn1.Unmarshal(v.FullBytes, &receipts); err == nil && receipts.ID.Equal(transparency) {
				receipts.Value = f.r.bytesOf("receipts", string(receipts.Value), 0, len(receipts.Value))
				if der, err := asn1.Marshal(receipts); err == nil {
					return der
				}
			}
		}
		return wrap(tag, f.tree(v.Bytes))
	}
	if to, known := f.digests[string(v.Bytes)]; known {
		return wrap(tag, []byte(to))
	}
	if v.Class == asn1.ClassContextSpecific {
		switch {
		case v.Tag == 7 && (len(v.Bytes) == 4 || len(v.Bytes) == 16): // iPAddress of a SAN
			a, _ := netip.AddrFromSlice(v.Bytes)
			return wrap(tag, f.r.moved(a, a.BitLen()).AsSlice())
		case printable(v.Bytes):
			return wrap(tag, []byte(f.r.text(string(v.Bytes), false)))
		case len(v.Bytes) >= 4: // a key identifier, or a name in another form
			return wrap(tag, f.r.bytesOf("bytes", string(v.Bytes), 0, len(v.Bytes)))
		}
		return v.FullBytes
	}
	switch v.Tag {
	case asn1.TagUTF8String, asn1.TagPrintableString, asn1.TagIA5String, asn1.TagT61String, asn1.TagGeneralString,
		asn1.TagNumericString:
		return wrap(tag, []byte(f.r.text(string(v.Bytes), false)))
	case asn1.TagBMPString:
		var units []uint16
		for i := 0; i+1 < len(v.Bytes); i += 2 {
			units = append(units, uint16(v.Bytes[i])<<8|uint16(v.Bytes[i+1]))
		}
		var raw []byte
		for _, u := range utf16.Encode([]rune(f.r.text(string(utf16.Decode(units)), false))) {
			raw = append(raw, byte(u>>8), byte(u))
		}
		return wrap(tag, raw)
	case asn1.TagInteger:
		n := new(big.Int).SetBytes(v.Bytes)
		if to, known := f.texts[n.Text(16)]; known {
			if m, ok := new(big.Int).SetString(to, 16); ok {
				if der, err := asn1.Marshal(m); err == nil {
					return der
				}
			}
		}
		if len(v.Bytes) >= 8 { // of another certificate, or of a key
			return wrap(tag, append(v.Bytes[:1:1], f.r.bytesOf("integer", string(v.Bytes), 0, len(v.Bytes)-1)...))
		}
	case asn1.TagBitString:
		if len(v.Bytes) > 16 { // a key or a signature
			return wrap(tag, append(v.Bytes[:1:1], f.r.bytesOf("bits", string(v.Bytes), 0, len(v.Bytes)-1)...))
		}
	case asn1.TagOID:
		return wrap(tag, f.objectID(v.Bytes))
	case asn1.TagOctetString:
		var inner asn1.RawValue
		if rest, err := asn1.Unmarshal(v.Bytes, &inner); err == nil && len(rest) == 0 {
			return wrap(tag, f.tree(v.Bytes))
		}
		if len(v.Bytes) >= 8 {
			return wrap(tag, f.r.bytesOf("bytes", string(v.Bytes), 0, len(v.Bytes)))
		}
	}
	return v.FullBytes
}

// objectID replaces the arcs that an organization made, as redactor.objectID. The last byte of each arc
// shows by its first bit that the arc ends.
func (f *forger) objectID(raw []byte) []byte {
	head := "\x2b\x06\x01\x04\x01" // enterprises
	own, is := bytes.CutPrefix(raw, []byte(head))
	switch {
	case bytes.HasPrefix(own, []byte("\x82\x37\x15\x08")): // templates of Microsoft's certificate services
		head, own = head+"\x82\x37\x15\x08", own[4:]
	case !is || bytes.HasPrefix(own, []byte("\x82\x37")) || bytes.HasPrefix(own, []byte("\xd6\x79")): // and Google's
		return raw
	}
	other := f.r.bytesOf("arc", string(own), 0, len(own))
	for i := range other {
		begins := (i == 0 || own[i-1] < 0x80) && own[i] >= 0x80 // of a large arc: it stays as large
		if other[i] = own[i]&0x80 | other[i]&0x7f | 1; begins {
			other[i] = own[i]
		}
	}
	return append([]byte(head), other...)
}

func printable(raw []byte) bool {
	for _, c := range raw {
		if c < 0x20 || c > 0x7e {
			return false
		}
	}
	return len(raw) > 0
}

// wrap puts a tag and a length before contents.
func wrap(tag byte, contents []byte) []byte {
	n := len(contents)
	head := []byte{tag}
	switch {
	case n < 0x80:
		head = append(head, byte(n))
	case n < 0x100:
		head = append(head, 0x81, byte(n))
	case n < 0x10000:
		head = append(head, 0x82, byte(n>>8), byte(n))
	default:
		head = append(head, 0x84, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	return append(head, contents...)
}
