package lab

import (
	"fmt"
	"hash/fnv"
	"strings"
	"time"
)

// On-premises names are under the reserved top-level domain example. Microsoft's services have
// their real names, because a real organization's configuration contains those.
const (
	tenantDomain      = "contoso.onmicrosoft.com"
	coexistenceDomain = "contoso.mail.onmicrosoft.com"
	tenantID          = "6d1a2b3c-4e5f-4a6b-8c7d-0e1f2a3b4c5d"
)

// forest is one on-premises forest: its names, and the servers behind them.
type forest struct {
	name         string // also the NetBIOS name, in lower case
	domain       string // DNS name of the forest root and SMTP domain
	organization string // Exchange organization name
	guid         string // objectGUID of the Exchange organization container
	controller   string
	server       string // first Mailbox server
	mail         string // published namespace: EWS and SMTP
	autodiscover string
	build        string // as AdminDisplayVersion prints it
	given        []string
	users        []*mailbox
	services     []string   // accounts of users that are services
	between      bool       // the other forests ask it, and it asks them
	contacts     []*mailbox // people of other forests, as mail users
}

// companies name the forests: Microsoft's fictitious companies, then numbers.
var companies = []string{
	"contoso", "fabrikam", "adatum", "litware", "northwind", "proseware", "tailspin", "wingtip", "woodgrove", "margie",
	"lucerne", "nodpublishers",
}

const build = "Version 15.2 (Build 2562.17)"

// forests makes n forests. The first two are always contoso and fabrikam, with GUIDs that stay.
func forests(n int) []*forest {
	guids := []string{"1f3a7c52-9b1e-4c37-8a54-2d6e0f9b1c01", "a84d02e6-53c7-4f0b-b9d2-7c1e5a6f3b02"}
	list := make([]*forest, n)
	for i := range list {
		name := fmt.Sprintf("forest%d", i+1)
		if i < len(companies) {
			name = companies[i]
		}
		guid := stableGUID("Exchange organization " + name)
		if i < len(guids) {
			guid = guids[i]
		}
		list[i] = newForest(name, strings.ToUpper(name[:1])+name[1:], guid, build)
		list[i].given = givenNames(i)
	}
	return list
}

func newForest(name, organization, guid, build string) *forest {
	domain := name + ".example"
	return &forest{
		name: name, domain: domain, organization: organization, guid: guid, build: build, given: givenNames(0),
		controller: "dc1." + domain, server: "ex1." + domain, mail: "mail." + domain,
		autodiscover: "autodiscover." + domain,
	}
}

// mailbox is a person with a mailbox, in the forest or moved to the tenant.
type mailbox struct {
	forest  *forest
	account string // sAMAccountName
	display string
	upn     string
	primary string   // primary SMTP address
	others  []string // secondary SMTP addresses
	remote  bool     // the mailbox is in the tenant
	amazon  bool     // the mailbox is in WorkMail
	guid    string
}

// target is the routing address of a mailbox that was moved to a cloud.
func (m *mailbox) target() string {
	if m.amazon {
		return m.account + "@" + workMailDomain
	}
	return m.account + "@" + coexistenceDomain
}

var familyNames = []string{
	"Alberti", "Berger", "Conti", "Dahl", "Esposito", "Ferrari", "Greco", "Hofer", "Innerhofer", "Jensen",
	"Klein", "Leone", "Moretti", "Neri", "Orsini", "Pichler", "Quadri", "Rossi", "Serra", "Testa",
}

// givenNames are the given names of the people in forest i. No two forests share one: two people
// with one account name would share a routing address in the tenant.
func givenNames(i int) []string {
	switch i {
	case 0:
		return []string{
			"Anna", "Bruno", "Carla", "Dario", "Elena", "Fabio", "Giulia", "Hugo", "Irene", "Jonas",
			"Katrin", "Luca", "Marta", "Nico", "Olga", "Paolo", "Quirina", "Ricarda", "Sara", "Tomas",
		}
	case 1:
		return []string{
			"Adele", "Boris", "Clara", "David", "Emma", "Franz", "Greta", "Henrik", "Ida", "Jakob",
			"Klara", "Lorenz", "Maria", "Noah", "Oskar", "Petra", "Quentin", "Rosa", "Stefan", "Tilda",
		}
	}
	first := []string{"Al", "Be", "Ca", "Da", "El", "Fi", "Gi", "Ha", "Il", "Jo", "Ka", "Li", "Mi", "No", "Or", "Pe",
		"Ri", "Sa", "Te", "Vi"}
	second := []string{"vin", "lena", "ron", "dora", "mar", "nita", "ton", "lia", "bert", "ssa"}
	ending := ""
	for n := i - 2; ; n = n/len(second) - 1 {
		ending = second[n%len(second)] + ending
		if n < len(second) {
			break
		}
	}
	names := make([]string, len(first))
	for k, f := range first {
		names[k] = f + ending
	}
	return names
}

// populate adds n people to the forest. Every tenth, starting with the third, has been moved to the
// tenant. So the first people of each forest are on-premises.
func (f *forest) populate(n int) {
	f.users = make([]*mailbox, 0, n)
	names := f.given
	for i := range n {
		given, family := names[i%len(names)], familyNames[(i/len(names)+i)%len(familyNames)]
		account := strings.ToLower(given + "." + family)
		if round := i / (len(names) * len(familyNames)); round > 0 {
			account += fmt.Sprint(round + 1)
		}
		address := account + "@" + f.domain
		m := &mailbox{
			forest: f, account: account, display: given + " " + family, upn: address, primary: address,
			remote: i%10 == 2, guid: stableGUID(address),
		}
		if m.remote || i%7 == 0 {
			m.others = append(m.others, m.target())
		}
		f.users = append(f.users, m)
	}
}

// local, moved and amazon are the forest's first person on each side. The test pairs of the answers
// file name them.
func (f *forest) local() *mailbox {
	return f.first(func(m *mailbox) bool { return !m.remote && !m.amazon })
}
func (f *forest) moved() *mailbox  { return f.first(func(m *mailbox) bool { return m.remote }) }
func (f *forest) amazon() *mailbox { return f.first(func(m *mailbox) bool { return m.amazon }) }

func (f *forest) first(is func(*mailbox) bool) *mailbox {
	for _, m := range f.users {
		if is(m) {
			return m
		}
	}
	return nil
}

// identityOf is the id that an object has in an estate.
func identityOf(estate, id string) string {
	if estate == "" {
		return id
	}
	return stableGUID(estate + " " + id)
}

// stableGUID is a GUID made of a name, the same in every run.
func stableGUID(name string) string {
	h := fnv.New128a()
	h.Write([]byte(strings.ToLower(name)))
	b := h.Sum(nil)
	b[6], b[8] = b[6]&0x0f|0x50, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// event is one entry of a calendar. Status counts as MergedFreeBusy does: 1 tentative, 2 busy, 3
// out of office.
type event struct {
	start, end time.Time
	status     int
	subject    string
}

// calendar lists the entries of a mailbox that touch a window. It depends only on address and day,
// and differs between mailboxes. So the lab and its tests can recognize a wrong answer.
func calendar(address string, from, to time.Time) []event {
	var events []event
	for day := from.UTC().Truncate(24 * time.Hour); day.Before(to); day = day.AddDate(0, 0, 1) {
		h := fnv.New64a()
		fmt.Fprintf(h, "%s %s", strings.ToLower(address), day.Format(time.DateOnly))
		seed := h.Sum64()
		for i := range 1 + int(seed%3) {
			seed = seed*6364136223846793005 + 1442695040888963407
			start := day.Add(8*time.Hour + time.Duration(i)*3*time.Hour + time.Duration(seed>>33%4)*30*time.Minute)
			e := event{start: start, end: start.Add(time.Duration(1+seed>>45%3) * 30 * time.Minute),
				status: 1 + int(seed>>53%3), subject: "Meeting"}
			if e.end.After(from) && e.start.Before(to) {
				events = append(events, e)
			}
		}
	}
	return events
}
