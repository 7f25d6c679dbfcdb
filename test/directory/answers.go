//go:build linux

package directory

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// WriteAnswers writes the answers with which `hybridge check -f` reads the forests, the expected
// findings, and the certificate authorities of both in one file. Only the directory checks can run:
// there is no Exchange behind the forests.
func WriteAnswers(dir string, forests []*Forest) error {
	var authorities strings.Builder
	planted := map[string]Expect{}
	for _, f := range forests {
		ca, err := os.ReadFile(f.CAFile)
		if err != nil {
			return err
		}
		authorities.Write(ca)
		planted[f.Name] = Planted(f.Name).Expect
	}
	expect, err := json.MarshalIndent(planted, "", "  ")
	if err != nil {
		return err
	}
	files := map[string]string{"ca.pem": authorities.String(), "password": forestPassword,
		"planted.json": string(expect) + "\n"}
	for name, kerberos := range map[string]bool{"answers.yaml": false, "answers-kerberos.yaml": true} {
		files[name] = answersFile(forests, kerberos)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func answersFile(forests []*Forest, kerberos bool) string {
	var b strings.Builder
	b.WriteString("apiVersion: hybridge/v1\nkind: Answers\norganization: Two Samba forests\nfeatures: [freeBusy]\n" +
		"exchangeOnline:\n  cloud: worldwide\n  tenant: contoso.onmicrosoft.com\n  credential: {kind: secret, " +
		"clientId: 1d2e3f40-0000-4000-8000-000000000002, secret: file:password}\nforests:\n")
	for _, f := range forests {
		bind := fmt.Sprintf("{kind: password, user: %s, password: file:password}", f.Reader)
		if kerberos {
			bind = fmt.Sprintf("{kind: keytab, user: %s, keytab: %s, krb5Config: %s}", f.Reader, f.Keytab, f.Krb5Config)
		}
		fmt.Fprintf(&b, `  - name: %[1]s
    directory:
      domain: %[2]s
      servers: [%[3]s]
      bind: %[4]s
    exchange:
      server: ex1.%[2]s
      url: https://ex1.%[2]s/PowerShell/
      credential: {kind: basic, user: %[5]s, password: file:password}
    namespace: {autodiscover: autodiscover.%[2]s, ews: mail.%[2]s, smtp: mail.%[2]s}
    domains: [%[2]s]
`, f.Name, f.Domain, f.Host, bind, f.Reader)
	}
	b.WriteString("network:\n  caFile: ca.pem\n  connectTo:\n")
	for _, f := range forests {
		fmt.Fprintf(&b, "    - \"%s:636=%s:636\"\n    - \"%[1]s:389=%[2]s:389\"\n", f.Host, f.Address)
	}
	// Only the directories answer. Connections to Exchange and the cloud must not leave the
	// machine.
	b.WriteString("    - \":443=127.0.0.1:9\"\n    - \":80=127.0.0.1:9\"\n  resolvers: [\"127.0.0.1:9\"]\n")
	return b.String()
}
