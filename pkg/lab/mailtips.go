package lab

import (
	"context"
	"errors"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/lab/entra"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

// mailboxTips are the MailTips that only the side of the mailbox can give.
var mailboxTips = []string{"OutOfOfficeMessage", "MailboxFullStatus"}

// MailTips are those of people here, and of people elsewhere as the other side gives them. What it
// does not give is pending: Exchange does not say why. No mailbox of the lab has an automatic reply
// or is full.
func (a answering) MailTips(ctx context.Context, q ews.Query) ([]ews.MailTips, error) {
	foreign := q.Caller.Scheme == "Bearer"
	if !foreign {
		if q.Impersonated != "" {
			return nil, &ews.Fault{ResponseCode: "ErrorImpersonateUserDenied",
				Message: "The account does not have permission to impersonate the requested user."}
		}
		ctx = onBehalfOf(ctx, a.person(q.Caller, a.domain))
	}
	token, _ := q.Caller.Claims.(oauth.Token)
	out := make([]ews.MailTips, len(q.Mailboxes))
	for i, address := range q.Mailboxes {
		refuse := func(code, text string) {
			out[i].Err = &ews.ResponseError{Address: address, Code: code, Text: text}
		}
		r, ok := a.find(address)
		switch {
		case !ok:
			refuse("ErrorInvalidRecipients", "The recipient cannot be found.")
		case foreign && !r.here:
			refuse("ErrorProxyRequestNotAllowed", "The recipient is not in this organization.")
		case foreign && !a.tells(token):
			refuse("ErrorAccessDenied", "No organization relationship lets the caller see MailTips.")
		case r.here:
			none, full := "", false
			out[i].Replies, out[i].Full = &none, &full
		default:
			out[i] = a.askTips(ctx, r.target)
		}
	}
	return out, nil
}

// tips answers Graph's getMailTips: those of people in the tenant, and of people on-premises as the
// forest gives them. What it does not give is left out.
func (t *tenantSite) tips(q entra.TipsQuestion) ([]entra.Tips, error) {
	as, ok := t.premise.find(q.As)
	if !ok || !as.here {
		return nil, entra.ErrNoMailbox
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	ctx = onBehalfOf(ctx, as.primary)
	foreign := q.AppID != t.automationID && q.User == ""
	out := make([]entra.Tips, len(q.Addresses))
	for i, address := range q.Addresses {
		r, ok := t.premise.find(address)
		none, full := "", false
		switch {
		case !ok:
			out[i].ErrorCode, out[i].Message = "ErrorInvalidRecipients", "The recipient cannot be found."
		case r.here:
			out[i].Replies, out[i].Full = &none, &full
		case foreign:
			out[i].ErrorCode = "ErrorProxyRequestNotAllowed"
			out[i].Message = "The recipient is not in this organization."
		default:
			tips := t.premise.askTips(ctx, r.target)
			out[i].Replies, out[i].Full = tips.Replies, tips.Full
		}
	}
	return out, nil
}

// tells reports whether the relationship for the domain of a token's person gives MailTips. In doubt
// the lab refuses: a token that names no person gets none.
func (p *premise) tells(token oauth.Token) bool {
	person := token.Claims.String(personClaim)
	domains := []string{domainPart(person)}
	if r, ok := p.find(person); ok && r.target != "" {
		domains = append(domains, domainPart(r.target))
	}
	for _, domain := range domains {
		r := p.leadsTo("OrganizationRelationship", "DomainNames", domain)
		if r != nil && r.Bool("MailTipsAccessEnabled") && r.String("MailTipsAccessLevel") != "None" {
			return true
		}
	}
	return false
}

// askTips asks the other side by the way of lookups.
func (p *premise) askTips(ctx context.Context, target string) ews.MailTips {
	domain := domainPart(target)
	tips, err := func() ([]ews.MailTips, error) {
		connector := p.leadsTo("IntraOrganizationConnector", "TargetAddressDomains", domain)
		if connector == nil {
			return nil, errors.New("no connector")
		}
		endpoint, err := p.endpointOf(ctx, connector, target, domain)
		if err != nil {
			return nil, err
		}
		client := &ews.Client{URL: endpoint, HTTP: p.client(endpoint, domain), AnchorMailbox: target,
			UserAgent: "ASProxy/CrossForest/EmailDomain"}
		defer client.HTTP.CloseIdleConnections()
		person, _ := ctx.Value(behalfKey{}).(string)
		return client.MailTips(ctx, person, []string{target})
	}()
	if err != nil || len(tips) != 1 || tips[0].Err != nil {
		return ews.MailTips{Pending: mailboxTips}
	}
	return tips[0]
}
