package lab

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/lab/entra"
	"github.com/hybridge-cli/hybridge/pkg/lab/organization"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// diary holds the appointments that clients create, beside those that every calendar of the lab
// has, and who else may write them.
type diary struct {
	mu     sync.Mutex
	number int
	kept   []entry
	shared map[string][]string // callers who may write, by the mailbox's primary address
	// hidden are mailboxes whose calendar shows others nothing, by primary address in lower case.
	hidden map[string]bool
}

type entry struct {
	mailbox string // primary address
	ews.Appointment
}

func (d *diary) in(mailbox string, w ews.Window) []ews.Appointment {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []ews.Appointment
	for _, e := range d.kept {
		if e.mailbox == mailbox && e.Start.Before(w.End) && e.End.After(w.Start) {
			out = append(out, e.Appointment)
		}
	}
	return out
}

// events are the appointments of a mailbox that clients created, as free/busy shows them.
func (d *diary) events(mailbox string, w ews.Window) []ews.Event {
	var out []ews.Event
	for _, a := range d.in(mailbox, w) {
		out = append(out, ews.Event{Start: a.Start, End: a.End, Busy: ews.Busy})
	}
	return out
}

func (d *diary) add(mailbox string, a ews.Appointment) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.number++
	a.ID = fmt.Sprintf("AAMk%04d", d.number)
	d.kept = append(d.kept, entry{mailbox, a})
	return a.ID
}

// remove deletes an appointment of a mailbox that may admits; found is false when there is none.
func (d *diary) remove(id string, may func(mailbox string) bool) (found bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	before := len(d.kept)
	d.kept = slices.DeleteFunc(d.kept, func(e entry) bool { return e.ID == id && may(e.mailbox) })
	return len(d.kept) < before
}

func (d *diary) grants(mailbox, caller string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Contains(d.shared[mailbox], strings.ToLower(caller))
}

func (d *diary) grant(mailbox, caller string, on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.shared == nil {
		d.shared = map[string][]string{}
	}
	caller = strings.ToLower(caller)
	list := slices.DeleteFunc(d.shared[mailbox], func(c string) bool { return c == caller })
	if on {
		list = append(list, caller)
	}
	d.shared[mailbox] = list
}

// opens is the mailbox whose calendar a caller of EWS may write: the caller's own, or one that gave
// the caller the right.
func (a answering) opens(q ews.Query) (string, error) {
	who := a.person(q.Caller, a.domain)
	address := who
	if q.Mailboxes[0] != "" {
		address = q.Mailboxes[0]
	}
	r, ok := a.find(address)
	switch {
	case q.Impersonated != "":
		return "", &ews.Fault{ResponseCode: "ErrorImpersonateUserDenied",
			Message: "The account does not have permission to impersonate the requested user."}
	case !ok || !r.here:
		return "", &ews.ResponseError{Code: "ErrorNonExistentMailbox",
			Text: "The SMTP address has no mailbox associated with it."}
	case q.Caller.Scheme == "Bearer" || !strings.EqualFold(who, r.primary) && !a.diary.grants(r.primary, who):
		return "", &ews.ResponseError{Code: "ErrorAccessDenied",
			Text: "Access is denied. Check credentials and try again."}
	}
	return r.primary, nil
}

// Find, Create and Delete make answering keep appointments.
func (a answering) Find(_ context.Context, q ews.Query) ([]ews.Appointment, error) {
	mailbox, err := a.opens(q)
	if err != nil {
		return nil, err
	}
	found := a.diary.in(mailbox, q.Window)
	for i, e := range calendar(mailbox, q.Window.Start, q.Window.End) {
		found = append(found,
			ews.Appointment{ID: fmt.Sprint("AAMk-", i), Subject: e.subject, Start: e.start, End: e.end})
	}
	return found, nil
}

func (a answering) Create(_ context.Context, q ews.Query, appointment ews.Appointment) (string, error) {
	mailbox, err := a.opens(q)
	if err != nil {
		return "", err
	}
	return a.diary.add(mailbox, appointment), nil
}

func (a answering) Delete(_ context.Context, q ews.Query, id string) error {
	who := a.person(q.Caller, a.domain)
	if !a.diary.remove(id, func(m string) bool { return strings.EqualFold(m, who) || a.diary.shares(m, who) }) {
		return &ews.ResponseError{Code: "ErrorItemNotFound", Text: "The specified object was not found in the store."}
	}
	return nil
}

// shares is grants for a caller that holds the lock.
func (d *diary) shares(mailbox, caller string) bool {
	return slices.Contains(d.shared[mailbox], strings.ToLower(caller))
}

// writers are the rights at a folder that let their holder create and delete appointments.
var writers = []string{"Owner", "PublishingEditor", "Editor", "PublishingAuthor", "Author", "FullAccess"}

// permits makes the cmdlets for the permissions at mailboxes and calendars work.
func (p *premise) permits(domain string) {
	change := func(on bool) organization.Handler {
		return func(_ context.Context, c organization.Call) ([]exchange.Object, error) {
			identity, _ := c.Parameters["Identity"].(string)
			mailbox, folder, inFolder := strings.Cut(identity, `:\`)
			r, ok := p.findAny(mailbox)
			if !ok || inFolder && !strings.EqualFold(folder, "Calendar") {
				return nil, p.absent(c, identity)
			}
			if confirm, given := c.Parameters["Confirm"].(bool); !on && (!given || confirm) {
				return nil, organization.CannotAsk(c)
			}
			user, _ := c.Parameters["User"].(string)
			rights, _ := c.Parameters["AccessRights"].([]string)
			if one, ok := c.Parameters["AccessRights"].(string); ok {
				rights = []string{one}
			}
			writes := slices.ContainsFunc(rights, func(right string) bool {
				return slices.ContainsFunc(writers, func(w string) bool { return strings.EqualFold(w, right) })
			})
			if writes || !on {
				p.diary.grant(r.primary, p.person(link.Caller{User: user}, domain), on)
			}
			return nil, nil
		}
	}
	p.org.Handle("Get-MailboxFolderPermission", p.permissions)
	for _, noun := range []string{"MailboxFolderPermission", "MailboxPermission"} {
		p.org.Handle("Add-"+noun, change(true))
		p.org.Handle("Remove-"+noun, change(false))
	}
}

// permissions is Get-MailboxFolderPermission for what everyone may see of a calendar.
func (p *premise) permissions(_ context.Context, c organization.Call) ([]exchange.Object, error) {
	identity, _ := c.Parameters["Identity"].(string)
	mailbox, folder, _ := strings.Cut(identity, `:\`)
	r, ok := p.findAny(mailbox)
	if user, _ := c.Parameters["User"].(string); !ok || !strings.EqualFold(folder, "Calendar") ||
		!strings.EqualFold(user, "Default") {
		return nil, p.absent(c, identity)
	}
	rights := []string{"AvailabilityOnly"}
	if p.diary.hides(r.primary) {
		rights = []string{"None"}
	}
	types := []string{"Microsoft.Exchange.Management.StoreTasks.MailboxFolderPermission"}
	return []exchange.Object{exchange.NewObject(types, "Default", "FolderName", "Calendar", "User", "Default",
		"AccessRights", rights, "Identity", "Default")}, nil
}

// hide takes free/busy of a mailbox from everyone but its owner.
func (d *diary) hide(mailbox string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.hidden == nil {
		d.hidden = map[string]bool{}
	}
	d.hidden[strings.ToLower(mailbox)] = true
}

func (d *diary) hides(mailbox string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.hidden[strings.ToLower(mailbox)]
}

// findAny finds a mailbox by an address or by its alias.
func (p *premise) findAny(identity string) (*recipient, bool) {
	if r, ok := p.find(identity); ok {
		return r, r.here
	}
	if o := p.org.Object("Mailbox", identity); o != nil {
		return p.find(o.String("PrimarySmtpAddress"))
	}
	return nil, false
}

// Events, AddEvent and RemoveEvent are the calendars of the tenant as Microsoft Graph shows them.
func (t *tenantSite) Events(user string, start, end time.Time) ([]entra.Event, error) {
	r, ok := t.premise.find(user)
	if !ok || !r.here {
		return nil, entra.ErrNoMailbox
	}
	var out []entra.Event
	for _, a := range t.premise.diary.in(r.primary, ews.Window{Start: start, End: end}) {
		out = append(out, entra.Event{ID: a.ID, Subject: a.Subject, Start: a.Start, End: a.End})
	}
	return out, nil
}

// AddEvent creates an event that shows as busy.
func (t *tenantSite) AddEvent(user string, e entra.Event) (id string, err error) {
	r, ok := t.premise.find(user)
	if !ok || !r.here {
		return "", entra.ErrNoMailbox
	}
	return t.premise.diary.add(r.primary, ews.Appointment{Subject: e.Subject, Start: e.Start, End: e.End}), nil
}

// RemoveEvent deletes an event; found is false when there is none.
func (t *tenantSite) RemoveEvent(user, id string) (found bool) {
	r, ok := t.premise.find(user)
	return ok && r.here && t.premise.diary.remove(id, func(mailbox string) bool { return mailbox == r.primary })
}
