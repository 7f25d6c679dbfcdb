package lab

import (
	"context"
	"crypto/tls"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/lab/mail"
	"github.com/hybridge-cli/hybridge/pkg/lab/organization"
	"github.com/hybridge-cli/hybridge/pkg/lab/workmail"
	"github.com/hybridge-cli/hybridge/pkg/wire/autodiscover"
	"github.com/hybridge-cli/hybridge/pkg/wire/dns"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// The clouds that a lab may have.
const (
	Online   = "online"
	WorkMail = "workmail"
)

// Clouds lists the clouds that a lab may have.
func Clouds() []string { return []string{Online, WorkMail} }

// Clouds names the clouds of the lab.
func (l *Lab) Clouds() []string {
	var names []string
	if l.tenant != nil {
		names = append(names, "a tenant")
	}
	if l.workMail != nil {
		names = append(names, "Amazon WorkMail")
	}
	return names
}

// CheckClouds reports whether a lab with these faults may have these clouds.
func CheckClouds(clouds, faults []string) error {
	planted, err := find(faults, math.MaxInt)
	if err == nil {
		_, err = cloudsFor(clouds, planted)
	}
	return err
}

// cloudsFor returns the clouds of a lab with these faults.
func cloudsFor(clouds []string, planted []Fault) ([]string, error) {
	for _, c := range clouds {
		if !slices.Contains(Clouds(), c) {
			return nil, fmt.Errorf("no cloud %q: a lab may have %s", c, strings.Join(Clouds(), ", "))
		}
	}
	workMail := slices.ContainsFunc(planted, func(f Fault) bool { return f.workMail })
	online := slices.ContainsFunc(planted, func(f Fault) bool {
		return !f.workMail && (f.early.online || f.late.online || f.left || f.valued != nil || f.Message)
	})
	switch {
	case len(clouds) == 0 && workMail && online:
		return []string{Online, WorkMail}, nil
	case len(clouds) == 0 && workMail:
		return []string{WorkMail}, nil
	case len(clouds) == 0:
		return []string{Online}, nil
	case workMail && !slices.Contains(clouds, WorkMail):
		return nil, errors.New("a fault needs Amazon WorkMail: add --cloud workmail")
	case online && !slices.Contains(clouds, Online):
		return nil, errors.New("a fault needs Exchange Online: add --cloud online")
	}
	return clouds, nil
}

// The names of the organization in WorkMail. It belongs to the first forest: an organization has
// one directory.
const (
	workMailRegion  = "us-east-1"
	workMailAlias   = "contoso"
	workMailDomain  = workMailAlias + ".awsapps.com"
	workMailAccount = "123456789012"
	workMailKey     = "AKIALABLABLABLABLAB1"
	directoryID     = "d-906781cc3a"

	// WorkMailFunction is a Lambda function of the lab's account that answers lookups in place of
	// EWS of the first forest.
	WorkMailFunction = "arn:aws:lambda:" + workMailRegion + ":" + workMailAccount + ":function:workmail-cap"

	inboundSMTP = "inbound-smtp." + workMailRegion + ".amazonaws.com"

	svcExchange = "svc-availability" // as which WorkMail asks Exchange
	svcWorkMail = "svc-workmail"     // as which Exchange asks WorkMail
)

// moveToWorkMail makes people of a forest users of WorkMail: of the forest with the organization
// those who were moved (alone: there is no tenant), or every tenth, and the two service accounts.
func (f *forest) moveToWorkMail(here, alone bool) {
	for i, m := range f.users {
		moved := m.remote && alone || here && !alone && i%10 == 5
		if alone {
			m.others = slices.DeleteFunc(m.others, func(a string) bool { return a == m.target() })
		}
		if !moved {
			continue
		}
		m.remote, m.amazon = false, here
		if here {
			m.others = append(m.others, "mail."+m.account+"@"+f.domain)
		}
	}
	if !here {
		return
	}
	f.employ(svcExchange, svcWorkMail)
}

// employ adds service accounts to a forest.
func (f *forest) employ(accounts ...string) {
	for _, account := range accounts {
		address := account + "@" + f.domain
		f.services = append(f.services, account)
		f.users = append(f.users, &mailbox{forest: f, account: account, display: "Service " + account[4:], upn: address,
			primary: address, amazon: account == svcWorkMail, guid: stableGUID(address)})
	}
}

// workMailSite is Amazon WorkMail with the organization of one forest.
type workMailSite struct {
	servers
	forest    *forestSite
	service   *workmail.Service
	connector *workmail.Connector
	org       *workmail.Organization
	front     *issued
	now       func() time.Time
	zone      *dns.Server
	unproved  bool // by a fault: the TXT record of the domain is not published
	absent    bool // by a fault: the account has no organization
	lambda    bool // by a fault: a Lambda function answers for the first forest
}

func (s *workMailSite) hosts() []string {
	return []string{
		"workmail." + workMailRegion + ".amazonaws.com", "ds." + workMailRegion + ".amazonaws.com",
		"ews.mail." + workMailRegion + ".awsapps.com",
		"autodiscover-service.mail." + workMailRegion + ".awsapps.com", "autodiscover." + workMailDomain,
		"autodiscover.mail." + workMailRegion + ".awsapps.com",
	}
}

func (s *workMailSite) register(r *registry) {
	s.service = workmail.New(workmail.Config{Region: workMailRegion, Account: workMailAccount, Clock: s.now})
	r.certificate(&s.front, leaf{subject: pkix.Name{CommonName: "awsapps.com"}, names: append(s.hosts(), inboundSMTP)})
	r.zones = append(r.zones, workMailDomain, "mail."+workMailRegion+".awsapps.com", workMailRegion+".amazonaws.com")
	r.host(s.hosts()...)
	r.host(inboundSMTP)
	r.records = append(r.records, workMailDomain+". MX 10 "+inboundSMTP+".")
	r.host("inbound-smtp." + workMailRegion + ".amazonaws.com")
	domain := s.forest.domain
	if !s.unproved {
		r.records = append(r.records, "_amazonses."+domain+`. TXT "`+s.service.Ownership(domain)+`"`)
	}
}

// raise builds the organization: with its domain, its service account and the people who were moved
// before. The first person is not registered yet.
func (s *workMailSite) raise(l *Lab) error {
	key, err := l.credentials.password("workmail-key")
	if err != nil {
		return err
	}
	s.zone = l.zone
	f := s.forest
	s.connector = &workmail.Connector{
		ID: directoryID, Name: f.domain, Alias: workMailAlias, Account: "svc-connector", Servers: []string{"127.0.0.1"},
		People: s.people,
		SignIn: func(user, password string) bool {
			want, ok := f.password(user)
			return ok && want == password
		},
	}
	s.service.Keys = map[string]workmail.Key{workMailKey: {Secret: key}}
	s.service.Connectors = []*workmail.Connector{s.connector}
	s.service.Calendar, s.service.Config.Folders = events, heldAtWorkMail
	s.service.TXT = s.texts
	s.service.Functions = map[string]workmail.Function{WorkMailFunction: {
		Ask: func(ctx context.Context, mailbox string, w ews.Window) ([]ews.Event, error) {
			found, err := f.premise.availability(onBehalfOf(ctx, svcExchange+"@"+f.domain), mailbox, w, false)
			var no *lookupError
			if errors.As(err, &no) {
				err = &ews.ResponseError{Address: mailbox, Code: no.code, Text: no.text}
			}
			return found, err
		},
	}}
	s.org = s.service.NewOrganization(workMailAlias, s.connector, f.domain)
	for _, m := range f.users {
		if m.amazon && m != f.amazon() {
			s.org.Register(m.primary)
		}
	}
	f.org.Seed("DistributionGroup", "Name", "Sales", "Alias", "sales", "DisplayName", "Sales", "SamAccountName",
		"sales",
		"PrimarySmtpAddress", "sales@"+f.domain, "RequireSenderAuthenticationEnabled", false)
	f.org.Seed("SendConnector", "Name", "Internet", "AddressSpaces", []string{"SMTP:*;1"}, "DNSRoutingEnabled", true)
	if err := s.raiseMail(); err != nil {
		return err
	}
	api, discovery := s.hosts()[:2], s.service.AutodiscoverPOX()
	return s.serveTLS(map[string]virtualHost{
		api[0]: {s.front, s.service.API()}, api[1]: {s.front, s.service.Directories()},
		s.service.EWSHost(): {s.front, s.service.EWS()}, s.service.AutodiscoverHost(): {s.front, discovery},
		"autodiscover." + workMailDomain: {s.front, discovery},
	}, link.ConnContext)
}

func (s *workMailSite) link(way *link.Link) {
	s.service.Reach(way)
	s.service.Post.Link(s.network.names, way.DialContext, way.Roots())
	s.start()
}

// raiseMail opens port 25 of the region.
func (s *workMailSite) raiseMail() error {
	listener, err := s.listen(inboundSMTP + ":25")
	if err != nil {
		return err
	}
	s.service.Post = mail.New(mail.Config{
		Host: inboundSMTP, Build: "1.0", Own: []string{workMailDomain}, Now: s.now,
		Certificates: func() []tls.Certificate { return []tls.Certificate{s.front.tls()} },
		Find: func(address string) mail.Address {
			primary, known := s.org.MailboxOf(address)
			return mail.Address{Known: known, Here: known, Primary: primary}
		},
	})
	s.queue(func() error { return s.service.Post.Serve(listener) },
		func() { listener.Close(); s.service.Post.Close() })
	return nil
}

// texts looks up TXT records in the zones of the lab.
func (s *workMailSite) texts(ctx context.Context, name string) ([]string, error) {
	found, err := (&dns.Client{Resolvers: []string{s.zone.Address()}}).Lookup(ctx, name, dns.TXT)
	var out []string
	for _, r := range found.Records {
		out = append(out, r.Text)
	}
	return out, err
}

// people is what the AD Connector reads of the forest's directory.
func (s *workMailSite) people() []workmail.Person {
	var out []workmail.Person
	for _, noun := range append(slices.Clone(recipientNouns), "DistributionGroup") {
		for _, r := range s.forest.org.Objects(noun) {
			p := workmail.Person{
				ID: stableGUID("WorkMail " + r.String("SamAccountName")), Account: r.String("SamAccountName"),
				Display: r.String("DisplayName"), UPN: r.String("UserPrincipalName"),
				Mail: r.String("PrimarySmtpAddress"),
			}
			for _, a := range r.Strings("EmailAddresses") {
				if kind, address, ok := strings.Cut(a, ":"); ok && strings.EqualFold(kind, "smtp") {
					p.Addresses = append(p.Addresses, address)
				}
			}
			kind := r.String("RecipientTypeDetails")
			p.Group = noun == "DistributionGroup"
			p.Resource = strings.HasPrefix(kind, "Room") || strings.HasPrefix(kind, "Equipment")
			out = append(out, p)
		}
	}
	return out
}

// answers is the section workmail of the answers file.
func (s *workMailSite) answers() *answers.WorkMail {
	w := &answers.WorkMail{
		Region: workMailRegion, Organization: workMailAlias,
		Credential: answers.Credential{Kind: answers.CredentialSecret, ClientID: workMailKey,
			Secret: secret.Ref("file:secrets/workmail-key")},
		Account: &answers.WorkMailAccount{User: svcWorkMail + "@" + s.forest.domain,
			Password: s.forest.reference(svcWorkMail)},
		Users: []string{s.forest.amazon().primary},
	}
	if s.absent {
		w.Directory, w.Users = directoryID, nil
		for _, m := range s.forest.users {
			if m.amazon {
				w.Users = append(w.Users, m.primary)
			}
		}
	}
	return w
}

// newOrganizationTakes is how long the lab takes to make an organization, and to delete one.
const newOrganizationTakes = 2 * time.Second

// forget takes the organization out of the account. The API can make another one.
func (s *workMailSite) forget() {
	s.org.Forget()
	s.service.Delay = newOrganizationTakes
	s.service.Created = func(o *workmail.Organization) { s.org = o }
}

// CloseWorkMail makes AWS refuse the account as a new customer of WorkMail.
func (l *Lab) CloseWorkMail() { l.workMail.service.Closed = true }

// provider says how WorkMail asks a forest.
func (s *workMailSite) provider(f *forestSite) *answers.Provider {
	if s.lambda && f == s.forest {
		return &answers.Provider{Lambda: WorkMailFunction}
	}
	return &answers.Provider{User: f.name + `\` + svcExchange, Password: f.reference(svcExchange)}
}

// anchorMailbox is the mailbox that Exchange names when it looks for the autodiscover of another
// forest.
const anchorMailbox = "01B62C6D-4324-448f-9884-5FEC6D18A7E2"

// askSpace sends a lookup along an availability address space: autodiscover of the forest name,
// then its EWS, both with the credential of the space.
func (p *premise) askSpace(ctx context.Context, space *organization.Record, addresses []string, domain string,
	w ews.Window) ([]found, error) {
	c := space.Credential()
	if method := space.String("AccessMethod"); method != "OrgWideFB" && method != "PerUserFB" || c.User == "" {
		return nil, failed("ErrorProxyRequestProcessingFailed",
			"The lab doesn't simulate availability address spaces with access method %s.", method)
	}
	endpoint := space.String("TargetAutodiscoverEpr")
	if endpoint == "" {
		endpoint = "https://autodiscover." + domain + "/autodiscover/autodiscover.xml"
	}
	ask := &ews.Client{HTTP: p.signIn(ctx, endpoint, c), AnchorMailbox: addresses[0],
		Version: "Exchange2010_SP1", UserAgent: "ASProxy/CrossForest/EmailDomain"}
	defer ask.HTTP.CloseIdleConnections()
	anonymous := p.link.Client(nil)
	defer anonymous.CloseIdleConnections()
	discovery := &autodiscover.Client{HTTP: ask.HTTP, Anonymous: anonymous,
		UserAgent: "ASAutoDiscover/CrossForest/EmailDomain"}
	settings, err := discovery.FindAt(ctx, endpoint, anchorMailbox+"@"+domain)
	if err != nil {
		return nil, failed("ErrorProxyRequestProcessingFailed",
			"Autodiscover failed for e-mail address %s with error %v", addresses[0], err)
	}
	ask.URL = settings.EWS()
	return calendars(ctx, ask, addresses, w)
}
