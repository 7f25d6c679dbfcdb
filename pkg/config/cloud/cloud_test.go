package cloud

import (
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range All() {
		if got, ok := Get(c.ID); !ok || !reflect.DeepEqual(got, c) || seen[c.ID] || c.Title == "" {
			t.Errorf("%s: not found as itself", c.ID)
		}
		seen[c.ID] = true
		for _, k := range Keys() {
			value := k.Value(c)
			if value == "" && !k.URL {
				continue // a suffix that is not known
			}
			if err := k.Check(value); err != nil || strings.HasSuffix(value, "/") || k.URL &&
				!strings.HasPrefix(value, "https://") {
				t.Errorf("%s: %s = %q: %v", c.ID, k.Name, value, err)
			}
			if strings.ContainsAny(k.Value(c.Expand("contoso.onmicrosoft.com", "id")), "{}") {
				t.Errorf("%s: %s keeps a placeholder", c.ID, k.Name)
			}
		}
	}
	if len(seen) == 0 {
		t.Error("no clouds")
	}
	if _, ok := Get("gcchigh"); ok {
		t.Error("ids are exact")
	}
}

func TestExpand(t *testing.T) {
	c, _ := Get("worldwide")
	c = c.Expand("contoso.onmicrosoft.com", "6d1a2b3c")
	if want := "https://accounts.accesscontrol.windows.net/6d1a2b3c/metadata/json/1"; c.ACSMetadataURL != want {
		t.Errorf("%s, want %s", c.ACSMetadataURL, want)
	}
	if want := "https://login.windows.net/contoso.onmicrosoft.com/federationmetadata/2007-06/federationmetadata.xml"; c.EvoSTSMetadataURL != want {
		t.Errorf("%s, want %s", c.EvoSTSMetadataURL, want)
	}
}

// The route through Graph exists where Microsoft says so: everywhere else lookups must not be
// planned on it.
func TestGraphRouteIsWorldwideAlone(t *testing.T) {
	for _, c := range All() {
		if c.GraphCoexistence != (c.ID == "worldwide") {
			t.Errorf("%s: %t", c.ID, c.GraphCoexistence)
		}
	}
}

// What is marked as unconfirmed exists, so that the mark is seen.
func TestUnconfirmed(t *testing.T) {
	for _, c := range All() {
		for _, name := range c.Unconfirmed {
			if !slices.ContainsFunc(keys, func(k Key) bool { return k.Name == name && k.Value(c) != "" }) {
				t.Errorf("%s has no %s to be unsure of", c.ID, name)
			}
		}
	}
}

// Where clouds share a suffix, a tenant's name does not identify its cloud.
func TestMayHold(t *testing.T) {
	for _, test := range []struct {
		cloud, tenant string
		want          bool
	}{
		{"worldwide", "contoso.onmicrosoft.com", true}, {"worldwide", "contoso.onmicrosoft.us", false},
		{"worldwide", "contosoonmicrosoft.com", false},
		{"gcc-high", "contoso.onmicrosoft.us", true}, {"gcc-high", "contoso.onmicrosoft.com", true},
		{"dod", "Contoso.OnMicrosoft.com", true},
		{"gcc-high", "contoso.partner.onmschina.cn", false}, {"21vianet", "contoso.onmicrosoft.com", false},
		{"21vianet", "contoso.partner.onmschina.cn", true},
		{"bleu", "contoso.onmicrosoft.com", true},
	} {
		c, _ := Get(test.cloud)
		if got := c.MayHold(test.tenant); got != test.want {
			t.Errorf("%s in %s: %v", test.tenant, test.cloud, got)
		}
	}
}

func TestWith(t *testing.T) {
	base, _ := Get("worldwide")
	for _, k := range Keys() {
		value := "https://localhost:8443/{tenantId}"
		if !k.URL {
			value = "suffix.example"
		}
		c, err := base.With(map[string]string{k.Name: value + strings.Repeat("/", len(value)%2)})
		if k.URL && (err != nil || k.Value(c) != value) {
			t.Errorf("%s: %q, %v", k.Name, k.Value(c), err)
		}
		for _, other := range Keys() {
			if other.Name != k.Name && other.Value(c) != other.Value(base) && err == nil {
				t.Errorf("overriding %s changed %s", k.Name, other.Name)
			}
		}
	}
	if again, _ := Get("worldwide"); !reflect.DeepEqual(again, base) {
		t.Error("With changed the table")
	}
	for name, value := range map[string]string{"nothing": "https://a", "graph": "graph.microsoft.com",
		"login": "ftp://a", "ews": "https://u:Hunter2@a", "owa": "https://a?b", "tlsDomain": "https://a"} {
		if _, err := base.With(map[string]string{name: value}); err == nil ||
			strings.Contains(err.Error(), "Hunter2") || !strings.Contains(err.Error(), name) {
			t.Errorf("%s=%s: %v", name, value, err)
		}
	}
}

func TestIsExchangeOnline(t *testing.T) {
	for _, c := range All() {
		for _, endpoint := range []string{c.EWS, c.DiscoveryEndpoint, c.AutodiscoverJSON} {
			if u, err := url.Parse(endpoint); err != nil || !IsExchangeOnline(u.Hostname()) {
				t.Errorf("%s: %s is not taken for Exchange Online's (%v)", c.ID, endpoint, err)
			}
		}
	}
	for host, want := range map[string]bool{
		"autodiscover.outlook.com": true, "AUTODISCOVER-S.outlook.com.": true, "outlook.com": true,
		"outlook.cloud.microsoft": true, "autodiscover-s-dod.office365-net.us": true,
		"myoutlook.com": false, "outlook.com.contoso.com": false, "mail.contoso.com": false, "com": false, "": false,
	} {
		if got := IsExchangeOnline(host); got != want {
			t.Errorf("%q: %v", host, got)
		}
	}
}

func TestCoexistenceDomain(t *testing.T) {
	for _, test := range []struct{ cloud, tenant, want string }{
		{"worldwide", "Contoso.onmicrosoft.com", "contoso.mail.onmicrosoft.com"},
		{"gcc-high", "contoso.onmicrosoft.us", "contoso.mail.onmicrosoft.us"},
		{"gcc-high", "contoso.onmicrosoft.com", "contoso.mail.onmicrosoft.com"}, // older government tenants
		{"dod", "contoso.onmicrosoft.us", "contoso.mail.onmicrosoft.us"},
		{"21vianet", "contoso.partner.onmschina.cn", "contoso.partner.mail.onmschina.cn"},
		{"worldwide", "contoso.com", ""},
		{"worldwide", "a.b.onmicrosoft.com", ""},
		{"worldwide", "onmicrosoft.com", ""},
		{"bleu", "contoso.example", ""},
	} {
		c, _ := Get(test.cloud)
		got, err := c.CoexistenceDomain(test.tenant)
		if got != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%s in %s: %q, %v", test.tenant, test.cloud, got, err)
		}
	}
	if c, ok := OfTenant("contoso.partner.onmschina.cn"); !ok || c.ID != "21vianet" {
		t.Errorf("got %s", c.ID)
	}
}

// The admin API and its token scope of GCC High and DoD are seen in CISA's ScubaGear.
func TestGovernmentCloudsAreConfirmed(t *testing.T) {
	for _, id := range []string{"gcc-high", "dod"} {
		c, _ := Get(id)
		if slices.Contains(c.Unconfirmed, "adminAPI") || slices.Contains(c.Unconfirmed, "exchangeResource") {
			t.Errorf("%s: %v", id, c.Unconfirmed)
		}
	}
}
