package change

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestShown(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Microsoft Exchange Server Auth Certificate"},
		NotAfter: time.Date(2030, 11, 22, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate := base64.StdEncoding.EncodeToString(der)
	shown := fmt.Sprintf(`(certificate "CN=Microsoft Exchange Server Auth Certificate", thumbprint %X, until 2030-11-22)`, sha1.Sum(der))
	long := strings.Repeat("ab ", 200)
	for _, test := range []struct {
		in   any
		want string
	}{
		{nil, "(nothing)"},
		{"", `""`},
		{"https://a.example/" + strings.Repeat("x", 200), `"https://a.example/` + strings.Repeat("x", 200) + `"`},
		{certificate, shown},
		{strings.Repeat("A", 120), `"AAAAAAAAAAAA" (the beginning of 120 characters)`},
		{long, `"` + long[:longest] + `" (the beginning of 600 bytes)`},
		{[]string{"a", "b"}, `["a", "b"]`},
		{[]any{map[string]any{"key": certificate, "id": "x"}}, `[{id: "x", key: ` + shown + `}]`},
		{Ref{Change: "entra/Application/App-1f3a7c52-9b1e-4c37-8a54-2d6e0f9b1c01", Property: "appId"},
			"(the appId of Application/App-1f3a7c52.., once it is made)"},
		{Ref{Change: "onprem/contoso/AuthServer/evosts", Property: "Identity"},
			"(the Identity of AuthServer/evosts, once it is made)"},
		{true, "true"}, {int64(5), "5"},
	} {
		if diff := cmp.Diff(test.want, Shown(test.in).String()); diff != "" {
			t.Errorf("%v: %s", test.in, diff)
		}
	}
}
