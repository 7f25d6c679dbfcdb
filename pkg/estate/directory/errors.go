package directory

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

var (
	// ErrNoExchange says that the forest holds no Exchange organization that this account can see.
	ErrNoExchange = errors.New("no Exchange organization")

	errNoSuchObject = errors.New("no such object")
)

// LDAP result codes that are distinguished (RFC 4511, appendix A).
const (
	resultSuccess            = 0
	resultOperationsError    = 1
	resultProtocolError      = 2
	resultTimeLimit          = 3
	resultSizeLimit          = 4
	resultStrongAuth         = 8
	resultReferral           = 10
	resultAdminLimit         = 11
	resultCriticalExtension  = 12
	resultConfidentiality    = 13
	resultSASLInProgress     = 14
	resultNoSuchObject       = 32
	resultInappropriateAuth  = 48
	resultInvalidCredentials = 49
	resultInsufficientAccess = 50
	resultBusy               = 51
	resultUnavailable        = 52
	resultUnwilling          = 53
)

// ResultError is a refusal by a directory server. It wraps link.ErrAccess or link.ErrUnreachable
// where one applies.
type ResultError struct {
	Code       int    // LDAP result code
	Data       string // Active Directory's data code in hexadecimal, such as "52e"; empty when the server gave none
	Diagnostic string // the server's own text, control characters removed
}

// refusal is what a data code of AcceptSecurityContext means. They are Windows error codes in
// hexadecimal; see Microsoft's "LDAP bind error codes" and winerror.h.
var refusal = map[string]string{
	"525": "no such user",
	"52e": "wrong user name or password",
	"52f": "the account is restricted (empty password, or a protected account that may not authenticate this way)",
	"530": "the account may not log on at this time",
	"531": "the account may not log on from this computer",
	"532": "the password has expired",
	"533": "the account is disabled",
	"568": "the account is in too many groups",
	"701": "the account has expired",
	"773": "the password must be changed before the first logon",
	"775": "the account is locked out",
	"80090346": "the domain controller requires channel binding, which this kind of bind cannot offer; use a " +
		"password over LDAPS",
}

var dataCode = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\bdata ([0-9a-fA-F]+)\b`)
})

func newResultError(r result) *ResultError {
	e := &ResultError{Code: r.code, Diagnostic: link.Line(r.diagnostic)}
	if m := dataCode().FindStringSubmatch(e.Diagnostic); m != nil && m[1] != "0" {
		e.Data = strings.ToLower(m[1])
	}
	return e
}

func (e *ResultError) Error() string {
	switch e.Code {
	case resultInvalidCredentials:
		if text, ok := refusal[e.Data]; ok {
			return text
		}
		if e.Data == "" {
			return e.with("wrong user name or password")
		}
		return e.with("credentials refused")
	case resultStrongAuth, resultConfidentiality:
		return e.with("the server accepts this bind only over an encrypted or signed connection")
	case resultInappropriateAuth:
		return e.with("the server does not accept this kind of bind for this account")
	case resultInsufficientAccess:
		return e.with("the account has no right to do this")
	case resultNoSuchObject:
		return "no such object"
	case resultSizeLimit:
		return "incomplete answer: the server's size limit was exceeded"
	case resultTimeLimit:
		return "incomplete answer: the server's time limit was exceeded"
	case resultAdminLimit:
		return e.with("incomplete answer: an administrative limit of the server was exceeded")
	case resultReferral:
		return e.with("the server does not hold this naming context")
	case resultBusy:
		return "the server is busy"
	case resultUnavailable:
		return e.with("the server is not available")
	case resultUnwilling:
		return e.with("the server is unwilling to do this")
	case resultOperationsError:
		return e.with("the server could not do this")
	case resultProtocolError:
		return e.with("the server does not know this request")
	case resultCriticalExtension:
		return e.with("the server does not support an extension that is required")
	}
	return e.with(fmt.Sprintf("LDAP result %d", e.Code))
}

func (e *ResultError) with(text string) string {
	if e.Diagnostic == "" {
		return text
	}
	return text + " (" + e.Diagnostic + ")"
}

func (e *ResultError) Unwrap() error {
	switch e.Code {
	case resultInvalidCredentials, resultStrongAuth, resultConfidentiality, resultInappropriateAuth,
		resultInsufficientAccess:
		return link.ErrAccess
	case resultOperationsError:
		// What Active Directory answers to a search before a bind.
		if strings.Contains(e.Diagnostic, "successful bind") ||
			strings.Contains(e.Diagnostic, "without authentication") {
			return link.ErrAccess
		}
	case resultBusy, resultUnavailable:
		return link.ErrUnreachable
	case resultNoSuchObject:
		return errNoSuchObject
	}
	return nil
}

// connectionError words and classifies an error of an established connection.
func connectionError(ctx context.Context, err error, limit time.Duration) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err() // the cause, whatever the connection reported
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &silenceError{limit, err}
	}
	return link.Classify(err)
}

// silenceError is a server that keeps the connection and says nothing.
type silenceError struct {
	limit time.Duration
	err   error
}

func (e *silenceError) Error() string   { return fmt.Sprintf("no answer within %v", e.limit) }
func (e *silenceError) Unwrap() []error { return []error{link.ErrUnreachable, e.err} }
