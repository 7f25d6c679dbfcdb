package workmail

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/wire/autodiscover"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews/soap"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// EWSHost and AutodiscoverHost are the hosts of the region's front ends.
func (s *Service) EWSHost() string { return "ews.mail." + s.Region + ".awsapps.com" }

// AutodiscoverHost is the host of autodiscover.
func (s *Service) AutodiscoverHost() string {
	return "autodiscover-service.mail." + s.Region + ".awsapps.com"
}

// signIn finds the enabled user of a sign-in. The user is named by an address or a user principal
// name, or as ALIAS.awsapps.com\NAME, which is how Exchange names it.
func (s *Service) signIn(user, password, remote, action string) (o *Organization, p Person, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.organizations {
		if o.state() != "Active" || !o.admits(remote, action) {
			continue
		}
		name := user
		if alias, account, named := strings.Cut(user, `\`); named {
			if !strings.EqualFold(alias, o.Alias+".awsapps.com") && !strings.EqualFold(alias, o.Alias) {
				continue
			}
			name = account
		}
		for _, p := range o.directoryPeople() {
			if o.registered[p.ID] == "" || p.Group {
				continue
			}
			at := strings.Contains(name, "@")
			if !at && !strings.EqualFold(name, p.Account) || at && !strings.EqualFold(name, p.UPN) {
				continue
			}
			if !o.IdentityOnly && o.directory.SignIn(p.UPN, password) || o.tokenOf(p, password) {
				return o, p, true
			}
		}
	}
	return nil, Person{}, false
}

type callerKey struct{}

type caller struct {
	org    *Organization
	person Person
	role   bool // the caller has assumed an impersonation role
}

// basic lets users of WorkMail through: it takes Basic authentication and nothing else.
func (s *Service) basic(action string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
			if o, known := s.assumed(token, r.RemoteAddr); known {
				next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{},
					caller{org: o, role: true})))
				return
			}
		}
		value, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Basic ")
		plain, err := base64.StdEncoding.DecodeString(value)
		user, password, found := strings.Cut(string(plain), ":")
		if ok && err == nil && found {
			if o, p, known := s.signIn(user, password, r.RemoteAddr, action); known {
				ctx := link.WithCaller(r.Context(), link.Caller{User: p.UPN, Scheme: "Basic"})
				next.ServeHTTP(w, r.WithContext(context.WithValue(ctx, callerKey{}, caller{org: o, person: p})))
				return
			}
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="EWS"`)
		http.Error(w, "Unauthorized", http.StatusUnauthorized)
	})
}

// versions are the schema versions that the EWS of WorkMail accepts.
var versions = []string{"Exchange2007", "Exchange2007_SP1", "Exchange2010", "Exchange2010_SP1", "Exchange2010_SP2"}

// EWS is the handler of Exchange Web Services.
func (s *Service) EWS() http.Handler {
	inner := &ews.Handler{Backend: s,
		Version: ews.ServerVersion{Major: 14, Minor: 2, Build: 247, Schema: "Exchange2010_SP2"}}
	return s.basic("EWS", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.EqualFold(r.URL.Path, "/EWS/Exchange.asmx") {
			http.NotFound(w, r)
			return
		}
		body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
		if err != nil {
			http.Error(w, "the request cannot be read", http.StatusBadRequest)
			return
		}
		if root, err := soap.Read(bytes.NewReader(body), soap.Limits{Bytes: maxBody}); r.Method == http.MethodPost &&
			err == nil {
			if e, err := soap.Open(root); err == nil {
				if v, given := e.Header.Child("RequestServerVersion").Get("Version"); given &&
					!slices.Contains(versions, v) {
					refuseVersion(w)
					return
				}
			}
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		inner.ServeHTTP(w, r)
	}))
}

// refuseVersion answers as WorkMail does to a version that is too new.
func refuseVersion(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	w.WriteHeader(http.StatusInternalServerError)
	fmt.Fprintf(w, `<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="%s"><s:Body>%s</s:Body></s:Envelope>`,
		soap.Namespace, ews.FaultBody(&ews.Fault{ResponseCode: "ErrorInvalidServerVersion",
			Message: "The specified server version is invalid."}))
}

// Availability answers for users of WorkMail, and asks the availability provider of the domain
// about others.
func (s *Service) Availability(ctx context.Context, q ews.Query) ([]ews.Calendar, error) {
	who, _ := ctx.Value(callerKey{}).(caller)
	if who.org == nil || q.Impersonated != "" {
		return nil, &ews.Fault{ResponseCode: "ErrorImpersonateUserDenied",
			Message: "The account does not have permission to impersonate the requested user."}
	}
	out := make([]ews.Calendar, len(q.Mailboxes))
	for i, address := range q.Mailboxes {
		out[i].Events, out[i].Err = s.lookUp(ctx, who.org, address, q.Window)
	}
	return out, nil
}

func (s *Service) lookUp(ctx context.Context, o *Organization, address string, w ews.Window) ([]ews.Event, error) {
	_, name, _ := strings.Cut(address, "@")
	s.mu.Lock()
	p, found := o.find(address)
	enabled := found && o.registered[p.ID] != ""
	d := o.domain(name)
	var provider *availability
	if a := o.provider(name); a != nil && o.Interoperability {
		kept := *a
		provider = &kept
	}
	s.mu.Unlock()
	no := func(code, text string) error { return &ews.ResponseError{Address: address, Code: code, Text: text} }
	switch {
	case enabled:
		return s.Calendar(p.Mail, w), nil
	case provider != nil:
		return s.ask(ctx, *provider, address, w)
	case d != nil && !d.test:
		return nil, no("ErrorAvailabilityConfigNotFound", "There is no availability configuration for "+name+".")
	}
	return nil, no("ErrorMailRecipientNotFound", "The e-mail address "+address+" was not found.")
}

// AutodiscoverPOX is the handler of autodiscover.xml; WorkMail has no other kind.
func (s *Service) AutodiscoverPOX() http.Handler {
	inner := s.basic("AutoDiscover", &autodiscover.Handler{Backend: discovery{s}, Major: 14, Minor: 2, Build: 247})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.EqualFold(r.URL.Path, "/autodiscover/autodiscover.xml") {
			http.NotFound(w, r)
			return
		}
		if s.AutodiscoverBroken {
			http.Error(w, "Forbidden", http.StatusForbidden)
			return
		}
		inner.ServeHTTP(w, r)
	})
}

type discovery struct{ *Service }

// anchor is the mailbox that Exchange names in autodiscover when it looks for another forest.
const anchor = "01b62c6d-4324-448f-9884-5fec6d18a7e2@"

// UserSettings answers autodiscover with the EWS address of the region.
func (d discovery) UserSettings(ctx context.Context, q autodiscover.Query) (autodiscover.Settings, error) {
	who, _ := ctx.Value(callerKey{}).(caller)
	address := "https://" + d.EWSHost() + "/EWS/Exchange.asmx"
	settings := autodiscover.Settings{Address: q.Address, DisplayName: q.Address,
		LegacyDN:    "/o=WorkMail/cn=" + q.Address,
		ExternalEWS: address, InternalEWS: address, ExternalAuth: "basic"}
	if who.org == nil {
		return settings, &autodiscover.CodeError{Code: autodiscover.InvalidUser, Message: "Invalid user."}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	p, found := who.org.find(q.Address)
	if !strings.HasPrefix(strings.ToLower(q.Address), anchor) && (!found || who.org.registered[p.ID] == "") {
		return settings, &autodiscover.CodeError{Code: autodiscover.InvalidUser,
			Message: "Invalid user: '" + q.Address + "'"}
	}
	if found {
		settings.Address, settings.DisplayName = p.Mail, p.Display
	}
	return settings, nil
}

// DomainSettings are of the SOAP kind, which WorkMail does not have.
func (discovery) DomainSettings(context.Context, autodiscover.Query) (map[string]string, error) {
	return nil, &autodiscover.CodeError{Code: autodiscover.InvalidDomain, Message: "The domain is not hosted here."}
}

// FederationInformation does not exist at WorkMail.
func (discovery) FederationInformation(context.Context, string) (autodiscover.Federation, error) {
	return autodiscover.Federation{}, &autodiscover.CodeError{Code: autodiscover.NotFederated,
		Message: "The organization is not federated."}
}
