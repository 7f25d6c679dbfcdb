package lab

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/lab/organization"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
)

// Holding is what a person of an organization that leaves WorkMail has: addresses, attributes and
// items.
type Holding struct {
	Addresses  []string          // with their prefixes, but for those in WorkMail's own domain
	Attributes map[string]string // that a new mailbox does not have: hiding, custom attributes
	Folders    []ews.Folder
}

// Holdings are those of everyone who ever was in WorkMail, by primary address. Items are counted
// where mail arrives: in Exchange, or in WorkMail for a person who has no mailbox in Exchange.
func (l *Lab) Holdings() map[string]Holding {
	f := l.workMail.forest
	out := map[string]Holding{}
	for _, m := range f.users {
		if !m.amazon || slices.Contains(f.services, m.account) {
			continue
		}
		r, noun := f.recipient(m.primary)
		h := Holding{Attributes: map[string]string{}, Folders: heldAtWorkMail(m.primary)}
		switch noun {
		case "Mailbox":
			h.Folders = f.stores.heldBy(m.primary)
		case "RemoteMailbox":
			if l.tenant != nil {
				h.Folders = l.tenant.stores.heldBy(m.primary)
			}
		}
		if r != nil {
			for _, a := range r.Strings("EmailAddresses") {
				if !strings.HasSuffix(strings.ToLower(a), ".awsapps.com") {
					h.Addresses = append(h.Addresses, a)
				}
			}
			for i := range 15 {
				name := fmt.Sprint("CustomAttribute", i+1)
				if v := r.String(name); v != "" {
					h.Attributes[name] = v
				}
			}
			if r.Bool("HiddenFromAddressListsEnabled") {
				h.Attributes["HiddenFromAddressListsEnabled"] = "true"
			}
		}
		out[m.primary] = h
	}
	return out
}

// recipient finds the object of a person, by primary address.
func (f *forestSite) recipient(address string) (*organization.Record, string) {
	for _, noun := range recipientNouns {
		for _, r := range f.org.Objects(noun) {
			if strings.EqualFold(r.String("PrimarySmtpAddress"), address) {
				return r, noun
			}
		}
	}
	return nil, ""
}

// Missing names what one list of holdings has and another lacks.
func Missing(before, after map[string]Holding) []string {
	var lost []string
	for address, was := range before {
		now := after[address]
		for _, a := range was.Addresses {
			if !slices.Contains(now.Addresses, a) {
				lost = append(lost, address+": address "+a)
			}
		}
		for name, value := range was.Attributes {
			if now.Attributes[name] != value {
				lost = append(lost, address+": "+name)
			}
		}
		for _, f := range was.Folders {
			if !slices.ContainsFunc(now.Folders, func(n ews.Folder) bool {
				return n.Path == f.Path && n.Items >= f.Items
			}) {
				lost = append(lost, fmt.Sprintf("%s: %s, %d items", address, f.Path, f.Items))
			}
		}
	}
	slices.Sort(lost)
	return lost
}
