package workmail

import (
	"context"
	"crypto/rand"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
)

// impersonationRole is an impersonation role.
type impersonationRole struct {
	id, name, kind string
	rules          []map[string]any
	created        time.Time
	tokens         map[string]time.Time // when each ends
}

func createRole(s *Service, c *call) (answer, *apiError) {
	r := &impersonationRole{id: strings.ToLower(rand.Text()), name: c.text("Name"), kind: c.text("Type"),
		created: s.Clock(),
		tokens:  map[string]time.Time{}}
	list, _ := c.input["Rules"].([]any)
	for _, one := range list {
		rule, _ := one.(map[string]any)
		r.rules = append(r.rules, rule)
	}
	c.org.roles = append(c.org.roles, r)
	return answer{"ImpersonationRoleId": r.id}, nil
}

func listRoles(_ *Service, c *call) (answer, *apiError) {
	list := []answer{}
	for _, r := range c.org.roles {
		list = append(list, answer{"ImpersonationRoleId": r.id, "Name": r.name, "Type": r.kind,
			"DateCreated": seconds(r.created), "DateModified": seconds(r.created)})
	}
	return page(c, list, "Roles")
}

func deleteRole(_ *Service, c *call) (answer, *apiError) {
	for i, r := range c.org.roles {
		if r.id == c.text("ImpersonationRoleId") {
			c.org.roles = append(c.org.roles[:i:i], c.org.roles[i+1:]...)
			break
		}
	}
	return answer{}, nil
}

// tokenLife is how long a token of an assumed role works.
const tokenLife = 15 * time.Minute

func assumeRole(s *Service, c *call) (answer, *apiError) {
	for _, r := range c.org.roles {
		if r.id == c.text("ImpersonationRoleId") {
			token := rand.Text()
			r.tokens[token] = s.Clock().Add(tokenLife)
			return answer{"Token": token, "ExpiresIn": int64(tokenLife.Seconds())}, nil
		}
	}
	return nil, fail("ResourceNotFoundException", "The impersonation role was not found.")
}

// assumed finds the organization of a token. Access control rules and Identity Center concern it no
// less than a password: the lab refuses both alike.
func (s *Service) assumed(token, remote string) (*Organization, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.organizations {
		for _, r := range o.roles {
			end, ok := r.tokens[token]
			if ok && s.Clock().Before(end) && o.state() == "Active" && o.admits(remote, "EWS") {
				return o, r.allows()
			}
		}
	}
	return nil, false
}

// allows reports whether the rules allow every user: no rule means no, and DENY beats ALLOW. The
// lab has no rules for some users.
func (r *impersonationRole) allows() bool {
	allowed := false
	for _, rule := range r.rules {
		if rule["Effect"] == "DENY" || rule["TargetUsers"] != nil || rule["NotTargetUsers"] != nil {
			return false
		}
		allowed = rule["Effect"] == "ALLOW"
	}
	return allowed
}

// Folders lists the folders of the caller's mailbox, or of the one that an assumed role names.
func (s *Service) Folders(ctx context.Context, q ews.Query) ([]ews.Folder, error) {
	who, _ := ctx.Value(callerKey{}).(caller)
	address := who.person.Mail
	switch {
	case who.org == nil, who.role != (q.Impersonated != ""):
		return nil, &ews.Fault{ResponseCode: "ErrorImpersonateUserDenied",
			Message: "The account does not have permission to impersonate the requested user."}
	case who.role:
		address = q.Impersonated
	}
	s.mu.Lock()
	p, found := who.org.find(address)
	enabled := found && who.org.registered[p.ID] != "" && !p.Group
	s.mu.Unlock()
	if !enabled || s.Config.Folders == nil {
		return nil, &ews.ResponseError{Code: "ErrorNonExistentMailbox",
			Text: "The SMTP address has no mailbox associated with it."}
	}
	return s.Config.Folders(who.org.addressOf(p)), nil
}

func (o *Organization) addressOf(p Person) string {
	o.service.mu.Lock()
	defer o.service.mu.Unlock()
	return o.registered[p.ID]
}
