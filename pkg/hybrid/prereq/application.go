package prereq

import (
	"cmp"
	"context"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

var applicationCheck = Check{
	ID:    "oauth.application",
	Title: "The dedicated application is Exchange's own, with its keys",
	Scope: PerForest,
	Needs: []check.ID{"access.onprem-read", "access.entra-read"},
	Reads: fact.List(fact.DedicatedApplication, fact.Applications, fact.Auth),
	Why: "Exchange signs in to the tenant as this application, and its permission opens every mailbox. Any user of " +
		"the tenant may register an application of the same name with a key of his own, so a name is no proof: " +
		"the auth server of the tenant names the application, or the answers do.",
	Fix: "hybridge plan adds the auth certificates to the application and binds it to the auth server.",
	Consider: "The owner of the private key of any certificate at the application can sign in as the application. " +
		"Keys of others stay: look at them.",
	Run: func(ctx context.Context, in Input) check.Result {
		app, err := fact.DedicatedApplication.In(ctx, in.Forest)
		if err != nil {
			return check.Unknown(err)
		}
		if app.AppID == "" && len(app.Doubtful) > 0 {
			return doubtful(in, app)
		}
		auth, err := fact.Auth.In(ctx, in.Forest)
		if err != nil {
			return check.Unknown(err)
		}
		name := cmp.Or(app.DisplayName, app.Name) + " (" + app.AppID + ")"
		switch {
		case app.AppID == "" && app.Stale != "":
			return check.Failed("the auth server of the tenant names application %s, which the tenant does not have",
				app.Stale).
				Because("Lookups from on-premises are refused with AADSTS700016: the application was deleted, and "+
					"the auth server still names it.").
				Fix("hybridge plan makes a new application and binds it to the auth server; take %s off "+
					"EwsAllowedAppIDs.", app.Stale)
		case app.AppID == "":
			return check.Pass("there is no dedicated application yet; hybridge plan makes one")
		}
		var lacking []string
		current := false
		for i, c := range auth.Certificates() {
			if !app.Holds(c, in.Now()) && c.NotAfter.After(in.Now()) {
				lacking = append(lacking, []string{auth.Current, auth.Next}[i])
				current = current || i == 0
			}
		}
		foreign := app.Foreign(auth.Known(), in.Now())
		switch {
		case current:
			return check.Failed("application %s has no valid key of the auth certificate %s", name, lacking[0]).
				Because("Lookups from on-premises are refused with AADSTS700027.").With("lacking", lacking)
		case len(lacking) > 0:
			return check.Warned("application %s lacks the next auth certificate %s", name, lacking[0]).
				Because("Lookups from on-premises are refused with AADSTS700027 as soon as that certificate becomes "+
					"the current one.").With("lacking", lacking)
		case len(foreign)+app.Passwords+app.Federated > 0:
			return check.Warned("application %s can be used without the auth certificates: %s", name,
				ways(app, foreign)).
				Because("The holder of such a key can open every mailbox of the tenant.").
				Fix("Find out whose they are, and remove them in the Entra admin center (App registrations). " +
					"hybridge leaves them alone.")
		case app.SignInAudience != "" && app.SignInAudience != "AzureADMyOrg":
			return check.Warned("accounts of other tenants may sign in to application %s (%s)", name,
				app.SignInAudience).
				Fix("Set signInAudience of the application to AzureADMyOrg.")
		}
		return check.Pass("%s, with the auth certificates of %s", name, in.Forest.Name())
	},
}

// doubtful returns the finding about applications that have only the name.
func doubtful(in Input, app fact.Dedicated) check.Result {
	var found []msg.Text
	var consents []string
	for _, d := range app.Doubtful {
		found = append(found, msg.Of("%s: %s", d.AppID, d.Why))
		consents = append(consents, d.Consents...)
	}
	r := check.Failed("%s named %s may not be Exchange's: %s",
		msg.Count(len(app.Doubtful), "%s application", "%s applications"), app.Name, some(found)).
		Fix("Delete the application, or, when it is Exchange's, write its appId into forests[].applicationId of %s. "+
			"hybridge plans nothing for it until then.", in.Forest.Name())
	if len(consents) > 0 {
		r = r.Because("It holds consents (%s): find out who gave them.", strings.Join(consents, ", "))
	}
	return r.With("consents", consents)
}

// ways counts the ways to sign in as an application that are not Exchange's.
func ways(app fact.Dedicated, foreign []any) msg.Text {
	var out []msg.Text
	if n := len(foreign); n > 0 {
		var ids []string
		for _, k := range foreign {
			ids = append(ids, fact.Credential(k).KeyID)
		}
		out = append(out, msg.Of("%s (keyId %s)", msg.Count(n, "%s other key", "%s other keys"),
			strings.Join(ids, ", ")))
	}
	if app.Passwords > 0 {
		out = append(out, msg.Count(app.Passwords, "%s client secret", "%s client secrets"))
	}
	if app.Federated > 0 {
		out = append(out, msg.Count(app.Federated, "%s federated credential", "%s federated credentials"))
	}
	return msg.Join(out, ", ")
}
