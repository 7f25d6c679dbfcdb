package workmail

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// EWSHost and AutodiscoverHost are the hosts of a region's front ends.
func EWSHost(region string) string { return "ews.mail." + region + ".awsapps.com" }

// AutodiscoverHost is the host of autodiscover.
func AutodiscoverHost(region string) string {
	return "autodiscover-service.mail." + region + ".awsapps.com"
}

// AccessRule is an access control rule. A list that is empty holds for everything.
type AccessRule struct {
	Name, Effect          string // ALLOW, DENY
	IPRanges, NotIPRanges []string
	Actions, NotActions   []string
	Users, NotUsers       []string // ids
	Roles                 []string // impersonation roles; the rule is for no user then
}

// AccessEffect is what access control rules do with a request.
type AccessEffect string

// The effects. ByAddress: the address of the client decides.
const (
	Allowed   AccessEffect = "allowed"
	Denied    AccessEffect = "denied"
	ByAddress AccessEffect = "by address"
)

// Effect says what rules do with an action of a user, from an address that is not known, and which
// rule decides. DENY beats ALLOW; no rule that matches refuses.
func Effect(rules []AccessRule, user, action string) (effect AccessEffect, rule string) {
	holds := func(only, but []string, one string) bool {
		fold := func(s string) bool { return strings.EqualFold(s, one) }
		return (len(only) == 0 || slices.ContainsFunc(only, fold)) && !slices.ContainsFunc(but, fold)
	}
	var allows, allowsSome, deniesSome *AccessRule
	for _, r := range rules {
		switch anywhere := len(r.IPRanges)+len(r.NotIPRanges) == 0; {
		case !holds(r.Actions, r.NotActions, action), !holds(r.Users, r.NotUsers, user), len(r.Roles) > 0:
		case r.Effect == "DENY" && anywhere:
			return Denied, r.Name
		case r.Effect == "DENY":
			deniesSome = &r
		case anywhere:
			allows = &r
		default:
			allowsSome = &r
		}
	}
	switch {
	case allows == nil && allowsSome == nil:
		return Denied, ""
	case deniesSome != nil:
		return ByAddress, deniesSome.Name
	case allows == nil:
		return ByAddress, allowsSome.Name
	}
	return Allowed, allows.Name
}

// AccessRules lists the access control rules.
func (c *Client) AccessRules(ctx context.Context) ([]AccessRule, error) {
	found, err := listOwn[struct {
		Name, Effect         string
		IPRanges             []string `json:"IpRanges"`
		NotIPRanges          []string `json:"NotIpRanges"`
		Actions, NotActions  []string
		UserIDs              []string `json:"UserIds"`
		NotUserIDs           []string `json:"NotUserIds"`
		ImpersonationRoleIDs []string
	}](ctx, c, "ListAccessControlRules", "Rules", request{})
	if err != nil {
		return nil, err
	}
	var out []AccessRule
	for _, r := range found {
		out = append(out, AccessRule{Name: text(r.Name), Effect: text(r.Effect), IPRanges: r.IPRanges,
			NotIPRanges: r.NotIPRanges, Actions: r.Actions, NotActions: r.NotActions, Users: r.UserIDs,
			NotUsers: r.NotUserIDs, Roles: r.ImpersonationRoleIDs})
	}
	return out, nil
}

// Aliases lists the addresses of a user or group beside the primary one, by id.
func (c *Client) Aliases(ctx context.Context, id string) ([]string, error) {
	found, err := listOwn[string](ctx, c, "ListAliases", "Aliases", request{EntityID: id, MaxResults: most})
	for i := range found {
		found[i] = text(found[i])
	}
	return found, err
}

// Token is a personal access token of a user. WorkMail shows its secret once, when it is made.
type Token struct {
	ID, Name string
	Expires  time.Time
}

// Tokens lists the personal access tokens of a user, by id.
func (c *Client) Tokens(ctx context.Context, id string) ([]Token, error) {
	found, err := listOwn[struct {
		PersonalAccessTokenID, Name string
		ExpiresTime                 json.Number
	}](ctx, c, "ListPersonalAccessTokens", "PersonalAccessTokenSummaries", request{UserID: id, MaxResults: most})
	if err != nil {
		return nil, err
	}
	var out []Token
	for _, t := range found {
		seconds, err := t.ExpiresTime.Float64()
		if err != nil {
			continue // one that never expires
		}
		out = append(out, Token{ID: text(t.PersonalAccessTokenID), Name: text(t.Name),
			Expires: time.Unix(int64(seconds), 0)})
	}
	return out, nil
}
