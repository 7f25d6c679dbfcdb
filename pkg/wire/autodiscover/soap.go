package autodiscover

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/wire/ews/soap"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// ErrorCode of the SOAP service.
type ErrorCode string

// The error codes.
const (
	NoError               ErrorCode = "NoError"
	CodeRedirectAddress   ErrorCode = "RedirectAddress"
	CodeRedirectURL       ErrorCode = "RedirectUrl"
	InvalidUser           ErrorCode = "InvalidUser"
	InvalidRequest        ErrorCode = "InvalidRequest"
	InvalidSetting        ErrorCode = "InvalidSetting"
	SettingIsNotAvailable ErrorCode = "SettingIsNotAvailable"
	ServerBusy            ErrorCode = "ServerBusy"
	InvalidDomain         ErrorCode = "InvalidDomain"
	NotFederated          ErrorCode = "NotFederated"
	InternalServerError   ErrorCode = "InternalServerError"
)

// CodeError is an answer of the SOAP service that reports a failure.
type CodeError struct {
	URL     string
	Code    ErrorCode
	Message string // printable
	Target  string // of a redirect
}

func (e *CodeError) Error() string {
	s := string(e.Code)
	if e.URL != "" {
		s = e.URL + ": " + s
	}
	if e.Message != "" {
		s += ": " + e.Message
	}
	if e.Target != "" {
		s += " (" + e.Target + ")"
	}
	return s
}

// DefaultSettings are the user settings that Find asks SOAP for.
var defaultSettings = []string{"UserDN", "UserDisplayName", "AutoDiscoverSMTPAddress", "InternalEwsUrl",
	"ExternalEwsUrl", "EwsSupportedSchemas", "CasVersion", "InternalMailboxServer"}

// soapRequest is the envelope of an operation. Header and body order are those of the WSDL.
func soapRequest(endpoint, operation, body string) string {
	return fmt.Sprintf(`<?xml version="1.0" encoding="utf-8"?>`+"\n"+
		`<s:Envelope xmlns:s="%s" xmlns:a="%s" xmlns:wsa="%s"><s:Header>`+
		`<a:RequestedServerVersion>Exchange2013_SP1</a:RequestedServerVersion>`+
		`<wsa:Action>%s/Autodiscover/%s</wsa:Action><wsa:To>%s</wsa:To></s:Header>`+
		`<s:Body><a:%sRequestMessage><a:Request>%s</a:Request></a:%sRequestMessage></s:Body></s:Envelope>`,
		soap.Namespace, Namespace, Addressing, Namespace, operation, soap.Escape(endpoint), operation, body, operation)
}

func settingsList(names []string) string {
	var b strings.Builder
	b.WriteString(`<a:RequestedSettings>`)
	for _, n := range names {
		b.WriteString(`<a:Setting>` + soap.Escape(n) + `</a:Setting>`)
	}
	b.WriteString(`</a:RequestedSettings>`)
	return b.String()
}

// callSOAP returns the Response element of an operation's answer.
func (c *Client) callSOAP(ctx context.Context, client *http.Client, endpoint, operation, anchor,
	body string) (*soap.Element, *reply, error) {
	header := http.Header{}
	if anchor != "" {
		header["X-Anchormailbox"] = []string{headerValue(anchor)}
	}
	resp, err := c.post(ctx, client, endpoint, soapRequest(endpoint, operation, body), header)
	if err != nil {
		return nil, nil, err
	}
	root, err := soap.Parse(resp.body, soap.Limits{Bytes: maxAnswer})
	var envelope soap.Envelope
	if err == nil {
		envelope, err = soap.Open(root)
	}
	if err == nil {
		if fault, ok := envelope.Fault(); ok {
			return nil, resp, fmt.Errorf("%s: SOAP fault: %s", link.PrintableURL(endpoint),
				link.Printable(fault.Value("faultstring")))
		}
	}
	if resp.status != http.StatusOK {
		return nil, resp, resp.err
	}
	if err != nil {
		return nil, resp, fmt.Errorf("%s: not an answer of autodiscover: %w", link.PrintableURL(endpoint), err)
	}
	response := envelope.Body.Child("Response")
	if !envelope.Body.Is(Namespace, operation+"ResponseMessage") || response == nil {
		return nil, resp, fmt.Errorf("%s: %w: not an answer of autodiscover", link.PrintableURL(endpoint),
			soap.ErrNotSOAP)
	}
	if err := codeOf(endpoint, response); err != nil {
		return nil, resp, err
	}
	return response, resp, nil
}

// codeOf makes an error of e's ErrorCode unless it is NoError.
func codeOf(endpoint string, e *soap.Element) error {
	code := ErrorCode(link.Printable(e.Value("ErrorCode")))
	if code == NoError || code == "" {
		return nil
	}
	return &CodeError{URL: link.PrintableURL(endpoint), Code: code, Message: link.Printable(e.Value("ErrorMessage")),
		Target: link.Printable(e.Value("RedirectTarget"))}
}

// UserSettings asks an autodiscover.svc for settings of one mailbox (GetUserSettings). A *CodeError
// may be a redirect.
func (c *Client) UserSettings(ctx context.Context, endpoint, address string, names ...string) (map[string]string,
	error) {
	values, _, err := c.userSettings(ctx, endpoint, address, names)
	return values, err
}

func (c *Client) userSettings(ctx context.Context, endpoint, address string, names []string) (map[string]string, *reply,
	error) {
	body := `<a:Users><a:User><a:Mailbox>` + soap.Escape(address) + `</a:Mailbox></a:User></a:Users>` +
		settingsList(names)
	response, resp, err := c.callSOAP(ctx, c.HTTP, endpoint, "GetUserSettings", address, body)
	if err != nil {
		return nil, resp, err
	}
	user := response.Child("UserResponses", "UserResponse")
	if user == nil {
		return nil, resp, fmt.Errorf("%s: no answer about %s", link.PrintableURL(endpoint), link.Printable(address))
	}
	if err := codeOf(endpoint, user); err != nil {
		return nil, resp, err
	}
	return readSettings(user.Child("UserSettings"), "UserSetting"), resp, nil
}

// DomainSettings asks an autodiscover.svc for settings of a domain (GetDomainSettings):
// ExternalEwsUrl, ExternalEwsVersion.
func (c *Client) DomainSettings(ctx context.Context, endpoint, domain string, names ...string) (map[string]string,
	error) {
	body := `<a:Domains><a:Domain>` + soap.Escape(domain) + `</a:Domain></a:Domains>` + settingsList(names)
	response, _, err := c.callSOAP(ctx, c.HTTP, endpoint, "GetDomainSettings", "", body)
	if err != nil {
		return nil, err
	}
	one := response.Child("DomainResponses", "DomainResponse")
	if one == nil {
		return nil, fmt.Errorf("%s: no answer about %s", link.PrintableURL(endpoint), link.Printable(domain))
	}
	if err := codeOf(endpoint, one); err != nil {
		return nil, err
	}
	return readSettings(one.Child("DomainSettings"), "DomainSetting"), nil
}

// Federation is the answer of GetFederationInformation.
type Federation struct {
	ApplicationURI string
	TokenIssuers   []string // endpoints of the token issuers
	Domains        []string
}

// FederationInformation asks an autodiscover.svc, without credentials, how a domain is federated. A
// domain that is not federated returns a *CodeError with NotFederated or InvalidDomain.
func (c *Client) FederationInformation(ctx context.Context, endpoint, domain string) (Federation, error) {
	client, err := c.anonymous()
	if err != nil {
		return Federation{}, err
	}
	response, _, err := c.callSOAP(ctx, client, endpoint, "GetFederationInformation", "",
		`<a:Domain>`+soap.Escape(domain)+`</a:Domain>`)
	if err != nil {
		return Federation{}, err
	}
	f := Federation{ApplicationURI: link.Printable(response.Value("ApplicationUri"))}
	for _, t := range response.Child("TokenIssuers").All("TokenIssuer") {
		f.TokenIssuers = append(f.TokenIssuers, link.Printable(t.Value("Endpoint")))
	}
	for _, d := range response.Child("Domains").All("Domain") {
		f.Domains = append(f.Domains, link.Printable(d.Text))
	}
	return f, nil
}

func readSettings(e *soap.Element, name string) map[string]string {
	values := map[string]string{}
	for _, s := range e.All(name) {
		values[link.Printable(s.Value("Name"))] = link.Printable(s.Value("Value"))
	}
	return values
}

func (c *Client) askSOAP(ctx context.Context, endpoint, address string) answer {
	values, resp, err := c.userSettings(ctx, endpoint, address, defaultSettings)
	a := answer{attempt: Attempt{Outcome: Found}}
	if err != nil {
		var code *CodeError
		var status *link.StatusError
		switch {
		case errors.As(err, &code):
			a.attempt = Attempt{Outcome: ServerError, Detail: link.Printable(string(code.Code) + " " + code.Message),
				Err: err}
			switch code.Code {
			case CodeRedirectAddress:
				a.attempt = Attempt{Outcome: RedirectAddress, Detail: code.Target}
				a.target = code.Target
			case CodeRedirectURL:
				a.attempt = Attempt{Outcome: RedirectURL, Detail: link.PrintableURL(code.Target)}
				a.target = code.Target
			case InvalidUser:
				a.attempt.Outcome = NoSuchMailbox
			}
		case errors.As(err, &status) && resp != nil:
			a = statusAttempt(resp)
		default:
			a.attempt = failed(err)
			if a.attempt.Outcome == Failed && resp != nil {
				a.attempt.Outcome = ServerError
			}
		}
	}
	if resp != nil {
		a.attempt.Status = resp.status
	}
	if a.attempt.Outcome == Found {
		a.settings = Settings{
			Address: values["AutoDiscoverSMTPAddress"], DisplayName: values["UserDisplayName"],
			LegacyDN: values["UserDN"],
			Server:   values["InternalMailboxServer"], Version: values["CasVersion"],
			ExternalEWS: values["ExternalEwsUrl"], InternalEWS: values["InternalEwsUrl"], Values: values,
		}
	}
	return a
}

// decodeVersion reads the hexadecimal ServerVersion of POX: 4 bits, major 6, minor 6, 1 bit, build
// 15.
func decodeVersion(s string) string {
	n, err := strconv.ParseUint(s, 16, 32)
	if err != nil || n == 0 {
		return ""
	}
	return fmt.Sprintf("%d.%d.%d", n>>22&0x3f, n>>16&0x3f, n&0x7fff)
}

// encodeVersion is the reverse.
func encodeVersion(major, minor, build int) string {
	return fmt.Sprintf("%08X", 7<<28|(major&0x3f)<<22|(minor&0x3f)<<16|1<<15|build&0x7fff)
}
