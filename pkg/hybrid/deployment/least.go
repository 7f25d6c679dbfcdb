package deployment

import (
	"slices"
	"strings"

	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/prereq"
)

// lookupReads are the cmdlets of lookups and of samples, which no check declares.
var (
	routeReads = []string{"Get-AvailabilityAddressSpace", "Get-IntraOrganizationConnector",
		"Get-OrganizationRelationship", "Get-Recipient", "Test-OAuthConnectivity", "Test-OrganizationRelationship"}
	lookupReads = map[fact.System][]string{
		fact.OnPremises: slices.Concat(routeReads, []string{"Get-AuthConfig", "Get-AuthServer",
			"Get-ExchangeServer", "Get-Mailbox", "Get-RemoteMailbox", "Get-SettingOverride"}),
		fact.Online: slices.Concat(routeReads, []string{"Get-AcceptedDomain"}),
		fact.Entra:  {"Calendars.Read"},
		fact.WorkMail: {"workmail:DescribeOrganization", "workmail:ListAvailabilityConfigurations",
			"workmail:ListUsers", "workmail:TestAvailabilityConfiguration"},
	}
)

// rightsSystems is the order in which rights are shown.
var rightsSystems = []fact.System{fact.OnPremises, fact.Online, fact.Entra, fact.WorkMail}

// leastRights are what the accounts need for a subject, by system: cmdlets, permissions, actions.
func leastRights(s Subject) map[fact.System][]string {
	out := map[fact.System][]string{}
	add := func(system fact.System, rights ...string) {
		for _, right := range rights {
			if !slices.Contains(out[system], right) {
				out[system] = append(out[system], right)
			}
		}
	}
	if s.Lookups {
		for system, rights := range lookupReads {
			add(system, rights...)
		}
	}
	add(fact.Online, s.Also...)
	if s.ID == "user" {
		add(fact.OnPremises, "Get-CASMailbox")
		add(fact.Online, "Get-CASMailbox")
	}
	if len(s.Checks) > 0 || s.ID == "" {
		for _, source := range prereq.Sources(s.Checks...) {
			if len(source.Right) > 0 {
				add(source.System, msg.Alternatives(source.Right).String())
			}
		}
	}
	for system := range out {
		slices.Sort(out[system])
	}
	return out
}

// SubjectRights lists what the accounts need for a subject, a line per system.
func SubjectRights(s Subject) (lines []string) {
	rights := leastRights(s)
	for _, system := range rightsSystems {
		if len(rights[system]) > 0 {
			lines = append(lines, string(system)+": "+strings.Join(rights[system], ", "))
		}
	}
	if s.Lookups {
		lines = append(lines, "EWS on-premises: a mailbox for the account of exchange.ews")
	}
	return lines
}
