package directory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// scripted is a connection to a server that answers each request with the result of script; nil
// closes the connection.
func scripted(t *testing.T, limit time.Duration, script func(id int64, request *ber.Packet) []byte) *conn {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	near, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close() })
	go func() {
		far, err := ln.Accept()
		if err != nil {
			return
		}
		defer far.Close()
		for {
			p, err := ber.ReadPacket(far)
			if err != nil || len(p.Children) < 2 {
				return
			}
			id, _ := p.Children[0].Value.(int64)
			answer := script(id, p)
			if answer == nil {
				return
			}
			if _, err := far.Write(answer); err != nil {
				return
			}
		}
	}()
	c := &conn{address: "dc1.contoso.example:636", limit: limit}
	c.attach(near)
	return c
}

func userPacket(id int64, name string) []byte {
	return packet(id, entryPacket("CN="+name, []string{"sAMAccountName", name},
		[]string{"proxyAddresses", "SMTP:" + name + "@contoso.example"}))
}

func donePacket(id int64, cookie string) []byte {
	control := ldap.NewControlPaging(0)
	control.SetCookie([]byte(cookie))
	return packet(id, resultPacket(5, 0, ""), control.Encode())
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func scan(ctx context.Context, c *conn) (names []string, err error) {
	err = c.users(ctx, "DC=contoso,DC=example", userFilter, func(u User) bool {
		names = append(names, u.SAMAccountName)
		return true
	})
	return names, err
}

// However a server fails, the scan fails: no answer that is not complete may look complete.
func TestServersThatMisbehave(t *testing.T) {
	for name, c := range map[string]struct {
		script func(id int64, request *ber.Packet) []byte
		class  error
		text   string
	}{
		"hangs up at once": {func(int64, *ber.Packet) []byte { return nil }, link.ErrUnreachable,
			"closed the connection"},
		"hangs up within an entry": {func(id int64,
			_ *ber.Packet) []byte {
			b := userPacket(id, "a")
			return b[:len(b)-3]
		}, link.ErrUnreachable, silence},
		"is silent":              {func(int64, *ber.Packet) []byte { return []byte{} }, link.ErrUnreachable, silence},
		"is silent after a page": {silentAfterOnePage(), link.ErrUnreachable, silence},
		"stops at a size limit": {func(id int64, _ *ber.Packet) []byte {
			return join(userPacket(id, "a"), packet(id, resultPacket(5, 4, "")))
		}, nil, "size limit"},
		"stops at a time limit": {func(id int64, _ *ber.Packet) []byte {
			return join(userPacket(id, "a"), packet(id, resultPacket(5, 3, "")))
		}, nil, "time limit"},
		"takes the rights away": {func(id int64,
			_ *ber.Packet) []byte {
			return packet(id, resultPacket(5, 50, "no"))
		}, link.ErrAccess, "no right"},
		"refers elsewhere": {func(id int64,
			_ *ber.Packet) []byte {
			return packet(id, resultPacket(5, 10, ""))
		}, nil, "naming context"},
		"answers another question": {func(id int64, _ *ber.Packet) []byte { return userPacket(id+5, "a") },
			errMalformed, "expected"},
		"answers a bind": {func(id int64,
			_ *ber.Packet) []byte {
			return packet(id, resultPacket(1, 0, ""))
		}, errMalformed, "unexpected answer"},
		"speaks HTTP": {func(int64,
			*ber.Packet) []byte {
			return []byte("HTTP/1.1 400 Bad Request\r\n\r\n")
		}, errMalformed,
			"not an LDAP answer"},
		"sends a broken entry": {func(id int64, _ *ber.Packet) []byte { return packet(id, ber.NewSequence("")) },
			errMalformed, ""},
		"says goodbye": {func(int64, *ber.Packet) []byte { return disconnectNotice() },
			link.ErrUnreachable, "ended the connection"},
		"never ends, without users": {func(id int64, _ *ber.Packet) []byte { return donePacket(id, "again") },
			errMalformed, "without an entry"},
		"claims a huge message": {func(int64, *ber.Packet) []byte { return []byte("\x30\x84\x7f\xff\xff\xff") },
			errMalformed, "more than"},
		"lies about ranges":  {rangeLiar, errMalformed, "proxyAddresses"},
		"has endless values": {endlessRange, nil, "more than 100000 values"},
		"breaks the paging control": {func(id int64,
			_ *ber.Packet) []byte {
			return packet(id, resultPacket(5, 0, ""), text("x"))
		}, errMalformed, "control"},
		"is not known to have users": {func(id int64,
			_ *ber.Packet) []byte {
			return packet(id, resultPacket(5, 32, ""))
		}, errNoSuchObject, "no such object"},
	} {
		t.Run(name, func(t *testing.T) {
			limit := time.Minute
			if c.text == silence {
				limit = 100 * time.Millisecond
			}
			_, err := scan(t.Context(), scripted(t, limit, c.script))
			if err == nil {
				t.Fatal("the scan ended without an error")
			}
			if c.class != nil && !errors.Is(err, c.class) {
				t.Errorf("class of %v is not %v", err, c.class)
			}
			if !strings.Contains(err.Error(), c.text) {
				t.Errorf("%q does not say %q", err, c.text)
			}
		})
	}
}

const silence = "no answer within"

func silentAfterOnePage() func(int64, *ber.Packet) []byte {
	n := 0
	return func(id int64, _ *ber.Packet) []byte {
		if n++; n == 1 {
			return join(userPacket(id, "a"), donePacket(id, "more"))
		}
		return []byte{}
	}
}

func disconnectNotice() []byte {
	p := resultPacket(24, 52, "shutting down")
	p.AppendChild(ber.NewString(ber.ClassContext, ber.TypePrimitive, 10, oidDisconnect, ""))
	return packet(0, p)
}

// rangeLiar answers every range with the first one.
func rangeLiar(id int64, _ *ber.Packet) []byte {
	e := packet(id, entryPacket("CN=a", []string{"proxyAddresses;range=0-1", "smtp:a@b", "smtp:b@b"}))
	return join(e, donePacket(id, ""))
}

func endlessRange(id int64, p *ber.Packet) []byte {
	from := 0
	if list := p.Children[1].Children[7].Children; len(list) == 1 {
		fmt.Sscanf(list[0].Data.String(), "proxyAddresses;range=%d-", &from)
	}
	e := packet(id, entryPacket("CN=a",
		[]string{fmt.Sprintf("proxyAddresses;range=%d-%d", from, from+9999), "smtp:a@b"}))
	return join(e, donePacket(id, ""))
}

func TestReferencesAndInterimAnswersAreSkipped(t *testing.T) {
	c := scripted(t, time.Second, func(id int64, _ *ber.Packet) []byte {
		reference := ber.Encode(ber.ClassApplication, ber.TypeConstructed, 19, nil, "")
		reference.AppendChild(text("ldaps://contoso.example/CN=Configuration,DC=contoso,DC=example"))
		interim := ber.Encode(ber.ClassApplication, ber.TypeConstructed, 25, nil, "")
		return join(packet(id, reference), userPacket(id, "a"), packet(id, interim), userPacket(id, "b"),
			packet(id, reference), donePacket(id, ""))
	})
	names, err := scan(t.Context(), c)
	if diff := cmp.Diff([]string{"a", "b"}, names); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

// A server that begins again, after one page or after many, with whatever cookies, has no end to
// wait for.
func TestPagesInACircle(t *testing.T) {
	for _, length := range []int{1, 2, 7, 100} {
		served := 0
		c := scripted(t, time.Minute, func(id int64, _ *ber.Packet) []byte {
			served++
			return join(userPacket(id, fmt.Sprintf("user%d", served%length)), userPacket(id, "same on every page"),
				donePacket(id, fmt.Sprintf("cookie%d", served)))
		})
		if _, err := scan(t.Context(), c); !errors.Is(err, errMalformed) {
			t.Errorf("a circle of %d pages: %v", length, err)
		}
		if served > 4*length+4 {
			t.Errorf("a circle of %d pages was noticed after %d", length, served)
		}
	}
}

// Pages that go on for ever, each with a user of a new name, end with an error that says how far it
// came.
func TestEndlessPages(t *testing.T) {
	served := 0
	c := scripted(t, time.Minute, func(id int64, _ *ber.Packet) []byte {
		served++
		return join(userPacket(id, fmt.Sprintf("user%d", served)), donePacket(id, "more"))
	})
	if _, err := scan(t.Context(), c); !errors.Is(err, errMalformed) ||
		!strings.Contains(err.Error(), "10001 entries in 10001 pages") {
		t.Errorf("after %d pages: %v", served, err)
	}
}

// A cancel must end a read that waits, at once.
func TestCancelWhileTheServerIsSilent(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := scripted(t, time.Hour, func(int64, *ber.Packet) []byte { cancel(); return []byte{} })
	if _, err := scan(ctx, c); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	c = scripted(t, time.Hour, func(int64, *ber.Packet) []byte { return []byte{} })
	if _, err := scan(ctx, c); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

// Memory must not grow with the number of users, nor with pages.
func TestUsersInConstantMemory(t *testing.T) {
	const pages = 40
	var page []byte
	served := 0
	c := scripted(t, time.Minute, func(id int64, _ *ber.Packet) []byte {
		served++
		page = page[:0]
		for i := range 1000 {
			page = append(page, userPacket(id, fmt.Sprintf("user%d-%d", served, i))...)
		}
		if served < pages {
			return append(page, donePacket(id, "more")...)
		}
		return append(page, donePacket(id, "")...)
	})
	live := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	var first, last uint64
	n := 0
	err := c.users(t.Context(), "DC=contoso,DC=example", userFilter, func(User) bool {
		switch n++; n {
		case 1500:
			first = live()
		case 1000*pages - 500:
			last = live()
		}
		return true
	})
	if err != nil || n != 1000*pages {
		t.Fatal(n, err)
	}
	if last > first+2<<20 {
		t.Errorf("heap grew from %d to %d bytes over %d users", first, last, n-2000)
	}
}

func BenchmarkUsers(b *testing.B) {
	var page []byte
	for i := range 1000 {
		page = append(page, userPacket(1, fmt.Sprintf("user%d", i))...)
	}
	b.ReportAllocs()
	for b.Loop() {
		r := newReader(io.MultiReader(bytes.NewReader(page)))
		for range 1000 {
			m, err := r.next()
			if err != nil {
				b.Fatal(err)
			}
			e, _ := parseEntry(m.body)
			if _, _, err := decodeUser(e); err != nil {
				b.Fatal(err)
			}
		}
	}
}
