package entra

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

func (c *call) servicePrincipals(path []string) (int, any, *odataError) {
	s := &c.tenant.state
	rolls := len(path) == 3 && c.Method == http.MethodPost && (path[2] == "addKey" || path[2] == "removeKey")
	if e := c.may(readApplications...); e != nil && !rolls {
		return 0, nil, e
	}
	if len(path) == 1 {
		switch c.Method {
		case http.MethodGet:
			return list(c, "servicePrincipals", s.ServicePrincipals)
		case http.MethodPost:
			return c.createServicePrincipal()
		}
		return 0, nil, c.methodNotAllowed()
	}
	if e := wellFormed(path[1]); e != nil {
		return 0, nil, e
	}
	at := slices.IndexFunc(s.ServicePrincipals, func(p *ServicePrincipal) bool { return named(path[1], p.ID, p.AppID) })
	if at < 0 {
		return 0, nil, notFound(strings.TrimPrefix(path[1], "appId="))
	}
	p := s.ServicePrincipals[at]
	switch {
	case rolls:
		return c.rollKey(path[2], p.ID, p.AppID, &p.KeyCredentials)
	case len(path) == 2:
		return c.servicePrincipal(p)
	case path[2] == "appRoleAssignments":
		return c.appRoleAssignments(p, path[3:])
	case path[2] == "appRoleAssignedTo" && len(path) == 3 && c.Method == http.MethodPost:
		return c.assignTo(p)
	case path[2] == "appRoleAssignedTo" && len(path) == 3 && c.Method == http.MethodGet:
		return list(c, "appRoleAssignments",
			filterAssignments(s, func(a *Assignment) bool { return a.ResourceID == p.ID }))
	}
	return 0, nil, badRequest("Resource not found for the segment '%s'.", path[2])
}

func filterAssignments(s *State, keep func(*Assignment) bool) []*Assignment {
	var out []*Assignment
	for _, a := range s.Assignments {
		if keep(a) {
			out = append(out, a)
		}
	}
	return out
}

func (c *call) servicePrincipal(p *ServicePrincipal) (int, any, *odataError) {
	switch c.Method {
	case http.MethodGet:
		return one(c, http.StatusOK, "servicePrincipals", p)
	case http.MethodPatch:
		if e := c.may(writeApplications...); e != nil {
			return 0, nil, e
		}
		fresh, given, e := merge(c.body, *p, "id", "appId", "appOwnerOrganizationId", "appDisplayName")
		if e != nil {
			return 0, nil, e
		}
		if raw, ok := given["keyCredentials"]; ok {
			if p.AppOwnerOrganizationID == microsoft && !bareKeys(raw) {
				return 0, nil, badRequest("Invalid value specified for property 'keyCredentials' of resource " +
					"'ServicePrincipal'.")
			}
			keys, e := writtenKeys(fresh.KeyCredentials, p.KeyCredentials, c.tenant.config.Clock())
			if e != nil {
				return 0, nil, e
			}
			if e := c.tenant.state.KeyPolicy.allows(p.AppID, keys, p.KeyCredentials); e != nil {
				return 0, nil, e
			}
			fresh.KeyCredentials = keys
		}
		if _, ok := given["servicePrincipalNames"]; ok {
			if e := c.checkNames(&fresh); e != nil {
				return 0, nil, e
			}
		}
		*p = fresh
		return http.StatusNoContent, nil, nil
	case http.MethodDelete:
		if e := c.may(writeApplications...); e != nil {
			return 0, nil, e
		}
		c.tenant.state.removePrincipal(p)
		return http.StatusNoContent, nil, nil
	}
	return 0, nil, c.methodNotAllowed()
}

// checkNames refuses names that another service principal has, duplicates, and a list without the
// application id.
func (c *call) checkNames(p *ServicePrincipal) *odataError {
	seen := map[string]bool{}
	for _, n := range p.ServicePrincipalNames {
		key := strings.ToLower(n)
		if n == "" || strings.ContainsAny(n, " \t\r\n") || seen[key] {
			return badRequest("Invalid value specified for property 'servicePrincipalNames' of resource " +
				"'ServicePrincipal'.")
		}
		seen[key] = true
		for _, other := range c.tenant.state.ServicePrincipals {
			if other.ID != p.ID && slices.ContainsFunc(other.ServicePrincipalNames,
				func(o string) bool { return strings.EqualFold(o, n) }) {
				return &odataError{http.StatusConflict, "Request_MultipleObjectsWithSameKeyValue",
					"Another object with the same value for property servicePrincipalNames already exists."}
			}
		}
	}
	if !seen[strings.ToLower(p.AppID)] {
		return badRequest("The application identifier cannot be removed from property 'servicePrincipalNames'.")
	}
	return nil
}

// bareKeys reports whether keys are in the form that the principals of Microsoft's own applications
// accept: key, type and usage, nothing else (CSS-Exchange, GraphApiFunctions).
func bareKeys(raw json.RawMessage) bool {
	var keys []map[string]any
	if json.Unmarshal(raw, &keys) != nil {
		return false
	}
	return !slices.ContainsFunc(keys, func(k map[string]any) bool {
		return len(k) != 3 || k["key"] == nil || k["type"] == nil || k["usage"] == nil
	})
}

func (c *call) createServicePrincipal() (int, any, *odataError) {
	if e := c.may(writeApplications...); e != nil {
		return 0, nil, e
	}
	s := &c.tenant.state
	var want struct {
		AppID string `json:"appId"`
	}
	if err := json.Unmarshal(c.body, &want); err != nil || want.AppID == "" {
		return 0, nil, badRequest("Property appId is required.")
	}
	a := s.Application(want.AppID)
	if a == nil {
		return 0, nil, &odataError{http.StatusBadRequest, "NoBackingApplicationObject",
			fmt.Sprintf("The appId '%s' of the service principal does not reference a valid application object.",
				want.AppID)}
	}
	if s.principalOf(want.AppID) != nil {
		return 0, nil, &odataError{http.StatusConflict, "Request_MultipleObjectsWithSameKeyValue",
			fmt.Sprintf("The service principal cannot be created, updated, or restored because the service principal "+
				"name %s is already in use.", want.AppID)}
	}
	p := s.newServicePrincipal(a, c.tenant.config.TenantID)
	var given map[string]json.RawMessage
	if err := json.Unmarshal(c.body, &given); err != nil {
		s.removePrincipal(p)
		return 0, nil, badRequest("Invalid request.")
	}
	delete(given, "appId")
	rest, err := json.Marshal(given)
	if err != nil {
		s.removePrincipal(p)
		return 0, nil, badRequest("Invalid request.")
	}
	fresh, _, e := merge(rest, *p, "id", "appOwnerOrganizationId", "appDisplayName")
	if e != nil {
		s.removePrincipal(p)
		return 0, nil, e
	}
	*p = fresh
	c.tenant.made[p.ID] = c.tenant.config.Clock()
	return one(c, http.StatusCreated, "servicePrincipals", p)
}

func (c *call) appRoleAssignments(p *ServicePrincipal, rest []string) (int, any, *odataError) {
	s := &c.tenant.state
	if len(rest) == 0 {
		switch c.Method {
		case http.MethodGet:
			return list(c, "appRoleAssignments",
				filterAssignments(s, func(a *Assignment) bool { return a.PrincipalID == p.ID }))
		case http.MethodPost:
			return c.assign(p)
		}
		return 0, nil, c.methodNotAllowed()
	}
	at := slices.IndexFunc(s.Assignments, func(a *Assignment) bool { return a.ID == rest[0] && a.PrincipalID == p.ID })
	if at < 0 || len(rest) > 1 {
		return 0, nil, notFound(rest[0])
	}
	switch c.Method {
	case http.MethodGet:
		return one(c, http.StatusOK, "appRoleAssignments", s.Assignments[at])
	case http.MethodDelete:
		if e := c.may(giveConsent...); e != nil {
			return 0, nil, e
		}
		s.Assignments = slices.Delete(s.Assignments, at, at+1)
		return http.StatusNoContent, nil, nil
	}
	return 0, nil, c.methodNotAllowed()
}

// assignTo is the same consent, posted to the resource.
func (c *call) assignTo(resource *ServicePrincipal) (int, any, *odataError) {
	var want struct {
		PrincipalID string `json:"principalId"`
		ResourceID  string `json:"resourceId"`
	}
	if err := json.Unmarshal(c.body, &want); err != nil || !strings.EqualFold(want.ResourceID, resource.ID) {
		return 0, nil, badRequest("Invalid value specified for property 'resourceId' of resource 'AppRoleAssignment'.")
	}
	for _, p := range c.tenant.state.ServicePrincipals {
		if strings.EqualFold(p.ID, want.PrincipalID) {
			return c.assign(p)
		}
	}
	return 0, nil, notFound(want.PrincipalID)
}

func (c *call) assign(p *ServicePrincipal) (int, any, *odataError) {
	if e := c.may(giveConsent...); e != nil {
		return 0, nil, e
	}
	s := &c.tenant.state
	var want struct {
		PrincipalID string `json:"principalId"`
		ResourceID  string `json:"resourceId"`
		AppRoleID   string `json:"appRoleId"`
	}
	body, err := withoutAnnotations(c.body)
	if err != nil {
		return 0, nil, badRequest("Invalid request.")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&want); err != nil {
		return 0, nil, badRequest("Invalid request.")
	}
	if !strings.EqualFold(want.PrincipalID, p.ID) {
		return 0, nil, badRequest("Invalid value specified for property 'principalId' of resource 'AppRoleAssignment'.")
	}
	at := slices.IndexFunc(s.ServicePrincipals,
		func(x *ServicePrincipal) bool { return strings.EqualFold(x.ID, want.ResourceID) })
	if at < 0 {
		return 0, nil, notFound(want.ResourceID)
	}
	resource := s.ServicePrincipals[at]
	role := slices.IndexFunc(resource.AppRoles, func(r AppRole) bool { return strings.EqualFold(r.ID, want.AppRoleID) })
	if role < 0 {
		return 0, nil, badRequest("Permission being assigned was not found on application '%s'.", resource.AppID)
	}
	for _, a := range s.Assignments {
		if a.PrincipalID == p.ID && a.ResourceID == resource.ID && strings.EqualFold(a.AppRoleID, want.AppRoleID) {
			return 0, nil, badRequest("Permission being assigned already exists on the object")
		}
	}
	if err := s.consent(p, resource.AppID, resource.AppRoles[role].Value,
		c.tenant.config.Clock().UTC().Truncate(time.Second)); err != nil {
		return 0, nil, badRequest("%s", err)
	}
	return one(c, http.StatusCreated, "appRoleAssignments", s.Assignments[len(s.Assignments)-1])
}
