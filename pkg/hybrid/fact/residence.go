package fact

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

// Residence is the tenant that holds a domain, as the sign-in host of the cloud tells everyone.
type Residence struct {
	ID       string // the tenant's GUID
	Cloud    string // cloud_instance_name: microsoftonline.com
	Region   string // tenant_region_scope: EU, NA, USGov
	SubScope string // tenant_region_sub_scope: GCC, DODCON, DOD; most tenants have none
}

// ErrNoTenant says that no tenant of the cloud has the domain.
var ErrNoTenant = errors.New("no tenant has the domain")

// DomainTenants are the tenants that hold domains, by domain or tenant id.
var DomainTenants = FromNetwork(HTTP, "GET {sign-in host}/{key}/v2.0/.well-known/openid-configuration",
	func(ctx context.Context, s *Side, domain string) (Residence, error) {
		return with(ctx, s, s.Link, func(ctx context.Context, l *link.Link) (Residence, error) {
			client := l.Client(nil)
			defer client.CloseIdleConnections()
			ctx, cancel := context.WithTimeout(ctx, cmp.Or(s.Timeout, defaultTimeout))
			defer cancel()
			authority := strings.TrimSuffix(s.set.Cloud.Login, "/") + "/" + domain
			c, err := oauth.FetchOpenIDConfiguration(ctx, client, authority)
			var refused *oauth.Error
			if errors.As(err, &refused) && refused.AADSTS(tenantNotFound) {
				return Residence{}, ErrNoTenant
			}
			if err != nil {
				return Residence{}, err
			}
			return Residence{ID: c.TenantID(), Cloud: c.CloudInstance, Region: c.TenantRegionScope,
				SubScope: c.TenantRegionSubScope}, nil
		})
	})

// tenantNotFound is AADSTS90002.
const tenantNotFound = 90002
