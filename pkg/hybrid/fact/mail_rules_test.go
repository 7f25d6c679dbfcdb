package fact

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
)

// A transport rule is read by what is set. What its side alone knows is bound to it.
func TestTransportRules(t *testing.T) {
	set, _ := organization(map[string][]exchange.Object{
		"Get-TransportRule": {object("Name", "Big", "State", "Disabled", "Mode", "Enforce", "RuleSubType", "None",
			"MessageSizeOver", "10 MB (10,485,760 bytes)", "From", []any{"anna@contoso.com"}, "DeleteMessage", true,
			"Quarantine", false, "SubjectContainsWords", nil, "ApplyOME", true, "DlpPolicy", "U.S. Financial Data",
			"Priority", int64(3), "Description", "If the message...")},
		"Get-JournalRule": {object("Name", "All", "Enabled", true, "JournalEmailAddress", "j@archive.example",
			"Recipient", nil, "Scope", "Global")},
		"Get-TransportConfig": {object("JournalingReportNdrTo", "<>")},
	})
	rules, err := TransportRules.In(t.Context(), set.Forests[0])
	want := []MailRule{{Name: "Big", Bound: []string{"ApplyOME", "DlpPolicy"}, Values: map[string]any{"Mode": "Enforce",
		"MessageSizeOver": "10485760", "From": []string{"anna@contoso.com"}, "DeleteMessage": true}}}
	if diff := cmp.Diff(want, rules); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	journal, err := OnlineJournalRules.In(t.Context(), set.Tenant)
	if diff := cmp.Diff([]MailRule{{Name: "All", Enabled: true, Values: map[string]any{
		"JournalEmailAddress": "j@archive.example", "Scope": "Global"}}}, journal); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	if address, err := OnlineJournalReports.In(t.Context(), set.Tenant); address != "" || err != nil {
		t.Errorf("%q, %v", address, err)
	}
}

// The report of old servers is asked where the tenant has it, and its dates are read in either
// form.
func TestEnforcementReport(t *testing.T) {
	none, _ := organization(map[string][]exchange.Object{})
	if e, err := EnforcementReport.In(t.Context(), none.Tenant); err != nil || e.Known {
		t.Errorf("%+v, %v", e, err)
	}
	set, _ := organization(map[string][]exchange.Object{
		"Get-OnPremServerReportInfo": {object("ServerFQDN", "ex1.contoso.com", "Build", "15.1.2507.16",
			"FirstDetectedDate", "3/28/2024 12:15:08 AM", "ThrottleEnabledDate", "2024-04-27T00:15:08",
			"BlockingEnabledDate", "", "NextStageThrottleRate", int64(20))},
		"Get-TenantExemptionInfo": {object("Name", "x", "EndDate", "5/1/2024 1:00:00 AM")},
	})
	e, err := EnforcementReport.In(t.Context(), set.Tenant)
	want := Enforcement{Known: true, PausedUntil: time.Date(2024, 5, 1, 1, 0, 0, 0, time.UTC),
		Servers: []ReportedServer{{FQDN: "ex1.contoso.com", Build: "15.1.2507.16", NextThrottled: 20,
			Detected:  time.Date(2024, 3, 28, 0, 15, 8, 0, time.UTC),
			Throttled: time.Date(2024, 4, 27, 0, 15, 8, 0, time.UTC)}}}
	if diff := cmp.Diff(want, e); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
}

// EdgeSync and the arbitration mailboxes are read as Exchange shows them.
func TestEdgeAndModeration(t *testing.T) {
	set, _ := organization(map[string][]exchange.Object{
		"Get-EdgeSubscription": {object("Name", "EDGE1", "Site", "contoso.com/Configuration/Sites/Berlin")},
		"Test-EdgeSynchronization": {object("Name", "EDGE1", "SyncStatus", "Failed", "LastSynchronizedUtc",
			"11/20/2026 8:00:00 AM", "FailureDetail", "The LDAP server is unavailable.")},
		"Get-Mailbox":            {object("Name", "SystemMailbox{1f05a927-x}")},
		"Get-OrganizationConfig": {object("MailTipsAllTipsEnabled", true, "MailTipsLargeAudienceThreshold", int64(25))},
	})
	sync, err := EdgeSyncs.In(t.Context(), set.Forests[0])
	want := []EdgeSync{{Name: "EDGE1", Status: "Failed", Synced: time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC),
		Detail: "The LDAP server is unavailable."}}
	if diff := cmp.Diff(want, sync); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	if s, err := EdgeSubscriptions.In(t.Context(), set.Forests[0]); err != nil || len(s) != 1 || s[0].Name != "EDGE1" {
		t.Errorf("%+v, %v", s, err)
	}
	if m, err := ArbitrationMailboxes.In(t.Context(), set.Forests[0]); err != nil || len(m) != 1 {
		t.Errorf("%+v, %v", m, err)
	}
	tips, err := OwnMailTips.In(t.Context(), set.Forests[0])
	if err != nil || tips.All == nil || !*tips.All || tips.External != nil || tips.LargeAudience != 25 {
		t.Errorf("%+v, %v", tips, err)
	}
}
