package fact

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
)

// Mail flow is read as Exchange shows it, single values and lists alike.
func TestMailFacts(t *testing.T) {
	set, _ := organization(map[string][]exchange.Object{
		"Get-SendConnector": {object("Name", "Out", "AddressSpaces", []any{"smtp:a.example;1"},
			"SourceTransportServers", "EX1", "TlsDomain", "mail.protection.outlook.com", "Enabled", true,
			"CloudServicesMailEnabled", "True")},
		"Get-ReceiveConnector": {object("Identity", `EX1\Default Frontend EX1`, "TransportRole", "FrontendTransport",
			"Bindings", []any{"0.0.0.0:25", "[::]:25"},
			"RemoteIPRanges", []any{"0.0.0.0-255.255.255.255", "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"})},
		"Get-InboundConnector":  {object("Name", "In", "ConnectorType", "OnPremises", "TreatMessagesAsInternal", true)},
		"Get-OutboundConnector": {object("Name", "To", "RecipientDomains", nil, "RouteAllMessagesViaOnPremises", true)},
		"Get-OnPremisesOrganization": {object("Name", "x", "OrganizationGuid", "AB", "InboundConnector", "In",
			"HybridDomains", []any{"a.example"})},
		"Get-HybridConfiguration": {object("Features", []any{"FreeBusy"}, "ServiceInstance", int64(1),
			"SendingTransportServers", []any{"EX1"}, "TlsCertificateName", "<I>CN=a, O=b<S>CN=c")},
	})
	send, err := SendConnectors.In(t.Context(), set.Forests[0])
	want := []SendConnector{{Name: "Out", AddressSpaces: []string{"smtp:a.example;1"}, SourceServers: []string{"EX1"},
		TLSDomain: "mail.protection.outlook.com", Enabled: true, CloudHeader: true}}
	if diff := cmp.Diff(want, send); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	receive, err := ReceiveConnectors.In(t.Context(), set.Forests[0])
	if err != nil || len(receive) != 1 || receive[0].Server != "EX1" || !receive[0].FromEverywhere() {
		t.Errorf("%+v, %v", receive, err)
	}
	inbound, err := InboundConnectors.In(t.Context(), set.Tenant)
	if err != nil || len(inbound) != 1 || !inbound[0].TreatAsInternal || inbound[0].CloudHeader {
		t.Errorf("%+v, %v", inbound, err)
	}
	outbound, err := OutboundConnectors.In(t.Context(), set.Tenant)
	if err != nil || len(outbound) != 1 || !outbound[0].Centralized {
		t.Errorf("%+v, %v", outbound, err)
	}
	known, err := HybridOrganizations.In(t.Context(), set.Tenant)
	if err != nil || len(known) != 1 || known[0].GUID != "ab" || known[0].Inbound != "In" ||
		len(known[0].Domains) != 1 {
		t.Errorf("%+v, %v", known, err)
	}
	record, err := HybridConfigurations.In(t.Context(), set.Forests[0])
	if err != nil || !record.Exists || record.ServiceInstance != 1 || record.CertificateName == "" ||
		len(record.Sending) != 1 {
		t.Errorf("%+v, %v", record, err)
	}
}

// A forest without a record is no error; a server that refuses is one.
func TestNoRecord(t *testing.T) {
	set, _ := organization(map[string][]exchange.Object{"Get-HybridConfiguration": {}})
	if record, err := HybridConfigurations.In(t.Context(), set.Forests[0]); err != nil || record.Exists {
		t.Errorf("none: %+v, %v", record, err)
	}
	for name, test := range map[string]struct {
		err  error
		fail bool
	}{
		"not found": {&exchange.Error{ExceptionType: "ManagementObjectNotFoundException"}, false},
		"refused":   {errors.New("busy"), true},
	} {
		set, session := organization(nil)
		session.fails = map[string]error{"Get-HybridConfiguration": test.err}
		if record, err := HybridConfigurations.In(t.Context(), set.Forests[0]); (err != nil) != test.fail ||
			record.Exists {
			t.Errorf("%s: %+v, %v", name, record, err)
		}
	}
}

// The default frontend connector is the one that takes mail from every address, on both versions of
// IP.
func TestFromEverywhere(t *testing.T) {
	all := []string{"0.0.0.0-255.255.255.255", "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}
	for name, test := range map[string]struct {
		bindings, ranges []string
		want             bool
	}{
		"default":        {[]string{"[::]:25", "0.0.0.0:25"}, all, true},
		"prefixes":       {[]string{"[::]:25", "0.0.0.0:25"}, []string{"0.0.0.0/0", "::/0"}, true},
		"no IPv6":        {[]string{"0.0.0.0:25"}, all, false},
		"another port":   {[]string{"[::]:587", "0.0.0.0:587"}, all, false},
		"some addresses": {[]string{"[::]:25", "0.0.0.0:25"}, []string{"10.0.0.0/8"}, false},
		"one address":    {[]string{"[::]:25", "10.0.0.5:25"}, all, false},
	} {
		if got := (ReceiveConnector{Bindings: test.bindings,
			RemoteIPRanges: test.ranges}).FromEverywhere(); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
