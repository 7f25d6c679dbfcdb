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
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jcmturner/gokrb5/v8/iana/patype"
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
	answer  func(request []byte) []byte
	header  []byte // in place of the length and the answer
	asked   int
	proofs  int // requests with an encrypted timestamp: a password can be guessed from them
}

func newRogue(t testing.TB, answer func(request []byte) []byte) *rogue {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	r := &rogue{address: l.Addr().String(), answer: answer}
	go func() {
		for {
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
				r.asked++
				if as.Unmarshal(request) == nil {
					for _, pa := range as.PAData {
						if pa.PADataType == 2 {
							r.proofs++
						}
					}
				}
				if r.header != nil {
					_, _ = conn.Write(r.header)
					r.mu.Unlock()
					return
				}
				answer := r.answer(request)
				r.mu.Unlock()
				_, _ = conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(answer))), answer...))
			}()
		}
	}()
	return r
}

// config is a krb5.conf that leads to the rogue.
func (r *rogue) config(t testing.TB) string {
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
	c, err := kerberos.New(kerberos.Config{User: userName + "@" + realmName, Password: secret.NewValue(password),
		Krb5Config: r.config(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Context(t.Context(), "HTTP/ex1.contoso.test")
	return err
}

// forgedAnswers are the parameters of a key that an unauthenticated domain controller may ask for,
// with the words of the refusal.
var forgedAnswers = map[string]struct {
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
}

// An unauthenticated domain controller gets no proof from which a password is cheap to guess. It
// cannot cause endless work or a crash.
func TestRogueDomainController(t *testing.T) {
	for name, test := range forgedAnswers {
		t.Run(name, func(t *testing.T) {
			answer := wants(t, test.info)
			r := newRogue(t, func([]byte) []byte { return answer })
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
		r := newRogue(t, func([]byte) []byte { return answer })
		if err := r.signIn(t); err == nil || errors.Is(err, link.ErrUntrusted) || r.proofs == 0 {
			t.Errorf("%v, %d proofs", err, r.proofs)
		}
	})
}

// Three thousand mutated answers, a thousand at every step of a sign-in: no panic, and no ticket
// but the one that the domain controller issued.
func TestMutatedAnswers(t *testing.T) {
	for target, name := range []string{"ask for a proof", "sign in", "ticket"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(1, uint64(target))) //nolint:gosec // the same each time
			domain, step := newRealm(t), -1
			r := newRogue(t, func(request []byte) []byte {
				if answer := domain.answer(request); stepOf(request) != step {
					return answer
				} else {
					return mutate(random, answer)
				}
			})
			conf := r.config(t)
			attempt := func() error {
				c, err := kerberos.New(kerberos.Config{User: userName + "@" + realmName,
					Password: secret.NewValue(password), Krb5Config: conf})
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				s, err := c.Context(t.Context(), "HTTP/ex1.contoso.test")
				if err != nil {
					return err
				}
				defer s.Close()
				token, _, err := s.Step(nil)
				if err == nil {
					if fault := domain.opens(token); fault != nil {
						t.Errorf("a ticket that the domain did not issue: %v", fault)
					}
				}
				return err
			}
			// otherwise the mutations prove nothing
			if err := attempt(); err != nil || domain.issued != 1 {
				t.Fatalf("answers as they should be: %v", err)
			}
			step = target
			refused := 0
			for range 1000 {
				if attempt() != nil {
					refused++
				}
			}
			// What no key protects may change: a salt that is not used, the ticket that only the
			// service reads.
			if t.Logf("%d refused", refused); refused < 500 {
				t.Errorf("only %d of 1000 refused", refused)
			}
		})
	}
}

// stepOf is the step of a sign-in that a request belongs to.
func stepOf(request []byte) int {
	var as messages.ASReq
	switch {
	case as.Unmarshal(request) != nil:
		return 2
	case as.PAData.Contains(patype.PA_ENC_TIMESTAMP):
		return 1
	}
	return 0
}

// mutate changes a message in one to four places.
func mutate(random *rand.Rand, message []byte) []byte {
	message = append([]byte{}, message...)
	for range 1 + random.IntN(4) {
		at := random.IntN(len(message))
		switch random.IntN(4) {
		case 0:
			message = message[:at+1]
		case 1:
			message[at] ^= 1 << random.IntN(8)
		default:
			message[at] = byte(random.IntN(256)) //nolint:gosec // a byte
		}
	}
	return message
}

// gokrb5 renews a ticket by itself, in a goroutine in which a panic ends the program. An attacker
// who changes the answer to that does not reach it. The name in a ticket is not encrypted.
func TestRenewalCannotCrash(t *testing.T) {
	domain := newRealm(t)
	domain.lifetime = 3 * time.Second // renewed after 2.5 s
	var forged atomic.Bool
	asked := make(chan struct{}, 100)
	r := newRogue(t, func(request []byte) []byte {
		answer := domain.answer(request)
		if !forged.Load() {
			return answer
		}
		asked <- struct{}{}
		var rep messages.TGSRep
		if err := rep.Unmarshal(answer); err != nil {
			return answer
		}
		rep.Ticket.SName.NameString = nil
		raw, err := rep.Marshal()
		if err != nil {
			t.Error(err)
		}
		return raw
	})
	c, err := kerberos.New(kerberos.Config{User: userName + "@" + realmName, Password: secret.NewValue(password),
		Krb5Config: r.config(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Context(t.Context(), "HTTP/ex1.contoso.test"); err != nil {
		t.Fatal(err)
	}
	forged.Store(true)
	select {
	case <-asked:
		t.Error("a domain controller was asked between two sign-ins")
		time.Sleep(time.Second) // for the panic
	case <-time.After(4 * time.Second):
	}
	// The same answer, asked for by hybridge.
	if _, err := c.Context(t.Context(), "ldap/dc1.contoso.test"); err == nil {
		t.Error("a ticket without a name was taken")
	}
	if len(asked) == 0 {
		t.Error("the domain controller was not asked: this test sees nothing")
	}
}

// A KDC that announces an answer of four gigabytes makes the program allocate none of them, with a
// ticket cache as with a password.
func TestHugeAnswer(t *testing.T) {
	domain := newRealm(t)
	r := newRogue(t, nil)
	r.header = []byte{0xff, 0xff, 0xff, 0xff}
	conf := r.config(t)
	for name, c := range map[string]kerberos.Config{
		"password":     {User: userName + "@" + realmName, Password: secret.NewValue(password), Krb5Config: conf},
		"ticket cache": {TicketCache: domain.cache(t), Krb5Config: conf},
	} {
		t.Run(name, func(t *testing.T) {
			client, err := kerberos.New(c)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			before := r.asked
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			allocated := m.TotalAlloc
			_, err = client.Context(t.Context(), "HTTP/ex1.contoso.test")
			runtime.ReadMemStats(&m)
			r.mu.Lock()
			defer r.mu.Unlock()
			if err == nil || r.asked == before {
				t.Fatalf("asked %d times: %v", r.asked-before, err)
			}
			if n := m.TotalAlloc - allocated; n > 1<<30 {
				t.Errorf("%d bytes allocated: %v", n, err)
			}
		})
	}
}
