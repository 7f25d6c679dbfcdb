package autodiscover

import "testing"

// A forged redirect or DNS record does not get the credential.
func TestAcceptable(t *testing.T) {
	c := &Client{Hosts: []string{".Outlook.com", "mail.fabrikam.com."}}
	for _, test := range []struct {
		url  string
		good bool
	}{
		{"https://contoso.com/autodiscover/autodiscover.xml", true},
		{"https://Autodiscover.contoso.com./autodiscover/autodiscover.xml", true},
		{"https://autodiscover-s.outlook.com/autodiscover/autodiscover.xml", true},
		{"https://mail.fabrikam.com/autodiscover/autodiscover.xml", true},
		{"http://autodiscover.contoso.com/autodiscover/autodiscover.xml", false},
		{"https://evilcontoso.com/autodiscover/autodiscover.xml", false},
		{"https://contoso.com.evil.example/autodiscover/autodiscover.xml", false},
		{"https://eviloutlook.com/autodiscover/autodiscover.xml", false},
		{"https://x.mail.fabrikam.com/autodiscover/autodiscover.xml", false},
		{"autodiscover.contoso.com", false},
	} {
		if why := c.acceptable(candidate{url: test.url}, "anna@contoso.com"); (why == "") != test.good {
			t.Errorf("%s: %q", test.url, why)
		}
	}
	if why := c.acceptable(candidate{"http://autodiscover.contoso.com/", vouched}, "anna@contoso.com"); why == "" {
		t.Error("what the directory vouches for may be plain http")
	}
}
