package psrp

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"unicode/utf16"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
)

// The session key of a pool encrypts secure strings: the client sends an RSA public key, the server
// answers with an AES-256 key encrypted with it, both as blobs of Windows' CryptoAPI ([MS-PSRP]
// 2.2.2.3 and 2.2.2.4).

// sessionKey is AES-256 in CBC mode with a zero vector, as [MS-PSRP] 2.2.5.1.24 demands.
type sessionKey struct{ block cipher.Block }

func newSessionKey(key []byte) (*sessionKey, error) {
	if len(key) != 32 {
		return nil, fmt.Errorf("session key of %d bytes, not 32", len(key))
	}
	block, err := aes.NewCipher(key)
	return &sessionKey{block}, err
}

func (k *sessionKey) encrypt(text string) []byte {
	var plain []byte
	for _, u := range utf16.Encode([]rune(text)) {
		plain = binary.LittleEndian.AppendUint16(plain, u)
	}
	pad := aes.BlockSize - len(plain)%aes.BlockSize
	for range pad {
		plain = append(plain, byte(pad))
	}
	cipher.NewCBCEncrypter(k.block, make([]byte, aes.BlockSize)).CryptBlocks(plain, plain)
	return plain
}

var errSecureString = errors.New("a secure string does not decrypt with the session key")

func (k *sessionKey) decrypt(s SecureString) (secret.Value, error) {
	if len(s) == 0 || len(s)%aes.BlockSize != 0 {
		return secret.Value{}, errSecureString
	}
	plain := make([]byte, len(s))
	cipher.NewCBCDecrypter(k.block, make([]byte, aes.BlockSize)).CryptBlocks(plain, s)
	pad := int(plain[len(plain)-1])
	if pad < 1 || pad > aes.BlockSize || (len(plain)-pad)%2 != 0 {
		return secret.Value{}, errSecureString
	}
	for _, b := range plain[len(plain)-pad:] {
		if int(b) != pad {
			return secret.Value{}, errSecureString
		}
	}
	units := make([]uint16, 0, len(plain)/2)
	for i := 0; i+1 < len(plain)-pad; i += 2 {
		units = append(units, binary.LittleEndian.Uint16(plain[i:]))
	}
	return secret.NewValue(string(utf16.Decode(units))), nil
}

var (
	// PUBLICKEYBLOB, CALG_RSA_KEYX, 2048 bits
	publicKeyHeader = []byte{6, 2, 0, 0, 0, 0xa4, 0, 0, 'R', 'S', 'A', '1', 0, 8, 0, 0}
	// SIMPLEBLOB, CALG_AES_256, CALG_RSA_KEYX
	sessionKeyHeader = []byte{1, 2, 0, 0, 0x10, 0x66, 0, 0, 0, 0xa4, 0, 0}
)

const keyBytes = 256 // of an RSA key of 2048 bits

// publicKeyBlob writes the key for a PUBLIC_KEY message.
func publicKeyBlob(key *rsa.PublicKey) string {
	b := binary.LittleEndian.AppendUint32(slices.Clone(publicKeyHeader), uint32(key.E))
	modulus := key.N.FillBytes(make([]byte, keyBytes))
	slices.Reverse(modulus)
	return base64.StdEncoding.EncodeToString(append(b, modulus...))
}

func parsePublicKeyBlob(text string) (*rsa.PublicKey, error) {
	b, err := base64.StdEncoding.DecodeString(text)
	head := len(publicKeyHeader)
	if err != nil || len(b) != head+4+keyBytes || !slices.Equal(b[:head], publicKeyHeader) {
		return nil, errors.New("not an RSA public key of 2048 bits")
	}
	e := binary.LittleEndian.Uint32(b[head:])
	modulus := b[head+4:]
	slices.Reverse(modulus)
	if e < 3 || e > 1<<30 || e%2 == 0 || modulus[0]&0x80 == 0 {
		return nil, errors.New("not a usable RSA public key")
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: int(e)}, nil
}

// sealSessionKey makes a session key and its text for an ENCRYPTED_SESSION_KEY message.
func sealSessionKey(pub *rsa.PublicKey) (*sessionKey, string, error) {
	raw := make([]byte, 32)
	rand.Read(raw)
	//nolint:staticcheck // the protocol prescribes this padding (MS-PSRP 2.2.2.4)
	sealed, err := rsa.EncryptPKCS1v15(rand.Reader, pub, raw)
	if err != nil {
		return nil, "", err
	}
	slices.Reverse(sealed)
	key, err := newSessionKey(raw)
	return key, base64.StdEncoding.EncodeToString(append(slices.Clone(sessionKeyHeader), sealed...)), err
}

func openSessionKey(private *rsa.PrivateKey, text string) (*sessionKey, error) {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(b) != len(sessionKeyHeader)+keyBytes {
		return nil, errors.New("not an encrypted session key")
	}
	sealed := b[len(sessionKeyHeader):]
	slices.Reverse(sealed)
	raw := make([]byte, 32)
	// The random key stays when the padding is wrong, so that the padding cannot be probed for.
	rand.Read(raw)
	if err := rsa.DecryptPKCS1v15SessionKey(nil, private, sealed, raw); err != nil { //nolint:staticcheck // as above
		return nil, errors.New("the session key does not decrypt")
	}
	return newSessionKey(raw)
}
