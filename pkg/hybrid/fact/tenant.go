package fact

// The tenant and its domains.
var (
	Tenant        = FromGraph("/organization", readOrganization, Graph.Organization)
	TenantDomains = FromGraph("/domains", readDomains, Graph.Domains)

	// DomainProofs are the DNS records of which one must exist to prove that a domain is the
	// tenant's.
	DomainProofs = FromGraphBy("/domains/{key}/verificationDnsRecords", readDomains, Graph.VerificationRecords)
)
