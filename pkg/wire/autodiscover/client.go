package autodiscover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews/soap"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// DefaultTimeout is the time limit of one attempt.
const DefaultTimeout = 25 * time.Second

// Client searches. It is safe for concurrent use.
type Client struct {
	HTTP      *http.Client // brings the credential; only https is asked with it
	Anonymous *http.Client // for the http redirect, JSON and federation information; HTTP is never used for them

	SCP       []string                                                   // URLs that the directory publishes, ranked
	LookupSRV func(ctx context.Context, name string) ([]*net.SRV, error) // nil: SRV records are not asked for
	// ask autodiscover.svc instead of autodiscover.xml
	SOAP bool

	// Hosts may be redirected to by plain http and by SRV records, which any machine on the way can
	// forge: host names, and ".suffix" for all below. The domain of the address and what is below
	// it are always allowed.
	Hosts []string

	UserAgent string
	Timeout   time.Duration // of one attempt; DefaultTimeout when 0
}

// endpoint turns a candidate's URL into that of the protocol in use.
func (c *Client) endpoint(u string) string {
	if c.SOAP {
		if parsed, err := url.Parse(u); err == nil && strings.HasSuffix(strings.ToLower(parsed.Path), ".xml") {
			parsed.Path = parsed.Path[:len(parsed.Path)-len(".xml")] + ".svc"
			parsed.RawPath = ""
			return parsed.String()
		}
	}
	return u
}

// acceptable says why a candidate must not be given the credential, "" when it may.
func (c *Client) acceptable(at candidate, address string) string {
	u, err := url.Parse(at.url)
	switch {
	case err != nil || u.Host == "":
		return "not a URL"
	case u.Scheme != "https":
		return "credentials go to https alone"
	case at.from == vouched:
		return ""
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	_, domain, _ := cutAddress(address)
	if host == domain || strings.HasSuffix(host, "."+domain) {
		return ""
	}
	for _, h := range c.Hosts {
		h = strings.ToLower(strings.TrimSuffix(h, "."))
		if host == h || strings.HasPrefix(h, ".") && strings.HasSuffix(host, h) {
			return ""
		}
	}
	return "an unverified redirect to " + link.Printable(host) + ", a host outside of " + domain
}

func (c *Client) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	d := c.Timeout
	if d <= 0 {
		d = DefaultTimeout
	}
	return context.WithTimeout(ctx, d)
}

func (c *Client) agent(r *http.Request) {
	agent := c.UserAgent
	if agent == "" {
		agent = "hybridge"
	}
	r.Header.Set("User-Agent", agent)
}

func (c *Client) anonymous() (*http.Client, error) {
	if c.Anonymous == nil {
		return nil, errors.New("autodiscover: no anonymous client")
	}
	return c.Anonymous, nil
}

// answer is one attempt with its result.
type answer struct {
	attempt  Attempt
	settings Settings
	target   string // of a redirect
}

// askSettings asks one endpoint for the settings of address.
func (c *Client) askSettings(ctx context.Context, endpoint, address string) answer {
	start := time.Now()
	var a answer
	if strings.Contains(strings.ToLower(endpoint), ".svc") {
		a = c.askSOAP(ctx, endpoint, address)
	} else {
		a = c.askPOX(ctx, endpoint, address)
	}
	a.attempt.Method, a.attempt.URL, a.attempt.Duration = http.MethodPost, link.PrintableURL(endpoint),
		time.Since(start)
	if a.attempt.Err != nil && a.attempt.Detail == "" {
		a.attempt.Detail = link.Printable(shortError(a.attempt.Err))
	}
	return a
}

// shortError drops "POST URL:", which the attempt says already.
func shortError(err error) string {
	s := err.Error()
	if _, rest, ok := strings.Cut(s, ": "); ok &&
		(strings.HasPrefix(s, "POST http") || strings.HasPrefix(s, "GET http")) {
		return rest
	}
	return s
}

// failed returns an error as an attempt.
func failed(err error) Attempt {
	err = link.Classify(err)
	a := Attempt{Outcome: Failed, Err: err}
	switch {
	case errors.Is(err, link.ErrAccess):
		a.Outcome = AccessRefused
	case errors.Is(err, link.ErrUntrusted):
		a.Outcome = Untrusted
	case errors.Is(err, link.ErrUnreachable):
		a.Outcome = Unreachable
	case errors.Is(err, soap.ErrNotXML), errors.Is(err, soap.ErrLimit), errors.Is(err, soap.ErrNotSOAP):
		a.Outcome = NotAutodiscover
	}
	return a
}

// post sends an XML document with the credential.
func (c *Client) post(ctx context.Context, client *http.Client, endpoint, body string, header http.Header) (*reply,
	error) {
	ctx, cancel := c.limit(ctx)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("autodiscover: %w", err)
	}
	for name, values := range header {
		r.Header[name] = values
	}
	r.Header.Set("Content-Type", "text/xml; charset=utf-8")
	c.agent(r)
	return do(client, r)
}

const maxAnswer = 4 << 20

// reply is an HTTP answer read to its end.
type reply struct {
	status int
	header http.Header
	body   []byte
	err    *link.StatusError // its error
}

func do(client *http.Client, r *http.Request) (*reply, error) {
	resp, err := client.Do(r)
	if err != nil {
		return nil, link.Classify(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("%s %s: read answer: %w", r.Method, link.PrintableURL(r.URL.String()),
			link.Classify(err))
	}
	return &reply{resp.StatusCode, resp.Header, data, link.NewStatusError(resp, data)}, nil
}

var redirects = []int{http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect,
	http.StatusPermanentRedirect}

// statusAttempt makes an attempt of an answer that is not 200.
func statusAttempt(r *reply) answer {
	a := answer{attempt: Attempt{Status: r.status, Outcome: NotFound, Err: r.err, Detail: r.err.Detail}}
	switch {
	case errors.Is(r.err, link.ErrAccess):
		a.attempt.Outcome = AccessRefused
		var offers []string
		for _, c := range link.Challenges(r.header) {
			offers = append(offers, link.Printable(c.Scheme))
		}
		if len(offers) > 0 {
			a.attempt.Detail = "offers " + strings.Join(offers, ", ")
		}
		if d := ews.Diagnostics(r.header); d != "" {
			a.attempt.Detail = strings.TrimPrefix(a.attempt.Detail+": "+d, ": ")
		}
	case r.status >= 500:
		a.attempt.Outcome = ServerError
	case slices.Contains(redirects, r.status):
		if location := r.header.Get("Location"); location != "" {
			a.target = location
			a.attempt.Outcome, a.attempt.Detail, a.attempt.Err = RedirectURL, link.PrintableURL(location), nil
		}
	}
	return a
}

// getRedirect asks an http URL, anonymously, for a redirect to https.
func (c *Client) getRedirect(ctx context.Context, at string) (Attempt, string) {
	start := time.Now()
	attempt := Attempt{Method: http.MethodGet, URL: at}
	client, err := c.anonymous()
	if err != nil {
		attempt.Outcome, attempt.Detail = Failed, err.Error()
		return attempt, ""
	}
	ctx, cancel := c.limit(ctx)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		attempt.Outcome, attempt.Err = Failed, err
		return attempt, ""
	}
	c.agent(r)
	resp, err := do(client, r)
	attempt.Duration = time.Since(start)
	if err != nil {
		f := failed(err)
		attempt.Outcome, attempt.Err, attempt.Detail = f.Outcome, f.Err, link.Printable(shortError(f.Err))
		return attempt, ""
	}
	attempt.Status = resp.status
	a := statusAttempt(resp)
	if a.attempt.Outcome != RedirectURL || resp.status == http.StatusPermanentRedirect {
		attempt.Outcome, attempt.Detail = NotFound, "no redirect"
		return attempt, ""
	}
	target, err := resolve(at, a.target)
	u, parseErr := url.Parse(target)
	if err != nil || parseErr != nil || u.Scheme != "https" || !autodiscoverPath().MatchString(u.Path) {
		attempt.Outcome, attempt.Detail = RefusedRedirect, "to "+a.attempt.Detail+", not an https autodiscover path"
		return attempt, ""
	}
	attempt.Outcome, attempt.Detail = RedirectURL, a.attempt.Detail
	return attempt, target
}

// V2Error is the error document of autodiscover V2. Its shape is unverified against a real server.
type V2Error struct {
	URL          string
	StatusCode   int
	ErrorCode    string
	ErrorMessage string
}

func (e *V2Error) Error() string {
	return fmt.Sprintf("%s: HTTP %d %s: %s", e.URL, e.StatusCode, e.ErrorCode, e.ErrorMessage)
}

// V2 asks the JSON service of a host, without credentials, for the URL of a protocol: "EWS",
// "REST", "ActiveSync", "AutodiscoverV1". It follows redirects to https.
func (c *Client) V2(ctx context.Context, host, address, protocol string) (string, error) {
	client, err := c.anonymous()
	if err != nil {
		return "", err
	}
	at := "https://" + host + "/autodiscover/autodiscover.json/v1.0/" + url.PathEscape(address) + "?Protocol=" +
		url.QueryEscape(protocol)
	for range MaxRedirects + 1 {
		body, next, err := c.getV2(ctx, client, at)
		if err != nil {
			return "", err
		}
		if next != "" {
			at = next
			continue
		}
		return body, nil
	}
	return "", fmt.Errorf("autodiscover of %s at %s: redirected more than %d times", link.Printable(address), host,
		MaxRedirects)
}

func (c *Client) getV2(ctx context.Context, client *http.Client, at string) (found, next string, err error) {
	ctx, cancel := c.limit(ctx)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return "", "", fmt.Errorf("autodiscover: %w", err)
	}
	c.agent(r)
	r.Header.Set("Accept", "application/json")
	resp, err := do(client, r)
	if err != nil {
		return "", "", err
	}
	if a := statusAttempt(resp); a.attempt.Outcome == RedirectURL {
		target, err := resolve(at, a.target)
		if err == nil && strings.HasPrefix(target, "https://") {
			return "", target, nil
		}
		return "", "", fmt.Errorf("GET %s: redirects to %s, which is not https", link.PrintableURL(at),
			a.attempt.Detail)
	}
	var doc struct {
		Protocol, URL           string
		ErrorCode, ErrorMessage string
	}
	jsonErr := json.Unmarshal(resp.body, &doc)
	switch {
	case jsonErr == nil && doc.ErrorCode != "":
		return "", "", &V2Error{link.PrintableURL(at), resp.status, link.Printable(doc.ErrorCode),
			link.Printable(doc.ErrorMessage)}
	case resp.status != http.StatusOK:
		return "", "", resp.err
	case jsonErr != nil || doc.URL == "":
		return "", "", fmt.Errorf("GET %s: the answer is not from autodiscover V2", link.PrintableURL(at))
	}
	return link.Printable(doc.URL), "", nil
}
