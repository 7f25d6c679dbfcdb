package ntlm

import (
	"crypto/rand"
	"encoding/binary"
	"time"
)

// Client is one exchange of the client half. Set the fields, then send Negotiate, then Authenticate
// with the server's challenge.
type Client struct {
	Domain, User string
	Hash         Hash

	Target         string   // service principal name, "HTTP/mail.contoso.com"; empty: not sent
	ChannelBinding [16]byte // EndPointBinding of the server's certificate; zero: none

	negotiate []byte

	// fixed by tests of the protocol's own examples
	challenge, sessionKey []byte
	now                   func() time.Time
}

// Negotiate is the first message.
func (c *Client) Negotiate() []byte {
	b := header(typeNegotiate, 40)
	binary.LittleEndian.PutUint32(b[12:], clientFlags)
	copy(b[32:], version[:])
	// Both name fields are empty but point behind the header: a bare message of 32 bytes is refused
	// by some servers.
	binary.LittleEndian.PutUint32(b[20:], 40)
	binary.LittleEndian.PutUint32(b[28:], 40)
	c.negotiate = b
	return b
}

// Authenticate is the third message, answering challenge.
func (c *Client) Authenticate(challenge []byte) ([]byte, error) {
	if MessageType(challenge) != typeChallenge || len(challenge) < 48 {
		return nil, malformed("not a challenge")
	}
	flags := binary.LittleEndian.Uint32(challenge[20:])
	if flags&flagUnicode == 0 {
		return nil, malformed("the server does not offer Unicode")
	}
	serverChallenge := challenge[24:32]
	var pairs []avPair
	if flags&flagTargetInfo != 0 {
		info, err := field(challenge, 40)
		if err != nil {
			return nil, err
		}
		if len(info) > 0 {
			if pairs, err = parseAV(info); err != nil {
				return nil, err
			}
		}
	}

	timestamp, fromServer := findAV(pairs, avTimestamp)
	if !fromServer || len(timestamp) != 8 {
		fromServer = false
		timestamp = fileTime(c.clock())
	}
	pairs = c.addAttributes(pairs, fromServer)

	clientChallenge := c.random(c.challenge, 8)
	key := responseKey(c.Hash, c.Domain, c.User)
	temp := []byte{1, 1, 0, 0, 0, 0, 0, 0}
	temp = append(temp, timestamp...)
	temp = append(temp, clientChallenge...)
	temp = append(temp, 0, 0, 0, 0)
	temp = append(temp, encodeAV(pairs)...)
	temp = append(temp, 0, 0, 0, 0)
	proof := hmacMD5(key, serverChallenge, temp)
	sessionKey := hmacMD5(key, proof)

	// With the server's time known, the LM response is 24 zero bytes, MS-NLMP 3.1.5.1.2.
	lm := make([]byte, 24)
	if !fromServer {
		lm = append(hmacMD5(key, serverChallenge, clientChallenge), clientChallenge...)
	}
	var encryptedKey []byte
	if flags&flagKeyExchange != 0 {
		exported := c.random(c.sessionKey, 16)
		encryptedKey = rc4Once(sessionKey, exported)
		sessionKey = exported
	}

	const size = 88
	b := header(typeAuthenticate, size)
	copy(b[64:], version[:])
	flags &= clientFlags | flagKeyExchange | flagSign
	binary.LittleEndian.PutUint32(b[60:], flags|flagVersion)
	b = putField(b, 28, toUTF16(c.Domain))
	b = putField(b, 36, toUTF16(c.User))
	b = putField(b, 44, nil)
	b = putField(b, 12, lm)
	b = putField(b, 20, append(proof, temp...))
	b = putField(b, 52, encryptedKey)
	if fromServer {
		copy(b[72:], hmacMD5(sessionKey, c.negotiate, challenge, b))
	}
	return b, nil
}

// addAttributes adds what the client says about itself to the server's target info.
func (c *Client) addAttributes(pairs []avPair, integrity bool) []avPair {
	out := make([]avPair, 0, len(pairs)+3)
	var flags uint32
	for _, p := range pairs {
		switch p.id {
		case avFlags:
			if len(p.value) == 4 {
				flags = binary.LittleEndian.Uint32(p.value)
			}
		case avChannelBindings, avTargetName: // set by the client, never by the server
		default:
			out = append(out, p)
		}
	}
	if integrity {
		flags |= avFlagMIC
	}
	if flags != 0 {
		out = append(out, avPair{avFlags, binary.LittleEndian.AppendUint32(nil, flags)})
	}
	if c.ChannelBinding != ([16]byte{}) {
		out = append(out, avPair{avChannelBindings, c.ChannelBinding[:]})
	}
	if c.Target != "" {
		out = append(out, avPair{avTargetName, toUTF16(c.Target)})
	}
	return out
}

func (c *Client) clock() time.Time {
	if c.now != nil {
		return c.now()
	}
	return time.Now()
}

func (c *Client) random(fixed []byte, n int) []byte {
	if fixed != nil {
		return fixed
	}
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

// fileTime is hundreds of nanoseconds since 1601.
func fileTime(t time.Time) []byte {
	const epoch = 116444736000000000
	return binary.LittleEndian.AppendUint64(nil, uint64(t.UnixNano()/100+epoch)) //nolint:gosec // after 1601
}
