package ntlm

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestProtocolExample is MS-NLMP 4.2.4, NTLMv2: user "User" of "Domain", password "Password".
func TestProtocolExample(t *testing.T) {
	key := responseKey(HashOf("Password"), "Domain", "User")
	if want := unhex(t, "0c868a403bfd7a93a3001ef22ef02e3f"); !bytes.Equal(key, want) {
		t.Errorf("NTOWFv2 %x, want %x", key, want)
	}
	serverChallenge := unhex(t, "0123456789abcdef")
	clientChallenge := unhex(t, "aaaaaaaaaaaaaaaa")
	info := encodeAV([]avPair{{avNbDomainName, toUTF16("Domain")}, {avNbComputerName, toUTF16("Server")}})
	temp := append([]byte{1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, clientChallenge...)
	temp = append(append(append(temp, 0, 0, 0, 0), info...), 0, 0, 0, 0)
	proof := hmacMD5(key, serverChallenge, temp)
	if want := unhex(t, "68cd0ab851e51c96aabc927bebef6a1c"); !bytes.Equal(proof, want) {
		t.Errorf("NTProofStr %x, want %x", proof, want)
	}
	if want := unhex(t, "8de40ccadbc14a82f15cb0ad0de95ca3"); !bytes.Equal(hmacMD5(key, proof), want) {
		t.Errorf("SessionBaseKey %x, want %x", hmacMD5(key, proof), want)
	}
	if lm, want := hmacMD5(key, serverChallenge, clientChallenge), unhex(t,
		"86c35097ac9cec102554764a57cccc19"); !bytes.Equal(lm, want) {
		t.Errorf("LMv2 %x, want %x", lm, want)
	}
}

func lookup(user, password string) func(Identity) (Hash, bool) {
	return func(i Identity) (Hash, bool) {
		if i.String() != user {
			return Hash{}, false
		}
		return HashOf(password), true
	}
}

func TestExchange(t *testing.T) {
	binding := [16]byte{1, 2, 3}
	for _, tt := range []struct {
		name       string
		client     Client
		protection Protection
		password   string
		tamper     func([]byte)
		want       error
	}{
		{name: "fine", client: Client{Domain: "CONTOSO", User: "alice"}, password: "secret"},
		// the lookup here minds case
		{name: "case of the user", client: Client{Domain: "CONTOSO", User: "ALICE"}, password: "secret",
			want: ErrLogon},
		{name: "user principal name", client: Client{User: "alice@contoso.com"}, password: "secret"},
		{name: "target and bindings", client: Client{Domain: "CONTOSO", User: "alice", Target: "HTTP/mail",
			ChannelBinding: binding}, protection: ProtectionRequire, password: "secret"},
		{name: "no bindings", client: Client{Domain: "CONTOSO", User: "alice"}, protection: ProtectionRequire,
			password: "secret", want: ErrChannelBinding},
		{name: "other bindings", client: Client{Domain: "CONTOSO", User: "alice", ChannelBinding: [16]byte{9}},
			protection: ProtectionAllow, password: "secret", want: ErrChannelBinding},
		{name: "wrong password", client: Client{Domain: "CONTOSO", User: "alice"}, password: "wrong", want: ErrLogon},
		{name: "unknown user", client: Client{Domain: "CONTOSO", User: "mallory"}, password: "", want: ErrLogon},
		{name: "flags changed on the way", client: Client{Domain: "CONTOSO", User: "alice"}, password: "secret",
			tamper: func(b []byte) { b[62] ^= 0x10 }, want: ErrIntegrity},
		{name: "anonymous", client: Client{}, want: ErrLogon},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := Server{Domain: "CONTOSO", Computer: "EX1", DNSDomain: "contoso.com",
				DNSComputer: "ex1.contoso.com", Protection: tt.protection, ChannelBinding: binding}
			client := tt.client
			client.Hash = HashOf(tt.password)
			challenge, err := server.Challenge(client.Negotiate())
			if err != nil {
				t.Fatal(err)
			}
			answer, err := client.Authenticate(challenge)
			if err != nil {
				t.Fatal(err)
			}
			if tt.tamper != nil {
				tt.tamper(answer)
			}
			user := Identity{"CONTOSO", "alice"}.String()
			if client.Domain == "" {
				user = client.User
			}
			_, err = server.Verify(answer, lookup(user, "secret"))
			if tt.name == "anonymous" && !strings.Contains(fmt.Sprint(err), "anonymous") {
				t.Errorf("does not say who: %v", err)
			}
			if !errors.Is(err, tt.want) || tt.want == nil && err != nil {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if _, err := server.Verify(answer, lookup(user, "secret")); err == nil {
				t.Error("a challenge was good for a second try")
			}
		})
	}
}

// An unknown user is refused, also when the hash that the lookup returns, that of no password,
// fits.
func TestUnknownUserWithoutPassword(t *testing.T) {
	server := Server{Domain: "CONTOSO"}
	client := Client{Domain: "CONTOSO", User: "mallory", Hash: HashOf("")}
	challenge, err := server.Challenge(client.Negotiate())
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.Authenticate(challenge)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := server.Verify(answer, func(Identity) (Hash, bool) { return HashOf(""), false }); !errors.Is(err,
		ErrLogon) {
		t.Errorf("got %v", err)
	}
}

// TestKeyExchange is a server that insists on a session key of the client's choice.
func TestKeyExchange(t *testing.T) {
	server := Server{Domain: "CONTOSO"}
	client := Client{Domain: "CONTOSO", User: "alice", Hash: HashOf("secret")}
	negotiate := client.Negotiate()
	negotiate[15] |= flagKeyExchange >> 24
	challenge, err := server.Challenge(negotiate)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.Authenticate(challenge)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := server.Verify(answer, lookup(`CONTOSO\alice`, "secret")); err != nil {
		t.Error(err)
	}
}

// TestRecordedClient: the first and third message of python's ntlm-auth, as exchangelib sent them.
// The password is right, the challenge was another one.
func TestRecordedClient(t *testing.T) {
	decode := func(s string) []byte {
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	var server Server
	if _, err := server.Challenge(decode("TlRMTVNTUAABAAAAMpCI4gcABwAoAAAAAAAAAC8AAAAGAbEdAAAAD0NPTlRPU08=")); err != nil {
		t.Fatal(err)
	}
	m, err := parseAuthenticate(decode("TlRMTVNTUAADAAAAGAAYAHAAAADYANgAiAAAAA4ADgBYAAAACgAKAGYAAAAAAAAAcAAAAAAAAABgAQAAA4KJogYBsR0AAAAPeRSLTkPcu1jF1sJ5X5frCEMATwBOAFQATwBTAE8AYQBsAGkAYwBlAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAI/lBdeb1+IzrbUIjeEYVGMBAQAAAAAAADCaN9Y9et0BGZzfVR4/3rQAAAAAAgAOAEMATwBOAFQATwBTAE8AAQAIAEUAWAAwADEABAAYAGMAbwBuAHQAbwBzAG8ALgB0AGUAcwB0AAMAIgBlAHgAMAAxAC4AYwBvAG4AdABvAHMAbwAuAHQAZQBzAHQABQAYAGMAbwBuAHQAbwBzAG8ALgB0AGUAcwB0AAcACAAwmjfWPXrdAQYABAACAAAACgAQAP9b96nLEvC2fMIs5Lwi/zsAAAAAAAAAAA=="))
	if err != nil {
		t.Fatal(err)
	}
	if m.identity.String() != `CONTOSO\alice` {
		t.Errorf("identity %s", m.identity)
	}
	if v, ok := findAV(m.pairs, avChannelBindings); !ok || len(v) != 16 {
		t.Errorf("channel bindings %x", v)
	}
}

// TestEndPointBinding pins the binding of an empty certificate, worked out by hand: MD5 over 16
// zero bytes, the length 53 and the prefix with the SHA-256 of nothing.
func TestEndPointBinding(t *testing.T) {
	got, ok := EndPointBinding(&x509.Certificate{SignatureAlgorithm: x509.SHA1WithRSA})
	if want := unhex(t, "cf763932e9d2616ab952b63b584204e3"); !ok || !bytes.Equal(got[:], want) {
		t.Errorf("got %x, want %x", got, want)
	}
	if _, ok := EndPointBinding(&x509.Certificate{SignatureAlgorithm: x509.PureEd25519}); ok {
		t.Error("RFC 5929 leaves Ed25519 undefined")
	}
	long, _ := EndPointBinding(&x509.Certificate{SignatureAlgorithm: x509.ECDSAWithSHA384})
	if long == got {
		t.Error("SHA-384 was not used")
	}
}

func TestFileTime(t *testing.T) {
	if got, want := fileTime(time.Unix(0, 0)), unhex(t, "00803ed5deb19d01"); !bytes.Equal(got, want) {
		t.Errorf("1970: %x, want %x", got, want)
	}
}

func FuzzAuthenticate(f *testing.F) {
	client := Client{Domain: "CONTOSO", User: "alice", Hash: HashOf("secret")}
	server := Server{}
	challenge, err := server.Challenge(client.Negotiate())
	if err != nil {
		f.Fatal(err)
	}
	answer, err := client.Authenticate(challenge)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][]byte{answer, challenge, client.Negotiate(), nil, answer[:64], answer[:88]} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		server := Server{Protection: ProtectionAllow}
		_, _ = server.Challenge(b)
		_, _ = server.Challenge(client.Negotiate())
		if _, err := server.Verify(b, lookup(`CONTOSO\alice`, "secret")); err == nil {
			t.Fatal("let in by an answer to another challenge")
		}
		c := Client{User: "alice"}
		c.Negotiate()
		_, _ = c.Authenticate(b)
	})
}
