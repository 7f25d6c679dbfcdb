package entra

import (
	"bytes"
	"context"
	"crypto/sha1" // Entra names certificates by their SHA-1 thumbprint
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

// Permissions (application roles) of the dedicated hybrid application, by value; their ids are read from the resource's service principal.
const (
	RoleFullAccessAsApp     = "full_access_as_app"        // of Office 365 Exchange Online: the EWS route
	RoleCalendarsRead       = "Calendars.Read"            // of Microsoft Graph, this and the following: the Graph route
	RoleMailboxSettingsRead = "MailboxSettings.Read"      //
	RoleMailTipsRead        = "MailTips.ReadBasic.All"    //
	RoleProfilePhotoRead    = "ProfilePhoto.Read.All"     //
	hybridApplicationPrefix = "ExchangeServerApp-"        // + Exchange organization GUID; Exchange and Microsoft's tools find it by this name
	singleTenant            = "AzureADMyOrg"              //
	asymmetricX509          = "AsymmetricX509Cert"        //
	verify                  = "Verify"                    //
	authCertificateName     = "Exchange auth certificate" // displayName of the keys that hybridge uploads
)

// GraphRoles are the permissions of the Graph route.
func GraphRoles() []string {
	return []string{RoleCalendarsRead, RoleMailboxSettingsRead, RoleMailTipsRead, RoleProfilePhotoRead}
}

// HybridApplicationName is the display name of the dedicated hybrid application of an Exchange organization.
func HybridApplicationName(organizationGUID string) string {
	return hybridApplicationPrefix + strings.ToLower(strings.Trim(organizationGUID, "{}"))
}

// Application is an application registration.
type Application struct {
	ID                     string                   `json:"id,omitempty"`
	AppID                  string                   `json:"appId,omitempty"`
	DisplayName            string                   `json:"displayName,omitempty"`
	SignInAudience         string                   `json:"signInAudience,omitempty"`
	Notes                  string                   `json:"notes,omitempty"`
	RequiredResourceAccess []RequiredResourceAccess `json:"requiredResourceAccess,omitempty"`
	KeyCredentials         []KeyCredential          `json:"keyCredentials,omitempty"`
}

// RequiredResourceAccess is what an application asks for at one resource.
type RequiredResourceAccess struct {
	ResourceAppID  string           `json:"resourceAppId"`
	ResourceAccess []ResourceAccess `json:"resourceAccess"`
}

// ResourceAccess is one permission: Type "Role" for application permissions.
type ResourceAccess struct {
	ID   string `json:"id"`
	Type string `json:"type"`
}

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

// Thumbprint is the certificate's SHA-1 in upper-case hexadecimal, from the certificate itself when it is there, else from customKeyIdentifier, which
// the service has written as hexadecimal, as base64 of the hash, and as base64 of the hexadecimal. "" when neither tells.
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

// Expired tells whether the key's time is over; a key that does not say when is taken as not expired.
func (k KeyCredential) Expired(now time.Time) bool {
	return k.EndDateTime != nil && now.After(*k.EndDateTime)
}

// NewKeyCredential makes the entry for a certificate. Its key id derives from the certificate, so that the same certificate gives the same entry.
func NewKeyCredential(c *x509.Certificate) KeyCredential {
	sum := sha1.Sum(c.Raw)
	var id [16]byte
	copy(id[:], sum[:])
	id[6] = id[6]&0x0f | 0x50 // a name-based GUID (RFC 9562 version 5, by shape)
	id[8] = id[8]&0x3f | 0x80
	start, end := c.NotBefore.UTC(), c.NotAfter.UTC()
	return KeyCredential{
		DisplayName: authCertificateName, KeyID: formatGUID(id), Type: asymmetricX509, Usage: verify, Key: c.Raw, StartDateTime: &start, EndDateTime: &end,
	}
}

// MergeKeyCredentials is the list that has the certificates beside what was there: existing entries stay as they are, in order, but for expired ones; new
// certificates follow. changed tells whether it differs from the existing list. Graph replaces the whole list on a write, so existing must have been read
// with its keys.
func MergeKeyCredentials(existing []KeyCredential, certificates []*x509.Certificate, now time.Time) (merged []KeyCredential, changed bool) {
	merged = []KeyCredential{}
	have := map[string]bool{}
	for _, k := range existing {
		if k.Expired(now) {
			changed = true
			continue
		}
		have[k.Thumbprint()] = true
		merged = append(merged, k)
	}
	for _, c := range certificates {
		if t := certificate.Thumbprint(c); !have[t] {
			have[t] = true
			merged = append(merged, NewKeyCredential(c))
			changed = true
		}
	}
	return merged, changed
}

// ServicePrincipal is an application's account in the tenant.
type ServicePrincipal struct {
	ID                    string          `json:"id,omitempty"`
	AppID                 string          `json:"appId,omitempty"`
	DisplayName           string          `json:"displayName,omitempty"`
	AccountEnabled        *bool           `json:"accountEnabled,omitempty"`
	AppRoles              []AppRole       `json:"appRoles,omitempty"`
	KeyCredentials        []KeyCredential `json:"keyCredentials,omitempty"`
	ServicePrincipalNames []string        `json:"servicePrincipalNames,omitempty"`
}

// AppRole is a permission that a resource offers to applications.
type AppRole struct {
	ID        string `json:"id"`
	Value     string `json:"value"`
	IsEnabled bool   `json:"isEnabled"`
}

// Role returns the id of a permission, by its value; ErrNotFound when the resource does not offer it.
func (sp ServicePrincipal) Role(value string) (string, error) {
	for _, r := range sp.AppRoles {
		if r.Value == value && r.IsEnabled {
			return r.ID, nil
		}
	}
	return "", fmt.Errorf("permission %s of %s: %w", value, sp.DisplayName, ErrNotFound)
}

// AppRoleAssignment is a consent: the principal may use the resource in the role.
type AppRoleAssignment struct {
	ID                   string `json:"id,omitempty"`
	AppRoleID            string `json:"appRoleId"`
	PrincipalID          string `json:"principalId"`
	PrincipalDisplayName string `json:"principalDisplayName,omitempty"`
	ResourceID           string `json:"resourceId"`
	ResourceDisplayName  string `json:"resourceDisplayName,omitempty"`
}

const (
	applicationSelect = "$select=id,appId,displayName,signInAudience,notes,requiredResourceAccess,keyCredentials"
	principalSelect   = "$select=id,appId,displayName,accountEnabled,appRoles,keyCredentials,servicePrincipalNames"
)

// ApplicationsNamed finds every application of exactly that display name.
func (c *Client) ApplicationsNamed(ctx context.Context, displayName string) ([]Application, error) {
	found, err := collect[Application](ctx, c, "/applications?"+equals("displayName", displayName)+"&"+applicationSelect)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(found, func(a Application) bool { return !strings.EqualFold(a.DisplayName, displayName) }), nil
}

// HybridApplication finds the dedicated hybrid application of an Exchange organization: ErrNotFound when there is none, ErrDuplicate when there are several, of
// which Exchange's tools would take any.
func (c *Client) HybridApplication(ctx context.Context, organizationGUID string) (Application, error) {
	name := HybridApplicationName(organizationGUID)
	found, err := c.ApplicationsNamed(ctx, name)
	if err != nil {
		return Application{}, err
	}
	switch len(found) {
	case 0:
		return Application{}, fmt.Errorf("application %s: %w", name, ErrNotFound)
	case 1:
		return found[0], nil
	}
	var ids []string
	for _, a := range found {
		ids = append(ids, a.AppID)
	}
	slices.Sort(ids)
	return Application{}, fmt.Errorf("application %s: %w: %s", name, ErrDuplicate, strings.Join(ids, ", "))
}

// CreateApplication registers a single-tenant application.
func (c *Client) CreateApplication(ctx context.Context, displayName string, access []RequiredResourceAccess) (Application, error) {
	return get[Application](ctx, c, http.MethodPost, "/applications", Application{DisplayName: displayName, SignInAudience: singleTenant, RequiredResourceAccess: access})
}

// SetRequiredResourceAccess replaces what an application asks for.
func (c *Client) SetRequiredResourceAccess(ctx context.Context, id string, access []RequiredResourceAccess) error {
	_, err := c.do(ctx, http.MethodPatch, "/applications/"+url.PathEscape(id), map[string]any{"requiredResourceAccess": access})
	return err
}

// RequiredAccess makes what an application asks for at a resource, looking up the permissions' ids there.
func (c *Client) RequiredAccess(ctx context.Context, resourceAppID string, roles ...string) (RequiredResourceAccess, error) {
	resource, err := c.ServicePrincipal(ctx, resourceAppID)
	if err != nil {
		return RequiredResourceAccess{}, err
	}
	access := RequiredResourceAccess{ResourceAppID: resourceAppID, ResourceAccess: []ResourceAccess{}}
	for _, role := range roles {
		id, err := resource.Role(role)
		if err != nil {
			return RequiredResourceAccess{}, err
		}
		access.ResourceAccess = append(access.ResourceAccess, ResourceAccess{ID: id, Type: "Role"})
	}
	return access, nil
}

// AddCertificates uploads certificates to an application: reads its keys, keeps the unexpired ones, writes the list, reads it back. It tells whether there was
// something to do.
func (c *Client) AddCertificates(ctx context.Context, id string, certificates []*x509.Certificate, now time.Time) (changed bool, err error) {
	path := "/applications/" + url.PathEscape(id)
	a, err := get[Application](ctx, c, http.MethodGet, path+"?"+applicationSelect, nil)
	if err != nil {
		return false, err
	}
	merged, changed := MergeKeyCredentials(a.KeyCredentials, certificates, now)
	if !changed {
		return false, nil
	}
	if _, err := c.do(ctx, http.MethodPatch, path, map[string]any{"keyCredentials": merged}); err != nil {
		return false, err
	}
	if a, err = get[Application](ctx, c, http.MethodGet, path+"?"+applicationSelect, nil); err != nil {
		return true, err
	}
	for _, want := range certificates {
		if !slices.ContainsFunc(a.KeyCredentials, func(k KeyCredential) bool { return k.Thumbprint() == certificate.Thumbprint(want) }) {
			return true, fmt.Errorf("certificate %s is not among the keys of application %s after it was written: %w", certificate.Thumbprint(want), a.AppID, ErrNotFound)
		}
	}
	return true, nil
}

// DeleteApplication removes an application; its service principal goes with it.
func (c *Client) DeleteApplication(ctx context.Context, id string) error {
	_, err := c.do(ctx, http.MethodDelete, "/applications/"+url.PathEscape(id), nil)
	return err
}

// ServicePrincipal finds the service principal of an application, Microsoft's own too (oauth.AppExchangeOnline): ErrNotFound when the tenant has none. Its
// key credentials come with their keys.
func (c *Client) ServicePrincipal(ctx context.Context, appID string) (ServicePrincipal, error) {
	found, err := collect[ServicePrincipal](ctx, c, "/servicePrincipals?"+equals("appId", appID)+"&"+principalSelect)
	if err != nil {
		return ServicePrincipal{}, err
	}
	if len(found) == 0 {
		return ServicePrincipal{}, fmt.Errorf("service principal of application %s: %w", appID, ErrNotFound)
	}
	return found[0], nil
}

// ExchangePrincipal is the shared first-party principal of Exchange Online. Its keyCredentials should hold no Exchange auth certificate any more.
func (c *Client) ExchangePrincipal(ctx context.Context) (ServicePrincipal, error) {
	return c.ServicePrincipal(ctx, oauth.AppExchangeOnline)
}

// CreateServicePrincipal gives an application its account in the tenant. Right after the application was created the directory may answer an error for which
// NotYet holds.
func (c *Client) CreateServicePrincipal(ctx context.Context, appID string) (ServicePrincipal, error) {
	enabled := true
	return get[ServicePrincipal](ctx, c, http.MethodPost, "/servicePrincipals", ServicePrincipal{AppID: appID, AccountEnabled: &enabled})
}

// Consents lists what a service principal may do where.
func (c *Client) Consents(ctx context.Context, principalID string) ([]AppRoleAssignment, error) {
	return collect[AppRoleAssignment](ctx, c, "/servicePrincipals/"+url.PathEscape(principalID)+"/appRoleAssignments")
}

// Consent grants a service principal a role at a resource, as an administrator's consent does; ErrExists when it has it.
func (c *Client) Consent(ctx context.Context, principalID, resourceID, roleID string) (AppRoleAssignment, error) {
	return get[AppRoleAssignment](ctx, c, http.MethodPost, "/servicePrincipals/"+url.PathEscape(principalID)+"/appRoleAssignments",
		AppRoleAssignment{PrincipalID: principalID, ResourceID: resourceID, AppRoleID: roleID})
}

// Revoke takes a consent back.
func (c *Client) Revoke(ctx context.Context, principalID, assignmentID string) error {
	_, err := c.do(ctx, http.MethodDelete, "/servicePrincipals/"+url.PathEscape(principalID)+"/appRoleAssignments/"+url.PathEscape(assignmentID), nil)
	return err
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

// Email tells whether the domain is used for mail.
func (d Domain) Email() bool { return slices.Contains(d.SupportedServices, "Email") }

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
	found, err := collect[Organization](ctx, c, "/organization?$select=id,displayName,tenantType,onPremisesSyncEnabled,onPremisesLastSyncDateTime,verifiedDomains")
	if err != nil {
		return Organization{}, err
	}
	if len(found) != 1 {
		return Organization{}, fmt.Errorf("GET /organization at %s: %d organizations instead of one", c.base.Host, len(found))
	}
	return found[0], nil
}

// Published tells whether a certificate is among key credentials.
func Published(keys []KeyCredential, c *x509.Certificate) bool {
	return slices.ContainsFunc(keys, func(k KeyCredential) bool {
		return len(k.Key) > 0 && bytes.Equal(k.Key, c.Raw) || k.Thumbprint() == certificate.Thumbprint(c)
	})
}
