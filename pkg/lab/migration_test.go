package lab

import (
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/lab/organization"
)

// TestMigrationEndpoint: the tenant reaches a forest's replication proxy when it is on and the
// account is right.
func TestMigrationEndpoint(t *testing.T) {
	l := start(t)
	f, o := l.forests[0], l.tenant.org
	account := func(password string) exchange.Credential {
		return exchange.Credential{User: f.account(), Password: secret.NewValue(password)}
	}
	right, wrong := account(f.passwords["svc-hybridge"]), account("wrong")
	test := func(c exchange.Credential) (result, message string) {
		t.Helper()
		objects, _, err := o.Run(t.Context(), organization.Caller{}, exchange.Command{
			Name: "Test-MigrationServerAvailability", Parameters: map[string]any{"ExchangeRemoteMove": true,
				"RemoteServer": f.mail, "Credentials": c}})
		if err != nil || len(objects) != 1 {
			t.Fatal(objects, err)
		}
		result, _ = objects[0].String("Result")
		message, _ = objects[0].String("Message")
		return result, message
	}
	endpoint := func() error {
		_, _, err := o.Run(t.Context(), organization.Caller{}, exchange.Command{Name: "New-MigrationEndpoint",
			Parameters: map[string]any{"Name": "Hybrid Migration Endpoint - EWS (Default Web Site)",
				"ExchangeRemoteMove": true, "RemoteServer": f.mail, "Credentials": right}})
		return err
	}
	if result, message := test(right); result != "Failed" || !strings.Contains(message, "404") {
		t.Errorf("without the proxy: %s: %s", result, message)
	}
	if err := endpoint(); err == nil || !strings.Contains(err.Error(), "could not be completed") {
		t.Errorf("an endpoint without the proxy: %v", err)
	}
	run(t, f.org, "Set-WebServicesVirtualDirectory", "Identity", `EX1\EWS (Default Web Site)`, "MRSProxyEnabled", true)
	if result, message := test(right); result != "Success" {
		t.Errorf("with the proxy: %s: %s", result, message)
	}
	if result, message := test(wrong); result != "Failed" || !strings.Contains(message, "(401) Unauthorized") {
		t.Errorf("with a wrong password: %s: %s", result, message)
	}
	if err := endpoint(); err != nil {
		t.Errorf("an endpoint: %v", err)
	}
	if got := o.Objects("MigrationEndpoint")[0].String("Username"); got != f.account() {
		t.Errorf("the endpoint's account is %q", got)
	}

	// An endpoint is tried with the account that it keeps.
	kept := func() string {
		t.Helper()
		objects, _, err := o.Run(t.Context(), organization.Caller{}, exchange.Command{
			Name:       "Test-MigrationServerAvailability",
			Parameters: map[string]any{"Endpoint": "Hybrid Migration Endpoint - EWS (Default Web Site)"}})
		if err != nil || len(objects) != 1 {
			t.Fatal(objects, err)
		}
		result, _ := objects[0].String("Result")
		return result
	}
	if got := kept(); got != "Success" {
		t.Errorf("the endpoint by its name: %s", got)
	}
	run(t, f.org, "Set-WebServicesVirtualDirectory", "Identity", `EX1\EWS (Default Web Site)`, "MRSProxyEnabled", false)
	if got := kept(); got != "Failed" {
		t.Errorf("the endpoint by its name, without the proxy: %s", got)
	}
}
