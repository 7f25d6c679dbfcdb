// Package attack_test attacks hybridge from the network: a rogue domain controller takes the place
// of the real one.
package attack_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/iana/nametype"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/wire/kerberos"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// rogue is a domain controller with prepared answers. It records the requests.
type rogue struct {
	address string
	mu      sync.Mutex
	answer  func(n int) []byte
	proofs  int // requests with an encrypted timestamp: a password can be guessed from them
}

func newRogue(t *testing.T, answer func(n int) []byte) *rogue {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	r := &rogue{address: l.Addr().String(), answer: answer}
	go func() {
		for n := 0; ; n++ {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
				var head [4]byte
				if _, err := io.ReadFull(conn, head[:]); err != nil {
					return
				}
				request := make([]byte, binary.BigEndian.Uint32(head[:]))
				if _, err := io.ReadFull(conn, request); err != nil {
					return
				}
				var as messages.ASReq
				r.mu.Lock()
				if as.Unmarshal(request) == nil {
					for _, pa := range as.PAData {
						if pa.PADataType == 2 {
							r.proofs++
						}
					}
				}
				answer := r.answer(n)
				r.mu.Unlock()
				_, _ = conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(answer))), answer...))
			}()
		}
	}()
	return r
}

// config is a krb5.conf that leads to the rogue.
func (r *rogue) config(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "krb5.conf")
	text := fmt.Sprintf("[libdefaults]\n default_realm = CONTOSO.TEST\n dns_lookup_kdc = false\n"+
		" permitted_enctypes = aes256-cts-hmac-sha1-96 aes128-cts-hmac-sha1-96\n[realms]\n CONTOSO.TEST = {\n  kdc = "+
		"%s\n }\n",
		r.address)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// signIn requests a ticket with a password.
func (r *rogue) signIn(t *testing.T) error {
	t.Helper()
	c, err := kerberos.New(kerberos.Config{User: "admin@CONTOSO.TEST", Password: secret.NewValue("s3cret"),
		Krb5Config: r.config(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Context(t.Context(), "HTTP/ex1.contoso.test")
	return err
}

// wants is the answer of a domain controller that requires pre-authentication, with these
// parameters of the key derivation.
func wants(t *testing.T, entries types.ETypeInfo2) []byte {
	t.Helper()
	info, err := asn1.Marshal(entries)
	if err != nil {
		t.Fatal(err)
	}
	data, err := asn1.Marshal(types.PADataSequence{{PADataType: 19, PADataValue: info}, {PADataType: 2}})
	if err != nil {
		t.Fatal(err)
	}
	e := messages.NewKRBError(types.NewPrincipalName(nametype.KRB_NT_SRV_INST, "krbtgt/CONTOSO.TEST"), "CONTOSO.TEST",
		25, "")
	e.EData = data
	raw, err := e.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func entry(kind int32, iterations ...uint32) types.ETypeInfo2Entry {
	e := types.ETypeInfo2Entry{EType: kind, Salt: "CONTOSO.TESTadmin"}
	for _, n := range iterations {
		e.S2KParams = binary.BigEndian.AppendUint32(e.S2KParams, n)
	}
	return e
}

// An unauthenticated domain controller gets no proof from which a password is cheap to guess. It
// cannot cause endless work or a crash.
func TestRogueDomainController(t *testing.T) {
	for name, test := range map[string]struct {
		info types.ETypeInfo2
		says string
	}{
		"RC4":                    {types.ETypeInfo2{entry(23)}, "encryption type 23"},
		"DES":                    {types.ETypeInfo2{entry(3)}, "encryption type 3"},
		"one iteration":          {types.ETypeInfo2{entry(18, 1)}, "1 iterations"},
		"no iteration":           {types.ETypeInfo2{entry(18, 0)}, "0 iterations"},
		"iterations without end": {types.ETypeInfo2{entry(18, 1<<32-1)}, "4294967295 iterations"},
		"odd parameters":         {types.ETypeInfo2{entry(18, 4096, 4096)}, "do not parse"},
		"no types":               {types.ETypeInfo2{}, "empty"},
		"RC4 before AES":         {types.ETypeInfo2{entry(23), entry(18)}, "encryption type 23"},
	} {
		t.Run(name, func(t *testing.T) {
			answer := wants(t, test.info)
			r := newRogue(t, func(int) []byte { return answer })
			begun := time.Now()
			err := r.signIn(t)
			if !errors.Is(err, link.ErrUntrusted) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v", err)
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			if r.proofs > 0 || time.Since(begun) > 10*time.Second {
				t.Errorf("%d proofs, after %s", r.proofs, time.Since(begun))
			}
		})
	}
	// otherwise the other cases prove nothing
	t.Run("one that asks as it should", func(t *testing.T) {
		answer := wants(t, types.ETypeInfo2{entry(18, 4096)})
		r := newRogue(t, func(int) []byte { return answer })
		if err := r.signIn(t); err == nil || errors.Is(err, link.ErrUntrusted) || r.proofs == 0 {
			t.Errorf("%v, %d proofs", err, r.proofs)
		}
	})
}

// Three thousand mutated answers: no panic, no ticket.
func TestMutatedAnswers(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same each time
	seeds := [][]byte{wants(t, types.ETypeInfo2{entry(18, 4096)}), wants(t, types.ETypeInfo2{entry(17)})}
	rep := messages.ASRep{KDCRepFields: messages.KDCRepFields{
		PVNO: 5, MsgType: 11, CRealm: "CONTOSO.TEST", CName: types.NewPrincipalName(nametype.KRB_NT_PRINCIPAL, "admin"),
		Ticket: messages.Ticket{TktVNO: 5, Realm: "CONTOSO.TEST",
			SName:   types.NewPrincipalName(nametype.KRB_NT_SRV_INST, "krbtgt/CONTOSO.TEST"),
			EncPart: types.EncryptedData{EType: 18, Cipher: make([]byte, 64)}},
		EncPart: types.EncryptedData{EType: 18, Cipher: make([]byte, 64)},
	}}
	if raw, err := rep.Marshal(); err == nil {
		seeds = append(seeds, raw)
	} else {
		t.Fatal(err)
	}
	r := newRogue(t, func(int) []byte {
		answer := append([]byte{}, seeds[random.IntN(len(seeds))]...)
		for range 1 + random.IntN(4) {
			at := random.IntN(len(answer))
			switch random.IntN(4) {
			case 0:
				answer = answer[:at+1]
			case 1:
				answer[at] ^= 1 << random.IntN(8)
			default:
				answer[at] = byte(random.IntN(256)) //nolint:gosec // a byte
			}
		}
		return answer
	})
	conf := r.config(t)
	for asked := 0; asked < 3000; {
		c, err := kerberos.New(kerberos.Config{User: "admin@CONTOSO.TEST", Password: secret.NewValue("s3cret"),
			Krb5Config: conf})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Context(t.Context(), "HTTP/ex1.contoso.test"); err == nil {
			t.Error("a mutated answer is a ticket")
		}
		c.Close()
		asked++
	}
}
