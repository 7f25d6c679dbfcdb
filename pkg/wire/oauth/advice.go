package oauth

import "net/http"

// advice is what to do about refusals that have their own remedy: by the OAuth error, then by
// Entra's number.
var advice = []struct {
	code   string // of OAuth; empty: any
	aadsts int    // 0: any
	hint   string
}{
	{"authorization_declined", 0, "the sign-in was declined in the browser: sign in again and confirm"},
	{"", 65004, "the sign-in was declined in the browser: sign in again and confirm"},
	{"access_denied", 53003, blocked},
	{"", 53003, blocked},
	{"", 530032, blocked},
	{"", 53000, "Conditional Access requires a managed device: sign in from one, or use an application with a " +
		"certificate"},
	{"access_denied", 0, "the sign-in was refused in the browser: run it again with an account that may sign in here"},
	{"expired_token", 0, expired},
	{"", 70019, expired},
	{"", 70020, expired},
	{"", 700016, "the application is not known in this tenant: check clientId and tenant in the answers file"},
	{"", 90002, "there is no such tenant: check the tenant in the answers file"},
	{"", 7000215, "the client secret is wrong: give its value, not its id"},
	{"", 7000222, "the client secret has expired: add one to the application and name it in the answers file"},
	{"", 700027, "the application does not know this certificate, or it has expired: add it to the application"},
	{"", 50059, "the tenant is not named: give its domain or id in the answers file"},
}

const (
	blocked = "Conditional Access blocks this sign-in: an administrator exempts the account from the policy on " +
		"device code flow, or use an application with a certificate"
	expired = "the code was not confirmed in time: run it again. A sign-in that Conditional Access blocks can also " +
		"stay unconfirmed until the code expires: the sign-in logs of Entra show it"
)

// Hint is what to do about the refusal; empty when this package has no advice for it.
func (e *Error) Hint() string {
	for _, a := range advice {
		if (a.code == "" || a.code == e.Code) && (a.aadsts == 0 || e.AADSTS(a.aadsts)) {
			return a.hint
		}
	}
	if e.Status == http.StatusTooManyRequests {
		return "the sign-in service asks for fewer requests; run it again in some minutes"
	}
	return ""
}
