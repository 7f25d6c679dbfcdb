package fact

import (
	"context"
	"crypto/x509"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
)

// AuthConfig is the auth configuration of an on-premises organization, with the certificates of its
// servers.
type AuthConfig struct {
	Current       string // thumbprint, upper case
	Next          string
	Previous      string // what Exchange signed with before; other servers still accept it
	NextEffective time.Time
	ServiceName   string // of Exchange in tokens; empty when it is not shown
	Realm         string // empty: the default accepted domain
	Servers       Stores
}

// Stores are the certificates of Mailbox servers, by server name.
type Stores map[string][]*x509.Certificate

// Certificate finds a certificate by its thumbprint, and names the servers that lack it.
func (a AuthConfig) Certificate(thumbprint string) (found *x509.Certificate, lacking []string) {
	return a.Servers.Certificate(thumbprint)
}

// Certificate finds a certificate by its thumbprint, and names the servers that lack it.
func (s Stores) Certificate(thumbprint string) (found *x509.Certificate, lacking []string) {
	for _, server := range slices.Sorted(maps.Keys(s)) {
		has := false
		for _, c := range s[server] {
			if certificate.Thumbprint(c) == thumbprint {
				has, found = true, c
			}
		}
		if !has {
			lacking = append(lacking, server)
		}
	}
	return found, lacking
}

// Certificates returns the current and the next auth certificate, where a server has them.
func (a AuthConfig) Certificates() []*x509.Certificate {
	var out []*x509.Certificate
	for _, thumbprint := range []string{a.Current, a.Next} {
		if thumbprint == "" || len(out) > 0 && strings.EqualFold(thumbprint, a.Current) {
			continue
		}
		if c, _ := a.Certificate(thumbprint); c != nil {
			out = append(out, c)
		}
	}
	return out
}

// Known returns the auth certificates that a server has: the current, the next and earlier ones.
func (a AuthConfig) Known() []*x509.Certificate {
	out := a.Certificates()
	for _, server := range slices.Sorted(maps.Keys(a.Servers)) {
		for _, c := range a.Servers[server] {
			if c.Subject.CommonName == "Microsoft Exchange Server Auth Certificate" {
				out = append(out, c)
			}
		}
	}
	return out
}

const (
	getAuthConfig          = "Get-AuthConfig"
	getExchangeCertificate = "Get-ExchangeCertificate"
)

// CertificateStores are the certificates in the store of every Mailbox server.
var CertificateStores = Derive(AtForest, List(PlacedServers), readStores,
	Source{OnPremises, getExchangeCertificate, []string{getExchangeCertificate}})

// Auth is the auth configuration, with the certificates in the store of every Mailbox server.
var Auth = Derive(AtForest, List(CertificateStores), readAuth,
	Source{OnPremises, getAuthConfig, []string{getAuthConfig}})

func readStores(ctx context.Context, side *Side) (Stores, error) {
	servers, err := PlacedServers.In(ctx, side)
	if err != nil {
		return nil, err
	}
	return with(ctx, side, side.Exchange, func(ctx context.Context, s exchange.Reader) (Stores, error) {
		out := Stores{}
		for _, server := range servers {
			if server.Gone {
				continue
			}
			get := exchange.Command{Name: getExchangeCertificate, Parameters: map[string]any{"Server": server.Name}}
			objects, err := s.Read(ctx, get)
			if err != nil {
				return nil, err
			}
			found := []*x509.Certificate{}
			for _, o := range objects {
				der, err := o.Bytes("RawData")
				if err != nil {
					return nil, side.unreadable(unreadable(getExchangeCertificate, server.Name, err))
				}
				c, err := x509.ParseCertificate(der)
				if err != nil {
					continue // Go cannot read every certificate of a store; it can read auth certificates
				}
				found = append(found, c)
			}
			out[server.Name] = found
		}
		return out, nil
	})
}

func readAuth(ctx context.Context, side *Side) (AuthConfig, error) {
	stores, err := CertificateStores.In(ctx, side)
	if err != nil {
		return AuthConfig{}, err
	}
	return with(ctx, side, side.Session, func(ctx context.Context, s exchange.Reader) (AuthConfig, error) {
		objects, err := s.Read(ctx, exchange.Command{Name: getAuthConfig})
		if err != nil {
			return AuthConfig{}, err
		}
		out, err := one(getAuthConfig, readAuthConfig)(objects)
		if err != nil {
			return AuthConfig{}, side.unreadable(err)
		}
		out.Servers = stores
		return out, nil
	})
}

func readAuthConfig(o exchange.Object) (AuthConfig, error) {
	current, err := exchange.Optional(o.String("CurrentCertificateThumbprint"))
	if err != nil {
		return AuthConfig{}, err
	}
	out := AuthConfig{Current: certificate.NormalThumbprint(current)}
	if next, err := exchange.Optional(o.String("NextCertificateThumbprint")); err == nil {
		out.Next = certificate.NormalThumbprint(next)
	}
	if previous, err := exchange.Optional(o.String("PreviousCertificateThumbprint")); err == nil {
		out.Previous = certificate.NormalThumbprint(previous)
	}
	out.ServiceName, _ = o.String("ServiceName")
	out.Realm, _ = o.String("Realm")
	out.NextEffective, _ = o.Time("NextCertificateEffectiveDate")
	return out, nil
}
