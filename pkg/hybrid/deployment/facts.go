package deployment

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/prereq"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/snapshot"
	"github.com/hybridge-cli/hybridge/pkg/wire/dns"
)

// facts prepares the facts without a lookup. Each verb starts with new facts.
func (d *Deployment) facts() *fact.Set {
	set := fact.New(d.answers, d.cloud)
	set.Now, set.Cmdlets, set.Parallel = d.now, prereq.Cmdlets(), d.options.Parallel
	set.Observer = d
	set.Tape, set.Roots = d.tape, d.roots()
	set.Network.Clients = fact.Clients{Lookup: d.names.Lookup, Link: d.link.get, Timeout: d.limit(),
		EHLOName: d.answers.Network.EHLOName}
	if set.Tenant != nil {
		set.Tenant.Clients = fact.Clients{
			Exchange: d.reading(d.tenant.online),
			Graph: func(ctx context.Context) (fact.Graph, error) {
				g, err := opened[fact.Graph](d.graph(ctx))
				return readingGraph{g}, err
			},
			Token: d.token,
		}
	}
	if set.WorkMail != nil {
		set.WorkMail.Clients = fact.Clients{WorkMail: func(ctx context.Context) (fact.WorkMailAPI, error) {
			w, err := d.amazonWorkMail(ctx)
			return readingWorkMail{w}, err
		}}
	}
	for i, forest := range d.forests {
		set.Forests[i].Clients = fact.Clients{
			Exchange:         d.reading(forest.exchange),
			Directory:        d.readDirectory(forest),
			Certificate:      d.transportCertificate(forest),
			ProviderPassword: d.providerPassword(forest),
		}
	}
	return set
}

// opened converts a client to an interface. It returns nil, and not a typed nil, when the client
// could not be opened.
func opened[I any](client any, err error) (I, error) {
	if err != nil {
		var none I
		return none, err
	}
	return client.(I), nil
}

// signIn returns the credential's access token for Microsoft Graph.
func (d *Deployment) signIn(ctx context.Context) (string, error) {
	t, err := d.tenant.tokens.get(ctx)
	if err != nil {
		return "", err
	}
	return t.source(d.cloud.Graph)(ctx)
}

// transportCertificate loads the certificate that the answers name for a forest's mail; nil when
// they name none.
func (d *Deployment) transportCertificate(f *forest) func(context.Context) (certificate.Bundle, error) {
	c := f.answers.Certificate
	if c == nil {
		return nil
	}
	load := func(ctx context.Context) (certificate.Bundle, error) {
		password, err := d.secret(ctx, c.Password, "password of "+c.PFX)
		if err != nil {
			return certificate.Bundle{}, fmt.Errorf("%s: transport certificate: %w", f.answers.Name, err)
		}
		b, err := d.bundle(c.PFX, password)
		if err != nil {
			return certificate.Bundle{}, fmt.Errorf("%s: transport certificate: %w", f.answers.Name, err)
		}
		return b, nil
	}
	return func(ctx context.Context) (certificate.Bundle, error) {
		return snapshot.Read(ctx, d.tape, f.answers.Name, string(fact.Files), "certificate.pfx", load)
	}
}

// bundle loads a certificate file. It warns of a private key that nothing protects: one in a PEM
// file, or in a PKCS#12 file without a password, that others can read.
func (d *Deployment) bundle(pfx string, password secret.Value) (certificate.Bundle, error) {
	path := d.path(pfx)
	b, err := certificate.Load(path, password)
	if err == nil && b.Bare {
		d.warnExposed(path, "a private key without a password")
	}
	return b, err
}

// warnExposed warns once of a file with a secret that others can read.
func (d *Deployment) warnExposed(path, what string) {
	text := secret.Exposed(path, what)
	if _, said := d.exposed.LoadOrStore(path, true); text != "" && !said {
		d.warn(text)
	}
}

// lookupSRV finds domain controllers with the answers' resolvers.
func (d *Deployment) lookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error) {
	full := "_" + service + "._" + proto + "." + name
	a, err := d.names.Lookup(ctx, full, dns.SRV)
	if err != nil {
		return "", nil, err
	}
	var out []*net.SRV
	for _, r := range a.Records {
		out = append(out, &net.SRV{Target: r.Target, Port: r.Port, Priority: r.Priority, Weight: r.Weight})
	}
	return full, out, nil
}

// limit returns the time limit of requests that set none themselves.
func (d *Deployment) limit() time.Duration { return cmp.Or(d.options.Timeout, 30*time.Second) }

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	return u.Hostname()
}
