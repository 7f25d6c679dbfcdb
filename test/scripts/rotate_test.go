package scripts

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/engine/apply"
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/deployment"
	"github.com/hybridge-cli/hybridge/pkg/lab"
)

// TestRotationScriptsAgainstStandIns runs the scripts of a rotation of the transport certificate
// and of the stages of an auth certificate, and their rollback scripts: every call is the plan's
// change, hostile names among them. The stand-in opens the file with the password, and makes a certificate whose key goes to
// Entra.
func TestRotationScriptsAgainstStandIns(t *testing.T) {
	l, d := openOne(t)
	consents := apply.Options{StateDir: t.TempDir()}
	for _, c := range deployment.Consents() {
		consents.Accept = append(consents.Accept, c.ID)
	}
	carryOut := func(p change.Plan) {
		t.Helper()
		if done, err := d.Apply(t.Context(), p, consents, silent{}); err != nil {
			t.Fatalf("%v: %+v", err, done)
		}
	}
	p, err := d.Plan(t.Context(), silent{})
	if err != nil {
		t.Fatal(err)
	}
	carryOut(p)
	pfx, password, err := l.Renew("contoso",
		lab.Renewal{CommonName: "mail2.contoso.example", Issuer: "hybridge lab CA 2"})
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(pfx)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(strings.TrimPrefix(string(password), "file:"))
	if err != nil {
		t.Fatal(err)
	}
	secrets := map[string]string{
		"binary:" + pfx: base64.StdEncoding.EncodeToString(content), string(password): strings.TrimSpace(string(text)),
	}
	dir := t.TempDir()
	for _, r := range []struct {
		name    string
		changes int
		deployment.Rotation
	}{
		{"transport", 6, deployment.Rotation{Forest: "contoso", PFX: pfx, Password: password,
			Services: []string{"SMTP"}}},
		{"stage", 3, deployment.Rotation{Auth: "stage"}},
		{"publish", 1, deployment.Rotation{Auth: "publish"}},
		{"clean", 2, deployment.Rotation{Auth: "clean"}},
	} {
		p, err := d.Rotate(t.Context(), r.Rotation, silent{})
		if err != nil || len(p.Changes) != r.changes {
			t.Fatalf("%s: %v, %+v", r.name, err, p)
		}
		evil, unkindly := unkind(p)
		if r.PFX != "" && unkindly < 2 {
			t.Errorf("%s: %d hostile names", r.name, unkindly)
		}
		s := written(t, d, evil)
		if r.PFX != "" {
			s.secrets = secrets
		}
		t.Run(r.name, func(t *testing.T) { s.standIns(t, "Module") })
		for _, script := range append(s.scripts, s.undo...) {
			name := fmt.Sprintf("%s-%s", r.name, strings.ReplaceAll(script.Name, "/", "-"))
			if err := os.WriteFile(filepath.Join(dir, name), script.Content, 0o600); err != nil {
				t.Fatal(err)
			}
			for _, secret := range secrets {
				if strings.Contains(string(script.Content), secret) {
					t.Errorf("%s holds a secret", name)
				}
			}
		}
		if r.PFX == "" {
			carryOut(p)
		}
	}
	sound(t, dir)
}
