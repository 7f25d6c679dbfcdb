package lab

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/lab/organization"
)

// getRecipient is Get-Recipient: every kind of recipient in one reduced form, whose
// ExternalEmailAddress is the target address also of a remote mailbox.
func (p *premise) getRecipient(_ context.Context, c organization.Call) ([]exchange.Object, error) {
	identity, _ := c.Parameters["Identity"].(string)
	limit, size := 1000, fmt.Sprint(c.Parameters["ResultSize"])
	if c.Parameters["ResultSize"] != nil {
		limit, _ = strconv.Atoi(size) // 0 is Unlimited
	}
	kinds, _ := c.Parameters["RecipientTypeDetails"].([]string)
	if kind, ok := c.Parameters["RecipientTypeDetails"].(string); ok {
		kinds = strings.Split(kind, ",")
	}
	for name := range c.Parameters {
		if !slices.Contains([]string{"Identity", "ResultSize", "RecipientTypeDetails", "DomainController", "SortBy",
			"Filter"}, name) {
			return nil, &exchange.Error{Category: "NotImplemented", ExceptionType: "System.NotImplementedException",
				Message: "The lab doesn't simulate this: Get-Recipient -" + name}
		}
	}
	anyOf, err := addressFilter(c)
	if err != nil {
		return nil, err
	}
	var found []exchange.Object
	for _, noun := range append(slices.Clone(recipientNouns), "DistributionGroup") {
		for _, r := range p.org.Objects(noun) {
			held := func(a string) bool { return holds(r, a) }
			if identity != "" && !named(r, identity) || anyOf != nil && !slices.ContainsFunc(anyOf, held) {
				continue
			}
			if len(kinds) > 0 && !slices.ContainsFunc(kinds,
				func(k string) bool {
					return strings.EqualFold(strings.TrimSpace(k),
						r.String("RecipientTypeDetails"))
				}) {
				continue
			}
			target := r.String("ExternalEmailAddress")
			if noun == "RemoteMailbox" {
				target = r.String("RemoteRoutingAddress")
			}
			pairs := []any{
				"Name", r.String("Name"), "Alias", r.String("Alias"), "DisplayName", r.String("DisplayName"),
				"PrimarySmtpAddress", r.String("PrimarySmtpAddress"),
				"EmailAddresses", r.Strings("EmailAddresses"), "RecipientType", r.String("RecipientType"),
				"RecipientTypeDetails", r.String("RecipientTypeDetails"),
				"ExternalEmailAddress", nil, "SamAccountName", r.String("SamAccountName"),
				"HiddenFromAddressListsEnabled", r.Bool("HiddenFromAddressListsEnabled"),
				"ExchangeGuid", r.String("ExchangeGuid"), "Database", r.String("Database"),
			}
			for i := range 15 {
				name := fmt.Sprint("CustomAttribute", i+1)
				pairs = append(pairs, name, r.String(name))
			}
			if target != "" {
				pairs[15] = target
			}
			types := []string{"Microsoft.Exchange.Data.Directory.Management.ReducedRecipient"}
			found = append(found, exchange.NewObject(types, r.String("Name"), pairs...))
			if limit > 0 && len(found) > limit {
				c.Warn("There are more results available than are currently displayed. To view them, increase the " +
					"value for the ResultSize parameter.")
				return found[:limit], nil
			}
		}
	}
	if identity != "" && len(found) == 0 {
		return nil, &exchange.Error{
			Cmdlet: c.Cmdlet, Category: "NotSpecified",
			FullyQualifiedID: "ManagementObjectNotFoundException,Microsoft.Exchange.Management.RecipientTasks.GetRecipient",
			ExceptionType:    "Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException",
			Message: fmt.Sprintf("The operation couldn't be performed because object '%s' couldn't be found on "+
				"'%s'.", identity, p.name),
		}
	}
	return found, nil
}

// addressFilter reads the filters that the lab simulates: EmailAddresses -eq 'ADDRESS', some of them
// joined by -or. It is nil without a filter.
func addressFilter(c organization.Call) ([]string, error) {
	text, ok := c.Parameters["Filter"].(string)
	if !ok {
		return nil, nil
	}
	addresses := []string{}
	for part := range strings.SplitSeq(text, " -or ") {
		m := addressTerm().FindStringSubmatch(part)
		if m == nil {
			return nil, &exchange.Error{Category: "NotImplemented", ExceptionType: "System.NotImplementedException",
				Message: "The lab doesn't simulate this: " + c.Cmdlet + " -Filter " + part}
		}
		addresses = append(addresses, strings.ReplaceAll(m[1], "''", "'"))
	}
	return addresses, nil
}

var addressTerm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)^\s*EmailAddresses\s+-eq\s+'(?:smtp:)?((?:[^']|'')+)'\s*$`)
})

// getCASMailbox shows what a mailbox of this side lets in. A mailbox that closed names lets no EWS
// in.
func (p *premise) getCASMailbox(_ context.Context, c organization.Call) ([]exchange.Object, error) {
	identity, _ := c.Parameters["Identity"].(string)
	for name := range c.Parameters {
		if !slices.Contains([]string{"Identity", "DomainController"}, name) {
			return nil, &exchange.Error{Category: "NotImplemented", ExceptionType: "System.NotImplementedException",
				Message: "The lab doesn't simulate this: Get-CASMailbox -" + name}
		}
	}
	var found []exchange.Object
	for _, r := range p.org.Objects("Mailbox") {
		if identity != "" && !named(r, identity) {
			continue
		}
		var open any
		if slices.Contains(p.closed, strings.ToLower(r.String("PrimarySmtpAddress"))) {
			open = false
		}
		found = append(found, exchange.NewObject([]string{"Microsoft.Exchange.Data.Directory.Management.CASMailbox"},
			r.String("Name"), "Name", r.String("Name"), "DisplayName", r.String("DisplayName"),
			"PrimarySmtpAddress", r.String("PrimarySmtpAddress"), "EwsEnabled", open, "EwsAllowOutlook", nil,
			"EwsAllowMacOutlook", nil, "EwsApplicationAccessPolicy", nil, "EwsAllowList", nil, "EwsBlockList", nil))
	}
	if identity != "" && len(found) == 0 {
		return nil, &exchange.Error{
			Cmdlet: c.Cmdlet, Category: "NotSpecified",
			FullyQualifiedID: "ManagementObjectNotFoundException," +
				"Microsoft.Exchange.Management.RecipientTasks.GetCASMailbox",
			ExceptionType: "Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException",
			Message: fmt.Sprintf("The operation couldn't be performed because object '%s' couldn't be found on '%s'.",
				identity, p.name),
		}
	}
	return found, nil
}

// named reports whether an identity finds a recipient: by an address, the alias, the name or the
// sign-in name.
func named(r *organization.Record, identity string) bool {
	for _, property := range []string{"Name", "Alias", "UserPrincipalName", "SamAccountName", "PrimarySmtpAddress"} {
		if strings.EqualFold(r.String(property), identity) {
			return true
		}
	}
	return holds(r, identity)
}

func holds(r *organization.Record, address string) bool {
	return slices.ContainsFunc(r.Strings("EmailAddresses"), func(a string) bool {
		_, held, _ := strings.Cut(a, ":")
		return strings.EqualFold(held, address)
	})
}
