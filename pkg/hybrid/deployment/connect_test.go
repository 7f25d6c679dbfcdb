package deployment

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hybridge-cli/hybridge/pkg/config/answers"
	"github.com/hybridge-cli/hybridge/pkg/config/secret"
	"github.com/hybridge-cli/hybridge/pkg/engine/check"
	"github.com/hybridge-cli/hybridge/pkg/engine/msg"
	"github.com/hybridge-cli/hybridge/pkg/engine/observe"
	"github.com/hybridge-cli/hybridge/pkg/estate/exchange"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/fact"
	"github.com/hybridge-cli/hybridge/pkg/hybrid/freebusy"
	"github.com/hybridge-cli/hybridge/pkg/wire/link"
)

// A failed connection is not tried again before renew. An open one is not opened twice.
func TestConnection(t *testing.T) {
	var opens int
	fail := errors.New("no")
	err := fail
	c := &connection[int]{open: func(context.Context) (int, error) { opens++; return opens, err }}
	for range 3 {
		if _, got := c.get(t.Context()); got != fail {
			t.Errorf("error = %v", got)
		}
	}
	if _, up := c.opened(); up || opens != 1 {
		t.Errorf("%d attempts, want 1", opens)
	}
	err = nil
	if got := c.renew(); got != fail {
		t.Errorf("renew told %v", got)
	}
	for range 3 {
		if v, got := c.get(t.Context()); v != 2 || got != nil {
			t.Errorf("get = %d, %v", v, got)
		}
		if err := c.renew(); err != nil {
			t.Errorf("renew told %v", err)
		}
	}
	if v, up := c.opened(); v != 2 || !up || opens != 2 {
		t.Errorf("opened = %d, %t after %d attempts", v, up, opens)
	}
}

// answering is a session that counts its commands.
type answering struct {
	asked atomic.Int32
	err   error
}

func (a *answering) Run(context.Context, exchange.Command) ([]exchange.Object, error) {
	a.asked.Add(1)
	return nil, a.err
}

func (a *answering) Allowed(context.Context, ...string) (map[string]exchange.Allowance, error) {
	a.asked.Add(1)
	return nil, a.err
}

func (a *answering) Close(context.Context) error { return nil }

// A refused sign-in is tried once, for any number of concurrent callers: accounts get locked.
func TestGuarded(t *testing.T) {
	tests := map[string]struct {
		err  error
		want int32
	}{
		"refused":         {fmt.Errorf("sign in: %w", link.ErrAccess), 1},
		"unreachable":     {fmt.Errorf("dial: %w", link.ErrUnreachable), 1},
		"cmdlet's error":  {&exchange.Error{Cmdlet: "Get-X", Category: "PermissionDenied"}, 20},
		"something else":  {errors.New("odd"), 20},
		"nothing went by": {nil, 20},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := &answering{err: tt.err}
			g := newGuarded(s, "contoso")
			var wait sync.WaitGroup
			for range 10 {
				wait.Go(func() {
					if _, err := g.Run(t.Context(), exchange.Command{Name: "Get-X"}); !errors.Is(err, tt.err) {
						t.Errorf("Run: %v", err)
					}
				})
				wait.Go(func() {
					if _, err := g.Allowed(t.Context(), "Get-X"); !errors.Is(err, tt.err) {
						t.Errorf("Allowed: %v", err)
					}
				})
			}
			wait.Wait()
			if n := s.asked.Load(); n != tt.want {
				t.Errorf("asked %d times, want %d", n, tt.want)
			}
			c := &connection[*guarded]{open: func(context.Context) (*guarded, error) { return g, nil }}
			if _, err := c.get(t.Context()); err != nil {
				t.Fatal(err)
			}
			told := renewSession(c)
			if _, up := c.opened(); up != (tt.want > 1) || (told == nil) != up {
				t.Errorf("after renew: open %t, told %v", up, told)
			}
		})
	}
}

// A password that was mistyped can be typed again in the next verb.
func TestSecretIsAskedAgainAfterRefusal(t *testing.T) {
	n := 0
	d, err := Open(answers.Answers{Forests: []answers.Forest{{Name: "contoso"}}},
		Options{Prompt: func(context.Context, string) (secret.Value, error) {
			n++
			return secret.NewValue(fmt.Sprint("try ", n)), nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	d.forests[0].exchange.open = func(ctx context.Context) (*guarded, error) {
		v, err := d.secret(ctx, secret.Ref(secret.Prompt), "password of a")
		if err != nil {
			return nil, err
		}
		s := &answering{}
		if v.Reveal() == "try 1" {
			s.err = fmt.Errorf("sign in: %w", link.ErrAccess)
		}
		return newGuarded(s, "contoso"), nil
	}
	for verb, want := range []error{link.ErrAccess, nil, nil} {
		facts, end := d.begin(&events{})
		if _, err := fact.OnPremisesRights.In(t.Context(), facts.Forests[0]); !errors.Is(err, want) {
			t.Errorf("verb %d: %v, want %v", verb, err, want)
		}
		end()
	}
	if n != 2 {
		t.Errorf("asked %d times, want 2", n)
	}
}

// A person is asked for a secret once, whatever needs it.
func TestSecretIsAskedOnce(t *testing.T) {
	var asked []string
	d, err := Open(answers.Answers{}, Options{Prompt: func(_ context.Context, label string) (secret.Value, error) {
		asked = append(asked, label)
		return secret.NewValue("s3cret"), nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for _, label := range []string{"password of a", "password of b"} {
			if v, err := d.secret(t.Context(), secret.Ref(secret.Prompt), label); err != nil || v.Reveal() != "s3cret" {
				t.Errorf("%s: %v", label, err)
			}
		}
	}
	if got := strings.Join(asked, ", "); got != "password of a, password of b" {
		t.Errorf("asked for %s", got)
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, online := range map[string]answers.ExchangeOnline{
		"cloud": {Cloud: "moon"},
		"host":  {Cloud: "worldwide", Hosts: map[string]string{"nonsense": "x"}},
	} {
		if _, err := Open(answers.Answers{ExchangeOnline: &online}, Options{}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// Every verb warns about hosts with verification turned off.
func TestInsecureHostsAreLoud(t *testing.T) {
	d, err := Open(answers.Answers{Network: answers.Network{InsecureHosts: []string{"mail.contoso.com"}}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		var heard events
		if _, err := d.Check(t.Context(), &heard); err != nil {
			t.Fatal(err)
		}
		if w := heard.warnings(); len(w) != 1 || !strings.Contains(w[0], "mail.contoso.com") {
			t.Errorf("warnings: %v", w)
		}
	}
}

// Warnings from between verbs are passed on in the next verb. Other events from between verbs are
// dropped. What is passed on is logged once.
func TestObserve(t *testing.T) {
	var log bytes.Buffer
	d, err := Open(answers.Answers{}, Options{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{}))})
	if err != nil {
		t.Fatal(err)
	}
	d.warn("early")
	d.Observe(observe.Progress{})
	var heard events
	_, end := d.begin(&heard)
	d.Observe(observe.Progress{Text: "fine detail"})
	d.Observe(check.Result{ID: "a.b", Summary: msg.Plain("broken")})
	end()
	d.Observe(observe.Progress{})
	if text := log.String(); strings.Count(text, "early") != 1 || !strings.Contains(text, "WARN") ||
		!strings.Contains(text, "msg=check") || !strings.Contains(text, "broken") ||
		strings.Contains(text, "fine detail") {
		t.Errorf("log: %s", text)
	}
	if len(heard.heard) != 3 || len(heard.warnings()) != 1 {
		t.Errorf("heard %v", heard.heard)
	}
}

// The tenant's actual coexistence domain counts, not the one that its name suggests: government
// tenants have either suffix.
func TestPremisesKnowTheLiveCoexistenceDomain(t *testing.T) {
	a := answers.Answers{ExchangeOnline: &answers.ExchangeOnline{Cloud: "gcc-high", Tenant: "contoso.onmicrosoft.com"}}
	d, err := Open(a, Options{StateDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	live, broken := fact.New(a, d.cloud), fact.New(a, d.cloud)
	fact.OnlineAcceptedDomains.Seed(live.Tenant, []fact.AcceptedDomain{
		{Name: "contoso.mail.onmicrosoft.us", Coexistence: true}, {Name: "contoso.onmicrosoft.us", Initial: true},
	}, nil)
	fact.OnlineAcceptedDomains.Seed(broken.Tenant, nil, link.ErrUnreachable)
	for name, tt := range map[string]struct {
		facts *fact.Set
		want  []string
	}{
		"live": {live, []string{"contoso.onmicrosoft.com", "contoso.onmicrosoft.us",
			"contoso.mail.onmicrosoft.us"}},
		"not readable": {broken, []string{"contoso.onmicrosoft.com", "contoso.mail.onmicrosoft.com"}},
	} {
		premises, release, err := d.premises(t.Context(), tt.facts)
		if err != nil {
			t.Fatal(err)
		}
		release()
		if diff := cmp.Diff(tt.want, premises[0].Domains); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// A refusal by a cmdlet proves that the session is open: a connection that is lost later is not a
// refused sign-in.
func TestCmdletErrorProvesTheSession(t *testing.T) {
	s := &answering{err: &exchange.Error{Cmdlet: "Get-X", Category: "ObjectNotFound"}}
	g := newGuarded(s, "contoso")
	for _, err := range []error{s.err, fmt.Errorf("read: %w", link.ErrUnreachable), nil} {
		s.err = err
		if _, got := g.Run(t.Context(), exchange.Command{Name: "Get-X"}); !errors.Is(got, err) {
			t.Errorf("got %v, want %v", got, err)
		}
	}
	if n := s.asked.Load(); n != 3 {
		t.Errorf("asked %d times, want 3", n)
	}
}

// --from or --to alone selects pairs of the answers. Together they form a new pair.
func TestPairs(t *testing.T) {
	d, err := Open(answers.Answers{Tests: answers.Tests{Pairs: []answers.Pair{{From: "a@x", To: "b@x"},
		{From: "b@x", To: "a@x"}, {From: "c@x", To: "b@x"}}}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		from, to, want string
		err            error
	}{
		{"", "", "a@x>b@x b@x>a@x c@x>b@x", nil},
		{"A@x", "", "a@x>b@x", nil},
		{"", "B@x", "a@x>b@x c@x>b@x", nil},
		{"new@x", "b@x", "new@x>b@x", nil},
		{"nobody@x", "", "", ErrNoPairs},
		{"", "nobody@x", "", ErrNoPairs},
	} {
		pairs, err := d.pairs(t.Context(), TestOptions{From: test.from, To: test.to})
		var got []string
		for _, p := range pairs {
			got = append(got, p.From+">"+p.To)
		}
		if !errors.Is(err, test.err) || strings.Join(got, " ") != test.want {
			t.Errorf("from %q to %q: %v, %v; want %s", test.from, test.to, got, err, test.want)
		}
	}
}

// All lookups may work while the opposite direction is untested.
func TestUnasked(t *testing.T) {
	d, err := Open(answers.Answers{ExchangeOnline: &answers.ExchangeOnline{}, Forests: []answers.Forest{{Name: "a"},
		{Name: "b"}}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		asked string // directions
		want  string
	}{
		{"a -> online, online -> a, b -> online, online -> b", ""},
		{"a -> online, online -> a, b -> online", "online -> b"},
		{"a -> online", "online -> a, b -> online, online -> b"},
		{"a -> online, a -> ?", ""}, // the direction is unknown
		{"a -> online, ", ""},
	} {
		var r freebusy.Report
		for direction := range strings.SplitSeq(test.asked, ", ") {
			r.Matrix = append(r.Matrix, freebusy.Answer{Direction: direction})
		}
		if got := strings.Join(d.unasked(r), ", "); got != test.want {
			t.Errorf("asked %s: unasked %s, want %s", test.asked, got, test.want)
		}
	}
}

// lingering is a session that the server does not end.
type lingering struct{ answering }

func (*lingering) Close(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Hour):
		return errors.New("waited for an hour")
	}
}

// Sessions are closed after a cancel too. The wait for a server that does not answer is limited.
func TestCloseEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, err := Open(answers.Answers{Forests: []answers.Forest{{Name: "contoso"}}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		d.forests[0].exchange.open = func(context.Context) (*guarded, error) { return newGuarded(&lingering{}, "contoso"), nil }
		if _, err := d.forests[0].exchange.get(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		begun := time.Now()
		if err := d.Close(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != closeTime {
			t.Errorf("after %s: %v", time.Since(begun), err)
		}
	})
}
