package link

import "errors"

// ProxyError is a connection that failed at the proxy, or because of it: it says nothing about the
// host.
type ProxyError struct {
	Proxy string // HOST:PORT
	Err   error
}

func (e *ProxyError) Error() string { return "proxy " + e.Proxy + ": " + e.Err.Error() }
func (e *ProxyError) Unwrap() error { return e.Err }

// ByProxy reports whether a failure is the proxy's, and not the host's.
func ByProxy(err error) bool {
	var proxy *ProxyError
	return errors.As(err, &proxy)
}
