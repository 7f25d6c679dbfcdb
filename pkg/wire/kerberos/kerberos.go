// Package kerberos proves a user to a service, and the service to the user, with Kerberos tickets
// (RFC 4120, RFC 4121), and seals messages with the key that they then share. Tickets come from a
// password, a keytab or a ticket cache; on Windows, when no file is named, from Windows itself
// (SSPI), for the current logon or for a user with a password.
package kerberos

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
)

// Errors beside the link.Err classes; test with errors.Is.
var (
	ErrClockSkew      = errors.New("clocks differ too much")
	ErrUnknownService = errors.New("service not known to the domain")
	ErrReplay         = errors.New("ticket was used before")
)

// Config names the user whose tickets to get, and their source.
type Config struct {
	User     string       // "admin", "admin@CONTOSO.COM", "CONTOSO\admin"; taken from the ticket cache when empty
	Realm    string       // that of User, else the default realm of the krb5 configuration
	Password secret.Value // one of Password, Keytab and TicketCache
	Keytab   string       // file
	// file, with or without "FILE:"; that of the environment (KRB5CCNAME) when nothing else is
	// given
	TicketCache string
	// file; that of the environment (KRB5_CONFIG), else /etc/krb5.conf; without any, servers are
	// found by DNS
	Krb5Config string
}

// Client gets tickets for one user. It is safe for concurrent use.
type Client struct{ source source }

// source is where tickets come from: a key distribution center, or Windows.
type source interface {
	// start begins a security context with the service. It may block; ctx is watched by the caller.
	start(ctx context.Context, spn string) (mechanism, error)
	user() string
	close()
}

// mechanism is one security context.
type mechanism interface {
	step(in []byte) (out []byte, done bool, err error)
	seal(plain []byte) (signature, sealed []byte, err error)
	unseal(signature, sealed []byte) ([]byte, error)
	peer() string
	release()
}

// New makes a client. It reads files and contacts no server yet.
func New(c Config) (*Client, error) {
	s, err := newSource(c)
	if err != nil {
		return nil, err
	}
	return &Client{s}, nil
}

// User is the user as Kerberos knows it: admin@CONTOSO.COM. Empty while Windows has not reported
// it.
func (c *Client) User() string { return c.source.user() }

// Context gets a ticket for the service ("HTTP/ex1.contoso.com") and starts a security context with
// it.
func (c *Client) Context(ctx context.Context, spn string) (*Context, error) {
	type result struct {
		m   mechanism
		err error
	}
	// Neither gokrb5 nor Windows knows contexts. An abandoned call ends by itself: gokrb5 waits 5 s
	// for each server.
	done := make(chan result, 1)
	go func() {
		m, err := c.source.start(ctx, spn)
		done <- result{m, err}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			return nil, r.err
		}
		return &Context{mechanism: r.m}, nil
	case <-ctx.Done():
		go func() {
			if r := <-done; r.m != nil {
				r.m.release()
			}
		}()
		return nil, fmt.Errorf("get a Kerberos ticket for %s as %s: %w", spn, c.User(), context.Cause(ctx))
	}
}

// Close forgets tickets and keys.
func (c *Client) Close() { c.source.close() }

// Context is one side of a security context. It serves one connection, one message at a time.
type Context struct{ mechanism mechanism }

// Step takes the other side's token (nil at the start) and returns the next token to send, and
// whether the context stands: the service then has proved itself too.
func (c *Context) Step(in []byte) (out []byte, done bool, err error) { return c.mechanism.step(in) }

// Accept is Step for the service's side, with the name of the user once the context stands:
// admin@CONTOSO.COM.
func (c *Context) Accept(in []byte) (out []byte, user string, err error) {
	out, done, err := c.mechanism.step(in)
	if err != nil || !done {
		return out, "", err
	}
	return out, c.mechanism.peer(), nil
}

// Peer is the user that the service accepted, or the service that the user reached.
func (c *Context) Peer() string { return c.mechanism.peer() }

// Seal encrypts a message for the other side, in two parts as Windows does it: signature (its
// security trailer) and data.
func (c *Context) Seal(plain []byte) (signature, sealed []byte, err error) {
	return c.mechanism.seal(plain)
}

// Unseal decrypts the other side's next message. Messages that were altered, repeated, left out or
// reordered are refused.
func (c *Context) Unseal(signature, sealed []byte) ([]byte, error) {
	return c.mechanism.unseal(signature, sealed)
}

// Close releases what the system holds for the context.
func (c *Context) Close() { c.mechanism.release() }

// splitUser splits a user name: "admin@CONTOSO.COM", "CONTOSO\admin" (the NetBIOS name is no realm
// and is dropped) or "admin".
func splitUser(user string) (name, realm string) {
	if _, name, ok := strings.Cut(user, `\`); ok {
		return name, ""
	}
	if i := strings.LastIndex(user, "@"); i >= 0 {
		return user[:i], strings.ToUpper(user[i+1:])
	}
	return user, ""
}

var errNotEstablished = errors.New("the security context is not established yet")
