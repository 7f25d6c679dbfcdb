package answers

import (
	"strings"
	"testing"
)

const shared = `apiVersion: hybridge/v1
kind: Answers
organization: Contoso
workmail:
  region: eu-west-1
  organization: Contoso
  account: {user: svc-wm@contoso.com, password: env:WM}
  users: [bob@contoso.com]
forests:
  - name: contoso
    domains: [contoso.com]
    namespace: {autodiscover: autodiscover.contoso.com, ews: mail.contoso.com, smtp: mail.contoso.com}
    directory: {servers: [dc1.contoso.com], bind: {kind: kerberos}}
    exchange: {server: ex1.contoso.com, credential: {kind: kerberos}}
    workmail: {user: contoso\svc-ex, password: env:EX}
`

// TestWorkMail loads an organization that shares its domain with WorkMail.
func TestWorkMail(t *testing.T) {
	a, err := Parse("answers.yaml", []byte(shared))
	if err != nil {
		t.Fatal(err)
	}
	if a.WorkMail.Organization != "contoso" || a.Forests[0].WorkMail.User != `contoso\svc-ex` {
		t.Errorf("got %+v, %+v", a.WorkMail, a.Forests[0].WorkMail)
	}
}

// TestWorkMailFaults refuses what WorkMail would refuse, before anything is asked.
func TestWorkMailFaults(t *testing.T) {
	for _, tt := range []struct{ name, old, new, want string }{
		{"a domain for the alias", "organization: Contoso\n  account", "organization: contoso.awsapps.com\n  account",
			"write the alias alone: contoso"},
		{"a directory id", "organization: Contoso\n  account", "organization: d-1234567890\n  account",
			"neither the alias"},
		{"a directory without its prefix", "organization: Contoso\n  account",
			"organization: Contoso\n  directory: 906781cc3a\n  account", "not the id of a directory"},
		{"a directory of an organization that exists", "organization: Contoso\n  account",
			"organization: m-0123456789abcdef0123456789abcdef\n  directory: d-906781cc3a\n  account", "by its alias"},
		{"a directory on the way out", "organization: Contoso\n  account",
			"organization: Contoso\n  directory: d-906781cc3a\n  state: leaving\n  to: exchange\n  account",
			"leaves WorkMail"},
		{"a cut id", "organization: Contoso\n  account",
			"organization: m-0123456789abcdef0123456789abcdeg\n  account", "32 hexadecimal digits"},
		{"an apostrophe", "users: [bob@contoso.com]", `users: ["o'neil@contoso.com"]`,
			"cannot be an address in WorkMail"},
		{"twice", "users: [bob@contoso.com]", "users: [bob@contoso.com]\n  groups: [Bob@contoso.com]",
			"in workmail.users already"},
		{"both providers", "password: env:EX}", "password: env:EX, " +
			"lambda: \"arn:aws:lambda:eu-west-1:123456789012:function:cap\"}", "not by both"},
		{"no ARN", `{user: contoso\svc-ex, password: env:EX}`, "{lambda: cap}", "not the ARN"},
		{"no password", `{user: contoso\svc-ex, password: env:EX}`, `{user: contoso\svc-ex}`, "EWS needs it"},
		{"no provider", `{user: contoso\svc-ex, password: env:EX}`, `{}`, "and so is lambda"},
		{"beyond Latin-1", `contoso\svc-ex`, `contoso\svc-łódź`, "beyond Latin-1"},
		{"a plain password", "password: env:EX", "password: hunter2", "plain value"},
		{"profile and key", "  account:", "  profile: admin\n  credential: {kind: secret, clientId: AKIA1, " +
			"secret: env:KEY}\n  account:", "remove one of the two"},
		{"no organization", "workmail:\n  region: eu-west-1\n  organization: Contoso\n  account: {user: " +
			"svc-wm@contoso.com, password: env:WM}\n  users: [bob@contoso.com]\n",
			"exchangeOnline: {cloud: worldwide, tenant: contoso.onmicrosoft.com, credential: {kind: deviceCode}}\n",
			"names no WorkMail organization"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Replace(shared, tt.old, tt.new, 1)
			if text == shared {
				t.Fatal("the text is not in the file")
			}
			_, err := Parse("answers.yaml", []byte(text))
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
