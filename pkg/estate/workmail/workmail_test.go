package workmail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	lab "github.com/hybridge-cli/hybridge/pkg/lab/workmail"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

const region = "eu-west-1"

// hermetic keeps the AWS environment of the machine out of a test.
func hermetic(t *testing.T) {
	t.Helper()
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE",
		"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_WORKMAIL", "AWS_ENDPOINT_URL_DIRECTORY_SERVICE", "AWS_REGION",
		"AWS_CA_BUNDLE"} {
		t.Setenv(name, "") // so that it comes back
		os.Unsetenv(name)
	}
	dir := t.TempDir()
	t.Setenv("AWS_CONFIG_FILE", dir+"/config")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", dir+"/credentials")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}

// people are 250 users, a group and a room.
func people() []lab.Person {
	var out []lab.Person
	for i := range 250 {
		name := fmt.Sprintf("user%03d", i)
		out = append(out, lab.Person{ID: "the-id-of-" + name, Account: name, Display: name,
			UPN:  name + "@contoso.example",
			Mail: name + "@contoso.example", Addresses: []string{name + "@contoso.example"}})
	}
	return append(out,
		lab.Person{ID: "the-id-of-sales", Account: "sales", Mail: "sales@contoso.example", Group: true,
			Addresses: []string{"sales@contoso.example"}},
		lab.Person{ID: "the-id-of-room", Account: "room", Mail: "room@contoso.example", Resource: true,
			Addresses: []string{"room@contoso.example"}})
}

type world struct {
	service *lab.Service
	org     *lab.Organization
	options Options
	log     *bytes.Buffer
}

// connect serves the API in the lab and returns how the client reaches it.
func connect(t *testing.T, handler func(next http.Handler) http.Handler) *world {
	t.Helper()
	hermetic(t)
	connector := &lab.Connector{ID: "d-0123456789", Name: "contoso.example", Alias: "contoso", Account: "svc-connector",
		Servers: []string{"10.0.0.10"}, People: people, SignIn: func(string, string) bool { return true }}
	w := &world{log: &bytes.Buffer{}}
	w.service = lab.New(lab.Config{Region: region, Account: "123456789012", Clock: time.Now,
		Keys: map[string]lab.Key{"AKIAADMIN": {Secret: "hunter2"}, "AKIAREADER": {Secret: "hunter3", ReadOnly: true}},
		Connectors: []*lab.Connector{connector, {ID: "d-9999999999", Alias: "fabrikam", Stage: "Inoperable",
			People: people}}})
	w.org = w.service.NewOrganization("contoso", connector, "contoso.example")
	w.org.Register("user000@contoso.example")
	serve := func(h http.Handler) string {
		if handler != nil {
			h = handler(h)
		}
		s := httptest.NewTLSServer(h)
		t.Cleanup(s.Close)
		return s.Listener.Addr().String()
	}
	api, ds := "workmail."+region+".amazonaws.com", "ds."+region+".amazonaws.com"
	l, err := link.New(link.Options{
		ConnectTo:     []string{api + ":443=" + serve(w.service.API()), ds + ":443=" + serve(w.service.Directories())},
		InsecureHosts: []string{api, ds},
		Log:           slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: link.LevelTrace})),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.service.Reach(l)
	t.Cleanup(l.CloseIdleConnections)
	w.options = Options{Region: region, Organization: "contoso", Link: l, Timeout: 5 * time.Second,
		Key: &Key{"AKIAADMIN", secret.NewValue("hunter2")}}
	return w
}

func (w *world) client(t *testing.T, change func(*Options)) *Client {
	t.Helper()
	o := w.options
	if change != nil {
		change(&o)
	}
	c, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestReads reads everything through signed requests.
func TestReads(t *testing.T) {
	w := connect(t, nil)
	c := w.client(t, nil)
	ctx := t.Context()
	o, err := c.Organization(ctx)
	if err != nil || !o.Interoperability || o.State != "Active" || o.DirectoryID != "d-0123456789" ||
		o.TestDomain() != "contoso.awsapps.com" {
		t.Errorf("%+v, %v", o, err)
	}
	users, err := c.Users(ctx)
	if err != nil || len(users) != 251 || !users[0].Enabled() || users[1].Enabled() || users[250].Person() {
		t.Errorf("%d users, %v", len(users), err) // three pages
	}
	groups, err := c.Groups(ctx)
	if err != nil || len(groups) != 1 || groups[0].Name != "sales" {
		t.Errorf("%+v, %v", groups, err)
	}
	domains, err := c.Domains(ctx)
	if err != nil || len(domains) != 2 {
		t.Errorf("%+v, %v", domains, err)
	}
	d, err := c.Domain(ctx, "contoso.example")
	if err != nil || d.Ownership != "VERIFIED" || len(d.Records) != 6 {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := c.Domain(ctx, "gone.example"); !errors.Is(err, ErrNotFound) {
		t.Errorf("an absent domain: %v", err)
	}
	dir, err := c.Directory(ctx, o.DirectoryID)
	if err != nil || dir.Type != "ADConnector" || dir.Stage != "Active" || dir.Account != "svc-connector" {
		t.Errorf("%+v, %v", dir, err)
	}
	if mode, err := c.IdentityMode(ctx); mode != "" || err != nil {
		t.Errorf("identity mode %q, %v", mode, err)
	}
	if u, err := c.User(ctx, "user000@contoso.example"); err != nil || u.Email != "user000@contoso.example" {
		t.Errorf("%+v, %v", u, err)
	}
}

// TestRuns writes, and leaves no password behind: not in the log, and not in what WorkMail shows.
func TestRuns(t *testing.T) {
	w := connect(t, nil)
	c := w.client(t, nil)
	ctx := t.Context()
	provider := map[string]any{"EwsEndpoint": "https://mail.contoso.example/EWS/Exchange.asmx",
		"EwsUsername": `contoso\svc`, "EwsPassword": secret.NewValue("s3cret-of-svc")}
	if err := c.Run(ctx, "CreateAvailabilityConfiguration", map[string]any{"DomainName": "contoso.example",
		"EwsProvider": provider}); err != nil {
		t.Fatal(err)
	}
	list, err := c.Availabilities(ctx)
	if err != nil || len(list) != 1 || list[0].User != `contoso\svc` || list[0].Domain != "contoso.example" {
		t.Errorf("%+v, %v", list, err)
	}
	if strings.Contains(w.log.String(), "s3cret") || strings.Contains(w.log.String(), "hunter2") {
		t.Error("the log holds a secret")
	}
	if !strings.Contains(w.log.String(), "EwsUsername") {
		t.Error("the log holds no bodies: the test proves nothing")
	}
	if reason, passed, err := c.TestAvailability(ctx, "contoso.example"); passed || reason == "" || err != nil {
		t.Errorf("a provider that nothing answers for: %q, %t, %v", reason, passed, err)
	}
	var refused interface{ Answered() bool }
	for name, tt := range map[string]struct {
		operation  string
		parameters map[string]any
	}{
		"twice": {"CreateAvailabilityConfiguration",
			map[string]any{"DomainName": "contoso.example", "EwsProvider": provider}},
		"a room": {"RegisterToWorkMail",
			map[string]any{"EntityId": "room", "Email": "room@contoso.example"}},
		"another address": {"RegisterToWorkMail",
			map[string]any{"EntityId": "user001", "Email": "x@contoso.example"}},
		"an operation": {"DeleteOrganization", nil},
		"a parameter":  {"RegisterToWorkMail", map[string]any{"Entity": "user001"}},
		"a domain not proven": {"RegisterToWorkMail",
			map[string]any{"EntityId": "user001", "Email": "user001@gone.example"}},
	} {
		if err := c.Run(ctx, tt.operation, tt.parameters); !errors.As(err, &refused) || !refused.Answered() {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := c.Run(ctx, "RegisterToWorkMail", map[string]any{"EntityId": "user001",
		"Email": "user001@contoso.example"}); err != nil || len(w.org.Registered()) != 2 {
		t.Errorf("%v, %v", w.org.Registered(), err)
	}
}

// TestRefusals tells a refused credential from what cannot be reached.
func TestRefusals(t *testing.T) {
	w := connect(t, nil)
	ctx := t.Context()
	for name, key := range map[string]Key{
		"an unknown key": {"AKIAGONE", secret.NewValue("x")}, "a wrong secret": {"AKIAADMIN", secret.NewValue("x")},
	} {
		c := w.client(t, func(o *Options) { o.Key = &key })
		if _, err := c.Organization(ctx); !errors.Is(err, link.ErrAccess) {
			t.Errorf("%s: %v", name, err)
		}
	}
	reader := w.client(t, func(o *Options) { o.Key = &Key{"AKIAREADER", secret.NewValue("hunter3")} })
	if _, err := reader.Users(ctx); err != nil {
		t.Errorf("a reader reads: %v", err)
	}
	err := reader.Run(ctx, "RegisterMailDomain", map[string]any{"DomainName": "new.example"})
	if !errors.Is(err, link.ErrAccess) || !strings.Contains(err.Error(), "not authorized to perform") {
		t.Errorf("a reader writes: %v", err)
	}
	other := w.client(t, func(o *Options) { o.Organization = "adatum" })
	if _, err := other.Organization(ctx); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "contoso") {
		t.Errorf("another organization: %v", err)
	}
	o := w.options
	o.Key = nil
	if _, err := New(ctx, o); !errors.Is(err, link.ErrAccess) || !strings.Contains(err.Error(), "workmail.profile") {
		t.Errorf("no credentials: %v", err)
	}
	o.Profile = "absent"
	if _, err := New(ctx, o); !errors.Is(err, link.ErrAccess) || !strings.Contains(err.Error(), "absent") {
		t.Errorf("an absent profile: %v", err)
	}
	nowhere, err := link.New(link.Options{ConnectTo: []string{"workmail." + region + ".amazonaws.com:443=127.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	c := w.client(t, func(o *Options) { o.Link = nowhere })
	if _, err := c.Organization(ctx); !errors.Is(err, link.ErrUnreachable) {
		t.Errorf("nothing listens: %v", err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := w.client(t, nil).Organization(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestPutOff repeats what the service puts off, and gives up after a few tries.
func TestPutOff(t *testing.T) {
	left := 2
	w := connect(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if left > 0 {
				left--
				rw.Header().Set("Content-Type", "application/x-amz-json-1.1")
				rw.WriteHeader(http.StatusBadRequest)
				fmt.Fprint(rw, `{"__type":"ThrottlingException","message":"Rate exceeded"}`)
				return
			}
			next.ServeHTTP(rw, r)
		})
	})
	if _, err := w.client(t, nil).Organization(t.Context()); err != nil || left != 0 {
		t.Errorf("%v, %d left", err, left)
	}
	left = 100
	var e *Error
	if _, err := w.client(t, nil).Organization(t.Context()); !errors.As(err, &e) || e.Answered() || left != 97 {
		t.Errorf("%v, %d left", err, left)
	}
}

// TestPasswordFault refuses what the API cannot store, before it is sent and without a word of it.
func TestPasswordFault(t *testing.T) {
	for _, tt := range []struct {
		password string
		fault    bool
	}{
		{"correct horse", false}, {"p\u00e4ssw\u00f6rd \u00a3", false}, {strings.Repeat("x", 256), false},
		{"", true}, {strings.Repeat("x", 257), true}, {"hunter\u0142", true}, {"hunter2\n", true}, {"hunter\u20ac", true},
	} {
		fault := PasswordFault(secret.NewValue(tt.password))
		if (fault != "") != tt.fault || strings.Contains(fault, "hunter") {
			t.Errorf("%q: %q", tt.password, fault)
		}
		_, err := operations["CreateAvailabilityConfiguration"].encode("CreateAvailabilityConfiguration", map[string]any{
			"OrganizationId": "m-1", "DomainName": "contoso.example", "EwsProvider": map[string]any{
				"EwsEndpoint": "https://mail.contoso.example/EWS/Exchange.asmx", "EwsUsername": "svc",
				"EwsPassword": secret.NewValue(tt.password)}})
		if (err != nil) != tt.fault || err != nil && strings.Contains(err.Error(), "hunter") {
			t.Errorf("%q: %v", tt.password, err)
		}
	}
}
