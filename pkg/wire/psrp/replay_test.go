package psrp

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"go.yaml.in/yaml/v4"
)

// transcript is a conversation recorded against a real Windows server.
type transcript struct {
	Messages []struct {
		Request        string
		Response       string
		TransportError struct{ Code int } `yaml:"transport_error"`
	}
}

var identifiers = []*regexp.Regexp{
	regexp.MustCompile(`MessageID>uuid:([^<]+)<`), regexp.MustCompile(`Selector Name="ShellId">([^<]+)<`),
	regexp.MustCompile(`Shell ShellId="([^"]+)"`), regexp.MustCompile(`CommandId="([^"]+)"`),
}
var actionElement = regexp.MustCompile(`Action[^>]*>([^<]+)<`)

func first(r *regexp.Regexp, s string) string {
	if m := r.FindStringSubmatch(s); m != nil {
		return m[1]
	}
	return ""
}

// replay serves a transcript: each request gets the answer to the next recorded request of its
// action, with the recorded ids exchanged for the client's, in the envelope and in the messages.
type replay struct {
	t        *testing.T
	messages transcript
	next     int
	text     map[string]string // recorded id -> the client's
	requests int
	actions  []string
	signals  bool          // play the recorded answers to Signal
	hang     chan struct{} // Command is not answered before it is closed
}

func (p *replay) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	body := string(b)
	action := first(actionElement, body)
	p.requests++
	p.actions = append(p.actions, action[strings.LastIndex(action, "/")+1:])
	if p.hang != nil && action == actionCommand {
		select {
		case <-p.hang:
		case <-r.Context().Done():
		}
		return
	}
	if u, pw, ok := r.BasicAuth(); !ok || u != "admin" || pw != "pass:word" {
		p.t.Errorf("authentication %q %q", u, pw)
	}
	if r.Header.Get("Accept-Encoding") != "identity" {
		p.t.Errorf("Accept-Encoding %q", r.Header.Get("Accept-Encoding"))
	}
	if action == actionSignal && !p.signals { // of Windows are not in the recordings
		w.Write(answerEnvelope(actionSignal+"Response", "uuid:"+first(identifiers[0], body), "<rsp:SignalResponse/>"))
		return
	}
	for p.next < len(p.messages.Messages) && first(actionElement, p.messages.Messages[p.next].Request) != action {
		p.next++
	}
	if p.next == len(p.messages.Messages) && action == actionDelete { // some recordings end before it
		w.Write(answerEnvelope(actionDelete+"Response", "uuid:"+first(identifiers[0], body), ""))
		return
	}
	if p.next == len(p.messages.Messages) {
		p.t.Errorf("request %d: no recorded %s is left", p.requests, action)
		w.WriteHeader(http.StatusGone)
		return
	}
	m := p.messages.Messages[p.next]
	p.next++
	for _, id := range identifiers {
		if old, live := first(id, m.Request), first(id, body); old != "" && live != "" {
			p.text[strings.ToUpper(old)] = live
		}
	}
	response := m.Response
	for old, live := range p.text {
		response = regexp.MustCompile("(?i)"+regexp.QuoteMeta(old)).ReplaceAllString(response, live)
	}
	response = regexp.MustCompile(`(<rsp:Stream [^>]*>)([A-Za-z0-9+/=\s]+)<`).ReplaceAllStringFunc(response,
		func(s string) string { return p.pipelineIDs(s) })
	if m.TransportError.Code != 0 {
		w.WriteHeader(m.TransportError.Code)
	}
	io.WriteString(w, response)
}

// pipelineIDs exchanges the ids in the headers of messages. The recordings cut messages behind the
// header only.
func (p *replay) pipelineIDs(stream string) string {
	start, rest, _ := strings.Cut(stream, ">")
	raw, err := streamBytes(&node{text: strings.TrimSuffix(rest, "<")})
	if err != nil {
		p.t.Error(err)
		return stream
	}
	for i := 0; i+fragmentHeader <= len(raw); {
		n := int(uint32(raw[i+17])<<24 | uint32(raw[i+18])<<16 | uint32(raw[i+19])<<8 | uint32(raw[i+20]))
		if blob := raw[i+fragmentHeader : i+fragmentHeader+n]; raw[i+16]&1 != 0 {
			for _, at := range []int{8, 24} {
				var id GUID
				copy(id[:], blob[at:])
				if live, ok := p.text[upper(id)]; ok { // the recording client wrote ids in the order of their text
					g, _ := ParseGUID(live)
					g = g.swapped()
					copy(blob[at:], g[:])
				}
			}
		}
		i += fragmentHeader + n
	}
	return start + ">" + encode64(raw) + "<"
}

func TestTranscripts(t *testing.T) {
	dir := shared(t, "psrp-transcripts")
	run := func(script string) Pipeline { return Pipeline{Commands: []Command{{Name: script, Script: true}}} }
	type step struct {
		pipeline Pipeline
		check    func(t *testing.T, out Output, err error)
	}
	fine := func(objects ...any) func(*testing.T, Output, error) {
		return func(t *testing.T, out Output, err error) {
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(objects, out.Objects); objects != nil && diff != "" {
				t.Errorf("output (-want +got):\n%s", diff)
			}
		}
	}
	known := map[string]bool{}
	for file, test := range map[string]struct {
		configuration string
		envelope      int
		steps         []step
		actions       string
	}{
		"psrp_open_runspace.yml": {actions: "Create Receive Receive Delete"},
		"psrp_error_failed.yml": {actions: "Create Receive Receive Command Receive Signal Delete",
			steps: []step{{run("…"), func(t *testing.T, out Output, err error) {
				var e *ErrorRecord
				if !asRecord(err, &e) {
					t.Fatalf("got error %v", err)
				}
				if e.Message != "error" || e.ID != "Microsoft.PowerShell.Commands.WriteErrorException" ||
					e.Reason != "WriteErrorException" || e.Activity != "Write-Error" ||
					e.Exception[0] != "Microsoft.PowerShell.Commands.WriteErrorException" {
					t.Errorf("record %+v", e)
				}
				if diff := cmp.Diff([]any{"before"}, out.Objects); diff != "" {
					t.Error(diff)
				}
				if out.Progress != 1 {
					t.Errorf("%d progress records", out.Progress)
				}
			}}}},
		"psrp_stream_output_invocation.yml": {actions: "Create Receive Receive Command Receive Signal Delete",
			steps: []step{{run("…"), func(t *testing.T, out Output, err error) {
				if err != nil {
					t.Fatal(err)
				}
				type streams struct {
					Objects                  []any
					Warnings, Verbose, Debug []string
					Errors, Information      []string
				}
				got := streams{Objects: out.Objects, Warnings: out.Warnings, Verbose: out.Verbose, Debug: out.Debug}
				for _, e := range out.Errors {
					got.Errors = append(got.Errors, e.Message+"|"+e.Category.String()+"|"+e.Reason)
				}
				for _, i := range out.Information {
					got.Information = append(got.Information, Text(i.Message))
				}
				want := streams{Objects: []any{"output stream"}, Warnings: []string{"warning stream"},
					Verbose: []string{"verbose stream"}, Debug: []string{"debug stream"},
					Errors:      []string{"error stream|NotSpecified|WriteErrorException"},
					Information: []string{"information stream"}}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			}}}},
		"psrp_long_running_cmdlet.yml": {actions: "Create Receive Receive Command Receive Receive Receive Signal " +
			"Delete", steps: []step{{run("…"), fine()}}},
		"psrp_multiple_commands.yml": {actions: "Create Receive Receive Command Receive Signal Delete",
			steps: []step{{run("…"), fine()}}},
		"psrp_run_protocol_version_2.2.yml": {actions: "Create Receive Receive Command Receive Signal Delete",
			steps: []step{{run("…"), fine()}}},
		"psrp_small_msg_size.yml": {envelope: 32 << 10,
			actions: "Create Receive Receive Command Send Send Receive Receive Signal Delete",
			steps:   []step{{run(strings.Repeat("x", 45000)), fine()}}},
		"client_copy_file_warning.yml": {actions: "Create Receive Receive Command Receive Signal Delete",
			steps: []step{{run("…"), func(t *testing.T, out Output, err error) {
				// The warning in the recording is of another command in another pool.
				if err != nil || len(out.Warnings) != 0 || out.Progress != 1 {
					t.Errorf("warnings %q, %d progress records, %v", out.Warnings, out.Progress, err)
				}
				if diff := cmp.Diff([]any{`C:\Users\vagrant\Documents\test_file`}, out.Objects); diff != "" {
					t.Error(diff)
				}
			}}}},
		// SetShouldExit wants no answer: the command goes on.
		"psrp_pshost_methods.yml": {actions: "Create Receive Receive Command Receive Signal Delete",
			steps: []step{{run("…"), func(t *testing.T, out Output, err error) {
				if err != nil || len(out.Objects) != 1 || Text(out.Objects[0]) != "en-US" {
					t.Errorf("got %v, %v", out.Objects, err)
				}
			}}}},
		"psrp_receive_failure.yml": {actions: "Create Receive Receive Delete"}, // see TestCommandOrShellGone
		"psrp_reset_runspace_state.yml": {actions: "Create Receive Receive Command Receive Signal Command Receive " +
			"Signal Delete",
			steps: []step{{run("…"), fine("hi")}, {run("…"), fine()}}},
		"psrp_set_runspaces.yml": {actions: "Create Receive Receive Delete"},
		"psrp_with_jea_configuration.yml": {configuration: "JEARole",
			actions: "Create Receive Receive Receive Command Receive Signal Command Receive Signal Delete",
			steps: []step{
				{run("…"), func(t *testing.T, out Output, err error) {
					if err != nil || len(out.Objects) != 1 {
						t.Fatalf("got %v, %v", out.Objects, err)
					}
					outer, _ := out.Objects[0].(*Object)
					element, _ := outer.Value.(*Object) // decorated: the object itself is within
					if name, _ := element.Get("name"); name != "AllowUnencrypted" {
						t.Errorf("object %+v", element)
					}
				}},
				{run("…"), func(t *testing.T, out Output, err error) {
					var e *ErrorRecord
					if !asRecord(err, &e) || e.ID != "ScriptsNotAllowed" || e.Category != ParserError ||
						e.Reason != "ParseException" || e.TargetType != "String" {
						t.Errorf("got %v", err)
					}
					if len(out.Errors) != 1 || out.Errors[0].ID != "ProviderNotFound,Microsoft.PowerShell.Commands.GetItemCommand" || out.Errors[0].Category != ObjectNotFound || out.Errors[0].Target != "FileSystem" {
						t.Errorf("errors %+v", out.Errors)
					}
				}},
			}},
	} {
		t.Run(file, func(t *testing.T) {
			p := load(t, filepath.Join(dir, file))
			pool := p.open(t, Options{Configuration: test.configuration, MaxEnvelopeSize: test.envelope})
			ctx := context.Background()
			for _, s := range test.steps {
				out, err := pool.Invoke(ctx, s.pipeline)
				s.check(t, out, err)
			}
			if err := pool.Close(ctx); err != nil {
				t.Error(err)
			}
			if got := strings.Join(p.actions, " "); got != test.actions {
				t.Errorf("requests\n%s, want\n%s", got, test.actions)
			}
			if pool.Requests() != p.requests {
				t.Errorf("counted %d requests, the server %d", pool.Requests(), p.requests)
			}
		})
		known[file] = true
	}
	everyFileKnown(t, dir, known)
}

// load reads a transcript.
func load(t *testing.T, path string) *replay {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p := &replay{t: t, text: map[string]string{}}
	if err := yaml.Unmarshal(data, &p.messages); err != nil {
		t.Fatal(err)
	}
	return p
}

// open serves the transcript and opens a pool with it.
func (p *replay) open(t *testing.T, o Options) *Pool {
	t.Helper()
	server := httptest.NewTLSServer(p)
	t.Cleanup(server.Close)
	if o.Configuration == "" {
		o.Configuration = "Microsoft.PowerShell"
	}
	o.URL, o.User, o.Password, o.TLS = server.URL+"/wsman", "admin", secret.NewValue("pass:word"), trusting(server)
	pool, err := Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return pool
}

// everyFileKnown fails for recordings that no test plays.
func everyFileKnown(t *testing.T, dir string, known map[string]bool) {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(dir, "*.yml"))
	if len(files) < len(known) {
		t.Errorf("%d transcripts, the test knows %d", len(files), len(known))
	}
	for _, f := range files {
		if !known[filepath.Base(f)] {
			t.Errorf("no test plays %s", filepath.Base(f))
		}
	}
}

func trusting(server *httptest.Server) *tls.Config {
	return server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
}
