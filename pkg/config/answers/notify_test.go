package answers

import (
	"strings"
	"testing"
)

const receiving = `apiVersion: hybridge/v1
kind: Answers
organization: Contoso
exchangeOnline: {cloud: worldwide, tenant: contoso.onmicrosoft.com, credential: {kind: deviceCode}}
forests:
  - name: contoso
    directory: {servers: [dc1.contoso.com], bind: {kind: kerberos}}
    exchange: {server: ex1.contoso.com, credential: {kind: kerberos}}
    namespace: {autodiscover: autodiscover.contoso.com, ews: mail.contoso.com, smtp: mail.contoso.com}
    domains: [contoso.com]
notify:
  - {kind: webhook, url: "https://hooks.contoso.com/hybridge", secret: env:KEY}
  - {kind: teams, urlSecret: env:TEAMS}
`

// Receivers of messages: an address that contains a key is a reference.
func TestNotify(t *testing.T) {
	a, err := Parse("answers.yaml", []byte(receiving))
	if err != nil || len(a.Notify) != 2 || a.Notify[1].URLSecret != "env:TEAMS" {
		t.Fatalf("%+v, %v", a.Notify, err)
	}
	for _, tt := range []struct{ name, old, new, want string }{
		{"http", "https://hooks", "http://hooks", "is not https"},
		{"a query", "/hybridge\"", "/hybridge?sig=s3cret\"", "which may be a key"},
		{"a password", "https://hooks", "https://me:s3cret@hooks", "remove the part before the @"},
		{"a key of Teams in the open", "urlSecret: env:TEAMS", "url: \"https://x.logic.azure.com/invoke?sig=s3cret\"",
			"contains its key"},
		{"a plain secret", "urlSecret: env:TEAMS", "urlSecret: \"https://x/s3cret\"", "plain value"},
		{"no address", ", urlSecret: env:TEAMS", "", "add url, or urlSecret"},
		{"two addresses", "secret: env:KEY", "urlSecret: env:KEY", "two addresses"},
		{"another kind", "kind: teams", "kind: slack", "webhook"},
		{"twice", "kind: teams, urlSecret: env:TEAMS", "kind: webhook, url: \"https://hooks.contoso.com/hybridge\"",
			"was given before, on line 12"},
	} {
		text := strings.Replace(receiving, tt.old, tt.new, 1)
		if text == receiving {
			t.Fatal("the text is not in the file")
		}
		if _, err := Parse("answers.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), tt.want) ||
			strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}
