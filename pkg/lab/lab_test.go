package lab

import (
	"context"
	"crypto/x509/pkix"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"software.sslmate.com/src/go-pkcs12"

	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/lab/entra"
	"github.com/hybridge-cli/hybridge/pkg/lab/organization"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

func start(t *testing.T, faults ...string) *Lab {
	t.Helper()
	l, err := Start(t.Context(), Options{Dir: t.TempDir(), Users: 30, Faults: faults})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func today() ews.Window {
	day := time.Now().UTC().Truncate(24 * time.Hour)
	return ews.Window{Start: day, End: day.Add(24 * time.Hour)}
}

func run(t *testing.T, o *organization.Organization, cmdlet string, pairs ...any) {
	t.Helper()
	c := exchange.Command{Name: cmdlet, Parameters: map[string]any{}}
	for i := 0; i < len(pairs); i += 2 {
		c.Parameters[pairs[i].(string)] = pairs[i+1]
	}
	if _, _, err := o.Run(t.Context(), organization.Caller{}, c); err != nil {
		t.Fatalf("%s: %v", cmdlet, err)
	}
}

const appRole = "full_access_as_app"

// configure makes the objects of a complete hybrid configuration for one forest, without hybridge.
func configure(t *testing.T, l *Lab, f *forestSite) {
	t.Helper()
	app, err := l.tenant.entra.AddApplication(entra.NewApplication{DisplayName: "ExchangeServerApp-" + f.guid,
		Certificate: f.authCertificate.cert, Exchange: []string{appRole}})
	if err != nil {
		t.Fatal(err)
	}
	on := l.tenant.org
	config := on.Objects("OrganizationConfig")[0]
	config.Set("EwsAllowedAppIDs", config.String("EwsAllowedAppIDs")+","+app)
	run(t, on, "New-IntraOrganizationConnector", "Name", "HybridIOC - "+f.guid, "DiscoveryEndpoint",
		"https://"+f.autodiscover+"/autodiscover/autodiscover.svc", "TargetAddressDomains", []string{f.domain},
		"Enabled", true)
	l.tenant.entra.Update(func(s *entra.State) {
		for _, p := range s.ServicePrincipals {
			if p.AppID == exchangeOnlineAppID {
				p.ServicePrincipalNames = append(p.ServicePrincipalNames, "https://"+f.autodiscover+"/",
					"https://"+f.mail+"/")
			}
		}
	})
	run(t, f.org, "New-AuthServer", "Name", "ACS", "AuthMetadataUrl",
		"https://accounts.accesscontrol.windows.net/"+tenantID+"/metadata/json/1", "DomainName",
		[]string{coexistenceDomain})
	run(t, f.org, "New-AuthServer", "Name", "EvoSts", "Type", "AzureAD", "AuthMetadataUrl",
		"https://login.windows.net/"+tenantDomain+"/federationmetadata/2007-06/federationmetadata.xml")
	run(t, f.org, "Set-AuthServer", "Identity", "EvoSts", "ApplicationIdentifier", app, "DomainName",
		[]string{coexistenceDomain})
	run(t, f.org, "Set-PartnerApplication", "Identity", "Exchange Online", "Enabled", true)
	run(t, f.org, "New-IntraOrganizationConnector", "Name", "HybridIOC", "DiscoveryEndpoint",
		"https://autodiscover-s.outlook.com/autodiscover/autodiscover.svc", "TargetAddressDomains",
		[]string{coexistenceDomain}, "Enabled", true)
	run(t, f.org, "New-SettingOverride", "Name", "EnableExchangeHybrid3PAppFeature", "Component", "Global", "Section",
		"ExchangeOnpremAsThirdPartyAppId", "Parameters", []string{"Enabled=true"}, "Reason", "test")
}

// relate makes an organization relationship that shows free/busy to a domain.
func relate(t *testing.T, o *organization.Organization, name, domain string) {
	t.Helper()
	run(t, o, "New-OrganizationRelationship", "Name", name+" "+domain, "DomainNames", []string{domain}, "Enabled", true,
		"FreeBusyAccessEnabled", true, "FreeBusyAccessLevel", "LimitedDetails")
}

// look asks a premise for a person's calendar and checks the answer.
func look(t *testing.T, p *premise, m *mailbox) error {
	t.Helper()
	got, err := p.availability(context.Background(), m.primary, today(), false)
	if err == nil {
		if d := cmp.Diff(ews.Merge(events(m.primary, today()), today(), 30*time.Minute),
			ews.Merge(got, today(), 30*time.Minute)); d != "" {
			t.Errorf("%s asked for %s: not that person's calendar:\n%s", p.name, m.primary, d)
		}
	}
	return err
}

func TestLookupsWorkOnceEverythingIsThere(t *testing.T) {
	l := start(t)
	for _, f := range l.forests {
		if err := look(t, f.premise, f.moved()); err == nil ||
			!strings.Contains(err.Error(), "could not be found in Active Directory") {
			t.Errorf("%s -> tenant before: %v", f.name, err)
		}
		if err := look(t, l.tenant.premise, f.local()); err == nil ||
			!strings.Contains(err.Error(), "could not be found in Active Directory") {
			t.Errorf("tenant -> %s before: %v", f.name, err)
		}
	}
	for _, f := range l.forests {
		configure(t, l, f)
		if err := look(t, f.premise, f.moved()); err != nil {
			t.Errorf("%s -> tenant after: %v", f.name, err)
		}
		if err := look(t, l.tenant.premise, f.local()); err != nil {
			t.Errorf("tenant -> %s after: %v", f.name, err)
		}
	}
}

// A server signs with no certificate that has ended or not begun, like Exchange.
func TestSigningKeyIsValid(t *testing.T) {
	f := start(t).forests[0]
	c := f.authCertificate.cert
	for _, test := range []struct {
		at   time.Time
		good bool
	}{{c.NotBefore.Add(time.Hour), true}, {c.NotBefore.Add(-time.Hour), false}, {c.NotAfter.Add(time.Hour), false}} {
		f.now = func() time.Time { return test.at }
		if _, err := f.first().signingKey(); (err == nil) != test.good {
			t.Errorf("at %s: %v", test.at, err)
		}
	}
}

// TestEveryLinkOfTheChainCounts breaks one thing at a time in an estate that works. The direction
// that depends on it must fail with Exchange's own words, and the other direction must still work.
func TestEveryLinkOfTheChainCounts(t *testing.T) {
	l := start(t)
	f := l.contoso()
	configure(t, l, f)
	for name, c := range map[string]struct {
		spoil           func() (mend func())
		toCloud, toHere string // what the error holds; "" for a lookup that works
	}{
		"connector to the tenant off": {func() func() {
			return flip(f.org.Object("IntraOrganizationConnector",
				"HybridIOC"), "Enabled")
		}, "could not be found in Active Directory", ""},
		"connector to the forest off": {func() func() {
			return flip(l.tenant.org.Object("IntraOrganizationConnector", "HybridIOC - "+f.guid), "Enabled")
		}, "", "could not be found in Active Directory"},
		"override missing": {func() func() {
			return set(f.org.Objects("SettingOverride")[0], "Parameters", []string{"Enabled=false"})
		}, "403", ""},
		"auth server for another domain": {func() func() {
			return set(f.org.Object("AuthServer", "EvoSts"), "DomainName", []string{"other.example"})
		}, "403", ""},
		"application id missing": {func() func() {
			return set(f.org.Object("AuthServer", "EvoSts"),
				"ApplicationIdentifier", nil)
		}, "403", ""},
		"not on the allow list": {func() func() {
			return set(l.tenant.org.Objects("OrganizationConfig")[0], "EwsAllowedAppIDs", stableGUID("other"))
		}, "403", ""},
		"EWS switched off": {func() func() {
			return set(l.tenant.org.Objects("OrganizationConfig")[0], "EwsEnabled",
				false)
		}, "403", ""},
		"two overrides of one section": {func() func() {
			run(t, f.org, "New-SettingOverride", "Name", "Again", "Component", "Global", "Section",
				"ExchangeOnpremAsThirdPartyAppId", "Parameters", []string{"Enabled=false"}, "Reason", "test")
			return func() { f.org.Object("SettingOverride", "Again").Remove() }
		}, "403", ""},
		"an update that knows no application": {func() func() {
			old := f.build
			f.build = "Version 15.2 (Build 1258.12)"
			return func() { f.build = old }
		}, "403", ""},
		"an override for another server": {func() func() {
			return set(f.org.Objects("SettingOverride")[0], "Server", []string{"EX2"})
		}, "403", ""},
		"a policy without lookups in the tenant": {func() func() {
			return set(l.tenant.org.Objects("OrganizationConfig")[0], "EwsApplicationAccessPolicy", "EnforceAllowList")
		}, "403", ""},
		"a policy without lookups in the forest": {func() func() {
			config := f.org.Objects("OrganizationConfig")[0]
			policy, list := set(config, "EwsApplicationAccessPolicy", "EnforceBlockList"), set(config, "EwsBlockList",
				[]string{"ASProxy/*"})
			return func() { policy(); list() }
		}, "", "403"},
		"EWS switched off in the forest": {func() func() {
			return set(f.org.Objects("OrganizationConfig")[0],
				"EwsEnabled", false)
		}, "", "403"},
		"EWS on, empty list": {func() func() {
			return set(l.tenant.org.Objects("OrganizationConfig")[0], "EwsAllowedAppIDs", "")
		}, "403", ""},
		"EWS not set": {func() func() {
			config := l.tenant.org.Objects("OrganizationConfig")[0]
			on, list := set(config, "EwsEnabled", nil), set(config, "EwsAllowedAppIDs", "")
			return func() { on(); list() }
		}, "", ""},
		"host not registered in the tenant": {func() func() {
			kept, err := l.tenant.entra.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			l.tenant.entra.Update(func(s *entra.State) {
				for _, p := range s.ServicePrincipals {
					if p.AppID == exchangeOnlineAppID {
						p.ServicePrincipalNames = []string{p.AppID, exchangeResource}
					}
				}
			})
			return func() {
				if err := l.tenant.entra.Restore(kept); err != nil {
					t.Fatal(err)
				}
			}
		}, "", "AADSTS500011"},
		"partner application of another realm": {func() func() {
			return set(f.org.Object("PartnerApplication", "Exchange Online"), "Realm", stableGUID("another tenant"))
		}, "", "401"},
		"EWS takes no tokens": {func() func() {
			return flip(f.org.Objects("WebServicesVirtualDirectory")[0],
				"OAuthAuthentication")
		}, "", "401"},
		"autodiscover takes no tokens": {func() func() {
			return flip(f.org.Objects("AutodiscoverVirtualDirectory")[0], "OAuthAuthentication")
		}, "", "Autodiscover failed"},
		"partner application off": {func() func() {
			return flip(f.org.Object("PartnerApplication", "Exchange Online"),
				"Enabled")
		}, "", "401"},
		"ACS auth server off": {func() func() { return flip(f.org.Object("AuthServer", "ACS"), "Enabled") }, "",
			"401"},
		"discovery endpoint wrong": {func() func() {
			return set(l.tenant.org.Object("IntraOrganizationConnector", "HybridIOC - "+f.guid), "DiscoveryEndpoint",
				"https://gone.contoso.example/autodiscover/autodiscover.svc")
		}, "", "Autodiscover failed"},
		"auth certificate not the uploaded one": {func() func() {
			old := f.authCertificate
			other, err := l.authority.issue(leaf{subject: old.cert.Subject, rsa: true, selfSigned: true})
			if err != nil {
				t.Fatal(err)
			}
			f.first().keep(other, "SMTP", true)
			mend := set(f.org.Objects("AuthConfig")[0], "CurrentCertificateThumbprint",
				certificate.Thumbprint(other.cert))
			return mend
		}, "AADSTS700027", ""},
		"auth certificate missing": {func() func() {
			return set(f.org.Objects("AuthConfig")[0], "CurrentCertificateThumbprint", strings.Repeat("A", 40))
		}, "Missing signing certificate", ""},
		"consent missing": {func() func() {
			kept, err := l.tenant.entra.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			l.tenant.entra.Update(func(s *entra.State) {
				s.Revoke(f.org.Object("AuthServer", "EvoSts").String("ApplicationIdentifier"), appRole)
			})
			return func() {
				if err := l.tenant.entra.Restore(kept); err != nil {
					t.Fatal(err)
				}
			}
		}, "2000008", ""},
		"partner application without a linked account": {func() func() {
			return set(f.org.Object("PartnerApplication", "Exchange Online"), "LinkedAccount", "")
		}, "", "401"},
	} {
		t.Run(name, func(t *testing.T) {
			mend := c.spoil()
			for direction, d := range map[string]struct {
				err  error
				want string
			}{
				"to the tenant": {look(t, f.premise, f.moved()), c.toCloud},
				"to the forest": {look(t, l.tenant.premise, f.local()), c.toHere},
			} {
				switch {
				case d.want == "" && d.err != nil:
					t.Errorf("%s: %v", direction, d.err)
				case d.want != "" && (d.err == nil || !strings.Contains(d.err.Error(), d.want)):
					t.Errorf("%s: %v, want something with %q", direction, d.err, d.want)
				}
			}
			mend()
		})
	}
	if err := look(t, f.premise, f.moved()); err != nil {
		t.Errorf("to the tenant, all mended: %v", err)
	}
	if err := look(t, l.tenant.premise, f.local()); err != nil {
		t.Errorf("to the forest, all mended: %v", err)
	}
}

// An on-premises server names every access control service that it trusts, and no other.
func TestChallenge(t *testing.T) {
	l := start(t)
	f := l.contoso()
	configure(t, l, f)
	if got := f.challenge(nil)[0]; !strings.Contains(got, `client_id="`+exchangeOnlineAppID+`"`) ||
		!strings.Contains(got, `trusted_issuers="00000001-0000-0000-c000-000000000000@`+tenantID+`"`) ||
		strings.Contains(got, "authorization_uri") {
		t.Errorf("challenge %s", got)
	}
	f.org.Seed("AuthServer", "Name", "ACS of another tenant", "Type", "MicrosoftACS", "IssuerIdentifier",
		"00000001-0000-0000-c000-000000000000", "Realm", "other", "Enabled", true)
	f.org.Seed("AuthServer", "Name", "ACS off", "Type", "MicrosoftACS", "IssuerIdentifier",
		"00000001-0000-0000-c000-000000000000", "Realm", "off", "Enabled", false)
	f.org.Object("AuthServer", "EvoSts").Set("IsDefaultAuthorizationEndpoint", true)
	got := f.challenge(nil)[0]
	for _, want := range []string{"c000-000000000000@" + tenantID, "c000-000000000000@other", "authorization_uri"} {
		if !strings.Contains(got, want) {
			t.Errorf("challenge %s, want %s", got, want)
		}
	}
	if strings.Contains(got, "@off") {
		t.Errorf("challenge %s names a server that is off", got)
	}
}

// Test-OAuthConnectivity wants a mailbox of the side where it runs.
func TestOAuthConnectivityWantsAMailbox(t *testing.T) {
	l := start(t)
	f := l.contoso()
	configure(t, l, f)
	test := func(mailbox string) error {
		_, _, err := f.org.Run(t.Context(), organization.Caller{},
			exchange.Command{Name: "Test-OAuthConnectivity", Parameters: map[string]any{
				"Service": "EWS", "TargetUri": "https://outlook.office365.com/EWS/Exchange.asmx", "Mailbox": mailbox,
			}})
		return err
	}
	if err := test(f.local().primary); err != nil {
		t.Error(err)
	}
	if err := test(f.moved().primary); err == nil || !strings.Contains(err.Error(), "couldn't be found") {
		t.Errorf("with a remote mailbox: %v", err)
	}
}

func set(r *organization.Record, property string, value any) (mend func()) {
	old := r.Get(property)
	r.Set(property, value)
	return func() { r.Set(property, old) }
}

func flip(r *organization.Record, property string) (mend func()) {
	return set(r, property, !r.Bool(property))
}

func TestCalendarsDiffer(t *testing.T) {
	seen := map[string]string{}
	f := newForest("contoso", "Contoso", "", "")
	f.populate(50)
	for _, m := range f.users {
		merged := ews.Merge(events(m.primary, today()), today(), 30*time.Minute)
		if !strings.ContainsAny(merged, "123") {
			t.Errorf("%s has nothing to do today", m.primary)
		}
		seen[merged] = m.primary
	}
	if len(seen) < 25 {
		t.Errorf("50 people share %d calendars", len(seen))
	}
}

// What came from another organization is not passed on to a third.
func TestForeignLookupsAreNotPassedOn(t *testing.T) {
	p := &premise{people: map[string]*recipient{"carla@contoso.example": {mailbox: &mailbox{primary: "carla@contoso.example"}, target: "carla@contoso.mail.onmicrosoft.com"}}}
	_, err := p.availability(t.Context(), "Carla@contoso.example", today(), true)
	var refused *lookupError
	if !isLookup(err, &refused) || refused.code != "ErrorProxyRequestNotAllowed" {
		t.Errorf("got %v", err)
	}
}

// TestDirectoryTellsWhatCmdletsShow: everything that cmdlets configure appears in the directory.
func TestDirectoryTellsWhatCmdletsShow(t *testing.T) {
	f := start(t).forests[0]
	f.org.Objects("AuthConfig")[0].Set("NextCertificateThumbprint", strings.Repeat("AB", 20))
	run(t, f.org, "New-OrganizationRelationship", "Name", "r", "DomainNames", []any{"contoso.mail.onmicrosoft.com"},
		"FreeBusyAccessEnabled", true, "FreeBusyAccessLevel", "LimitedDetails", "MailTipsAccessEnabled", true)
	partner := f.org.Objects("PartnerApplication")[0]
	partner.Set("UseAuthServer", true)
	partner.Set("AcceptSecurityIdentifierInformation", true)
	got := f.configuration()
	if n := len(got.AuthThumbprints); n != 2 || got.AuthThumbprints[1] != strings.Repeat("AB", 20) {
		t.Errorf("thumbprints %q", got.AuthThumbprints)
	}
	if diff := cmp.Diff([]string{"MSExchange.SharingCalendarFreeBusyEnabled", "MSExchange.MailTipsAccessEnabled"},
		got.Relationships[len(got.Relationships)-1].Actions); diff != "" {
		t.Error(diff)
	}
	if p := got.PartnerApplications[0]; !p.UseAuthServer || !p.AcceptSecurityIdentifierInformation ||
		p.ApplicationIdentifier == "" {
		t.Errorf("partner %+v", p)
	}
}

// A valid password does not allow impersonation of another user.
func TestNobodyImpersonates(t *testing.T) {
	a := answering{&premise{people: map[string]*recipient{"anna@contoso.example": {mailbox: &mailbox{primary: "anna@contoso.example"}, here: true}}}, "contoso.example", ""}
	q := ews.Query{Caller: link.Caller{User: "anna", Scheme: "Basic"}, Mailboxes: []string{"anna@contoso.example"},
		Window: today()}
	if found, err := a.Availability(t.Context(), q); err != nil || found[0].Err != nil {
		t.Fatalf("as oneself: %+v, %v", found, err)
	}
	q.Impersonated = "boss@contoso.example"
	var fault *ews.Fault
	if _, err := a.Availability(t.Context(), q); !errors.As(err, &fault) ||
		fault.ResponseCode != "ErrorImpersonateUserDenied" {
		t.Errorf("as somebody else: %v", err)
	}
}

// When EWS is retired, its switch can no longer be changed.
func TestSwitchGoesWithEWS(t *testing.T) {
	for moment, gone := range map[time.Time]bool{cloud.EWSEnds.Add(-time.Second): false, cloud.EWSEnds: true} {
		l, err := Start(t.Context(), Options{Dir: t.TempDir(), Users: 10, Today: func() time.Time { return moment }})
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = l.tenant.org.Run(t.Context(), organization.Caller{},
			exchange.Command{Name: "Set-OrganizationConfig", Parameters: map[string]any{"EwsEnabled": true}})
		var refused *exchange.Error
		if (err != nil) != gone || gone &&
			(!errors.As(err, &refused) || !strings.HasPrefix(refused.FullyQualifiedID, "NamedParameterNotFound")) {
			t.Errorf("at %s: %v", moment, err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Without a connector the relationship for the domain decides. One that does not allow free/busy
// has no effect.
func TestRelationshipAlone(t *testing.T) {
	l := start(t)
	p := l.forests[0].premise
	code := func() string {
		err := p.ask(t.Context(), []string{l.forests[0].moved().target()}, today())[0].err
		var refused *lookupError
		if !isLookup(err, &refused) {
			t.Fatalf("got %v", err)
		}
		return refused.code
	}
	if got := code(); got != "ErrorMailRecipientNotFound" {
		t.Errorf("without anything: %s", got)
	}
	run(t, p.org, "New-OrganizationRelationship", "Name", "tenant", "DomainNames", []string{coexistenceDomain},
		"Enabled", true, "FreeBusyAccessEnabled", false)
	if got := code(); got != "ErrorMailRecipientNotFound" {
		t.Errorf("without free/busy: %s", got)
	}
	run(t, p.org, "Set-OrganizationRelationship", "Identity", "tenant", "FreeBusyAccessEnabled", true)
	if got := code(); got != "ErrorProxyRequestProcessingFailed" {
		t.Errorf("with free/busy: %s", got)
	}
}

// Which lookups a server knows follows from its cumulative update.
func TestWhatBuildsKnow(t *testing.T) {
	for build, want := range map[string][2]bool{
		"Version 15.2 (Build 2562.17)": {true, true},
		"Version 15.2 (Build 2600.1)":  {true, true},
		"Version 15.2 (Build 1748.10)": {true, false},
		"Version 15.2 (Build 1544.4)":  {true, false},
		"Version 15.2 (Build 1258.12)": {false, false},
		"Version 15.1 (Build 2507.6)":  {true, false},
		"Version 15.0 (Build 2562.1)":  {false, false},
		"odd":                          {false, false},
	} {
		f := &exchangeServer{build: build, site: &forestSite{forest: &forest{}}}
		if got := [2]bool{f.knowsApplication(), f.knowsGraph()}; got != want {
			t.Errorf("%s: %v, want %v", build, got, want)
		}
	}
}

// A server that has no route through Microsoft Graph has no address for it, either.
func TestOldServersKnowNoGraphAddress(t *testing.T) {
	l := start(t, "servers.old")
	_, _, err := l.fabrikam().org.Run(t.Context(), organization.Caller{},
		exchange.Command{Name: "Set-AuthServer",
			Parameters: map[string]any{"Identity": "x", "GraphBaseUrl": "https://graph.microsoft.com"}})
	var refused *exchange.Error
	if !errors.As(err, &refused) || !strings.HasPrefix(refused.FullyQualifiedID, "NamedParameterNotFound") {
		t.Errorf("an old server: %v", err)
	}
	_, _, err = l.contoso().org.Run(t.Context(), organization.Caller{},
		exchange.Command{Name: "Set-AuthServer",
			Parameters: map[string]any{"Identity": "x", "GraphBaseUrl": "https://graph.microsoft.com"}})
	if !errors.Is(err, exchange.ErrNotFound) {
		t.Errorf("a new server: %v", err)
	}
}

// No two forests share a name, a GUID, or a person's address or routing address.
func TestForestsDiffer(t *testing.T) {
	seen := map[string]string{}
	claim := func(what, of string) {
		if before, taken := seen[what]; taken {
			t.Errorf("%s: %s and %s", what, before, of)
		}
		seen[what] = of
	}
	for _, f := range forests(40) {
		f.populate(200)
		claim(f.name, f.name)
		claim(f.guid, f.name)
		for _, m := range f.users {
			claim(m.primary, m.primary)
			claim(m.target(), m.primary)
		}
	}
}

// A fault requires the forests that it changes.
func TestFaultsNeedTheirForests(t *testing.T) {
	if _, err := find([]string{"servers.old"}, 1); err == nil || !strings.Contains(err.Error(), "needs 2 forests") {
		t.Errorf("fabrikam's fault with one forest: %v", err)
	}
	for _, f := range Faults() {
		if _, err := find([]string{f.ID}, 2); err != nil {
			t.Error(err)
		}
		if f.Title == "" || f.Diagnosis == "" || f.early.do == nil && f.late.do == nil && f.valued == nil {
			t.Errorf("%s: a fault has a title, a diagnosis and a hook", f.ID)
		}
		if (f.Verdict == Warns || f.Verdict == Skips) && len(f.Turns) == 0 {
			t.Errorf("%s: a verdict of no check", f.ID)
		}
	}
}

// The domain of an account counts, however it is written.
func TestPasswordsBelongToADomain(t *testing.T) {
	f := newForestSite(newForest("contoso", "Contoso", "", ""), &Lab{})
	f.passwords["anna"] = "secret"
	for user, want := range map[string]bool{
		"anna": true, `CONTOSO\anna`: true, `contoso.example\Anna`: true, "ANNA@contoso.example": true,
		`FABRIKAM\anna`: false, "anna@fabrikam.example": false, `\anna`: false, `CONTOSO\anna@contoso.example`: false,
		"bruno": false,
	} {
		if _, ok := f.password(user); ok != want {
			t.Errorf("%s: %v", user, ok)
		}
	}
}

// The virtual directory decides how clients sign in, and only EWS's own path answers.
func TestVirtualDirectoryDecides(t *testing.T) {
	l := start(t)
	f := l.contoso()
	web := f.first().web(http.NotFoundHandler())
	offers := func(path string) (int, string) {
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(link.ConnContext(t.Context(), nil), "POST", "https://"+f.mail+path, nil)
		web.ServeHTTP(w, r)
		return w.Code, strings.Join(w.Header().Values("WWW-Authenticate"), ", ")
	}
	directory := f.org.Objects("WebServicesVirtualDirectory")[0]
	if _, got := offers("/EWS/Exchange.asmx"); !strings.Contains(got, "Basic") || !strings.Contains(got, "NTLM") ||
		!strings.Contains(got, "Bearer") {
		t.Errorf("offers %s", got)
	}
	for flag, scheme := range map[string]string{"BasicAuthentication": "Basic", "WindowsAuthentication": "NTLM",
		"OAuthAuthentication": "Bearer"} {
		mend := set(directory, flag, false)
		if _, got := offers("/EWS/Exchange.asmx"); strings.Contains(got, scheme) {
			t.Errorf("without %s: %s", flag, got)
		}
		mend()
	}
	for _, path := range []string{"/EWS/", "/EWS/Other.asmx", "/EWS/Exchange.asmx/x"} {
		if code, _ := offers(path); code != http.StatusNotFound {
			t.Errorf("%s: %d", path, code)
		}
	}
}

// Lookups follow recipients that move: to a new target address, and back on-premises.
func TestLookupsFollowRecipients(t *testing.T) {
	l := start(t)
	f := l.contoso()
	configure(t, l, f)
	m := f.moved()
	if err := look(t, f.premise, m); err != nil {
		t.Fatal(err)
	}
	run(t, f.org, "Set-RemoteMailbox", "Identity", m.account, "RemoteRoutingAddress", "SMTP:"+m.account+"@gone.example")
	if err := look(t, f.premise, m); err == nil || !strings.Contains(err.Error(), "gone.example") {
		t.Errorf("a stale target address: %v", err)
	}
	if _, _, err := f.org.Run(t.Context(), organization.Caller{},
		exchange.Command{Name: "Disable-RemoteMailbox",
			Parameters: map[string]any{"Identity": m.account}}); err == nil {
		t.Error("disabled without a question")
	}
	run(t, f.org, "Disable-RemoteMailbox", "Identity", m.account, "Confirm", false)
	if err := look(t, f.premise, m); err == nil || !strings.Contains(err.Error(), "ErrorMailRecipientNotFound") {
		t.Errorf("disabled: %v", err)
	}
	run(t, f.org, "Enable-RemoteMailbox", "Identity", m.primary, "RemoteRoutingAddress", m.target())
	if err := look(t, f.premise, m); err != nil {
		t.Errorf("enabled again: %v", err)
	}
	run(t, f.org, "Disable-RemoteMailbox", "Identity", m.account, "Confirm", false)
	run(t, f.org, "Enable-Mailbox", "Identity", m.account)
	if err := look(t, f.premise, m); err != nil {
		t.Errorf("at home: %v", err)
	}
}

// EWS accepts only SOAP and answers with the server's version.
func TestWebServicesTakeSOAP(t *testing.T) {
	f := start(t).contoso()
	f.passwords["anna"] = "secret"
	web := f.first().web(http.NotFoundHandler())
	ask := func(kind string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		body := `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><GetServerTimeZones xmlns="http://schemas.microsoft.com/exchange/services/2006/messages"/></s:Body></s:Envelope>`
		r := httptest.NewRequestWithContext(t.Context(), "POST", "https://"+f.mail+"/EWS/Exchange.asmx",
			strings.NewReader(body))
		r.Header.Set("Content-Type", kind)
		r.SetBasicAuth("anna", "secret")
		web.ServeHTTP(w, r)
		return w
	}
	for kind, want := range map[string]int{"text/xml; charset=utf-8": http.StatusOK,
		"application/xml": http.StatusUnsupportedMediaType, "application/json": http.StatusUnsupportedMediaType,
		"": http.StatusUnsupportedMediaType} {
		w := ask(kind)
		if w.Code != want {
			t.Errorf("%q: %d, want %d: %s", kind, w.Code, want, w.Body)
		}
		if want == http.StatusOK && !strings.Contains(w.Body.String(), `MajorBuildNumber="2562"`) {
			t.Errorf("the version: %s", w.Body)
		}
	}
}

// An imported certificate can become the auth certificate that signs.
func TestCertificatesAreImported(t *testing.T) {
	l := start(t)
	f := l.contoso()
	next, err := l.authority.issue(leaf{subject: pkix.Name{CommonName: "Microsoft Exchange Server Auth Certificate"},
		rsa: true, selfSigned: true})
	if err != nil {
		t.Fatal(err)
	}
	file, err := pkcs12.Modern.Encode(next.key, next.cert, nil, "pass")
	if err != nil {
		t.Fatal(err)
	}
	try := func(cmdlet string, pairs ...any) error {
		c := exchange.Command{Name: cmdlet, Parameters: map[string]any{}}
		for i := 0; i < len(pairs); i += 2 {
			c.Parameters[pairs[i].(string)] = pairs[i+1]
		}
		_, _, err := f.org.Run(t.Context(), organization.Caller{}, c)
		return err
	}
	thumbprint := certificate.Thumbprint(next.cert)
	if err := try("Import-ExchangeCertificate", "FileData", file, "Password", secret.NewValue("wrong")); err == nil {
		t.Error("imported with a wrong password")
	}
	if err := try("Set-AuthConfig", "NewCertificateThumbprint", thumbprint, "NewCertificateEffectiveDate",
		time.Now().Format(time.RFC3339), "Force", true); err == nil {
		t.Error("an auth certificate that the server does not have")
	}
	run(t, f.org, "Import-ExchangeCertificate", "FileData", file, "Password", secret.NewValue("pass"))
	if err := try("Import-ExchangeCertificate", "FileData", file, "Password", secret.NewValue("pass")); err == nil {
		t.Error("imported twice")
	}
	if err := try("Enable-ExchangeCertificate", "Thumbprint", thumbprint, "Services", "SMTP"); err == nil {
		t.Error("replaced the SMTP certificate without asking")
	}
	run(t, f.org, "Enable-ExchangeCertificate", "Thumbprint", thumbprint, "Services", "SMTP", "Force", true)
	run(t, f.org, "Set-AuthConfig", "NewCertificateThumbprint", thumbprint, "NewCertificateEffectiveDate",
		time.Now().Format(time.RFC3339), "Force", true)
	run(t, f.org, "Set-AuthConfig", "PublishCertificate", true)
	key, err := f.first().signingKey()
	if err != nil || !key.cert.Equal(next.cert) {
		t.Errorf("signs with %v, %v", key, err)
	}
}
