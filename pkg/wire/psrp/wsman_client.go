package psrp

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// wsman is the transport to a server: a shell of WS-Management.
type wsman struct {
	options  Options
	server   string // host of the URL
	carrier  *carrier
	session  string
	shell    string // empty: there is none to delete
	envelope int
	empties  int // consecutive empty polls that took no time
}

func newWSMan(o Options, pool GUID) (*wsman, error) {
	w := &wsman{options: o, session: "uuid:" + upper(NewGUID()), shell: upper(pool), envelope: o.MaxEnvelopeSize}
	if w.envelope == 0 {
		w.envelope = smallEnvelope
	}
	c, err := newCarrier(o)
	if err != nil {
		return nil, err
	}
	w.carrier, w.server = c, c.host
	return w, nil
}

func (w *wsman) name() string  { return "remote PowerShell at " + w.server }
func (w *wsman) host() string  { return w.server }
func (w *wsman) requests() int { return int(w.carrier.requests.Load()) }
func (w *wsman) close()        { w.carrier.close() }

func (w *wsman) speaks(protocol string) {
	if w.options.MaxEnvelopeSize == 0 && protocol != "2.0" && protocol != "2.1" {
		w.envelope = largeEnvelope
	}
}

// fragmentSize leaves room for the envelope: base64 makes 4 bytes of 3, and the envelope itself is
// some 2 kB with long addresses.
func (w *wsman) fragmentSize() int {
	return (w.envelope - 2048 - len(w.options.URL) - 2*len(w.options.Configuration)) / 4 * 3
}

func (w *wsman) open(ctx context.Context, first [][]byte) error {
	text := base64.StdEncoding.EncodeToString(slices.Concat(first...))
	e, err := w.call(ctx, request{
		action: actionCreate, mustComply: true, options: []option{{"protocolversion", w.options.Protocol}},
		body: `<rsp:Shell ShellId="` + w.shell +
			`"><rsp:InputStreams>stdin pr</rsp:InputStreams><rsp:OutputStreams>stdout</rsp:OutputStreams>` +
			`<creationXml xmlns="http://schemas.microsoft.com/powershell">` + text + `</creationXml></rsp:Shell>`,
	})
	if err != nil {
		// A fault, a refused sign-in and a certificate that is not trusted mean that none was made.
		// A refused sign-in is not tried again just to delete the shell: it would count twice
		// towards locking the account.
		var f *Fault
		if errors.As(err, &f) || errors.Is(err, link.ErrAccess) || errors.Is(err, link.ErrUntrusted) {
			w.shell = ""
		}
		return err
	}
	if id := e.shellID(); id != "" {
		w.shell = id
	}
	return nil
}

// shellID finds the shell's id in the answer to Create.
func (e *envelope) shellID() string {
	var find func(n *node) string
	find = func(n *node) string {
		if n.name == "Selector" && n.attribute("Name") == "ShellId" {
			return strings.TrimSpace(n.text)
		}
		for _, k := range n.kids {
			if id := find(k); id != "" {
				return id
			}
		}
		return ""
	}
	for _, n := range e.all {
		if id := find(n); id != "" {
			return id
		}
	}
	return ""
}

func (w *wsman) start(ctx context.Context, command string, first []byte) (string, error) {
	e, err := w.call(ctx, request{
		action: actionCommand, options: []option{{"WINRS_SKIP_CMD_SHELL", "False"}},
		body: `<rsp:CommandLine CommandId="` + command + `"><rsp:Command/><rsp:Arguments>` +
			base64.StdEncoding.EncodeToString(first) + `</rsp:Arguments></rsp:CommandLine>`,
	})
	if err != nil {
		return command, err
	}
	if id := e.body.value("CommandId"); id != "" {
		command = id
	}
	return command, nil
}

func (w *wsman) send(ctx context.Context, command string, fragment []byte) error {
	_, err := w.call(ctx, request{
		action: actionSend, command: command,
		body: `<rsp:Send><rsp:Stream Name="stdin"` + commandAttribute(command) + `>` +
			base64.StdEncoding.EncodeToString(fragment) + `</rsp:Stream></rsp:Send>`,
	})
	return err
}

func commandAttribute(command string) string {
	if command == "" {
		return ""
	}
	return ` CommandId="` + xmlText(command) + `"`
}

// stop sends Terminate, which stops and frees alike.
func (w *wsman) stop(ctx context.Context, command string, _ bool) error {
	_, err := w.call(ctx, request{action: actionSignal, command: command,
		body: `<rsp:Signal` + commandAttribute(command) + `><rsp:Code>` + signalTerminate + `</rsp:Code></rsp:Signal>`})
	return err
}

// end deletes the shell.
func (w *wsman) end(ctx context.Context) error {
	if w.shell == "" {
		return nil
	}
	_, err := w.call(ctx, request{action: actionDelete})
	return err
}

// call sends a request for this shell and returns the answer, or the fault as an error.
func (w *wsman) call(ctx context.Context, r request) (e *envelope, err error) {
	began := time.Now()
	defer func() {
		attributes := []slog.Attr{slog.String("server", w.server),
			slog.String("action", r.action[strings.LastIndex(r.action, "/")+1:]), slog.String("shell", w.shell),
			slog.String("command", r.command), slog.Duration("took", time.Since(began).Round(time.Millisecond))}
		if err != nil {
			attributes = append(attributes, slog.String("error", link.Line(err.Error())))
		}
		w.options.Log.LogAttrs(ctx, slog.LevelDebug, "remote powershell", attributes...)
	}()
	r.messageID, r.session = "uuid:"+upper(NewGUID()), w.session
	r.resource = resourceURI + w.options.Configuration
	r.maxSize, r.timeout = w.envelope, w.options.OperationTimeout
	if r.action != actionCreate {
		r.shell = w.shell
	}
	a, err := w.carrier.post(ctx, func(to string) []byte {
		r.to = to
		return r.bytes()
	})
	if err != nil {
		return nil, err
	}
	e, err = parseEnvelope(a.body)
	if err != nil {
		if a.status != 200 {
			return nil, w.carrier.place(fmt.Errorf("HTTP %d", a.status))
		}
		return nil, w.carrier.place(fmt.Errorf("answer does not parse: %w", err))
	}
	if e.fault != nil {
		f := parseFault(e.fault, a.status)
		f.command = r.command
		return nil, f
	}
	if !strings.EqualFold(e.relatesTo, r.messageID) {
		return nil, w.carrier.place(errors.New("answer belongs to another request"))
	}
	return e, nil
}

// receive polls once.
func (w *wsman) receive(ctx context.Context, command string) (data []byte, done bool, err error) {
	asked := time.Now()
	defer func() {
		if err == nil && !done && len(data) == 0 {
			err = w.rest(ctx, time.Since(asked))
		} else {
			w.empties = 0
		}
	}()
	e, err := w.call(ctx, request{
		action: actionReceive, command: command, options: []option{{"WSMAN_CMDSHELL_OPTION_KEEPALIVE", "True"}},
		body: `<rsp:Receive><rsp:DesiredStream` + commandAttribute(command) + `>stdout</rsp:DesiredStream></rsp:Receive>`,
	})
	var f *Fault
	if errors.As(err, &f) && f.timedOut() {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	if e.body == nil {
		return nil, false, nil
	}
	for _, n := range e.body.kids {
		switch n.name {
		case "Stream":
			if id := n.attribute("CommandId"); id != "" && !strings.EqualFold(id, command) {
				continue
			}
			b, err := streamBytes(n)
			if err != nil {
				return data, done, err
			}
			data = append(data, b...)
		case "CommandState":
			if id := n.attribute("CommandId"); id == "" || strings.EqualFold(id, command) {
				done = done || strings.HasSuffix(n.attribute("State"), "/Done")
			}
		}
	}
	return data, done, nil
}

// rest pauses after a poll that brought nothing. A server that holds polls needs no pause; one that
// answers at once, again and again, would be asked a thousand times a second.
func (w *wsman) rest(ctx context.Context, took time.Duration) error {
	if took >= quickPoll {
		w.empties = 0
		return nil
	}
	w.empties++
	t := time.NewTimer(min(leastPause<<min(w.empties-1, 10), mostPause))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
