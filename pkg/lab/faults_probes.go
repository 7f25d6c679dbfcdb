package lab

import (
	"context"
	"fmt"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/lab/organization"
)

// applicationRoles are what setup gives the account of Exchange Online's application.
var applicationRoles = []string{"UserApplication", "ArchiveApplication", "LegalHoldApplication", "Mailbox Search",
	"MailboxSearchApplication", "TeamMailboxLifecycleApplication", "MeetingGraphApplication"}

// roleAssignments is Get-ManagementRoleAssignment. The lab knows the roles of one account, that of
// Exchange Online's application.
func (f *forestSite) roleAssignments(_ context.Context, c organization.Call) ([]exchange.Object, error) {
	const account = "Exchange Online-ApplicationAccount"
	assignee, _ := c.Parameters["RoleAssignee"].(string)
	if !strings.HasSuffix(assignee, "/"+account) && assignee != account {
		return nil, &exchange.Error{Cmdlet: c.Cmdlet, Category: "NotSpecified",
			ExceptionType: "ManagementObjectNotFoundException",
			Message: fmt.Sprintf("The operation couldn't be performed because object '%s' couldn't be found.",
				assignee)}
	}
	var out []exchange.Object
	for _, role := range applicationRoles {
		if f.withoutRoles {
			break
		}
		out = append(out, exchange.NewObject(
			[]string{"Microsoft.Exchange.Management.RbacTasks.ExchangeRoleAssignmentPresentation"}, role+"-"+account,
			"Name", role+"-"+account, "Role", role, "RoleAssignee", f.domain+"/Users/"+account,
			"RoleAssigneeType", "User", "Enabled", true))
	}
	return out, nil
}

// probeFaults are faults that a probe of its own finds.
func probeFaults() []Fault {
	return []Fault{
		{
			ID: "lookup.answers-for-anyone", Diagnosis: "lookup.answers-for-anyone",
			Title: "what stands before contoso's EWS says that people who do not exist are free",
			late:  inContoso(func(f *forestSite) { f.premise.generous = true }),
		},
		{
			ID: "oauth.partner-roles-gone", Turns: turns("oauth.partner-roles"),
			Diagnosis: "oauth.linked-account-missing",
			Title:     "the account of contoso's partner application of Exchange Online has lost its roles",
			late:      inContoso(func(f *forestSite) { f.withoutRoles = true }),
		},
		{
			ID: "tenant.sharing-policies-differ", Turns: turns("tenant.sharing-policy"), Verdict: Warns,
			Diagnosis: "organization.sharing-policies-differ",
			Title:     "contoso's default sharing policy lets people show less than that of the tenant",
			late: inContoso(changes("SharingPolicy", "Default Sharing Policy", "Domains",
				[]string{"*:CalendarSharingFreeBusySimple"})),
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
						"Credentials": exchange.Credential{User: f.account(),
							Password: secret.NewValue("of last year")},
					}})
				if err != nil {
					panic(err) // of the lab itself
				}
			}),
		},
	}
}
