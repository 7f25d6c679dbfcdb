package fact

import (
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/cloud"
)

// The answers give builds with the updates that Get-ExchangeServer does not show, per server or for
// all. One that is no update of what the server shows is out of date, and does not count.
func TestGivenBuilds(t *testing.T) {
	se, cu15 := "Version 15.2 (Build 2562.17)", "Version 15.2 (Build 1748.10)"
	for name, tt := range map[string]struct {
		builds  []string
		version string
		want    string
		given   bool
	}{
		"none":                      {nil, se, "15.2.2562.17", false},
		"for all":                   {[]string{"15.2.2562.53"}, se, "15.2.2562.53", true},
		"by name":                   {[]string{"ex1=15.2.2562.53", "15.2.2562.41"}, se, "15.2.2562.53", true},
		"by the name with a domain": {[]string{"ex1.contoso.example=15.2.2562.53"}, se, "15.2.2562.53", true},
		"of another server":         {[]string{"ex2=15.2.2562.53"}, se, "15.2.2562.17", false},
		"of the update before":      {[]string{"15.2.1748.53"}, se, "15.2.2562.17", false},
		"of a later update":         {[]string{"15.2.2562.53"}, cu15, "15.2.1748.10", false},
		"lower than what shows":     {[]string{"15.2.2562.17"}, "Version 15.2 (Build 2562.41)", "15.2.2562.41", false},
	} {
		t.Run(name, func(t *testing.T) {
			a := answers.Answers{Forests: []answers.Forest{{Name: "contoso",
				Exchange: answers.Exchange{Builds: tt.builds}}}}
			side := New(a, cloud.Cloud{}).Forests[0]
			shownServers.Seed(side, []Server{{Name: "EX1", Version: tt.version, Mailbox: true}}, nil)
			servers, err := MailboxServers.In(t.Context(), side)
			if err != nil || len(servers) != 1 {
				t.Fatalf("%v, %v", servers, err)
			}
			if s := servers[0]; s.Build.String() != tt.want || s.Given != tt.given {
				t.Errorf("%s, given %v; want %s, given %v", s.Build, s.Given, tt.want, tt.given)
			}
		})
	}
}

// Known faults of lookups through Microsoft Graph are named by build.
func TestGraphFault(t *testing.T) {
	for revision, want := range map[int]bool{17: false, 41: true, 46: true, 49: true, 53: false, 60: false} {
		if got := !(Build{15, 2, 2562, revision}).GraphFault().IsZero(); got != want {
			t.Errorf("15.2.2562.%d: %v", revision, got)
		}
	}
}
