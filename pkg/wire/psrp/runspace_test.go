package psrp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// messagesOf reads the messages of one kind in the answers of a conversation.
func messagesOf(t *testing.T, kind messageType, answers ...string) (texts []string) {
	t.Helper()
	in := assembler{limit: 1 << 20}
	for _, answer := range answers {
		e, err := parseEnvelope([]byte(answer))
		if err != nil || e.body == nil || e.body.name != "ReceiveResponse" {
			continue
		}
		for _, k := range e.body.kids {
			if k.name != "Stream" {
				continue
			}
			raw, err := streamBytes(k)
			if err != nil {
				t.Fatal(err)
			}
			list, err := in.feed(raw)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range list {
				if m.kind == kind {
					texts = append(texts, string(m.data))
				}
			}
		}
	}
	return texts
}

// TestRunspaceCallsAsWindows sends what a client once sent to a Windows server, and compares what
// it got about the runspaces of its pool.
func TestRunspaceCallsAsWindows(t *testing.T) {
	for _, file := range []string{"psrp_set_runspaces.yml", "psrp_reset_runspace_state.yml"} {
		recorded := load(t, filepath.Join(shared(t, "psrp-transcripts"), file)).messages.Messages
		ts, _ := serve(t, &Server{Configurations: []string{"Microsoft.PowerShell"}})
		var want, got []string
		for _, m := range recorded {
			want = append(want, m.Response)
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, ts.URL, strings.NewReader(m.Request))
			if err != nil {
				t.Fatal(err)
			}
			r.SetBasicAuth(`CONTOSO\admin`, password)
			r.Header.Set("Content-Type", soapType)
			response, err := ts.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(response.Body)
			response.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(body))
		}
		answers := messagesOf(t, runspaceAvailability, want...)
		if len(answers) == 0 {
			t.Fatalf("%s: nothing recorded", file)
		}
		if d := cmp.Diff(answers, messagesOf(t, runspaceAvailability, got...)); d != "" {
			t.Errorf("%s (-Windows +here):\n%s", file, d)
		}
	}
}

// TestSlotsComeBack: a shell runs more commands than it may hold, though none is terminated.
func TestSlotsComeBack(t *testing.T) {
	ts, _ := serve(t, &Server{Run: func(_ context.Context, _ Caller, _ Pipeline, w *Writer) error {
		return w.Output("x")
	}})
	inner := ts.Config.Handler
	ts.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if e, err := parseEnvelope(body); err == nil && e.action == actionSignal {
			_, _ = w.Write(answerEnvelope(actionSignal+"Response", e.messageID, "<rsp:SignalResponse/>"))
			return // the signal is lost
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		inner.ServeHTTP(w, r)
	})
	p := open(t, ts)
	for i := range 2*maxPipelines + 2 {
		if _, err := p.Invoke(t.Context(), Pipeline{Commands: []Command{{Name: "Get-X"}}}); err != nil {
			t.Fatalf("command %d: %v", i, err)
		}
	}
}

// TestStopIsNotWaitedFor: a stop is answered at once, also when the cmdlet does not listen.
func TestStopIsNotWaitedFor(t *testing.T) {
	started, release := make(chan struct{}), make(chan struct{})
	s := &Server{MaxPoll: time.Minute}
	s.Run = func(context.Context, Caller, Pipeline, *Writer) error {
		close(started)
		<-release
		return nil
	}
	defer close(release)
	sh := newShell(s, "A", Caller{}, 1<<16)
	sh.opened = true
	p, err := sh.newPipeline("B")
	if err != nil {
		t.Fatal(err)
	}
	go p.run([]Pipeline{{Commands: []Command{{Name: "Get-Deaf"}}}})
	<-started
	p.cancel(errStopped)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	list, done := p.outgoing.take(ctx, 1<<20, 0)
	for !done && ctx.Err() == nil {
		var more [][]byte
		more, done = p.outgoing.take(ctx, 1<<20, 0)
		list = append(list, more...)
	}
	in := assembler{limit: 1 << 20}
	var state int64
	for _, f := range list {
		messages, err := in.feed(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range messages {
			o, err := m.members()
			if err != nil {
				t.Fatal(err)
			}
			state = integerOf(o, "PipelineState", 0)
		}
	}
	if !done || state != pipelineStopped {
		t.Errorf("ended %v in state %d", done, state)
	}
	if len(sh.runspace) != 1 {
		t.Error("the runspace is free while the cmdlet runs")
	}
}

// TestStatements: a pipeline of two statements runs both, and the second not after the first
// failed.
func TestStatements(t *testing.T) {
	statement := func(name string) *Object {
		o := pipelineObject(Pipeline{Commands: []Command{{Name: name}}}, "2.3")
		shell, _ := o.Get("PowerShell")
		return shell.(*Object)
	}
	whole := pipelineObject(Pipeline{Commands: []Command{{Name: "Get-A"}}}, "2.3")
	shell, _ := whole.Get("PowerShell")
	for i, p := range shell.(*Object).Extended {
		if p.Name == "ExtraCmds" {
			shell.(*Object).Extended[i].Value = []any{statement("Get-A"), statement("Get-B")}
		}
	}
	text, err := marshalOne(whole, nil)
	if err != nil {
		t.Fatal(err)
	}
	v, err := unmarshalOne(text)
	if err != nil {
		t.Fatal(err)
	}
	statements, err := parseStatements(v.(*Object), nil)
	if err != nil || len(statements) != 2 || statements[0].Commands[0].Name != "Get-A" ||
		statements[1].Commands[0].Name != "Get-B" {
		t.Fatalf("%+v, %v", statements, err)
	}
	for _, fails := range []bool{false, true} {
		var ran []string
		sh := newShell(&Server{Run: func(_ context.Context, _ Caller, p Pipeline, _ *Writer) error {
			ran = append(ran, p.Commands[0].Name)
			if fails {
				return errors.New("no")
			}
			return nil
		}}, "A", Caller{}, 1<<16)
		sh.opened = true
		p, err := sh.newPipeline("B")
		if err != nil {
			t.Fatal(err)
		}
		p.run(statements)
		if want := map[bool]string{false: "[Get-A Get-B]", true: "[Get-A]"}[fails]; fmt.Sprint(ran) != want {
			t.Errorf("fails: %v: ran %v", fails, ran)
		}
	}
}

// TestPipedInput: what a client pipes into a pipeline is there when it runs, which is when the
// input has ended.
func TestPipedInput(t *testing.T) {
	got := make(chan []any, 1)
	sh := newShell(&Server{Run: func(_ context.Context, _ Caller, p Pipeline, _ *Writer) error {
		got <- p.Input
		return nil
	}}, "A", Caller{}, 1<<16)
	sh.opened = true
	p, err := sh.newPipeline("B")
	if err != nil {
		t.Fatal(err)
	}
	whole := pipelineObject(Pipeline{Commands: []Command{{Name: "Set-Thing"}}}, "2.3")
	for i, member := range whole.Extended {
		if member.Name == "NoInput" {
			whole.Extended[i].Value = false
		}
	}
	object := uint64(0)
	send := func(kind messageType, data any) {
		t.Helper()
		m := message{destination: toServer, kind: kind}
		if data != nil {
			text, err := marshalOne(data, nil)
			if err != nil {
				t.Fatal(err)
			}
			m.data = text
		}
		object++
		for _, f := range fragments(object, m.bytes(), 1<<16) {
			if err := p.feed(f); err != nil {
				t.Fatal(err)
			}
		}
	}
	send(createPipeline, whole)
	send(pipelineInput, "a")
	send(pipelineInput, "b")
	select {
	case <-got:
		t.Error("ran before its input had ended")
	case <-time.After(50 * time.Millisecond):
	}
	send(endOfPipelineInput, nil)
	select {
	case input := <-got:
		if d := cmp.Diff([]any{"a", "b"}, input); d != "" {
			t.Error(d)
		}
	case <-time.After(10 * time.Second):
		t.Error("did not run")
	}
}
