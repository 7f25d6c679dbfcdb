package directory

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// BER tags of the LDAP messages that are read (RFC 4511, section 4).
const (
	tagInteger     = 0x02
	tagOctets      = 0x04
	tagEnumerated  = 0x0a
	tagSequence    = 0x30
	tagSet         = 0x31
	tagBindAnswer  = 0x61 // [APPLICATION 1]
	tagEntry       = 0x64 // [APPLICATION 4]
	tagDone        = 0x65 // [APPLICATION 5]
	tagReference   = 0x73 // [APPLICATION 19]
	tagExtAnswer   = 0x78 // [APPLICATION 24]
	tagInterim     = 0x79 // [APPLICATION 25]
	tagControls    = 0xa0 // [0] of LDAPMessage
	tagReferral    = 0xa3 // [3] of LDAPResult
	tagSASLCreds   = 0x87 // [7] of BindResponse
	tagExtendedOID = 0x8a // [10] of ExtendedResponse
)

// maxMessage bounds one LDAP message. The largest honest one is an entry with a full range (1,500
// values) of a few long attributes: well under a megabyte, without a stored photo in an
// attribute that is asked for.
const maxMessage = 8 << 20

var errMalformed = errors.New("malformed LDAP message")

// element splits the first BER element off b. Lengths must be definite and of at most four bytes,
// tags of one byte: all that LDAP uses. body and rest are parts of b.
func element(b []byte) (tag byte, body, rest []byte, ok bool) {
	if len(b) < 2 || b[0]&0x1f == 0x1f {
		return 0, nil, nil, false
	}
	tag = b[0]
	n, head := int(b[1]), 2
	if n >= 0x80 {
		k := n & 0x7f
		if k == 0 || k > 4 || len(b) < 2+k {
			return 0, nil, nil, false
		}
		n = 0
		for _, x := range b[2 : 2+k] {
			n = n<<8 | int(x)
		}
		head += k
	}
	if n < 0 || n > len(b)-head {
		return 0, nil, nil, false
	}
	return tag, b[head : head+n], b[head+n:], true
}

// expect is element for a known tag.
func expect(b []byte, want byte) (body, rest []byte, ok bool) {
	tag, body, rest, ok := element(b)
	return body, rest, ok && tag == want
}

// integer decodes a BER INTEGER or ENUMERATED of at most eight bytes.
func integer(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 8 {
		return 0, false
	}
	n := int64(int8(b[0]))
	for _, x := range b[1:] {
		n = n<<8 | int64(x)
	}
	return n, true
}

// message is one LDAPMessage. Its slices are valid until the next one is read.
type message struct {
	id       int64
	tag      byte
	body     []byte // of the protocol operation
	controls []byte // of [0], empty when absent
}

// reader takes LDAP messages from a stream. It builds no tree of packets: an answer of a million
// entries is read through one buffer.
type reader struct {
	buffered *bufio.Reader
	limit    int
	big      []byte // for a message larger than the buffer; kept for the next
}

func newReader(r io.Reader) *reader {
	return &reader{buffered: bufio.NewReaderSize(r, 64<<10), limit: maxMessage}
}

// next reads one message. io.EOF means that the stream ended between messages.
func (r *reader) next() (message, error) {
	raw, err := r.frame()
	if err != nil {
		return message{}, err
	}
	return parseMessage(raw)
}

// frame reads the contents of one outer SEQUENCE.
func (r *reader) frame() ([]byte, error) {
	head, err := r.buffered.Peek(2)
	if err != nil {
		if err == io.EOF && len(head) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	if head[0] != tagSequence {
		return nil, fmt.Errorf("%w: not an LDAP answer (first byte 0x%02x)", errMalformed, head[0])
	}
	n, size := int(head[1]), 2
	if n >= 0x80 {
		k := n & 0x7f
		if k == 0 || k > 4 {
			return nil, fmt.Errorf("%w: length of %d bytes", errMalformed, k)
		}
		if head, err = r.buffered.Peek(2 + k); err != nil {
			return nil, cutOff(err)
		}
		n = 0
		for _, x := range head[2:] {
			n = n<<8 | int(x)
		}
		size += k
	}
	if n > r.limit || n < 0 {
		return nil, fmt.Errorf("%w: %d bytes, more than the %d that are accepted", errMalformed, n, r.limit)
	}
	if _, err := r.buffered.Discard(size); err != nil {
		return nil, cutOff(err)
	}
	if n <= r.buffered.Size() {
		raw, err := r.buffered.Peek(n)
		if err != nil {
			return nil, cutOff(err)
		}
		_, err = r.buffered.Discard(n)
		return raw, err
	}
	// Grow with what really arrives: a length alone must not cost memory.
	r.big = r.big[:0]
	for len(r.big) < n {
		have := len(r.big)
		want := min(n, max(2*have, r.buffered.Size()))
		if cap(r.big) < want {
			r.big = append(make([]byte, 0, want), r.big...)
		}
		r.big = r.big[:want]
		if _, err := io.ReadFull(r.buffered, r.big[have:]); err != nil {
			return nil, cutOff(err)
		}
	}
	return r.big, nil
}

func cutOff(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func parseMessage(raw []byte) (message, error) {
	var m message
	id, rest, ok := expect(raw, tagInteger)
	if !ok {
		return m, fmt.Errorf("%w: no message id", errMalformed)
	}
	if m.id, ok = integer(id); !ok {
		return m, fmt.Errorf("%w: message id", errMalformed)
	}
	if m.tag, m.body, rest, ok = element(rest); !ok {
		return m, fmt.Errorf("%w: operation of message %d", errMalformed, m.id)
	}
	if len(rest) > 0 {
		if m.controls, _, ok = expect(rest, tagControls); !ok {
			return m, fmt.Errorf("%w: controls of message %d", errMalformed, m.id)
		}
	}
	return m, nil
}

// entry is a search result entry, undecoded.
type entry struct {
	dn         []byte
	attributes []byte // the PartialAttributes, one after the other
}

func parseEntry(body []byte) (entry, error) {
	dn, rest, ok := expect(body, tagOctets)
	if !ok {
		return entry{}, fmt.Errorf("%w: entry without a name", errMalformed)
	}
	attributes, _, ok := expect(rest, tagSequence)
	if !ok {
		return entry{}, fmt.Errorf("%w: attributes of an entry", errMalformed)
	}
	return entry{dn, attributes}, nil
}

// each calls f with the name of every attribute and with its values, which eachValue takes apart.
func (e entry) each(f func(name, values []byte) error) error {
	for rest := e.attributes; len(rest) > 0; {
		attribute, after, ok := expect(rest, tagSequence)
		if !ok {
			return fmt.Errorf("%w: attribute", errMalformed)
		}
		rest = after
		name, set, ok := expect(attribute, tagOctets)
		if !ok {
			return fmt.Errorf("%w: name of an attribute", errMalformed)
		}
		values, _, ok := expect(set, tagSet)
		if !ok {
			return fmt.Errorf("%w: values of an attribute", errMalformed)
		}
		if err := f(name, values); err != nil {
			return err
		}
	}
	return nil
}

// value splits the first value off an attribute's values.
func value(values []byte) (v, rest []byte, err error) {
	v, rest, ok := expect(values, tagOctets)
	if !ok {
		return nil, nil, fmt.Errorf("%w: value of an attribute", errMalformed)
	}
	return v, rest, nil
}

// result is an LDAPResult with what bind and extended responses add to it.
type result struct {
	code       int
	diagnostic string
	sasl       []byte
	oid        string
}

func parseResult(body []byte) (result, error) {
	var r result
	code, rest, ok := expect(body, tagEnumerated)
	if !ok {
		return r, fmt.Errorf("%w: result without a code", errMalformed)
	}
	n, ok := integer(code)
	if !ok || n < 0 || n > 1<<16 {
		return r, fmt.Errorf("%w: result code", errMalformed)
	}
	r.code = int(n)
	if _, rest, ok = expect(rest, tagOctets); !ok { // matched DN
		return r, fmt.Errorf("%w: result without a matched name", errMalformed)
	}
	text, rest, ok := expect(rest, tagOctets)
	if !ok {
		return r, fmt.Errorf("%w: result without a message", errMalformed)
	}
	r.diagnostic = string(text)
	for len(rest) > 0 {
		tag, part, after, ok := element(rest)
		if !ok {
			return r, fmt.Errorf("%w: end of a result", errMalformed)
		}
		switch tag {
		case tagReferral: // where else to ask; the naming contexts are enumerated instead
		case tagSASLCreds:
			r.sasl = append([]byte(nil), part...)
		case tagExtendedOID:
			r.oid = string(part)
		}
		rest = after
	}
	return r, nil
}

const oidPaging = "1.2.840.113556.1.4.319"

// pagingCookie finds the cookie of the paged results control (RFC 2696) in a message's controls. An
// empty cookie, or no such control, means that there are no more pages. size is the server's
// estimate of the whole; 0 when it gives none.
func pagingCookie(controls []byte) (size int64, cookie []byte, err error) {
	for rest := controls; len(rest) > 0; {
		control, after, ok := expect(rest, tagSequence)
		if !ok {
			return 0, nil, fmt.Errorf("%w: control", errMalformed)
		}
		rest = after
		oid, parts, ok := expect(control, tagOctets)
		if !ok {
			return 0, nil, fmt.Errorf("%w: control without an identifier", errMalformed)
		}
		if string(oid) != oidPaging {
			continue
		}
		for len(parts) > 0 {
			tag, part, after, ok := element(parts)
			if !ok {
				return 0, nil, fmt.Errorf("%w: paging control", errMalformed)
			}
			parts = after
			if tag != tagOctets { // criticality
				continue
			}
			sequence, _, ok := expect(part, tagSequence)
			if !ok {
				return 0, nil, fmt.Errorf("%w: paging control", errMalformed)
			}
			estimate, sequence, ok := expect(sequence, tagInteger)
			if !ok {
				return 0, nil, fmt.Errorf("%w: paging control", errMalformed)
			}
			cookie, _, ok := expect(sequence, tagOctets)
			if !ok {
				return 0, nil, fmt.Errorf("%w: paging control", errMalformed)
			}
			if size, ok = integer(estimate); !ok { // no reason to give up
				size = 0
			}
			return size, append([]byte(nil), cookie...), nil
		}
	}
	return 0, nil, nil
}
