package desired

import (
	"github.com/hybridge-cli/hybridge/pkg/engine/change"
)

var organizationConfig = Exchange.Declare(Kind{
	Noun:   "OrganizationConfig",
	Title:  "EWS switch and allow list of the tenant",
	Why:    "Since October 2026 Microsoft switches EWS of Exchange Online off where EwsEnabled is not set; with true, only applications on the list may use it. The list is written whole, so what others put there is kept.",
	Places: []string{Online},
	Match:  func(change.Properties, change.Live) bool { return true },
	Properties: map[string]Property{
		"EwsEnabled":       {Type: boolean},
		"EwsAllowedAppIDs": {Type: identifiers, Write: change.Merge, MayHide: true},
	},
	Risk: "with EwsEnabled true and a list, Exchange Online refuses EWS to every application that is not on the list; the list takes up to 24 hours to take effect, the switch about one",
}, Cmdlets{Verbs: Set, Get: map[string]any{"RetrieveEwsOperationAccessPolicy": true}, Only: true})
