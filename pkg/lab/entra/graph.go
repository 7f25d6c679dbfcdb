package entra

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

// odataError is an error document of Graph.
type odataError struct {
	status        int
	code, message string
}

func (e *odataError) Error() string { return e.code + ": " + e.message }

func badRequest(format string, args ...any) *odataError {
	return &odataError{http.StatusBadRequest, "Request_BadRequest", fmt.Sprintf(format, args...)}
}

func notFound(id string) *odataError {
	return &odataError{http.StatusNotFound, "Request_ResourceNotFound", fmt.Sprintf("Resource '%s' does not exist or one of its queried reference-property objects are not present.", id)}
}

var denied = odataError{http.StatusForbidden, "Authorization_RequestDenied", "Insufficient privileges to complete the operation."}

// call is one request to Graph, authenticated.
type call struct {
	*http.Request
	tenant  *Tenant
	query   url.Values
	granted []string // roles of an application, scopes of a user
	appID   string
	user    string // upn of a delegated token
	body    []byte
}

// may tells whether the caller has one of the permissions.
func (c *call) may(permissions ...string) *odataError {
	for _, p := range permissions {
		if slices.Contains(c.granted, p) {
			return nil
		}
	}
	e := denied
	return &e
}

// What the operations need; any one suffices.
var (
	readApplications  = []string{"Application.Read.All", "Application.ReadWrite.All", "Application.ReadWrite.OwnedBy", "Directory.Read.All", "Directory.ReadWrite.All"}
	writeApplications = []string{"Application.ReadWrite.All"}
	giveConsent       = []string{"AppRoleAssignment.ReadWrite.All"}
	readDomains       = []string{"Domain.Read.All", "Directory.Read.All", "Directory.ReadWrite.All"}
	readOrganization  = []string{"Organization.Read.All", "Directory.Read.All", "Directory.ReadWrite.All"}
	readCalendars     = []string{"Calendars.Read", "Calendars.ReadBasic.All", "Calendars.ReadWrite"}
)

// Graph answers as Microsoft Graph v1.0, for what a hybrid deployment uses of it.
func (t *Tenant) Graph() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requestID := newGUID()
		w.Header().Set("Request-Id", requestID)
		if id := r.Header.Get("Client-Request-Id"); id != "" && len(id) < 100 {
			w.Header().Set("Client-Request-Id", id)
		}
		t.mu.Lock()
		throttled, wait := t.throttled > 0, t.wait
		if throttled {
			t.throttled--
		}
		t.mu.Unlock()
		if throttled {
			w.Header().Set("Retry-After", strconv.Itoa(int(wait.Seconds())))
			t.writeError(w, requestID, &odataError{http.StatusTooManyRequests, "TooManyRequests", "Too many requests"})
			return
		}
		status, answer, err := t.serveGraph(w, r)
		if err != nil {
			if err.status == http.StatusUnauthorized {
				w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="", authorization_uri="https://%s/common/oauth2/authorize", client_id=%q`, t.config.LoginHost, oauth.AppGraph))
			}
			t.writeError(w, requestID, err)
			return
		}
		if answer == nil {
			w.WriteHeader(status)
			return
		}
		writeJSON(w, status, answer)
	})
}

func (t *Tenant) writeError(w http.ResponseWriter, requestID string, e *odataError) {
	writeJSON(w, e.status, map[string]any{"error": map[string]any{
		"code": e.code, "message": e.message,
		"innerError": map[string]any{"date": t.config.Clock().UTC().Format("2006-01-02T15:04:05"), "request-id": requestID, "client-request-id": w.Header().Get("Client-Request-Id")},
	}})
}

// maxBody bounds a request.
const maxBody = 4 << 20

func (t *Tenant) serveGraph(w http.ResponseWriter, r *http.Request) (int, any, *odataError) {
	path, ok := strings.CutPrefix(r.URL.EscapedPath(), "/v1.0/")
	if !ok {
		return 0, nil, &odataError{http.StatusBadRequest, "BadRequest", "Invalid version."}
	}
	c, e := t.authenticate(r)
	if e != nil {
		return 0, nil, e
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return 0, nil, &odataError{http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "The request is too large."}
	}
	c.body = body
	segments, ok := split(path)
	if !ok {
		return 0, nil, badRequest("Resource not found for the segment '%s'.", path)
	}
	if segments[0] == "users" { // calls back into the lab, which may call the Tenant
		return c.users(segments)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch segments[0] {
	case "applications":
		return c.applications(segments)
	case "servicePrincipals":
		return c.servicePrincipals(segments)
	case "domains":
		return c.domains(segments)
	case "organization":
		return c.organization(segments)
	}
	return 0, nil, badRequest("Resource not found for the segment '%s'.", segments[0])
}

var byAppID = regexp.MustCompile(`^(\w+)\(appId='([^']+)'\)$`)

// split takes a path apart; "applications(appId='x')" becomes "applications", "appId=x".
func split(path string) ([]string, bool) {
	var out []string
	for _, s := range strings.Split(path, "/") {
		s, err := url.PathUnescape(s)
		if err != nil || s == "" {
			return nil, false
		}
		if m := byAppID.FindStringSubmatch(s); m != nil {
			out = append(out, m[1], "appId="+m[2])
			continue
		}
		out = append(out, s)
	}
	return out, true
}

func (t *Tenant) authenticate(r *http.Request) (*call, *odataError) {
	unauthorized := func(message string) *odataError {
		return &odataError{http.StatusUnauthorized, "InvalidAuthenticationToken", message}
	}
	scheme, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || text == "" {
		return nil, unauthorized("Access token is empty.")
	}
	token, err := t.verifier(t.resourceNames(oauth.AppGraph)).Verify(strings.TrimSpace(text))
	switch {
	case err == nil:
	case errors.Is(err, oauth.ErrAudience):
		return nil, unauthorized("Access token validation failure. Invalid audience.")
	case errors.Is(err, oauth.ErrExpired), errors.Is(err, oauth.ErrNotYetValid):
		return nil, unauthorized("Lifetime validation failed, the token is expired.")
	case errors.Is(err, oauth.ErrSignature), errors.Is(err, oauth.ErrUnknownKey), errors.Is(err, oauth.ErrAlgorithm):
		return nil, unauthorized("Access token validation failure. Invalid signature.")
	case errors.Is(err, oauth.ErrMalformed):
		return nil, unauthorized("CompactToken parsing failed with error code: 80049217")
	default:
		return nil, unauthorized("Access token validation failure.")
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badRequest("Invalid query.")
	}
	return &call{
		Request: r, tenant: t, query: query, appID: token.Claims.String("appid"), user: token.Claims.String("upn"),
		granted: append(token.Claims.Strings("roles"), strings.Fields(token.Claims.String("scp"))...),
	}, nil
}

// list answers a collection: filtered, cut to pages, properties selected.
func list[T any](c *call, context string, all []T) (int, any, *odataError) {
	var objects []map[string]any
	for _, o := range all {
		m, e := object(o)
		if e != nil {
			return 0, nil, e
		}
		ok, e := matches(c.query.Get("$filter"), m)
		if e != nil {
			return 0, nil, e
		}
		if ok {
			objects = append(objects, m)
		}
	}
	size := c.tenant.config.PageSize
	if top := c.query.Get("$top"); top != "" {
		n, err := strconv.Atoi(top)
		if err != nil || n < 1 || n > 999 {
			return 0, nil, badRequest("Invalid page size specified: '%s'. Must be between 1 and 999 inclusive.", top)
		}
		size = n
	}
	skip := 0
	if s := c.query.Get("$skiptoken"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 || n > len(objects) {
			return 0, nil, badRequest("Invalid $skiptoken.")
		}
		skip = n
	}
	answer := map[string]any{"@odata.context": c.context(context)}
	end := min(skip+size, len(objects))
	if end < len(objects) {
		q := url.Values{}
		for k, v := range c.query {
			q[k] = v
		}
		q.Set("$skiptoken", strconv.Itoa(end))
		answer["@odata.nextLink"] = "https://" + c.tenant.config.GraphHost + c.URL.EscapedPath() + "?" + q.Encode()
	}
	value := []map[string]any{}
	for _, m := range objects[skip:end] {
		value = append(value, c.selected(m))
	}
	answer["value"] = value
	return http.StatusOK, answer, nil
}

func one(c *call, status int, context string, o any) (int, any, *odataError) {
	m, e := object(o)
	if e != nil {
		return 0, nil, e
	}
	m = c.selected(m)
	m["@odata.context"] = c.context(context) + "/$entity"
	return status, m, nil
}

func (c *call) context(name string) string {
	return "https://" + c.tenant.config.GraphHost + "/v1.0/$metadata#" + name
}

func object(o any) (map[string]any, *odataError) {
	raw, err := json.Marshal(o)
	if err != nil {
		return nil, &odataError{http.StatusInternalServerError, "InternalServerError", "Unexpected error."}
	}
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, &odataError{http.StatusInternalServerError, "InternalServerError", "Unexpected error."}
	}
	for _, p := range elements(m["passwordCredentials"]) {
		p["secretText"] = nil // shown once, when it is made
	}
	return m, nil
}

func elements(v any) []map[string]any {
	var out []map[string]any
	list, _ := v.([]any)
	for _, e := range list {
		if m, ok := e.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

// selected keeps the properties that $select names. As in life, certificates come along only when keyCredentials are asked for by name.
func (c *call) selected(m map[string]any) map[string]any {
	names := c.query.Get("$select")
	if names == "" {
		for _, k := range elements(m["keyCredentials"]) {
			k["key"] = nil
		}
		return m
	}
	out := map[string]any{}
	for _, n := range strings.Split(names, ",") {
		n = strings.TrimSpace(n)
		if v, ok := m[n]; ok {
			out[n] = v
		}
	}
	return out
}

var clause = regexp.MustCompile(`^(?:(\w+) eq '((?:[^']|'')*)'|(\w+) eq (true|false)|startswith\((\w+), ?'((?:[^']|'')*)'\))$`)

// matches evaluates a $filter of clauses joined by "and".
func matches(filter string, m map[string]any) (bool, *odataError) {
	if filter == "" {
		return true, nil
	}
	for _, part := range strings.Split(filter, " and ") {
		f := clause.FindStringSubmatch(strings.TrimSpace(part))
		if f == nil {
			return false, &odataError{http.StatusBadRequest, "Request_UnsupportedQuery", "Unsupported or invalid query filter clause specified for property."}
		}
		property := f[1] + f[3] + f[5]
		v, ok := m[property]
		if !ok {
			return false, &odataError{http.StatusBadRequest, "BadRequest", fmt.Sprintf("Invalid filter clause: Could not find a property named '%s'.", property)}
		}
		text, _ := v.(string)
		var hit bool
		switch {
		case f[1] != "":
			hit = strings.EqualFold(text, strings.ReplaceAll(f[2], "''", "'")) && v != nil
		case f[3] != "":
			hit = v == (f[4] == "true")
		default:
			hit = strings.HasPrefix(strings.ToLower(text), strings.ToLower(strings.ReplaceAll(f[6], "''", "'")))
		}
		if !hit {
			return false, nil
		}
	}
	return true, nil
}

// merge applies a request's properties to an object. Lists that are given replace the old ones whole; unknown properties are refused, and so are read-only ones.
func merge[T any](body []byte, into T, readOnly ...string) (T, map[string]json.RawMessage, *odataError) {
	var given map[string]json.RawMessage
	if err := json.Unmarshal(body, &given); err != nil || given == nil {
		return into, nil, &odataError{http.StatusBadRequest, "BadRequest", "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format."}
	}
	for _, name := range readOnly {
		if _, ok := given[name]; ok {
			return into, nil, badRequest("Property '%s' is read-only and cannot be set.", name)
		}
	}
	old, e := object(into)
	if e != nil {
		return into, nil, e
	}
	merged := map[string]any{}
	for k, v := range old {
		merged[k] = v
	}
	for k, v := range given {
		if strings.HasPrefix(k, "@odata.") {
			continue
		}
		if _, ok := merged[k]; !ok {
			return into, nil, &odataError{http.StatusBadRequest, "Request_BadRequest", fmt.Sprintf("Invalid property '%s'.", k)}
		}
		merged[k] = v
	}
	raw, err := json.Marshal(merged)
	if err != nil {
		return into, nil, badRequest("Invalid request.")
	}
	var fresh T
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&fresh); err != nil {
		return into, nil, badRequest("A value does not have the type of its property.")
	}
	return fresh, given, nil
}

func (c *call) methodNotAllowed() *odataError {
	return &odataError{http.StatusMethodNotAllowed, "Request_BadRequest", "Specified HTTP method is not allowed for the request target."}
}

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
	at := slices.IndexFunc(s.Applications, func(a *Application) bool { return named(path[1], a.ID, a.AppID) })
	if e := c.may(readApplications...); e != nil {
		return 0, nil, e
	}
	if at < 0 {
		return 0, nil, notFound(strings.TrimPrefix(path[1], "appId="))
	}
	a := s.Applications[at]
	if len(path) == 4 && path[2] == "owners" && path[3] == "$ref" && c.Method == http.MethodPost {
		if e := c.may(writeApplications...); e != nil {
			return 0, nil, e
		}
		return http.StatusNoContent, nil, nil
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
		if e := fresh.check(given, a.KeyCredentials); e != nil {
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

// named tells whether a path segment, an object id or "appId=...", names an object.
func named(segment, id, appID string) bool {
	if s, ok := strings.CutPrefix(segment, "appId="); ok {
		return strings.EqualFold(s, appID)
	}
	return strings.EqualFold(segment, id)
}

func (s *State) removePrincipal(p *ServicePrincipal) {
	s.ServicePrincipals = slices.DeleteFunc(s.ServicePrincipals, func(x *ServicePrincipal) bool { return x == p })
	s.Assignments = slices.DeleteFunc(s.Assignments, func(a *Assignment) bool { return a.PrincipalID == p.ID || a.ResourceID == p.ID })
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
	if fresh.DisplayName == "" {
		return 0, nil, badRequest("Property displayName is required.")
	}
	if e := fresh.check(given, nil); e != nil {
		return 0, nil, e
	}
	c.tenant.state.Applications = append(c.tenant.state.Applications, &fresh)
	return one(c, http.StatusCreated, "applications", &fresh)
}

var audiences = []string{"AzureADMyOrg", "AzureADMultipleOrgs", "AzureADandPersonalMicrosoftAccount", "PersonalMicrosoftAccount"}

// check validates what was written.
func (a *Application) check(given map[string]json.RawMessage, old []KeyCredential) *odataError {
	if !slices.Contains(audiences, a.SignInAudience) {
		return badRequest("Invalid value specified for property 'signInAudience' of resource 'Application'.")
	}
	for _, r := range a.RequiredResourceAccess {
		if r.ResourceAppID == "" || len(r.ResourceAccess) == 0 {
			return badRequest("Invalid value specified for property 'requiredResourceAccess' of resource 'Application'.")
		}
		for _, p := range r.ResourceAccess {
			if !isGUID(p.ID) || p.Type != "Role" && p.Type != "Scope" {
				return badRequest("Invalid value specified for property 'resourceAccess' of resource 'RequiredResourceAccess'.")
			}
		}
	}
	if _, ok := given["keyCredentials"]; ok {
		keys, e := writtenKeys(a.KeyCredentials, old)
		if e != nil {
			return e
		}
		a.KeyCredentials = keys
	}
	return nil
}

// writtenKeys validates a list of key credentials that replaces an old one. An entry without its key must be an old one, by key id.
func writtenKeys(keys, old []KeyCredential) ([]KeyCredential, *odataError) {
	out := []KeyCredential{}
	ids := map[string]bool{}
	for _, k := range keys {
		if len(k.Key) == 0 {
			at := slices.IndexFunc(old, func(o KeyCredential) bool { return k.KeyID != "" && strings.EqualFold(o.KeyID, k.KeyID) })
			if at < 0 {
				return nil, &odataError{http.StatusBadRequest, "KeyCredentialsInvalidValue", "Key credential without a value does not reference an existing one."}
			}
			k.Key = old[at].Key
		}
		complete, err := completeKey(k)
		if err != nil {
			return nil, &odataError{http.StatusBadRequest, "Request_BadRequest", "Invalid value specified for property 'keyCredentials': " + err.Error() + "."}
		}
		if ids[complete.KeyID] {
			return nil, &odataError{http.StatusBadRequest, "KeyCredentialsDuplicateKeyId", "Duplicate key id in key credentials."}
		}
		ids[complete.KeyID] = true
		out = append(out, complete)
	}
	return out, nil
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
	if !isGUID(k.KeyID) {
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

func (c *call) servicePrincipals(path []string) (int, any, *odataError) {
	s := &c.tenant.state
	if e := c.may(readApplications...); e != nil {
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
	at := slices.IndexFunc(s.ServicePrincipals, func(p *ServicePrincipal) bool { return named(path[1], p.ID, p.AppID) })
	if at < 0 {
		return 0, nil, notFound(strings.TrimPrefix(path[1], "appId="))
	}
	p := s.ServicePrincipals[at]
	switch {
	case len(path) == 2:
		return c.servicePrincipal(p)
	case path[2] == "appRoleAssignments":
		return c.appRoleAssignments(p, path[3:])
	case path[2] == "appRoleAssignedTo" && len(path) == 3 && c.Method == http.MethodGet:
		return list(c, "appRoleAssignments", filterAssignments(s, func(a *Assignment) bool { return a.ResourceID == p.ID }))
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
		if _, ok := given["keyCredentials"]; ok {
			keys, e := writtenKeys(fresh.KeyCredentials, p.KeyCredentials)
			if e != nil {
				return 0, nil, e
			}
			fresh.KeyCredentials = keys
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
		return 0, nil, &odataError{http.StatusBadRequest, "NoBackingApplicationObject", fmt.Sprintf("The appId '%s' of the service principal does not reference a valid application object.", want.AppID)}
	}
	if s.principalOf(want.AppID) != nil {
		return 0, nil, &odataError{http.StatusConflict, "Request_MultipleObjectsWithSameKeyValue", fmt.Sprintf("The service principal cannot be created, updated, or restored because the service principal name %s is already in use.", want.AppID)}
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
	return one(c, http.StatusCreated, "servicePrincipals", p)
}

func (c *call) appRoleAssignments(p *ServicePrincipal, rest []string) (int, any, *odataError) {
	s := &c.tenant.state
	if len(rest) == 0 {
		switch c.Method {
		case http.MethodGet:
			return list(c, "appRoleAssignments", filterAssignments(s, func(a *Assignment) bool { return a.PrincipalID == p.ID }))
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
	d := json.NewDecoder(bytes.NewReader(c.body))
	d.DisallowUnknownFields()
	if err := d.Decode(&want); err != nil {
		return 0, nil, badRequest("Invalid request.")
	}
	if !strings.EqualFold(want.PrincipalID, p.ID) {
		return 0, nil, badRequest("Invalid value specified for property 'principalId' of resource 'AppRoleAssignment'.")
	}
	at := slices.IndexFunc(s.ServicePrincipals, func(x *ServicePrincipal) bool { return strings.EqualFold(x.ID, want.ResourceID) })
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
	if err := s.consent(p, resource.AppID, resource.AppRoles[role].Value, c.tenant.config.Clock().UTC().Truncate(time.Second)); err != nil {
		return 0, nil, badRequest("%s", err)
	}
	return one(c, http.StatusCreated, "appRoleAssignments", s.Assignments[len(s.Assignments)-1])
}

func (c *call) domains(path []string) (int, any, *odataError) {
	if e := c.may(readDomains...); e != nil {
		return 0, nil, e
	}
	if c.Method != http.MethodGet {
		return 0, nil, c.methodNotAllowed()
	}
	var all []map[string]any
	var found *Domain
	for _, d := range c.tenant.state.Domains {
		kind := "Managed"
		if d.Federated {
			kind = "Federated"
		}
		m := map[string]any{
			"id": d.Name, "authenticationType": kind, "availabilityStatus": nil, "isAdminManaged": true, "isDefault": d.Default, "isInitial": d.Initial,
			"isRoot": true, "isVerified": d.Verified, "supportedServices": d.Services, "state": nil,
		}
		if len(path) > 1 && strings.EqualFold(path[1], d.Name) {
			found = d
			if len(path) == 2 {
				return one(c, http.StatusOK, "domains", m)
			}
		}
		all = append(all, m)
	}
	switch {
	case len(path) == 1:
		return list(c, "domains", all)
	case found == nil:
		return 0, nil, notFound(path[1])
	case len(path) == 3 && path[2] == "verificationDnsRecords":
		return list(c, "verificationDnsRecords", []map[string]any{
			{
				"@odata.type": "#microsoft.graph.domainDnsTxtRecord", "id": stableGUID(found.Name + " txt"), "isOptional": false, "label": found.Name,
				"recordType": "Txt", "supportedService": "Email", "ttl": 3600, "text": found.VerificationText(),
			},
			{
				"@odata.type": "#microsoft.graph.domainDnsMxRecord", "id": stableGUID(found.Name + " mx"), "isOptional": false, "label": found.Name,
				"recordType": "Mx", "supportedService": "Email", "ttl": 3600, "preference": 32767,
				"mailExchange": strings.ToLower(strings.TrimPrefix(found.VerificationText(), "MS=")) + ".msv1.invalid",
			},
		})
	case len(path) == 3 && path[2] == "serviceConfigurationRecords":
		key := strings.ReplaceAll(found.Name, ".", "-")
		return list(c, "serviceConfigurationRecords", []map[string]any{
			{
				"@odata.type": "#microsoft.graph.domainDnsMxRecord", "id": stableGUID(found.Name + " service mx"), "isOptional": false, "label": found.Name,
				"recordType": "Mx", "supportedService": "Email", "ttl": 3600, "preference": 0, "mailExchange": key + ".mail.protection.outlook.com",
			},
			{
				"@odata.type": "#microsoft.graph.domainDnsCnameRecord", "id": stableGUID(found.Name + " autodiscover"), "isOptional": false, "label": "autodiscover." + found.Name,
				"recordType": "CName", "supportedService": "Email", "ttl": 3600, "canonicalName": "autodiscover.outlook.com",
			},
		})
	}
	return 0, nil, badRequest("Resource not found for the segment '%s'.", path[len(path)-1])
}

func (c *call) organization(path []string) (int, any, *odataError) {
	if e := c.may(readOrganization...); e != nil {
		return 0, nil, e
	}
	if c.Method != http.MethodGet {
		return 0, nil, c.methodNotAllowed()
	}
	t := c.tenant
	verified := []map[string]any{}
	for _, d := range t.state.Domains {
		if d.Verified {
			verified = append(verified, map[string]any{"capabilities": strings.Join(d.Services, ", "), "isDefault": d.Default, "isInitial": d.Initial, "name": d.Name, "type": "Managed"})
		}
	}
	m := map[string]any{
		"id": t.config.TenantID, "displayName": t.config.DisplayName, "tenantType": "AAD", "verifiedDomains": verified,
		"onPremisesSyncEnabled": t.state.SyncEnabled, "onPremisesLastSyncDateTime": t.state.LastSync,
	}
	switch {
	case len(path) == 1:
		return list(c, "organization", []map[string]any{m})
	case len(path) == 2 && strings.EqualFold(path[1], t.config.TenantID):
		return one(c, http.StatusOK, "organization", m)
	}
	return 0, nil, notFound(path[1])
}
