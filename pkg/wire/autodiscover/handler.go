package autodiscover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/ews/soap"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// Backend knows mailboxes and domains. Its errors may be *CodeError: InvalidUser, InvalidDomain,
// NotFederated, a redirect with its Target. Any other is an internal error.
type Backend interface {
	UserSettings(ctx context.Context, q Query) (Settings, error)
	DomainSettings(ctx context.Context, q Query) (map[string]string, error)
	FederationInformation(ctx context.Context, domain string) (Federation, error)
}

// Query is a question as a Backend sees it.
type Query struct {
	Caller   link.Caller // zero for an anonymous request
	Address  string      // of UserSettings
	Domain   string      // of DomainSettings
	Protocol string      // of JSON, "EWS"
}

// Handler is the server half: autodiscover.xml, autodiscover.svc and autodiscover.json,
// distinguished by path without regard to case.
type Handler struct {
	Backend      Backend
	Major, Minor int // the server's version; 15.2.1544 when all are zero
	Build        int

	// Unauthorized answers requests that need a caller and have none; link.Accept.Challenge does.
	// nil: they go to the backend.
	Unauthorized func(w http.ResponseWriter, r *http.Request)
}

// Anonymous is for link.Accept: requests that autodiscover answers without credentials.
// autodiscover.svc is among them, for the sake of GetFederationInformation; Handler.Unauthorized
// stops the rest.
func Anonymous(r *http.Request) bool {
	kind := kindOf(r.URL.Path)
	return kind == ".json" || kind == ".svc" && r.Method == http.MethodPost
}

func kindOf(path string) string {
	path = strings.ToLower(path)
	_, rest, ok := strings.Cut(path, "/autodiscover/autodiscover")
	for _, kind := range []string{".json", ".svc", ".xml"} {
		if ok && (rest == kind || strings.HasPrefix(rest, kind+"/")) {
			return kind
		}
	}
	return ""
}

// Advertise puts the headers by which clients learn of the SOAP service on every answer, refusals
// too. It belongs outside of link.Accept.
func Advertise(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if kindOf(r.URL.Path) != "" {
			w.Header().Set("X-SOAP-Enabled", "True")
			w.Header().Set("X-WSSecurity-Enabled", "True")
			w.Header().Set("X-WSSecurity-SymmetricKey-Enabled", "True")
			w.Header().Set("X-WSSecurity-X509Cert-Enabled", "True")
			w.Header().Set("X-OAuth-Enabled", "True")
		}
		next.ServeHTTP(w, r)
	})
}

// Redirect is what answers on http port 80: a redirect of autodiscover paths to the https URL
// target, and nothing else.
func Redirect(target string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if kindOf(r.URL.Path) != ".xml" || r.Method != http.MethodGet && r.Method != http.MethodHead {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Location", target)
		w.WriteHeader(http.StatusFound)
	})
}

const maxRequest = 1 << 20

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, known := link.CallerOf(r.Context())
	kind := kindOf(r.URL.Path)
	switch {
	case kind == "":
		http.NotFound(w, r)
	case kind == ".json":
		h.json(w, r)
	case kind == ".svc" && r.Method == http.MethodPost:
		h.soap(w, r, known)
	case !known && h.Unauthorized != nil:
		h.Unauthorized(w, r)
	case kind == ".svc":
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, "<html><head><title>Autodiscover Service</title></head><body></body></html>\n")
	default:
		h.pox(w, r)
	}
}

func (h *Handler) version() (major, minor, build int) {
	if h.Major == 0 {
		return 15, 2, 1544
	}
	return h.Major, h.Minor, h.Build
}

func (h *Handler) pox(w http.ResponseWriter, r *http.Request) {
	root, err := soap.Read(r.Body, soap.Limits{Bytes: maxRequest})
	request := root.Child("Request")
	address := request.Value("EMailAddress")
	schemas := request.All("AcceptableResponseSchema")
	switch {
	case err != nil || !root.Is(RequestSchema, "Autodiscover") || address == "" && request.Value("LegacyDN") == "":
		writePOXError(w, 600, "Invalid Request")
		return
	case !slices.ContainsFunc(schemas, func(e *soap.Element) bool { return e.Text == ResponseSchema }):
		writePOXError(w, 601, "Provider is not available")
		return
	}
	caller, _ := link.CallerOf(r.Context())
	settings, err := h.Backend.UserSettings(r.Context(), Query{Caller: caller, Address: address})
	var code *CodeError
	switch {
	case errors.As(err, &code) && code.Code == CodeRedirectAddress:
		writePOX(w, `<Account><AccountType>email</AccountType><Action>redirectAddr</Action><RedirectAddr>`+
			soap.Escape(code.Target)+`</RedirectAddr></Account>`)
	case errors.As(err, &code) && code.Code == CodeRedirectURL:
		writePOX(w, `<Account><AccountType>email</AccountType><Action>redirectUrl</Action><RedirectUrl>`+
			soap.Escape(code.Target)+`</RedirectUrl></Account>`)
	case errors.As(err, &code) && code.Code == InvalidUser:
		writePOXError(w, 500, "The email address can't be found.")
	case err != nil:
		writePOXError(w, 603, "An internal error occurred.")
	default:
		if settings.Address == "" {
			settings.Address = address
		}
		writePOX(w, h.poxAccount(settings))
	}
}

func (h *Handler) poxAccount(s Settings) string {
	var b strings.Builder
	element := func(name, value string) {
		if value != "" {
			b.WriteString("<" + name + ">" + soap.Escape(value) + "</" + name + ">")
		}
	}
	version := encodeVersion(h.version())
	b.WriteString("<User>")
	element("DisplayName", s.DisplayName)
	element("LegacyDN", s.LegacyDN)
	element("AutoDiscoverSMTPAddress", s.Address)
	b.WriteString("</User><Account><AccountType>email</AccountType><Action>settings</Action>" +
		"<MicrosoftOnline>False</MicrosoftOnline>")
	if s.InternalEWS != "" {
		b.WriteString("<Protocol><Type>EXCH</Type>")
		element("Server", s.Server)
		element("ServerDN", s.ServerDN)
		element("ServerVersion", version)
		element("AuthPackage", "Ntlm")
		element("ASUrl", s.InternalEWS)
		element("EwsUrl", s.InternalEWS)
		element("OOFUrl", s.InternalEWS)
		element("OABUrl", s.OAB)
		element("EcpUrl", s.ECP)
		b.WriteString("</Protocol>")
	}
	if s.ExternalEWS != "" {
		auth := s.ExternalAuth
		if auth == "" {
			auth = "Ntlm"
		}
		b.WriteString("<Protocol><Type>EXPR</Type>")
		if u, err := url.Parse(s.ExternalEWS); err == nil {
			element("Server", u.Hostname())
		}
		b.WriteString("<SSL>On</SSL>")
		element("AuthPackage", auth)
		element("ASUrl", s.ExternalEWS)
		element("EwsUrl", s.ExternalEWS)
		element("OOFUrl", s.ExternalEWS)
		b.WriteString("</Protocol>")
	}
	b.WriteString("</Account>")
	return b.String()
}

func writeXML(w http.ResponseWriter, status int, text string) {
	text = `<?xml version="1.0" encoding="utf-8"?>` + text
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	w.Header().Set("Cache-Control", "private")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}

func writePOX(w http.ResponseWriter, response string) {
	writeXML(w, http.StatusOK, `<Autodiscover xmlns="`+ErrorSchema+`"><Response xmlns="`+ResponseSchema+`">`+response+
		`</Response></Autodiscover>`)
}

// writePOXError answers 200, as Exchange does.
func writePOXError(w http.ResponseWriter, code int, message string) {
	writeXML(w, http.StatusOK, fmt.Sprintf(`<Autodiscover xmlns="%s"><Response><Error Time="%s" Id="1">`+
		`<ErrorCode>%d</ErrorCode><Message>%s</Message><DebugData/></Error></Response></Autodiscover>`,
		ErrorSchema, time.Now().UTC().Format("15:04:05.0000000"), code, soap.Escape(message)))
}

func (h *Handler) json(w http.ResponseWriter, r *http.Request) {
	write := func(status int, doc map[string]string) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(doc)
	}
	address := r.URL.Query().Get("Email")
	if _, rest, ok := strings.Cut(strings.ToLower(r.URL.Path), "/v1.0/"); ok {
		address = r.URL.Path[len(r.URL.Path)-len(rest):]
	}
	protocol := r.URL.Query().Get("Protocol")
	_, _, valid := cutAddress(address)
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	case !valid:
		write(http.StatusBadRequest, map[string]string{"ErrorCode": "InvalidUserId",
			"ErrorMessage": "The user id is not an e-mail address."})
		return
	case protocol == "":
		write(http.StatusBadRequest, map[string]string{"ErrorCode": "MandatoryParameterMissing",
			"ErrorMessage": "A valid value must be provided for the query parameter 'Protocol'."})
		return
	}
	settings, err := h.Backend.UserSettings(r.Context(), Query{Address: address, Protocol: protocol})
	var code *CodeError
	switch {
	case errors.As(err, &code) && code.Code == CodeRedirectURL:
		w.Header().Set("Location", code.Target)
		w.WriteHeader(http.StatusFound)
		return
	case errors.As(err, &code) && code.Code == CodeRedirectAddress:
		_, domain, _ := cutAddress(code.Target)
		w.Header().Set("Location", "https://autodiscover."+domain+"/autodiscover/autodiscover.json/v1.0/"+
			url.PathEscape(code.Target)+"?Protocol="+url.QueryEscape(protocol))
		w.WriteHeader(http.StatusFound)
		return
	case errors.As(err, &code) && code.Code == InvalidUser:
		write(http.StatusNotFound, map[string]string{"ErrorCode": "UserNotFound",
			"ErrorMessage": "The given user was not found."})
		return
	case err != nil:
		write(http.StatusInternalServerError,
			map[string]string{"ErrorCode": "InternalServerError", "ErrorMessage": "An internal error occurred."})
		return
	}
	answers := map[string]string{"ews": settings.EWS()}
	if u, err := url.Parse(settings.EWS()); err == nil && u.Host != "" {
		answers["autodiscoverv1"] = "https://" + u.Host + "/autodiscover/autodiscover.xml"
		answers["activesync"] = "https://" + u.Host + "/Microsoft-Server-ActiveSync"
		answers["rest"] = "https://" + u.Host + "/api"
	}
	if found := answers[strings.ToLower(protocol)]; found != "" {
		write(http.StatusOK, map[string]string{"Protocol": protocol, "Url": found})
		return
	}
	write(http.StatusBadRequest, map[string]string{"ErrorCode": "InvalidProtocol",
		"ErrorMessage": "The given protocol value '" + link.Printable(protocol) + "' is invalid."})
}

func (h *Handler) soap(w http.ResponseWriter, r *http.Request, known bool) {
	root, err := soap.Read(r.Body, soap.Limits{Bytes: maxRequest})
	var envelope soap.Envelope
	if err == nil {
		envelope, err = soap.Open(root)
	}
	operation := ""
	if err == nil && envelope.Body != nil && envelope.Body.Name.Space == Namespace {
		operation = strings.TrimSuffix(envelope.Body.Name.Local, "RequestMessage")
	}
	if operation != "GetFederationInformation" && !known && h.Unauthorized != nil {
		h.Unauthorized(w, r) // before the answer says anything about the request
		return
	}
	caller, _ := link.CallerOf(r.Context())
	request := envelope.Body.Child("Request")
	run, ok := map[string]func(context.Context, link.Caller, *soap.Element) string{
		"GetUserSettings": h.userSettings, "GetDomainSettings": h.domainSettings,
		"GetFederationInformation": h.federation,
	}[operation]
	// header and body must name it alike
	if !ok || envelope.Header.Value("Action") != Namespace+"/Autodiscover/"+operation {
		writeXML(w, http.StatusInternalServerError,
			`<s:Envelope xmlns:s="`+soap.Namespace+
				`"><s:Body><s:Fault><faultcode xmlns:a="`+
				`http://schemas.microsoft.com/net/2005/12/windowscommunicationfoundation/dispatcher">`+
				`a:ActionNotSupported</faultcode>`+
				`<faultstring xml:lang="en-US">The message cannot be processed: it is none of the operations of this service.`+
				`</faultstring></s:Fault></s:Body></s:Envelope>`)
		return
	}
	answer, _ := status(&CodeError{Code: InvalidRequest, Message: "The header RequestedServerVersion is missing."})
	if envelope.Header.Value("RequestedServerVersion") != "" {
		answer = run(r.Context(), caller, request)
	}
	major, minor, build := h.version()
	writeXML(w, http.StatusOK, fmt.Sprintf(`<s:Envelope xmlns:s="%s" xmlns:a="%s"><s:Header>`+
		`<a:Action s:mustUnderstand="1">%s/Autodiscover/%sResponse</a:Action>`+
		`<h:ServerVersionInfo xmlns:h="%s"><h:MajorVersion>%d</h:MajorVersion><h:MinorVersion>%d</h:MinorVersion>`+
		`<h:MajorBuildNumber>%d</h:MajorBuildNumber><h:MinorBuildNumber>9</h:MinorBuildNumber>`+
		`<h:Version>Exchange2016</h:Version></h:ServerVersionInfo></s:Header>`+
		`<s:Body><%sResponseMessage xmlns="%s">`+
		`<Response xmlns:i="http://www.w3.org/2001/XMLSchema-instance">%s</Response></%sResponseMessage></s:Body>`+
		`</s:Envelope>`,
		soap.Namespace, Addressing, Namespace, operation, Namespace, major, minor, build, operation, Namespace, answer,
		operation))
}

const maxUsers = 100 // what Exchange takes in one request

// status is ErrorCode and ErrorMessage of err.
func status(err error) (text string, code *CodeError) {
	if err == nil {
		return `<ErrorCode>NoError</ErrorCode><ErrorMessage>No error.</ErrorMessage>`, nil
	}
	if !errors.As(err, &code) {
		code = &CodeError{Code: InternalServerError, Message: "An internal server error occurred."}
	}
	message := code.Message
	if message == "" {
		message = string(code.Code)
	}
	return `<ErrorCode>` + soap.Escape(string(code.Code)) + `</ErrorCode><ErrorMessage>` + soap.Escape(message) +
		`</ErrorMessage>`, code
}

func redirectTarget(code *CodeError) string {
	if code == nil || code.Target == "" {
		return `<RedirectTarget i:nil="true"/>`
	}
	return `<RedirectTarget>` + soap.Escape(code.Target) + `</RedirectTarget>`
}

func requested(request *soap.Element) []string {
	var names []string
	for _, e := range request.Child("RequestedSettings").All("Setting") {
		names = append(names, e.Text)
	}
	return names
}

func (h *Handler) userSettings(ctx context.Context, caller link.Caller, request *soap.Element) string {
	users := request.Child("Users").All("User")
	names := requested(request)
	if len(users) == 0 || len(users) > maxUsers || len(names) == 0 {
		text, _ := status(&CodeError{Code: InvalidRequest,
			Message: "The request must name 1 to 100 users and at least one setting."})
		return text
	}
	ok, _ := status(nil)
	var b strings.Builder
	b.WriteString(ok + `<UserResponses>`)
	for _, u := range users {
		address := u.Value("Mailbox")
		settings, err := h.Backend.UserSettings(ctx, Query{Caller: caller, Address: address})
		text, code := status(err)
		b.WriteString(`<UserResponse>` + text + redirectTarget(code))
		if err == nil {
			if settings.Address == "" {
				settings.Address = address
			}
			writeSettings(&b, "UserSetting", names, h.values(settings))
		}
		b.WriteString(`</UserResponse>`)
	}
	b.WriteString(`</UserResponses>`)
	return b.String()
}

// values are the user settings by their SOAP names.
func (h *Handler) values(s Settings) map[string]string {
	major, minor, build := h.version()
	values := map[string]string{
		"UserDN": s.LegacyDN, "UserDisplayName": s.DisplayName, "AutoDiscoverSMTPAddress": s.Address,
		"InternalEwsUrl": s.InternalEWS, "ExternalEwsUrl": s.ExternalEWS, "InternalMailboxServer": s.Server,
		"MailboxDN":      s.ServerDN,
		"InternalEcpUrl": s.ECP, "InternalOABUrl": s.OAB,
		"EwsSupportedSchemas": "Exchange2007, Exchange2007_SP1, Exchange2010, Exchange2010_SP1, Exchange2010_SP2, " +
			"Exchange2013, Exchange2013_SP1, Exchange2015, Exchange2016",
		"CasVersion": fmt.Sprintf("%d.%02d.%d.009", major, minor, build),
	}
	for k, v := range s.Values {
		values[k] = v
	}
	return values
}

func writeSettings(b *strings.Builder, element string, names []string, values map[string]string) {
	var found, missing strings.Builder
	for _, n := range names {
		if v := values[n]; v != "" {
			fmt.Fprintf(&found, `<%s i:type="StringSetting"><Name>%s</Name><Value>%s</Value></%s>`, element,
				soap.Escape(n), soap.Escape(v), element)
		} else {
			fmt.Fprintf(&missing, `<%sError><ErrorCode>SettingIsNotAvailable</ErrorCode>`+
				`<ErrorMessage>The requested setting '%s' isn't available.</ErrorMessage>`+
				`<SettingName>%s</SettingName></%sError>`, element, soap.Escape(n), soap.Escape(n), element)
		}
	}
	fmt.Fprintf(b, `<%sErrors>%s</%sErrors><%ss>%s</%ss>`, element, missing.String(), element, element, found.String(),
		element)
}

func (h *Handler) domainSettings(ctx context.Context, caller link.Caller, request *soap.Element) string {
	domains := request.Child("Domains").All("Domain")
	names := requested(request)
	if len(domains) == 0 || len(domains) > maxUsers || len(names) == 0 {
		text, _ := status(&CodeError{Code: InvalidRequest,
			Message: "The request must name 1 to 100 domains and at least one setting."})
		return text
	}
	ok, _ := status(nil)
	var b strings.Builder
	b.WriteString(ok + `<DomainResponses>`)
	for _, d := range domains {
		values, err := h.Backend.DomainSettings(ctx, Query{Caller: caller, Domain: d.Text})
		text, code := status(err)
		b.WriteString(`<DomainResponse>` + text)
		if err == nil {
			writeSettings(&b, "DomainSetting", names, values)
		}
		b.WriteString(redirectTarget(code) + `</DomainResponse>`)
	}
	b.WriteString(`</DomainResponses>`)
	return b.String()
}

func (h *Handler) federation(ctx context.Context, _ link.Caller, request *soap.Element) string {
	f, err := h.Backend.FederationInformation(ctx, request.Value("Domain"))
	text, _ := status(err)
	if err != nil {
		return text
	}
	var b strings.Builder
	b.WriteString(text + `<ApplicationUri>` + soap.Escape(f.ApplicationURI) + `</ApplicationUri><Domains>`)
	for _, d := range f.Domains {
		b.WriteString(`<Domain>` + soap.Escape(d) + `</Domain>`)
	}
	b.WriteString(`</Domains><TokenIssuers>`)
	for _, t := range f.TokenIssuers {
		b.WriteString(`<TokenIssuer><Endpoint>` + soap.Escape(t) +
			`</Endpoint><Uri>urn:federation:MicrosoftOnline</Uri></TokenIssuer>`)
	}
	b.WriteString(`</TokenIssuers>`)
	return b.String()
}
