package fact

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
)

// The mailboxes of a forest are read up to a limit, without the one that setup makes.
func TestResidents(t *testing.T) {
	var all []exchange.Object
	all = append(all, object("Name", "DiscoverySearchMailbox", "RecipientTypeDetails", "DiscoveryMailbox"))
	for i := range maxResidents + 1 {
		all = append(all, object("Name", fmt.Sprint(i), "RecipientTypeDetails", "UserMailbox"))
	}
	for n, want := range map[int]Residents{0: {}, 1: {}, 2: {Names: []string{"0"}}} {
		set, _ := organization(map[string][]exchange.Object{"Get-Mailbox": all[:n]})
		got, err := LocalMailboxes.In(t.Context(), set.Forests[0])
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v\n%s", err, diff)
		}
	}
	set, _ := organization(map[string][]exchange.Object{"Get-Mailbox": all})
	got, err := LocalMailboxes.In(t.Context(), set.Forests[0])
	if err != nil || len(got.Names) != maxResidents || !got.More {
		t.Errorf("%d, %v, %v", len(got.Names), got.More, err)
	}
}

// A mailbox that does not show who manages it is unknown, and never one that Active Directory manages.
func TestSyncedMailboxes(t *testing.T) {
	cloudOnly := object("IsDirSynced", false, "PrimarySmtpAddress", "c@contoso.com")
	set, _ := organization(map[string][]exchange.Object{"Get-Mailbox": {cloudOnly,
		object("IsDirSynced", true, "PrimarySmtpAddress", "a@contoso.com", "IsExchangeCloudManaged", true),
		object("IsDirSynced", true, "PrimarySmtpAddress", "b@contoso.com", "IsExchangeCloudManaged", false)}})
	got, err := SyncedMailboxes.In(t.Context(), set.Tenant)
	want := []SyncedMailbox{{Primary: "a@contoso.com", CloudManaged: true}, {Primary: "b@contoso.com"}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	for name, o := range map[string]exchange.Object{
		"not shown": object("IsDirSynced", true, "PrimarySmtpAddress", "a@contoso.com"),
		"null": object("IsDirSynced", true, "PrimarySmtpAddress", "a@contoso.com", "IsExchangeCloudManaged",
			nil),
		"synchronized or not": object("PrimarySmtpAddress", "a@contoso.com", "IsExchangeCloudManaged", true),
	} {
		set, _ := organization(map[string][]exchange.Object{"Get-Mailbox": {o}})
		if _, err := SyncedMailboxes.In(t.Context(), set.Tenant); !errors.Is(err, exchange.ErrAbsent) &&
			!errors.Is(err, exchange.ErrNull) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The service connection points of servers, those that were cleared among them.
func TestServicePoints(t *testing.T) {
	set, _ := organization(map[string][]exchange.Object{"Get-ClientAccessService": {
		object("Name", "EX1", "AutoDiscoverServiceInternalUri", "https://autodiscover.contoso.com/a.xml"),
		object("Name", "EX2", "AutoDiscoverServiceInternalUri", nil)}})
	got, err := ServicePoints.In(t.Context(), set.Forests[0])
	want := []ServicePoint{{"EX1", "https://autodiscover.contoso.com/a.xml"}, {Server: "EX2"}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
}
