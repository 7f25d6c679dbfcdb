package freebusy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// related is an estate whose lookups to the tenant take an organization relationship. tested is what
// Test-OrganizationRelationship prints.
func related(endpoint string, works bool, tested func(map[string]any) ([]exchange.Object, error)) []Premise {
	premises := estate(func(string, string) (View, error) {
		if !works {
			return View{}, errors.New("ErrorProxyRequestProcessingFailed")
		}
		return View{Merged: "0"}, nil
	}, object("ResultType", "Success"))
	onprem := premises[0].Session.(fakeSession)
	onprem["Get-IntraOrganizationConnector"] = prints()
	onprem["Get-OrganizationRelationship"] = prints(object("Name", "To online", "Enabled", true,
		"FreeBusyAccessEnabled", true, "DomainNames", []any{"contoso.mail.onmicrosoft.com"}, "TargetSharingEpr", endpoint))
	onprem["Test-OrganizationRelationship"] = tested
	return premises
}

func lines(texts ...string) (out []exchange.Object) {
	for _, text := range texts {
		out = append(out, exchange.NewObject(nil, text))
	}
	return out
}

// Test-OrganizationRelationship judges a relationship that lookups take. What it always says with the
// Hybrid Agent, and what it says although the lookup works, is no failure.
func TestOrganizationRelationshipIsTested(t *testing.T) {
	const agent = "https://abc.resource.mailboxmigration.his.msappproxy.net/EWS/Exchange.asmx"
	result := func(id, status, text string) exchange.Object {
		return object("Id", id, "Status", status, "Description", text)
	}
	good := lines("Begin testing for organization relationship To online, enabled state True.",
		"STEP 1: Validating user configuration", "RESULT: Success.", "COMPLETE.")
	bad := append(lines("STEP 4: Requesting delegation token from the STS...", "RESULT: Error."),
		result("FailureToGetDelegationToken", "Error", "Failed to get delegation token."))
	mismatch := append(lines("STEP 3: Validating consistency in returned federation information", "RESULT: Error."),
		result("MismatchedFederation", "Error", "The federation information does not match."))
	for name, tt := range map[string]struct {
		printed  []exchange.Object
		err      error
		endpoint string
		works    bool
		want     Status
		says     string // in the error or the note
	}{
		"fine":                       {good, nil, "", true, OK, ""},
		"fine by its last line":      {lines("No Significant Issues to Report"), nil, "", false, OK, ""},
		"no token":                   {bad, nil, "", false, Failed, "FailureToGetDelegationToken: Failed to get"},
		"no token, the lookup works": {bad, nil, "", true, OK, "the lookup works, although contoso: Test-Org"},
		"agent":                      {mismatch, nil, agent, false, OK, "MismatchedFederation is expected"},
		"agent, and no token":        {append(mismatch, bad...), nil, agent, false, Failed, "STEP 4"},
		"mismatch without agent":     {mismatch, nil, "https://mail.contoso.example/EWS", false, Failed, "STEP 3"},
		"nothing":                    {nil, nil, "", false, Unknown, "printed no result"},
		"no right":                   {nil, exchange.ErrNoCmdlet, "", false, Unknown, "Test-OrganizationRelationship"},
		"no federation": {nil, &exchange.Error{Category: "InvalidOperation", Message: "not configured for federation"},
			"", false, Failed, "not configured for federation"},
	} {
		t.Run(name, func(t *testing.T) {
			var asked []string
			premises := related(tt.endpoint, tt.works, func(p map[string]any) ([]exchange.Object, error) {
				asked = append(asked, fmt.Sprint(p["Identity"], " ", p["UserIdentity"]))
				return tt.printed, tt.err
			})
			r, err := Run(t.Context(), premises, Options{Pairs: []Pair{{"anna@contoso.example", "carla@contoso.example"}}},
				silent)
			if err != nil || len(asked) != 1 || asked[0] != "To online anna@contoso.example" {
				t.Fatal(err, asked)
			}
			var found bool
			for _, a := range r.Matrix {
				if a.Probe != "test-organizationrelationship" {
					continue
				}
				found = true
				if a.Status != tt.want || !strings.Contains(a.Error+a.Note, tt.says) {
					t.Errorf("%s: %q %q", a.Status, a.Error, a.Note)
				}
			}
			if !found {
				t.Error("no such row")
			}
		})
	}
}

// Lookups that a connector leads do not use the federation: its test says nothing about them.
func TestConnectorNeedsNoTestOfTheRelationship(t *testing.T) {
	premises := related("", true, func(map[string]any) ([]exchange.Object, error) {
		t.Error("Test-OrganizationRelationship ran")
		return nil, nil
	})
	premises[0].Session.(fakeSession)["Get-IntraOrganizationConnector"] = prints(connector)
	if _, err := Run(t.Context(), premises, Options{Pairs: []Pair{{"anna@contoso.example", "carla@contoso.example"}}},
		silent); err != nil {
		t.Error(err)
	}
}

// Every server presents its token. One that fails decides; one that is not reached from here is
// named.
func TestOAuthIsTestedAtEveryServer(t *testing.T) {
	answers := func(result string) func(context.Context, exchange.Command) ([]exchange.Object, error) {
		return func(context.Context, exchange.Command) ([]exchange.Object, error) {
			return []exchange.Object{object("ResultType", result, "Detail", "Missing signing certificate")}, nil
		}
	}
	away := func(context.Context, exchange.Command) ([]exchange.Object, error) {
		return nil, fmt.Errorf("dial: %w", link.ErrUnreachable)
	}
	for name, tt := range map[string]struct {
		own     string
		servers []Server
		listed  error
		want    Status
		says    []string
	}{
		"all work": {"Success", []Server{{"ex2", answers("Success")}, {"ex3", answers("Success")}}, nil, OK,
			[]string{"works at ex2, ex3"}},
		"one fails": {"Success", []Server{{"ex2", answers("Success")}, {"ex3", answers("Error")}}, nil, Failed,
			[]string{"contoso at ex3: Test-OAuthConnectivity: Error: Missing", "fails at ex3", "works at ex2"}},
		"the own one fails": {"Error", []Server{{"ex2", answers("Success")}}, nil, Failed,
			[]string{"contoso: Test-OAuthConnectivity: Error: Missing", "works at ex2"}},
		"one is away": {"Success", []Server{{"ex2", away}}, nil, OK, []string{"ex2 was not asked: contoso at ex2: "}},
		"not listed":  {"Success", nil, errors.New("no right"), OK, []string{"the other servers were not asked: no right"}},
		"not asked where the first gives no result": {"", []Server{{"ex2", answers("Success")}}, nil, Unknown,
			[]string{"printed no result"}},
	} {
		premises := estate(func(string, string) (View, error) { return View{Merged: "0"}, nil }, object("ResultType",
			tt.own, "Detail", "Missing signing certificate"))
		if tt.own == "" {
			premises[0].Session.(fakeSession)["Test-OAuthConnectivity"] = prints()
		}
		premises[0].Servers = func(context.Context) ([]Server, error) { return tt.servers, tt.listed }
		r, err := Run(t.Context(), premises, Options{Pairs: []Pair{{"anna@contoso.example", "carla@contoso.example"}}},
			silent)
		if err != nil || len(r.Matrix) != 2 {
			t.Fatal(err, r.Matrix)
		}
		a := r.Matrix[1]
		for _, text := range tt.says {
			if a.Status != tt.want || !strings.Contains(a.Error+" | "+a.Note, text) {
				t.Errorf("%s: %s %q %q", name, a.Status, a.Error, a.Note)
			}
		}
	}
}

// A proof that does not apply has no row; one about more than calendars is left out where only these
// are asked about.
func TestProofsThatDoNotApply(t *testing.T) {
	for calendarsOnly, want := range map[bool]string{false: "ews beyond test-oauthconnectivity",
		true: "ews test-oauthconnectivity"} {
		premises := estate(func(string, string) (View, error) { return View{Merged: "0"}, nil }, object("ResultType",
			"Success"))
		premises[0].Proofs = []Proof{
			{Probe: "none", To: "online", Try: func(context.Context, Step) (string, error) {
				return "", fmt.Errorf("no endpoint: %w", ErrNotAsked)
			}},
			{Probe: "beyond", To: "online", Beyond: true, Try: func(_ context.Context, s Step) (string, error) {
				if s.Address != "carla@contoso.mail.onmicrosoft.com" || s.From != "anna@contoso.example" ||
					s.ThroughGraph() || len(s.Route) == 0 {
					t.Errorf("%+v", s)
				}
				return "a note", nil
			}},
		}
		r, err := Run(t.Context(), premises, Options{CalendarsOnly: calendarsOnly,
			Pairs: []Pair{{"anna@contoso.example", "carla@contoso.example"}}}, silent)
		var got []string
		for _, a := range r.Matrix {
			got = append(got, a.Probe)
			if a.Probe == "beyond" && (a.Note != "a note" || a.Status != OK) {
				t.Errorf("%+v", a)
			}
		}
		if err != nil || strings.Join(got, " ") != want {
			t.Error(err, got)
		}
	}
}
