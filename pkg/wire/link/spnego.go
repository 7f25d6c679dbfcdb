package link

import (
	"encoding/asn1"
	"slices"

	"github.com/hybridge-cli/hybridge/pkg/wire/link/ntlm"
)

// SPNEGO (RFC 4178) around NTLM: .NET and Microsoft's EWS library wrap every NTLM message in it. No
// mechListMIC is made: a client whose first mechanism is NTLM needs none.

var (
	oidSPNEGO = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 2}
	oidNTLM   = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 2, 10}
)

type negTokenInit struct {
	Mechanisms []asn1.ObjectIdentifier `asn1:"explicit,tag:0"`
	Flags      asn1.BitString          `asn1:"explicit,optional,tag:1"`
	Token      []byte                  `asn1:"explicit,optional,tag:2"`
	MIC        []byte                  `asn1:"explicit,optional,tag:3"`
}

type negTokenResp struct {
	State     asn1.Enumerated       `asn1:"explicit,optional,tag:0"`
	Mechanism asn1.ObjectIdentifier `asn1:"explicit,optional,tag:1"`
	Token     []byte                `asn1:"explicit,optional,tag:2"`
	MIC       []byte                `asn1:"explicit,optional,tag:3"`
}

// The states of a negotiation.
const (
	negotiationComplete   = 0
	negotiationIncomplete = 1
)

// unwrapNTLM returns the NTLM message in a SPNEGO token. ok is false for a token that is not SPNEGO
// or does not offer NTLM. An empty message means that the client offers NTLM after another
// mechanism.
func unwrapNTLM(token []byte) (message []byte, ok bool) {
	if len(token) == 0 {
		return nil, false
	}
	switch token[0] {
	case 0x60: // InitialContextToken: SPNEGO's OID, then a NegTokenInit
		var outer asn1.RawValue
		rest, err := asn1.Unmarshal(token, &outer)
		if err != nil || len(rest) > 0 {
			return nil, false
		}
		var mechanism asn1.ObjectIdentifier
		inner, err := asn1.Unmarshal(outer.Bytes, &mechanism)
		if err != nil || !mechanism.Equal(oidSPNEGO) {
			return nil, false
		}
		var init negTokenInit
		if rest, err := asn1.UnmarshalWithParams(inner, &init, "explicit,tag:0"); err != nil || len(rest) > 0 {
			return nil, false
		}
		at := slices.IndexFunc(init.Mechanisms, oidNTLM.Equal)
		if at > 0 {
			return nil, true // the token is the first mechanism's
		}
		return init.Token, at == 0
	case 0xa1:
		var resp negTokenResp
		if rest, err := asn1.UnmarshalWithParams(token, &resp, "explicit,tag:1"); err != nil || len(rest) > 0 {
			return nil, false
		}
		return resp.Token, ntlm.MessageType(resp.Token) != 0
	}
	return nil, false
}

// wrapNTLM is the answer to a SPNEGO token: with the NTLM challenge, or without one at the end.
func wrapNTLM(state int, message []byte) []byte {
	type answer struct {
		State     asn1.Enumerated       `asn1:"explicit,tag:0"`
		Mechanism asn1.ObjectIdentifier `asn1:"explicit,optional,tag:1"`
		Token     []byte                `asn1:"explicit,optional,tag:2,omitempty"`
	}
	out, err := asn1.MarshalWithParams(answer{asn1.Enumerated(state), oidNTLM, message}, "explicit,tag:1")
	if err != nil {
		return nil // these types always encode
	}
	return out
}
