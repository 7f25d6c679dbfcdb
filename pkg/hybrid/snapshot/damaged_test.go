package snapshot

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
)

// A secret is in no part of a reading: not in its question, in a hint, in an error of a type, inside of
// a property that is named as a secret, or as base64.
func TestSecretsAreInNoPart(t *testing.T) {
	const password = "correct horse"
	in := "see " + base64.StdEncoding.EncodeToString([]byte(password))
	raw, err := json.Marshal(WithoutSecrets([]Reading{{Ask: "Get-X " + password,
		Answer: json.RawMessage(fmt.Sprintf(`{"Note":%q,"Password":{"Inner":["planted-1",{"More":"planted-2"}]}}`, in)),
		Error: &Failure{Text: password, Hint: "not " + password,
			As: []Typed{{Type: "host", Value: json.RawMessage(`{"Host":"` + password + `"}`)}}}}},
		[]secret.Value{secret.NewValue(password)}))
	if err != nil {
		t.Fatal(err)
	}
	for _, planted := range []string{password, base64.StdEncoding.EncodeToString([]byte(password)), "planted-"} {
		if bytes.Contains(raw, []byte(planted)) {
			t.Errorf("%s is in %s", planted, raw)
		}
	}
}

// Two callers of one question get one answer.
func TestOneAnswerForTwoCallers(t *testing.T) {
	tape := Record(nil)
	ask := func(live func(context.Context) (string, error)) string {
		v, err := Read(t.Context(), tape, "contoso", "DNS", "A x", live)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	var first string
	second := ask(func(context.Context) (string, error) {
		first = ask(func(context.Context) (string, error) { return "192.0.2.1", nil })
		return "192.0.2.2", nil
	})
	if first != "192.0.2.1" || second != first {
		t.Errorf("%s and %s", first, second)
	}
}

type hinted struct{ error }

func (hinted) Hint() string { return "ask again" }

// What was read before an error comes with it, and so do its hint and whether the time ran out.
func TestErrorsComeWhole(t *testing.T) {
	if v, err := kept(t, []string{"a"}, errors.New("cut off")); err == nil || !reflect.DeepEqual(v, []string{"a"}) {
		t.Errorf("%v, %v", v, err)
	}
	_, err := kept(t, "", error(hinted{errors.New("no")}))
	var h interface{ Hint() string }
	if !errors.As(err, &h) || h.Hint() != "ask again" {
		t.Errorf("%#v", err)
	}
	_, err = kept(t, "", error(&net.OpError{Op: "read", Err: &net.DNSError{Err: "timeout", IsTimeout: true}}))
	var n net.Error
	if !errors.As(err, &n) || !n.Timeout() {
		t.Errorf("%#v", err)
	}
}

// What is damaged in a snapshot is unknown, and not another error.
func TestDamagedErrorsAreUnknown(t *testing.T) {
	for name, f := range map[string]Failure{
		"a class that is not known":   {Text: "no", Is: []string{"entra.nope"}},
		"a type that is not known":    {Text: "no", As: []Typed{{"nope", json.RawMessage(`{}`)}}},
		"a proxy's error without one": {Text: "no", As: []Typed{{"proxy", json.RawMessage(`{"Proxy":"p:1"}`)}}},
		"a host's error without one":  {Text: "no", As: []Typed{{"host", json.RawMessage(`{"Host":"h"}`)}}},
	} {
		r := Reading{Place: "contoso", System: "DNS", Ask: "A x", Shape: shape(reflect.TypeFor[string]()), Error: &f}
		_, err := Read(t.Context(), Replay(Snapshot{Readings: []Reading{r}}, nil), "contoso", "DNS", "A x",
			func(context.Context) (string, error) { return "", nil })
		if !errors.Is(err, ErrNotHeld) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A file that says two things, that has no clock, or that says more than this version reads is refused.
func TestDecodeRefuses(t *testing.T) {
	file := func(more, readings string) string {
		return `{"apiVersion":"hybridge/v1","kind":"Snapshot","hybridge":"1","answers":` + string(answersOf("zyxwolt.test")) +
			more + `,"readings":[` + readings + `]}`
	}
	const clock = `,"takenAt":"2026-11-27T00:00:00Z"`
	const reading = `{"place":"zyxwolt","system":"DNS","ask":"A x","shape":"s"}`
	if _, err := Decode(strings.NewReader(file(clock, reading))); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"twice":    file(clock, reading+","+reading),
		"no clock": file("", reading),
		"more":     file(clock+`,"later":1`, reading),
	} {
		if _, err := Decode(strings.NewReader(text)); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An authority is kept for a certificate that has expired too.
func TestRootOfAnExpiredCertificate(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)
	ca := &x509.Certificate{Subject: pkix.Name{CommonName: "CA"}, SerialNumber: big.NewInt(1), NotBefore: now.AddDate(-9, 0, 0), NotAfter: now.AddDate(9, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: now.AddDate(-2, 0, 0), NotAfter: now.AddDate(-1, 0, 0)}
	made := func(c *x509.Certificate) *x509.Certificate {
		der, err := x509.CreateCertificate(rand.Reader, c, ca, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	root, pool, tape := made(ca), x509.NewCertPool(), Record(nil)
	pool.AddCert(root)
	tape.saw(made(leaf))
	if roots := tape.Roots(pool, now); len(roots) != 1 || !bytes.Equal(roots[0], root.Raw) {
		t.Errorf("%d roots", len(roots))
	}
}

// A text that Microsoft's wizard packed is readable afterwards, and names nothing.
func TestRedactedPackedText(t *testing.T) {
	r := testRedactor(t)
	var text []byte
	for _, u := range utf16.Encode([]rune("<Run><Server>qwelfgar.zyxwolt.test</Server><Count>7</Count></Run>")) {
		text = binary.LittleEndian.AppendUint16(text, u)
	}
	got := inflated(r.bytes(deflated(text)))
	plain := strings.ReplaceAll(string(got), "\x00", "")
	if !strings.HasPrefix(plain, "<Run><Server>") || !strings.Contains(plain, "<Count>7</Count>") ||
		strings.Contains(plain, "qwelfgar") {
		t.Errorf("%q", plain)
	}
}
