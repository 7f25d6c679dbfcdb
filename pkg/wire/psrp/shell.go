package psrp

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

const (
	maxPipelines = 64      // of a shell
	maxQueue     = 2 << 20 // bytes waiting for the client, after which the pipeline waits
	maxInput     = 10_000  // objects that a client pipes into a pipeline
)

// queue holds fragments for the client.
type queue struct {
	mu        sync.Mutex
	fragments [][]byte
	bytes     int
	done      bool
	changed   chan struct{} // closed at the next change; nil without waiters
}

func (q *queue) wake() {
	if q.changed != nil {
		close(q.changed)
		q.changed = nil
	}
}

// wait unlocks until something changes or ctx ends.
func (q *queue) wait(ctx context.Context) bool {
	if q.changed == nil {
		q.changed = make(chan struct{})
	}
	changed := q.changed
	q.mu.Unlock()
	defer q.mu.Lock()
	select {
	case <-changed:
		return true
	case <-ctx.Done():
		return false
	}
}

// put adds fragments when there is room again, and reports whether it added them.
func (q *queue) put(ctx context.Context, list [][]byte) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.bytes > maxQueue && !q.done {
		if !q.wait(ctx) {
			return false
		}
	}
	return q.add(list)
}

// force adds fragments whether there is room or not: what ends a wait must not wait itself.
func (q *queue) force(list [][]byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.add(list)
}

func (q *queue) add(list [][]byte) bool {
	if q.done {
		return false
	}
	for _, f := range list {
		q.fragments = append(q.fragments, f)
		q.bytes += len(f)
	}
	q.wake()
	return true
}

// end says that nothing more comes.
func (q *queue) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.done = true
	q.wake()
}

// take returns what is pending, waiting for it until ctx ends: as many fragments as fit into room
// in base64, and at least one. done: there is no more to come.
func (q *queue) take(ctx context.Context, room, most int) (list [][]byte, done bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.fragments) == 0 && !q.done {
		if !q.wait(ctx) {
			break
		}
	}
	for len(q.fragments) > 0 && (most <= 0 || len(list) < most) {
		f := q.fragments[0]
		if room -= (len(f)+2)/3*4 + 160; room < 0 && len(list) > 0 {
			break
		}
		list = append(list, f)
		q.fragments = q.fragments[1:]
		q.bytes -= len(f)
	}
	q.wake()
	return list, q.done && len(q.fragments) == 0
}

// shell is a runspace pool at the server.
type shell struct {
	server   *Server
	id       string
	caller   Caller
	size     int // of fragments
	outgoing queue
	context  context.Context
	stop     context.CancelCauseFunc
	runspace chan struct{} // one pipeline runs at a time

	mu        sync.Mutex
	pool      GUID
	protocol  string
	opened    bool // the client has sent INIT_RUNSPACEPOOL
	incoming  assembler
	object    uint64
	key       *sessionKey
	least     int64 // runspaces that the client wants
	most      int64
	pipelines map[string]*pipeline
	ended     []string // pipelines whose end the client has read
	closed    bool
	active    int // requests being answered
	used      time.Time
	timer     *time.Timer
}

func newShell(s *Server, id string, caller Caller, size int) *shell {
	sh := &shell{server: s, id: id, caller: caller, size: size, pipelines: map[string]*pipeline{},
		runspace: make(chan struct{}, 1), used: time.Now()}
	sh.context, sh.stop = context.WithCancelCause(context.Background())
	return sh
}

func (s *shell) enter() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active++
}

func (s *shell) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active--
	s.used = time.Now()
}

func (s *shell) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// watch closes the shell once it was idle too long.
func (s *shell) watch() {
	idle := s.server.idle()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.timer = time.AfterFunc(idle, func() {
		s.mu.Lock()
		rest := idle - time.Since(s.used)
		if s.active > 0 || len(s.runspace) > 0 {
			rest = idle
		}
		if rest > 0 && !s.closed {
			s.timer.Reset(rest)
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		s.server.remove(s)
	})
}

func (s *shell) close() {
	s.mu.Lock()
	s.closed = true
	pipelines := s.pipelines
	s.pipelines = nil
	if s.timer != nil {
		s.timer.Stop()
	}
	s.mu.Unlock()
	s.stop(errStopped)
	s.outgoing.end()
	for _, p := range pipelines {
		p.outgoing.end()
	}
}

// message writes a message to the client as fragments.
func (s *shell) message(kind messageType, pipeline GUID, data any) ([][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text, err := marshalOne(data, s.key)
	if err != nil {
		return nil, err
	}
	s.object++
	return fragments(s.object, message{destination: toClient, kind: kind, pool: s.pool, pipeline: pipeline,
		data: text}.bytes(), s.size), nil
}

func (s *shell) post(kind messageType, data any) error {
	list, err := s.message(kind, GUID{}, data)
	if err == nil {
		s.outgoing.force(list)
	}
	return err
}

// feed takes fragments for the pool.
func (s *shell) feed(data []byte) error {
	s.mu.Lock()
	messages, err := s.incoming.feed(data)
	s.mu.Unlock()
	for _, m := range messages {
		if err := s.take(m); err != nil {
			return err
		}
	}
	return err
}

// take handles a message for the pool.
func (s *shell) take(m message) error {
	if m.destination != toServer {
		return errors.New("message for a client")
	}
	switch m.kind {
	case sessionCapability:
		o, err := m.members()
		if err != nil {
			return err
		}
		asked := textOf(o, "protocolversion")
		if !strings.HasPrefix(asked, "2.") {
			return fmt.Errorf("protocol version %.20q", asked)
		}
		if asked > "2.3" { // one digit each, so far
			asked = "2.3"
		}
		s.mu.Lock()
		s.pool, s.protocol = m.pool, asked
		s.mu.Unlock()
		return s.post(sessionCapability, members(
			Property{"protocolversion", Version(asked)}, Property{"PSVersion", Version("2.0")},
			Property{"SerializationVersion", Version("1.1.0.1")}))
	case initRunspacePool:
		o, err := m.members()
		if err != nil {
			return err
		}
		s.mu.Lock()
		s.least, s.most = integerOf(o, "MinRunspaces", 1), integerOf(o, "MaxRunspaces", 1)
		protocol := s.protocol
		s.opened = true
		s.mu.Unlock()
		versions := &Dict{Entries: []Entry{
			{"PSVersion", Version("5.1.20348.1")}, {"PSEdition", "Desktop"},
			{"PSRemotingProtocolVersion", Version(protocol)},
			{"SerializationVersion", Version("1.1.0.1")}, {"WSManStackVersion", Version("3.0")},
		}}
		types := []string{"System.Management.Automation.PSPrimitiveDictionary", "System.Collections.Hashtable",
			"System.Object"}
		if err := s.post(applicationPrivateData,
			members(Property{"ApplicationPrivateData", &Object{Types: types, Value: &Dict{Entries: []Entry{
				{"PSVersionTable", &Object{Types: types, Value: versions}},
			}}}})); err != nil {
			return err
		}
		return s.post(runspacePoolState, members(Property{"RunspaceState", poolOpened}))
	case publicKey:
		o, err := m.members()
		if err != nil {
			return err
		}
		pub, err := parsePublicKeyBlob(textOf(o, "PublicKey"))
		if err != nil {
			return err
		}
		key, text, err := sealSessionKey(pub)
		if err != nil {
			return err
		}
		s.mu.Lock()
		s.key = key
		s.mu.Unlock()
		return s.post(encryptedSessionKey, members(Property{"EncryptedSessionKey", text}))
	case setMaxRunspaces, setMinRunspaces, getAvailableRunspaces, resetRunspaceState:
		return s.runspaces(m)
	}
	return nil // host answers: nothing to do
}

// runspaces answers a question about the pool's runspaces, or a request to change them. Every one
// carries a call id, for which the client waits.
func (s *shell) runspaces(m message) error {
	o, err := m.members()
	if err != nil {
		return err
	}
	s.mu.Lock()
	busy := int64(len(s.runspace))
	var answer any
	switch m.kind {
	case getAvailableRunspaces:
		answer = int32(max(s.most-busy, 0))
	case resetRunspaceState: // of a single runspace, between pipelines
		answer = s.most == 1 && busy == 0
	case setMaxRunspaces:
		n := integerOf(o, "MaxRunspaces", 0)
		accepted := n >= 1 && n >= s.least && n != s.most
		if accepted {
			s.most = n
		}
		answer = accepted
	case setMinRunspaces:
		n := integerOf(o, "MinRunspaces", 0)
		accepted := n >= 1 && n <= s.most && n != s.least
		if accepted {
			s.least = n
		}
		answer = accepted
	}
	s.mu.Unlock()
	return s.post(runspaceAvailability,
		members(Property{"SetMinMaxRunspacesResponse", answer}, Property{"ci", long(integerOf(o, "ci", 0))}))
}

func (s *shell) pipeline(id string) *pipeline {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pipelines[strings.ToUpper(id)]
}

func (s *shell) newPipeline(id string) (*pipeline, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id = strings.ToUpper(id)
	switch {
	case s.closed:
		return nil, errors.New("the shell is closed")
	case !s.opened:
		return nil, errors.New("the runspace pool is not open")
	case s.pipelines[id] != nil:
		return nil, errors.New("there is a command of this id already")
	case s.unread() >= maxPipelines:
		return nil, errors.New("too many commands")
	}
	p := &pipeline{shell: s, id: id}
	p.incoming.limit = 16 << 20
	p.context, p.cancel = context.WithCancelCause(s.context)
	s.pipelines[id] = p
	return p, nil
}

// unread counts the pipelines whose end the client has not read; the caller holds the lock.
func (s *shell) unread() int {
	n := 0
	for _, p := range s.pipelines {
		if !p.released {
			n++
		}
	}
	return n
}

// release gives the slot of a pipeline back: the client has read its end. It stays known until it
// is terminated, or until as many more have ended.
func (s *shell) release(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pipelines[strings.ToUpper(id)]
	if p == nil || p.released {
		return
	}
	p.released = true
	s.ended = append(s.ended, p.id)
	if len(s.ended) > maxPipelines {
		delete(s.pipelines, s.ended[0])
		s.ended = s.ended[1:]
	}
}

// drop stops a pipeline and forgets it.
func (s *shell) drop(p *pipeline) {
	s.mu.Lock()
	if s.pipelines[p.id] == p {
		delete(s.pipelines, p.id)
	}
	s.mu.Unlock()
	p.cancel(errStopped)
	p.outgoing.end()
}

// pipeline is a command of a shell.
type pipeline struct {
	shell    *shell
	id       string
	pid      GUID
	outgoing queue
	context  context.Context
	cancel   context.CancelCauseFunc

	released bool // under the shell's lock

	mu       sync.Mutex
	incoming assembler
	started  bool
	waiting  []Pipeline // until the client has piped its input
}

// feed takes fragments. The first message must be the pipeline itself. It runs when its input,
// which follows, has ended.
func (p *pipeline) feed(data []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	messages, err := p.incoming.feed(data)
	if err != nil {
		return err
	}
	for _, m := range messages {
		if p.started {
			if err := p.takeInput(m); err != nil {
				return err
			}
			continue
		}
		if m.kind != createPipeline && m.kind != getCommandMetadata {
			return errors.New("the command does not start with a pipeline")
		}
		o, err := m.members()
		if err != nil {
			return err
		}
		p.shell.mu.Lock()
		key := p.shell.key
		p.shell.mu.Unlock()
		var statements []Pipeline
		if m.kind == getCommandMetadata {
			statements = make([]Pipeline, 1)
			statements[0], err = parseMetadata(o, key)
		} else {
			statements, err = parseStatements(o, key)
		}
		if err != nil {
			return err
		}
		p.started, p.pid = true, m.pipeline
		if noInput, _ := o.Get("NoInput"); noInput == false {
			statements[0].Input = []any{}
			p.waiting = statements
			continue
		}
		go p.run(statements)
	}
	return nil
}

// takeInput takes one message behind the pipeline's own.
func (p *pipeline) takeInput(m message) error {
	switch {
	case p.waiting == nil:
	case m.kind == pipelineInput:
		if len(p.waiting[0].Input) == maxInput {
			return errors.New("too much input")
		}
		v, err := m.output()
		if err != nil {
			return err
		}
		p.waiting[0].Input = append(p.waiting[0].Input, v)
	case m.kind == endOfPipelineInput:
		go p.run(p.waiting)
		p.waiting = nil
	}
	return nil
}

// run runs the statements when the pool's runspace is free, and reports how they ended. A stop
// takes effect at once; the runspace stays busy until the cmdlet has returned.
func (p *pipeline) run(statements []Pipeline) {
	defer p.cancel(nil)
	defer p.outgoing.end()
	var err error
	select {
	case p.shell.runspace <- struct{}{}:
		ended := make(chan error, 1)
		go func() {
			var err error
			for _, s := range statements {
				if err = p.call(s); err != nil {
					break
				}
			}
			<-p.shell.runspace
			ended <- err
		}()
		select {
		case err = <-ended:
		case <-p.context.Done():
		}
	case <-p.context.Done():
	}
	state, record := pipelineCompleted, (*ErrorRecord)(nil)
	switch {
	case p.context.Err() != nil:
		state = pipelineStopped
		record = &ErrorRecord{Message: "The pipeline has been stopped.", ID: "PipelineStopped",
			Category: OperationStopped, Reason: "PipelineStoppedException",
			Exception: []string{"System.Management.Automation.PipelineStoppedException",
				"System.Management.Automation.RuntimeException", "System.SystemException", "System.Exception",
				"System.Object"}}
	case err != nil:
		state = pipelineFailed
		if !errors.As(err, &record) {
			record = &ErrorRecord{Message: err.Error(), ID: "CmdletError", Activity: statements[0].Commands[0].Name}
		}
	}
	data := members(Property{"PipelineState", state})
	if record != nil {
		data.Extended = append(data.Extended, Property{"ExceptionAsErrorRecord", record.object()})
	}
	list, err := p.shell.message(pipelineState, p.pid, data)
	if err != nil { // a target that cannot be written
		text := *record
		text.Object, text.Target = nil, Text(record.Target)
		data.Extended[1].Value = text.object()
		list, _ = p.shell.message(pipelineState, p.pid, data)
	}
	p.outgoing.force(list)
}

func (p *pipeline) call(pl Pipeline) error {
	for _, c := range pl.Commands {
		if c.Script {
			return &ErrorRecord{
				Message: "The syntax is not supported by this runspace. This can occur if the runspace is in " +
					"no-language mode.", ID: "ScriptsNotAllowed", Category: ParserError, Reason: "ParseException",
				TargetName: c.Name, TargetType: "String", Target: c.Name,
				Exception: []string{"System.Management.Automation.ParseException",
					"System.Management.Automation.RuntimeException", "System.SystemException", "System.Exception",
					"System.Object"},
			}
		}
	}
	if p.shell.server.Run == nil {
		return CommandNotFound(pl.Commands[0].Name)
	}
	return p.shell.server.Run(p.context, p.shell.caller, pl, &Writer{p})
}

// CommandNotFound is the error record of a command that the session does not have.
func CommandNotFound(name string) *ErrorRecord {
	return &ErrorRecord{
		Message: "The term '" + name +
			"' is not recognized as the name of a cmdlet, function, script file, or operable program. Check the " +
			"spelling of the name, or if a path was included, verify that the path is correct and try again.",
		ID: "CommandNotFoundException", Category: ObjectNotFound, Reason: "CommandNotFoundException",
		TargetName: name, TargetType: "String", Target: name,
		Exception: []string{"System.Management.Automation.CommandNotFoundException",
			"System.Management.Automation.RuntimeException", "System.SystemException", "System.Exception",
			"System.Object"},
	}
}

// Writer is where a pipeline writes. Its methods wait while the client lags behind, and fail when
// the pipeline was stopped or a value has no CLIXML.
type Writer struct{ pipeline *pipeline }

func (w *Writer) write(kind messageType, data any) error {
	p := w.pipeline
	if p.context.Err() != nil {
		return context.Cause(p.context)
	}
	list, err := p.shell.message(kind, p.pid, data)
	if err != nil {
		return err
	}
	if !p.outgoing.put(p.context, list) {
		return errStopped
	}
	return nil
}

// Output writes objects, a message each.
func (w *Writer) Output(objects ...any) error {
	for _, o := range objects {
		if err := w.write(pipelineOutput, o); err != nil {
			return err
		}
	}
	return nil
}

// Error writes an error that does not end the pipeline.
func (w *Writer) Error(e *ErrorRecord) error { return w.write(errorRecordMessage, e.object()) }

// Warning writes to the warning stream.
func (w *Writer) Warning(text string) error {
	return w.write(warningRecord, informational("WarningRecord", text))
}

// Verbose writes to the verbose stream.
func (w *Writer) Verbose(text string) error {
	return w.write(verboseRecord, informational("VerboseRecord", text))
}

// Debug writes to the debug stream.
func (w *Writer) Debug(text string) error {
	return w.write(debugRecord, informational("DebugRecord", text))
}

// Information writes to the information stream.
func (w *Writer) Information(i Information) error {
	return w.write(informationRecord, members(
		Property{"MessageData", i.Message}, Property{"Source", i.Source}, Property{"TimeGenerated", time.Now()},
		Property{"Tags", i.Tags}, Property{"User", w.pipeline.shell.caller.User},
		Property{"Computer", w.pipeline.shell.server.Name},
		Property{"ProcessId", 0}, Property{"NativeThreadId", 0}, Property{"ManagedThreadId", 0},
		Property{"WriteInformationStream", true}))
}

// Progress writes to the progress stream.
func (w *Writer) Progress(p Progress) error {
	kind, n := "Processing", int64(0)
	if p.Completed {
		kind, n = "Completed", 1
	}
	return w.write(progressRecord, members(
		Property{"Activity", p.Activity}, Property{"ActivityId", 0}, Property{"StatusDescription", p.Status},
		Property{"CurrentOperation", p.Operation},
		Property{"ParentActivityId", -1}, Property{"PercentComplete", p.Percent},
		Property{"Type", enum("System.Management.Automation.ProgressRecordType", kind, n)},
		Property{"SecondsRemaining", p.SecondsRemaining}))
}

func informational(kind, text string) *Object {
	return &Object{
		Types: []string{"System.Management.Automation." + kind, "System.Management.Automation.InformationalRecord",
			"System.Object"}, Text: text,
		Extended: []Property{{"InformationalRecord_Message", text},
			{"InformationalRecord_SerializeInvocationInfo", false},
			{"InformationalRecord_PipelineIterationInfo", []any{0, 0}}},
	}
}
