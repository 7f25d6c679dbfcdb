package lab

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/lab/organization"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
)

// testOAuth is Test-OAuthConnectivity. It presents a token, as for a lookup by a mailbox that is
// here, to the given address. The mailbox need not exist on the other side.
func (p *premise) testOAuth(ctx context.Context, c organization.Call) ([]exchange.Object, error) {
	target, _ := c.Parameters["TargetUri"].(string)
	mailbox, _ := c.Parameters["Mailbox"].(string)
	r, ok := p.find(mailbox)
	if !ok || !r.here { // a mail user is no mailbox
		return nil, &exchange.Error{
			Cmdlet: c.Cmdlet, Category: "InvalidData", ExceptionType: "ManagementObjectNotFoundException",
			Message: fmt.Sprintf("The operation couldn't be performed because object '%s' couldn't be found.", mailbox),
		}
	}
	if appOnly, _ := c.Parameters["AppOnly"].(bool); !appOnly {
		ctx = onBehalfOf(ctx, r.primary)
	}
	result, detail := "Success", ""
	now := time.Now().UTC()
	u, err := url.Parse(target)
	if err == nil && u.Host == "" {
		err = fmt.Errorf("invalid URI: %q", target)
	}
	var token string
	if err == nil {
		token, err = p.token(ctx, target, "")
	}
	if err == nil {
		var calendars []found
		calendars, err = p.call(ctx, target, []string{mailbox}, "", ews.Window{Start: now, End: now.Add(time.Hour)})
		if err == nil {
			err = calendars[0].err
		}
	}
	var inside *lookupError
	switch {
	case err == nil:
	case isLookup(err, &inside): // the token was accepted: the error concerns the mailbox
		detail = "The SMTP address has no mailbox associated with it."
	default:
		result, detail = "Error", err.Error()
	}
	detail = fmt.Sprintf("The configuration was last successfully loaded at %s UTC.\nThe token cache is being "+
		"cleared because \"use cached token\" was set to false.\n"+
		"Exchange Outbound Oauth Log:\nToken: %d bytes\nExchange Response Details:\nHTTP response message:\n%s",
		now.Format("01/02/2006 15:04:05"), len(token), detail)
	return []exchange.Object{exchange.NewObject([]string{"Microsoft.Exchange.Monitoring.ResultItem"}, "",
			"RunspaceId", stableGUID(p.name), "Task", "Checking EWS API Call Under Oauth", "Detail", detail,
			"ResultType",
			result,
			"Identity", "Microsoft.Exchange.Security.OAuth.ValidationResultNodeId", "IsValid", true, "ObjectState",
			"New")},
		nil
}
