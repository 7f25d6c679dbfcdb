package directory

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
	"github.com/jcmturner/gokrb5/v8/iana/errorcode"
	"github.com/jcmturner/gokrb5/v8/krberror"
	"github.com/jcmturner/gokrb5/v8/messages"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// bind authenticates as the answers file says.
func (c *conn) bind(ctx context.Context, cfg *Config) error {
	credential := cfg.Directory.Bind
	switch credential.Kind {
	case answers.CredentialPassword, answers.CredentialBasic:
		return c.bindSimple(ctx, credential.User, cfg.Password.Reveal())
	case answers.CredentialKerberos, answers.CredentialKeytab, "":
		return c.bindKerberos(ctx, cfg)
	}
	return fmt.Errorf("a credential of kind %s cannot bind to a directory; use kerberos, keytab or password",
		credential.Kind)
}

// bindSimple sends the password. A conn is always encrypted.
func (c *conn) bindSimple(ctx context.Context, user, password string) error {
	// RFC 4513, 5.1.2: a name without a password is accepted as anonymous, and everything after
	// looks like missing rights.
	if user == "" || password == "" {
		return fmt.Errorf("%w: user name or password is empty", link.ErrAccess)
	}
	request := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationBindRequest, nil, "")
	request.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, 3, ""))
	request.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, user, ""))
	request.AppendChild(ber.NewString(ber.ClassContext, ber.TypePrimitive, 0, password, ""))
	r, err := c.roundTrip(ctx, request, tagBindAnswer)
	if err != nil {
		return err
	}
	if r.code != resultSuccess {
		return newResultError(r)
	}
	return nil
}

// securityContext is the client's side of SASL GSSAPI (RFC 4752): the gokrb5 and SSPI clients of
// go-ldap.
type securityContext interface {
	InitSecContext(target string, token []byte) (output []byte, more bool, err error)
	NegotiateSaslAuth(token []byte, authzid string) ([]byte, error)
	DeleteSecContext() error
}

// bindKerberos binds by SASL GSSAPI. It asks for no security layer: the connection is encrypted
// already, and Active Directory refuses both at once.
func (c *conn) bindKerberos(ctx context.Context, cfg *Config) error {
	host, err := c.principalHost(ctx)
	if err != nil {
		return err
	}
	type made struct {
		context securityContext
		token   []byte
		err     error
	}
	// gokrb5 and SSPI take no context: they run in a goroutine, and bindKerberos returns when the
	// context is cancelled. Both have their own time limits.
	ready := make(chan made, 1)
	go func() {
		sc, err := newSecurityContext(cfg)
		if err != nil {
			ready <- made{err: err}
			return
		}
		token, _, err := sc.InitSecContext("ldap/"+host, nil)
		if err != nil {
			_ = sc.DeleteSecContext()
		}
		ready <- made{sc, token, err}
	}()
	var m made
	select {
	case <-ctx.Done():
		go func() {
			if late := <-ready; late.err == nil {
				_ = late.context.DeleteSecContext()
			}
		}()
		return ctx.Err()
	case m = <-ready:
	}
	if m.err != nil {
		return kerberosError(m.err)
	}
	defer func() { _ = m.context.DeleteSecContext() }()

	token := m.token
	established := false
	for range maxBindSteps {
		r, err := c.roundTrip(ctx, saslBind("GSSAPI", token), tagBindAnswer)
		if err != nil {
			return err
		}
		switch {
		case r.code == resultSuccess:
			return nil
		case r.code != resultSASLInProgress:
			return newResultError(r)
		case !established:
			more := false
			if token, more, err = m.context.InitSecContext("ldap/"+host, r.sasl); err != nil {
				return kerberosError(err)
			}
			established = !more
		default:
			if token, err = m.context.NegotiateSaslAuth(r.sasl, ""); err != nil {
				return kerberosError(err)
			}
		}
	}
	return fmt.Errorf("%w: GSSAPI came to no end", link.ErrAccess)
}

// maxBindSteps is far above the two or three that GSSAPI takes.
const maxBindSteps = 8

func saslBind(mechanism string, token []byte) *ber.Packet {
	request := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationBindRequest, nil, "")
	request.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, 3, ""))
	request.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, "", ""))
	auth := ber.Encode(ber.ClassContext, ber.TypeConstructed, 3, nil, "")
	auth.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, mechanism, ""))
	auth.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, string(token), ""))
	request.AppendChild(auth)
	return request
}

// principalHost is the host of the server's Kerberos principal: the name in the connection's
// address. When that is an IP address, it is the name that the server, whose certificate is
// verified by now, gives itself.
func (c *conn) principalHost(ctx context.Context) (string, error) {
	host, _, err := net.SplitHostPort(c.address)
	if err != nil {
		return "", err
	}
	if _, err := netip.ParseAddr(host); err != nil {
		return strings.ToLower(strings.TrimSuffix(host, ".")), nil
	}
	objects, err := c.objects(ctx,
		query{scope: ldap.ScopeBaseObject, filter: "(objectClass=*)", attributes: []string{"dnsHostName"}})
	if err != nil {
		return "", err
	}
	if len(objects) == 1 && objects[0].text("dnsHostName") != "" {
		return strings.ToLower(objects[0].text("dnsHostName")), nil
	}
	//nolint:staticcheck // a proper name
	return "", errors.New("Kerberos needs the server's name: give the server by name, not by address")
}

// kerberosError words and classifies a refusal of the key distribution center or the library.
func kerberosError(err error) error {
	var refused messages.KRBError
	if errors.As(err, &refused) {
		return &ticketError{krbText(refused.ErrorCode), krbClass(refused.ErrorCode), err}
	}
	var wrapped krberror.Krberror
	if errors.As(err, &wrapped) {
		text := wrapped.Error()
		for code, sentence := range krbTexts {
			if strings.Contains(text, "("+fmt.Sprint(code)+") ") {
				return &ticketError{sentence, krbClass(code), err}
			}
		}
		if wrapped.RootCause == krberror.NetworkingError {
			return &ticketError{"no key distribution center of the realm answers (Kerberos, port 88)",
				link.ErrUnreachable, err}
		}
	}
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("kerberos: %w", err)
	}
	return &ticketError{"Kerberos: " + link.Line(err.Error()), link.ErrAccess, err}
}

// krbTexts says what the error codes of RFC 4120, 7.5.9, mean to an administrator.
var krbTexts = map[int32]string{
	errorcode.KDC_ERR_C_PRINCIPAL_UNKNOWN: "no such user in this realm",
	errorcode.KDC_ERR_S_PRINCIPAL_UNKNOWN: "the domain controller's service principal ldap/HOST is unknown to the " +
		"realm; is it given by the name it has in Active Directory?",
	errorcode.KDC_ERR_CLIENT_REVOKED: "the account is disabled, expired or locked out",
	errorcode.KDC_ERR_KEY_EXPIRED:    "the password has expired",
	errorcode.KDC_ERR_PREAUTH_FAILED: "wrong user name or password",
	errorcode.KDC_ERR_ETYPE_NOSUPP:   "the realm and this program share no encryption type",
	errorcode.KDC_ERR_WRONG_REALM:    "the user belongs to another realm",
	errorcode.KRB_AP_ERR_SKEW: "the clocks of this machine and of the domain controller differ by more " +
		"than Kerberos allows (5 minutes)",
	errorcode.KRB_AP_ERR_TKT_EXPIRED: "the ticket has expired; run kinit again",
}

func krbText(code int32) string {
	if text, ok := krbTexts[code]; ok {
		return text
	}
	return "Kerberos: " + errorcode.Lookup(code)
}

func krbClass(code int32) error {
	if code == errorcode.KDC_ERR_SVC_UNAVAILABLE {
		return link.ErrUnreachable
	}
	return link.ErrAccess
}

type ticketError struct {
	text  string
	class error
	cause error
}

func (e *ticketError) Error() string   { return e.text }
func (e *ticketError) Unwrap() []error { return []error{e.class, e.cause} }
