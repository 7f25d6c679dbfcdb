package prereq

import (
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// unseen returns the result of a check of users when the directory does not show what the check
// judges. A directory omits what an account may not read. Nothing shown is no verdict: it is
// unknown.
func unseen(f *fact.Side, scan fact.UserScan, shown int, attribute string) (check.Result, bool) {
	account := f.Answers.Directory.Bind.User
	if account == "" {
		account = "the account"
	}
	switch {
	case scan.Users == 0:
		return lacksRight(f, msg.Of("the directory shows %s no user with mail: the account may lack the right to read "+
			"users, or the domain has none", account), "objectCategory"), true
	case scan.Mailboxes+scan.HiddenCount > 0 && shown == 0:
		return lacksRight(f, msg.Of("the directory shows %s %s and %s of none: the account may lack the right to "+
			"read it", account, msg.Count(scan.Users, "%s user", "%s users"), attribute), attribute), true
	}
	return check.Result{}, false
}

// partlyUnseen returns the result of a check that found no fault among the addresses it was shown.
func partlyUnseen(f *fact.Side, scan fact.UserScan) (check.Result, bool) {
	if scan.HiddenCount == 0 {
		return check.Result{}, false
	}
	return lacksRight(f, msg.Of("%s mail and no proxyAddresses, first: %s: the account may lack the right to read them",
		msg.Count(scan.HiddenCount, "%s mailbox shows", "%s mailboxes show"), scan.Hidden[0]), "proxyAddresses").
		With("hidden", firstOf(scan.Hidden, 100)), true
}

func lacksRight(f *fact.Side, summary msg.Text, attribute string) check.Result {
	r := check.Result{Status: check.StatusSkip, Summary: summary, Cause: fact.ErrHidden}
	r.MissingRights = []msg.Text{msg.Of("Read property %s of users in %s", attribute, f.Name())}
	return r.Fix("Compare the attribute %s of a user in ADSI Edit as this account and as an administrator. dsacls "+
		"shows "+
		"for an organizational unit where the right is denied: grant it there.", attribute)
}
