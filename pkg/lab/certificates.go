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
	s, err := f.serverOf(c)
	if err != nil {
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
	if s.stored(thumbprint) != nil {
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
	return s.take(c, &issued{cert: leaf, chain: chain, key: signer})
}

// take puts a new certificate with its key into the store, and shows it. The key's owner may take
// it along when the call says so.
func (s *exchangeServer) take(c organization.Call, have *issued) ([]exchange.Object, error) {
	s.keep(have, "None", string(have.cert.RawSubject) == string(have.cert.RawIssuer))
	r := s.stored(certificate.Thumbprint(have.cert))
	if exportable, ok := c.Parameters["PrivateKeyExportable"].(bool); ok {
		r.Set("PrivateKeyExportable", exportable)
	}
	if name, ok := c.Parameters["FriendlyName"].(string); ok {
		r.Set("FriendlyName", name)
	}
	found, _, err := s.site.org.Run(context.Background(), c.Caller, exchange.Command{Name: "Get-ExchangeCertificate",
		Parameters: map[string]any{"Server": s.name(), "Thumbprint": certificate.Thumbprint(have.cert)}})
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
	s, err := f.serverOf(c)
	if err != nil {
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
	subject := pkix.Name{CommonName: firstLabel(s.host)}
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
	authority := &authority{now: s.now()}
	made, err := authority.issue(leaf{subject: subject, names: names, to: s.now().AddDate(5, 0, 0), rsa: true,
		selfSigned: true})
	if err != nil {
		return nil, refusedCertificate(c, "%v", err)
	}
	shown, err := s.take(c, made)
	if services, ok := c.Parameters["Services"]; ok && err == nil {
		_, _, err = f.org.Run(context.Background(), c.Caller, exchange.Command{Name: "Enable-ExchangeCertificate",
			Parameters: map[string]any{"Server": s.name(), "Thumbprint": certificate.Thumbprint(made.cert),
				"Services": services, "Force": true}})
	}
	return shown, err
}

// exportCertificate gives a certificate with its key as a PFX file under a password.
func (f *forestSite) exportCertificate(_ context.Context, c organization.Call) ([]exchange.Object, error) {
	s, thumbprint, err := f.certificateOf(c)
	if err != nil {
		return nil, err
	}
	r, held := s.stored(thumbprint), append(s.held(), s.own)
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

// certificateOf is the certificate that a call names by thumbprint, or by SERVER\THUMBPRINT, with the
// server in whose store it is.
func (f *forestSite) certificateOf(c organization.Call) (s *exchangeServer, thumbprint string, err error) {
	thumbprint, _ = c.Parameters["Thumbprint"].(string)
	if identity, ok := c.Parameters["Identity"].(string); ok && thumbprint == "" {
		server, after, _ := strings.Cut(identity, `\`)
		thumbprint = after
		c.Parameters = map[string]any{"Server": server}
	}
	if s, err = f.serverOf(c); err == nil && s.stored(thumbprint) == nil {
		err = refusedCertificate(c, "The certificate with thumbprint %s was not found.", thumbprint)
	}
	return s, thumbprint, err
}

func (f *forestSite) enableCertificate(_ context.Context, c organization.Call) ([]exchange.Object, error) {
	s, thumbprint, err := f.certificateOf(c)
	if err != nil {
		return nil, err
	}
	var services []string
	switch given := c.Parameters["Services"].(type) {
	case string:
		services = strings.Split(given, ",")
	case []string:
		services = given
	}
	r := s.stored(thumbprint)
	if ends, ok := r.Get("NotAfter").(time.Time); ok && s.now().After(ends) {
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
	for _, service := range append(strings.Split(r.String("Services"), ","), services...) {
		service = strings.TrimSpace(service)
		if service != "" && !strings.EqualFold(service, "None") &&
			!slices.ContainsFunc(on, func(o string) bool { return strings.EqualFold(o, service) }) {
			on = append(on, service)
		}
	}
	r.Set("Services", strings.Join(on, ", "))
	return nil, nil
}
