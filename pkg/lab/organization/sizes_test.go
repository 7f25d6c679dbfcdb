package organization

import (
	"errors"
	"strings"
	"testing"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
)

func TestMeasures(t *testing.T) {
	for _, tt := range []struct{ kind, in, want string }{
		{"ByteQuantifiedSize", "36MB", "36 MB (37,748,736 bytes)"},
		{"ByteQuantifiedSize", "37748736", "36 MB (37,748,736 bytes)"},
		{"ByteQuantifiedSize", "36 MB (37,748,736 bytes)", "36 MB (37,748,736 bytes)"},
		{"ByteQuantifiedSize", "256kb", "256 KB (262,144 bytes)"},
		{"ByteQuantifiedSize", "1500", "1.464 KB (1,500 bytes)"},
		{"ByteQuantifiedSize", "12", "12 B (12 bytes)"},
		{"ByteQuantifiedSize", "-1", ""}, {"ByteQuantifiedSize", "many", ""}, {"ByteQuantifiedSize", "1 PB", ""},
		{"ByteQuantifiedSize", "99999999999999999999", ""}, {"ByteQuantifiedSize", "unlimited", ""},
		{"Unlimited", "unlimited", "Unlimited"}, {"Unlimited", "2GB", "2 GB (2,147,483,648 bytes)"},
		{"UnlimitedNumber", "20", "20"}, {"UnlimitedNumber", "-1", ""}, {"UnlimitedNumber", "3000000000", ""},
		{"EnhancedTimeSpan", "00:10", "00:10:00"}, {"EnhancedTimeSpan", "1.02:03:04", "1.02:03:04"},
		{"EnhancedTimeSpan", "00:61:00", ""}, {"EnhancedTimeSpan", "10 minutes", ""},
		{"IPRange", "10.0.0.0/8", "10.0.0.0/8"}, {"IPRange", "10.0.0.9-10.0.0.1", ""}, {"IPRange", "10.0.0.256", ""},
		{"IPBinding", "[::]:25", "[::]:25"}, {"IPBinding", "::25", ""}, {"IPBinding", "0.0.0.0:70000", ""},
		{"SmartHost", "10.1.2.3", "[10.1.2.3]"}, {"SmartHost", "mail.contoso.com", "mail.contoso.com"},
		{"SmartHost", "mail contoso", ""},
	} {
		got, err := measures[tt.kind](tt.in)
		if got != tt.want || (err != nil) != (tt.want == "") {
			t.Errorf("%s %q is %q, %v; want %q", tt.kind, tt.in, got, err, tt.want)
		}
	}
}

// TestValuesOutOfRange: what a property cannot hold is refused before anything changes.
func TestValuesOutOfRange(t *testing.T) {
	premises, online := mailOrganizations(t)
	const frontend = `EX1\Default Frontend EX1`
	mustRun(t, premises, cmd("New-DistributionGroup", "Name", "Team", "PrimarySmtpAddress", "team@contoso.com"))
	mustRun(t, premises, cmd("New-DistributionGroup", "Name", "Guards", "Type", "Security", "PrimarySmtpAddress",
		"guards@contoso.com"))
	relationship := func(pairs ...any) exchange.Command {
		return cmd("New-OrganizationRelationship", append([]any{"Name", "a", "DomainNames", []string{"a.example"}},
			pairs...)...)
	}
	for _, tt := range []struct {
		name string
		o    *Organization
		cmd  exchange.Command
		want string
	}{
		{"a relationship that is not there", premises, cmd("Test-OrganizationRelationship", "Identity", "x",
			"UserIdentity", "anna"), "'x' couldn't be found"},
		{"a size", premises, cmd("Set-ReceiveConnector", "Identity", frontend, "MaxMessageSize", "-1MB"), "valid size"},
		{"a time", premises, cmd("Set-ReceiveConnector", "Identity", frontend, "ConnectionTimeout", "ten"), "TimeSpan"},
		{"a count", premises, cmd("Set-ReceiveConnector", "Identity", frontend, "MaxHopCount", 501),
			"between 1 and 500"},
		{"a percentage", premises, cmd("Set-ReceiveConnector", "Identity", frontend,
			"MaxInboundConnectionPercentagePerSource", 0), "between 1 and 100"},
		{"a port", premises, cmd("New-SendConnector", "Name", "a", "AddressSpaces", []string{"a.example"}, "Port",
			65536),
			"between 0 and 65535"},
		{"a feature", premises, cmd("New-HybridConfiguration", "Features", []string{"FreeBusy", "Foo"}), "Foo"},
		{"a method", premises, cmd("Add-AvailabilityAddressSpace", "ForestName", "a.example", "AccessMethod", "Foo"),
			"Foo"},
		{"a type of content", premises, cmd("Set-RemoteDomain", "Identity", "Default", "ContentType", "Foo"), "Foo"},
		{"a type of connector", online, cmd("New-InboundConnector", "Name", "a", "SenderDomains", []string{"*"},
			"ConnectorType", "Foo"), "Foo"},
		{"a source of a connector", online, cmd("New-InboundConnector", "Name", "a", "SenderDomains", []string{"*"},
			"ConnectorSource", "Foo"), "Foo"},
		{"a level of TLS", online, cmd("New-OutboundConnector", "Name", "a", "RecipientDomains", []string{"a.example"},
			"TlsSettings", "Foo"), "Foo"},
		{"a name of 65 characters", online, cmd("New-OutboundConnector", "Name", strings.Repeat("a", 65),
			"RecipientDomains", []string{"a.example"}), "64"},
		{"a name of 300 characters", premises, cmd("New-RemoteDomain", "Name", strings.Repeat("a", 300), "DomainName",
			"a.example"), "64"},
		{"a scope that is not there", premises, relationship("FreeBusyAccessScope", "Nobody"),
			"'Nobody' couldn't be found"},
		{"a scope of mail only", premises, relationship("FreeBusyAccessScope", "Team"), "security group"},
		{"a scope of tips of mail only", premises, relationship("MailTipsAccessScope", "team@contoso.com"),
			"security group"},
	} {
		_, _, err := tt.o.Run(t.Context(), Caller{User: "admin"}, tt.cmd)
		var e *exchange.Error
		if !errors.As(err, &e) || !strings.Contains(e.Message, tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	made := mustRun(t, premises, relationship("FreeBusyAccessScope", "guards@contoso.com"))
	if got := text(t, made[0], "FreeBusyAccessScope"); got != "contoso.com/Users/Guards" {
		t.Errorf("the scope is %q", got)
	}
	mustRun(t, premises, cmd("Set-ReceiveConnector", "Identity", frontend, "MaxMessageSize", "40MB"))
	connector := mustRun(t, premises, cmd("Get-ReceiveConnector", "Identity", frontend))[0]
	if got := text(t, connector, "MaxMessageSize"); got != "40 MB (41,943,040 bytes)" {
		t.Errorf("the size is %q", got)
	}
}

// TestEnumerationsAreClosed: a value of an enumeration that a cmdlet can set is one of its own.
func TestEnumerationsAreClosed(t *testing.T) {
	catalogue := exchange.Catalogue()
	for _, n := range nouns() {
		for _, p := range n.properties {
			kind, enum := strings.CutPrefix(p.kind, "enum:")
			if !enum {
				continue
			}
			for _, verb := range []string{"New", "Set", "Add"} {
				c, ok := catalogue.Find(verb + "-" + n.name)
				if _, settable := c.Parameter(p.name); !ok || !settable {
					continue
				}
				if s, err := enumText(kind, "NoSuchValue"); err == nil {
					t.Errorf("%s.%s of %s takes %q", n.name, p.name, kind, s)
				}
				break
			}
		}
	}
}
