package entra

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

// proofAudience is the audience of a proof of possession: Azure AD Graph.
const proofAudience = "00000002-0000-0000-c000-000000000000"

// verifyKeys returns the keys of an application that verify signatures, and the identifiers of
// those that have ended.
func verifyKeys(list []KeyCredential, now time.Time) (keys []oauth.Key, expired map[string]bool) {
	expired = map[string]bool{}
	for _, k := range list {
		c, err := k.certificate()
		if err != nil || k.Usage != "Verify" {
			continue
		}
		key, err := oauth.CertificateKey(c)
		if err != nil {
			continue
		}
		key.ID = certificate.Thumbprint(c) // some clients send it as "kid"
		keys = append(keys, key)
		if now.After(c.NotAfter) || k.EndDateTime != nil && now.After(*k.EndDateTime) {
			expired[oauth.X5T(c)], expired[oauth.X5TS256(c)], expired[key.ID] = true, true, true
		}
	}
	return keys, expired
}

// rollKey answers addKey and removeKey: an application changes its own keys with a proof that it
// holds one of them, and needs no other permission.
func (c *call) rollKey(action, id, appID string, keys *[]KeyCredential) (int, any, *odataError) {
	if !strings.EqualFold(c.appID, appID) {
		if e := c.may(writeApplications...); e != nil {
			return 0, nil, e
		}
	}
	var body struct {
		Key      *KeyCredential  `json:"keyCredential"`
		Password json.RawMessage `json:"passwordCredential"`
		KeyID    string          `json:"keyId"`
		Proof    string          `json:"proof"`
	}
	raw, err := withoutAnnotations(c.body)
	if err != nil || json.Unmarshal(raw, &body) != nil {
		return 0, nil, badRequest("Invalid request.")
	}
	if e := c.proves(body.Proof, id, *keys); e != nil {
		return 0, nil, e
	}
	if action == "removeKey" {
		left := slices.DeleteFunc(slices.Clone(*keys),
			func(k KeyCredential) bool { return strings.EqualFold(k.KeyID, body.KeyID) })
		if len(left) == len(*keys) {
			return 0, nil, badRequest("No credentials found to be removed.")
		}
		*keys = left
		return http.StatusNoContent, nil, nil
	}
	if body.Key == nil || body.Key.Type != "AsymmetricX509Cert" || len(body.Key.Key) == 0 {
		return 0, nil, badRequest("Invalid value specified for property 'keyCredential'.")
	}
	if p := strings.TrimSpace(string(body.Password)); p != "" && p != "null" {
		return 0, nil, badRequest("A passwordCredential is for keys of type X509CertAndPassword alone.")
	}
	fresh, e := writtenKeys(append(slices.Clone(*keys), *body.Key), *keys, c.tenant.config.Clock())
	if e == nil {
		e = c.tenant.state.KeyPolicy.allows(appID, fresh, *keys)
	}
	if e != nil {
		return 0, nil, e
	}
	*keys = fresh
	m, e := object(fresh[len(fresh)-1])
	if e != nil {
		return 0, nil, e
	}
	m["key"], m["@odata.context"] = nil, c.context("microsoft.graph.keyCredential")
	return http.StatusOK, m, nil
}

// proves verifies a proof of possession: a token of at most ten minutes, issued by the object and
// signed with one of its keys that have not ended.
func (c *call) proves(proof, id string, list []KeyCredential) *odataError {
	refused := &odataError{http.StatusForbidden, "Authentication_MissingOrMalformed",
		"Access Token missing or malformed. A valid proof of possession of an existing key is required."}
	parsed, err := oauth.Parse(proof)
	if err != nil {
		return refused
	}
	keys, expired := verifyKeys(list, c.tenant.config.Clock())
	if expired[normal(parsed.Header.X5T)] || expired[normal(parsed.Header.X5TS256)] ||
		expired[strings.ToUpper(parsed.Header.KeyID)] {
		return refused
	}
	v := oauth.Verifier{Keys: keys, Algorithms: []string{"RS256"}, Issuers: []string{id},
		Audiences: []string{proofAudience}, Now: c.tenant.config.Clock, Leeway: 5 * time.Minute, TextTimes: true}
	token, err := v.Verify(proof)
	if err != nil {
		return refused
	}
	from, fromGiven, _ := token.Claims.Time("nbf")
	to, toGiven, _ := token.Claims.Time("exp")
	if !fromGiven || !toGiven || to.Sub(from) > 10*time.Minute {
		return refused
	}
	return nil
}

// KeyPolicy is the part of an application management policy that concerns certificates.
type KeyPolicy struct {
	MaxLifetime time.Duration
	// Exempt are the applications, by their application id, that the policy does not concern.
	Exempt []string
}

// allows checks the new keys of an application against the tenant's policy.
func (p *KeyPolicy) allows(appID string, keys, old []KeyCredential) *odataError {
	if p == nil || slices.ContainsFunc(p.Exempt, func(id string) bool { return strings.EqualFold(id, appID) }) {
		return nil
	}
	for _, k := range keys {
		kept := slices.ContainsFunc(old, func(o KeyCredential) bool { return strings.EqualFold(o.KeyID, k.KeyID) })
		if !kept && k.StartDateTime != nil && k.EndDateTime != nil &&
			k.EndDateTime.Sub(*k.StartDateTime) > p.MaxLifetime {
			return &odataError{http.StatusBadRequest, "CredentialInvalidLifetimeAsPerAppPolicy",
				"Credential lifetime exceeds the max value allowed as per assigned policy."}
		}
	}
	return nil
}
