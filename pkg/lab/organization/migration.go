package organization

import (
	"context"
	"fmt"
	"maps"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
)

// reachMoveProxy asks the replication proxy of a server, as the service does before a move.
func (o *Organization) reachMoveProxy(ctx context.Context, c Call) error {
	host, _ := c.Parameters["RemoteServer"].(string)
	credential, _ := c.Parameters["Credentials"].(exchange.Credential)
	if o.c.MoveProxy == nil {
		return unsimulated("moves of mailboxes from %s", host)
	}
	if err := o.c.MoveProxy(ctx, host, credential); err != nil {
		return &exchange.Error{
			Category:      "NotSpecified",
			ExceptionType: "Microsoft.Exchange.Migration.MigrationServerConnectionFailedException",
			Message: fmt.Sprintf("The connection to the server '%s' could not be completed. The call to "+
				"'https://%s/EWS/mrsproxy.svc' failed. Error details: %v", host, host, err),
		}
	}
	return nil
}

// moveEndpoint runs before an endpoint is made or changed: one that cannot be reached is refused.
func moveEndpoint(ctx context.Context, o *Organization, verb string, c Call) (any, error) {
	skip, _ := c.Parameters["SkipVerification"].(bool)
	move, _ := c.Parameters["ExchangeRemoteMove"].(bool)
	switch {
	case verb == "Remove" || skip:
		return nil, nil
	case verb == "New" && !move:
		return nil, unsimulated("%s without -ExchangeRemoteMove", c.Cmdlet)
	case verb == "Set" && !given(c, "RemoteServer") && !given(c, "Credentials"):
		return nil, nil
	case verb == "Set":
		identity, _ := c.Parameters["Identity"].(string)
		endpoint := o.Object("MigrationEndpoint", identity)
		if endpoint == nil {
			return nil, o.notFound(identity)
		}
		if !given(c, "RemoteServer") {
			c.Parameters["RemoteServer"] = endpoint.String("RemoteServer")
		}
		if !given(c, "Credentials") {
			return nil, nil // the lab does not keep the password of the old ones
		}
	}
	return nil, o.reachMoveProxy(ctx, c)
}

// migrationServer is Test-MigrationServerAvailability. A server that cannot be reached is a result,
// not an error.
func migrationServer(ctx context.Context, c Call) ([]exchange.Object, error) {
	if name, _ := c.Parameters["Endpoint"].(string); name != "" {
		endpoint := c.Organization.Object("MigrationEndpoint", name)
		if endpoint == nil {
			return nil, c.Organization.notFound(name)
		}
		c.Parameters = maps.Clone(c.Parameters)
		c.Parameters["ExchangeRemoteMove"], c.Parameters["RemoteServer"] = true, endpoint.String("RemoteServer")
		c.Parameters["Credentials"] = endpoint.Credential()
	}
	if move, _ := c.Parameters["ExchangeRemoteMove"].(bool); !move || !given(c, "RemoteServer") {
		return nil, unsimulated("%s without -ExchangeRemoteMove and -RemoteServer", c.Cmdlet)
	}
	host, _ := c.Parameters["RemoteServer"].(string)
	result, message, endpoint := "Success", "", any(host)
	if err := c.Organization.reachMoveProxy(ctx, c); err != nil {
		result, message, endpoint = "Failed", err.Error(), nil
	}
	return []exchange.Object{exchange.NewObject(
		[]string{"Microsoft.Exchange.Management.Migration.MigrationServerAvailability.MigrationServerAvailabilityResult"},
		"", "Result", result, "Message", message, "SupportsCutover", false, "ErrorDetail", message,
		"TestedEndpoint", endpoint, "IsValid", true, "Identity", "", "ObjectState", "New")}, nil
}
