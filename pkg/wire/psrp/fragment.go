package psrp

import (
	"encoding/binary"
	"errors"
	"fmt"
)

const fragmentHeader = 21

// fragments cuts a message into fragments of at most size bytes each ([MS-PSRP] 2.2.4), big-endian:
// object id, fragment id, flags (1 start, 2 end), length, bytes.
func fragments(object uint64, message []byte, size int) [][]byte {
	size = max(size, fragmentHeader+1)
	var out [][]byte
	for id := uint64(0); ; id++ {
		n := min(size-fragmentHeader, len(message))
		f := make([]byte, fragmentHeader, fragmentHeader+n)
		binary.BigEndian.PutUint64(f, object)
		binary.BigEndian.PutUint64(f[8:], id)
		if id == 0 {
			f[16] |= 1
		}
		if n == len(message) {
			f[16] |= 2
		}
		binary.BigEndian.PutUint32(f[17:], uint32(n))
		out = append(out, append(f, message[:n]...))
		if message = message[n:]; len(message) == 0 {
			return out
		}
	}
}

// assembler reassembles fragments. Bytes may arrive in any division: several fragments at once, or
// one in pieces.
type assembler struct {
	limit   int // bytes of one message, and of all messages in pieces together; maxDocument when 0
	rest    []byte
	objects map[uint64]*partial
	held    int // bytes of objects
}

type partial struct {
	next uint64
	data []byte
}

// maxPartial is how many messages may be in pieces at once. Windows sends one after another.
const maxPartial = 64

// feed takes bytes and returns the messages that they complete.
func (a *assembler) feed(b []byte) ([]message, error) {
	limit := a.limit
	if limit == 0 {
		limit = maxDocument
	}
	if a.objects == nil {
		a.objects = map[uint64]*partial{}
	}
	a.rest = append(a.rest, b...)
	var out []message
	rest := a.rest
	defer func() {
		if len(rest) < len(a.rest) { // frees what was read, and copies nothing while a fragment arrives in small pieces
			a.rest = append([]byte(nil), rest...)
		}
	}()
	for len(rest) >= fragmentHeader {
		object, id, flags := binary.BigEndian.Uint64(rest), binary.BigEndian.Uint64(rest[8:]), rest[16]
		length := binary.BigEndian.Uint32(rest[17:])
		if uint64(length) > uint64(limit) {
			return out, fmt.Errorf("fragment of %d bytes is larger than %d", length, limit)
		}
		end := fragmentHeader + int(length)
		if len(rest) < end {
			break
		}
		blob := rest[fragmentHeader:end]
		p := a.objects[object]
		switch {
		case flags&^3 != 0:
			return out, fmt.Errorf("fragment with unknown flags %#x", flags)
		case flags&1 != 0 && id != 0, flags&1 == 0 && id == 0:
			return out, fmt.Errorf("fragment %d of object %d with flags %d", id, object, flags)
		case flags&1 != 0:
			if len(a.objects) >= maxPartial && p == nil {
				return out, errors.New("too many messages in pieces")
			}
			if p != nil { // started again
				a.held -= len(p.data)
			}
			p = &partial{}
			a.objects[object] = p
		case p == nil:
			return out, fmt.Errorf("fragment %d of object %d without its start", id, object)
		case id != p.next:
			return out, fmt.Errorf("fragment %d of object %d where %d was expected", id, object, p.next)
		}
		p.next++
		if a.held+len(blob) > limit {
			return out, fmt.Errorf("messages of more than %d bytes", limit)
		}
		p.data = append(p.data, blob...)
		a.held += len(blob)
		rest = rest[end:]
		if flags&2 != 0 {
			delete(a.objects, object)
			a.held -= len(p.data)
			m, err := parseMessage(p.data)
			if err != nil {
				return out, err
			}
			out = append(out, m)
		}
	}
	return out, nil
}
