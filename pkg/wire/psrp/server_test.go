package psrp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

const password = "Pa$$:wörd"

// compareSecrets lets cmp look into secrets.
var compareSecrets = cmp.Comparer(func(a, b secret.Value) bool { return a.Reveal() == b.Reveal() })

// serve starts a server over TLS that knows one user, and counts its requests by action.
func serve(t *testing.T, s *Server) (*httptest.Server, func() string) {
	t.Helper()
	if s.Authenticate == nil {
		s.Authenticate = func(_ context.Context, user, pw string) error {
			if user != `CONTOSO\admin` && user != "other" || pw != password {
				return errors.New("no")
			}
			return nil
		}
	}
	if s.MaxPoll == 0 {
		s.MaxPoll = 100 * time.Millisecond
	}
	s.Name = "EX1"
	var mu sync.Mutex
	var actions []string
	ts := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		action := first(actionElement, string(body))
		mu.Lock()
		if name := action[strings.LastIndex(action, "/")+1:]; name != "Receive" {
			actions = append(actions, name)
		}
		mu.Unlock()
		if len(body) > smallEnvelope && len(body) > largeEnvelope {
			t.Errorf("envelope of %d bytes", len(body))
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		s.ServeHTTP(w, r)
	}))
	ts.Config.ConnContext = s.ConnContext
	ts.StartTLS()
	t.Cleanup(func() { s.Close(); ts.Close() })
	return ts, func() string {
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(actions, " ")
	}
}

func optionsFor(ts *httptest.Server) Options {
	return Options{URL: ts.URL + "/PowerShell/?serializationLevel=Full", User: `CONTOSO\admin`,
		Password: secret.NewValue(password), TLS: trusting(ts)}
}

func open(t *testing.T, ts *httptest.Server) *Pool {
	t.Helper()
	p, err := Open(t.Context(), optionsFor(ts))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close(context.Background()) })
	return p
}

// TestParameters sends every kind of parameter through client, wire and server.
func TestParameters(t *testing.T) {
	when := time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)
	var got Pipeline
	var caller Caller
	ts, actions := serve(t, &Server{Run: func(_ context.Context, c Caller, p Pipeline, w *Writer) error {
		got, caller = p, c
		return nil
	}})
	p := open(t, ts)
	sent := []Parameter{
		{"Null", nil}, {"Switch", true}, {"Text", "a\r\n<&>_x000D_ 😀"}, {"Number", int64(1 << 40)}, {"Int", 7},
		{"Double", 1.5}, {"When", when},
		{"List", []string{"a", "b"}}, {"Bytes", []byte{0, 1, 255}},
		{"Change", map[string]any{"Add": []string{"x"}, "Remove": "y"}},
		{"Credential", Credential{`FABRIKAM\svc`, secret.NewValue("hush ä😀")}}, {"Password", secret.NewValue("")},
		{"", "positional"}, {"Mixed", []any{"a", int64(1), nil, []any{true}}},
		{"ID", GUID{1, 2}}, {"Span", TimeSpan(5)},
	}
	if _, err := p.Invoke(t.Context(),
		Pipeline{Commands: []Command{{Name: "Set-Thing", Parameters: sent},
			{Name: "Select-Object", Parameters: []Parameter{{"First", 1}}}}}); err != nil {
		t.Fatal(err)
	}
	want := Pipeline{Commands: []Command{{Name: "Set-Thing", Parameters: []Parameter{
		{"Null", nil}, {"Switch", true}, {"Text", "a\r\n<&>_x000D_ 😀"}, {"Number", int64(1 << 40)}, {"Int", int64(7)},
		{"Double", 1.5}, {"When", when},
		{"List", []any{"a", "b"}}, {"Bytes", []byte{0, 1, 255}},
		{"Change", map[string]any{"Add": []any{"x"}, "Remove": "y"}},
		{"Credential", Credential{`FABRIKAM\svc`, secret.NewValue("hush ä😀")}}, {"Password", secret.NewValue("")},
		{"", "positional"}, {"Mixed", []any{"a", int64(1), nil, []any{true}}},
		{"ID", GUID{1, 2}}, {"Span", TimeSpan(5)},
	}}, {Name: "Select-Object", Parameters: []Parameter{{"First", int64(1)}}}}}
	if diff := cmp.Diff(want, got, compareSecrets,
		cmpopts.IgnoreFields(Pipeline{}, "OnOutput", "OnRecord")); diff != "" {
		t.Errorf("the server got (-want +got):\n%s", diff)
	}
	if caller.User != `CONTOSO\admin` || caller.Mechanism != "Basic" || caller.Remote == "" {
		t.Errorf("caller %+v", caller)
	}
	// The key is exchanged once.
	if _, err := p.Invoke(t.Context(),
		Pipeline{Commands: []Command{{Name: "Set-Thing", Parameters: sent[11:12]}}}); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if got, want := actions(), "Create Send Command Signal Command Signal Delete"; got != want {
		t.Errorf("requests %s, want %s", got, want)
	}
	if _, err := p.Invoke(t.Context(), Pipeline{Commands: []Command{{Name: "Get-Thing"}}}); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// TestStreams sends everything a pipeline can write, in fragments of many sizes.
func TestStreams(t *testing.T) {
	record := &ErrorRecord{Message: "The operation couldn't be performed because object 'x' couldn't be found.",
		ID: "[Server=EX1] 1A2B,Microsoft.Exchange.Management.GetThing", Category: InvalidData,
		Activity: "Get-Thing", Reason: "ManagementObjectNotFoundException", TargetName: "x",
		TargetType: "ThingIdParameter", CategoryMessage: "line",
		Exception: []string{"Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException",
			"System.Exception", "System.Object"}, Target: "x", Details: "details"}
	object := &Object{Types: []string{"A", "System.Object"}, Text: "a",
		Properties: []Property{{"Name", strings.Repeat("n", 3000)},
			{"List", &Object{Types: []string{"L"}, Value: []any{"1", int64(2)}}}}}
	run := func(_ context.Context, _ Caller, p Pipeline, w *Writer) error {
		for _, err := range []error{
			w.Output("text", nil, object), w.Warning("careful"), w.Verbose("detail"), w.Debug("bug"), w.Error(record),
			w.Information(Information{Message: "info", Source: "s", Tags: []string{"t"}}),
			w.Progress(Progress{Activity: "work", Percent: 50, SecondsRemaining: -1}), w.Output(int64(9)),
		} {
			if err != nil {
				return err
			}
		}
		if err := w.Output(struct{}{}); err == nil {
			return errors.New("wrote a struct")
		}
		if p.Commands[0].Name == "Fail" {
			return record
		}
		if p.Commands[0].Name == "Break" {
			return errors.New("broken")
		}
		return nil
	}
	for _, size := range []struct{ fragment, perReceive int }{{0, 0}, {22, 1000}, {64, 3}, {1000, 1}, {5000, 2}} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			ts, _ := serve(t, &Server{Run: run, FragmentSize: size.fragment, FragmentsPerReceive: size.perReceive})
			p := open(t, ts)
			var records []any
			out, err := p.Invoke(t.Context(),
				Pipeline{Commands: []Command{{Name: "Get-Thing"}},
					OnRecord: func(r any) { records = append(records, r) }})
			if err != nil {
				t.Fatal(err)
			}
			want := Output{Objects: []any{"text", nil, object, int64(9)}, Errors: []*ErrorRecord{record},
				Warnings: []string{"careful"}, Verbose: []string{"detail"}, Debug: []string{"bug"},
				Information: []Information{{Message: "info", Source: "s", Tags: []string{"t"}}}, Progress: 1}
			ignore := cmpopts.IgnoreFields(ErrorRecord{}, "Object")
			if diff := cmp.Diff(want, out, ignore); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			wantRecords := []any{Warning("careful"), Verbose("detail"), Debug("bug"), record, want.Information[0],
				Progress{Activity: "work", Percent: 50, SecondsRemaining: -1}}
			if diff := cmp.Diff(wantRecords, records, ignore); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
			var e *ErrorRecord
			if _, err := p.Invoke(t.Context(), Pipeline{Commands: []Command{{Name: "Fail"}}}); !errors.As(err, &e) {
				t.Errorf("got %v", err)
			} else if diff := cmp.Diff(record, e, ignore); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if out, err := p.Invoke(t.Context(), Pipeline{Commands: []Command{{Name: "Break"}}}); !errors.As(err, &e) ||
				e.Message != "broken" || len(out.Objects) != 4 {
				t.Errorf("got %v with %d objects", err, len(out.Objects))
			}
		})
	}
}

func TestScriptsAreRefused(t *testing.T) {
	ts, _ := serve(t, &Server{Run: func(context.Context, Caller, Pipeline,
		*Writer) error {
		t.Error("a script ran")
		return nil
	}})
	var e *ErrorRecord
	_, err := open(t, ts).Invoke(t.Context(), Pipeline{Commands: []Command{{Name: "1+1", Script: true}}})
	if !errors.As(err, &e) || e.ID != "ScriptsNotAllowed" || e.Category != ParserError {
		t.Errorf("got %v", err)
	}
}

// TestRecordedObjectsOnTheWire serves what a real Exchange server printed and reads it back through
// the whole protocol.
func TestRecordedObjectsOnTheWire(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(shared(t, "clixml"), "*.xml"))
	objects := map[string][]any{}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if objects[filepath.Base(f)], err = Unmarshal(data); err != nil {
			t.Fatal(err)
		}
	}
	ts, _ := serve(t, &Server{FragmentSize: 4096, Run: func(_ context.Context, _ Caller, p Pipeline, w *Writer) error {
		list, ok := objects[p.Commands[0].Name]
		if !ok {
			return CommandNotFound(p.Commands[0].Name)
		}
		return w.Output(list...)
	}})
	p := open(t, ts)
	for name, want := range objects {
		out, err := p.Invoke(t.Context(), Pipeline{Commands: []Command{{Name: name}}})
		if err != nil {
			t.Fatal(name, err)
		}
		if diff := cmp.Diff(want, out.Objects); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	var e *ErrorRecord
	if _, err := p.Invoke(t.Context(), Pipeline{Commands: []Command{{Name: "Get-Nope"}}}); !errors.As(err, &e) ||
		e.ID != "CommandNotFoundException" || e.Category != ObjectNotFound || e.TargetName != "Get-Nope" {
		t.Errorf("got %v", err)
	}
}

// TestLargePipeline needs several envelopes.
func TestLargePipeline(t *testing.T) {
	var got int
	ts, actions := serve(t, &Server{Run: func(_ context.Context, _ Caller, p Pipeline, w *Writer) error {
		got = len(p.Commands[0].Parameters[0].Value.([]byte))
		return nil
	}})
	p := open(t, ts)
	if _, err := p.Invoke(t.Context(),
		Pipeline{Commands: []Command{{Name: "Import-ExchangeCertificate",
			Parameters: []Parameter{{"FileData", make([]byte, 700_000)}}}}}); err != nil {
		t.Fatal(err)
	}
	if got != 700_000 {
		t.Errorf("%d bytes arrived", got)
	}
	if got, want := actions(), "Create Command Send Send Signal"; got != want {
		t.Errorf("requests %s, want %s", got, want)
	}
}

func TestSlowPipelineIsPolled(t *testing.T) {
	release := make(chan struct{})
	polls := 0
	s := &Server{MaxPoll: time.Millisecond, Run: func(ctx context.Context, _ Caller, _ Pipeline, w *Writer) error {
		select {
		case <-release:
		case <-ctx.Done():
		}
		return w.Output("late")
	}}
	ts, _ := serve(t, s)
	inner := ts.Config.Handler
	ts.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if strings.Contains(string(body), actionReceive) && strings.Contains(string(body), "CommandId") {
			if polls++; polls == 5 {
				close(release)
			}
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		inner.ServeHTTP(w, r)
	})
	out, err := open(t, ts).Invoke(t.Context(), Pipeline{Commands: []Command{{Name: "Get-Slow"}}})
	if err != nil || len(out.Objects) != 1 || polls < 5 {
		t.Errorf("got %v, %v after %d polls", out.Objects, err, polls)
	}
}

// TestCancel stops a pipeline: the server must get the signal, and the pool stays usable.
func TestCancel(t *testing.T) {
	stopped := make(chan error, 1)
	started := make(chan struct{}, 1)
	s := &Server{MaxPoll: time.Minute, Run: func(ctx context.Context, _ Caller, p Pipeline, w *Writer) error {
		if p.Commands[0].Name == "Get-Quick" {
			return w.Output("quick")
		}
		started <- struct{}{}
		<-ctx.Done()
		stopped <- w.Output("too late")
		return nil
	}}
	ts, actions := serve(t, s)
	p := open(t, ts)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-started; cancel() }()
	if _, err := p.Invoke(ctx, Pipeline{Commands: []Command{{Name: "Get-Endless"}}}); !errors.Is(err,
		context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := <-stopped; err == nil {
		t.Error("a stopped pipeline could write")
	}
	if out, err := p.Invoke(t.Context(), Pipeline{Commands: []Command{{Name: "Get-Quick"}}}); err != nil ||
		len(out.Objects) != 1 {
		t.Errorf("afterwards: %v, %v", out.Objects, err)
	}
	// Close while a pipeline runs, with a context that is over.
	done := make(chan error)
	go func() {
		_, err := p.Invoke(t.Context(), Pipeline{Commands: []Command{{Name: "Get-Endless"}}})
		done <- err
	}()
	<-started
	if err := p.Close(ctx); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Errorf("the running pipeline got %v", err)
	}
	<-stopped
	if n := s.Shells(); n != 0 {
		t.Errorf("%d shells left", n)
	}
	if got, want := actions(), "Create Command Signal Command Signal Command Signal Delete"; got != want {
		t.Errorf("requests %s, want %s", got, want)
	}
}

func TestOutputCallback(t *testing.T) {
	ended := make(chan error, 1)
	ts, _ := serve(t, &Server{Run: func(ctx context.Context, _ Caller, _ Pipeline, w *Writer) error {
		for i := 0; ; i++ {
			if err := w.Output(strings.Repeat("x", 10000)); err != nil {
				ended <- err
				return err
			}
		}
	}})
	p := open(t, ts)
	enough := errors.New("enough")
	n := 0
	out, err := p.Invoke(t.Context(), Pipeline{Commands: []Command{{Name: "Get-Endless"}}, OnOutput: func(any) error {
		if n++; n == 400 { // beyond what the server holds back
			return enough
		}
		return nil
	}})
	if !errors.Is(err, enough) || n != 400 || len(out.Objects) != 0 {
		t.Errorf("got %v after %d", err, n)
	}
	if err := <-ended; err == nil {
		t.Error("the pipeline was not stopped")
	}
}

func TestShells(t *testing.T) {
	s := &Server{ShellsPerUser: 2, Run: func(context.Context, Caller, Pipeline, *Writer) error { return nil }}
	ts, _ := serve(t, s)
	a, b := open(t, ts), open(t, ts)
	_, err := Open(t.Context(), optionsFor(ts))
	var f *Fault
	if !errors.Is(err, ErrShellLimit) || !errors.As(err, &f) || f.Code != faultQuotaShells || f.Status != 500 ||
		f.Machine != "EX1" || !strings.Contains(f.Reason, "maximum number of 2 concurrent shells") {
		t.Fatalf("third shell: %v", err)
	}
	other := optionsFor(ts)
	other.User = "other"
	o, err := Open(t.Context(), other)
	if err != nil {
		t.Fatalf("another user's shell: %v", err)
	}
	defer o.Close(context.Background())
	// No user reaches another's shell.
	mine, others := a.way.(*wsman), o.way.(*wsman)
	swap := func() { others.shell, mine.shell = mine.shell, others.shell }
	swap()
	if _, err := o.Invoke(t.Context(), Pipeline{Commands: []Command{{Name: "Get-Thing"}}}); !errors.Is(err,
		ErrShellGone) {
		t.Errorf("another user's shell answers: %v", err)
	}
	swap()
	o.gone = nil
	if err := b.Close(t.Context()); err != nil {
		t.Error(err)
	}
	open(t, ts)
	// A shell that is deleted behind the client's back.
	s.remove(s.shells[mine.shell])
	if _, err := a.Invoke(t.Context(), Pipeline{Commands: []Command{{Name: "Get-Thing"}}}); !errors.Is(err,
		ErrShellGone) {
		t.Errorf("deleted shell: %v", err)
	}
	before := a.Requests()
	if _, err := a.Invoke(t.Context(), Pipeline{Commands: []Command{{Name: "Get-Thing"}}}); !errors.Is(err,
		ErrShellGone) || a.Requests() != before {
		t.Errorf("asked again: %v", err)
	}
	if err := a.Close(t.Context()); err != nil {
		t.Errorf("closing a gone shell: %v", err)
	}
}

func TestIdleShellIsClosed(t *testing.T) {
	s := &Server{IdleTimeout: 10 * time.Millisecond}
	ts, _ := serve(t, s)
	open(t, ts)
	for s.Shells() > 0 { // ends, or the test's time limit does
		time.Sleep(time.Millisecond)
	}
}

func TestRefusals(t *testing.T) {
	ts, _ := serve(t, &Server{Admit: func(_ context.Context, c Caller) error {
		if c.User == "other" {
			return errors.New("RemotePowerShellEnabled is false")
		}
		return nil
	}})
	for _, test := range []struct {
		name   string
		change func(*Options)
		is     error
		text   string
	}{
		{"wrong password", func(o *Options) { o.Password = secret.NewValue("secret-wrong") }, link.ErrAccess,
			`sign in as CONTOSO\admin: HTTP 401, tried Basic, the server offers Basic`},
		{"not admitted", func(o *Options) { o.User = "other" }, link.ErrAccess,
			"Access is denied. RemotePowerShellEnabled is false"},
		{"no such configuration", func(o *Options) { o.Configuration = "Microsoft.Nope" }, nil,
			"Cannot find the Microsoft.Nope session configuration"},
		{"password without TLS", func(o *Options) { o.URL = strings.Replace(o.URL, "https", "http", 1) }, nil,
			"not sent without TLS"},
		{"untrusted certificate", func(o *Options) { o.TLS = nil }, link.ErrUntrusted, ""},
		{"nobody there", func(o *Options) { o.URL = "https://127.0.0.1:1/PowerShell/" }, link.ErrUnreachable,
			"127.0.0.1"},
		{"nobody to be", func(o *Options) { o.User = "" }, nil, "needs Kerberos tickets or a user"},
		{"no address", func(o *Options) { o.URL = "ex1" }, nil, "address"},
		{"password in the address", func(o *Options) { o.URL = "https://a:secret-wrong@ex1/" }, nil, "address"},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := optionsFor(ts)
			test.change(&o)
			p, err := Open(t.Context(), o)
			if err == nil {
				p.Close(t.Context())
				t.Fatal("opened")
			}
			if test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("%v is no %v", err, test.is)
			}
			if at := new(link.HostError); errors.Is(test.is, link.ErrUntrusted) &&
				(!errors.As(err, &at) || !strings.Contains(o.URL, "//"+at.Host+":")) {
				t.Errorf("%v is told to be of the host %q", err, at.Host)
			}
			if !strings.Contains(err.Error(), test.text) {
				t.Errorf("%v does not say %q", err, test.text)
			}
			if strings.Contains(err.Error(), password) || strings.Contains(err.Error(), "secret-wrong") {
				t.Errorf("%v tells the password", err)
			}
		})
	}
}

// TestRawRequests sends requests that this package's client never sends.
func TestRawRequests(t *testing.T) {
	ts, _ := serve(t, &Server{MaxRequest: 100_000})
	p := open(t, ts)
	base := request{to: ts.URL, resource: resourceURI + "Microsoft.Exchange", messageID: "uuid:1", session: "uuid:2",
		maxSize: smallEnvelope, timeout: time.Second, shell: p.way.(*wsman).shell}
	capability, err := p.outgoing(sessionCapability, GUID{}, members(
		Property{"protocolversion", Version("2.3")}, Property{"PSVersion", Version("2.0")},
		Property{"SerializationVersion", Version("1.1.0.1")}))
	if err != nil {
		t.Fatal(err)
	}
	halfOpen := upper(NewGUID())
	creation := `<rsp:Shell ShellId="` + halfOpen + `"><creationXml>` +
		encode64(fragments(1, capability.bytes(), smallEnvelope)[0]) + `</creationXml></rsp:Shell>`
	half := base
	half.action, half.shell, half.body, half.options = actionCreate, "", creation, []option{{"protocolversion", "2.3"}}
	start, _ := http.NewRequest(http.MethodPost, ts.URL, strings.NewReader(string(half.bytes())))
	start.SetBasicAuth(`CONTOSO\admin`, password)
	start.Header.Set("Content-Type", soapType)
	resp, err := ts.Client().Do(start)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("a shell without a pool: HTTP %d", resp.StatusCode)
	}
	for _, test := range []struct {
		name   string
		method string
		auth   bool
		body   func() string
		status int
		code   string
	}{
		{"GET", "GET", true, nil, 405, ""},
		{"no password", "POST", false, nil, 401, ""},
		{"no envelope", "POST", true, func() string { return "<a/>" }, 400, ""},
		{"no XML", "POST", true, func() string { return "hello" }, 400, ""},
		{"entities", "POST", true, func() string { return `<!DOCTYPE a [<!ENTITY b "c">]>` + string(base.bytes()) },
			400, ""},
		{"too large", "POST", true, func() string { return strings.Repeat("x", 100_001) }, 413, ""},
		{"unknown action", "POST", true,
			func() string { r := base; r.action = shellNS + "/Disconnect"; return string(r.bytes()) }, 500,
			fmt.Sprint(faultUnsupported)},
		{"unknown shell", "POST", true,
			func() string { r := base; r.action, r.shell = actionReceive, "x"; return string(r.bytes()) }, 500,
			fmt.Sprint(faultShellGone)},
		{"unknown command", "POST", true, func() string {
			r := base
			r.action, r.body = actionReceive,
				`<rsp:Receive><rsp:DesiredStream CommandId="x">stdout</rsp:DesiredStream></rsp:Receive>`
			return string(r.bytes())
		}, 500, fmt.Sprint(faultShellGone)},
		{"create without capability", "POST", true, func() string {
			r := base
			r.action, r.shell, r.body = actionCreate, "", `<rsp:Shell><creationXml>AAAA</creationXml></rsp:Shell>`
			return string(r.bytes())
		}, 500, fmt.Sprint(faultInvalid)},
		{"create without a protocol version", "POST", true, func() string {
			r := base
			r.action, r.shell, r.body = actionCreate, "", strings.Replace(creation, halfOpen, upper(NewGUID()), 1)
			return string(r.bytes())
		}, 500, fmt.Sprint(faultInvalid)},
		{"command before the pool is open", "POST", true, func() string {
			r := base
			r.action, r.shell = actionCommand, halfOpen
			r.body = `<rsp:CommandLine CommandId="` + upper(NewGUID()) +
				`"><rsp:Command/><rsp:Arguments>AAAA</rsp:Arguments></rsp:CommandLine>`
			return string(r.bytes())
		}, 500, fmt.Sprint(faultInvalid)},
		{"another content type", "POST", true, func() string { return string(base.bytes()) }, 415, ""},
		{"command without arguments", "POST", true, func() string {
			r := base
			r.action, r.body = actionCommand, `<rsp:CommandLine/>`
			return string(r.bytes())
		}, 500, fmt.Sprint(faultInvalid)},
		{"fragment without a start", "POST", true, func() string {
			r := base
			r.action, r.body = actionSend,
				`<rsp:Send><rsp:Stream Name="stdin">`+
					encode64([]byte("\x00\x00\x00\x00\x00\x00\x00\x09\x00\x00\x00\x00\x00\x00\x00\x01\x02\x00\x00\x00\x01a"))+`</rsp:Stream></rsp:Send>`
			return string(r.bytes())
		}, 500, fmt.Sprint(faultInvalid)},
		{"sealed without Kerberos", "POST", true, func() string { return "" }, 400, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			body := ""
			if test.body != nil {
				body = test.body()
			}
			r, _ := http.NewRequest(test.method, ts.URL, strings.NewReader(body))
			if test.auth {
				r.SetBasicAuth(`CONTOSO\admin`, password)
			}
			r.Header.Set("Content-Type", soapType)
			if test.name == "another content type" {
				r.Header.Set("Content-Type", "text/xml")
			}
			if test.name == "sealed without Kerberos" {
				r.Header.Set("Content-Type", `multipart/encrypted;boundary="Encrypted Boundary"`)
			}
			resp, err := ts.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			text, _ := io.ReadAll(resp.Body)
			if resp.StatusCode != test.status || test.code != "" &&
				!strings.Contains(string(text), `Code="`+test.code+`"`) {
				t.Errorf("%d %s", resp.StatusCode, text)
			}
			if resp.StatusCode == 401 && resp.Header.Get("WWW-Authenticate") != `Basic realm="WSMAN"` {
				t.Errorf("offers %q", resp.Header.Values("WWW-Authenticate"))
			}
		})
	}
}

func TestRedirect(t *testing.T) {
	for _, test := range []struct{ from, to, want string }{
		{"https://ex1.contoso.com/PowerShell/", "https://ex2.contoso.com/PowerShell/?a=b", ""},
		{"https://ex1.contoso.com/PowerShell/", "/powershell-proxy/", ""},
		{"https://ex1.contoso.com/PowerShell/", "https://ex1.contoso.com:444/", ""},
		{"https://ex1.contoso.co.uk/", "https://ex2.contoso.co.uk/", ""},
		{"https://contoso.com/", "https://ex1.contoso.com/", ""},
		{"https://contoso.co.uk/", "https://fabrikam.co.uk/", "not of the same domain"},
		{"https://ex1.contoso.com/", "https://ex1.contoso.com.evil.net/", "not of the same domain"},
		{"http://ex1.contoso.com/PowerShell/", "https://ex1.contoso.com/", "over unencrypted http"},
		{"http://ex1.contoso.com/PowerShell/", "http://ex2.contoso.com/PowerShell/", "over unencrypted http"},
		{"https://ex1.contoso.com/", "https://evil.com/", "not of the same domain"},
		{"https://ex1.contoso.com/", "https://evilcontoso.com/", "not of the same domain"},
		{"https://contoso.com/", "https://evil.com/", "not of the same domain"},
		{"https://10.0.0.1/", "https://10.1.0.0.1/", "not of the same domain"},
		{"https://ex1/", "https://ex2/", "not of the same domain"},
		{"https://ex1.contoso.com/", "http://ex1.contoso.com/", "from https to http"},
		{"https://ex1.contoso.com/", "", "does not parse"},
		{"https://ex1.contoso.com/", "file:///etc/passwd", "does not parse"},
		{"https://ex1.contoso.com/", "https://a:b@ex1.contoso.com/", "does not parse"},
	} {
		c := carrier{}
		c.url, _ = url.Parse(test.from)
		_, err := c.redirect(test.to)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s to %s: %v", test.from, test.to, err)
		}
	}
	s := &Server{Run: func(_ context.Context, _ Caller, _ Pipeline, w *Writer) error { return w.Output("there") }}
	ts, _ := serve(t, s)
	inner := ts.Config.Handler
	ts.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/moved/":
			if c, _ := r.Cookie("affinity"); c == nil || c.Value != "1" {
				t.Error("the cookie did not come back")
			}
			inner.ServeHTTP(w, r)
		case "/loop/":
			w.Header().Set("Location", "/loop/")
			w.WriteHeader(302)
		default:
			http.SetCookie(w, &http.Cookie{Name: "affinity", Value: "1", Path: "/"})
			w.Header().Set("Location", "/moved/")
			w.WriteHeader(307)
		}
	})
	out, err := open(t, ts).Invoke(t.Context(), Pipeline{Commands: []Command{{Name: "Get-Thing"}}})
	if err != nil || len(out.Objects) != 1 {
		t.Errorf("got %v, %v", out.Objects, err)
	}
	o := optionsFor(ts)
	o.URL = ts.URL + "/loop/"
	if _, err := Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "redirected more than") {
		t.Errorf("loop: %v", err)
	}
}

// TestHostileAnswers gives the client answers that no server should.
func TestHostileAnswers(t *testing.T) {
	answer := ""
	status := 200
	ts := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.WriteHeader(status)
		io.WriteString(w, strings.ReplaceAll(answer, "MESSAGE", "uuid:"+first(identifiers[0], string(body))))
	}))
	defer ts.Close()
	for _, test := range []struct {
		name, answer string
		status       int
		want         string
	}{
		{"empty", "", 200, "does not parse"},
		{"HTML", "<html><body>Error</body></html>", 503, "HTTP 503"},
		{"other request", string(answerEnvelope(actionCreate+"Response", "uuid:other", "")), 200,
			"belongs to another request"},
		{"fault with escapes", string(answerEnvelope(actionFault, "MESSAGE",
			"<s:Fault><s:Reason><s:Text>a&#x9b;31m&#10;b</s:Text></s:Reason></s:Fault>")), 500,
			"WS-Management fault 0: a 31m b"},
		{"never opened", string(answerEnvelope(actionReceive+"Response", "MESSAGE",
			"<rsp:ReceiveResponse><rsp:Stream>????</rsp:Stream></rsp:ReceiveResponse>")), 200, "base64"},
		{"fragment too large", string(answerEnvelope(actionReceive+"Response", "MESSAGE",
			"<rsp:ReceiveResponse><rsp:Stream>"+
				encode64([]byte("\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x03\xff\xff\xff\xff"))+"</rsp:Stream></rsp:ReceiveResponse>")), 200, "larger than"},
	} {
		t.Run(test.name, func(t *testing.T) {
			answer, status = test.answer, test.status
			o := optionsFor(ts)
			_, err := Open(t.Context(), o)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if err != nil && strings.ContainsAny(err.Error(), "\x1b\n\u009b") {
				t.Errorf("control characters in %q", err)
			}
		})
	}
}

// TestTLSVersions: TLS 1.2 is spoken where it is offered, because IIS asks for client certificates
// by renegotiation; else TLS 1.3.
func TestTLSVersions(t *testing.T) {
	for _, test := range []struct{ least, most, want uint16 }{{0, 0, tls.VersionTLS12},
		{tls.VersionTLS13, 0, tls.VersionTLS13}, {tls.VersionTLS12, tls.VersionTLS12, tls.VersionTLS12}} {
		s := &Server{Authenticate: func(context.Context, string, string) error { return nil }}
		var got uint16
		ts := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got = r.TLS.Version
			s.ServeHTTP(w, r)
		}))
		ts.TLS = &tls.Config{MinVersion: test.least, MaxVersion: test.most}
		ts.Config.ErrorLog = log.New(io.Discard, "", 0)
		ts.StartTLS()
		p, err := Open(t.Context(), optionsFor(ts))
		if err != nil {
			t.Error(err)
		} else {
			p.Close(t.Context())
		}
		if got != test.want {
			t.Errorf("spoke %s, want %s", tls.VersionName(got), tls.VersionName(test.want))
		}
		ts.Close()
	}
}
