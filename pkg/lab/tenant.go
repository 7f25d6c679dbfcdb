package lab

import (
	"context"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/lab/entra"
	"github.com/hybridge-cli/hybridge/pkg/lab/mail"
	"github.com/hybridge-cli/hybridge/pkg/lab/organization"
	"github.com/hybridge-cli/hybridge/pkg/wire/autodiscover"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

// microsoftHosts are the host names of the tenant, as in a real configuration.
var microsoftHosts = []string{
	"login.microsoftonline.com", "login.windows.net", "accounts.accesscontrol.windows.net", "graph.microsoft.com",
	"outlook.office365.com", "outlook.office.com", "autodiscover-s.outlook.com",
}

// autodiscoverOnline answers on port 80 alone and redirects, for the domains of every tenant.
const autodiscoverOnline = "autodiscover.outlook.com"

// tenantSite is the Microsoft 365 tenant: Entra, and Exchange Online.
type tenantSite struct {
	servers
	id           string
	domains      []string // of the forests
	entra        *entra.Tenant
	org          *organization.Organization
	premise      *premise
	front        *issued
	exchanger    *issued // of the servers for mail
	post         *mail.Transport
	automation   *issued // the certificate of the application that hybridge signs in as
	automationID string
	devicePage   string // where a person finishes a device code
	now          func() time.Time
	today        func() time.Time // of the retirement of EWS
	stores       stores
	// viewOnly is set by a fault: every account has view-only roles in Exchange Online
	viewOnly bool
}

// archiverID is an application of another vendor, which acts as people of the tenant in EWS. Its
// secret is secrets/archiver.
var archiverID = stableGUID("somebody else's archiver")

// automationRoles are what the automation application has been granted.
var automationRoles = entra.NewApplication{
	DisplayName: "hybridge automation",
	Exchange:    []string{"Exchange.ManageAsApp"},
	Graph: []string{"Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All", "Domain.Read.All",
		"Organization.Read.All", "Calendars.Read", "MailTips.ReadBasic.All", "Mail.Send", "Mail.ReadWrite"},
}

func (t *tenantSite) register(r *registry) {
	r.certificate(&t.automation, leaf{subject: pkix.Name{CommonName: "hybridge automation"}, rsa: true,
		selfSigned: true})
	r.certificate(&t.front, leaf{subject: pkix.Name{CommonName: "outlook.com"}, names: microsoftHosts})
	r.zones = append(r.zones, tenantDomain, coexistenceDomain)
	r.zones = append(r.zones, microsoftHosts...)
	r.zones = append(r.zones, autodiscoverOnline)
	r.host(microsoftHosts...)
	r.host(autodiscoverOnline)
	r.records = append(r.records, "autodiscover."+coexistenceDomain+". CNAME "+autodiscoverOnline+".")
	t.registerMail(r)
}

func (t *tenantSite) link(way *link.Link) {
	t.premise.link = way
	t.post.Link(t.network.names, way.DialContext, way.Roots())
	t.start()
}

// enroll makes the Entra tenant with its verified domains and the automation application.
func (t *tenantSite) enroll(l *Lab) error {
	key, err := l.authority.rsa.take()
	if err != nil {
		return err
	}
	t.entra, err = entra.New(entra.Config{
		Key:      key,
		TenantID: t.id, DisplayName: "Contoso", InitialDomain: tenantDomain,
		LoginHost: "login.microsoftonline.com", GraphHost: "graph.microsoft.com", DevicePage: t.devicePage,
		Clock: t.now, Schedules: t.schedules, Tips: t.tips, Calendars: t, Mailboxes: t,
	})
	if err != nil {
		return err
	}
	on := true
	t.entra.Update(func(s *entra.State) { s.SyncEnabled = &on })
	t.entra.AddDomain(coexistenceDomain, true)
	for _, f := range l.forests {
		t.entra.AddDomain(f.domain, true)
	}
	application := automationRoles
	application.Certificate = t.automation.cert
	if t.automationID, err = t.entra.AddApplication(application); err != nil {
		return err
	}
	password, err := l.credentials.password("archiver")
	if err == nil {
		_, err = t.entra.AddApplication(entra.NewApplication{AppID: archiverID, Secret: password,
			DisplayName: "Archiver of another vendor", Exchange: []string{"full_access_as_app"}})
	}
	return err
}

// seed fills Exchange Online with what a synchronized tenant has before hybrid: the domains, the
// mailboxes that were moved, and a mail user for everyone whose mailbox is on-premises. EWS is on
// for an application of another vendor.
func (t *tenantSite) seed(forests []*forestSite) {
	o := t.org
	o.Seed("AcceptedDomain", "Name", tenantDomain, "DomainName", tenantDomain, "InitialDomain", true)
	o.Seed("AcceptedDomain", "Name", coexistenceDomain, "DomainName", coexistenceDomain, "IsCoexistenceDomain", true)
	config := o.Objects("OrganizationConfig")[0]
	config.Set("EwsEnabled", true)
	config.Set("EwsAllowedAppIDs", archiverID)
	for _, f := range forests {
		o.Seed("AcceptedDomain", "Name", f.domain, "DomainName", f.domain, "Default", f == forests[0])
		for _, m := range f.users {
			addresses := []string{"SMTP:" + m.primary}
			for _, a := range m.others {
				addresses = append(addresses, "smtp:"+a)
			}
			common := []any{
				"Name", m.account + "." + f.name, "Alias", m.account + "." + f.name, "DisplayName", m.display,
				"PrimarySmtpAddress", m.primary, "WindowsEmailAddress", m.primary,
				"UserPrincipalName", m.upn, "EmailAddresses", addresses, "IsDirSynced", true,
			}
			if m.remote {
				o.Seed("Mailbox", common...)
			} else {
				o.Seed("MailUser", append(common, "ExternalEmailAddress", "SMTP:"+m.primary)...)
			}
		}
	}
}

// web holds the handlers of Microsoft's hosts.
func (t *tenantSite) web() map[string]http.Handler {
	login, graph := t.entra.Login(), t.entra.Graph()
	accept := &link.Accept{
		Offers: func(*http.Request) []string {
			return []string{oauth.BearerChallenge{ClientID: exchangeOnlineAppID,
				TrustedIssuers: []string{"00000001-0000-0000-c000-000000000000@*"}}.Format()}
		},
		Anonymous: autodiscover.Anonymous,
	}
	known := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a := *accept
			a.Bearer = t.premise.bearer(w, t.now, func(_ context.Context, actor string) (oauth.Token, error) {
				return t.entra.VerifyToken(actor, "exchange")
			})
			a.Handler(next).ServeHTTP(w, r)
		})
	}
	calendars := known(t.policy(t.premise.gate(tenantDomain, soapOnly(&ews.Handler{
		Backend: answering{t.premise, tenantDomain, archiverID},
		Version: ews.ServerVersion{Major: 15, Minor: 20, Build: 9000, Revision: 10},
	}))))
	discovery := autodiscover.Advertise(known(&autodiscover.Handler{Backend: t.premise, Major: 15, Minor: 20,
		Build: 9000, Unauthorized: accept.Challenge}))
	admin := t.org.AdminAPI(t.administrator)
	exchangeOnline := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := strings.ToLower(r.URL.Path)
		switch {
		case strings.HasPrefix(path, "/adminapi/"):
			admin.ServeHTTP(w, r)
		case path == "/ews/exchange.asmx":
			calendars.ServeHTTP(w, r)
		case strings.HasPrefix(path, "/autodiscover/"):
			discovery.ServeHTTP(w, r)
		default:
			http.NotFound(w, r)
		}
	})
	return map[string]http.Handler{
		"login.microsoftonline.com": login, "login.windows.net": login, "accounts.accesscontrol.windows.net": login,
		"graph.microsoft.com":   graph,
		"outlook.office365.com": exchangeOnline, "outlook.office.com": exchangeOnline,
		"autodiscover-s.outlook.com": exchangeOnline,
	}
}

// policy gates EWS as Exchange Online does since October 2026. Until EWS is retired, the
// permission, the organization's switch and its list decide. After that every application is
// refused. A switch that is not set admits every application; one that Microsoft set to false can
// be reset to that.
func (t *tenantSite) policy(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, _ := link.CallerOf(r.Context())
		token, _ := caller.Claims.(oauth.Token)
		refuse := func(status int, d oauth.Diagnostics) {
			w.Header().Set("x-ms-diagnostics", d.Format())
			http.Error(w, d.Reason, status)
		}
		closed := func(reason string) {
			refuse(http.StatusForbidden, oauth.Diagnostics{Code: 2000012, Reason: reason, Category: "access_denied"})
		}
		config := t.org.Objects("OrganizationConfig")[0]
		switch {
		case !t.today().Before(cloud.EWSEnds):
			closed("EWS is no longer available in Exchange Online.")
		case !slices.Contains(token.Claims.Strings("roles"), "full_access_as_app"):
			refuse(http.StatusUnauthorized, permissionless(caller.User).Diagnostics)
		case config.Get("EwsEnabled") == false:
			closed("EWS is disabled for this organization.")
		case config.Get("EwsEnabled") == true && !lists(config.String("EwsAllowedAppIDs"), caller.User):
			closed("The application is not on the organization's list of applications that may use EWS.")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func lists(list, id string) bool {
	return slices.ContainsFunc(strings.Split(list, ","),
		func(e string) bool { return strings.EqualFold(strings.TrimSpace(e), id) })
}

// administrator returns the caller of the admin API: an application that may manage Exchange, or a
// person with an admin role.
func (t *tenantSite) administrator(bearer string) (organization.Caller, error) {
	token, err := t.entra.VerifyToken(bearer, "exchange")
	if err != nil {
		return organization.Caller{}, err
	}
	if user := token.Claims.String("upn"); user != "" {
		return organization.Caller{User: user, ReadOnly: t.viewOnly}, nil
	}
	application := token.Claims.String("appid")
	if !slices.Contains(token.Claims.Strings("roles"), "Exchange.ManageAsApp") {
		return organization.Caller{}, errors.New("the application has no permission Exchange.ManageAsApp")
	}
	if application != t.automationID {
		return organization.Caller{User: application}, fmt.Errorf("the application has no directory role: %w",
			link.ErrAccess)
	}
	return organization.Caller{User: application, ReadOnly: t.viewOnly}, nil
}

// token mints the token that Exchange Online presents to an on-premises server.
func (t *tenantSite) token(_ context.Context, target, _ string) (string, error) {
	u, err := url.Parse(target)
	if err != nil {
		return "", err
	}
	_, realm, _ := strings.Cut(u.Hostname(), ".")
	return t.entra.ServiceToken(entra.ServiceTokenOptions{Host: u.Hostname(), Realm: realm})
}

// schedules answers Graph's getSchedule. A person's application and the lab's own may ask for any
// mailbox, as a mailbox user may. The dedicated application of an on-premises organization may ask
// only for mailboxes in the tenant.
func (t *tenantSite) schedules(q entra.ScheduleQuestion) ([]entra.Schedule, error) {
	as, ok := t.premise.find(q.As)
	if !ok || !as.here {
		return nil, entra.ErrNoMailbox
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	foreign := q.AppID != t.automationID && q.User == ""
	ctx = onBehalfOf(ctx, as.primary)
	status := map[ews.BusyType]string{ews.Tentative: "tentative", ews.Busy: "busy", ews.OutOfOffice: "oof",
		ews.WorkingElsewhere: "workingElsewhere"}
	var out []entra.Schedule
	for i, f := range t.premise.availabilities(ctx, q.Addresses, ews.Window{Start: q.Start, End: q.End}, foreign) {
		s := entra.Schedule{Address: q.Addresses[i]}
		found, err := f.events, f.err
		var no *lookupError
		switch {
		case errors.As(err, &no):
			s.ErrorCode, s.Message = no.code, no.text
		case err != nil:
			s.ErrorCode, s.Message = "ErrorFreeBusyGenerationFailed", err.Error()
		}
		for _, e := range found {
			s.Items = append(s.Items, entra.ScheduleItem{Status: status[e.Busy], Start: e.Start, End: e.End})
		}
		out = append(out, s)
	}
	return out, nil
}
