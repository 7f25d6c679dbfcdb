package deployment

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/diagnose"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
	"github.com/hybridge-cli/hybridge/pkg/lab"
)

// planted is a set-up deployment into which a test plants faults from outside: through remote
// PowerShell, the admin API and Microsoft Graph.
type planted struct {
	*Deployment
	t      *testing.T
	health map[string]string
}

// forest runs a cmdlet in contoso, tenant runs one in Exchange Online.
func (p *planted) forest(name string, pairs ...any) []exchange.Object {
	p.t.Helper()
	session, err := p.forests[0].exchange.get(p.t.Context())
	return p.run(session, err, name, pairs)
}

func (p *planted) online(name string, pairs ...any) []exchange.Object {
	p.t.Helper()
	session, err := p.tenant.online.get(p.t.Context())
	return p.run(session, err, name, pairs)
}

func (p *planted) run(session exchange.Session, err error, name string, pairs []any) []exchange.Object {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
	c := exchange.Command{Name: name, Parameters: map[string]any{}}
	for i := 0; i < len(pairs); i += 2 {
		c.Parameters[pairs[i].(string)] = pairs[i+1]
	}
	out, err := session.Run(context.WithoutCancel(p.t.Context()), c)
	if err != nil {
		p.t.Fatalf("%s: %v", name, err)
	}
	return out
}

// named returns the identity of the object of a noun that a text of its output distinguishes.
func named(objects []exchange.Object, property, part string) string {
	for _, o := range objects {
		list, _ := o.Strings(property)
		if strings.Contains(strings.ToLower(strings.Join(list, " ")), strings.ToLower(part)) {
			identity, _ := o.String("Identity")
			return identity
		}
	}
	return ""
}

// graph finds one object of a collection, and sends a request to it.
func (p *planted) graph(method, collection, filter, rest string, body map[string]any) {
	p.t.Helper()
	g, err := p.tenant.graph.get(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	found, err := g.List(p.t.Context(), collection+filter)
	if err != nil || len(found) == 0 {
		p.t.Fatalf("%s: %d found, error %v", collection, len(found), err)
	}
	path := fmt.Sprintf("%s/%v%s", collection, found[0]["id"], rest)
	if _, err := g.Do(p.t.Context(), method, path, body); err != nil {
		p.t.Fatalf("%s %s: %v", method, path, err)
	}
}

// revoke removes every permission of contoso's application.
func (p *planted) revoke() {
	p.t.Helper()
	g, err := p.tenant.graph.get(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	found, err := g.List(p.t.Context(), "/servicePrincipals?$filter=startsWith(displayName,'ExchangeServerApp-')")
	if err != nil || len(found) == 0 {
		p.t.Fatalf("%d found, error %v", len(found), err)
	}
	path := fmt.Sprintf("/servicePrincipals/%v/appRoleAssignments", found[0]["id"])
	assigned, err := g.List(p.t.Context(), path)
	if err != nil || len(assigned) == 0 {
		p.t.Fatalf("%d assigned, error %v", len(assigned), err)
	}
	for _, a := range assigned {
		if _, err := g.Do(p.t.Context(), "DELETE", fmt.Sprintf("%s/%v", path, a["id"]), nil); err != nil {
			p.t.Fatal(err)
		}
	}
}

// state is the verdict of every check, by id and scope.
func (p *planted) state() (map[string]string, check.Report) {
	p.t.Helper()
	p.options.Only = []string{"access.*", "certificates.auth", "oauth.*", "hybrid.*", "tenant.*"}
	r, err := p.Check(p.t.Context(), &events{})
	p.options.Only = nil
	if err != nil {
		p.t.Fatal(err)
	}
	out := map[string]string{}
	for _, result := range r.Results {
		out[string(result.ID)+" "+result.Scope] = string(result.Status) + " " + result.Summary.String()
	}
	return out, r
}

// worse lists the checks that got worse since the set-up.
func (p *planted) worse() (failed, warned []string) {
	now, report := p.state()
	for _, result := range report.Results {
		key := string(result.ID) + " " + result.Scope
		if now[key] == p.health[key] {
			continue
		}
		switch result.Status {
		case check.StatusFail, check.StatusError:
			failed = append(failed, string(result.ID))
		case check.StatusWarn:
			warned = append(warned, string(result.ID))
		}
	}
	return failed, warned
}

// A fault that is planted from outside is never silent. A check fails, or warns where that is the
// verdict, and what hybridge can set is planned: after the apply the lookups work again and a
// second plan is empty.
func TestPlantedFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("short")
	}
	l, err := lab.Start(t.Context(), lab.Options{Dir: t.TempDir(), Users: 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	d := openIn(t, l.Answers(), nil)
	p, err := d.Plan(t.Context(), &events{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Apply(t.Context(), p, apply.Options{}, &events{}); err != nil {
		t.Fatal(err)
	}
	base := &planted{Deployment: d, t: t}
	base.health, _ = base.state()

	for _, c := range faultsFromOutside() {
		t.Run(c.name, func(t *testing.T) {
			d := openIn(t, l.Answers(), nil) // without the memory of what was just made
			p := &planted{Deployment: d, t: t, health: base.health}
			undo := c.plant(p)
			failed, warned := p.worse()
			if undo != nil {
				defer undo()
			}
			if len(failed)+len(warned) == 0 {
				t.Error("no check says anything")
			}
			for _, id := range c.checks {
				if !slices.Contains(failed, id) {
					t.Errorf("%s does not fail (failed: %v, warned: %v)", id, failed, warned)
				}
			}
			if c.broken {
				if tested, err := d.Test(t.Context(), TestOptions{}, &events{}); err != nil ||
					tested.Summary.Failed == 0 {
					t.Errorf("lookups go on: %+v, error %v", tested.Summary, err)
				}
			}
			if c.only {
				return
			}
			plan, err := d.Plan(t.Context(), &events{})
			if err != nil {
				t.Fatal(err)
			}
			if len(plan.Changes) == 0 {
				t.Fatal("nothing is planned")
			}
			if r, err := d.Apply(t.Context(), plan, apply.Options{Accept: []string{"removals", "failed-checks"}},
				&events{}); err != nil {
				for _, c := range r.Changes {
					t.Logf("%s %s: %s", c.Status, c.ID, c.Error)
				}
				t.Fatal(err)
			}
			if again, err := d.Plan(t.Context(), &events{}); err != nil || len(again.Changes) != 0 {
				t.Errorf("not converged: %v %v", slices.Collect(ids(again)), err)
			}
			tested, err := d.Test(t.Context(), TestOptions{}, &events{})
			if err != nil || tested.Summary.Failed+tested.Summary.Unknown > 0 {
				t.Errorf("lookups after the repair: %+v, error %v", tested.Summary, err)
			}
		})
	}
	if failed, warned := base.worse(); len(failed)+len(warned) > 0 {
		t.Errorf("at the end, failed %v, warned %v", failed, warned)
	}
	var left []freebusy.Answer
	if tested, err := d.Test(t.Context(), TestOptions{}, &events{}); err == nil {
		for _, a := range tested.Matrix {
			if a.Status != freebusy.OK {
				left = append(left, a)
			}
		}
	}
	if len(left) > 0 {
		t.Errorf("at the end, %v", left)
	}
}

// outside is one fault that is planted from outside.
type outside struct {
	name   string
	plant  func(*planted) (undo func())
	checks []string // that fail
	cause  diagnose.ID
	only   bool // the verdict is all that hybridge gives: an administrator decides
	broken bool // lookups fail
}

func faultsFromOutside() []outside {
	acs := func(p *planted) string { return named(p.forest("Get-AuthServer"), "Type", "ACS") }
	evo := func(p *planted) string { return named(p.forest("Get-AuthServer"), "Type", "AzureAD") }
	own := func(p *planted, noun, property string) string {
		return named(p.online("Get-"+noun), property, "contoso.example")
	}
	set := func(noun string, identity func(*planted) string, pairs ...any) func(*planted) func() {
		return func(p *planted) func() {
			p.forest("Set-"+noun, append([]any{"Identity", identity(p)}, pairs...)...)
			return nil
		}
	}
	first := func(noun string) func(*planted) string {
		return func(p *planted) string { return named(p.forest("Get-"+noun), "Identity", "") }
	}
	newest := func(p *planted) string {
		all := p.forest("Get-SettingOverride")
		return named(all[len(all)-1:], "Identity", "")
	}
	partner := func(p *planted) string { return named(p.forest("Get-PartnerApplication"), "Name", "Exchange Online") }
	organization := func(pairs ...any) func(*planted) func() {
		return func(p *planted) func() {
			p.forest("Set-OrganizationConfig", pairs...)
			return nil
		}
	}
	tenant := func(noun, domains string, pairs ...any) func(*planted) func() {
		return func(p *planted) func() {
			p.online("Set-"+noun, append([]any{"Identity", own(p, noun, domains)}, pairs...)...)
			return nil
		}
	}
	const relationship, connector = "OrganizationRelationship", "IntraOrganizationConnector"
	return []outside{
		// 28: empty and absent
		{name: "partner application without linked account", cause: "oauth.linked-account-missing",
			plant:  set("PartnerApplication", partner, "LinkedAccount", ""),
			checks: []string{"hybrid.partner-application"}},
		{name: "Entra auth server without application", cause: "oauth.application-not-active",
			plant:  set("AuthServer", evo, "ApplicationIdentifier", ""),
			checks: []string{"hybrid.auth-server-application"}},
		// 29: the wizard's name and another domain list
		{name: "relationship of the tenant for another domain", cause: "organization.domain-in-no-relationship",
			plant: tenant(relationship, "DomainNames", "DomainNames",
				[]string{"elsewhere.example"}), checks: []string{"hybrid.organization-relationship"}},
		{name: "connector of the tenant for another domain", cause: "organization.domain-in-no-relationship",
			plant: tenant(connector, "TargetAddressDomains",
				"TargetAddressDomains", []string{"elsewhere.example"}),
			checks: []string{"hybrid.intra-organization-connector"}},
		// 30: lookups are broken
		{name: "EWS policy by user agent in the forest", cause: "ews.allow-list", plant: func(p *planted) func() {
			p.forest("Set-OrganizationConfig", "EwsApplicationAccessPolicy", "EnforceAllowList", "EwsAllowList",
				[]string{"Outlook*"})
			return func() {
				p.forest("Set-OrganizationConfig", "EwsApplicationAccessPolicy", nil, "EwsAllowList", nil)
			}
		}, only: true},
		{name: "EWS policy by user agent in the tenant", cause: "ews.allow-list", plant: func(p *planted) func() {
			p.online("Set-OrganizationConfig", "EwsApplicationAccessPolicy", "EnforceAllowList", "EwsAllowList",
				[]string{"Outlook*"})
			return func() {
				p.online("Set-OrganizationConfig", "EwsApplicationAccessPolicy", nil, "EwsAllowList", nil)
			}
		}, only: true},
		{name: "EWS publishes the server's own name", cause: "ews.external-url", plant: func(p *planted) func() {
			directory := p.forest("Get-WebServicesVirtualDirectory")[0]
			identity, _ := directory.String("Identity")
			internal, _ := directory.String("InternalUrl")
			p.forest("Set-WebServicesVirtualDirectory", "Identity", identity, "ExternalUrl", internal)
			return nil
		}, checks: []string{"oauth.virtual-directories", "hybrid.web-services-virtual-directory"}},
		{name: "EWS publishes the address of the other forest", cause: "ews.external-url",
			plant: set("WebServicesVirtualDirectory",
				first("WebServicesVirtualDirectory"), "ExternalUrl", "https://mail.fabrikam.example/EWS/Exchange.asmx"),
			checks: []string{"oauth.virtual-directories"}},
		{name: "the Graph route without its permission", cause: "oauth.graph-permission",
			plant: func(p *planted) func() {
				p.forest("Set-AuthServer", "Identity", evo(p), "GraphBaseUrl", "https://graph.microsoft.com")
				p.forest("New-SettingOverride", "Name", "by hand", "Component", "SettingOverride", "Section",
					"RouteThroughMSGraph", "Parameters", []string{"Enabled=true"}, "Reason", "trial")
				return func() {
					p.forest("Remove-SettingOverride", "Identity", "by hand", "Confirm", false)
					p.forest("Set-AuthServer", "Identity", evo(p), "GraphBaseUrl", nil)
				}
			}, checks: []string{"oauth.graph-route"}, only: true, broken: true},
		{name: "the auth configuration has another service name", cause: "oauth.service-name",
			plant: func(p *planted) func() {
				p.forest("Set-AuthConfig", "ServiceName", "11111111-0000-0ff1-ce00-000000000000")
				return func() { p.forest("Set-AuthConfig", "ServiceName", "00000002-0000-0ff1-ce00-000000000000") }
			}, checks: []string{"oauth.auth-config"}, only: true, broken: true},
		{name: "the auth configuration has another realm", cause: "oauth.realm", plant: func(p *planted) func() {
			p.forest("Set-AuthConfig", "Realm", "elsewhere.example")
			return func() { p.forest("Set-AuthConfig", "Realm", nil) }
		}, checks: []string{"oauth.auth-config"}, only: true, broken: true},
		// 31: hybridge can set it
		{name: "EWS takes no tokens", cause: "oauth.virtual-directory-off",
			plant: set("WebServicesVirtualDirectory", first("WebServicesVirtualDirectory"),
				"OAuthAuthentication", false), checks: []string{"oauth.virtual-directories"}},
		{name: "autodiscover takes no tokens", cause: "oauth.virtual-directory-off",
			plant: set("AutodiscoverVirtualDirectory",
				first("AutodiscoverVirtualDirectory"), "OAuthAuthentication", false),
			checks: []string{"oauth.virtual-directories", "hybrid.autodiscover-virtual-directory"}},
		{name: "EWS publishes nothing", cause: "ews.external-url",
			plant: set("WebServicesVirtualDirectory", first("WebServicesVirtualDirectory"),
				"ExternalUrl", nil), checks: []string{"oauth.virtual-directories"}},
		{name: "EWS is switched off in the forest", cause: "ews.off-onprem", plant: organization("EwsEnabled", false),
			checks: []string{"oauth.virtual-directories", "hybrid.organization-ews"}, broken: true},
		{name: "the override is for another server", cause: "oauth.override-limited",
			plant: set("SettingOverride", first("SettingOverride"), "Server",
				[]string{"ELSEWHERE"}), checks: []string{"oauth.overrides"}},
		{name: "the override is for another version", cause: "oauth.override-limited",
			plant:  set("SettingOverride", newest, "MinVersion", "15.9.0.0"),
			checks: []string{"oauth.overrides"}},
		{name: "the override switches it off", cause: "oauth.override-limited",
			plant: set("SettingOverride", newest, "Parameters",
				[]string{"Enabled=false"}), checks: []string{"hybrid.setting-override"}},
		// 32: live hybrid objects
		{name: "connector of the tenant off", cause: "organization.connector-off",
			plant:  tenant(connector, "TargetAddressDomains", "Enabled", false),
			checks: []string{"hybrid.intra-organization-connector"}},
		{name: "connector of the forest off", cause: "organization.connector-off",
			plant:  set(connector, first(connector), "Enabled", false),
			checks: []string{"hybrid.intra-organization-connector"}},
		{name: "relationship of the tenant off", cause: "organization.relationship-off",
			plant:  tenant(relationship, "DomainNames", "Enabled", false),
			checks: []string{"hybrid.organization-relationship"}},
		{name: "ACS auth server off", cause: "oauth.auth-server-off", plant: set("AuthServer", acs, "Enabled", false),
			checks: []string{"hybrid.auth-server"}},
		{name: "Entra auth server off", cause: "oauth.auth-server-off", plant: set("AuthServer", evo, "Enabled", false),
			checks: []string{"hybrid.auth-server"}},
		{name: "partner application off", cause: "oauth.partner-application-off",
			plant:  set("PartnerApplication", partner, "Enabled", false),
			checks: []string{"hybrid.partner-application"}},
		{name: "consent revoked", cause: "oauth.consent-missing", plant: func(p *planted) func() {
			p.revoke()
			return nil
		}, checks: []string{"hybrid.app-role-assignment"}},
		{name: "service principal off", cause: "entra.application-disabled", plant: func(p *planted) func() {
			p.graph("PATCH", "/servicePrincipals", "?$filter=startsWith(displayName,'ExchangeServerApp-')", "",
				map[string]any{"accountEnabled": false})
			return nil
		}, checks: []string{"hybrid.service-principal"}},
		{name: "keys of the application gone", cause: "oauth.certificate-not-registered",
			plant: func(p *planted) func() {
				p.graph("PATCH", "/applications", "?$filter=startsWith(displayName,'ExchangeServerApp-')", "",
					map[string]any{"keyCredentials": []any{}})
				return nil
			}, checks: []string{"oauth.application", "hybrid.key-credential"}},
		// 34: what the answering side decides
		{name: "relationship of the forest off", cause: "organization.relationship-off",
			plant:  set(relationship, first(relationship), "Enabled", false),
			checks: []string{"hybrid.organization-relationship"}, broken: true},
		{name: "relationship of the forest without free/busy", cause: "organization.relationship-off",
			plant: set(relationship, first(relationship),
				"FreeBusyAccessEnabled", false), checks: []string{"hybrid.organization-relationship"}},
		{name: "relationship of the forest shows nothing", cause: "organization.relationship-off",
			plant: set(relationship, first(relationship),
				"FreeBusyAccessLevel", "None"), checks: []string{"hybrid.organization-relationship"}},
		{name: "domains of the Entra auth server gone", cause: "oauth.auth-server-domains",
			plant: set("AuthServer", evo, "DomainName",
				[]string{"elsewhere.example"}), checks: []string{"hybrid.auth-server-application"}},
		{name: "EWS of the tenant not set", cause: "ews.off-online", plant: func(p *planted) func() {
			p.online("Set-OrganizationConfig", "EwsEnabled", nil)
			return nil
		}, checks: []string{"hybrid.organization-config"}},
		{name: "EWS of the tenant off", cause: "ews.off-online", plant: func(p *planted) func() {
			p.online("Set-OrganizationConfig", "EwsEnabled", false)
			return nil
		}, checks: []string{"tenant.ews-switch", "hybrid.organization-config"}},
	}
}
