package lab

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

// A server asks another one on behalf of the person who makes the lookup. It wraps its own signed
// token in an unsigned one that names the person ([MS-XOAUTH] 2.2). The other side must know both
// the application and the person.

type behalfKey struct{}

// onBehalfOf makes requests to the other side name a person: by the SMTP address, or by the sign-in
// name when the person has no mailbox.
func onBehalfOf(ctx context.Context, person string) context.Context {
	return context.WithValue(ctx, behalfKey{}, person)
}

// userToken wraps an application's token. When the request names no person, the token is returned
// unchanged.
func userToken(ctx context.Context, actor string, now time.Time) (string, error) {
	person, _ := ctx.Value(behalfKey{}).(string)
	if person == "" {
		return actor, nil
	}
	inner, err := oauth.Parse(actor)
	if err != nil {
		return "", err
	}
	// marshalling strings cannot fail
	header, _ := json.Marshal(oauth.Header{Algorithm: "none", Type: "JWT"})
	claims, err := json.Marshal(oauth.Claims{
		"aud": inner.Claims["aud"], "iss": applicationOf(inner), "nbf": now.Unix(), "exp": inner.Claims["exp"],
		"smtp": person, "actortoken": actor,
	})
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(claims) + ".", nil
}

// applicationOf is the token's application, with its realm.
func applicationOf(t oauth.Token) string {
	if id := t.Claims.String("nameid"); id != "" {
		return id
	}
	return t.Claims.String("appid") + "@" + t.Claims.String("tid")
}

// refusedToken is a refusal, with the reason that Exchange gives in the header x-ms-diagnostics.
type refusedToken struct{ oauth.Diagnostics }

func (e *refusedToken) Error() string { return e.Reason }

func refusedUser(what string) error {
	return &refusedToken{oauth.Diagnostics{Code: 2000005,
		Reason: "The user specified by the user-context in the token " + what + ".", Category: "invalid_user"}}
}

// permissionless is the refusal of a known application that has no permission.
func permissionless(application string) *refusedToken {
	return &refusedToken{oauth.Diagnostics{
		Code: 2000008, Category: "invalid_grant",
		Reason: "The token should have valid permissions or linked account associated with partner application '" +
			application + "'.",
	}}
}

// bearer verifies the token of a request: the application's token by the server's rules, and the
// person whom it names. A refusal is written with its reason.
func (p *premise) bearer(w http.ResponseWriter, now func() time.Time,
	verify func(context.Context, string) (oauth.Token, error)) func(context.Context, string) (string, any, error) {
	return func(ctx context.Context, presented string) (string, any, error) {
		token, err := p.admit(ctx, presented, now(), verify)
		var refused *refusedToken
		switch {
		case errors.As(err, &refused):
		case errors.Is(err, oauth.ErrSignature), errors.Is(err, oauth.ErrUnknownKey):
			refused = &refusedToken{oauth.Diagnostics{Code: 2000000, Reason: "The token has an invalid signature.",
				Category: "invalid_signature"}}
		case errors.Is(err, oauth.ErrAudience):
			refused = &refusedToken{oauth.Diagnostics{Code: 2000003, Reason: "The audience is invalid.",
				Category: "invalid_resource"}}
		}
		if refused != nil {
			w.Header().Set("x-ms-diagnostics", refused.Format())
		}
		application, _, _ := strings.Cut(applicationOf(token), "@")
		return application, token, err
	}
}

func (p *premise) admit(ctx context.Context, presented string, now time.Time,
	verify func(context.Context, string) (oauth.Token, error)) (oauth.Token, error) {
	outer, err := oauth.Parse(presented)
	if err != nil {
		return oauth.Token{}, err
	}
	actor := outer.Claims.String("actortoken")
	if outer.Header.Algorithm != "none" || actor == "" {
		return verify(ctx, presented)
	}
	token, err := verify(ctx, actor)
	if err != nil {
		return token, err
	}
	// The outer token is not signed. So its claims must agree with those of the inner one.
	starts, begins, err1 := outer.Claims.Time("nbf")
	ends, stops, err2 := outer.Claims.Time("exp")
	audience, same := outer.Claims.Strings("aud"), token.Claims.Strings("aud")
	switch {
	case err1 != nil || err2 != nil || !begins || !stops || now.Add(5*time.Minute).Before(starts) ||
		!now.Before(ends.Add(5*time.Minute)):
		return token, oauth.ErrExpired
	case len(audience) != 1 || len(same) != 1 || !strings.EqualFold(audience[0], same[0]):
		return token, oauth.ErrAudience
	case !strings.EqualFold(outer.Claims.String("iss"), applicationOf(token)):
		return token, oauth.ErrIssuer
	}
	person, err := p.speaksFor(outer.Claims)
	if err == nil {
		token.Claims = maps.Clone(token.Claims)
		token.Claims[personClaim] = person
	}
	return token, err
}

// speaksFor returns the address of a token's person, who must be known here: as exactly one mailbox
// or mail user.
func (p *premise) speaksFor(claims oauth.Claims) (string, error) {
	var found *recipient
	for _, name := range []string{"smtp", "upn"} {
		address := strings.ToLower(claims.String(name))
		if address == "" {
			continue
		}
		r, ok := p.find(address)
		switch {
		case !ok:
			return "", refusedUser("does not exist")
		case p.ambiguous(address) || found != nil && found.mailbox != r.mailbox:
			return "", refusedUser("is ambiguous")
		}
		found = r
	}
	if found == nil {
		return "", refusedUser("does not exist")
	}
	return found.primary, nil
}

// person is the address by which the other side knows a caller of this one: the primary SMTP
// address, or the sign-in name when the caller has no mailbox.
func (p *premise) person(caller link.Caller, domain string) string {
	name := strings.ToLower(caller.User)
	if _, after, ok := strings.Cut(name, `\`); ok {
		name = after
	}
	if !strings.Contains(name, "@") {
		name += "@" + domain
	}
	if r, ok := p.find(name); ok {
		return r.primary
	}
	return name
}

// refusal words a refusal by the other side as Exchange does, with the reason that it gives.
func refusal(err error) error {
	var status *link.StatusError
	if !errors.As(err, &status) {
		return err
	}
	text := fmt.Sprintf("The request failed with HTTP status %d: %s.", status.StatusCode,
		http.StatusText(status.StatusCode))
	if d, ok := oauth.FindDiagnostics(status.Header); ok {
		text = fmt.Sprintf("The request failed with HTTP status %d: %s diagnostics: %s", status.StatusCode,
			http.StatusText(status.StatusCode), d.Format())
	}
	return errors.New(text)
}
