package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/lab/organization"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

// Identifiers of Microsoft's services that are built into Exchange.
const (
	exchangeOnlineAppID = "00000002-0000-0ff1-ce00-000000000000"
	exchangeResource    = "https://outlook.office365.com"
	tokenIssuer         = "https://login.microsoftonline.com"
)

// onPremisesToken mints the token that an on-premises organization presents to the tenant. With the
// dedicated application, Entra issues it for an assertion signed with the auth certificate. Without
// it, Exchange presents itself as the application that it shares with the whole service. Exchange
// Online has refused every token of that application since October 2025. domain is the domain of
// the lookup; "" when the token is not for a lookup.
func (f *forestSite) onPremisesToken(ctx context.Context, resource, domain string) (string, error) {
	key, err := f.at(ctx).signingKey()
	if err == nil {
		err = f.at(ctx).outside()
	}
	if err != nil {
		return "", err
	}
	application, realm := f.at(ctx).dedicatedApplication(domain)
	if application == "" {
		return "", errors.New("the request failed with HTTP status 403: Forbidden. The token identifies the shared " +
			"application " + exchangeOnlineAppID + ", which may not call this service any more")
	}
	server := f.at(ctx)
	if r := f.org.Object("ExchangeServer", server.name()); r != nil &&
		strings.HasPrefix(strings.ToLower(r.String("InternetWebProxy")), "https://") {
		// .NET, through which Exchange goes out, says the same.
		return "", errors.New("the ServicePointManager does not support proxies with the https scheme")
	}
	client := f.premise.link.Client(nil)
	defer client.CloseIdleConnections()
	token, err := oauth.ClientCredentials{
		TokenURL: tokenIssuer + "/" + realm + "/oauth2/v2.0/token", ClientID: application,
		Scope:       resource + "/.default",
		Certificate: key.cert, Key: key.key, Now: server.now,
	}.Token(ctx, client)
	if err != nil {
		return "", fmt.Errorf("unable to get a token from the auth server: %w", err)
	}
	return token.Value.Reveal(), nil
}

// signingKey returns the auth certificate that Get-AuthConfig names. This server must have it with
// its key, and it must be valid.
func (s *exchangeServer) signingKey() (*issued, error) {
	for _, c := range s.site.org.Objects("AuthConfig") {
		thumbprint := c.String("CurrentCertificateThumbprint")
		for _, have := range s.held() {
			if !strings.EqualFold(certificate.Thumbprint(have.cert), thumbprint) {
				continue
			}
			if now := s.now(); now.After(have.cert.NotAfter) || now.Before(have.cert.NotBefore) {
				continue
			}
			if s.stored(thumbprint) != nil {
				return have, nil
			}
		}
	}
	// Exchange's own text, which people search for
	return nil, errors.New("Missing signing certificate")
}

// dedicatedApplication is the application that the tenant's auth server names, when the setting
// override switches it on. It is "" when Exchange uses the shared application, which an old build
// does silently. An auth server applies to the domains in its DomainName.
func (s *exchangeServer) dedicatedApplication(domain string) (application, realm string) {
	if !s.knowsApplication() || !s.overridden("Global", "ExchangeOnpremAsThirdPartyAppId") {
		return "", ""
	}
	for _, a := range s.site.org.Objects("AuthServer") {
		id := a.String("ApplicationIdentifier")
		stands := domain == "" || slices.ContainsFunc(a.Strings("DomainName"),
			func(d string) bool { return strings.EqualFold(d, domain) })
		if id != "" && stands && a.Bool("Enabled") && a.String("Type") == "AzureAD" {
			return id, a.String("Realm")
		}
	}
	return "", ""
}

// overridden reports whether a setting override switches a feature on for this server. When several
// overrides name the server, it falls back to the default: off.
func (s *exchangeServer) overridden(component, section string) bool {
	var found []*organization.Record
	for _, o := range s.site.org.Objects("SettingOverride") {
		if strings.EqualFold(o.String("ComponentName"), component) &&
			strings.EqualFold(o.String("SectionName"), section) && s.named(o) {
			found = append(found, o)
		}
	}
	return len(found) == 1 && slices.ContainsFunc(found[0].Strings("Parameters"), func(p string) bool {
		return strings.EqualFold(strings.ReplaceAll(p, " ", ""), "Enabled=true")
	})
}

// named reports whether a setting override applies to this server, by name and by build.
func (s *exchangeServer) named(o *organization.Record) bool {
	list := o.Strings("Server")
	if len(list) > 0 && !slices.ContainsFunc(list, func(name string) bool {
		return strings.EqualFold(firstLabel(name), s.name())
	}) {
		return false
	}
	own := s.numbers()
	for property, side := range map[string]int{"MinVersion": -1, "MaxVersion": 1} {
		var limit [4]int
		if _, err := fmt.Sscanf(o.String(property), "%d.%d.%d.%d", &limit[0], &limit[1], &limit[2],
			&limit[3]); err == nil &&
			slices.Compare(own[:], limit[:]) == side {
			return false
		}
	}
	return true
}

// verify checks the token of a request as an on-premises server does. The auth server that issued
// it must be configured here and enabled. The signature must verify with that server's keys. The
// application that it names must be an enabled partner application.
func (f *forestSite) verify(ctx context.Context, presented, host string) (oauth.Token, error) {
	unverified, err := oauth.Parse(presented)
	if err != nil {
		return oauth.Token{}, err
	}
	issuer := unverified.Claims.String("iss")
	for _, s := range f.org.Objects("AuthServer") {
		realm := s.String("Realm")
		if !s.Bool("Enabled") || s.String("Type") != "MicrosoftACS" ||
			issuer != s.String("IssuerIdentifier")+"@"+realm {
			continue
		}
		keys, err := f.authServerKeys(ctx, s.String("AuthMetadataUrl"))
		if err != nil {
			return oauth.Token{}, err
		}
		token, err := oauth.Verifier{
			Keys: keys, Issuers: []string{issuer}, Audiences: f.audiences(host), Now: f.at(ctx).now,
		}.Verify(presented)
		if err != nil {
			return oauth.Token{}, err
		}
		return token, f.partner(token, realm)
	}
	return oauth.Token{}, fmt.Errorf("the token is issued by %s, which no enabled auth server here stands for", issuer)
}

// audiences are the audiences that this server accepts: its service name and host, at any domain of
// the organization, or at the realm of its auth configuration.
func (f *forestSite) audiences(host string) []string {
	config := f.org.Objects("AuthConfig")[0]
	name := config.String("ServiceName") + "/" + host + "@"
	if realm := config.String("Realm"); realm != "" {
		return []string{name + realm}
	}
	var names []string
	for _, d := range f.org.Objects("AcceptedDomain") {
		names = append(names, name+d.String("DomainName"))
	}
	return names
}

// partner reports whether a token's application is an enabled partner application. It must be of
// the token's realm, or of any realm when it names none.
func (f *forestSite) partner(token oauth.Token, realm string) error {
	caller, _, _ := strings.Cut(token.Claims.String("nameid"), "@")
	for _, p := range f.org.Objects("PartnerApplication") {
		own := p.String("Realm")
		if strings.EqualFold(p.String("ApplicationIdentifier"), caller) && p.Bool("Enabled") &&
			(own == "" || strings.EqualFold(own, realm)) {
			if p.String("LinkedAccount") == "" || f.withoutRoles {
				return &refusedToken{oauth.Diagnostics{
					Code: 2000008, Category: "invalid_grant",
					Reason: "The application is missing a linked account for RBAC roles, or the linked account has " +
						"no RBAC role assignments, or the calling users account is logon disabled.",
				}}
			}
			return nil
		}
	}
	return fmt.Errorf("the application %s of realm %s is not an enabled partner application", caller, realm)
}

// authServerKeys reads an auth server's signing keys and caches them, as Exchange does.
func (f *forestSite) authServerKeys(ctx context.Context, address string) ([]oauth.Key, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if kept, ok := f.keys[address]; ok && f.now().Before(kept.until) {
		return kept.keys, nil
	}
	client := f.premise.link.Client(nil)
	defer client.CloseIdleConnections()
	document, err := oauth.FetchAuthMetadata(ctx, client, address)
	if err != nil {
		return nil, err
	}
	keys, err := document.SigningKeys()
	if err != nil {
		return nil, err
	}
	f.keys[address] = keptKeys{keys, f.now().Add(time.Minute)}
	return keys, nil
}

type keptKeys struct {
	keys  []oauth.Key
	until time.Time
}

// challenge returns the WWW-Authenticate values of an on-premises server. They name every access
// control service that it trusts, and the authorization endpoint when modern authentication is on.
func (f *forestSite) challenge(*http.Request) []string {
	b := oauth.BearerChallenge{ClientID: exchangeOnlineAppID}
	for _, s := range f.org.Objects("AuthServer") {
		switch {
		case !s.Bool("Enabled"):
		case s.String("Type") == "MicrosoftACS":
			b.TrustedIssuers = append(b.TrustedIssuers, s.String("IssuerIdentifier")+"@"+s.String("Realm"))
		case s.Bool("IsDefaultAuthorizationEndpoint"):
			b.AuthorizationURI = s.String("AuthorizationEndpoint")
		}
	}
	return []string{b.Format()}
}

// metadata serves the auth metadata document of an Exchange server: its identity and its signing
// certificate.
func (f *forestSite) metadata(w http.ResponseWriter, r *http.Request) {
	document := oauth.ExchangeMetadata(exchangeOnlineAppID, f.domain,
		"https://"+hostOf(r)+"/autodiscover/metadata/json/1", f.authCertificate.cert)
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(document) // an error means that the client has gone
}
