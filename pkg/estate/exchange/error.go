package exchange

import (
	"fmt"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// Error is a cmdlet's error record. errors.Is finds its meaning: ErrNotFound, ErrNoCmdlet,
// ErrThrottled, link.ErrAccess.
type Error struct {
	Cmdlet string `json:"cmdlet"`
	// "ObjectNotFound", "InvalidArgument", ...; Online: the OData error code
	Category string `json:"category,omitempty"`
	// "[Server=EX1,...] 6F9304,Microsoft.Exchange....GetOrganizationRelationship"
	FullyQualifiedID string `json:"fullyQualifiedId,omitempty"`
	ExceptionType    string `json:"exceptionType,omitempty"` // with its namespace
	Message          string `json:"message"`                 // as the server worded it, in the server's language
	Target           string `json:"target,omitempty"`
}

// Error words the record on one line.
func (e *Error) Error() string {
	message := link.Line(e.Message)
	if message == "" {
		message = "the cmdlet failed and gave no reason"
		if e.ExceptionType != "" {
			message += " but " + link.Line(e.ExceptionType)
		}
	}
	if e.Cmdlet == "" {
		return message
	}
	return link.Line(e.Cmdlet) + ": " + message
}

// The short names of exceptions by what they mean.
var (
	notFoundExceptions = []string{"ManagementObjectNotFoundException", "ADObjectNotFoundException",
		"ObjectNotFoundException", "MailboxNotFoundException"}
	noCmdletExceptions = []string{"CommandNotFoundException", "CmdletNotFoundException"}
	accessExceptions   = []string{"CmdletAccessDeniedException", "UnauthorizedAccessException",
		"AuthorizationException", "SecurityException", "PSSecurityException", "ADScopeException",
		"TaskPermissionException"}
	throttlingException = []string{"OverBudgetException", "TooManyRequestsException",
		"ThrottlingRejectedOperationException"}
)

// Is makes the record match the errors of this package and link.ErrAccess.
func (e *Error) Is(target error) bool {
	exception := e.ExceptionType
	if i := strings.LastIndexByte(exception, '.'); i >= 0 {
		exception = exception[i+1:]
	}
	named := func(names []string) bool {
		for _, n := range names {
			// the id of a record made of a bare exception is that exception's name
			if strings.EqualFold(exception, n) || hasID(e.FullyQualifiedID, n) {
				return true
			}
		}
		return false
	}
	switch target {
	case ErrNotFound:
		return named(notFoundExceptions)
	case ErrNoCmdlet:
		return named(noCmdletExceptions)
	case ErrThrottled:
		return named(throttlingException)
	case link.ErrAccess:
		switch e.Category {
		case "PermissionDenied", "SecurityError", "AuthenticationError":
			return true
		}
		return named(accessExceptions)
	}
	return false
}

// hasID reports whether a fully qualified error id begins with id.
func hasID(fqid, id string) bool {
	first, _, _ := strings.Cut(fqid, ",")
	return strings.EqualFold(strings.TrimSpace(first), id)
}

// at names the place where something failed.
func at(place string, err error) error {
	if err == nil || place == "" {
		return err
	}
	return fmt.Errorf("%s: %w", place, err)
}
