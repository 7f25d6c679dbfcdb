package deployment

import (
	"context"
	"path/filepath"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/estate/workmail"
)

// End is the retirement of a service that a deployment uses.
type End struct {
	What string
	Last string    // the day that is published
	From time.Time // the service is gone
}

// Ends lists the retirements that concern the answers.
func Ends(a answers.Answers) []End {
	var out []End
	if a.ExchangeOnline != nil {
		out = append(out, End{"EWS in Exchange Online", cloud.EWSEnds.Format(time.DateOnly), cloud.EWSEnds})
	}
	if a.WorkMail != nil {
		out = append(out, End{"Amazon WorkMail", workmail.EndOfSupport.AddDate(0, 0, -1).Format(time.DateOnly),
			workmail.EndOfSupport})
	}
	return out
}

// CertificateEnds lists when the certificates end whose files the answers name, relative to dir. It
// asks nobody: files with a password that a person or a keyring gives are left out, and so are those
// that cannot be read. The checks say more.
func CertificateEnds(ctx context.Context, a answers.Answers, dir string) []End {
	var out []End
	add := func(of string, c *answers.Certificate) {
		if c == nil || c.PFX == "" {
			return
		}
		var password secret.Value
		if c.Password != "" {
			source, _, _ := c.Password.Source()
			if source != secret.File && source != secret.Env {
				return
			}
			var err error
			if password, err = (secret.Resolver{Dir: dir}).Resolve(ctx, c.Password, "password of "+c.PFX); err != nil {
				return
			}
		}
		path := strings.TrimPrefix(c.PFX, "file:")
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		if b, err := certificate.Load(path, password); err == nil {
			out = append(out, End{of + ": " + c.PFX, b.Leaf.NotAfter.Format(time.DateOnly), b.Leaf.NotAfter})
		}
	}
	for _, f := range a.Forests {
		add(f.Name, f.Certificate)
		add(f.Name, f.AuthCertificate)
	}
	if o := a.ExchangeOnline; o != nil && o.Credential.Kind == answers.CredentialCertificate {
		add(o.Tenant, &answers.Certificate{PFX: o.Credential.PFX, Password: o.Credential.Password})
	}
	return out
}
