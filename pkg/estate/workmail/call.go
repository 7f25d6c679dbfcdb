package workmail

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// service is a service of AWS that speaks JSON 1.1. Its client of the SDK is not used: the linker
// keeps all operations of such a client, and hybridge needs a few.
type service struct {
	id     string // by which AWS configuration names it
	name   string // in signatures and host names
	target string // before the operation in X-Amz-Target
}

var (
	workMail         = service{"WorkMail", "workmail", "WorkMailService."}
	directoryService = service{"Directory Service", "ds", "DirectoryService_20150416."}
)

// endpoint returns the address of the service: that of the AWS configuration (AWS_ENDPOINT_URL_…,
// AWS_ENDPOINT_URL, endpoint_url of a profile), or the one of the region.
func (s service) endpoint(c aws.Config) (string, error) {
	address := s.configured(c)
	if address == "" {
		name, domain := s.name, "amazonaws.com"
		if state, _, _ := source(c, usesFIPS.GetUseFIPSEndpoint); state == aws.FIPSEndpointStateEnabled {
			name += "-fips"
		}
		if state, _, _ := source(c, usesDualStack.GetUseDualStackEndpoint); state ==
			aws.DualStackEndpointStateEnabled {
			domain = "api.aws"
		}
		address = "https://" + name + "." + c.Region + "." + domain
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" {
		if err == nil && u.User != nil {
			address = u.Redacted()
		}
		return "", fmt.Errorf("the endpoint of %s is not an address: %s", s.id, link.Line(address))
	}
	if u.Path == "" {
		u.Path = "/"
	}
	return u.String(), nil
}

// configured returns the endpoint of the AWS configuration; empty: none. The variable for all
// services goes before the profile's entry for this one, as in the SDK.
func (s service) configured(c aws.Config) (address string) {
	if c.BaseEndpoint != nil {
		address = *c.BaseEndpoint
	}
	own := "AWS_ENDPOINT_URL_" + strings.ToUpper(strings.ReplaceAll(s.id, " ", "_"))
	_, all := os.LookupEnv("AWS_ENDPOINT_URL")
	if _, one := os.LookupEnv(own); all && !one {
		return address
	}
	if ignored, _, _ := source(c, ignoresEndpoints.GetIgnoreConfiguredEndpoints); ignored {
		return address
	}
	if found, is, err := source(c, func(p hasEndpoints, ctx context.Context) (string, bool, error) {
		return p.GetServiceBaseEndpoint(ctx, s.id)
	}); err == nil && is {
		return found
	}
	return address
}

// What sources of the AWS configuration know, besides aws.Config. The SDK asks them the same way.
type (
	usesFIPS interface {
		GetUseFIPSEndpoint(ctx context.Context) (aws.FIPSEndpointState, bool, error)
	}
	usesDualStack interface {
		GetUseDualStackEndpoint(ctx context.Context) (aws.DualStackEndpointState, bool, error)
	}
	ignoresEndpoints interface {
		GetIgnoreConfiguredEndpoints(ctx context.Context) (bool, bool, error)
	}
	hasEndpoints interface {
		GetServiceBaseEndpoint(ctx context.Context, id string) (string, bool, error)
	}
)

// source asks the sources of the AWS configuration until one knows.
func source[P, T any](c aws.Config, ask func(P, context.Context) (T, bool, error)) (v T, found bool, err error) {
	for _, s := range c.ConfigSources {
		if p, is := s.(P); is {
			if v, found, err = ask(p, context.Background()); found || err != nil {
				break
			}
		}
	}
	return v, found, err
}

// maxAnswer limits an answer. Pages hold 100 entries.
const maxAnswer = 16 << 20

// do runs one operation and decodes its answer into output; nil: its answer holds nothing. A try
// that failed on the way, or that AWS puts off, is repeated.
func (c *Client) do(ctx context.Context, s service, operation string, input, output any) error {
	body, err := json.Marshal(input)
	if err != nil {
		return &unsendable{fmt.Errorf("WorkMail: %s: %w", operation, err)}
	}
	if c.read == nil || !reads(operation) {
		return c.send(ctx, s, operation, body, output)
	}
	answer, err := c.read(ctx, operation+" "+string(body), func(ctx context.Context) (raw json.RawMessage, err error) {
		err = c.send(ctx, s, operation, body, &raw)
		return raw, err
	})
	if err != nil || output == nil || len(answer) == 0 {
		return err
	}
	return decode(operation, answer, output)
}

// reads reports whether an operation changes nothing and gives no secret.
func reads(operation string) bool {
	for _, verb := range []string{"Describe", "Get", "List", "Test"} {
		if strings.HasPrefix(operation, verb) {
			return true
		}
	}
	return false
}

// decode reads an answer.
func decode(operation string, answer []byte, output any) error {
	if err := json.Unmarshal(answer, output); err != nil {
		return fmt.Errorf("WorkMail: %s: the answer cannot be read: %s", operation, link.Line(err.Error()))
	}
	return nil
}

func (c *Client) send(ctx context.Context, s service, operation string, body []byte, output any) error {
	if c.http == nil {
		return &unsendable{fmt.Errorf("WorkMail: %s: not in a snapshot", operation)}
	}
	limited, cancel := c.limited(ctx)
	defer cancel()
	unsure := false // an earlier try may have been carried out
	for try := 1; ; try++ {
		wait, err := c.try(limited, s, operation, body, output)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil && errors.Is(ctx.Err(), context.Canceled) {
			return context.Cause(ctx)
		}
		var refusal *Error
		if errors.As(err, &refusal) {
			refusal.unsure = unsure
		}
		if refusal == nil || !refusal.Answered() {
			unsure = true
		}
		if try == tries || limited.Err() != nil || !c.worth(err) {
			return err
		}
		if pause, err := c.retry.RetryDelay(try, err); err == nil && wait < pause {
			wait = pause
		}
		if deadline, ok := limited.Deadline(); ok && time.Until(deadline) < wait {
			return err
		}
		if link.Sleep(limited, wait) != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return err
		}
	}
}

// worth reports whether a failed try is worth another one: after a broken connection, an answer of
// a server in trouble, and the codes that AWS lists for throttling and expiry.
func (c *Client) worth(err error) bool {
	var refusal *Error
	if errors.As(err, &refusal) {
		return refusal.skewed || c.retry.IsErrorRetryable(refusal)
	}
	return errors.Is(err, link.ErrUnreachable)
}

// try sends a request once. wait is the pause that AWS asks for.
func (c *Client) try(ctx context.Context, s service, operation string, body []byte, output any) (
	wait time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	failed := func(err error) error { return fmt.Errorf("WorkMail: %s: %w", operation, err) }
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoints[s], bytes.NewReader(body))
	if err != nil {
		return 0, &unsendable{failed(err)}
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", s.target+operation)
	credential, err := c.credentials.Retrieve(ctx)
	if err != nil {
		return 0, &unsendable{failed(noCredentials(err))}
	}
	skew := time.Duration(c.skew.Load())
	sum := sha256.Sum256(body)
	if err := c.signer.SignHTTP(ctx, credential, r, hex.EncodeToString(sum[:]), s.name, c.Region,
		time.Now().Add(skew)); err != nil {
		return 0, &unsendable{failed(err)}
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return 0, c.broken(operation, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return 0, c.broken(operation, err)
	}
	if resp.StatusCode == http.StatusOK {
		if output == nil || len(answer) == 0 {
			return 0, nil
		}
		return 0, decode(operation, answer, output)
	}
	refusal := refused(operation, resp, answer)
	refusal.skewed = c.corrected(refusal.Code, resp, skew)
	return link.RetryAfter(resp.Header, time.Now()), refusal
}

// broken describes a request without an answer.
func (c *Client) broken(operation string, err error) error {
	class := link.Classify(err)
	for _, known := range []error{link.ErrUnreachable, link.ErrUntrusted, link.ErrAccess} {
		if errors.Is(class, known) {
			return fmt.Errorf("WorkMail: %s: %w", operation, class)
		}
	}
	return fmt.Errorf("WorkMail: %s: %s", operation, link.Line(err.Error()))
}

// refused reads the error document of AWS.
func refused(operation string, resp *http.Response, body []byte) *Error {
	var document struct {
		Type    string `json:"__type"`
		Code    string
		Message string // also "message"
	}
	_ = json.Unmarshal(body, &document) // not JSON: it is an answer of another server
	code := document.Type
	for _, other := range []string{resp.Header.Get("X-Amzn-Errortype"), document.Code} {
		if code == "" {
			code = other
		}
	}
	code, _, _ = strings.Cut(code, ":")
	code = code[strings.LastIndex(code, "#")+1:]
	e := &Error{Operation: operation, Code: link.Printable(code), Message: link.Line(document.Message),
		Status: resp.StatusCode}
	if code == "" {
		e.foreign = link.NewStatusError(resp, body)
	}
	return e
}

// skewCodes are the refusals of a signature that a wrong clock also brings.
var skewCodes = []string{"RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture", "InvalidSignatureException",
	"SignatureDoesNotMatch", "AuthFailure"}

// corrected takes the time of AWS where the own clock is the likely cause of a refusal. It reports
// whether the next signature is another one.
func (c *Client) corrected(code string, resp *http.Response, used time.Duration) bool {
	if !slices.Contains(skewCodes, code) {
		return false
	}
	theirs, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return false
	}
	skew := time.Until(theirs)
	if (skew - used).Abs() < 4*time.Minute {
		return false
	}
	c.skew.Store(int64(skew))
	return true
}

// request holds the members of the operations that read.
type request struct {
	OrganizationID      string   `json:"OrganizationId,omitempty"`
	DomainName          string   `json:",omitempty"`
	UserID              string   `json:"UserId,omitempty"`
	EntityID            string   `json:"EntityId,omitempty"`
	ImpersonationRoleID string   `json:"ImpersonationRoleId,omitempty"`
	DirectoryIDs        []string `json:"DirectoryIds,omitempty"`
	MaxResults          int      `json:",omitempty"`
	NextToken           string   `json:",omitempty"`
}

// ask runs an operation of WorkMail that reads about the organization.
func ask[T any](ctx context.Context, c *Client, operation string, r request) (answer T, err error) {
	if r.OrganizationID, err = c.organization(ctx); err != nil {
		return answer, err
	}
	err = c.do(ctx, workMail, operation, r, &answer)
	return answer, err
}

// maxPages ends a list that has no end.
const maxPages = 10_000

// list runs an operation of WorkMail that lists, page by page. The entries of an answer are its
// member of that name.
func list[T any](ctx context.Context, c *Client, operation, member string, r request) (all []T, err error) {
	for range maxPages {
		page := map[string]json.RawMessage{}
		if err := c.do(ctx, workMail, operation, r, &page); err != nil {
			return nil, err
		}
		var entries []T
		var next string
		for name, into := range map[string]any{member: &entries, "NextToken": &next} {
			if raw, given := page[name]; given {
				if err := json.Unmarshal(raw, into); err != nil {
					return nil, fmt.Errorf("WorkMail: %s: the answer cannot be read: %s", operation,
						link.Line(err.Error()))
				}
			}
		}
		all = append(all, entries...)
		if next == "" {
			return all, nil
		}
		if next == r.NextToken {
			return nil, fmt.Errorf("WorkMail: %s: the list has no end: one page follows itself", operation)
		}
		r.NextToken = next
	}
	return nil, fmt.Errorf("WorkMail: %s: the list has more than %d pages", operation, maxPages)
}

// listOwn lists what the organization has.
func listOwn[T any](ctx context.Context, c *Client, operation, member string, r request) (all []T, err error) {
	if r.OrganizationID, err = c.organization(ctx); err != nil {
		return nil, err
	}
	return list[T](ctx, c, operation, member, r)
}
