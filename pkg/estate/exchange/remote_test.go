package exchange

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
	"github.com/hybridge-cli/hybridge/pkg/wire/psrp"
)

// fakePool answers pipelines from a list, the last one again and again.
type fakePool struct {
	mu      *sync.Mutex
	opened  *int
	closed  *int
	sent    *[]psrp.Command
	answers *[]func() (psrp.Output, error)
	busy    int
}

func (p *fakePool) Invoke(_ context.Context, pl psrp.Pipeline) (psrp.Output, error) {
	p.mu.Lock()
	p.busy++
	if p.busy > 1 {
		panic("two pipelines at once")
	}
	*p.sent = append(*p.sent, pl.Commands...)
	answer := (*p.answers)[0]
	if len(*p.answers) > 1 {
		*p.answers = (*p.answers)[1:]
	}
	p.mu.Unlock()
	out, err := answer()
	p.mu.Lock()
	p.busy--
	p.mu.Unlock()
	return out, err
}

func (p *fakePool) Close(context.Context) error { *p.closed++; return nil }

type fakeServer struct {
	mu             sync.Mutex
	opened, closed int
	sent           []psrp.Command
	answers        []func() (psrp.Output, error)
	refuse         error
}

func (f *fakeServer) session(t *testing.T, o RemoteOptions) *Remote {
	t.Helper()
	o.PSRP.URL = "http://ex1.contoso.com/PowerShell/"
	o.Name = "contoso"
	o.open = func(context.Context, psrp.Options) (pool, error) {
		f.opened++
		if f.refuse != nil {
			return nil, f.refuse
		}
		return &fakePool{mu: &f.mu, opened: &f.opened, closed: &f.closed, sent: &f.sent, answers: &f.answers}, nil
	}
	r, err := NewRemote(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func gives(objects ...any) func() (psrp.Output, error) {
	return func() (psrp.Output, error) {
		return psrp.Output{Objects: objects, Warnings: []string{"careful\x1b"}}, nil
	}
}

func fails(err error) func() (psrp.Output, error) {
	return func() (psrp.Output, error) { return psrp.Output{}, err }
}

func TestRemotePipeline(t *testing.T) {
	from := &psrp.Object{Properties: []psrp.Property{{Name: "OriginatingServer", Value: "dc1.contoso.com"}}}
	f := &fakeServer{answers: []func() (psrp.Output, error){gives(from), gives()}}
	var warned []string
	r := f.session(t, RemoteOptions{Warn: func(c, s string) { warned = append(warned, c+" "+s) }})
	if f.opened != 0 {
		t.Error("a session is opened before it is needed")
	}
	for _, c := range []Command{
		{"Get-OrganizationConfig", nil},
		{"Set-AuthServer", map[string]any{"Identity": "x", "DomainName": ListChange{Add: []string{"a.com"}}}},
		{"Get-AuthServer", nil},
		{"Get-RemoteMailbox", map[string]any{"Identity": "anna"}},
		{"New-MigrationEndpoint", map[string]any{"Name": "x", "Credentials": Credential{"u", secret.NewValue("p")},
			"DomainController": "dc2"}},
		{"Test-OAuthConnectivity", map[string]any{"Service": "EWS", "TargetUri": "https://x"}},
	} {
		if _, err := r.Run(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	want := []psrp.Command{
		{Name: "Get-OrganizationConfig", Parameters: []psrp.Parameter{{Name: "ErrorAction", Value: "Stop"}}},
		{Name: "Set-AuthServer", Parameters: []psrp.Parameter{{Name: "Identity", Value: "x"},
			{Name: "DomainName", Value: map[string]any{"Add": []string{"a.com"}}},
			{Name: "DomainController", Value: "dc1.contoso.com"}, {Name: "Confirm", Value: false},
			{Name: "ErrorAction", Value: "Stop"}}},
		{Name: "Get-AuthServer", Parameters: []psrp.Parameter{{Name: "DomainController", Value: "dc1.contoso.com"},
			{Name: "ErrorAction", Value: "Stop"}}},
		{Name: "Get-RemoteMailbox", Parameters: []psrp.Parameter{{Name: "Identity", Value: "anna"},
			{Name: "ErrorAction", Value: "Stop"}}},
		{Name: "New-MigrationEndpoint",
			Parameters: []psrp.Parameter{{Name: "Name", Value: "x"},
				{Name: "Credentials", Value: psrp.Credential{User: "u", Password: secret.NewValue("p")}},
				{Name: "DomainController", Value: "dc2"}, {Name: "Confirm", Value: false},
				{Name: "ErrorAction", Value: "Stop"}}},
		{Name: "Test-OAuthConnectivity",
			Parameters: []psrp.Parameter{{Name: "Service", Value: "EWS"}, {Name: "TargetUri", Value: "https://x"},
				{Name: "ErrorAction", Value: "Stop"}}},
	}
	if d := cmp.Diff(want, f.sent, cmp.AllowUnexported(secret.Value{})); d != "" {
		t.Error(d)
	}
	if f.opened != 1 || r.Pipelines() != 6 {
		t.Errorf("%d sessions, %d pipelines", f.opened, r.Pipelines())
	}
	if len(warned) != 6 || warned[1] != "Set-AuthServer careful" {
		t.Errorf("%q", warned)
	}
	if err := r.Close(t.Context()); err != nil || f.closed != 1 {
		t.Errorf("%d closed, %v", f.closed, err)
	}
	if _, err := r.Run(t.Context(), Command{Name: "Get-AuthServer"}); err == nil || f.opened != 1 {
		t.Errorf("a closed session opens again: %v", err)
	}
}

// TestRemoteStaysWithADomainController: until an error, and not where the account may not name one.
func TestRemoteStaysWithADomainController(t *testing.T) {
	from := func(dc string) func() (psrp.Output, error) {
		return gives(&psrp.Object{Properties: []psrp.Property{{Name: "OriginatingServer", Value: dc}}})
	}
	refuses := func(id, message string) func() (psrp.Output, error) {
		return fails(&psrp.ErrorRecord{ID: id, Message: message})
	}
	for _, test := range []struct {
		name    string
		answers []func() (psrp.Output, error)
		want    []any // the domain controller named by each of the pipelines of five cmdlets
	}{
		{"the first that answered", []func() (psrp.Output, error){gives(), from("dc1"), from("dc2")},
			[]any{nil, nil, "dc1", "dc1", "dc1"}},
		{"another one after an error",
			[]func() (psrp.Output, error){from("dc1"), refuses("X,Get-AuthServer", "dc1 is not available"), from("dc2"),
				gives()}, []any{nil, "dc1", nil, "dc2", "dc2"}},
		{"the parameter is withheld", []func() (psrp.Output, error){
			from("dc1"), refuses("NamedParameterNotFound,Get-AuthServer",
				"A parameter cannot be found that matches parameter name 'DomainController'."), from("dc1"),
		}, []any{nil, "dc1", nil, nil, nil, nil}},
		{"objects that do not tell", []func() (psrp.Output, error){gives("x")}, []any{nil, nil, nil, nil, nil}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := &fakeServer{answers: test.answers}
			r := f.session(t, RemoteOptions{})
			for range 5 {
				_, _ = r.Run(t.Context(), Command{Name: "Get-AuthServer"}) // some fail
			}
			var got []any
			for _, c := range f.sent {
				var dc any
				for _, p := range c.Parameters {
					if p.Name == "DomainController" {
						dc = p.Value
					}
				}
				got = append(got, dc)
			}
			if d := cmp.Diff(test.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestRemoteLostShell(t *testing.T) {
	gone := fails(&psrp.Fault{Code: 2150858843, Reason: "the shell was not found"})
	t.Run("reading", func(t *testing.T) {
		f := &fakeServer{answers: []func() (psrp.Output, error){gone, gives("x")}}
		objects, err := f.session(t, RemoteOptions{}).Run(t.Context(), Command{Name: "Get-AuthServer"})
		if err != nil || len(objects) != 1 || f.opened != 2 || f.closed != 1 {
			t.Errorf("%v, %v, %d opened, %d closed", objects, err, f.opened, f.closed)
		}
	})
	cut := fails(link.Classify(io.ErrUnexpectedEOF))
	for _, test := range []struct {
		name   string
		cmdlet string
		steps  []func() (psrp.Output, error)
		opened int
		good   bool
	}{
		{"connection cut while reading", "Get-AuthServer", []func() (psrp.Output, error){gives("x"), cut, gives("x")},
			2, true},
		{"connection cut twice", "Get-AuthServer", []func() (psrp.Output, error){gives("x"), cut, cut}, 2, false},
		{"connection cut while writing", "Set-AuthServer", []func() (psrp.Output, error){gives("x"), cut, gives("x")},
			1, false},
		{"connection that never was good", "Get-AuthServer", []func() (psrp.Output, error){cut, gives("x")}, 1, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := &fakeServer{answers: test.steps}
			r := f.session(t, RemoteOptions{})
			var err error
			for range 2 {
				if err == nil {
					_, err = r.Run(t.Context(), Command{Name: test.cmdlet, Parameters: map[string]any{"Identity": "x"}})
				}
			}
			if (err == nil) != test.good || f.opened != test.opened {
				t.Errorf("%v, %d opened, want %d", err, f.opened, test.opened)
			}
		})
	}
	t.Run("reading, lost again", func(t *testing.T) {
		f := &fakeServer{answers: []func() (psrp.Output, error){gone}}
		if _, err := f.session(t, RemoteOptions{}).Run(t.Context(), Command{Name: "Get-AuthServer"}); err == nil ||
			f.opened != 2 {
			t.Errorf("%v, %d opened", err, f.opened)
		}
	})
	t.Run("writing", func(t *testing.T) {
		f := &fakeServer{answers: []func() (psrp.Output, error){gone, gives()}}
		r := f.session(t, RemoteOptions{})
		if _, err := r.Run(t.Context(), Command{Name: "New-AuthServer"}); err == nil ||
			!strings.Contains(err.Error(), "not known") || len(f.sent) != 1 {
			t.Errorf("%v, %d sent", err, len(f.sent))
		}
		if _, err := r.Run(t.Context(), Command{Name: "Get-AuthServer"}); err != nil || f.opened != 2 {
			t.Errorf("the session is not opened again: %v", err)
		}
	})
}

func TestRemoteErrors(t *testing.T) {
	record := func(id, reason string, category psrp.Category, exception ...string) error {
		return &psrp.ErrorRecord{Message: "sorry\x1b[0m\nx", ID: id, Reason: reason, Category: category,
			TargetName: "t", Exception: exception}
	}
	tests := []struct {
		name string
		err  error
		is   error
	}{
		{"not found", record("[Server=EX1,RequestId=1] 6F9304,Microsoft.X", "ManagementObjectNotFoundException",
			psrp.NotSpecified, "Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException"),
			ErrNotFound},
		{"not found, wrapped", record("6F9304,X", "ManagementObjectNotFoundException", psrp.NotSpecified,
			"System.Management.Automation.RemoteException"), ErrNotFound},
		{"no cmdlet", record("CommandNotFoundException", "CommandNotFoundException", psrp.ObjectNotFound,
			"System.Management.Automation.CommandNotFoundException"), ErrNoCmdlet},
		{"access", record("1", "X", psrp.PermissionDenied), link.ErrAccess},
		{"load", &psrp.Fault{Code: 1, Reason: "The user load quota of 1000 requests per 2 seconds has been exceeded."},
			ErrThrottled},
		{"shells", &psrp.Fault{Code: 1, Reason: "This user is allowed a maximum number of 18 concurrent shells"},
			ErrThrottled},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &fakeServer{answers: []func() (psrp.Output, error){fails(tt.err)}}
			_, err := f.session(t, RemoteOptions{}).Run(t.Context(), Command{Name: "Get-AuthServer"})
			if !errors.Is(err, tt.is) {
				t.Errorf("%v is not %v", err, tt.is)
			}
			for _, other := range []error{ErrNotFound, ErrNoCmdlet, ErrThrottled, link.ErrAccess} {
				if other != tt.is && errors.Is(err, other) {
					t.Errorf("%v is %v too", err, other)
				}
			}
			if strings.ContainsAny(err.Error(), "\x1b\n") || !strings.HasPrefix(err.Error(), "contoso: ") {
				t.Errorf("%q", err.Error())
			}
		})
	}
	f := &fakeServer{refuse: fmt.Errorf("no: %w", link.ErrUntrusted)}
	if _, err := f.session(t, RemoteOptions{}).Run(t.Context(), Command{Name: "Get-AuthServer"}); !errors.Is(err,
		link.ErrUntrusted) {
		t.Errorf("%v", err)
	}
	// an error that did not end the pipeline is still an error
	f = &fakeServer{answers: []func() (psrp.Output, error){func() (psrp.Output, error) {
		return psrp.Output{Objects: []any{"x"}, Errors: []*psrp.ErrorRecord{{Message: "half"}}}, nil
	}}}
	if objects, err := f.session(t, RemoteOptions{}).Run(t.Context(), Command{Name: "Get-AuthServer"}); err == nil ||
		len(objects) != 1 {
		t.Errorf("%v, %v", objects, err)
	}
}

func TestRemoteSerialized(t *testing.T) {
	f := &fakeServer{answers: []func() (psrp.Output, error){gives()}}
	r := f.session(t, RemoteOptions{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := r.Run(t.Context(), Command{Name: "Get-AuthServer"}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if f.opened != 1 || len(f.sent) != 8 {
		t.Errorf("%d sessions, %d pipelines", f.opened, len(f.sent))
	}
	// a caller that waits for its turn can give up
	<-r.turn
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Run(ctx, Command{Name: "Get-AuthServer"}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestRemoteAllowed(t *testing.T) {
	info := &psrp.Object{Properties: []psrp.Property{{Name: "Name", Value: "Get-AuthServer"},
		{Name: "Parameters", Value: &psrp.Object{Value: &psrp.Dict{Entries: []psrp.Entry{{Key: "Identity",
			Value: "x"}}}}}}}
	f := &fakeServer{answers: []func() (psrp.Output, error){gives(info)}}
	got, err := f.session(t, RemoteOptions{}).Allowed(t.Context(), "get-authserver", "Set-AuthServer")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]Allowance{"get-authserver": {Parameters: []string{"Identity"}}}, got); d != "" {
		t.Error(d)
	}
	if len(f.sent) != 1 {
		t.Errorf("%d pipelines", len(f.sent))
	}
}

func TestFromPSRP(t *testing.T) {
	when := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	enum := &psrp.Object{Types: []string{"Deserialized.X.Kind", "Deserialized.System.Enum"}, Text: "Authoritative",
		Value: int64(1)}
	id := &psrp.Object{Types: []string{"Microsoft.Exchange.Data.Directory.ADObjectId", "System.Object"},
		Text: "contoso.com/Users/x", Properties: []psrp.Property{{Name: "Depth", Value: int64(1)}}}
	shared := &psrp.Object{Types: []string{"Y"},
		Properties: []psrp.Property{{Name: "SerializationData", Value: []byte{1}}, {Name: "A", Value: id}}}
	in := &psrp.Object{Types: []string{"Deserialized.Microsoft.Exchange.X"}, Text: "x", Properties: []psrp.Property{
		{Name: "Kind", Value: enum}, {Name: "Id", Value: id}, {Name: "When", Value: when},
		{Name: "Guid", Value: psrp.GUID{1}}, {Name: "Url", Value: psrp.URI("https://x/")},
		{Name: "Span", Value: psrp.TimeSpan(10_000_000)}, {Name: "Big", Value: uint64(1 << 63)},
		{Name: "Raw", Value: []byte{1}}, {Name: "Null", Value: nil},
		{Name: "List", Value: &psrp.Object{Types: []string{"Microsoft.Exchange.Data.MultiValuedProperty`1"},
			Value: []any{"a", enum, id}}},
		{Name: "Nested", Value: shared}, {Name: "Again", Value: shared}, {Name: "Up", Value: psrp.Ancestor(1)},
		{Name: "Secret", Value: psrp.SecureString("x")}},
		Extended: []psrp.Property{{Name: "PSComputerName", Value: "ex1"},
			{Name: "SerializationData", Value: []byte{1}}}}
	nested := NewObject([]string{"Y"}, "", "A", "contoso.com/Users/x")
	want := NewObject([]string{"Microsoft.Exchange.X"}, "x", "Kind", "Authoritative", "Id", "contoso.com/Users/x",
		"When", when, "Guid", "01000000-0000-0000-0000-000000000000",
		"Url", "https://x/", "Span", "00:00:01", "Big", "9223372036854775808", "Raw", []byte{1}, "Null", nil, "List",
		[]any{"a", "Authoritative", "contoso.com/Users/x"},
		"Nested", nested, "Again", nested, "Up", Unreadable{"it refers back to the object that it is a part of"},
		"Secret", Unreadable{"it is encrypted"}, "PSComputerName", "ex1")
	if d := cmp.Diff(want, (&conversion{left: maxValues}).output(in), cmp.AllowUnexported(Object{})); d != "" {
		t.Error(d)
	}
}

// An object that refers to one below it twice, that to the next one twice, and so on, would be 2^60
// values as a tree.
func TestFromPSRPBounded(t *testing.T) {
	o := &psrp.Object{Types: []string{"X"}, Properties: []psrp.Property{{Name: "A", Value: "x"}}}
	for range 60 {
		o = &psrp.Object{Types: []string{"X"},
			Properties: []psrp.Property{{Name: "A", Value: o}, {Name: "B", Value: o}}}
	}
	got := (&conversion{left: maxValues}).output(o)
	if !got.Has("A") || !got.Has("B") {
		t.Errorf("%+v", got)
	}
}

// TestSharedValuesAreBounded: a small answer can refer to the same value any number of times, in
// any number of objects.
func TestSharedValuesAreBounded(t *testing.T) {
	list := make([]any, 1000)
	inner := &psrp.Object{Value: list}
	outer := make([]any, 100)
	for i := range outer {
		outer[i] = inner
	}
	out := psrp.Output{}
	for range 50 {
		out.Objects = append(out.Objects, &psrp.Object{Properties: []psrp.Property{{Name: "List", Value: outer}}})
	}
	objects, err := collect(Command{Name: "Get-Thing"}, out, nil)
	if err != nil || len(objects) != 50 {
		t.Fatalf("%d objects, %v", len(objects), err)
	}
	values, cut := 0, false
	var walk func(v any)
	walk = func(v any) {
		values++
		cut = cut || isUnreadable(v)
		if list, ok := v.([]any); ok {
			for _, e := range list {
				walk(e)
			}
		}
	}
	for _, o := range objects {
		v, _ := o.Value("List")
		walk(v)
	}
	if !cut || values > 2*maxValues {
		t.Errorf("%d values, cut off: %v", values, cut)
	}
}

// That there are more mailboxes than a sample asks for is no warning for a person. Where no number
// was asked for, it is.
func TestWarningOfASample(t *testing.T) {
	more := func() (psrp.Output, error) {
		return psrp.Output{Warnings: []string{"There are more results available than are currently displayed. To " +
			"view them, increase the value for the ResultSize parameter."}}, nil
	}
	for size, want := range map[any]int{"20": 0, int64(20): 0, "Unlimited": 1, nil: 1} {
		f := &fakeServer{answers: []func() (psrp.Output, error){more}}
		warned := 0
		r := f.session(t, RemoteOptions{Warn: func(string, string) { warned++ }})
		c := Command{Name: "Get-Mailbox"}
		if size != nil {
			c.Parameters = map[string]any{"ResultSize": size}
		}
		if _, err := r.Run(t.Context(), c); err != nil || warned != want {
			t.Errorf("ResultSize %v: %d warnings, %v", size, warned, err)
		}
	}
}
