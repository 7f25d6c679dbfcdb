package entra

import "net/http"

// Answered reports that Graph itself refused the request: nothing was written. After an error of
// the server or of something on the way (5xx, 408, 429) the request may have been carried out.
func (e *Error) Answered() bool {
	return e.Status >= 400 && e.Status < 500 && e.Status != http.StatusRequestTimeout &&
		e.Status != http.StatusTooManyRequests
}

// Deferred reports that Graph, or a gateway in front of it, could not carry out the request now.
func (e *Error) Deferred() bool {
	return e.Status == http.StatusServiceUnavailable || e.Status == http.StatusGatewayTimeout
}
