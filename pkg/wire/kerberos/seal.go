package kerberos

import (
	"crypto/hmac"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/crypto/etype"
	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
	"github.com/jcmturner/gokrb5/v8/types"
)

// Wrap tokens with confidentiality, RFC 4121 4.2.4:
//
//	05 04 | flags | ff | EC | RRC | sequence number  ||
//	encrypt(plain | filler of EC bytes | header with RRC 0), rotated right by RRC
const (
	wrapHeader         = 16
	flagByAcceptor     = 1
	flagSealed         = 2
	flagAcceptorSubkey = 4
	usageAcceptorSeal  = 22
	usageInitiatorSeal = 24
)

// channel seals and unseals with the key of a security context.
type channel struct {
	mu        sync.Mutex
	key       types.EncryptionKey
	etype     etype.EType
	subkey    bool // key is the acceptor's subkey
	initiator bool
	send      uint64 // next sequence numbers
	receive   uint64
}

func newChannel(key types.EncryptionKey, subkey, initiator bool, send, receive uint64) (*channel, error) {
	size, err := keySize(key.KeyType)
	if err != nil {
		return nil, err
	}
	if len(key.KeyValue) != size {
		return nil, errors.New("session key of the wrong length")
	}
	et, err := crypto.GetEtype(key.KeyType)
	if err != nil {
		return nil, err
	}
	return &channel{key: key, etype: et, subkey: subkey, initiator: initiator, send: send, receive: receive}, nil
}

// keySize is the length of a key in bytes, for the encryption types that RFC 4121's sealing is done
// with here. (What gokrb5 says for aes256-cts-hmac-sha384-192 is the length of its checksum keys.)
func keySize(encryption int32) (int, error) {
	switch encryption {
	case etypeID.AES128_CTS_HMAC_SHA1_96, etypeID.AES128_CTS_HMAC_SHA256_128:
		return 16, nil
	case etypeID.AES256_CTS_HMAC_SHA1_96, etypeID.AES256_CTS_HMAC_SHA384_192:
		return 32, nil
	}
	return 0, fmt.Errorf("session key of encryption type %d: only AES keys can seal messages; enable AES for the "+
		"account of the service", encryption)
}

// randomKey makes a key of that encryption type.
func randomKey(encryption int32) (types.EncryptionKey, error) {
	size, err := keySize(encryption)
	if err != nil {
		return types.EncryptionKey{}, err
	}
	key := types.EncryptionKey{KeyType: encryption, KeyValue: make([]byte, size)}
	rand.Read(key.KeyValue) // never fails
	return key, nil
}

func (c *channel) seal(plain []byte) (signature, sealed []byte, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	header := []byte{0x05, 0x04, flagSealed, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	usage := uint32(usageInitiatorSeal)
	if !c.initiator {
		header[2] |= flagByAcceptor
		usage = usageAcceptorSeal
	}
	if c.subkey {
		header[2] |= flagAcceptorSubkey
	}
	binary.BigEndian.PutUint64(header[8:], c.send)
	_, cipher, err := c.etype.EncryptMessage(c.key.KeyValue, slices.Concat(plain, header), usage)
	if err != nil {
		return nil, nil, fmt.Errorf("seal a message: %w", err)
	}
	c.send++
	// This rotation makes the part before the encrypted text as long as Windows' security trailer.
	rotate := wrapHeader + c.etype.GetHMACBitLength()/8
	binary.BigEndian.PutUint16(header[6:], uint16(rotate))
	token := slices.Concat(header, cipher[len(cipher)-rotate:], cipher[:len(cipher)-rotate])
	cut := wrapHeader + rotate + c.etype.GetConfounderByteSize()
	return token[:cut], token[cut:], nil
}

var errUnseal = errors.New("message was altered, or sealed with another key")

func (c *channel) unseal(signature, sealed []byte) (plain []byte, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer recovered(&err, "unseal a message")
	token := slices.Concat(signature, sealed)
	if len(token) < wrapHeader || token[0] != 0x05 || token[1] != 0x04 || token[3] != 0xff {
		return nil, errors.New("not a sealed message of Kerberos")
	}
	header, cipher := token[:wrapHeader], token[wrapHeader:]
	flags, usage := byte(flagSealed), uint32(usageInitiatorSeal)
	if c.initiator {
		flags |= flagByAcceptor
		usage = usageAcceptorSeal
	}
	if c.subkey {
		flags |= flagAcceptorSubkey
	}
	if header[2] != flags {
		return nil, fmt.Errorf("sealed message with flags %#x, not %#x", header[2], flags)
	}
	extra, rotate := int(binary.BigEndian.Uint16(header[4:])), int(binary.BigEndian.Uint16(header[6:]))
	if least := c.etype.GetConfounderByteSize() + extra + wrapHeader +
		c.etype.GetHMACBitLength()/8; len(cipher) < least {
		return nil, errors.New("sealed message is cut off")
	}
	rotate %= len(cipher)
	cipher = slices.Concat(cipher[rotate:], cipher[:rotate])
	text, err := c.etype.DecryptMessage(c.key.KeyValue, cipher, usage)
	if err != nil || len(text) < wrapHeader+extra {
		return nil, errUnseal
	}
	inner := slices.Clone(text[len(text)-wrapHeader:])
	clear(header[6:8])
	clear(inner[6:8]) // zero already by the RFC
	if !hmac.Equal(inner, header) {
		return nil, errUnseal
	}
	if n := binary.BigEndian.Uint64(header[8:]); n != c.receive {
		return nil, fmt.Errorf("sealed message number %d where %d belongs: repeated, left out or out of order", n,
			c.receive)
	}
	c.receive++
	return text[:len(text)-wrapHeader-extra], nil
}
