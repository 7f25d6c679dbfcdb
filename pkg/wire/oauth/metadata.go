package oauth

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"regexp"
	"strings"
	"sync"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// maxDocument bounds every document that is fetched. Entra's federation metadata, the largest, is
// about 100 KiB.
const maxDocument = 4 << 20

// OpenIDConfiguration is the discovery document of a token issuer (OpenID Connect Discovery 1.0,
// section 3), as far as Entra clients use it.
type OpenIDConfiguration struct {
	Issuer                      string   `json:"issuer"`
	AuthorizationEndpoint       string   `json:"authorization_endpoint"`
	TokenEndpoint               string   `json:"token_endpoint"`
	DeviceAuthorizationEndpoint string   `json:"device_authorization_endpoint,omitempty"`
	JWKSURI                     string   `json:"jwks_uri"`
	TokenEndpointAuthMethods    []string `json:"token_endpoint_auth_methods_supported,omitempty"`
	ResponseTypes               []string `json:"response_types_supported,omitempty"`
	SubjectTypes                []string `json:"subject_types_supported,omitempty"`
	SigningAlgorithms           []string `json:"id_token_signing_alg_values_supported,omitempty"`
	TenantRegionScope           string   `json:"tenant_region_scope,omitempty"`
	TenantRegionSubScope        string   `json:"tenant_region_sub_scope,omitempty"`
	CloudInstance               string   `json:"cloud_instance_name,omitempty"`
	GraphHost                   string   `json:"msgraph_host,omitempty"`
}

var guid = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}`)
})

// TenantID is the tenant's GUID, which the issuer and the token endpoint hold; "" when neither
// does.
func (c OpenIDConfiguration) TenantID() string {
	for _, u := range []string{c.Issuer, c.TokenEndpoint} {
		if id := guid().FindString(u); id != "" {
			return strings.ToLower(id)
		}
	}
	return ""
}

// FetchOpenIDConfiguration reads AUTHORITY/v2.0/.well-known/openid-configuration. The authority is
// a login host with a tenant's GUID or one of its domains:
// https://login.microsoftonline.com/contoso.com. A tenant that does not exist is an *Error with
// AADSTS90002.
func FetchOpenIDConfiguration(ctx context.Context, client *http.Client, authority string) (OpenIDConfiguration, error) {
	var c OpenIDConfiguration
	address := strings.TrimSuffix(authority, "/") + "/v2.0/.well-known/openid-configuration"
	body, err := fetch(ctx, client, address, "application/json")
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(body, &c); err != nil || c.Issuer == "" || c.TokenEndpoint == "" {
		return c, fmt.Errorf("read %s: no OpenID configuration", address)
	}
	return c, nil
}

// fetch gets a document. It follows no redirect. A status other than 200 is an *Error when the body
// is an OAuth error, else a *link.StatusError.
func fetch(ctx context.Context, client *http.Client, address, accept string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("read metadata: %w", err)
	}
	req.Header.Set("Accept", accept)
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", address, bare(err))
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", address, err)
	}
	if len(body) > maxDocument {
		return nil, fmt.Errorf("read %s: the document is larger than %d MiB", address, maxDocument>>20)
	}
	if resp.StatusCode == http.StatusOK {
		return body, nil
	}
	if e := ParseError(req.URL.Host, resp.StatusCode, body); e.Code != "" {
		return nil, fmt.Errorf("read %s: %w", address, e)
	}
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		return nil, fmt.Errorf("read %s: status %d, redirected to %q", address, resp.StatusCode,
			clean(resp.Header.Get("Location")))
	}
	return nil, fmt.Errorf("read metadata: %w", link.NewStatusError(resp, body))
}

// jwk is one key of a JSON Web Key Set (RFC 7517), as Entra publishes them.
type jwk struct {
	Type     string   `json:"kty"`
	Use      string   `json:"use,omitempty"`
	KeyID    string   `json:"kid,omitempty"`
	X5T      string   `json:"x5t,omitempty"`
	Modulus  string   `json:"n,omitempty"`
	Exponent string   `json:"e,omitempty"`
	Chain    []string `json:"x5c,omitempty"`
}

// FetchKeys reads a JSON Web Key Set.
func FetchKeys(ctx context.Context, client *http.Client, address string) ([]Key, error) {
	body, err := fetch(ctx, client, address, "application/json")
	if err != nil {
		return nil, err
	}
	keys, err := ParseKeys(body)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", address, err)
	}
	return keys, nil
}

// ParseKeys reads the RSA keys of a JSON Web Key Set; keys of other types and uses are left out.
func ParseKeys(document []byte) ([]Key, error) {
	var set struct {
		Keys []jwk `json:"keys"`
	}
	if err := json.Unmarshal(document, &set); err != nil || set.Keys == nil {
		return nil, errors.New("no JSON Web Key Set")
	}
	var keys []Key
	for _, j := range set.Keys {
		if j.Type != "RSA" || j.Use != "" && j.Use != "sig" {
			continue
		}
		k := Key{ID: j.KeyID}
		if len(j.Chain) > 0 {
			c, err := parseCertificate(j.Chain[0])
			if err != nil {
				return nil, fmt.Errorf("key %q: %w", clean(j.KeyID), err)
			}
			k.Certificate = c
		}
		public, err := rsaKey(j.Modulus, j.Exponent)
		if err != nil {
			return nil, fmt.Errorf("key %q: %w", clean(j.KeyID), err)
		}
		k.Public = public
		if k.Certificate != nil && !public.Equal(k.Certificate.PublicKey) {
			return nil, fmt.Errorf("key %q: its certificate holds another key", clean(j.KeyID))
		}
		keys = append(keys, k)
	}
	return keys, nil
}

func rsaKey(modulus, exponent string) (*rsa.PublicKey, error) {
	n, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(modulus, "="))
	if err != nil || len(n) < 128 || len(n) > 2048 {
		return nil, errors.New("modulus is no number of 1024 to 16384 bits")
	}
	e, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(exponent, "="))
	if err != nil || len(e) == 0 || len(e) > 4 {
		return nil, errors.New("exponent is no small number")
	}
	var padded [8]byte
	copy(padded[8-len(e):], e)
	value := binary.BigEndian.Uint64(padded[:])
	if value < 3 || value > 1<<31-1 || value%2 == 0 {
		return nil, errors.New("exponent is out of range")
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(value)}, nil
}

// FormatKeys renders keys as a JSON Web Key Set.
func FormatKeys(keys []Key) []byte {
	set := struct {
		Keys []jwk `json:"keys"`
	}{Keys: []jwk{}}
	for _, k := range keys {
		j := jwk{
			Type: "RSA", Use: "sig", KeyID: k.ID,
			Modulus:  base64.RawURLEncoding.EncodeToString(k.Public.N.Bytes()),
			Exponent: base64.RawURLEncoding.EncodeToString(big.NewInt(int64(k.Public.E)).Bytes()),
		}
		if k.Certificate != nil {
			j.X5T = X5T(k.Certificate)
			j.Chain = []string{base64.StdEncoding.EncodeToString(k.Certificate.Raw)}
		}
		set.Keys = append(set.Keys, j)
	}
	out, _ := json.Marshal(set) // strings and slices of strings always encode
	return out
}

// parseCertificate reads a base64 DER certificate, in which white space may stand.
func parseCertificate(text string) (*x509.Certificate, error) {
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return nil, errors.New("certificate is not base64")
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, errors.New("certificate does not parse")
	}
	return c, nil
}

// AuthMetadata is the document at .../metadata/json/1 with which ACS, Entra and Exchange servers
// ([host]/autodiscover/metadata/json/1) publish their names and signing keys ([MS-XOAUTH] and the
// AuthMetadataUrl of Set-AuthServer). Member names are read without case.
type AuthMetadata struct {
	ID               string             `json:"id,omitempty"`
	Version          string             `json:"version,omitempty"`
	Name             string             `json:"name,omitempty"`
	Realm            string             `json:"realm"`
	ServiceName      string             `json:"serviceName"`
	Issuer           string             `json:"issuer"`
	AllowedAudiences []string           `json:"allowedAudiences"`
	Keys             []MetadataKey      `json:"keys"`
	Endpoints        []MetadataEndpoint `json:"endpoints"`
}

// MetadataKey is one signing key of an AuthMetadata.
type MetadataKey struct {
	Usage    string           `json:"usage"` // "signing"
	KeyInfo  MetadataKeyInfo  `json:"keyInfo"`
	KeyValue MetadataKeyValue `json:"keyValue"`
}

// MetadataKeyInfo names a key.
type MetadataKeyInfo struct {
	X5T string `json:"x5t"`
}

// MetadataKeyValue holds a key: Type "x509Certificate", Value base64 DER.
type MetadataKeyValue struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

// MetadataEndpoint is one endpoint of an AuthMetadata: where tokens are issued, or where the
// document itself is.
type MetadataEndpoint struct {
	Location string `json:"location"`
	Protocol string `json:"protocol"` // "OAuth2"
	Usage    string `json:"usage"`    // "issuance", "metadata"
}

// ACSMetadata makes the document that ACS publishes for a tenant.
func ACSMetadata(tenantID, tokenEndpoint string, certificates ...*x509.Certificate) AuthMetadata {
	return AuthMetadata{
		Realm:            tenantID,
		ServiceName:      AppAccessControlService,
		Issuer:           AppAccessControlService + "@" + tenantID,
		AllowedAudiences: []string{AppAccessControlService + "/accounts.accesscontrol.windows.net@" + tenantID},
		Keys:             metadataKeys(certificates),
		Endpoints:        []MetadataEndpoint{{Location: tokenEndpoint, Protocol: "OAuth2", Usage: "issuance"}},
	}
}

// ExchangeMetadata makes the document that an Exchange server publishes. The realm is AuthConfig's,
// or the default accepted domain when that is empty.
func ExchangeMetadata(id, realm, address string, certificates ...*x509.Certificate) AuthMetadata {
	return AuthMetadata{
		ID:               id,
		Version:          "1.0",
		Name:             "Exchange",
		Realm:            realm,
		ServiceName:      AppExchangeOnline,
		Issuer:           AppExchangeOnline + "@" + realm,
		AllowedAudiences: []string{AppExchangeOnline + "@" + realm},
		Keys:             metadataKeys(certificates),
		Endpoints:        []MetadataEndpoint{{Location: address, Protocol: "OAuth2", Usage: "metadata"}},
	}
}

func metadataKeys(certificates []*x509.Certificate) []MetadataKey {
	keys := []MetadataKey{}
	for _, c := range certificates {
		keys = append(keys, MetadataKey{
			Usage:    "signing",
			KeyInfo:  MetadataKeyInfo{X5T: X5T(c)},
			KeyValue: MetadataKeyValue{Type: "x509Certificate", Value: base64.StdEncoding.EncodeToString(c.Raw)},
		})
	}
	return keys
}

// ParseAuthMetadata reads the document; it must name an issuer.
func ParseAuthMetadata(document []byte) (AuthMetadata, error) {
	var m AuthMetadata
	if err := json.Unmarshal(document, &m); err != nil || m.Issuer == "" {
		return AuthMetadata{}, errors.New("no auth metadata document")
	}
	return m, nil
}

// FetchAuthMetadata reads the document from its address.
func FetchAuthMetadata(ctx context.Context, client *http.Client, address string) (AuthMetadata, error) {
	body, err := fetch(ctx, client, address, "application/json")
	if err != nil {
		return AuthMetadata{}, err
	}
	m, err := ParseAuthMetadata(body)
	if err != nil {
		return m, fmt.Errorf("read %s: %w", address, err)
	}
	return m, nil
}

// SigningKeys are the document's RSA keys for signing. A key that does not parse is an error, not
// left out: Exchange refuses such a document.
func (m AuthMetadata) SigningKeys() ([]Key, error) {
	var keys []Key
	for i, k := range m.Keys {
		if !strings.EqualFold(k.Usage, "signing") || !strings.EqualFold(k.KeyValue.Type, "x509Certificate") {
			continue
		}
		c, err := parseCertificate(k.KeyValue.Value)
		if err != nil {
			return nil, fmt.Errorf("auth metadata of %s, key %d: %w", clean(m.Issuer), i+1, err)
		}
		key, err := CertificateKey(c)
		if err != nil {
			return nil, fmt.Errorf("auth metadata of %s, key %d: %w", clean(m.Issuer), i+1, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// FederationMetadata is what Exchange takes from a WS-Federation metadata document (the
// AuthMetadataUrl of an AuthServer of type AzureAD):
// .../federationmetadata/2007-06/federationmetadata.xml.
type FederationMetadata struct {
	EntityID     string // https://sts.windows.net/{tenantId}/
	Certificates []*x509.Certificate
	Endpoint     string // of passive requestors
}

// TenantID is the GUID in the entity's id; "" when there is none.
func (m FederationMetadata) TenantID() string { return strings.ToLower(guid().FindString(m.EntityID)) }

const (
	nsMetadata   = "urn:oasis:names:tc:SAML:2.0:metadata"
	nsFederation = "http://docs.oasis-open.org/wsfed/federation/200706"
	nsSignature  = "http://www.w3.org/2000/09/xmldsig#"
	nsInstance   = "http://www.w3.org/2001/XMLSchema-instance"
	nsAddressing = "http://www.w3.org/2005/08/addressing"
)

type entityDescriptor struct {
	XMLName  xml.Name         `xml:"urn:oasis:names:tc:SAML:2.0:metadata EntityDescriptor"`
	EntityID string           `xml:"entityID,attr"`
	Roles    []roleDescriptor `xml:"urn:oasis:names:tc:SAML:2.0:metadata RoleDescriptor"`
}

type roleDescriptor struct {
	Type     string          `xml:"http://www.w3.org/2001/XMLSchema-instance type,attr"`
	Keys     []keyDescriptor `xml:"urn:oasis:names:tc:SAML:2.0:metadata KeyDescriptor"`
	Endpoint string          `xml:"PassiveRequestorEndpoint>EndpointReference>Address"`
}

type keyDescriptor struct {
	Use          string   `xml:"use,attr"`
	Certificates []string `xml:"http://www.w3.org/2000/09/xmldsig# KeyInfo>X509Data>X509Certificate"`
}

// ParseFederationMetadata reads the security token service's part of the document. Its signature is
// not verified: as for Exchange, the TLS connection that it came over vouches for it.
func ParseFederationMetadata(document []byte) (FederationMetadata, error) {
	var d entityDescriptor
	if err := xml.Unmarshal(document, &d); err != nil || d.EntityID == "" {
		return FederationMetadata{}, errors.New("no federation metadata document")
	}
	m := FederationMetadata{EntityID: d.EntityID}
	for _, r := range d.Roles {
		_, kind, _ := strings.Cut(r.Type, ":")
		if kind != "SecurityTokenServiceType" {
			continue
		}
		m.Endpoint = strings.TrimSpace(r.Endpoint)
		for _, k := range r.Keys {
			if k.Use != "" && k.Use != "signing" {
				continue
			}
			for _, text := range k.Certificates {
				c, err := parseCertificate(text)
				if err != nil {
					return FederationMetadata{}, fmt.Errorf("federation metadata: %w", err)
				}
				m.Certificates = append(m.Certificates, c)
			}
		}
	}
	return m, nil
}

// FetchFederationMetadata reads the document from its address.
func FetchFederationMetadata(ctx context.Context, client *http.Client, address string) (FederationMetadata, error) {
	body, err := fetch(ctx, client, address, "application/xml")
	if err != nil {
		return FederationMetadata{}, err
	}
	m, err := ParseFederationMetadata(body)
	if err != nil {
		return m, fmt.Errorf("read %s: %w", address, err)
	}
	return m, nil
}

// Format renders the document, unsigned.
func (m FederationMetadata) Format() []byte {
	var b strings.Builder
	escape := func(s string) string {
		var e strings.Builder
		_ = xml.EscapeText(&e, []byte(s)) // never fails on a strings.Builder
		return e.String()
	}
	fmt.Fprintf(&b, `<?xml version="1.0" encoding="utf-8"?><EntityDescriptor xmlns=%q entityID="%s">`, nsMetadata,
		escape(m.EntityID))
	fmt.Fprintf(&b, `<RoleDescriptor xmlns:xsi=%q xmlns:fed=%q xsi:type="fed:SecurityTokenServiceType" protocolSupportEnumeration=%q>`, nsInstance, nsFederation, nsFederation)
	for _, c := range m.Certificates {
		fmt.Fprintf(&b, `<KeyDescriptor use="signing"><KeyInfo xmlns=%q><X509Data><X509Certificate>%s</X509Certificate></X509Data></KeyInfo></KeyDescriptor>`,
			nsSignature, base64.StdEncoding.EncodeToString(c.Raw))
	}
	fmt.Fprintf(&b, `<fed:PassiveRequestorEndpoint><wsa:EndpointReference xmlns:wsa=%q><wsa:Address>%s</wsa:Address></wsa:EndpointReference></fed:PassiveRequestorEndpoint>`,
		nsAddressing, escape(m.Endpoint))
	b.WriteString(`</RoleDescriptor></EntityDescriptor>`)
	return []byte(b.String())
}
