package psrp

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// process is the transport to a PowerShell on this computer, over its standard streams. It is the
// one of PowerShell's own background jobs, and close to that of remoting over SSH: packets are
// lines, and each packet to the process is acknowledged.
//
// PowerShell handles every packet in a thread of its own. The order of packets holds because each
// waits for the acknowledgment of the one before.
type process struct {
	options Options
	title   string // of the program
	patient time.Duration
	command *exec.Cmd
	bond    bond // ends the process with this one
	input   *os.File
	sent    atomic.Int64

	mu      sync.Mutex
	queues  map[string]*bytes.Buffer // fragments for the pool ("") and for the commands that run
	queued  int                      // bytes of them
	awaited map[packetKey]chan struct{}
	changed chan struct{} // closed at the next change
	ended   error         // why the process is of no use any more
	said    tail          // the end of what it wrote to standard error
	exited  chan struct{} // nil before the start
}

const (
	processFragment = 32 << 10 // as PowerShell's own client
	maxPacket       = 1 << 20  // bytes of a line
	maxQueued       = 2 * maxOutput
	maxSaid         = 2000 // bytes of standard error that an error repeats
	drainTime       = 200 * time.Millisecond
	exitTime        = 2 * time.Second // from the end of the session to that of the process
)

// ErrNoProgram says that the PowerShell to start is not there.
var ErrNoProgram = errors.New("no such program")

// lostProcess is the end of a process, or its missing start, and why. Both are to a caller what a
// server is that cannot be reached.
type lostProcess struct {
	reason  string
	missing bool  // the program
	cause   error // the end of the caller's time, if that is why
}

func (e *lostProcess) Error() string { return e.reason }

func (e *lostProcess) Is(target error) bool {
	return target == ErrShellGone || target == link.ErrUnreachable || e.missing && target == ErrNoProgram
}

func (e *lostProcess) Unwrap() error { return e.cause }

func newProcess(o Options) *process {
	return &process{options: o, title: filepath.Base(o.Program[0]), patient: 3 * o.OperationTimeout,
		queues: map[string]*bytes.Buffer{"": {}}, awaited: map[packetKey]chan struct{}{}, changed: make(chan struct{})}
}

func (p *process) host() string      { return p.title }
func (p *process) name() string      { return p.title + " on this computer" }
func (p *process) fragmentSize() int { return processFragment }
func (p *process) speaks(string)     {}
func (p *process) requests() int     { return int(p.sent.Load()) }

// open starts the process.
func (p *process) open(ctx context.Context, first [][]byte) error {
	if err := p.begin(); err != nil {
		return err
	}
	for _, f := range first {
		err := p.send(ctx, "", f)
		if errors.Is(err, context.DeadlineExceeded) {
			return &lostProcess{reason: p.title + " hangs: it did not begin to speak in time", cause: err}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *process) begin() error {
	path, err := exec.LookPath(p.options.Program[0])
	if err != nil {
		return &lostProcess{reason: "there is no program " + link.Line(p.options.Program[0]), missing: true}
	}
	var files [6]*os.File // the two ends of standard input, output and error
	for i := range 3 {
		if files[2*i], files[2*i+1], err = os.Pipe(); err != nil {
			break
		}
	}
	release := func(list ...*os.File) {
		for _, f := range list {
			_ = f.Close()
		}
	}
	if err != nil {
		release(files[:]...)
		return err
	}
	//nolint:noctx // it outlives the request that started it
	p.command = exec.Command(path, p.options.Program[1:]...)
	p.command.Env = p.options.Environment
	p.command.Stdin, p.command.Stdout, p.command.Stderr = files[0], files[3], files[5]
	p.input = files[1]
	if p.bond, err = start(p.command); err != nil {
		release(files[:]...)
		return &lostProcess{reason: fmt.Sprintf("start %s: %v", link.Line(path), err)}
	}
	release(files[0], files[3], files[5])
	p.exited = make(chan struct{})
	read, complained := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(read)
		if err := p.read(files[2]); err != nil {
			p.lose(err.Error())
		}
		_, _ = io.Copy(io.Discard, files[2])
	}()
	go func() {
		defer close(complained)
		_, _ = io.Copy(&p.said, files[4])
	}()
	go func() {
		defer close(p.exited)
		err := p.command.Wait()
		p.mu.Lock()
		p.bond.release()
		p.mu.Unlock()
		limit := time.After(drainTime) // a child of the process may hold its streams open
		for _, drained := range []chan struct{}{read, complained} {
			select {
			case <-drained:
			case <-limit:
			}
		}
		p.lose(p.obituary(err))
		release(p.input, files[2], files[4])
	}()
	return nil
}

// obituary says how the process ended.
func (p *process) obituary(err error) string {
	text := p.title + " ended"
	if err != nil {
		text += " (" + err.Error() + ")"
	}
	if said := p.said.String(); said != "" {
		text += ": " + said
	}
	return text
}

// lose ends the process, and says why. The first reason stays.
func (p *process) lose(reason string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended != nil {
		return
	}
	p.ended = &lostProcess{reason: reason}
	p.wake()
	p.bond.kill()
}

// wake is called with the lock held.
func (p *process) wake() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// read takes the packets of the process. Its error says what was no packet.
func (p *process) read(from io.Reader) error {
	lines := bufio.NewReaderSize(from, 64<<10)
	for {
		line, err := readLine(lines, maxPacket)
		if errors.Is(err, errLongLine) {
			return fmt.Errorf("%s writes a line of more than %d bytes to its standard output", p.title, maxPacket)
		}
		if line = strings.TrimSpace(strings.TrimPrefix(line, "\ufeff")); line != "" {
			k, data, bad := parsePacket(line)
			if bad != nil || k.kind.ours() {
				return fmt.Errorf("%s writes what is not PowerShell's protocol to its standard output: %q", p.title,
					link.Line(line[:min(len(line), 200)]))
			}
			if bad := p.take(k, data); bad != nil {
				return bad
			}
		}
		if err != nil {
			return nil // its end
		}
	}
}

var errLongLine = errors.New("the line is too long")

func readLine(from *bufio.Reader, most int) (string, error) {
	var line []byte
	for {
		part, err := from.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > most:
			return string(line[:most]), errLongLine
		case !errors.Is(err, bufio.ErrBufferFull):
			return string(line), err
		}
	}
}

// take delivers a packet of the process.
func (p *process) take(k packetKey, data []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if k.kind != packetData {
		if c := p.awaited[k]; c != nil {
			close(c)
			delete(p.awaited, k)
		}
		return nil // one that is not awaited any more
	}
	q := p.queues[k.command]
	if q == nil {
		return nil // the last words of a command that was closed
	}
	if p.queued += len(data); p.queued > maxQueued {
		return fmt.Errorf("%s wrote more than %d bytes that wait to be read", p.title, maxQueued)
	}
	q.Write(data)
	p.wake()
	return nil
}

// exchange writes a packet and waits for its acknowledgment.
func (p *process) exchange(ctx context.Context, k packetKey, data []byte, acknowledged packetKind) (err error) {
	began := time.Now()
	defer func() {
		attributes := []slog.Attr{slog.String("program", p.title), slog.String("action", string(k.kind)),
			slog.String("command", k.command), slog.Duration("took", time.Since(began).Round(time.Millisecond))}
		if err != nil {
			attributes = append(attributes, slog.String("error", link.Line(err.Error())))
		}
		p.options.Log.LogAttrs(ctx, slog.LevelDebug, "local powershell", attributes...)
	}()
	answer := packetKey{acknowledged, k.command}
	done, written := make(chan struct{}), make(chan struct{})
	p.mu.Lock()
	if p.ended != nil {
		defer p.mu.Unlock()
		return p.ended
	}
	p.awaited[answer] = done
	p.mu.Unlock()
	p.sent.Add(1)
	go func() { // a process that does not read blocks it until it is ended
		defer close(written)
		if _, err := p.input.WriteString(k.packet(data)); err != nil {
			p.cut(fmt.Sprintf("write to %s: %v", p.title, err))
		}
	}()
	limit := time.NewTimer(p.patient)
	defer limit.Stop()
	for {
		p.mu.Lock()
		ended, changed := p.ended, p.changed
		p.mu.Unlock()
		select {
		case <-done:
			return nil
		default:
		}
		if ended != nil {
			return ended
		}
		select {
		case <-done:
			return nil
		case <-changed:
		case <-limit.C:
			p.lose(fmt.Sprintf("%s hangs: it did not acknowledge a packet (%s) within %s", p.title, k.kind, p.patient))
		case <-ctx.Done():
			select {
			case <-written:
			default: // half a packet: nothing more can be written
				p.lose(p.title + " hangs: it does not read its standard input")
			}
			return context.Cause(ctx)
		}
	}
}

// cut ends a process that cannot be written to. One that has ended gets the time to say why.
func (p *process) cut(reason string) {
	select {
	case <-p.exited:
	case <-time.After(2 * drainTime):
		p.lose(reason)
	}
}

func (p *process) start(ctx context.Context, command string, first []byte) (string, error) {
	p.mu.Lock()
	p.queues[command] = &bytes.Buffer{}
	p.mu.Unlock()
	if err := p.exchange(ctx, packetKey{packetCommand, command}, nil, packetCommandAck); err != nil {
		return command, err
	}
	return command, p.send(ctx, command, first)
}

func (p *process) send(ctx context.Context, command string, fragment []byte) error {
	return p.exchange(ctx, packetKey{packetData, command}, fragment, packetDataAck)
}

func (p *process) receive(ctx context.Context, command string) ([]byte, bool, error) {
	for {
		p.mu.Lock()
		changed, ended, data := p.changed, p.ended, []byte(nil)
		if q := p.queues[command]; q != nil && q.Len() > 0 {
			data = bytes.Clone(q.Bytes())
			q.Reset()
			p.queued -= len(data)
		}
		p.mu.Unlock()
		if len(data) > 0 || ended != nil {
			if len(data) > 0 {
				ended = nil // first what came before the end
			}
			return data, false, ended
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, false, context.Cause(ctx)
		}
	}
}

// stop signals a command that runs, and closes it: the session ends only when every command is
// closed. A process that does not stop it in time is ended.
func (p *process) stop(ctx context.Context, command string, ended bool) error {
	err := error(nil)
	if !ended {
		err = p.exchange(ctx, packetKey{packetSignal, command}, nil, packetSignalAck)
	}
	if err == nil {
		err = p.exchange(ctx, packetKey{packetClose, command}, nil, packetCloseAck)
	}
	p.mu.Lock()
	if q := p.queues[command]; q != nil {
		p.queued -= q.Len()
	}
	delete(p.queues, command)
	p.mu.Unlock()
	if err != nil && !errors.Is(err, ErrShellGone) {
		p.lose(p.title + " did not stop a command in time, and was ended")
		return &lostProcess{reason: p.title + " was ended because it did not stop a command"}
	}
	return err
}

// end closes the session and waits for the process to end.
func (p *process) end(ctx context.Context) error {
	if p.exited == nil {
		return nil
	}
	err := p.exchange(ctx, packetKey{packetClose, ""}, nil, packetCloseAck)
	_ = p.input.Close() // which ends it
	select {
	case <-p.exited:
	case <-time.After(exitTime):
	case <-ctx.Done():
	}
	return err
}

// close ends the process and all that it started.
func (p *process) close() {
	if p.exited == nil {
		return
	}
	p.lose("it was closed")
	<-p.exited
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	if over := len(t.text) - maxSaid; over > 0 {
		t.text = append(t.text[:0], t.text[over:]...)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return link.Line(strings.ToValidUTF8(string(t.text), ""))
}

// packetKind is the name of a packet.
type packetKind string

const (
	packetData       packetKind = "Data"
	packetDataAck    packetKind = "DataAck"
	packetCommand    packetKind = "Command"
	packetCommandAck packetKind = "CommandAck"
	packetClose      packetKind = "Close"
	packetCloseAck   packetKind = "CloseAck"
	packetSignal     packetKind = "Signal"
	packetSignalAck  packetKind = "SignalAck"
)

// ours reports whether only this side sends such packets.
func (k packetKind) ours() bool { return k == packetCommand || k == packetClose || k == packetSignal }

// packetKey is a packet without its data: its kind, and the command that it is about.
type packetKey struct {
	kind    packetKind
	command string // upper case; empty for the pool
}

// packet writes the line. PowerShell's own form counts: its client looks for PSGuid='….
func (k packetKey) packet(data []byte) string {
	id := k.command
	if id == "" {
		id = GUID{}.String()
	}
	if k.kind == packetData {
		return "<Data Stream='Default' PSGuid='" + strings.ToLower(id) + "'>" + base64.StdEncoding.EncodeToString(data) +
			"</Data>\n"
	}
	return "<" + string(k.kind) + " PSGuid='" + strings.ToLower(id) + "' />\n"
}

var errPacket = errors.New("not a packet")

// parsePacket reads a line of the process.
func parsePacket(line string) (k packetKey, data []byte, err error) {
	head, body, ok := strings.Cut(line, ">")
	name, rest, spaced := strings.Cut(strings.TrimPrefix(head, "<"), " ")
	if !ok || !spaced || head[0] != '<' {
		return k, nil, errPacket
	}
	k.kind = packetKind(name)
	rest, single := strings.CutSuffix(rest, "/")
	for rest = strings.TrimSpace(rest); rest != ""; rest = strings.TrimSpace(rest) {
		attribute, value, ok := strings.Cut(rest, "=")
		if !ok || value == "" || value[0] != '\'' && value[0] != '"' {
			return k, nil, errPacket
		}
		text, after, ok := strings.Cut(value[1:], value[:1])
		if !ok {
			return k, nil, errPacket
		}
		rest = after
		if attribute == "PSGuid" {
			k.command = strings.ToUpper(text)
		}
	}
	id, err := ParseGUID(k.command)
	if err != nil {
		return k, nil, errPacket
	}
	if id == (GUID{}) {
		k.command = ""
	}
	switch k.kind {
	case packetData:
		text, ok := strings.CutSuffix(body, "</Data>")
		if single && body == "" {
			return k, nil, nil
		}
		if data, err = base64.StdEncoding.DecodeString(text); !ok || err != nil {
			return k, nil, errPacket
		}
		return k, data, nil
	case packetCommand, packetClose, packetSignal, packetDataAck, packetCommandAck, packetCloseAck, packetSignalAck:
		if !single || body != "" {
			return k, nil, errPacket
		}
		return k, nil, nil
	}
	return k, nil, errPacket
}
