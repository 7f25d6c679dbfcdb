package lab

import "testing"

// A fault of a mailbox that has moved, and one of the way out of hybrid, need Exchange Online, also
// beside a fault of WorkMail alone.
func TestOnlineBesideWorkMail(t *testing.T) {
	for _, fault := range []string{"directory.old-database", "leaving.dynamic-group"} {
		t.Run(fault, func(t *testing.T) {
			l, err := Start(t.Context(), Options{Dir: t.TempDir(), Users: 20,
				Faults: []string{fault, "workmail.group-closed"}})
			if err != nil {
				t.Fatal(err)
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
