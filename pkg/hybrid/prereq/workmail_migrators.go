package prereq

import (
	"context"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

var workMailMigratorChecks = []Check{
	{
		ID:       "workmail.migration-access",
		Title:    "No migration tool keeps access to mailboxes in WorkMail",
		Scope:    PerWorkMail,
		Severity: check.Warn,
		Needs:    []check.ID{"workmail.organization"},
		Reads:    fact.List(fact.WorkMailOrganization, fact.WorkMailRoles),
		Why: "Migration tools open mailboxes as an impersonation role, which an IAM user with access keys assumes. " +
			"Both stay when the migration is over: the keys open every mailbox that the role covers.",
		Fix: "Delete each role that no tool needs: aws workmail delete-impersonation-role. Then find the IAM users " +
			"of the tools (aws iam list-users; their policies allow workmail:AssumeImpersonationRole, or all of " +
			"WorkMail), and delete their access keys and the users: aws iam delete-access-key, aws iam delete-user. " +
			"hybridge reads no IAM users.",
		Run: func(ctx context.Context, in Input) check.Result {
			roles, err := fact.WorkMailRoles.In(ctx, in.WorkMail)
			if err != nil {
				return check.Unknown(err)
			}
			var others []string
			for _, r := range roles {
				if r.Name != fact.ExitRole {
					others = append(others, r.Name+" ("+r.Type+")")
				}
			}
			if len(others) == 0 {
				return check.Pass("no impersonation role besides that of hybridge")
			}
			return check.Warned("%s: %s; an IAM user of a migration tool may assume it",
				msg.Count(len(others), "%s impersonation role opens mailboxes",
					"%s impersonation roles open mailboxes"),
				strings.Join(others, ", ")).With("roles", others)
		},
	},
}
