package lab

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/lab/directory"
	"github.com/hybridge-cli/hybridge/pkg/lab/organization"
	"github.com/hybridge-cli/hybridge/pkg/wire/autodiscover"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
	"github.com/hybridge-cli/hybridge/pkg/wire/kerberos"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
	"github.com/hybridge-cli/hybridge/pkg/wire/psrp"
)

// raise builds the forest's servers: the domain controller, and the Exchange server with its web
// services and remote PowerShell.
func (f *forestSite) raise(l *Lab) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("forest %s: %w", f.name, err)
		}
	}()
	if f.passwords["svc-hybridge"], err = l.credentials.password(f.name + "-svc-hybridge"); err != nil {
		return err
	}
	for _, account := range f.services {
		if f.passwords[account], err = l.credentials.password(f.name + "-" + account); err != nil {
			return err
		}
	}
	if f.passwords[f.local().account], err = l.credentials.password(f.name + "-" + f.local().account); err != nil {
		return err
	}
	f.org = organization.New(organization.Config{
		Name: f.organization, GUID: f.guid, Side: "onprem", FQDN: f.domain, Server: f.controller, Host: f.server,
		Fetch: l.fetch, Clock: l.now, Account: f.canonical,
	})
	if !f.first().knowsGraph() {
		f.org.Deny("New-AuthServer", "GraphBaseUrl")
		f.org.Deny("Set-AuthServer", "GraphBaseUrl")
	}
	f.seed()
	if f.edge != nil {
		f.seedEdge(l.now)
	}
	f.premise = &premise{name: f.name, org: f.org, now: l.now, published: f.published, graph: f.askGraph}
	f.premise.canonical = f.canonical
	f.premise.token = func(ctx context.Context, _, domain string) (string, error) {
		return f.onPremisesToken(ctx, exchangeResource, domain)
	}
	f.org.Handle("Test-OAuthConnectivity", f.runs(f.premise.testOAuth))
	f.org.OnChange(f.distributes)
	f.org.Handle("Get-ManagementRoleAssignment", f.roleAssignments)
	f.org.Handle("Get-Recipient", f.premise.getRecipient)
	f.org.Handle("Get-CASMailbox", f.premise.getCASMailbox)
	f.premise.follow()
	f.premise.moves()
	f.premise.permits(f.domain)
	f.org.Handle("Get-MailboxFolderStatistics", f.premise.countsFolders(&f.stores))
	f.keeps()

	f.ldap, err = directory.New(directory.Config{
		Domain: f.domain, Host: f.controller, Users: f.people, Exchange: f.configuration,
		Entries: func() []directory.Entry { return f.leftovers },
		NetBIOS: strings.ToUpper(f.name),
		TLS: &tls.Config{Certificates: []tls.Certificate{f.directoryCertificate.tls()},
			MinVersion: tls.VersionTLS12},
	})
	if err != nil {
		return err
	}
	secure, err := f.listen(f.controller + ":636")
	if err != nil {
		return err
	}
	plain, err := f.listen(f.controller + ":389")
	if err != nil {
		return err
	}
	f.queue(func() error { return f.ldap.ServeTLS(secure) }, func() { f.ldap.Close() })
	f.queue(func() error { return f.ldap.Serve(plain) }, func() {})

	if err := f.raiseMail(l); err != nil {
		return err
	}

	authentication := organization.Authentication{Password: func(_ context.Context, user, password string) error {
		if want, ok := f.password(user); !ok || want != password {
			return link.ErrAccess
		}
		return nil
	}}
	if l.keytab != "" {
		keys, err := os.ReadFile(l.keytab)
		if err != nil {
			return err
		}
		if authentication.Kerberos, err = kerberos.NewAcceptor(keys); err != nil {
			return fmt.Errorf("keytab %s: %w", l.keytab, err)
		}
	}
	names := []string{f.mail, f.autodiscover}
	if f.website != nil {
		names = append(names, f.domain)
	}
	secured, err := f.listenEach("443", onPort("443", names)...)
	if err != nil {
		return err
	}
	open, err := f.listenEach("80", onPort("80", names[:2])...)
	if err != nil {
		return err
	}
	for i, s := range f.exchange {
		s.serveWeb(authentication, secured[i], open[i])
	}
	return nil
}

func onPort(port string, hosts []string) (out []string) {
	for _, host := range hosts {
		out = append(out, host+":"+port)
	}
	return out
}

// serveWeb serves the web services and remote PowerShell of a server.
func (s *exchangeServer) serveWeb(a organization.Authentication, secured, open []net.Listener) {
	f := s.site
	a.Caller = func(c psrp.Caller) (organization.Caller, error) {
		return organization.Caller{User: c.User, ReadOnly: f.viewOnly, Host: s.host}, nil
	}
	shell := f.org.PowerShell(a)
	if f.typed {
		shell.Plain = shell.Full
	}
	connContext := func(ctx context.Context, c net.Conn) context.Context {
		return shell.ConnContext(link.ConnContext(ctx, c), c)
	}
	web := s.web(shell)
	hosts := map[string]virtualHost{s.host: {s.own, web}}
	published := web
	if f.device != nil {
		published = f.device(published)
	}
	for _, host := range []string{f.mail, f.autodiscover} {
		hosts[host] = virtualHost{s.transport(), published}
	}
	if f.website != nil {
		hosts[f.domain] = virtualHost{s.transport(), f.website}
	}
	for _, l := range secured {
		f.serveTLSAt(l, hosts, connContext)
	}
	// Port 80: remote PowerShell with sealed messages, and the redirect that autodiscover clients
	// look for.
	redirect := autodiscover.Redirect("https://" + f.autodiscover + "/autodiscover/autodiscover.xml")
	plain := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(strings.ToLower(r.URL.Path), "/powershell") {
			shell.ServeHTTP(w, r)
			return
		}
		redirect.ServeHTTP(w, r)
	})
	for _, l := range open {
		f.serve(l, plain, connContext)
	}
}

// raise builds the tenant's hosts.
func (t *tenantSite) raise(l *Lab) error {
	// A browser cannot reach the lab's login host by name. So the page has a separate address.
	page, err := t.listen()
	if err != nil {
		return err
	}
	t.devicePage = "http://" + page.Addr().String() + "/device"
	if err := t.enroll(l); err != nil {
		return fmt.Errorf("tenant: %w", err)
	}
	t.serve(page, t.entra.DevicePage(), nil)
	t.org = organization.New(organization.Config{
		Side: "online", Name: tenantDomain, GUID: stableGUID(tenantDomain), FQDN: "prod.outlook.com", Tenant: t.id,
		Fetch: l.fetch, MoveProxy: t.reachMoveProxy, Clock: l.now,
	})
	t.seed(l.forests)
	t.enforce(l.forests)
	if !t.today().Before(cloud.EWSEnds) {
		// the switch goes with EWS
		t.org.Deny("Set-OrganizationConfig", "EwsEnabled", "EwsAllowedAppIDs")
	}
	t.premise = &premise{
		name: "online", org: t.org, now: l.now, token: t.token,
		published: func(context.Context) string { return exchangeResource + "/EWS/Exchange.asmx" },
	}
	t.org.Handle("Test-OAuthConnectivity", t.premise.testOAuth)
	t.org.Handle("Get-Recipient", t.premise.getRecipient)
	t.org.Handle("Get-CASMailbox", t.premise.getCASMailbox)
	t.org.Handle("Get-MailboxFolderStatistics", t.premise.countsFolders(&t.stores))
	t.premise.follow()
	if err := t.raiseMail(l); err != nil {
		return err
	}
	hosts := map[string]virtualHost{}
	for host, handler := range t.web() {
		hosts[host] = virtualHost{t.front, handler}
	}
	redirect := autodiscover.Redirect("https://autodiscover-s.outlook.com/autodiscover/autodiscover.xml")
	if err := t.serveHTTP(redirect, nil, autodiscoverOnline, "autodiscover."+coexistenceDomain); err != nil {
		return err
	}
	return t.serveTLS(hosts, link.ConnContext)
}

// fetch reads a metadata document for a cmdlet that is given its address.
func (l *Lab) fetch(ctx context.Context, address string) ([]byte, error) {
	client := l.way.Client(nil)
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s", address, response.Status)
	}
	return io.ReadAll(io.LimitReader(response.Body, 1<<20))
}

// askGraph asks Microsoft Graph for a calendar, when the override that routes lookups there is on.
func (f *forestSite) askGraph(ctx context.Context, address string, w ews.Window) ([]ews.Event, bool, error) {
	if s := f.at(ctx); !s.knowsGraph() || !s.overridden("SettingOverride", "RouteThroughMSGraph") {
		return nil, false, nil
	}
	for _, s := range f.org.Objects("AuthServer") {
		base := s.String("GraphBaseUrl")
		if base == "" || !s.Bool("Enabled") {
			continue
		}
		_, domain, _ := strings.Cut(address, "@")
		token, err := f.onPremisesToken(ctx, base, domain)
		if err != nil {
			return nil, true, err
		}
		found, err := f.premise.getSchedule(ctx, base+"/v1.0/users/"+url.PathEscape(address)+"/calendar/getSchedule",
			token, address, w)
		return found, true, err
	}
	return nil, true, failed("ErrorProxyRequestProcessingFailed", "The Graph base URL is not set on the auth server.")
}
