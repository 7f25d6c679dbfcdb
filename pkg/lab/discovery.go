package lab

import (
	"context"

	"github.com/hybridge-cli/hybridge/pkg/wire/autodiscover"
)

// discover asks an autodiscover endpoint of another side for an address, with this side's token. It
// names no person, because only EWS is known to refuse a person.
func (p *premise) discover(ctx context.Context, endpoint, address, domain string) (string, error) {
	client := &autodiscover.Client{HTTP: p.client(endpoint, domain), Anonymous: p.link.Client(nil), SOAP: true,
		UserAgent: "ASAutoDiscover/CrossForest/EmailDomain"}
	defer client.HTTP.CloseIdleConnections()
	defer client.Anonymous.CloseIdleConnections()
	result, err := client.FindAt(onBehalfOf(ctx, ""), endpoint, address)
	if err != nil {
		return "", err
	}
	return result.EWS(), nil
}

// UserSettings answers autodiscover: the EWS address for a mailbox that is here, a redirect for one
// that is elsewhere.
func (p *premise) UserSettings(ctx context.Context, q autodiscover.Query) (autodiscover.Settings, error) {
	r, ok := p.find(q.Address)
	if !ok {
		return autodiscover.Settings{}, &autodiscover.CodeError{Code: autodiscover.InvalidUser,
			Message: "Invalid user: '" + q.Address + "'"}
	}
	if !r.here {
		return autodiscover.Settings{}, &autodiscover.CodeError{Code: autodiscover.CodeRedirectAddress,
			Message: "Redirection address.", Target: r.target}
	}
	published := p.published(ctx)
	return autodiscover.Settings{
		Address: r.primary, DisplayName: r.display,
		LegacyDN: "/o=" + p.name + "/ou=Exchange Administrative Group (FYDIBOHF23SPDLT)/cn=Recipients/cn=" +
			r.account,
		ExternalEWS: published, InternalEWS: published, ExternalAuth: "ntlm",
		Values: map[string]string{"MailboxDN": "/o=" + p.name +
			"/ou=Exchange Administrative Group " +
			"(FYDIBOHF23SPDLT)/cn=Configuration/cn=Servers/cn=Database/cn=Microsoft Private MDB"},
	}, nil
}

// DomainSettings answers autodiscover for a domain of this side.
func (p *premise) DomainSettings(ctx context.Context, q autodiscover.Query) (map[string]string, error) {
	if p.serves(q.Domain) {
		return map[string]string{"ExternalEwsUrl": p.published(ctx), "ExternalEwsVersion": "15.20.0.0"}, nil
	}
	return nil, &autodiscover.CodeError{Code: autodiscover.InvalidDomain, Message: "The domain is not hosted here."}
}

// FederationInformation: no organization of the lab has a federation trust.
func (p *premise) FederationInformation(context.Context, string) (autodiscover.Federation, error) {
	return autodiscover.Federation{}, &autodiscover.CodeError{Code: autodiscover.NotFederated,
		Message: "The organization is not federated."}
}
