// Package link is how a connection is made: where a name is really connected to, who resolves it, which certificate authorities are
// trusted, through which proxy, within what time, and how the caller proves who it is.
package link

import "errors"

// The classes of failure that every package above tells apart; test with errors.Is.
var (
	ErrAccess      = errors.New("access refused")       // wrong password, missing role, 401, 403, LDAP 49
	ErrUntrusted   = errors.New("certificate refused")  // TLS verification failed
	ErrUnreachable = errors.New("server not reachable") // no address, refused, no route
)
