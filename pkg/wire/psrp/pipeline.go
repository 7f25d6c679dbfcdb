package psrp

// Pipeline is one command, or several chained with "|".
type Pipeline struct {
	Commands []Command
	// Metadata, at a server, says that the client asks for descriptions of commands, as
	// Import-PSSession does. Commands is then one Get-Command with the names and types that it
	// wants.
	Metadata bool
	// Input, at a server, is what the client piped into the first command; nil when it pipes
	// nothing.
	Input []any
	// OnOutput, if set, takes each output object when it arrives, and Output.Objects stays empty.
	// An error from it stops the pipeline.
	OnOutput func(object any) error
	// OnRecord, if set, takes each record of the other streams when it arrives: *ErrorRecord,
	// Warning, Verbose, Debug, Information or Progress. They are collected in Output as well.
	OnRecord func(record any)
}

// Command is a cmdlet with its parameters.
type Command struct {
	Name       string
	Parameters []Parameter
	// Script says that Name is PowerShell source. Exchange's sessions refuse it.
	Script bool
}

// Parameter is a named argument; a positional one when Name is empty. A switch is given as the bool
// true. Names carry no dash.
//
// Values that can be written are nil, bool, string, Go's integers, float64, time.Time, []string,
// []byte, []any, map[string]any (a hashtable), secret.Value (a SecureString), Credential (a
// PSCredential), and every value that CLIXML reads. A server receives: nil, bool, string, int64,
// uint64, float64, time.Time, []byte, []any, map[string]any, secret.Value, Credential, GUID,
// TimeSpan, Version, URI and other named texts, and *Object for the rest.
type Parameter struct {
	Name  string
	Value any
}

// Output is what a pipeline wrote.
type Output struct {
	Objects     []any
	Errors      []*ErrorRecord // errors that did not end the pipeline
	Warnings    []string
	Verbose     []string
	Debug       []string
	Information []Information
	Progress    int // number of progress records; their content is passed to OnRecord only
}

// Records of the streams beside output and errors.
type (
	Warning string
	Verbose string
	Debug   string
	// Information is what Write-Information or Write-Host wrote.
	Information struct {
		Message any
		Source  string
		Tags    []string
	}
	// Progress is what Write-Progress wrote.
	Progress struct {
		Activity, Status, Operation string
		Percent, SecondsRemaining   int // -1: unknown
		Completed                   bool
	}
)
