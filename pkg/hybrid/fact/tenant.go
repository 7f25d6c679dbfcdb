package fact

import (
	"context"

	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
)

// The tenant and its domains.
var (
	Tenant        = FromGraph("/organization", readOrganization, func(ctx context.Context, g Graph) (entra.Organization, error) { return g.Organization(ctx) })
	TenantDomains = FromGraph("/domains", readDomains, func(ctx context.Context, g Graph) ([]entra.Domain, error) { return g.Domains(ctx) })

	// DomainProofs are the DNS records of which one proves that a domain is the tenant's.
	DomainProofs = FromGraphBy("/domains/{key}/verificationDnsRecords", readDomains, func(ctx context.Context, g Graph, domain string) ([]entra.DomainRecord, error) {
		return g.VerificationRecords(ctx, domain)
	})
)
