package deployment

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/sorting"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/wire/finding"
)

// Access is one way into the organization: a section of the answers, per forest where that is one
// of a forest.
type Access struct {
	Section string // of answers.Sections
	Forest  int    // counts from 0
}

// accesses are the sections that describe a way in, with how it is tried.
var accesses = map[string]func(*Deployment, context.Context, *fact.Set, int) ([]msg.Text, error){
	"cloud":       (*Deployment).tryTenant,
	"workmail":    (*Deployment).tryWorkMail,
	"directory":   (*Deployment).tryDirectory,
	"exchange":    (*Deployment).tryExchange,
	"certificate": (*Deployment).tryCertificate,
}

// HasAccess reports whether a section of the answers describes a way in that Try can try.
func HasAccess(section string) bool { return accesses[section] != nil }

// Try signs in by one access, and says what answered. The answers need not be complete.
func (d *Deployment) Try(ctx context.Context, at Access, obs observe.Observer) ([]msg.Text, error) {
	facts, end := d.begin(obs)
	defer end()
	try := accesses[at.Section]
	if try == nil || at.Forest >= max(1, len(d.forests)) {
		return nil, fmt.Errorf("%s of forest %d: %w", at.Section, at.Forest+1, fact.ErrNotConfigured)
	}
	obs.Observe(observe.Started{Stage: "access"})
	return try(d, ctx, facts, at.Forest)
}

func (d *Deployment) tryDirectory(ctx context.Context, _ *fact.Set, forest int) ([]msg.Text, error) {
	f, err := d.forests[forest].directory.get(ctx)
	if err != nil {
		return nil, err
	}
	root := f.RootDSE()
	texts := []msg.Text{msg.Of("%s answers, and the sign-in as %s works", f.Server(),
		account(d.forests[forest].answers.Directory.Bind))}
	if root.VendorName != "" {
		texts = append(texts, msg.Of("it is no Active Directory of Microsoft: %s", root.VendorName))
	}
	return texts, nil
}

func account(c answers.Credential) string {
	if c.User != "" {
		return c.User
	}
	return string(c.Kind)
}

// firstFew lists the first of many names.
func firstFew(names []string) string {
	const few = 4
	if len(names) > few {
		return strings.Join(names[:few], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}

func (d *Deployment) tryExchange(ctx context.Context, facts *fact.Set, forest int) ([]msg.Text, error) {
	servers, err := fact.Servers.In(ctx, facts.Forests[forest])
	if err != nil {
		return nil, err
	}
	var names []string
	for _, s := range servers {
		names = append(names, s.Name)
	}
	has := msg.Of("the organization has the servers %s", firstFew(names))
	if len(names) == 1 {
		has = msg.Of("the organization has the server %s", names[0])
	}
	at := d.forests[forest].answers.Exchange
	return []msg.Text{
		msg.Of("%s answers, and the sign-in as %s works", hostOf(remoteURL(at)), account(at.Credential)),
		has,
	}, nil
}

func (d *Deployment) tryTenant(ctx context.Context, facts *fact.Set, _ int) ([]msg.Text, error) {
	if facts.Tenant == nil {
		return nil, fmt.Errorf("tenant: %w", fact.ErrNotConfigured)
	}
	if _, err := d.signIn(ctx); err != nil {
		return nil, err
	}
	texts := []msg.Text{msg.Of("the sign-in to %s works", d.answers.ExchangeOnline.Tenant)}
	if _, err := fact.OnlineConfig.In(ctx, facts.Tenant); err != nil {
		return texts, err
	}
	return append(texts, msg.Of("Exchange Online answers")), nil
}

func (d *Deployment) tryWorkMail(ctx context.Context, facts *fact.Set, _ int) ([]msg.Text, error) {
	if facts.WorkMail == nil {
		return nil, fmt.Errorf("WorkMail: %w", fact.ErrNotConfigured)
	}
	o, err := fact.WorkMailOrganization.In(ctx, facts.WorkMail)
	if err != nil {
		return nil, err
	}
	return []msg.Text{msg.Of("Amazon WorkMail answers: the organization %s is %s", o.Alias, o.State)}, nil
}

// tryCertificate reads the certificate file, or, where the answers name none, the certificates of
// the Exchange servers, and says which of them a plan can take.
func (d *Deployment) tryCertificate(ctx context.Context, facts *fact.Set, forest int) ([]msg.Text, error) {
	side, host := facts.Forests[forest], d.forests[forest].answers.Namespace.SMTP
	b, err := fact.CertificateFile.In(ctx, side)
	if err == nil {
		use := certificate.Use{Mail: true, Now: facts.Now(), Roots: facts.Roots}
		if host != "" {
			use.Hosts = []string{host}
		}
		return judged(b, use, msg.Of("%s holds %s, valid until %s, for %s", d.forests[forest].answers.Certificate.PFX,
			certificate.Subject(b.Leaf), b.Leaf.NotAfter.Format(time.DateOnly), firstFew(certificate.Names(b.Leaf))))
	}
	if !errors.Is(err, fact.ErrNotConfigured) {
		return nil, err
	}
	stores, err := fact.CertificateStores.In(ctx, side)
	if err != nil {
		return nil, err
	}
	on, offered := map[string][]string{}, map[string]certificate.Bundle{}
	for server, list := range stores {
		for _, c := range list {
			if host != "" && !certificate.Covers(c, host) || certificate.SelfSigned(c) {
				continue
			}
			thumbprint := certificate.Thumbprint(c)
			on[thumbprint] = append(on[thumbprint], server)
			offered[thumbprint] = certificate.Bundle{Leaf: c}
		}
	}
	var texts []msg.Text
	for thumbprint, b := range offered {
		servers := on[thumbprint]
		slices.Sort(servers)
		where := msg.Of("on %s of %s servers (%s)", msg.Number(len(servers)), msg.Number(len(stores)),
			firstFew(servers))
		if len(stores) == 1 {
			where = msg.Of("on server %s", servers[0])
		}
		texts = append(texts, msg.Of("%s, of %s, valid until %s, %s", certificate.Subject(b.Leaf),
			certificate.CommonName(certificate.Issuer(b.Leaf)), b.Leaf.NotAfter.Format(time.DateOnly), where))
	}
	sorting.Func(texts, func(a, b msg.Text) int { return strings.Compare(a.String(), b.String()) })
	switch len(texts) {
	case 0:
		return nil, fmt.Errorf("no server has a certificate of an authority for %s (namespace.smtp): import one on "+
			"the servers, or name its file", host)
	case 1:
		return append(texts, msg.Of("the plan takes it: no file is needed")), nil
	}
	return append(texts, msg.Of("several speak for %s: name the file of the right one", host)), nil
}

// judged says what a certificate file holds, and, as the error, what is wrong with it.
func judged(b certificate.Bundle, use certificate.Use, holds msg.Text) ([]msg.Text, error) {
	texts := []msg.Text{holds}
	if b.Key == nil {
		return texts, fmt.Errorf("%w: the servers need the key too", certificate.ErrNoKey)
	}
	var wrong error
	for _, f := range certificate.Judge(b, use) {
		switch {
		case f.Level == finding.Wrong && wrong == nil:
			wrong = errors.New(f.String())
		case f.Level >= finding.Doubtful:
			texts = append(texts, msg.Plain(f.String()))
		}
	}
	return texts, wrong
}
