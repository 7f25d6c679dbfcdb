package kerberos

import (
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Kinds of Kerberos tokens (RFC 4121, 4.1).
const (
	tokenRequest uint16 = 0x0100 // KRB_AP_REQ
	tokenReply   uint16 = 0x0200 // KRB_AP_REP
	tokenError   uint16 = 0x0300 // KRB_ERROR
)

var (
	oidKerberos = []byte{0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02}
	// what old Windows offers for it
	oidMSKerberos = []byte{0x06, 0x09, 0x2a, 0x86, 0x48, 0x82, 0xf7, 0x12, 0x01, 0x02, 0x02}
	oidSPNEGO     = []byte{0x06, 0x06, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x02}
)

const applicationTag = asn1.Tag(0x60)

// frame puts a Kerberos message into the frame of RFC 2743, 3.1.
func frame(kind uint16, message []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(applicationTag, func(b *cryptobyte.Builder) {
		b.AddBytes(oidKerberos)
		b.AddUint16(kind)
		b.AddBytes(message)
	})
	return b.BytesOrPanic() // cannot fail: all lengths are known
}

// unframe splits a token. It removes SPNEGO, in which browsers and Windows wrap the token.
func unframe(token []byte) (kind uint16, message []byte, spnego bool, err error) {
	s := cryptobyte.String(token)
	var body cryptobyte.String
	switch {
	case len(token) > 0 && token[0] == 0xa1: // NegTokenResp
		if body, err = negotiationReply(s); err != nil {
			return 0, nil, true, err
		}
		kind, message, _, err = unframe(body)
		return kind, message, true, err
	case !s.ReadASN1(&body, applicationTag):
		return 0, nil, false, errors.New("not a GSS-API token")
	}
	var oid cryptobyte.String
	if !body.ReadASN1Element(&oid, asn1.OBJECT_IDENTIFIER) {
		return 0, nil, false, errors.New("token without a mechanism")
	}
	switch string(oid) {
	case string(oidKerberos), string(oidMSKerberos):
		if !body.ReadUint16(&kind) {
			return 0, nil, false, errors.New("token is cut off")
		}
		return kind, body, false, nil
	case string(oidSPNEGO):
		inner, err := negotiationStart(body)
		if err != nil {
			return 0, nil, true, err
		}
		kind, message, nested, err := unframe(inner)
		if nested {
			return 0, nil, true, errors.New("negotiation within a negotiation")
		}
		return kind, message, true, err
	}
	return 0, nil, false, errors.New("token of another mechanism than Kerberos")
}

func context0(n uint8) asn1.Tag { return asn1.Tag(n).ContextSpecific().Constructed() }

// negotiationStart reads a NegTokenInit (RFC 4178, 4.2.1) and returns its mechanism token, if
// Kerberos is the first choice.
func negotiationStart(s cryptobyte.String) ([]byte, error) {
	var choice, sequence, list, mechanisms, first cryptobyte.String
	if !s.ReadASN1(&choice, context0(0)) || !choice.ReadASN1(&sequence, asn1.SEQUENCE) ||
		!sequence.ReadASN1(&list, context0(0)) ||
		!list.ReadASN1(&mechanisms, asn1.SEQUENCE) || !mechanisms.ReadASN1Element(&first, asn1.OBJECT_IDENTIFIER) {
		return nil, errors.New("negotiation does not parse")
	}
	if string(first) != string(oidKerberos) && string(first) != string(oidMSKerberos) {
		return nil, errors.New("the client prefers another mechanism than Kerberos")
	}
	var flags, field, token cryptobyte.String
	sequence.ReadOptionalASN1(&flags, nil, context0(1))
	if !sequence.ReadASN1(&field, context0(2)) || !field.ReadASN1(&token, asn1.OCTET_STRING) {
		return nil, errors.New("negotiation without a token")
	}
	return token, nil
}

// negotiationReply reads a NegTokenResp (RFC 4178, 4.2.2) and returns its mechanism token.
func negotiationReply(s cryptobyte.String) ([]byte, error) {
	var choice, sequence, field, token cryptobyte.String
	if !s.ReadASN1(&choice, context0(1)) || !choice.ReadASN1(&sequence, asn1.SEQUENCE) {
		return nil, errors.New("negotiation does not parse")
	}
	var present bool
	if sequence.ReadOptionalASN1(&field, &present, context0(0)) && present {
		var state int
		if !field.ReadASN1Enum(&state) {
			return nil, errors.New("negotiation does not parse")
		}
		if state == 2 {
			return nil, errors.New("the server rejected the negotiation")
		}
	}
	sequence.ReadOptionalASN1(&field, nil, context0(1))
	if !sequence.ReadASN1(&field, context0(2)) || !field.ReadASN1(&token, asn1.OCTET_STRING) {
		return nil, errors.New("negotiation without a token")
	}
	if len(token) > 0 && token[0] == 0xa1 {
		return nil, errors.New("negotiation within a negotiation")
	}
	return token, nil
}

// negotiated wraps the service's token into a NegTokenResp that says "accepted, Kerberos".
func negotiated(token []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(context0(1), func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(context0(0), func(b *cryptobyte.Builder) { b.AddASN1Enum(0) })
			b.AddASN1(context0(1), func(b *cryptobyte.Builder) { b.AddBytes(oidKerberos) })
			b.AddASN1(context0(2), func(b *cryptobyte.Builder) { b.AddASN1OctetString(token) })
		})
	})
	return b.BytesOrPanic()
}

// recovered turns a panic into an error. gokrb5 indexes into what it parses without looking at
// lengths.
func recovered(err *error, doing string) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("%s: malformed data", doing)
	}
}
