package exchange

import "errors"

// Errors of the getters and of Run; test with errors.Is.
var (
	ErrAbsent     = errors.New("no such property")          // the object has no property of that name
	ErrUnreadable = errors.New("property not readable")     // the server says it is there, but not what it is
	ErrNotFound   = errors.New("no such object")            // ManagementObjectNotFoundException and kin
	ErrNoCmdlet   = errors.New("cmdlet not available")      // not exported to this caller, or unknown on this side
	ErrThrottled  = errors.New("server asked to slow down") // 429 or the shell limit, after retries
)

// Object is one output object of a cmdlet: a bag of properties whose names are compared without case, as PowerShell does.
//
// Values are nil ($null), bool, int64, float64, string, time.Time, []byte, []any (of these) and map[string]any (hashtables). Values of Exchange's
// own types stand as their string form; a nested object as an Object.
type Object struct {
	Types      []string // .NET type names, most derived first; may be empty
	Text       string   // ToString()
	names      []string // as printed, in order
	properties map[string]any
}

// Unreadable stands for a value that exists but could not be read.
type Unreadable struct{ Reason string }
