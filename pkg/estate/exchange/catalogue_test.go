package exchange

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the generated files anew")

// used are the cmdlets that hybridge or its lab runs: a noun, then its verbs. Every one must be in
// the reference.
const used = `
AcceptedDomain                   Get New Set Remove
AdminAuditLog                    Search
ActiveSyncVirtualDirectory       Get
AuthConfig                       Get Set
AuthServer                       Get New Set Remove
AutodiscoverVirtualDirectory     Get Set
AvailabilityAddressSpace         Get Add Remove
AvailabilityConfig               Get Set
CASMailbox                       Get
ClientAccessService              Get Set
DistributionGroup                Get New Remove
DynamicDistributionGroup         Get
EmailAddressPolicy               Get New Set Remove Update
EdgeSubscription                 Get
EdgeSynchronization              Start Test
ExchangeCertificate              Get New Import Enable Export Remove
ExchangeDiagnosticInfo           Get
ExchangeServer                   Get Set
FederatedOrganizationIdentifier  Get Set
FederationInformation            Get
FederationTrust                  Get Test
Group                            Get
HybridConfiguration              Get New Set Remove
InboundConnector                 Get New Set Remove
IntraOrganizationConfiguration   Get
IntraOrganizationConnector       Get New Set Remove
Mailbox                          Get Set Enable Disable Connect
MailboxDatabase                  Get
MailboxFolderPermission          Get Add Set Remove
MailboxFolderStatistics          Get
MailboxPermission                Add Remove
MailUser                         Get Set Enable Disable
JournalRule                      Get New Set Remove
Message                          Get
MessageTraceDetailV2             Get
MessageTraceV2                   Get
MessageTrackingLog               Get
MigrationBatch                   Get
ManagementRoleAssignment         Get
MigrationEndpoint                Get New Set Remove
MigrationServerAvailability      Test
MoveRequest                      Get
OAuthConnectivity                Test
OnPremisesOrganization           Get New Set Remove
OrganizationConfig               Get Set
OrganizationCustomization        Enable
OrganizationRelationship         Get New Set Remove Test
OutboundConnector                Get New Set Remove
OwaVirtualDirectory              Get
PartnerApplication               Get New Set Remove
Queue                            Get
ReceiveConnector                 Get New Set Remove
Recipient                        Get
RemoteDomain                     Get New Set Remove
RemoteMailbox                    Get Set Enable Disable
SendConnector                    Get New Set Remove
ServerComponentState             Get
SettingOverride                  Get New Set Remove
SharingPolicy                    Get
ThrottlingPolicy                 Get
TransportConfig                  Get Set
TransportRule                    Get New Set Remove
TransportService                 Get
UnifiedAuditLog                  Search
User                             Get
WebServicesVirtualDirectory      Get Set
`

// reference finds the full cmdlet reference beside the checkout; "" when it is not there.
func reference(t *testing.T) string {
	t.Helper()
	return shared(t, filepath.Join("reference", "exchange-cmdlets.json"))
}

func shared(t *testing.T, path string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the test")
		}
	}
	full := filepath.Join(dir, "..", "shared", path)
	if _, err := os.Stat(full); err != nil {
		t.Skipf("needs %s, which is not beside this checkout", filepath.Join("..", "shared", path))
	}
	return full
}

func subset(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile(reference(t))
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]cmdletJSON
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	out.WriteString("{\n")
	part := map[string]cmdletJSON{}
	for line := range strings.Lines(used) {
		fields := strings.Fields(line)
		for _, verb := range fields[min(1, len(fields)):] {
			name := verb + "-" + fields[0]
			entry, ok := all[name]
			if !ok {
				t.Fatalf("%s is not in the reference", name)
			}
			part[name] = entry
		}
	}
	names := slices.Sorted(maps.Keys(part))
	for i, name := range names {
		// one line per parameter: differences stay readable
		fmt.Fprintf(&out, "%q: {\"where\": %s, \"parameters\": {\n", name, asJSON(t, part[name].Where))
		parameters := slices.Sorted(maps.Keys(part[name].Parameters))
		for j, p := range parameters {
			fmt.Fprintf(&out, "\t%q: %s%s\n", p, asJSON(t, part[name].Parameters[p]), comma(j, len(parameters)))
		}
		fmt.Fprintf(&out, "}}%s\n", comma(i, len(names)))
	}
	out.WriteString("}\n")
	return out.Bytes()
}

func comma(i, n int) string {
	if i < n-1 {
		return ","
	}
	return ""
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestCatalogueIsCurrent(t *testing.T) {
	want := subset(t)
	if *update {
		if err := os.WriteFile("catalogue.json", want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile("catalogue.json")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(have)); d != "" {
		t.Errorf("catalogue.json is not what the reference gives; run: go test ./pkg/estate/exchange -run Catalogue "+
			"-update\n%s", d)
	}
}

func TestCatalogueReads(t *testing.T) {
	c := Catalogue()
	if n := len(c.byName); n < 60 {
		t.Errorf("%d cmdlets only", n)
	}
	// every amendment amends something that is there
	var amended map[string]cmdletJSON
	if err := json.Unmarshal(amendmentsJSON, &amended); err != nil {
		t.Fatal(err)
	}
	for name, a := range amended {
		if cmdlet, ok := c.Find(name); !ok || len(cmdlet.Sides) == 0 {
			t.Errorf("amendment of %s, which the catalogue lacks", name)
		}
		if a.Source == "" {
			t.Errorf("amendment of %s without a source", name)
		}
	}
}

func TestBind(t *testing.T) {
	parameters := func(pairs ...any) map[string]any {
		m := map[string]any{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i].(string)] = pairs[i+1]
		}
		return m
	}
	tests := []struct {
		name string
		side Side
		cmd  Command
		want map[string]any
		id   string // of the error, when one is wanted
		is   error
	}{
		{"lists from one text, names without case", OnPremises,
			Command{"new-intraorganizationconnector",
				parameters("NAME", "x", "DiscoveryEndpoint", "https://a/", "targetaddressdomains", "contoso.com",
					"ErrorAction", "Stop")},
			parameters("Name", "x", "DiscoveryEndpoint", "https://a/", "TargetAddressDomains", []string{"contoso.com"}),
			"", nil},
		{"alias", OnPremises, Command{"Get-AuthConfig", parameters("DomainController", "dc1.contoso.com")},
			parameters("DomainController", "dc1.contoso.com"), "", nil},
		{"cmdlet of the other side", Online, Command{Name: "New-AuthServer"}, nil, "CommandNotFoundException",
			ErrNoCmdlet},
		{"cmdlet unknown", OnPremises, Command{Name: "Get-Weather"}, nil, "CommandNotFoundException", ErrNoCmdlet},
		{"parameter of the other side", OnPremises,
			Command{"Set-OrganizationConfig", parameters("EwsAllowedAppIDs", "a")}, nil,
			"NamedParameterNotFound,Set-OrganizationConfig", nil},
		{"mandatory", OnPremises, Command{"New-IntraOrganizationConnector",
			parameters("Name", "x", "DiscoveryEndpoint", "https://a/")}, nil,
			"MissingMandatoryParameter,New-IntraOrganizationConnector", nil},
		{"null for mandatory", OnPremises, Command{"Remove-AuthServer", parameters("Identity", nil)}, nil,
			"ParameterArgumentValidationErrorNullNotAllowed,Remove-AuthServer", nil},
		{"text for Boolean", OnPremises, Command{"Set-AuthServer", parameters("Identity", "x", "Enabled", "true")}, nil,
			"ParameterArgumentTransformationError,Set-AuthServer", nil},
		{"number for Boolean", OnPremises, Command{"Set-AuthServer", parameters("Identity", "x", "Enabled", 1)},
			parameters("Identity", "x", "Enabled", true), "", nil},
		{"two sets", OnPremises, Command{"Set-AuthServer",
			parameters("Identity", "x", "ApplicationIdentifier", "a", "GraphBaseUrl", "https://g/")}, nil,
			"AmbiguousParameterSet,Set-AuthServer", nil},
		{"one set", OnPremises, Command{"Set-AuthServer",
			parameters("Identity", "x", "ApplicationIdentifier", "a", "DomainName",
				ListChange{Add: []string{"b.com"}})},
			parameters("Identity", "x", "ApplicationIdentifier", "a", "DomainName", ListChange{Add: []string{"b.com"}}),
			"", nil},
		{"closed enumeration", OnPremises,
			Command{"Add-AvailabilityAddressSpace", parameters("ForestName", "a.com", "AccessMethod", "Telepathy")},
			nil, "ParameterArgumentTransformationError,Add-AvailabilityAddressSpace", nil},
		{"amended enumeration", OnPremises,
			Command{"New-AuthServer", parameters("Name", "evoSTS", "Type", "AzureAD", "AuthMetadataUrl", "https://a/")},
			parameters("Name", "evoSTS", "Type", "AzureAD", "AuthMetadataUrl", "https://a/"), "", nil},
		{"hashtable as JSON gave it", OnPremises,
			Command{"Set-OrganizationRelationship",
				parameters("Identity", "x", "DomainNames", map[string]any{"add": []any{"b.com"}})},
			parameters("Identity", "x", "DomainNames", ListChange{Add: []string{"b.com"}}), "", nil},
		{"a name that is none", OnPremises, Command{"Get-AuthConfig", parameters("x; Remove-Item", 1)}, nil,
			"InvalidArgument,Get-AuthConfig", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Catalogue().Bind(tt.cmd, tt.side)
			if tt.id == "" {
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(tt.want, got); d != "" {
					t.Error(d)
				}
				return
			}
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v, want an *Error", err)
			}
			if e.FullyQualifiedID != tt.id {
				t.Errorf("id %q, want %q (%v)", e.FullyQualifiedID, tt.id, err)
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("%v is not %v", err, tt.is)
			}
		})
	}
}
