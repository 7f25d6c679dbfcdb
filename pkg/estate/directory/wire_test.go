package directory

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/google/go-cmp/cmp"
)

// packet builds LDAP messages with another library.
func packet(id int64, operation *ber.Packet, controls ...*ber.Packet) []byte {
	p := ber.NewSequence("")
	p.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, id, ""))
	p.AppendChild(operation)
	if len(controls) > 0 {
		list := ber.Encode(ber.ClassContext, ber.TypeConstructed, 0, nil, "")
		for _, c := range controls {
			list.AppendChild(c)
		}
		p.AppendChild(list)
	}
	return p.Bytes()
}

func text(s string) *ber.Packet {
	return ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, s, "")
}

func entryPacket(dn string, attributes ...[]string) *ber.Packet {
	p := ber.Encode(ber.ClassApplication, ber.TypeConstructed, 4, nil, "")
	p.AppendChild(text(dn))
	list := ber.NewSequence("")
	for _, a := range attributes {
		one := ber.NewSequence("")
		one.AppendChild(text(a[0]))
		set := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSet, nil, "")
		for _, v := range a[1:] {
			set.AppendChild(text(v))
		}
		one.AppendChild(set)
		list.AppendChild(one)
	}
	p.AppendChild(list)
	return p
}

func resultPacket(tag ber.Tag, code int, diagnostic string) *ber.Packet {
	p := ber.Encode(ber.ClassApplication, ber.TypeConstructed, tag, nil, "")
	p.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, code, ""))
	p.AppendChild(text(""))
	p.AppendChild(text(diagnostic))
	return p
}

func TestReaderReadsWhatAnotherEncoderWrote(t *testing.T) {
	large := strings.Repeat("x", 200_000) // larger than the buffer
	stream := append(packet(7, entryPacket("CN=a,DC=b", []string{"mail", "a@b"},
		[]string{"proxyAddresses", "SMTP:a@b", "smtp:" + large})),
		packet(7, resultPacket(5, 0, "done"))...)
	r := newReader(bytes.NewReader(stream))
	m, err := r.next()
	if err != nil || m.id != 7 || m.tag != tagEntry {
		t.Fatalf("first message: id %d tag %x, %v", m.id, m.tag, err)
	}
	e, err := parseEntry(m.body)
	if err != nil {
		t.Fatal(err)
	}
	u, next, err := decodeUser(e)
	if err != nil || next != 0 {
		t.Fatal(next, err)
	}
	if diff := cmp.Diff(User{DN: "CN=a,DC=b", Kind: KindContact, Mail: "a@b", Primary: []string{"a@b"},
		Aliases: []string{large}, Addressed: true}, u); diff != "" {
		t.Fatal(diff)
	}
	if m, err = r.next(); err != nil || m.tag != tagDone {
		t.Fatal(m.tag, err)
	}
	if res, err := parseResult(m.body); err != nil || res.code != 0 || res.diagnostic != "done" {
		t.Fatal(res, err)
	}
	if _, err = r.next(); err != io.EOF {
		t.Fatalf("end of the stream: %v", err)
	}
}

func TestReaderRefusesWhatIsNotLDAP(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		want error
	}{
		"HTTP":                 {"HTTP/1.1 400 Bad Request\r\n\r\n", errMalformed},
		"indefinite length":    {"\x30\x80\x02\x01\x01\x00\x00", errMalformed},
		"length of five bytes": {"\x30\x85\x00\x00\x00\x00\x01x", errMalformed},
		"four gigabytes":       {"\x30\x84\xff\xff\xff\xff", errMalformed},
		"cut in the length":    {"\x30\x84\x00\x00", io.ErrUnexpectedEOF},
		"cut in the body":      {"\x30\x10\x02\x01\x01", io.ErrUnexpectedEOF},
		"cut after a byte":     {"\x30", io.ErrUnexpectedEOF},
		"big and cut":          {"\x30\x84\x00\x7f\xff\xff\x02\x01\x01", io.ErrUnexpectedEOF},
		"no message id":        {"\x30\x02\x04\x00", errMalformed},
		"long message id":      {"\x30\x0b\x02\x09\x01\x01\x01\x01\x01\x01\x01\x01\x01", errMalformed},
		"no operation":         {"\x30\x03\x02\x01\x01", errMalformed},
		"inner length too big": {"\x30\x05\x02\x01\x01\x64\x7f", errMalformed},
		"multi-byte tag":       {"\x30\x06\x02\x01\x01\x7f\x81\x00", errMalformed},
	} {
		if _, err := newReader(strings.NewReader(c.in)).next(); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

// A length is a claim: memory must follow what arrives.
func TestReaderGrowsWithWhatArrives(t *testing.T) {
	r := newReader(strings.NewReader("\x30\x84\x00\x7f\xff\xff\x02\x01\x01"))
	if _, err := r.next(); err == nil {
		t.Fatal("no error")
	}
	if cap(r.big) > 256<<10 {
		t.Fatalf("%d bytes set aside for a message of which 3 arrived", cap(r.big))
	}
}

func FuzzReader(f *testing.F) {
	f.Add(packet(1, entryPacket("CN=a", []string{"proxyAddresses;range=0-1499", "SMTP:a@b"},
		[]string{"objectGUID", strings.Repeat("g", 16)}, []string{"userAccountControl", "514"})))
	f.Add(packet(2, resultPacket(5, 49,
		"80090308: LdapErr: DSID-0C090449, comment: AcceptSecurityContext error, data 52e, v4563\x00")))
	cookie := ber.NewSequence("")
	cookie.AppendChild(text(oidPaging))
	cookie.AppendChild(text("\x30\x07\x02\x01\x00\x04\x02ab"))
	f.Add(packet(3, resultPacket(5, 0, ""), cookie))
	f.Add([]byte("\x30\x84\x00\x00\x00\x05\x02\x01\x01\x64\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := newReader(bytes.NewReader(b))
		r.limit = 1 << 20
		for {
			m, err := r.next()
			if err != nil {
				return
			}
			if e, err := parseEntry(m.body); err == nil {
				_, _, _ = decodeUser(e)
				_ = e.each(func(name, values []byte) error {
					_, _, _, err := splitRange(string(name))
					for len(values) > 0 && err == nil {
						_, values, err = value(values)
					}
					return err
				})
			}
			if res, err := parseResult(m.body); err == nil {
				if s := newResultError(res).Error(); strings.ContainsAny(s, "\x00\x1b\n") {
					t.Fatalf("control character in %q", s)
				}
			}
			_, _, _ = pagingCookie(m.controls)
		}
	})
}

// The parser must agree with another decoder.
func FuzzElementAgainstAnotherDecoder(f *testing.F) {
	f.Add(packet(1, entryPacket("CN=a,DC=b", []string{"mail", "a@b"})))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := newReader(bytes.NewReader(b)).next()
		if err != nil {
			return
		}
		e, err := parseEntry(m.body)
		if err != nil || m.tag != tagEntry || len(e.attributes) > 0 {
			return
		}
		p, err := ber.DecodePacketErr(b)
		if err != nil || len(p.Children) < 2 || len(p.Children[1].Children) < 1 {
			return // stricter than we are; fine
		}
		if got := p.Children[1].Children[0].Data.String(); got != string(e.dn) {
			t.Fatalf("DN %q, another decoder reads %q", e.dn, got)
		}
	})
}
