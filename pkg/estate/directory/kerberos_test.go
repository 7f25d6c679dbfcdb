package directory

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// TestNoTicket: no user has signed in; that is not an unreachable server.
func TestNoTicket(t *testing.T) {
	dir := t.TempDir()
	conf := filepath.Join(dir, "krb5.conf")
	if err := os.WriteFile(conf, []byte("[libdefaults]\n default_realm = CONTOSO.EXAMPLE\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	bind := answers.Credential{Kind: answers.CredentialKerberos, TicketCache: filepath.Join(dir, "absent"),
		Krb5Config: conf}
	_, err := newSecurityContext(&Config{Directory: answers.Directory{Domain: "contoso.example", Bind: bind}})
	if err == nil || !errors.Is(kerberosError(err), link.ErrAccess) || !strings.Contains(err.Error(), "run kinit") {
		t.Errorf("got %v", err)
	}
}
