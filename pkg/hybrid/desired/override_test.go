package desired

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// Get-ExchangeServer shows cumulative updates alone. Where an override is limited to an update
// within one, whether the server has it is not known: a second one would switch both off.
func TestOverrideLimitedToAnUpdate(t *testing.T) {
	const section = "ExchangeOnpremAsThirdPartyAppId"
	for name, test := range map[string]struct {
		override fact.SettingOverride
		given    bool
		unclear  bool
	}{
		"from an update on":       {fact.SettingOverride{MinVersion: "15.02.1748.024"}, false, true},
		"up to an update":         {fact.SettingOverride{MaxVersion: "15.2.1748.40"}, false, true},
		"from the release on":     {fact.SettingOverride{MinVersion: "15.2.1748.10"}, false, false},
		"from another version on": {fact.SettingOverride{MinVersion: "15.2.2562.17"}, false, false},
		"for another server": {fact.SettingOverride{MinVersion: "15.2.1748.24", Servers: []string{"EX2"}}, false,
			false},
		"the answers tell":         {fact.SettingOverride{MinVersion: "15.2.1748.24"}, true, false},
		"without a limit":          {fact.SettingOverride{}, false, false},
		"up to the version before": {fact.SettingOverride{MaxVersion: "15.2.1544.99"}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := testFacts()
			s := server("EX1", build(15, 2, 1748, 10))
			s.Given = test.given
			f.Forests[0].Servers = []fact.MailboxServer{s}
			o := test.override
			o.Name, o.Section = "Mine", section
			f.Forests[0].Overrides = []fact.SettingOverride{o}
			derived, err := Derive(t.Context(), f.set(testAnswers(), worldwide(t)))
			if err != nil {
				t.Fatal(err)
			}
			left := slices.ContainsFunc(derived.LeftOut, func(l change.LeftOut) bool {
				return l.Topic == applicationSwitch.ID && errors.Is(l.Err, ErrUnknown) &&
					strings.Contains(l.Reason.String(), "Mine")
			})
			if left != test.unclear {
				t.Errorf("left out: %+v", derived.LeftOut)
			}
		})
	}
}

// Each Mailbox server has exactly one override. Those that Exchange made per server stay. Only
// servers without one get one.
func TestOverridesPerServer(t *testing.T) {
	const section = "ExchangeOnpremAsThirdPartyAppId"
	of := func(name string, servers ...string) fact.SettingOverride {
		return fact.SettingOverride{Name: name, Section: section, Servers: servers}
	}
	for name, test := range map[string]struct {
		live []fact.SettingOverride
		want []string // overrides of the section after an apply
		err  error
	}{
		"none":    {nil, []string{"EnableExchangeHybrid3PAppFeature"}, nil},
		"for all": {[]fact.SettingOverride{of("Mine")}, []string{"Mine"}, nil},
		"one per server": {[]fact.SettingOverride{of("F_EX1", "EX1"), of("F_EX2", "ex2.contoso.com")},
			[]string{"F_EX1", "F_EX2"}, nil},
		"one server left out": {[]fact.SettingOverride{of("F_EX1", "EX1")},
			[]string{"EnableExchangeHybrid3PAppFeature_EX2", "F_EX1"}, nil},
		"for a server of the past": {[]fact.SettingOverride{of("F_OLD", "OLD")},
			[]string{"EnableExchangeHybrid3PAppFeature_EX1", "EnableExchangeHybrid3PAppFeature_EX2", "F_OLD"}, nil},
		"for builds that all have": {[]fact.SettingOverride{{Name: "Min", Section: section,
			MinVersion: "15.2.1000.0"}}, []string{"Min"}, nil},
		"for builds of the past": {[]fact.SettingOverride{{Name: "Max", Section: section,
			MaxVersion: "15.2.1000.0"}}, []string{"EnableExchangeHybrid3PAppFeature_EX1",
			"EnableExchangeHybrid3PAppFeature_EX2", "Max"}, nil},
		"two for one server": {[]fact.SettingOverride{of("All"), of("F_EX2", "EX2")}, nil, change.ErrAmbiguous},
	} {
		t.Run(name, func(t *testing.T) {
			w, f := newWorld(t), testFacts()
			f.Forests[0].Servers = []fact.MailboxServer{server("EX1", build(15, 2, 1748, 39)),
				server("EX2", build(15, 2, 1748, 39))}
			f.Forests[0].Overrides = test.live
			for _, o := range test.live {
				live := map[string]any{"Name": o.Name, "ComponentName": "Global", "SectionName": o.Section,
					"Server": o.Servers, "Parameters": []string{"Enabled=false"}}
				if o.MinVersion != "" {
					live["MinVersion"] = o.MinVersion
				}
				if o.MaxVersion != "" {
					live["MaxVersion"] = o.MaxVersion
				}
				w.contoso.objects["SettingOverride"] = append(w.contoso.objects["SettingOverride"], live)
			}
			resources, err := resourcesOf(t, f, testAnswers(), worldwide(t))
			if !errors.Is(err, test.err) {
				t.Fatalf("error %v, want %v", err, test.err)
			}
			if test.err != nil {
				if !strings.Contains(err.Error(), "EX2") || !strings.Contains(err.Error(), "All, F_EX2") {
					t.Errorf("%v names neither the server nor the overrides", err)
				}
				return
			}
			plan, err := change.Make(t.Context(), w.places, resources, change.Options{})
			if err != nil {
				t.Fatal(err)
			}
			w.carryOut(t, plan)
			var got []string
			f.Forests[0].Overrides = nil
			for _, o := range w.contoso.objects["SettingOverride"] {
				got = append(got, o["Name"].(string))
				list := texts(o["Server"])
				applied := fact.SettingOverride{Name: o["Name"].(string), Section: section, Servers: list}
				applied.MinVersion, _ = o["MinVersion"].(string)
				applied.MaxVersion, _ = o["MaxVersion"].(string)
				f.Forests[0].Overrides = append(f.Forests[0].Overrides, applied)
				on := texts(o["Parameters"])[0] == "Enabled=true"
				if unused := applied.Name == "F_OLD" || applied.Name == "Max"; on == unused {
					t.Errorf("%s is on: %t", applied.Name, on)
				}
			}
			slices.Sort(got)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			if again := makePlan(t, w, f, testAnswers()); len(again.Changes) != 0 {
				t.Errorf("not converged: %s", ids(again))
			}
		})
	}
}
