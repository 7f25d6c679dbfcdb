package deployment

import (
	"slices"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
)

// A sample mailbox belongs to a person.
func TestSampleIsAPerson(t *testing.T) {
	for _, test := range []struct {
		name, kind string
		want       bool
	}{
		{"anna", "UserMailbox", true}, {"ben", "RemoteUserMailbox", true}, {"carl", "LinkedMailbox", true},
		{"DiscoverySearchMailbox {D919BA05-46A6-415f-80AD-7E09334BB852}", "UserMailbox", false},
		{"Discovery", "DiscoveryMailbox", false}, {"Room 1", "RoomMailbox", false}, {"info", "SharedMailbox", false},
		{"info", "RemoteSharedMailbox", false}, {"projector", "EquipmentMailbox", false},
	} {
		o := exchange.NewObject(nil, test.name, "Name", test.name, "RecipientTypeDetails", test.kind)
		if got := person(o); got != test.want {
			t.Errorf("%s (%s): %t", test.name, test.kind, got)
		}
	}
	if !person(exchange.NewObject(nil, "x", "Name", "x")) {
		t.Error("one that does not tell its kind is left out")
	}
}

// A sample asks for each mailbox once, by one person of each domain in turn.
func TestAcross(t *testing.T) {
	got := across([]string{"a@x.example", "b@x.example", "c@Y.example"}, []string{"1@z", "2@z", "3@z"})
	want := []freebusy.Pair{{From: "a@x.example", To: "1@z"}, {From: "c@Y.example", To: "2@z"},
		{From: "a@x.example", To: "3@z"}}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := across(nil, []string{"1@z"}); len(got) > 0 {
		t.Errorf("pairs without an asker: %v", got)
	}
}
