package entra

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/config/sorting"
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
	return &odataError{http.StatusNotFound, "Request_ResourceNotFound",
		fmt.Sprintf("Resource '%s' does not exist or one of its queried reference-property objects are not present.",
			id)}
}

var denied = odataError{http.StatusForbidden, "Authorization_RequestDenied",
	"Insufficient privileges to complete the operation."}

func (t *Tenant) writeError(w http.ResponseWriter, requestID string, e *odataError) {
	writeJSON(w, e.status, map[string]any{"error": map[string]any{
		"code": e.code, "message": e.message,
		"innerError": map[string]any{"date": t.config.Clock().UTC().Format("2006-01-02T15:04:05"),
			"request-id": requestID, "client-request-id": w.Header().Get("Client-Request-Id")},
	}})
}

// split splits a path: "applications(appId='x')" becomes "applications", "appId=x".
func split(path string) ([]string, bool) {
	var out []string
	for _, s := range strings.Split(path, "/") {
		s, err := url.PathUnescape(s)
		if err != nil || s == "" {
			return nil, false
		}
		if m := byAppID().FindStringSubmatch(s); m != nil {
			out = append(out, m[1], "appId="+m[2])
			continue
		}
		out = append(out, s)
	}
	return out, true
}

// asked are the parsed query options. An unsupported option is refused, never ignored.
type asked struct {
	filter *condition
	fields []string // of $select; nil selects all
	top    int
	skip   int
	count  bool
	search func(object map[string]any) bool // of $search; nil finds all
	order  string                           // a property; "" keeps the order
	down   bool
}

// options reads the query for objects of a type with these properties.
func (c *call) options(kind string, known map[string]bool, collection bool) (asked, *odataError) {
	o := asked{top: c.tenant.config.PageSize}
	eventual := strings.EqualFold(c.Header.Get("ConsistencyLevel"), "eventual")
	for option, values := range c.query {
		value := values[0]
		switch {
		case option == "$select":
			o.fields = []string{}
			for name := range strings.SplitSeq(value, ",") {
				name = strings.TrimSpace(name)
				if name != "*" && !known[name] && !slices.Contains(unmodelled[kind], name) {
					return o, unknownProperty(name, kind)
				}
				o.fields = append(o.fields, name)
			}
		case collection && option == "$filter":
			var e *odataError
			if o.filter, e = parseFilter(value); e != nil {
				return o, e
			}
		case collection && option == "$top":
			n, err := strconv.Atoi(value)
			if err != nil || n < 1 || n > 999 {
				return o, badRequest("Invalid page size specified: '%s'. Must be between 1 and 999 inclusive.", value)
			}
			o.top = n
		case collection && option == "$skiptoken":
			n, err := strconv.Atoi(value)
			if err != nil || n < 0 {
				return o, badRequest("Invalid $skiptoken.")
			}
			o.skip = n
		case collection && option == "$count" && (value == "true" || value == "false"):
			o.count = value == "true"
		case collection && option == "$search" && eventual:
			var e *odataError
			if o.search, e = parseSearch(value, kind, known); e != nil {
				return o, e
			}
		case collection && option == "$orderby" && eventual:
			name, direction, _ := strings.Cut(strings.TrimSpace(value), " ")
			if name != "displayName" || direction != "" && direction != "asc" && direction != "desc" {
				return o, badRequest("Unsupported sort property '%s' for '%s'.", name, kind)
			}
			o.order, o.down = name, direction == "desc"
		case option == "api-version" || !strings.HasPrefix(option, "$"):
		default:
			return o, &odataError{http.StatusBadRequest, "Request_UnsupportedQuery",
				fmt.Sprintf("The query option '%s' is not supported here.", option)}
		}
	}
	if slices.Contains(o.fields, "keyCredentials") && !c.tenant.readsKeys() {
		// Without Retry-After, as Entra's own limits sometimes are.
		return o, &odataError{http.StatusTooManyRequests, "TooManyRequests", "Too many requests"}
	}
	if o.count && !eventual {
		return o, badRequest("$count is not currently supported.")
	}
	if o.order != "" && !o.count {
		return o, badRequest("Sorting is supported with ConsistencyLevel: eventual and $count=true alone.")
	}
	if o.filter == nil {
		return o, nil
	}
	if o.filter.advanced && !(eventual && o.count) {
		return o, unsupportedFilter()
	}
	for _, name := range o.filter.reads {
		if !known[name] {
			return o, &odataError{http.StatusBadRequest, "BadRequest",
				fmt.Sprintf("Invalid filter clause: Could not find a property named '%s' on type 'microsoft.graph.%s'.",
					name, kind)}
		}
	}
	return o, nil
}

// unmodelled are properties that Graph has and that are null here, by type.
var unmodelled = map[string][]string{
	"application": {
		"addIns", "api", "applicationTemplateId", "appRoles", "certification", "deletedDateTime",
		"disabledByMicrosoftStatus", "groupMembershipClaims",
		"info", "isDeviceOnlyAuthSupported", "isFallbackPublicClient", "optionalClaims", "publicClient",
		"publisherDomain", "samlMetadataUrl",
		"serviceManagementReference", "servicePrincipalLockConfiguration", "spa", "tokenEncryptionKeyId", "uniqueName",
		"verifiedPublisher", "web",
	},
	"servicePrincipal": {
		"addIns", "alternativeNames", "appDescription", "applicationTemplateId", "appRoleAssignmentRequired",
		"deletedDateTime",
		"disabledByMicrosoftStatus", "homepage", "info", "loginUrl", "logoutUrl", "notificationEmailAddresses",
		"oauth2PermissionScopes",
		"passwordCredentials", "preferredSingleSignOnMode", "replyUrls", "resourceSpecificApplicationPermissions",
		"signInAudience",
		"tokenEncryptionKeyId", "verifiedPublisher",
	},
	"domain": {"manufacturer", "model", "passwordNotificationWindowInDays", "passwordValidityPeriodInDays"},
	"organization": {"assignedPlans", "businessPhones", "city", "country", "countryLetterCode", "createdDateTime",
		"provisionedPlans"},
}

// kinds are Graph's names of the types that a collection holds.
var kinds = map[string]string{
	"applications": "application", "servicePrincipals": "servicePrincipal", "appRoleAssignments": "appRoleAssignment",
	"domains": "domain", "subscribedSkus": "subscribedSku",
	"organization": "organization", "verificationDnsRecords": "domainDnsRecord",
	"serviceConfigurationRecords": "domainDnsRecord",
}

// propertiesOf are the properties of a type: the JSON names of a struct, or the keys of an object.
func propertiesOf[T any](example ...T) map[string]bool {
	out := map[string]bool{}
	if k := reflect.TypeFor[T](); k.Kind() == reflect.Pointer && k.Elem().Kind() == reflect.Struct {
		for i := range k.Elem().NumField() {
			name, _, _ := strings.Cut(k.Elem().Field(i).Tag.Get("json"), ",")
			out[name] = true
		}
		return out
	}
	for _, e := range example {
		if m, ok := any(e).(map[string]any); ok {
			for name := range m {
				out[name] = true
			}
		}
	}
	return out
}

// list answers a collection: filtered, cut to pages, properties selected.
func list[T any](c *call, context string, all []T) (int, any, *odataError) {
	o, e := c.options(kinds[context], propertiesOf(all...), true)
	if e != nil {
		return 0, nil, e
	}
	var objects []map[string]any
	for _, entry := range all {
		m, e := object(entry)
		if e != nil {
			return 0, nil, e
		}
		if id, _ := m["id"].(string); c.tenant.lags(id) {
			continue // not yet replicated to where lists are answered
		}
		if (o.filter == nil || o.filter.holds(m)) && (o.search == nil || o.search(m)) {
			objects = append(objects, m)
		}
	}
	if o.order != "" {
		sorting.Stable(objects, func(a, b map[string]any) int {
			x, _ := a[o.order].(string)
			y, _ := b[o.order].(string)
			if o.down {
				x, y = y, x
			}
			return strings.Compare(strings.ToLower(x), strings.ToLower(y))
		})
	}
	if c.counts {
		return http.StatusOK, plainText(strconv.Itoa(len(objects))), nil
	}
	if o.skip > len(objects) {
		return 0, nil, badRequest("Invalid $skiptoken.")
	}
	answer := map[string]any{"@odata.context": c.context(context)}
	end := min(o.skip+o.top, len(objects))
	if end < len(objects) {
		q := url.Values{}
		for k, v := range c.query {
			q[k] = v
		}
		q.Set("$skiptoken", strconv.Itoa(end))
		answer["@odata.nextLink"] = "https://" + c.tenant.config.GraphHost + c.URL.EscapedPath() + "?" + q.Encode()
	}
	if o.count {
		answer["@odata.count"] = len(objects)
	}
	value := []map[string]any{}
	for _, m := range objects[o.skip:end] {
		withoutKeys(m)
		value = append(value, o.selected(m))
	}
	answer["value"] = value
	return http.StatusOK, answer, nil
}

func one[T any](c *call, status int, context string, entry T) (int, any, *odataError) {
	if c.counts {
		return 0, nil, badRequest("Resource not found for the segment '$count'.")
	}
	o, e := c.options(kinds[context], propertiesOf(entry), false)
	if e != nil {
		return 0, nil, e
	}
	m, e := object(entry)
	if e != nil {
		return 0, nil, e
	}
	if !slices.Contains(o.fields, "keyCredentials") {
		withoutKeys(m)
	}
	m = o.selected(m)
	m["@odata.context"] = c.context(context) + "/$entity"
	return status, m, nil
}

// withoutKeys hides certificates. Graph shows them only for a single object, and only when $select
// names keyCredentials.
func withoutKeys(m map[string]any) {
	for _, k := range elements(m["keyCredentials"]) {
		k["key"] = nil
	}
}

// selected keeps the properties that $select names.
func (o asked) selected(m map[string]any) map[string]any {
	if o.fields == nil || slices.Contains(o.fields, "*") {
		return m
	}
	out := map[string]any{}
	for _, name := range o.fields {
		out[name] = m[name]
	}
	return out
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

// merge applies a request's properties to an object. A given list replaces the old one. Unknown and
// read-only properties are refused.
func merge[T any](body []byte, into T, readOnly ...string) (T, map[string]json.RawMessage, *odataError) {
	var given map[string]json.RawMessage
	if err := json.Unmarshal(body, &given); err != nil || given == nil {
		return into, nil, &odataError{http.StatusBadRequest, "BadRequest",
			"Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid " +
				"JSON format."}
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
		if strings.HasPrefix(k, "@odata.") || strings.Contains(k, "@odata.") {
			continue
		}
		if string(bytes.TrimSpace(v)) == "null" && isList(old[k]) {
			return into, nil, badRequest("Property '%s' cannot be null.", k)
		}
		if _, ok := merged[k]; !ok {
			return into, nil, &odataError{http.StatusBadRequest, "Request_BadRequest",
				fmt.Sprintf("Invalid property '%s'.", k)}
		}
		merged[k] = v
	}
	raw, err := json.Marshal(merged)
	if err == nil {
		raw, err = withoutAnnotations(raw)
	}
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
	return &odataError{http.StatusMethodNotAllowed, "Request_BadRequest",
		"Specified HTTP method is not allowed for the request target."}
}

func isList(v any) bool { _, ok := v.([]any); return ok }

// withoutAnnotations drops "@odata.type" and the like at every depth: SDKs send them along.
func withoutAnnotations(raw []byte) ([]byte, error) {
	var v any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	var strip func(any)
	strip = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, e := range v {
				if strings.Contains(k, "@odata.") {
					delete(v, k)
					continue
				}
				strip(e)
			}
		case []any:
			for _, e := range v {
				strip(e)
			}
		}
	}
	strip(v)
	return json.Marshal(v)
}
