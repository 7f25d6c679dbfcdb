// Package ntlm is NTLMv2 as HTTP needs it (MS-NLMP, connection-oriented, without sealing): both
// halves of the exchange, with the message integrity code and the channel bindings that Extended
// Protection demands. NTLMv1 and LM are neither sent nor accepted.
//
// The protocol prescribes weak cryptography (MD4, MD5, RC4). That is why link sends it over TLS
// alone.
package ntlm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf16"
)

// Signature begins every message.
const signature = "NTLMSSP\x00"

const (
	typeNegotiate    = 1
	typeChallenge    = 2
	typeAuthenticate = 3
)

// Negotiate flags, MS-NLMP 2.2.2.5.
const (
	flagUnicode          = 0x00000001
	flagRequestTarget    = 0x00000004
	flagNTLM             = 0x00000200
	flagAnonymous        = 0x00000800
	flagAlwaysSign       = 0x00008000
	flagTargetTypeDomain = 0x00010000
	flagExtendedSession  = 0x00080000
	flagTargetInfo       = 0x00800000
	flagVersion          = 0x02000000
	flag128              = 0x20000000
	flagKeyExchange      = 0x40000000
	flag56               = 0x80000000
	flagSign             = 0x00000010
	clientFlags          = flagUnicode | flagRequestTarget | flagNTLM | flagAlwaysSign | flagExtendedSession |
		flagTargetInfo | flagVersion | flag128 | flag56
	challengeFlags = flagUnicode | flagRequestTarget | flagNTLM | flagAlwaysSign | flagExtendedSession |
		flagTargetInfo | flagTargetTypeDomain | flagVersion
	challengeFlagsOnOffer = flag128 | flag56 | flagKeyExchange | flagSign
)

// Attribute ids, MS-NLMP 2.2.2.1.
const (
	avEOL             = 0
	avNbComputerName  = 1
	avNbDomainName    = 2
	avDNSComputerName = 3
	avDNSDomainName   = 4
	avDNSTreeName     = 5
	avFlags           = 6
	avTimestamp       = 7
	avTargetName      = 9
	avChannelBindings = 10

	avFlagMIC = 0x2
)

// version is the value of Windows Server 2019, MS-NLMP 2.2.2.10. Some servers require the field;
// none reads it.
var version = [8]byte{10, 0, 0x63, 0x45, 0, 0, 0, 15}

// ErrMalformed is a message that is not NTLM, or not whole.
var ErrMalformed = errors.New("malformed NTLM message")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

// MessageType reports which of the three messages b is, 0 when it is none.
func MessageType(b []byte) int {
	if len(b) < 12 || string(b[:8]) != signature {
		return 0
	}
	if t := binary.LittleEndian.Uint32(b[8:]); t >= typeNegotiate && t <= typeAuthenticate {
		return int(t)
	}
	return 0
}

func header(messageType uint32, size int) []byte {
	b := make([]byte, size)
	copy(b, signature)
	binary.LittleEndian.PutUint32(b[8:], messageType)
	return b
}

// putField appends data to b and points the field at offset to it.
func putField(b []byte, offset int, data []byte) []byte {
	binary.LittleEndian.PutUint16(b[offset:], uint16(len(data)))   //nolint:gosec // callers keep fields below 64 KiB
	binary.LittleEndian.PutUint16(b[offset+2:], uint16(len(data))) //nolint:gosec // as above
	binary.LittleEndian.PutUint32(b[offset+4:], uint32(len(b)))    //nolint:gosec // as above
	return append(b, data...)
}

// field reads what the field at offset points to.
func field(b []byte, offset int) ([]byte, error) {
	if len(b) < offset+8 {
		return nil, malformed("ends within a header")
	}
	n := int(binary.LittleEndian.Uint16(b[offset:]))
	at := int64(binary.LittleEndian.Uint32(b[offset+4:]))
	if n == 0 {
		return nil, nil
	}
	if at+int64(n) > int64(len(b)) {
		return nil, malformed("a field points outside")
	}
	return b[at : at+int64(n)], nil
}

func toUTF16(s string) []byte {
	units := utf16.Encode([]rune(s))
	b := make([]byte, 2*len(units))
	for i, u := range units {
		binary.LittleEndian.PutUint16(b[2*i:], u)
	}
	return b
}

func fromUTF16(b []byte) string {
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(units))
}

// avPair is one attribute of a target info.
type avPair struct {
	id    uint16
	value []byte
}

// parseAV reads attributes up to the end mark, which is required.
func parseAV(b []byte) ([]avPair, error) {
	var pairs []avPair
	for {
		if len(b) < 4 {
			return nil, malformed("target info has no end")
		}
		id, n := binary.LittleEndian.Uint16(b), int(binary.LittleEndian.Uint16(b[2:]))
		b = b[4:]
		if id == avEOL {
			return pairs, nil
		}
		if n > len(b) {
			return nil, malformed("target info attribute %d is cut", id)
		}
		pairs = append(pairs, avPair{id, b[:n]})
		b = b[n:]
	}
}

func encodeAV(pairs []avPair) []byte {
	var b []byte
	for _, p := range pairs {
		b = binary.LittleEndian.AppendUint16(b, p.id)
		b = binary.LittleEndian.AppendUint16(b, uint16(len(p.value))) //nolint:gosec // names of hosts and services
		b = append(b, p.value...)
	}
	return append(b, 0, 0, 0, 0)
}

func findAV(pairs []avPair, id uint16) ([]byte, bool) {
	for _, p := range pairs {
		if p.id == id {
			return p.value, true
		}
	}
	return nil, false
}
