package kerberos

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
	"github.com/jcmturner/gokrb5/v8/gssapi"
	"github.com/jcmturner/gokrb5/v8/iana/chksumtype"
	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
	"github.com/jcmturner/gokrb5/v8/iana/flags"
	"github.com/jcmturner/gokrb5/v8/iana/nametype"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
)

var sealing = []int32{etypeID.AES128_CTS_HMAC_SHA1_96, etypeID.AES256_CTS_HMAC_SHA1_96,
	etypeID.AES128_CTS_HMAC_SHA256_128, etypeID.AES256_CTS_HMAC_SHA384_192}

func channels(t testing.TB, encryption int32, subkey bool) (initiator, acceptor *channel) {
	t.Helper()
	key, err := randomKey(encryption)
	if err != nil {
		t.Fatal(err)
	}
	initiator, err = newChannel(key, subkey, true, 100, 1<<32-1)
	if err != nil {
		t.Fatal(err)
	}
	acceptor, err = newChannel(key, subkey, false, 1<<32-1, 100)
	if err != nil {
		t.Fatal(err)
	}
	return initiator, acceptor
}

func TestSeal(t *testing.T) {
	for _, encryption := range sealing {
		for _, subkey := range []bool{false, true} {
			t.Run(fmt.Sprint(encryption, subkey), func(t *testing.T) {
				a, b := channels(t, encryption, subkey)
				for i, plain := range [][]byte{[]byte("hello"), {}, bytes.Repeat([]byte("x"), 200_000),
					[]byte("1234567890123456")} {
					for _, way := range [][2]*channel{{a, b}, {b, a}} {
						signature, sealed, err := way[0].seal(plain)
						if err != nil {
							t.Fatal(err)
						}
						if len(sealed) != len(plain) {
							t.Errorf("sealed text of %d bytes, plain of %d", len(sealed), len(plain))
						}
						if encryption == etypeID.AES256_CTS_HMAC_SHA1_96 && len(signature) != 60 {
							t.Errorf("signature of %d bytes; Windows makes one of 60", len(signature))
						}
						got, err := way[1].unseal(signature, sealed)
						if err != nil || !bytes.Equal(got, plain) {
							t.Fatalf("message %d: %v", i, err)
						}
					}
				}
			})
		}
	}
}

// TestUnsealForeign opens what other implementations may write: any rotation, and filler bytes.
func TestUnsealForeign(t *testing.T) {
	a, b := channels(t, etypeID.AES256_CTS_HMAC_SHA1_96, true)
	for i, test := range []struct{ extra, rotate int }{{0, 0}, {0, 28}, {0, 1}, {0, 10_000}, {16, 44}, {3, 65535}} {
		header := []byte{5, 4, flagSealed | flagAcceptorSubkey, 0xff, 0, byte(test.extra), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
		binary.BigEndian.PutUint64(header[8:], 100+uint64(i))
		plain := []byte("hello")
		_, cipher, err := a.etype.EncryptMessage(a.key.KeyValue,
			append(append(append([]byte{}, plain...), make([]byte, test.extra)...), header...), usageInitiatorSeal)
		if err != nil {
			t.Fatal(err)
		}
		n := test.rotate % len(cipher)
		cipher = append(append([]byte{}, cipher[len(cipher)-n:]...), cipher[:len(cipher)-n]...)
		binary.BigEndian.PutUint16(header[6:], uint16(test.rotate))
		got, err := b.unseal(header, cipher)
		if err != nil || string(got) != "hello" {
			t.Errorf("%+v: %q, %v", test, got, err)
		}
	}
}

func TestUnsealRefuses(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(signature, sealed []byte) ([]byte, []byte)
		want   string
	}{
		{"altered text", func(g, s []byte) ([]byte, []byte) { s[0] ^= 1; return g, s }, errUnseal.Error()},
		{"altered signature", func(g, s []byte) ([]byte, []byte) { g[20] ^= 1; return g, s }, errUnseal.Error()},
		{"altered number", func(g, s []byte) ([]byte, []byte) { g[15] ^= 1; return g, s }, errUnseal.Error()},
		{"altered filler", func(g, s []byte) ([]byte, []byte) { g[5] = 1; return g, s }, errUnseal.Error()},
		{"cut off", func(g, s []byte) ([]byte, []byte) { return g[:40], nil }, "cut off"},
		{"empty", func(g, s []byte) ([]byte, []byte) { return nil, nil }, "not a sealed message"},
		{"other direction", func(g, s []byte) ([]byte, []byte) { g[2] ^= flagByAcceptor; return g, s }, "flags"},
		{"not encrypted", func(g, s []byte) ([]byte, []byte) { g[2] &^= flagSealed; return g, s }, "flags"},
		{"other key", func(g, s []byte) ([]byte, []byte) { g[2] ^= flagAcceptorSubkey; return g, s }, "flags"},
		{"much filler", func(g, s []byte) ([]byte, []byte) { g[4] = 0xff; return g, s }, "cut off"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, b := channels(t, etypeID.AES256_CTS_HMAC_SHA1_96, true)
			signature, sealed, _ := a.seal([]byte("hello"))
			signature, sealed = test.change(signature, sealed)
			if got, err := b.unseal(signature, sealed); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	t.Run("order", func(t *testing.T) {
		a, b := channels(t, etypeID.AES256_CTS_HMAC_SHA1_96, true)
		g1, s1, _ := a.seal([]byte("one"))
		g2, s2, _ := a.seal([]byte("two"))
		if _, err := b.unseal(g2, s2); err == nil {
			t.Error("took the second message first")
		}
		if _, err := b.unseal(g1, s1); err != nil {
			t.Error(err)
		}
		if _, err := b.unseal(g1, s1); err == nil || !strings.Contains(err.Error(), "repeated") {
			t.Errorf("took a message twice: %v", err)
		}
		if _, err := b.unseal(g2, s2); err != nil {
			t.Error(err)
		}
	})
	if _, err := newChannel(types.EncryptionKey{KeyType: etypeID.RC4_HMAC, KeyValue: make([]byte, 16)}, false, true, 0,
		0); err == nil {
		t.Error("RC4 would seal")
	}
}

var (
	admin   = types.PrincipalName{NameType: nametype.KRB_NT_PRINCIPAL, NameString: []string{"admin"}}
	service = types.PrincipalName{NameType: nametype.KRB_NT_SRV_INST, NameString: []string{"HTTP", "ex1.contoso.com"}}
)

// realm holds a service's key and issues tickets for it, as a key distribution center would.
type realm struct {
	t        testing.TB
	keys     *keytab.Keytab
	acceptor *Acceptor
}

func newRealm(t testing.TB) *realm {
	t.Helper()
	keys := keytab.New()
	for _, e := range sealing {
		if err := keys.AddEntry("HTTP/ex1.contoso.com", "CONTOSO.COM", "service", time.Now(), 1, e); err != nil {
			t.Fatal(err)
		}
	}
	data, err := keys.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	a, err := NewAcceptor(data)
	if err != nil {
		t.Fatal(err)
	}
	return &realm{t, keys, a}
}

func (r *realm) ticket(encryption int32, from, until time.Time) (messages.Ticket, types.EncryptionKey) {
	r.t.Helper()
	ticket, _, err := messages.NewTicket(admin, "CONTOSO.COM", service, "CONTOSO.COM", types.NewKrbFlags(), r.keys,
		encryption, 1, from, from, until, until)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := ticket.DecryptEncPart(r.keys, nil); err != nil {
		r.t.Fatal(err)
	}
	return ticket, ticket.DecryptedEncPart.Key
}

func (r *realm) user(encryption int32) *Context {
	ticket, key := r.ticket(encryption, time.Now().Add(-time.Minute), time.Now().Add(time.Hour))
	return &Context{&initiator{spn: "HTTP/ex1.contoso.com", ticket: ticket, session: key, realm: "CONTOSO.COM",
		name: admin}}
}

func TestHandshake(t *testing.T) {
	r := newRealm(t)
	// gokrb5 makes a session key of the wrong length for the fourth; real tickets of it are in
	// test/psrp
	for _, encryption := range sealing[:3] {
		t.Run(fmt.Sprint(encryption), func(t *testing.T) {
			user, server := r.user(encryption), r.acceptor.Context()
			if _, _, err := user.Seal(nil); err == nil {
				t.Error("sealed before the context stands")
			}
			token, done, err := user.Step(nil)
			if err != nil || done {
				t.Fatal(done, err)
			}
			reply, name, err := server.Accept(token)
			if err != nil || name != "admin@CONTOSO.COM" {
				t.Fatal(name, err)
			}
			if _, done, err := user.Step(reply); err != nil || !done {
				t.Fatal(done, err)
			}
			for _, way := range [][2]*Context{{user, server}, {server, user}, {user, server}} {
				g, s, err := way[0].Seal([]byte("hello"))
				if err != nil {
					t.Fatal(err)
				}
				if got, err := way[1].Unseal(g, s); err != nil || string(got) != "hello" {
					t.Errorf("%q, %v", got, err)
				}
			}
			if _, _, err := r.acceptor.Context().Accept(token); !errors.Is(err, ErrReplay) {
				t.Errorf("the token was taken twice: %v", err)
			}
			if _, _, err := server.Accept(token); err == nil {
				t.Error("a context was established twice")
			}
		})
	}
}

// TestNegotiation wraps the token into SPNEGO as browsers and Windows do.
func TestNegotiation(t *testing.T) {
	r := newRealm(t)
	user := r.user(etypeID.AES256_CTS_HMAC_SHA1_96)
	token, _, _ := user.Step(nil)
	reply, name, err := r.acceptor.Context().Accept(negotiationInit(oidMSKerberos, token))
	if err != nil || name == "" || reply[0] != 0xa1 {
		t.Fatal(name, err)
	}
	if _, done, err := user.Step(reply); err != nil || !done {
		t.Error(done, err)
	}
}

func negotiationInit(mechanism, token []byte) []byte {
	tlv := func(tag byte, parts ...[]byte) []byte {
		body := bytes.Join(parts, nil)
		length := []byte{0x82, byte(len(body) >> 8), byte(len(body))}
		if len(body) < 128 {
			length = []byte{byte(len(body))}
		} else if len(body) < 256 {
			length = []byte{0x81, byte(len(body))}
		}
		return append(append([]byte{tag}, length...), body...)
	}
	return tlv(0x60, oidSPNEGO, tlv(0xa0, tlv(0x30, tlv(0xa0, tlv(0x30, mechanism)), tlv(0xa2, tlv(0x04, token)))))
}

func TestReplyIsChecked(t *testing.T) {
	r := newRealm(t)
	for _, test := range []struct {
		name  string
		reply func(own []byte) []byte
		is    error
		text  string
	}{
		{"none", func([]byte) []byte { return []byte{} }, link.ErrAccess, "did not prove itself"},
		{"own token", func(own []byte) []byte { return own }, nil, "kind"},
		{"another context's", func([]byte) []byte {
			other, server := r.user(etypeID.AES256_CTS_HMAC_SHA1_96), r.acceptor.Context()
			token, _, _ := other.Step(nil)
			reply, _, err := server.Accept(token)
			if err != nil {
				t.Fatal(err)
			}
			return reply
		}, link.ErrAccess, "session key"},
		{"garbage", func([]byte) []byte { return frame(tokenReply, []byte{0x30}) }, nil, "parse"},
		{"another mechanism", func([]byte) []byte { return []byte{0x60, 4, 6, 2, 0x2a, 3} }, nil, "another mechanism"},
		{"clock skew", func([]byte) []byte {
			e := messages.NewKRBError(service, "CONTOSO.COM", 37, "")
			b, err := e.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			return frame(tokenError, b)
		}, ErrClockSkew, "clock"},
		{"rejected", func([]byte) []byte { return []byte{0xa1, 7, 0x30, 5, 0xa0, 3, 0x0a, 1, 2} }, nil, "rejected"},
	} {
		t.Run(test.name, func(t *testing.T) {
			user := r.user(etypeID.AES256_CTS_HMAC_SHA1_96)
			token, _, _ := user.Step(nil)
			_, done, err := user.Step(test.reply(token))
			if err == nil || done || test.is != nil && !errors.Is(err, test.is) ||
				!strings.Contains(err.Error(), test.text) {
				t.Errorf("got %v", err)
			}
			if _, _, err := user.Seal(nil); err == nil {
				t.Error("sealed all the same")
			}
		})
	}
	// The right key, but the time of another request, as in a replay of the reply.
	ticket, key := r.ticket(etypeID.AES256_CTS_HMAC_SHA1_96, time.Now().Add(-time.Minute), time.Now().Add(time.Hour))
	user := &initiator{spn: "HTTP/ex1.contoso.com", ticket: ticket, session: key, realm: "CONTOSO.COM", name: admin}
	if _, _, err := user.step(nil); err != nil {
		t.Fatal(err)
	}
	old := *user.authenticator
	old.Cusec ^= 1
	subkey, _ := randomKey(key.KeyType)
	message, err := apReply(old, key, subkey, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := user.step(frame(tokenReply, message)); !errors.Is(err, link.ErrAccess) ||
		!strings.Contains(err.Error(), "another request") {
		t.Errorf("old reply: %v", err)
	}
}

func TestAcceptRefuses(t *testing.T) {
	r := newRealm(t)
	now := time.Now()
	step := func(i *initiator) []byte {
		token, _, err := i.step(nil)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	with := func(from, until time.Time) *initiator {
		ticket, key := r.ticket(etypeID.AES256_CTS_HMAC_SHA1_96, from, until)
		return &initiator{ticket: ticket, session: key, realm: "CONTOSO.COM", name: admin}
	}
	// unlike is a request of a client with other options than this package's.
	unlike := func(i *initiator, asked uint32, mutual bool) []byte {
		a, err := types.NewAuthenticator(i.realm, i.name)
		if err != nil {
			t.Fatal(err)
		}
		sum := make([]byte, 24)
		binary.LittleEndian.PutUint32(sum, 16)
		binary.LittleEndian.PutUint32(sum[20:], asked)
		a.Cksum = types.Checksum{CksumType: chksumtype.GSSAPI, Checksum: sum}
		request, err := messages.NewAPReq(i.ticket, i.session, a)
		if err != nil {
			t.Fatal(err)
		}
		if mutual {
			types.SetFlag(&request.APOptions, flags.APOptionMutualRequired)
		}
		message, err := request.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return frame(tokenRequest, message)
	}
	if _, user, err := r.acceptor.Context().Accept(unlike(with(now, now.Add(time.Hour)), contextFlags,
		true)); err != nil || user == "" {
		t.Fatalf("a client that asks for what ours does: %q, %v", user, err)
	}
	for name, test := range map[string]struct {
		token []byte
		is    error
	}{
		"empty":         {nil, nil},
		"cut off":       {step(with(now, now.Add(time.Hour)))[:200], nil},
		"expired":       {step(with(now.Add(-2*time.Hour), now.Add(-time.Hour))), link.ErrAccess},
		"not yet valid": {step(with(now.Add(time.Hour), now.Add(2*time.Hour))), nil},
		"other user": {func() []byte {
			i := with(now, now.Add(time.Hour))
			i.name = types.PrincipalName{NameType: 1, NameString: []string{"boss"}}
			return step(i)
		}(), nil},
		"other realm": {func() []byte {
			i := with(now, now.Add(time.Hour))
			i.realm = "FABRIKAM.COM"
			return step(i)
		}(), link.ErrAccess},
		"other key": {func() []byte {
			i := with(now, now.Add(time.Hour))
			i.session, _ = randomKey(i.session.KeyType)
			return step(i)
		}(), link.ErrAccess},
		"no mutual flag": {unlike(with(now, now.Add(time.Hour)), contextFlags&^gssapi.ContextFlagMutual, true),
			nil},
		"no mutual option":   {unlike(with(now, now.Add(time.Hour)), contextFlags, false), nil},
		"reply":              {frame(tokenReply, nil), nil},
		"another mechanism":  {negotiationInit([]byte{6, 2, 0x2a, 3}, nil), nil},
		"nested negotiation": {negotiationInit(oidKerberos, negotiationInit(oidKerberos, nil)), nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, user, err := r.acceptor.Context().Accept(test.token)
			if err == nil || user != "" || test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("got %q, %v", user, err)
			}
		})
	}
}

func TestConfig(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	conf := write("krb5.conf", "includedir /etc/krb5.conf.d/\n[libdefaults]\n default_realm = CONTOSO.COM\n")
	none := write("none.conf", "[libdefaults]\n")
	r := newRealm(t)
	keys, _ := r.keys.Marshal()
	pw := secret.NewValue("hush")
	for _, test := range []struct {
		name   string
		config Config
		user   string
		fails  string
	}{
		{"plain", Config{User: "admin", Password: pw, Krb5Config: conf}, "admin@CONTOSO.COM", ""},
		{"user principal name", Config{User: "admin@fabrikam.com", Password: pw, Krb5Config: conf},
			"admin@FABRIKAM.COM", ""},
		{"NetBIOS name", Config{User: `CONTOSO\admin`, Password: pw, Krb5Config: conf}, "admin@CONTOSO.COM", ""},
		{"realm", Config{User: "admin@mail.com", Realm: "corp.local", Password: pw, Krb5Config: none},
			"admin@CORP.LOCAL", ""},
		{"keytab", Config{User: "admin", Keytab: write("keytab", string(keys)), Krb5Config: conf}, "admin@CONTOSO.COM",
			""},
		{"no realm", Config{User: "admin", Password: pw, Krb5Config: none}, "", "name@DOMAIN"},
		{"no user", Config{Password: pw, Krb5Config: conf}, "", "user name"},
		{"no configuration", Config{User: "admin", Password: pw, Krb5Config: filepath.Join(dir, "absent")}, "",
			"krb5 configuration"},
		{"broken keytab", Config{User: "admin", Keytab: write("broken", "\x05\x02\x00\x00\x00\x50abc"),
			Krb5Config: conf}, "", "keytab"},
		{"no cache", Config{TicketCache: filepath.Join(dir, "absent"), Krb5Config: conf}, "", "run kinit"},
		{"empty cache", Config{TicketCache: write("empty", ""), Krb5Config: conf}, "", "ticket cache"},
		{"broken cache", Config{TicketCache: write("cache", "\x05\x04\x00\x0c\x00\x01"), Krb5Config: conf}, "",
			"ticket cache"},
		{"cache of the kernel", Config{TicketCache: "KEYRING:persistent:0", Krb5Config: conf}, "",
			"only files are read"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := New(test.config)
			if test.fails != "" {
				if err == nil || !strings.Contains(err.Error(), test.fails) || strings.Contains(err.Error(), "hush") {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if c.User() != test.user {
				t.Errorf("user %s, want %s", c.User(), test.user)
			}
			if s := fmt.Sprintf("%+v", test.config); strings.Contains(s, "hush") {
				t.Errorf("the password shows: %s", s)
			}
		})
	}
}

func FuzzAccept(f *testing.F) {
	r := newRealm(f)
	token, _, err := r.user(etypeID.AES256_CTS_HMAC_SHA1_96).Step(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(token)
	f.Add(negotiationInit(oidKerberos, token))
	f.Add(negotiated(token))
	f.Fuzz(func(t *testing.T, data []byte) {
		out, user, err := r.acceptor.Context().Accept(data)
		if err == nil && (user == "" || len(out) == 0) {
			t.Errorf("accepted nobody: %q", data)
		}
	})
}

func FuzzReply(f *testing.F) {
	r := newRealm(f)
	f.Add(negotiated(frame(tokenReply, []byte{0x6f, 0})))
	f.Add(frame(tokenError, []byte{0x7e, 0}))
	ticket, key := r.ticket(etypeID.AES256_CTS_HMAC_SHA1_96, time.Now().Add(-time.Minute), time.Now().Add(time.Hour))
	f.Fuzz(func(t *testing.T, data []byte) {
		user := &Context{&initiator{spn: "HTTP/ex1.contoso.com", ticket: ticket, session: key, realm: "CONTOSO.COM",
			name: admin}}
		if _, _, err := user.Step(nil); err != nil {
			t.Fatal(err)
		}
		if _, done, err := user.Step(data); err == nil || done {
			t.Errorf("believed %q", data)
		}
	})
}

func FuzzUnseal(f *testing.F) {
	a, b := channels(f, etypeID.AES256_CTS_HMAC_SHA1_96, true)
	g, s, _ := a.seal([]byte("hello"))
	f.Add(g, s)
	f.Fuzz(func(t *testing.T, signature, sealed []byte) { b.unseal(signature, sealed) })
}

// A client that floods a service with sign-ins makes it refuse more, and not forget which it has
// seen, or to grow without end.
func TestReplayMemoryIsBounded(t *testing.T) {
	a := &Acceptor{seen: map[[32]byte]time.Time{}}
	fill := func(at time.Time) {
		for i := range maxReplays {
			var key [32]byte
			binary.BigEndian.PutUint32(key[:], uint32(i))
			a.seen[key] = at
		}
	}
	fill(time.Now())
	if err := a.remember([]byte("one more")); err == nil || errors.Is(err, ErrReplay) {
		t.Errorf("got %v", err)
	}
	fill(time.Now().Add(-3 * clockSkew))
	if err := a.remember([]byte("one more")); err != nil || len(a.seen) != 1 {
		t.Errorf("the old ones are not forgotten: %v, %d", err, len(a.seen))
	}
	if err := a.remember([]byte("one more")); !errors.Is(err, ErrReplay) {
		t.Errorf("got %v", err)
	}
}

// An encryption type that krb5.conf does not permit is not requested either.
func TestPermittedTypes(t *testing.T) {
	for text, want := range map[string][]int32{
		"[libdefaults]\n permitted_enctypes = aes256-cts-hmac-sha1-96 aes128-cts-hmac-sha1-96\n": {17, 18},
		"[libdefaults]\n permitted_enctypes = aes256-cts-hmac-sha1-96\n":                         {18},
	} {
		cfg, err := ParseConfig(text)
		if err != nil {
			t.Fatal(err)
		}
		prepare(cfg, "CONTOSO.COM")
		for _, list := range [][]int32{cfg.LibDefaults.DefaultTktEnctypeIDs, cfg.LibDefaults.DefaultTGSEnctypeIDs} {
			got := slices.Clone(list)
			slices.Sort(got)
			if !slices.Equal(slices.Compact(got), want) {
				t.Errorf("%q: %v, want %v", text, got, want)
			}
		}
	}
}
