package psrp

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// TestPowerShellTranscripts plays what PowerShell 7.6 answered: values at their ends, null,
// characters that XML forbids, errors of every kind, small envelopes, polls that time out, exit and
// a killed server.
func TestPowerShellTranscripts(t *testing.T) {
	dir := shared(t, "psrp-pwsh")
	type result struct {
		objects  []any // nil: not compared
		err      string
		warnings []string
	}
	note := func(properties ...Property) *Object {
		return &Object{Types: []string{"System.Management.Automation.PSCustomObject", "System.Object"},
			Extended: properties}
	}
	arrayList := []string{"System.Collections.ArrayList", "System.Object"}
	inner := note(Property{"X", int64(1)})
	known := map[string]bool{"pwsh_unknown_command.yml": true} // see TestStopOfAnUnknownCommand
	for file, test := range map[string]struct {
		envelope int
		steps    []result
		gone     error
	}{
		"pwsh_null_output.yml": {steps: []result{
			{objects: []any{int64(1), nil, "x"}}, {objects: []any{nil}}, {objects: []any{note(Property{"N", nil})}},
		}},
		"pwsh_exit.yml": {steps: []result{{objects: []any{"before"}}, {objects: []any{"after"}}}},
		"pwsh_noncharacters.yml": {steps: []result{
			{objects: []any{"a\ufffeb"}}, {objects: []any{"a\uffffb"}},
			{objects: []any{note(Property{"A", int64(1)}, Property{"B", "x\ufffe"}, Property{"n\uffff", "y"})}},
			{objects: []any{&Object{Types: []string{"System.Collections.Hashtable", "System.Object"},
				Value: &Dict{[]Entry{{"k\ufffe", Char(0xffff)}}}}}},
			{objects: []any{"alive"}},
		}},
		"pwsh_serialization_data.yml": {steps: []result{
			{objects: []any{note(Property{"SerializationData", inner}, Property{"Other", inner})}},
			{objects: []any{note(
				Property{"SerializationData", &Object{Types: arrayList, Value: []any{int64(1)}}},
				Property{"Other", &Object{Types: arrayList, Value: []any{int64(2)}}})}},
			{objects: []any{note(Property{"Other", "x"})}},
		}},
		"pwsh_timeouts.yml": {steps: []result{{objects: []any{"woke"}}}},
		"pwsh_killed.yml": {steps: []result{{objects: []any{"before"}, err: "ended with exit code -9"}},
			gone: ErrShellGone},
		"pwsh_errors.yml": {steps: []result{
			{objects: []any{"between"}, err: "outer"}, {err: "You must provide a value expression"},
			{err: "'Get-NoSuchThing' is not recognized"},
			{err: "Cannot bind parameter 'Year'"}, {err: "Cannot find path '/no/such'"},
			{err: "parameter name 'NoSuch'"},
			{err: "line 1 line 2"}, {err: "ScriptHalted"},
		}},
		"pwsh_streams.yml":    {steps: []result{{objects: []any{"o"}, warnings: []string{"w\r\n2", ""}}}},
		"pwsh_primitives.yml": {steps: make([]result, commands(t, dir, "pwsh_primitives.yml"))},
		"pwsh_dates.yml":      {steps: make([]result, commands(t, dir, "pwsh_dates.yml"))},
		"pwsh_small_envelopes.yml": {envelope: 16 << 10,
			steps: make([]result, commands(t, dir, "pwsh_small_envelopes.yml"))},
	} {
		known[file] = true
		t.Run(file, func(t *testing.T) {
			p := load(t, filepath.Join(dir, file))
			pool := p.open(t, Options{MaxEnvelopeSize: test.envelope})
			for i, want := range test.steps {
				script := strings.Repeat("x", p.sent(i)) // as many fragments as the recording client sent
				out, err := pool.Invoke(t.Context(), Pipeline{Commands: []Command{{Name: script, Script: true}}})
				switch {
				case want.err == "" && err != nil, want.err != "" &&
					(err == nil || !strings.Contains(err.Error(), want.err)):
					t.Errorf("step %d: error %v, want %q", i, err, want.err)
				case test.gone != nil && !errors.Is(err, test.gone):
					t.Errorf("step %d: %v is no %v", i, err, test.gone)
				}
				if diff := cmp.Diff(want.objects, out.Objects, sameValues); want.objects != nil && diff != "" {
					t.Errorf("step %d (-want +got):\n%s", i, diff)
				}
				if diff := cmp.Diff(want.warnings, out.Warnings); want.warnings != nil && diff != "" {
					t.Errorf("step %d: warnings (-want +got):\n%s", i, diff)
				}
				if want.objects == nil && want.err == "" && len(out.Objects) == 0 {
					t.Errorf("step %d: no output", i)
				}
			}
			if test.gone != nil {
				return // the recording ends there
			}
			if err := pool.Close(t.Context()); err != nil {
				t.Error(err)
			}
			if last := p.actions[len(p.actions)-1]; last != "Delete" {
				t.Errorf("the last request is %s", last)
			}
		})
	}
	everyFileKnown(t, dir, known)
}

// commands counts the pipelines of a transcript.
func commands(t *testing.T, dir, file string) (n int) {
	for _, m := range load(t, filepath.Join(dir, file)).messages.Messages {
		if first(actionElement, m.Request) == actionCommand {
			n++
		}
	}
	return n
}

// sent is how long a script must be for as many Send requests as the recording has after its
// pipeline number n.
func (p *replay) sent(n int) int {
	command, sends := -1, 0
	for _, m := range p.messages.Messages {
		switch first(actionElement, m.Request) {
		case actionCommand:
			command++
		case actionSend:
			if command == n {
				sends++
			}
		}
	}
	return 1 + sends*9500
}

// One fault code means both that the shell and that the command is gone; only the text
// distinguishes them.
func TestCommandOrShellGone(t *testing.T) {
	fault := func(folder, file string) *Fault {
		for _, m := range load(t, filepath.Join(shared(t, folder), file)).messages.Messages {
			if e, err := parseEnvelope([]byte(m.Response)); err == nil && e.fault != nil {
				return parseFault(e.fault, m.TransportError.Code)
			}
		}
		t.Fatal("no fault in " + file)
		return nil
	}
	for _, test := range []struct {
		name string
		f    *Fault
		want error
	}{
		{"Windows, Receive of an unknown command", fault("psrp-transcripts", "psrp_receive_failure.yml"),
			ErrCommandGone},
		{"PowerShell, Signal of an unknown command", fault("psrp-pwsh", "pwsh_unknown_command.yml"), ErrCommandGone},
		{"a killed shell", fault("psrp-pwsh", "pwsh_killed.yml"), ErrShellGone},
		{"Windows, an unknown shell", &Fault{Code: faultShellGone,
			Reason: "The request for the Windows Remote Shell with ShellId AB failed because the shell was not found " +
				"on the server."}, ErrShellGone},
		{"German, an unknown command",
			&Fault{Code: faultShellGone, Reason: "Der Befehl 1F2E ist nicht vorhanden.", command: "1f2e"},
			ErrCommandGone},
	} {
		for _, class := range []error{ErrShellGone, ErrCommandGone} {
			if got := errors.Is(test.f, class); got != (class == test.want) {
				t.Errorf("%s: %v: %t", test.name, class, got)
			}
		}
	}
}

// A command is stopped before the server has seen it: the shell is deleted, or the command would
// run in it later, and the shells left behind add up to the user's limit.
func TestStopOfAnUnknownCommand(t *testing.T) {
	p := load(t, filepath.Join(shared(t, "psrp-pwsh"), "pwsh_unknown_command.yml"))
	p.signals, p.hang = true, make(chan struct{})
	pool := p.open(t, Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := pool.Invoke(ctx, Pipeline{Commands: []Command{{Name: "Start-Sleep 60",
		Script: true}}}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if got := strings.Join(p.actions[2:], " "); got != "Command Signal Delete" &&
		got != "Receive Command Signal Delete" {
		t.Errorf("requests %s", got)
	}
	if _, err := pool.Invoke(t.Context(), Pipeline{Commands: []Command{{Name: "Get-Thing"}}}); !errors.Is(err,
		ErrClosed) {
		t.Errorf("the pool of a deleted shell gives %v", err)
	}
}

// scripted is a server that answers each action as the test says.
type scripted struct {
	t       *testing.T
	actions []string
	answer  func(action string, pool, command GUID) []byte
	pool    GUID
}

func (s *scripted) RoundTrip(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	e, err := parseEnvelope(body)
	if err != nil {
		return nil, err
	}
	action := e.action[strings.LastIndex(e.action, "/")+1:]
	s.actions = append(s.actions, action)
	var command GUID
	switch e.action {
	case actionCreate:
		raw, _ := base64.StdEncoding.DecodeString(e.body.value("creationXml"))
		var in assembler
		messages, _ := in.feed(raw)
		s.pool = messages[0].pool
	case actionCommand:
		command, _ = ParseGUID(e.body.attribute("CommandId"))
	case actionReceive:
		command, _ = ParseGUID(e.body.at("DesiredStream").attribute("CommandId"))
	}
	text := s.answer(action, s.pool, command)
	status := http.StatusOK
	if strings.Contains(string(text), "Fault>") {
		status = http.StatusInternalServerError
	}
	w := httptest.NewRecorder()
	w.WriteHeader(status)
	_, _ = w.Write(answerEnvelope(e.action+"Response", e.messageID, string(text)))
	return w.Result(), nil
}

// stream is the answer to a Receive.
func stream(command GUID, messages ...message) []byte {
	of, raw := "", []byte{}
	if command != (GUID{}) {
		of = ` CommandId="` + upper(command) + `"`
	}
	for i, m := range messages {
		raw = append(raw, slices.Concat(fragments(uint64(i+1), m.bytes(), 1<<20)...)...)
	}
	return []byte(`<rsp:ReceiveResponse><rsp:Stream Name="stdout"` + of + `>` + base64.StdEncoding.EncodeToString(raw) +
		`</rsp:Stream></rsp:ReceiveResponse>`)
}

func text(t *testing.T, kind messageType, pool, pipeline GUID, data any) message {
	t.Helper()
	clixml, err := marshalOne(data, nil)
	if err != nil {
		t.Fatal(err)
	}
	return message{destination: toClient, kind: kind, pool: pool, pipeline: pipeline, data: clixml}
}

// opening answers what opens a pool.
func opening(t *testing.T, pool GUID, more ...message) []byte {
	return stream(GUID{}, append(more,
		text(t, sessionCapability, pool, GUID{}, members(Property{"protocolversion", Version("2.3")})),
		text(t, runspacePoolState, pool, GUID{}, members(Property{"RunspaceState", poolOpened})))...)
}

// openScripted opens a pool at s.
func openScripted(t *testing.T, s *scripted) (*Pool, error) {
	s.t = t
	o := Options{URL: "https://ex1.contoso.com/PowerShell/", User: "u", Password: secret.NewValue("p"), transport: s}
	return Open(t.Context(), o)
}

// A server that answers polls at once without content is polled a few times a second, not a
// thousand times.
func TestEmptyPollsDoNotSpin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		polls, began := 0, time.Now()
		s := &scripted{answer: func(action string, pool, command GUID) []byte {
			switch action {
			case "Receive":
				if command == (GUID{}) {
					return opening(t, pool)
				}
				if polls++; time.Since(began) < time.Minute {
					return []byte(`<rsp:ReceiveResponse/>`)
				}
				return stream(command, text(t, pipelineState, pool, command,
					members(Property{"PipelineState", int(pipelineCompleted)})))
			case "Command":
				return []byte(`<rsp:CommandResponse/>`)
			}
			return nil
		}}
		pool, err := openScripted(t, s)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pool.Invoke(t.Context(), Pipeline{Commands: []Command{{Name: "Get-Thing"}}}); err != nil {
			t.Fatal(err)
		}
		if polls < 10 || polls > 80 {
			t.Errorf("%d polls in a minute", polls)
		}
		_ = pool.Close(t.Context())
	})
}

// Warnings while the pool opens reach the user like any other.
func TestWarningsOfTheOpening(t *testing.T) {
	warning := func(pool GUID, words string) message {
		return text(t, warningRecord, pool, GUID{}, informational("WarningRecord", words))
	}
	s := &scripted{answer: func(action string, pool, command GUID) []byte {
		switch {
		case action == "Receive" && command == (GUID{}):
			line := members(Property{"ci", int64(voidCall)},
				Property{"mi", enum("RemoteHostMethodId", "WriteWarningLine", 22)}, Property{"mp",
					&Object{Value: []any{"by the host"}}})
			return opening(t, pool, warning(pool, "at the opening"), text(t, runspacePoolHostCall, pool, GUID{}, line))
		case action == "Receive":
			return stream(command, warning(pool, "while running"),
				text(t, pipelineState, pool, command, members(Property{"PipelineState", int(pipelineCompleted)})))
		}
		return []byte(`<rsp:CommandResponse/>`)
	}}
	pool, err := openScripted(t, s)
	if err != nil {
		t.Fatal(err)
	}
	out, err := pool.Invoke(t.Context(), Pipeline{Commands: []Command{{Name: "Get-Thing"}}})
	if diff := cmp.Diff([]string{"at the opening", "by the host", "while running"}, out.Warnings); diff != "" ||
		err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// The texts with which servers refuse a session over the limit (facts I.2). Exchange 2013 and later
// say it when the first Receive fails, after Create succeeded; the shell is deleted all the same.
func TestSessionLimits(t *testing.T) {
	const authorization = "[FailureCategory=AuthZ-AuthorizationException] "
	for _, test := range []struct {
		name  string
		fault string
		code  uint32
		want  error
		wait  time.Duration
	}{
		{"Exchange 2010", "The WS-Management service cannot process the request. This user is allowed a maximum " +
			"number of 18 concurrent shells, which has been exceeded.", faultQuotaShells, ErrShellLimit, 0},
		{"Exchange 2019", authorization +
			"Fail to create a runspace because you have exceeded the maximum number of connections allowed: 18 for " +
			"the policy party : MaxConcurrency. Please close existing runspace and try again.", 5, ErrShellLimit,
			0},
		{"Exchange Online", authorization +
			"Fail to create a runspace because you have exceeded the maximum number of connections allowed: 3 for " +
			"the policy party : MaxConcurrency.", 0, ErrShellLimit, 0},
		{"budget", authorization + "Fail to create runspace because you have exceeded your budget to create " +
			"runspace. Please wait for 299 seconds.", 0, ErrLoadLimit, 299 * time.Second},
		{"load", "The user load quota of 1000 requests per 2 seconds has been exceeded.", 2150859174, ErrLoadLimit, 0},
		{"access", "Access is denied.", 5, link.ErrAccess, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &scripted{answer: func(action string, _, _ GUID) []byte {
				if action == "Receive" {
					return []byte((&Fault{Code: test.code, Subcode: "w:InternalError", Reason: test.fault}).body())
				}
				return nil
			}}
			_, err := openScripted(t, s)
			for _, class := range []error{ErrShellLimit, ErrLoadLimit, link.ErrAccess} {
				if errors.Is(err, class) != (class == test.want) {
					t.Errorf("%v: %v", err, class)
				}
			}
			if got := RetryAfter(err); got != test.wait {
				t.Errorf("wait %s, want %s", got, test.wait)
			}
			if got := strings.Join(s.actions, " "); got != "Create Receive Delete" {
				t.Errorf("requests %s", got)
			}
		})
	}
	broken := &ErrorRecord{Message: authorization +
		"Fail to create a runspace because you have exceeded the maximum number of connections allowed: 18"}
	if !errors.Is(broken, ErrShellLimit) {
		t.Error("the record of a broken pool is not recognized")
	}
}

// A record's recommended action reaches the reader.
func TestRecommendedAction(t *testing.T) {
	e := errorRecordOf((&ErrorRecord{Message: "failed", Details: "It failed.",
		Recommended: "Restart the service."}).object())
	if e.Recommended != "Restart the service." || e.Error() != "It failed. Restart the service." {
		t.Errorf("got %q, %q", e.Recommended, e)
	}
}

// Debug shows each request, trace what the messages say; a secret shows in neither.
func TestRequestsAreLogged(t *testing.T) {
	var out bytes.Buffer
	ts, _ := serve(t, &Server{Run: func(_ context.Context, _ Caller, _ Pipeline,
		w *Writer) error {
		return w.Output("answer-text")
	}})
	o := optionsFor(ts)
	o.Log = slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: link.LevelTrace}))
	p, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	secretly := Command{Name: "Set-Thing", Parameters: []Parameter{{Name: "Password", Value: secret.NewValue("hush")}}}
	if _, err := p.Invoke(t.Context(), Pipeline{Commands: []Command{secretly}}); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for _, want := range []string{"action=Create", "action=Command", "action=Receive", "action=Delete", "took=",
		"Set-Thing", "answer-text", "REDACTED"} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is missing in\n%.3000s", want, text)
		}
	}
	if strings.Contains(text, "hush") || strings.Contains(text, o.Password.Reveal()) {
		t.Error("a secret is in the log")
	}
}

// A silent server costs the caller a short time beyond its own, whatever was asked when the time
// ran out.
func TestTimeLimitsHold(t *testing.T) {
	for _, silent := range []string{"Create", "Receive", "Command"} {
		t.Run(silent, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				quiet := false
				s := &scripted{answer: func(action string, pool, command GUID) []byte {
					if action == "Receive" && command == (GUID{}) && silent != "Receive" {
						return opening(t, pool)
					}
					return nil
				}}
				hanging := roundTripFunc(func(r *http.Request) (*http.Response, error) {
					resp, err := s.RoundTrip(r)
					if quiet = quiet || s.actions[len(s.actions)-1] == silent; quiet {
						<-r.Context().Done()
						return nil, r.Context().Err()
					}
					return resp, err
				})
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				defer cancel()
				began := time.Now()
				pool, err := Open(ctx, Options{URL: "https://ex1.contoso.com/PowerShell/", User: "u",
					Password: secret.NewValue("p"), transport: hanging})
				if err == nil {
					_, err = pool.Invoke(ctx, Pipeline{Commands: []Command{{Name: "Get-Thing"}}})
					_ = pool.Close(ctx)
				}
				if took := time.Since(began); err == nil || took > 5*time.Second {
					t.Errorf("took %s, %v", took, err)
				}
				if last := s.actions[len(s.actions)-1]; last != "Delete" {
					t.Errorf("the last request is %s", last)
				}
			})
		})
	}
}
