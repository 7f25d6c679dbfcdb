package workmail

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Rule is an access control rule. A list that is empty holds for everything.
type Rule struct {
	Name, Effect string   // ALLOW, DENY
	IPRanges     []string // of clients
	Actions      []string // EWS, AutoDiscover, IMAP ...
}

func (r Rule) matches(client netip.Addr, action string) bool {
	return (len(r.Actions) == 0 || slices.Contains(r.Actions, action)) &&
		(len(r.IPRanges) == 0 || slices.ContainsFunc(r.IPRanges, func(one string) bool {
			p, err := netip.ParsePrefix(one)
			return err == nil && p.Contains(client.Unmap())
		}))
}

// effect says whether the rules let a client in: DENY beats ALLOW, and no rule means no.
func (o *Organization) effect(client netip.Addr, action string) (allowed bool, matched []string) {
	matched = []string{}
	denied := false
	for _, r := range o.Rules {
		if r.matches(client, action) {
			matched = append(matched, r.Name)
			allowed, denied = allowed || r.Effect == "ALLOW", denied || r.Effect == "DENY"
		}
	}
	return allowed && !denied, matched
}

// admits reports whether the rules let the client at an address (HOST:PORT) in.
func (o *Organization) admits(remote, action string) bool {
	client, err := netip.ParseAddrPort(remote)
	if err != nil {
		return false
	}
	allowed, _ := o.effect(client.Addr(), action)
	return allowed
}

func accessEffect(_ *Service, c *call) (answer, *apiError) {
	if (c.text("UserId") == "") == (c.text("ImpersonationRoleId") == "") {
		return nil, invalid("Exactly one of UserId and ImpersonationRoleId is required.")
	}
	if _, known := c.org.find(c.text("UserId")); c.text("UserId") != "" && !known {
		return nil, fail("EntityNotFoundException", "The entity %s was not found.", c.text("UserId"))
	}
	client, err := netip.ParseAddr(c.text("IpAddress"))
	if err != nil {
		return nil, invalid("The IP address is invalid.")
	}
	allowed, matched := c.org.effect(client, c.text("Action"))
	effect := "DENY"
	if allowed {
		effect = "ALLOW"
	}
	return answer{"Effect": effect, "MatchedRules": matched}, nil
}

func listRules(s *Service, c *call) (answer, *apiError) {
	list := []answer{}
	for _, r := range c.org.Rules {
		one := answer{"Name": r.Name, "Effect": r.Effect, "Description": r.Name,
			"DateCreated": seconds(c.org.created), "DateModified": seconds(c.org.created)}
		if len(r.IPRanges) > 0 {
			one["IpRanges"] = r.IPRanges
		}
		if len(r.Actions) > 0 {
			one["Actions"] = r.Actions
		}
		list = append(list, one)
	}
	return answer{"Rules": list}, nil
}

// Token is a personal access token of a user.
type Token struct {
	ID, Name string
	User     string // the account in the directory
	Secret   string // what a client signs in with
	Expires  time.Time
}

func listTokens(s *Service, c *call) (answer, *apiError) {
	user := ""
	if name := c.text("UserId"); name != "" {
		p, refused := c.entity("UserId")
		if refused != nil {
			return nil, refused
		}
		user = p.Account
	}
	list := []answer{}
	for _, t := range c.org.Tokens {
		p, known := c.org.find(t.User)
		if !known || user != "" && !strings.EqualFold(user, t.User) {
			continue
		}
		list = append(list, answer{"PersonalAccessTokenId": t.ID, "UserId": p.ID, "Name": t.Name,
			"DateCreated": seconds(c.org.created), "ExpiresTime": seconds(t.Expires)})
	}
	return page(c, list, "PersonalAccessTokenSummaries")
}

// tokenOf reports whether a password is a token of a person that has not expired.
func (o *Organization) tokenOf(p Person, password string) bool {
	return slices.ContainsFunc(o.Tokens, func(t Token) bool {
		return strings.EqualFold(t.User, p.Account) && t.Secret != "" && t.Secret == password &&
			o.service.Clock().Before(t.Expires)
	})
}

// AddDomain adds a domain that is verified.
func (o *Organization) AddDomain(name string) {
	o.service.mu.Lock()
	defer o.service.mu.Unlock()
	o.domains = append(o.domains, &domain{name: strings.ToLower(name), verified: true})
}

// Provide stores an EWS provider for a domain.
func (o *Organization) Provide(domain, endpoint, user, password string) {
	o.service.mu.Lock()
	defer o.service.mu.Unlock()
	now := o.service.Clock()
	o.availability = append(o.availability, &availability{domain: strings.ToLower(domain), endpoint: endpoint,
		user: user, secret: password, created: now, modified: now})
}

// ProvideFunction stores a Lambda function as the availability provider of a domain.
func (o *Organization) ProvideFunction(domain, arn string) {
	o.service.mu.Lock()
	defer o.service.mu.Unlock()
	now := o.service.Clock()
	o.availability = append(o.availability, &availability{domain: strings.ToLower(domain), lambda: arn, created: now,
		modified: now})
}

// Exported lists the accounts whose mailboxes were exported to the end.
func (o *Organization) Exported() []string {
	o.service.mu.Lock()
	defer o.service.mu.Unlock()
	var out []string
	for _, j := range o.jobs {
		if j.settle(o.service); j.state == "COMPLETED" {
			if p, known := o.find(j.entity); known {
				out = append(out, p.Account)
			}
		}
	}
	slices.Sort(out)
	return out
}
