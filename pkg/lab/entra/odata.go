package entra

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
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

func (t *Tenant) writeError(w http.ResponseWriter, requestID string, e *odataError) {
	writeJSON(w, e.status, map[string]any{"error": map[string]any{
		"code": e.code, "message": e.message,
		"innerError": map[string]any{"date": t.config.Clock().UTC().Format("2006-01-02T15:04:05"), "request-id": requestID, "client-request-id": w.Header().Get("Client-Request-Id")},
	}})
}

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
