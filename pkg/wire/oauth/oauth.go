// Package oauth speaks the parts of OAuth 2.0 that Exchange hybrid rests on: signed tokens (RFC
// 7519), the client-credentials grant with a certificate (RFC 7523), OpenID and Exchange auth
// metadata, EvoSTS federation metadata, and the challenge of a server (RFC 6750). It has both
// halves: what a client sends, and what a token issuer or a resource does with it.
package oauth

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// Application ids of Microsoft's own services; the same in every tenant and cloud.
const (
	// Office 365 Exchange Online; also every on-premises Exchange
	AppExchangeOnline       = "00000002-0000-0ff1-ce00-000000000000"
	AppGraph                = "00000003-0000-0000-c000-000000000000" // Microsoft Graph
	AppAccessControlService = "00000001-0000-0000-c000-000000000000" // ACS, the issuer of service-to-service tokens
)

// Errors of tokens. Test with errors.Is.
var (
	ErrMalformed   = errors.New("malformed token")
	ErrAlgorithm   = errors.New("signature algorithm not accepted")
	ErrUnknownKey  = errors.New("token signed with an unknown key")
	ErrSignature   = errors.New("token has an invalid signature")
	ErrExpired     = errors.New("token has expired")
	ErrNotYetValid = errors.New("token is not yet valid")
	ErrIssuer      = errors.New("token issuer not trusted")
	ErrAudience    = errors.New("token audience is invalid")
)

// Error is a refusal by a token endpoint (RFC 6749 section 5.2, with Entra's additions). Its text
// never holds a token or a secret.
type Error struct {
	Host          string
	Status        int    // HTTP
	Code          string // "invalid_client"
	Codes         []int  // AADSTS numbers, most important first; empty when the server is not Entra
	Description   string // the server's words, cleaned; one line
	CorrelationID string
	TraceID       string
	// of this machine's clock, compared with the server's; negative when it is behind, 0 when that
	// is not known
	Ahead time.Duration
}

// clockLeeway is a clock difference that never causes a refusal: Entra tolerates 5 minutes.
const clockLeeway = 2 * time.Minute

// Compare records the difference between this machine's clock, which shows now, and the server's
// (the Date of its answer, RFC 9110 section 6.6.1).
func (e *Error) Compare(answer http.Header, now time.Time) {
	if date, err := http.ParseTime(answer.Get("Date")); err == nil {
		e.Ahead = now.Sub(date).Round(time.Second)
	}
}

func (e *Error) Error() string {
	text := e.Description
	if text == "" {
		text = e.Code
	}
	if text == "" {
		text = fmt.Sprintf("status %d", e.Status)
	}
	switch {
	case e.Ahead >= clockLeeway:
		text += fmt.Sprintf(" (this machine's clock is %s ahead of the server's: set it right)", e.Ahead)
	case e.Ahead <= -clockLeeway:
		text += fmt.Sprintf(" (this machine's clock is %s behind the server's: set it right)", -e.Ahead)
	}
	return "request a token from " + e.Host + ": " + text
}

// AADSTS reports whether Entra gave this code.
func (e *Error) AADSTS(code int) bool {
	for _, c := range e.Codes {
		if c == code {
			return true
		}
	}
	return false
}

// Unwrap classifies: a token endpoint that answers with an OAuth error refuses access; a failing
// server is not reachable.
func (e *Error) Unwrap() error {
	if e.Status >= 500 || e.Status == 429 {
		return link.ErrUnreachable
	}
	return link.ErrAccess
}

// clean is a server's text on one line, without anything that looks like a token.
func clean(text string) string {
	words := strings.Fields(link.Printable(text))
	for i, w := range words {
		if at := strings.Index(w, "eyJ"); at >= 0 && strings.Count(w[at:], ".") >= 1 && len(w) > 40 {
			words[i] = w[:at] + "[token]"
		}
	}
	return link.Line(strings.Join(words, " "))
}
