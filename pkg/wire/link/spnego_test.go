package link

import (
	"encoding/asn1"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/wire/link/ntlm"
)

func initToken(t *testing.T, mechanisms []asn1.ObjectIdentifier, message []byte) []byte {
	t.Helper()
	inner, err := asn1.MarshalWithParams(struct {
		Mechanisms []asn1.ObjectIdentifier `asn1:"explicit,tag:0"`
		Token      []byte                  `asn1:"explicit,tag:2"`
	}{mechanisms, message}, "explicit,tag:0")
	if err != nil {
		t.Fatal(err)
	}
	oid, err := asn1.Marshal(oidSPNEGO)
	if err != nil {
		t.Fatal(err)
	}
	out, err := asn1.Marshal(asn1.RawValue{Class: asn1.ClassApplication, Tag: 0, IsCompound: true,
		Bytes: append(oid, inner...)})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestNTLMInSPNEGO signs in as .NET does: every NTLM message inside SPNEGO, with NTLM first or
// second.
func TestNTLMInSPNEGO(t *testing.T) {
	kerberos := asn1.ObjectIdentifier{1, 2, 840, 113554, 1, 2, 2}
	for name, tt := range map[string]struct {
		mechanisms []asn1.ObjectIdentifier
		password   string
		want       int
	}{
		"NTLM alone":            {[]asn1.ObjectIdentifier{oidNTLM}, "Passw0rd!", http.StatusOK},
		"NTLM after Kerberos":   {[]asn1.ObjectIdentifier{kerberos, oidNTLM}, "Passw0rd!", http.StatusOK},
		"with a wrong password": {[]asn1.ObjectIdentifier{oidNTLM}, "wrong", http.StatusUnauthorized},
		"without NTLM":          {[]asn1.ObjectIdentifier{kerberos}, "Passw0rd!", http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			g := guardedServer(t, &Accept{NTLM: true})
			plain := g.link.Client(nil)
			send := func(token []byte) (int, []byte) {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.url, strings.NewReader("x"))
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Authorization", "Negotiate "+base64.StdEncoding.EncodeToString(token))
				resp, err := plain.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				_, value, _ := strings.Cut(resp.Header.Get("WWW-Authenticate"), " ")
				answer, _ := base64.StdEncoding.DecodeString(value)
				return resp.StatusCode, answer
			}
			client := ntlm.Client{Domain: "CONTOSO", User: "alice", Hash: ntlm.HashOf(tt.password)}
			read := func(token []byte) negTokenResp {
				var r negTokenResp
				if _, err := asn1.UnmarshalWithParams(token, &r, "explicit,tag:1"); err != nil {
					return negTokenResp{State: -1}
				}
				return r
			}
			first := client.Negotiate()
			status, answer := send(initToken(t, tt.mechanisms, first))
			resp := read(answer)
			if resp.State == -1 {
				if tt.want != http.StatusUnauthorized {
					t.Fatalf("no SPNEGO answer: %d %x", status, answer)
				}
				return
			}
			if len(resp.Token) == 0 { // NTLM was chosen; its first message comes now
				_, answer = send(wrapNTLM(negotiationIncomplete, first))
				resp = read(answer)
			}
			last, err := client.Authenticate(resp.Token)
			if err != nil {
				t.Fatal(err)
			}
			status, answer = send(wrapNTLM(negotiationIncomplete, last))
			if status != tt.want {
				t.Errorf("status %d, want %d", status, tt.want)
			}
			if status == http.StatusOK && read(answer).State != negotiationComplete {
				t.Errorf("the end: %x", answer)
			}
		})
	}
}
