package lab

import (
	"context"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/lab/organization"
)

// probeFaults are faults that a probe of its own finds.
func probeFaults() []Fault {
	return []Fault{
		{
			ID: "lookup.answers-for-anyone", Diagnosis: "lookup.answers-for-anyone",
			Title: "what stands before contoso's EWS says that people who do not exist are free",
			late:  inContoso(func(f *forestSite) { f.premise.generous = true }),
		},
		{
			ID: "migration.endpoint-password", Turns: turns("migration.endpoint-answers"),
			May:       turns("migration.mrs-proxy"),
			Diagnosis: "migration.endpoint-account",
			Title:     "the account of the tenant's migration endpoint for contoso has another password since",
			late: everywhere(func(l *Lab) {
				f := l.contoso()
				f.org.Objects("WebServicesVirtualDirectory")[0].Set("MRSProxyEnabled", true)
				_, _, err := l.tenant.org.Run(context.Background(), organization.Caller{}, exchange.Command{
					Name: "New-MigrationEndpoint", Parameters: map[string]any{
						"Name": "Hybrid Migration Endpoint - EWS (Default Web Site)", "ExchangeRemoteMove": true,
						"RemoteServer": f.mail, "SkipVerification": true,
						"Credentials": exchange.Credential{User: f.account(), Password: secret.NewValue("of last year")},
					}})
				if err != nil {
					panic(err) // of the lab itself
				}
			}),
		},
	}
}
