package kerberos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"unsafe"

	"github.com/alexbrainman/sspi"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// newSource takes Windows' own Kerberos unless a file is named: it finds domain controllers,
// follows trusts and knows the current logon.
func newSource(c Config) (source, error) {
	if c.Keytab != "" || c.TicketCache != "" || c.Krb5Config != "" || os.Getenv("KRB5_CONFIG") != "" ||
		c.Password == (secret.Value{}) && c.User == "" && os.Getenv("KRB5CCNAME") != "" {
		return newCenter(c)
	}
	if c.User != "" && c.Password == (secret.Value{}) {
		return nil, fmt.Errorf("a password is needed for %s", c.User)
	}
	return &windows{config: c}, nil
}

type windows struct {
	mu          sync.Mutex
	config      Config
	credentials *sspi.Credentials
}

const wantedFlags = sspi.ISC_REQ_CONNECTION | sspi.ISC_REQ_MUTUAL_AUTH | sspi.ISC_REQ_REPLAY_DETECT | sspi.ISC_REQ_SEQUENCE_DETECT | sspi.ISC_REQ_CONFIDENTIALITY | sspi.ISC_REQ_INTEGRITY

func (w *windows) user() string { return w.config.User }

func (w *windows) acquire() (*sspi.Credentials, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.credentials != nil {
		return w.credentials, nil
	}
	var identity *sspi.SEC_WINNT_AUTH_IDENTITY
	var text [3][]uint16
	if w.config.User != "" {
		name, domain := w.config.User, w.config.Realm
		if d, n, ok := strings.Cut(name, `\`); ok {
			name, domain = n, d
		} else if n, d, ok := strings.Cut(name, "@"); ok {
			name, domain = n, d
		}
		for i, s := range []string{name, domain, w.config.Password.Reveal()} {
			u, err := syscall.UTF16FromString(s)
			if err != nil {
				return nil, errors.New("user, domain or password holds a NUL character")
			}
			text[i] = u
		}
		identity = &sspi.SEC_WINNT_AUTH_IDENTITY{
			User: &text[0][0], UserLength: uint32(len(text[0]) - 1), Domain: &text[1][0],
			DomainLength: uint32(len(text[1]) - 1),
			Password:     &text[2][0], PasswordLength: uint32(len(text[2]) - 1),
			Flags: sspi.SEC_WINNT_AUTH_IDENTITY_UNICODE,
		}
	}
	c, err := sspi.AcquireCredentials("", sspi.MICROSOFT_KERBEROS_NAME, sspi.SECPKG_CRED_OUTBOUND,
		(*byte)(unsafe.Pointer(identity)))
	runtime.KeepAlive(text)
	if err != nil {
		return nil, fmt.Errorf("take credentials for Kerberos from Windows: %w", sspiError(err))
	}
	w.credentials = c
	return c, nil
}

func (w *windows) start(_ context.Context, spn string) (mechanism, error) {
	c, err := w.acquire()
	if err != nil {
		return nil, err
	}
	name, err := syscall.UTF16PtrFromString(spn)
	if err != nil {
		return nil, err
	}
	s := &sspiContext{owner: w, spn: spn, name: name, context: sspi.NewClientContext(c, wantedFlags)}
	// The first token is made here, so that asking a domain controller for the ticket is part of
	// what the caller waits for.
	token, done, err := s.update(nil)
	if err != nil {
		return nil, fmt.Errorf("get a Kerberos ticket for %s: %w", spn, err)
	}
	if done {
		s.release()
		return nil, fmt.Errorf("get a Kerberos ticket for %s: Windows asks for no proof of the server", spn)
	}
	s.first = token
	return s, nil
}

func (w *windows) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.credentials.Release()
	w.credentials = nil
}

type sspiContext struct {
	owner   *windows // keeps the credentials alive
	spn     string
	name    *uint16
	context *sspi.Context
	first   []byte
	started bool
	done    bool
	mu      sync.Mutex
	trailer uint32
	block   uint32
	send    uint32
	receive uint32
}

func (s *sspiContext) update(in []byte) (out []byte, done bool, err error) {
	buffer := make([]byte, 64<<10) // the largest token of Kerberos is 48,000 bytes by default
	var from, to [1]sspi.SecBuffer
	to[0].Set(sspi.SECBUFFER_TOKEN, buffer)
	var input *sspi.SecBufferDesc
	if in != nil {
		from[0].Set(sspi.SECBUFFER_TOKEN, in)
		input = sspi.NewSecBufferDesc(from[:])
	}
	switch ret := s.context.Update(s.name, sspi.NewSecBufferDesc(to[:]), input); ret {
	case sspi.SEC_E_OK:
		done = true
	case sspi.SEC_I_CONTINUE_NEEDED:
	default:
		return nil, false, sspiError(ret)
	}
	return slices.Clone(buffer[:to[0].BufferSize]), done, nil
}

func (s *sspiContext) step(in []byte) (out []byte, done bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.started {
		if in != nil {
			return nil, false, errors.New("a token came before the first one was sent")
		}
		s.started = true
		return s.first, false, nil
	}
	if len(in) == 0 {
		return nil, false, fmt.Errorf("check the reply of %s: the server did not prove itself: %w", s.spn,
			link.ErrAccess)
	}
	out, done, err = s.update(in)
	if err != nil {
		return nil, false, fmt.Errorf("check the reply of %s: %w", s.spn, err)
	}
	if done {
		need := uint32(sspi.ISC_REQ_MUTUAL_AUTH | sspi.ISC_REQ_CONFIDENTIALITY | sspi.ISC_REQ_INTEGRITY)
		if s.context.EstablishedFlags&need != need {
			return nil, false, fmt.Errorf("check the reply of %s: mutual authentication or encryption is missing: %w",
				s.spn, link.ErrAccess)
		}
		_, _, s.block, s.trailer, err = s.context.Sizes()
		if err != nil {
			return nil, false, sspiError(err)
		}
		s.done = true
	}
	return out, done, nil
}

func (s *sspiContext) seal(plain []byte) (signature, sealed []byte, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.done {
		return nil, nil, errNotEstablished
	}
	var b [3]sspi.SecBuffer
	b[0].Set(sspi.SECBUFFER_TOKEN, make([]byte, s.trailer))
	b[1].Set(sspi.SECBUFFER_DATA, slices.Clone(plain))
	b[2].Set(sspi.SECBUFFER_PADDING, make([]byte, s.block))
	if ret := sspi.EncryptMessage(s.context.Handle, 0, sspi.NewSecBufferDesc(b[:]), s.send); ret != sspi.SEC_E_OK {
		return nil, nil, fmt.Errorf("seal a message: %w", sspiError(ret))
	}
	s.send++
	return slices.Clone(b[0].Bytes()), slices.Concat(b[1].Bytes(), b[2].Bytes()), nil
}

func (s *sspiContext) unseal(signature, sealed []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.done {
		return nil, errNotEstablished
	}
	var b [2]sspi.SecBuffer
	b[0].Set(sspi.SECBUFFER_STREAM, slices.Concat(signature, sealed))
	b[1].Set(sspi.SECBUFFER_DATA, []byte{})
	var quality uint32
	if ret := sspi.DecryptMessage(s.context.Handle, sspi.NewSecBufferDesc(b[:]), s.receive,
		&quality); ret != sspi.SEC_E_OK {
		return nil, fmt.Errorf("unseal a message: %w", sspiError(ret))
	}
	const notEncrypted = 0x80000001 // SECQOP_WRAP_NO_ENCRYPT: signed only
	if quality == notEncrypted {
		return nil, errors.New("unseal a message: it is not encrypted")
	}
	s.receive++
	return slices.Clone(b[1].Bytes()), nil
}

func (s *sspiContext) peer() string { return s.spn }
func (s *sspiContext) release()     { s.context.Release() }

// Codes of SSPI, from winerror.h.
const (
	secNotFound       = syscall.Errno(0x80090303) // SEC_E_TARGET_UNKNOWN
	secNoCredentials  = syscall.Errno(0x8009030E) // SEC_E_NO_CREDENTIALS
	secNoAuthority    = syscall.Errno(0x80090311) // SEC_E_NO_AUTHENTICATING_AUTHORITY
	secTimeSkew       = syscall.Errno(0x80090324) // SEC_E_TIME_SKEW
	secWrongPrincipal = syscall.Errno(0x80090322) // SEC_E_WRONG_PRINCIPAL
	secAltered        = syscall.Errno(0x8009030F) // SEC_E_MESSAGE_ALTERED
	secOutOfSequence  = syscall.Errno(0x80090310) // SEC_E_OUT_OF_SEQUENCE
)

func sspiError(err error) error {
	var code syscall.Errno
	if !errors.As(err, &code) {
		return err
	}
	switch code {
	case sspi.SEC_E_LOGON_DENIED:
		return fmt.Errorf("%w: wrong user name or password", link.ErrAccess)
	case secNoCredentials:
		return fmt.Errorf("%w: Windows has no Kerberos credentials for this user; sign in to the domain or give user "+
			"and password", link.ErrAccess)
	case secNotFound:
		return fmt.Errorf("%w: no account of the domain carries this service name (setspn -Q)", ErrUnknownService)
	case secNoAuthority:
		return fmt.Errorf("no domain controller answers: %w", link.ErrUnreachable)
	case secTimeSkew:
		return fmt.Errorf("%w: set this machine's clock by the domain's", ErrClockSkew)
	case secWrongPrincipal:
		return fmt.Errorf("%w: the service name is registered on another account than the one that answers",
			link.ErrAccess)
	case secAltered, secOutOfSequence:
		return errUnseal
	}
	return fmt.Errorf("Windows security error %#x: %w", uint32(code), code)
}
