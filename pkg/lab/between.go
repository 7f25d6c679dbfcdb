package lab

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/lab/directory"
	"github.com/hybridge-cli/hybridge/pkg/lab/organization"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// svcLookups is the account of each forest as which the other forests ask for free/busy. It has no
// mailbox.
const svcLookups = "svc-lookups"

// meet prepares the forests for lookups of each other: an account per forest, mail users for people
// of the other forests, and a mailbox with the anchor of autodiscover.
func (l *Lab) meet() {
	for _, f := range l.forests {
		f.services = append(f.services, svcLookups)
		f.between = true
		f.users[1].others = append(f.users[1].others, anchorMailbox+"@"+f.domain)
		for _, other := range l.forests {
			if other != f {
				f.contacts = append(f.contacts, other.local())
			}
		}
	}
}

// seedContacts makes the mail users for people of other forests, as a synchronization of address
// lists does.
func (f *forestSite) seedContacts() {
	for _, m := range f.contacts {
		alias := m.account + "." + m.forest.name
		f.org.Seed("MailUser", "Name", m.display+" ("+m.forest.name+")", "Alias", alias, "DisplayName", m.display,
			"PrimarySmtpAddress", m.primary, "WindowsEmailAddress", m.primary, "UserPrincipalName", alias+"@"+f.domain,
			"SamAccountName", alias, "EmailAddresses", []string{"SMTP:" + m.primary},
			"ExternalEmailAddress", "SMTP:"+m.primary)
	}
}

// lookupAccount is the account in the directory; none without lookups between forests.
func (f *forestSite) lookupAccount() []directory.User {
	if !f.between {
		return nil
	}
	return []directory.User{{Name: svcLookups, SAMAccountName: svcLookups, UPN: svcLookups + "@" + f.domain,
		Password: f.passwords[svcLookups]}}
}

// lookups is the section of the answers file; nil without lookups between forests.
func (f *forestSite) lookups() *answers.Lookups {
	if !f.between {
		return nil
	}
	return &answers.Lookups{Access: answers.AccessOrgWide, User: f.name + `\` + svcLookups,
		Password: f.reference(svcLookups)}
}

// pairsBetween are the lookups between forests that the answers file asks for.
func (l *Lab) pairsBetween() []answers.Pair {
	var out []answers.Pair
	for _, f := range l.forests {
		for _, m := range f.contacts {
			out = append(out, answers.Pair{From: f.local().primary, To: m.primary})
		}
	}
	return out
}

// canonical is the path by which Exchange shows an account; false when the forest has none of that
// name.
func (f *forestSite) canonical(account string) (string, bool) {
	name := account
	if at := strings.LastIndexAny(name, `\/`); at >= 0 {
		name = name[at+1:]
	}
	name, _, _ = strings.Cut(name, "@")
	_, signsIn := f.password(account)
	if strings.Contains(account, "/") {
		_, signsIn = f.password(name)
	}
	known := slices.ContainsFunc(recipientNouns, func(noun string) bool {
		return slices.ContainsFunc(f.org.Objects(noun), func(r *organization.Record) bool {
			return strings.EqualFold(r.String("SamAccountName"), name)
		})
	}) || slices.Contains(f.groups, name)
	switch {
	case strings.EqualFold(name, "Exchange Servers"):
		return f.domain + "/Microsoft Exchange Security Groups/" + name, true
	case strings.Contains(account, "/") && !strings.EqualFold(account, f.domain+"/Users/"+name):
		return "", false
	}
	return f.domain + "/Users/" + name, signsIn || known
}

// crossForest is the context of a request that names itself one of another forest's availability
// service.
type crossForestKey struct{}

func fromOtherForest(r *http.Request) *http.Request {
	if !strings.HasPrefix(r.UserAgent(), "ASProxy/CrossForest/") {
		return r
	}
	return r.WithContext(context.WithValue(r.Context(), crossForestKey{}, true))
}

// proxied reports whether a request is a lookup of another organization's server, and what refuses
// it: a server that signs in with an account must use one that the availability configuration
// names.
func (a answering) proxied(ctx context.Context, caller link.Caller) (bool, error) {
	if asProxy, _ := ctx.Value(crossForestKey{}).(bool); !asProxy {
		return false, nil
	}
	if a.canonical == nil {
		return true, failed("ErrorProxyRequestNotAllowed", "Proxy requests with an account are not allowed.")
	}
	config := a.org.Objects("AvailabilityConfig")[0]
	name, _ := a.canonical(caller.User)
	for _, property := range []string{"OrgWideAccount", "PerUserAccount"} {
		if strings.EqualFold(config.String(property), name) {
			return true, nil
		}
	}
	return true, failed("ErrorProxyRequestNotAllowed",
		"The proxy request is not allowed: the account %s is neither the "+
			"organization-wide nor the per-user account of the availability configuration.", caller.User)
}

// signIn is a client that signs in with a credential by the scheme that an address offers: NTLM,
// else Basic.
func (p *premise) signIn(ctx context.Context, address string, c exchange.Credential) *http.Client {
	anonymous := p.link.Client(nil)
	defer anonymous.CloseIdleConnections()
	if r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil); err == nil {
		if answer, err := anonymous.Do(r); err == nil {
			_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 1<<16))
			answer.Body.Close()
			if slices.Contains(answer.Header.Values("WWW-Authenticate"), "NTLM") {
				return p.link.Client(link.NTLM{User: c.User, Password: c.Password})
			}
		}
	}
	return p.link.Client(link.Basic{User: c.User, Password: c.Password})
}
