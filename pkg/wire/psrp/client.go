package psrp

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/wire/kerberos"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// Options say which endpoint to open and how.
type Options struct {
	// URL of the endpoint: http://ex1.contoso.com/PowerShell/ (Kerberos, sealed) or https://…
	URL string
	// Configuration is the session configuration: "Microsoft.Exchange" when empty.
	Configuration string
	// Either Kerberos or User with Password (Basic, over https alone) authenticates the caller.
	Kerberos *kerberos.Client
	Scheme   string // of HTTP with Kerberos: "Kerberos" (when empty) or "Negotiate"
	SPN      string // "HTTP/<host of the URL>" when empty
	User     string
	Password secret.Value
	// Dial makes connections; a net.Dialer does when nil. The DialContext of a link.Link fits.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// TLS is used for https; that of a link.Link fits. Versions and renegotiation are set here.
	TLS *tls.Config
	// OperationTimeout is how long the server may hold a poll; 20 s when 0.
	OperationTimeout time.Duration
	// MaxEnvelopeSize is the largest request and answer in bytes. When 0: 153,600, and 512,000 once
	// the server speaks protocol 2.2 or later.
	MaxEnvelopeSize int
	// Protocol is the protocol version offered, "2.3" when empty.
	Protocol string
	// Log takes one line per request at debug, and what the messages say at link.LevelTrace. May be
	// nil.
	Log *slog.Logger
	// Notice receives what the user should know besides the answers: a redirect, for one. May be
	// nil.
	Notice func(text string)

	host      string            // of URL
	maxOutput int               // maxOutput when 0
	transport http.RoundTripper // replaced by tests
}

const (
	smallEnvelope = 153600
	largeEnvelope = 512000
	leastEnvelope = 8192
	maxOutput     = 64 << 20 // bytes of CLIXML that one pipeline may write to the client
	maxTags       = 2 << 20  // of it; an object of Exchange has some hundred

	// An empty poll shorter than quickPoll is followed by a pause, which doubles up to mostPause.
	quickPoll  = 200 * time.Millisecond
	leastPause = 20 * time.Millisecond
	mostPause  = time.Second

	// What Terminate and Delete may take, also after the caller's context is over: the caller waits
	// for both. A server that did not answer the first will hardly answer the second.
	terminateTime     = 2 * time.Second
	deleteTime        = 5 * time.Second
	lateTerminateTime = time.Second // after the caller's time
	lateDeleteTime    = 2 * time.Second
	lastDeleteTime    = time.Second // after a Terminate that was not answered
)

func (o Options) notice(text string) {
	if o.Notice != nil {
		o.Notice(text)
	}
}

// Pool is an open runspace pool: one shell at the server. It is safe for concurrent use; pipelines
// run one after another.
type Pool struct {
	options  Options
	carrier  *carrier
	id       GUID
	session  string
	shell    string
	turn     chan struct{} // holds one token: its holder may speak
	closing  context.Context
	stop     context.CancelCauseFunc
	object   uint64
	incoming assembler
	envelope int
	protocol string // spoken by the server
	key      *sessionKey
	private  *rsa.PrivateKey // while a session key is awaited
	open     bool
	mute     bool     // the server did not answer the last Terminate
	gone     error    // why the pool is unusable
	warnings []string // of the pool, for the next pipeline's output
	empties  int      // consecutive empty polls that took no time
	closed   bool
}

// ErrClosed is returned for a pool that was closed.
var ErrClosed = errors.New("remote PowerShell session is closed")

// Open opens a runspace pool. Close must follow, also after the context is over: Exchange allows a
// user few shells.
func Open(ctx context.Context, o Options) (*Pool, error) {
	if o.Configuration == "" {
		o.Configuration = "Microsoft.Exchange"
	}
	if o.OperationTimeout <= 0 {
		o.OperationTimeout = 20 * time.Second
	}
	if o.Protocol == "" {
		o.Protocol = "2.3"
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.maxOutput == 0 {
		o.maxOutput = maxOutput
	}
	if o.MaxEnvelopeSize != 0 && o.MaxEnvelopeSize < leastEnvelope {
		return nil, fmt.Errorf("an envelope of %d bytes is too small, %d are the least", o.MaxEnvelopeSize,
			leastEnvelope)
	}
	if u, err := url.Parse(o.URL); err == nil {
		o.host = u.Hostname()
	}
	c, err := newCarrier(o)
	if err != nil {
		return nil, err
	}
	p := &Pool{
		options: o, carrier: c, id: NewGUID(), session: "uuid:" + upper(NewGUID()), turn: make(chan struct{}, 1),
		envelope: o.MaxEnvelopeSize, protocol: o.Protocol,
	}
	if p.envelope == 0 {
		p.envelope = smallEnvelope
	}
	p.closing, p.stop = context.WithCancelCause(context.Background())
	p.turn <- struct{}{}
	if err := p.create(ctx); err != nil {
		if p.shell != "" {
			_ = p.delete(ctx) // the error of the opening is the one to return
		}
		p.stop(ErrClosed)
		p.carrier.close()
		p.closed = true
		return nil, fmt.Errorf("open remote PowerShell at %s: %w", o.host, err)
	}
	return p, nil
}

func upper(g GUID) string { return strings.ToUpper(g.String()) }

func (p *Pool) create(ctx context.Context) error {
	capability, err := p.outgoing(sessionCapability, GUID{}, members(
		Property{"protocolversion", Version(p.options.Protocol)}, Property{"PSVersion", Version("2.0")},
		Property{"SerializationVersion", Version("1.1.0.1")}))
	if err != nil {
		return err
	}
	start, err := p.outgoing(initRunspacePool, GUID{}, members(
		Property{"MinRunspaces", 1}, Property{"MaxRunspaces", 1},
		Property{"PSThreadOptions", enum("System.Management.Automation.Runspaces.PSThreadOptions", "Default", 0)},
		Property{"ApartmentState", apartment()}, Property{"HostInfo", noHost()}, Property{"ApplicationArguments", nil}))
	if err != nil {
		return err
	}
	size := p.fragmentSize()
	text := base64.StdEncoding.EncodeToString(slices.Concat(slices.Concat(p.cut(capability, size)...),
		slices.Concat(p.cut(start, size)...)))
	p.shell = upper(p.id)
	e, err := p.call(ctx, request{
		action: actionCreate, mustComply: true, options: []option{{"protocolversion", p.options.Protocol}},
		body: `<rsp:Shell ShellId="` + upper(p.id) +
			`"><rsp:InputStreams>stdin pr</rsp:InputStreams><rsp:OutputStreams>stdout</rsp:OutputStreams>` +
			`<creationXml xmlns="http://schemas.microsoft.com/powershell">` + text + `</creationXml></rsp:Shell>`,
	})
	if err != nil {
		// A fault, a refused sign-in and a certificate that is not trusted mean that none was made.
		// A refused sign-in is not tried again just to delete the shell: it would count twice
		// towards locking the account.
		var f *Fault
		if errors.As(err, &f) || errors.Is(err, link.ErrAccess) || errors.Is(err, link.ErrUntrusted) {
			p.shell = ""
		}
		return err
	}
	if id := e.shellID(); id != "" {
		p.shell = id
	}
	for !p.open {
		messages, _, err := p.receive(ctx, "")
		if err != nil {
			return err
		}
		for _, m := range messages {
			if err := p.poolMessage(m); err != nil {
				return err
			}
		}
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

// outgoing writes a message to the server.
func (p *Pool) outgoing(kind messageType, pipeline GUID, data any) (message, error) {
	text, err := marshalOne(data, p.key)
	p.trace("sent", kind, text)
	return message{destination: toServer, kind: kind, pool: p.id, pipeline: pipeline, data: text}, err
}

// trace logs what a message says. Secrets in it are encrypted; link.Redact removes them
// nevertheless.
func (p *Pool) trace(direction string, kind messageType, text []byte) {
	if ctx := context.Background(); len(text) > 0 && p.options.Log.Enabled(ctx, link.LevelTrace) {
		p.options.Log.LogAttrs(ctx, link.LevelTrace, "remote powershell message", slog.String("direction", direction),
			slog.String("type", fmt.Sprintf("%#x", uint32(kind))),
			slog.String("text", link.Redact("text/xml", text[:min(len(text), 32<<10)])))
	}
}

func (p *Pool) cut(m message, size int) [][]byte {
	p.object++
	return fragments(p.object, m.bytes(), size)
}

// fragmentSize is how large a fragment may be so that its envelope stays within the limit: base64
// makes 4 bytes of 3, and the envelope itself is some 2 kB with long addresses.
func (p *Pool) fragmentSize() int {
	return (p.envelope - 2048 - len(p.options.URL) - 2*len(p.options.Configuration)) / 4 * 3
}

// call sends a request for this shell and returns the answer, or the fault as an error.
func (p *Pool) call(ctx context.Context, r request) (*envelope, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(p.closing, func() { cancel(context.Cause(p.closing)) })()
	return p.callUnstopped(ctx, r)
}

func (p *Pool) callUnstopped(ctx context.Context, r request) (e *envelope, err error) {
	began := time.Now()
	defer func() {
		attributes := []slog.Attr{slog.String("server", p.options.host),
			slog.String("action", r.action[strings.LastIndex(r.action, "/")+1:]), slog.String("shell", p.shell),
			slog.String("command", r.command), slog.Duration("took", time.Since(began).Round(time.Millisecond))}
		if err != nil {
			attributes = append(attributes, slog.String("error", link.Line(err.Error())))
		}
		p.options.Log.LogAttrs(ctx, slog.LevelDebug, "remote powershell", attributes...)
	}()
	r.messageID, r.session = "uuid:"+upper(NewGUID()), p.session
	r.resource = resourceURI + p.options.Configuration
	r.maxSize, r.timeout = p.envelope, p.options.OperationTimeout
	if r.action != actionCreate {
		r.shell = p.shell
	}
	a, err := p.carrier.post(ctx, func(to string) []byte {
		r.to = to
		return r.bytes()
	})
	if err != nil {
		return nil, err
	}
	e, err = parseEnvelope(a.body)
	if err != nil {
		if a.status != 200 {
			return nil, p.carrier.place(fmt.Errorf("HTTP %d", a.status))
		}
		return nil, p.carrier.place(fmt.Errorf("answer does not parse: %w", err))
	}
	if e.fault != nil {
		f := parseFault(e.fault, a.status)
		f.command = r.command
		if errors.Is(f, ErrShellGone) {
			p.gone = f
		}
		return nil, f
	}
	if !strings.EqualFold(e.relatesTo, r.messageID) {
		return nil, p.carrier.place(errors.New("answer belongs to another request"))
	}
	return e, nil
}

// receive polls once, for the pool or for one command. done says that the command has ended.
// Nothing pending is no error.
func (p *Pool) receive(ctx context.Context, command string) (messages []message, done bool, err error) {
	return p.receiveInto(ctx, command, &p.incoming)
}

func (p *Pool) receiveInto(ctx context.Context, command string, in *assembler) (messages []message, done bool,
	err error) {
	of := ""
	if command != "" {
		of = ` CommandId="` + xmlText(command) + `"`
	}
	asked, brought := time.Now(), false
	defer func() {
		if err == nil && !done && !brought {
			err = p.rest(ctx, time.Since(asked))
		} else {
			p.empties = 0
		}
	}()
	e, err := p.call(ctx, request{
		action: actionReceive, command: command, options: []option{{"WSMAN_CMDSHELL_OPTION_KEEPALIVE", "True"}},
		body: `<rsp:Receive><rsp:DesiredStream` + of + `>stdout</rsp:DesiredStream></rsp:Receive>`,
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
				return messages, done, err
			}
			brought = brought || len(b) > 0
			more, err := in.feed(b)
			messages = append(messages, more...)
			for _, m := range more {
				p.trace("received", m.kind, m.data)
			}
			if err != nil {
				return messages, done, err
			}
		case "CommandState":
			if id := n.attribute("CommandId"); id == "" || strings.EqualFold(id, command) {
				done = done || strings.HasSuffix(n.attribute("State"), "/Done")
			}
		}
	}
	return messages, done, nil
}

// rest pauses after a poll that brought nothing. A server that holds polls needs no pause; one that
// answers at once, again and again, would be asked a thousand times a second.
func (p *Pool) rest(ctx context.Context, took time.Duration) error {
	if took >= quickPoll {
		p.empties = 0
		return nil
	}
	p.empties++
	t := time.NewTimer(min(leastPause<<min(p.empties-1, 10), mostPause))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-p.closing.Done():
		return context.Cause(p.closing)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// poolMessage handles a message for the pool itself.
func (p *Pool) poolMessage(m message) error {
	switch m.kind {
	case sessionCapability:
		o, err := m.members()
		if err != nil {
			return err
		}
		p.protocol = textOf(o, "protocolversion")
		if !strings.HasPrefix(p.protocol, "2.") {
			return fmt.Errorf("the server speaks protocol %s of remote PowerShell", link.Line(p.protocol))
		}
		if p.options.MaxEnvelopeSize == 0 && p.protocol != "2.0" && p.protocol != "2.1" {
			p.envelope = largeEnvelope
		}
	case runspacePoolState:
		o, err := m.members()
		if err != nil {
			return err
		}
		switch integerOf(o, "RunspaceState", -1) {
		case poolOpened:
			p.open = true
		case poolClosed, poolBroken:
			err := errors.New("the server closed the session")
			if v, _ := o.Get("ExceptionAsErrorRecord"); v != nil {
				err = errorRecordOf(v)
			}
			p.gone = err
			return err
		}
	case encryptedSessionKey:
		o, err := m.members()
		if err != nil {
			return err
		}
		if p.private == nil {
			return errors.New("the server sent a session key without a request")
		}
		p.key, err = openSessionKey(p.private, textOf(o, "EncryptedSessionKey"))
		p.private = nil
		return err
	case warningRecord:
		o, err := m.members()
		if err != nil {
			return err
		}
		p.warnings = append(p.warnings, warningText(o))
	case runspacePoolHostCall:
		call := m.hostCall()
		if text, ok := call.warning(); ok {
			p.warnings = append(p.warnings, text)
		}
		if call.answered {
			return fmt.Errorf("the server asks a question (%s), and this client cannot answer questions", call.method)
		}
	}
	return nil // private data, availability, a request for our public key: nothing to do
}

// acquire waits for the turn to speak.
func (p *Pool) acquire(ctx context.Context) error {
	select {
	case <-p.turn:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if err := p.usable(); err != nil {
		p.turn <- struct{}{}
		return err
	}
	return nil
}

func (p *Pool) usable() error {
	if p.closed {
		return ErrClosed
	}
	return p.gone
}

// exchangeKeys gets the session key that secrets are encrypted with.
func (p *Pool) exchangeKeys(ctx context.Context) error {
	if p.key != nil {
		return nil
	}
	private, err := rsa.GenerateKey(rand.Reader, keyBytes*8)
	if err != nil {
		return err
	}
	m, err := p.outgoing(publicKey, GUID{}, members(Property{"PublicKey", publicKeyBlob(&private.PublicKey)}))
	if err != nil {
		return err
	}
	p.private = private
	if err := p.sendFragments(ctx, "", p.cut(m, p.fragmentSize())); err != nil {
		return err
	}
	for p.key == nil {
		messages, _, err := p.receive(ctx, "")
		if err != nil {
			return err
		}
		for _, m := range messages {
			if err := p.poolMessage(m); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *Pool) sendFragments(ctx context.Context, command string, list [][]byte) error {
	of := ""
	if command != "" {
		of = ` CommandId="` + xmlText(command) + `"`
	}
	for _, f := range list {
		if _, err := p.call(ctx, request{
			action: actionSend, command: command,
			body: `<rsp:Send><rsp:Stream Name="stdin"` + of + `>` + base64.StdEncoding.EncodeToString(f) +
				`</rsp:Stream></rsp:Send>`,
		}); err != nil {
			return err
		}
	}
	return nil
}

// Invoke runs a pipeline to its end. The error is an *ErrorRecord when the pipeline failed, a
// *Fault when the service refused; Output then holds what came before. When ctx ends, the pipeline
// is stopped at the server.
func (p *Pool) Invoke(ctx context.Context, pl Pipeline) (Output, error) {
	out := Output{Objects: []any{}}
	if len(pl.Commands) == 0 {
		return out, errors.New("a pipeline without a command")
	}
	name := link.Line(pl.Commands[0].Name)
	if pl.Commands[0].Script {
		name = "script"
	}
	if err := p.acquire(ctx); err != nil {
		return out, fmt.Errorf("%s: run %s: %w", p.options.host, name, err)
	}
	defer func() { p.turn <- struct{}{} }()
	err := p.invoke(ctx, pl, &out)
	out.Warnings, p.warnings = append(p.warnings, out.Warnings...), nil // those of the pool, since it was opened
	if err != nil {
		return out, fmt.Errorf("%s: run %s: %w", p.options.host, name, err)
	}
	return out, nil
}

func (p *Pool) invoke(ctx context.Context, pl Pipeline, out *Output) error {
	if needsKey(pl) {
		if err := p.exchangeKeys(ctx); err != nil {
			return fmt.Errorf("agree on a key for secrets: %w", err)
		}
	}
	pid := NewGUID()
	m, err := p.outgoing(createPipeline, pid, pipelineObject(pl, p.protocol))
	if err != nil {
		return err
	}
	list := p.cut(m, p.fragmentSize())
	command := upper(pid)
	running, ended := true, false
	defer func() { // also after an error: the server may have taken the command before it was lost
		if running {
			p.terminate(ctx, command, ended)
		}
	}()
	e, err := p.call(ctx, request{
		action: actionCommand, options: []option{{"WINRS_SKIP_CMD_SHELL", "False"}},
		body: `<rsp:CommandLine CommandId="` + command + `"><rsp:Command/><rsp:Arguments>` +
			base64.StdEncoding.EncodeToString(list[0]) + `</rsp:Arguments></rsp:CommandLine>`,
	})
	if err != nil {
		var f *Fault
		running = !errors.As(err, &f)
		return err
	}
	if id := e.body.value("CommandId"); id != "" {
		command = id
	}
	if err := p.sendFragments(ctx, command, list[1:]); err != nil {
		return err
	}
	var in assembler
	written, tags := 0, 0
	for {
		messages, done, err := p.receiveInto(ctx, command, &in)
		for _, m := range messages {
			if written += len(m.data); written > p.options.maxOutput && pl.OnOutput == nil {
				return fmt.Errorf("it wrote more than %d bytes", p.options.maxOutput)
			}
			if tags += bytes.Count(m.data, []byte("<")); tags > maxTags && pl.OnOutput == nil {
				return fmt.Errorf("it wrote more than %d tags", maxTags)
			}
			if m.pipeline == (GUID{}) { // all else on the command's stream is the command's
				if err := p.poolMessage(m); err != nil {
					return err
				}
				continue
			}
			if ended, err = out.take(pl, m); ended || err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
		if done {
			return errors.New("the server ended the command without telling its state")
		}
	}
}

// terminate frees the pipeline at the server. When the caller's time is over, it gets a short time
// limit instead.
func (p *Pool) terminate(ctx context.Context, command string, ended bool) {
	if p.gone != nil {
		return
	}
	limit := terminateTime
	if ctx.Err() != nil {
		limit = lateTerminateTime
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	// A failure changes nothing: Delete frees what is left.
	_, err := p.callUnstopped(ctx,
		request{action: actionSignal, command: command,
			body: `<rsp:Signal CommandId="` + xmlText(command) + `"><rsp:Code>` + signalTerminate +
				`</rsp:Code></rsp:Signal>`})
	p.mute = ctx.Err() != nil
	if !ended && errors.Is(err, ErrCommandGone) {
		// The server may not have seen the command yet, and would run it in this shell later.
		// Without the shell it cannot.
		_ = p.delete(ctx)
		p.gone = fmt.Errorf("the server did not know a command that was stopped: %w", ErrClosed)
	}
}

// delete removes the shell. It is sent also when the server has denied the shell: a shell that was
// left behind counts towards the user's limit.
func (p *Pool) delete(ctx context.Context) error {
	limit := deleteTime
	switch {
	case p.mute:
		limit = lastDeleteTime
	case ctx.Err() != nil:
		limit = lateDeleteTime
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	_, err := p.callUnstopped(ctx, request{action: actionDelete})
	if errors.Is(err, ErrShellGone) {
		return nil
	}
	return err
}

// Close stops what runs and deletes the shell, also when ctx is over. It does nothing the second
// time.
func (p *Pool) Close(ctx context.Context) error {
	p.stop(ErrClosed)
	<-p.turn // its holder gets an error at once, and has a time limit for cleaning up
	defer func() { p.turn <- struct{}{} }()
	if p.closed {
		return nil
	}
	p.closed = true
	defer p.carrier.close()
	if err := p.delete(ctx); err != nil {
		return fmt.Errorf("%s: close remote PowerShell: %w", p.options.host, err)
	}
	return nil
}

// Requests is the number of HTTP requests sent so far.
func (p *Pool) Requests() int { return int(p.carrier.requests.Load()) }
