package entra

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

// call is one request to Graph, authenticated.
type call struct {
	*http.Request
	tenant  *Tenant
	query   url.Values
	granted []string // roles of an application, scopes of a user
	appID   string
	user    string // upn of a delegated token
	body    []byte
	counts  bool // of /COLLECTION/$count
}

// may reports whether the caller has one of the permissions.
func (c *call) may(permissions ...string) *odataError {
	for _, p := range permissions {
		if slices.Contains(c.granted, p) {
			return nil
		}
	}
	// The administrator's own directory roles, which open no calendars and no mail.
	if c.user != "" && slices.Contains(c.granted, "Directory.AccessAsUser.All") &&
		!slices.Contains(permissions, "Calendars.Read") && !slices.Contains(permissions, "Mail.Read") {
		return nil
	}
	e := denied
	return &e
}

// The permissions that the operations require; one of each list is enough.
var (
	readApplications = []string{"Application.Read.All", "Application.ReadWrite.All", "Application.ReadWrite.OwnedBy",
		"Directory.Read.All", "Directory.ReadWrite.All"}
	writeApplications = []string{"Application.ReadWrite.All"}
	giveConsent       = []string{"AppRoleAssignment.ReadWrite.All"}
	readDomains       = []string{"Domain.Read.All", "Directory.Read.All", "Directory.ReadWrite.All"}
	readOrganization  = []string{"Organization.Read.All", "Directory.Read.All", "Directory.ReadWrite.All"}
	readCalendars     = []string{"Calendars.Read", "Calendars.ReadBasic.All", "Calendars.ReadWrite"}
)

// Graph answers as Microsoft Graph v1.0, for the part that a hybrid deployment uses.
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
				w.Header().Set("WWW-Authenticate",
					fmt.Sprintf(`Bearer realm="", authorization_uri="https://%s/common/oauth2/authorize", client_id=%q`,
						t.config.LoginHost, oauth.AppGraph))
			}
			t.writeError(w, requestID, err)
			return
		}
		switch answer := answer.(type) {
		case nil:
			w.WriteHeader(status)
		case plainText:
			w.Header().Set("Content-Type", "text/plain")
			fmt.Fprint(w, answer)
		default:
			writeJSON(w, status, answer)
		}
	})
}

const maxBody = 4 << 20

// plainText is an answer that is no JSON.
type plainText string

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
		return 0, nil, &odataError{http.StatusRequestEntityTooLarge, "RequestEntityTooLarge",
			"The request is too large."}
	}
	c.body = body
	if r.Method == http.MethodPost || r.Method == http.MethodPatch {
		if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
			return 0, nil, &odataError{http.StatusBadRequest, "BadRequest",
				"Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of " +
					"valid JSON format."}
		}
	}
	if match := r.Header.Get("If-Match"); match != "" && match != "*" {
		return 0, nil, &odataError{http.StatusPreconditionFailed, "Request_PreconditionFailed",
			"The condition in If-Match is not met."}
	}
	segments, ok := split(path)
	if !ok {
		return 0, nil, badRequest("Resource not found for the segment '%s'.", path)
	}
	if segments[0] == "users" { // calls back into the lab, which may call the Tenant
		return c.users(segments)
	}
	if segments[0] == "$batch" && len(segments) == 1 {
		return c.batch()
	}
	if last := len(segments) - 1; segments[last] == "$count" && last > 0 && r.Method == http.MethodGet {
		if !strings.EqualFold(r.Header.Get("ConsistencyLevel"), "eventual") {
			return 0, nil, badRequest("$count is not currently supported.")
		}
		segments, c.counts = segments[:last], true
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
	case "subscribedSkus":
		return c.subscriptions(segments)
	}
	return 0, nil, badRequest("Resource not found for the segment '%s'.", segments[0])
}

var byAppID = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(\w+)\(appId='([^']+)'\)$`)
})

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
			"id": d.Name, "authenticationType": kind, "availabilityStatus": nil, "isAdminManaged": true,
			"isDefault": d.Default, "isInitial": d.Initial,
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
				"@odata.type": "#microsoft.graph.domainDnsTxtRecord", "id": stableGUID(found.Name + " txt"),
				"isOptional": false, "label": found.Name,
				"recordType": "Txt", "supportedService": "Email", "ttl": 3600, "text": found.VerificationText(),
			},
			{
				"@odata.type": "#microsoft.graph.domainDnsMxRecord", "id": stableGUID(found.Name + " mx"),
				"isOptional": false, "label": found.Name,
				"recordType": "Mx", "supportedService": "Email", "ttl": 3600, "preference": 32767,
				"mailExchange": strings.ToLower(strings.TrimPrefix(found.VerificationText(), "MS=")) + ".msv1.invalid",
			},
		})
	case len(path) == 3 && path[2] == "serviceConfigurationRecords":
		key := strings.ReplaceAll(found.Name, ".", "-")
		return list(c, "serviceConfigurationRecords", []map[string]any{
			{
				"@odata.type": "#microsoft.graph.domainDnsMxRecord", "id": stableGUID(found.Name + " service mx"),
				"isOptional": false, "label": found.Name,
				"recordType": "Mx", "supportedService": "Email", "ttl": 3600, "preference": 0,
				"mailExchange": key + ".mail.protection.outlook.com",
			},
			{
				"@odata.type": "#microsoft.graph.domainDnsCnameRecord", "id": stableGUID(found.Name + " autodiscover"),
				"isOptional": false, "label": "autodiscover." + found.Name,
				"recordType": "CName", "supportedService": "Email", "ttl": 3600,
				"canonicalName": "autodiscover.outlook.com",
			},
		})
	}
	return 0, nil, badRequest("Resource not found for the segment '%s'.", path[len(path)-1])
}

// subscriptions are the products of the tenant. The service takes no $filter and no $top here.
func (c *call) subscriptions(path []string) (int, any, *odataError) {
	if e := c.may(append([]string{"LicenseAssignment.Read.All"}, readOrganization...)...); e != nil {
		return 0, nil, e
	}
	switch {
	case c.Method != http.MethodGet:
		return 0, nil, c.methodNotAllowed()
	case len(path) > 1:
		return 0, nil, notFound(path[1])
	}
	var all []map[string]any
	for _, s := range c.tenant.state.Subscriptions {
		plans := []map[string]any{}
		for _, p := range s.Plans {
			plans = append(plans, map[string]any{"servicePlanId": stableGUID(p), "servicePlanName": p,
				"provisioningStatus": "Success", "appliesTo": "User"})
		}
		units := map[string]any{"enabled": s.Bought, "suspended": 0, "warning": 0, "lockedOut": 0}
		if s.Status != "Enabled" {
			units["enabled"], units["suspended"] = 0, s.Bought
		}
		id := stableGUID(s.Product)
		all = append(all, map[string]any{
			"id": c.tenant.config.TenantID + "_" + id, "skuId": id, "skuPartNumber": s.Product, "appliesTo": "User",
			"capabilityStatus": s.Status, "consumedUnits": s.Used, "prepaidUnits": units, "servicePlans": plans,
			"subscriptionIds": []string{}, "accountName": c.tenant.config.DisplayName,
			"accountId": c.tenant.config.TenantID,
		})
	}
	return list(c, "subscribedSkus", all)
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
			verified = append(verified, map[string]any{"capabilities": strings.Join(d.Services, ", "),
				"isDefault": d.Default, "isInitial": d.Initial, "name": d.Name, "type": "Managed"})
		}
	}
	last := t.state.LastSync
	if on := t.state.SyncEnabled; last == nil && on != nil && *on {
		now := t.config.Clock().UTC().Truncate(30 * time.Minute)
		last = &now
	}
	m := map[string]any{
		"id": t.config.TenantID, "displayName": t.config.DisplayName, "tenantType": "AAD", "verifiedDomains": verified,
		"onPremisesSyncEnabled": t.state.SyncEnabled, "onPremisesLastSyncDateTime": last,
	}
	switch {
	case len(path) == 1:
		return list(c, "organization", []map[string]any{m})
	case len(path) == 2 && strings.EqualFold(path[1], t.config.TenantID):
		return one(c, http.StatusOK, "organization", m)
	}
	return 0, nil, notFound(path[1])
}
