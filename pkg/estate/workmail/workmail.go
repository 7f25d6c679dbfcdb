// Package workmail is the client of an Amazon WorkMail organization: its own API, and what the
// Directory Service says of its directory. Credentials, profiles, endpoints, signatures and the
// rules of retries are those of the AWS SDK; connections are those of a link.Link.
package workmail

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// EndOfSupport is the day after the last day on which WorkMail works; NewCustomersEnd is when it
// stopped taking new customers. Source: the notice on the pages of the administrator's guide.
var (
	EndOfSupport    = time.Date(2027, 4, 1, 0, 0, 0, 0, time.UTC)
	NewCustomersEnd = time.Date(2026, 4, 30, 0, 0, 0, 0, time.UTC)
)

// DaysLeft is how many days are left at a time until WorkMail ends; 0 when it has.
func DaysLeft(now time.Time) int { return max(0, int(EndOfSupport.Sub(now).Hours()/24)) }

// EWSVersion is the newest RequestServerVersion that the EWS of WorkMail accepts.
const EWSVersion = "Exchange2010_SP2"

// Hosts of WorkMail in a region.

// EWS returns the address of Exchange Web Services.
func EWS(region string) string {
	return "https://ews.mail." + region + ".awsapps.com/EWS/Exchange.asmx"
}

// Options for New.
type Options struct {
	Region       string
	Organization string // alias or id
	Profile      string // of the AWS configuration files; empty: what the environment gives
	Key          *Key   // instead of the credential chain
	Link         *link.Link
	Timeout      time.Duration // of one try of one request; 30 s when 0
	// Read stands between the operations that read and AWS: live sends the request of ask. May be
	// nil.
	Read Read
	// Recalled says that Read has all answers: no credential is needed.
	Recalled bool
}

// Read gives the answer to a request that changes nothing.
type Read func(ctx context.Context, ask string, live func(context.Context) (json.RawMessage, error)) (json.RawMessage,
	error)

// Key is an access key.
type Key struct {
	ID     string
	Secret secret.Value
}

// Client is safe for concurrent use.
type Client struct {
	Region string

	name        string
	read        Read
	link        *link.Link
	timeout     time.Duration
	http        *http.Client
	credentials aws.CredentialsProvider
	endpoints   map[service]string
	signer      *v4.Signer
	retry       *retry.Standard
	skew        atomic.Int64 // a time.Duration: how far the clock of AWS is ahead of the own one

	mu sync.Mutex
	id string // of the organization, once it is found
}

// tries is how often a request is sent that failed on the way or was put off.
const tries = 3

// New finds credentials, and asks WorkMail nothing.
func New(ctx context.Context, o Options) (*Client, error) {
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	if o.Recalled {
		return &Client{Region: o.Region, name: o.Organization, read: o.Read, timeout: o.Timeout}, nil
	}
	with := []func(*config.LoadOptions) error{
		config.WithRegion(o.Region), config.WithHTTPClient(signingIn(o.Link)), config.WithRetryMaxAttempts(tries),
	}
	if o.Profile != "" {
		with = append(with, config.WithSharedConfigProfile(o.Profile))
	}
	if o.Key != nil {
		with = append(with, config.WithCredentialsProvider(
			credentials.NewStaticCredentialsProvider(o.Key.ID, o.Key.Secret.Reveal(), "")))
	}
	limited, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	c, err := config.LoadDefaultConfig(limited, with...)
	if err != nil {
		return nil, fmt.Errorf("WorkMail: the AWS configuration: %w: %s", link.ErrAccess, link.Line(err.Error()))
	}
	if _, err := c.Credentials.Retrieve(limited); err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, fmt.Errorf("WorkMail: %w", noCredentials(err))
	}
	out := &Client{
		Region: c.Region, name: o.Organization, read: o.Read, link: o.Link,
		timeout: o.Timeout, http: o.Link.Client(nil),
		credentials: c.Credentials, endpoints: map[service]string{}, signer: v4.NewSigner(),
		retry: retry.NewStandard(func(s *retry.StandardOptions) { s.MaxAttempts = tries }),
	}
	for _, s := range []service{workMail, directoryService} {
		if out.endpoints[s], err = s.endpoint(c); err != nil {
			return nil, fmt.Errorf("WorkMail: the AWS configuration: %w: %w", link.ErrAccess, err)
		}
	}
	return out, nil
}

func noCredentials(err error) error {
	return fmt.Errorf("%w: no AWS credentials: set workmail.profile or workmail.credential, "+
		"or sign in with the AWS CLI (%s)", link.ErrAccess, link.Line(err.Error()))
}

// signingIn is the client of the credential chain. It is of the SDK's own type, because the SDK
// takes no other where AWS_CA_BUNDLE is set; connections and trust are those of the link.
func signingIn(l *link.Link) *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.Proxy, t.DialContext = nil, l.DialContext
		t.DialTLSContext = func(ctx context.Context, _, address string) (net.Conn, error) {
			host, _, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			return l.DialTLS(ctx, address, host)
		}
	})
}

// Error is a refusal by AWS.
type Error struct {
	Operation string
	Code      string // "OrganizationNotFoundException"
	Message   string // printable
	Status    int    // of HTTP

	foreign *link.StatusError // the answer is not one of AWS
	unsure  bool              // an earlier try of the request may have been carried out
	skewed  bool              // the clock was the likely cause
}

func (e *Error) Error() string {
	if e.foreign != nil {
		return "WorkMail: " + e.Operation + ": " + e.foreign.Error()
	}
	text := "WorkMail: " + e.Operation + ": " + e.Code
	if e.Message != "" {
		text += ": " + e.Message
	}
	return text
}

// Answered reports that AWS itself refused the request: nothing was written.
func (e *Error) Answered() bool {
	return e.foreign == nil && !e.unsure && e.Status >= 400 && e.Status < 500 &&
		e.Status != http.StatusRequestTimeout &&
		e.Status != http.StatusTooManyRequests && !strings.Contains(e.Code, "Throttling")
}

// ErrorCode and HTTPStatusCode are how the SDK reads errors to decide on a retry.
func (e *Error) ErrorCode() string { return e.Code }

// HTTPStatusCode is the status of the answer.
func (e *Error) HTTPStatusCode() int { return e.Status }

// accessCodes are the errors of signatures, credentials and IAM policies, which all services share.
var accessCodes = map[string]bool{
	"AccessDeniedException": true, "AccessDenied": true, "UnrecognizedClientException": true,
	"InvalidClientTokenId": true, "InvalidSignatureException": true, "SignatureDoesNotMatch": true,
	"ExpiredToken": true, "ExpiredTokenException": true, "MissingAuthenticationToken": true,
	"MissingAuthenticationTokenException": true, "IncompleteSignature": true, "IncompleteSignatureException": true,
	"OptInRequired": true, "NotAuthorized": true,
}

// Is makes refusals of the credential or its rights link.ErrAccess, and classes of modelled errors
// ErrNotFound.
func (e *Error) Is(target error) bool {
	if e.foreign != nil {
		return e.foreign.Is(target)
	}
	return target == link.ErrAccess && accessCodes[e.Code] ||
		target == ErrNotFound && (strings.HasSuffix(e.Code, "NotFoundException") ||
			e.Code == "EntityDoesNotExistException") // of the Directory Service
}

// ErrNotFound says that the object of a request does not exist.
var ErrNotFound = errors.New("not found")

// limited limits one operation: all its tries, with their pauses.
func (c *Client) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, tries*c.timeout+10*time.Second)
}

// organization returns the id of the organization.
func (c *Client) organization(ctx context.Context) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.id != "" {
		return c.id, nil
	}
	if strings.HasPrefix(c.name, "m-") {
		c.id = c.name
		return c.id, nil
	}
	organizations, err := c.all(ctx)
	if err != nil {
		return "", err
	}
	seen := []string{}
	for _, o := range organizations {
		if o.Gone() {
			continue
		}
		if strings.EqualFold(o.Alias, c.name) {
			c.id = o.ID
			return c.id, nil
		}
		seen = append(seen, o.Alias)
	}
	if len(seen) == 0 {
		seen = append(seen, "none")
	}
	return "", &Error{Operation: "ListOrganizations", Code: "OrganizationNotFoundException",
		Message: fmt.Sprintf("the account has no organization %q in %s; it has: %s", c.name, c.Region,
			strings.Join(seen, ", ")), Status: http.StatusBadRequest}
}

// all lists the organizations of the account in the region, those that were deleted too.
func (c *Client) all(ctx context.Context) ([]Organization, error) {
	found, err := list[struct{ OrganizationID, Alias, State, ErrorMessage string }](ctx, c, "ListOrganizations",
		"OrganizationSummaries", request{})
	var out []Organization
	for _, o := range found {
		out = append(out, Organization{ID: text(o.OrganizationID), Alias: text(o.Alias), State: text(o.State),
			Problem: text(o.ErrorMessage)})
	}
	return out, err
}
