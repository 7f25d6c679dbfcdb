package desired

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// mailCertificate returns the identifier and the common name of the certificate with which the
// forest's servers send and receive mail: the one of the answers file, else the one in the stores
// of all servers that speaks for the mail host.
func (p *Planner) mailCertificate(ctx context.Context, s mailServers, host string) (id, name string, err error) {
	leaf, err := p.transportLeaf(ctx, s, host)
	if err != nil {
		return "", "", err
	}
	if name = commonName(leaf); name == "" {
		return "", "", fmt.Errorf("%s: the transport certificate has no common name, by which Exchange finds it and "+
			"the tenant recognizes the forest: get one whose subject is CN=%s", p.Forest.Name(), host)
	}
	if !certificate.Covers(leaf, host) {
		return "", "", fmt.Errorf("%s: the transport certificate %s does not speak for %s (namespace.smtp): the "+
			"tenant sends no mail to a host whose certificate has another name", p.Forest.Name(), name, host)
	}
	return certificate.IdentifierOf(leaf).String(), name, nil
}

// commonName returns the common name of a certificate as written. A wildcard stays one.
func commonName(c *x509.Certificate) string { return certificate.CommonName(certificate.Subject(c)) }

func (p *Planner) transportLeaf(ctx context.Context, s mailServers, host string) (*x509.Certificate, error) {
	file, err := fact.CertificateFile.In(ctx, p.Forest)
	switch {
	case err == nil && len(s.edge) > 0:
		return file.Leaf, nil
	case err != nil && !errors.Is(err, fact.ErrNotConfigured):
		return nil, err
	case err != nil && len(s.edge) > 0:
		return nil, missing("transport certificate of the Edge servers (set forests[].certificate)",
			"forest "+p.Forest.Name())
	}
	given := err == nil
	stores, err := fact.Auth.In(ctx, p.Forest)
	if err != nil {
		return nil, err
	}
	carry := slices.Concat(s.sending, s.receiving)
	for _, server := range carry {
		if _, read := stores.Servers[server]; !read {
			return nil, fmt.Errorf("%s: the certificates of server %s are %w: DNS has no address for it, and it was "+
				"not asked (check servers.gone)", p.Forest.Name(), server, ErrUnknown)
		}
	}
	if given {
		id := certificate.IdentifierOf(file.Leaf)
		if lacking := p.lackingStore(stores, carry, id); lacking != "" {
			return nil, fmt.Errorf("%s: server %s has no valid certificate %s: import it on that server and enable it "+
				"for SMTP (Import-ExchangeCertificate, Enable-ExchangeCertificate -Services SMTP)",
				p.Forest.Name(), lacking, id)
		}
		return file.Leaf, nil
	}
	var found []*x509.Certificate
	for _, c := range stores.Servers[carry[0]] {
		id := certificate.IdentifierOf(c)
		known := slices.ContainsFunc(found, func(f *x509.Certificate) bool {
			return certificate.IdentifierOf(f).Equal(id)
		})
		if known || certificate.SelfSigned(c) || !certificate.Covers(c, host) {
			continue
		}
		if lacking := p.lackingStore(stores, carry, id); lacking == "" {
			found = append(found, c)
		}
	}
	if len(found) > 1 {
		// The record of Microsoft's wizard says which one is in use.
		record, err := fact.HybridConfigurations.In(ctx, p.Forest)
		if err != nil {
			return nil, err
		}
		used := slices.DeleteFunc(slices.Clone(found), func(c *x509.Certificate) bool {
			return !strings.EqualFold(certificate.IdentifierOf(c).String(), record.CertificateName)
		})
		if len(used) == 1 {
			found = used
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return nil, fmt.Errorf("%s: no certificate of an authority that speaks for %s is on all servers that carry "+
			"mail (%s): import one, or name its file in forests[].certificate", p.Forest.Name(), host,
			strings.Join(slices.Compact(slices.Sorted(slices.Values(carry))), ", "))
	}
	return nil, fmt.Errorf("%s: several certificates speak for %s, %s and %s among them: name the file of the right "+
		"one in forests[].certificate", p.Forest.Name(), host, certificate.IdentifierOf(found[0]),
		certificate.IdentifierOf(found[1]))
}

// lackingStore names a server whose store has no such certificate that is valid now; empty when all
// have it.
func (p *Planner) lackingStore(stores fact.AuthConfig, servers []string, id certificate.Identifier) string {
	now := p.set.Now()
	for _, server := range servers {
		if !slices.ContainsFunc(stores.Servers[server], func(c *x509.Certificate) bool {
			return certificate.IdentifierOf(c).Equal(id) && !now.Before(c.NotBefore) && now.Before(c.NotAfter)
		}) {
			return server
		}
	}
	return ""
}
