package desired

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// The times of an auth certificate's life.
const (
	// distribution is how long Exchange may take to bring a certificate to all servers.
	distribution = 12 * time.Hour
	// becomesCurrent is when Exchange publishes a staged certificate by itself.
	becomesCurrent = 30 * 24 * time.Hour
	// enoughToStage is how long a certificate has to live to be worth staging.
	enoughToStage = 120 * 24 * time.Hour
)

// authRotation replaces the auth certificate of a forest in three stages. The tenant knows the key
// before Exchange can sign with it, and forgets an earlier one last.
var authRotation = &Topic{
	ID:        "auth-certificate",
	Title:     "Another auth certificate",
	Verb:      "rotate auth-certificate",
	Features:  lookupFeatures,
	PerForest: true,
	Kinds:     []*Kind{newAuthCertificate, authConfig, keyCredential, applicationKeyList},
	Reads:     fact.List(fact.Auth, fact.DedicatedApplication, fact.MailboxServers, fact.Tenant),
	Derive: func(ctx context.Context, p *Planner) error {
		if p.rotation.Auth == "" {
			return nil
		}
		a, err := p.authLife(ctx)
		if err != nil {
			return err
		}
		switch p.rotation.Auth {
		case StageAuth:
			p.stageAuth(a)
			return nil
		case PublishAuth:
			p.publishAuth(a)
			return nil
		}
		return p.cleanAuth(a)
	},
}

// authLife is the auth certificate of a forest with its application.
type authLife struct {
	fact.AuthConfig
	current, next *x509.Certificate
	lacking       []string // servers without the next one
	application   *fact.Dedicated
	servers       []string
	// session is the server that runs the cmdlets, empty where its name shows none. Set-AuthConfig
	// looks for a certificate in the store of that server alone: its parameter Server has no effect.
	session string
}

func (p *Planner) authLife(ctx context.Context) (a authLife, err error) {
	if a.AuthConfig, err = fact.Auth.In(ctx, p.Forest); err != nil {
		return a, err
	}
	a.servers = sortedKeys(a.Servers)
	if len(a.servers) == 0 {
		return a, missing("certificate stores of the Mailbox servers", "forest "+p.Forest.Name())
	}
	for _, server := range a.servers {
		if normalServer(server) == normalServer(p.Forest.Answers.Exchange.Server) {
			a.session = server
		}
	}
	if a.Current != "" {
		a.current, _ = a.Certificate(a.Current)
	}
	if a.Next != "" && !strings.EqualFold(a.Next, a.Current) {
		a.next, a.lacking = a.Certificate(a.Next)
	}
	if p.set.Tenant == nil {
		return a, nil
	}
	d, err := p.dedicated(ctx)
	if err != nil {
		return a, err
	}
	if d.AppID != "" {
		a.application = &d
	}
	return a, nil
}

// knows reports whether the application has the key of a certificate that has not ended.
func (a authLife) knows(c *x509.Certificate, day time.Time) bool {
	return slices.ContainsFunc(a.application.KeyCredentials, func(k any) bool {
		return !fact.Ended(k, day) && fact.Credential(k).Of(c.Raw)
	})
}

// upload plans keys at the application.
func (p *Planner) upload(a authLife, credentials []any) Need {
	p.Add(keyCredential, PlaceEntra, a.application.Name, a.application.Name,
		msg.Of("the tenant knows the key before Exchange in %s signs with it", p.Forest.Name()),
		change.Properties{"id": a.application.ID, "keyCredentials": credentials})
	return One(keyCredential, PlaceEntra, a.application.Name)
}

// unused finds a certificate that an earlier run, or a person, made and that was not staged.
func (p *Planner) unused(a authLife) *x509.Certificate {
	var found *x509.Certificate
	for _, server := range a.servers {
		if a.session != "" && server != a.session {
			continue
		}
		for _, c := range a.Servers[server] {
			thumbprint := certificate.Thumbprint(c)
			if c.Subject.CommonName != authTitle || thumbprint == a.Current || thumbprint == a.Previous ||
				thumbprint == a.Next || !certificate.SelfSigned(c) || a.current == nil ||
				!c.NotBefore.After(a.current.NotBefore) || c.NotAfter.Before(p.set.Now().Add(enoughToStage)) {
				continue
			}
			if found == nil || c.NotBefore.After(found.NotBefore) {
				found = c
			}
		}
	}
	return found
}

// stageAuth plans a new certificate, its key in the tenant, and its place as the next one.
func (p *Planner) stageAuth(a authLife) {
	day := p.day()
	staged := a.next
	if staged != nil && staged.NotAfter.Before(p.set.Now().Add(enoughToStage)) {
		staged = nil // it ends too soon to be of use
	}
	if staged == nil && a.Next != "" && a.next == nil && !strings.EqualFold(a.Next, a.Current) {
		p.Note(msg.Of("the next auth certificate %s is on no server: another one takes its place", a.Next))
	}
	needs := []Need{}
	var thumbprint, key any
	fresh := staged
	if fresh == nil {
		fresh = p.unused(a)
	}
	if fresh != nil {
		thumbprint = certificate.Thumbprint(fresh)
	} else {
		latest, id := "", "next"
		for _, c := range a.Known() {
			latest = max(latest, c.NotAfter.UTC().Format(time.RFC3339))
		}
		p.Add(newAuthCertificate, p.at(), id, authTitle,
			msg.Of("it takes the place of the present one, which ends on %s", ends(a.current)),
			change.Properties{"EndsAfter": latest, "Server": cmp.Or(a.session, a.servers[0])})
		if a.session == "" && len(a.servers) > 1 {
			p.Note(msg.Of("%s (exchange.server) is the name of no Mailbox server: the certificate is made on %s, and "+
				"Exchange stages it only when the session leads there too. Name a server in exchange.server if it is "+
				"refused", p.Forest.Answers.Exchange.Server, a.servers[0]))
		}
		needs = append(needs, One(newAuthCertificate, p.at(), id))
		thumbprint = Ref(newAuthCertificate, p.at(), id, "Thumbprint")
		key = Ref(newAuthCertificate, p.at(), id, "RawData")
	}
	switch {
	case a.application == nil:
		p.Note(msg.Of("%s has no dedicated application: no key is uploaded; hybridge plan sets it up", p.Forest.Name()))
	case fresh != nil:
		if !a.knows(fresh, day) {
			keys := p.keyCredentials(a.application.KeyCredentials, []*x509.Certificate{fresh})
			needs = append(needs, p.upload(a, keys))
		}
	default:
		used := map[string]bool{}
		for _, k := range a.application.KeyCredentials {
			used[strings.ToLower(fact.Credential(k).KeyID)] = true
		}
		sum := sha256.Sum256([]byte(a.application.AppID + day.Format(time.DateOnly)))
		needs = append(needs, p.upload(a, []any{map[string]any{
			"displayName": "CN=" + authTitle + " " + day.Format(time.DateOnly),
			"keyId":       keyID(hex.EncodeToString(sum[:20]), used), "type": "AsymmetricX509Cert", "usage": "Verify",
			"key": key,
		}}))
	}
	if staged == nil {
		effective := a.effective(day)
		p.Add(authConfig, p.at(), "config", "Auth Configuration",
			msg.Of("Exchange distributes it to all servers within %d hours; publish it then; on %s Exchange publishes "+
				"it by itself", int(distribution.Hours()), effective.Format(time.DateOnly)),
			change.Properties{"NextCertificateThumbprint": thumbprint,
				"NextCertificateEffectiveDate": effective.Format("2006-01-02T15:04:05Z")}, needs...)
		return
	}
	p.waitForServers(a)
}

// effective is when a staged certificate becomes current by itself: before the present one ends. The
// days are those of Microsoft's script (MonitorExchangeAuthCertificate).
func (a authLife) effective(day time.Time) time.Time {
	const date = 24 * time.Hour
	if a.current != nil {
		switch left := a.current.NotAfter.Sub(day); {
		case left >= becomesCurrent+2*date:
		case left > 4*date:
			return day.Add(4 * date)
		case left > 2*date:
			return day.Add(2 * date)
		default:
			return day.Add(date)
		}
	}
	return day.Add(becomesCurrent)
}

// ends is the last day of a certificate.
func ends(c *x509.Certificate) string {
	if c == nil {
		return "(unknown)"
	}
	return c.NotAfter.UTC().Format(time.DateOnly)
}

// waitForServers says which servers lack the next certificate; false: one does.
func (p *Planner) waitForServers(a authLife) bool {
	if len(a.lacking) == 0 {
		return true
	}
	p.wait(p.topic.ID, p.at(), msg.Of("the staged auth certificate %s is not on %s yet: Exchange distributes it "+
		"within %d hours; run this again then", a.Next, strings.Join(a.lacking, ", "), int(distribution.Hours())))
	return false
}

// publishAuth plans that Exchange signs with the staged certificate.
func (p *Planner) publishAuth(a authLife) {
	if a.next == nil {
		switch {
		case a.Next != "" && !strings.EqualFold(a.Next, a.Current):
			p.wait(p.topic.ID, p.at(), msg.Of("the staged auth certificate %s is on no server: stage another one",
				a.Next))
		default:
			p.Note(msg.Of("no auth certificate is staged: there is nothing to publish"))
		}
		return
	}
	ready := p.waitForServers(a)
	if a.application != nil && !a.knows(a.next, p.day()) {
		p.upload(a, p.keyCredentials(a.application.KeyCredentials, []*x509.Certificate{a.next}))
		p.wait(p.topic.ID, p.at(), msg.Of("the tenant did not know the key of the staged certificate %s: publish it "+
			"some minutes after this plan is applied", a.Next))
		return
	}
	if !ready {
		return
	}
	p.Add(authConfig, p.at(), "config", "Auth Configuration",
		msg.Of("every server has it, and the tenant knows its key; the present one stays accepted until it is cleaned "+
			"up"), change.Properties{"CurrentCertificateThumbprint": a.Next})
	var commands []string
	for _, server := range a.servers {
		commands = append(commands, "Invoke-Command -ComputerName "+exchange.Quote(server)+" { Restart-Service "+
			"MSExchangeServiceHost; Restart-WebAppPool MSExchangeOWAAppPool; Restart-WebAppPool MSExchangeECPAppPool }")
	}
	p.Note(msg.Of("servers take the new certificate over by themselves; a person makes them do so at once"),
		commands...)
}

// cleanAuth plans that the previous certificate is no longer accepted, here and in the tenant.
func (p *Planner) cleanAuth(a authLife) error {
	day := p.day()
	switch {
	case a.current == nil:
		return missing("current auth certificate on a server", "forest "+p.Forest.Name())
	case a.application != nil && !a.knows(a.current, day):
		p.wait(p.topic.ID, p.at(), msg.Of("the tenant does not know the key of the current certificate %s: upload it "+
			"first (hybridge plan)", a.Current))
		return nil
	}
	var needs []Need
	if a.Previous != "" && !strings.EqualFold(a.Previous, a.Current) {
		p.Add(authConfig, p.at(), "config", "Auth Configuration",
			msg.Of("servers accept what the previous certificate signs no longer"),
			change.Properties{"PreviousCertificateThumbprint": ""})
		needs = append(needs, One(authConfig, p.at(), "config"))
	}
	earlier := map[string]bool{}
	for _, c := range a.Known() {
		if t := certificate.Thumbprint(c); t != a.Current && t != a.Next && !c.NotBefore.After(a.current.NotBefore) {
			earlier[t] = true
		}
	}
	if a.application != nil {
		var kept []any
		var gone []string
		for _, k := range a.application.KeyCredentials {
			credential := fact.Credential(k)
			old := slices.ContainsFunc(a.Known(), func(c *x509.Certificate) bool {
				return earlier[certificate.Thumbprint(c)] && credential.Of(c.Raw)
			})
			switch {
			case fact.Ended(k, day):
			case old:
				gone = append(gone, cmp.Or(credential.Thumbprint(), credential.KeyID))
			default:
				kept = append(kept, k)
			}
		}
		if len(gone) > 0 {
			p.Add(applicationKeyList, PlaceEntra, a.application.Name, a.application.Name,
				msg.Of("the keys of earlier certificates go: %s", strings.Join(gone, ", ")),
				change.Properties{"id": a.application.ID, "keyCredentials": kept}, needs...)
		}
	}
	old := map[string][]string{}
	for _, server := range a.servers {
		for _, c := range a.Servers[server] {
			if t := certificate.Thumbprint(c); earlier[t] && t != a.Next {
				old[t] = append(old[t], server)
			}
		}
	}
	p.sayObsolete(old)
	return nil
}
