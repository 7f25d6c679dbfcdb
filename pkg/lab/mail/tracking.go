package mail

import (
	"context"
	"crypto/tls"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/lab/organization"
)

// event is one line of the message tracking log.
type event struct {
	at         time.Time
	id, source string
	connector  string
	client     string
	server     string
	status     string // of the recipient
	tls        *tls.ConnectionState
	recipients []string
	message    queued
}

func (t *Transport) record(e event, m queued, recipients ...string) {
	e.at, e.message, e.recipients = t.Now().UTC(), m, recipients
	t.mu.Lock()
	defer t.mu.Unlock()
	t.events = append(t.events, e)
}

// found are the events that a call asks for.
func (t *Transport) found(c organization.Call, id, sender, recipient, subject string) []event {
	t.mu.Lock()
	defer t.mu.Unlock()
	texts := func(name string) []string {
		switch v := c.Parameters[name].(type) {
		case string:
			return []string{v}
		case []string:
			return v
		}
		return nil
	}
	is := func(name, value string) bool {
		wanted := texts(name)
		return len(wanted) == 0 || slices.ContainsFunc(wanted, func(w string) bool {
			return strings.EqualFold(w,
				value)
		})
	}
	var out []event
	for _, e := range t.events {
		to := texts(recipient)
		if is(id, e.message.id) && is(sender, e.message.from) && is("EventId", e.id) && is("Source", e.source) &&
			(len(to) == 0 || slices.ContainsFunc(to, func(w string) bool {
				return slices.ContainsFunc(e.recipients, func(r string) bool { return strings.EqualFold(r, w) })
			})) &&
			(len(texts(subject)) == 0 || strings.Contains(strings.ToLower(e.message.subject),
				strings.ToLower(texts(subject)[0]))) {
			out = append(out, e)
		}
	}
	return out
}

// track makes the cmdlets that follow messages.
func (t *Transport) track() {
	if t.Tenant == "" {
		type look = func(*Transport, context.Context, organization.Call) ([]exchange.Object, error)
		for cmdlet, run := range map[string]look{
			"Get-MessageTrackingLog": (*Transport).trackingLog, "Get-Message": (*Transport).getMessage,
			"Get-Queue": (*Transport).getQueue,
		} {
			t.Organization.Handle(cmdlet, func(ctx context.Context, c organization.Call) ([]exchange.Object, error) {
				if t.At == nil {
					return run(t, ctx, c)
				}
				at, err := t.At(c)
				if err != nil {
					return nil, err
				}
				return run(at, ctx, c)
			})
		}
		return
	}
	t.Organization.Handle("Get-MessageTraceV2", t.trace)
	t.Organization.Handle("Get-MessageTraceDetailV2", t.traceDetail)
}

func direction(m queued) string {
	if m.internal {
		return "Originating"
	}
	return "Incoming"
}

func (t *Transport) trackingLog(_ context.Context, c organization.Call) ([]exchange.Object, error) {
	var out []exchange.Object
	for _, e := range t.found(c, "MessageId", "Sender", "Recipients", "MessageSubject") {
		var status []string
		if e.status != "" {
			status = []string{e.status}
		}
		out = append(out,
			exchange.NewObject([]string{"Microsoft.Exchange.Management.TransportLogSearchTasks.MessageTrackingEvent"},
				"", "Timestamp", e.at, "ClientHostname", e.client, "ServerHostname", e.server, "ConnectorId",
				e.connector, "Source",
				e.source, "EventId", e.id, "MessageId", e.message.id, "Recipients", e.recipients, "RecipientStatus",
				status,
				"MessageSubject", e.message.subject, "Sender", e.message.from, "Directionality", direction(e.message)))
	}
	return out, nil
}

// traceID is the id of a message's way to a recipient.
func traceID(e event) string {
	h := fnv.New128a()
	h.Write([]byte(e.message.id))
	b := h.Sum(nil)
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// trace shows each message once per recipient, with where it stands.
func (t *Transport) trace(_ context.Context, c organization.Call) ([]exchange.Object, error) {
	status := map[string]string{"RECEIVE": "Pending", "DEFER": "Pending", "DELIVER": "Delivered",
		"SENDEXTERNAL": "Delivered", "FAIL": "Failed"}
	type key struct{ id, to string }
	var order []key
	last := map[key]event{}
	for _, e := range t.found(c, "MessageId", "SenderAddress", "RecipientAddress", "Subject") {
		if status[e.id] == "" {
			continue
		}
		for _, to := range e.recipients {
			k := key{e.message.id, strings.ToLower(to)}
			if _, seen := last[k]; !seen {
				order = append(order, k)
			}
			last[k] = e
		}
	}
	var out []exchange.Object
	for _, k := range order {
		e := last[k]
		out = append(out, exchange.NewObject([]string{"Microsoft.Exchange.Management.FfoReporting.MessageTraceV2"}, "",
			"Received", e.at, "SenderAddress", e.message.from, "RecipientAddress", k.to, "Subject",
			e.message.subject, "Status",
			status[e.id], "MessageId", e.message.id, "MessageTraceId", traceID(e), "Size", int64(len(e.message.body))))
	}
	return out, nil
}

func (t *Transport) traceDetail(_ context.Context, c organization.Call) ([]exchange.Object, error) {
	names := map[string]string{"RECEIVE": "Receive", "DEFER": "Defer", "DELIVER": "Deliver",
		"SENDEXTERNAL": "Send external",
		"FAIL":         "Fail", "RESOLVE": "Expand"}
	wanted, _ := c.Parameters["MessageTraceId"].(string)
	var out []exchange.Object
	for _, e := range t.found(c, "MessageId", "SenderAddress", "RecipientAddress", "") {
		if wanted != "" && !strings.EqualFold(wanted, traceID(e)) {
			continue
		}
		detail := e.status
		if e.id == "RECEIVE" {
			detail = "Message received by: " + t.Host
			if e.tls != nil {
				detail += " using " + tls.VersionName(e.tls.Version)
			}
			if e.connector != "" {
				detail += " with connector " + e.connector
			}
		}
		data := ""
		if e.id == "RECEIVE" && e.connector != "" {
			data = "S:InboundConnectorData=Name=" + e.connector + ";ConnectorType=OnPremises;TenantId=" + t.Tenant
		}
		out = append(out,
			exchange.NewObject([]string{"Microsoft.Exchange.Management.FfoReporting.MessageTraceDetailV2"}, "",
				"Date", e.at, "Event", names[e.id], "Action", "", "Detail", detail, "Data", data,
				"MessageId", e.message.id, "MessageTraceId", traceID(e), "SenderAddress", e.message.from))
	}
	return out, nil
}
