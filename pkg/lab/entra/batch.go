package entra

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

// recorder keeps an answer.
type recorder struct {
	bytes.Buffer
	header http.Header
	status int
}

func (r *recorder) Header() http.Header    { return r.header }
func (r *recorder) WriteHeader(status int) { r.status = status }

// maxBatch is how many requests one batch may hold.
const maxBatch = 20

// batch answers POST /$batch: requests with the caller's token, one after the other. A request
// whose dependency failed is not made.
func (c *call) batch() (int, any, *odataError) {
	if c.Method != http.MethodPost {
		return 0, nil, c.methodNotAllowed()
	}
	type part struct {
		ID        string            `json:"id"`
		Method    string            `json:"method"`
		URL       string            `json:"url"`
		Headers   map[string]string `json:"headers"`
		Body      json.RawMessage   `json:"body"`
		DependsOn []string          `json:"dependsOn"`
	}
	var body struct {
		Requests []part `json:"requests"`
	}
	if json.Unmarshal(c.body, &body) != nil || len(body.Requests) == 0 {
		return 0, nil, &odataError{http.StatusBadRequest, "BadRequest", "Invalid batch payload format."}
	}
	if len(body.Requests) > maxBatch {
		return 0, nil, &odataError{http.StatusBadRequest, "MaximumValueExceeded",
			"Number of batch request steps exceeds the maximum value of 20."}
	}
	statuses := map[string]int{}
	responses := []map[string]any{}
	for _, p := range body.Requests {
		if _, twice := statuses[p.ID]; p.ID == "" || twice || !strings.HasPrefix(p.URL, "/") {
			return 0, nil, &odataError{http.StatusBadRequest, "BadRequest",
				"Invalid batch: every request needs an id of its own, a method and a relative url."}
		}
		failed := false
		for _, id := range p.DependsOn {
			status, known := statuses[id]
			if !known {
				return 0, nil, &odataError{http.StatusBadRequest, "BadRequest",
					"Invalid batch: dependsOn names no earlier request."}
			}
			failed = failed || status >= 400
		}
		if failed {
			statuses[p.ID] = http.StatusFailedDependency
			responses = append(responses, map[string]any{"id": p.ID, "status": http.StatusFailedDependency,
				"headers": map[string]string{}, "body": map[string]any{"error": map[string]any{
					"code": "FailedDependency", "message": "A request that this one depends on failed."}}})
			continue
		}
		u, err := url.Parse("/v1.0" + p.URL)
		if err != nil || strings.Contains(p.URL, "$batch") {
			return 0, nil, &odataError{http.StatusBadRequest, "BadRequest", "Invalid batch: a url is malformed."}
		}
		r, err := http.NewRequestWithContext(c.Context(), p.Method, u.String(), bytes.NewReader(p.Body))
		if err != nil {
			return 0, nil, &odataError{http.StatusBadRequest, "BadRequest", "Invalid batch: a method is malformed."}
		}
		for name, value := range p.Headers {
			r.Header.Set(name, value)
		}
		r.Header.Set("Authorization", c.Header.Get("Authorization"))
		w := &recorder{header: http.Header{}, status: http.StatusOK}
		c.tenant.Graph().ServeHTTP(w, r)
		statuses[p.ID] = w.status
		one := map[string]any{"id": p.ID, "status": w.status,
			"headers": map[string]string{"Content-Type": w.header.Get("Content-Type")}}
		if raw := bytes.TrimSpace(w.Bytes()); json.Valid(raw) {
			one["body"] = json.RawMessage(raw)
		}
		responses = append(responses, one)
	}
	return http.StatusOK, map[string]any{"responses": responses}, nil
}
