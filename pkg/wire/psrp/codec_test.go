package psrp

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

func TestFragments(t *testing.T) {
	m := message{destination: toClient, kind: pipelineOutput, pool: NewGUID(), pipeline: NewGUID(),
		data: []byte(strings.Repeat("<S>ä</S>", 100))}
	for _, size := range []int{22, 23, 61, 100, 1000, 1 << 20} {
		list := fragments(7, m.bytes(), size)
		for _, f := range list {
			if len(f) > size {
				t.Fatalf("fragment of %d bytes, %d is the limit", len(f), size)
			}
		}
		all := bytes.Join(list, nil)
		for _, step := range []int{1, 7, 21, 22, len(all)} { // fed in pieces of any size
			var a assembler
			var got []message
			for b := all; len(b) > 0; {
				n := min(step, len(b))
				ms, err := a.feed(b[:n])
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, ms...)
				b = b[n:]
			}
			if diff := cmp.Diff([]message{m}, got, cmp.AllowUnexported(message{})); diff != "" {
				t.Fatalf("size %d, step %d (-want +got):\n%s", size, step, diff)
			}
		}
	}
	// Two messages whose fragments alternate.
	one, two := fragments(1, m.bytes(), 200), fragments(2, m.bytes(), 200)
	var mixed []byte
	for i := range one {
		mixed = append(append(mixed, one[i]...), two[i]...)
	}
	var a assembler
	if got, err := a.feed(mixed); err != nil || len(got) != 2 {
		t.Errorf("%d messages, %v", len(got), err)
	}
}

func TestFragmentsRefused(t *testing.T) {
	fragment := func(object, id byte, flags byte, data string) string {
		return string([]byte{0, 0, 0, 0, 0, 0, 0, object, 0, 0, 0, 0, 0, 0, 0, id, flags, 0, 0, 0, byte(len(data))}) +
			data
	}
	many := ""
	for i := range maxPartial + 1 {
		many += fragment(byte(i), 0, 1, "x")
	}
	for name, test := range map[string]struct{ data, want string }{
		"no start":      {fragment(1, 1, 0, "x"), "without its start"},
		"start again":   {fragment(1, 1, 1, "x"), "with flags"},
		"gap":           {fragment(1, 0, 1, "x") + fragment(1, 2, 2, "x"), "where 1 was expected"},
		"unknown flags": {fragment(1, 0, 0x83, "x"), "unknown flags"},
		"short message": {fragment(1, 0, 3, "x"), "shorter than its header"},
		"huge": {"\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x01\x7f\xff\xff\xff",
			"larger than"},
		"many in pieces": {many, "too many"},
		"too long": {fragment(1, 0, 1, strings.Repeat("x", 200)) + fragment(1, 1, 0, strings.Repeat("x", 200)),
			"more than"},
	} {
		t.Run(name, func(t *testing.T) {
			a := assembler{limit: 300}
			if _, err := a.feed([]byte(test.data)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// TestMessageHeader compares the bytes with [MS-PSRP] 2.2.1: little-endian numbers, GUIDs in .NET's
// order.
func TestMessageHeader(t *testing.T) {
	pool, _ := ParseGUID("00112233-4455-6677-8899-aabbccddeeff")
	got := message{destination: toServer, kind: createPipeline, pool: pool, data: []byte("x")}.bytes()
	want := append([]byte{2, 0, 0, 0, 6, 0x10, 2, 0, 0x33, 0x22, 0x11, 0, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa,
		0xbb, 0xcc, 0xdd, 0xee, 0xff}, make([]byte, 16)...)
	if want = append(want, "\xef\xbb\xbfx"...); !bytes.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
}

func TestSessionKey(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	text := publicKeyBlob(&private.PublicKey)
	if !strings.HasPrefix(text, "BgIAAACkAABSU0ExAAgAAAEAAQ") { // PUBLICKEYBLOB, RSA1, 2048 bits, exponent 65537
		t.Errorf("public key %.40s", text)
	}
	pub, err := parsePublicKeyBlob(text)
	if err != nil || pub.N.Cmp(private.N) != 0 || pub.E != private.E {
		t.Fatal("public key came back otherwise", err)
	}
	server, sealed, err := sealSessionKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	if raw, _ := base64.StdEncoding.DecodeString(sealed); fmt.Sprintf("%x", raw[:12]) != "010200001066000000a40000" ||
		len(raw) != 268 {
		t.Errorf("session key blob %x", raw[:12])
	}
	client, err := openSessionKey(private, sealed)
	if err != nil {
		t.Fatal(err)
	}
	for _, plain := range []string{"", "a", "1234567", "12345678", "ä😀", strings.Repeat("x", 1000)} {
		got, err := server.decrypt(client.encrypt(plain))
		if err != nil || got.Reveal() != plain {
			t.Errorf("%q came back as %q, %v", plain, got.Reveal(), err)
		}
	}
	for _, bad := range []string{"", "?", "AAAA", text[:40], base64.StdEncoding.EncodeToString(make([]byte, 276))} {
		if _, err := parsePublicKeyBlob(bad); err == nil {
			t.Errorf("took %.20q for a public key", bad)
		}
		if _, err := openSessionKey(private, bad); err == nil {
			t.Errorf("took %.20q for a session key", bad)
		}
	}
	other, _ := newSessionKey(make([]byte, 32))
	for _, bad := range [][]byte{nil, {1}, make([]byte, 16), other.encrypt("a")[:15]} {
		if _, err := server.decrypt(bad); err == nil {
			t.Errorf("decrypted %x", bad)
		}
	}
}

// mirror seals by inverting bits: these tests are about the frame.
type mirror struct{}

func (mirror) Seal(plain []byte) ([]byte, []byte, error) {
	out := make([]byte, len(plain))
	for i := range plain {
		out[i] = ^plain[i]
	}
	return []byte("signature"), out, nil
}

func (m mirror) Unseal(signature, sealed []byte) ([]byte, error) {
	if string(signature) != "signature" {
		return nil, errors.New("wrong signature")
	}
	_, out, _ := m.Seal(sealed)
	return out, nil
}

func TestSealedBody(t *testing.T) {
	for _, scheme := range []string{"Kerberos", "Negotiate"} {
		for _, plain := range []string{"", "<a/>", "x\r\n--Encrypted Boundary--\r\n", strings.Repeat("ü", 1000),
			string([]byte{0xd2, 0xd2, 0xdf, 0xdf})} {
			kind, body, err := sealBody(mirror{}, scheme, []byte(plain))
			if err != nil {
				t.Fatal(err)
			}
			got, err := unsealBody(mirror{}, kind, body)
			if err != nil || string(got) != plain {
				t.Errorf("%q came back as %q, %v", plain, got, err)
			}
			// Exchange writes a blank before the boundary. It is not in the sealed text, whose bits
			// are inverted.
			quirk := bytes.ReplaceAll(body, []byte("--Encrypted Boundary"), []byte("-- Encrypted Boundary"))
			if got, err := unsealBody(mirror{}, kind, quirk); err != nil || string(got) != plain {
				t.Errorf("with blanks, %q came back as %q, %v", plain, got, err)
			}
		}
	}
	kind, body, _ := sealBody(mirror{}, "Kerberos", []byte("hello"))
	if want := `multipart/encrypted;protocol="application/HTTP-Kerberos-session-encrypted";boundary="Encrypted Boundary"`; kind != want {
		t.Errorf("type %s", kind)
	}
	if want := "--Encrypted Boundary\r\n\tContent-Type: " +
		"application/HTTP-Kerberos-session-encrypted\r\n\tOriginalContent: " +
		"type=application/soap+xml;charset=UTF-8;Length=5\r\n" +
		"--Encrypted Boundary\r\n\tContent-Type: " +
		"application/octet-stream\r\n\x09\x00\x00\x00signature\x97\x9a\x93\x93\x90--Encrypted Boundary--\r\n"; string(body) != want {
		t.Errorf("body %q", body)
	}
	for name, change := range map[string]func(string) string{
		"empty":           func(string) string { return "" },
		"no boundary":     func(s string) string { return s[3:] },
		"cut off":         func(s string) string { return s[:len(s)-10] },
		"length missing":  func(s string) string { return strings.Replace(s, "Length=5", "Size=5", 1) },
		"wrong length":    func(s string) string { return strings.Replace(s, "Length=5", "Length=6", 1) },
		"negative length": func(s string) string { return strings.Replace(s, "Length=5", "Length=-5", 1) },
		"second part":     func(s string) string { return strings.Replace(s, "octet-stream", "soap", 1) },
		"long signature": func(s string) string {
			return strings.Replace(s, "\x09\x00\x00\x00", "\xff\xff\xff\xff",
				1)
		},
		"after the end": func(s string) string { return s + "more" },
	} {
		if got, err := unsealBody(mirror{}, kind, []byte(change(string(body)))); err == nil {
			t.Errorf("%s: opened as %q", name, got)
		}
	}
}

func TestPipelineRefused(t *testing.T) {
	good := pipelineObject(Pipeline{Commands: []Command{{Name: "Get-Thing", Parameters: []Parameter{{"A", 1}}}}}, "2.3")
	text, err := marshalOne(good, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range [][2]string{{`N="Cmds"`, `N="Other"`}, {`N="PowerShell"`, `N="Other"`},
		{`<S N="Cmd">Get-Thing</S>`, `<S N="Cmd"></S>`}, {`<S N="Cmd">Get-Thing</S>`, `<I32 N="Cmd">1</I32>`},
		{`<I32 N="V">1</I32>`, `<SS N="V">AAAA</SS>`}, {`<LST><Obj`, `<LST><S>x</S><Obj`},
		{`N="NoInput"`, `N="Other"`}, {`N="HostInfo"`, `N="Other"`}, {`N="RedirectShellErrorOutputPipe"`, `N="Other"`},
		{`N="MergeMyResult"`, `N="Other"`}, {`N="Args"`, `N="Other"`}} {
		changed := strings.Replace(string(text), change[0], change[1], 1)
		if changed == string(text) {
			t.Fatalf("%s is not in %s", change[0], text)
		}
		v, err := unmarshalOne([]byte(changed))
		if err != nil {
			t.Fatal(err)
		}
		if pl, err := parsePipeline(v.(*Object), nil); err == nil {
			t.Errorf("%s for %s: taken as %+v", change[1], change[0], pl)
		}
	}
}

// TestFaultClasses reads the refusals of the throttling policy as the service words them.
func TestFaultClasses(t *testing.T) {
	for reason, want := range map[string]error{
		"The WS-Management service cannot process the request. This user is allowed a maximum of 18 concurrent " +
			"shells, which has been exceeded.": ErrShellLimit,
		"The WS-Management service cannot process the request. The user load quota of 1000 requests per 2 seconds " +
			"has been exceeded.": ErrLoadLimit,
		"The WS-Management service cannot process the request.": nil,
	} {
		for _, class := range []error{ErrShellLimit, ErrLoadLimit, ErrShellGone, link.ErrAccess} {
			if got := errors.Is(&Fault{Reason: reason}, class); got != (class == want) {
				t.Errorf("%s: %v is %t", reason, class, got)
			}
		}
	}
}

func FuzzFragments(f *testing.F) {
	f.Add(fragments(1, message{data: []byte("<S>a</S>")}.bytes(), 30)[0], 5)
	f.Add(bytes.Join(fragments(1, message{data: []byte("<S>a</S>")}.bytes(), 30), nil), 21)
	f.Fuzz(func(t *testing.T, data []byte, cut int) {
		var whole, pieces assembler
		whole.limit, pieces.limit = 1<<20, 1<<20
		want, wantErr := whole.feed(data)
		if cut < 0 || cut > len(data) {
			cut = len(data) / 2
		}
		got, err := pieces.feed(data[:cut])
		if err == nil {
			var more []message
			more, err = pieces.feed(data[cut:])
			got = append(got, more...)
		}
		if (err == nil) != (wantErr == nil) || len(got) != len(want) {
			t.Errorf("at once: %d messages, %v; in pieces: %d, %v", len(want), wantErr, len(got), err)
		}
	})
}

func FuzzEnvelope(f *testing.F) {
	f.Add(request{to: "http://a/", resource: "r", action: actionCreate, messageID: "m", maxSize: 1, timeout: 1,
		shell: "s", options: []option{{"a", "b"}}, body: "<a/>"}.bytes())
	f.Add(answerEnvelope(actionFault, "m", shellGone.body()))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := parseEnvelope(data)
		if err != nil {
			return
		}
		if e.fault != nil {
			if text := parseFault(e.fault, 500).Error(); strings.ContainsAny(text, "\x1b\r\n\x00") {
				t.Errorf("control characters in %q", text)
			}
		}
		e.shellID()
		for _, n := range e.all {
			streamBytes(n)
			n.all()
		}
	})
}

func FuzzSealed(f *testing.F) {
	kind, body, _ := sealBody(mirror{}, "Kerberos", []byte("hello"))
	f.Add(kind, body)
	f.Add(kind, bytes.ReplaceAll(body, []byte("--E"), []byte("-- E")))
	f.Fuzz(func(t *testing.T, kind string, body []byte) { unsealBody(mirror{}, kind, body) })
}
