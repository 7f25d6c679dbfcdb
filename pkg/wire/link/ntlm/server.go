package ntlm

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
)

// What Verify refuses besides malformed messages.
var (
	ErrLogon          = errors.New("unknown user or wrong password")
	ErrIntegrity      = errors.New("message integrity code does not match")
	ErrChannelBinding = errors.New("channel bindings missing or of another TLS connection")
)

// Protection is how a server treats channel bindings, as Windows' Extended Protection for
// Authentication has it.
type Protection int

// The settings of Extended Protection.
const (
	ProtectionOff     Protection = iota
	ProtectionAllow              // bindings that are sent must be the right ones
	ProtectionRequire            // the default of Exchange Server 2019 CU14 and later
)

// Server is one exchange of the server half, on one connection. Set the fields, answer the first
// message with Challenge, then Verify the third.
type Server struct {
	Domain, Computer       string // NetBIOS names, "CONTOSO", "EX1"
	DNSDomain, DNSComputer string

	Protection     Protection
	ChannelBinding [16]byte // EndPointBinding of the certificate served

	negotiate, challenge []byte
	nonce                []byte // fixed by tests
}

// Identity is who authenticated, as the client spelled it.
type Identity struct{ Domain, User string }

// String is DOMAIN\user, or the user alone.
func (i Identity) String() string {
	if i.Domain == "" {
		return i.User
	}
	return i.Domain + `\` + i.User
}

// Challenge answers the first message.
func (s *Server) Challenge(negotiate []byte) ([]byte, error) {
	if MessageType(negotiate) != typeNegotiate || len(negotiate) < 16 {
		return nil, malformed("not a negotiate message")
	}
	asked := binary.LittleEndian.Uint32(negotiate[12:])
	// Python's ntlm-auth offers OEM names alone and then uses Unicode all the same, so an offer
	// without Unicode is accepted.
	b := header(typeChallenge, 56)
	binary.LittleEndian.PutUint32(b[20:], challengeFlags|asked&challengeFlagsOnOffer)
	if s.nonce != nil {
		copy(b[24:32], s.nonce)
	} else {
		_, _ = rand.Read(b[24:32])
	}
	copy(b[48:], version[:])
	b = putField(b, 12, toUTF16(s.Domain))
	b = putField(b, 40, encodeAV([]avPair{
		{avNbDomainName, toUTF16(s.Domain)},
		{avNbComputerName, toUTF16(s.Computer)},
		{avDNSDomainName, toUTF16(s.DNSDomain)},
		{avDNSComputerName, toUTF16(s.DNSComputer)},
		{avDNSTreeName, toUTF16(s.DNSDomain)},
		{avTimestamp, fileTime(time.Now())},
	}))
	s.negotiate, s.challenge = bytes.Clone(negotiate), b
	return b, nil
}

// Verify checks the third message against the NT hash of the user it names. A challenge is valid
// for one try.
func (s *Server) Verify(authenticate []byte, lookup func(Identity) (Hash, bool)) (Identity, error) {
	if s.challenge == nil {
		return Identity{}, malformed("no challenge was sent on this connection")
	}
	challenge := s.challenge
	s.challenge = nil
	m, err := parseAuthenticate(authenticate)
	if err != nil {
		return Identity{}, err
	}
	hash, ok := lookup(m.identity)
	key := responseKey(hash, m.identity.Domain, m.identity.User)
	if want := hmacMD5(key, challenge[24:32], m.temp); !hmac.Equal(want, m.proof) || !ok {
		return Identity{}, fmt.Errorf("%s: %w", m.identity, ErrLogon)
	}
	if value, ok := findAV(m.pairs, avFlags); ok && len(value) == 4 &&
		binary.LittleEndian.Uint32(value)&avFlagMIC != 0 {
		if err := s.checkIntegrity(authenticate, challenge, m, key); err != nil {
			return Identity{}, err
		}
	}
	if err := s.checkBinding(m.pairs); err != nil {
		return Identity{}, err
	}
	return m.identity, nil
}

func (s *Server) checkIntegrity(authenticate, challenge []byte, m authenticateMessage, key []byte) error {
	if len(authenticate) < 88 {
		return malformed("no room for the integrity code")
	}
	sessionKey := hmacMD5(key, m.proof)
	if m.flags&flagKeyExchange != 0 && len(m.encryptedKey) == 16 {
		sessionKey = rc4Once(sessionKey, m.encryptedKey)
	}
	blank := bytes.Clone(authenticate)
	clear(blank[72:88])
	if !hmac.Equal(authenticate[72:88], hmacMD5(sessionKey, s.negotiate, challenge, blank)) {
		return ErrIntegrity
	}
	return nil
}

func (s *Server) checkBinding(pairs []avPair) error {
	if s.Protection == ProtectionOff {
		return nil
	}
	value, ok := findAV(pairs, avChannelBindings)
	if !ok || len(value) != 16 || bytes.Equal(value, make([]byte, 16)) {
		if s.Protection == ProtectionRequire {
			return ErrChannelBinding
		}
		return nil
	}
	if !hmac.Equal(value, s.ChannelBinding[:]) {
		return ErrChannelBinding
	}
	return nil
}

// authenticateMessage is a decoded third message.
type authenticateMessage struct {
	identity     Identity
	flags        uint32
	proof, temp  []byte
	pairs        []avPair
	encryptedKey []byte
}

func parseAuthenticate(b []byte) (authenticateMessage, error) {
	var m authenticateMessage
	if MessageType(b) != typeAuthenticate || len(b) < 64 {
		return m, malformed("not an authenticate message")
	}
	m.flags = binary.LittleEndian.Uint32(b[60:])
	text := fromUTF16
	if m.flags&flagUnicode == 0 {
		text = func(b []byte) string { return string(b) }
	}
	domain, err := field(b, 28)
	if err != nil {
		return m, err
	}
	user, err := field(b, 36)
	if err != nil {
		return m, err
	}
	m.identity = Identity{Domain: text(domain), User: text(user)}
	if m.flags&flagAnonymous != 0 || strings.TrimSpace(m.identity.User) == "" {
		return m, fmt.Errorf("anonymous: %w", ErrLogon)
	}
	response, err := field(b, 20)
	if err != nil {
		return m, err
	}
	const fixed = 16 + 28 // proof and the part of the response before the attributes
	if len(response) < fixed+4 {
		return m, fmt.Errorf("%s: NTLMv1 is not accepted: %w", m.identity, ErrLogon)
	}
	m.proof, m.temp = response[:16], response[16:]
	if m.pairs, err = parseAV(response[fixed:]); err != nil {
		return m, err
	}
	if m.encryptedKey, err = field(b, 52); err != nil {
		return m, err
	}
	return m, nil
}
