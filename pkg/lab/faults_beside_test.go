package lab

import "testing"

// A fault of a mailbox that has moved needs Exchange Online, also beside a fault of WorkMail alone.
func TestOnlineBesideWorkMail(t *testing.T) {
	l, err := Start(t.Context(), Options{Dir: t.TempDir(), Users: 20,
		Faults: []string{"directory.old-database", "workmail.group-closed"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// An organization that has left hybrid has no mailbox that WorkMail could ask.
func TestLeftHybridWithoutWorkMail(t *testing.T) {
	if err := CheckFaults([]string{"leaving.dynamic-group", "workmail.account-without-mailbox"}, 2); err == nil {
		t.Error("no error")
	}
}
