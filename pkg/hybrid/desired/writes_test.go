package desired

import (
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
)

// What can only be given at creation is not sent again: a server refuses the whole command for it.
func TestUpdatesLeaveOutWhatIsFixed(t *testing.T) {
	for _, k := range Kinds() {
		for name, p := range k.Properties {
			if p.Write != change.CreateOnly || k.Sides&Entra == 0 && k.Verbs&Set == 0 || k.Noun == "KeyCredential" || name == "Identity" {
				continue // what says which resource is meant goes along
			}
			c, err := k.Change().Command(change.Update, "x", change.Properties{name: "value"}, &change.Live{Identity: "x"})
			if err != nil {
				continue
			}
			if _, sent := c.Parameters[name]; sent {
				t.Errorf("%s sends %s", c.Name, name)
			}
		}
	}
}

// The service principal of Exchange Online is Microsoft's: nothing makes or removes it.
func TestPrincipalOfMicrosoftStays(t *testing.T) {
	k := kindNamed(t, "ServicePrincipalName").Change()
	for _, a := range []change.Action{change.Create, change.Delete} {
		if c, err := k.Command(a, "x", change.Properties{}, &change.Live{Identity: "x"}); err == nil {
			t.Errorf("%s gives %s", a, c.Name)
		}
	}
}
