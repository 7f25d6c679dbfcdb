package desired

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

// Kinds lists every kind that hybridge manages.
func Kinds() []*Kind {
	return []*Kind{
		authServer, partnerApplication,
		servicePrincipalName,
		application, keyCredential, servicePrincipal, appRoleAssignment,
		organizationConfig,
		organizationRelationship, intraOrganizationConnector,
		authServerApplication, authServerGraphRoute, settingOverride,
	}
}

// plan collects resources while they are derived.
type plan struct {
	answers     answers.Answers
	cloud       cloud.Cloud
	facts       Facts
	route       Route
	coexistence string
	tenantGUID  string // in the names of on-premises objects
	out         []change.Resource
}

func (p *plan) add(k *Kind, target, key, name, reason string, properties change.Properties, needs ...string) string {
	r := change.Resource{Kind: k, Target: target, Key: key, Name: name, Properties: properties, Needs: slices.Compact(slices.Sorted(slices.Values(needs))), Reason: msg.Plain(reason)}
	p.out = append(p.out, r)
	return r.ID()
}

// Resources derives what should exist from the answers and the facts. The same input gives the same resources in the same order. A fact that
// is missing is an error for which errors.Is(err, ErrUnknown) holds: nothing is planned on the unknown.
func Resources(f Facts, a answers.Answers, c cloud.Cloud) ([]change.Resource, error) {
	if a.ExchangeOnline == nil {
		return nil, errors.New("the answers name no tenant (exchangeOnline)")
	}
	if f.Tenant.ID == "" {
		return nil, missing("tenant id", "tenant "+a.ExchangeOnline.Tenant)
	}
	p := &plan{answers: a, cloud: c.Expand(a.ExchangeOnline.Tenant, f.Tenant.ID), facts: f}
	var err error
	if p.coexistence, err = CoexistenceDomain(*a.ExchangeOnline, c, f.Tenant.CoexistenceDomain); err != nil {
		return nil, err
	}
	var reason string
	if p.route, reason, err = ChooseRoute(a.ExchangeOnline.RichCoexistence, c, f.Forests, f.Now); err != nil {
		return nil, err
	}
	if p.route == RouteEWS && !f.Now.Before(cloud.EWSEnds) {
		return nil, fmt.Errorf("lookups from on-premises have no way into the tenant any more: EWS of Exchange Online ended on %s, and %s (check tenant.ews-switch)", cloud.EWSEnds.Format(time.DateOnly), reason)
	}
	if s := unfitServer(p.route, f.Forests); s != "" {
		return nil, fmt.Errorf("%s, which cannot use the dedicated application on the %s route: update or decommission it first (check servers.build lists all)", s, p.route)
	}
	p.tenantGUID = strings.ToLower(f.Tenant.OrganizationGUID)
	if p.tenantGUID == "" {
		p.tenantGUID = strings.ToLower(f.Tenant.ID)
	}

	byName := map[string]Forest{}
	byGUID := map[string]string{}
	for _, forest := range f.Forests {
		byName[forest.Name] = forest
	}
	type side struct {
		answers answers.Forest
		facts   Forest
		app     hybridApplication
		early   []string // what must be in order before connectors are switched on
	}
	if err := p.disjoint(); err != nil {
		return nil, err
	}
	names := p.names()
	var sides []side
	var allowed []any
	var consents []string
	for _, fa := range a.Forests {
		ff, ok := byName[fa.Name]
		if !ok {
			return nil, missing("facts", "forest "+fa.Name)
		}
		if ff.OrganizationGUID == "" {
			return nil, missing("GUID of the Exchange organization", "forest "+fa.Name)
		}
		guid := strings.ToLower(ff.OrganizationGUID)
		if other := byGUID[guid]; other != "" {
			return nil, fmt.Errorf("forests %s and %s have the same Exchange organization %s: they are one forest", other, fa.Name, guid)
		}
		byGUID[guid] = fa.Name
		if len(fa.Domains) == 0 {
			return nil, missing("SMTP domains that take part", "forest "+fa.Name)
		}
		s := side{answers: fa, facts: ff}
		s.early = p.trust(fa, ff)
		if s.app, err = p.application(fa, ff, guid); err != nil {
			return nil, err
		}
		allowed = append(allowed, s.app.appID)
		consents = append(consents, s.app.consents...)
		sides = append(sides, s)
	}
	var list string
	if p.route == RouteEWS {
		list = p.add(organizationConfig, PlaceOnline, "ews", "EWS switch and allow list",
			"Exchange Online lets only listed applications use EWS, and none at all from 2027-04-01 on",
			change.Properties{"EwsEnabled": true, "EwsAllowedAppIDs": allowed}, consents...)
	}
	for _, s := range sides {
		p.lookups(s.answers, s.facts, s.early, s.app, names, list)
	}
	return p.out, nil
}

// maxDomains is how many domains an organization relationship holds: Exchange refuses a filter of more than 250 parts, some of them its own.
const maxDomains = 238

// disjoint refuses answers by which two forests would claim one domain: each side keeps a domain in one relationship and one connector, and the
// second forest's would be refused when the first one's are there.
func (p *plan) disjoint() error {
	holder := map[string]string{}
	for _, f := range p.answers.Forests {
		for _, d := range lower(f.Domains) {
			if other := holder[d]; other != "" {
				return fmt.Errorf("forests %s and %s both name the domain %s: lookups from the tenant for a domain go to one forest; name it in the forest that its autodiscover leads to", other, f.Name, d)
			}
			if d == p.coexistence {
				return fmt.Errorf("forest %s names the coexistence domain %s among its own: its mailboxes are in the tenant", f.Name, d)
			}
			holder[d] = f.Name
		}
		if n := len(lower(f.Domains)); n > maxDomains {
			return fmt.Errorf("forest %s names %d domains: an organization relationship holds at most %d", f.Name, n, maxDomains)
		}
	}
	return nil
}

// names adds the host names of all forests to those for which Exchange Online gets tokens.
func (p *plan) names() string {
	var urls []string
	for _, f := range p.answers.Forests {
		for _, host := range []string{f.Namespace.Autodiscover, f.Namespace.EWS} {
			if u := "https://" + strings.ToLower(host) + "/"; !slices.Contains(urls, u) {
				urls = append(urls, u)
			}
		}
	}
	return p.add(servicePrincipalName, PlaceEntra, oauth.AppExchangeOnline, "Office 365 Exchange Online", "Exchange Online gets tokens for the servers of these names",
		change.Properties{"appId": oauth.AppExchangeOnline, "servicePrincipalNames": urls})
}

// trust adds what makes Exchange on-premises accept and obtain the tenant's tokens.
func (p *plan) trust(fa answers.Forest, ff Forest) []string {
	at := PlaceForest(fa.Name)
	names := slices.Concat([]string{p.coexistence}, fa.Domains)
	acs := p.add(authServer, at, "acs", "ACS - "+p.tenantGUID, "tokens that Exchange Online presents are checked against it", change.Properties{
		"Type": "MicrosoftACS", "Realm": p.facts.Tenant.ID, "AuthMetadataUrl": p.cloud.ACSMetadataURL, "DomainName": lower(names), "Enabled": true,
	})
	evo := p.add(authServer, at, "evosts", "EvoSts - "+p.tenantGUID, "Exchange asks it for tokens to the tenant", change.Properties{
		"Type": "AzureAD", "Realm": p.facts.Tenant.ID, "AuthMetadataUrl": p.cloud.EvoSTSMetadataURL, "Enabled": true,
	})
	partner := change.Properties{"ApplicationIdentifier": oauth.AppExchangeOnline, "Enabled": true}
	if ff.RootDomain != "" {
		partner["LinkedAccount"] = ff.RootDomain + "/Users/Exchange Online-ApplicationAccount"
	}
	return []string{acs, evo, p.add(partnerApplication, at, oauth.AppExchangeOnline, "Exchange Online", "it lets lookups from Exchange Online in", partner)}
}

// hybridApplication is a forest's dedicated application as later resources refer to it.
type hybridApplication struct {
	appID    any // string or Ref
	ready    []string
	consents []string
}

// application adds the dedicated application with its certificate, its service principal and its consent.
func (p *plan) application(fa answers.Forest, ff Forest, guid string) (hybridApplication, error) {
	name := ApplicationName(guid)
	where := "forest " + fa.Name
	resource, value, permissions := p.facts.Tenant.Exchange, oauth.AppExchangeOnline, ewsPermissions
	if p.route == RouteGraph {
		resource, value, permissions = p.facts.Tenant.Graph, oauth.AppGraph, graphPermissions
	}
	if resource.ID == "" {
		return hybridApplication{}, missing("service principal of application "+value, "tenant "+p.answers.ExchangeOnline.Tenant)
	}
	existing := Application{}
	if ff.Application != nil {
		existing = *ff.Application
	}

	var access []any
	for _, permission := range permissions {
		id := resource.Roles[permission]
		if id == "" {
			return hybridApplication{}, missing("id of permission "+permission, "tenant "+p.answers.ExchangeOnline.Tenant)
		}
		access = append(access, map[string]any{"id": id, "type": "Role"})
	}
	appID := p.add(application, PlaceEntra, name, name, "Exchange in "+fa.Name+" is this application to the tenant", change.Properties{
		"displayName": name, "signInAudience": "AzureADMyOrg",
		"requiredResourceAccess": withAccess(existing.RequiredResourceAccess, value, access),
	})
	var objectRef, appRef any = change.Ref{Change: appID, Property: "id"}, change.Ref{Change: appID, Property: "appId"}
	if existing.ID != "" {
		objectRef, appRef = existing.ID, existing.AppID
	}

	if len(ff.AuthCertificates) == 0 {
		return hybridApplication{}, missing("auth certificate", where)
	}
	credentials := p.keyCredentials(existing.KeyCredentials, ff.AuthCertificates)
	key := p.add(keyCredential, PlaceEntra, name, name, "with this key Exchange in "+fa.Name+" proves that it is the application", change.Properties{
		"application": name, "id": objectRef, "keyCredentials": credentials,
	}, appID)

	sp := p.add(servicePrincipal, PlaceEntra, name, name, "the application signs in as it", change.Properties{"appId": appRef, "accountEnabled": true}, appID)
	var principalRef any = change.Ref{Change: sp, Property: "id"}
	if existing.ServicePrincipalID != "" {
		principalRef = existing.ServicePrincipalID
	}
	out := hybridApplication{appID: appRef, ready: []string{key}}
	for i, permission := range permissions {
		id := access[i].(map[string]any)["id"]
		out.consents = append(out.consents, p.add(appRoleAssignment, PlaceEntra, name+":"+permission, name+" "+permission,
			"lookups from "+fa.Name+" need the permission", change.Properties{"principalId": principalRef, "resourceId": resource.ID, "appRoleId": id}, sp, appID))
	}
	return out, nil
}

// lookups adds what sends lookups to the other side, on both sides, and what switches the dedicated application on.
func (p *plan) lookups(fa answers.Forest, ff Forest, early []string, app hybridApplication, names, list string) {
	at := PlaceForest(fa.Name)
	guid := strings.ToLower(ff.OrganizationGUID)
	domains := lower(fa.Domains)

	allows := p.allowances()
	onprem := change.Properties{"DomainNames": []string{p.coexistence}, "Enabled": true, "TargetSharingEpr": p.cloud.EWS}
	online := change.Properties{"DomainNames": domains, "Enabled": true}
	for k, v := range allows {
		onprem[k] = v
		if k != "MailboxMoveEnabled" && k != "ArchiveAccessEnabled" { // these two concern what the tenant may do on-premises
			online[k] = v
		}
	}
	if wants(p.answers.Features, answers.OWARedirection) {
		onprem["TargetOwaURL"] = p.cloud.OWA
		online["TargetOwaURL"] = "https://" + fa.Namespace.EWS + "/owa"
	}
	relation := p.add(organizationRelationship, at, p.coexistence, "On-premises to O365 - "+p.tenantGUID, "it says what "+fa.Name+" and the tenant may ask of each other", onprem, early...)
	p.add(organizationRelationship, PlaceOnline, guid, "O365 to On-premises - "+guid, "it says what the tenant and "+fa.Name+" may ask of each other", online)

	p.add(intraOrganizationConnector, PlaceOnline, guid, "HybridIOC - "+guid, "lookups from the tenant go to "+fa.Name+" with OAuth", change.Properties{
		"TargetAddressDomains": domains, "DiscoveryEndpoint": "https://" + fa.Namespace.Autodiscover + "/autodiscover/autodiscover.svc", "Enabled": true,
	}, append(slices.Clone(early), names)...)
	connector := p.add(intraOrganizationConnector, at, p.coexistence, "HybridIOC - "+p.tenantGUID, "lookups from "+fa.Name+" go to the tenant with OAuth", change.Properties{
		"TargetAddressDomains": []string{p.coexistence}, "DiscoveryEndpoint": p.cloud.DiscoveryEndpoint, "Enabled": true,
	}, slices.Concat(early, app.consents, app.ready)...)

	evo := change.Properties{"Identity": change.Ref{Change: early[1], Property: "Identity"}, "Type": "AzureAD", "Realm": p.facts.Tenant.ID, "AuthMetadataUrl": p.cloud.EvoSTSMetadataURL}
	ready := slices.Concat(early, app.ready, app.consents)
	if list != "" {
		ready = append(ready, list)
	}
	bound := p.add(authServerApplication, at, "evosts", "EvoSts - "+p.tenantGUID, "Exchange presents itself to the tenant as its own application", with(evo, change.Properties{
		"ApplicationIdentifier": app.appID, "DomainName": lower(slices.Concat([]string{p.coexistence}, fa.Domains, p.common(ff))),
	}), ready...)
	switched := p.add(settingOverride, at, dedicatedApplicationOverride.key, dedicatedApplicationOverride.name, "it makes Exchange use the dedicated application",
		dedicatedApplicationOverride.properties(), bound, connector, relation)
	if p.route == RouteGraph {
		graph := p.add(authServerGraphRoute, at, "evosts", "EvoSts - "+p.tenantGUID, "Exchange asks Microsoft Graph there", with(evo, change.Properties{"GraphBaseUrl": p.cloud.Graph}), bound)
		p.add(settingOverride, at, graphRouteOverride.key, graphRouteOverride.name, "it makes Exchange look up through Microsoft Graph: free/busy, photos, and of MailTips the automatic replies", graphRouteOverride.properties(), switched, graph)
	}
}

// common are the domains that Exchange accepts and the tenant has verified, but for the initial one: for all of them the tenant is asked as
// the application, whichever of them the answers name.
func (p *plan) common(ff Forest) []string {
	verified := lower(p.facts.Tenant.VerifiedDomains)
	initial := strings.ToLower(p.answers.ExchangeOnline.Tenant)
	return slices.DeleteFunc(lower(ff.AcceptedDomains), func(d string) bool { return d == initial || !slices.Contains(verified, d) })
}

// allowances are the properties of organization relationships that the chosen features need. A feature that was not
// chosen is left as it is, never switched off.
func (p *plan) allowances() change.Properties {
	out := change.Properties{}
	for feature, properties := range map[answers.Feature]change.Properties{
		answers.FreeBusy:        {"FreeBusyAccessEnabled": true, "FreeBusyAccessLevel": "LimitedDetails"},
		answers.MailTips:        {"MailTipsAccessEnabled": true, "MailTipsAccessLevel": "All"},
		answers.MessageTracking: {"DeliveryReportEnabled": true},
		answers.MoveMailbox:     {"MailboxMoveEnabled": true},
		answers.OnlineArchive:   {"ArchiveAccessEnabled": true},
		answers.Photos:          {"PhotosEnabled": true},
	} {
		if wants(p.answers.Features, feature) {
			for k, v := range properties {
				out[k] = v
			}
		}
	}
	return out
}

// keyCredentials is the list to upload: what is there and has not ended, then the auth certificates that are missing.
func (p *plan) keyCredentials(existing []any, certificates []AuthCertificate) []any {
	var out []any
	have := map[string]bool{}
	for _, c := range existing {
		t := thumbprintOf(c)
		if m, ok := c.(map[string]any); !ok || t == "" || ended(m, p.facts) || have[t] {
			continue
		}
		have[t] = true
		out = append(out, c)
	}
	for _, c := range certificates {
		t := certificate.ThumbprintOf(c.DER)
		if have[t] || !p.facts.Now.IsZero() && !c.NotAfter.IsZero() && !c.NotAfter.After(p.facts.Now) {
			continue // Graph refuses a certificate that has ended; the check certificates.auth tells
		}
		have[t] = true
		out = append(out, map[string]any{
			"displayName": "CN=Microsoft Exchange Server Auth Certificate " + t[:8], "keyId": keyID(t),
			"type": "AsymmetricX509Cert", "usage": "Verify", "key": base64.StdEncoding.EncodeToString(c.DER),
		})
	}
	return out
}

func ended(credential map[string]any, f Facts) bool {
	s, _ := credential["endDateTime"].(string)
	end, err := parseTime(s)
	return err == nil && !f.Now.IsZero() && !end.After(f.Now)
}

// keyID makes the GUID that Graph wants for a new key of the thumbprint, so that the same certificate gets the same id.
func keyID(thumbprint string) string {
	b, _ := hex.DecodeString(thumbprint)
	b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80 // version 8: made from what the application knows (RFC 9562)
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

// withAccess is the required resource access with a resource's permissions added to what is there.
func withAccess(existing []any, resource string, access []any) []any {
	out := []any{}
	done := false
	for _, e := range existing {
		m, ok := e.(map[string]any)
		id, _ := m["resourceAppId"].(string)
		if !ok || normalGUID(id) != resource {
			out = append(out, e)
			continue
		}
		merged := slices.Clone(elements(m["resourceAccess"]))
		have := permissions([]any{m})
		for _, a := range access {
			am := a.(map[string]any)
			if !have[permission{resource, normalGUID(am["id"].(string)), "Role"}] {
				merged = append(merged, a)
			}
		}
		out = append(out, map[string]any{"resourceAppId": resource, "resourceAccess": merged})
		done = true
	}
	if !done {
		out = append(out, map[string]any{"resourceAppId": resource, "resourceAccess": access})
	}
	return out
}

func with(a, b change.Properties) change.Properties {
	out := change.Properties{}
	for k, v := range a {
		out[k] = v
	}
	for k, v := range b {
		out[k] = v
	}
	return out
}

func lower(in []string) []string {
	out := make([]string, 0, len(in))
	for _, s := range in {
		if s = normalDomain(s); !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}
