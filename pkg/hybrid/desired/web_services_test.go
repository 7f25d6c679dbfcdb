package desired

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/engine/change"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
)

// What keeps the tenant's tokens from EWS and autodiscover is planned, and nothing else of the
// virtual directories.
func TestWebServices(t *testing.T) {
	const good = "https://mail.contoso.com/EWS/Exchange.asmx"
	for name, test := range map[string]struct {
		oauth   bool
		address string
		ews     any
		want    []change.Properties
	}{
		"healthy":                {true, good, nil, nil},
		"published with a port":  {true, "https://mail.contoso.com:443/ews/exchange.asmx", true, nil},
		"another host, not ours": {true, "https://hybrid.contoso.com/EWS/Exchange.asmx", nil, nil},
		"no tokens":              {false, good, nil, []change.Properties{{"OAuthAuthentication": true}}},
		"no address":             {true, "", nil, []change.Properties{{"ExternalUrl": good}}},
		"http": {true, "http://mail.contoso.com/EWS/Exchange.asmx", nil,
			[]change.Properties{{"ExternalUrl": good}}},
		"the server's own name": {true, "https://EX1.contoso.internal/EWS/Exchange.asmx", nil,
			[]change.Properties{{"ExternalUrl": good}}},
		"the server's short name": {true, "https://ex1/EWS/Exchange.asmx", nil,
			[]change.Properties{{"ExternalUrl": good}}},
		"another forest's address": {true, "https://mail.fabrikam.example/EWS/Exchange.asmx", nil,
			[]change.Properties{{"ExternalUrl": good}}},
		"EWS switched off": {true, good, false, []change.Properties{{"EwsEnabled": true}}},
	} {
		t.Run(name, func(t *testing.T) {
			w, f := newWorld(t), testFacts()
			w.carryOut(t, makePlan(t, w, f, testAnswers()))
			f.Forests[0].Directories = []fact.VirtualDirectory{
				{Noun: fact.EWSDirectory, Identity: `EX1\EWS (Default Web Site)`, OAuth: test.oauth,
					ExternalURL: test.address}}
			directory := w.contoso.objects["WebServicesVirtualDirectory"][0]
			directory["ExternalUrl"] = test.address
			if !test.oauth {
				directory["InternalAuthenticationMethods"] = []string{"Ntlm"}
			}
			w.contoso.objects["OrganizationConfig"][0]["EwsEnabled"] = test.ews
			var got []change.Properties
			for _, c := range makePlan(t, w, f, testAnswers()).Changes {
				if slices.Contains([]string{"WebServicesVirtualDirectory", "AutodiscoverVirtualDirectory",
					"OrganizationEws"},
					c.Kind) {
					got = append(got, c.After)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
