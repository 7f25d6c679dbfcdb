package psrp

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/hybridge-cli/hybridge/pkg/wire/kerberos"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// Caller is an authenticated user.
type Caller struct {
	User      string // as it authenticated: `CONTOSO\admin`, "admin@contoso.com", "admin@CONTOSO.COM"
	Mechanism string // "Basic", "Kerberos", "Negotiate"
	Remote    string // address and port
}

// Server serves runspace pools over HTTP, the way Exchange's front end does. Set the fields before
// the first request.
type Server struct {
	// Name is the server's name in faults.
	Name string
	// Authenticate reports whether the password is the user's; any error refuses. Basic is not
	// offered when nil.
	Authenticate func(ctx context.Context, user, password string) error
	// Kerberos accepts tickets. ConnContext must then be the http.Server's. Not offered when nil.
	Kerberos *kerberos.Acceptor
	// AllowUnencrypted takes Basic without TLS.
	AllowUnencrypted bool
	// Configurations are the session configurations served; "Microsoft.Exchange" alone when empty.
	Configurations []string
	// Admit, if set, decides whether the caller may open a shell. A *Fault is answered as it is,
	// any other error as "access denied".
	Admit func(ctx context.Context, caller Caller) error
	// Run runs one pipeline, which never holds a script. A returned error ends the pipeline as
	// failed: an *ErrorRecord as it is, any other as a record of its text. ctx ends when the client
	// stops the pipeline or the shell is closed.
	Run func(ctx context.Context, caller Caller, p Pipeline, w *Writer) error
	// ShellsPerUser is how many shells a user may have open; 18, as Exchange's throttling policy
	// says, when 0.
	ShellsPerUser int
	// IdleTimeout closes a shell that got no request for so long; 15 minutes when 0.
	IdleTimeout time.Duration
	// MaxPoll is the longest that a poll is held, whatever the client asks for; as long as it asks
	// when 0.
	MaxPoll time.Duration
	// MaxRequest is the largest request in bytes; 1 MiB when 0.
	MaxRequest int
	// FragmentSize is the largest fragment sent, in bytes with its header; what fits into the
	// client's envelope when 0.
	FragmentSize int
	// FragmentsPerReceive is how many fragments one answer carries at most; as many as fit when 0.
	FragmentsPerReceive int

	mu     sync.Mutex
	shells map[string]*shell
	closed bool
}

type connKey struct{}

// connState is the authenticated user of a connection.
type connState struct {
	mu      sync.Mutex
	caller  Caller
	context *kerberos.Context
	scheme  string
}

// ConnContext ties Kerberos authentication to its connection: set it as the http.Server's
// ConnContext.
func (s *Server) ConnContext(ctx context.Context, _ net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, &connState{})
}

// exchange is one request with what its answer needs.
type exchange struct {
	server  *Server
	w       http.ResponseWriter
	r       *http.Request
	caller  Caller
	sealing *kerberos.Context // not nil when the request was sealed
	scheme  string
	env     *envelope
}

// ServeHTTP answers one WS-Management request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Server", "Microsoft-HTTPAPI/2.0")
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	limit := s.MaxRequest
	if limit == 0 {
		limit = 1 << 20
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, int64(limit)+1))
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if len(body) > limit {
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	x := &exchange{server: s, w: w, r: r}
	if !x.authenticate(len(body) == 0) {
		return
	}
	if isSealed(r.Header.Get("Content-Type")) {
		if x.sealing == nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if body, err = unsealBody(x.sealing, r.Header.Get("Content-Type"), body); err != nil {
			// The sequence numbers of this context are lost: the client must authenticate again.
			x.dropContext()
			s.challenge(w, r)
			return
		}
	} else {
		if x.sealing != nil && r.TLS == nil {
			http.Error(w, "unencrypted messages are not accepted", http.StatusInternalServerError)
			return
		}
		x.sealing = nil
		if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil ||
			kind != "application/soap+xml" {
			w.WriteHeader(http.StatusUnsupportedMediaType)
			return
		}
	}
	if x.env, err = parseEnvelope(body); err != nil {
		http.Error(w, "not a WS-Management request", http.StatusBadRequest)
		return
	}
	x.dispatch()
}

func (s *Server) challenge(w http.ResponseWriter, r *http.Request) {
	if state, _ := r.Context().Value(connKey{}).(*connState); s.Kerberos != nil && state != nil && r.ProtoMajor == 1 {
		w.Header().Add("WWW-Authenticate", "Kerberos")
		w.Header().Add("WWW-Authenticate", "Negotiate")
	}
	if s.basicAllowed(r) {
		w.Header().Add("WWW-Authenticate", `Basic realm="WSMAN"`)
	}
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusUnauthorized)
}

func (s *Server) basicAllowed(r *http.Request) bool {
	return s.Authenticate != nil && (r.TLS != nil || s.AllowUnencrypted)
}

func (x *exchange) dropContext() {
	if state, _ := x.r.Context().Value(connKey{}).(*connState); state != nil {
		state.mu.Lock()
		defer state.mu.Unlock()
		state.context, state.caller = nil, Caller{}
	}
}

// authenticate finds the caller. False: the answer is written already.
func (x *exchange) authenticate(empty bool) bool {
	s, r := x.server, x.r
	state, _ := r.Context().Value(connKey{}).(*connState)
	if r.ProtoMajor != 1 {
		state = nil
	}
	scheme, value, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch {
	case strings.EqualFold(scheme, "Basic") && s.basicAllowed(r):
		user, password, ok := r.BasicAuth()
		if !ok || user == "" || s.Authenticate(r.Context(), user, password) != nil {
			s.challenge(x.w, r)
			return false
		}
		x.caller = Caller{User: user, Mechanism: "Basic", Remote: r.RemoteAddr}
		return true
	case (strings.EqualFold(scheme, "Kerberos") || strings.EqualFold(scheme, "Negotiate")) && s.Kerberos != nil &&
		state != nil:
		state.mu.Lock()
		defer state.mu.Unlock()
		state.context, state.caller = nil, Caller{} // a new sign-in replaces the old one, also when it fails
		token, err := base64.StdEncoding.DecodeString(strings.TrimSpace(value))
		if err != nil {
			s.challenge(x.w, r)
			return false
		}
		c := s.Kerberos.Context()
		reply, user, err := c.Accept(token)
		if err != nil || user == "" {
			s.challenge(x.w, r)
			return false
		}
		state.context, state.scheme = c, scheme
		state.caller = Caller{User: user, Mechanism: "Kerberos", Remote: r.RemoteAddr}
		x.caller, x.sealing, x.scheme = state.caller, c, scheme
		x.w.Header().Set("WWW-Authenticate", scheme+" "+base64.StdEncoding.EncodeToString(reply))
		if empty {
			x.w.Header().Set("Content-Length", "0")
			x.w.WriteHeader(http.StatusOK)
			return false
		}
		return true
	case scheme == "" && state != nil:
		state.mu.Lock()
		defer state.mu.Unlock()
		if state.context != nil {
			x.caller, x.sealing, x.scheme = state.caller, state.context, state.scheme
			return true
		}
	}
	s.challenge(x.w, r)
	return false
}

func (x *exchange) write(status int, envelope []byte) {
	kind := soapType
	if x.sealing != nil {
		var err error
		if kind, envelope, err = sealBody(x.sealing, x.scheme, envelope); err != nil {
			x.dropContext()
			x.w.WriteHeader(http.StatusInternalServerError)
			return
		}
	}
	x.w.Header().Set("Content-Type", kind)
	x.w.Header().Set("Content-Length", fmt.Sprint(len(envelope)))
	x.w.WriteHeader(status)
	x.w.Write(envelope)
}

func (x *exchange) answer(action, body string) {
	x.write(http.StatusOK, answerEnvelope(action+"Response", x.env.messageID, body))
}

func (x *exchange) fault(f *Fault) {
	if f.Machine == "" {
		c := *f
		c.Machine = x.server.Name
		f = &c
	}
	status := f.Status
	if status < 400 || status > 599 {
		status = http.StatusInternalServerError
	}
	x.write(status, answerEnvelope(actionFault, x.env.messageID, f.body()))
}

func invalid(format string, args ...any) *Fault {
	return &Fault{Code: faultInvalid, Subcode: "w:SchemaValidationError",
		Reason: "The request is not valid: " + fmt.Sprintf(format, args...) + "."}
}

var shellGone = &Fault{Code: faultShellGone, Subcode: "w:InvalidSelectors",
	Reason: "The WS-Management service cannot process the request because the request contained invalid selectors " +
		"for the resource. The shell was not found on the server."}

var noSuchCommand = &Fault{Code: faultShellGone, Subcode: "w:InvalidSelectors",
	Reason: "The Windows Remote Shell received a request to perform an operation on a command identifier that does " +
		"not exist. Either the command has completed execution or the client specified an invalid command identifier."}

func (x *exchange) dispatch() {
	if x.env.action == actionCreate {
		if f := x.create(); f != nil {
			x.fault(f)
		}
		return
	}
	s := x.server.shell(x.env.shell, x.caller)
	if s == nil {
		x.fault(shellGone)
		return
	}
	defer s.leave()
	var f *Fault
	switch x.env.action {
	case actionReceive:
		f = x.receive(s)
	case actionCommand:
		f = x.command(s)
	case actionSend:
		f = x.send(s)
	case actionSignal:
		f = x.signal(s)
	case actionDelete:
		x.server.remove(s)
		x.answer(actionDelete, "")
	default:
		f = &Fault{Code: faultUnsupported, Subcode: "a:ActionNotSupported",
			Reason: "The WS-Management service cannot process the request because the WS-Addressing action URI in " +
				"the request is not compatible with the resource."}
	}
	if f != nil {
		x.fault(f)
	}
}

// shell finds a shell of the caller and marks it as in use; leave must follow.
func (s *Server) shell(id string, caller Caller) *shell {
	s.mu.Lock()
	defer s.mu.Unlock()
	sh := s.shells[strings.ToUpper(id)]
	if sh == nil || !strings.EqualFold(sh.caller.User, caller.User) {
		return nil
	}
	sh.enter()
	return sh
}

func (s *Server) remove(sh *shell) {
	s.mu.Lock()
	if s.shells[sh.id] == sh {
		delete(s.shells, sh.id)
	}
	s.mu.Unlock()
	sh.close()
}

// Shells is the number of open shells.
func (s *Server) Shells() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.shells)
}

// Close ends all shells and refuses new ones.
func (s *Server) Close() {
	s.mu.Lock()
	shells := s.shells
	s.shells, s.closed = nil, true
	s.mu.Unlock()
	for _, sh := range shells {
		sh.close()
	}
}

// create opens a shell. Its creation data must start with the client's capabilities.
func (x *exchange) create() *Fault {
	s, e := x.server, x.env
	if !s.serves(e.resource) {
		return &Fault{Code: faultNoSuchSession, Subcode: "w:InvalidResourceURI",
			Reason: fmt.Sprintf("The WS-Management service cannot process the request. Cannot find the %s session "+
				"configuration in the WSMan: drive on the %s computer.",
				link.Line(strings.TrimPrefix(e.resource, resourceURI)), s.Name)}
	}
	if e.body == nil || e.body.name != "Shell" {
		return invalid("no shell")
	}
	if !strings.HasPrefix(e.options["protocolversion"], "2.") {
		return invalid("no option protocolversion")
	}
	data, err := streamBytes(e.body.at("creationXml"))
	if err != nil {
		return invalid("creationXml: %v", err)
	}
	if s.Admit != nil {
		if err := s.Admit(x.r.Context(), x.caller); err != nil {
			var f *Fault
			if errors.As(err, &f) {
				return f
			}
			return &Fault{Code: faultAccessDenied, Subcode: "w:AccessDenied",
				Reason: "Access is denied. " + link.Line(err.Error())}
		}
	}
	id := strings.ToUpper(e.body.attribute("ShellId"))
	if _, err := ParseGUID(id); err != nil {
		id = upper(NewGUID())
	}
	size := s.FragmentSize
	if size == 0 {
		size = smallEnvelope
		if e.maxSize >= leastEnvelope && e.maxSize < size {
			size = e.maxSize
		}
		size = (size - 4096) / 4 * 3
	}
	sh := newShell(s, id, x.caller, size)
	sh.incoming.limit = 16 << 20
	messages, err := sh.incoming.feed(data)
	if err != nil || len(messages) == 0 || messages[0].kind != sessionCapability {
		return invalid("creationXml does not start with the session capability")
	}
	for _, m := range messages {
		if err := sh.take(m); err != nil {
			return invalid("%v", err)
		}
	}
	limit := s.ShellsPerUser
	if limit == 0 {
		limit = 18
	}
	s.mu.Lock()
	mine := 0
	for _, other := range s.shells {
		if strings.EqualFold(other.caller.User, x.caller.User) {
			mine++
		}
	}
	_, taken := s.shells[id]
	switch {
	case s.closed, taken:
		s.mu.Unlock()
		sh.close()
		return invalid("the shell cannot be created")
	case mine >= limit:
		s.mu.Unlock()
		sh.close()
		return &Fault{Code: faultQuotaShells, Subcode: "w:QuotaLimit",
			Reason: fmt.Sprintf("The WS-Management service cannot process the request. This user is allowed a "+
				"maximum number of %d concurrent shells, which has been exceeded. "+
				"Close existing shells or raise the quota for this user.", limit)}
	}
	if s.shells == nil {
		s.shells = map[string]*shell{}
	}
	s.shells[id] = sh
	s.mu.Unlock()
	sh.watch()
	host := x.r.Host
	scheme := "http"
	if x.r.TLS != nil {
		scheme = "https"
	}
	client, _, _ := net.SplitHostPort(x.r.RemoteAddr)
	x.answer(actionCreate, `<x:ResourceCreated><a:Address>`+xmlText(scheme+"://"+host+x.r.URL.RequestURI())+
		`</a:Address><a:ReferenceParameters><w:ResourceURI>`+xmlText(e.resource)+
		`</w:ResourceURI><w:SelectorSet><w:Selector Name="ShellId">`+id+
		`</w:Selector></w:SelectorSet></a:ReferenceParameters></x:ResourceCreated>`+
		`<rsp:Shell><rsp:ShellId>`+id+`</rsp:ShellId><rsp:ResourceUri>`+xmlText(e.resource)+
		`</rsp:ResourceUri><rsp:Owner>`+xmlText(x.caller.User)+`</rsp:Owner><rsp:ClientIP>`+xmlText(client)+
		`</rsp:ClientIP><rsp:IdleTimeOut>`+fmt.Sprintf("PT%.3fS",
		s.idle().Seconds())+`</rsp:IdleTimeOut><rsp:InputStreams>stdin pr</rsp:InputStreams><rsp:OutputStreams>stdout</rsp:OutputStreams>`+
		`<rsp:State>Connected</rsp:State><rsp:ShellRunTime>P0DT0H0M0S</rsp:ShellRunTime><rsp:ShellInactivity>P0DT0H0M0S</rsp:ShellInactivity></rsp:Shell>`)
	return nil
}

func (s *Server) idle() time.Duration {
	if s.IdleTimeout > 0 {
		return s.IdleTimeout
	}
	return 15 * time.Minute
}

// serves reports whether the resource is one of the session configurations.
func (s *Server) serves(resource string) bool {
	resource, _, _ = strings.Cut(resource, "?")
	if len(resource) < len(resourceURI) || !strings.EqualFold(resource[:len(resourceURI)], resourceURI) {
		return false
	}
	served := s.Configurations
	if len(served) == 0 {
		served = []string{"Microsoft.Exchange"}
	}
	for _, c := range served {
		if strings.EqualFold(c, resource[len(resourceURI):]) {
			return true
		}
	}
	return false
}

// receive answers a poll with what is pending, or with a fault when nothing came in time.
func (x *exchange) receive(s *shell) *Fault {
	if x.env.body == nil || x.env.body.name != "Receive" {
		return invalid("no Receive")
	}
	command := x.env.body.at("DesiredStream").attribute("CommandId")
	q := &s.outgoing
	if command != "" {
		p := s.pipeline(command)
		if p == nil {
			return noSuchCommand
		}
		q = &p.outgoing
	}
	wait := x.env.timeout
	if wait <= 0 {
		wait = 60 * time.Second
	}
	if m := x.server.MaxPoll; m > 0 && m < wait {
		wait = m
	}
	room := x.env.maxSize
	if room < leastEnvelope {
		room = smallEnvelope
	}
	ctx, cancel := context.WithTimeout(x.r.Context(), wait)
	defer cancel()
	list, done := q.take(ctx, room-4096, x.server.FragmentsPerReceive)
	if len(list) == 0 && s.isClosed() {
		return shellGone
	}
	if len(list) == 0 && !done {
		return &Fault{Code: faultTimedOut, Subcode: "w:TimedOut",
			Reason: "The WS-Management service cannot complete the operation within the time specified in " +
				"OperationTimeout."}
	}
	of := ""
	if command != "" {
		of = ` CommandId="` + xmlText(command) + `"`
	}
	var b strings.Builder
	b.WriteString(`<rsp:ReceiveResponse>`)
	for _, f := range list {
		b.WriteString(`<rsp:Stream Name="stdout"` + of + `>` + base64.StdEncoding.EncodeToString(f) + `</rsp:Stream>`)
	}
	if command != "" {
		if done {
			s.release(command)
			b.WriteString(`<rsp:CommandState` + of + ` State="` + commandDone +
				`"><rsp:ExitCode>0</rsp:ExitCode></rsp:CommandState>`)
		} else {
			b.WriteString(`<rsp:CommandState` + of + ` State="` + commandRunning + `"/>`)
		}
	}
	b.WriteString(`</rsp:ReceiveResponse>`)
	x.answer(actionReceive, b.String())
	return nil
}

// command starts a pipeline, or takes its first fragment.
func (x *exchange) command(s *shell) *Fault {
	line := x.env.body
	if line == nil || line.name != "CommandLine" {
		return invalid("no CommandLine")
	}
	data, err := streamBytes(line.at("Arguments"))
	if err != nil {
		return invalid("Arguments: %v", err)
	}
	id := line.attribute("CommandId")
	if _, err := ParseGUID(id); err != nil {
		id = upper(NewGUID())
	}
	p, err := s.newPipeline(id)
	if err != nil {
		return invalid("%v", err)
	}
	if err := p.feed(data); err != nil {
		s.drop(p)
		return invalid("%v", err)
	}
	x.answer(actionCommand, `<rsp:CommandResponse><rsp:CommandId>`+xmlText(id)+`</rsp:CommandId></rsp:CommandResponse>`)
	return nil
}

// send takes further fragments, for a pipeline or for the pool.
func (x *exchange) send(s *shell) *Fault {
	if x.env.body == nil || x.env.body.name != "Send" {
		return invalid("no Send")
	}
	for _, n := range x.env.body.kids {
		if n.name != "Stream" {
			continue
		}
		data, err := streamBytes(n)
		if err != nil {
			return invalid("Stream: %v", err)
		}
		if command := n.attribute("CommandId"); command != "" {
			p := s.pipeline(command)
			if p == nil {
				return noSuchCommand
			}
			err = p.feed(data)
		} else {
			err = s.feed(data)
		}
		if err != nil {
			return invalid("%v", err)
		}
	}
	x.answer(actionSend, `<rsp:SendResponse/>`)
	return nil
}

// signal stops a pipeline. Terminate also forgets it.
func (x *exchange) signal(s *shell) *Fault {
	if x.env.body == nil || x.env.body.name != "Signal" {
		return invalid("no Signal")
	}
	p := s.pipeline(x.env.body.attribute("CommandId"))
	switch {
	case p == nil:
		return noSuchCommand
	case x.env.body.value("Code") == signalTerminate:
		s.drop(p)
	default:
		p.cancel(errStopped)
	}
	x.answer(actionSignal, `<rsp:SignalResponse/>`)
	return nil
}
