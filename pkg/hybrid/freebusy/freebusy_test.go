package freebusy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/diagnose"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// fakeSession answers cmdlets from a table.
type fakeSession map[string]func(parameters map[string]any) ([]exchange.Object, error)

func (s fakeSession) Read(_ context.Context, c exchange.Command) ([]exchange.Object, error) {
	if f, ok := s[c.Name]; ok {
		return f(c.Parameters)
	}
	return nil, exchange.ErrNoCmdlet
}

func (s fakeSession) Allowed(context.Context, ...string) (map[string]exchange.Allowance, error) {
	return nil, nil
}
func (s fakeSession) Close(context.Context) error { return nil }

func prints(objects ...exchange.Object) func(map[string]any) ([]exchange.Object, error) {
	return func(map[string]any) ([]exchange.Object, error) { return objects, nil }
}

func recipients(known map[string]exchange.Object) func(map[string]any) ([]exchange.Object, error) {
	return func(p map[string]any) ([]exchange.Object, error) {
		o, ok := known[p["Identity"].(string)]
		if !ok {
			return nil, fmt.Errorf("couldn't be found: %w", exchange.ErrNotFound)
		}
		return []exchange.Object{o}, nil
	}
}

func object(pairs ...any) exchange.Object { return exchange.NewObject(nil, "", pairs...) }

var (
	connector = object("Name", "HybridIOC - 1", "Enabled", true, "TargetAddressDomains",
		[]any{"contoso.mail.onmicrosoft.com"}, "DiscoveryEndpoint",
		"https://autodiscover-s.outlook.com/autodiscover/autodiscover.svc")
	relation = object("Name", "On-premises to O365", "Enabled", true, "FreeBusyAccessEnabled", true, "DomainNames",
		[]any{"contoso.mail.onmicrosoft.com"}, "TargetSharingEpr", "https://outlook.office365.com/EWS/Exchange.asmx")
	space = object("Name", "1", "ForestName", "Contoso.mail.onmicrosoft.com", "ProxyUrl",
		"https://mail/EWS/Exchange.asmx")
)

func TestRouteFollowsExchangesOrder(t *testing.T) {
	disabled := object("Name", "off", "Enabled", false, "TargetAddressDomains", []any{"contoso.mail.onmicrosoft.com"})
	closed := object("Name", "closed", "Enabled", true, "FreeBusyAccessEnabled", false, "DomainNames",
		[]any{"contoso.mail.onmicrosoft.com"})
	for name, c := range map[string]struct {
		session fakeSession
		want    []string
	}{
		"connector before relationship": {
			fakeSession{"Get-IntraOrganizationConnector": prints(connector),
				"Get-OrganizationRelationship": prints(relation), "Get-AvailabilityAddressSpace": prints(space)},
			[]string{"intra-organization connector HybridIOC - 1", "https://outlook.office365.com/EWS/Exchange.asmx"},
		},
		"connector without a relationship": {
			fakeSession{"Get-IntraOrganizationConnector": prints(connector),
				"Get-OrganizationRelationship": prints(closed)},
			[]string{"intra-organization connector HybridIOC - 1",
				"autodiscover https://autodiscover-s.outlook.com/autodiscover/autodiscover.svc"},
		},
		"connector, and the relationship of another domain": {
			fakeSession{"Get-IntraOrganizationConnector": prints(connector),
				"Get-OrganizationRelationship": prints(object("Name", "other", "Enabled", true, "DomainNames",
					[]any{"fabrikam.example"}, "TargetSharingEpr", "https://other.example/EWS/Exchange.asmx"),
					relation)},
			[]string{"intra-organization connector HybridIOC - 1", "https://outlook.office365.com/EWS/Exchange.asmx"},
		},
		"connector with an address of its own": {
			fakeSession{"Get-IntraOrganizationConnector": prints(object("Name", "own", "Enabled", true,
				"TargetAddressDomains", []any{"contoso.mail.onmicrosoft.com"}, "TargetSharingEpr",
				"https://agent.example/EWS/Exchange.asmx")), "Get-OrganizationRelationship": prints(relation)},
			[]string{"intra-organization connector own", "https://agent.example/EWS/Exchange.asmx"},
		},
		"switched over to Graph": {
			fakeSession{"Get-IntraOrganizationConnector": prints(connector),
				"Get-OrganizationRelationship": prints(relation),
				"Get-SettingOverride": prints(object("SectionName", "RouteThroughMSGraph", "Parameters",
					[]any{"Enabled=true"})),
				"Get-AuthServer": prints(object("Name", "ACS", "Enabled", true),
					object("Name", "EvoSts", "Enabled", true, "GraphBaseUrl", "https://graph.microsoft.com"))},
			[]string{"intra-organization connector HybridIOC - 1", "Microsoft Graph https://graph.microsoft.com"},
		},
		"another override is on": {
			fakeSession{"Get-IntraOrganizationConnector": prints(connector),
				"Get-OrganizationRelationship": prints(relation),
				"Get-SettingOverride": prints(object("SectionName", "ExchangeOnpremAsThirdPartyAppId", "Parameters",
					[]any{"Enabled=true"}), object("SectionName", "RouteThroughMSGraph", "Parameters",
					[]any{"Enabled=false"})),
				"Get-AuthServer": prints(object("Name", "EvoSts", "Enabled", true, "GraphBaseUrl",
					"https://graph.microsoft.com"))},
			[]string{"intra-organization connector HybridIOC - 1", "https://outlook.office365.com/EWS/Exchange.asmx"},
		},
		"relationship when the connector is off": {
			fakeSession{"Get-IntraOrganizationConnector": prints(disabled),
				"Get-OrganizationRelationship": prints(relation), "Get-AvailabilityAddressSpace": prints(space)},
			[]string{"organization relationship On-premises to O365",
				"https://outlook.office365.com/EWS/Exchange.asmx"},
		},
		"address space last": {
			fakeSession{"Get-IntraOrganizationConnector": prints(), "Get-OrganizationRelationship": prints(closed),
				"Get-AvailabilityAddressSpace": prints(space)},
			[]string{"availability address space Contoso.mail.onmicrosoft.com", "https://mail/EWS/Exchange.asmx"},
		},
		"none": {fakeSession{"Get-IntraOrganizationConnector": prints(),
			"Get-OrganizationRelationship": prints()}, nil},
		"cmdlet not available": {fakeSession{}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := route(t.Context(), Premise{Session: c.session, Side: exchange.OnPremises},
				"x@contoso.mail.onmicrosoft.com")
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestRouteThatCouldNotBeReadIsAnError(t *testing.T) {
	s := fakeSession{"Get-IntraOrganizationConnector": func(map[string]any) ([]exchange.Object, error) {
		return nil,
			link.ErrUnreachable
	}}
	if _, err := route(t.Context(), Premise{Session: s}, "x@y.example"); !errors.Is(err, link.ErrUnreachable) {
		t.Errorf("got %v, want unreachable", err)
	}
}

// A target address in a domain of the same premise leads nowhere: a premise that has the mailbox
// names no target address.
func TestTargetAddressLeadsElsewhere(t *testing.T) {
	s := fakeSession{"Get-Recipient": recipients(map[string]exchange.Object{
		"loop@contoso.example": object("RecipientTypeDetails", "MailUser", "ExternalEmailAddress",
			"SMTP:loop@contoso.example"),
	})}
	p := Premise{Name: "contoso", Session: s, Domains: []string{"contoso.example"}}
	if got, err := locate(t.Context(), p, []Premise{p}, "loop@contoso.example"); err == nil {
		t.Errorf("found at %+v", got)
	}
}

// each answers for one pair after the other.
func each(ask func(from, to string) (View, error)) func(context.Context, []Pair, Window) ([]Seen, error) {
	return func(_ context.Context, pairs []Pair, _ Window) ([]Seen, error) {
		seen := make([]Seen, len(pairs))
		for i, p := range pairs {
			seen[i].View, seen[i].Err = ask(p.From, p.To)
		}
		return seen, nil
	}
}

// alone asks for one pair.
func alone(ask func(context.Context, []Pair, Window) ([]Seen, error)) func(ctx context.Context, from, to string,
	w Window) (View, error) {
	return func(ctx context.Context, from, to string, w Window) (View, error) {
		seen, err := ask(ctx, []Pair{{from, to}}, w)
		if err != nil {
			return View{}, err
		}
		return seen[0].View, seen[0].Err
	}
}

// estate is a forest and a tenant with one mailbox each.
func estate(ask func(from, to string) (View, error), oauth exchange.Object) []Premise {
	asker := each(func(from, to string) (View, error) {
		if strings.HasPrefix(to, strangers) {
			return View{}, errors.New("ErrorMailRecipientNotFound")
		}
		return ask(from, to)
	})
	onprem := fakeSession{
		"Get-Recipient": recipients(map[string]exchange.Object{
			"anna@contoso.example": object("RecipientTypeDetails", "UserMailbox"),
			"carla@contoso.example": object("RecipientTypeDetails", "RemoteUserMailbox", "ExternalEmailAddress",
				"SMTP:carla@contoso.mail.onmicrosoft.com"),
			"lost@contoso.example": object("RecipientTypeDetails", "MailUser"),
			"moved@contoso.example": object("RecipientTypeDetails", "RemoteUserMailbox", "ExternalEmailAddress",
				"SMTP:moved@old.mail.onmicrosoft.com"),
		}),
		"Get-IntraOrganizationConnector": prints(connector),
		"Test-OAuthConnectivity":         prints(oauth),
	}
	online := fakeSession{
		"Get-Recipient": recipients(map[string]exchange.Object{
			"carla@contoso.example": object("RecipientTypeDetails", "UserMailbox"),
			"anna@contoso.example": object("RecipientTypeDetails", "MailUser", "ExternalEmailAddress",
				"SMTP:anna@contoso.example"),
		}),
		"Get-IntraOrganizationConnector": prints(),
		"Get-OrganizationRelationship":   prints(),
		"Test-OAuthConnectivity":         prints(oauth),
	}
	return []Premise{
		{Name: "contoso", Side: exchange.OnPremises, Session: onprem, Domains: []string{"contoso.example"},
			EWS: "https://mail.contoso.example/EWS/Exchange.asmx", Probe: "ews", Ask: asker},
		{Name: "online", Side: exchange.Online, Session: online, Domains: []string{"contoso.mail.onmicrosoft.com"},
			EWS: "https://outlook.office365.com/EWS/Exchange.asmx", Probe: "graph", Ask: asker},
	}
}

func TestRunAsksBothSidesAndBothWays(t *testing.T) {
	free := func(string, string) (View, error) {
		return View{Merged: "0022", Interval: 30 * time.Minute}, nil
	}
	success := object("ResultType", "Success")
	var seen []string
	report, err := Run(t.Context(), estate(free, success),
		Options{Pairs: []Pair{{"anna@contoso.example", "carla@contoso.example"},
			{"carla@contoso.example", "anna@contoso.example"}}},
		observe.Func(func(e observe.Event) { seen = append(seen, e.Event()) }))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, a := range report.Matrix {
		got = append(got, fmt.Sprintf("%s %s %s", a.Direction, a.Probe, a.Status))
	}
	want := []string{
		"contoso -> online ews ok", "contoso -> online test-oauthconnectivity ok",
		"online -> contoso graph ok", "online -> contoso test-oauthconnectivity ok",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"started", "lookup", "lookup", "lookup", "lookup"}, seen); d != "" {
		t.Error(d)
	}
}

// Lookups through Microsoft Graph need no EWS. The token test asks EWS, and would fail on a working
// deployment.
func TestGraphRouteHasNoTokenTest(t *testing.T) {
	premises := estate(func(string, string) (View, error) { return View{Merged: "0"}, nil },
		object("ResultType", "Error"))
	onprem := premises[0].Session.(fakeSession)
	onprem["Get-SettingOverride"] = prints(object("SectionName", "RouteThroughMSGraph", "Parameters",
		[]any{"Enabled=true"}))
	onprem["Get-AuthServer"] = prints(object("Enabled", true, "GraphBaseUrl", "https://graph.microsoft.com"))
	report, err := Run(t.Context(), premises, Options{Pairs: []Pair{{"anna@contoso.example", "carla@contoso.example"}}},
		observe.Func(func(observe.Event) {}))
	if err != nil || len(report.Matrix) != 1 || report.Matrix[0].Status != OK {
		t.Errorf("%v, %+v; want the lookup alone", err, report.Matrix)
	}
}

func TestCouldNotAskIsUnknownAndNoIsFailed(t *testing.T) {
	success := object("ResultType", "Success")
	for name, c := range map[string]struct {
		to    string
		ask   error
		oauth exchange.Object
		want  []Status
	}{
		"the answer says no": {"carla@contoso.example", errors.New("ErrorProxyRequestProcessingFailed"),
			success, []Status{Failed, OK}},
		"an empty answer": {"carla@contoso.example", nil, success, []Status{Failed, OK}},
		"our own credential is refused": {"carla@contoso.example", fmt.Errorf("401: %w", link.ErrAccess), success,
			[]Status{Unknown, OK}},
		"the asking side is not reachable": {"carla@contoso.example", fmt.Errorf("dial: %w", link.ErrUnreachable),
			success, []Status{Unknown, OK}},
		"the token test says no": {"carla@contoso.example", errors.New("no"),
			object("ResultType", "Error", "Detail", "403 Forbidden"), []Status{Failed, Failed}},
		"the token test says nothing usable": {"carla@contoso.example", errors.New("no"), object("Other", 1),
			[]Status{Failed, Unknown}},
		"no target address": {"lost@contoso.example", nil, success, []Status{Failed}},
		"a stale target address": {"moved@contoso.example", errors.New("ErrorMailRecipientNotFound"), success,
			[]Status{Failed}},
		"no such recipient": {"nobody@contoso.example", nil, success, []Status{Unknown}},
	} {
		t.Run(name, func(t *testing.T) {
			ask := func(string, string) (View, error) { return View{}, c.ask }
			report, err := Run(t.Context(), estate(ask, c.oauth),
				Options{Pairs: []Pair{{"anna@contoso.example", c.to}}}, observe.Func(func(observe.Event) {}))
			if err != nil {
				t.Fatal(err)
			}
			var got []Status
			for _, a := range report.Matrix {
				got = append(got, a.Status)
				if a.Status != OK && a.Error == "" {
					t.Errorf("%s %s: no error text", a.Direction, a.Probe)
				}
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// A stale target address is a fact about the mailbox: the lookup is made, and its row names the
// direction. As the asker, such a mailbox has no side to ask from.
func TestStaleTargetAddress(t *testing.T) {
	ask := func(string, string) (View, error) { return View{}, errors.New("ErrorMailRecipientNotFound") }
	report, err := Run(t.Context(), estate(ask, object("ResultType", "Success")),
		Options{Pairs: []Pair{{"anna@contoso.example", "moved@contoso.example"},
			{"moved@contoso.example", "anna@contoso.example"}}}, observe.Func(func(observe.Event) {}))
	if err != nil {
		t.Fatal(err)
	}
	const stale = "moved@old.mail.onmicrosoft.com, is in no domain of this deployment"
	for i, direction := range []string{"contoso -> old.mail.onmicrosoft.com", "contoso -> ?"} {
		a := report.Matrix[i]
		if a.Direction != direction || a.Status != Failed || !strings.Contains(a.Note+a.Error, stale) {
			t.Errorf("%+v", a)
		}
	}
}

func TestUntilOKAsksAgain(t *testing.T) {
	tries := 0
	ask := func(string, string) (View, error) {
		if tries++; tries < 3 {
			return View{}, errors.New("not yet")
		}
		return View{Merged: "0"}, nil
	}
	waits := 0
	report, err := Run(t.Context(), estate(ask, object("ResultType", "Success")),
		Options{Pairs: []Pair{{"anna@contoso.example", "carla@contoso.example"}}, UntilOK: time.Hour,
			Every: time.Millisecond},
		observe.Func(func(e observe.Event) {
			if w, ok := e.(observe.Waiting); ok && strings.Contains(w.What, "not ok yet") {
				waits++
			}
		}))
	if err != nil || report.Summary.OK != 2 || tries != 4 || waits != 2 { // the fourth asks the mailbox's own side
		t.Errorf("err %v, summary %+v, %d tries, %d waits", err, report.Summary, tries, waits)
	}
}

func TestCancelEndsTheLoop(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ask := func(string, string) (View, error) { cancel(); return View{}, context.Canceled }
	report, err := Run(ctx, estate(ask, object("ResultType", "Success")),
		Options{Pairs: []Pair{{"anna@contoso.example", "carla@contoso.example"}}, UntilOK: time.Hour,
			Every: time.Hour}, observe.Func(func(observe.Event) {}))
	if !errors.Is(err, context.Canceled) || report.Matrix[0].Status != Unknown {
		t.Errorf("err %v, %+v", err, report.Matrix)
	}
}

// An address that no one has, or of no domain here, is neither out of reach nor a missing right. The
// row names the side that was asked.
func TestAddressOfNoOne(t *testing.T) {
	ask := func(string, string) (View, error) { return View{}, errors.New("asked") }
	for _, c := range []struct {
		pair      Pair
		direction string
		why       error
		says      string
	}{
		{Pair{"anna@contoso.example", "nobody@contoso.example"}, "contoso -> ?", ErrNoRecipient,
			"contoso has no recipient nobody@contoso.example: the address is misspelt"},
		{Pair{"nobody@contoso.example", "anna@contoso.example"}, "contoso -> ?", ErrNoRecipient, "misspelt"},
		{Pair{"anna@elsewhere.example", "anna@contoso.example"}, "? -> ?", ErrNoDomain,
			"anna@elsewhere.example is in no domain of this deployment"},
	} {
		report, err := Run(t.Context(), estate(ask, object("ResultType", "Success")), Options{Pairs: []Pair{c.pair}},
			observe.Func(func(observe.Event) {}))
		if err != nil || len(report.Matrix) != 1 {
			t.Fatalf("%v: %v, %+v", c.pair, err, report.Matrix)
		}
		a := report.Matrix[0]
		if a.Status != Unknown || a.Direction != c.direction || !errors.Is(a.Cause, c.why) ||
			!strings.Contains(a.Error, c.says) || strings.Contains(a.Error, "couldn't be found") {
			t.Errorf("%v: %+v", c.pair, a)
		}
	}
}

// Where a side is not known, the causes of every direction are possible.
func TestWayOfAnUnknownSide(t *testing.T) {
	for direction, want := range map[string]string{"contoso -> online": diagnose.OnpremToOnline,
		"online -> contoso": diagnose.OnlineToOnprem, "contoso -> fabrikam": diagnose.ForestToForest,
		"contoso -> ?": diagnose.AnyDirection, "? -> ?": diagnose.AnyDirection, "online -> ?": diagnose.OnlineToOnprem} {
		if got := Way(direction); got != want {
			t.Errorf("%s: %s, want %s", direction, got, want)
		}
	}
}
