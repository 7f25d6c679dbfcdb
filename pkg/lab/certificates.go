package lab

import (
	"context"
	"crypto"
	"fmt"
	"slices"
	"strings"
	"time"

	"software.sslmate.com/src/go-pkcs12"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/lab/organization"
)

// keeps makes the cmdlets of the certificate store work with real certificates. An imported
// certificate can sign, as an auth certificate does.
func (f *forestSite) keeps() {
	f.org.Handle("Import-ExchangeCertificate", f.importCertificate)
	f.org.Handle("Enable-ExchangeCertificate", f.enableCertificate)
}

func refusedCertificate(c organization.Call, format string, args ...any) error {
	return &exchange.Error{
		Cmdlet: c.Cmdlet, Category: "InvalidOperation", ExceptionType: "System.InvalidOperationException",
		Message: fmt.Sprintf(format, args...),
	}
}

func (f *forestSite) importCertificate(_ context.Context, c organization.Call) ([]exchange.Object, error) {
	data, _ := c.Parameters["FileData"].([]byte)
	if data == nil {
		return nil, refusedCertificate(c, "The lab doesn't simulate this: Import-ExchangeCertificate without FileData")
	}
	password := ""
	if p, ok := c.Parameters["Password"].(secret.Value); ok {
		password = p.Reveal()
	}
	key, leaf, chain, err := pkcs12.DecodeChain(data, password)
	if err != nil {
		return nil, refusedCertificate(c,
			"Cannot import certificate. Either a PFX file with this password or a valid PKCS#7 or .cer file is "+
				"required.")
	}
	thumbprint := certificate.Thumbprint(leaf)
	if f.installed(thumbprint) {
		return nil, refusedCertificate(c,
			"Cannot import certificate. A certificate with the thumbprint %s already exists.", thumbprint)
	}
	if dry, _ := c.Parameters["WhatIf"].(bool); dry {
		return nil, nil
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, refusedCertificate(c, "Cannot import certificate. Its private key cannot sign.")
	}
	have := &issued{cert: leaf, chain: chain, key: signer}
	f.mu.Lock()
	f.authCertificates = append(f.authCertificates, have)
	f.mu.Unlock()
	f.store(have, "None", string(leaf.RawSubject) == string(leaf.RawIssuer))
	found, _, err := f.org.Run(context.Background(), c.Caller, exchange.Command{
		Name: "Get-ExchangeCertificate", Parameters: map[string]any{"Thumbprint": thumbprint},
	})
	return found, err
}

func (f *forestSite) enableCertificate(_ context.Context, c organization.Call) ([]exchange.Object, error) {
	thumbprint, _ := c.Parameters["Thumbprint"].(string)
	if thumbprint == "" {
		identity, _ := c.Parameters["Identity"].(string)
		_, thumbprint, _ = strings.Cut(identity, `\`)
	}
	var services []string
	switch given := c.Parameters["Services"].(type) {
	case string:
		services = strings.Split(given, ",")
	case []string:
		services = given
	}
	for _, r := range f.org.Objects("ExchangeCertificate") {
		if !strings.EqualFold(r.String("Thumbprint"), thumbprint) {
			continue
		}
		if ends, ok := r.Get("NotAfter").(time.Time); ok && f.now().After(ends) {
			return nil, refusedCertificate(c, "The certificate with thumbprint %s has expired and can't be enabled.",
				thumbprint)
		}
		// Without -Force Exchange asks whether the default SMTP certificate is to be replaced.
		force, _ := c.Parameters["Force"].(bool)
		smtp := slices.ContainsFunc(services,
			func(s string) bool { return strings.EqualFold(strings.TrimSpace(s), "SMTP") })
		if confirm, given := c.Parameters["Confirm"].(bool); smtp && !force && (!given || confirm) {
			return nil, organization.CannotAsk(c)
		}
		if dry, _ := c.Parameters["WhatIf"].(bool); dry {
			return nil, nil
		}
		var on []string
		for _, s := range append(strings.Split(r.String("Services"), ","), services...) {
			s = strings.TrimSpace(s)
			if s != "" && !strings.EqualFold(s, "None") &&
				!slices.ContainsFunc(on, func(o string) bool { return strings.EqualFold(o, s) }) {
				on = append(on, s)
			}
		}
		r.Set("Services", strings.Join(on, ", "))
		return nil, nil
	}
	return nil, refusedCertificate(c, "The certificate with thumbprint %s was not found.", thumbprint)
}
