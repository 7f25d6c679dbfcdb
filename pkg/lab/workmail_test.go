package lab

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	client "github.com/hybridge-cli/hybridge/pkg/estate/workmail"
	"github.com/hybridge-cli/hybridge/pkg/lab/workmail"
	"github.com/hybridge-cli/hybridge/pkg/wire/autodiscover"
	"github.com/hybridge-cli/hybridge/pkg/wire/ews"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

func startWorkMail(t *testing.T, clouds ...string) *Lab {
	t.Helper()
	l, err := Start(t.Context(), Options{Dir: t.TempDir(), Users: 30, Clouds: clouds})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// asWorkMail asks the EWS of WorkMail as its service account.
func asWorkMail(l *Lab, user, password string) *ews.Client {
	return &ews.Client{URL: "https://" + l.workMail.service.EWSHost() + "/EWS/Exchange.asmx",
		Version: client.EWSVersion,
		HTTP:    l.way.Client(link.Basic{User: user, Password: secret.NewValue(password)})}
}

// TestWorkMailInteroperability walks both ways between Exchange and WorkMail, before and after they
// are configured.
func TestWorkMailInteroperability(t *testing.T) {
	for name, clouds := range map[string][]string{"alone": {WorkMail}, "beside a tenant": {Online, WorkMail}} {
		t.Run(name, func(t *testing.T) {
			l := startWorkMail(t, clouds...)
			f, ctx := l.contoso(), t.Context()
			moved := f.amazon()
			l.workMail.org.Register(moved.primary)
			password := f.passwords[svcWorkMail]
			there := asWorkMail(l, svcWorkMail+"@"+f.domain, password)
			toExchange := func() ([]ews.Event, error) {
				answer, err := there.Availability(ctx,
					ews.Request{Mailboxes: []string{f.local().primary}, Window: today()})
				if err != nil {
					t.Fatal(err)
				}
				return answer.Mailboxes[0].Events, answer.Mailboxes[0].Err
			}
			if err := look(t, f.premise, moved); err == nil {
				t.Error("Exchange finds WorkMail without an address space")
			}
			var no *ews.ResponseError
			if _, err := toExchange(); !errors.As(err, &no) || no.Code != "ErrorAvailabilityConfigNotFound" {
				t.Errorf("WorkMail finds Exchange without a configuration: %v", err)
			}
			run(t, f.org, "Add-AvailabilityAddressSpace", "ForestName", workMailDomain, "AccessMethod", "OrgWideFB",
				"Credentials", exchange.Credential{User: workMailDomain + `\` + svcWorkMail,
					Password: secret.NewValue(password)})
			api, err := client.New(ctx, client.Options{Region: workMailRegion, Organization: workMailAlias, Link: l.way,
				Key: &client.Key{ID: workMailKey,
					Secret: secret.NewValue(l.workMail.service.Keys[workMailKey].Secret)}})
			if err != nil {
				t.Fatal(err)
			}
			provider := map[string]any{"EwsEndpoint": f.published(t.Context()), "EwsUsername": f.name + `\` + svcExchange,
				"EwsPassword": secret.NewValue(f.passwords[svcExchange])}
			if err := api.Run(ctx, "CreateAvailabilityConfiguration", map[string]any{"DomainName": f.domain,
				"EwsProvider": provider}); err != nil {
				t.Fatal(err)
			}
			if err := look(t, f.premise, moved); err != nil {
				t.Errorf("Exchange to WorkMail: %v", err)
			}
			found, err := toExchange()
			if err != nil || ews.Merge(found, today(), 30*time.Minute) != Merged(f.local().primary, today().Start) {
				t.Errorf("WorkMail to Exchange: %v", err)
			}
			if reason, passed, err := api.TestAvailability(ctx, f.domain); !passed || err != nil {
				t.Errorf("test: %q, %v", reason, err)
			}
			provider["EwsPassword"] = secret.NewValue("changed")
			if err := api.Run(ctx, "UpdateAvailabilityConfiguration", map[string]any{"DomainName": f.domain,
				"EwsProvider": provider}); err != nil {
				t.Fatal(err)
			}
			if reason, passed, _ := api.TestAvailability(ctx, f.domain); passed ||
				reason != "Invalid username and password." {
				t.Errorf("a wrong password: %q", reason)
			}
			if _, err := toExchange(); !errors.As(err, &no) || no.Code != "ErrorProxyRequestProcessingFailed" {
				t.Errorf("a wrong password: %v", err)
			}
		})
	}
}

// TestWorkMailFront asks the front ends of WorkMail as other clients do.
func TestWorkMailFront(t *testing.T) {
	l := startWorkMail(t)
	if l.workMail != nil {
		t.Fatal("a lab without a choice has WorkMail")
	}
	l = startWorkMail(t, WorkMail)
	f, ctx := l.contoso(), t.Context()
	good := asWorkMail(l, svcWorkMail+"@"+f.domain, f.passwords[svcWorkMail])
	ask := ews.Request{Mailboxes: []string{svcWorkMail + "@" + f.domain, "nobody@" + workMailDomain, "x@gone.example"},
		Window: today()}
	answer, err := good.Availability(ctx, ask)
	if err != nil {
		t.Fatal(err)
	}
	var codes []string
	for _, m := range answer.Mailboxes {
		var no *ews.ResponseError
		code := "NoError"
		if errors.As(m.Err, &no) {
			code = no.Code
		}
		codes = append(codes, code)
	}
	if diff := cmp.Diff([]string{"NoError", "ErrorMailRecipientNotFound", "ErrorMailRecipientNotFound"},
		codes); diff != "" {
		t.Error(diff)
	}
	for _, version := range []string{"Exchange2013", "Exchange2013_SP1", "Exchange2016"} {
		later := *good
		later.Version = version
		var fault *ews.Fault
		if _, err := later.Availability(ctx, ask); !errors.As(err, &fault) ||
			fault.ResponseCode != "ErrorInvalidServerVersion" || fault.StatusCode != 500 {
			t.Errorf("%s: %v", version, err)
		}
	}
	for name, c := range map[string]*ews.Client{
		"a wrong password":       asWorkMail(l, svcWorkMail+"@"+f.domain, "x"),
		"a user of Exchange":     asWorkMail(l, f.local().primary, f.passwords[f.local().account]),
		"a user of another name": asWorkMail(l, "nobody@"+f.domain, "x"),
	} {
		if _, err := c.Availability(ctx, ask); !errors.Is(err, link.ErrAccess) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Without a rule that matches, no one gets in: neither the service account nor autodiscover.
	kept := l.workMail.org.Rules
	for name, rules := range map[string][]workmail.Rule{"none": nil,
		"for an office":  {{Name: "Office", Effect: "ALLOW", IPRanges: []string{"198.51.100.0/24"}}},
		"for web alone":  {{Name: "Web", Effect: "ALLOW", Actions: []string{"WebMail"}}},
		"one that beats": {{Name: "All", Effect: "ALLOW"}, {Name: "No", Effect: "DENY", Actions: []string{"EWS"}}}} {
		l.workMail.org.Rules = rules
		if _, err := good.Availability(ctx, ask); !errors.Is(err, link.ErrAccess) {
			t.Errorf("rules: %s: %v", name, err)
		}
	}
	l.workMail.org.Rules = kept
	front, err := ews.Look(ctx, l.way.Client(nil), good.URL)
	if err != nil || !slices.Equal(front.Schemes, []string{"Basic"}) {
		t.Errorf("%+v, %v", front, err)
	}
	d := &autodiscover.Client{HTTP: good.HTTP, Anonymous: l.way.Client(nil)}
	result, err := d.FindAt(ctx, "https://"+l.workMail.service.AutodiscoverHost()+"/autodiscover/autodiscover.xml",
		anchorMailbox+"@"+workMailDomain)
	if err != nil || result.EWS() != client.EWS(workMailRegion) {
		t.Errorf("%+v, %v", result, err)
	}
}

// Faults of both clouds make a lab with both; a lab without the cloud of a fault is refused.
func TestCloudsOfFaults(t *testing.T) {
	for _, c := range []struct {
		clouds, faults []string
		want           string
		refused        bool
	}{
		{nil, nil, "online", false},
		{nil, []string{"workmail.mx-moved"}, "workmail", false},
		{nil, []string{"workmail.mx-moved", "identity.sync-off"}, "online workmail", false},
		{nil, []string{"workmail.mx-moved", "servers.clock-wrong"}, "workmail", false},
		{[]string{WorkMail}, []string{"identity.sync-off"}, "", true},
		{[]string{Online}, []string{"workmail.mx-moved"}, "", true},
	} {
		planted, err := find(c.faults, 2)
		if err != nil {
			t.Fatal(err)
		}
		got, err := cloudsFor(c.clouds, planted)
		if strings.Join(got, " ") != c.want || (err != nil) != c.refused {
			t.Errorf("%v with %v: %v, error %v", c.clouds, c.faults, got, err)
		}
	}
}
