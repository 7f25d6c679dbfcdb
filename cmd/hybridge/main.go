// Command hybridge sets up and checks Exchange hybrid: see "hybridge --help".
package main

import (
	"os"

	"github.com/hybridge-cli/hybridge/wizard/quiet" // before all that probes the terminal

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
)

// The linker sets these. A build without them knows its commit where the go command notes it.
var (
	version = "dev"
	commit  string
	date    string // of the commit, RFC 3339
)

func main() {
	quiet.Restore()
	os.Exit(run(os.Args[1:], systemStreams(), openDeployment))
}

func openDeployment(a answers.Answers, o deployment.Options) (deployed, error) {
	d, err := deployment.Open(a, o)
	if err != nil {
		return nil, err // not a nil *Deployment, which is no nil interface
	}
	return d, nil
}
