package exchange

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// OnlineOptions are how an Exchange Online organization is reached.
type OnlineOptions struct {
	// Endpoint is the admin API's host with its scheme, by cloud: "https://outlook.office365.com".
	Endpoint string
	// Tenant is the tenant's GUID; the token's tid claim when empty.
	Tenant string
	// Token returns an access token for the endpoint. It is called before every request and should
	// cache.
	Token func(ctx context.Context) (string, error)
	// Client sends the requests; link.Link's Client(nil) fits. It must not add credentials when it
	// follows redirects.
	Client *http.Client
	// Anchor is the X-AnchorMailbox of the session. When empty it is the tenant's system mailbox
	// for an application's token, the signed-in user for a person's.
	Anchor string
	// Timeout limits one request; 100 s when 0.
	Timeout time.Duration
	// Retries is how many more times a reading cmdlet is tried after a transient failure; 4 when 0,
	// none when negative.
	Retries int
	// Warn receives the warnings of cmdlets; may be nil.
	Warn func(cmdlet, text string)
	// Log takes one line per cmdlet at debug; the requests are logged by Client's link. May be nil.
	Log *slog.Logger
	// Waiting is called before each pause for a retry; may be nil.
	Waiting func(link.Wait)

	sleep func(context.Context, time.Duration) error // replaced by tests
}

// The recorded constants of the service and this client's limits.
const (
	systemMailbox = "SystemMailbox{bb558c35-97f1-4cb9-8ff7-d53741dc928c}"
	pageSize      = 1000
	maxPages      = 1000
	maxAnswer     = 64 << 20  // bytes of one page
	maxList       = 256 << 20 // bytes of all pages
	// commas in all pages, an estimate of the number of values: some hundred per object, each of up
	// to a hundred bytes
	maxCommas       = 4 << 20
	defaultTimeout  = 100 * time.Second
	moduleVersion   = "3.9.2" // of the PowerShell module whose requests these are
	genericTable    = "#Exchange.GenericHashTable"
	byteArray       = "#Exchange.ByteArrayType"
	expiredPaging   = "Expired or Invalid pagination request"
	clientAppHeader = "ExoManagementModule"
)

// AdminAPI is a Session with Exchange Online's admin API.
type AdminAPI struct {
	o          OnlineOptions
	base       *url.URL
	client     *http.Client
	connection string // one for the whole run, so that the service keeps it at one server

	mu      sync.Mutex
	tenant  string
	anchor  string
	allowed map[string]Allowance
}

var _ Session = (*AdminAPI)(nil)

// NewOnline prepares a session; nothing is sent yet.
func NewOnline(o OnlineOptions) (*AdminAPI, error) {
	base, err := url.Parse(o.Endpoint)
	if err != nil || base.Scheme != "https" || base.Host == "" || base.User != nil {
		return nil, fmt.Errorf("exchange online: %q is not an https address", link.Line(o.Endpoint))
	}
	if o.Token == nil {
		return nil, errors.New("exchange online: no credential given")
	}
	if o.Tenant != "" && !isGUID(o.Tenant) {
		return nil, fmt.Errorf("exchange online: tenant %q is not a GUID", link.Line(o.Tenant))
	}
	client := http.Client{}
	if o.Client != nil {
		client = *o.Client
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if client.Jar == nil {
		client.Jar, _ = cookiejar.New(nil) // the service's cookies keep a query at one server
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	switch {
	case o.Retries == 0:
		o.Retries = 4
	case o.Retries < 0:
		o.Retries = 0
	}
	retry := link.Retry{Tries: o.Retries + 1, Timeout: o.Timeout, Later: later, Waiting: o.Waiting, Sleep: o.sleep}
	return &AdminAPI{o: o, base: base, client: retry.Client(&client), connection: newGUID(),
		tenant: strings.ToLower(o.Tenant), anchor: o.Anchor}, nil
}

func newGUID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func (s *AdminAPI) place() string { return "exchange online at " + s.base.Host }

// Close forgets the connections. The service keeps nothing that would have to be ended.
func (s *AdminAPI) Close(context.Context) error {
	s.client.CloseIdleConnections()
	return nil
}

// identify finds the tenant and the anchor from the token, once. The token is not verified here:
// the service does that, and what is read of it only routes requests.
func (s *AdminAPI) identify(token string) (tenant, anchor string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tenant != "" && s.anchor != "" {
		return s.tenant, s.anchor, nil
	}
	id, upn := claimed(token)
	if s.tenant == "" {
		if !isGUID(id) {
			return "", "", errors.New("the access token does not name its tenant; give the tenant's GUID")
		}
		s.tenant = strings.ToLower(id)
	}
	if s.anchor == "" {
		if headerSafe(upn) && upn != "" {
			s.anchor = "UPN:" + upn
		} else {
			s.anchor = "APP:" + systemMailbox + "@" + s.tenant
		}
	}
	return s.tenant, s.anchor, nil
}

// claimed reads the tenant of an access token, and the name of its user where it is a person's.
func claimed(token string) (tenant, user string) {
	var claims struct {
		Tenant string `json:"tid"`
		UPN    string `json:"upn"`
		Type   string `json:"idtyp"`
	}
	parts := strings.Split(token, ".")
	if len(parts) == 3 {
		if text, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "=")); err == nil {
			_ = json.Unmarshal(text, &claims) // an opaque token says nothing, which is no error yet
		}
	}
	if claims.Type == "app" {
		claims.UPN = ""
	}
	return claims.Tenant, claims.UPN
}

func headerSafe(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r > 0x7e })
}

// Run runs one cmdlet, through all pages of its answer.
func (s *AdminAPI) Run(ctx context.Context, c Command) ([]Object, error) {
	p, err := c.prepared()
	if err != nil {
		return nil, at(s.place(), err)
	}
	body, err := onlineBody(p)
	if err != nil {
		return nil, at(s.place(), err)
	}
	for restarted := false; ; restarted = true {
		objects, err := logged(ctx, s.o.Log, s.place(), p, func() ([]Object, error) { return s.pages(ctx, p, body) })
		// A paged query whose token at the server expired begins again, once.
		if err != nil && !restarted && p.Reads() && strings.Contains(err.Error(), expiredPaging) {
			continue
		}
		return objects, at(s.place(), err)
	}
}

func (s *AdminAPI) pages(ctx context.Context, c Command, body []byte) ([]Object, error) {
	var objects []Object
	next := ""
	size, commas := 0, 0
	seen := map[string]bool{}
	for page := range maxPages {
		answer, err := s.invoke(ctx, c, body, next)
		if err != nil {
			return nil, err
		}
		if size += len(answer); size > maxList {
			return nil, fmt.Errorf("%s: the pages are larger than %d MiB together", c.Name, maxList>>20)
		}
		if commas += bytes.Count(answer, []byte(",")); commas > maxCommas {
			return nil, fmt.Errorf("%s: more than %d values", c.Name, maxCommas)
		}
		var got struct {
			Value    *[]json.RawMessage `json:"value"`
			Next     string             `json:"@odata.nextLink"`
			Warnings json.RawMessage    `json:"@adminapi.warnings"`
		}
		if len(bytes.TrimSpace(answer)) == 0 && !c.Reads() {
			return nil, nil // 204, or a write without output
		}
		if err := json.Unmarshal(answer, &got); err != nil {
			return nil, fmt.Errorf("%s: the answer is not the JSON that is expected: %w", c.Name, err)
		}
		if got.Value == nil {
			return nil, fmt.Errorf("%s: the answer has no value", c.Name)
		}
		for i, text := range *got.Value {
			o, err := onlineObject(text)
			if err != nil {
				return nil, fmt.Errorf("%s: object %d of page %d: %w", c.Name, i+1, page+1, err)
			}
			objects = append(objects, o)
		}
		s.warn(c, got.Warnings)
		if got.Next == "" {
			return objects, nil
		}
		if next, err = s.link(got.Next); err != nil {
			return nil, fmt.Errorf("%s: %w", c.Name, err)
		}
		if seen[next] {
			return nil, fmt.Errorf("%s: the pages run in a circle", c.Name)
		}
		seen[next] = true
	}
	return nil, fmt.Errorf("%s: more than %d pages", c.Name, maxPages)
}

// link compares a next page's address with the endpoint: the token goes nowhere else.
func (s *AdminAPI) link(next string) (string, error) {
	u, err := s.base.Parse(next)
	if err != nil || u.Scheme != "https" || !strings.EqualFold(u.Host, s.base.Host) || u.User != nil {
		return "", fmt.Errorf("the next page is said to be at %q, which is another host: %w", link.Line(next),
			link.ErrUntrusted)
	}
	return u.String(), nil
}

func (s *AdminAPI) warn(c Command, text json.RawMessage) {
	var warnings []string
	if s.o.Warn == nil || json.Unmarshal(text, &warnings) != nil {
		return
	}
	for _, w := range warnings {
		if !c.asksForFew(w) {
			s.o.Warn(c.Name, link.Line(w))
		}
	}
}

// invoke sends one request and, for reading cmdlets, sends it again after transient failures.
func (s *AdminAPI) invoke(ctx context.Context, c Command, body []byte, address string) ([]byte, error) {
	request := func(ctx context.Context, tenant string) (*http.Request, error) {
		to := address
		if to == "" {
			to = s.base.JoinPath("adminapi", "beta", tenant, "InvokeCommand").String()
		}
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		r.Header.Set("Content-Type", "application/json; charset=utf-8")
		r.Header.Set("Prefer", "odata.maxpagesize="+strconv.Itoa(pageSize))
		r.Header.Set("X-CmdletName", c.Name)
		r.Header.Set("X-ResponseFormat", "json")
		return r, nil
	}
	return s.send(ctx, c.Name, c.Reads(), request)
}

// send is one exchange with the service, retries included. A refused request was not executed, so
// any cmdlet can be sent once more with a new token: the old one may have run out on the way.
func (s *AdminAPI) send(ctx context.Context, cmdlet string, reads bool,
	make func(ctx context.Context, tenant string) (*http.Request, error)) ([]byte, error) {
	if reads {
		ctx = link.Reading(ctx)
	}
	token, err := s.o.Token(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: get an access token: %w", cmdlet, err)
	}
	answer, err := s.once(ctx, cmdlet, token, make)
	var refused *refusedError
	if errors.As(err, &refused) {
		if fresh, tokenErr := s.o.Token(ctx); tokenErr == nil && fresh != token {
			return s.once(ctx, cmdlet, fresh, make)
		}
	}
	return answer, err
}

// once sends a request, and again after the service deferred it.
func (s *AdminAPI) once(ctx context.Context, cmdlet, token string,
	make func(ctx context.Context, tenant string) (*http.Request, error)) ([]byte, error) {
	tenant, anchor, err := s.identify(token)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cmdlet, err)
	}
	r, err := make(ctx, tenant)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cmdlet, err)
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("Accept-Language", "en-US")
	r.Header.Set("X-AnchorMailbox", anchor)
	r.Header.Set("Connection-Id", s.connection)
	r.Header.Set("Client-Request-Id", newGUID())
	r.Header.Set("X-SerializationLevel", "Partial")
	r.Header.Set("X-ClientApplication", clientAppHeader)
	r.Header.Set("X-ClientModuleVersion", moduleVersion)
	r.Header.Set("Authorization", "Bearer "+token)
	response, err := s.client.Do(r)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // its text would repeat the address
		}
		return nil, fmt.Errorf("%s: %w", cmdlet, link.Classify(err))
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	// The body of a 403 is NUL bytes declared as gzip: the status says all.
	if err != nil && response.StatusCode != http.StatusForbidden && response.StatusCode != http.StatusUnauthorized {
		return nil, fmt.Errorf("%s: the answer broke off: %w", cmdlet, link.Classify(err))
	}
	if len(text) > maxAnswer {
		return nil, fmt.Errorf("%s: the answer is larger than %d MiB", cmdlet, maxAnswer>>20)
	}
	if bytes.Count(text, []byte(",")) > maxCommas {
		return nil, fmt.Errorf("%s: more than %d values", cmdlet, maxCommas)
	}
	request := link.Line(response.Header.Get("request-id"))
	if request != "" {
		request = " (request " + request + ")"
	}
	isJSON := jsonMedia(response.Header.Get("Content-Type"))
	switch status := response.StatusCode; {
	case status == http.StatusNoContent:
		return nil, nil
	case status == http.StatusOK:
		if !isJSON && len(bytes.TrimSpace(text)) > 0 {
			return nil, fmt.Errorf("%s: answered with %s, not JSON: something between here and the service answers "+
				"in its place", cmdlet, mediaName(response.Header.Get("Content-Type")))
		}
		return text, nil
	case status == http.StatusUnauthorized:
		reason := "the token was refused: the application lacks Exchange.ManageAsApp, or the token is for another " +
			"service"
		if said := challengeReason(response.Header.Get("WWW-Authenticate")); said != "" {
			reason += ": " + said
		}
		return nil, &refusedError{fmt.Sprintf("%s: %s%s", cmdlet, reason, request)}
	case status == http.StatusForbidden:
		// The service sends NUL bytes here. A readable message is worth repeating.
		if e := onlineError(cmdlet, text); e != nil {
			return nil, fmt.Errorf("%w: %w%s", e, link.ErrAccess, request)
		}
		return nil, fmt.Errorf("%s: %w: the caller has no role that holds this cmdlet, or Exchange Online has no "+
			"such cmdlet%s", cmdlet, link.ErrAccess, request)
	case status == http.StatusTooManyRequests:
		asked := ""
		if wait := link.RetryAfter(response.Header, time.Now()); wait > 0 {
			asked = fmt.Sprintf(": it asks to wait %s", wait)
		}
		return nil, fmt.Errorf("%s: %w%s%s", cmdlet, ErrThrottled, asked, request)
	case status >= 300 && status < 400:
		return nil, fmt.Errorf("%s: the service points elsewhere (%s to %q), which is not followed%s", cmdlet,
			response.Status, link.Line(response.Header.Get("Location")), request)
	default:
		if e := onlineError(cmdlet, text); e != nil {
			return nil, e
		}
		return nil, fmt.Errorf("%s: the service answered %s%s", cmdlet, link.Line(response.Status), request)
	}
}

func jsonMedia(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (media == "application/json" || strings.HasSuffix(media, "+json"))
}

func mediaName(contentType string) string {
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil || media == "" {
		return "something unnamed"
	}
	return link.Line(media)
}
