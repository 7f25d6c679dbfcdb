package desired

import (
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
)

var settingOverride = Exchange.Declare(Kind{
	Noun:   "SettingOverride",
	Title:  "Setting override",
	Why:    "Switches a feature of Exchange Server on that is off as delivered: lookups as the dedicated application, and lookups through Microsoft Graph.",
	Places: []string{OnPremises},
	Properties: map[string]Property{
		"Component":  {Type: text, Write: change.Key, From: "ComponentName"},
		"Section":    {Type: text, Write: change.Key, From: "SectionName"},
		"Parameters": {Type: settings},
		"Reason":     {Type: text, Write: change.CreateOnly},
	},
	Risk: "takes effect on every Exchange server of the organization",
}, Cmdlets{
	Verbs: New | Set | Remove,
	Then: []change.Command{{Name: "Get-ExchangeDiagnosticInfo", Parameters: map[string]any{
		"Process": "Microsoft.Exchange.Directory.TopologyService", "Component": "VariantConfiguration", "Argument": "Refresh",
	}}},
})

// override is one setting override that hybrid needs.
type override struct{ key, name, component, section, reason string }

var (
	dedicatedApplicationOverride = override{
		key: "ExchangeOnpremAsThirdPartyAppId", name: "EnableExchangeHybrid3PAppFeature", component: "Global", section: "ExchangeOnpremAsThirdPartyAppId",
		reason: "Exchange hybrid: lookups as the dedicated application",
	}
	graphRouteOverride = override{
		key: "RouteThroughMSGraph", name: "EnableRouteThroughMSGraphFeature", component: "SettingOverride", section: "RouteThroughMSGraph",
		reason: "Exchange hybrid: lookups through Microsoft Graph",
	}
)

func (o override) properties() change.Properties {
	return change.Properties{"Component": o.component, "Section": o.section, "Parameters": []string{"Enabled=true"}, "Reason": o.reason}
}

// OverrideSections are the sections of the setting overrides that hybrid needs.
func OverrideSections() []string {
	return []string{dedicatedApplicationOverride.section, graphRouteOverride.section}
}
