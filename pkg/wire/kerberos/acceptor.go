package kerberos

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
	"github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/asn1tools"
	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/iana"
	"github.com/jcmturner/gokrb5/v8/iana/asnAppTag"
	"github.com/jcmturner/gokrb5/v8/iana/chksumtype"
	"github.com/jcmturner/gokrb5/v8/iana/flags"
	"github.com/jcmturner/gokrb5/v8/iana/msgtype"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
)

// clockSkew is how far clocks may differ; Active Directory's default as well.
const clockSkew = 5 * time.Minute

// maxReplays is how many authenticators are remembered; when they are that many within the clock
// skew, further ones are refused.
const maxReplays = 100_000

// Acceptor is the service's side: it holds the service's keys and remembers which authenticators it
// has seen.
type Acceptor struct {
	keys *keytab.Keytab
	mu   sync.Mutex
	seen map[[sha256.Size]byte]time.Time
}

// NewAcceptor takes the keys from the bytes of a keytab.
func NewAcceptor(keys []byte) (*Acceptor, error) {
	k, err := parseKeytab(keys)
	if err != nil {
		return nil, fmt.Errorf("keytab of the service: %w", err)
	}
	return &Acceptor{keys: k, seen: map[[sha256.Size]byte]time.Time{}}, nil
}

// Context starts the service's side of one connection. Its first Step or Accept takes the user's
// token, plain or within SPNEGO, and returns the reply.
func (a *Acceptor) Context() *Context { return &Context{mechanism: &accepted{acceptor: a}} }

// remember records an authenticator. It fails when the authenticator was seen before.
func (a *Acceptor) remember(cipher []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	if len(a.seen) >= maxReplays {
		for k, t := range a.seen {
			if now.Sub(t) > 2*clockSkew {
				delete(a.seen, k)
			}
		}
		if len(a.seen) >= maxReplays {
			return errors.New("too many sign-ins")
		}
	}
	key := sha256.Sum256(cipher)
	if t, ok := a.seen[key]; ok && now.Sub(t) <= 2*clockSkew {
		return ErrReplay
	}
	a.seen[key] = now
	return nil
}

type accepted struct {
	acceptor *Acceptor
	user     string
	channel  *channel
}

func (c *accepted) step(in []byte) (out []byte, done bool, err error) {
	if c.channel != nil {
		return nil, false, errors.New("the security context is already established")
	}
	out, err = c.accept(in)
	if err != nil {
		return nil, false, fmt.Errorf("accept a Kerberos ticket: %w", err)
	}
	return out, true, nil
}

func (c *accepted) accept(token []byte) (reply []byte, err error) {
	defer recovered(&err, "token")
	kind, message, spnego, err := unframe(token)
	if err != nil {
		return nil, err
	}
	if kind != tokenRequest {
		return nil, fmt.Errorf("token of kind %#x", kind)
	}
	var request messages.APReq
	if err := request.Unmarshal(message); err != nil {
		return nil, errors.New("request does not parse")
	}
	if len(request.Ticket.SName.NameString) == 0 {
		return nil, errors.New("ticket without a service name")
	}
	ok, err := request.Verify(c.acceptor.keys, clockSkew, types.HostAddress{}, nil)
	if err != nil {
		var e messages.KRBError
		if errors.As(err, &e) {
			return nil, krbError(e)
		}
		return nil, fmt.Errorf("%w: %w", link.ErrAccess, err)
	}
	if !ok {
		return nil, fmt.Errorf("ticket is not valid: %w", link.ErrAccess)
	}
	a := request.Authenticator
	if a.CRealm != request.Ticket.DecryptedEncPart.CRealm {
		return nil, fmt.Errorf("the authenticator names another realm than the ticket: %w", link.ErrAccess)
	}
	if err := c.acceptor.remember(request.EncryptedAuthenticator.Cipher); err != nil {
		return nil, err
	}
	if a.Cksum.CksumType != chksumtype.GSSAPI || len(a.Cksum.Checksum) < 24 {
		return nil, errors.New("authenticator without the flags of GSS-API")
	}
	if asked := binary.LittleEndian.Uint32(a.Cksum.Checksum[20:]); asked&2 == 0 ||
		!types.IsFlagSet(&request.APOptions, flags.APOptionMutualRequired) {
		return nil, errors.New("the client asks for no mutual authentication")
	}
	session := request.Ticket.DecryptedEncPart.Key
	subkey, err := randomKey(session.KeyType)
	if err != nil {
		return nil, err
	}
	var number [4]byte
	rand.Read(number[:])
	sequence := int64(binary.BigEndian.Uint32(number[:])&0x3fffffff) | 1
	message, err = apReply(a, session, subkey, sequence)
	if err != nil {
		return nil, err
	}
	c.channel, err = newChannel(subkey, true, false, uint64(sequence), uint64(uint32(a.SeqNumber)))
	if err != nil {
		return nil, err
	}
	c.user = a.CName.PrincipalNameString() + "@" + a.CRealm
	reply = frame(tokenReply, message)
	if spnego {
		reply = negotiated(reply)
	}
	return reply, nil
}

// apReply makes a KRB_AP_REP (RFC 4120, 5.5.2), which gokrb5 cannot write.
func apReply(a types.Authenticator, session, subkey types.EncryptionKey, sequence int64) ([]byte, error) {
	part, err := asn1.Marshal(messages.EncAPRepPart{CTime: a.CTime.UTC(), Cusec: a.Cusec, Subkey: subkey,
		SequenceNumber: sequence})
	if err != nil {
		return nil, err
	}
	sealed, err := crypto.GetEncryptedData(asn1tools.AddASNAppTag(part, asnAppTag.EncAPRepPart), session,
		usageReplyPart, 0)
	if err != nil {
		return nil, err
	}
	b, err := asn1.Marshal(messages.APRep{PVNO: iana.PVNO, MsgType: msgtype.KRB_AP_REP, EncPart: sealed})
	if err != nil {
		return nil, err
	}
	return asn1tools.AddASNAppTag(b, asnAppTag.APREP), nil
}

func (c *accepted) seal(plain []byte) (signature, sealed []byte, err error) {
	if c.channel == nil {
		return nil, nil, errNotEstablished
	}
	return c.channel.seal(plain)
}

func (c *accepted) unseal(signature, sealed []byte) ([]byte, error) {
	if c.channel == nil {
		return nil, errNotEstablished
	}
	return c.channel.unseal(signature, sealed)
}

func (c *accepted) peer() string { return c.user }
func (c *accepted) release()     {}
