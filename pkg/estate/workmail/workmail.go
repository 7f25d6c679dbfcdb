// Package workmail is the client of an Amazon WorkMail organization: its own API, and what the
// Directory Service says of its directory. Credentials, profiles, retries and endpoints are those
// of the AWS SDK; connections are those of a link.Link.
package workmail

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/directoryservice"
	"github.com/aws/aws-sdk-go-v2/service/workmail"
	"github.com/aws/smithy-go"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// EndOfSupport is the day after the last day on which WorkMail works; NewCustomersEnd is when it
// stopped taking new customers. Source: the notice on the pages of the administrator's guide.
var (
	EndOfSupport    = time.Date(2027, 4, 1, 0, 0, 0, 0, time.UTC)
	NewCustomersEnd = time.Date(2026, 4, 30, 0, 0, 0, 0, time.UTC)
)

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
}

// Key is an access key.
type Key struct {
	ID     string
	Secret secret.Value
}

// Client is safe for concurrent use.
type Client struct {
	Region string

	name      string
	link      *link.Link
	timeout   time.Duration
	api       *workmail.Client
	directory *directoryservice.Client

	mu sync.Mutex
	id string // of the organization, once it is found
}

// tries is how often the SDK sends a request that failed on the way or was put off.
const tries = 3

// New finds credentials, and asks WorkMail nothing.
func New(ctx context.Context, o Options) (*Client, error) {
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
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
		return nil, fmt.Errorf("WorkMail: %w: no AWS credentials: set workmail.profile or workmail.credential, "+
			"or sign in with the AWS CLI (%s)", link.ErrAccess, link.Line(err.Error()))
	}
	c.HTTPClient = o.Link.Client(nil)
	return &Client{
		Region: o.Region, name: o.Organization, link: o.Link, timeout: o.Timeout,
		api: workmail.NewFromConfig(c), directory: directoryservice.NewFromConfig(c),
	}, nil
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
}

func (e *Error) Error() string {
	text := "WorkMail: " + e.Operation + ": " + e.Code
	if e.Message != "" {
		text += ": " + e.Message
	}
	return text
}

// Answered reports that AWS itself refused the request: nothing was written.
func (e *Error) Answered() bool {
	return e.Status >= 400 && e.Status < 500 && e.Status != http.StatusRequestTimeout &&
		e.Status != http.StatusTooManyRequests && !strings.Contains(e.Code, "Throttling")
}

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
	return target == link.ErrAccess && accessCodes[e.Code] ||
		target == ErrNotFound && (strings.HasSuffix(e.Code, "NotFoundException"))
}

// ErrNotFound says that the object of a request does not exist.
var ErrNotFound = errors.New("not found")

// failure converts an error of the SDK.
func failure(ctx context.Context, operation string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil && errors.Is(ctx.Err(), context.Canceled) {
		return context.Cause(ctx)
	}
	var wrong *unsendable
	if errors.As(err, &wrong) {
		return fmt.Errorf("WorkMail: %s: %w", operation, wrong)
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		out := &Error{Operation: operation, Code: link.Printable(api.ErrorCode()),
			Message: link.Line(api.ErrorMessage())}
		var response *awshttp.ResponseError
		if errors.As(err, &response) {
			out.Status = response.HTTPStatusCode()
		}
		return out
	}
	class := link.Classify(err)
	for _, known := range []error{link.ErrUnreachable, link.ErrUntrusted, link.ErrAccess} {
		if errors.Is(class, known) {
			return fmt.Errorf("WorkMail: %s: %w", operation, class)
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("WorkMail: %s: %w: %w", operation, link.ErrUnreachable, context.DeadlineExceeded)
	}
	return fmt.Errorf("WorkMail: %s: %s", operation, link.Line(err.Error()))
}

// limited limits one operation: all its tries, with their pauses.
func (c *Client) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, tries*c.timeout+10*time.Second)
}

// organization returns the id of the organization.
func (c *Client) organization(ctx context.Context) (*string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.id != "" {
		return aws.String(c.id), nil
	}
	if strings.HasPrefix(c.name, "m-") {
		c.id = c.name
		return aws.String(c.id), nil
	}
	var seen []string
	pages := workmail.NewListOrganizationsPaginator(c.api, &workmail.ListOrganizationsInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, failure(ctx, "ListOrganizations", err)
		}
		for _, o := range page.OrganizationSummaries {
			if strings.EqualFold(aws.ToString(o.Alias), c.name) &&
				!strings.EqualFold(aws.ToString(o.State), "Deleted") {
				c.id = aws.ToString(o.OrganizationId)
				return aws.String(c.id), nil
			}
			seen = append(seen, link.Printable(aws.ToString(o.Alias)))
		}
	}
	if len(seen) == 0 {
		seen = []string{"none"}
	}
	return nil, &Error{Operation: "ListOrganizations", Code: "OrganizationNotFoundException",
		Message: fmt.Sprintf("the account has no organization %q in %s; it has: %s", c.name, c.Region,
			strings.Join(seen, ", ")), Status: http.StatusBadRequest}
}
