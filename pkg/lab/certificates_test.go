package lab

import (
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/lab/organization"
)

// TestCertificatesAreMade: a new certificate leaves with its key and comes back.
func TestCertificatesAreMade(t *testing.T) {
	f := start(t).contoso()
	try := func(cmdlet string, pairs ...any) ([]exchange.Object, error) {
		c := exchange.Command{Name: cmdlet, Parameters: map[string]any{}}
		for i := 0; i < len(pairs); i += 2 {
			c.Parameters[pairs[i].(string)] = pairs[i+1]
		}
		objects, _, err := f.org.Run(t.Context(), organization.Caller{}, c)
		return objects, err
	}
	password := secret.NewValue("pass")
	if _, err := try("New-ExchangeCertificate", "SubjectName", "CN=a"); err == nil {
		t.Error("replaced the SMTP certificate without asking")
	}
	made, err := try("New-ExchangeCertificate", "SubjectName", "CN=Microsoft Exchange Server Auth Certificate",
		"DomainName", []string{}, "PrivateKeyExportable", true, "Force", true, "KeySize", 2048)
	if err != nil || len(made) != 1 {
		t.Fatal(made, err)
	}
	thumbprint, err := made[0].String("Thumbprint")
	if err != nil {
		t.Fatal(err)
	}
	file, err := try("Export-ExchangeCertificate", "Thumbprint", thumbprint, "Password", password, "BinaryEncoded",
		true)
	if err != nil || len(file) != 1 {
		t.Fatal(file, err)
	}
	data, err := file[0].Bytes("FileData")
	if err != nil {
		t.Fatal(err)
	}
	run(t, f.org, "Remove-ExchangeCertificate", "Thumbprint", thumbprint, "Confirm", false)
	run(t, f.org, "Import-ExchangeCertificate", "FileData", data, "Password", password)
	if _, err := try("Export-ExchangeCertificate", "Thumbprint", thumbprint, "Password", password); err == nil {
		t.Error("exported a key that was imported to stay")
	}
	if r := f.org.Object("ExchangeCertificate", thumbprint); r == nil || r.String("Subject") !=
		"CN=Microsoft Exchange Server Auth Certificate" {
		t.Errorf("the certificate came back as %v", r)
	}
}
