package lab

import (
	"cmp"
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/lab/directory"
	"github.com/hybridge-cli/hybridge/pkg/lab/entra"
	"github.com/hybridge-cli/hybridge/pkg/lab/mail"
	"github.com/hybridge-cli/hybridge/pkg/lab/organization"
	"github.com/hybridge-cli/hybridge/pkg/wire/autodiscover"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
	"github.com/hybridge-cli/hybridge/pkg/wire/link/ntlm"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
	"github.com/hybridge-cli/hybridge/pkg/wire/smtp"
)

// forestSite is the running Exchange organization of one forest.
type forestSite struct {
	*forest
	servers
	premise              *premise
	org                  *organization.Organization
	ldap                 *directory.Server
	exchange             []*exchangeServer // at least one
	post                 *mail.Transport   // of the first one
	edge                 *edgeServer       // nil: the forest has none
	transport            *issued           // the certificate that mail and clients see
	directoryCertificate *issued
	authCertificate      *issued // at the start
	withoutRoles         bool    // set by a fault: the account of the partner application has no roles
	passwords            map[string]string
	now                  func() time.Time
	stores               stores

	// Set by faults.
	alter    func(*leaf) // changes the transport certificate before it is made
	apart    bool        // Exchange brings no auth certificate from server to server
	viewOnly bool        // every account has view-only roles
	groups   []string    // of the directory, beside those of Exchange
	// alias is where autodiscover of the domain leads by a CNAME record.
	alias string
	// sharing makes the forest one of the organization in WorkMail.
	sharing bool
	// exchanger is where the MX record leads instead of the mail host
	exchanger string
	// gateway is the case where a third party takes the domain's mail.
	gateway bool
	// senders are further terms of the SPF record.
	senders string
	// addressesHidden denies every account proxyAddresses of people.
	addressesHidden bool
	// schema is the version of the schema; 0: that of the servers.
	schema int
	// leftovers are objects in the directory that nothing needs any more.
	leftovers []directory.Entry
	// servicePoint is the address in the service connection point instead of the forest's own.
	servicePoint string
	// website answers at the bare domain; nil: nothing does.
	website http.Handler
	// device stands before the web services at the published names; nil: nothing does.
	device  func(http.Handler) http.Handler
	typed   bool // remote PowerShell sends typed values always
	inspect func(*smtp.Config)
	// securityUpdate is the build with its security update; empty: the latest one of the default
	// build.
	securityUpdate string
	// blemish changes what the directory keeps of a person; nil: nothing.
	blemish func(*directory.User)

	mu   sync.Mutex
	keys map[string]keptKeys // of auth servers, by metadata URL
}

func newForestSite(f *forest, l *Lab) *forestSite {
	site := &forestSite{
		forest: f, servers: servers{network: l.network}, now: l.now, passwords: map[string]string{},
		keys: map[string]keptKeys{},
	}
	site.putServers(1)
	return site
}

// transportLeaf is the forest's purchased certificate. Its mail host is the subject, and its other
// names are alternative names.
func (f *forest) transportLeaf() leaf {
	return leaf{
		subject: pkix.Name{CommonName: f.mail, Organization: []string{f.organization}},
		names:   []string{f.mail, f.autodiscover, f.domain}, rsa: true,
	}
}

func (f *forestSite) register(r *registry) {
	transport := f.transportLeaf()
	if f.alter != nil {
		f.alter(&transport)
	}
	r.certificate(&f.transport, transport)
	from := f.now().AddDate(-1, 0, 0)
	r.certificate(&f.authCertificate, leaf{
		subject: pkix.Name{CommonName: "Microsoft Exchange Server Auth Certificate"}, from: from,
		to: from.AddDate(5, 0, 0), rsa: true, selfSigned: true,
	})
	for _, s := range f.exchange {
		r.certificate(&s.own, leaf{subject: pkix.Name{CommonName: s.host}, names: []string{s.host}})
		r.host(s.host)
		if s.alter != nil {
			own := f.transportLeaf()
			s.alter(&own)
			r.certificate(&s.other, own)
		}
	}
	r.certificate(&f.directoryCertificate,
		leaf{subject: pkix.Name{CommonName: f.controller}, names: []string{f.controller, f.domain}})
	if f.edge != nil {
		f.registerEdge(r)
	}
	r.zones = append(r.zones, f.domain)
	if f.gateway {
		r.zones, f.exchanger = append(r.zones, "gateway.example"), "mx.gateway.example"
		r.host(f.exchanger)
	}
	r.host(f.mail, f.controller)
	if f.alias == "" {
		r.host(f.autodiscover)
	} else {
		r.records = append(r.records, f.autodiscover+". CNAME "+f.alias+".")
	}
	r.records = append(r.records,
		f.domain+". MX 10 "+cmp.Or(f.exchanger, f.mail)+".",
		f.domain+`. TXT "`+entra.Domain{Name: f.domain}.VerificationText()+`"`,
		f.domain+`. TXT "v=spf1 mx `+f.senders+`-all"`,
		"_dmarc."+f.domain+`. TXT "v=DMARC1; p=none; rua=mailto:dmarc@`+f.domain+`"`,
		"_ldap._tcp.dc._msdcs."+f.domain+". SRV 0 100 636 "+f.controller+".",
		"_ldap._tcp."+f.domain+". SRV 0 100 636 "+f.controller+".",
	)
}

func (f *forestSite) link(way *link.Link) {
	f.premise.link = way
	dial := f.network.behind(f.public(), way.DialContext)
	for _, s := range f.exchange {
		s.post.Link(f.network.names, dial, way.Roots())
	}
	if f.edge != nil {
		f.edge.post.Link(f.network.names, dial, way.Roots())
	}
	f.start()
}

// account is the service account of the answers file.
func (f *forest) account() string { return "svc-hybridge@" + f.domain }

// seed fills the Exchange organization as setup and years of use do, without any hybrid
// configuration.
func (f *forestSite) seed() {
	o := f.org
	o.Seed("AcceptedDomain", "Name", f.domain, "DomainName", f.domain, "Default", true)
	for _, s := range f.exchange {
		o.Seed("ExchangeServer", "Name", s.name(), "Fqdn", s.host, "Domain", f.domain,
			"AdminDisplayVersion", s.version())
		o.ReceiveConnectors(s.name(), s.host)
		o.Seed("WebServicesVirtualDirectory", "Server", s.name(), "AdminDisplayVersion", s.version(),
			"BasicAuthentication", true, // some program of the organization needs it
			"InternalUrl", "https://"+s.host+"/EWS/Exchange.asmx",
			"ExternalUrl", "https://"+f.mail+"/EWS/Exchange.asmx")
		o.Seed("AutodiscoverVirtualDirectory", "Server", s.name(), "AdminDisplayVersion", s.version())
		o.Seed("ClientAccessService", "Name", s.name(), "Fqdn", s.host,
			"AutoDiscoverServiceInternalUri", cmp.Or(f.servicePoint,
				"https://"+f.autodiscover+"/Autodiscover/Autodiscover.xml"))
		s.upkeep()
		s.store(s.transport(), "IIS, SMTP", false)
		s.keep(f.authCertificate, "SMTP", true)
	}
	o.Seed("ThrottlingPolicy", "Name", "GlobalThrottlingPolicy_"+f.guid, "ThrottlingPolicyScope", "Global")
	o.Objects("AuthConfig")[0].Set("CurrentCertificateThumbprint", certificate.Thumbprint(f.authCertificate.cert))
	for _, m := range f.users {
		addresses := []string{"SMTP:" + m.primary}
		for _, a := range m.others {
			addresses = append(addresses, "smtp:"+a)
		}
		common := []any{
			"Name", m.display, "Alias", m.account, "DisplayName", m.display, "PrimarySmtpAddress", m.primary,
			"WindowsEmailAddress", m.primary,
			"UserPrincipalName", m.upn, "SamAccountName", m.account, "EmailAddresses", addresses,
		}
		switch {
		case m.remote:
			o.Seed("RemoteMailbox", append(common, "RemoteRoutingAddress", "SMTP:"+m.target())...)
		case m.amazon:
			o.Seed("MailUser", append(common, "ExternalEmailAddress", "SMTP:"+m.target(), "CustomAttribute1",
				"moved "+m.account, "HiddenFromAddressListsEnabled", slices.Contains(f.services, m.account))...)
		default:
			s := f.serverFor(m)
			o.Seed("Mailbox", append(common, "ServerName", firstLabel(s.host), "Database", s.mailboxDatabase(),
				"ExchangeGuid", mailboxGUID(m.upn))...)
		}
	}
	f.seedContacts()
}

// people is the directory's users.
func (f *forestSite) people() []directory.User {
	users := make([]directory.User, 0, len(f.users)+1)
	users = append(users, directory.User{Name: "svc-hybridge", SAMAccountName: "svc-hybridge", UPN: f.account(),
		Password: f.passwords["svc-hybridge"]})
	users = append(users, f.lookupAccount()...)
	for _, noun := range recipientNouns {
		for _, r := range f.org.Objects(noun) {
			users = append(users, f.person(r))
		}
	}
	return users
}

// database is the DN of a mailbox database.
func (f *forestSite) database(name string) string {
	return "CN=" + name + ",CN=Databases,CN=Exchange Administrative Group (FYDIBOHF23SPDLT),CN=Administrative Groups,CN=" +
		f.organization + ",CN=Microsoft Exchange,CN=Services,CN=Configuration,DC=" +
		strings.ReplaceAll(f.domain, ".", ",DC=")
}

// person is a recipient's account in the directory.
func (f *forestSite) person(r *organization.Record) directory.User {
	account, display := r.String("SamAccountName"), r.String("DisplayName")
	given, surname, _ := strings.Cut(display, " ")
	u := directory.User{
		Name: display + " (" + account + ")", SAMAccountName: account, UPN: r.String("UserPrincipalName"),
		Password:  f.passwords[account],
		GivenName: given, Surname: surname, Mail: r.String("PrimarySmtpAddress"),
		ProxyAddresses: r.Strings("EmailAddresses"), RecipientType: 1,
	}
	if r.Noun() == "MailUser" {
		u.TargetAddress, u.RecipientType = r.String("ExternalEmailAddress"), 128
	}
	if r.Noun() == "RemoteMailbox" {
		u.TargetAddress, u.RecipientType, u.RemoteType = r.String("RemoteRoutingAddress"), 2147483648, 4
	}
	if r.Noun() == "Mailbox" {
		u.Attributes = map[string][]string{"homeMDB": {f.database(r.String("Database"))}}
	}
	if f.blemish != nil {
		f.blemish(&u)
	}
	if f.addressesHidden {
		u.ProxyAddresses = nil
	}
	return u
}

// configuration is the Exchange part of the configuration naming context, built from the current
// output of the cmdlets.
func (f *forestSite) configuration() *directory.Organization {
	out := &directory.Organization{Name: f.organization, GUID: f.guid, SchemaVersion: f.schema}
	for _, s := range f.org.Objects("ExchangeServer") {
		server := directory.ExchangeServer{
			FQDN: s.String("Fqdn"), TLSCertificate: f.transport.cert.Raw, ExternalURL: "https://" + f.mail,
		}
		if own := f.serverNamed(s.String("Name")); own != nil {
			server.TLSCertificate = own.transport().cert.Raw
		}
		if point := f.org.Object("ClientAccessService", s.String("Name")); point != nil {
			server.AutodiscoverURL = point.String("AutoDiscoverServiceInternalUri")
		}
		_, _ = fmt.Sscanf(s.String("AdminDisplayVersion"), "Version %d.%d (Build %d.%d)", &server.Major, &server.Minor,
			&server.Build, &server.Revision)
		out.Servers = append(out.Servers, server)
	}
	types := map[string]int{"Authoritative": 0, "ExternalRelay": 1, "InternalRelay": 2}
	for _, d := range f.org.Objects("AcceptedDomain") {
		out.AcceptedDomains = append(out.AcceptedDomains,
			directory.AcceptedDomain{Domain: d.String("DomainName"), Type: types[d.String("DomainType")],
				Default: d.Bool("Default")})
	}
	for _, c := range f.org.Objects("IntraOrganizationConnector") {
		out.Connectors = append(out.Connectors, directory.Connector{
			Name: c.String("Name"), DiscoveryEndpoint: c.String("DiscoveryEndpoint"),
			Domains: c.Strings("TargetAddressDomains"), Enabled: c.Bool("Enabled"),
		})
	}
	for _, r := range f.org.Objects("OrganizationRelationship") {
		var actions []string
		for _, a := range [][2]string{{"FreeBusyAccessEnabled", "SharingCalendarFreeBusyEnabled"},
			{"MailboxMoveEnabled", "MailboxMove"}, {"DeliveryReportEnabled", "DeliveryReportEnabled"},
			{"MailTipsAccessEnabled", "MailTipsAccessEnabled"}, {"ArchiveAccessEnabled", "ArchiveAccessEnabled"},
			{"PhotosEnabled", "PhotosEnabled"}} {
			if r.Bool(a[0]) {
				actions = append(actions, "MSExchange."+a[1])
			}
		}
		out.Relationships = append(out.Relationships, directory.Relationship{
			Actions: actions,
			Name:    r.String("Name"), ApplicationURI: r.String("TargetApplicationUri"),
			AutodiscoverURL: r.String("TargetAutodiscoverEpr"),
			SharingURL:      r.String("TargetSharingEpr"), Domains: r.Strings("DomainNames"),
			Enabled: r.Bool("Enabled"),
		})
	}
	for _, a := range f.org.Objects("AuthConfig") {
		for _, which := range []string{"Current", "Previous", "Next"} {
			if thumbprint := a.String(which + "CertificateThumbprint"); thumbprint != "" {
				out.AuthThumbprints = append(out.AuthThumbprints, thumbprint)
			}
		}
	}
	for _, s := range f.org.Objects("AuthServer") {
		out.AuthServers = append(out.AuthServers, directory.AuthServer{
			Name: s.String("Name"), IssuerName: s.String("IssuerIdentifier"),
			IssuingURL:           s.String("TokenIssuingEndpoint"),
			AuthorizationURL:     s.String("AuthorizationEndpoint"),
			DefaultAuthorization: s.Bool("IsDefaultAuthorizationEndpoint"),
			MetadataURL:          s.String("AuthMetadataUrl"),
			Realm:                s.String("Realm"), ApplicationIdentifier: s.String("ApplicationIdentifier"),
			Type:    s.String("Type"),
			Enabled: s.Bool("Enabled"), Domains: s.Strings("DomainName"),
		})
	}
	for _, p := range f.org.Objects("PartnerApplication") {
		out.PartnerApplications = append(out.PartnerApplications, directory.PartnerApplication{
			Name: p.String("Name"), ApplicationIdentifier: p.String("ApplicationIdentifier"),
			LinkedAccount: p.String("LinkedAccount"), Enabled: p.Bool("Enabled"),
			MetadataURL: p.String("AuthMetadataUrl"), Realm: p.String("Realm"), UseAuthServer: p.Bool("UseAuthServer"),
			AcceptSecurityIdentifierInformation: p.Bool("AcceptSecurityIdentifierInformation"),
		})
	}
	return out
}

// published is the external EWS address of the virtual directory.
func (f *forestSite) published(ctx context.Context) string {
	return f.at(ctx).directory("WebServicesVirtualDirectory").String("ExternalUrl")
}

// password returns an account's password, by DOMAIN\user, user@domain or user. DOMAIN is the
// NetBIOS name or the DNS name of the forest's domain.
func (f *forestSite) password(user string) (string, bool) {
	name := user
	if domain, after, ok := strings.Cut(user, `\`); ok {
		if !strings.EqualFold(domain, f.name) && !strings.EqualFold(domain, f.domain) {
			return "", false
		}
		name = after
	} else if before, domain, ok := strings.Cut(user, "@"); ok {
		if !strings.EqualFold(domain, f.domain) {
			return "", false
		}
		name = before
	}
	p, ok := f.passwords[strings.ToLower(name)]
	return p, ok
}

// web is the handler of an Exchange server on HTTPS: EWS, autodiscover, its auth metadata, and
// remote PowerShell.
func (s *exchangeServer) web(powershell http.Handler) http.Handler {
	f := s.site
	accept := &link.Accept{
		Realm: f.mail, Basic: true, NTLM: true, Password: f.password,
		Names: ntlm.Server{Computer: s.name(), Domain: strings.ToUpper(f.name),
			DNSDomain: f.domain, DNSComputer: s.host},
		Certificate: func(*http.Request) *x509.Certificate { return s.transport().cert },
		Offers:      f.challenge,
		Anonymous:   autodiscover.Anonymous,
	}
	byHost := func(w http.ResponseWriter, r *http.Request, directory string, next http.Handler) {
		a := *accept
		host := hostOf(r)
		virtual := s.directory(directory)
		a.Basic, a.NTLM = virtual.Bool("BasicAuthentication"), virtual.Bool("WindowsAuthentication")
		a.Names.Protection = map[string]ntlm.Protection{
			"Allow": ntlm.ProtectionAllow, "Require": ntlm.ProtectionRequire,
		}[virtual.String("ExtendedProtectionTokenChecking")]
		if !virtual.Bool("OAuthAuthentication") {
			a.Offers = nil
			a.Handler(next).ServeHTTP(w, r)
			return
		}
		a.Bearer = f.premise.bearer(w, s.now,
			func(ctx context.Context, actor string) (oauth.Token, error) { return f.verify(ctx, actor, host) })
		a.Handler(next).ServeHTTP(w, r)
	}
	version := ews.ServerVersion{}
	_, _ = fmt.Sscanf(s.version(), "Version %d.%d (Build %d.%d", &version.Major, &version.Minor, &version.Build,
		&version.Revision)
	calendars := f.premise.gate(f.domain, soapOnly(&ews.Handler{Backend: answering{f.premise, f.domain, ""},
		Version: version}))
	discovery := autodiscover.Advertise(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		byHost(w, r, "AutodiscoverVirtualDirectory",
			&autodiscover.Handler{Backend: f.premise, Unauthorized: accept.Challenge})
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = r.WithContext(s.in(r.Context()))
		w.Header().Set("X-FEServer", s.name())
		w.Header().Set("Date", s.now().UTC().Format(http.TimeFormat))
		path := strings.ToLower(r.URL.Path)
		switch {
		case path == "/owa/auth/logon.aspx":
			w.Header().Set("X-OWA-Version", s.fullBuild())
			fmt.Fprint(w, "<!DOCTYPE html><title>Outlook</title>")
		case strings.HasPrefix(path, "/ews/") && s.off("EwsProxy"):
			http.Error(w, "Service Unavailable", http.StatusServiceUnavailable)
		case path == "/ews/exchange.asmx":
			byHost(w, r, "WebServicesVirtualDirectory", calendars)
		case path == "/ews/mrsproxy.svc":
			byHost(w, r, "WebServicesVirtualDirectory", http.HandlerFunc(f.moveProxy))
		case strings.HasPrefix(path, "/autodiscover/metadata/json/1"), strings.HasPrefix(path, "/metadata/json/1"):
			f.metadata(w, r)
		case strings.HasPrefix(path, "/autodiscover/"):
			discovery.ServeHTTP(w, r)
		case strings.HasPrefix(path, "/powershell"):
			powershell.ServeHTTP(w, r)
		default:
			http.NotFound(w, r)
		}
	})
}

// answering is a premise as the backend of EWS. People may ask for any mailbox, other organizations
// only for mailboxes that are here.
type answering struct {
	*premise
	domain string // of callers that name none
	vendor string // an application that acts as people who are here
}

func (a answering) Availability(ctx context.Context, q ews.Query) ([]ews.Calendar, error) {
	out := make([]ews.Calendar, len(q.Mailboxes))
	token, _ := q.Caller.Claims.(oauth.Token)
	foreign := q.Caller.Scheme == "Bearer"
	if a.vendor != "" && q.Caller.User == a.vendor {
		as, err := a.acts(q)
		if err != nil {
			return nil, err
		}
		q.Caller, q.Impersonated, foreign = link.Caller{User: as}, "", false
	}
	proxied, refused := a.proxied(ctx, q.Caller)
	proxied = proxied && !foreign
	if !foreign {
		if q.Impersonated != "" { // no account of the lab has the role ApplicationImpersonation
			return nil, &ews.Fault{ResponseCode: "ErrorImpersonateUserDenied",
				Message: "The account does not have permission to impersonate the requested user."}
		}
		ctx = onBehalfOf(ctx, a.person(q.Caller, a.domain))
	}
	for i, f := range a.availabilities(ctx, q.Mailboxes, q.Window, foreign || proxied) {
		address, found, err := q.Mailboxes[i], f.events, f.err
		switch {
		case err != nil:
		case foreign:
			out[i].Limit, err = a.lets(token)
		case proxied:
			out[i].Limit, err = ews.FreeBusyMerged, refused // what the calendars show to everyone
		}
		if err != nil {
			found = nil
		}
		out[i].Events = found
		var no *lookupError
		if errors.As(err, &no) {
			err = &ews.ResponseError{Address: address, Code: no.code, Text: no.text}
		}
		out[i].Err = err
	}
	return out, nil
}

// acts is the mailbox as which the application of a vendor asks.
func (a answering) acts(q ews.Query) (string, error) {
	r, ok := a.find(q.Impersonated)
	switch {
	case q.Impersonated == "":
		return "", &ews.Fault{ResponseCode: "ErrorAccessDenied",
			Message: "ExchangeImpersonation SOAP header must be present for this type of OAuth token."}
	case !ok || !r.here:
		return "", &ews.Fault{ResponseCode: "ErrorNonExistentMailbox",
			Message: "The SMTP address has no mailbox associated with it."}
	}
	return r.primary, nil
}

func firstLabel(host string) string {
	label, _, _ := strings.Cut(host, ".")
	return label
}

func hostOf(r *http.Request) string {
	host, _, _ := strings.Cut(r.Host, ":")
	return strings.ToLower(host)
}
