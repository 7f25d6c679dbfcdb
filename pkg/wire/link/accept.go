package link

import (
	"context"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/hybridge-cli/hybridge/pkg/wire/link/ntlm"
)

// Caller is the authenticated user of a request.
type Caller struct {
	Scheme string // "Basic", "NTLM", "Negotiate", "Bearer"
	User   string // as the client spelled it: DOMAIN\user, user@domain, user; what Negotiate or Bearer returned
	Claims any    // what Bearer returned
}

type callerKey struct{}

// CallerOf returns the sender of the request of ctx; ok is false for an anonymous one.
func CallerOf(ctx context.Context) (caller Caller, ok bool) {
	caller, ok = ctx.Value(callerKey{}).(Caller)
	return caller, ok
}

// WithCaller is for servers that authenticate by themselves, and for tests.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// Acceptor is the server's side of a GSS-API exchange on one connection.
type Acceptor interface {
	// Accept takes the client's token. user is set when the exchange is complete; out may accompany
	// it.
	Accept(in []byte) (out []byte, user string, err error)
}

// Accept authenticates requests for a server. The zero Accept refuses every caller. NTLM and
// Negotiate need ConnContext on the http.Server and HTTP/1.1; without either they are not offered.
type Accept struct {
	Realm string // of Basic

	// Password returns the password of a user spelled DOMAIN\user, user@domain or user. Needed by
	// Basic and NTLM.
	Password func(user string) (password string, ok bool)
	Basic    bool
	NTLM     bool
	Names    ntlm.Server // the names and the protection that NTLM challenges carry

	// Certificate returns the certificate that a request's connection was served with, for Extended
	// Protection.
	Certificate func(*http.Request) *x509.Certificate

	// nil: Negotiate is not offered, unless NTLM is
	Negotiate func() Acceptor
	Bearer    func(ctx context.Context, token string) (user string, claims any, err error) // nil: not accepted
	// further WWW-Authenticate values, such as a Bearer challenge
	Offers func(r *http.Request) []string
	// requests let through without a caller; nil: none
	Anonymous func(r *http.Request) bool
	// receives the reason why a credential was refused; may be nil
	Refused func(r *http.Request, err error)
}

// connState is the authenticated user of a connection.
type connState struct {
	mu       sync.Mutex
	exchange *ntlm.Server
	acceptor Acceptor
	caller   *Caller
}

type connKey struct{}

// ConnContext goes into http.Server.ConnContext. It keeps the state of each connection.
func ConnContext(ctx context.Context, _ net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, &connState{})
}

// Handler authenticates and passes on to next, with the Caller in the request's context.
func (a *Accept) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		state, _ := r.Context().Value(connKey{}).(*connState)
		if r.ProtoMajor != 1 {
			state = nil
		}
		caller, reply, err := a.authenticate(r, state)
		switch {
		case caller != nil:
			if reply != "" {
				w.Header().Set("WWW-Authenticate", reply)
			}
			next.ServeHTTP(w, r.WithContext(WithCaller(r.Context(), *caller)))
		case reply != "": // in the middle of an exchange
			w.Header().Set("WWW-Authenticate", reply)
			unauthorized(w)
		case err == nil && a.Anonymous != nil && a.Anonymous(r):
			next.ServeHTTP(w, r)
		default:
			if err != nil && a.Refused != nil {
				a.Refused(r, err)
			}
			for _, offer := range a.offers(r, state) {
				w.Header().Add("WWW-Authenticate", offer)
			}
			unauthorized(w)
		}
	})
}

func unauthorized(w http.ResponseWriter) {
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusUnauthorized)
}

func (a *Accept) offers(r *http.Request, state *connState) []string {
	var offers []string
	if state != nil && (a.Negotiate != nil || a.NTLM) {
		offers = append(offers, "Negotiate")
	}
	if state != nil && a.NTLM {
		offers = append(offers, "NTLM")
	}
	if a.Basic {
		offers = append(offers, `Basic realm="`+strings.ReplaceAll(a.Realm, `"`, "")+`"`)
	}
	if a.Offers != nil {
		offers = append(offers, a.Offers(r)...)
	}
	return offers
}

// authenticate returns the caller, or the reply in the middle of an exchange, or why a credential
// was refused. All empty: the request carried none, and neither did its connection.
func (a *Accept) authenticate(r *http.Request, state *connState) (caller *Caller, reply string, err error) {
	scheme, value, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	value = strings.TrimSpace(value)
	switch {
	case scheme == "":
		if state == nil {
			return nil, "", nil
		}
		state.mu.Lock()
		defer state.mu.Unlock()
		return state.caller, "", nil
	case strings.EqualFold(scheme, "Basic") && a.Basic:
		return a.basic(value)
	case strings.EqualFold(scheme, "Bearer") && a.Bearer != nil:
		if value == "" {
			return nil, "", nil // an empty bearer asks for the challenge
		}
		user, claims, err := a.Bearer(r.Context(), value)
		if err != nil {
			return nil, "", err
		}
		return &Caller{Scheme: "Bearer", User: user, Claims: claims}, "", nil
	case state != nil && (strings.EqualFold(scheme, "NTLM") && a.NTLM || strings.EqualFold(scheme, "Negotiate") &&
		(a.NTLM || a.Negotiate != nil)):
		return a.exchange(r, state, scheme, value)
	}
	return nil, "", ErrAccess
}

func (a *Accept) basic(value string) (*Caller, string, error) {
	raw, err := base64.StdEncoding.DecodeString(value)
	user, password, ok := strings.Cut(string(raw), ":")
	if err != nil || !ok || a.Password == nil {
		return nil, "", ErrAccess
	}
	want, known := a.Password(user)
	if subtle.ConstantTimeCompare([]byte(want), []byte(password)) != 1 || !known {
		return nil, "", ErrAccess
	}
	return &Caller{Scheme: "Basic", User: user}, "", nil
}

// exchange runs NTLM or Negotiate. The connection's earlier user is forgotten first: a new
// credential on a kept connection must prove itself.
func (a *Accept) exchange(r *http.Request, state *connState, scheme, value string) (*Caller, string, error) {
	state.mu.Lock()
	defer state.mu.Unlock()
	state.caller = nil
	token, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		return nil, "", err
	}
	if len(token) == 0 {
		return nil, "", nil
	}
	wrapped := false
	if message, ok := unwrapNTLM(token); ok && a.NTLM && a.Negotiate == nil && strings.EqualFold(scheme, "Negotiate") {
		if len(message) == 0 {
			return nil, scheme + " " + base64.StdEncoding.EncodeToString(wrapNTLM(negotiationIncomplete, nil)), nil
		}
		token, wrapped = message, true
	}
	kind := ntlm.MessageType(token)
	switch {
	case kind == 0 && strings.EqualFold(scheme, "Negotiate") && a.Negotiate != nil:
		return a.negotiate(state, token)
	case kind == 0 || !a.NTLM || a.Password == nil:
		return nil, "", ntlm.ErrMalformed
	case kind == 1:
		server := a.Names
		if a.Certificate != nil && r.TLS != nil {
			if cert := a.Certificate(r); cert != nil {
				server.ChannelBinding, _ = ntlm.EndPointBinding(cert)
			}
		}
		challenge, err := server.Challenge(token)
		if err != nil {
			return nil, "", err
		}
		state.exchange = &server
		if wrapped {
			challenge = wrapNTLM(negotiationIncomplete, challenge)
		}
		return nil, scheme + " " + base64.StdEncoding.EncodeToString(challenge), nil
	case kind == 3 && state.exchange != nil:
		identity, err := state.exchange.Verify(token, func(i ntlm.Identity) (ntlm.Hash, bool) {
			password, ok := a.Password(i.String())
			return ntlm.HashOf(password), ok
		})
		if err != nil {
			return nil, "", err
		}
		state.caller = &Caller{Scheme: "NTLM", User: identity.String()}
		if wrapped {
			return state.caller, scheme + " " +
				base64.StdEncoding.EncodeToString(wrapNTLM(negotiationComplete, nil)), nil
		}
		return state.caller, "", nil
	}
	return nil, "", ntlm.ErrMalformed
}

func (a *Accept) negotiate(state *connState, token []byte) (*Caller, string, error) {
	if state.acceptor == nil {
		state.acceptor = a.Negotiate()
	}
	out, user, err := state.acceptor.Accept(token)
	if err != nil || user != "" {
		state.acceptor = nil
	}
	if err != nil {
		return nil, "", err
	}
	reply := "Negotiate"
	if len(out) > 0 {
		reply += " " + base64.StdEncoding.EncodeToString(out)
	}
	if user == "" {
		return nil, reply, nil
	}
	state.caller = &Caller{Scheme: "Negotiate", User: user}
	if len(out) == 0 {
		reply = ""
	}
	return state.caller, reply, nil
}

// Challenge refuses a request without a caller and offers every scheme. It is for handlers that
// learn late that they need a caller.
func (a *Accept) Challenge(w http.ResponseWriter, r *http.Request) {
	state, _ := r.Context().Value(connKey{}).(*connState)
	if r.ProtoMajor != 1 {
		state = nil
	}
	for _, offer := range a.offers(r, state) {
		w.Header().Add("WWW-Authenticate", offer)
	}
	unauthorized(w)
}
