package deployment

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

// rows are the answers of one probe in a direction.
func rows(r TestReport, direction, probe string) (out []Answer) {
	for _, a := range r.Matrix {
		if a.Direction == direction && a.Probe == probe {
			out = append(out, a)
		}
	}
	return out
}

// tested is the one answer of a probe in a direction. It checks status and words.
func tested(t *testing.T, d *Deployment, direction, probe string, want freebusy.Status, says ...string) Answer {
	t.Helper()
	heard := &events{}
	r, err := d.Test(t.Context(), TestOptions{}, heard)
	if err != nil {
		t.Fatal(err)
	}
	found := rows(r, direction, probe)
	if want == "" {
		text := strings.Join(heard.warnings(), "\n")
		for _, s := range says {
			if !strings.Contains(text, s) {
				t.Errorf("%s %s: no warning has %q: %s", direction, probe, s, text)
			}
		}
		if len(found) > 0 {
			t.Errorf("%+v", found)
		}
		return Answer{}
	}
	if len(found) != 1 {
		t.Fatalf("%s %s: %d rows", direction, probe, len(found))
	}
	a := found[0]
	text := a.Error + " | " + a.Note
	for _, cause := range a.Diagnosis {
		text += " | " + cause.ID
	}
	for _, s := range says {
		if !strings.Contains(text, s) {
			t.Errorf("%s %s: no %q in %s", direction, probe, s, text)
		}
	}
	if a.Status != want {
		t.Errorf("%s %s: %s: %s", direction, probe, a.Status, text)
	}
	return a
}

func ran(t *testing.T, d *Deployment, online bool, cmdlet string, parameters map[string]any) {
	t.Helper()
	at := d.forests[0].exchange
	if online {
		at = d.tenant.online
	}
	s, err := at.get(t.Context())
	if err == nil {
		_, err = s.Run(t.Context(), exchange.Command{Name: cmdlet, Parameters: parameters})
	}
	if err != nil {
		t.Fatalf("%s: %v", cmdlet, err)
	}
}

// The token that Exchange presents is asked for with the auth certificate's file, its claims are
// compared, and Exchange Online is shown it: what each of the three refuses, with the reason.
func TestTokenOfTheAuthCertificate(t *testing.T) {
	d, _, _ := readyLab(t)
	const out, token = "contoso -> online", "token"
	tested(t, d, out, token, OK)

	ran(t, d, true, "Set-OrganizationConfig", map[string]any{"EwsEnabled": false})
	tested(t, d, out, token, Failed, "shown the token, online answers: ", "403", "ews.off-online",
		"application ", "full_access_as_app")
	ran(t, d, true, "Set-OrganizationConfig", map[string]any{"EwsEnabled": true})
	tested(t, d, out, token, OK)

	graph, err := d.tenant.graph.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s, err := d.forests[0].exchange.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	servers, err := s.Run(t.Context(), exchange.Command{Name: "Get-AuthServer"})
	if err != nil {
		t.Fatal(err)
	}
	id := ""
	for _, o := range servers {
		if v, _ := o.String("ApplicationIdentifier"); v != "" {
			id = v
		}
	}
	application, err := graph.List(t.Context(), "/applications?$filter="+url.QueryEscape("appId eq '"+id+"'"))
	if err != nil || len(application) != 1 {
		t.Fatal(err, application)
	}
	at := "/applications/" + application[0]["id"].(string)
	if _, err := graph.Do(t.Context(), "PATCH", at, map[string]any{"keyCredentials": []any{}}); err != nil {
		t.Fatal(err)
	}
	tested(t, d, out, token, Failed, "Entra gives the application "+id+" no token", "AADSTS")

	d.answers.Forests[0].AuthCertificate.PFX = "missing.pfx"
	d.forests[0].answers.AuthCertificate.PFX = "missing.pfx"
	tested(t, d, out, token, Unknown, "missing.pfx")
	d.forests[0].answers.AuthCertificate.PFX = d.answers.Forests[0].Certificate.PFX
	d.forests[0].answers.AuthCertificate.Password = d.answers.Forests[0].Certificate.Password
	tested(t, d, out, token, "", "export the current auth certificate again")
	d.forests[0].answers.AuthCertificate = nil
	tested(t, d, out, token, "")
}

// Where the connector is off, lookups fall back to the relationship, and its test says why that does
// not work either.
func TestRelationshipIsTestedWhereLookupsTakeIt(t *testing.T) {
	d, _, _ := readyLab(t)
	const out, probe = "contoso -> online", "test-organizationrelationship"
	tested(t, d, out, probe, "")
	s, err := d.forests[0].exchange.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	connectors, err := s.Run(t.Context(), exchange.Command{Name: "Get-IntraOrganizationConnector"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range connectors {
		name, _ := c.String("Name")
		ran(t, d, false, "Set-IntraOrganizationConnector", map[string]any{"Identity": name, "Enabled": false})
	}
	a := tested(t, d, out, probe, Failed, "isn't configured for federation")
	if len(a.Diagnosis) == 0 {
		t.Error("no cause")
	}
	for _, c := range Suspect(a) {
		if c == "federation.not-configured" {
			return
		}
	}
	t.Errorf("%+v", Suspect(a))
}

// Suspect are the causes that the text of an answer shows.
func Suspect(a Answer) (out []string) {
	for _, c := range freebusy.Suspected(a.Error, freebusy.Way(a.Direction)) {
		out = append(out, c.ID)
	}
	return out
}

// The migration endpoint is tried where there is one, and where the account may; validate of
// calendars leaves it out.
func TestMigrationEndpointIsTried(t *testing.T) {
	d, _, _ := readyLab(t)
	const back, probe = desired.PlaceOnline + " -> contoso", "test-migrationserveravailability"
	tested(t, d, back, probe, "")
	d, l, _ := readyLab(t, "migration.endpoint-password")
	mail := d.answers.Forests[0].Namespace.EWS
	tested(t, d, back, probe, Failed, "the migration endpoint Hybrid Migration Endpoint - EWS (Default Web Site) does "+
		"not reach "+mail, "migration.endpoint-account")
	before := l.Runs()["online test-migrationserveravailability"]
	pair := d.answers.Tests.Pairs[1]
	v, err := d.Validate(t.Context(), ValidateOptions{Subject: "freebusy", From: pair.From, To: pair.To}, &events{})
	if err != nil || v.Verdict.Status != OK || l.Runs()["online test-migrationserveravailability"] != before {
		t.Error(err, v.Verdict, l.Runs())
	}
}

// Each server of a forest is named by the directory; the one that the session is connected to is not
// asked twice.
func TestOtherServersOfAForest(t *testing.T) {
	d, _, _ := readyLab(t)
	facts, end := d.begin(&events{})
	defer end()
	list := func() (names []string) {
		servers, err := d.otherServers(d.forests[0], facts.Forests[0])(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range servers {
			names = append(names, s.Name)
		}
		return names
	}
	if got := list(); len(got) > 0 {
		t.Errorf("asked twice: %v", got)
	}
	own := d.forests[0].answers.Exchange.URL
	d.forests[0].answers.Exchange.URL = "https://" + d.answers.Forests[0].Namespace.EWS + "/PowerShell/"
	server := d.answers.Forests[0].Exchange.Server
	if got := list(); strings.Join(got, " ") != server {
		t.Errorf("behind a load balancer: %v, want %s", got, server)
	}
	servers, _ := d.otherServers(d.forests[0], facts.Forests[0])(t.Context())
	if _, err := servers[0].Read(context.WithoutCancel(t.Context()), exchange.Command{Name: "Get-AuthConfig"}); err != nil {
		t.Error(err)
	}
	if _, err := servers[0].Read(t.Context(), exchange.Command{Name: "Set-AuthConfig"}); err == nil {
		t.Error("it writes")
	}
	d.forests[0].answers.Exchange.URL = own
}

// MailTips of a mailbox in the tenant come from there: none do where the tenant's relationship gives
// none. validate of one lookup asks for none.
func TestMailTipsOfTheTenant(t *testing.T) {
	d, _, _ := readyLab(t)
	const out, probe = "contoso -> online", "mailtips"
	tested(t, d, out, probe, OK)
	s, err := d.tenant.online.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	relations, err := s.Run(t.Context(), exchange.Command{Name: "Get-OrganizationRelationship"})
	if err != nil || len(relations) == 0 {
		t.Fatal(err)
	}
	for _, r := range relations {
		name, _ := r.String("Name")
		ran(t, d, true, "Set-OrganizationRelationship", map[string]any{"Identity": name, "MailTipsAccessEnabled": false})
	}
	a := tested(t, d, out, probe, Failed, "are missing", "OutOfOfficeMessage, MailboxFullStatus")
	if got := Suspect(a); len(got) == 0 || got[0] != "lookup.mailtips-missing" {
		t.Errorf("%v", got)
	}
	pair := d.answers.Tests.Pairs[0]
	v, err := d.Validate(t.Context(), ValidateOptions{Subject: "freebusy", From: pair.From, To: pair.To}, &events{})
	if err != nil || v.Verdict.Status != OK {
		t.Error(err, v.Verdict)
	}
}

// MailTips of a mailbox on-premises come from the forest: none do where its relationship gives none.
// Without the permission, nothing is asked, and a warning names it.
func TestMailTipsOfAForest(t *testing.T) {
	d, _, _ := readyLab(t)
	const back, probe = "online -> contoso", "mailtips"
	tested(t, d, back, probe, OK)
	s, err := d.forests[0].exchange.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	relations, err := s.Run(t.Context(), exchange.Command{Name: "Get-OrganizationRelationship"})
	if err != nil || len(relations) == 0 {
		t.Fatal(err)
	}
	for _, r := range relations {
		name, _ := r.String("Name")
		ran(t, d, false, "Set-OrganizationRelationship", map[string]any{"Identity": name, "MailTipsAccessEnabled": false})
	}
	a := tested(t, d, back, probe, Failed, "are missing", "Exchange Online got no answer")
	if got := Suspect(a); len(got) == 0 || got[0] != "lookup.mailtips-missing" {
		t.Errorf("%v", got)
	}
	g, err := d.tenant.graph.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	own, err := g.ServicePrincipal(t.Context(), d.answers.ExchangeOnline.Credential.ClientID)
	if err != nil {
		t.Fatal(err)
	}
	graph, err := g.ServicePrincipal(t.Context(), oauth.AppGraph)
	if err != nil {
		t.Fatal(err)
	}
	path := "/servicePrincipals/" + own.ID + "/appRoleAssignments"
	granted, err := g.List(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	for _, role := range graph.AppRoles {
		for _, given := range granted {
			if given["appRoleId"] == role.ID && role.Value == entra.MailTipsPermissions[0] {
				if _, err := g.Do(t.Context(), "DELETE", path+"/"+given["id"].(string), nil); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	d.tenant.tokens.drop()
	d.tenant.graph.drop()
	tested(t, d, back, probe, "", "MailTips.ReadBasic.All or Mail.Read of Microsoft Graph")
}
