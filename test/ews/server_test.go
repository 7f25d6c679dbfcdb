// Package ews_test runs the client and server halves of EWS and autodiscover against third-party
// peers: exchangelib, recordings of DavMail and exchangelib, Apache with NTLM, and Exchange's
// published schemas.
package ews_test

import (
	"context"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/autodiscover"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
	"github.com/hybridge-cli/hybridge/pkg/wire/link/ntlm"
)

// missing skips a test and reports what it lacks. Where every test must run, it fails the test.
func missing(t *testing.T, what, packages string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing: install %s", what, packages)
	}
	t.Skipf("NOT TESTED: %s is missing: install %s", what, packages)
}

func program(t *testing.T, name, pkg string) string {
	t.Helper()
	for _, path := range []string{name, "/usr/sbin/" + name} {
		if p, err := exec.LookPath(path); err == nil {
			return p
		}
	}
	missing(t, name, pkg)
	return ""
}

// reference is a folder of recordings and schemas beside the repository, not in it.
func reference(t *testing.T, path ...string) string {
	t.Helper()
	dir := filepath.Join(append([]string{"..", "..", "..", "shared"}, path...)...)
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("NOT TESTED: %s is not here", filepath.Join(path...))
	}
	return dir
}

var (
	day    = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	window = ews.Window{Start: day, End: day.Add(24 * time.Hour)}
)

func at(hour int) time.Time { return day.Add(time.Duration(hour) * time.Hour) }

// organization is a backend of both services: alice and bob of contoso.test.
type organization struct{ base, auth string }

func (o organization) Availability(_ context.Context, q ews.Query) ([]ews.Calendar, error) {
	workingHours := &ews.WorkingHours{Zone: ews.TimeZone{Bias: -60},
		Periods: []ews.WorkingPeriod{{Days: []time.Weekday{1, 2, 3, 4, 5}, Start: 480, End: 1020}}}
	all := map[string]ews.Calendar{
		"alice@contoso.test": {Hours: workingHours, Events: []ews.Event{
			{Start: at(9), End: at(10), Busy: ews.Busy,
				Details: &ews.Details{ID: "1", Subject: "Budget & \x02plans", Location: "Room 1", Meeting: true}},
			{Start: at(13), End: at(15), Busy: ews.OutOfOffice,
				Details: &ews.Details{ID: "2", Subject: "private", Private: true}},
		}},
		"bob@contoso.test": {Limit: ews.FreeBusy,
			Events: []ews.Event{{Start: at(7), End: at(8), Busy: ews.Tentative,
				Details: &ews.Details{Subject: "not told"}}}},
	}
	var answers []ews.Calendar
	for _, m := range q.Mailboxes {
		c, ok := all[strings.ToLower(m)]
		if !ok {
			c.Err = &ews.ResponseError{Code: "ErrorMailRecipientNotFound",
				Text: "Unable to resolve e-mail address " + m +
					".", LinkKey: "7", Detail: "Microsoft.Exchange.InfoWorker"}
		}
		answers = append(answers, c)
	}
	return answers, nil
}

func (o organization) MailTips(_ context.Context, q ews.Query) ([]ews.MailTips, error) {
	out := make([]ews.MailTips, len(q.Mailboxes))
	for i, address := range q.Mailboxes {
		none, full := "", false
		out[i] = ews.MailTips{Replies: &none, Full: &full}
		if address != "alice@contoso.test" {
			out[i] = ews.MailTips{Err: &ews.ResponseError{Code: "ErrorInvalidRecipients", Text: "unknown"}}
		}
	}
	return out, nil
}

func (o organization) Resolve(_ context.Context, _ ews.Query, text string) ([]ews.Person, error) {
	var out []ews.Person
	for _, name := range []string{"bob", "bonnie"} {
		if strings.HasPrefix(name, text) {
			out = append(out, ews.Person{Name: name, Address: name + "@contoso.test"})
		}
	}
	return out, nil
}

func (o organization) UserSettings(_ context.Context, q autodiscover.Query) (autodiscover.Settings, error) {
	if !strings.HasSuffix(q.Address, "@contoso.test") {
		return autodiscover.Settings{}, &autodiscover.CodeError{Code: autodiscover.InvalidUser, Message: "no such user"}
	}
	return autodiscover.Settings{
		DisplayName: "Alice", LegacyDN: "/o=Contoso/cn=alice", Server: "ex1.contoso.test",
		ServerDN:    "/o=Contoso/cn=ex1",
		InternalEWS: o.base + "/EWS/Exchange.asmx", ExternalEWS: o.base + "/EWS/Exchange.asmx", ExternalAuth: o.auth,
	}, nil
}

func (o organization) DomainSettings(context.Context, autodiscover.Query) (map[string]string, error) {
	return map[string]string{"ExternalEwsUrl": o.base + "/EWS/Exchange.asmx"}, nil
}

func (o organization) FederationInformation(context.Context, string) (autodiscover.Federation, error) {
	return autodiscover.Federation{}, &autodiscover.CodeError{Code: autodiscover.NotFederated}
}

const password = "Passw0rd!"

func knows(user string) (string, bool) {
	switch strings.ToLower(user) {
	case `contoso\alice`, "alice@contoso.test":
		return password, true
	}
	return "", false
}

func ewsHandler() *ews.Handler {
	return &ews.Handler{Backend: organization{},
		Mailbox: func(context.Context, link.Caller) string { return "alice@contoso.test" }}
}

// startServer serves both halves over TLS on loopback. It returns the base URL and the file of the
// certificate to trust.
func startServer(t *testing.T, accept link.Accept) (server *httptest.Server, log *requestLog) {
	t.Helper()
	log = &requestLog{}
	server = httptest.NewUnstartedServer(nil)
	server.Config.ConnContext = link.ConnContext
	server.Config.ErrorLog = quiet()
	o := organization{base: "https://" + server.Listener.Addr().String(), auth: "Ntlm"}
	if !accept.NTLM {
		o.auth = "Basic" // exchangelib uses it and ignores the offered methods
	}
	accept.Realm, accept.Password = "contoso.test", knows
	accept.Names = ntlm.Server{Domain: "CONTOSO", Computer: "EX1", DNSDomain: "contoso.test",
		DNSComputer: "ex1.contoso.test", Protection: ntlm.ProtectionAllow}
	accept.Certificate = func(*http.Request) *x509.Certificate { return server.Certificate() }
	accept.Anonymous = autodiscover.Anonymous
	find := autodiscover.Advertise(accept.Handler(&autodiscover.Handler{Backend: o, Unauthorized: accept.Challenge}))
	ask := accept.Handler(ewsHandler())
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		recorded := &statusWriter{ResponseWriter: w}
		defer func() { log.add(r, recorded.status) }()
		if strings.EqualFold(r.URL.Path, "/EWS/Exchange.asmx") {
			ask.ServeHTTP(recorded, r)
			return
		}
		find.ServeHTTP(recorded, r)
	})
	server.StartTLS()
	t.Cleanup(server.Close)
	return server, log
}

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }
