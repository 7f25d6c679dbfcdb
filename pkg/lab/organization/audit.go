package organization

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
)

// audited is one run of a cmdlet that changes something, as the audit log keeps it.
type audited struct {
	at             time.Time
	caller, cmdlet string
	object         string
	failure        string
}

// audit logs a run. Exchange logs no cmdlet that only reads.
func (o *Organization) audit(c Call, failure error) {
	verb, _, _ := strings.Cut(c.Cmdlet, "-")
	if slices.Contains([]string{"Get", "Test", "Search"}, verb) {
		return
	}
	e := audited{at: o.c.Clock().UTC(), caller: c.Caller.User, cmdlet: c.Cmdlet}
	for _, name := range []string{"Identity", "Name"} {
		if v := c.Parameters[name]; v != nil && e.object == "" {
			e.object = fmt.Sprint(v)
		}
	}
	if failure != nil {
		e.failure = failure.Error()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.log = append(o.log, e)
}

// search returns the logged runs that the parameters of a search select, newest first, as Exchange
// lists them. A wrong date is refused.
func (o *Organization) search(c Call, cmdlets string) ([]audited, error) {
	bound := func(name string, otherwise time.Time) (time.Time, error) {
		switch v := c.Parameters[name].(type) {
		case nil:
			return otherwise, nil
		case time.Time:
			return v, nil
		default:
			t, err := time.Parse(time.RFC3339, fmt.Sprint(v))
			if err != nil {
				return t, invalid(dataValidation, "The value %q of %s is not a valid date.", v, name)
			}
			return t, nil
		}
	}
	now := o.c.Clock()
	from, err := bound("StartDate", now.AddDate(0, 0, -14))
	if err != nil {
		return nil, err
	}
	to, err := bound("EndDate", now)
	if err != nil {
		return nil, err
	}
	if to.Before(from) {
		return nil, invalid(dataValidation, "The start date must be earlier than the end date.")
	}
	var names []string
	for _, v := range asList(c.Parameters[cmdlets]) {
		names = append(names, fmt.Sprint(v))
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []audited
	for _, e := range slices.Backward(o.log) {
		within := !e.at.Before(from.Add(-time.Second)) && !e.at.After(to)
		if within && (len(names) == 0 || containsFold(names, e.cmdlet)) {
			out = append(out, e)
		}
	}
	if size, ok := c.Parameters["ResultSize"].(int64); ok && int(size) < len(out) {
		out = out[:size]
	}
	return out, nil
}

// searchAdminAudit is Search-AdminAuditLog.
func searchAdminAudit(_ context.Context, c Call) ([]exchange.Object, error) {
	found, err := c.Organization.search(c, "Cmdlets")
	var out []exchange.Object
	for _, e := range found {
		if only, given := c.Parameters["IsSuccess"].(bool); given && only != (e.failure == "") {
			continue
		}
		out = append(out, exchange.NewObject([]string{
			"Microsoft.Exchange.Management.SystemConfigurationTasks.AdminAuditLogEvent"}, "",
			"ObjectModified", e.object, "CmdletName", e.cmdlet, "Caller", c.Organization.c.FQDN+"/Users/"+e.caller,
			"Succeeded", e.failure == "", "Error", e.failure, "RunDate", e.at,
			"OriginatingServer", firstLabel(c.Organization.c.Host)+" (15.02.2562.053)"))
	}
	return out, err
}

// searchUnifiedAudit is Search-UnifiedAuditLog, for the records of Exchange's cmdlets. Exchange
// Online shows an event up to some hours later; here it shows at once.
func searchUnifiedAudit(_ context.Context, c Call) ([]exchange.Object, error) {
	found, err := c.Organization.search(c, "Operations")
	var out []exchange.Object
	for i, e := range found {
		data, _ := json.Marshal(map[string]any{"CreationTime": e.at.Format("2006-01-02T15:04:05"),
			"Operation":  e.cmdlet,
			"RecordType": 1, "ResultStatus": map[bool]string{true: "True", false: "False"}[e.failure == ""],
			"UserId": e.caller, "ObjectId": e.object, "Workload": "Exchange"})
		out = append(out, exchange.NewObject([]string{
			"Microsoft.Exchange.Data.ApplicationLogic.UnifiedAuditLogEvent"}, "",
			"RecordType", "ExchangeAdmin", "CreationDate", e.at, "UserIds", e.caller, "Operations", e.cmdlet,
			"AuditData", string(data), "ResultIndex", int64(i+1), "ResultCount", int64(len(found))))
	}
	return out, err
}
