package snapshot

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"reflect"
	"slices"
	"syscall"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/estate/directory"
	"github.com/hybridge-cli/hybridge/pkg/estate/entra"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/estate/workmail"
	"github.com/hybridge-cli/hybridge/pkg/wire/dns"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
	"github.com/hybridge-cli/hybridge/pkg/wire/psrp"
	"github.com/hybridge-cli/hybridge/pkg/wire/smtp"
)

// Failure is the form of an error: its text, and what code asks of it.
type Failure struct {
	Text string `json:"text"`
	// Is are the classes of the error.
	Is []string `json:"is,omitempty"`
	// Hint is what the error says to do.
	Hint string `json:"hint,omitempty"`
	// TimedOut says that the time for an answer ran out.
	TimedOut bool `json:"timedOut,omitempty"`
	// As are the errors of known types in its chain.
	As []Typed `json:"as,omitempty"`
}

// Typed is an error of a known type.
type Typed struct {
	Type  string          `json:"type"`
	Value json.RawMessage `json:"value"`
}

// classes are the errors that code asks for with errors.Is, by their names in snapshots.
var classes = map[string]error{
	"access": link.ErrAccess, "untrusted": link.ErrUntrusted, "unreachable": link.ErrUnreachable,
	"exchange.absent": exchange.ErrAbsent, "exchange.null": exchange.ErrNull,
	"exchange.unreadable": exchange.ErrUnreadable, "exchange.notFound": exchange.ErrNotFound,
	"exchange.noCmdlet": exchange.ErrNoCmdlet, "exchange.throttled": exchange.ErrThrottled,
	"psrp.shellLimit": psrp.ErrShellLimit, "psrp.loadLimit": psrp.ErrLoadLimit,
	"entra.notFound": entra.ErrNotFound, "entra.throttled": entra.ErrThrottled,
	"workmail.notFound": workmail.ErrNotFound, "workmail.noRole": workmail.ErrNoRole,
	"directory.noExchange": directory.ErrNoExchange,
	"dns.absent":           dns.ErrAbsent, "dns.empty": dns.ErrEmpty, "dns.failed": dns.ErrFailed,
	"cancelled": context.Canceled, "deadline": context.DeadlineExceeded, "timeout": os.ErrDeadlineExceeded,
	"notExist": fs.ErrNotExist, "eof": io.EOF, "unexpectedEOF": io.ErrUnexpectedEOF,
	"connectionRefused": syscall.ECONNREFUSED, "connectionReset": syscall.ECONNRESET, "pipe": syscall.EPIPE,
	"smtp.protocol": smtp.ErrProtocol, "smtp.injected": smtp.ErrInjected,
}

// hostError, nameError and notTLS are the forms of errors that JSON has none for.
type (
	hostError struct {
		Host string
		Err  error
	}
	proxyError struct {
		Proxy string
		Err   error
	}
	workMailError struct {
		Operation, Code, Message string
		Status                   int
	}
	nameError struct {
		Err, Name, Server              string
		IsTimeout, IsTemporary, Absent bool
	}
	stepError struct {
		Address string
		Step    smtp.Step
		Waited  time.Duration
		Heard   bool
		Err     error
	}
	notTLS struct{ Msg string }
	alert  struct{ Code uint8 }
)

// recalled is an error of a snapshot.
type recalled struct {
	text     string
	hint     string
	timedOut bool
	chain    []error
}

func (e *recalled) Error() string   { return e.text }
func (e *recalled) Unwrap() []error { return e.chain }
func (e *recalled) Hint() string    { return e.hint }

// Timeout and Temporary make it a net.Error.
func (e *recalled) Timeout() bool { return e.timedOut }
func (*recalled) Temporary() bool { return false }

func (c *codec) encodeError(err error) (json.RawMessage, error) {
	f, wrong := c.failure(err)
	if wrong != nil {
		return nil, wrong
	}
	return text(f)
}

// failure is the form of an error.
func (c *codec) failure(err error) (Failure, error) {
	f := Failure{Text: err.Error()}
	for name, class := range c.classes {
		if errors.Is(err, class) {
			f.Is = append(f.Is, name)
		}
	}
	slices.Sort(f.Is)
	var hinting interface{ Hint() string }
	if errors.As(err, &hinting) {
		f.Hint = hinting.Hint()
	}
	var timing interface{ Timeout() bool }
	f.TimedOut = errors.As(err, &timing) && timing.Timeout()
	var wrong error
	add := func(name string, value any) {
		raw, err := c.encode(reflect.ValueOf(value))
		if err != nil {
			wrong = err
			return
		}
		f.As = append(f.As, Typed{name, raw})
	}
	var (
		record *exchange.Error
		graph  *entra.Error
		amazon *workmail.Error
		host   *link.HostError
		proxy  *link.ProxyError
		step   *smtp.StepError
		reply  *smtp.ReplyError
		name   *net.DNSError
		header tls.RecordHeaderError
		told   tls.AlertError
	)
	if errors.As(err, &record) {
		add("exchange", *record)
	}
	if errors.As(err, &graph) {
		add("graph", *graph)
	}
	if errors.As(err, &amazon) {
		add("workmail", workMailError{amazon.Operation, amazon.Code, amazon.Message, amazon.Status})
	}
	if errors.As(err, &host) && host.Err != err { //nolint:errorlint // the error itself would not end
		add("host", hostError{host.Host, host.Err})
	}
	if errors.As(err, &proxy) {
		add("proxy", proxyError{proxy.Proxy, proxy.Err})
	}
	if errors.As(err, &step) && step.Err != nil {
		add("step", stepError{step.Address, step.Step, step.Waited, step.Heard, step.Err})
	} else if errors.As(err, &reply) {
		add("reply", *reply)
	}
	if errors.As(err, &name) {
		add("name", nameError{name.Err, name.Name, name.Server, name.IsTimeout, name.IsTemporary, name.IsNotFound})
	}
	if errors.As(err, &header) {
		add("notTLS", notTLS{header.Msg})
	}
	if code, ok := link.RemoteAlert(err); ok {
		add("remoteAlert", alert{code})
	} else if errors.As(err, &told) {
		add("alert", alert{uint8(told)})
	}
	return f, wrong
}

func (c *codec) decodeError(raw json.RawMessage) (recall, wrong error) {
	var f Failure
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, err
	}
	return c.recall(f)
}

// recall makes the error of a failure.
func (c *codec) recall(f Failure) (error, error) {
	e := &recalled{text: f.Text, hint: f.Hint, timedOut: f.TimedOut}
	for _, typed := range f.As {
		err, wrong := c.typed(typed)
		if wrong != nil {
			return nil, fmt.Errorf("error of type %s: %w", link.Line(typed.Type), wrong)
		}
		e.chain = append(e.chain, err)
	}
	for _, name := range f.Is {
		class, known := c.classes[name]
		if !known {
			return nil, fmt.Errorf("there is no class %s of errors", link.Line(name))
		}
		e.chain = append(e.chain, class)
	}
	return e, nil
}

func (c *codec) typed(t Typed) (error, error) {
	switch t.Type {
	case "exchange":
		var e exchange.Error
		return &e, c.decode(t.Value, reflect.ValueOf(&e).Elem())
	case "graph":
		var e entra.Error
		return &e, c.decode(t.Value, reflect.ValueOf(&e).Elem())
	case "workmail":
		var e workMailError
		err := c.decode(t.Value, reflect.ValueOf(&e).Elem())
		return &workmail.Error{Operation: e.Operation, Code: e.Code, Message: e.Message, Status: e.Status}, err
	case "host":
		var e hostError
		err := c.decode(t.Value, reflect.ValueOf(&e).Elem())
		if err == nil && e.Err == nil {
			err = errors.New("it wraps no error")
		}
		return &link.HostError{Host: e.Host, Err: e.Err}, err
	case "proxy":
		var e proxyError
		err := c.decode(t.Value, reflect.ValueOf(&e).Elem())
		if err == nil && e.Err == nil {
			err = errors.New("it wraps no error")
		}
		return &link.ProxyError{Proxy: e.Proxy, Err: e.Err}, err
	case "step":
		var e stepError
		err := c.decode(t.Value, reflect.ValueOf(&e).Elem())
		if err == nil && e.Err == nil {
			err = errors.New("it wraps no error")
		}
		return &smtp.StepError{Address: e.Address, Step: e.Step, Waited: e.Waited, Heard: e.Heard, Err: e.Err}, err
	case "reply":
		var e smtp.ReplyError
		return &e, c.decode(t.Value, reflect.ValueOf(&e).Elem())
	case "name":
		var e nameError
		err := c.decode(t.Value, reflect.ValueOf(&e).Elem())
		return &net.DNSError{Err: e.Err, Name: e.Name, Server: e.Server, IsTimeout: e.IsTimeout,
			IsTemporary: e.IsTemporary, IsNotFound: e.Absent}, err
	case "notTLS":
		var e notTLS
		err := c.decode(t.Value, reflect.ValueOf(&e).Elem())
		return tls.RecordHeaderError{Msg: e.Msg}, err
	case "remoteAlert":
		var e alert
		err := c.decode(t.Value, reflect.ValueOf(&e).Elem())
		return &net.OpError{Op: "remote error", Err: tls.AlertError(e.Code)}, err
	case "alert":
		var e alert
		err := c.decode(t.Value, reflect.ValueOf(&e).Elem())
		return tls.AlertError(e.Code), err
	}
	return nil, errors.New("not known")
}
