package psrp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"mime"
	"strconv"
	"strings"
)

// Over plain HTTP, Kerberos seals each message: a body of type multipart/encrypted ([MS-WSMV]
// 2.2.9.1) holds the length of the signature, the signature and the sealed text.

// sealer is what a security context offers to this package.
type sealer interface {
	Seal(plain []byte) (signature, sealed []byte, err error)
	Unseal(signature, sealed []byte) ([]byte, error)
}

const boundary = "Encrypted Boundary"

func protocolOf(scheme string) string {
	if strings.EqualFold(scheme, "Negotiate") {
		return "application/HTTP-SPNEGO-session-encrypted"
	}
	return "application/HTTP-Kerberos-session-encrypted"
}

// sealBody seals a message and returns its content type and body.
func sealBody(s sealer, scheme string, plain []byte) (contentType string, body []byte, err error) {
	signature, sealed, err := s.Seal(plain)
	if err != nil {
		return "", nil, err
	}
	protocol := protocolOf(scheme)
	var b bytes.Buffer
	fmt.Fprintf(&b, "--%s\r\n\tContent-Type: %s\r\n\tOriginalContent: type=%s;Length=%d\r\n--%s\r\n\tContent-Type: "+
		"application/octet-stream\r\n", boundary, protocol, soapType, len(plain), boundary)
	b.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(signature))))
	b.Write(signature)
	b.Write(sealed)
	fmt.Fprintf(&b, "--%s--\r\n", boundary)
	return fmt.Sprintf(`multipart/encrypted;protocol="%s";boundary="%s"`, protocol, boundary), b.Bytes(), nil
}

// isSealed reports whether the content type is that of a sealed message.
func isSealed(contentType string) bool {
	return strings.HasPrefix(strings.ToLower(strings.TrimSpace(contentType)), "multipart/encrypted")
}

// unsealBody opens a sealed message.
func unsealBody(s sealer, contentType string, body []byte) ([]byte, error) {
	m, err := parseSealed(contentType, body)
	if err != nil {
		return nil, fmt.Errorf("sealed message: %w", err)
	}
	plain, err := s.Unseal(m.signature, m.sealed)
	if err != nil {
		return nil, fmt.Errorf("sealed message: %w", err)
	}
	if len(plain) != m.length {
		return nil, fmt.Errorf("sealed message: %d bytes, %d were announced", len(plain), m.length)
	}
	return plain, nil
}

type sealedMessage struct {
	signature, sealed []byte
	length            int // of the plain text
}

func parseSealed(contentType string, body []byte) (m sealedMessage, err error) {
	_, parameters, err := mime.ParseMediaType(contentType)
	if err != nil {
		return m, errors.New("content type does not parse")
	}
	mark := parameters["boundary"]
	if mark == "" {
		mark = boundary
	}
	rest, ok := cutBoundary(body, mark, "\r\n")
	if !ok {
		return m, errors.New("first boundary is missing")
	}
	m.length = -1
	for {
		if next, ok := cutBoundary(rest, mark, "\r\n"); ok {
			rest = next
			break
		}
		line, next, found := bytes.Cut(rest, []byte("\r\n"))
		if !found || len(line) > 1000 {
			return m, errors.New("second boundary is missing")
		}
		rest = next
		name, value, _ := strings.Cut(strings.TrimSpace(string(line)), ":")
		if strings.EqualFold(name, "OriginalContent") {
			for part := range strings.SplitSeq(value, ";") {
				key, text, _ := strings.Cut(strings.TrimSpace(part), "=")
				if strings.EqualFold(key, "Length") {
					if m.length, err = strconv.Atoi(text); err != nil || m.length < 0 {
						return m, errors.New("length does not parse")
					}
				}
			}
		}
	}
	if m.length < 0 {
		return m, errors.New("length is missing")
	}
	line, payload, found := bytes.Cut(rest, []byte("\r\n"))
	if !found || !strings.Contains(strings.ToLower(string(line)), "application/octet-stream") {
		return m, errors.New("second part is not application/octet-stream")
	}
	// The payload is binary, so the closing boundary is looked for from the end.
	end := bytes.LastIndex(payload, []byte(mark+"--"))
	if end < 0 || len(bytes.TrimSpace(payload[end+len(mark)+2:])) > 0 {
		return m, errors.New("last boundary is missing")
	}
	payload = bytes.TrimRight(payload[:end], " \t")
	payload, ok = bytes.CutSuffix(payload, []byte("--"))
	if !ok {
		return m, errors.New("last boundary is missing")
	}
	if len(payload) < 4 {
		return m, errors.New("payload is cut off")
	}
	n := binary.LittleEndian.Uint32(payload)
	if uint64(n) > uint64(len(payload)-4) {
		return m, errors.New("signature is cut off")
	}
	m.signature, m.sealed = payload[4:4+n], payload[4+n:]
	return m, nil
}

// cutBoundary takes a boundary line off the start. Exchange puts a blank after the dashes.
func cutBoundary(b []byte, mark, end string) ([]byte, bool) {
	rest, ok := bytes.CutPrefix(b, []byte("--"))
	if !ok {
		return nil, false
	}
	return bytes.CutPrefix(bytes.TrimLeft(rest, " \t"), []byte(mark+end))
}
