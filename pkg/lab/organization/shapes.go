package organization

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/psrp"
)

// types are the .NET types of a noun's objects.
func (n *noun) types() []string {
	namespace, _, _ := cutLast(n.netType, ".")
	out := []string{n.netType}
	for _, base := range n.bases {
		if !strings.Contains(base, ".") {
			base = namespace + "." + base
		}
		out = append(out, base)
	}
	switch {
	case len(n.prints) > 0:
		return append(out, "System.Object")
	case n.class == "-":
		return append(out, "Microsoft.Exchange.Data.ConfigurableObject", "System.Object")
	case namespace == "Microsoft.Exchange.Data.Directory.Management":
		out = append(out, namespace+".ADPresentationObject")
	default:
		out = append(out, "Microsoft.Exchange.Data.Directory.SystemConfiguration.ADConfigurationObject")
	}
	return append(out, "Microsoft.Exchange.Data.Directory.ADObject", "Microsoft.Exchange.Data.Directory.ADRawEntry",
		"Microsoft.Exchange.Data.ConfigurableObject", "System.Object")
}

// wire is an output object as remote PowerShell carries it. With serializationLevel=Full in its URL
// a session gets typed values. Without it, enumerations, ids, sizes and versions are strings.
func (e output) wire(full bool) *psrp.Object {
	if e.record == nil {
		return wireObject(e.object)
	}
	n := e.record.noun
	out := &psrp.Object{Types: n.types(), Text: e.object.Text}
	if len(n.prints) > 0 {
		var parts []string
		for _, part := range []struct{ title, property string }{{"Subject", "Subject"}, {"Issuer", "Issuer"},
			{"Serial Number", "SerialNumber"}, {"Not Before", "NotBefore"}, {"Not After", "NotAfter"},
			{"Thumbprint", "Thumbprint"}} {
			v := value(e.list, part.property)
			if when, ok := v.(time.Time); ok {
				v = when.Format("01/02/2006 15:04:05")
			}
			parts = append(parts, fmt.Sprintf("[%s]\r\n  %v\r\n", part.title, v))
		}
		out.Text = strings.Join(parts, "\r\n")
	}
	for _, p := range e.list {
		if len(n.prints) > 0 && !containsFold(n.prints, p.name) {
			continue
		}
		out.Properties = append(out.Properties, psrp.Property{Name: p.name, Value: wireValue(p, full)})
	}
	return out
}

func value(list []shown, name string) any {
	for _, p := range list {
		if p.name == name {
			return p.value
		}
	}
	return nil
}

// multiValued is the .NET type of a list.
const multiValued = "Microsoft.Exchange.Data.MultiValuedProperty`1"

// wireValue writes a value in the property's .NET type.
func wireValue(p shown, full bool) any {
	if p.value == nil {
		return nil
	}
	kind, enum := strings.CutPrefix(p.kind, "enum:")
	if p.list {
		list := []any{}
		for _, s := range asList(p.value) {
			one := p
			one.list, one.value = false, s
			list = append(list, wireValue(one, full))
		}
		if !full {
			return &psrp.Object{Types: []string{"System.Collections.ArrayList", "System.Object"}, Value: list}
		}
		return &psrp.Object{Types: listTypes(kind), Value: list}
	}
	text, isText := p.value.(string)
	switch {
	case !isText || p.kind == "string":
		return p.value
	case p.kind == "guid":
		if g, err := psrp.ParseGUID(text); err == nil {
			return g
		}
		return text
	case p.kind == "uri":
		return psrp.URI(text)
	case !full:
		return text
	case enum:
		return &psrp.Object{Types: []string{fullType(kind), "System.Enum", "System.ValueType", "System.Object"},
			Text: text, Value: enumNumber(kind, text)}
	case kind == "ProxyAddress":
		return opaque(text, "SmtpProxyAddress", "ProxyAddress", "ProxyAddressBase")
	case kind == "NetworkAddress":
		return opaque(text, "CustomNetworkAddress", "NetworkAddress", "ProtocolAddress")
	}
	return opaque(text, kind)
}

// opaque is an object that a client knows by its text. SerializationData is how Exchange's own
// client makes the object again.
func opaque(text string, kinds ...string) *psrp.Object {
	out := &psrp.Object{Text: text,
		Extended: []psrp.Property{{Name: "SerializationData", Value: []byte{0, 1, 0, 0, 0}}}}
	for _, kind := range kinds {
		out.Types = append(out.Types, fullType(kind))
	}
	out.Types = append(out.Types, "System.Object")
	return out
}

// listTypes are the .NET types of a list of a kind.
func listTypes(kind string) []string {
	const exchangeKey, systemKey = "Culture=neutral, PublicKeyToken=31bf3856ad364e35",
		"Culture=neutral, PublicKeyToken=b77a5c561934e089"
	full := fullType(kind)
	home, _, _ := cutLast(full, ".")
	base := []string{"Microsoft.Exchange.Data.MultiValuedPropertyBase", "System.Object"}
	of := func(list, assembly, version, key string) string {
		return list + "[[" + full + ", " + assembly + ", Version=" + version + ", " + key + "]]"
	}
	switch {
	case kind == "string":
		full = "System.String"
		return append([]string{of(multiValued, "mscorlib", "4.0.0.0", systemKey)}, base...)
	case kind == "uri":
		full = "System.Uri"
		return append([]string{of(multiValued, "System", "4.0.0.0", systemKey)}, base...)
	case kind == "ProxyAddress" || kind == "NetworkAddress":
		full = "Microsoft.Exchange.Data." + kind
		family := map[string]string{"ProxyAddress": "ProxyAddressBase", "NetworkAddress": "ProtocolAddress"}[kind]
		return append([]string{
			full + "Collection",
			of("Microsoft.Exchange.Data."+family+"Collection`1", "Microsoft.Exchange.Data", "15.0.0.0", exchangeKey),
			of(multiValued, "Microsoft.Exchange.Data", "15.0.0.0", exchangeKey),
		}, base...)
	case strings.HasPrefix(home, "Microsoft.Exchange.Data.Directory") || home == "":
		const assembly = "Microsoft.Exchange.Data.Directory"
		plain := of(multiValued, assembly, "15.0.0.0", exchangeKey)
		if kind == "ExtendedProtectionFlag" {
			return append([]string{plain}, base...)
		}
		directory := of("Microsoft.Exchange.Data.Directory.ADMultiValuedProperty`1", assembly, "15.0.0.0", exchangeKey)
		return append([]string{directory, plain}, base...)
	}
	return append([]string{of(multiValued, "Microsoft.Exchange.Data", "15.0.0.0", exchangeKey)}, base...)
}

// homes are the types that do not live in Microsoft.Exchange.Data, by their place.
var homes = map[string]string{
	"Microsoft.Exchange.Data.Directory.": "ADObjectId OrganizationId PublicFoldersDeployment",
	"Microsoft.Exchange.Data.Directory.SystemConfiguration.": "AcceptedDomainType AuthMechanisms AuthServerType " +
		"AuthenticationMethod ExtendedProtectionFlag ExtendedProtectionPolicySetting " +
		"ExtendedProtectionTokenCheckingMode GzipLevel HybridConfigurationStatusFlags MessageRateSourceFlags " +
		"ServerRole SupportedAccountType TlsAuthLevel",
	"Microsoft.Exchange.Data.Directory.SystemConfiguration.ConfigurationSettings.": "SettingOverrideStatus",
	"System.Net.": "IPAddress",
	"":            "HybridFeature",
}

// fullType returns a type with its namespace.
func fullType(kind string) string {
	switch kind {
	case "SendAuthMechanisms":
		return "Microsoft.Exchange.Data.Directory.SystemConfiguration.SmtpSendConnectorConfig+AuthMechanisms"
	case "Unlimited": // of a size
		return "Microsoft.Exchange.Data.Unlimited`1[[Microsoft.Exchange.Data.ByteQuantifiedSize, " +
			"Microsoft.Exchange.Data, Version=15.0.0.0, Culture=neutral, PublicKeyToken=31bf3856ad364e35]]"
	case "UnlimitedNumber":
		return "Microsoft.Exchange.Data.Unlimited`1[[System.Int32, mscorlib, Version=4.0.0.0, Culture=neutral, " +
			"PublicKeyToken=b77a5c561934e089]]"
	}
	for home, kinds := range homes {
		if slices.Contains(strings.Fields(kinds), kind) {
			return home + kind
		}
	}
	return "Microsoft.Exchange.Data." + kind
}
