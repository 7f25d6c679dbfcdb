// Package exchange talks to an Exchange organization, on-premises or online: a Command in, Objects
// out. It is the narrow waist of hybridge: remote PowerShell, the Exchange Online admin API and
// recorded snapshots are Sessions alike.
package exchange

import "context"

// Session runs cmdlets in one Exchange organization. Implementations are safe for concurrent use;
// commands of one session may be serialized. Close ends it at the server (a remote PowerShell shell
// is always deleted).
type Session interface {
	// Run runs one cmdlet and returns its output objects, empty when it printed none. A cmdlet's
	// error record is an *Error; a refused sign-in or missing right is an error for which
	// errors.Is(err, ErrAccess) holds; an object that does not exist, one for which errors.Is(err,
	// ErrNotFound) holds.
	Run(ctx context.Context, c Command) ([]Object, error)
	// Allowed reports which of the named cmdlets the caller may run, and which of their parameters.
	Allowed(ctx context.Context, cmdlets ...string) (map[string]Allowance, error)
	Close(ctx context.Context) error
}

// Side is where an Exchange organization is: cmdlets and parameters differ.
type Side string

// The sides, as the cmdlet catalogue names them.
const (
	OnPremises Side = "onprem"
	Online     Side = "online"
)

// Command is a cmdlet with its parameters.
//
// A parameter's value is nil ($null), a bool (also for switches), string, int64, []string, []byte,
// map[string]any (a hashtable), ListChange, secret.Value (SecureString) or Credential
// (PSCredential). Names carry no dash.
type Command struct {
	Name       string         `json:"name"`
	Parameters map[string]any `json:"parameters,omitempty"`
}

// ListChange adds to and removes from a multi-valued property: @{Add=...; Remove=...}.
type ListChange struct {
	Add    []string `json:"add,omitempty"`
	Remove []string `json:"remove,omitempty"`
}

// Allowance says what the caller may do with a cmdlet. A cmdlet that the caller may not run at all
// is absent from the map.
type Allowance struct {
	Parameters []string // nil: not known in detail
	Untold     bool     // whether the caller may run it is unknown
}
