package psrp

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/wire/kerberos"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// Options say which endpoint to open and how: a URL, or a Program on this computer.
type Options struct {
	// Program is a PowerShell and its arguments: {"pwsh", "-s", "-NoLogo", "-NoProfile"}. The pool is
	// then that process, and what follows about URLs, sign-in and envelopes is not used.
	Program []string
	// Environment of the process.
	Environment []string
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
	// OperationTimeout is how long the server may hold a poll; 20 s when 0. A process may take three
	// times as long to acknowledge a packet.
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

// Pool is an open runspace pool: one shell at the server, or one process. It is safe for concurrent
// use; pipelines run one after another.
type Pool struct {
	options  Options
	way      transport
	id       GUID
	turn     chan struct{} // holds one token: its holder may speak
	closing  context.Context
	stop     context.CancelCauseFunc
	object   uint64
	incoming assembler
	protocol string // spoken by the server
	key      *sessionKey
	private  *rsa.PrivateKey // while a session key is awaited
	open     bool
	mute     bool     // the server did not answer the last request to stop a command
	gone     error    // why the pool is unusable
	warnings []string // of the pool, for the next pipeline's output
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
	id := NewGUID()
	way, err := newTransport(o, id)
	if err != nil {
		return nil, err
	}
	p := &Pool{options: o, way: way, id: id, turn: make(chan struct{}, 1), protocol: o.Protocol}
	p.closing, p.stop = context.WithCancelCause(context.Background())
	p.turn <- struct{}{}
	if err := p.create(ctx); err != nil {
		_ = p.delete(ctx) // the error of the opening is the one to return
		p.stop(ErrClosed)
		p.way.close()
		p.closed = true
		return nil, fmt.Errorf("open %s: %w", way.name(), err)
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
	size := p.way.fragmentSize()
	live, done := p.live(ctx)
	defer done()
	if err := p.way.open(live, slices.Concat(p.cut(capability, size), p.cut(start, size))); err != nil {
		return p.noted(err)
	}
	for !p.open {
		messages, _, err := p.receive(ctx, "", &p.incoming)
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

// live returns a context that ends with the pool, too.
func (p *Pool) live(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(p.closing, func() { cancel(context.Cause(p.closing)) })
	return ctx, func() { stop(); cancel(nil) }
}

// noted remembers that the session is gone.
func (p *Pool) noted(err error) error {
	if errors.Is(err, ErrShellGone) {
		p.gone = err
	}
	return err
}

// receive waits for messages, for the pool or for one command. done says that the command has
// ended. Nothing pending is no error.
func (p *Pool) receive(ctx context.Context, command string, in *assembler) (messages []message, done bool, err error) {
	ctx, cancel := p.live(ctx)
	defer cancel()
	data, done, err := p.way.receive(ctx, command)
	messages, unread := in.feed(data)
	for _, m := range messages {
		p.trace("received", m.kind, m.data)
	}
	if err = p.noted(err); err == nil {
		err = unread
	}
	return messages, done, err
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
		p.way.speaks(p.protocol)
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
	if err := p.sendFragments(ctx, "", p.cut(m, p.way.fragmentSize())); err != nil {
		return err
	}
	for p.key == nil {
		messages, _, err := p.receive(ctx, "", &p.incoming)
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
	ctx, cancel := p.live(ctx)
	defer cancel()
	for _, f := range list {
		if err := p.way.send(ctx, command, f); err != nil {
			return p.noted(err)
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
		return out, fmt.Errorf("%s: run %s: %w", p.way.host(), name, err)
	}
	defer func() { p.turn <- struct{}{} }()
	err := p.invoke(ctx, pl, &out)
	out.Warnings, p.warnings = append(p.warnings, out.Warnings...), nil // those of the pool, since it was opened
	if err != nil {
		return out, fmt.Errorf("%s: run %s: %w", p.way.host(), name, err)
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
	list := p.cut(m, p.way.fragmentSize())
	command := upper(pid)
	running, ended := true, false
	defer func() { // also after an error: the server may have taken the command before it was lost
		if running {
			p.terminate(ctx, command, ended)
		}
	}()
	live, done := p.live(ctx)
	defer done()
	if command, err = p.way.start(live, command, list[0]); err != nil {
		var f *Fault
		running = !errors.As(err, &f)
		return p.noted(err)
	}
	if err := p.sendFragments(ctx, command, list[1:]); err != nil {
		return err
	}
	var in assembler
	written, tags := 0, 0
	for {
		messages, done, err := p.receive(ctx, command, &in)
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
	// A failure changes nothing: the end of the session frees what is left.
	err := p.noted(p.way.stop(ctx, command, ended))
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
	if err := p.way.end(ctx); !errors.Is(err, ErrShellGone) {
		return err
	}
	return nil
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
	defer p.way.close()
	if err := p.delete(ctx); err != nil {
		return fmt.Errorf("close %s: %w", p.way.name(), err)
	}
	return nil
}

// Requests is the number of HTTP requests, or of packets to the process, sent so far.
func (p *Pool) Requests() int { return p.way.requests() }
