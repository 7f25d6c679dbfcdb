package desired

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// An application that is not proven to be Exchange's gets no permission. No object is bound to it.
func TestNameAloneIsNotTaken(t *testing.T) {
	set := testFacts().set(testAnswers(), worldwide(t))
	fact.DedicatedApplication.Seed(set.Forests[0], fact.Dedicated{
		Name: "ExchangeServerApp-x", Doubtful: []fact.Doubtful{{Application: fact.Application{AppID: "evil"},
			Why: msg.Plain("it has a client secret")}},
	}, nil)
	resources, left, err := Resources(t.Context(), set)
	if err != nil || len(left) == 0 || !strings.Contains(left[0].Reason.String(), "evil") ||
		!strings.Contains(left[0].Reason.String(), "applicationId") {
		t.Fatalf("%v, %v", left, err)
	}
	for _, r := range resources {
		if r.Target == PlaceEntra && strings.Contains(r.ID(), strings.ToLower(contosoOrg)) ||
			r.Kind == authServerApplication && r.Target == "onprem/contoso" {
			t.Errorf("%s is planned", r.ID())
		}
	}
}

// The application that the auth server names is extended, whatever its name: no second one is made.
func TestRenamedApplication(t *testing.T) {
	w, f := newWorld(t), testFacts()
	renamed := map[string]any{"id": "app-object", "appId": "99999999-0000-0000-0000-000000000009",
		"displayName": "Exchange of ours"}
	w.entra.objects["applications"] = []map[string]any{renamed}
	f.Forests[0].Application = &fact.Application{ID: "app-object", AppID: "99999999-0000-0000-0000-000000000009",
		DisplayName: "Exchange of ours"}
	w.places["entra"] = entraPlace(w.entra, fact.Dedicated{Application: *f.Forests[0].Application},
		fact.Dedicated{Name: fact.ApplicationName(fabrikam)})
	w.carryOut(t, makePlan(t, w, f, testAnswers()))
	if again := makePlan(t, w, f, testAnswers()); len(again.Changes) != 0 {
		t.Errorf("not converged: %s", ids(again))
	}
	if got := len(w.entra.objects["applications"]); got != 2 {
		t.Errorf("%d applications, want the renamed one and fabrikam's", got)
	}
	if evo := w.contoso.objects["AuthServer"][1]; evo["ApplicationIdentifier"] != renamed["appId"] {
		t.Errorf("EvoSts = %v", evo)
	}
}

// A key is recognized as the auth certificate's in every form that Graph prints. A key that cannot
// be identified stays, by its keyId.
func TestKeysHoweverTold(t *testing.T) {
	f := testFacts()
	der := f.Forests[0].AuthCertificates[0].der
	one, two := sha1.Sum(der), sha256.Sum256(der)
	foreign := map[string]any{"keyId": "foreign", "type": "AsymmetricX509Cert", "usage": "Verify",
		"customKeyIdentifier": "bm8gU0hBLTE=", "endDateTime": "2030-01-01T00:00:00.1234567Z"}
	for name, entry := range map[string]map[string]any{
		"the key":              {"key": base64.StdEncoding.EncodeToString(der)},
		"SHA-1, hexadecimal":   {"key": nil, "customKeyIdentifier": hex.EncodeToString(one[:])},
		"SHA-1, base64":        {"customKeyIdentifier": base64.StdEncoding.EncodeToString(one[:])},
		"SHA-256, hexadecimal": {"customKeyIdentifier": strings.ToUpper(hex.EncodeToString(two[:]))},
		"SHA-256, base64":      {"customKeyIdentifier": base64.StdEncoding.EncodeToString(two[:])},
		"neither":              nil,
	} {
		t.Run(name, func(t *testing.T) {
			w, f := newWorld(t), testFacts()
			keys := []any{foreign}
			if entry != nil {
				entry["keyId"], entry["endDateTime"] = "own", "2028-01-01T00:00:00Z"
				keys = append(keys, entry)
			}
			app := map[string]any{"id": "app-object", "appId": "app-id",
				"displayName": fact.ApplicationName(contosoOrg), "keyCredentials": keys}
			w.entra.objects["applications"] = []map[string]any{app}
			f.Forests[0].Application = &fact.Application{ID: "app-object", AppID: "app-id", KeyCredentials: keys}
			w.carryOut(t, makePlan(t, w, f, testAnswers()))
			var got []string
			for _, k := range app["keyCredentials"].([]any) {
				got = append(got, str(k.(map[string]any)["keyId"]))
			}
			if len(got) != 3 || got[0] != "foreign" || entry != nil && got[1] != "own" {
				t.Errorf("keys %v, want what was there and what was missing", got)
			}
			f.Forests[0].Application.KeyCredentials = app["keyCredentials"].([]any)
			if again := makePlan(t, w, f, testAnswers()); len(again.Changes) != 0 {
				t.Errorf("not converged: %s", ids(again))
			}
		})
	}
}

// The registered key's own validity has ended, the certificate's has not: the certificate is
// registered anew, under another id.
func TestEndedKeyIsReplaced(t *testing.T) {
	w, f := newWorld(t), testFacts()
	certificates := f.Forests[0].AuthCertificates
	fresh := (&Planner{set: f.set(testAnswers(), worldwide(t))}).keyCredentials(nil,
		x509s(certificates))[0].(map[string]any)
	ended := map[string]any{"keyId": fresh["keyId"], "key": fresh["key"], "type": "AsymmetricX509Cert",
		"usage": "Verify", "endDateTime": "2026-01-01T00:00:00Z"}
	app := map[string]any{"id": "app-object", "appId": "app-id", "displayName": fact.ApplicationName(contosoOrg),
		"keyCredentials": []any{ended}}
	w.entra.objects["applications"] = []map[string]any{app}
	f.Forests[0].Application = &fact.Application{ID: "app-object", AppID: "app-id", KeyCredentials: []any{ended}}
	w.carryOut(t, makePlan(t, w, f, testAnswers()))
	keys := app["keyCredentials"].([]any)
	if len(keys) != 2 {
		t.Fatalf("%d keys, want those of both certificates", len(keys))
	}
	for _, k := range keys {
		if k.(map[string]any)["keyId"] == ended["keyId"] {
			t.Error("the id of the ended entry is used again: Graph refuses that")
		}
	}
}

// Rollback removes the key that was added, and sends back no key that no longer exists: Graph
// refuses an entry without value.
func TestRollbackOfKeys(t *testing.T) {
	property := keyCredential.Properties["keyCredentials"]
	old, added, ended := map[string]any{"keyId": "old"}, map[string]any{"keyId": "new",
		"key": "AAAA"}, map[string]any{"keyId": "ended", "endDateTime": "2020-01-01T00:00:00Z"}
	if property.Write != change.Merge {
		t.Fatal("keys are not merged: a rollback puts the whole old list back")
	}
	before, now := []any{old, ended}, []any{old, added}
	rest := property.Without(now, property.Added([]any{old, added}, before))
	if diff := cmp.Diff([]any{old}, change.Elements(rest)); diff != "" {
		t.Error(diff)
	}
	place := entraPlace(&tenant{objects: map[string][]map[string]any{"applications": {{"id": "1", "appId": "a",
		"displayName": "x", "keyCredentials": []any{old, ended}}}}}, fact.Dedicated{Name: "x"})
	live, err := place.Read(t.Context(), keyCredential)
	if err != nil || len(live) != 1 || len(change.Elements(live[0].Properties["keyCredentials"])) != 1 {
		t.Errorf("%v, %v: an ended key is none", live, err)
	}
}

// An unknown application is not absent.
func TestApplicationUnknown(t *testing.T) {
	set := testFacts().set(testAnswers(), worldwide(t))
	fact.DedicatedApplication.Seed(set.Forests[0], fact.Dedicated{}, errors.New("429"))
	_, left, err := Resources(t.Context(), set)
	if err != nil || len(left) == 0 || left[0].Topic != "dedicated-application" {
		t.Errorf("%v, %v", left, err)
	}
}
