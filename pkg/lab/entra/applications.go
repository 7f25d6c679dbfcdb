package entra

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
)

func (c *call) applications(path []string) (int, any, *odataError) {
	s := &c.tenant.state
	if len(path) == 1 {
		switch c.Method {
		case http.MethodGet:
			if e := c.may(readApplications...); e != nil {
				return 0, nil, e
			}
			return list(c, "applications", s.Applications)
		case http.MethodPost:
			return c.createApplication()
		}
		return 0, nil, c.methodNotAllowed()
	}
	if e := wellFormed(path[1]); e != nil {
		return 0, nil, e
	}
	at := slices.IndexFunc(s.Applications, func(a *Application) bool { return named(path[1], a.ID, a.AppID) })
	rolls := len(path) == 3 && c.Method == http.MethodPost && (path[2] == "addKey" || path[2] == "removeKey")
	if e := c.may(readApplications...); e != nil && !rolls {
		return 0, nil, e
	}
	if at < 0 {
		return 0, nil, notFound(strings.TrimPrefix(path[1], "appId="))
	}
	a := s.Applications[at]
	if rolls {
		return c.rollKey(path[2], a.ID, a.AppID, &a.KeyCredentials)
	}
	if len(path) == 4 && path[2] == "owners" && path[3] == "$ref" && c.Method == http.MethodPost {
		if e := c.may(writeApplications...); e != nil {
			return 0, nil, e
		}
		return http.StatusNoContent, nil, nil
	}
	if len(path) == 3 && c.Method == http.MethodGet {
		switch path[2] {
		case "owners":
			return list(c, "directoryObjects", s.Owners[a.ID])
		case "federatedIdentityCredentials":
			return list(c, "federatedIdentityCredentials", s.Federated[a.ID])
		}
	}
	if len(path) == 3 && c.Method == http.MethodPost {
		switch strings.TrimPrefix(path[2], "microsoft.graph.") {
		case "addPassword":
			return c.addPassword(a)
		case "removePassword":
			return c.removePassword(a)
		}
	}
	if len(path) != 2 {
		return 0, nil, badRequest("Resource not found for the segment '%s'.", path[2])
	}
	switch c.Method {
	case http.MethodGet:
		return one(c, http.StatusOK, "applications", a)
	case http.MethodPatch:
		if e := c.may(writeApplications...); e != nil {
			return 0, nil, e
		}
		fresh, given, e := merge(c.body, *a, "id", "appId", "createdDateTime", "passwordCredentials")
		if e != nil {
			return 0, nil, e
		}
		fresh.PasswordCredentials = a.PasswordCredentials
		if e := fresh.check(given, a.KeyCredentials, c.tenant.config.Clock()); e != nil {
			return 0, nil, e
		}
		if e := s.KeyPolicy.allows(a.AppID, fresh.KeyCredentials, a.KeyCredentials); e != nil {
			return 0, nil, e
		}
		*a = fresh
		return http.StatusNoContent, nil, nil
	case http.MethodDelete:
		if e := c.may(writeApplications...); e != nil {
			return 0, nil, e
		}
		s.Applications = slices.Delete(s.Applications, at, at+1)
		if p := s.principalOf(a.AppID); p != nil {
			s.removePrincipal(p)
		}
		return http.StatusNoContent, nil, nil
	}
	return 0, nil, c.methodNotAllowed()
}

// addPassword makes a client secret. It is shown in this answer and never again.
func (c *call) addPassword(a *Application) (int, any, *odataError) {
	if e := c.may(writeApplications...); e != nil {
		return 0, nil, e
	}
	var body struct {
		Credential struct {
			DisplayName *string    `json:"displayName"`
			EndDateTime *time.Time `json:"endDateTime"`
		} `json:"passwordCredential"`
	}
	if len(c.body) > 0 && json.Unmarshal(c.body, &body) != nil {
		return 0, nil, badRequest("Invalid request.")
	}
	now := c.tenant.config.Clock().UTC().Truncate(time.Second)
	end := now.AddDate(2, 0, 0)
	if body.Credential.EndDateTime != nil {
		end = *body.Credential.EndDateTime
	}
	if !end.After(now) {
		return 0, nil, badRequest("Password credential end date is invalid.")
	}
	secret := newAssignmentID()[:40]
	hint := secret[:3]
	a.PasswordCredentials = append(a.PasswordCredentials, PasswordCredential{
		KeyID: newGUID(), DisplayName: body.Credential.DisplayName, EndDateTime: &end, Hint: &hint, SecretText: &secret,
	})
	made := a.PasswordCredentials[len(a.PasswordCredentials)-1]
	return http.StatusOK, map[string]any{
		"@odata.context": c.context("microsoft.graph.passwordCredential"), "keyId": made.KeyID,
		"displayName":   made.DisplayName,
		"startDateTime": now, "endDateTime": end, "hint": hint, "secretText": secret, "customKeyIdentifier": nil,
	}, nil
}

func (c *call) removePassword(a *Application) (int, any, *odataError) {
	if e := c.may(writeApplications...); e != nil {
		return 0, nil, e
	}
	var body struct {
		KeyID string `json:"keyId"`
	}
	if err := json.Unmarshal(c.body, &body); err != nil || !isGUID(body.KeyID) {
		return 0, nil, badRequest("Invalid request.")
	}
	left := slices.DeleteFunc(slices.Clone(a.PasswordCredentials),
		func(p PasswordCredential) bool { return strings.EqualFold(p.KeyID, body.KeyID) })
	if len(left) == len(a.PasswordCredentials) {
		return 0, nil, badRequest("No password credential found with keyId.")
	}
	a.PasswordCredentials = left
	return http.StatusNoContent, nil, nil
}

// wellFormed refuses a path segment without a GUID.
func wellFormed(segment string) *odataError {
	if id := strings.TrimPrefix(segment, "appId="); !isGUID(id) {
		return badRequest("Invalid object identifier '%s'.", id)
	}
	return nil
}

// named reports whether a path segment, an object id or "appId=...", names an object.
func named(segment, id, appID string) bool {
	if s, ok := strings.CutPrefix(segment, "appId="); ok {
		return strings.EqualFold(s, appID)
	}
	return strings.EqualFold(segment, id)
}

func (s *State) removePrincipal(p *ServicePrincipal) {
	s.ServicePrincipals = slices.DeleteFunc(s.ServicePrincipals, func(x *ServicePrincipal) bool { return x == p })
	s.Assignments = slices.DeleteFunc(s.Assignments,
		func(a *Assignment) bool { return a.PrincipalID == p.ID || a.ResourceID == p.ID })
}

func (c *call) createApplication() (int, any, *odataError) {
	if e := c.may(writeApplications...); e != nil {
		return 0, nil, e
	}
	a := newApplication("", newGUID(), c.tenant.config.Clock().UTC().Truncate(time.Second))
	fresh, given, e := merge(c.body, *a, "id", "appId", "createdDateTime")
	if e != nil {
		return 0, nil, e
	}
	if e := fresh.check(given, nil, c.tenant.config.Clock()); e != nil {
		return 0, nil, e
	}
	if e := c.tenant.state.KeyPolicy.allows(fresh.AppID, fresh.KeyCredentials, nil); e != nil {
		return 0, nil, e
	}
	c.tenant.state.Applications = append(c.tenant.state.Applications, &fresh)
	c.tenant.made[fresh.ID] = c.tenant.config.Clock()
	return one(c, http.StatusCreated, "applications", &fresh)
}

var audiences = []string{"AzureADMyOrg", "AzureADMultipleOrgs", "AzureADandPersonalMicrosoftAccount",
	"PersonalMicrosoftAccount"}

// check validates the properties of a request.
func (a *Application) check(given map[string]json.RawMessage, old []KeyCredential, now time.Time) *odataError {
	if a.DisplayName == "" {
		return badRequest("Property displayName is required.")
	}
	if len(a.DisplayName) > 256 {
		return badRequest("Invalid value specified for property 'displayName' of resource 'Application'.")
	}
	if a.Notes != nil && len(*a.Notes) > 1024 {
		return badRequest("Invalid value specified for property 'notes' of resource 'Application'.")
	}
	if !slices.Contains(audiences, a.SignInAudience) {
		return badRequest("Invalid value specified for property 'signInAudience' of resource 'Application'.")
	}
	resources := map[string]bool{}
	for _, r := range a.RequiredResourceAccess {
		id := strings.ToLower(r.ResourceAppID)
		if !isGUID(id) || len(r.ResourceAccess) == 0 || resources[id] {
			return badRequest("Invalid value specified for property 'requiredResourceAccess' of resource " +
				"'Application'.")
		}
		resources[id] = true
		permissions := map[string]bool{}
		for _, p := range r.ResourceAccess {
			if permissions[strings.ToLower(p.ID)] {
				return badRequest("Duplicate permission '%s' in 'resourceAccess' of resource 'RequiredResourceAccess'.",
					p.ID)
			}
			permissions[strings.ToLower(p.ID)] = true
			if !isGUID(p.ID) || p.Type != "Role" && p.Type != "Scope" {
				return badRequest("Invalid value specified for property 'resourceAccess' of resource " +
					"'RequiredResourceAccess'.")
			}
		}
	}
	if _, ok := given["keyCredentials"]; ok {
		keys, e := writtenKeys(a.KeyCredentials, old, now)
		if e != nil {
			return e
		}
		a.KeyCredentials = keys
	}
	return nil
}

// writtenKeys validates a list of key credentials that replaces an old one. An entry without its
// key must have the key id of an old one. An old entry cannot be changed.
func writtenKeys(keys, old []KeyCredential, now time.Time) ([]KeyCredential, *odataError) {
	out := []KeyCredential{}
	ids := map[string]bool{}
	for _, k := range keys {
		var kept *KeyCredential
		if at := slices.IndexFunc(old,
			func(o KeyCredential) bool { return k.KeyID != "" && strings.EqualFold(o.KeyID, k.KeyID) }); at >= 0 {
			kept = &old[at]
		}
		if len(k.Key) == 0 {
			if kept == nil {
				return nil, &odataError{http.StatusBadRequest, "KeyCredentialsInvalidValue",
					"Key credential without a value does not reference an existing one."}
			}
			k.Key = kept.Key
		}
		if kept != nil {
			if k.changes(*kept) {
				return nil, badRequest("Update to existing credential with KeyId '%s' is not allowed.", k.KeyID)
			}
			k = *kept
		}
		complete, err := completeKey(k)
		if err != nil {
			return nil, badRequest("Invalid value specified for property 'keyCredentials': %v.", err)
		}
		if kept == nil && !complete.EndDateTime.After(now) {
			return nil, &odataError{http.StatusBadRequest, "KeyCredentialsInvalidEndDate",
				"Key credential end date is invalid."}
		}
		id := strings.ToLower(complete.KeyID)
		if ids[id] {
			return nil, &odataError{http.StatusBadRequest, "KeyCredentialsDuplicateKeyId",
				"Duplicate key id in key credentials."}
		}
		ids[id] = true
		out = append(out, complete)
	}
	return out, nil
}

// changes reports whether an entry has another value than the one with its key id. Omitted values
// stay unchanged.
func (k KeyCredential) changes(old KeyCredential) bool {
	moved := func(a, b *time.Time) bool { return a != nil && b != nil && !a.Equal(*b) }
	return !bytes.Equal(k.Key, old.Key) || k.Type != "" && k.Type != old.Type || k.Usage != "" &&
		k.Usage != old.Usage ||
		k.CustomKeyIdentifier != "" && k.CustomKeyIdentifier != old.CustomKeyIdentifier ||
		k.DisplayName != nil && old.DisplayName != nil && *k.DisplayName != *old.DisplayName ||
		moved(k.StartDateTime, old.StartDateTime) || moved(k.EndDateTime, old.EndDateTime)
}

// completeKey fills in what the service derives from a certificate.
func completeKey(k KeyCredential) (KeyCredential, error) {
	c, err := k.certificate()
	if err != nil {
		return k, errors.New("the key is not an X.509 certificate")
	}
	if k.Type != "AsymmetricX509Cert" || k.Usage != "Verify" {
		return k, fmt.Errorf("type %q with usage %q is not supported", k.Type, k.Usage)
	}
	if k.KeyID == "" {
		k.KeyID = newGUID()
	}
	if !isGUID(k.KeyID) || strings.Trim(k.KeyID, "0-") == "" {
		return k, errors.New("the key id is not a GUID")
	}
	if k.CustomKeyIdentifier == "" {
		k.CustomKeyIdentifier = certificate.Thumbprint(c)
	}
	start, end := c.NotBefore.UTC(), c.NotAfter.UTC()
	if k.StartDateTime == nil {
		k.StartDateTime = &start
	}
	if k.EndDateTime == nil {
		k.EndDateTime = &end
	}
	if !k.StartDateTime.Before(*k.EndDateTime) {
		return k, errors.New("the end date is not after the start date")
	}
	if k.EndDateTime.After(end) {
		return k, errors.New("the end date is after the certificate's")
	}
	if k.DisplayName == nil {
		name := certificate.Subject(c)
		k.DisplayName = &name
	}
	return k, nil
}

func (k KeyCredential) certificate() (*x509.Certificate, error) { return x509.ParseCertificate(k.Key) }
