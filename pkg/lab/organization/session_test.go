package organization

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
	"github.com/hybridge-cli/hybridge/pkg/wire/psrp"
)

// counted counts the requests of a handler.
type counted struct {
	http.Handler
	n atomic.Int64
}

func (c *counted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.n.Add(1)
	c.Handler.ServeHTTP(w, r)
}

// remote serves an organization over TLS on loopback and opens a session with it.
func remote(t *testing.T, o *Organization, a Authentication, change func(*exchange.RemoteOptions)) *exchange.Remote {
	t.Helper()
	if a.Password == nil {
		a.Password = func(_ context.Context, user, password string) error {
			if user != "admin" || password != "pass" {
				return errors.New("no")
			}
			return nil
		}
	}
	return remoteTo(t, o.PowerShell(a), change)
}

func (s *Shells) poll(d time.Duration) { s.Full.MaxPoll, s.Plain.MaxPoll = d, d }

// shellServer serves remote PowerShell: psrp.Server, or Shells.
type shellServer interface {
	http.Handler
	ConnContext(context.Context, net.Conn) context.Context
	Close()
}

func remoteTo(t *testing.T, handler shellServer, change func(*exchange.RemoteOptions)) *exchange.Remote {
	t.Helper()
	switch h := handler.(type) {
	case *psrp.Server:
		h.MaxPoll = 200 * time.Millisecond
	case *Shells:
		h.poll(200 * time.Millisecond)
	}
	server := httptest.NewUnstartedServer(handler)
	server.Config.ConnContext = handler.ConnContext
	server.StartTLS()
	t.Cleanup(server.Close)
	t.Cleanup(handler.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	options := exchange.RemoteOptions{Name: "contoso", Timeout: time.Minute, PSRP: psrp.Options{
		URL: server.URL + "/PowerShell/", User: "admin", Password: secret.NewValue("pass"),
		TLS: &tls.Config{RootCAs: roots, ServerName: "example.com"}}}
	if change != nil {
		change(&options)
	}
	s, err := exchange.NewRemote(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// admin serves an organization's admin API over TLS on loopback and opens a session with it.
func admin(t *testing.T, o *Organization, caller Caller) (*exchange.AdminAPI, *counted) {
	t.Helper()
	handler := &counted{Handler: o.AdminAPI(func(bearer string) (Caller, error) {
		switch bearer {
		case "good":
			return caller, nil
		case "roleless":
			return Caller{}, link.ErrAccess
		}
		return Caller{}, errors.New("The audience is invalid.")
	})}
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	s, err := exchange.NewOnline(exchange.OnlineOptions{Endpoint: server.URL, Tenant: tenant, Client: server.Client(),
		Token: func(context.Context) (string, error) { return "good", nil }})
	if err != nil {
		t.Fatal(err)
	}
	return s, handler
}

// The same life of objects, through both kinds of sessions.
func TestSessions(t *testing.T) {
	onPremises := onprem(t)
	inCloud := cloud(t)
	api, _ := admin(t, inCloud, Caller{User: "app"})
	for name, s := range map[string]exchange.Session{"remote PowerShell": remote(t, onPremises, Authentication{}, nil),
		"admin API": api} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			run := func(c exchange.Command) []exchange.Object {
				t.Helper()
				objects, err := s.Run(ctx, c)
				if err != nil {
					t.Fatalf("%s: %v", c.Name, err)
				}
				return objects
			}
			if none := run(cmd("Get-IntraOrganizationConnector")); len(none) != 0 {
				t.Fatalf("%v", none)
			}
			made := run(cmd("New-IntraOrganizationConnector", "Name", "HybridIOC – ‘ü’ <&>", "DiscoveryEndpoint",
				"https://Auto.contoso.com/autodiscover/autodiscover.svc",
				"TargetAddressDomains", []string{"a.com", "b.com"}, "Enabled", true))
			if len(made) != 1 {
				t.Fatalf("%v", made)
			}
			run(cmd("Set-IntraOrganizationConnector", "Identity", text(t, made[0], "Guid"), "TargetAddressDomains",
				exchange.ListChange{Add: []string{"c.com"}, Remove: []string{"a.com"}}, "Enabled", false))
			got := run(cmd("Get-IntraOrganizationConnector", "Identity", "HybridIOC – ‘ü’ <&>"))
			if len(got) != 1 {
				t.Fatalf("%v", got)
			}
			domains, err := got[0].Strings("targetaddressdomains")
			if d := cmp.Diff([]string{"b.com", "c.com"}, domains); d != "" || err != nil {
				t.Error(d, err)
			}
			if on, err := got[0].Bool("Enabled"); on || err != nil {
				t.Errorf("%v, %v", on, err)
			}
			if u := text(t, got[0], "DiscoveryEndpoint"); u != "https://auto.contoso.com/autodiscover/autodiscover.svc" {
				t.Error(u)
			}
			if changed, err := got[0].Time("WhenChanged"); err != nil || !changed.Equal(noon) {
				t.Errorf("%v, %v", changed, err)
			}
			run(cmd("New-OrganizationRelationship", "Name", "r", "DomainNames", []string{"a.com"}))
			relationship := run(cmd("Get-OrganizationRelationship"))[0]
			if !relationship.Null("TargetSharingEpr") || relationship.Has("Nothing") ||
				relationship.Null("AdminDisplayName") {
				t.Errorf("%+v", relationship)
			}
			if servers, err := run(cmd("Get-TransportConfig"))[0].Strings("InternalSMTPServers"); err != nil ||
				servers == nil || len(servers) != 0 {
				t.Errorf("an empty list is %v, %v", servers, err)
			}
			if text(t, relationship, "FreeBusyAccessLevel") != "None" || text(t, relationship, "Identity") != "r" {
				t.Errorf("%+v", relationship)
			}
			for _, tt := range []struct {
				cmd  exchange.Command
				is   error
				text string
			}{
				{cmd("Get-IntraOrganizationConnector", "Identity", "X"), exchange.ErrNotFound,
					"object 'X' couldn't be found"},
				{cmd("New-IntraOrganizationConnector", "Name", "N", "DiscoveryEndpoint", "https://x/",
					"TargetAddressDomains", "C.com"), nil, "'C.com'"},
				{cmd("Get-OrganizationConfig", "Nonsense", "x"), nil, "parameter name 'Nonsense'"},
			} {
				_, err := s.Run(ctx, tt.cmd)
				var e *exchange.Error
				if !errors.As(err, &e) || tt.is != nil && !errors.Is(err, tt.is) ||
					!strings.Contains(err.Error(), tt.text) {
					t.Errorf("%s: %v", tt.cmd.Name, err)
				}
			}
			run(cmd("Remove-IntraOrganizationConnector", "Identity", text(t, made[0], "Guid"), "Confirm", false))
			if none := run(cmd("Get-IntraOrganizationConnector")); len(none) != 0 {
				t.Errorf("%v", none)
			}
			allowed, err := s.Allowed(ctx, "Get-OrganizationRelationship", "Get-Weather")
			if err != nil || len(allowed) != 1 {
				t.Errorf("%v, %v", allowed, err)
			}
		})
	}
}

func TestRemoteSession(t *testing.T) {
	o := onprem(t)
	o.Seed("ExchangeCertificate", "Server", "EX1", "RawData", selfSigned(t, "mail.contoso.com"))
	var warned []string
	s := remote(t, o, Authentication{Caller: func(c psrp.Caller) (Caller, error) { return Caller{User: c.User}, nil }},
		func(r *exchange.RemoteOptions) {
			r.Warn = func(_, text string) { warned = append(warned, text) }
		})
	ctx := t.Context()
	certs, err := s.Run(ctx, cmd("Get-ExchangeCertificate"))
	if err != nil || len(certs) != 1 {
		t.Fatalf("%v, %v", certs, err)
	}
	// remote PowerShell carries the bytes of a certificate and nothing else
	raw, err := certs[0].Bytes("RawData")
	if err != nil || certs[0].Has("Services") {
		t.Errorf("%+v, %v", certs[0], err)
	}
	if c, err := x509.ParseCertificate(raw); err != nil || c.Subject.CommonName != "mail.contoso.com" {
		t.Errorf("%v", err)
	}
	if _, err := s.Run(ctx, cmd("Set-OrganizationConfig", "MapiHttpEnabled", true)); err != nil || len(warned) != 1 {
		t.Errorf("%q, %v", warned, err)
	}
	if _, err := s.Run(ctx, cmd("Add-AvailabilityAddressSpace", "ForestName", "f.com", "AccessMethod", "OrgWideFB",
		"Credentials", exchange.Credential{User: `F\svc`, Password: secret.NewValue("hunter2")})); err != nil {
		t.Error(err)
	}
	if r := o.Object("AvailabilityAddressSpace", "f.com"); r == nil || r.String("UserName") != `F\svc` {
		t.Errorf("%v", r)
	}
	o.Deny("Set-AuthServer")
	o.Deny("New-AuthServer", "DomainName")
	allowed, err := s.Allowed(ctx, "Get-AuthServer", "Set-AuthServer", "New-AuthServer")
	if err != nil || len(allowed) != 2 {
		t.Fatalf("%v, %v", allowed, err)
	}
	if p := allowed["New-AuthServer"].Parameters; !containsFold(p, "AuthMetadataUrl") || containsFold(p, "DomainName") {
		t.Errorf("%v", p)
	}
	if _, err := s.Run(ctx, cmd("Set-AuthServer", "Identity", "x")); !errors.Is(err, exchange.ErrNoCmdlet) {
		t.Errorf("%v", err)
	}
	// many at once: one after another, in one shell
	before := s.Pipelines()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if objects, err := s.Run(ctx, cmd("Get-AcceptedDomain")); err != nil || len(objects) != 1 {
				t.Errorf("%v, %v", objects, err)
			}
		})
	}
	wg.Wait()
	if n := s.Pipelines() - before; n != 8 {
		t.Errorf("%d pipelines for 8 cmdlets", n)
	}
}

func TestRemoteSignIn(t *testing.T) {
	s := remote(t, onprem(t), Authentication{},
		func(r *exchange.RemoteOptions) { r.PSRP.Password = secret.NewValue("wrong-hunter2") })
	if _, err := s.Run(t.Context(), cmd("Get-AuthServer")); !errors.Is(err, link.ErrAccess) ||
		strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v", err)
	}
	s = remote(t, onprem(t), Authentication{},
		func(r *exchange.RemoteOptions) { r.PSRP.TLS = &tls.Config{RootCAs: x509.NewCertPool()} })
	if _, err := s.Run(t.Context(), cmd("Get-AuthServer")); !errors.Is(err, link.ErrUntrusted) {
		t.Errorf("%v", err)
	}
	s = remote(t, onprem(t), Authentication{Caller: func(psrp.Caller) (Caller, error) {
		return Caller{},
			errors.New("no role")
	}}, nil)
	if _, err := s.Run(t.Context(), cmd("Get-AuthServer")); !errors.Is(err, link.ErrAccess) {
		t.Errorf("%v", err)
	}
}

func TestRemoteLostShell(t *testing.T) {
	o := onprem(t)
	server := o.PowerShell(Authentication{Password: func(context.Context, string, string) error { return nil }})
	var swap atomic.Pointer[Shells]
	swap.Store(server)
	server.poll(200 * time.Millisecond)
	h := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter,
		r *http.Request) {
		swap.Load().ServeHTTP(w, r)
	}))
	h.Config.ConnContext = server.ConnContext
	h.StartTLS()
	defer h.Close()
	roots := x509.NewCertPool()
	roots.AddCert(h.Certificate())
	s, err := exchange.NewRemote(exchange.RemoteOptions{Name: "contoso",
		PSRP: psrp.Options{URL: h.URL + "/PowerShell/", User: "a", Password: secret.NewValue("b"),
			TLS: &tls.Config{RootCAs: roots, ServerName: "example.com"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(context.Background())
	if _, err := s.Run(t.Context(), cmd("Get-AcceptedDomain")); err != nil {
		t.Fatal(err)
	}
	restart := func() {
		again := o.PowerShell(Authentication{Password: func(context.Context, string, string) error { return nil }})
		again.poll(200 * time.Millisecond)
		swap.Store(again)
	}
	restart()
	if objects, err := s.Run(t.Context(), cmd("Get-AcceptedDomain")); err != nil || len(objects) != 1 {
		t.Errorf("reading after a restart: %v, %v", objects, err)
	}
	restart()
	if _, err := s.Run(t.Context(), cmd("Set-OrganizationConfig", "MapiHttpEnabled", false)); !errors.Is(err,
		psrp.ErrShellGone) || o.Runs("Set-OrganizationConfig") != 0 {
		t.Errorf("writing after a restart: %v", err)
	}
	if _, err := s.Run(t.Context(), cmd("Set-OrganizationConfig", "MapiHttpEnabled", false)); err != nil ||
		o.Runs("Set-OrganizationConfig") != 1 {
		t.Errorf("writing again: %v", err)
	}
	if on, err := mustRun(t, o, cmd("Get-OrganizationConfig"))[0].Bool("MapiHttpEnabled"); on || err != nil {
		t.Errorf("%v, %v", on, err)
	}
}

// Requests that only another vendor's client sends.
func TestRemoteLanguage(t *testing.T) {
	o := onprem(t)
	server := o.PowerShell(Authentication{Password: func(context.Context, string, string) error { return nil }})
	server.poll(200 * time.Millisecond)
	h := httptest.NewUnstartedServer(server)
	h.Config.ConnContext = server.ConnContext
	h.StartTLS()
	defer h.Close()
	roots := x509.NewCertPool()
	roots.AddCert(h.Certificate())
	pool, err := psrp.Open(t.Context(),
		psrp.Options{URL: h.URL + "/PowerShell/", User: "a", Password: secret.NewValue("b"),
			TLS: &tls.Config{RootCAs: roots, ServerName: "example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close(context.Background())
	invoke := func(commands ...psrp.Command) (psrp.Output, error) {
		return pool.Invoke(t.Context(), psrp.Pipeline{Commands: commands})
	}
	var r *psrp.ErrorRecord
	if _, err := invoke(psrp.Command{Name: "1+1", Script: true}); !errors.As(err, &r) || r.ID != "ScriptsNotAllowed" {
		t.Errorf("a script: %v", err)
	}
	if _, err := invoke(psrp.Command{Name: "Get-AcceptedDomain"}, psrp.Command{Name: "ForEach-Object"}); !errors.As(err,
		&r) {
		t.Errorf("a chain with what does not exist: %v", err)
	}
	if out, err := invoke(psrp.Command{Name: "Get-OrganizationConfig"},
		psrp.Command{Name: "Set-OrganizationConfig",
			Parameters: []psrp.Parameter{{Name: "MapiHttp"}, {Value: false}}}); err != nil || len(out.Errors) != 0 {
		t.Errorf("Get | Set with a name and a value as two arguments: %v, %v", out.Errors, err)
	}
	if on, err := mustRun(t, o, cmd("Get-OrganizationConfig"))[0].Bool("MapiHttpEnabled"); on || err != nil {
		t.Errorf("after Get | Set: %v, %v", on, err)
	}
	if out, err := invoke(psrp.Command{Name: "Get-AcceptedDomain"},
		psrp.Command{Name: "Select-Object",
			Parameters: []psrp.Parameter{{Name: "-Property", Value: []any{"DomainName"}},
				{Name: "First", Value: int64(1)}}}); err != nil || len(out.Objects) != 1 ||
		len(out.Objects[0].(*psrp.Object).Properties) != 1 {
		t.Errorf("Select-Object: %+v, %v", out.Objects, err)
	}
	if out, err := invoke(psrp.Command{Name: "Get-AcceptedDomain"}, psrp.Command{Name: "Measure-Object"}); err != nil ||
		len(out.Objects) != 1 {
		t.Errorf("Measure-Object: %v, %v", out.Objects, err)
	}
	if out, err := invoke(psrp.Command{Name: "Get-AuthServer",
		Parameters: []psrp.Parameter{{Name: "Ident"}, {Value: "x"}, {Name: "ErrorAction"},
			{Value: "Ignore"}}}); err != nil || len(out.Errors) != 0 {
		t.Errorf("abbreviated: %v, %v", out.Errors, err)
	}
	on := &psrp.Object{Types: []string{"System.Management.Automation.SwitchParameter", "System.ValueType",
		"System.Object"}, Text: "True", Properties: []psrp.Property{{Name: "IsPresent", Value: true}}}
	for name, p := range map[string]psrp.Parameter{"bare": {Name: "WhatIf"}, "an object": {Name: "WhatIf", Value: on}} {
		if _, err := invoke(psrp.Command{Name: "Set-OrganizationConfig",
			Parameters: []psrp.Parameter{{Name: "MapiHttpEnabled", Value: true}, p}}); err != nil {
			t.Errorf("a switch, %s: %v", name, err)
		}
		if on, err := mustRun(t, o, cmd("Get-OrganizationConfig"))[0].Bool("MapiHttpEnabled"); on || err != nil {
			t.Errorf("a switch, %s, was not taken: %v, %v", name, on, err)
		}
	}
	if out, err := invoke(psrp.Command{Name: "Get-AcceptedDomain",
		Parameters: []psrp.Parameter{{Value: "contoso.com"}}}); err != nil || len(out.Objects) != 1 {
		t.Errorf("a positional argument: %v, %v", out.Objects, err)
	}
	missing := []psrp.Parameter{{Name: "Identity", Value: "x"}}
	if out, err := invoke(psrp.Command{Name: "Get-AuthServer", Parameters: missing}); err != nil ||
		len(out.Errors) != 1 {
		t.Errorf("an error without Stop: %v, %v", out.Errors, err)
	}
	if out, err := invoke(psrp.Command{Name: "Get-AuthServer",
		Parameters: append(missing, psrp.Parameter{Name: "ErrorAction", Value: "SilentlyContinue"})}); err != nil ||
		len(out.Errors) != 0 {
		t.Errorf("an error with SilentlyContinue: %v, %v", out.Errors, err)
	}
	if out, err := invoke(psrp.Command{Name: "Get-Command",
		Parameters: []psrp.Parameter{{Name: "Name", Value: "Get-Auth*"}}}); err != nil || len(out.Objects) != 2 {
		t.Errorf("%d commands, %v", len(out.Objects), err)
	}
}

var notALetter = regexp.MustCompile(`[^A-Za-z0-9]`)

// Every object that a real server printed is read whole through the server and client halves.
func TestRecordedObjects(t *testing.T) {
	dir, err := filepath.Abs("../../../../shared/fixtures/clixml")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.xml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skip("needs ../shared/fixtures/clixml beside the checkout")
	}
	recorded := map[string][]any{}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		objects, err := psrp.Unmarshal(data)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(strings.TrimSuffix(filepath.Base(f), ".xml"), "Get")
		recorded["Get-"+notALetter.ReplaceAllString(name, "")] = objects
	}
	s := remoteTo(t, &psrp.Server{
		Authenticate: func(context.Context, string, string) error { return nil },
		Run: func(_ context.Context, _ psrp.Caller, p psrp.Pipeline, w *psrp.Writer) error {
			return w.Output(recorded[p.Commands[0].Name]...)
		},
	}, nil)
	for cmdlet, raw := range recorded {
		objects, err := s.Run(t.Context(), exchange.Command{Name: cmdlet})
		if err != nil {
			t.Errorf("%s: %v", cmdlet, err)
			continue
		}
		if len(objects) != len(raw) {
			t.Errorf("%s: %d objects of %d", cmdlet, len(objects), len(raw))
			continue
		}
		for i, o := range objects {
			in := raw[i].(*psrp.Object)
			names := 0
			for _, list := range [][]psrp.Property{in.Properties, in.Extended} {
				for _, p := range list {
					if p.Name == "SerializationData" {
						continue
					}
					names++
					v, err := o.Value(p.Name)
					if err != nil {
						t.Errorf("%s: %v", cmdlet, err)
					}
					if (p.Value == nil) != (v == nil) {
						t.Errorf("%s: %s is %v, was %v", cmdlet, p.Name, v, p.Value)
					}
				}
			}
			// Some fixtures contain objects that a script of the fixtures' author made. Those have
			// no text.
			madeUp := slices.Contains(o.Types, "System.Management.Automation.PSCustomObject") ||
				cmdlet == "Get-ExchangeCertificate"
			if names == 0 || o.Text == "" && !madeUp {
				t.Errorf("%s: object %d came as %+v", cmdlet, i, o)
			}
		}
	}
	one := func(cmdlet string) exchange.Object {
		objects, err := s.Run(t.Context(), exchange.Command{Name: cmdlet})
		if err != nil || len(objects) == 0 {
			t.Fatalf("%s: %v", cmdlet, err)
		}
		return objects[0]
	}
	domain := one("Get-AcceptedDomain")
	if text(t, domain, "DomainName") != "Solo.com" || text(t, domain, "DomainType") != "Authoritative" ||
		text(t, domain, "Guid") != "49ef970b-7f97-475c-a415-91e2b7744875" {
		t.Errorf("%+v", domain)
	}
	config := one("Get-HybridConfiguration")
	features, err := config.Strings("Features")
	if d := cmp.Diff([]string{"FreeBusy", "MoveMailbox", "Mailtips", "MessageTracking", "OwaRedirection",
		"OnlineArchive", "SecureMail", "Photos"}, features); d != "" || err != nil {
		t.Error(d, err)
	}
	if got := text(t, config, "TlsCertificateName"); !strings.HasPrefix(got, "<I>CN=GeoTrust") {
		t.Error(got)
	}
	if servers, err := config.Strings("SendingTransportServers"); err != nil || len(servers) != 1 ||
		servers[0] != "ex-02" {
		t.Errorf("%v, %v", servers, err)
	}
	if edge, err := config.Strings("EdgeTransportServers"); err != nil || edge == nil || len(edge) != 0 {
		t.Errorf("%v, %v", edge, err)
	}
	if v := text(t, one("Get-ExchangeServer"), "AdminDisplayVersion"); v != "Version 15.2 (Build 986.5)" {
		t.Error(v)
	}
	raw, err := one("Get-ExchangeCertificate").Bytes("RawData")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x509.ParseCertificate(raw); err != nil {
		t.Error(err)
	}
}

func TestAdminAPI(t *testing.T) {
	o := cloud(t)
	for i := range 2500 {
		o.Seed("Mailbox", "Name", fmt.Sprintf("u%04d", i), "PrimarySmtpAddress", fmt.Sprintf("u%04d@contoso.com", i))
	}
	s, calls := admin(t, o, Caller{User: "app"})
	ctx := t.Context()
	mailboxes, err := s.Run(ctx, cmd("Get-Mailbox", "ResultSize", "Unlimited"))
	if err != nil || len(mailboxes) != 2500 || calls.n.Load() != 3 {
		t.Fatalf("%d mailboxes in %d requests, %v", len(mailboxes), calls.n.Load(), err)
	}
	if text(t, mailboxes[2499], "PrimarySmtpAddress") != "u2499@contoso.com" {
		t.Errorf("%+v", mailboxes[2499])
	}

	calls.n.Store(0)
	o.Throttle(2)
	if _, err := s.Run(ctx, cmd("Get-AcceptedDomain")); err != nil || calls.n.Load() != 3 {
		t.Errorf("%d requests, %v", calls.n.Load(), err)
	}
	calls.n.Store(0)
	o.Throttle(1)
	// a 429 was not carried out
	if _, err := s.Run(ctx, cmd("Set-OrganizationConfig", "EwsEnabled", true)); err != nil || calls.n.Load() != 2 {
		t.Errorf("%d requests, %v", calls.n.Load(), err)
	}

	calls.n.Store(0)
	if _, err := s.Run(ctx, cmd("New-AuthServer", "Name", "x")); !errors.Is(err, link.ErrAccess) ||
		calls.n.Load() != 1 {
		t.Errorf("a cmdlet of the other side: %v", err)
	}
	o.Deny("Set-OrganizationConfig")
	if _, err := s.Run(ctx, cmd("Set-OrganizationConfig", "EwsEnabled", true)); !errors.Is(err, link.ErrAccess) {
		t.Errorf("a cmdlet without a role: %v", err)
	}
	allowed, err := s.Allowed(ctx, "Set-OrganizationConfig", "Get-OrganizationConfig")
	if err != nil || len(allowed) != 1 {
		t.Errorf("%v, %v", allowed, err)
	}
}

func TestAdminAPIRefuses(t *testing.T) {
	o := cloud(t)
	handler := o.AdminAPI(func(bearer string) (Caller, error) {
		switch bearer {
		case "good":
			return Caller{}, nil
		case "roleless":
			return Caller{}, link.ErrAccess
		}
		return Caller{}, errors.New("The audience\r\n\"is\" invalid.")
	})
	path := "/adminapi/beta/" + tenant + "/InvokeCommand"
	body := `{"CmdletInput":{"CmdletName":"Get-AcceptedDomain","Parameters":{}}}`
	tests := []struct {
		name, method, path, bearer, body string
		status                           int
	}{
		{"fine", "POST", path, "good", body, 200},
		{"no token", "POST", path, "", body, 401},
		{"bad token", "POST", path, "bad", body, 401},
		{"no role", "POST", path, "roleless", body, 403},
		{"other tenant", "POST", strings.Replace(path, tenant, appID, 1), "good", body, 401},
		{"old version", "POST", strings.Replace(path, "beta", "v1.0", 1), "good", body, 405},
		{"no JSON", "POST", path, "good", "x", 400},
		{"null parameters", "POST", path, "good",
			`{"CmdletInput":{"CmdletName":"Get-AcceptedDomain","Parameters":null}}`, 400},
		{"no cmdlet", "POST", path, "good", `{}`, 400},
		{"an untyped hashtable", "POST", path, "good",
			`{"CmdletInput":{"CmdletName":"Set-OrganizationRelationship","Parameters":{"Identity":"x","DomainNames":{"Add":["a.com"]}}}}`, 400},
		{"a page of nobody's", "POST", path + "?$skiptoken=x", "good", body, 400},
		{"not found", "POST", path, "good",
			`{"CmdletInput":{"CmdletName":"Get-AcceptedDomain","Parameters":{"Identity":"x"}}}`, 404},
		{"too large", "POST", path, "good", strings.Repeat("x", largestRequest+1), 413},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(tt.method, tt.path, strings.NewReader(tt.body))
			if tt.bearer != "" {
				r.Header.Set("Authorization", "Bearer "+tt.bearer)
			}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if w.Code != tt.status {
				t.Errorf("%d, want %d: %s", w.Code, tt.status, w.Body)
			}
			if said := w.Header().Get("Content-Encoding"); tt.status == 403 &&
				(said != "gzip" || strings.Trim(w.Body.String(), "\x00") != "") {
				t.Errorf("403 in %q: %q", said, w.Body)
			}
		})
	}
}

// TestSerializationLevel: without Full in the URL enumerations, ids, sizes and versions are plain
// texts, and what a client reads is the same.
func TestSerializationLevel(t *testing.T) {
	o := onprem(t)
	for _, query := range []string{"", "?serializationLevel=Full"} {
		shells := o.PowerShell(Authentication{Password: func(context.Context, string, string) error { return nil }})
		shells.poll(200 * time.Millisecond)
		h := httptest.NewUnstartedServer(shells)
		h.StartTLS()
		defer h.Close()
		roots := x509.NewCertPool()
		roots.AddCert(h.Certificate())
		pool, err := psrp.Open(t.Context(), psrp.Options{
			URL: h.URL + "/PowerShell/" + query, User: "a", Password: secret.NewValue("b"),
			TLS: &tls.Config{RootCAs: roots, ServerName: "example.com"},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer pool.Close(context.Background())
		for cmdlet, properties := range map[string][]string{"Get-AcceptedDomain": {"DomainType", "Identity",
			"DomainName"}, "Get-ExchangeServer": {"AdminDisplayVersion", "ServerRole"}} {
			out, err := pool.Invoke(t.Context(), psrp.Pipeline{Commands: []psrp.Command{{Name: cmdlet}}})
			if err != nil || len(out.Objects) != 1 {
				t.Fatal(out.Objects, err)
			}
			object := out.Objects[0].(*psrp.Object)
			for _, p := range object.Properties {
				if !slices.Contains(properties, p.Name) {
					continue
				}
				_, plain := p.Value.(string)
				if plain != (query == "") {
					t.Errorf("%q: %s is %T", query, p.Name, p.Value)
				}
				if typed, ok := p.Value.(*psrp.Object); ok && p.Name == "DomainType" && typed.Value != any(int32(0)) &&
					psrp.Text(typed.Value) != "0" {
					t.Errorf("%q: Authoritative is number %v", query, typed.Value)
				}
			}
		}
	}
}

// TestShapesAsRecorded: what the lab prints has the types, classes, and kinds of values that a real
// server printed.
func TestShapesAsRecorded(t *testing.T) {
	dir, err := filepath.Abs("../../../../shared/fixtures/clixml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skip("needs ../shared/fixtures/clixml beside the checkout")
	}
	o := onprem(t)
	o.Seed("HybridConfiguration", "Name", "Hybrid Configuration", "OnPremisesSmartHost", "mail.contoso.com",
		"TlsCertificateName", "<I>CN=a<S>CN=b", "Domains", []string{"contoso.com"}, "Features", []string{"FreeBusy"},
		"SendingTransportServers", []string{"EX1"}, "ReceivingTransportServers", []string{"EX1"})
	server := o.Objects("ExchangeServer")[0]
	for _, name := range []string{"CurrentDomainControllers", "CurrentGlobalCatalogs", "NetworkAddress"} {
		server.Set(name, []string{"netbios:EX1"})
	}
	o.Seed("SendConnector", "Name", "To the cloud", "AddressSpaces", []string{"SMTP:*;1"}, "SmartHosts",
		[]string{"a.example"}, "TlsCertificateName", "<I>CN=a<S>CN=b", "SourceTransportServers", []string{"EX1"},
		"HomeMtaServerId", "EX1", "TlsDomain", "a.example")
	o.Seed("SettingOverride", "Name", "a", "ComponentName", "Cafe", "SectionName", "HttpRequestFiltering",
		"Parameters", []string{"Enabled=True"})
	o.ReceiveConnectors("EX1", "ex1.contoso.com")
	o.Seed("ExchangeCertificate", "Server", "EX1", "RawData", selfSigned(t, "a.example"))
	for _, name := range []string{"AcceptedDomain", "AuthConfig", "ExchangeCertificate", "ExchangeServer",
		"HybridConfiguration", "OrganizationConfig", "PartnerApplication", "ReceiveConnector", "SendConnector",
		"SettingOverride",
		"WebServicesVirtualDirectory"} {
		data, err := os.ReadFile(filepath.Join(dir, "Get"+name+".xml"))
		if err != nil {
			t.Fatal(err)
		}
		recorded, err := psrp.Unmarshal(data)
		if err != nil {
			t.Fatal(err)
		}
		here, _, err := o.run(t.Context(), Caller{}, cmd("Get-"+name))
		if err != nil || len(here) == 0 {
			t.Fatalf("%s: %v", name, err)
		}
		want, got := recorded[0].(*psrp.Object), here[0].wire(true)
		if d := cmp.Diff(want.Types, got.Types); d != "" {
			t.Errorf("%s: types (-recorded +lab):\n%s", name, d)
		}
		values := map[string]any{}
		for _, p := range want.Properties {
			values[p.Name] = p.Value
			lab, ok := got.Get(p.Name)
			if !ok && name != "OrganizationConfig" && name != "ExchangeServer" {
				t.Errorf("%s prints no %s", name, p.Name)
			}
			if ok && p.Value != nil && lab != nil {
				if a, b := shape(p.Value), shape(lab); a != b {
					t.Errorf("%s.%s is %s, recorded %s", name, p.Name, b, a)
				}
			}
		}
		for _, p := range got.Properties {
			if _, ok := values[p.Name]; !ok {
				t.Errorf("%s prints %s, which no server did", name, p.Name)
			}
		}
		for _, property := range []string{"ObjectClass", "ExchangeVersion", "AuthMechanism", "PermissionGroups"} {
			lab, _ := got.Get(property)
			if recorded, ok := values[property]; ok && psrp.Text(recorded) != psrp.Text(lab) {
				t.Errorf("%s.%s is %q, recorded %q", name, property, psrp.Text(lab), psrp.Text(recorded))
			}
		}
		category := func(v any) string { _, last, _ := cutLast(psrp.Text(v), "/"); return last }
		lab, _ := got.Get("ObjectCategory")
		if a, b := category(values["ObjectCategory"]), category(lab); a != b {
			t.Errorf("%s.ObjectCategory is %q, recorded %q", name, b, a)
		}
	}
}

// shape is the kind of a value: the .NET type of an object, with the kind of a list's members.
func shape(v any) string {
	o, ok := v.(*psrp.Object)
	if !ok {
		return fmt.Sprintf("%T", v)
	}
	kind := "none"
	if len(o.Types) > 0 {
		kind = o.Types[0]
	}
	switch inner := o.Value.(type) {
	case []any:
		if len(inner) > 0 {
			kind += " of " + shape(inner[0])
		}
	case int64:
		if kind != "Microsoft.Exchange.Data.ObjectState" { // a recorded object had been touched
			kind += fmt.Sprintf("=%s %d", o.Text, inner)
		}
	}
	return kind
}
