package deployment

import "testing"

// The realm of a krb5.conf is the domain of the computer, unless nobody has set it.
func TestDefaultRealm(t *testing.T) {
	for config, want := range map[string]string{
		"[libdefaults]\n\tdefault_realm = CONTOSO.EXAMPLE\n": "contoso.example",
		"[libdefaults]\n\tdefault_realm = ATHENA.MIT.EDU\n":  "",
		"[libdefaults]\n\tdefault_realm = WORKGROUP\n":       "",
		"": "",
	} {
		if got := defaultRealm(config); got != want {
			t.Errorf("%q: %q, want %q", config, got, want)
		}
	}
}
