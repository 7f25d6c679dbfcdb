package psrp

import "context"

// transport carries the fragments of a pool and of its commands to a server and back. The id of a
// command is empty for the pool itself. A transport that has lost the session returns an
// ErrShellGone.
type transport interface {
	// name says where the session is: "remote PowerShell at ex1.contoso.com".
	name() string
	host() string
	// open makes the session and delivers the pool's first messages.
	open(ctx context.Context, first [][]byte) error
	// start begins a command with its first fragment, and returns the id that the server gave to it.
	start(ctx context.Context, command string, first []byte) (id string, err error)
	send(ctx context.Context, command string, fragment []byte) error
	// receive waits for fragments. done says that the command has ended. Nothing pending is no error.
	receive(ctx context.Context, command string) (fragments []byte, done bool, err error)
	// stop frees a command, and stops it first unless it has ended.
	stop(ctx context.Context, command string, ended bool) error
	// end ends the session at the server.
	end(ctx context.Context) error
	// fragmentSize is how large a fragment may be.
	fragmentSize() int
	// speaks takes the version of the protocol that the server speaks.
	speaks(protocol string)
	// requests is how many requests were sent.
	requests() int
	// close frees what is held here.
	close()
}

func newTransport(o Options, pool GUID) (transport, error) {
	if len(o.Program) > 0 {
		return newProcess(o), nil
	}
	return newWSMan(o, pool)
}
