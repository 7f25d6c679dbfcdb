package lab

import (
	"context"
	"crypto"
	"crypto/x509/pkix"
	"encoding/base64"
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
	f.org.Handle("New-ExchangeCertificate", f.newCertificate)
	f.org.Handle("Export-ExchangeCertificate", f.exportCertificate)
}

func refusedCertificate(c organization.Call, format string, args ...any) error {
	return &exchange.Error{
		Cmdlet: c.Cmdlet, Category: "InvalidOperation", ExceptionType: "System.InvalidOperationException",
		Message: fmt.Sprintf(format, args...),
	}
}

func (f *forestSite) importCertificate(_ context.Context, c organization.Call) ([]exchange.Object, error) {
	if err := f.atServer(c); err != nil {
		return nil, err
	}
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
	return f.keep(c, &issued{cert: leaf, chain: chain, key: signer})
}

// keep puts a new certificate with its key into the store, and shows it. The key's owner may take
// it along when the call says so.
func (f *forestSite) keep(c organization.Call, have *issued) ([]exchange.Object, error) {
	f.mu.Lock()
	f.authCertificates = append(f.authCertificates, have)
	f.mu.Unlock()
	f.store(have, "None", string(have.cert.RawSubject) == string(have.cert.RawIssuer))
	r := f.org.Object("ExchangeCertificate", certificate.Thumbprint(have.cert))
	if exportable, ok := c.Parameters["PrivateKeyExportable"].(bool); ok {
		r.Set("PrivateKeyExportable", exportable)
	}
	if name, ok := c.Parameters["FriendlyName"].(string); ok {
		r.Set("FriendlyName", name)
	}
	found, _, err := f.org.Run(context.Background(), c.Caller, exchange.Command{
		Name: "Get-ExchangeCertificate", Parameters: map[string]any{"Thumbprint": certificate.Thumbprint(have.cert)},
	})
	return found, err
}

// newCertificate makes a self-signed certificate for five years. Requests to an authority are not
// simulated.
func (f *forestSite) newCertificate(_ context.Context, c organization.Call) ([]exchange.Object, error) {
	for _, name := range []string{"GenerateRequest", "RequestFile", "Instance", "KeySize"} {
		v, given := c.Parameters[name]
		if size, ok := v.(int64); ok && size == 2048 {
			continue
		}
		if given && v != false {
			return nil, refusedCertificate(c, "The lab doesn't simulate this: New-ExchangeCertificate -%s", name)
		}
	}
	if err := f.atServer(c); err != nil {
		return nil, err
	}
	// Without -Force Exchange asks whether the default SMTP certificate is to be replaced. SMTP is
	// the service of a new certificate, unless others are named.
	force, _ := c.Parameters["Force"].(bool)
	confirm, given := c.Parameters["Confirm"].(bool)
	if service, _ := c.Parameters["Services"].(string); !strings.EqualFold(service, "None") && !force &&
		(!given || confirm) {
		return nil, organization.CannotAsk(c)
	}
	names, _ := c.Parameters["DomainName"].([]string)
	subject := pkix.Name{CommonName: firstLabel(f.server)}
	if text, _ := c.Parameters["SubjectName"].(string); text != "" {
		subject = pkix.Name{}
		for part := range strings.SplitSeq(text, ",") {
			kind, value, _ := strings.Cut(part, "=")
			switch value = strings.TrimSpace(value); strings.ToUpper(strings.TrimSpace(kind)) {
			case "CN":
				subject.CommonName = value
			case "O":
				subject.Organization = []string{value}
			case "OU":
				subject.OrganizationalUnit = []string{value}
			case "L":
				subject.Locality = []string{value}
			case "S":
				subject.Province = []string{value}
			case "C":
				subject.Country = []string{value}
			default:
				return nil, refusedCertificate(c, "The X.500 distinguished name '%s' is invalid.", text)
			}
		}
	}
	if len(names) == 0 && !strings.Contains(subject.CommonName, " ") {
		names = []string{subject.CommonName}
	}
	if dry, _ := c.Parameters["WhatIf"].(bool); dry {
		return nil, nil
	}
	authority := &authority{now: f.now()}
	made, err := authority.issue(leaf{subject: subject, names: names, to: f.now().AddDate(5, 0, 0), rsa: true,
		selfSigned: true})
	if err != nil {
		return nil, refusedCertificate(c, "%v", err)
	}
	shown, err := f.keep(c, made)
	if services, ok := c.Parameters["Services"]; ok && err == nil {
		_, _, err = f.org.Run(context.Background(), c.Caller, exchange.Command{Name: "Enable-ExchangeCertificate",
			Parameters: map[string]any{"Thumbprint": certificate.Thumbprint(made.cert), "Services": services,
				"Force": true}})
	}
	return shown, err
}

// atServer refuses a call that names another server than the forest's.
func (f *forestSite) atServer(c organization.Call) error {
	server, given := c.Parameters["Server"].(string)
	if given && !strings.EqualFold(server, f.server) && !strings.EqualFold(server, firstLabel(f.server)) {
		return refusedCertificate(c, "The Exchange server '%s' wasn't found.", server)
	}
	return nil
}

// exportCertificate gives a certificate with its key as a PFX file under a password.
func (f *forestSite) exportCertificate(_ context.Context, c organization.Call) ([]exchange.Object, error) {
	thumbprint := thumbprintOf(c)
	r := f.org.Object("ExchangeCertificate", thumbprint)
	if r == nil {
		return nil, refusedCertificate(c, "The certificate with thumbprint %s was not found.", thumbprint)
	}
	f.mu.Lock()
	held := append(slices.Clone(f.authCertificates), f.transport, f.serverCertificate)
	f.mu.Unlock()
	i := slices.IndexFunc(held,
		func(h *issued) bool { return strings.EqualFold(certificate.Thumbprint(h.cert), thumbprint) })
	password, _ := c.Parameters["Password"].(secret.Value)
	if i < 0 || !r.Bool("PrivateKeyExportable") {
		return nil, refusedCertificate(c, "The private key of the certificate with thumbprint %s can't be exported.",
			thumbprint)
	}
	file, err := pkcs12.Modern.Encode(held[i].key, held[i].cert, held[i].chain, password.Reveal())
	if err != nil {
		return nil, refusedCertificate(c, "%v", err)
	}
	data := any(file)
	if binary, _ := c.Parameters["BinaryEncoded"].(bool); !binary {
		data = base64.StdEncoding.EncodeToString(file)
	}
	return []exchange.Object{exchange.NewObject(
		[]string{"Microsoft.Exchange.Management.SystemConfigurationTasks.BinaryFileDataObject"}, "",
		"FileData", data, "Identity", nil, "IsValid", true, "ObjectState", "New")}, nil
}

// thumbprintOf is the certificate that a call names by thumbprint, or by SERVER\THUMBPRINT.
func thumbprintOf(c organization.Call) string {
	thumbprint, _ := c.Parameters["Thumbprint"].(string)
	if identity, ok := c.Parameters["Identity"].(string); ok && thumbprint == "" {
		_, thumbprint, _ = strings.Cut(identity, `\`)
	}
	return thumbprint
}

func (f *forestSite) enableCertificate(_ context.Context, c organization.Call) ([]exchange.Object, error) {
	thumbprint := thumbprintOf(c)
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
