package entra

import (
	"context"
	"crypto/sha1" // Entra names certificates by their SHA-1 thumbprint
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
)

// KeyCredential is a certificate of an application or service principal.
type KeyCredential struct {
	CustomKeyIdentifier string     `json:"customKeyIdentifier,omitempty"`
	DisplayName         string     `json:"displayName,omitempty"`
	EndDateTime         *time.Time `json:"endDateTime,omitempty"`
	Key                 []byte     `json:"key,omitempty"` // DER; absent unless $select names keyCredentials
	KeyID               string     `json:"keyId,omitempty"`
	StartDateTime       *time.Time `json:"startDateTime,omitempty"`
	Type                string     `json:"type,omitempty"`
	Usage               string     `json:"usage,omitempty"`
}

// Thumbprint is the certificate's SHA-1 in upper-case hexadecimal, from the certificate itself when
// it is there, else from customKeyIdentifier, which the service has written as hexadecimal, as
// base64 of the hash, and as base64 of the hexadecimal. "" when neither has it.
func (k KeyCredential) Thumbprint() string {
	if len(k.Key) > 0 {
		return certificate.ThumbprintOf(k.Key)
	}
	if t := certificate.NormalThumbprint(k.CustomKeyIdentifier); t != "" {
		return t
	}
	raw, err := base64.StdEncoding.DecodeString(k.CustomKeyIdentifier)
	if err != nil {
		return ""
	}
	if len(raw) == sha1.Size {
		return strings.ToUpper(hex.EncodeToString(raw))
	}
	return certificate.NormalThumbprint(string(raw))
}

// ServicePrincipal is an application's account in the tenant.
type ServicePrincipal struct {
	ID             string          `json:"id,omitempty"`
	AppID          string          `json:"appId,omitempty"`
	DisplayName    string          `json:"displayName,omitempty"`
	AppRoles       []AppRole       `json:"appRoles,omitempty"`
	KeyCredentials []KeyCredential `json:"keyCredentials,omitempty"`
}

// AppRole is a permission that a resource offers to applications.
type AppRole struct {
	ID        string `json:"id"`
	Value     string `json:"value"`
	IsEnabled bool   `json:"isEnabled"`
}

const principalSelect = "$select=id,appId,displayName,appRoles,keyCredentials"

// ServicePrincipal finds the service principal of an application, Microsoft's own too
// (oauth.AppExchangeOnline): ErrNotFound when the tenant has none. Its key credentials come with
// their keys.
func (c *Client) ServicePrincipal(ctx context.Context, appID string) (ServicePrincipal, error) {
	found, err := collect[ServicePrincipal](ctx, c, "/servicePrincipals?"+Filter("appId", appID)+"&"+principalSelect)
	if err != nil {
		return ServicePrincipal{}, err
	}
	if len(found) == 0 {
		return ServicePrincipal{}, fmt.Errorf("service principal of application %s: %w", appID, ErrNotFound)
	}
	return found[0], nil
}

// Domain is a domain of the tenant.
type Domain struct {
	ID                 string   `json:"id"` // its name
	AuthenticationType string   `json:"authenticationType"`
	IsDefault          bool     `json:"isDefault"`
	IsInitial          bool     `json:"isInitial"`
	IsVerified         bool     `json:"isVerified"`
	SupportedServices  []string `json:"supportedServices"`
}

// Domains lists the tenant's domains.
func (c *Client) Domains(ctx context.Context) ([]Domain, error) {
	return collect[Domain](ctx, c, "/domains")
}

// DomainRecord is a DNS record that Microsoft wants to see.
type DomainRecord struct {
	ID               string `json:"id"`
	Label            string `json:"label"`
	RecordType       string `json:"recordType"` // Txt, Mx, CName, Srv
	SupportedService string `json:"supportedService"`
	TTL              int    `json:"ttl"`
	Text             string `json:"text,omitempty"`
	MailExchange     string `json:"mailExchange,omitempty"`
	Preference       int    `json:"preference,omitempty"`
	CanonicalName    string `json:"canonicalName,omitempty"`
}

// VerificationRecords are the records of which one proves that a domain is the tenant's.
func (c *Client) VerificationRecords(ctx context.Context, domain string) ([]DomainRecord, error) {
	return collect[DomainRecord](ctx, c, "/domains/"+url.PathEscape(domain)+"/verificationDnsRecords")
}

// Organization is the tenant itself.
type Organization struct {
	ID                         string           `json:"id"` // the tenant's GUID
	DisplayName                string           `json:"displayName"`
	TenantType                 string           `json:"tenantType"`
	OnPremisesSyncEnabled      *bool            `json:"onPremisesSyncEnabled"` // nil: never was
	OnPremisesLastSyncDateTime *time.Time       `json:"onPremisesLastSyncDateTime"`
	VerifiedDomains            []VerifiedDomain `json:"verifiedDomains"`
}

// VerifiedDomain is a domain in the organization's own list.
type VerifiedDomain struct {
	Name      string `json:"name"`
	IsDefault bool   `json:"isDefault"`
	IsInitial bool   `json:"isInitial"`
}

// Organization reads the tenant.
func (c *Client) Organization(ctx context.Context) (Organization, error) {
	found, err := collect[Organization](ctx, c,
		"/organization?$select=id,displayName,tenantType,onPremisesSyncEnabled,onPremisesLastSyncDateTime,verifiedDomains")
	if err != nil {
		return Organization{}, err
	}
	if len(found) != 1 {
		return Organization{}, fmt.Errorf("GET /organization at %s: %d organizations instead of one", c.base.Host,
			len(found))
	}
	return found[0], nil
}
