package mail

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/hybridge-cli/hybridge/pkg/config/sorting"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/lab/organization"
)

// queue is what waits for one next hop, and why.
type queue struct {
	number   int
	hop      string
	last     string // error
	messages []queued
}

// enqueue puts a message into the queue of its next hop until the next attempt.
func (t *Transport) enqueue(hop, status string, m queued) {
	t.mu.Lock()
	defer t.mu.Unlock()
	q := t.queues[hop]
	if q == nil {
		t.number++
		q = &queue{number: t.number, hop: hop}
		t.queues[hop] = q
	}
	q.last, q.messages = status, append(q.messages, m)
}

// leave takes a message out of the queues.
func (t *Transport) leave(m queued) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for hop, q := range t.queues {
		if q.messages = slices.DeleteFunc(q.messages,
			func(w queued) bool { return w.id == m.id }); len(q.messages) == 0 {
			delete(t.queues, hop)
		}
	}
}

func (t *Transport) queueID(q *queue) string {
	return fmt.Sprintf(`%s\%d`, t.name(), q.number)
}

// waiting are the queues by number.
func (t *Transport) waiting() []queue {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []queue
	for q := range maps.Values(t.queues) {
		out = append(out, *q)
	}
	sorting.Func(out, func(a, b queue) int { return a.number - b.number })
	return out
}

func (t *Transport) getQueue(_ context.Context, c organization.Call) ([]exchange.Object, error) {
	identity, _ := c.Parameters["Identity"].(string)
	if err := onlyThese(c, "Identity", "Server"); err != nil {
		return nil, err
	}
	var out []exchange.Object
	for _, q := range t.waiting() {
		if identity == "" || strings.EqualFold(identity, t.queueID(&q)) {
			out = append(out,
				exchange.NewObject([]string{"Microsoft.Exchange.Data.QueueViewer.ExtensibleQueueInfo"}, t.queueID(&q),
					"DeliveryType", "DnsConnectorDelivery", "NextHopDomain", q.hop, "Status", "Retry", "MessageCount",
					int64(len(q.messages)), "LastError", q.last))
		}
	}
	return out, nil
}

var subjectFilter = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)^\s*\{?\s*Subject\s+-eq\s+["']([^"']*)["']\s*\}?\s*$`)
})

// getMessage lists messages that wait. A queue knows why; a message that was never tried by itself
// does not.
func (t *Transport) getMessage(_ context.Context, c organization.Call) ([]exchange.Object, error) {
	if err := onlyThese(c, "Filter", "Server", "ResultSize"); err != nil {
		return nil, err
	}
	filter, _ := c.Parameters["Filter"].(string)
	subject := subjectFilter().FindStringSubmatch(filter)
	if filter != "" && subject == nil {
		return nil, notSimulated("Get-Message -Filter " + filter)
	}
	var out []exchange.Object
	for _, q := range t.waiting() {
		for _, m := range q.messages {
			if subject == nil || strings.EqualFold(subject[1], m.subject) {
				out = append(out,
					exchange.NewObject([]string{"Microsoft.Exchange.Data.QueueViewer.ExtensibleMessageInfo"},
						t.queueID(&q)+`\1`, "Subject", m.subject, "InternetMessageId", m.id, "FromAddress", m.from,
						"Status", "Ready",
						"Queue", t.queueID(&q), "LastError", ""))
			}
		}
	}
	return out, nil
}

func onlyThese(c organization.Call, known ...string) error {
	for name := range c.Parameters {
		if !slices.Contains(known, name) {
			return notSimulated(c.Cmdlet + " -" + name)
		}
	}
	return nil
}

func notSimulated(what string) error {
	return &exchange.Error{Category: "NotImplemented", ExceptionType: "System.NotImplementedException",
		Message: "The lab doesn't simulate this: " + what}
}
