package answers

import (
	"strings"
	"testing"
)

// TestHybridLeaves loads an organization that leaves hybrid, and refuses what contradicts itself.
func TestHybridLeaves(t *testing.T) {
	const file = `apiVersion: hybridge/v1
kind: Answers
organization: Contoso
exchangeOnline: {cloud: worldwide, tenant: contoso.onmicrosoft.com, credential: {kind: deviceCode}}
forests:
  - name: contoso
    domains: [contoso.com]
    namespace: {autodiscover: autodiscover.contoso.com, ews: mail.contoso.com, smtp: mail.contoso.com}
    directory: {servers: [dc1.contoso.com], bind: {kind: kerberos}}
    exchange: {server: ex1.contoso.com, credential: {kind: kerberos}}
`
	for _, tt := range []struct{ name, hybrid, want string }{
		{"leaving", "{state: leaving, leaveBehind: [relays], filtered: [Contoso.com]}", ""},
		{"it stays", "{leaveBehind: [relays]}", "belong to the way out of hybrid"},
		{"it stays, behind a filter", "{filtered: [contoso.com]}", "belong to the way out of hybrid"},
		{"another state", "{state: gone}", "leaving"},
		{"mailboxes stay", "{state: leaving, leaveBehind: [mailboxes]}", "mailboxes"},
		{"a domain of no forest", "{state: leaving, filtered: [fabrikam.com]}", "is a domain of no forest"},
		{"no domain", "{state: leaving, filtered: ['https://contoso.com']}", "filtered"},
		{"twice", "{state: leaving, filtered: [contoso.com, Contoso.com]}", "is listed before"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, err := Parse("answers.yaml", []byte(file+"hybrid: "+tt.hybrid+"\n"))
			switch {
			case tt.want != "":
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("%v, want %q", err, tt.want)
				}
			case err != nil:
				t.Error(err)
			case !a.Hybrid.IsLeaving() || !a.Hybrid.LeavesBehind(RemainRelays) || a.Hybrid.Filtered[0] != "contoso.com":
				t.Errorf("%+v", a.Hybrid)
			}
		})
	}
	if _, err := Parse("answers.yaml", []byte(shared+"hybrid: {state: leaving}\n")); err == nil ||
		!strings.Contains(err.Error(), "there is no hybrid to leave") {
		t.Errorf("without a tenant: %v", err)
	}
}
