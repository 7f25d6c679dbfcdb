package kerberos

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/gssapi"
	"github.com/jcmturner/gokrb5/v8/iana/chksumtype"
	"github.com/jcmturner/gokrb5/v8/iana/errorcode"
	"github.com/jcmturner/gokrb5/v8/iana/flags"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"
)

// initiator is the user's side with a ticket in hand.
type initiator struct {
	spn           string
	ticket        messages.Ticket
	session       types.EncryptionKey
	realm         string
	name          types.PrincipalName
	authenticator *types.Authenticator // once sent
	channel       *channel
}

const (
	contextFlags = gssapi.ContextFlagMutual | gssapi.ContextFlagReplay | gssapi.ContextFlagSequence |
		gssapi.ContextFlagConf | gssapi.ContextFlagInteg
	usageReplyPart = 12 // of the encrypted part of KRB_AP_REP
)

func (i *initiator) step(in []byte) (out []byte, done bool, err error) {
	switch {
	case i.channel != nil:
		return nil, false, errors.New("the security context is already established")
	case i.authenticator == nil && in == nil:
		out, err = i.request()
		if err != nil {
			err = fmt.Errorf("ask %s for access: %w", i.spn, err)
		}
		return out, false, err
	case i.authenticator == nil:
		return nil, false, errors.New("a token came before the first one was sent")
	}
	if err := i.reply(in); err != nil {
		return nil, false, fmt.Errorf("check the reply of %s: %w", i.spn, err)
	}
	return nil, true, nil
}

// request makes the KRB_AP_REQ token.
func (i *initiator) request() ([]byte, error) {
	a, err := types.NewAuthenticator(i.realm, i.name)
	if err != nil {
		return nil, err
	}
	if a.SubKey, err = randomKey(i.session.KeyType); err != nil {
		return nil, err
	}
	// RFC 4121, 4.1.1: length of the bindings, no channel bindings, flags.
	sum := make([]byte, 24)
	binary.LittleEndian.PutUint32(sum, 16)
	binary.LittleEndian.PutUint32(sum[20:], contextFlags)
	a.Cksum = types.Checksum{CksumType: chksumtype.GSSAPI, Checksum: sum}
	request, err := messages.NewAPReq(i.ticket, i.session, a)
	if err != nil {
		return nil, err
	}
	types.SetFlag(&request.APOptions, flags.APOptionMutualRequired)
	message, err := request.Marshal()
	if err != nil {
		return nil, err
	}
	i.authenticator = &a
	return frame(tokenRequest, message), nil
}

// reply checks the KRB_AP_REP token: only a service that can read the ticket can return the time of
// the request.
func (i *initiator) reply(token []byte) (err error) {
	defer recovered(&err, "reply")
	if len(token) == 0 {
		return fmt.Errorf("the server did not prove itself: %w", link.ErrAccess)
	}
	kind, message, _, err := unframe(token)
	if err != nil {
		return err
	}
	switch kind {
	case tokenReply:
	case tokenError:
		var e messages.KRBError
		if err := e.Unmarshal(message); err != nil {
			return errors.New("error token does not parse")
		}
		return krbError(e)
	default:
		return fmt.Errorf("token of kind %#x", kind)
	}
	var rep messages.APRep
	if err := rep.Unmarshal(message); err != nil {
		return errors.New("reply does not parse")
	}
	plain, err := crypto.DecryptEncPart(rep.EncPart, i.session, usageReplyPart)
	if err != nil {
		return fmt.Errorf("the server does not know the session key: %w", link.ErrAccess)
	}
	var part messages.EncAPRepPart
	if err := part.Unmarshal(plain); err != nil {
		return errors.New("reply does not parse")
	}
	if !part.CTime.Equal(i.authenticator.CTime.Truncate(time.Second)) || part.Cusec != i.authenticator.Cusec {
		return fmt.Errorf("the server's reply belongs to another request: %w", link.ErrAccess)
	}
	key, subkey := i.authenticator.SubKey, false
	if len(part.Subkey.KeyValue) > 0 {
		key, subkey = part.Subkey, true
	}
	// Without a number in the reply the service counts from zero. Numbers are 32 bits wide here,
	// also when written as negative ones.
	i.channel, err = newChannel(key, subkey, true, uint64(uint32(i.authenticator.SeqNumber)),
		uint64(uint32(part.SequenceNumber)))
	return err
}

func (i *initiator) seal(plain []byte) (signature, sealed []byte, err error) {
	if i.channel == nil {
		return nil, nil, errNotEstablished
	}
	return i.channel.seal(plain)
}

func (i *initiator) unseal(signature, sealed []byte) ([]byte, error) {
	if i.channel == nil {
		return nil, errNotEstablished
	}
	return i.channel.unseal(signature, sealed)
}

func (i *initiator) peer() string { return i.spn }
func (i *initiator) release()     {}

// krbError classifies an error of a domain controller or a service and explains it.
func krbError(e messages.KRBError) error {
	return krbErrorCode(e.ErrorCode, e)
}

func krbErrorCode(code int32, cause error) error {
	text, class := "", error(nil)
	switch code {
	case errorcode.KDC_ERR_C_PRINCIPAL_UNKNOWN:
		text, class = "the domain does not know this user", link.ErrAccess
	case errorcode.KDC_ERR_PREAUTH_FAILED, errorcode.KRB_AP_ERR_BAD_INTEGRITY:
		text, class = "wrong user name or password", link.ErrAccess
	case errorcode.KDC_ERR_CLIENT_REVOKED:
		text, class = "the account is disabled, locked or expired", link.ErrAccess
	case errorcode.KDC_ERR_NAME_EXP:
		text, class = "the account has expired", link.ErrAccess
	case errorcode.KDC_ERR_SERVICE_EXP:
		text, class = "the account of the service has expired", link.ErrAccess
	case errorcode.KDC_ERR_KEY_EXPIRED:
		text, class = "the password has expired", link.ErrAccess
	case errorcode.KDC_ERR_POLICY:
		text, class = "a policy of the domain forbids it", link.ErrAccess
	case errorcode.KRB_AP_ERR_TKT_EXPIRED:
		text, class = "the ticket has expired", link.ErrAccess
	case errorcode.KRB_AP_ERR_MODIFIED, errorcode.KRB_AP_ERR_NOKEY, errorcode.KRB_AP_ERR_BADKEYVER:
		text, class = "the service cannot read the ticket: its name is registered on another account, or the keys "+
			"changed", link.ErrAccess
	case errorcode.KRB_AP_ERR_REPEAT:
		text, class = "the ticket was used before", ErrReplay
	case errorcode.KRB_AP_ERR_SKEW:
		text, class = "set this machine's clock by the domain's (5 minutes are the limit)", ErrClockSkew
	case errorcode.KDC_ERR_S_PRINCIPAL_UNKNOWN:
		text, class = "no account of the domain carries this service name; use the server's full name as it is "+
			"registered (setspn -Q)", ErrUnknownService
	case errorcode.KDC_ERR_ETYPE_NOSUPP:
		text, class = "the domain and this machine share no encryption type; enable AES for the account", link.ErrAccess
	default:
		return cause
	}
	name := errorcode.Lookup(code) // "(24) KDC_ERR_PREAUTH_FAILED Pre-authentication information was invalid"
	if f := strings.Fields(name); len(f) > 1 {
		name = f[1]
	}
	return fmt.Errorf("%w: %s (%s)", class, text, name)
}
