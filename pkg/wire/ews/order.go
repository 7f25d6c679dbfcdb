package ews

import (
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/wire/ews/soap"
)

// part is a child element of a schema's sequence: its name, with the prefix of its namespace (m or
// t) and, when it may be absent or repeated, ? or *.
type sequence []string

// sequences are the children of elements of requests, in the order of the schema (messages.xsd,
// types.xsd). Exchange refuses a request in another order. An element that is not listed is not
// checked.
var sequences = map[string]sequence{
	"GetUserAvailabilityRequest": {"t:TimeZone?", "m:MailboxDataArray", "t:FreeBusyViewOptions?",
		"t:SuggestionsViewOptions?"},
	"MailboxDataArray": {"t:MailboxData*"},
	"MailboxData":      {"t:Email", "t:AttendeeType", "t:ExcludeConflicts?"},
	"FreeBusyViewOptions": {"t:TimeWindow", "t:MergedFreeBusyIntervalInMinutes?",
		"t:RequestedView?"},
	"TimeWindow": {"t:StartTime", "t:EndTime"},
	"SuggestionsViewOptions": {"t:GoodThreshold?", "t:MaximumResultsByDay?", "t:MaximumNonWorkHourResultsByDay?",
		"t:MeetingDurationInMinutes?", "t:MinimumSuggestionQuality?", "t:DetailedSuggestionsWindow",
		"t:CurrentMeetingTime?", "t:GlobalObjectId?"},
	"DetailedSuggestionsWindow": {"t:StartTime", "t:EndTime"},
	"TimeZone":                  {"t:Bias", "t:StandardTime", "t:DaylightTime"},
	"StandardTime":              {"t:Bias", "t:Time", "t:DayOrder", "t:Month", "t:DayOfWeek", "t:Year?"},
	"DaylightTime":              {"t:Bias", "t:Time", "t:DayOrder", "t:Month", "t:DayOfWeek", "t:Year?"},
	"GetFolder":                 {"m:FolderShape", "m:FolderIds"},
	"FindFolder": {"m:FolderShape", "m:IndexedPageFolderView?", "m:FractionalPageFolderView?", "m:Restriction?",
		"m:ParentFolderIds"},
	"FolderShape":               {"t:BaseShape", "t:AdditionalProperties?"},
	"ConvertId":                 {"m:SourceIds"},
	"ResolveNames":              {"m:ParentFolderIds?", "m:UnresolvedEntry"},
	"GetUserOofSettingsRequest": {"t:Mailbox"},
	"GetMailTips":               {"m:SendingAs", "m:Recipients", "m:MailTipsRequested"},
}

// inOrder returns what is wrong with the order of an element's children, or "".
func inOrder(e *soap.Element) string {
	rules, known := sequences[e.Name.Local]
	if known {
		at := 0
		for _, child := range e.Children {
			name := map[string]string{Messages: "m:", Types: "t:"}[child.Name.Space] + child.Name.Local
			for at < len(rules) && strings.TrimRight(rules[at], "?*") != name {
				if !strings.HasSuffix(rules[at], "?") && !strings.HasSuffix(rules[at], "*") {
					break
				}
				at++
			}
			if at == len(rules) || strings.TrimRight(rules[at], "?*") != name {
				return "The element '" + e.Name.Local + "' in namespace '" + e.Name.Space +
					"' has invalid child element '" + child.Name.Local + "' in namespace '" + child.Name.Space + "'."
			}
			if !strings.HasSuffix(rules[at], "*") {
				at++
			}
		}
		for ; at < len(rules); at++ {
			if !strings.HasSuffix(rules[at], "?") && !strings.HasSuffix(rules[at], "*") {
				return "The element '" + e.Name.Local + "' in namespace '" + e.Name.Space +
					"' has incomplete content. List of possible elements expected: '" +
					strings.TrimLeft(rules[at], "mt:") + "'."
			}
		}
	}
	for _, child := range e.Children {
		if wrong := inOrder(child); wrong != "" {
			return wrong
		}
	}
	return ""
}
