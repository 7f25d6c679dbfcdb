// Package delivery sends a message from one premise to another, and judges how it arrives: whether,
// over TLS, and as internal mail of the organization.
package delivery

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/engine/broken"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/diagnose"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// Probe is the probe of answers of this package.
const Probe = freebusy.MessageProbe

// Premise is a place of mailboxes that can send and read messages.
type Premise struct {
	freebusy.Premise
	Post Post
	Edge []string // hosts of its Edge servers
	// Hosts are the names of its Mailbox servers: each has its own queues and log, and a cmdlet that
	// names none reads those of the server that it runs at. nil: that one alone.
	Hosts func(ctx context.Context) ([]string, error)
}

// Post sends and reads the messages of a premise's mailboxes.
type Post interface {
	Send(ctx context.Context, from, to, subject string) error
	// Find returns the messages with a subject in the inbox of a mailbox.
	Find(ctx context.Context, mailbox, subject string) ([]Item, error)
	Delete(ctx context.Context, mailbox, id string) error
}

// Item is a message in a mailbox.
type Item struct {
	ID     string
	Header Header
}

// Options for Run.
type Options struct {
	Pairs []freebusy.Pair
	Wait  time.Duration // for a message; three minutes when 0
	Every time.Duration // between looks; two seconds when 0
}

// subjectPrefix begins the subject of every test message. A unique text follows.
const (
	subjectPrefix = "hybridge test "
	text          = "hybridge test --message sent this message and deletes it again. You may delete it."
	// removalLimit limits the deletion of a message, also after Ctrl-C.
	removalLimit = 30 * time.Second
)

// Run sends a message for every pair, in parallel across pairs, and waits for each.
func Run(ctx context.Context, premises []Premise, o Options, obs observe.Observer) (freebusy.Report, error) {
	if o.Wait == 0 {
		o.Wait = 3 * time.Minute
	}
	if o.Every == 0 {
		o.Every = 2 * time.Second
	}
	obs.Observe(observe.Started{Stage: "test", Total: len(o.Pairs)})
	report := freebusy.Report{APIVersion: "hybridge/v1", Kind: "TestReport", Matrix: make([]freebusy.Answer,
		len(o.Pairs))}
	var wait sync.WaitGroup
	var tell sync.Mutex
	for i, pair := range o.Pairs {
		wait.Go(func() {
			a := attempt(ctx, premises, o, pair)
			report.Matrix[i] = a
			tell.Lock()
			defer tell.Unlock()
			obs.Observe(a)
		})
	}
	wait.Wait()
	report.Count()
	return report, ctx.Err()
}

// attempt sends one message. A panic is an error of that message alone.
func attempt(ctx context.Context, premises []Premise, o Options, pair freebusy.Pair) (a freebusy.Answer) {
	a = freebusy.Answer{From: pair.From, To: pair.To, Direction: "? -> ?", Probe: Probe, Route: []string{}}
	err := func() (err error) {
		defer broken.Into(&err, "the message to "+pair.To)
		return send(ctx, premises, o, &a)
	}()
	var stop *failure
	switch {
	case err == nil:
		a.Status = freebusy.OK
	case errors.As(err, &stop):
		a.Status, a.Error, a.Cause, a.Diagnosis = freebusy.Failed, err.Error(), err, stop.suspects
		if stop.waits {
			a.Status = freebusy.Pending
		}
	default:
		a.Status, a.Error, a.Cause = freebusy.Unknown, err.Error(), err
	}
	return a
}

// home finds the premise of an address.
func home(ctx context.Context, premises []Premise, address string) (Premise, error) {
	plain := make([]freebusy.Premise, len(premises))
	for i, p := range premises {
		plain[i] = p.Premise
	}
	found, err := freebusy.Home(ctx, plain, address)
	if err != nil {
		return Premise{}, err
	}
	for _, p := range premises {
		if p.Name == found.Name {
			return p, nil
		}
	}
	return Premise{}, fmt.Errorf("%s is in no domain of this deployment", address)
}

func send(ctx context.Context, premises []Premise, o Options, a *freebusy.Answer) error {
	from, err := home(ctx, premises, a.From)
	if err != nil {
		return err
	}
	to, err := home(ctx, premises, a.To)
	if err != nil {
		return err
	}
	a.Direction = from.Name + " -> " + to.Name
	subject := subjectPrefix + rand.Text()
	started := time.Now()
	if err := from.Post.Send(ctx, a.From, a.To, subject); err != nil {
		return fmt.Errorf("%s: send a message of %s: %w", from.Name, a.From, err)
	}
	item, err := await(ctx, from, to, o, *a, subject)
	a.LatencyMS = time.Since(started).Milliseconds()
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removalLimit)
		defer cancel()
		if err := to.Post.Delete(ctx, a.To, item.ID); err != nil {
			a.Note = fmt.Sprintf("the message %q is still in the mailbox of %s: %v", subject, a.To, err)
		}
	}()
	a.Route = item.Header.hops()
	// Between Exchange and Amazon WorkMail, mail is that of two organizations, and the headers of
	// WorkMail do not show TLS.
	if from.Name == to.Name || from.Session == nil || to.Session == nil {
		return nil
	}
	return judge(ctx, from, to, item.Header, subject)
}

// await looks for the message until it has arrived, until a server says why it has not, or until
// the time is over. A server that puts the message off (greylisting) is waited for.
func await(ctx context.Context, from, to Premise, o Options, a freebusy.Answer, subject string) (Item, error) {
	limited, cancel := context.WithTimeout(ctx, o.Wait)
	defer cancel()
	var blind, silent error // what kept us from looking into the mailbox, and at the sender's servers
	var waiting *failure    // what a server that retries said last
	for {
		found, err := to.Post.Find(limited, a.To, subject)
		switch {
		case err == nil && len(found) > 0:
			return found[0], nil
		case err != nil && limited.Err() == nil:
			blind = fmt.Errorf("%s: look for the message in the mailbox of %s: %w", to.Name, a.To, err)
			if errors.Is(err, link.ErrAccess) {
				return Item{}, blind
			}
		}
		for _, p := range []Premise{from, to} {
			h, err := trace(limited, p, subject)
			if err != nil && limited.Err() == nil {
				silent = err
			}
			if h.status == "" {
				continue
			}
			if waiting = stopped(from, to, p, h); !waiting.waits {
				return Item{}, waiting
			}
		}
		select {
		case <-ctx.Done():
			return Item{}, ctx.Err()
		case <-limited.Done():
			if waiting != nil {
				waiting.text = fmt.Sprintf("the message still waits after %s: %s", o.Wait, waiting.text)
				return Item{}, waiting
			}
			if err := errors.Join(blind, silent); err != nil {
				return Item{}, fmt.Errorf("no message after %s, and no reason: %w", o.Wait, err)
			}
			if stop := beyond(ctx, []Premise{from, to}, subject); stop != nil {
				return Item{}, stop
			}
			return Item{},
				&failure{text: fmt.Sprintf("the message is not in the mailbox of %s after %s, and no server says "+
					"why: look into its junk folder and at the mail rules", a.To, o.Wait)}
		case <-time.After(o.Every):
		}
	}
}

// beyond finds the Edge server that has the message: nothing here can ask its queues.
func beyond(ctx context.Context, premises []Premise, subject string) error {
	for _, p := range premises {
		if len(p.Edge) == 0 {
			continue
		}
		sent, err := atServers(ctx, p, "Get-MessageTrackingLog", "MessageSubject", subject, "EventId", "SEND")
		if err != nil {
			continue // the message has not arrived, whatever the log says
		}
		for _, e := range sent {
			host, _ := e.String("ServerHostname")
			if slices.ContainsFunc(p.Edge, func(edge string) bool { return sameServer(edge, host) }) {
				return failed(diagnose.MailEdgeStale, 0.7,
					"%s handed the message to its Edge server %s, which has not "+
						"passed it on: run Get-Queue there. When no connector takes it, EdgeSync is behind: "+
						"Start-EdgeSynchronization on a Mailbox server", p.Name, link.Line(host))
			}
		}
	}
	return nil
}

// sameServer compares hosts by their first label: servers are named either way.
func sameServer(a, b string) bool {
	first, _, _ := strings.Cut(a, ".")
	second, _, _ := strings.Cut(b, ".")
	return strings.EqualFold(first, second)
}

// hold is why a premise's servers hold or refuse a message; the zero value when they say nothing.
type hold struct {
	status   string
	deferred bool // they retry
}

func trace(ctx context.Context, p Premise, subject string) (hold, error) {
	if p.Session == nil {
		return hold{}, nil // it shows nothing of messages
	}
	if p.Side == exchange.OnPremises {
		return traceOnPremises(ctx, p, subject)
	}
	return traceOnline(ctx, p, subject)
}

func run(ctx context.Context, p Premise, cmdlet string, pairs ...string) ([]exchange.Object, error) {
	c := exchange.Command{Name: cmdlet, Parameters: map[string]any{}}
	for i := 0; i < len(pairs); i += 2 {
		c.Parameters[pairs[i]] = pairs[i+1]
	}
	found, err := p.Session.Read(ctx, c)
	if err != nil {
		err = fmt.Errorf("%s: %s: %w", p.Name, cmdlet, err)
	}
	return found, err
}

// atServers runs a cmdlet once per Mailbox server. What one server shows counts, although another one
// does not answer.
func atServers(ctx context.Context, p Premise, cmdlet string, pairs ...string) ([]exchange.Object, error) {
	var hosts []string
	var unlisted error
	if p.Hosts != nil {
		hosts, unlisted = p.Hosts(ctx)
	}
	if len(hosts) == 0 {
		found, err := run(ctx, p, cmdlet, pairs...)
		if err == nil && len(found) == 0 {
			err = unlisted
		}
		return found, err
	}
	var out []exchange.Object
	var silent error
	for _, host := range hosts {
		found, err := run(ctx, p, cmdlet, append(slices.Clone(pairs), "Server", host)...)
		out, silent = append(out, found...), errors.Join(silent, err)
	}
	if len(out) > 0 {
		silent = nil
	}
	return out, silent
}

// traceOnPremises looks into the queues, then into the log of messages that were refused for good.
func traceOnPremises(ctx context.Context, p Premise, subject string) (hold, error) {
	waiting, silent := atServers(ctx, p, "Get-Message", "Filter", "Subject -eq '"+subject+"'")
	for _, m := range waiting {
		if last, _ := m.String("LastError"); last != "" {
			return hold{last, true}, nil
		}
		queue, _ := m.String("Queue")
		queues, err := run(ctx, p, "Get-Queue", "Identity", queue)
		if err != nil {
			return hold{}, err
		}
		for _, q := range queues {
			if last, _ := q.String("LastError"); last != "" {
				return hold{last, true}, nil
			}
		}
	}
	refused, err := atServers(ctx, p, "Get-MessageTrackingLog", "MessageSubject", subject, "EventId", "FAIL")
	for _, e := range refused {
		if status, _ := e.Strings("RecipientStatus"); len(status) > 0 {
			return hold{status[0], false}, nil
		}
	}
	return hold{}, errors.Join(silent, err)
}

// traceOnline returns the last word of the trace: a message that was put off may have been refused
// or handed over since.
func traceOnline(ctx context.Context, p Premise, subject string) (h hold, err error) {
	events, err := traceEvents(ctx, p, subject)
	for _, e := range events {
		switch name, _ := e.String("Event"); name {
		case "Fail", "Defer":
			detail, err := e.String("Detail")
			if err != nil {
				return hold{}, err
			}
			if h = (hold{detail, name == "Defer"}); !h.deferred {
				return h, nil
			}
		case "Deliver", "Send external":
			h = hold{}
		}
	}
	return h, err
}

// traceEvents are the events of Exchange Online for the messages with a subject.
func traceEvents(ctx context.Context, p Premise, subject string) ([]exchange.Object, error) {
	found, err := run(ctx, p, "Get-MessageTraceV2", "Subject", subject)
	if err != nil {
		return nil, err
	}
	var out []exchange.Object
	for _, m := range found {
		id, _ := m.String("MessageTraceId")
		recipient, _ := m.String("RecipientAddress")
		events, err := run(ctx, p, "Get-MessageTraceDetailV2", "MessageTraceId", id, "RecipientAddress", recipient)
		if err != nil {
			return out, err
		}
		out = append(out, events...)
	}
	return out, nil
}
