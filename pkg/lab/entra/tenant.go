// Package entra is a simulated Entra tenant: the login host with its token endpoint and metadata,
// and Microsoft Graph. Every request is verified. Client assertions are checked with the uploaded
// keys. Tokens carry the consented roles, and Graph enforces them.
package entra

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

// Config describes a tenant. TenantID, InitialDomain, LoginHost and GraphHost are required.
type Config struct {
	TenantID      string // GUID
	DisplayName   string // of the organization; InitialDomain when empty
	InitialDomain string // contoso.onmicrosoft.com
	LoginHost     string // HOST or HOST:PORT under which clients know the login host
	GraphHost     string
	// ExchangeResources are the audiences of Exchange Online, as URLs; outlook.office365.com and
	// outlook.office.com when empty.
	ExchangeResources []string
	Key               *rsa.PrivateKey // signs tokens; a new one when nil
	// Admin is the user who signs in when a device code is confirmed; "admin@" + InitialDomain when
	// empty.
	Admin string
	// DevicePage is the address that a device code's message names; /device at the login host when
	// empty.
	DevicePage string
	// ConfirmDeviceCodes confirms device codes at the second poll, as if a person had typed them;
	// otherwise ConfirmDeviceCode does.
	ConfirmDeviceCodes bool
	Clock              func() time.Time // time.Now when nil
	// Schedules answers getSchedule; without it every mailbox is unknown.
	Schedules func(q ScheduleQuestion) ([]Schedule, error)
	// Tips answers getMailTips, one for each address; without it every mailbox is unknown.
	Tips func(q TipsQuestion) ([]Tips, error)
	// Calendars keeps events; without it no user has a mailbox.
	Calendars Calendars
	// Mailboxes sends and keeps messages.
	Mailboxes Mailboxes
	PageSize  int // of Graph lists; 100 when 0
}

// Tenant is a running tenant. It is safe for concurrent use.
type Tenant struct {
	config      Config
	key         crypto.Signer
	certificate *x509.Certificate

	mu        sync.Mutex
	state     State
	devices   map[string]*deviceCode // by device code
	refreshes map[string]refreshToken
	lag       time.Duration        // how long a new object is missing from lists
	made      map[string]time.Time // when objects were made through Graph, by id
	keyQuota  int                  // reads of keyCredentials per minute; 0: no limit
	keyReads  []time.Time          // within the last minute
	throttled int                  // requests to Graph that are still to be refused
	wait      time.Duration
}

// State is the tenant's complete state. Update changes it.
type State struct {
	Domains           []*Domain
	Applications      []*Application
	ServicePrincipals []*ServicePrincipal
	Assignments       []*Assignment
	// SyncEnabled is onPremisesSyncEnabled. It is nil when synchronization was never on.
	SyncEnabled *bool
	// LastSync is when synchronization last ran. When it is nil and synchronization is on, it ran
	// at the last half hour.
	LastSync *time.Time
	// Owners and Federated are the owners and the federated credentials of applications,
	// by object id.
	Owners    map[string][]*Owner
	Federated map[string][]*FederatedCredential
	// Subscriptions are the products that the tenant has bought.
	Subscriptions []*Subscription
	// Elsewhere are domains that other tenants hold, with the GUIDs of these.
	Elsewhere map[string]string
	// KeyPolicy limits the certificates of applications; nil: the tenant has no policy.
	KeyPolicy *KeyPolicy
}

// Subscription is a product with its licences.
type Subscription struct {
	Product      string // ENTERPRISEPACK
	Status       string // Enabled, Suspended
	Bought, Used int
	Plans        []string // EXCHANGE_S_ENTERPRISE
}

// Owner is a directory object that owns an application.
type Owner struct {
	ID string `json:"id"`
}

// FederatedCredential lets another issuer's tokens sign in as an application.
type FederatedCredential struct {
	ID        string   `json:"id"`
	Name      string   `json:"name"`
	Issuer    string   `json:"issuer"`
	Subject   string   `json:"subject"`
	Audiences []string `json:"audiences"`
}

// Domain is a domain of the tenant. Its verification record is derived from its name
// (VerificationText).
type Domain struct {
	Name      string
	Verified  bool
	Default   bool
	Initial   bool
	Federated bool
	Services  []string // "Email"
}

// VerificationText is the TXT record that proves a domain, "MS=ms...": the same whenever it is
// asked for.
func (d Domain) VerificationText() string {
	var n uint32 = 2166136261 // FNV-1a
	for _, b := range []byte(strings.ToLower(d.Name)) {
		n = (n ^ uint32(b)) * 16777619
	}
	return fmt.Sprintf("MS=ms%08d", n%100_000_000)
}

// Application is an application registration, in the form Graph gives it.
type Application struct {
	ID                     string                   `json:"id"`
	AppID                  string                   `json:"appId"`
	CreatedDateTime        *time.Time               `json:"createdDateTime"`
	DisplayName            string                   `json:"displayName"`
	Description            *string                  `json:"description"`
	Notes                  *string                  `json:"notes"`
	SignInAudience         string                   `json:"signInAudience"`
	Tags                   []string                 `json:"tags"`
	IdentifierURIs         []string                 `json:"identifierUris"`
	RequiredResourceAccess []RequiredResourceAccess `json:"requiredResourceAccess"`
	KeyCredentials         []KeyCredential          `json:"keyCredentials"`
	PasswordCredentials    []PasswordCredential     `json:"passwordCredentials"`
}

// RequiredResourceAccess is what an application asks for.
type RequiredResourceAccess struct {
	ResourceAppID  string           `json:"resourceAppId"`
	ResourceAccess []ResourceAccess `json:"resourceAccess"`
}

// ResourceAccess is one permission that an application asks for.
type ResourceAccess struct {
	ID   string `json:"id"`
	Type string `json:"type"`
}

// KeyCredential is an uploaded certificate.
type KeyCredential struct {
	CustomKeyIdentifier string     `json:"customKeyIdentifier"`
	DisplayName         *string    `json:"displayName"`
	EndDateTime         *time.Time `json:"endDateTime"`
	Key                 []byte     `json:"key"`
	KeyID               string     `json:"keyId"`
	StartDateTime       *time.Time `json:"startDateTime"`
	Type                string     `json:"type"`
	Usage               string     `json:"usage"`
}

// PasswordCredential is a client secret. The lab stores the secret in clear text: it protects
// nothing.
type PasswordCredential struct {
	DisplayName *string    `json:"displayName"`
	EndDateTime *time.Time `json:"endDateTime"`
	Hint        *string    `json:"hint"`
	KeyID       string     `json:"keyId"`
	SecretText  *string    `json:"secretText"`
}

// ServicePrincipal is an application's account in the tenant.
type ServicePrincipal struct {
	ID                     string          `json:"id"`
	AccountEnabled         bool            `json:"accountEnabled"`
	AppDisplayName         string          `json:"appDisplayName"`
	AppID                  string          `json:"appId"`
	AppOwnerOrganizationID string          `json:"appOwnerOrganizationId"`
	AppRoles               []AppRole       `json:"appRoles"`
	DisplayName            string          `json:"displayName"`
	Description            *string         `json:"description"`
	KeyCredentials         []KeyCredential `json:"keyCredentials"`
	Notes                  *string         `json:"notes"`
	ServicePrincipalNames  []string        `json:"servicePrincipalNames"`
	ServicePrincipalType   string          `json:"servicePrincipalType"`
	Tags                   []string        `json:"tags"`
}

// AppRole is a permission that a resource offers.
type AppRole struct {
	AllowedMemberTypes []string `json:"allowedMemberTypes"`
	Description        string   `json:"description"`
	DisplayName        string   `json:"displayName"`
	ID                 string   `json:"id"`
	IsEnabled          bool     `json:"isEnabled"`
	Value              string   `json:"value"`
}

// Assignment is a consent.
type Assignment struct {
	ID                   string     `json:"id"`
	AppRoleID            string     `json:"appRoleId"`
	CreatedDateTime      *time.Time `json:"createdDateTime"`
	PrincipalDisplayName string     `json:"principalDisplayName"`
	PrincipalID          string     `json:"principalId"`
	PrincipalType        string     `json:"principalType"`
	ResourceDisplayName  string     `json:"resourceDisplayName"`
	ResourceID           string     `json:"resourceId"`
}

// microsoft is the tenant that owns Microsoft's own applications.
const microsoft = "f8cdef31-a31e-4b4a-93e4-5f571e91255a"

// Permissions that resources offer, by value. The ids are Microsoft's, except that of
// ProfilePhoto.Read.All, which the lab invented. Clients look them up.
var (
	exchangeRoles = map[string]string{
		"full_access_as_app":   "dc890d15-9560-4a4c-9b7f-a736ec74ec40",
		"Exchange.ManageAsApp": "dc50a0fb-09a3-484d-be87-e023b12c6440",
	}
	graphRoles = map[string]string{
		"AppRoleAssignment.ReadWrite.All": "06b708a9-e830-4db3-a914-8e69da51d44f",
		"Application.Read.All":            "9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30",
		"Application.ReadWrite.All":       "1bfefb4e-e0b5-418b-a88f-73c46d2cc8e9",
		"Calendars.Read":                  "798ee544-9d2d-430c-a058-570e29e34338",
		"Calendars.ReadWrite":             "ef54d2bf-783f-4e0f-bca1-3210c0444d99",
		"Directory.Read.All":              "7ab1d382-f21e-4acd-a863-ba3e13f7da61",
		"Domain.Read.All":                 "dbb9058a-0e50-45d7-ae91-66909b5d4664",
		"Mail.Read":                       "810c84a8-4a9e-49e6-bf7d-12d183f40d01",
		"Mail.ReadWrite":                  "e2a3a72e-5f79-4c64-b1b1-878b674786c9",
		"Mail.Send":                       "b633e1c5-b582-4048-a93e-9f11b44c7e96",
		"MailTips.ReadBasic.All":          "a2c9652d-4d7f-4e4e-9d75-ac32fdc6f413",
		"MailboxSettings.Read":            "40f97065-369a-49f4-947c-6a255697ae91",
		"Organization.Read.All":           "498476ce-e0fe-48b0-b801-37ba7e2685c6",
		"ProfilePhoto.Read.All":           "5c1f0f5e-3b1a-4f6e-9d0c-1ab0c0ffee02",
		"User.Read.All":                   "df021288-bdef-4463-88db-98f22de89214",
	}
)

// New makes a tenant with its initial domain and the service principals of Exchange Online and
// Microsoft Graph.
func New(c Config) (*Tenant, error) {
	if c.TenantID == "" || c.InitialDomain == "" || c.LoginHost == "" || c.GraphHost == "" {
		return nil, errors.New("simulated tenant: TenantID, InitialDomain, LoginHost and GraphHost are needed")
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.DisplayName == "" {
		c.DisplayName = c.InitialDomain
	}
	if c.Admin == "" {
		c.Admin = "admin@" + c.InitialDomain
	}
	if c.PageSize == 0 {
		c.PageSize = 100
	}
	if len(c.ExchangeResources) == 0 {
		c.ExchangeResources = []string{"https://outlook.office365.com", "https://outlook.office.com"}
	}
	t := &Tenant{config: c, devices: map[string]*deviceCode{}, made: map[string]time.Time{},
		refreshes: map[string]refreshToken{}}
	var err error
	key := c.Key
	if key == nil {
		if key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			return nil, fmt.Errorf("simulated tenant: %w", err)
		}
	}
	t.key = key
	if t.certificate, err = selfSigned("accounts.accesscontrol.windows.net", t.key, c.Clock()); err != nil {
		return nil, fmt.Errorf("simulated tenant: %w", err)
	}
	t.state = State{
		Domains: []*Domain{{Name: c.InitialDomain, Verified: true, Default: true, Initial: true,
			Services: []string{"Email", "OfficeCommunicationsOnline"}}},
		Subscriptions: []*Subscription{{Product: "ENTERPRISEPACK", Status: "Enabled", Bought: 1000, Used: 40,
			Plans: []string{"EXCHANGE_S_ENTERPRISE", "MCOSTANDARD"}}},
		ServicePrincipals: []*ServicePrincipal{
			firstParty(oauth.AppExchangeOnline, "Office 365 Exchange Online", exchangeRoles, c.ExchangeResources...),
			firstParty(oauth.AppGraph, "Microsoft Graph", graphRoles, "https://"+c.GraphHost,
				"https://graph.microsoft.com"),
		},
	}
	return t, nil
}

func firstParty(appID, name string, roles map[string]string, names ...string) *ServicePrincipal {
	sp := &ServicePrincipal{
		ID: newGUID(), AccountEnabled: true, AppDisplayName: name, AppID: appID, AppOwnerOrganizationID: microsoft,
		DisplayName:           name,
		ServicePrincipalNames: []string{appID}, ServicePrincipalType: "Application", Tags: []string{},
		KeyCredentials: []KeyCredential{},
	}
	for _, n := range names {
		sp.ServicePrincipalNames = appendNew(sp.ServicePrincipalNames, n)
	}
	for _, value := range sortedKeys(roles) {
		sp.AppRoles = append(sp.AppRoles, AppRole{
			AllowedMemberTypes: []string{"Application"}, Description: value, DisplayName: value, ID: roles[value],
			IsEnabled: true, Value: value,
		})
	}
	return sp
}

func selfSigned(name string, key crypto.Signer, now time.Time) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-24 * time.Hour),
		NotAfter: now.AddDate(5, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// TenantID is the tenant's GUID.
func (t *Tenant) TenantID() string { return t.config.TenantID }

// Update changes the state under its lock. It makes changes that Graph does not offer, and plants
// faults. f must not call the Tenant.
func (t *Tenant) Update(f func(*State)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f(&t.state)
}

// Snapshot encodes the state, not the signing key.
func (t *Tenant) Snapshot() ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return json.Marshal(t.state)
}

// Restore replaces the state by a Snapshot.
func (t *Tenant) Restore(snapshot []byte) error {
	var s State
	d := json.NewDecoder(bytes.NewReader(snapshot))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return fmt.Errorf("simulated tenant: restore: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.state = s
	return nil
}

// Lag makes lists omit new objects for a time, as Entra's do during replication.
func (t *Tenant) Lag(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lag = d
}

// LimitKeyReads limits reads of keyCredentials per minute, as Entra does per tenant (150).
func (t *Tenant) LimitKeyReads(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.keyQuota = n
}

// readsKeys counts a read of keyCredentials; false when the quota is used up. t.mu must be held.
func (t *Tenant) readsKeys() bool {
	now := t.config.Clock()
	t.keyReads = slices.DeleteFunc(t.keyReads, func(at time.Time) bool { return !now.Before(at.Add(time.Minute)) })
	if t.keyQuota > 0 && len(t.keyReads) >= t.keyQuota {
		return false
	}
	t.keyReads = append(t.keyReads, now)
	return true
}

// lags reports whether lists still omit an object; t.mu must be held.
func (t *Tenant) lags(id string) bool {
	made, ok := t.made[id]
	return ok && t.config.Clock().Before(made.Add(t.lag))
}

// Throttle makes Graph refuse the next n requests with 429 and a Retry-After.
func (t *Tenant) Throttle(n int, retryAfter time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.throttled, t.wait = n, retryAfter
}

// AddDomain adds a domain, or verifies one that is there.
func (t *Tenant) AddDomain(name string, verified bool) Domain {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, d := range t.state.Domains {
		if strings.EqualFold(d.Name, name) {
			d.Verified = verified
			return *d
		}
	}
	d := &Domain{Name: strings.ToLower(name), Verified: verified, Services: []string{"Email"}}
	t.state.Domains = append(t.state.Domains, d)
	return *d
}

// NewApplication describes an application that exists from the start: the one that hybridge signs
// in as.
type NewApplication struct {
	AppID       string // made up when empty
	DisplayName string
	Certificate *x509.Certificate // may be nil
	Secret      string            // may be empty
	// Graph and Exchange are permissions of Microsoft Graph and Exchange Online that are consented
	// to, by value.
	Graph, Exchange []string
}

// AddApplication registers an application with its service principal and consents, and returns its
// application id.
func (t *Tenant) AddApplication(n NewApplication) (string, error) {
	if n.AppID == "" {
		n.AppID = newGUID()
	}
	now := t.config.Clock().UTC().Truncate(time.Second)
	a := newApplication(n.DisplayName, n.AppID, now)
	if n.Certificate != nil {
		k, err := completeKey(KeyCredential{Key: n.Certificate.Raw, Type: "AsymmetricX509Cert", Usage: "Verify"})
		if err != nil {
			return "", fmt.Errorf("simulated tenant: %w", err)
		}
		a.KeyCredentials = append(a.KeyCredentials, k)
	}
	if n.Secret != "" {
		end := now.AddDate(1, 0, 0)
		a.PasswordCredentials = append(a.PasswordCredentials,
			PasswordCredential{KeyID: newGUID(), EndDateTime: &end, SecretText: &n.Secret})
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.state.Applications = append(t.state.Applications, a)
	sp := t.state.newServicePrincipal(a, t.config.TenantID)
	for resource, roles := range map[string][]string{oauth.AppGraph: n.Graph, oauth.AppExchangeOnline: n.Exchange} {
		for _, value := range roles {
			if err := t.state.consent(sp, resource, value, now); err != nil {
				return "", fmt.Errorf("simulated tenant: %w", err)
			}
		}
	}
	return n.AppID, nil
}

func newApplication(name, appID string, now time.Time) *Application {
	return &Application{
		ID: newGUID(), AppID: appID, CreatedDateTime: &now, DisplayName: name, SignInAudience: "AzureADMyOrg",
		Tags: []string{}, IdentifierURIs: []string{},
		RequiredResourceAccess: []RequiredResourceAccess{}, KeyCredentials: []KeyCredential{},
		PasswordCredentials: []PasswordCredential{},
	}
}

func (s *State) newServicePrincipal(a *Application, tenantID string) *ServicePrincipal {
	sp := &ServicePrincipal{
		ID: newGUID(), AccountEnabled: true, AppDisplayName: a.DisplayName, AppID: a.AppID,
		AppOwnerOrganizationID: tenantID, AppRoles: []AppRole{},
		DisplayName: a.DisplayName, KeyCredentials: []KeyCredential{}, ServicePrincipalNames: []string{a.AppID},
		ServicePrincipalType: "Application", Tags: []string{},
	}
	s.ServicePrincipals = append(s.ServicePrincipals, sp)
	return sp
}

func (s *State) consent(sp *ServicePrincipal, resourceAppID, value string, now time.Time) error {
	resource := s.principalOf(resourceAppID)
	if resource == nil {
		return fmt.Errorf("no service principal of %s", resourceAppID)
	}
	for _, r := range resource.AppRoles {
		if r.Value == value {
			s.Assignments = append(s.Assignments, &Assignment{
				ID: newAssignmentID(), AppRoleID: r.ID, CreatedDateTime: &now, PrincipalDisplayName: sp.DisplayName,
				PrincipalID:   sp.ID,
				PrincipalType: "ServicePrincipal", ResourceDisplayName: resource.DisplayName, ResourceID: resource.ID,
			})
			return nil
		}
	}
	return fmt.Errorf("%s has no role %s", resource.DisplayName, value)
}

// Application finds an application by its application id; nil when there is none. For use within
// Update.
func (s *State) Application(appID string) *Application {
	for _, a := range s.Applications {
		if strings.EqualFold(a.AppID, appID) {
			return a
		}
	}
	return nil
}

// ServicePrincipal finds the service principal of an application id; nil when there is none.
func (s *State) ServicePrincipal(appID string) *ServicePrincipal { return s.principalOf(appID) }

func (s *State) principalOf(appID string) *ServicePrincipal {
	for _, p := range s.ServicePrincipals {
		if strings.EqualFold(p.AppID, appID) {
			return p
		}
	}
	return nil
}

// Roles are the permissions, by value, that an application has been granted at a resource.
func (s *State) Roles(appID, resourceAppID string) []string {
	p, resource := s.principalOf(appID), s.principalOf(resourceAppID)
	if p == nil || resource == nil {
		return nil
	}
	var out []string
	for _, role := range resource.AppRoles {
		for _, a := range s.Assignments {
			if a.PrincipalID == p.ID && a.ResourceID == resource.ID && strings.EqualFold(a.AppRoleID, role.ID) {
				out = appendNew(out, role.Value)
			}
		}
	}
	return out
}

// Revoke removes a consent, by the permission's value. An empty value removes all of them.
func (s *State) Revoke(appID, value string) {
	p := s.principalOf(appID)
	if p == nil {
		return
	}
	var kept []*Assignment
	for _, a := range s.Assignments {
		if a.PrincipalID != p.ID || value != "" && s.roleValue(a) != value {
			kept = append(kept, a)
		}
	}
	s.Assignments = kept
}

func (s *State) roleValue(a *Assignment) string {
	for _, p := range s.ServicePrincipals {
		if p.ID != a.ResourceID {
			continue
		}
		for _, r := range p.AppRoles {
			if strings.EqualFold(r.ID, a.AppRoleID) {
				return r.Value
			}
		}
	}
	return ""
}
