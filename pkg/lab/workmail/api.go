package workmail

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// apiError is a refusal by the API.
type apiError struct {
	code, message string
	status        int
	shared        bool // by what all services share, and no operation declares
}

func fail(code, format string, args ...any) *apiError {
	return &apiError{code: code, message: fmt.Sprintf(format, args...), status: http.StatusBadRequest}
}

func denied(code, message string) *apiError {
	return &apiError{code: code, message: message, status: http.StatusForbidden, shared: true}
}

func invalid(format string, args ...any) *apiError {
	return fail("InvalidParameterException", format, args...)
}

// call is one request to the API.
type call struct {
	ctx   context.Context
	input map[string]any
	org   *Organization // of the member OrganizationId
}

func (c *call) text(name string) string { s, _ := c.input[name].(string); return s }
func (c *call) flag(name string) bool   { b, _ := c.input[name].(bool); return b }
func (c *call) part(name string) map[string]any {
	m, _ := c.input[name].(map[string]any)
	return m
}

type answer = map[string]any

// operation carries out one operation. The service is locked.
type operation func(s *Service, c *call) (answer, *apiError)

// readable are the verbs of operations that AmazonWorkMailReadOnlyAccess allows.
var readable = []string{"Describe", "Get", "List", "Search"}

// API is the handler of workmail.REGION.amazonaws.com.
func (s *Service) API() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.serve(w, r, "workmail", "WorkMailService.", func(name, key string, body []byte) (any, *apiError) {
			declared, known := theModel().Operations[name]
			if !known {
				return nil, fail("UnknownOperationException", "The lab doesn't simulate this: %s", name)
			}
			if s.Keys[key].ReadOnly && !slices.ContainsFunc(readable,
				func(verb string) bool { return strings.HasPrefix(name, verb) }) {
				return nil, denied("AccessDeniedException", "User: arn:aws:iam::"+s.Account+":user/"+key+
					" is not authorized to perform: workmail:"+name)
			}
			input := map[string]any{}
			if err := json.Unmarshal(body, &input); err != nil {
				return nil, fail("SerializationException", "the request is no JSON object")
			}
			if err := theModel().check(declared.Input, input, "request"); err != nil {
				return nil, fail("ValidationException", "1 validation error detected: %v", err)
			}
			out, refused := s.run(r.Context(), name, input)
			switch {
			case refused != nil && !refused.shared && !slices.Contains(declared.Errors, refused.code):
				return nil, &apiError{code: "InternalFailure", status: http.StatusInternalServerError,
					message: "the lab: " + name + " does not declare " + refused.code}
			case refused != nil:
				return nil, refused
			}
			if declared.Output != "" {
				plain := map[string]any{}
				data, err := json.Marshal(out)
				if err == nil {
					err = json.Unmarshal(data, &plain)
				}
				if err == nil {
					err = theModel().check(declared.Output, plain, "answer")
				}
				if err != nil {
					return nil, &apiError{code: "InternalFailure", status: http.StatusInternalServerError,
						message: "the lab: " + name + ": " + err.Error()}
				}
			}
			return out, nil
		})
	})
}

// serve speaks JSON 1.1: it verifies a request and writes the answer.
func (s *Service) serve(w http.ResponseWriter, r *http.Request, service, prefix string,
	run func(name, key string, body []byte) (any, *apiError)) {
	w.Header().Set("X-Amzn-Requestid", rand.Text())
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	body, key, refused := s.verify(r, service)
	var out any
	switch name, ours := strings.CutPrefix(r.Header.Get("X-Amz-Target"), prefix); {
	case refused != nil:
	case r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-amz-json-1.1" || !ours:
		refused = fail("UnknownOperationException", "POST, Content-Type: application/x-amz-json-1.1 and "+
			"X-Amz-Target: %sOPERATION are expected", prefix)
	default:
		out, refused = run(name, key, body)
	}
	if refused != nil {
		w.WriteHeader(refused.status)
		member := "Message"
		if refused.shared {
			member = "message"
		}
		_ = json.NewEncoder(w).Encode(map[string]string{
			"__type": "com.amazonaws." + service + "#" + refused.code, member: refused.message})
		return
	}
	if out != nil {
		_ = json.NewEncoder(w).Encode(out)
	}
}

// run finds the organization of a request and carries the operation out.
func (s *Service) run(ctx context.Context, name string, input map[string]any) (answer, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &call{ctx: ctx, input: input}
	if id := c.text("OrganizationId"); id != "" {
		for _, o := range s.organizations {
			if o.ID == id {
				c.org = o
			}
		}
		switch {
		case c.org == nil || c.org.gone() && name != "DescribeOrganization":
			return nil, fail("OrganizationNotFoundException", "Organization %s not found.", id)
		case c.org.state() != "Active" && name != "DescribeOrganization":
			return nil, fail("OrganizationStateException", "The organization is in state %s.", c.org.state())
		}
	}
	token := c.text("ClientToken")
	if token != "" {
		delete(input, "ClientToken")
		data, _ := json.Marshal(input)
		was, seen := s.tokens[name+token]
		switch {
		case seen && was.input == string(data):
			return was.out, nil
		case seen:
			return nil, invalid("The client token was used with other parameters.")
		}
		out, refused := operations[name](s, c)
		if refused == nil {
			s.tokens[name+token] = carried{string(data), out}
		}
		return out, refused
	}
	return operations[name](s, c)
}

// page cuts a list as MaxResults and NextToken ask.
func page[T any](c *call, list []T, key string) (answer, *apiError) {
	start := 0
	if token := c.text("NextToken"); token != "" {
		text, err := base64.StdEncoding.DecodeString(token)
		n, err2 := strconv.Atoi(strings.TrimPrefix(string(text), key+" "))
		if err != nil || err2 != nil || n < 1 || n > len(list) {
			return nil, invalid("The NextToken is invalid.")
		}
		start = n
	}
	size := 100
	if n, given := c.input["MaxResults"].(float64); given {
		size = int(n)
	}
	end := min(len(list), start+size)
	out := answer{key: append([]T{}, list[start:end]...)}
	if end < len(list) {
		out["NextToken"] = base64.StdEncoding.EncodeToString([]byte(key + " " + strconv.Itoa(end)))
	}
	return out, nil
}

// seconds is a timestamp of the API.
func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// Directories is the handler of ds.REGION.amazonaws.com.
func (s *Service) Directories() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.serve(w, r, "ds", "DirectoryService_20150416.", func(name, _ string, body []byte) (any, *apiError) {
			var input struct {
				DirectoryIds []string
				NextToken    string
				Limit        int
			}
			switch {
			case name != "DescribeDirectories":
				return nil, fail("UnknownOperationException", "The lab doesn't simulate this: %s", name)
			case json.Unmarshal(body, &input) != nil || input.NextToken != "":
				return nil, fail("InvalidParameterException", "the request is not valid")
			}
			list := []answer{}
			for _, c := range s.Connectors {
				if len(input.DirectoryIds) > 0 && !slices.Contains(input.DirectoryIds, c.ID) {
					continue
				}
				stage := c.Stage
				if stage == "" {
					stage = "Active"
				}
				list = append(list, answer{
					"DirectoryId": c.ID, "Name": c.Name, "Alias": c.Alias, "Type": "ADConnector", "Stage": stage,
					"Size": "Small", "AccessUrl": c.Alias + ".awsapps.com", "SsoEnabled": false,
					"ConnectSettings": answer{"CustomerUserName": c.Account, "ConnectIps": c.Servers,
						"VpcId": "vpc-0a1b2c3d", "SubnetIds": []string{"subnet-0a1b2c3d", "subnet-1a2b3c4d"},
						"SecurityGroupId":   "sg-0a1b2c3d",
						"AvailabilityZones": []string{s.Region + "a", s.Region + "b"}},
				})
			}
			if len(list) < len(input.DirectoryIds) {
				return nil, fail("EntityDoesNotExistException", "Directory %s does not exist.",
					strings.Join(input.DirectoryIds, ", "))
			}
			return answer{"DirectoryDescriptions": list}, nil
		})
	})
}
