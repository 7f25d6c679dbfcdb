package psrp

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// ErrorRecord is an error of PowerShell: the failure, its category and its object. Its texts are
// the server's and may hold line breaks.
type ErrorRecord struct {
	Message string // the exception's message
	// fully qualified error id: "CommandNotFoundException", "[Server=EX1,RequestId=…]
	// 1A2B,Microsoft.Exchange.…"
	ID              string
	Category        Category // error category
	Activity        string   // the cmdlet, mostly
	Reason          string   // short type name of the exception: "ManagementObjectNotFoundException"
	TargetName      string   // name of the object that it happened on
	TargetType      string   // type of that object
	CategoryMessage string   // category, target and reason as one line
	Exception       []string // .NET type names of the exception, most derived first, without "Deserialized."
	Details         string   // a text that replaces Message for readers; mostly empty
	Recommended     string   // what the server recommends to do; mostly empty
	Target          any      // the object that it happened on, as a value
	Object          *Object  // the record as it came; nil for a local record
}

// Error returns the message on one line.
func (e *ErrorRecord) Error() string {
	text := e.Details
	if text == "" {
		text = e.Message
	}
	if text == "" {
		text = e.ID
	}
	return link.Line(text + " " + e.Recommended)
}

// Is makes the record of a refused session one of the errors it stands for.
func (e *ErrorRecord) Is(target error) bool { return isLimit(target, e.Message+" "+e.Details) }

// Category is System.Management.Automation.ErrorCategory.
type Category int

// The categories.
const (
	NotSpecified Category = iota
	OpenError
	CloseError
	DeviceError
	DeadlockDetected
	InvalidArgument
	InvalidData
	InvalidOperation
	InvalidResult
	InvalidType
	MetadataError
	NotImplemented
	NotInstalled
	ObjectNotFound
	OperationStopped
	OperationTimeout
	SyntaxError
	ParserError
	PermissionDenied
	ResourceBusy
	ResourceExists
	ResourceUnavailable
	ReadError
	WriteError
	FromStdErr
	SecurityError
	ProtocolError
	ConnectionError
	AuthenticationError
	LimitsExceeded
	QuotaExceeded
	NotEnabled
)

var categoryNames = [...]string{
	"NotSpecified", "OpenError", "CloseError", "DeviceError", "DeadlockDetected", "InvalidArgument", "InvalidData",
	"InvalidOperation", "InvalidResult", "InvalidType",
	"MetadataError", "NotImplemented", "NotInstalled", "ObjectNotFound", "OperationStopped", "OperationTimeout",
	"SyntaxError", "ParserError", "PermissionDenied",
	"ResourceBusy", "ResourceExists", "ResourceUnavailable", "ReadError", "WriteError", "FromStdErr", "SecurityError",
	"ProtocolError", "ConnectionError",
	"AuthenticationError", "LimitsExceeded", "QuotaExceeded", "NotEnabled",
}

func (c Category) String() string {
	if c >= 0 && int(c) < len(categoryNames) {
		return categoryNames[c]
	}
	return fmt.Sprintf("ErrorCategory %d", int(c))
}

// errorRecordOf reads an error record. Any other value becomes a record of its text.
func errorRecordOf(v any) *ErrorRecord {
	o, ok := v.(*Object)
	if !ok || o == nil {
		return &ErrorRecord{Message: Text(v)}
	}
	e := &ErrorRecord{
		ID: textOf(o, "FullyQualifiedErrorId"), Category: Category(integerOf(o, "ErrorCategory_Category", 0)),
		Activity: textOf(o, "ErrorCategory_Activity"), Reason: textOf(o, "ErrorCategory_Reason"),
		TargetName: textOf(o, "ErrorCategory_TargetName"),
		TargetType: textOf(o, "ErrorCategory_TargetType"), CategoryMessage: textOf(o, "ErrorCategory_Message"),
		Details:     textOf(o, "ErrorDetails_Message"),
		Recommended: textOf(o, "ErrorDetails_RecommendedAction"), Object: o,
	}
	e.Target, _ = o.Get("TargetObject")
	if x, _ := o.Get("Exception"); x != nil {
		if exception, ok := x.(*Object); ok {
			e.Message = textOf(exception, "Message")
			for _, t := range exception.Types {
				e.Exception = append(e.Exception, strings.TrimPrefix(t, "Deserialized."))
			}
			if e.Message == "" {
				e.Message = exception.Text
			}
		} else {
			e.Message = Text(x)
		}
	}
	if e.Message == "" {
		e.Message = o.Text
	}
	return e
}

// object writes the record as a server sends it.
func (e *ErrorRecord) object() *Object {
	if e.Object != nil {
		return e.Object
	}
	types := slices.Clone(e.Exception)
	if len(types) == 0 {
		types = []string{"System.Management.Automation.RemoteException",
			"System.Management.Automation.RuntimeException", "System.SystemException", "System.Exception",
			"System.Object"}
	}
	reason := e.Reason
	if reason == "" {
		reason = types[0][strings.LastIndex(types[0], ".")+1:]
	}
	line := e.CategoryMessage
	if line == "" {
		line = fmt.Sprintf("%s: (%s:%s) [%s], %s", e.Category, e.TargetName, e.TargetType, e.Activity, reason)
	}
	o := &Object{
		Types: []string{"System.Management.Automation.ErrorRecord", "System.Object"}, Text: e.Message,
		Extended: []Property{
			{"writeErrorStream", true},
			{"Exception", &Object{Types: types, Text: types[0] + ": " + e.Message, Properties: []Property{
				{"Message", e.Message}, {"Data",
					&Object{Types: []string{"System.Collections.ListDictionaryInternal", "System.Object"},
						Value: &Dict{}}},
				{"InnerException", nil}, {"TargetSite", nil}, {"StackTrace", nil}, {"HelpLink", nil}, {"Source", nil},
			}}},
			{"TargetObject", e.Target}, {"FullyQualifiedErrorId", e.ID}, {"InvocationInfo", nil},
			{"ErrorCategory_Category", int(e.Category)}, {"ErrorCategory_Activity", e.Activity},
			{"ErrorCategory_Reason", reason},
			{"ErrorCategory_TargetName", e.TargetName}, {"ErrorCategory_TargetType", e.TargetType},
			{"ErrorCategory_Message", line},
			{"SerializeExtendedInfo", false},
		},
	}
	if e.Details != "" || e.Recommended != "" {
		o.Extended = append(o.Extended,
			Property{"ErrorDetails_Message", e.Details}, Property{"ErrorDetails_RecommendedAction", e.Recommended})
	}
	return o
}
