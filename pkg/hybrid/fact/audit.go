package fact

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/sorting"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// AuditEvent is a cmdlet that an audit log has.
type AuditEvent struct {
	At     time.Time
	Who    string
	Cmdlet string
	Object string // as the log names it: a name, an identity, or a path that ends with one
}

// maxAudit is how many events are asked for.
const maxAudit = 5000

// Audit reads which of some cmdlets succeeded between two moments. On-premises, the cmdlet is
// Search-AdminAuditLog; online, Search-UnifiedAuditLog, which shows an event up to some hours later.
// Both need the role View-Only Audit Logs.
func Audit(ctx context.Context, side *Side, online bool, from, to time.Time, cmdlets []string) ([]AuditEvent, error) {
	session, err := side.Session(ctx)
	if err != nil {
		return nil, err
	}
	// This form is read alike in every culture.
	moment := func(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }
	c := exchange.Command{Name: "Search-AdminAuditLog", Parameters: map[string]any{"Cmdlets": cmdlets,
		"StartDate": moment(from), "EndDate": moment(to), "IsSuccess": true, "ResultSize": int64(maxAudit)}}
	read := adminEvent
	if online {
		c = exchange.Command{Name: "Search-UnifiedAuditLog", Parameters: map[string]any{"RecordType": "ExchangeAdmin",
			"Operations": cmdlets, "StartDate": moment(from), "EndDate": moment(to), "ResultSize": int64(maxAudit)}}
		read = unifiedEvent
	}
	objects, err := session.Read(ctx, c)
	if err != nil {
		return nil, err
	}
	var out []AuditEvent
	for _, o := range objects {
		e, err := read(o)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Name, err)
		}
		if e.Cmdlet != "" {
			e.Who, e.Object = link.Line(e.Who), link.Line(e.Object)
			out = append(out, e)
		}
	}
	sorting.Stable(out, func(a, b AuditEvent) int { return a.At.Compare(b.At) })
	return out, nil
}

func adminEvent(o exchange.Object) (e AuditEvent, err error) {
	if e.At, err = o.Time("RunDate"); err != nil {
		return e, fmt.Errorf("RunDate: %w", err)
	}
	if done, err := o.Bool("Succeeded"); err == nil && !done {
		return AuditEvent{}, nil
	}
	e.Who, _ = o.String("Caller")
	e.Cmdlet, _ = o.String("CmdletName")
	e.Object, _ = o.String("ObjectModified")
	return e, nil
}

// unifiedEvent reads the JSON of an event. Its times are UTC without a zone.
func unifiedEvent(o exchange.Object) (AuditEvent, error) {
	text, err := o.String("AuditData")
	if err != nil {
		return AuditEvent{}, fmt.Errorf("AuditData: %w", err)
	}
	var data struct{ CreationTime, Operation, UserId, ObjectId, ResultStatus string } // names of the log
	if err := json.Unmarshal([]byte(text), &data); err != nil {
		return AuditEvent{}, fmt.Errorf("AuditData: %w", err)
	}
	if strings.EqualFold(data.ResultStatus, "False") || strings.EqualFold(data.ResultStatus, "Failed") {
		return AuditEvent{}, nil
	}
	at, err := time.Parse("2006-01-02T15:04:05", strings.TrimSuffix(data.CreationTime, "Z"))
	if err != nil {
		return AuditEvent{}, fmt.Errorf("CreationTime: %w", err)
	}
	return AuditEvent{At: at, Who: data.UserId, Cmdlet: data.Operation, Object: data.ObjectId}, nil
}

// About reports whether an event is about an object of a name or identity.
func (e AuditEvent) About(names ...string) bool {
	object := strings.ToLower(e.Object)
	return slices.ContainsFunc(names, func(name string) bool {
		name = strings.ToLower(name)
		rest, ok := strings.CutSuffix(object, name)
		return name != "" && ok && (rest == "" || strings.HasSuffix(rest, `\`) || strings.HasSuffix(rest, "/"))
	})
}
