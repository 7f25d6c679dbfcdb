package fact

import "testing"

func TestRootDomain(t *testing.T) {
	for dn, want := range map[string]string{
		"CN=Contoso,CN=Microsoft Exchange,CN=Services,CN=Configuration,DC=corp,DC=Contoso,DC=com": "corp.contoso.com",
		"contoso.onmicrosoft.com": "", "": "",
	} {
		if got := rootDomain(dn); got != want {
			t.Errorf("%q: %q, want %q", dn, got, want)
		}
	}
}
