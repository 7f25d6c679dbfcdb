package deployment

import (
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
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
