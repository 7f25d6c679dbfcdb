package exchange

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// transientErrors are names in error answers that mean: retry later. Only reading cmdlets are
// retried.
var transientErrors = []string{"ServerBusyException", "TransientException", "ADTransientException",
	"DataSourceTransientException", "StorageTransientException", "TimeoutException", "OverBudgetException"}

// later reports whether an error answer means that the cmdlet may work in a while.
func later(body []byte) bool {
	e := onlineError("", body)
	return e != nil && slices.ContainsFunc(transientErrors,
		func(name string) bool { return strings.HasSuffix(e.ExceptionType, name) })
}

// refusedError is a 401.
type refusedError struct{ reason string }

func (e *refusedError) Error() string { return e.reason }

func (e *refusedError) Is(target error) bool { return target == link.ErrAccess }

var challengeText = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`error_description="([^"]*)"`)
})

func challengeReason(header string) string {
	if m := challengeText().FindStringSubmatch(header); m != nil {
		return link.Line(m[1])
	}
	return ""
}

// segments of a message:
// Ex6F9304|Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException|text
var segments = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?s)^\|?(Ex[0-9A-Fa-f]+)\|([A-Za-z0-9_.+]+)\|(.*)$`)
})

// onlineError reads the service's error answer; nil when it is none.
func onlineError(cmdlet string, text []byte) *Error {
	var answer struct {
		Error *struct {
			Code    string `json:"code"`
			Message string `json:"message"`
			Target  string `json:"target"`
			Details []struct {
				Code    string `json:"code"`
				Target  string `json:"target"`
				Message string `json:"message"`
			} `json:"details"`
			Inner struct {
				Internal struct {
					Message string `json:"message"`
					Type    string `json:"type"`
				} `json:"internalexception"`
			} `json:"innererror"`
		} `json:"error"`
	}
	if json.Unmarshal(text, &answer) != nil || answer.Error == nil {
		return nil
	}
	in := answer.Error
	e := &Error{Cmdlet: cmdlet, Category: in.Code, Message: in.Message, Target: in.Target,
		ExceptionType: in.Inner.Internal.Type}
	if len(in.Details) > 0 {
		d := in.Details[0]
		if m := segments().FindStringSubmatch(d.Message); m != nil {
			// inside is what the task threw; the type beside it can be that of a wrapper
			e.FullyQualifiedID, e.ExceptionType, e.Message = m[1], m[2], m[3]
		} else if d.Message != "" {
			e.Message = d.Message[strings.LastIndexByte(d.Message, '|')+1:]
		}
		if d.Target != "" {
			e.Target = d.Target
		}
	}
	if inner := in.Inner.Internal.Message; inner != "" {
		e.Message = inner
		if m := segments().FindStringSubmatch(inner); m != nil {
			// inside is what the task threw; the type beside it can be that of a wrapper
			e.FullyQualifiedID, e.ExceptionType, e.Message = m[1], m[2], m[3]
		}
	}
	return e
}
