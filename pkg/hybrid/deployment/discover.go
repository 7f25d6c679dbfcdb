package deployment

import (
	"context"
	"os"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/discover"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// What Discover finds.
type (
	Found    = discover.Found
	Proposal = discover.Proposal
	Gap      = discover.Gap
)

// Discover proposes answers: it looks at the forests, which need a domain and an account alone, and
// for the tenant of their mail domains. What cannot be looked at is a gap.
func (d *Deployment) Discover(ctx context.Context, obs observe.Observer) (Found, error) {
	facts, end := d.begin(obs)
	defer end()
	clouds := map[string]*fact.Set{}
	other := func(id string) *fact.Set {
		if clouds[id] == nil {
			c, _ := cloud.Get(id)
			clouds[id] = fact.New(d.answers, c)
			clouds[id].Network.Clients = facts.Network.Clients
		}
		return clouds[id]
	}
	found := discover.Run(ctx, facts, other, d)
	return found, ctx.Err()
}

// MachineDomain is the Active Directory domain that this computer or its user belongs to, as far as
// the computer says so; "" when it does not.
func MachineDomain(env func(string) string) string {
	if domain := env("USERDNSDOMAIN"); domain != "" { // Windows
		return strings.ToLower(domain)
	}
	config := env("KRB5_CONFIG")
	if config == "" {
		config = "/etc/krb5.conf"
	}
	if data, err := os.ReadFile(config); err == nil {
		if domain := defaultRealm(string(data)); domain != "" {
			return domain
		}
	}
	if data, err := os.ReadFile("/etc/resolv.conf"); err == nil {
		return searchDomain(string(data))
	}
	return ""
}

// unset is the realm in the krb5.conf that distributions ship.
const unset = "athena.mit.edu"

// defaultRealm is default_realm of a krb5.conf.
func defaultRealm(text string) string {
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(line, "="); ok && strings.TrimSpace(name) == "default_realm" {
			if realm := strings.ToLower(strings.TrimSpace(value)); strings.Contains(realm, ".") &&
				realm != unset {
				return realm
			}
		}
	}
	return ""
}

// searchDomain is the first domain of a resolv.conf.
func searchDomain(text string) string {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "search" && fields[0] != "domain" {
			continue
		}
		if domain := strings.ToLower(strings.TrimSuffix(fields[1], ".")); strings.Contains(domain, ".") {
			return domain
		}
	}
	return ""
}
