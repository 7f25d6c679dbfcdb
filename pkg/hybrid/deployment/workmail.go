package deployment

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/estate/workmail"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/snapshot"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// openWorkMailEWS returns a client of the EWS of WorkMail, as the service account.
func (d *Deployment) openWorkMailEWS(ctx context.Context) (*ews.Client, error) {
	w := d.answers.WorkMail
	if w.Account == nil {
		return nil, fmt.Errorf("WorkMail: the service account (workmail.account): %w", fact.ErrNotConfigured)
	}
	password, err := d.secret(ctx, w.Account.Password, "password of "+w.Account.User)
	if err != nil {
		return nil, fmt.Errorf("WorkMail: EWS: %w", err)
	}
	return d.basic(ctx, workmail.EWS(w.Region), link.Basic{User: w.Account.User, Password: password})
}

// amazon returns the premise of WorkMail, and further clients that it uses.
func (d *Deployment) amazon(ctx context.Context, facts *fact.Set, client *connection[*ews.Client]) (
	p freebusy.Premise, clients []*connection[*ews.Client]) {
	w := d.answers.WorkMail
	p = freebusy.Premise{
		Name: desired.PlaceWorkMail, EWS: workmail.EWS(w.Region), Probe: "ews", Ask: calendars(client.get),
		Has: func(ctx context.Context, address string) (bool, error) {
			users, err := fact.WorkMailUsers.In(ctx, facts.WorkMail)
			name, domain, _ := strings.Cut(address, "@")
			for _, u := range users {
				if u.Enabled() && (strings.EqualFold(u.Email, address) || strings.EqualFold(u.Name, name) &&
					strings.HasSuffix(strings.ToLower(domain), ".awsapps.com")) {
					return true, nil
				}
			}
			return false, err
		},
		Route: func(ctx context.Context, address string) ([]string, error) {
			list, err := fact.WorkMailAvailabilities.In(ctx, facts.WorkMail)
			for _, a := range list {
				if _, domain, _ := strings.Cut(address, "@"); strings.EqualFold(a.Domain, domain) {
					return []string{"availability configuration " + a.Domain, a.Endpoint + a.Lambda}, nil
				}
			}
			return nil, err
		},
	}
	// Its own domain is known to WorkMail only. Without it, no target address leads there.
	if o, err := fact.WorkMailOrganization.In(ctx, facts.WorkMail); err == nil {
		p.Domains = []string{o.TestDomain()}
	} else if !strings.HasPrefix(w.Organization, "m-") {
		p.Domains = []string{w.Organization + ".awsapps.com"}
	}
	for _, f := range d.forests {
		if provider := f.answers.WorkMail; provider != nil && provider.Lambda == "" {
			exchange := &connection[*ews.Client]{open: func(ctx context.Context) (*ews.Client, error) {
				return d.asProvider(ctx, f.answers)
			}}
			clients = append(clients, exchange)
			p.Proofs = append(p.Proofs, freebusy.Proof{Probe: "ews-exchange", To: f.answers.Name,
				Try: d.asked(exchange)})
		}
		p.Proofs = append(p.Proofs, freebusy.Proof{Probe: "test-availability", To: f.answers.Name,
			Try: func(ctx context.Context, step freebusy.Step) (string, error) {
				_, domain, _ := strings.Cut(step.To, "@")
				s, err := fact.WorkMailSignIn.In(ctx, facts.WorkMail, domain)
				switch {
				case err != nil:
					return "", err
				case !s.Passed:
					return "", errors.New("WorkMail cannot use its provider of " + domain + ": " + s.Reason)
				}
				return "", nil
			}})
	}
	return p, clients
}

// throughAccount puts the service account in the place of other users of WorkMail: messages are
// sent and read as this user alone. A message also goes to its address in the domain of WorkMail,
// which works without Exchange's knowledge of the user.
func (d *Deployment) throughAccount(ctx context.Context, facts *fact.Set, pairs []freebusy.Pair) ([]freebusy.Pair,
	error) {
	w := d.answers.WorkMail
	if w == nil || w.Account == nil {
		return pairs, nil
	}
	users, err := fact.WorkMailUsers.In(ctx, facts.WorkMail)
	if err != nil {
		return nil, err
	}
	own := ""
	there := func(address string) bool {
		return slices.ContainsFunc(users, func(u workmail.Entity) bool {
			if u.Enabled() && strings.EqualFold(u.Email, w.Account.User) {
				own = u.Name
			}
			return u.Enabled() && strings.EqualFold(u.Email, address)
		})
	}
	var out []freebusy.Pair
	for _, p := range pairs {
		from, to := there(p.From), there(p.To)
		switch {
		case from && !to:
			p.From = w.Account.User
		case to && !from:
			p.To = w.Account.User
		}
		if !slices.Contains(out, p) {
			out = append(out, p)
		}
		if to && !from && there(w.Account.User) {
			o, err := fact.WorkMailOrganization.In(ctx, facts.WorkMail)
			if err != nil {
				return nil, err
			}
			if p.To = own + "@" + o.TestDomain(); !slices.Contains(out, p) {
				out = append(out, p)
			}
		}
	}
	return out, nil
}

// asProvider returns a client of a forest's EWS with the account that WorkMail uses there.
func (d *Deployment) asProvider(ctx context.Context, a answers.Forest) (*ews.Client, error) {
	password, err := d.secret(ctx, a.WorkMail.Password, "password of "+a.WorkMail.User)
	if err != nil {
		return nil, fmt.Errorf("%s: EWS: %w", a.Name, err)
	}
	return d.basic(ctx, ewsURL(a), link.Basic{User: a.WorkMail.User, Password: password})
}

// providerPassword judges the password with which WorkMail signs in at a forest; nil when the answers
// name none. It asks no person.
func (d *Deployment) providerPassword(f *forest) func(context.Context) (fact.PasswordForm, error) {
	p := f.answers.WorkMail
	if p == nil || p.Password == "" {
		return nil
	}
	look := func(ctx context.Context) (fact.PasswordForm, error) {
		if source, _, _ := p.Password.Source(); source == secret.Prompt {
			return fact.PasswordForm{Typed: true}, nil
		}
		password, err := d.secret(ctx, p.Password, "password of "+p.User)
		if err != nil {
			return fact.PasswordForm{}, fmt.Errorf("%s: the password of WorkMail: %w", f.answers.Name, err)
		}
		return fact.PasswordForm{Fault: workmail.PasswordFault(password)}, nil
	}
	return func(ctx context.Context) (fact.PasswordForm, error) {
		return snapshot.Read(ctx, d.tape, f.answers.Name, string(fact.Files), "workmail.password", look)
	}
}

// basic returns a client of EWS that asks as WorkMail and its callers do: by Basic, in the version
// of Exchange 2010.
func (d *Deployment) basic(ctx context.Context, address string, account link.Basic) (*ews.Client, error) {
	l, err := d.link.get(ctx)
	if err != nil {
		return nil, err
	}
	return &ews.Client{URL: address, Version: workmail.EWSVersion, HTTP: l.Client(account), Timeout: 2 * d.limit()}, nil
}

// asked returns a probe that asks a client for a mailbox.
func (d *Deployment) asked(client *connection[*ews.Client]) func(context.Context, freebusy.Step) (string, error) {
	ask := calendars(client.get)
	return func(ctx context.Context, s freebusy.Step) (string, error) {
		day := time.Now().UTC().Truncate(24 * time.Hour)
		seen, err := ask(ctx, []freebusy.Pair{{From: s.To, To: s.To}},
			freebusy.Window{Start: day, End: day.Add(24 * time.Hour)})
		if err != nil {
			return "", err
		}
		return "", seen[0].Err
	}
}
