package prereq

import (
	"context"
	"errors"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/desired"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// leaves is the answer of checks of what the way out takes away.
func leaves() check.Result {
	return check.NotApplicable("the organization leaves WorkMail: workmail.way-out says how far it is")
}

var workMailExitChecks = []Check{
	{
		ID:       "workmail.way-out",
		Title:    "Everyone has left WorkMail",
		Scope:    PerWorkMail,
		Severity: check.Warn,
		Needs:    []check.ID{"workmail.organization"},
		Reads: fact.List(fact.WorkMailOrganization, fact.WorkMailUsers, fact.WorkMailGroups, fact.WorkMailDomains,
			fact.WorkMailAvailabilities, fact.WorkMailExports, fact.WorkMailRoles, fact.WorkMailFolders,
			fact.Recipients, fact.Leavers, fact.MailboxFolders),
		Compares: true,
		Why: "The way out goes in stages. 1: the mailbox of a user is in WorkMail. 2: it is in Exchange, and its " +
			"content is not there yet. 3: the content is there, and the user can be deregistered. 4: no user is " +
			"left, and the organization can be taken apart. What is still in WorkMail on 2027-03-31 is lost.",
		Fix: "Run hybridge plan and hybridge apply: each plan holds what the present stage of every user allows. " +
			"Carry over the content of those in stage 2 (docs/tasks.md#leave-workmail).",
		Run: func(ctx context.Context, in Input) check.Result {
			if !in.Answers.WorkMail.IsLeaving() {
				return check.NotApplicable("the organization stays in WorkMail (workmail.state)")
			}
			plan, err := desired.Comparison.In(ctx, in.Organization)
			switch {
			case errors.Is(err, desired.ErrRefused), errors.Is(err, desired.ErrNotReady):
				return check.NotApplicable("nothing can be planned: %s", err.Error())
			case err != nil:
				return check.Unknown(err)
			}
			return judgeWayOut(desired.WayOut(plan))
		},
	},
}

func judgeWayOut(s desired.Stages) check.Result {
	if s.Err != nil {
		return check.Unknown(s.Err)
	}
	var parts []msg.Text
	evidence := map[string][]string{}
	for _, group := range []struct {
		name      string
		one, many string
		users     []desired.Leaving
	}{
		{"mailbox", "%s has the mailbox in WorkMail", "%s have the mailbox in WorkMail", s.Mailbox},
		{"content", "%s has the mailbox in Exchange and waits for its content",
			"%s have the mailbox in Exchange and wait for their content", s.Content},
		{"deregistration", "%s can be deregistered", "%s can be deregistered", s.Deregistration},
	} {
		var lines []string
		for _, u := range group.users {
			line := u.User
			if !u.Waits.IsZero() {
				line += ": " + u.Waits.String()
			}
			lines = append(lines, line)
		}
		if n := len(lines); n > 0 {
			parts = append(parts, msg.Count(n, group.one, group.many))
			evidence[group.name] = firstOf(lines, 100)
		}
	}
	switch {
	case len(parts) > 0:
		r := check.Warned("stages 1 to 3: %s", msg.Join(parts, ", "))
		for name, lines := range evidence {
			r = r.With(name, lines)
		}
		return r
	case len(s.Organization) > 0:
		return check.Warned("stage 4: no user is left, and these are: %s", someOf(s.Organization)).
			With("organization", firstOf(s.Organization, 100))
	}
	return check.Pass("no user is left in WorkMail, and nothing leads there")
}
