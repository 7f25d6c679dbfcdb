package entra

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	azcloud "github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/estate/certificate"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
	"github.com/hybridge-cli/hybridge/pkg/wire/oauth"
)

// exchangePowerShell is Microsoft's public client for Exchange's administration interface
// ("Microsoft Exchange REST API Based PowerShell"), azurePowerShell the one with which Microsoft's
// own hybrid application script asks Microsoft Graph. Both exist in every tenant; a device-code
// credential without a client id takes the one that fits the resource.
const (
	exchangePowerShell = "fb78d390-0c51-40cd-8e17-fdbfab77341b"
	azurePowerShell    = "1950a258-227b-4e31-a9cf-717495945fc2"
)

const (
	tryTimeout = 30 * time.Second       // for the sign-in service to answer once
	tries      = 3                      // of a request for a token that broke off on the way
	pause      = 200 * time.Millisecond // after the first; then twice as long each time
)

// noPersonError says that a device code has no person to enter it.
type noPersonError struct{}

func (noPersonError) Error() string { return "a device code needs a person at a terminal to enter it" }
func (noPersonError) Unwrap() error { return link.ErrAccess }

// Hint is what to do where hybridge cannot ask.
func (noPersonError) Hint() string {
	return "run it on a terminal, or sign in with kind: certificate, secret or workloadIdentity"
}

// Credential is an identity in a tenant with its secret or key (answers.Credential resolved).
type Credential struct {
	Kind     answers.CredentialKind // certificate, secret, deviceCode, workloadIdentity
	ClientID string
	Bundle   certificate.Bundle // certificate
	Secret   secret.Value       // secret
	// TokenFile holds the federated token of a workload identity; AZURE_FEDERATED_TOKEN_FILE when
	// empty. GitHub Actions, which hands out such tokens on request, is recognized when neither is
	// set.
	TokenFile string
	// Say shows a person the message of the device code; deviceCode requires it, or SignIn.
	Say func(text string)
	// SignIn shows a person the device code in the place of Say. What it returns is called when the
	// sign-in is over.
	SignIn func(DeviceCode) (over func())
}

// DeviceCode is what a person needs to sign in. Its texts are from the sign-in service.
type DeviceCode struct {
	Code, Page string
	Message    string    // says both
	Until      time.Time // it is valid
	GiveUp     func()    // ends the wait; the request for a token is then refused with ErrGivenUp
}

// ErrGivenUp says that the person did not sign in.
var ErrGivenUp = errors.New("the sign-in was given up on this computer")

// validity is how long a device code is valid where its answer does not say so.
const validity = 15 * time.Minute

// IdentityOptions for NewIdentity.
type IdentityOptions struct {
	Tenant     string       // GUID or a domain of the tenant
	Login      string       // https://login.microsoftonline.com
	Graph      string       // https://graph.microsoft.com: selects the public client of a device code
	HTTP       *http.Client // link's anonymous client: its trust, proxy and connect-to apply
	Credential Credential
	// Getenv reads the environment of workload identities; os.Getenv when nil.
	Getenv func(string) string
	// Now is compared with the server's clock after a refusal; time.Now when nil. Signed times use
	// the machine's clock.
	Now func() time.Time
}

// Identity gets tokens for one credential in one tenant. Tokens are kept until shortly before they
// expire. It is safe for concurrent use.
type Identity struct {
	login      string
	host       string
	graph      string
	clientID   string
	secret     secret.Value // of the credential; zero when it has none
	deviceCode func(clientID string) (azcore.TokenCredential, error)
	single     azcore.TokenCredential
	devices    map[string]azcore.TokenCredential
	now        func() time.Time
	turn       chan struct{} // one token at a time: a person is asked once
}

// NewIdentity prepares a credential; nothing is connected to yet.
func NewIdentity(o IdentityOptions) (*Identity, error) {
	u, err := url.Parse(o.Login)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("sign in to %s: %q is not an https URL", o.Tenant, o.Login)
	}
	getenv := o.Getenv
	if getenv == nil {
		getenv = os.Getenv
	}
	i := &Identity{
		login: strings.TrimSuffix(o.Login, "/"), host: u.Host, graph: o.Graph, clientID: o.Credential.ClientID,
		secret:  o.Credential.Secret,
		devices: map[string]azcore.TokenCredential{}, now: o.Now, turn: make(chan struct{}, 1),
	}
	if i.now == nil {
		i.now = time.Now
	}
	client := azcore.ClientOptions{
		Cloud: azcloud.Configuration{ActiveDirectoryAuthorityHost: i.login + "/",
			Services: map[azcloud.ServiceName]azcloud.ServiceConfiguration{}},
		Transport: transport{o.HTTP, u.Host},
		// The library would send the very same assertion again. The server may have accepted it
		// although no answer came back, so Token retries with a new one. A busy server that
		// deferred the request has not accepted it.
		Retry: policy.RetryOptions{MaxRetries: tries - 1, TryTimeout: tryTimeout,
			ShouldRetry: func(resp *http.Response, err error) bool { return err == nil && busy(resp.StatusCode) }},
		Telemetry: policy.TelemetryOptions{Disabled: true},
	}
	c := o.Credential
	// nothing in its requests is good for once only, and a person must not be asked again
	if c.Kind == answers.CredentialDeviceCode {
		client.Retry.ShouldRetry = nil
	}
	if c.ClientID == "" && (c.Kind == answers.CredentialCertificate || c.Kind == answers.CredentialSecret) {
		return nil, fmt.Errorf("sign in to %s: a credential of kind %s needs a client id", o.Tenant, c.Kind)
	}
	// Instance discovery asks a fixed worldwide host whether the login host is Microsoft's. The
	// login host comes from the cloud table or from the administrator's own answers, and many
	// networks let only that host through.
	const noDiscovery = true
	switch c.Kind {
	case answers.CredentialCertificate:
		if c.Bundle.Key == nil || c.Bundle.Leaf == nil {
			return nil, fmt.Errorf("sign in to %s as %s: %w", o.Tenant, c.ClientID, certificate.ErrNoKey)
		}
		i.single, err = azidentity.NewClientCertificateCredential(o.Tenant, c.ClientID,
			[]*x509.Certificate{c.Bundle.Leaf}, c.Bundle.Key,
			&azidentity.ClientCertificateCredentialOptions{ClientOptions: client,
				DisableInstanceDiscovery: noDiscovery})
	case answers.CredentialSecret:
		i.single, err = azidentity.NewClientSecretCredential(o.Tenant, c.ClientID, c.Secret.Reveal(),
			&azidentity.ClientSecretCredentialOptions{ClientOptions: client, DisableInstanceDiscovery: noDiscovery})
	case answers.CredentialWorkloadIdentity:
		request := getenv("ACTIONS_ID_TOKEN_REQUEST_URL")
		if c.TokenFile == "" && getenv("AZURE_FEDERATED_TOKEN_FILE") == "" && request != "" {
			assertion := githubAssertion(o.HTTP, request, secret.NewValue(getenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN")))
			i.single, err = azidentity.NewClientAssertionCredential(o.Tenant, c.ClientID, assertion,
				&azidentity.ClientAssertionCredentialOptions{ClientOptions: client,
					DisableInstanceDiscovery: noDiscovery})
			break
		}
		i.single, err = azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{
			ClientOptions: client, DisableInstanceDiscovery: noDiscovery, ClientID: c.ClientID, TenantID: o.Tenant,
			TokenFilePath: c.TokenFile,
		})
	case answers.CredentialDeviceCode:
		if c.Say == nil && c.SignIn == nil {
			return nil, fmt.Errorf("sign in to %s: %w", o.Tenant, noPersonError{})
		}
		i.deviceCode = func(clientID string) (azcore.TokenCredential, error) {
			return azidentity.NewDeviceCodeCredential(&azidentity.DeviceCodeCredentialOptions{
				ClientOptions: client, DisableInstanceDiscovery: noDiscovery, TenantID: o.Tenant, ClientID: clientID,
				UserPrompt: func(ctx context.Context, m azidentity.DeviceCodeMessage) error {
					if m.UserCode == "" || m.VerificationURL == "" {
						return errors.New("the answer holds no device code")
					}
					text := m.Message
					if text == "" {
						text = fmt.Sprintf("Open %s in a browser and enter the code %s.", m.VerificationURL, m.UserCode)
					}
					wait, waits := ctx.Value(waitKey{}).(*signInWait)
					if c.SignIn == nil || !waits {
						c.Say(link.Printable(text))
						return nil
					}
					wait.over = c.SignIn(DeviceCode{Code: link.Printable(m.UserCode),
						Page: link.Printable(m.VerificationURL), Message: link.Printable(text),
						Until: i.now().Add(validFor(ctx)), GiveUp: func() { wait.cancel(ErrGivenUp) }})
					return nil
				},
			})
		}
	default:
		return nil, fmt.Errorf("sign in to %s: credentials of kind %q do not exist in Entra", o.Tenant, c.Kind)
	}
	if err != nil {
		return nil, fmt.Errorf("sign in to %s: %w", o.Tenant, err)
	}
	return i, nil
}

// Token returns a token for a resource ("https://graph.microsoft.com"). A refusal is an
// *oauth.Error.
func (i *Identity) Token(ctx context.Context, resource string) (string, error) {
	select {
	case i.turn <- struct{}{}:
		defer func() { <-i.turn }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	credential, err := i.credential(resource)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	wait := &signInWait{cancel: cancel, over: func() {}}
	ctx = context.WithValue(ctx, waitKey{}, wait)
	defer func() { wait.over() }()
	for try := 1; ; try++ {
		seen := &failure{}
		t, err := credential.GetToken(context.WithValue(ctx, failureKey{}, seen),
			policy.TokenRequestOptions{Scopes: []string{strings.TrimSuffix(resource, "/") + "/.default"}})
		if err == nil {
			return t.Token, nil
		}
		err = i.explain(ctx, err, seen)
		var answered *oauth.Error
		if try == tries || i.deviceCode != nil || !errors.Is(err, link.ErrUnreachable) || errors.As(err, &answered) &&
			busy(answered.Status) {
			return "", err
		}
		select {
		case <-time.After(pause << (try - 1)):
		case <-ctx.Done():
			return "", err
		}
	}
}

// signInWait is the wait for a person who signs in.
type signInWait struct {
	cancel context.CancelCauseFunc
	over   func()
}

type waitKey struct{}

// validFor is how long a device code is valid, by the answer that brought it.
func validFor(ctx context.Context) time.Duration {
	var answer struct {
		ExpiresIn int `json:"expires_in"`
	}
	if seen, ok := ctx.Value(failureKey{}).(*failure); ok && json.Unmarshal(seen.body, &answer) == nil &&
		answer.ExpiresIn > 0 && answer.ExpiresIn < 86400 {
		return time.Duration(answer.ExpiresIn) * time.Second
	}
	return validity
}

// busy reports whether a status defers a request.
func busy(status int) bool {
	return status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable
}

// Source is Token bound to a resource, as link.Bearer takes it.
func (i *Identity) Source(resource string) func(ctx context.Context) (string, error) {
	return func(ctx context.Context) (string, error) { return i.Token(ctx, resource) }
}

func (i *Identity) credential(resource string) (azcore.TokenCredential, error) {
	if i.deviceCode == nil {
		return i.single, nil
	}
	id := i.clientID
	if id == "" {
		id = exchangePowerShell
		if strings.EqualFold(strings.TrimSuffix(resource, "/"), strings.TrimSuffix(i.graph, "/")) {
			id = azurePowerShell
		}
	}
	if c, ok := i.devices[id]; ok {
		return c, nil
	}
	c, err := i.deviceCode(id)
	if err != nil {
		return nil, fmt.Errorf("sign in at %s: %w", i.host, err)
	}
	i.devices[id] = c
	return c, nil
}

// ErrNotSignIn is an answer that did not come from Entra's sign-in service: a portal, a proxy, a
// redirect. It says nothing about the credential.
var ErrNotSignIn = errors.New("the answer is not from the sign-in service of Entra")

// explain turns the library's error, whose text holds whole HTTP answers, into ours.
func (i *Identity) explain(ctx context.Context, err error, seen *failure) error {
	text, _, _ := strings.Cut(err.Error(), "To troubleshoot")
	text = i.withoutSecret(link.Line(text))
	switch {
	case errors.Is(context.Cause(ctx), ErrGivenUp):
		return fmt.Errorf("request a token from %s: %w", i.host, ErrGivenUp)
	case ctx.Err() != nil:
		return fmt.Errorf("request a token from %s: %w", i.host, ctx.Err())
	case seen.err != nil && seen.answer != nil && !errors.Is(seen.err, link.ErrUnreachable):
		return fmt.Errorf("request a token from %s: %w: %w", i.host, ErrNotSignIn, seen.err)
	case seen.err != nil:
		return fmt.Errorf("request a token from %s: %w", i.host, seen.err)
	case seen.answer == nil: // nothing was sent: the library refuses the credential itself
		return fmt.Errorf("request a token from %s: %w: %s", i.host, link.ErrAccess, text)
	case seen.answer.StatusCode >= http.StatusBadRequest:
		e := oauth.ParseError(i.host, seen.answer.StatusCode, seen.body)
		e.Compare(seen.answer.Header, i.now())
		e.Description = i.withoutSecret(e.Description)
		if e.Code == "authorization_pending" || e.Code == "slow_down" { // of the last poll
			e.Code, e.Description = "expired_token", "the device code was not confirmed in time"
		}
		if e.Code != "" || errors.Is(e, link.ErrUnreachable) {
			return e
		}
	}
	what := i.withoutSecret(whatAnswered(seen.answer, seen.body))
	if _, issuer, ok := strings.Cut(text, "TenantDiscoveryResponse: "); ok {
		what += ": " + issuer
	}
	return fmt.Errorf("request a token from %s: %w: %s", i.host, ErrNotSignIn, what)
}

// withoutSecret removes the client secret from a text of the server, which may repeat it.
func (i *Identity) withoutSecret(text string) string {
	if s := i.secret.Reveal(); s != "" {
		text = strings.ReplaceAll(text, s, secret.Redacted)
	}
	return text
}

// whatAnswered describes an answer that is not the sign-in service's.
func whatAnswered(resp *http.Response, body []byte) string {
	where := link.Line(resp.Request.URL.Path)
	status := fmt.Sprintf("%s answers with status %d", where, resp.StatusCode)
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	detail := link.NewStatusError(resp, body).Detail
	switch {
	case resp.StatusCode/100 == 3 && resp.Header.Get("Location") != "":
		return fmt.Sprintf("%s redirects to %s (status %d), and no credential is sent there", where,
			link.PrintableURL(resp.Header.Get("Location")), resp.StatusCode)
	case len(bytes.TrimSpace(body)) == 0:
		return status + " and nothing else"
	case kind == "application/json": // it may hold a token
		return status + " and a JSON document that is no answer of it"
	case detail != "":
		return fmt.Sprintf("%s and %q", status, detail)
	}
	return status
}

// failure keeps the last answer, and why it failed. The library passes a broken connection on as
// text, which would lose its class, and reads the body of a refusal to its end.
type failure struct {
	err    error
	answer *http.Response
	body   []byte // of a refusal; the beginning of another answer
}

type failureKey struct{}

// transport adapts link's client to the library. Secrets, assertions and codes go to the login host
// by https and nowhere else, whatever the host's own metadata says.
type transport struct {
	client *http.Client
	host   string
}

func (t transport) Do(r *http.Request) (*http.Response, error) {
	seen, ok := r.Context().Value(failureKey{}).(*failure)
	if !ok {
		seen = &failure{}
	}
	*seen = failure{}
	if r.URL.Scheme != "https" || !strings.EqualFold(r.URL.Host, t.host) {
		seen.err = fmt.Errorf("%w: the sign-in service of %s points to %s, where no credential is sent",
			link.ErrUntrusted,
			t.host, link.PrintableURL(r.URL.String()))
		return nil, seen.err
	}
	resp, err := t.client.Do(r)
	if err != nil {
		var u *url.Error
		if seen.err = err; errors.As(err, &u) {
			seen.err = link.Classify(u.Err)
		}
		return nil, err
	}
	seen.answer = resp
	if resp.StatusCode >= http.StatusBadRequest {
		body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		resp.Body.Close()
		if err != nil {
			seen.err = link.Classify(err)
			return nil, err
		}
		seen.body = body
		resp.Body = io.NopCloser(bytes.NewReader(body))
		return resp, nil
	}
	resp.Body = &watchedBody{resp.Body, seen}
	if strings.HasSuffix(r.URL.Path, "/devicecode") { // the library does not pass on how long it is valid
		body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
		resp.Body.Close()
		if err != nil {
			return nil, err
		}
		seen.body, resp.Body = body, io.NopCloser(bytes.NewReader(body))
	}
	return resp, nil
}

// watchedBody notes why an answer broke off, and how it begins.
type watchedBody struct {
	io.ReadCloser
	seen *failure
}

const maxBeginning = 64 << 10

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if left := maxBeginning - len(b.seen.body); left > 0 {
		b.seen.body = append(b.seen.body, p[:min(n, left)]...)
	}
	if err != nil && err != io.EOF {
		b.seen.err = link.Classify(err)
	}
	return n, err
}

// githubAssertion asks GitHub Actions for the token that stands for the running job.
func githubAssertion(client *http.Client, address string, token secret.Value) func(ctx context.Context) (string,
	error) {
	return func(ctx context.Context) (string, error) {
		u, err := url.Parse(address)
		if err != nil {
			return "", errors.New("ACTIONS_ID_TOKEN_REQUEST_URL is not a URL")
		}
		q := u.Query()
		q.Set("audience", "api://AzureADTokenExchange")
		u.RawQuery = q.Encode()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
		if err != nil {
			return "", errors.New("ACTIONS_ID_TOKEN_REQUEST_URL is not a URL")
		}
		req.Header.Set("Authorization", "Bearer "+token.Reveal())
		resp, err := client.Do(req)
		if err != nil {
			return "", link.Classify(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		if err != nil {
			return "", err
		}
		if resp.StatusCode != http.StatusOK {
			return "", link.NewStatusError(resp, nil)
		}
		var answer struct {
			Value string `json:"value"`
		}
		if json.Unmarshal(body, &answer) != nil || answer.Value == "" {
			return "", fmt.Errorf("%s gave no token", u.Host)
		}
		return answer.Value, nil
	}
}
