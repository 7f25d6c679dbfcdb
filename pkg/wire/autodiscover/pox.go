package autodiscover

import (
	"context"
	"net/http"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/wire/ews/soap"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// Settings are what autodiscover returns about a mailbox. Empty fields were absent.
type Settings struct {
	Address     string // AutoDiscoverSMTPAddress
	DisplayName string
	LegacyDN    string
	Server      string // Server of EXCH: a host, or GUID@domain since Exchange 2013
	ServerDN    string
	Version     string // "15.2.1544", of ServerVersion or EwsSupportedSchemas

	ExternalEWS, InternalEWS string
	ExternalAuth             string // AuthPackage of EXPR: basic, ntlm, negotiate
	OAB, ECP                 string

	Values map[string]string // further user settings of SOAP by name
}

// EWS is the outside address, or the inside one where none is published.
func (s Settings) EWS() string {
	if s.ExternalEWS != "" {
		return s.ExternalEWS
	}
	return s.InternalEWS
}

func poxRequest(address string) string {
	return `<?xml version="1.0" encoding="utf-8"?>` + "\n" + `<Autodiscover xmlns="` + RequestSchema +
		`"><Request><EMailAddress>` + soap.Escape(address) +
		`</EMailAddress><AcceptableResponseSchema>` + ResponseSchema +
		`</AcceptableResponseSchema></Request></Autodiscover>`
}

func (c *Client) askPOX(ctx context.Context, endpoint, address string) answer {
	header := http.Header{"X-Anchormailbox": {headerValue(address)}, "X-Clientcanhandle": {"Negotiate,ExHttpInfo"},
		"X-Mapihttpcapability": {"1"}}
	resp, err := c.post(ctx, c.HTTP, endpoint, poxRequest(address), header)
	if err != nil {
		return answer{attempt: failed(err)}
	}
	if resp.status != http.StatusOK {
		return statusAttempt(resp)
	}
	a := parsePOX(resp.body)
	a.attempt.Status = resp.status
	if a.attempt.Outcome == NotAutodiscover && a.attempt.Detail == "" {
		a.attempt.Detail = resp.err.Detail
	}
	return a
}

func headerValue(s string) string { return strings.TrimSpace(link.Printable(s)) }

// parsePOX reads an Autodiscover document. Names decide, not namespaces: servers disagree on those
// of Response.
func parsePOX(data []byte) answer {
	root, err := soap.Parse(data, soap.Limits{Bytes: maxAnswer})
	if err != nil || root.Name.Local != "Autodiscover" {
		return answer{attempt: Attempt{Outcome: NotAutodiscover, Err: err}}
	}
	response := root.Child("Response")
	account := response.Child("Account")
	// Servers put an error into the response, the document, the account, and for mobile devices
	// into the action.
	for _, place := range []*soap.Element{response, root, account, response.Child("Action")} {
		if e := place.Child("Error"); e != nil {
			return poxError(e)
		}
	}
	if account == nil {
		detail := "an answer without account"
		if response.Child("Action", "Settings") != nil {
			detail = "an answer for mobile devices (Exchange ActiveSync)"
		}
		return answer{attempt: Attempt{Outcome: NotAutodiscover, Detail: detail}}
	}
	address := account.Value("RedirectAddr")
	if len(address) > 5 && strings.EqualFold(address[:5], "smtp:") {
		address = address[5:]
	}
	target := account.Value("RedirectUrl")
	if target == "" {
		target = account.Value("RedirectURL")
	}
	switch action := strings.ToLower(account.Value("Action")); {
	case action == "redirectaddr" || address != "" && action != "redirecturl":
		return answer{target: address, attempt: Attempt{Outcome: RedirectAddress, Detail: link.Printable(address)}}
	case action == "redirecturl" || target != "":
		return answer{target: target, attempt: Attempt{Outcome: RedirectURL, Detail: link.PrintableURL(target)}}
	}
	return answer{settings: poxSettings(response), attempt: Attempt{Outcome: Found}}
}

// poxError reads codes of the outlook schema: 500 the address is not known, 600 a bad request, 601
// another schema, 603 an internal error. Other servers use 404.
func poxError(e *soap.Element) answer {
	code := e.Value("ErrorCode")
	if code == "" {
		code = e.Value("Status") // of the schema for mobile devices
	}
	a := Attempt{Outcome: ServerError,
		Detail: strings.TrimSpace(link.Printable("error " + code + " " + e.Value("Message")))}
	if code == "500" || code == "404" {
		a.Outcome = NoSuchMailbox
	}
	return answer{attempt: a}
}

func poxSettings(response *soap.Element) Settings {
	user, account := response.Child("User"), response.Child("Account")
	s := Settings{
		Address:     link.Printable(user.Value("AutoDiscoverSMTPAddress")),
		DisplayName: link.Printable(user.Value("DisplayName")),
		LegacyDN:    link.Printable(user.Value("LegacyDN")),
	}
	ews := map[string]string{}
	var web []string // of EXHTTP: one for inside and outside, or the inside one first
	for _, p := range account.All("Protocol") {
		kind := p.Value("Type")
		if kind == "" {
			kind, _ = p.Get("Type")
		}
		kind = strings.ToUpper(kind)
		u := p.Value("EwsUrl")
		if u == "" {
			u = p.Value("ASUrl")
		}
		if u = link.PrintableURL(u); ews[kind] == "" {
			ews[kind] = u
		}
		if kind == "EXHTTP" && u != "" {
			web = append(web, u)
		}
		switch kind {
		case "EXCH":
			s.Server, s.ServerDN = link.Printable(p.Value("Server")), link.Printable(p.Value("ServerDN"))
			s.Version = decodeVersion(p.Value("ServerVersion"))
			s.OAB, s.ECP = link.PrintableURL(p.Value("OABUrl")), link.PrintableURL(p.Value("EcpUrl"))
		case "EXPR":
			s.ExternalAuth = link.Printable(p.Value("AuthPackage"))
		}
	}
	s.ExternalEWS, s.InternalEWS = ews["EXPR"], ews["EXCH"]
	if s.ExternalEWS == "" && len(web) > 0 {
		s.ExternalEWS = web[len(web)-1]
	}
	if s.InternalEWS == "" && len(web) > 1 {
		s.InternalEWS = web[0]
	}
	return s
}
