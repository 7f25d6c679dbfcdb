package lab

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/lab/organization"
)

// recipientNouns are the recipients that lookups know.
var recipientNouns = []string{"Mailbox", "RemoteMailbox", "MailUser"}

// follow reads the organization's recipients, now and after every cmdlet that changes one.
func (p *premise) follow() {
	p.read()
	p.org.OnChange(func(c organization.Change) {
		if slices.Contains(recipientNouns, c.Noun) {
			p.read()
		}
	})
}

func (p *premise) read() {
	people, shared := map[string]*recipient{}, map[string]bool{}
	for _, noun := range recipientNouns {
		for _, o := range p.org.Objects(noun) {
			r := recipientOf(o)
			for _, a := range append([]string{r.primary, r.upn}, r.others...) {
				a = strings.ToLower(a)
				switch before, taken := people[a]; {
				case a == "":
				case !taken:
					people[a] = r
				case before != r:
					shared[a] = true
				}
			}
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.people, p.shared = people, shared
}

func recipientOf(o *organization.Record) *recipient {
	r := &recipient{here: o.Noun() == "Mailbox", mailbox: &mailbox{
		account: o.String("Alias"), display: o.String("DisplayName"), upn: o.String("UserPrincipalName"),
		primary: o.String("PrimarySmtpAddress"),
	}}
	for _, a := range o.Strings("EmailAddresses") {
		if kind, address, ok := strings.Cut(a, ":"); ok && strings.EqualFold(kind, "smtp") {
			r.others = append(r.others, address)
		}
	}
	target := map[string]string{"RemoteMailbox": "RemoteRoutingAddress", "MailUser": "ExternalEmailAddress"}[o.Noun()]
	if target != "" {
		_, r.target, _ = strings.Cut(o.String(target), ":")
	}
	return r
}

func (p *premise) find(address string) (*recipient, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	r, ok := p.people[strings.ToLower(address)]
	return r, ok
}

// ambiguous reports whether more than one person holds an address.
func (p *premise) ambiguous(address string) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.shared[strings.ToLower(address)]
}

// serves reports whether a recipient has an address of a domain.
func (p *premise) serves(domain string) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	for address := range maps.Keys(p.people) {
		if strings.HasSuffix(address, "@"+strings.ToLower(domain)) {
			return true
		}
	}
	return false
}

// moves implements the cmdlets that turn one kind of recipient into another. A disabled recipient
// keeps its account and can be enabled as the other kind.
func (p *premise) moves() {
	kept := map[string][]any{}                        // properties of accounts without a mailbox, by alias
	disconnected := map[string]*organization.Record{} // mailboxes by ExchangeGuid
	disable := func(noun string) organization.Handler {
		return func(_ context.Context, c organization.Call) ([]exchange.Object, error) {
			identity, _ := c.Parameters["Identity"].(string)
			if confirm, given := c.Parameters["Confirm"].(bool); !given || confirm {
				return nil, organization.CannotAsk(c)
			}
			r := p.org.Object(noun, identity)
			if r == nil {
				return nil, p.absent(c, identity)
			}
			var pairs []any
			for _, name := range []string{"Name", "Alias", "DisplayName", "UserPrincipalName", "SamAccountName",
				"PrimarySmtpAddress", "EmailAddresses"} {
				pairs = append(pairs, name, r.Get(name))
			}
			if noun == "Mailbox" {
				disconnected[r.String("ExchangeGuid")] = r
			}
			if noun == "MailUser" { // its addresses go with its other attributes of Exchange
				_, domain, _ := strings.Cut(r.String("UserPrincipalName"), "@")
				address := r.String("Alias") + "@" + domain
				pairs[11], pairs[13] = address, []string{"SMTP:" + address}
			}
			kept[strings.ToLower(r.String("Alias"))] = pairs
			r.Remove()
			p.read()
			return nil, nil
		}
	}
	enable := func(noun, address string) organization.Handler {
		return func(_ context.Context, c organization.Call) ([]exchange.Object, error) {
			identity, _ := c.Parameters["Identity"].(string)
			for alias, pairs := range kept {
				names := []string{fmt.Sprint(pairs[1]), alias, fmt.Sprint(pairs[7]), fmt.Sprint(pairs[9]),
					fmt.Sprint(pairs[11])}
				if !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, identity) }) {
					continue
				}
				if address != "" {
					target, _ := c.Parameters[address].(string)
					if target == "" {
						return nil, p.absent(c, address)
					}
					if !strings.Contains(target, ":") {
						target = "SMTP:" + target
					}
					pairs = append(pairs, address, target)
				}
				if primary, given := c.Parameters["PrimarySmtpAddress"].(string); given {
					pairs[11], pairs[13] = primary, []string{"SMTP:" + primary}
				}
				delete(kept, alias)
				p.org.Seed(noun, pairs...)
				p.read()
				return nil, nil
			}
			return nil, p.absent(c, identity)
		}
	}
	p.org.Handle("Disable-RemoteMailbox", disable("RemoteMailbox"))
	p.org.Handle("Disable-Mailbox", disable("Mailbox"))
	p.org.Handle("Disable-MailUser", disable("MailUser"))
	p.org.Handle("Enable-RemoteMailbox", enable("RemoteMailbox", "RemoteRoutingAddress"))
	p.org.Handle("Enable-Mailbox", enable("Mailbox", ""))
	p.org.Handle("Enable-MailUser", enable("MailUser", "ExternalEmailAddress"))
	p.org.Handle("Connect-Mailbox", func(ctx context.Context, c organization.Call) ([]exchange.Object, error) {
		identity, _ := c.Parameters["Identity"].(string)
		r := disconnected[identity]
		if r == nil || c.Parameters["Database"] != r.String("Database") {
			return nil, p.absent(c, identity)
		}
		if confirm, given := c.Parameters["Confirm"].(bool); !given || confirm {
			return nil, organization.CannotAsk(c)
		}
		c.Parameters = map[string]any{"Identity": c.Parameters["User"]}
		if _, err := enable("Mailbox", "")(ctx, c); err != nil {
			return nil, err
		}
		for _, name := range []string{"ServerName", "Database", "ExchangeGuid"} {
			p.org.Object("Mailbox", r.String("SamAccountName")).Set(name, r.Get(name))
		}
		delete(disconnected, identity)
		return nil, nil
	})
}

// mailboxGUID is the ExchangeGuid of a mailbox.
func mailboxGUID(upn string) string {
	d := sha256.Sum256([]byte("mailbox of " + strings.ToLower(upn)))
	return fmt.Sprintf("%x-%x-%x-%x-%x", d[:4], d[4:6], d[6:8], d[8:10], d[10:16])
}

func (p *premise) absent(c organization.Call, identity string) error {
	return &exchange.Error{
		Cmdlet: c.Cmdlet, Category: "NotSpecified",
		ExceptionType: "Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException",
		Message: fmt.Sprintf("The operation couldn't be performed because object '%s' couldn't be found on '%s'.",
			identity, p.name),
	}
}
