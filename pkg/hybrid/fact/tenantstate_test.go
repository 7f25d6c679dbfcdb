package fact

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
)

// note packs a text as Microsoft's wizard does.
func note(t *testing.T, text string) string {
	t.Helper()
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestSpeed)
	if err == nil {
		err = binary.Write(w, binary.LittleEndian, utf16.Encode([]rune("\ufeff"+text)))
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(out.Bytes())
}

// The numbers are those of a published run.
func TestWizardRun(t *testing.T) {
	const text = `<Mode type="String">FullHybrid</Mode><ClientVersion type="Int64">4785075061587968</ClientVersion>` +
		`<DateTimeUtcTicks type="Int64">637808379855722850</DateTimeUtcTicks>` +
		`<ServerVersion type="Int64">4222129096884232</ServerVersion><WorkflowSucceeded type="Boolean">True</WorkflowSucceeded>`
	got, err := HybridOrganization{Name: "x", Comment: note(t, text)}.Run()
	want := WizardRun{Mode: "FullHybrid", Wizard: "17.0.6981.0", Server: "15.1.2308.8", Succeeded: true,
		At: time.Date(2022, 2, 19, 3, 26, 25, 572285000, time.UTC)}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	for name, comment := range map[string]string{
		"empty": "", "no base64": "made by hand", "not deflated": "aGVsbG8gd29ybGQ=", "no XML": note(t, "<Mode"),
		"another note": note(t, `<Mode>x</Mode>`), "cut": note(t, text)[:40],
	} {
		if run, err := (HybridOrganization{Name: "x", Comment: comment}).Run(); err == nil ||
			!strings.Contains(err.Error(), "x") {
			t.Errorf("%s: %+v, %v", name, run, err)
		}
	}
}

// products is a Graph that lists subscriptions alone.
type products struct {
	Graph
	list []map[string]any
}

func (p products) List(context.Context, string) ([]map[string]any, error) { return p.list, nil }

func TestSubscriptions(t *testing.T) {
	sku := func(name, status string, enabled, warning, used float64, plans ...string) map[string]any {
		var list []any
		for _, p := range plans {
			list = append(list, map[string]any{"servicePlanName": p})
		}
		return map[string]any{"skuPartNumber": name, "capabilityStatus": status, "consumedUnits": used,
			"prepaidUnits": map[string]any{"enabled": enabled, "warning": warning,
				"suspended": float64(9)}, "servicePlans": list}
	}
	set := New(answers.Answers{ExchangeOnline: &answers.ExchangeOnline{}}, cloud.Cloud{})
	set.Tenant.Clients.Graph = func(context.Context) (Graph, error) {
		return products{list: []map[string]any{
			sku("ENTERPRISEPACK", "Enabled", 20, 5, 12, "TEAMS1", "EXCHANGE_S_ENTERPRISE"),
			sku("SPE_F1", "Enabled", 4, 0, 2, "EXCHANGE_S_DESKLESS"),
			sku("AAD_PREMIUM", "Enabled", 4, 0, 2, "EXCHANGE_S_FOUNDATION"),
			sku("EXCHANGEARCHIVE", "Suspended", 1, 0, 0, "EXCHANGE_S_ARCHIVE_ADDON"), {},
		}}, nil
	}
	got, err := Subscriptions.In(t.Context(), set.Tenant)
	want := []Subscription{{Name: "ENTERPRISEPACK", Status: "Enabled", Bought: 25, Used: 12, Mailboxes: true},
		{Name: "SPE_F1", Status: "Enabled", Bought: 4, Used: 2, Mailboxes: true, Frontline: true},
		{Name: "AAD_PREMIUM", Status: "Enabled", Bought: 4, Used: 2}, {Name: "EXCHANGEARCHIVE", Status: "Suspended",
			Bought: 1}, {}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
}
